"""A job at its provider: begun, polled, fetched, cancelled. What can be lost on the way, and what may be billed.

A provider bills a job that it finished. So a poll that fails ends nothing before the deadline, a finished result is fetched
until it is here, and only a job that was certainly stopped before its end is taken to cost nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from urllib.parse import urljoin

from msgspec import structs

from openpollen.core.assets import ImageRequest, JobState, Media, VideoRequest
from openpollen.core.errors import BadGateway, GatewayError, GatewayTimeout, UnprocessableEntity
from openpollen.core.model import Provider
from openpollen.generation.admit import Attempt
from openpollen.generation.call import Heard
from openpollen.generation.upstream import Decode, Upstream, encoding
from openpollen.providers.addresses import is_own
from openpollen.providers.failures import LOCAL, Failure, from_answer, unreadable

#: Told each time a job's state was seen.
Follow = Callable[[JobState], Awaitable[None]]

_LOCAL_PAUSE = 0.15
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.5, 15.0, 1.5
#: Times in a row that a provider may refuse to hand out what it finished before it is believed.
_REFUSALS = 5
_REFUSED = "content_policy_violation"
_REFUSING = frozenset(
    {None, "provider_unknown_model", "upstream_invalid_request", "upstream_invalid_answer", "result_gone"}
)
#: Redirects that are followed from a result's address.
_REDIRECTS = 3
_REDIRECTING = frozenset({301, 302, 303, 307, 308})
#: Seconds that stopping a job may take.
_CANCEL_SECONDS = 10.0


class Remote:
    """One provider's job. ``deadline`` is in seconds since the epoch, for a job may outlive the process that began it."""

    def __init__(self, upstream: Upstream, attempt: Attempt, deadline: float) -> None:
        self._upstream = upstream
        self._attempt = attempt
        self._deadline = deadline
        self.done = False  # and so billed

    async def until_done(self, state: JobState, follow: Follow) -> JobState:
        """Waits for the end of the job. Raises GatewayError: 422 for refused content, 504 at the deadline, 502 when the
        job failed or a built-in engine lost it."""
        local = self._attempt.provider.name == LOCAL
        pause = _LOCAL_PAUSE if local else _FIRST_PAUSE
        while True:
            await follow(state)
            if state.status == "done":
                self.done = True
                return state
            if state.status == "failed":
                raise _failed(state)
            if time.time() + pause > self._deadline:
                raise GatewayTimeout(
                    "The result was not ready in time; nothing was charged.", reason="job_timeout", spent=True
                )
            await asyncio.sleep(pause)
            pause = pause if local else min(pause * _GROWTH, _LONGEST_PAUSE)
            try:
                state = await self.poll(state.id)
            except Failure as failure:
                if local and failure.error.reason == "provider_unknown_model":
                    raise BadGateway(
                        "The engine lost its work while it was made; nothing was charged. Send the request again.",
                        reason="job_lost",
                    ) from failure

    async def poll(self, job_id: str) -> JobState:
        """The job's state. Raises Failure. An answer that does not tell the job's id is about the one that was asked for."""
        adapter, route, provider = self._attempt.adapter, self._attempt.route, self._attempt.provider
        state = await self._upstream.call(adapter.poll_job(job_id, route, provider), provider, adapter.decode_job)
        return state if state.id else structs.replace(state, id=job_id)

    async def fetch(self, state: JobState, bring: Callable[[Media], Awaitable[Media]]) -> Media:
        """What a finished job made; ``bring`` fetches what is still an address. Tried again until the deadline, for it is
        paid for. Raises GatewayError when that is in vain, the result is none, or its content is refused after all."""
        pause, refusals = _FIRST_PAUSE, 0
        while True:
            try:
                return await bring(state.media or await self._result(state))
            except Failure as failure:
                if failure.unmade:
                    self.done = False
                    raise failure.error from failure
                error = failure.error
            except GatewayError as fault:
                error = fault
                if error.reason == "upstream_invalid_answer":
                    raise
            if error.reason == _REFUSED:
                raise error
            refusals = refusals + 1 if error.reason in _REFUSING else 0
            if refusals >= _REFUSALS or time.time() + pause > self._deadline:
                raise _lost(error)
            await asyncio.sleep(pause)
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)

    async def _result(self, state: JobState) -> Media:
        """Follows redirects: with the credential while they stay at the provider, else as an address to be fetched without."""
        adapter, route, provider = self._attempt.adapter, self._attempt.route, self._attempt.provider
        out = adapter.fetch_job(state, route, provider)
        for _ in range(_REDIRECTS + 1):
            made = await self._upstream.call(out, provider, partial(_led, adapter.decode_result))
            if isinstance(made, Media):
                return made
            url = urljoin(out.url, made)
            if not is_own(url, provider):
                return Media(urls=(url,))
            out = structs.replace(out, url=url)
        raise unreadable("a result that is always somewhere else", provider)

    async def cancel(self, job_id: str) -> bool:
        """Stops the job and has it deleted there. False when it was done before, or was not certainly stopped: then it
        may be billed."""
        adapter, route, provider = self._attempt.adapter, self._attempt.route, self._attempt.provider
        running = False
        try:
            async with asyncio.timeout(_CANCEL_SECONDS):
                with contextlib.suppress(Failure):
                    status = "done" if self.done else (await self.poll(job_id)).status
                    if status == "failed":
                        return True
                    running = status != "done"
                if (out := adapter.cancel_job(job_id, route, provider)) is None:
                    return False
                await self._upstream.call(out, provider, _stopped)
        except (Failure, TimeoutError):
            return False
        return running


async def begin(upstream: Upstream, attempt: Attempt, request: VideoRequest, heard: Heard) -> JobState:
    """Asks a provider for a video. Raises Failure, Unfit. One that answers with the film itself is done at once."""
    adapter, route, provider = attempt.adapter, attempt.route, attempt.provider
    uploaded = await upload(upstream, attempt, request)
    with encoding():
        out = adapter.encode_video(request, route, provider, uploaded)
    made = await upstream.call(out, provider, adapter.decode_video, heard)
    return made if isinstance(made, JobState) else JobState("", "done", 100, media=made)


async def upload(upstream: Upstream, attempt: Attempt, request: ImageRequest | VideoRequest) -> tuple[str, ...]:
    """Brings the files of a request to a provider that wants them beforehand, and gives their addresses there. Raises
    Failure, Unfit."""
    adapter, route, provider = attempt.adapter, attempt.route, attempt.provider
    with encoding():
        files = adapter.uploads(request, route, provider)
    return tuple([await upstream.call(out, provider, adapter.decode_upload) for out in files])


async def finish(
    upstream: Upstream,
    attempt: Attempt,
    state: JobState,
    seconds: float,
    bring: Callable[[Media], Awaitable[Media]],
    heard: Heard,
) -> Media:
    """What a job makes, waited for here: work that ends with whoever waits for it. ``heard`` tells afterwards whether the
    provider bills it: a job that was begun is not billed before it is done. Raises Failure; what was not the caller's fault
    another provider may still make."""
    heard.parts = None
    job = Remote(upstream, attempt, time.time() + seconds)
    try:
        done = await job.until_done(state, _nobody)
        heard.parts = []
        return await job.fetch(done, bring)
    except GatewayError as fault:
        billed = job.done or (isinstance(fault, GatewayTimeout) and not await asyncio.shield(job.cancel(state.id)))
        heard.parts = [] if billed else None
        fault.spent = fault.spent or billed
        raise Failure(fault, retryable=fault.status >= 500) from fault
    except asyncio.CancelledError:
        if not await asyncio.shield(job.cancel(state.id)):
            heard.parts = []
        raise


def _failed(state: JobState) -> GatewayError:
    if state.refused:
        return UnprocessableEntity(f"The provider refused this content: {state.error}", reason=_REFUSED)
    return BadGateway(f"It could not be made: {state.error}. Nothing was charged.", spent=True)


def _lost(error: GatewayError) -> GatewayError:
    return BadGateway(
        f"What the provider finished could not be fetched; nothing was charged. {error.message}",
        reason="job_lost",
        details=error.details,
        spent=True,
    )


def _led(
    decode: Decode[Media], status: int, headers: Mapping[str, str], body: bytes, provider: Provider
) -> Media | str:
    """The result, or the address that a redirect leads to."""
    if status in _REDIRECTING and (address := headers.get("location")):
        return address
    return decode(status, headers, body, provider)


def _stopped(status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> None:
    """A job that is not there any more is as good as stopped."""
    if not (200 <= status < 300 or status in (404, 410)):
        raise from_answer(status, headers, body, provider)


async def _nobody(_state: JobState) -> None:
    """Nobody follows."""
