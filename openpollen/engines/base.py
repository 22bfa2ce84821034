"""What a local engine is: plain synchronous classes, jobs in, results out, no web code.

An engine declares ``name``, ``kind`` and ``memory_mb``, says what it is ``missing()``, and can ``load()`` and
``unload()``. The host calls one method of it in a worker thread, with a frozen job and a ``CancelToken`` that it
checks between steps. Faults of the caller are raised as ``openpollen.core.errors`` (BadRequest, UnprocessableEntity),
weights that are not there as ``Missing``. Encoded media are plain ``bytes``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

EngineKind = Literal["chat", "image", "edit", "video", "speech", "music", "transcription"]
PictureFormat = Literal["png", "jpeg"]


class Cancelled(Exception):
    """The caller went away; the engine stopped where it was."""


class Missing(Exception):
    """Weights or an extra are not there. The message is one sentence with the command that brings them."""


class CancelToken:
    """A flag that one thread sets and another looks at. Safe from any thread; once set it stays set."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        self._event.set()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raise ``Cancelled`` when the work is no longer wanted; call it between steps."""
        if self._event.is_set():
            raise Cancelled


@dataclass(frozen=True)
class ImageJob:
    """A picture to make. Sizes in pixels; ``seed`` None lets the engine draw one, which the result tells."""

    prompt: str
    width: int = 1024
    height: int = 1024
    seed: int | None = None
    negative_prompt: str = ""
    transparent: bool = False
    output_format: PictureFormat = "png"
    metadata: bool = True
    quality: str = "medium"


@dataclass(frozen=True)
class EditJob:
    """A picture to change: ``images`` are encoded files, the first is edited where ``mask`` marks. No size keeps it."""

    prompt: str
    images: tuple[bytes, ...]
    mask: bytes | None = None
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    transparent: bool = False
    output_format: PictureFormat = "png"
    metadata: bool = True


@dataclass(frozen=True)
class ImageMade:
    """An encoded picture. ``note``: what was drawn and what could not be, one sentence."""

    data: bytes
    mime: str
    width: int
    height: int
    seed: int
    note: str = ""


@dataclass(frozen=True)
class VideoJob:
    """A clip to make. ``seconds`` long, sizes in pixels; ``images[0]``, when given, is the first frame."""

    prompt: str
    seconds: float = 5
    width: int = 1280
    height: int = 720
    fps: int = 24
    seed: int | None = None
    audio: bool = False
    images: tuple[bytes, ...] = ()
    metadata: bool = True


@dataclass(frozen=True)
class VideoMade:
    """An MP4 file (H.264, with AAC when sound was asked for). ``note``: what could not be drawn, one sentence."""

    data: bytes
    seconds: float
    width: int
    height: int
    fps: int
    seed: int
    note: str = ""


@dataclass(frozen=True)
class SpeechJob:
    """A text to speak. ``speed`` 1.0 is the voice's own; ``format`` mp3, opus, aac, flac, wav or pcm."""

    text: str
    voice: str = "alloy"
    speed: float = 1.0
    format: str = "mp3"


@dataclass(frozen=True)
class MusicJob:
    """A piece of music to compose, ``seconds`` long; ``format`` as in speech."""

    prompt: str
    seconds: float = 30
    format: str = "mp3"
    seed: int | None = None
    instrumental: bool = True


@dataclass(frozen=True)
class AudioMade:
    """An encoded sound file and its length in seconds."""

    data: bytes
    mime: str
    seconds: float


@dataclass(frozen=True)
class TranscribeJob:
    """A sound file to write down. ``language`` None detects it; ``translate`` writes English whatever was spoken."""

    data: bytes
    language: str | None = None
    prompt: str | None = None
    temperature: float = 0.0
    words: bool = True
    translate: bool = False


@dataclass(frozen=True)
class Word:
    """One word with its start and end in seconds."""

    word: str
    start: float
    end: float


@dataclass(frozen=True)
class Segment:
    """One phrase with its start and end in seconds."""

    id: int
    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Transcript:
    """What was said. ``language`` is an ISO 639-1 code, ``duration`` the length of the sound in seconds."""

    text: str
    language: str
    duration: float
    segments: tuple[Segment, ...] = ()
    words: tuple[Word, ...] = ()


class Engine(Protocol):
    """What every engine has. ``memory_mb`` estimates the resident size once loaded.

    One that computes with more than one thread says with how many in an attribute ``threads``, which the host counts.
    """

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def memory_mb(self) -> int: ...

    def missing(self) -> str:
        """Empty when it could load now, else one sentence: what is missing and the command that brings it."""
        ...

    def load(self) -> None:
        """Bring weights and heavy imports into memory. Calling it again changes nothing."""
        ...

    def unload(self) -> None:
        """Give the memory back. Calling it when not loaded changes nothing."""
        ...


@runtime_checkable
class ImageEngine(Engine, Protocol):
    def generate(self, job: ImageJob, token: CancelToken) -> ImageMade: ...


@runtime_checkable
class EditEngine(Engine, Protocol):
    def edit(self, job: EditJob, token: CancelToken) -> ImageMade: ...


@runtime_checkable
class VideoEngine(Engine, Protocol):
    def generate(self, job: VideoJob, token: CancelToken, progress: Callable[[float], None]) -> VideoMade:
        """Make the clip; ``progress`` is told how much is done, 0 to 1."""
        ...


@runtime_checkable
class SpeechEngine(Engine, Protocol):
    def speak(self, job: SpeechJob, token: CancelToken) -> AudioMade: ...


@runtime_checkable
class MusicEngine(Engine, Protocol):
    def compose(self, job: MusicJob, token: CancelToken) -> AudioMade: ...


@runtime_checkable
class TranscribeEngine(Engine, Protocol):
    def transcribe(self, job: TranscribeJob, token: CancelToken) -> Transcript: ...


@runtime_checkable
class ChatEngine(Engine, Protocol):
    def chat(
        self, request: dict[str, Any], token: CancelToken, emit: Callable[[dict[str, Any]], None] | None
    ) -> dict[str, Any]:
        """Answer an OpenAI chat completion body with a chat completion. ``emit`` gets the chunks of a streamed one."""
        ...
