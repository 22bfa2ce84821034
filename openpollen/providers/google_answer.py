"""Answers of Gemini's generateContent (https://ai.google.dev/api/generate-content#generatecontentresponse): their shapes, what
they used, and a whole chat. A part's signature, which a later turn must bring back, stands in ``content_blocks`` with the
number of characters of content up to its part's end; that of a tool call stands in its ``extra_content``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct, field

from openpollen.core.chat import ChatAnswer
from openpollen.core.ids import new_id
from openpollen.core.model import Provider
from openpollen.core.usage import Usage
from openpollen.providers.adapter import Headers
from openpollen.providers.completion import Message, whole
from openpollen.providers.conversation import ToolCall
from openpollen.providers.failures import from_answer, refusal, unreadable
from openpollen.providers.google_wire import is_newer, read
from openpollen.providers.openai_wire import MAX_TOKENS

#: Finish reasons that say that content was refused.
BLOCKED = frozenset({
    "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION", "IMAGE_OTHER", "NO_IMAGE",
})  # fmt: skip
_FINISH = {"STOP": "stop", "MAX_TOKENS": "length"}
#: Finish reasons of a model that failed at a tool call.
_SPOILT = frozenset({
    "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE",
    "MISSING_THOUGHT_SIGNATURE",
})  # fmt: skip


class _Count(Struct, frozen=True, rename="camel"):
    modality: str = ""
    token_count: int = 0


class Reported(Struct, frozen=True, rename="camel"):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int = 0
    cached_content_token_count: int = 0
    tool_use_prompt_token_count: int = 0
    prompt_tokens_details: list[_Count] = []
    cache_tokens_details: list[_Count] = []
    tool_use_prompt_tokens_details: list[_Count] = []
    candidates_tokens_details: list[_Count] = []


class Call(Struct, frozen=True):
    id: str = ""
    name: str = ""
    args: dict[str, Any] = {}


class Data(Struct, frozen=True, rename="camel"):
    mime_type: str = ""
    data: str = ""


class _Code(Struct, frozen=True):
    language: str = ""
    code: str = ""


class _Output(Struct, frozen=True):
    output: str = ""


class Part(Struct, frozen=True, rename="camel"):
    text: str = ""
    thought: bool = False
    thought_signature: str = ""
    function_call: Call | None = None
    inline_data: Data | None = None
    executable_code: _Code | None = None
    code_execution_result: _Output | None = None

    @property
    def says(self) -> bool:
        """Whether it has anything for the caller."""
        return bool(self.function_call or (not self.thought and (self.inline_data or self.words)))

    @property
    def words(self) -> str:
        """Its text; code that ran and what it printed stand in fences."""
        if self.executable_code is not None:
            return f"\n```{self.executable_code.language.lower()}\n{self.executable_code.code}\n```\n"
        if self.code_execution_result is not None:
            return f"\n```\n{self.code_execution_result.output}\n```\n"
        return self.text


class _Content(Struct, frozen=True):
    parts: list[Part] = []


class _Web(Struct, frozen=True):
    uri: str = ""


class _Chunk(Struct, frozen=True):
    web: _Web = field(default_factory=_Web)


class _Grounding(Struct, frozen=True, rename="camel"):
    web_search_queries: list[str] = []
    grounding_chunks: list[_Chunk] = []


class _Page(Struct, frozen=True, rename="camel"):
    retrieved_url: str = ""


class _Pages(Struct, frozen=True, rename="camel"):
    url_metadata: list[_Page] = []


class _Token(Struct, frozen=True, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class _Top(Struct, frozen=True):
    candidates: list[_Token] = []


class Logprobs(Struct, frozen=True, rename="camel"):
    chosen_candidates: list[_Token] = []
    top_candidates: list[_Top] = []


class Candidate(Struct, frozen=True, rename="camel"):
    content: _Content = field(default_factory=_Content)
    finish_reason: str | None = None
    grounding_metadata: _Grounding = field(default_factory=_Grounding)
    url_context_metadata: _Pages = field(default_factory=_Pages)
    logprobs_result: Logprobs | None = None

    @property
    def says(self) -> bool:
        """Whether it has anything for the caller; thoughts alone are nothing."""
        return any(part.says for part in self.content.parts)


class _Feedback(Struct, frozen=True, rename="camel"):
    block_reason: str | None = None


class _Fault(Struct, frozen=True):
    message: str = ""
    status: str = ""


class Answer(Struct, frozen=True, rename="camel"):
    candidates: list[Candidate] = []
    prompt_feedback: _Feedback = field(default_factory=_Feedback)
    usage_metadata: Reported | None = None
    model_version: str = ""
    response_id: str = ""
    error: _Fault | None = None

    @property
    def candidate(self) -> Candidate:
        return self.candidates[0] if self.candidates else Candidate()

    @property
    def blocked(self) -> str:
        """Why the prompt was blocked; empty when it was not."""
        return self.prompt_feedback.block_reason or ""


def read_answer(status: int, headers: Headers, body: bytes, provider: Provider) -> Answer:
    """An answer that says something. Raises Failure, for one that was blocked before a word of it too."""
    if not 200 <= status < 300:
        raise from_answer(status, headers, body, provider)
    answer = read(Answer, body)
    if answer is None:
        raise unreadable("an answer that cannot be read", provider)
    if answer.error is not None:
        raise from_answer(status, headers, body, provider)
    if answer.blocked:
        raise refusal(answer.blocked, provider)
    if not answer.candidates:
        raise unreadable("an answer without candidates", provider)
    finish = answer.candidate.finish_reason or ""
    if finish in BLOCKED and not answer.candidate.says:
        raise refusal(finish, provider)
    return answer


def decode_chat(status: int, headers: Headers, body: bytes, provider: Provider) -> ChatAnswer:
    """A whole answer. Raises Failure."""
    answer = read_answer(status, headers, body, provider)
    candidate = answer.candidate
    if is_spoilt(candidate.finish_reason) and not candidate.says:
        raise unreadable("an answer in which the model failed at a tool call", provider)
    message = Message(answer.response_id or new_id("chatcmpl"), answer.model_version)
    for part in candidate.content.parts:
        _add(message, part)
    message.finish = finish_of(candidate.finish_reason)
    message.citations = citations_of(candidate)
    message.logprobs = logprobs_of(candidate.logprobs_result)
    message.usage = usage_of(answer.usage_metadata, searches_of(answer))
    return whole(message)


def usage_of(reported: Reported | None, searches: int) -> Usage | None:
    """What was cached is part of the prompt; thoughts come on top of the answer, what tools brought on top of the prompt.
    ``None`` when no counts, or none to believe, were reported."""
    if reported is None or not reported.prompt_token_count:
        return None
    prompt = reported.prompt_token_count + reported.tool_use_prompt_token_count
    made, thought = reported.candidates_token_count or 0, reported.thoughts_token_count
    cached = reported.cached_content_token_count
    if max(prompt, made, thought) > MAX_TOKENS or min(prompt, made, thought, cached) < 0:
        return None
    cached = min(prompt, cached)
    fresh = prompt - cached
    audio = min(fresh, _heard(reported, "AUDIO"))
    image = min(fresh - audio, _heard(reported, "IMAGE"))
    drawn = min(made, _sum(reported.candidates_tokens_details, "IMAGE"))
    spoken = min(made - drawn, _sum(reported.candidates_tokens_details, "AUDIO"))
    return Usage(
        input_tokens=fresh - audio - image,
        cached_input_tokens=cached,
        input_audio_tokens=audio,
        input_image_tokens=image,
        output_tokens=made - drawn - spoken,
        reasoning_tokens=thought,
        output_audio_tokens=spoken,
        output_image_tokens=drawn,
        searches=searches,
    )


def _heard(reported: Reported, modality: str) -> int:
    """Tokens of the prompt and of what tools brought, without those from the cache."""
    into = (*reported.prompt_tokens_details, *reported.tool_use_prompt_tokens_details)
    return max(0, _sum(into, modality) - _sum(reported.cache_tokens_details, modality))


def _sum(counts: Iterable[_Count], modality: str) -> int:
    return sum(max(0, count.token_count) for count in counts if count.modality == modality)


def _add(message: Message, part: Part) -> None:
    if part.function_call is not None:
        message.calls.append(call_of(part.function_call, part, f"{message.id}_{len(message.calls) + 1}"))
        return
    if part.inline_data is not None and not part.thought:
        message.images.append(uri_of(part.inline_data))
    elif part.thought:
        message.reasoning += part.text
    else:
        message.content += part.words
    if part.thought_signature:
        message.blocks.append(signed(part, len(message.content)))


def call_of(call: Call, part: Part, call_id: str) -> ToolCall:
    """Newer models name their calls, and want the name back; else it is made of the answer's, so that it is the only one of
    its kind."""
    kept = {"thought_signature": part.thought_signature, "id": call.id}
    extra = {name: value for name, value in kept.items() if value}
    arguments = msgspec.json.encode(call.args).decode()
    return ToolCall(call.id or f"call_{call_id}", call.name, arguments, {"google": extra} if extra else {})


def signed(part: Part, end: int) -> dict[str, Any]:
    """The signature of a part whose words end after ``end`` characters of content."""
    return {"type": "thought_signature", "signature": part.thought_signature, "end": end}


def is_spoilt(reason: str | None) -> bool:
    """Whether the model failed at a tool call."""
    return reason in _SPOILT


def finish_of(reason: str | None) -> str:
    """OpenAI's word for it."""
    return "content_filter" if reason in BLOCKED else _FINISH.get(reason or "", "stop")


def citations_of(candidate: Candidate) -> list[str]:
    """The addresses of what was found and of the pages that were read."""
    found = [chunk.web.uri for chunk in candidate.grounding_metadata.grounding_chunks]
    found += [page.retrieved_url for page in candidate.url_context_metadata.url_metadata]
    return list(dict.fromkeys(uri for uri in found if uri))


def searches_of(answer: Answer) -> int:
    """Gemini 3 is billed by the query, models before it by the answer that used any (https://ai.google.dev/pricing)."""
    queries = sum(bool(query) for query in answer.candidate.grounding_metadata.web_search_queries)
    return queries if answer.model_version and is_newer(answer.model_version) else min(1, queries)


def logprobs_of(found: Logprobs | None) -> dict[str, Any] | None:
    if found is None:
        return None
    content: list[dict[str, Any]] = []
    for number, chosen in enumerate(found.chosen_candidates):
        top = found.top_candidates[number].candidates if number < len(found.top_candidates) else []
        content.append({**_token(chosen), "top_logprobs": [_token(one) for one in top]})
    return {"content": content}


def _token(token: _Token) -> dict[str, Any]:
    return {"token": token.token, "logprob": token.log_probability, "bytes": list(token.token.encode())}


def uri_of(picture: Data) -> str:
    return f"data:{picture.mime_type};base64,{picture.data}"
