"""From a parsed request to its answer: what every generation handler shares.

``respond`` takes a call through cache, repeats and pipeline and answers; ``stream`` does the same for events. The
handlers only read parameters and shape results.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from msgspec import structs

from openpollen.accounts.permissions import Caller
from openpollen.api.auth import Authentication
from openpollen.api.exchange import ClientGone, Exchange
from openpollen.api.params import as_bool, invalid
from openpollen.catalog.registry import Registry
from openpollen.core.assets import AUDIO_TYPES, ImageRequest, MusicRequest, SpeechRequest, VideoRequest
from openpollen.core.chat import ChatRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Model
from openpollen.core.money import format_pollen, parse_pollen
from openpollen.core.patience import patiently
from openpollen.generation.admit import Admission
from openpollen.generation.answers import Answers, Repeat
from openpollen.generation.call import Call, Request, Result
from openpollen.generation.jobs import VideoJobs
from openpollen.generation.prompt import Prompts
from openpollen.generation.service import Pipeline, marked_up
from openpollen.generation.stream import DONE, ChatStream
from openpollen.storage.answers import Answer

Shape = Callable[[Call, Result], Awaitable[Answer]]

_EVENTS = "text/event-stream; charset=utf-8"
_MAX_SEED = 2**31 - 1


class Calls:
    """The shared way of calls, over one worker's services."""

    def __init__(
        self,
        authentication: Authentication,
        pipeline: Pipeline,
        answers: Answers,
        prompts: Prompts,
        films: VideoJobs,
        max_body: int,
    ) -> None:
        self.authentication = authentication
        self.pipeline = pipeline
        self.max_body = max_body
        self._answers = answers
        self._prompts = prompts
        self._films = films
        self._background: set[asyncio.Task[Any]] = set()
        self._stopping = False

    def stop(self) -> None:
        """Tells streams that a cancellation from now on is the server's stop, and no client's leaving."""
        self._stopping = True

    async def end(self) -> None:
        """Ends what is still made: films go on as jobs of another worker, all else is released."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    @property
    def registry(self) -> Registry:
        return self.pipeline.registry

    def new(
        self,
        exchange: Exchange,
        caller: Caller,
        *,
        endpoint: str,
        capability: Capability,
        model: Model,
        request: Request,
        sent: frozenset[str],
        shape: str = "",
        seed: int | None = None,
        refresh: bool = False,
        max_cost: int | None = None,
        enhance: bool = False,
        safe: bool = False,
    ) -> Call:
        """A call of this exchange. A seed of -1 is drawn here and told in ``x-seed`` (rule 9)."""
        call = Call(
            id=exchange.id,
            caller=caller,
            endpoint=endpoint,
            capability=capability,
            model=model,
            request=request,
            started=time.monotonic(),
            created=time.time(),
            sent=sent,
            shape=shape,
            seed=seed,
            refresh=refresh or as_bool(exchange.query.get("no-cache", False)),
            max_cost=max_cost,
            address=self.authentication.address(exchange) if caller.limited else "",
            enhance=enhance,
            safe=safe,
        )
        if seed == -1 and "seed" in request.__struct_fields__:
            drawn = secrets.randbelow(_MAX_SEED)
            call.headers["x-seed"] = str(drawn)
            call.request = structs.replace(call.request, seed=drawn)
        return call

    async def respond(self, exchange: Exchange, call: Call, shape: Shape) -> None:
        """Answers a call that makes something whole."""
        key = idempotency_key(exchange)
        admission = self.pipeline.admit(call)
        if exchange.method == "HEAD":
            headers = {"x-model-used": admission.served_by.name, **admission.attempts[0].told, **call.headers}
            await exchange.head(200, _media_type(call), None, headers)
            return
        finishes, asked = call.finishes(admission.free), call.request
        begun = self._answers.begin(call, admission, key)
        repeat = await (exchange.unless_gone(begun) if finishes else begun)
        if repeat.answer is not None:
            answer = repeat.answer
        elif finishes:
            task = asyncio.create_task(self._make(call, admission, shape, repeat))
            answer = await self._finish(exchange, repeat, task)
        elif admission.local:
            answer = await exchange.unless_gone(self._make(call, admission, shape, repeat))  # frees an engine
        else:
            answer = await self._make(call, admission, shape, repeat)
            if exchange.gone and not admission.free:
                await self._answers.undelivered(replace(call, request=asked), repeat, answer)
                raise ClientGone
        await self._send(exchange, answer)
        await self._answers.delivered(repeat)

    async def stream(self, exchange: Exchange, call: Call) -> None:
        """Answers a chat as server-sent events."""
        if call.safe:
            raise BadRequest("safe: an answer is checked whole, so it cannot be streamed; leave out stream or safe.")
        key = idempotency_key(exchange)
        admission = self.pipeline.admit(call)
        repeat = await self._answers.begin(call, admission, key)
        if repeat.answer is not None:
            await self._send(exchange, repeat.answer)
            return
        try:
            opened = await exchange.unless_gone(ChatStream.open(self.pipeline, call, admission))
        except BaseException:
            await self._answers.failed(repeat)
            raise
        headers = {"cache-control": "no-cache", "x-model-used": opened.served_by, **call.headers}
        if not repeat.kept:
            try:
                await exchange.stream(opened.events(lambda: self._stopping), _EVENTS, headers)
            finally:
                opened.close()
            return
        sent: list[bytes] = []

        async def keep() -> None:
            if not opened.charged:
                await asyncio.shield(self._answers.failed(repeat))
                return
            whole = sent[-1:] == [DONE] and not opened.failed
            if sent[-1:] != [DONE]:
                sent.extend(await opened.ending())
            answer = Answer(200, _EVENTS, b"".join(sent), headers)
            await asyncio.shield(self._answers.done(call, repeat, answer, cache=whole))

        try:
            events = opened.events(lambda: self._stopping)
            await exchange.stream(_copied(events, sent, keep), _EVENTS, headers)
        finally:
            opened.close()
            if sent[-1:] != [DONE]:
                await keep()

    async def estimate(self, call: Call) -> dict[str, Any]:
        """What a call can cost, without running it (rule 21)."""
        admission = self.pipeline.admit(call)
        return {
            "currency": "pollen",
            "max": format_pollen(marked_up(admission.bound(), call.caller.markup)),
            "expected": format_pollen(marked_up(admission.expected(), call.caller.markup)),
            "model": admission.served_by.name,
            "units": {name: count for name, count in structs.asdict(admission.most).items() if count},
        }

    async def _make(self, call: Call, admission: Admission, shape: Shape, repeat: Repeat) -> Answer:
        """The new answer. Frees the repeat's key when nothing came of it."""
        try:
            if call.safe:
                await self._prompts.check_prompt(call, admission)
            if call.enhance:
                await self._enhance(call)
            if _is_film(call) and not admission.free:
                result = await self._film(call, admission, repeat)
            else:
                check = self._prompts.check_result if call.safe else None
                result = await self.pipeline.run(call, admission, check)
            answer = await patiently(lambda: shape(call, result))  # what was made may be paid already
        except BaseException as fault:
            # A film goes on when this worker stops: whoever asks again gets it.
            if not (self._stopping and isinstance(fault, asyncio.CancelledError) and _is_film(call)):
                await asyncio.shield(self._answers.failed(repeat))
            raise
        headers = {
            "x-model-used": result.served_by,
            **result.usage.headers(),
            "x-pollen-cost": "0" if repeat.again else format_pollen(result.cost),
            "cache-control": "private",
            "vary": "Authorization",
            **call.headers,
            **answer.headers,
        }
        if repeat.cache_key:
            headers["x-cache"] = "MISS"
        if repeat.again:
            headers["x-delivered-again"] = "true"
        answer = structs.replace(answer, headers=headers)
        await self._answers.done(call, repeat, answer, cache=True)
        return answer

    async def _film(self, call: Call, admission: Admission, repeat: Repeat) -> Result:
        """A paid film: of the job that a request before this one began, else of a new one."""
        job = await self._films.of_request(repeat.job) if repeat.job else None
        return await (self._films.make(call, admission) if job is None else self._films.wait(job))

    async def _enhance(self, call: Call) -> None:
        request = call.request
        if isinstance(request, ImageRequest | VideoRequest):
            rewritten = await self._prompts.enhance(request.prompt)
            if rewritten != request.prompt:
                call.revised_prompt = rewritten
                call.request = structs.replace(request, prompt=rewritten)

    async def _finish(self, exchange: Exchange, repeat: Repeat, task: asyncio.Task[Answer]) -> Answer:
        """The answer of paid work, which goes on when the client leaves and is then kept for it."""
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        try:
            return await exchange.unless_gone(asyncio.shield(task))
        except ClientGone:
            await self._answers.lost(repeat, task)
            raise

    @staticmethod
    async def _send(exchange: Exchange, answer: Answer) -> None:
        await exchange.answer(answer.status, answer.body, answer.media_type, answer.headers)


async def _copied(
    events: AsyncGenerator[bytes, None], copy: list[bytes], keep: Callable[[], Awaitable[None]]
) -> AsyncGenerator[bytes, None]:
    """The events, noted down; kept before the last one, so that whoever has seen the end finds them kept."""
    async with aclosing(events) as source:
        async for event in source:
            copy.append(event)
            if event == DONE:
                await keep()
            yield event


def _is_film(call: Call) -> bool:
    return isinstance(call.request, VideoRequest)


def _media_type(call: Call) -> str:
    """What a GET of the same address would answer with."""
    match call.request:
        case ImageRequest() as request:
            return "image/png" if request.output_format == "png" else "image/jpeg"
        case VideoRequest():
            return "video/mp4"
        case SpeechRequest() | MusicRequest() as request:
            return AUDIO_TYPES[request.format]
        case ChatRequest() if call.shape == "stream":
            return _EVENTS
        case _:
            return "text/plain; charset=utf-8"


def idempotency_key(exchange: Exchange) -> str | None:
    """The Idempotency-Key of a POST. Raises BadRequest for one that is empty or too long."""
    key = exchange.headers.get("idempotency-key")
    if key is None or exchange.method != "POST":
        return None
    if not 1 <= len(key) <= 255:
        raise BadRequest("Idempotency-Key must have 1 to 255 characters.")
    return key


def parse_max_cost(exchange: Exchange, given: str | None) -> int | None:
    """The least ``max_cost`` of parameter, query and the header ``x-max-cost``, in nano-pollen."""
    places = (given, exchange.query.get("max_cost"), exchange.headers.get("x-max-cost"))
    try:
        return min((parse_pollen(value) for value in places if value is not None), default=None)
    except ValueError as fault:
        raise invalid("max_cost", str(fault)) from None
