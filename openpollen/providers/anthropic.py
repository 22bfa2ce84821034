"""Anthropic's Messages API (https://docs.anthropic.com/en/api/messages), and the same body on Vertex AI
(https://docs.anthropic.com/en/api/claude-on-vertex-ai), which is told by the address.

``reasoning_effort`` becomes adaptive thinking where the model has it, else a budget of thinking tokens; ``thinking`` with
``budget_tokens`` and ``thinking_budget`` are a budget. Thinking that would leave no room for an answer is not asked for.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import msgspec

from openpollen.core.chat import ChatAnswer, ChatRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers import anthropic_answer
from openpollen.providers.adapter import Adapter, BaseAdapter, Headers
from openpollen.providers.anthropic_answer import Frames
from openpollen.providers.claude import thinking
from openpollen.providers.conversation import Blob, Conversation, Part, Text, Tool, Turn, read
from openpollen.providers.credential import credential

#: Tokens of an answer whose caller and model set no limit: the API wants one.
_DEFAULT_TOKENS = 4096
_VERTEX = "vertex-2023-10-16"
_EPHEMERAL = {"type": "ephemeral"}
_JSON_ONLY = "Answer with one JSON object and nothing else."

_CHAT = frozenset({
    "function_call", "functions", "max_completion_tokens", "max_tokens", "messages", "parallel_tool_calls",
    "reasoning_effort", "response_format", "stop", "stream", "stream_options", "temperature", "thinking",
    "thinking_budget", "tool_choice", "tools", "top_k", "top_p", "user",
})  # fmt: skip


class Anthropic(BaseAdapter):
    """The adapter of this wire; see ``Adapter`` for what each method promises."""

    wire = "anthropic"
    operations = frozenset({Capability.CHAT})

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        return _CHAT if operation is Capability.CHAT else frozenset()

    def encode_chat(self, request: ChatRequest, route: Route, provider: Provider) -> Outgoing:
        body = _body(read(request), route.model)
        if request.stream:
            body["stream"] = True
        url = f"{provider.base_url}/messages"
        if "/publishers/" in provider.base_url:
            del body["model"]
            body["anthropic_version"] = _VERTEX
            url = f"{provider.base_url}/{route.model}:{'streamRawPredict' if request.stream else 'rawPredict'}"
        headers = (("accept", "application/json"), ("content-type", "application/json"), *credential(provider))
        return Outgoing("POST", url, headers, msgspec.json.encode(body))

    def decode_chat(self, status: int, headers: Headers, body: bytes, provider: Provider) -> ChatAnswer:
        return anthropic_answer.decode(status, headers, body, provider)

    def chat_frames(self, route: Route) -> Frames:
        return Frames()


def _body(said: Conversation, model: str) -> dict[str, Any]:
    most = said.max_tokens or _DEFAULT_TOKENS
    body: dict[str, Any] = {"model": model, "max_tokens": most, "messages": _messages(said.turns)}
    system = [*said.system, *([Text(_JSON_ONLY)] if said.schema == {} else [])]
    if system:
        plain = len(system) == 1 and not system[0].cache
        body["system"] = system[0].text if plain else [_text(part) for part in system]
    optional = {"temperature": said.temperature, "top_p": said.top_p, "top_k": said.top_k}
    body |= {name: value for name, value in optional.items() if value is not None}
    if said.stop:
        body["stop_sequences"] = list(said.stop)
    if said.user:
        body["metadata"] = {"user_id": said.user}
    body |= _tools(said)
    output: dict[str, Any] = {}
    if said.schema:
        output["format"] = {"type": "json_schema", "schema": said.schema}
    how, effort = thinking(said, model, most)
    if how:
        body["thinking"] = how
    if effort:
        output["effort"] = effort
    return {**body, "output_config": output} if output else body


def _tools(said: Conversation) -> dict[str, Any]:
    if said.builtin:
        raise BadRequest(f"tools: {str(said.builtin[0].get('type'))[:40]!r} is not taken by this model; functions are.")
    if not said.tools:
        return {}
    out: dict[str, Any] = {"tools": [_tool(tool) for tool in said.tools]}
    choice: dict[str, Any] = {"type": {"required": "any"}.get(said.choice, said.choice)}
    if said.choice.startswith("="):
        choice = {"type": "tool", "name": said.choice[1:]}
    if not said.parallel and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    return out if choice == {"type": "auto"} else {**out, "tool_choice": choice}


def _tool(tool: Tool) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": tool.name, "input_schema": tool.schema}
    if tool.description:
        entry["description"] = tool.description
    if tool.strict:
        entry["strict"] = True
    return _cached(entry, tool.cache)


def _messages(turns: tuple[Turn, ...]) -> list[dict[str, Any]]:
    """The turns as messages whose roles alternate: what follows in one role is one message."""
    out: list[dict[str, Any]] = []
    for turn in turns:
        role = "assistant" if turn.role == "assistant" else "user"
        blocks = _blocks(turn)
        if not blocks:
            continue
        if out and out[-1]["role"] == role:
            out[-1]["content"] += blocks
        else:
            out.append({"role": role, "content": blocks})
    for message in out:
        only = message["content"][0]
        if len(message["content"]) == 1 and only.keys() == {"type", "text"}:
            message["content"] = only["text"]
    return out


def _blocks(turn: Turn) -> list[dict[str, Any]]:
    if turn.role == "tool":
        said = [_part(part) for part in turn.parts]
        plain = all(isinstance(part, Text) and not part.cache for part in turn.parts)
        return [{"type": "tool_result", "tool_use_id": turn.call_id, "content": turn.text if plain else said}]
    kept = [dict(block) for block in turn.blocks if block.get("type") in ("thinking", "redacted_thinking")]
    parts = [_part(part) for part in turn.parts if not isinstance(part, Text) or part.text.strip()]
    calls = [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.values} for call in turn.calls]
    return [*kept, *parts, *calls]


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, Text):
        return _text(part)
    if part.kind not in ("image", "file"):
        raise BadRequest(f"messages: this model takes no {part.kind}; text, pictures and PDF files are taken.")
    kind = "image" if part.kind == "image" else "document"
    entry: dict[str, Any] = {"type": kind, "source": _source(part)}
    if part.name and kind == "document":
        entry["title"] = part.name
    return _cached(entry, part.cache)


def _source(part: Blob) -> Mapping[str, str]:
    if part.url:
        return {"type": "url", "url": part.url}
    if part.mime.startswith("text/"):
        return {"type": "text", "media_type": "text/plain", "data": part.data.decode("utf-8", "replace")}
    return {"type": "base64", "media_type": part.mime, "data": base64.b64encode(part.data).decode()}


def _text(part: Text) -> dict[str, Any]:
    return _cached({"type": "text", "text": part.text}, part.cache)


def _cached(entry: dict[str, Any], cached: bool) -> dict[str, Any]:
    return {**entry, "cache_control": _EPHEMERAL} if cached else entry


ADAPTER: Adapter = Anthropic()
