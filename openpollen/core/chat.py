"""Chat as the pipeline carries it: the caller's OpenAI-shaped body with only the touched fields parsed."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Raw, Struct

from openpollen.core.usage import Usage


class ChatRequest(Struct, frozen=True):
    """One chat call. ``fields`` is the caller's body, each value still JSON text; what the program changed stands in the
    attributes and wins over ``fields`` (``model``, ``stream``, ``max_tokens``, ``seed``). ``max_tokens`` is the limit to send
    upstream, ``None`` for the provider's own."""

    fields: Mapping[str, Raw]
    stream: bool = False
    max_tokens: int | None = None
    seed: int | None = None


class ChatAnswer(Struct, frozen=True):
    """A whole answer: the provider's JSON body as it came, and what it says that the program needs."""

    body: bytes
    usage: Usage | None = None
    model: str | None = None


class ChatFrame(Struct, frozen=True):
    """One server-sent event of a streamed answer. ``data`` is the JSON text of the event, relayed as it came.

    ``text`` counts characters of content, reasoning and arguments in this frame, for when no usage ever arrives.
    ``usage`` is set on the frame that reports it, ``error`` on a frame that carries the provider's error, ``done`` on the end.
    """

    data: bytes
    text: int = 0
    usage: Usage | None = None
    model: str | None = None
    error: str | None = None
    empty: bool = False
    done: bool = False
