"""Chat completions and GET /text: one request type, two doors."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from msgspec import Raw, Struct

from openpollen.accounts.permissions import Caller
from openpollen.api.calls import Calls, Shape, parse_max_cost
from openpollen.api.exchange import Exchange
from openpollen.api.params import (
    ChatParams,
    Message,
    TextParams,
    decode_object,
    from_validation,
    invalid,
    no_json,
    parse,
    spelled_out,
    too_deep,
    words,
)
from openpollen.catalog.registry import Endpoint, Resolved
from openpollen.core.chat import ChatAnswer, ChatRequest
from openpollen.core.errors import BadGateway, BadRequest
from openpollen.core.model import Capability
from openpollen.core.usage import Usage
from openpollen.generation.call import Call, Result
from openpollen.generation.stream import openai_usage
from openpollen.providers.openai_chat import CHAT_FIELDS
from openpollen.storage.answers import Answer

_fields = msgspec.json.Decoder(dict[str, Raw])
_params = msgspec.json.Decoder(ChatParams)
_encode = msgspec.json.encode
_NULL = b"null"

#: Fields that are ours; they never reach a provider.
_OURS = ("max_cost", "no-cache", "safe", "system", "json", "jsonMode", "key", "stream", "model", "private", "nofeed")
#: Parameters whose absence or default a provider cannot notice; they are not checked against its wire.
_QUIET = frozenset({"stream_options", "n", *_OURS})


class TextApi:
    """The handlers of text."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def completions(self, exchange: Exchange) -> None:
        """POST /v1/chat/completions."""
        caller = await self._calls.authentication.caller(exchange)
        call = self.prepare(exchange, caller, await exchange.body(self._calls.max_body))
        await self._run(exchange, call, _completion)

    def prepare(self, exchange: Exchange, caller: Caller, body: bytes) -> Call:
        """The call that a chat body asks for. Raises BadRequest."""
        fields, params, sent = read_chat(body)
        for index, message in enumerate(params.messages):
            _check_content(index, message)
        if params.n != 1:
            raise invalid("n", "only one choice is made; send the request again for another")
        resolved = self._calls.registry.resolve(params.model, "chat")
        fields = _with_system({name: value for name, value in fields.items() if name not in _OURS}, params.system)
        if params.json or params.jsonMode:
            fields.setdefault("response_format", Raw(b'{"type":"json_object"}'))
        # Names that no host knows are ignored (rule 6). OpenAI's service tier, which none gets, is told.
        heard = sent & CHAT_FIELDS
        if params.service_tier not in (None, "auto", "default"):
            heard |= {"service_tier"}
        return self._call(exchange, caller, resolved, "chat", fields, params, heard, params.stream)

    async def text(self, exchange: Exchange) -> None:
        """GET /text/{prompt}: the bare text, or the same events as chat with ``stream=true``."""
        caller = await self._calls.authentication.caller(exchange)
        params, sent = parse(TextParams, exchange.query)
        resolved = self._calls.registry.resolve(params.model, "text")
        prompt = exchange.args["prompt"]
        if not words(prompt):
            raise invalid("prompt", "is empty; say what the text is to be about")
        fields: dict[str, Raw] = {"messages": Raw(_encode([{"role": "user", "content": prompt}]))}
        for name in sent - {"model", "system", "json", "stream", "voice", "seed", *_OURS}:
            fields[name] = Raw(_encode(getattr(params, name)))
        if params.json:
            fields["response_format"] = Raw(b'{"type":"json_object"}')
        audio = resolved.model.can(Capability.AUDIO_OUT)
        if audio:
            spoken = {"voice": params.voice or "alloy", "format": "pcm16" if params.stream else "mp3"}
            fields |= {"modalities": Raw(b'["text","audio"]'), "audio": Raw(_encode(spoken))}
        fields = _with_system(fields, params.system)
        # That this model speaks was not asked for by a parameter; a voice is, also of a model that has none.
        asked = frozenset(fields) - {"modalities"} - (frozenset() if params.voice else {"audio"})
        if params.voice and not audio:
            asked |= {"voice"}
        call = self._call(exchange, caller, resolved, "text", fields, params, asked, params.stream)
        await self._run(exchange, call, _plain)

    def _call(
        self,
        exchange: Exchange,
        caller: Caller,
        resolved: Resolved,
        endpoint: Endpoint,
        fields: dict[str, Raw],
        params: ChatParams | TextParams,
        sent: frozenset[str],
        stream: bool,
    ) -> Call:
        request = ChatRequest(
            fields, stream=stream, max_tokens=params.max_completion_tokens or params.max_tokens, seed=params.seed
        )
        return self._calls.new(
            exchange,
            caller,
            endpoint=endpoint,
            capability=resolved.capability,
            model=resolved.model,
            request=request,
            sent=sent - _QUIET,
            shape="stream" if stream else "",
            seed=params.seed,
            refresh=params.no_cache,
            max_cost=parse_max_cost(exchange, params.max_cost),
            safe=params.safe,
        )

    async def _run(self, exchange: Exchange, call: Call, shape: Shape) -> None:
        assert isinstance(call.request, ChatRequest)
        if call.request.stream:
            await self._calls.stream(exchange, call)
        else:
            await self._calls.respond(exchange, call, shape)


def read_chat(body: bytes) -> tuple[dict[str, Raw], ChatParams, frozenset[str]]:
    """A chat body: its fields as JSON text without nulls, the checked parameters, and the names that were sent.

    Raises BadRequest. Duplicate keys are dropped, the last one counts.
    """
    try:
        body.decode()
        fields = {name: value for name, value in _fields.decode(body).items() if bytes(value) != _NULL}
    except msgspec.ValidationError:
        raise BadRequest("The body must be a JSON object.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise no_json(body, fault) from None
    except RecursionError:
        raise too_deep() from None
    try:
        return fields, _params.decode(body), frozenset(fields)
    except RecursionError:
        raise too_deep() from None
    except msgspec.ValidationError:
        # Nulls and words for booleans are rare: they take the slower way, which also has the better messages.
        values = {name: value for name, value in decode_object(body).items() if value is not None}
    try:
        params, _ = parse(ChatParams, values)
    except msgspec.ValidationError as fault:
        raise from_validation(fault) from None
    fields |= {name: Raw(_encode(value)) for name, value in spelled_out(params, values).items()}
    return fields, params, frozenset(fields)


def _check_content(index: int, message: Message) -> None:
    """Raises BadRequest for a message that says nothing: only an assistant's, which may call tools instead, can."""
    content = message.content
    if content is None and message.role != "assistant":
        raise invalid(f"messages[{index}].content", f"is required in a message of the role {message.role}")
    if isinstance(content, list):
        for number, part in enumerate(content):
            if part.get("type") == "text" and not isinstance(part.get("text"), str):
                raise invalid(f"messages[{index}].content[{number}].text", "is required in a part of the type text")


def _with_system(fields: dict[str, Raw], system: str | None) -> dict[str, Raw]:
    """The fields with a system message in front, for the ``system`` parameter and personas."""
    if system:
        messages = msgspec.json.decode(fields["messages"], type=list[Raw])
        head = Raw(_encode({"role": "system", "content": system}))
        fields = {**fields, "messages": Raw(_encode([head, *messages]))}
    return fields


async def _completion(_call: Call, result: Result) -> Answer:
    assert isinstance(result.made, ChatAnswer)
    body = result.made.body
    return Answer(200, "application/json", _counted(body, result.usage) if result.usage.estimated else body)


def _counted(body: bytes, usage: Usage) -> bytes:
    """An answer with the counts that are charged, where the provider's own are missing or cannot be."""
    return _encode(_fields.decode(body) | {"usage": Raw(_encode({**openai_usage(usage), "estimated": True}))})


class _Audio(Struct):
    data: str = ""
    transcript: str = ""


class _Message(Struct):
    content: Any = None
    tool_calls: list[Raw] | None = None
    audio: _Audio | None = None


class _Choice(Struct):
    message: _Message


class _Completion(Struct):
    choices: list[_Choice]
    citations: list[str] | None = None


_completions = msgspec.json.Decoder(_Completion)


async def _plain(call: Call, result: Result) -> Answer:
    """The bare answer: text with its sources below, audio bytes, or the message as JSON when it only calls tools."""
    assert isinstance(result.made, ChatAnswer)
    try:
        answer = _completions.decode(result.made.body)
    except msgspec.DecodeError:
        raise BadGateway("The provider answered without a message.", spent=True) from None
    message = answer.choices[0].message
    if message.audio is not None and message.audio.data:
        return Answer(200, "audio/mpeg", base64.b64decode(message.audio.data))
    if message.content is None and message.tool_calls:
        return Answer(200, "application/json", _encode({"role": "assistant", "tool_calls": message.tool_calls}))
    text = message.content if isinstance(message.content, str) else ""
    if answer.citations:
        text += "\n\n---\nSources:\n" + "\n".join(f"{n}. {url}" for n, url in enumerate(answer.citations, 1))
    return Answer(200, "text/plain; charset=utf-8", text.encode())
