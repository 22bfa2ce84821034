"""Chat requests as Gemini's generateContent takes them (https://ai.google.dev/api/generate-content).

A tool call's ``extra_content.google.thought_signature`` is what Gemini 3 wants back with it, unchanged
(https://ai.google.dev/gemini-api/docs/thought-signatures). A call without one, made up or rebuilt by its client, goes with the
word that the same page has for that.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from openpollen.core.errors import BadRequest
from openpollen.providers.conversation import Blob, Conversation, Part, Text, Tool, Turn

_UNSIGNED = "skip_thought_signature_validator"
_NEWER = "gemini-3"
#: OpenAI's words for effort -> Gemini 3's thinking level, and the budget in tokens of the models before it.
_LEVELS = {"none": "MINIMAL", "minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH"}
_BUDGETS = {"none": 0, "minimal": 512, "low": 1024, "medium": 8192, "high": 24576}
_BUILTIN = {
    "google_search": "googleSearch",
    "web_search": "googleSearch",
    "web_search_preview": "googleSearch",
    "code_execution": "codeExecution",
    "url_context": "urlContext",
}


def body_of(said: Conversation, model: str, *, search: bool) -> dict[str, Any]:
    """The request body. ``search`` is for models that always look things up. Raises BadRequest."""
    newer = model.startswith(_NEWER)
    body: dict[str, Any] = {"contents": _contents(said.turns, newer=newer)}
    if said.system:
        body["systemInstruction"] = {"parts": [{"text": part.text} for part in said.system], "role": "user"}
    if tools := _tools(said, search=search):
        body["tools"] = tools
    if said.tools and said.choice != "auto":
        body["toolConfig"] = {"functionCallingConfig": _choice(said.choice)}
    if config := _config(said, newer=newer):
        body["generationConfig"] = config
    return body


def _config(said: Conversation, *, newer: bool) -> dict[str, Any]:
    values: dict[str, Any] = {
        "temperature": said.temperature,
        "topP": said.top_p,
        "topK": said.top_k,
        "maxOutputTokens": said.max_tokens,
        "stopSequences": list(said.stop) or None,
        "presencePenalty": said.presence_penalty,
        "frequencyPenalty": said.frequency_penalty,
        "seed": said.seed,
        "responseMimeType": None if said.schema is None else "application/json",
        "responseJsonSchema": said.schema or None,
        "responseLogprobs": said.logprobs or None,
        "logprobs": said.top_logprobs if said.logprobs else None,
        "thinkingConfig": _thinking(said, newer=newer),
    }
    return {name: value for name, value in values.items() if value is not None}


def _thinking(said: Conversation, *, newer: bool) -> dict[str, Any] | None:
    if said.budget is not None:
        return {"thinkingBudget": said.budget, "includeThoughts": True} if said.budget else {"thinkingBudget": 0}
    if not said.effort:
        return None
    effort = said.effort if said.effort in _LEVELS else "high"
    amount: dict[str, Any] = {"thinkingLevel": _LEVELS[effort]} if newer else {"thinkingBudget": _BUDGETS[effort]}
    return amount if effort == "none" else {**amount, "includeThoughts": True}


def _tools(said: Conversation, *, search: bool) -> list[dict[str, Any]]:
    own: dict[str, dict[str, Any]] = {"googleSearch": {}} if search or said.search is not None else {}
    for tool in said.builtin:
        kind = str(tool.get("type"))
        if kind not in _BUILTIN:
            raise BadRequest(
                f"tools: {kind[:40]!r} is not taken by this model; {', '.join(_BUILTIN)} and functions are."
            )
        own[_BUILTIN[kind]] = {}
    out: list[dict[str, Any]] = [{name: options} for name, options in own.items()]
    if said.tools:
        out.append({"functionDeclarations": [_tool(tool) for tool in said.tools]})
    return out


def _tool(tool: Tool) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": tool.name, "parametersJsonSchema": tool.schema}
    return {**entry, "description": tool.description} if tool.description else entry


def _choice(choice: str) -> dict[str, Any]:
    if choice.startswith("="):
        return {"mode": "ANY", "allowedFunctionNames": [choice[1:]]}
    return {"mode": {"required": "ANY", "none": "NONE"}.get(choice, "AUTO")}


def _contents(turns: tuple[Turn, ...], *, newer: bool) -> list[dict[str, Any]]:
    """The turns with their roles in alternation: what follows in one role is one content."""
    names = {call.id: call.name for turn in turns for call in turn.calls}
    out: list[dict[str, Any]] = []
    for turn in turns:
        role = "model" if turn.role == "assistant" else "user"
        parts = _parts(turn, names, newer=newer)
        if out and out[-1]["role"] == role:
            out[-1]["parts"] += parts
        elif parts:
            out.append({"role": role, "parts": parts})
    return out


def _parts(turn: Turn, names: Mapping[str, str], *, newer: bool) -> list[dict[str, Any]]:
    if turn.role == "tool":
        pictures = [part_of(part) for part in turn.parts if isinstance(part, Blob)]
        name = turn.name or names.get(turn.call_id, turn.call_id)
        return [{"functionResponse": {"name": name, "response": _result(turn.text)}}, *pictures]
    out = [part_of(part) for part in turn.parts if not isinstance(part, Text) or part.text]
    for block in turn.blocks:
        if block.get("type") == "thought_signature" and out:
            out[-1]["thoughtSignature"] = block.get("signature")
    for number, call in enumerate(turn.calls):
        entry: dict[str, Any] = {"functionCall": {"name": call.name, "args": call.values}}
        signature = cast(dict[str, Any], call.extra.get("google") or {}).get("thought_signature")
        if signature or (newer and number == 0):  # of calls in parallel only the first is signed
            entry["thoughtSignature"] = signature or _UNSIGNED
        out.append(entry)
    return out


def _result(text: str) -> dict[str, Any]:
    """What a tool gave: an object as it is, anything else inside one."""
    try:
        found: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = text
    return found if isinstance(found, dict) else {"result": found}  # pyright: ignore[reportUnknownVariableType]


def part_of(part: Part) -> dict[str, Any]:
    """Text, or a file's bytes; of an address only the address."""
    if isinstance(part, Text):
        return {"text": part.text}
    if part.url:
        return {"fileData": {"fileUri": part.url, "mimeType": part.mime or "image/png"}}
    return inline(part.data, part.mime)


def inline(data: bytes, mime: str) -> dict[str, Any]:
    """A file's bytes as a part."""
    return {"inlineData": {"mimeType": mime, "data": base64.b64encode(data).decode()}}
