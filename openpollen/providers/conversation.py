"""An OpenAI chat request, read: what every wire that is not OpenAI's translates from. Pure.

Shapes are those of https://platform.openai.com/docs/api-reference/chat/create, with ``cache_control`` on parts, and with what
earlier answers gave for the reasoning of a turn (see ``completion``): it goes back to the provider as it came.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Literal, cast

import msgspec
from msgspec import Raw, Struct

from openpollen.core.chat import ChatRequest
from openpollen.core.errors import BadRequest

Role = Literal["system", "user", "assistant", "tool"]


class Text(Struct, frozen=True):
    text: str
    cache: bool = False


class Blob(Struct, frozen=True):
    """A picture, sound or document: bytes, or an address that the provider fetches itself. ``mime`` may be empty for an
    address."""

    kind: Literal["image", "audio", "file", "video"]
    mime: str
    data: bytes = b""
    url: str = ""
    name: str = ""
    detail: str = ""
    cache: bool = False


Part = Text | Blob


class ToolCall(Struct, frozen=True):
    """A function that the model called. ``arguments`` is JSON text; ``extra`` is what its provider wants back with it, such as a
    signature."""

    id: str
    name: str
    arguments: str
    extra: Mapping[str, Any] = {}

    @property
    def values(self) -> dict[str, Any]:
        """The arguments, read. Raises BadRequest for what is no JSON object."""
        try:
            return msgspec.json.decode(self.arguments or "{}", type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise BadRequest(f"messages: the arguments of the tool call {self.id[:60]!r} are no JSON object.") from None


class Turn(Struct, frozen=True):
    """One message. ``blocks`` are the provider's own blocks of reasoning, as ``content_blocks`` brought them; ``call_id`` and
    ``name`` belong to the result of a tool."""

    role: Role
    parts: tuple[Part, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    blocks: tuple[Mapping[str, Any], ...] = ()
    call_id: str = ""
    name: str = ""

    @property
    def text(self) -> str:
        """All its text."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


class Tool(Struct, frozen=True):
    """A function that the model may call. ``schema`` is the JSON schema of its arguments."""

    name: str
    description: str
    schema: Mapping[str, Any]
    strict: bool = False
    cache: bool = False


class Conversation(Struct, frozen=True):
    """A request. ``system`` are the system and developer messages in their order, which ``turns`` do not have. ``builtin`` are
    tools that the provider runs itself, by their ``type``. ``choice`` is auto, none, required, or the name of a function
    after ``=``. ``schema`` is the JSON schema of the answer, ``{}`` for any object, ``None`` for text. ``thinking`` is the type
    of the caller's ``thinking``: enabled, disabled, adaptive."""

    system: tuple[Text, ...]
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    builtin: tuple[Mapping[str, Any], ...] = ()
    choice: str = "auto"
    parallel: bool = True
    schema: Mapping[str, Any] | None = None
    schema_name: str = ""
    stop: tuple[str, ...] = ()
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    effort: str = ""
    thinking: str = ""
    budget: int | None = None
    max_tokens: int | None = None
    seed: int | None = None
    logprobs: bool = False
    top_logprobs: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    audio: Mapping[str, Any] | None = None
    modalities: tuple[str, ...] = ()
    search: Mapping[str, Any] | None = None
    user: str = ""


class _Fields(Struct):
    messages: list[dict[str, Any]] = []
    tools: list[dict[str, Any]] | None = None
    functions: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    function_call: Any = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    stop: str | list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    reasoning_effort: str | None = None
    thinking: dict[str, Any] | None = None
    thinking_budget: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    audio: dict[str, Any] | None = None
    modalities: list[str] | None = None
    web_search_options: dict[str, Any] | None = None
    user: str | None = None


def read(request: ChatRequest) -> Conversation:
    """The conversation of a request. Raises BadRequest for a message or tool that cannot be understood."""
    wanted = {name: request.fields[name] for name in _Fields.__struct_fields__ if name in request.fields}
    try:
        fields = msgspec.json.decode(_joined(wanted), type=_Fields)
    except msgspec.ValidationError as fault:
        raise BadRequest(f"The request cannot be understood: {fault}.") from None
    turns = [_turn(message) for message in fields.messages]
    tools = [*(fields.tools or ()), *({"type": "function", "function": one} for one in fields.functions or ())]
    schema, name = _schema(fields.response_format)
    budget = fields.thinking_budget
    if fields.thinking is not None and isinstance(fields.thinking.get("budget_tokens"), int):
        budget = fields.thinking["budget_tokens"]
    return Conversation(
        system=tuple(part for turn in turns if turn.role == "system" for part in turn.parts if isinstance(part, Text)),
        turns=tuple(turn for turn in turns if turn.role != "system"),
        tools=tuple(_tool(tool) for tool in tools if tool.get("type", "function") == "function"),
        builtin=tuple(tool for tool in tools if tool.get("type", "function") != "function"),
        choice=_choice(fields.tool_choice if fields.tool_choice is not None else fields.function_call),
        parallel=fields.parallel_tool_calls is not False,
        schema=schema,
        schema_name=name,
        stop=(fields.stop,) if isinstance(fields.stop, str) else tuple(fields.stop or ()),
        temperature=fields.temperature,
        top_p=fields.top_p,
        top_k=fields.top_k,
        effort=fields.reasoning_effort or "",
        thinking=str((fields.thinking or {}).get("type") or ""),
        budget=budget,
        max_tokens=request.max_tokens,
        seed=request.seed,
        logprobs=bool(fields.logprobs),
        top_logprobs=fields.top_logprobs,
        presence_penalty=fields.presence_penalty,
        frequency_penalty=fields.frequency_penalty,
        audio=fields.audio,
        modalities=tuple(fields.modalities or ()),
        search=fields.web_search_options,
        user=fields.user or "",
    )


def data_uri(url: str) -> tuple[str, bytes] | None:
    """Media type and bytes of a data URI (RFC 2397), ``None`` for any other address. Raises BadRequest for a broken one."""
    if not url.startswith("data:"):
        return None
    head, comma, body = url[5:].partition(",")
    if not comma or not head.endswith(";base64"):
        raise BadRequest("messages: a data URI must read data:TYPE;base64,DATA.")
    return head.split(";")[0].lower(), decode_base64(body)


def decode_base64(text: str) -> bytes:
    """Raises BadRequest."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("messages: a part's data is no base64.") from None


def _joined(fields: Mapping[str, Raw]) -> bytes:
    return b"{" + b",".join(b'"%b":%b' % (name.encode(), bytes(value)) for name, value in fields.items()) + b"}"


def _turn(message: Mapping[str, Any]) -> Turn:
    role = message.get("role")
    content = message.get("content")
    if role in ("system", "developer"):
        return Turn("system", _parts(content, cached=_cached(message)))
    if role == "user":
        return Turn("user", _parts(content, cached=_cached(message)), name=str(message.get("name") or ""))
    if role == "assistant":
        calls = [_call(call) for call in _list(message.get("tool_calls"))]
        if old := _object(message.get("function_call")):
            calls.append(ToolCall(str(old.get("name")), str(old.get("name")), str(old.get("arguments") or "{}")))
        kept = tuple(_object(block) for block in _list(message.get("content_blocks")))
        return Turn("assistant", _parts(content, cached=_cached(message)), tuple(calls), kept)
    if role in ("tool", "function"):
        call_id = str(message.get("tool_call_id") or message.get("name") or "")
        parts = _parts(content, cached=_cached(message))
        return Turn("tool", parts, call_id=call_id, name=str(message.get("name") or ""))
    raise BadRequest(f"messages: there is no role {str(role)[:40]!r}; system, user, assistant and tool are known.")


def _parts(content: Any, *, cached: bool) -> tuple[Part, ...]:
    if content is None or content == "":
        return ()
    if isinstance(content, str):
        return (Text(content, cached),)
    return tuple(_part(_object(part)) for part in _list(content))


def _part(part: Mapping[str, Any]) -> Part:
    cached = _cached(part)
    match part.get("type"):
        case "text" | "input_text" | "output_text" | "refusal":
            return Text(str(part.get("text") or part.get("refusal") or ""), cached)
        case "image_url" | "video_url" as kind:
            found = part.get(kind)
            source = _object(found) or {"url": found}
            return _blob("image" if kind == "image_url" else "video", source, str(source.get("url") or ""), cached)
        case "input_audio":
            sound = _object(part.get("input_audio"))
            mime = f"audio/{sound.get('format') or 'wav'}"
            return Blob("audio", mime, decode_base64(str(sound.get("data") or "")), cache=cached)
        case "file":
            file = _object(part.get("file")) or part
            url = str(file.get("file_data") or file.get("file_url") or "")
            if not url:
                raise BadRequest("messages: a file part needs file_data (a data URI) or file_url.")
            return _blob("file", file, url if ":" in url[:20] else f"data:application/pdf;base64,{url}", cached)
        case kind:
            raise BadRequest(
                f"messages: a part of type {str(kind)[:40]!r} is not taken here; text, image_url, input_audio and file are."
            )


def _blob(kind: Literal["image", "file", "video"], source: Mapping[str, Any], url: str, cached: bool) -> Blob:
    name = str(source.get("filename") or source.get("file_name") or "")
    detail = str(source.get("detail") or "")
    if (inline := data_uri(url)) is not None:
        return Blob(kind, inline[0], inline[1], name=name, detail=detail, cache=cached)
    if not url.startswith(("http://", "https://")):
        raise BadRequest("messages: the address of a picture or file begins with https:// or data:.")
    return Blob(kind, str(source.get("mime_type") or ""), url=url, name=name, detail=detail, cache=cached)


def _call(call: Any) -> ToolCall:
    outer = _object(call)
    function = _object(outer.get("function"))
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments or {}).decode()
    extra = _object(outer.get("extra_content"))
    return ToolCall(str(outer.get("id") or ""), str(function.get("name") or ""), text, extra)


def _tool(tool: Mapping[str, Any]) -> Tool:
    function = _object(tool.get("function"))
    if not isinstance(function.get("name"), str):
        raise BadRequest("tools: a function needs a name.")
    return Tool(
        function["name"],
        str(function.get("description") or ""),
        _object(function.get("parameters")) or {"type": "object", "properties": {}},
        bool(function.get("strict")),
        _cached(tool) or _cached(function),
    )


def _choice(choice: Any) -> str:
    if choice is None:
        return "auto"
    if isinstance(choice, str):
        return choice
    named = _object(choice)
    function = _object(named.get("function")) or named
    name = function.get("name")
    if not isinstance(name, str):
        raise BadRequest("tool_choice: expected auto, none, required, or a function's name.")
    return f"={name}"


def _schema(wanted: Mapping[str, Any] | None) -> tuple[Mapping[str, Any] | None, str]:
    if wanted is None or wanted.get("type") in (None, "text"):
        return None, ""
    if wanted["type"] == "json_object":
        return {}, ""
    given = _object(wanted.get("json_schema"))
    return _object(given.get("schema")), str(given.get("name") or "answer")


def _cached(value: Mapping[str, Any]) -> bool:
    return bool(value.get("cache_control"))


def _object(value: Any) -> dict[str, Any]:
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return cast(list[Any], value) if isinstance(value, list) else []
