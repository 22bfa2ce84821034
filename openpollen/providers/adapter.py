"""What an adapter is: pure translation between the program's values and one wire format.

``encode_*`` make the request to send, ``decode_*`` read its answer. A ``decode_*`` raises ``Failure`` for an answer
that is not a 2xx or that cannot be read. Decoded bytes carry no media type (``UNSNIFFED``): it comes from looking at
them.

Whatever a provider makes may be a job: a ``decode_*`` of pictures, sound and films gives the result, or the ``JobState`` of
what was begun; then ``poll_job`` and ``decode_job`` follow it to its end, and ``fetch_job`` with ``decode_result`` bring what
it made, unless the state has it already.

An adapter is a module of this package, or an entry point of the group ``openpollen.adapters``, with an object named
``ADAPTER``; adding one edits no list. A provider row of the catalogue chooses it by its ``wire``. ``BaseAdapter`` has an
answer for everything that a wire does not do.
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
from openpollen.core.errors import ConfigError, InternalError
from openpollen.core.model import Capability, Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers import failures
from openpollen.providers.failures import Failure

UNSNIFFED = "application/octet-stream"
ENTRY_POINTS = "openpollen.adapters"

Headers = Mapping[str, str]


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

    @property
    def operations(self) -> frozenset[Capability]:
        """What can be asked of this wire: chat, image, edit, video, speech, music, transcription."""
        ...

    @property
    def inline(self) -> bool:
        """Whether pictures and files of a chat must go out as bytes: addresses are then fetched first and stand in the
        request as data URIs."""
        ...

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        """The names of the parameters that reach the provider for this operation; any other is refused or told."""
        ...

    def lengths(self, route: Route) -> tuple[int, ...]:
        """The seconds that a film of this route can have, where only some; empty where any that its model has."""
        ...

    def encode_chat(self, request: ChatRequest, route: Route, provider: Provider) -> Outgoing: ...

    def decode_chat(self, status: int, headers: Headers, body: bytes, provider: Provider) -> ChatAnswer:
        """The answer as an OpenAI ``chat.completion``."""
        ...

    def chat_frames(self, route: Route) -> FrameDecoder:
        """Reads a stream; its frames are OpenAI ``chat.completion.chunk`` objects."""
        ...

    def uploads(self, request: ImageRequest | VideoRequest, route: Route, provider: Provider) -> tuple[Outgoing, ...]:
        """Files that must lie at the provider before the request is made, in the order in which it wants their addresses."""
        ...

    def decode_upload(self, status: int, headers: Headers, body: bytes, provider: Provider) -> str:
        """The address of an uploaded file."""
        ...

    def encode_image(
        self, request: ImageRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        """A picture, or an edit when the request brings images."""
        ...

    def decode_image(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media | JobState: ...

    def encode_speech(self, request: SpeechRequest | MusicRequest, route: Route, provider: Provider) -> Outgoing: ...

    def decode_speech(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media | JobState: ...

    def encode_transcription(self, request: TranscriptionRequest, route: Route, provider: Provider) -> Outgoing: ...

    def decode_transcription(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Transcript:
        """What was said. ``duration`` is 0 when the provider does not tell it: it is measured from the sound anyway."""
        ...

    def encode_video(
        self, request: VideoRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing: ...

    def decode_video(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media | JobState: ...

    def poll_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        """Asks how a job stands; ``job`` is the ``id`` of its state."""
        ...

    def decode_job(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        """The state of a job, its ``id`` empty where the answer does not tell it. A job that failed is a state, not a
        Failure."""
        ...

    def fetch_job(self, job: JobState, route: Route, provider: Provider) -> Outgoing:
        """Asks for the result of a job that is done and whose state has no ``media``."""
        ...

    def decode_result(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media: ...

    def cancel_job(self, job: str, route: Route, provider: Provider) -> Outgoing | None:
        """Stops a job; ``None`` where the provider has no way to."""
        ...

    def error(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Failure:
        """What an error answer, or (with status 200) the data of a frame that carries an error, means."""
        ...


class BaseAdapter:
    """An adapter that does nothing yet: each wire overrides what it does and names it in ``operations``. Nobody is sent to
    the rest."""

    operations: frozenset[Capability] = frozenset()
    inline = False

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        return frozenset()

    def lengths(self, route: Route) -> tuple[int, ...]:
        return ()

    def encode_chat(self, request: ChatRequest, route: Route, provider: Provider) -> Outgoing:
        raise _undone(provider)

    def decode_chat(self, status: int, headers: Headers, body: bytes, provider: Provider) -> ChatAnswer:
        raise _undone(provider)

    def chat_frames(self, route: Route) -> FrameDecoder:
        raise InternalError(f"{route.provider} has no streams.")

    def uploads(self, request: ImageRequest | VideoRequest, route: Route, provider: Provider) -> tuple[Outgoing, ...]:
        return ()

    def decode_upload(self, status: int, headers: Headers, body: bytes, provider: Provider) -> str:
        raise _undone(provider)

    def encode_image(
        self, request: ImageRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        raise _undone(provider)

    def decode_image(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media | JobState:
        raise _undone(provider)

    def encode_speech(self, request: SpeechRequest | MusicRequest, route: Route, provider: Provider) -> Outgoing:
        raise _undone(provider)

    def decode_speech(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media | JobState:
        raise _undone(provider)

    def encode_transcription(self, request: TranscriptionRequest, route: Route, provider: Provider) -> Outgoing:
        raise _undone(provider)

    def decode_transcription(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Transcript:
        raise _undone(provider)

    def encode_video(
        self, request: VideoRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        raise _undone(provider)

    def decode_video(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media | JobState:
        raise _undone(provider)

    def poll_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        raise _undone(provider)

    def decode_job(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        raise _undone(provider)

    def fetch_job(self, job: JobState, route: Route, provider: Provider) -> Outgoing:
        raise _undone(provider)

    def decode_result(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
        raise _undone(provider)

    def cancel_job(self, job: str, route: Route, provider: Provider) -> Outgoing | None:
        return None

    def error(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Failure:
        return failures.from_answer(status, headers, body, provider)


def _undone(provider: Provider) -> InternalError:
    return InternalError(f"{provider.name} does not do this.")


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
