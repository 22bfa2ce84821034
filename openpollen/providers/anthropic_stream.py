"""Streamed answers of Anthropic's Messages API (https://docs.anthropic.com/en/api/messages-streaming): server-sent events, or
the same events in Bedrock's binary messages, which are told by their first byte
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct, field, structs

from openpollen.core.chat import ChatFrame
from openpollen.outbound.sse import SseParser
from openpollen.providers.anthropic_answer import (
    Answer,
    Reported,
    Stop,
    add_citations,
    finish_of,
    refusal_of,
    returns,
    usage_of,
)
from openpollen.providers.completion import Chunks
from openpollen.providers.eventstream import EventStream


class _Delta(Struct, gc=False):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    citation: Any = None
    stop_reason: str | None = None
    stop_details: Stop | None = None


class _Fault(Struct):
    type: str = "error"
    message: str | None = None


class _Event(Struct):
    type: str = ""
    message: Answer | None = None
    content_block: dict[str, Any] | None = None
    delta: _Delta = field(default_factory=_Delta)
    usage: Reported | None = None
    error: _Fault | None = None


class _Chunk(Struct):
    """A message of Bedrock: the event, or what went wrong."""

    bytes: str = ""
    message: str | None = None


_events = msgspec.json.Decoder(_Event)
_chunks = msgspec.json.Decoder(_Chunk)


class Frames:
    """Reads a stream of message events. It is whole when ``message_stop`` came, or a stop reason before the end."""

    def __init__(self) -> None:
        self._lines = SseParser()
        self._messages: EventStream | None = None
        self._begun = self._over = False
        self._chunks = Chunks()
        self._block: dict[str, Any] = {}
        self._input = ""
        self._usage = Reported()
        self._citations: list[str] = []
        self._reason: str | None = None
        self._details: Stop | None = None

    def feed(self, data: bytes) -> list[ChatFrame]:
        """The frames that ``data`` completes. Nothing comes after the final one."""
        if not self._begun and data:
            self._begun = True
            self._messages = EventStream() if data[0] == 0 else None
        frames: list[ChatFrame] = []
        try:
            for event in self._events_of(data):
                if self._over:
                    break
                frames += self._read(event)
        except (ValueError, msgspec.DecodeError):
            frames += self._broken("The provider's stream has an event that cannot be read.", "stream_invalid")
        return frames

    def end(self) -> list[ChatFrame]:
        """What is left when the bytes have ended: nothing, or the final frame that is still missing."""
        frames: list[ChatFrame] = []
        try:
            for event in self._lines.end():
                frames += [] if self._over else self._read(event.data)
        except (ValueError, msgspec.DecodeError):
            frames += self._broken("The provider's stream broke off before its end.", "stream_cut")
        if self._over:
            return frames
        if self._reason is not None and not (self._messages is not None and self._messages.pending):
            return [*frames, *self._finished()]
        return [*frames, *self._broken("The provider's stream broke off before its end.", "stream_cut")]

    def _events_of(self, data: bytes) -> Iterator[bytes]:
        """The JSON texts that ``data`` completes. Raises ValueError."""
        if self._over:
            return
        if self._messages is None:
            yield from self._lines.feed_data(data)
            return
        for message in self._messages.feed(data):
            chunk = _chunks.decode(message.payload or b"{}")
            if message.headers.get(":message-type", "event") == "event":
                yield _decoded(chunk.bytes)
            else:
                kind = message.headers.get(":exception-type") or message.headers.get(":error-code") or "error"
                words = chunk.message or message.headers.get(":error-message")
                yield msgspec.json.encode({"type": "error", "error": {"type": kind, "message": words}})

    def _read(self, data: bytes) -> list[ChatFrame]:
        event = _events.decode(data)
        match event.type:
            case "message_start" if event.message is not None:
                self._count(event.message.usage)
                begun = self._chunks.begin(event.message.id or "", event.message.model or "")
                return [structs.replace(begun, usage=usage_of(self._usage))]
            case "content_block_start" if event.content_block is not None:
                return self._begin(event.content_block)
            case "content_block_delta":
                return self._more(event.delta)
            case "content_block_stop":
                return self._end()
            case "message_delta":
                self._reason = event.delta.stop_reason or self._reason
                self._details = event.delta.stop_details or self._details
                self._count(event.usage)
                return []
            case "message_stop":
                return self._finished()
            case "error":
                fault = event.error or _Fault()
                return self._broken(fault.message or "The provider reported an error.", fault.type)
            case _:
                return []  # ping, and events to come

    def _begin(self, block: dict[str, Any]) -> list[ChatFrame]:
        self._block, self._input = block, ""
        if block.get("type") == "tool_use":
            return [self._chunks.call(str(block.get("id") or ""), str(block.get("name") or ""))]
        add_citations(self._citations, block.get("citations"))
        return [self._chunks.text(block["text"])] if block.get("text") else []

    def _more(self, delta: _Delta) -> list[ChatFrame]:
        match delta.type:
            case "text_delta" if delta.text:
                return [self._chunks.text(delta.text)]
            case "thinking_delta" if delta.thinking:
                self._block["thinking"] = str(self._block.get("thinking") or "") + delta.thinking
                return [self._chunks.reasoning(delta.thinking)]
            case "signature_delta":
                self._block["signature"] = str(self._block.get("signature") or "") + (delta.signature or "")
            case "citations_delta":
                add_citations(self._citations, [delta.citation])
            case "input_json_delta" if delta.partial_json:
                self._input += delta.partial_json
                if self._block.get("type") == "tool_use":
                    return [self._chunks.arguments(delta.partial_json)]
            case _:
                pass
        return []

    def _end(self) -> list[ChatFrame]:
        block, self._block = self._block, {}
        if block.get("type") == "tool_use":
            # Arguments that came with the block's beginning; none at all are an empty object, not nothing.
            whole = msgspec.json.encode(block.get("input") or {}).decode()
            return [] if self._input else [self._chunks.arguments(whole)]
        if block.get("type") == "server_tool_use" and self._input:
            block = {**block, "input": msgspec.json.decode(self._input)}
        return [self._chunks.block(block)] if returns(block) else []

    def _finished(self) -> list[ChatFrame]:
        self._over = True
        why = refusal_of(self._reason, self._details)
        frames = [self._chunks.refusal(why)] if why else []
        frames.append(self._chunks.finish(finish_of(self._reason), self._citations))
        if (usage := usage_of(self._usage)) is not None:
            frames.append(self._chunks.usage(usage))
        return [*frames, self._chunks.done()]

    def _count(self, reported: Reported | None) -> None:
        """Counts are running totals: the last one that is told stands."""
        if reported is not None:
            told = {
                name: value for name in reported.__struct_fields__ if (value := getattr(reported, name)) is not None
            }
            self._usage = structs.replace(self._usage, **told)

    def _broken(self, message: str, code: str) -> list[ChatFrame]:
        self._over = True
        return [self._chunks.error(message, code)]


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("an event is no base64") from None
