"""Requests and results of images, video and audio, as the pipeline carries them. Values only; sizes in pixels, times in seconds.

``given`` names the parameters that the caller sent: a default that nobody sent is never refused or reported (rule 13).
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from openpollen.core.usage import Usage

AudioFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
PictureFormat = Literal["png", "jpeg"]
Quality = Literal["low", "medium", "high"]

#: Media type of each audio format. ``pcm`` is 24 kHz, mono, signed 16-bit little-endian, as OpenAI has it.
AUDIO_TYPES: dict[str, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


class Asset(Struct, frozen=True):
    """Bytes with their media type, sniffed from the bytes and never taken from a caller's word."""

    data: bytes
    mime: str
    name: str = ""


class ImageRequest(Struct, frozen=True):
    """An image, or an edit when ``images`` is not empty."""

    prompt: str
    width: int = 1024
    height: int = 1024
    n: int = 1
    seed: int | None = None
    quality: Quality = "medium"
    negative_prompt: str = ""
    transparent: bool = False
    reasoning: bool = False
    metadata: bool = True
    output_format: PictureFormat | None = None
    images: tuple[Asset, ...] = ()
    mask: Asset | None = None
    given: frozenset[str] = frozenset()


class VideoRequest(Struct, frozen=True):
    prompt: str
    seconds: float = 5
    width: int = 1280
    height: int = 720
    aspect_ratio: str = "16:9"
    resolution: str = "720p"
    fps: int | None = None
    audio: bool = False
    seed: int | None = None
    negative_prompt: str = ""
    metadata: bool = True
    images: tuple[Asset, ...] = ()
    given: frozenset[str] = frozenset()


class SpeechRequest(Struct, frozen=True):
    input: str
    voice: str = "alloy"
    format: AudioFormat = "mp3"
    speed: float = 1.0
    instructions: str = ""
    seed: int | None = None
    given: frozenset[str] = frozenset()


class MusicRequest(Struct, frozen=True):
    """``seconds`` is ``None`` when the caller left the length to the model."""

    prompt: str
    seconds: float | None = None
    format: AudioFormat = "mp3"
    seed: int | None = None
    instrumental: bool = True
    given: frozenset[str] = frozenset()


class TranscriptionRequest(Struct, frozen=True):
    """``heard_ms`` is the length of the recording in milliseconds, measured from its bytes. With ``translate`` the text is
    English, whatever was spoken."""

    file: Asset
    heard_ms: int = 0
    language: str | None = None
    prompt: str | None = None
    temperature: float | None = None
    words: bool = True
    translate: bool = False
    given: frozenset[str] = frozenset()


class Word(Struct, frozen=True):
    word: str
    start: float
    end: float


class Segment(Struct, frozen=True):
    id: int
    start: float
    end: float
    text: str


class Transcript(Struct, frozen=True):
    """What was said. ``duration`` is the length of the audio in seconds; silence is an empty text, not an error."""

    text: str
    language: str
    duration: float
    segments: tuple[Segment, ...] = ()
    words: tuple[Word, ...] = ()


class Media(Struct, frozen=True):
    """What a provider made: bytes, or addresses that still have to be fetched through the guard. ``note`` says what of the
    request could not be done."""

    assets: tuple[Asset, ...] = ()
    urls: tuple[str, ...] = ()
    usage: Usage | None = None
    revised_prompt: str | None = None
    note: str = ""


class JobState(Struct, frozen=True):
    """A provider's job as last seen. ``progress`` runs from 0 to 100. ``id`` is all that is needed to ask for it again, also
    in another process: what the provider calls it, or the address that it gave for asking.

    A job that is done either brings its result, ``media``, or the address that has it, ``result``, for ``fetch_job``."""

    id: str
    status: Literal["queued", "running", "done", "failed"]
    progress: int = 0
    error: str = ""
    refused: bool = False
    media: Media | None = None
    result: str = ""
