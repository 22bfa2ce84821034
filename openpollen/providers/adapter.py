"""What an adapter is: pure translation between the program's values and one wire format.

``encode_*`` make the request to send, ``decode_*`` read its answer. A ``decode_*`` raises ``Failure`` for an answer
that is not a 2xx or that cannot be read. Decoded bytes carry no media type (``UNSNIFFED``): it comes from looking at
them.

An adapter is a module of this package, or an entry point of the group ``openpollen.adapters``, with an object named
``ADAPTER``; adding one edits no list. A provider row of the catalogue chooses it by its ``wire``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, Protocol, cast

from openpollen.core.assets import (
    ImageRequest,
    JobState,
    Media,
    MusicRequest,
    SpeechRequest,
    Transcript,
    TranscriptionRequest,
    VideoRequest,
)
from openpollen.core.chat import ChatAnswer, ChatFrame, ChatRequest
from openpollen.core.errors import ConfigError
from openpollen.core.model import Capability, Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers.failures import Failure

UNSNIFFED = "application/octet-stream"
ENTRY_POINTS = "openpollen.adapters"


class FrameDecoder(Protocol):
    """Reads one streamed answer. After the last bytes ``end`` must be called: it tells a whole answer from a cut one.

    Exactly one frame of a stream is final: ``done`` when the answer is whole, ``error`` when it is not. A frame with an
    ``error`` holds an OpenAI error object as its data, whatever the wire; pass it to ``Adapter.error`` for its meaning.
    """

    def feed(self, data: bytes) -> list[ChatFrame]: ...

    def end(self) -> list[ChatFrame]: ...


class Adapter(Protocol):
    """Translation for one wire. All methods are pure."""

    @property
    def wire(self) -> str: ...

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        """The names of the parameters that reach the provider for this operation; any other is refused or told."""
        ...

    def encode_chat(self, request: ChatRequest, route: Route, provider: Provider) -> Outgoing: ...

    def decode_chat(self, status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> ChatAnswer: ...

    def chat_frames(self) -> FrameDecoder: ...

    def encode_image(self, request: ImageRequest, route: Route, provider: Provider) -> Outgoing:
        """A picture, or an edit when the request brings images."""
        ...

    def decode_image(self, status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> Media: ...

    def encode_speech(self, request: SpeechRequest | MusicRequest, route: Route, provider: Provider) -> Outgoing: ...

    def decode_speech(self, status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> Media: ...

    def encode_transcription(self, request: TranscriptionRequest, route: Route, provider: Provider) -> Outgoing: ...

    def decode_transcription(
        self, status: int, headers: Mapping[str, str], body: bytes, provider: Provider
    ) -> Transcript:
        """What was said. ``duration`` is 0 when the provider does not tell it: it is measured from the sound anyway."""
        ...

    def submit_video(self, request: VideoRequest, route: Route, provider: Provider) -> Outgoing: ...

    def decode_submitted(
        self, status: int, headers: Mapping[str, str], body: bytes, provider: Provider
    ) -> JobState: ...

    def poll_video(self, job: str, route: Route, provider: Provider) -> Outgoing: ...

    def decode_job(self, status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> JobState: ...

    def fetch_video(self, job: str, route: Route, provider: Provider) -> Outgoing: ...

    def decode_video(self, status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> Media: ...

    def cancel_video(self, job: str, route: Route, provider: Provider) -> Outgoing: ...

    def error(self, status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> Failure:
        """What an error answer, or (with status 200) the data of a frame that carries an error, means."""
        ...


@lru_cache(maxsize=1)
def adapters() -> Mapping[str, Adapter]:
    """Every adapter by its wire. Raises ConfigError when two claim the same wire or a plug-in cannot be loaded."""
    found: dict[str, Adapter] = {}
    problems: list[str] = []
    for source, adapter in _discover(problems):
        if adapter.wire in found:
            problems.append(f"{source}: the wire {adapter.wire!r} has an adapter already")
        else:
            found[adapter.wire] = adapter
    if problems:
        raise ConfigError(problems)
    return MappingProxyType(found)


def _discover(problems: list[str]) -> Iterator[tuple[str, Adapter]]:
    package = importlib.import_module("openpollen.providers")
    for info in pkgutil.iter_modules(package.__path__, "openpollen.providers."):
        adapter: Any = getattr(importlib.import_module(info.name), "ADAPTER", None)
        if adapter is not None:
            yield info.name, cast(Adapter, adapter)
    for point in entry_points(group=ENTRY_POINTS):
        try:
            yield f"plug-in {point.name}", cast(Adapter, point.load())
        except Exception as error:  # whatever a plug-in raises must not hide which one it was
            problems.append(f"plug-in {point.name}: cannot be loaded: {error}")
