"""A chat answer as it grows: the chunks of a streamed one and, from the same pieces, the whole one."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

from openpollen.engines.tools import call_id


class Answer:
    """Collects deltas in OpenAI's shape; each also goes to ``emit`` at once when the answer is streamed."""

    def __init__(self, model: str, emit: Callable[[dict[str, Any]], None] | None) -> None:
        self._head = {"id": "chatcmpl-" + secrets.token_hex(12), "created": int(time.time()), "model": model}
        self._emit = emit
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._logprobs: list[Any] = []
        self._calls: list[dict[str, Any]] = []
        self._begun = False

    def text(self, delta: dict[str, Any], logprobs: dict[str, Any] | None) -> None:
        """Add a piece of content, or of reasoning, with the log probabilities of its tokens."""
        kept = {key: delta[key] for key in ("content", "reasoning_content") if delta.get(key)}
        if not kept and not logprobs:
            return
        self._content.append(kept.get("content", ""))
        self._reasoning.append(kept.get("reasoning_content", ""))
        self._logprobs += (logprobs or {}).get("content") or []
        self._send(kept, logprobs)

    def call(self, name: str, arguments: str) -> None:
        """Add a tool call; ``arguments`` is the JSON text of an object."""
        index = len(self._calls)
        call = {"id": call_id(), "type": "function", "function": {"name": name, "arguments": arguments}}
        self._calls.append(call)
        self._send({"tool_calls": [{**call, "index": index, "function": {"name": name, "arguments": ""}}]})
        self._send({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})

    def finish(self, reason: str, usage: dict[str, Any]) -> dict[str, Any]:
        """End it: the last chunks go out, and the whole completion comes back."""
        self._send({}, finish_reason=reason)
        if self._emit:
            self._emit({**self._head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
        message: dict[str, Any] = {"role": "assistant", "content": None if self._calls else "".join(self._content)}
        if reasoning := "".join(self._reasoning):
            message["reasoning_content"] = reasoning
        if self._calls:
            message["tool_calls"] = self._calls
        choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
        if self._logprobs:
            choice["logprobs"] = {"content": self._logprobs, "refusal": None}
        return {**self._head, "object": "chat.completion", "choices": [choice], "usage": usage}

    def _send(
        self, delta: dict[str, Any], logprobs: dict[str, Any] | None = None, finish_reason: str | None = None
    ) -> None:
        if not self._emit:
            return
        if not self._begun:
            self._begun = True
            self._send({"role": "assistant", "content": None if delta.get("tool_calls") else ""})
        choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        if logprobs:
            choice["logprobs"] = logprobs
        self._emit({**self._head, "object": "chat.completion.chunk", "choices": [choice]})
