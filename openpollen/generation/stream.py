"""Streamed chat: frames are relayed as they come; the last one carries usage and cost, then ``[DONE]`` (rule 16).

The answer's head waits for the provider's first frame that says something, because until then another route may still be
tried: many hosts send a role first, and fail then. Whatever
ends the stream, the client, the provider or this worker's stop, what was made and sent on is settled once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct, structs

from openpollen.core.chat import ChatAnswer, ChatFrame, ChatRequest
from openpollen.core.errors import BadGateway, GatewayError, ServiceUnavailable
from openpollen.core.money import format_pollen
from openpollen.core.usage import Usage
from openpollen.generation import measure
from openpollen.generation.admit import Admission, Attempt
from openpollen.generation.call import Call, Heard, Result
from openpollen.generation.order import Order
from openpollen.generation.service import Held, Pipeline
from openpollen.generation.thinking import SplitFrames
from openpollen.generation.upstream import encoding
from openpollen.outbound.connection import Response
from openpollen.providers.adapter import FrameDecoder
from openpollen.providers.failures import Failure
from openpollen.usage.record import Paid

#: The last event of every stream.
DONE = b"data: [DONE]\n\n"
#: How many frames that say nothing are kept while another route may still be tried; a host that sends more of them is at work.
_MOST_KEPT = 100

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
        self._said = self._pieces = self._unreported = 0
        self._sent = False  # whether anything but heads of events came
        self._result: Result | None = None
        self._paid: asyncio.Future[Paid] | None = None
        self._usage: Usage | None = None
        self._reported: dict[str, Any] | None = None
        self._model = ""
        self._head = _Head()
        self._stopped: ServiceUnavailable | None = None
        self.failed = False

    @classmethod
    async def open(cls, pipeline: Pipeline, call: Call, admission: Admission) -> ChatStream:
        """Holds the money and brings the first frame. Raises GatewayError; nothing is charged then."""
        held = await pipeline.hold(call, admission)
        try:
            opened = await pipeline.routing.first(call, admission, partial(_open, pipeline, call), stays=True)
        except BaseException:
            pipeline.release(held)
            raise
        call.headers.update(opened.attempt.told)
        return cls(pipeline, call, admission, held, opened)

    @property
    def served_by(self) -> str:
        return self._admission.served_by.name

    @property
    def charged(self) -> bool:
        """Whether the stream has ended with something to pay for."""
        return self._paid is not None

    async def events(self, stopping: Callable[[], bool] = lambda: False) -> AsyncGenerator[bytes, None]:
        """The server-sent events. Settles in every case: whole, broken off by the provider, or closed by the client.

        When it is cancelled while ``stopping``, it says so and comes to its end, with the usage of what was sent."""
        try:
            async with aclosing(self._frames(stopping)) as frames:
                async for frame in frames:
                    if frame.error is not None:
                        self.failed = True
                        yield self._broken(frame)
                        break
                    if frame.done:
                        break
                    self._note(frame)
                    if not self._is_usage_only(frame):
                        yield b"data: " + frame.data + b"\n\n"
            self._settle(partial=self.failed)
            yield await self._last()
            yield DONE
        finally:
            self._settle(partial=True)

    async def ending(self) -> list[bytes]:
        """How a repeat of this stream ends, which its client left before the end: it says so, and what was charged."""
        left = ServiceUnavailable(
            "The client of this stream left here; what it got is charged. Send a new Idempotency-Key for a whole answer.",
            reason="client_left",
        )
        return [self._event(left), await self._last(), DONE]

    def close(self) -> None:
        """Settles what was made. Harmless after ``events`` has ended; needed when it never began."""
        self._opened.response.close()
        self._settle(partial=True)

    async def _frames(self, stopping: Callable[[], bool]) -> AsyncGenerator[ChatFrame, None]:
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
        except asyncio.CancelledError:
            if not stopping():
                raise
            self._stopped = ServiceUnavailable(
                "The server is stopping; what was sent is charged. Send the request again.", reason="stopping"
            )
            yield ChatFrame(b"", error=self._stopped.message)
        finally:
            opened.response.close()

    def _note(self, frame: ChatFrame) -> None:
        self._sent = self._sent or not frame.empty
        if frame.text:
            self._said += frame.text
            self._unreported += frame.text
            self._pieces += 1
        if not self._head.id:
            self._head = _head(frame.data)
        if frame.usage is not None:
            self._usage = frame.usage
            self._unreported = 0
            self._reported = _reported(frame.data)
        if frame.model:
            self._model = frame.model

    @staticmethod
    def _is_usage_only(frame: ChatFrame) -> bool:
        # Ours follows at the end, with the cost; the provider's own would be a second one.
        compact = b"" if frame.text else frame.data.replace(b" ", b"")
        return b'"choices":[]' in compact and b'"usage":{' in compact

    def _settle(self, *, partial: bool) -> Result:
        """Charges what was made, once. Where nothing was, the caller pays nothing and the platform what was read."""
        if self._result is not None:
            return self._result
        usage, opened = self._measured(), self._opened
        self._pipeline.routing.leave(opened.attempt)
        made = ChatAnswer(b"", usage, self._model or None)
        result = self._result = Result(made, usage, opened.attempt.route, opened.attempt.provider, self.served_by)
        if partial and not self._sent:
            self._pipeline.release(self._held)
            self._pipeline.book(Order.of(self._call, self._admission), result.provider.name, usage)
        else:
            self._paid = self._pipeline.settle(self._call, self._admission, self._held, result, partial=partial)
        return result

    def _measured(self) -> Usage:
        """What the provider reported last; counted where it reported nothing, or not yet what came after."""
        request = self._call.request
        assert isinstance(request, ChatRequest)
        reported = self._usage
        if reported is None:
            return measure.estimate_chat(request, self._said, self._pieces)
        usage = measure.credible(request, reported, self._said, self._pieces)
        if self._unreported:
            counted = measure.estimate_chat(request, self._said, self._pieces)
            output = max(usage.output_tokens, counted.output_tokens - usage.reasoning_tokens)
            usage = structs.replace(usage, output_tokens=output, estimated=True)
        if usage.estimated:
            self._reported = None
        return usage

    async def _last(self) -> bytes:
        """The chunk with usage and cost. Waits for the charge where it could turn out to be less than the price."""
        result = self._settle(partial=True)
        if self._paid is not None:
            await self._pipeline.paid(self._held, result, self._paid)
        usage = dict(self._reported or openai_usage(result.usage))
        usage["pollen_cost"] = format_pollen(result.cost)
        if result.usage.estimated:
            usage["estimated"] = True
        chunk: dict[str, Any] = {
            "id": self._head.id or f"chatcmpl-{self._call.id}",
            "object": "chat.completion.chunk",
            "created": self._head.created or int(self._call.created),
            "model": self._head.model or self.served_by,
            "choices": [],
            "usage": usage,
        }
        return b"data: " + _encode(chunk) + b"\n\n"

    def _broken(self, frame: ChatFrame) -> bytes:
        opened = self._opened
        return self._event(
            self._stopped or opened.attempt.adapter.error(200, {}, frame.data, opened.attempt.provider).error
        )

    def _event(self, error: GatewayError) -> bytes:
        body = {"code": error.code, "message": error.message, "reason": error.reason, "requestId": self._call.id}
        return b"data: " + _encode({"error": body}) + b"\n\n"


def openai_usage(usage: Usage) -> dict[str, Any]:
    """Measured units as OpenAI's ``usage`` object."""
    return {
        "prompt_tokens": usage.read_tokens,
        "completion_tokens": usage.made_tokens,
        "total_tokens": usage.read_tokens + usage.made_tokens,
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


async def _open(pipeline: Pipeline, call: Call, attempt: Attempt, heard: Heard) -> _Opened:
    """Sends the request on one route and waits for its first frame that says something; those before it are kept. Raises
    Failure, Unfit; ``heard`` has what came then."""
    request = call.request
    assert isinstance(request, ChatRequest)
    adapter, provider = attempt.adapter, attempt.provider
    request = await pipeline.maker.readable(request, adapter)
    with encoding():
        out = adapter.encode_chat(request, attempt.route, provider)
    response = await pipeline.upstream.open(out, provider, heard)
    decoder = adapter.chat_frames(attempt.route)
    if attempt.route.inline_thinking:
        decoder = SplitFrames(decoder)
    pieces = pipeline.upstream.pieces(response, provider)
    frames: list[ChatFrame] = []
    try:
        async for piece in pieces:
            if heard.parts is not None:
                heard.parts.append(piece)
            fed = decoder.feed(piece)
            frames += fed
            heard.usage = next((frame.usage for frame in reversed(fed) if frame.usage is not None), heard.usage)
            if not all(frame.empty for frame in fed) or len(frames) > _MOST_KEPT:
                break
        else:
            frames += decoder.end()
        first = next((frame for frame in frames if not frame.empty), None)
        if first is None and len(frames) <= _MOST_KEPT:
            raise Failure(BadGateway("The provider answered with an empty stream.", spent=True), retryable=True)
        if first is not None and first.error is not None:
            raise adapter.error(200, {}, first.data, provider)
    except Failure as failure:
        response.close()
        failure.error.spent = failure.error.spent or any(frame.empty for frame in frames)  # it had begun to work
        raise
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
