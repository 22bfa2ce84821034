"""Answers of Anthropic's Messages API, whole and streamed (https://docs.anthropic.com/en/api/messages-streaming)."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, field, structs

from openpollen.core.chat import ChatAnswer, ChatFrame
from openpollen.core.model import Provider
from openpollen.core.usage import Usage
from openpollen.outbound.sse import SseParser
from openpollen.providers.adapter import Headers
from openpollen.providers.completion import Chunks, Message, whole
from openpollen.providers.conversation import ToolCall
from openpollen.providers.failures import from_answer, unreadable

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class _Reported(Struct):
    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None


class _Block(Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: dict[str, Any] = {}

    @property
    def kept(self) -> dict[str, Any] | None:
        """The block as it must come back with the next turn, if it must."""
        if self.type == "thinking" and self.signature:
            return {"type": "thinking", "thinking": self.thinking, "signature": self.signature}
        return {"type": "redacted_thinking", "data": self.data} if self.type == "redacted_thinking" else None


class _Answer(Struct):
    id: str
    content: list[_Block]
    model: str = ""
    stop_reason: str | None = None
    usage: _Reported | None = None


class _Delta(Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Fault(Struct):
    type: str = "error"
    message: str = ""


class _Event(Struct):
    type: str = ""
    message: _Answer | None = None
    content_block: _Block | None = None
    delta: _Delta = field(default_factory=_Delta)
    usage: _Reported | None = None
    error: _Fault | None = None


_answers = msgspec.json.Decoder(_Answer)
_events = msgspec.json.Decoder(_Event)


def decode(status: int, headers: Headers, body: bytes, provider: Provider) -> ChatAnswer:
    """A whole answer. Raises Failure."""
    if not 200 <= status < 300:
        raise from_answer(status, headers, body, provider)
    try:
        answer = _answers.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise unreadable("an answer that cannot be read", provider) from None
    said = answer.content
    message = Message(
        id=answer.id,
        model=answer.model,
        content="".join(block.text for block in said if block.type == "text"),
        reasoning="".join(block.thinking for block in said),
        calls=[ToolCall(b.id, b.name, msgspec.json.encode(b.input).decode()) for b in said if b.type == "tool_use"],
        blocks=[kept for block in said if (kept := block.kept) is not None],
        finish=_FINISH.get(answer.stop_reason or "", "stop"),
        usage=None if answer.usage is None else _usage(answer.usage),
    )
    return whole(message)


class Frames:
    """Reads a stream of message events."""

    def __init__(self) -> None:
        self._events = SseParser()
        self._chunks = Chunks()
        self._block = _Block()
        self._usage = _Reported()
        self._finish = "stop"
        self._over = False

    def feed(self, data: bytes) -> list[ChatFrame]:
        return [frame for event in self._events.feed_data(data) if not self._over for frame in self._read(event)]

    def end(self) -> list[ChatFrame]:
        if self._over:
            return []
        return self._broken("The provider's stream ended before its answer did.", "stream_cut")

    def _read(self, data: bytes) -> list[ChatFrame]:
        try:
            event = _events.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._broken("The provider's stream has an event that cannot be read.", "stream_invalid")
        match event.type:
            case "message_start" if event.message is not None:
                self._count(event.message.usage)
                begun = self._chunks.begin(event.message.id, event.message.model)
                return [structs.replace(begun, usage=_usage(self._usage))]
            case "content_block_start" if event.content_block is not None:
                return self._begin(event.content_block)
            case "content_block_delta":
                return self._more(event.delta)
            case "content_block_stop":
                return self._end()
            case "message_delta":
                self._finish = _FINISH.get(event.delta.stop_reason or "", self._finish)
                self._count(event.usage)
                return []
            case "message_stop":
                self._over = True
                last = [self._chunks.finish(self._finish)]
                if (usage := _usage(self._usage)) is not None:
                    last.append(self._chunks.usage(usage))
                return [*last, self._chunks.done()]
            case "error":
                fault = event.error or _Fault()
                return self._broken(fault.message or "The provider reported an error.", fault.type)
            case _:
                return []  # ping, and events to come

    def _begin(self, block: _Block) -> list[ChatFrame]:
        self._block = block
        if block.type == "tool_use":
            return [self._chunks.call(block.id, block.name)]
        return [self._chunks.text(block.text)] if block.text else []

    def _more(self, delta: _Delta) -> list[ChatFrame]:
        match delta.type:
            case "text_delta":
                return [self._chunks.text(delta.text)]
            case "thinking_delta":
                self._block.thinking += delta.thinking
                return [self._chunks.reasoning(delta.thinking)]
            case "signature_delta":
                self._block.signature += delta.signature
            case "input_json_delta" if delta.partial_json:
                self._block.data += delta.partial_json
                return [self._chunks.arguments(delta.partial_json)]
            case _:
                pass
        return []

    def _end(self) -> list[ChatFrame]:
        block, self._block = self._block, _Block()
        if block.type == "tool_use" and not block.data:
            return [self._chunks.arguments("{}")]  # no arguments are an empty object, not nothing
        return [] if (kept := block.kept) is None else [self._chunks.block(kept)]

    def _count(self, reported: _Reported | None) -> None:
        """Counts are running totals: the last one that is told stands."""
        if reported is not None:
            told = {name: value for name, value in structs.asdict(reported).items() if value is not None}
            self._usage = structs.replace(self._usage, **told)

    def _broken(self, message: str, code: str) -> list[ChatFrame]:
        self._over = True
        return [self._chunks.error(message, code)]


def _usage(reported: _Reported) -> Usage | None:
    """``input_tokens`` has neither what was read from a cache nor what was written to it. Thinking is part of the output."""
    if reported.input_tokens is None and reported.output_tokens is None:
        return None
    return Usage(
        input_tokens=max(0, reported.input_tokens or 0),
        cached_input_tokens=max(0, reported.cache_read_input_tokens or 0),
        cache_write_tokens=max(0, reported.cache_creation_input_tokens or 0),
        output_tokens=max(0, reported.output_tokens or 0),
    )
