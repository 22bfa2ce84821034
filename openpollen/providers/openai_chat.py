"""Chat completions on the OpenAI wire, whole and streamed. Answers are relayed as they come; little of them is read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Raw, Struct

from openpollen.core.chat import ChatAnswer, ChatFrame, ChatRequest
from openpollen.core.model import Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.outbound.sse import SseParser
from openpollen.providers.failures import from_answer, read_words, unreadable
from openpollen.providers.openai_wire import TokenUsage, endpoint, extras, headers, taken, usage_of

#: Body fields that are sent on: OpenAI's own ...
OPENAI_FIELDS = frozenset({
    "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens",
    "max_tokens", "messages", "metadata", "modalities", "model", "n", "parallel_tool_calls", "prediction",
    "presence_penalty", "prompt_cache_key", "prompt_cache_retention", "reasoning_effort", "response_format",
    "safety_identifier", "seed", "stop", "store", "stream", "stream_options", "temperature", "tool_choice", "tools",
    "top_logprobs", "top_p", "user", "verbosity", "web_search_options",
})  # fmt: skip
#: ... and those that hosts of this wire document beyond it (vLLM, SGLang, llama.cpp, Fireworks, DeepSeek, DashScope,
#: xAI, Z.ai, Moonshot, MiniMax, Mistral, Perplexity). ``service_tier`` is in neither: it changes what is charged there.
VENDOR_FIELDS = frozenset({
    "chat_template_kwargs", "context_length_exceeded_behavior", "do_sample", "enable_thinking", "grammar",
    "guided_choice", "guided_grammar", "guided_json", "guided_regex", "ignore_eos", "include_reasoning", "min_p",
    "min_tokens", "random_seed", "reasoning", "reasoning_format", "reasoning_split", "repeat_penalty",
    "repetition_penalty", "return_images", "return_related_questions", "safe_prompt", "search_domain_filter",
    "search_mode", "search_parameters", "search_recency_filter", "skip_special_tokens", "stop_token_ids", "thinking",
    "thinking_budget", "top_k", "typical_p",
})  # fmt: skip
CHAT_FIELDS = OPENAI_FIELDS | VENDOR_FIELDS

_NULL = Raw(b"null")
#: How much of a JSON body that came in place of a stream is kept for its message.
_BODY_LIMIT = 65536
#: Fields whose value the program decides (see ``ChatRequest``).
_OWN = frozenset({"model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "seed", "random_seed"})


class _BaseResp(Struct):
    status_code: int = 0


class _Answer(Struct):
    choices: list[Raw] | None = None
    usage: TokenUsage | None = None
    model: str | None = None
    error: Any = None
    base_resp: _BaseResp | None = None


class _Function(Struct):
    arguments: Any = None
    name: Any = None


class _ToolCall(Struct):
    function: _Function | None = None


class _Delta(Struct, gc=False):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None
    audio: Any = None


class _Choice(Struct, gc=False):
    delta: _Delta | None = None
    finish_reason: str | None = None
    text: Any = None


class _Chunk(Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: TokenUsage | None = None
    model: str | None = None
    error: Any = None
    base_resp: _BaseResp | None = None


_Shape = TypeVar("_Shape", bound=Struct)
_objects = msgspec.json.Decoder(dict[str, Raw])
_answers = msgspec.json.Decoder(_Answer)
_chunks = msgspec.json.Decoder(_Chunk)


def encode(request: ChatRequest, route: Route, provider: Provider) -> Outgoing:
    """The caller's fields as they came, without those that no host of this wire knows, and the program's own values."""
    extra = extras(provider, route)
    relayed = _relayed(provider.params, route.params)
    fields = request.fields
    body: dict[str, Any] = {name: value for name, value in fields.items() if name in relayed and value != _NULL}
    body["model"] = route.model
    if request.max_tokens is not None:
        body[_limit_name(fields, extra)] = request.max_tokens
    if request.seed is not None and "-seed" not in extra:
        body["random_seed" if "random_seed" in extra else "seed"] = request.seed
    if request.stream:
        body["stream"] = True
        body["stream_options"] = _stream_options(fields)
    return Outgoing(
        "POST",
        endpoint(provider.base_url, route.model, "chat/completions"),
        headers(provider, "application/json", "application/json"),
        msgspec.json.encode(body),
    )


def decode(status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> ChatAnswer:
    """A whole answer. Raises Failure for an error status, an error inside a 2xx, and what is no chat completion."""
    if not 200 <= status < 300:
        raise from_answer(status, headers, body, provider)
    answer = _read(_answers, body)
    if answer is None:
        raise unreadable("an answer that is no JSON", provider)
    if answer.error or (answer.base_resp is not None and answer.base_resp.status_code):
        raise from_answer(200, headers, body, provider)
    if not answer.choices:
        raise unreadable("an answer without choices", provider)
    return ChatAnswer(body, usage_of(answer.usage), answer.model)


class OpenAIFrames:
    """Reads a stream of ``chat.completion.chunk`` events.

    The stream is whole when ``[DONE]`` came, or a finish reason before the end; otherwise its last frame is an error.
    Usage is reported on the frames that bring believable counts, and of several the last counts; a later one without
    counts takes nothing back. A JSON body in place of events becomes one error frame.
    """

    def __init__(self) -> None:
        self._parser = SseParser()
        self._body = b""
        self._json: bool | None = None
        self._finished = False
        self._over = False

    def feed(self, data: bytes) -> list[ChatFrame]:
        """The frames that ``data`` completes. Nothing comes after the final one."""
        if self._over:
            return []
        if self._json is None and (start := data.lstrip()[:1]):
            self._json = start in b"{["
        if self._json:
            self._body += data[: _BODY_LIMIT - len(self._body)]
            return []
        try:
            events = self._parser.feed_data(data)
        except ValueError:
            return [self._cut("The provider sent an event that is too large.", "stream_invalid")]
        return self._frames(events)

    def end(self) -> list[ChatFrame]:
        """What is left when the bytes have ended: nothing, or the final frame that is still missing."""
        if self._over:
            return []
        if self._json:
            return [self._instead(self._body)]
        rest = [event.data for event in self._parser.end()]
        broken = any(data != b"[DONE]" and _read(_chunks, data) is None for data in rest)
        frames = [] if broken else self._frames(rest)
        if self._over:
            return frames
        if self._finished and not broken:
            self._over = True
            return [*frames, ChatFrame(b"[DONE]", done=True)]
        return [*frames, self._cut("The provider's stream broke off before its end.", "stream_cut")]

    def _frames(self, events: list[bytes]) -> list[ChatFrame]:
        frames: list[ChatFrame] = []
        for data in events:
            frame = self._frame(data)
            if frame is not None:
                frames.append(frame)
            if self._over:
                break
        return frames

    def _frame(self, data: bytes) -> ChatFrame | None:
        if data == b"[DONE]":
            self._over = True
            return ChatFrame(data, done=True)
        try:
            chunk = _chunks.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            if data.strip() in (b"", b"null"):
                return None
            chunk = _read(_chunks, data)
            if chunk is None:
                return self._cut("The provider's stream has an event that is no JSON.", "stream_invalid")
        if chunk.error or (chunk.base_resp is not None and chunk.base_resp.status_code):
            self._over = True
            return ChatFrame(data, error=read_words(data).message or "the provider reported an error")
        text = 0
        empty = True
        for choice in chunk.choices or ():
            if choice.finish_reason is not None:
                self._finished = True
                empty = False
            delta = choice.delta
            if delta is not None:
                text += _characters(delta)
                empty = empty and not delta.tool_calls and not delta.audio
        if chunk.usage is None:
            return ChatFrame(data, text, None, chunk.model, None, empty and not text)
        usage = usage_of(chunk.usage)
        return ChatFrame(data, text, usage, chunk.model, None, empty and not text and usage is None)

    def _instead(self, body: bytes) -> ChatFrame:
        words = read_words(body)
        if b'"choices"' not in body and words.message:
            self._over = True
            return ChatFrame(body, error=words.message)
        return self._cut("The provider answered with JSON although a stream was asked for.", "stream_expected")

    def _cut(self, message: str, code: str) -> ChatFrame:
        self._over = True
        return ChatFrame(msgspec.json.encode({"error": {"message": message, "code": code}}), error=message)


def _characters(delta: _Delta) -> int:
    content = delta.content
    count = len(content) if isinstance(content, str) else len(_texts(content))
    reasoning = delta.reasoning_content or delta.reasoning
    if reasoning:
        count += len(_texts(reasoning))
    if delta.refusal:
        count += len(_texts(delta.refusal))
    for call in delta.tool_calls or ():
        if call.function is not None:
            count += _length(call.function.arguments) + _length(call.function.name)
    if delta.function_call is not None:
        count += _length(delta.function_call.arguments) + _length(delta.function_call.name)
    return count


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str) else 0


def _texts(part: Any) -> str:
    # Some hosts send content as a list of typed parts, nested for thinking.
    if isinstance(part, list):
        return "".join(_texts(item) for item in cast(list[Any], part))
    if isinstance(part, dict):
        entry = cast(dict[str, Any], part)
        return _texts(entry.get("text") or entry.get("thinking"))
    return part if isinstance(part, str) else ""


def _read(decoder: msgspec.json.Decoder[_Shape], data: bytes) -> _Shape | None:
    """Decodes ``data``; counts may be written as 12.0 or "12", and other fields of an unexpected type count as absent. None
    when it is no JSON object."""
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        fields = _objects.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    found = decoder.decode(b"{}")
    for name in found.__struct_fields__:
        if name in fields:
            try:
                part = msgspec.json.decode(b'{"%b":%b}' % (name.encode(), fields[name]), type=type(found), strict=False)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            setattr(found, name, getattr(part, name))
    return found


def _stream_options(fields: Mapping[str, Raw]) -> dict[str, Any]:
    given = fields.get("stream_options", _NULL)
    options: dict[str, Any] = {} if given == _NULL else dict(msgspec.json.decode(given, type=dict[str, Raw]))
    options["include_usage"] = True
    return options


def _limit_name(fields: Mapping[str, Raw], extra: frozenset[str]) -> str:
    for name in ("max_completion_tokens", "max_tokens"):
        if name in extra:
            return name
    return "max_tokens" if fields.get("max_completion_tokens", _NULL) == _NULL else "max_completion_tokens"


@lru_cache(maxsize=256)
def _relayed(host: frozenset[str], model: frozenset[str]) -> frozenset[str]:
    return taken(CHAT_FIELDS, host, model) - _OWN
