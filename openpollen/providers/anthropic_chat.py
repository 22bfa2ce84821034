"""The body of a message request (https://docs.anthropic.com/en/api/messages).

``reasoning_effort`` becomes adaptive thinking where the model has it, else a budget of thinking tokens; ``thinking`` goes as it
came, ``thinking_budget`` is a budget. Where the rest of a request rules thinking out (a tool that must be called, earlier calls
without their thoughts, no room for an answer) an effort asks for none; ``thinking`` by name is refused or goes as it came.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Set
from typing import Any, cast

import msgspec

from openpollen.core.chat import ChatRequest
from openpollen.core.errors import BadRequest
from openpollen.providers.claude import bound, grammar, thinking
from openpollen.providers.conversation import Blob, Conversation, Part, Text, Tool, Turn, read

#: Tokens of an answer whose caller and model set no limit: the API wants one.
_DEFAULT_TOKENS = 4096
_EPHEMERAL = {"type": "ephemeral"}
_JSON_ONLY = "Answer with one JSON object and nothing else."
_PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp")
#: ``search_context_size`` -> most searches for one answer.
_SEARCHES = {"low": 1, "medium": 5, "high": 10}
_THOUGHTS = frozenset({"thinking", "redacted_thinking"})
_LEAST_TOP_P = 0.95


def body_of(request: ChatRequest, model: str, known: Set[str]) -> dict[str, Any]:
    """The request body without ``model`` and ``stream``. ``known`` are the parameters that this host and model take. Raises
    BadRequest for what cannot be said here."""
    said = read(request)
    most = said.max_tokens or _DEFAULT_TOKENS
    how, effort = _thinking(said, request, model, most)
    native = bool(said.schema) and bound(model, said.schema or {})
    searches = said.search is not None and "web_search_options" in known
    if not (messages := _messages(said, searches=searches)):
        raise BadRequest("messages: there is no message with content for the model to answer.")
    body: dict[str, Any] = {"max_tokens": most, "messages": messages}
    if system := _system(said, asks_json=said.schema is not None and not native):
        plain = len(system) == 1 and system[0].keys() == {"type", "text"}
        body["system"] = system[0]["text"] if plain else system
    body |= _sampling(said, known, thinks=how is not None)
    if said.stop:
        body["stop_sequences"] = list(said.stop)
    if said.user and "user" in known:
        body["metadata"] = {"user_id": said.user}
    body |= _tools(said, model, searches=searches)
    if how:
        body["thinking"] = how
    output: dict[str, Any] = {"effort": effort} if effort else {}
    if native and said.schema:
        output["format"] = {"type": "json_schema", "schema": grammar(said.schema)}
    return {**body, "output_config": output} if output else body


def _thinking(said: Conversation, request: ChatRequest, model: str, most: int) -> tuple[dict[str, Any] | None, str]:
    """``thinking``, and the effort beside it."""
    forced = bool(said.tools) and (said.choice == "required" or said.choice.startswith("="))
    given = msgspec.json.decode(request.fields.get("thinking", b"null"), type=dict[str, Any] | None)
    named = bool(given) or said.budget is not None
    how, effort = thinking(said, model, most)
    if given and said.budget is None:
        how, effort = given, effort if given.get("type") == "adaptive" else ""
    if how is None or how.get("type") == "disabled":
        return how, effort
    if forced and named:
        raise BadRequest(
            "tool_choice: this model cannot think and be made to call a tool; ask for auto, or no thinking."
        )
    if forced or (not named and how["type"] == "enabled" and _lost_thoughts(said)):
        return None, effort
    return how, effort


def _lost_thoughts(said: Conversation) -> bool:
    """Whether the calls whose results came last were made without thoughts, or their thoughts did not come back: with a
    budget the API refuses to go on thinking then."""
    for turn in reversed(said.turns):
        if turn.role == "assistant":
            return bool(turn.calls) and not any(_is_thought(block) for block in turn.blocks)
        if turn.role == "user":
            return False
    return False


def _sampling(said: Conversation, known: Set[str], *, thinks: bool) -> dict[str, Any]:
    given = {"temperature": said.temperature, "top_p": said.top_p, "top_k": said.top_k}
    values = {name: value for name, value in given.items() if value is not None and name in known}
    if thinks:
        if values.get("temperature", 1) != 1:
            raise BadRequest("temperature: while this model thinks it is 1; leave it out, or ask for no thinking.")
        if "top_k" in values:
            raise BadRequest(
                "top_k: this model does not take it while it thinks; leave it out, or ask for no thinking."
            )
        if values.get("top_p", 1) < _LEAST_TOP_P:
            raise BadRequest("top_p: while this model thinks it is 0.95 to 1; leave it out, or ask for no thinking.")
    return values


def _system(said: Conversation, *, asks_json: bool) -> list[dict[str, Any]]:
    """Blank text is refused there, so it is left out."""
    blocks = [_text(part) for part in said.system if part.text.strip()]
    if asks_json:
        follows = f" It follows this JSON schema: {msgspec.json.encode(said.schema).decode()}" if said.schema else ""
        blocks.append({"type": "text", "text": _JSON_ONLY + follows})
    return blocks


def _tools(said: Conversation, model: str, *, searches: bool) -> dict[str, Any]:
    if said.builtin:
        kind = str(said.builtin[0].get("type"))[:40]
        raise BadRequest(f"tools: {kind!r} is not taken by this model; functions are.")
    tools = [_tool(tool, model) for tool in said.tools]
    if searches:
        tools.append(_search(said.search or {}))
    if not tools:
        return {}
    choice: dict[str, Any] = {"type": {"required": "any"}.get(said.choice, said.choice)}
    if said.choice.startswith("="):
        choice = {"type": "tool", "name": said.choice[1:]}
    if not said.parallel and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    return {"tools": tools} if choice == {"type": "auto"} else {"tools": tools, "tool_choice": choice}


def _tool(tool: Tool, model: str) -> dict[str, Any]:
    """A schema that no grammar has is not strict: the model keeps to it as it can."""
    entry: dict[str, Any] = {"name": tool.name, "input_schema": tool.schema}
    if tool.description:
        entry["description"] = tool.description
    if tool.strict and bound(model, tool.schema):
        entry |= {"strict": True, "input_schema": grammar(tool.schema)}
    return _cached(entry, tool.cache)


def _search(options: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAI's options as Anthropic's tool: https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/web-search-tool"""
    most = _SEARCHES.get(str(options.get("search_context_size")), _SEARCHES["medium"])
    tool: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search", "max_uses": most}
    where = options.get("user_location")
    if isinstance(where, dict):
        outer = cast(dict[str, Any], where)
        inner = outer.get("approximate")
        place = cast(dict[str, Any], inner) if isinstance(inner, dict) else outer
        names = ("city", "region", "country", "timezone")
        told = {name: place[name] for name in names if place.get(name)}
        tool |= {"user_location": {"type": "approximate", **told}} if told else {}
    return tool


def _messages(said: Conversation, *, searches: bool) -> list[dict[str, Any]]:
    """The turns as messages whose roles alternate: what follows in one role is one message."""
    out: list[dict[str, Any]] = []
    for turn in said.turns:
        role = "assistant" if turn.role == "assistant" else "user"
        blocks = _blocks(turn, searches=searches, last=turn is said.turns[-1])
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


def _blocks(turn: Turn, *, searches: bool, last: bool) -> list[dict[str, Any]]:
    if turn.role == "tool":
        return [_result(turn)]
    kept = [dict(block) for block in turn.blocks if _is_thought(block)]
    if searches:
        kept = [dict(block) for block in turn.blocks if _is_thought(block) or _is_search(block, turn, last=last)]
    calls = [
        {"type": "tool_use", "id": tool_id(call.id), "name": call.name, "input": call.values} for call in turn.calls
    ]
    return [*kept, *_parts(turn.parts), *calls]


def _result(turn: Turn) -> dict[str, Any]:
    """What a tool gave. A mark for the cache stands on the whole of it."""
    entry: dict[str, Any] = {"type": "tool_result", "tool_use_id": tool_id(turn.call_id)}
    if all(isinstance(part, Text) for part in turn.parts):
        entry |= {"content": turn.text} if turn.text.strip() else {}
    else:
        entry["content"] = [{name: v for name, v in p.items() if name != "cache_control"} for p in _parts(turn.parts)]
    return _cached(entry, any(part.cache for part in turn.parts))


def _is_thought(block: Mapping[str, Any]) -> bool:
    """Whether a block is a thought of Claude's own: others have no signature."""
    return block.get("type") in _THOUGHTS and bool(block.get("signature") or block.get("data"))


def _is_search(block: Mapping[str, Any], turn: Turn, *, last: bool) -> bool:
    """Whether a block is a search or what it found. A search without results is refused, but for one that was interrupted."""
    if block.get("type") == "web_search_tool_result":
        return True
    found = any(other.get("tool_use_id") == block.get("id") for other in turn.blocks)
    return block.get("type") == "server_tool_use" and (found or last)


def _parts(parts: tuple[Part, ...]) -> list[dict[str, Any]]:
    return [_part(part) for part in parts if not isinstance(part, Text) or part.text.strip()]


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, Text):
        return _text(part)
    if part.kind not in ("image", "file"):
        raise BadRequest(f"messages: this model takes no {part.kind}; text, pictures and PDF files are taken.")
    kind = "image" if part.kind == "image" else "document"
    entry: dict[str, Any] = {"type": kind, "source": _source(part, kind)}
    if part.name and kind == "document":
        entry["title"] = part.name
    return _cached(entry, part.cache)


def _source(part: Blob, kind: str) -> Mapping[str, str]:
    if part.url:
        return {"type": "url", "url": part.url}
    if kind == "document" and (part.mime.startswith("text/") or part.mime == "application/json"):
        return {"type": "text", "media_type": "text/plain", "data": part.data.decode("utf-8", "replace")}
    mime = "image/jpeg" if part.mime == "image/jpg" else part.mime
    taken = _PICTURES if kind == "image" else ("application/pdf",)
    if mime not in taken:
        raise BadRequest(f"messages: {mime[:60] or 'a file of no type'} is not taken here; {', '.join(taken)} is.")
    return {"type": "base64", "media_type": mime, "data": base64.b64encode(part.data).decode()}


def _text(part: Text) -> dict[str, Any]:
    return _cached({"type": "text", "text": part.text}, part.cache)


def _cached(entry: dict[str, Any], cached: bool) -> dict[str, Any]:
    return {**entry, "cache_control": _EPHEMERAL} if cached else entry


def tool_id(given: str) -> str:
    """The id of a call in the letters that the API takes; other hosts' ids have dots and colons."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", given) or "call"
