"""What a provider said, written as OpenAI says it: a whole ``chat.completion`` or ``chat.completion.chunk`` events. Pure.

Reasoning stands in ``reasoning_content``; a block that its provider wants back with the next turn (a signature, a redacted
thought) stands unchanged in ``content_blocks``, and what belongs to a tool call in its ``extra_content``. ``citations`` are
the addresses that an answer rests on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field

from openpollen.core.chat import ChatAnswer, ChatFrame
from openpollen.core.usage import Usage
from openpollen.providers.conversation import ToolCall

_encode = msgspec.json.Encoder().encode


class Message(Struct):
    """A whole answer while it is put together. ``finish`` is OpenAI's word: stop, length, tool_calls, content_filter."""

    id: str
    model: str
    content: str = ""
    reasoning: str = ""
    calls: list[ToolCall] = field(default_factory=list[ToolCall])
    blocks: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    finish: str = "stop"
    usage: Usage | None = None
    citations: list[str] = field(default_factory=list[str])
    refusal: str = ""
    logprobs: Mapping[str, Any] | None = None
    images: list[str] = field(default_factory=list[str])


def whole(message: Message) -> ChatAnswer:
    """The answer of a call that is not streamed."""
    said: dict[str, Any] = {"role": "assistant", "content": message.content or (None if message.calls else "")}
    if message.reasoning:
        said["reasoning_content"] = message.reasoning
    if message.calls:
        said["tool_calls"] = [call_object(call) for call in message.calls]
    if message.blocks:
        said["content_blocks"] = message.blocks
    if message.refusal:
        said["refusal"] = message.refusal
    if message.images:
        said["images"] = [{"type": "image_url", "image_url": {"url": url}} for url in message.images]
    choice: dict[str, Any] = {"index": 0, "message": said, "finish_reason": _finish(message.finish, message.calls)}
    if message.logprobs is not None:
        choice["logprobs"] = message.logprobs
    body: dict[str, Any] = {
        "id": message.id,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": message.model,
        "choices": [choice],
    }
    if message.citations:
        body["citations"] = message.citations
    if message.usage is not None:
        body["usage"] = usage_object(message.usage)
    return ChatAnswer(_encode(body), message.usage, message.model)


class Chunks:
    """The frames of one streamed answer. Every method gives the frame of what just came; ``begin`` comes first."""

    def __init__(self) -> None:
        self._id, self._model, self._created = "", "", int(time.time())
        self._calls = 0

    def begin(self, answer_id: str, model: str) -> ChatFrame:
        """The first frame, with the role. Not counted as something said."""
        self._id, self._model = answer_id, model
        return self._frame({"role": "assistant", "content": ""}, empty=True)

    def text(self, text: str) -> ChatFrame:
        return self._frame({"content": text}, len(text))

    def reasoning(self, text: str) -> ChatFrame:
        return self._frame({"reasoning_content": text}, len(text))

    def refusal(self, text: str) -> ChatFrame:
        """Why the model does not answer."""
        return self._frame({"refusal": text}, len(text))

    def block(self, block: Mapping[str, Any]) -> ChatFrame:
        """A block that its provider wants back, whole."""
        return self._frame({"content_blocks": [block]})

    def call(self, call_id: str, name: str, arguments: str = "", extra: Mapping[str, Any] | None = None) -> ChatFrame:
        """Begins the next tool call."""
        function = {"name": name, "arguments": arguments}
        entry: dict[str, Any] = {"index": self._calls, "id": call_id, "type": "function", "function": function}
        if extra:
            entry["extra_content"] = extra
        self._calls += 1
        return self._frame({"tool_calls": [entry]}, len(name) + len(arguments))

    def arguments(self, text: str) -> ChatFrame:
        """More of the arguments of the call that was begun last."""
        return self._frame({"tool_calls": [{"index": self._calls - 1, "function": {"arguments": text}}]}, len(text))

    def logprobs(self, logprobs: Mapping[str, Any]) -> ChatFrame:
        """The probabilities of tokens whose text came before."""
        return self._frame({"content": ""}, logprobs=logprobs)

    def image(self, url: str) -> ChatFrame:
        """A picture that the model drew, as a data URI."""
        return self._frame({"images": [{"type": "image_url", "image_url": {"url": url}}]})

    def finish(self, reason: str, citations: Sequence[str] = ()) -> ChatFrame:
        """The frame with the finish reason."""
        more = {"citations": list(citations)} if citations else {}
        return self._frame({}, finish=_finish(reason, range(self._calls)), more=more)

    def usage(self, usage: Usage) -> ChatFrame:
        """The frame with the usage, without choices."""
        body: dict[str, Any] = {**self._head(), "choices": [], "usage": usage_object(usage)}
        return ChatFrame(_encode(body), 0, usage, self._model)

    def error(self, message: str, code: str) -> ChatFrame:
        """The frame that ends a stream that broke."""
        return ChatFrame(_encode({"error": {"message": message, "code": code}}), error=message)

    @staticmethod
    def done() -> ChatFrame:
        """The end of a whole stream."""
        return ChatFrame(b"[DONE]", done=True)

    def _head(self) -> dict[str, Any]:
        return {"id": self._id, "object": "chat.completion.chunk", "created": self._created, "model": self._model}

    def _frame(
        self,
        delta: Mapping[str, Any],
        text: int = 0,
        *,
        finish: str | None = None,
        more: Mapping[str, Any] | None = None,
        empty: bool = False,
        logprobs: Mapping[str, Any] | None = None,
    ) -> ChatFrame:
        choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": finish}
        if logprobs is not None:
            choice["logprobs"] = logprobs
        body = {**self._head(), "choices": [choice], **(more or {})}
        return ChatFrame(_encode(body), text, None, self._model, None, empty)


def call_object(call: ToolCall) -> dict[str, Any]:
    """A tool call as OpenAI writes it."""
    entry: dict[str, Any] = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
    return {**entry, "extra_content": call.extra} if call.extra else entry


def usage_object(usage: Usage) -> dict[str, Any]:
    """OpenAI's ``usage``: headline counts include their parts."""
    prompt, completion = usage.read_tokens, usage.made_tokens
    into = {
        "cached_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "audio_tokens": usage.input_audio_tokens,
        "image_tokens": usage.input_image_tokens,
    }
    out = {
        "reasoning_tokens": usage.reasoning_tokens,
        "audio_tokens": usage.output_audio_tokens,
        "image_tokens": usage.output_image_tokens,
    }
    body: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if parts := {name: count for name, count in into.items() if count}:
        body["prompt_tokens_details"] = parts
    if parts := {name: count for name, count in out.items() if count}:
        body["completion_tokens_details"] = parts
    return body


def _finish(reason: str, calls: Sequence[Any]) -> str:
    """Some providers say stop where they called a tool."""
    return "tool_calls" if calls and reason in ("stop", "tool_calls") else reason
