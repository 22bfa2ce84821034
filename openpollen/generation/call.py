"""The records that travel through the pipeline: a call on its way in, and what was made of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
from msgspec import Struct

from openpollen.accounts.permissions import Caller
from openpollen.core.assets import (
    Asset,
    ImageRequest,
    Media,
    MusicRequest,
    SpeechRequest,
    Transcript,
    TranscriptionRequest,
    VideoRequest,
)
from openpollen.core.chat import ChatAnswer, ChatRequest
from openpollen.core.model import Capability, Model, Provider, Route
from openpollen.core.usage import Usage

Request = ChatRequest | ImageRequest | VideoRequest | SpeechRequest | MusicRequest | TranscriptionRequest
Made = ChatAnswer | Media | Transcript


@dataclass(slots=True)
class Call:
    """One paid call. ``id`` is the request id and the id of its hold; ``started`` is monotonic, ``created`` seconds since
    the epoch. ``sent`` names the parameters that were sent with another value than the default: only those are ever
    refused or reported as ignored (rule 13). ``shape`` is what of the answer's form the caller chose."""

    id: str
    caller: Caller
    endpoint: str
    capability: Capability
    model: Model
    request: Request
    started: float
    created: float
    sent: frozenset[str] = frozenset()
    shape: str = ""
    seed: int | None = None
    refresh: bool = False
    max_cost: int | None = None
    address: str = ""
    enhance: bool = False
    safe: bool = False
    revised_prompt: str | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def cacheable(self) -> bool:
        """A fixed seed makes an answer repeatable (rule 10); a drawn or absent one does not."""
        return self.seed is not None and self.seed >= 0

    def finishes(self, free: bool) -> bool:
        """Whether the work goes on when the client leaves: a paid picture, film or sound is not lost."""
        return not free and not isinstance(self.request, ChatRequest)

    def identity(self) -> bytes:
        """The canonical request: equal bytes mean the same request of the same model in the same form. A seed that was
        drawn counts as the -1 that was sent."""
        return msgspec.json.encode(
            {
                "endpoint": self.endpoint,
                "model": self.model.name,
                "shape": self.shape,
                "enhance": self.enhance,
                "safe": self.safe,
                "max_cost": self.max_cost if isinstance(self.request, ChatRequest) else None,
                "request": {**_canonical(self.request), "seed": self.seed},
            },
            order="sorted",
        )


@dataclass(slots=True)
class Heard:
    """What a provider has answered to one attempt. ``parts`` are the pieces of a 2xx answer's body so far, ``None`` while
    there is none: what was answered may be billed, even when nothing can be made of it (rule 28). ``usage`` is what a
    stream reported so far."""

    parts: list[bytes] | None = None
    usage: Usage | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.parts or ())


@dataclass(slots=True)
class Result:
    """What was made, measured, by which route, under which model name (``served_by``)."""

    made: Made
    usage: Usage
    route: Route
    provider: Provider
    served_by: str
    cost: int = 0
    revised_prompt: str | None = None


def _canonical(value: Any) -> Any:
    """A request as plain data: assets by their hash, JSON text parsed, so that spelling does not count."""
    if isinstance(value, Asset):
        return hashlib.sha256(value.data).hexdigest()
    if isinstance(value, msgspec.Raw):
        return msgspec.json.decode(value)
    if isinstance(value, Struct):
        return {name: _canonical(getattr(value, name)) for name in value.__struct_fields__ if name != "given"}
    if isinstance(value, Mapping):
        items = cast(Mapping[str, Any], value)
        return {name: _canonical(item) for name, item in items.items()}
    if isinstance(value, tuple | list | frozenset):
        return [_canonical(item) for item in cast(Iterable[Any], value)]
    return value
