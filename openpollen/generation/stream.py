"""Streamed chat: frames are relayed as they come; the last one carries usage and cost, then ``[DONE]`` (rule 16).

The answer's head waits for the provider's first frame, because until then another route may still be tried. Whatever
ends the stream, the client, the provider or this worker's stop, what was made and sent on is settled once.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import msgspec
from msgspec import Struct

from openpollen.core.chat import ChatAnswer, ChatFrame, ChatRequest
from openpollen.core.errors import BadGateway
from openpollen.core.money import format_pollen
from openpollen.core.usage import Usage
from openpollen.generation import measure
from openpollen.generation.admit import Admission, Attempt
from openpollen.generation.call import Call, Result
from openpollen.generation.service import Held, Pipeline
from openpollen.outbound.connection import Response
from openpollen.providers.adapter import FrameDecoder
from openpollen.providers.failures import Failure

#: The last event of every stream.
DONE = b"data: [DONE]\n\n"

_encode = msgspec.json.Encoder().encode


class _Head(Struct):
    id: str = ""
    created: int = 0
    model: str = ""


class _Reported(Struct):
    usage: dict[str, Any] | None = None


_heads = msgspec.json.Decoder(_Head)
_usages = msgspec.json.Decoder(_Reported)


class _Opened(Struct):
    attempt: Attempt
    response: Response
    pieces: AsyncIterator[bytes]
    decoder: FrameDecoder
    frames: list[ChatFrame]


class ChatStream:
    """One streamed answer, opened: its first frames are here. Iterate ``events`` to the end, or close it."""

    def __init__(self, pipeline: Pipeline, call: Call, admission: Admission, held: Held, opened: _Opened) -> None:
        self._pipeline = pipeline
        self._call = call
        self._admission = admission
        self._held = held
        self._opened = opened
        self._characters = 0
        self._usage: Usage | None = None
        self._reported: dict[str, Any] | None = None
        self._model = ""
        self._head = _Head()
        self.failed = False

    @classmethod
    async def open(cls, pipeline: Pipeline, call: Call, admission: Admission) -> ChatStream:
        """Holds the money and brings the first frame. Raises GatewayError; nothing is charged then."""
        held = await pipeline.hold(call, admission)
        try:
            opened = await pipeline.first(admission.attempts, lambda attempt: _open(pipeline, call, attempt))
        except BaseException:
            pipeline.release(call, held)
            raise
        call.headers.update(opened.attempt.told)
        return cls(pipeline, call, admission, held, opened)

    @property
    def served_by(self) -> str:
        return self._admission.served_by.name

    async def events(self) -> AsyncGenerator[bytes, None]:
        """The server-sent events. Settles in every case: whole, broken off by the provider, or closed by the client."""
        settled = False
        try:
            async with aclosing(self._frames()) as frames:
                async for frame in frames:
                    if frame.error is not None:
                        self.failed = True
                        self._settle(partial=True)
                        settled = True
                        yield self._broken(frame)
                        yield DONE
                        return
                    if frame.done:
                        break
                    self._note(frame)
                    if not self._is_usage_only(frame):
                        yield b"data: " + frame.data + b"\n\n"
            result = self._settle(partial=False)
            settled = True
            yield b"data: " + self._last(result) + b"\n\n"
            yield DONE
        finally:
            if not settled:
                self._settle(partial=True)

    async def _frames(self) -> AsyncGenerator[ChatFrame, None]:
        opened = self._opened
        try:
            for frame in opened.frames:
                yield frame
            async for piece in opened.pieces:
                for frame in opened.decoder.feed(piece):
                    yield frame
            for frame in opened.decoder.end():
                yield frame
        except Failure as failure:
            data = _encode({"error": {"message": failure.error.message, "code": failure.error.reason}})
            yield ChatFrame(data, error=failure.error.message)
        finally:
            opened.response.close()

    def _note(self, frame: ChatFrame) -> None:
        self._characters += frame.text
        if not self._head.id:
            self._head = _head(frame.data)
        if frame.usage is not None:
            self._usage = frame.usage
            self._reported = _reported(frame.data)
        if frame.model:
            self._model = frame.model

    @staticmethod
    def _is_usage_only(frame: ChatFrame) -> bool:
        # Ours follows at the end, with the cost; the provider's own would be a second one.
        compact = b"" if frame.text else frame.data.replace(b" ", b"")
        return b'"choices":[]' in compact and b'"usage":{' in compact

    def _settle(self, *, partial: bool) -> Result:
        request = self._call.request
        assert isinstance(request, ChatRequest)
        usage = self._usage or measure.estimate_chat(request, self._characters)
        attempt = self._opened.attempt
        made = ChatAnswer(b"", usage, self._model or None)
        result = Result(made, usage, attempt.route, attempt.provider, self.served_by)
        if partial and not self._characters and self._usage is None:
            self._pipeline.release(self._call, self._held)
        else:
            self._pipeline.settle(self._call, self._admission, self._held, result, partial=partial)
        return result

    def _last(self, result: Result) -> bytes:
        usage = dict(self._reported or openai_usage(result.usage))
        usage["pollen_cost"] = format_pollen(result.cost)
        if result.usage.estimated:
            usage["estimated"] = True
        return _encode(
            {
                "id": self._head.id or f"chatcmpl-{self._call.id}",
                "object": "chat.completion.chunk",
                "created": self._head.created or int(self._call.created),
                "model": self._head.model or self.served_by,
                "choices": [],
                "usage": usage,
            }
        )

    def _broken(self, frame: ChatFrame) -> bytes:
        failure = self._opened.attempt.adapter.error(200, {}, frame.data, self._opened.attempt.provider)
        error = failure.error
        body = {"code": error.code, "message": error.message, "reason": error.reason, "requestId": self._call.id}
        return b"data: " + _encode({"error": body}) + b"\n\n"


def openai_usage(usage: Usage) -> dict[str, Any]:
    """Measured units as OpenAI's ``usage`` object."""
    prompt = (
        usage.input_tokens
        + usage.cached_input_tokens
        + usage.cache_write_tokens
        + usage.input_audio_tokens
        + usage.input_image_tokens
    )
    completion = usage.output_tokens + usage.reasoning_tokens + usage.output_audio_tokens + usage.output_image_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_input_tokens,
            "audio_tokens": usage.input_audio_tokens,
            "image_tokens": usage.input_image_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.output_audio_tokens,
        },
    }


async def _open(pipeline: Pipeline, call: Call, attempt: Attempt) -> _Opened:
    """Sends the request on one route and waits for its first frame. Raises Failure."""
    request = call.request
    assert isinstance(request, ChatRequest)
    adapter, provider = attempt.adapter, attempt.provider
    response = await pipeline.upstream.open(adapter.encode_chat(request, attempt.route, provider), provider)
    decoder = adapter.chat_frames()
    pieces = pipeline.upstream.pieces(response, provider)
    frames: list[ChatFrame] = []
    try:
        async for piece in pieces:
            frames = decoder.feed(piece)
            if frames:
                break
        else:
            frames = decoder.end()
        if frames and frames[0].error is not None:
            raise adapter.error(200, {}, frames[0].data, provider)
        if not frames:
            raise Failure(BadGateway("The provider answered with an empty stream.", spent=True), retryable=True)
    except BaseException:
        response.close()
        raise
    return _Opened(attempt, response, pieces, decoder, frames)


def _head(data: bytes) -> _Head:
    try:
        return _heads.decode(data)
    except msgspec.DecodeError:
        return _Head()


def _reported(data: bytes) -> dict[str, Any] | None:
    return _usages.decode(data).usage
