"""Chat on Bedrock: the body of Converse and ConverseStream, and their answers.

An answer in a JSON schema is had by a tool that must be called, whose arguments are the answer: every model that calls tools
can do that, with any schema, whole and streamed. Where that tool cannot be forced, beside the caller's own tools or with
thinking, Claude 4.5 and 4.6 are bound to the schema when their grammars have all that it says; else, and for any object at
all, the system prompt asks for JSON.
Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec

from openpollen.core.chat import ChatRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers.bedrock_wire import Family, call, family, model_path
from openpollen.providers.claude import thinking
from openpollen.providers.conversation import Blob, Conversation, Part, Text, ToolCall, Turn, read

#: The tool that stands for an answer in a schema.
ANSWER_TOOL = "json_answer"
_COMMON = frozenset({
    "messages", "model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p",
    "stop", "tools", "tool_choice", "functions", "function_call", "response_format",
})  # fmt: skip
_OWN: Mapping[Family, frozenset[str]] = {
    "claude": frozenset({"top_k", "reasoning_effort", "thinking", "thinking_budget", "parallel_tool_calls"}),
    "nova": frozenset({"top_k"}),
    "nova-2": frozenset({"top_k", "reasoning_effort"}),
    "": frozenset(),
}
_NOVA_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
#: Words of a schema that Claude's grammars do not have.
_BOUNDS = frozenset({
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems",
    "maxItems", "uniqueItems", "minProperties", "maxProperties", "patternProperties", "not", "if", "oneOf",
})  # fmt: skip
_CACHE = {"cachePoint": {"type": "default"}}
_PICTURES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_FILMS = {
    "video/mp4": "mp4", "video/quicktime": "mov", "video/x-matroska": "mkv", "video/webm": "webm", "video/x-flv": "flv",
    "video/mpeg": "mpeg", "video/x-ms-wmv": "wmv", "video/3gpp": "three_gp",
}  # fmt: skip
_DOCUMENTS = {
    "application/pdf": "pdf", "text/csv": "csv", "application/msword": "doc", "text/html": "html", "text/plain": "txt",
    "text/markdown": "md", "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}  # fmt: skip
_FORMATS = {"image": ("image", _PICTURES), "video": ("video", _FILMS), "file": ("document", _DOCUMENTS)}


def params(model: str) -> frozenset[str]:
    """What reaches a model: Converse's own parameters, and those that its maker takes beside them."""
    return _COMMON | _OWN[family(model)]


def encode(request: ChatRequest, route: Route, provider: Provider) -> Outgoing:
    """Raises BadRequest for what the model cannot be asked, such as a tool that is no function."""
    said = read(request)
    if said.builtin:
        raise BadRequest("tools: this model calls functions only.")
    kind = family(route.model)
    fields = _own_fields(said, request, route.model)
    forced = bool(said.schema) and not said.tools and not _thinks(fields)
    native = bool(said.schema) and not forced and "output_config" not in fields and _bound(route.model, said.schema)
    tools = _tools(said, route.model, forced, explicit="tool_choice" in request.fields)
    body: dict[str, Any] = {"messages": _messages(said, kind, with_tools=tools is not None and not forced)}
    parts = {
        "system": _system(said, kind, asks_json=said.schema is not None and not native and not forced),
        "inferenceConfig": _inference(said),
        "toolConfig": tools,
        "outputConfig": _format(said) if native else None,
        "additionalModelRequestFields": fields,
    }
    body |= {name: value for name, value in parts.items() if value}
    path = model_path(route.model, "converse-stream" if request.stream else "converse")
    return call("POST", path, provider, body)


def _inference(said: Conversation) -> dict[str, Any]:
    values = {
        "maxTokens": said.max_tokens,
        "temperature": said.temperature,
        "topP": said.top_p,
        "stopSequences": list(said.stop) or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _own_fields(said: Conversation, request: ChatRequest, model: str) -> dict[str, Any]:
    """Parameters that Converse hands on to the model as they are."""
    kind = family(model)
    fields: dict[str, Any] = {}
    if kind == "claude":
        fields |= _thinking(said, request, model)
        if said.top_k is not None:
            fields["top_k"] = said.top_k
        if not said.parallel and said.tools and said.choice != "none":
            own_choice = {"type": "auto"} if said.choice == "auto" else {}
            fields["tool_choice"] = {**own_choice, "disable_parallel_tool_use": True}
    elif kind and said.top_k is not None:
        fields["inferenceConfig"] = {"topK": said.top_k}
    if kind == "nova-2" and (effort := _NOVA_EFFORTS.get(said.effort)):
        if effort == "high" and said.max_tokens is not None:
            raise BadRequest(
                "reasoning_effort: this model thinks with high effort only where an answer has no limit of length; ask for "
                "medium."
            )
        fields["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": effort}
    return fields


def _thinking(said: Conversation, request: ChatRequest, model: str) -> dict[str, Any]:
    """Claude's ``thinking``: as the caller wrote it where it has no budget, such as adaptive or disabled."""
    given = msgspec.json.decode(request.fields.get("thinking", b"null"), type=dict[str, Any] | None)
    if given and said.budget is None:
        return {"thinking": given}
    how, effort = thinking(said, model, said.max_tokens)
    fields: dict[str, Any] = {"thinking": how} if how else {}
    return {**fields, "output_config": {"effort": effort}} if effort else fields


def _thinks(fields: Mapping[str, Any]) -> bool:
    return fields.get("thinking", {}).get("type", "disabled") != "disabled" or "reasoningConfig" in fields


def _bound(model: str, schema: Any) -> bool:
    """Whether a model can be bound to a schema: Claude 4.5 and 4.6, to one that their grammars have."""
    return re.search(r"claude-(?:haiku|sonnet|opus)-4-[56](?!\d)", model) is not None and _has_grammar(schema)


def _has_grammar(schema: Any) -> bool:
    """Whether every object of a schema says that it has no other members, and no value has bounds."""
    if isinstance(schema, list):
        return all(_has_grammar(item) for item in cast(list[Any], schema))
    if not isinstance(schema, dict):
        return True
    known = cast(dict[str, Any], schema)
    is_object = known.get("type") == "object" or "properties" in known
    if known.keys() & _BOUNDS or (is_object and known.get("additionalProperties") is not False):
        return False
    return all(_has_grammar(value) for value in known.values())


def _format(said: Conversation) -> dict[str, Any]:
    schema = {"schema": msgspec.json.encode(said.schema).decode(), "name": said.schema_name}
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}


def _system(said: Conversation, kind: Family, *, asks_json: bool) -> list[Any]:
    blocks = _with_marks(((part.text, part.cache) for part in said.system if part.text.strip()), kind)
    if asks_json:
        words = "Answer with one JSON object alone: no words before or after it, no code fence."
        if said.schema:
            words += f" It follows this JSON schema: {msgspec.json.encode(said.schema).decode()}"
        blocks.append({"text": words})
    return blocks


def _with_marks(texts: Iterable[tuple[str, bool]], kind: Family) -> list[Any]:
    blocks: list[Any] = []
    for text, cache in texts:
        blocks.append({"text": text})
        if cache and kind:
            blocks.append(_CACHE)
    return blocks


def _tools(said: Conversation, model: str, forced: bool, *, explicit: bool) -> dict[str, Any] | None:
    """None when the model is not to call any: Converse has no other word for it."""
    if forced:
        spec = {"name": ANSWER_TOOL, "description": "Gives the answer.", "inputSchema": {"json": said.schema}}
        return {"tools": [{"toolSpec": spec}], "toolChoice": {"tool": {"name": ANSWER_TOOL}}}
    if not said.tools or said.choice == "none":
        return None
    claude = family(model) == "claude"
    tools: list[Any] = []
    for tool in said.tools:
        spec: dict[str, Any] = {"name": tool.name, "inputSchema": {"json": tool.schema}}
        if tool.description:
            spec["description"] = tool.description
        if tool.strict and _bound(model, tool.schema):
            spec["strict"] = True
        tools.append({"toolSpec": spec})
        if tool.cache and claude:
            tools.append(_CACHE)
    if said.choice == "required":
        return {"tools": tools, "toolChoice": {"any": {}}}
    if said.choice.startswith("="):
        return {"tools": tools, "toolChoice": {"tool": {"name": said.choice[1:]}}}
    once = not said.parallel and claude  # it is told its choice beside that, see _own_fields
    return {"tools": tools, "toolChoice": {"auto": {}}} if explicit and not once else {"tools": tools}


def _messages(said: Conversation, kind: Family, *, with_tools: bool) -> list[Any]:
    """Turns of one side after another are one message. Raises BadRequest when nothing is said."""
    messages: list[dict[str, Any]] = []
    names = _Names()
    for turn in said.turns:
        role = "assistant" if turn.role == "assistant" else "user"
        content = _content(turn, kind, names, with_tools=with_tools)
        if not content:
            continue
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += content
        else:
            messages.append({"role": role, "content": content})
    if not messages:
        raise BadRequest("messages: there is no message with content for the model to answer.")
    return messages


def _content(turn: Turn, kind: Family, names: _Names, *, with_tools: bool) -> list[Any]:
    if turn.role == "tool":
        return _result(turn, kind, names, with_tools=with_tools)
    blocks = [block for kept in turn.blocks if (block := _kept(kept))] if turn.role == "assistant" else []
    blocks += _parts(turn.parts, kind, names)
    for one in turn.calls:
        blocks.append(_use(one) if with_tools else {"text": f"[Called {one.name} with {one.arguments}]"})
    return blocks


def _use(call: ToolCall) -> dict[str, Any]:
    return {"toolUse": {"toolUseId": _tool_id(call.id), "name": call.name, "input": call.values}}


def _result(turn: Turn, kind: Family, names: _Names, *, with_tools: bool) -> list[Any]:
    """What a tool gave. Where the model has no tools now, Converse refuses such blocks: it is told in words."""
    content = _parts(turn.parts, "", names)
    if not with_tools:
        return [{"text": "[The call's result:]"}, *content]
    marks = [_CACHE] if kind and any(part.cache for part in turn.parts) else []
    return [
        {"toolResult": {"toolUseId": _tool_id(turn.call_id), "content": content or [{"text": "(nothing)"}]}},
        *marks,
    ]


def _parts(parts: Iterable[Part], kind: Family, names: _Names) -> list[Any]:
    """Blank text is refused there, so it is left out."""
    blocks: list[Any] = []
    for part in parts:
        if isinstance(part, Text):
            if part.text.strip():
                blocks.append({"text": part.text})
        else:
            blocks.append(_blob(part, names))
        if part.cache and kind and blocks:
            blocks.append(_CACHE)
    return blocks


def _blob(blob: Blob, names: _Names) -> dict[str, Any]:
    """A picture, document or film, as bytes. Raises BadRequest for a type that Converse does not take."""
    if blob.kind == "audio" or not blob.data:
        raise BadRequest(
            f"messages: this model does not take {blob.kind} parts given so; send pictures and files as data URIs."
        )
    member, formats = _FORMATS[blob.kind]
    found = formats.get(blob.mime)
    if found is None:
        raise BadRequest(f"messages: {blob.mime or 'a file of no type'} is not taken here; {', '.join(formats)} are.")
    block: dict[str, Any] = {"format": found, "source": {"bytes": blob.data}}
    if member == "document":
        block["name"] = names.of(blob.name)
    return {member: block}


class _Names:
    """Names of documents: distinct, of letters, digits, single spaces, hyphens and brackets, as Converse wants them."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, name: str) -> str:
        plain = re.sub(r"\s+", " ", re.sub(r"[^A-Za-z0-9\s\-()\[\]]", " ", name.rpartition(".")[0] or name)).strip()
        plain = plain[:190] or "document"
        number = 1
        unique = plain
        while unique in self._taken:
            number += 1
            unique = f"{plain} {number}"
        self._taken.add(unique)
        return unique


def _kept(block: Mapping[str, Any]) -> dict[str, Any] | None:
    """A thought of an earlier answer, as Bedrock gave it (see ``bedrock_answer.thought``); None for other blocks."""
    match block.get("type"):
        case "thinking" if block.get("signature"):
            text = {"text": str(block.get("thinking") or ""), "signature": block["signature"]}
            return {"reasoningContent": {"reasoningText": text}}
        case "redacted_thinking":
            return {"reasoningContent": {"redactedContent": block.get("data")}}
        case _:
            return None


def _tool_id(given: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", given)[:64] or "call"
