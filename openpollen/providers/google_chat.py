"""Chat requests as Gemini's generateContent takes them (https://ai.google.dev/api/generate-content).

A tool call's ``extra_content.google`` has the ``thought_signature`` and ``id`` that Gemini 3 wants back with it, unchanged, and
the ``content_blocks`` of a turn the signatures of its words (https://ai.google.dev/gemini-api/docs/thought-signatures). A call
without a signature, made up or rebuilt by its client, goes with the word that the same page has for that.
"""

from __future__ import annotations

import base64
from typing import Any, cast

import msgspec

from openpollen.core.errors import BadRequest
from openpollen.providers.conversation import Blob, Conversation, Part, Text, Tool, ToolCall, Turn
from openpollen.providers.google_wire import SEEDS, is_newer

#: What of a chat reaches the API.
CHAT_PARAMS = frozenset({
    "frequency_penalty", "function_call", "functions", "logprobs", "max_completion_tokens", "max_tokens", "messages",
    "presence_penalty", "reasoning_effort", "response_format", "seed", "stop", "stream", "stream_options",
    "temperature", "thinking", "thinking_budget", "tool_choice", "tools", "top_k", "top_logprobs", "top_p",
    "web_search_options",
})  # fmt: skip

_UNSIGNED = "skip_thought_signature_validator"
#: OpenAI's words for effort -> Gemini 3's thinking level, and the budget in tokens of the models before it
#: (https://ai.google.dev/gemini-api/docs/thinking). Pro models always think.
_LEVELS = {"none": "MINIMAL", "minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH"}
_BUDGETS = {"none": 0, "minimal": 512, "low": 1024, "medium": 8192, "high": 24576}
_LEAST_OF_PRO = 128
_BUILTIN = {
    "google_search": "googleSearch",
    "web_search": "googleSearch",
    "web_search_preview": "googleSearch",
    "code_execution": "codeExecution",
    "url_context": "urlContext",
}


def body_of(said: Conversation, model: str, *, search: bool, ids: bool) -> dict[str, Any]:
    """The request body. ``search`` is for models that always look things up; ``ids`` says whether calls and their results
    may have names, as on the Gemini API. Raises BadRequest."""
    body: dict[str, Any] = {"contents": _contents(said.turns, newer=is_newer(model), ids=ids)}
    if said.system:
        body["systemInstruction"] = {"parts": [{"text": part.text} for part in said.system], "role": "user"}
    if tools := _tools(said, search=search):
        body["tools"] = tools
    if said.tools and said.choice != "auto":
        body["toolConfig"] = {"functionCallingConfig": _choice(said.choice)}
    if config := _config(said, model):
        body["generationConfig"] = config
    return body


def _config(said: Conversation, model: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "temperature": said.temperature,
        "topP": said.top_p,
        "topK": said.top_k,
        "maxOutputTokens": said.max_tokens,
        "stopSequences": list(said.stop) or None,
        "presencePenalty": said.presence_penalty,
        "frequencyPenalty": said.frequency_penalty,
        "seed": None if said.seed is None else said.seed % SEEDS,
        "responseMimeType": None if said.schema is None else "application/json",
        "responseJsonSchema": said.schema or None,
        "responseLogprobs": said.logprobs or None,
        "logprobs": said.top_logprobs if said.logprobs else None,
        "thinkingConfig": _thinking(said, model),
    }
    return {name: value for name, value in values.items() if value is not None}


def _thinking(said: Conversation, model: str) -> dict[str, Any] | None:
    off = said.budget == 0 or said.thinking == "disabled"
    if said.budget and not off:
        return {"thinkingBudget": said.budget, "includeThoughts": True}
    if not said.effort and not off:
        chosen: dict[str, Any] = {} if is_newer(model) else {"thinkingBudget": -1}  # as much as the model finds right
        return {**chosen, "includeThoughts": True} if said.thinking else None
    effort = "none" if off else said.effort if said.effort in _LEVELS else "high"
    amount: dict[str, Any] = (
        {"thinkingLevel": _level(effort, model)} if is_newer(model) else {"thinkingBudget": _budget(effort, model)}
    )
    return amount if effort == "none" else {**amount, "includeThoughts": True}


def _level(effort: str, model: str) -> str:
    """The level, or the next above that the model has."""
    level = _LEVELS[effort]
    if "-pro" in model and level == "MINIMAL":
        return "LOW"
    return "HIGH" if "gemini-3-pro" in model and level == "MEDIUM" else level


def _budget(effort: str, model: str) -> int:
    return _LEAST_OF_PRO if effort == "none" and "-pro" in model else _BUDGETS[effort]


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


def _contents(turns: tuple[Turn, ...], *, newer: bool, ids: bool) -> list[dict[str, Any]]:
    """The turns with their roles: what follows in one role is one content, and so are the results of calls in parallel,
    which must stand by themselves."""
    called: dict[str, ToolCall] = {}
    out: list[dict[str, Any]] = []
    before = ""
    for turn in turns:
        called |= {call.id: call for call in turn.calls}
        if turn.role == "tool":
            parts = _results(turn, called.get(turn.call_id), ids=ids)
        else:
            parts = [*_said(turn), *_calls(turn, newer=newer, ids=ids)]
        if parts and turn.role == before:
            out[-1]["parts"] += parts
        elif parts:
            out.append({"role": "model" if turn.role == "assistant" else "user", "parts": parts})
            before = turn.role
    return out


def _results(turn: Turn, call: ToolCall | None, *, ids: bool) -> list[dict[str, Any]]:
    """What a tool gave. Its name is that of the call that it answers."""
    response: dict[str, Any] = {
        "name": call.name if call else turn.name or turn.call_id,
        "response": _result(turn.text),
    }
    if call is not None and ids and (call_id := _kept(call).get("id")):
        response["id"] = call_id
    return [{"functionResponse": response}, *(part_of(part) for part in turn.parts if isinstance(part, Blob))]


def _calls(turn: Turn, *, newer: bool, ids: bool) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for number, call in enumerate(turn.calls):
        kept = _kept(call)
        made: dict[str, Any] = {"name": call.name, "args": call.values}
        entry: dict[str, Any] = {"functionCall": {**made, "id": kept["id"]} if ids and kept.get("id") else made}
        signature = kept.get("thought_signature")
        if signature or (newer and number == 0):  # of calls in parallel only the first is signed
            entry["thoughtSignature"] = signature or _UNSIGNED
        out.append(entry)
    return out


def _kept(call: ToolCall) -> dict[str, Any]:
    """What the API wants back with a call."""
    found: Any = call.extra.get("google")
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}


def _said(turn: Turn) -> list[dict[str, Any]]:
    """The words and files of a turn. Signed words end where their signature says, so that parts are what they were."""
    signatures = [block for block in turn.blocks if block.get("type") == "thought_signature" and block.get("signature")]
    if not signatures:
        return [part_of(part) for part in turn.parts if not isinstance(part, Text) or part.text]
    text, start = turn.text, 0
    out: list[dict[str, Any]] = []
    for block in signatures:
        end: Any = block.get("end")
        end = end if isinstance(end, int) and start <= end <= len(text) else len(text)
        if start == end and out and "thoughtSignature" not in out[-1]:
            out[-1]["thoughtSignature"] = block["signature"]
        else:
            out.append({"text": text[start:end], "thoughtSignature": block["signature"]})
        start = end
    if start < len(text):
        out.append({"text": text[start:]})
    return out + [part_of(part) for part in turn.parts if isinstance(part, Blob)]


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
