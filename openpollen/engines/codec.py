"""Sound in and out of files, through PyAV: encode, decode, and measure how long a file really is.

Samples are float32 in -1..1, shaped ``(frames,)`` for mono or ``(frames, 2)`` for stereo. Files are recognised by their
first bytes and opened with exactly that demuxer, never by a name or a caller's word: left to guess, FFmpeg would also
take playlists that point at other files and addresses.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from openpollen.core.assets import AudioFormat
from openpollen.core.errors import BadRequest

Samples = NDArray[np.float32]

PCM_RATE = 24_000
MAX_SECONDS = 7_200.0
#: Decoded samples over all channels: two hours at 16 kHz mono, 460 MB as float32.
MAX_SAMPLES = int(MAX_SECONDS) * 16_000

ACCEPTED = "mp3, wav, flac, ogg, m4a, mp4, webm and aac"


@dataclass(frozen=True)
class Recipe:
    """How one format is made: FFmpeg's container and encoder, bits per second per layout, and the rates it takes."""

    container: str
    codec: str
    sample_format: str
    mono: int
    stereo: int
    rates: frozenset[int]


_COMMON_RATES = frozenset({8_000, 12_000, 16_000, 24_000, 32_000, 44_100, 48_000})
_RECIPES: dict[str, Recipe] = {
    "mp3": Recipe("mp3", "libmp3lame", "fltp", 96_000, 192_000, _COMMON_RATES),
    "opus": Recipe("ogg", "libopus", "flt", 64_000, 128_000, frozenset({48_000})),
    "aac": Recipe("adts", "aac", "fltp", 80_000, 160_000, _COMMON_RATES),
    "flac": Recipe("flac", "flac", "s16", 0, 0, _COMMON_RATES | {22_050, 96_000}),
}


def encode(samples: Samples, rate: int, audio_format: AudioFormat) -> bytes:
    """``samples`` at ``rate`` Hz as a file: mp3, opus (in Ogg), aac (ADTS), flac, wav (16 bit) or pcm.

    ``pcm`` is headerless 24 kHz mono signed 16-bit little-endian whatever came in; the others keep channels, and the
    rate where the format allows it (else 48 kHz).
    """
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and samples.shape[1] != 2):
        raise ValueError(f"samples must be shaped (frames,) or (frames, 2), not {samples.shape}")
    if audio_format == "pcm":
        return _int16(resample(samples, rate, PCM_RATE, channels=1)).tobytes()
    if audio_format == "wav":
        return _wav(samples, rate)
    return _encode(samples, rate, _RECIPES[audio_format])


def resample(samples: Samples, rate: int, to: int, channels: int) -> Samples:
    """``samples`` from ``rate`` to ``to`` Hz, in 1 or 2 channels."""
    have = samples.ndim
    if rate == to and have == channels:
        return samples
    resampler = _av().AudioResampler(format="flt", layout=_layout(channels), rate=to)
    frames = [out for part in _frames(samples, rate) for out in resampler.resample(part)] + resampler.resample(None)
    return _joined([frame.to_ndarray() for frame in frames], channels)


def decode(
    data: bytes, *, rate: int | None = None, channels: int | None = None, max_seconds: float = MAX_SECONDS
) -> tuple[Samples, int]:
    """The first audio track of a file as ``(samples, rate)``, at its own rate and channels (at most 2) or as asked.

    Damaged parts are skipped. Raises BadRequest when the file is no audio we know, has no audio track, holds nothing
    that can be decoded, or is longer than ``max_seconds``.
    """
    with _opened(data) as container:
        stream = _audio_stream(container)
        to = rate or int(stream.rate)
        width = channels or min(2, int(stream.channels))
        resampler = _av().AudioResampler(format="flt", layout=_layout(width), rate=to)
        parts: list[NDArray[Any]] = []
        total, limit = 0, min(int(max_seconds * to), MAX_SAMPLES // width)
        for frame in _decoded(container):
            for out in resampler.resample(frame):
                total += out.samples
                parts.append(out.to_ndarray())
            if total > limit:
                raise BadRequest(
                    f"The audio is longer than {limit / to:.0f} s, the most taken here. Send it in shorter parts."
                )
    if not total:
        raise BadRequest("Nothing in the audio file can be decoded: it looks damaged or empty. Convert it to mp3.")
    return _joined(parts, width), to


def duration(data: bytes, kind: Literal["audio", "video"] = "audio") -> float:
    """Length in seconds of the first track of ``kind``, measured on the packets; nothing is decoded as a rule.

    A length that a header declares is never believed. Where packets hold clearly more sound than their timestamps tell
    (a file made to look short), the track is decoded and counted. Raises BadRequest like ``decode``.
    """
    with _opened(data) as container:
        stream = _audio_stream(container) if kind == "audio" else next(iter(container.streams.video), None)
        if stream is None:
            raise BadRequest("The file has no video track.")
        start = stream.start_time or 0
        begin, end, held, trimmed = None, 0, 0.0, 0
        for packet in container.demux(stream):
            if not packet.size or packet.pts is None:
                continue
            begin = packet.pts if begin is None else min(begin, packet.pts)
            end = max(end, packet.pts + (packet.duration or 0))
            held += _sound_in(packet, stream) if kind == "audio" else 0.0
            trimmed = _trimmed_samples(packet)
        if begin is None:
            raise BadRequest("Nothing in the file can be read: it looks damaged or empty. Send it again or convert it.")
        time_base = float(stream.time_base or 0)
        seconds = (end - max(begin, start)) * time_base
        if kind == "audio":
            seconds -= trimmed / stream.codec_context.sample_rate
    if held > seconds * 1.1 + 0.25:
        samples, rate = decode(data)
        return len(samples) / rate
    return max(0.0, seconds)


def demuxer(data: bytes) -> str:
    """FFmpeg's name for the container of ``data``, told by its first bytes. Raises BadRequest for anything else."""
    head = data[:16]
    for name, offset, magic in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return name
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return "aac" if head[1] & 0x06 == 0 else "mp3"
    raise BadRequest(f"The file is not audio of a kind known here. Send {ACCEPTED}.")


_MAGIC = (
    ("wav", 8, b"WAVE"),
    ("flac", 0, b"fLaC"),
    ("ogg", 0, b"OggS"),
    ("matroska", 0, b"\x1aE\xdf\xa3"),
    ("mov", 4, b"ftyp"),
    ("mp3", 0, b"ID3"),
    ("mpeg", 0, b"\x00\x00\x01\xba"),
)


@contextmanager
def _opened(data: bytes) -> Generator[Any]:
    """The container of ``data``; FFmpeg's complaints while it is open become a BadRequest in words."""
    av, name = _av(), demuxer(data)
    try:
        with av.open(io.BytesIO(data), "r", format=name, metadata_errors="ignore") as container:
            yield container
    except (av.error.FFmpegError, ValueError) as error:
        raise BadRequest("The audio file cannot be read: it is damaged or cut off. Convert it to mp3.") from error


def _audio_stream(container: Any) -> Any:
    if not container.streams.audio:
        raise BadRequest(f"The file has no audio track. Send {ACCEPTED} with sound in it.")
    stream = container.streams.audio[0]
    if not stream.codec_context.sample_rate:
        raise BadRequest("The audio track has no sample rate: the file is damaged. Convert it to mp3.")
    return stream


def _decoded(container: Any) -> Iterator[Any]:
    """Frames of the first audio track and a final ``None`` that flushes; packets that do not decode are left out."""
    invalid = _av().error.InvalidDataError
    for packet in container.demux(audio=0):
        try:
            frames = packet.decode()
        except invalid:
            continue
        for frame in frames:
            frame.pts = None  # sound is joined end to end: a gap in timestamps is not filled
            yield frame
    yield None


def _sound_in(packet: Any, stream: Any) -> float:
    """Seconds of sound that a packet holds by its codec's own framing; 0 where only the container tells."""
    codec = stream.codec_context
    if codec.name == "opus":
        return _opus_seconds(bytes(packet))
    return float(codec.frame_size / codec.sample_rate) if codec.name.startswith(("mp3", "aac")) else 0.0


def _opus_seconds(packet: bytes) -> float:
    """Length of an Opus packet from its first bytes (RFC 6716, section 3.1)."""
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        milliseconds = (10, 20, 40, 60)[config & 3]
    elif config < 16:
        milliseconds = (10, 20)[config & 1]
    else:
        milliseconds = (2.5, 5, 10, 20)[config & 3]
    count = 1 if code == 0 else 2 if code < 3 else packet[1] & 0x3F if len(packet) > 1 else 0
    return milliseconds * count / 1000


def _trimmed_samples(packet: Any) -> int:
    """Samples that an MP3 marks as padding at its end; other containers shorten the last packet instead."""
    if not packet.stream.codec_context.name.startswith("mp3") or not packet.has_sidedata("skip_samples"):
        return 0
    return min(int.from_bytes(bytes(packet.get_sidedata("skip_samples"))[4:8], "little"), 2_048)


def _encode(samples: Samples, rate: int, recipe: Recipe) -> bytes:
    to = rate if rate in recipe.rates else 48_000
    layout = _layout(samples.ndim)
    out = io.BytesIO()
    # bitexact keeps encoder versions and random stream numbers out of the file: same samples, same bytes
    with _av().open(out, "w", format=recipe.container, options={"fflags": "+bitexact"}) as container:
        stream: Any = container.add_stream(recipe.codec, rate=to)
        stream.layout = layout
        stream.format = recipe.sample_format
        if recipe.mono:
            stream.bit_rate = recipe.mono if samples.ndim == 1 else recipe.stereo
        resampler = _av().AudioResampler(format=recipe.sample_format, layout=layout, rate=to)
        for part in [*_frames(samples, rate), None]:
            for frame in resampler.resample(part):
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def _av() -> Any:
    """PyAV, loaded on first use. ``Any``: its stubs leave streams, packets and codec contexts partly unknown."""
    import av

    return av


def _wav(samples: Samples, rate: int) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(samples.ndim)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(_int16(samples).tobytes())
    return out.getvalue()


def _frames(samples: Samples, rate: int) -> Iterator[Any]:
    """``samples`` as FFmpeg frames of one second, packed float."""
    av = _av()
    clipped = np.clip(np.ascontiguousarray(samples, dtype=np.float32), -1.0, 1.0)
    for start in range(0, len(clipped), rate):
        frame = av.AudioFrame.from_ndarray(clipped[start : start + rate].reshape(1, -1), "flt", _layout(samples.ndim))
        frame.sample_rate = rate
        yield frame


def _int16(samples: Samples) -> NDArray[np.int16]:
    return np.rint(np.clip(samples, -1.0, 1.0) * 32_767.0).astype("<i2")


def _joined(parts: list[NDArray[Any]], channels: int) -> Samples:
    flat = np.concatenate([part.reshape(-1) for part in parts]) if parts else np.zeros(0, np.float32)
    return flat.astype(np.float32, copy=False) if channels == 1 else flat.reshape(-1, 2)


def _layout(channels: int) -> str:
    return "mono" if channels == 1 else "stereo"
