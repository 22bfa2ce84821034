"""What Converse and ConverseStream answer, read.

A thought goes out as a ``thinking`` or ``redacted_thinking`` block of ``content_blocks``, with its signature, so that it
returns unchanged with the next turn (``bedrock_chat``). Its text stands in ``reasoning_content`` too.
Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from openpollen.core.chat import ChatAnswer, ChatFrame
from openpollen.core.model import Provider
from openpollen.core.usage import Usage
from openpollen.providers.bedrock_chat import ANSWER_TOOL
from openpollen.providers.bedrock_wire import decode as decode_json
from openpollen.providers.completion import Chunks, Message, whole
from openpollen.providers.conversation import ToolCall
from openpollen.providers.eventstream import Event, EventStream
from openpollen.providers.failures import unreadable
from openpollen.providers.openai_wire import MAX_TOKENS

_FINISH = {
    "end_turn": "stop", "stop_sequence": "stop", "tool_use": "tool_calls", "max_tokens": "length",
    "model_context_window_exceeded": "length", "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}  # fmt: skip
_GARBLED = frozenset({"malformed_model_output", "malformed_tool_use"})


class _Tokens(Struct, rename="camel"):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None


class _ReasoningText(Struct):
    text: str = ""
    signature: str | None = None


class _Reasoning(Struct, rename="camel"):
    """Of a whole answer; of a stream, one of its parts."""

    reasoning_text: _ReasoningText | None = None
    redacted_content: str | None = None
    text: str | None = None
    signature: str | None = None


class _ToolUse(Struct, rename="camel"):
    """``input`` is an object in a whole answer and a piece of JSON text in a stream."""

    tool_use_id: str = ""
    name: str = ""
    input: Any = None


class _Block(Struct, rename="camel"):
    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None


class _Said(Struct):
    content: list[_Block] | None = None


class _Output(Struct):
    message: _Said | None = None


class _Answer(Struct, rename="camel"):
    output: _Output | None = None
    stop_reason: str | None = None
    usage: _Tokens | None = None


class _Piece(Struct, rename="camel"):
    """The payload of any event."""

    start: _Block | None = None
    delta: _Block | None = None
    stop_reason: str | None = None
    usage: _Tokens | None = None
    message: str | None = None


_pieces = msgspec.json.Decoder(_Piece)


def decode(status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> ChatAnswer:
    """A whole answer. It does not name its model, so the provider stands there. Raises Failure for an error and for what is
    no answer."""
    answer = decode_json(_Answer, status, headers, body, provider)
    said = answer.output.message if answer.output is not None else None
    if said is None or answer.stop_reason is None:
        raise unreadable("an answer without a message", provider)
    if answer.stop_reason in _GARBLED:
        raise unreadable("an answer that its model garbled", provider)
    finish = _FINISH.get(answer.stop_reason, "stop")
    message = Message(_answer_id(), provider.name, finish=finish, usage=usage_of(answer.usage))
    for block in said.content or ():
        _add(message, block)
    if message.finish == "tool_calls" and not message.calls:
        message.finish = "stop"
    return whole(message)


def _add(message: Message, block: _Block) -> None:
    if block.text:
        message.content += block.text
    if block.tool_use is not None:
        use = block.tool_use
        arguments = msgspec.json.encode(use.input or {}).decode()
        if use.name == ANSWER_TOOL:
            message.content = arguments  # without what the model may have said on its way to it
        else:
            message.calls.append(ToolCall(use.tool_use_id, use.name, arguments))
    if block.reasoning_content is not None:
        text = block.reasoning_content.reasoning_text or _ReasoningText()
        message.reasoning += text.text
        if kept := thought(text.text, text.signature, block.reasoning_content.redacted_content):
            message.blocks.append(kept)


def thought(text: str, signature: str | None, redacted: str | None) -> dict[str, Any] | None:
    """The block that must return with the next turn; a thought without a signature need not."""
    if redacted:
        return {"type": "redacted_thinking", "data": redacted}
    return {"type": "thinking", "thinking": text, "signature": signature} if signature else None


def usage_of(tokens: _Tokens | None) -> Usage | None:
    """Counts of input exclude what came from the cache or went there; those of output include thinking, which is not told
    apart. None without believable counts."""
    if tokens is None:
        return None
    read, made, cached, written = (
        max(0, count or 0)
        for count in (
            tokens.input_tokens,
            tokens.output_tokens,
            tokens.cache_read_input_tokens,
            tokens.cache_write_input_tokens,
        )
    )
    if not read + made + cached + written or max(read, made, cached, written) > MAX_TOKENS:
        return None
    return Usage(input_tokens=read, cached_input_tokens=cached, cache_write_tokens=written, output_tokens=made)


class ConverseFrames:
    """Reads a stream of ConverseStream events. It is whole when its reason to stop came; the counts come after that."""

    def __init__(self, model: str) -> None:
        self._events = EventStream()
        self._chunks = Chunks()
        self._model = model
        self._begun = self._over = False
        self._finish = ""
        self._answering = False
        self._called = False
        self._thought = _Reasoning()

    def feed(self, data: bytes) -> list[ChatFrame]:
        if self._over:
            return []
        frames: list[ChatFrame] = []
        try:
            for event in self._events.feed(data):
                frames += self._frames(event)
        except (ValueError, msgspec.DecodeError):
            frames.append(self._cut("The provider's stream has an event that cannot be read.", "stream_invalid"))
        return frames

    def end(self) -> list[ChatFrame]:
        if self._over:
            return []
        if not self._finish or self._events.pending:
            return [self._cut("The provider's stream broke off before its end.", "stream_cut")]
        self._over = True
        return [self._chunks.done()]

    def _frames(self, event: Event) -> list[ChatFrame]:
        if self._over:
            return []
        piece = _pieces.decode(event.payload or b"{}")
        if event.headers.get(":message-type") != "event":
            self._over = True
            name = event.headers.get(":exception-type") or event.headers.get(":error-code") or "unknown"
            words = piece.message or event.headers.get(":error-message") or "the provider reported an error"
            return [self._chunks.error(words, name)]
        frames: list[ChatFrame] = []
        if not self._begun:
            self._begun = True
            frames.append(self._chunks.begin(_answer_id(), self._model))
        return frames + self._said(event.headers.get(":event-type", ""), piece)

    def _said(self, kind: str, piece: _Piece) -> list[ChatFrame]:
        match kind:
            case "contentBlockStart" if piece.start is not None and piece.start.tool_use is not None:
                return self._call(piece.start.tool_use)
            case "contentBlockDelta" if piece.delta is not None:
                return self._delta(piece.delta)
            case "contentBlockStop":
                return self._stopped()
            case "messageStop":
                return self._finished(piece.stop_reason or "")
            case "metadata":
                return self._counted(piece.usage)
            case _:
                return []

    def _call(self, use: _ToolUse) -> list[ChatFrame]:
        self._answering = use.name == ANSWER_TOOL
        if self._answering:
            return []
        self._called = True
        return [self._chunks.call(use.tool_use_id, use.name)]

    def _delta(self, delta: _Block) -> list[ChatFrame]:
        if delta.text:
            return [self._chunks.text(delta.text)]
        if delta.tool_use is not None and isinstance(delta.tool_use.input, str) and delta.tool_use.input:
            text = delta.tool_use.input
            return [self._chunks.text(text) if self._answering else self._chunks.arguments(text)]
        part = delta.reasoning_content
        if part is None:
            return []
        known = self._thought
        self._thought = _Reasoning(
            text=(known.text or "") + (part.text or ""),
            signature=(known.signature or "") + (part.signature or ""),
            redacted_content=(known.redacted_content or "") + (part.redacted_content or ""),
        )
        return [self._chunks.reasoning(part.text)] if part.text else []

    def _stopped(self) -> list[ChatFrame]:
        kept = thought(self._thought.text or "", self._thought.signature, self._thought.redacted_content)
        self._thought = _Reasoning()
        self._answering = False
        return [self._chunks.block(kept)] if kept else []

    def _finished(self, reason: str) -> list[ChatFrame]:
        if reason in _GARBLED:
            return [self._cut("The provider's model garbled its answer.", "stream_invalid")]
        self._finish = _FINISH.get(reason, "stop")
        if self._finish == "tool_calls" and not self._called:
            self._finish = "stop"
        return [self._chunks.finish(self._finish)]

    def _counted(self, tokens: _Tokens | None) -> list[ChatFrame]:
        usage = usage_of(tokens)
        frames = [self._chunks.usage(usage)] if usage is not None else []
        if not self._finish:
            return frames
        self._over = True
        return [*frames, self._chunks.done()]

    def _cut(self, message: str, code: str) -> ChatFrame:
        self._over = True
        return self._chunks.error(message, code)


def _answer_id() -> str:
    return f"chatcmpl-{secrets.token_hex(12)}"
