"""Streamed answers of Gemini's streamGenerateContent: each event is an answer with the next parts."""

from __future__ import annotations

from openpollen.core.chat import ChatFrame
from openpollen.core.ids import new_id
from openpollen.core.usage import Usage
from openpollen.outbound.sse import SseParser
from openpollen.providers.completion import Chunks
from openpollen.providers.failures import read_words
from openpollen.providers.google_answer import (
    BLOCKED,
    Answer,
    Part,
    call_of,
    citations_of,
    finish_of,
    is_spoilt,
    logprobs_of,
    searches_of,
    signed,
    uri_of,
    usage_of,
)
from openpollen.providers.google_wire import read

#: How much of a JSON body that came in place of a stream is kept for its message.
_BODY_LIMIT = 65536


class Frames:
    """Reads a stream of answers. It has no last event: the end of a whole one is the finish reason, then the end of bytes.
    Usage grows; the last report counts. A JSON body in place of events becomes one error frame."""

    def __init__(self) -> None:
        self._events = SseParser()
        self._chunks = Chunks()
        self._body = b""
        self._json: bool | None = None
        self._begun = self._said = self._over = False
        self._finish: str | None = None
        self._usage: Usage | None = None
        self._searches = self._calls = self._length = 0
        self._citations: list[str] = []
        self._id = ""

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
            events = self._events.feed_data(data)
        except ValueError:
            return self._broken("The provider sent an event that is too large.", "stream_invalid")
        return self._frames(events)

    def end(self) -> list[ChatFrame]:
        """What is left when the bytes have ended."""
        if self._over:
            return []
        if self._json:
            return self._instead()
        rest = [event.data for event in self._events.end()]
        if any(read(Answer, data) is None for data in rest):
            return self._broken("The provider's stream broke off before its end.", "stream_cut")
        frames = self._frames(rest)
        return frames if self._over else frames + self._last()

    def _last(self) -> list[ChatFrame]:
        if self._finish is None:
            return self._broken("The provider's stream ended before its answer did.", "stream_cut")
        if not self._said and self._finish in BLOCKED:
            return self._broken(self._finish, "content_policy_violation")
        if not self._said and is_spoilt(self._finish):
            return self._broken("The model failed at a tool call.", "stream_invalid")
        self._over = True
        last = [self._chunks.finish(finish_of(self._finish), self._citations)]
        if self._usage is not None:
            last.append(self._chunks.usage(self._usage))
        return [*last, self._chunks.done()]

    def _frames(self, events: list[bytes]) -> list[ChatFrame]:
        return [frame for event in events if not self._over for frame in self._read(event)]

    def _read(self, data: bytes) -> list[ChatFrame]:
        if not data.strip() or data == b"[DONE]":
            return []
        answer = read(Answer, data)
        if answer is None:
            return self._broken("The provider's stream has an event that cannot be read.", "stream_invalid")
        if answer.error is not None:
            return self._broken(answer.error.message or "The provider reported an error.", answer.error.status)
        if answer.blocked:
            return self._broken(answer.blocked, "content_policy_violation")
        return self._answer(answer)

    def _answer(self, answer: Answer) -> list[ChatFrame]:
        out: list[ChatFrame] = []
        if not self._begun:
            self._begun, self._id = True, answer.response_id or new_id("chatcmpl")
            out.append(self._chunks.begin(self._id, answer.model_version))
        candidate = answer.candidate
        for part in candidate.content.parts:
            out += self._part(part)
        if (logprobs := logprobs_of(candidate.logprobs_result)) is not None:
            out.append(self._chunks.logprobs(logprobs))
        self._finish = candidate.finish_reason or self._finish
        self._citations += [uri for uri in citations_of(candidate) if uri not in self._citations]
        self._searches = max(self._searches, searches_of(answer))
        self._usage = usage_of(answer.usage_metadata, self._searches) or self._usage
        return out

    def _part(self, part: Part) -> list[ChatFrame]:
        self._said = self._said or part.says
        if (call := part.function_call) is not None:
            self._calls += 1
            made = call_of(call, part, f"{self._id}_{self._calls}")
            return [self._chunks.call(made.id, made.name, made.arguments, made.extra)]
        out: list[ChatFrame] = []
        if part.inline_data is not None and not part.thought:
            out.append(self._chunks.image(uri_of(part.inline_data)))
        elif part.thought and part.text:
            out.append(self._chunks.reasoning(part.text))
        elif part.words and not part.thought:
            self._length += len(part.words)
            out.append(self._chunks.text(part.words))
        if part.thought_signature:
            out.append(self._chunks.block(signed(part, self._length)))
        return out

    def _instead(self) -> list[ChatFrame]:
        words = read_words(self._body)
        if b'"candidates"' not in self._body and words.message:
            code = next((code for code in words.codes if not code.isdigit()), "")
            return self._broken(words.message, code)
        return self._broken("The provider answered with JSON although a stream was asked for.", "stream_expected")

    def _broken(self, message: str, code: str) -> list[ChatFrame]:
        self._over = True
        return [self._chunks.error(message, code)]
