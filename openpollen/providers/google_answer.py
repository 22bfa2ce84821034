"""Answers of Gemini's generateContent, whole and streamed (https://ai.google.dev/api/generate-content#generatecontentresponse)."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec
from msgspec import Struct, field

from openpollen.core.assets import Asset, Media
from openpollen.core.chat import ChatAnswer, ChatFrame
from openpollen.core.model import Provider
from openpollen.core.usage import Usage
from openpollen.outbound.sse import SseParser
from openpollen.providers.adapter import UNSNIFFED, Headers
from openpollen.providers.completion import Chunks, Message, whole
from openpollen.providers.conversation import ToolCall
from openpollen.providers.failures import from_answer, refusal, unreadable

_FINISH = {"STOP": "stop", "MAX_TOKENS": "length"}
_BLOCKED = frozenset({
    "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION", "IMAGE_OTHER", "NO_IMAGE",
})  # fmt: skip

#: Google writes base64 in either alphabet.
_STANDARD = str.maketrans("-_", "+/")


class _Count(Struct, rename="camel"):
    modality: str = ""
    token_count: int = 0


class _Reported(Struct, rename="camel"):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int = 0
    cached_content_token_count: int = 0
    tool_use_prompt_token_count: int = 0
    prompt_tokens_details: list[_Count] = []
    candidates_tokens_details: list[_Count] = []


class _Call(Struct):
    name: str = ""
    args: dict[str, Any] = {}


class _Data(Struct, rename="camel"):
    mime_type: str = ""
    data: str = ""


class _Code(Struct):
    language: str = ""
    code: str = ""


class _Output(Struct):
    output: str = ""


class _Part(Struct, rename="camel"):
    text: str = ""
    thought: bool = False
    thought_signature: str = ""
    function_call: _Call | None = None
    inline_data: _Data | None = None
    executable_code: _Code | None = None
    code_execution_result: _Output | None = None

    @property
    def words(self) -> str:
        """Its text; code that ran and what it printed stand in fences."""
        if self.executable_code is not None:
            return f"\n```{self.executable_code.language.lower()}\n{self.executable_code.code}\n```\n"
        if self.code_execution_result is not None:
            return f"\n```\n{self.code_execution_result.output}\n```\n"
        return self.text


class _Content(Struct):
    parts: list[_Part] = []


class _Web(Struct):
    uri: str = ""


class _Chunk(Struct):
    web: _Web = field(default_factory=_Web)


class _Grounding(Struct, rename="camel"):
    web_search_queries: list[str] = []
    grounding_chunks: list[_Chunk] = []


class _Token(Struct, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class _Top(Struct):
    candidates: list[_Token] = []


class _Logprobs(Struct, rename="camel"):
    chosen_candidates: list[_Token] = []
    top_candidates: list[_Top] = []


class _Candidate(Struct, rename="camel"):
    content: _Content = field(default_factory=_Content)
    finish_reason: str | None = None
    grounding_metadata: _Grounding | None = None
    logprobs_result: _Logprobs | None = None


class _Feedback(Struct, rename="camel"):
    block_reason: str | None = None


class _Fault(Struct):
    message: str = ""
    status: str = ""


class _Answer(Struct, rename="camel"):
    candidates: list[_Candidate] = []
    prompt_feedback: _Feedback = field(default_factory=_Feedback)
    usage_metadata: _Reported | None = None
    model_version: str = ""
    response_id: str = ""
    error: _Fault | None = None

    @property
    def candidate(self) -> _Candidate:
        return self.candidates[0] if self.candidates else _Candidate()

    @property
    def blocked(self) -> str:
        """Why nothing was said, if that is for the content."""
        finish = self.candidate.finish_reason or ""
        silent = not self.candidate.content.parts and finish in _BLOCKED
        return self.prompt_feedback.block_reason or (finish if silent else "")


_answers = msgspec.json.Decoder(_Answer)


def decode_chat(status: int, headers: Headers, body: bytes, provider: Provider) -> ChatAnswer:
    """A whole answer. Raises Failure, for one that was blocked before a word of it too."""
    answer = _read(status, headers, body, provider)
    candidate = answer.candidate
    message = Message(answer.response_id or "gemini", answer.model_version)
    for part in candidate.content.parts:
        _add(message, part)
    message.finish = _finish(candidate.finish_reason)
    message.citations = _citations(candidate)
    message.logprobs = _logprobs(candidate.logprobs_result)
    message.usage = usage_of(answer.usage_metadata, _searches(answer))
    return whole(message)


def decode_image(status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
    """The pictures of an answer, with what was said beside them. Raises Failure."""
    answer = _read(status, headers, body, provider)
    parts = [part for part in answer.candidate.content.parts if not part.thought]
    pictures = [part.inline_data for part in parts if part.inline_data is not None]
    if not pictures:
        finish = answer.candidate.finish_reason or ""
        if finish in _BLOCKED:
            raise refusal(finish, provider)
        raise unreadable("an answer without a picture", provider)
    assets = tuple(Asset(_bytes(picture, provider), UNSNIFFED) for picture in pictures)
    usage = usage_of(answer.usage_metadata, 0)
    return Media(assets, usage=None if usage is None else msgspec.structs.replace(usage, images=len(assets)))


class Frames:
    """Reads a stream of answers. It has no last event: the end of a whole one is the finish reason, then the end of bytes."""

    def __init__(self) -> None:
        self._events = SseParser()
        self._chunks = Chunks()
        self._begun = self._over = False
        self._finish: str | None = None
        self._usage: Usage | None = None
        self._searches = self._calls = 0
        self._citations: list[str] = []
        self._id = ""

    def feed(self, data: bytes) -> list[ChatFrame]:
        return [frame for event in self._events.feed_data(data) if not self._over for frame in self._read(event)]

    def end(self) -> list[ChatFrame]:
        if self._over:
            return []
        if self._finish is None:
            return self._broken("The provider's stream ended before its answer did.", "stream_cut")
        self._over = True
        last = [self._chunks.finish(self._finish, self._citations)]
        if self._usage is not None:
            last.append(self._chunks.usage(self._usage))
        return [*last, self._chunks.done()]

    def _read(self, data: bytes) -> list[ChatFrame]:
        try:
            answer = _answers.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._broken("The provider's stream has an event that cannot be read.", "stream_invalid")
        if answer.error is not None:
            return self._broken(answer.error.message or "The provider reported an error.", answer.error.status)
        if answer.blocked and not self._begun:
            return self._broken(answer.blocked, "content_policy_violation")
        out: list[ChatFrame] = []
        if not self._begun:
            self._begun, self._id = True, answer.response_id or "gemini"
            out.append(self._chunks.begin(self._id, answer.model_version))
        candidate = answer.candidate
        for part in candidate.content.parts:
            out += self._part(part)
        if candidate.finish_reason is not None:
            self._finish = _finish(candidate.finish_reason)
        self._citations += [uri for uri in _citations(candidate) if uri not in self._citations]
        self._searches = max(self._searches, _searches(answer))
        self._usage = usage_of(answer.usage_metadata, self._searches) or self._usage
        return out

    def _part(self, part: _Part) -> list[ChatFrame]:
        if (call := part.function_call) is not None:
            self._calls += 1
            made = _call(call, part, f"{self._id}_{self._calls}")
            return [self._chunks.call(made.id, made.name, made.arguments, made.extra)]
        if part.inline_data is not None:
            return [self._chunks.image(_uri(part.inline_data))]
        out: list[ChatFrame] = []
        if part.words:
            out.append(self._chunks.reasoning(part.words) if part.thought else self._chunks.text(part.words))
        if part.thought_signature:
            out.append(self._chunks.block(_signed(part)))
        return out

    def _broken(self, message: str, code: str) -> list[ChatFrame]:
        self._over = True
        return [self._chunks.error(message, code)]


def usage_of(reported: _Reported | None, searches: int) -> Usage | None:
    """What was cached is part of the prompt; thoughts come on top of the answer, tool results on top of the prompt."""
    if reported is None or reported.prompt_token_count is None:
        return None
    into = {count.modality: count.token_count for count in reported.prompt_tokens_details}
    out = {count.modality: count.token_count for count in reported.candidates_tokens_details}
    prompt = reported.prompt_token_count + reported.tool_use_prompt_token_count
    cached = min(prompt, reported.cached_content_token_count)
    audio = min(prompt - cached, into.get("AUDIO", 0))
    image = min(prompt - cached - audio, into.get("IMAGE", 0))
    made = reported.candidates_token_count or 0
    drawn = min(made, out.get("IMAGE", 0))
    return Usage(
        input_tokens=prompt - cached - audio - image,
        cached_input_tokens=cached,
        input_audio_tokens=audio,
        input_image_tokens=image,
        output_tokens=made - drawn,
        reasoning_tokens=reported.thoughts_token_count,
        output_image_tokens=drawn,
        searches=searches,
    )


def _read(status: int, headers: Headers, body: bytes, provider: Provider) -> _Answer:
    if not 200 <= status < 300:
        raise from_answer(status, headers, body, provider)
    try:
        answer = _answers.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise unreadable("an answer that cannot be read", provider) from None
    if answer.blocked:
        raise refusal(answer.blocked, provider)
    if not answer.candidates:
        raise unreadable("an answer without candidates", provider)
    return answer


def _add(message: Message, part: _Part) -> None:
    if part.function_call is not None:
        message.calls.append(_call(part.function_call, part, f"{message.id}_{len(message.calls) + 1}"))
        return
    if part.inline_data is not None:
        message.images.append(_uri(part.inline_data))
    elif part.thought:
        message.reasoning += part.text
    else:
        message.content += part.words
    if part.thought_signature:
        message.blocks.append(_signed(part))


def _call(call: _Call, part: _Part, call_id: str) -> ToolCall:
    """The API's calls need no name of their own; ours is made of the answer's, so that it is the only one of its kind."""
    extra = {"google": {"thought_signature": part.thought_signature}} if part.thought_signature else {}
    return ToolCall(f"call_{call_id}", call.name, msgspec.json.encode(call.args).decode(), extra)


def _signed(part: _Part) -> dict[str, Any]:
    return {"type": "thought_signature", "signature": part.thought_signature}


def _finish(reason: str | None) -> str:
    return "content_filter" if reason in _BLOCKED else _FINISH.get(reason or "", "stop")


def _citations(candidate: _Candidate) -> list[str]:
    grounding = candidate.grounding_metadata or _Grounding()
    return list(dict.fromkeys(chunk.web.uri for chunk in grounding.grounding_chunks if chunk.web.uri))


def _searches(answer: _Answer) -> int:
    """Gemini 3 is billed by the query, models before it by the answer that used any."""
    queries = len((answer.candidate.grounding_metadata or _Grounding()).web_search_queries)
    return queries if answer.model_version.startswith("gemini-3") else min(1, queries)


def _logprobs(found: _Logprobs | None) -> dict[str, Any] | None:
    if found is None:
        return None
    content: list[dict[str, Any]] = []
    for number, chosen in enumerate(found.chosen_candidates):
        top = found.top_candidates[number].candidates if number < len(found.top_candidates) else []
        content.append({**_token(chosen), "top_logprobs": [_token(one) for one in top]})
    return {"content": content}


def _token(token: _Token) -> dict[str, Any]:
    return {"token": token.token, "logprob": token.log_probability, "bytes": list(token.token.encode())}


def _uri(picture: _Data) -> str:
    return f"data:{picture.mime_type};base64,{picture.data}"


def _bytes(picture: _Data, provider: Provider) -> bytes:
    try:
        return base64.b64decode(picture.data.translate(_STANDARD))
    except (binascii.Error, ValueError):
        raise unreadable("a picture that is no base64", provider) from None
