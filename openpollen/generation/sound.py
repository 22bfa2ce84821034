"""Sound in the format that was asked for, whatever its provider makes. Pure but for what PyAV does."""

from __future__ import annotations

from msgspec import structs

from openpollen.core.assets import AUDIO_TYPES, Asset, AudioFormat, Media
from openpollen.core.errors import BadRequest

#: Types of files that are turned into others.
_FILES = frozenset(AUDIO_TYPES.values()) - {AUDIO_TYPES["pcm"]} | {"audio/mp4"}
#: The beginnings of files that raw samples never have by chance, as they have that of an mp3 without a header.
_NOT_RAW = (b"RIFF", b"OggS", b"fLaC", b"ID3")


def as_asked(made: Media, audio_format: AudioFormat) -> Media:
    """The sound with every file of another format turned into ``audio_format``. What is no known file stays as it is: raw
    samples are that. Raises BadRequest for a file that is damaged, and for a text."""
    return structs.replace(made, assets=tuple(_as_asked(asset, audio_format) for asset in made.assets))


def _is_text(data: bytes) -> bool:
    """Whether bytes are words, such as a page that a proxy answered with: raw samples are not."""
    try:
        start = data[:200].decode()
    except UnicodeDecodeError:
        return False
    return all(char.isprintable() or char in "\r\n\t" for char in start)


def _as_asked(asset: Asset, audio_format: AudioFormat) -> Asset:
    wanted = AUDIO_TYPES[audio_format]
    other = asset.data.startswith(_NOT_RAW) if audio_format == "pcm" else asset.mime in _FILES - {wanted}
    if asset.mime not in _FILES and _is_text(asset.data):
        raise BadRequest("The sound is a text.")
    if not other:
        return asset
    from openpollen.engines import codec  # PyAV is loaded with the first sound, not at start

    samples, rate = codec.decode(asset.data)
    if audio_format == "pcm" and samples.ndim == 2:
        samples = samples.mean(axis=1)  # resampling to one channel adds both up, which is too loud
    return Asset(codec.encode(samples, rate, audio_format), wanted, asset.name)
