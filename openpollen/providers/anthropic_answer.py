"""Whole answers of Anthropic's Messages API (https://docs.anthropic.com/en/api/messages), and what streams share with them.

Thoughts, and searches with what they found, go out in ``content_blocks`` as they came and return with the next turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
from msgspec import Struct

from openpollen.core.chat import ChatAnswer
from openpollen.core.model import Provider
from openpollen.core.usage import Usage
from openpollen.providers.completion import Message, whole
from openpollen.providers.conversation import ToolCall
from openpollen.providers.failures import from_answer, unreadable
from openpollen.providers.openai_wire import MAX_TOKENS

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_SEARCHES = frozenset({"server_tool_use", "web_search_tool_result"})


class Made(Struct, frozen=True):
    """Parts of the output tokens."""

    thinking_tokens: int | None = None


class Served(Struct, frozen=True):
    """What the provider's own tools did."""

    web_search_requests: int | None = None


class Reported(Struct, frozen=True):
    """The ``usage`` of an answer; every count may be missing or null."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: Made | None = None
    server_tool_use: Served | None = None


class Stop(Struct, frozen=True):
    """Why a refusal."""

    explanation: str | None = None


class Answer(Struct, frozen=True):
    """A message. Blocks stay as they came."""

    id: str | None = None
    model: str | None = None
    content: list[dict[str, Any]] | None = None
    stop_reason: str | None = None
    stop_details: Stop | None = None
    usage: Reported | None = None
    error: Any = None


_answers = msgspec.json.Decoder(Answer)


def decode(status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> ChatAnswer:
    """A whole answer. Raises Failure for an error and for what is no message."""
    if not 200 <= status < 300:
        raise from_answer(status, headers, body, provider)
    try:
        answer = _answers.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise unreadable("an answer that cannot be read", provider) from None
    if answer.content is None and answer.error is not None:
        raise from_answer(200, headers, body, provider)
    if answer.content is None:
        raise unreadable("an answer without content", provider)
    message = Message(answer.id or "", answer.model or provider.name)
    for block in answer.content:
        _add(message, block)
    message.finish = finish_of(answer.stop_reason)
    message.refusal = refusal_of(answer.stop_reason, answer.stop_details)
    message.usage = usage_of(answer.usage)
    return whole(message)


def _add(message: Message, block: Mapping[str, Any]) -> None:
    match block.get("type"):
        case "text":
            message.content += str(block.get("text") or "")
            add_citations(message.citations, block.get("citations"))
        case "thinking":
            message.reasoning += str(block.get("thinking") or "")
        case "tool_use":
            arguments = msgspec.json.encode(block.get("input") or {}).decode()
            message.calls.append(ToolCall(str(block.get("id") or ""), str(block.get("name") or ""), arguments))
        case _:
            pass
    if returns(block):
        message.blocks.append(block)


def returns(block: Mapping[str, Any]) -> bool:
    """Whether the API wants a block back with the next turn. A thought without a signature need not come back."""
    kind = block.get("type")
    return kind == "redacted_thinking" or kind in _SEARCHES or (kind == "thinking" and bool(block.get("signature")))


def add_citations(known: list[str], citations: Any) -> None:
    """Adds the addresses that a text rests on, each once."""
    for citation in cast(Sequence[Any], citations) if isinstance(citations, list) else ():
        url = cast(dict[str, Any], citation).get("url") if isinstance(citation, dict) else None
        if isinstance(url, str) and url not in known:
            known.append(url)


def finish_of(reason: str | None) -> str:
    """OpenAI's word for a stop reason."""
    return _FINISH.get(reason or "", "stop")


def refusal_of(reason: str | None, details: Stop | None) -> str:
    return (details.explanation or "") if reason == "refusal" and details is not None else ""


def usage_of(reported: Reported | None) -> Usage | None:
    """``input_tokens`` has neither what was read from a cache nor what was written to it; thinking is part of the output.
    None without believable counts."""
    if reported is None:
        return None
    read, cached, written, made = (
        max(0, count or 0)
        for count in (
            reported.input_tokens,
            reported.cache_read_input_tokens,
            reported.cache_creation_input_tokens,
            reported.output_tokens,
        )
    )
    if not read + cached + written + made or max(read, cached, written, made) > MAX_TOKENS:
        return None
    thought = reported.output_tokens_details.thinking_tokens if reported.output_tokens_details is not None else 0
    thought = min(made, max(0, thought or 0))
    served = reported.server_tool_use.web_search_requests if reported.server_tool_use is not None else 0
    return Usage(
        input_tokens=read,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        output_tokens=made - thought,
        reasoning_tokens=thought,
        searches=max(0, served or 0),
    )
