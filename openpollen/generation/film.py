"""A video at its provider: submitted, polled, fetched, cancelled. What can be lost on the way, and what may be billed.

A provider bills a job that it finished. So a poll that fails ends nothing before the deadline, a finished film is fetched
until it is here, and only a job that was certainly stopped before its end is taken to cost nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping

from openpollen.core.assets import JobState, Media, VideoRequest
from openpollen.core.errors import BadGateway, GatewayError, GatewayTimeout, UnprocessableEntity
from openpollen.core.model import Provider
from openpollen.generation.admit import Attempt
from openpollen.generation.call import Heard
from openpollen.generation.upstream import Upstream
from openpollen.providers.failures import LOCAL, Failure, from_answer

#: Told each time a job's state was seen.
Follow = Callable[[JobState], Awaitable[None]]

_LOCAL_PAUSE = 0.15
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.5, 15.0, 1.5
#: Times in a row that a provider may refuse to hand out what it finished before it is believed.
_REFUSALS = 5
_REFUSED = "content_policy_violation"
_REFUSING = frozenset({None, "provider_unknown_model", "upstream_invalid_request", "upstream_invalid_answer"})
#: Seconds that stopping a job may take.
_CANCEL_SECONDS = 10.0


class Film:
    """One provider's job. ``deadline`` is in seconds since the epoch, for a job may outlive the process that began it."""

    def __init__(self, upstream: Upstream, attempt: Attempt, deadline: float) -> None:
        self._upstream = upstream
        self._attempt = attempt
        self._deadline = deadline
        self.done = False

    async def until_done(self, state: JobState, follow: Follow) -> None:
        """Waits for the end of the job. Raises GatewayError: 422 for refused content, 504 at the deadline, 502 when the
        job failed or a built-in engine lost it."""
        local = self._attempt.provider.name == LOCAL
        pause = _LOCAL_PAUSE if local else _FIRST_PAUSE
        while True:
            await follow(state)
            if state.status == "done":
                self.done = True
                return
            if state.status == "failed":
                raise _failed(state)
            if time.time() + pause > self._deadline:
                raise GatewayTimeout("The video was not ready in time; nothing was charged.", reason="job_timeout")
            await asyncio.sleep(pause)
            pause = pause if local else min(pause * _GROWTH, _LONGEST_PAUSE)
            try:
                state = await self.poll(state.id)
            except Failure as failure:
                if local and failure.error.reason == "provider_unknown_model":
                    raise BadGateway(
                        "The engine lost the video while it was made; nothing was charged. Send the request again.",
                        reason="job_lost",
                    ) from failure

    async def poll(self, job_id: str) -> JobState:
        """The job's state. Raises Failure."""
        adapter, route, provider = self._attempt.adapter, self._attempt.route, self._attempt.provider
        return await self._upstream.call(adapter.poll_video(job_id, route, provider), provider, adapter.decode_job)

    async def fetch(self, job_id: str, bring: Callable[[Media], Awaitable[Media]]) -> Media:
        """The finished film; ``bring`` fetches what is still an address. Tried again until the deadline, for it is paid
        for. Raises GatewayError when that is in vain, the film is none, or its content is refused after all."""
        adapter, route, provider = self._attempt.adapter, self._attempt.route, self._attempt.provider
        pause, refusals = _FIRST_PAUSE, 0
        while True:
            out = adapter.fetch_video(job_id, route, provider)
            try:
                return await bring(await self._upstream.call(out, provider, adapter.decode_video))
            except Failure as failure:
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
                await self._upstream.call(adapter.cancel_video(job_id, route, provider), provider, _stopped)
        except (Failure, TimeoutError):
            return False
        return running


async def submit(upstream: Upstream, attempt: Attempt, request: VideoRequest, heard: Heard) -> JobState:
    """Asks a provider for a video. Raises Failure."""
    adapter, route, provider = attempt.adapter, attempt.route, attempt.provider
    return await upstream.call(
        adapter.submit_video(request, route, provider), provider, adapter.decode_submitted, heard
    )


async def film(upstream: Upstream, attempt: Attempt, request: VideoRequest, seconds: float) -> Media:
    """A finished video, waited for: for work that costs nothing and ends with whoever waits for it."""
    state = await submit(upstream, attempt, request, Heard())
    job = Film(upstream, attempt, time.time() + seconds)
    try:
        await job.until_done(state, _nobody)
        return await job.fetch(state.id, _as_it_is)
    except GatewayTimeout:
        await job.cancel(state.id)
        raise
    except asyncio.CancelledError:
        await asyncio.shield(job.cancel(state.id))
        raise


def _failed(state: JobState) -> GatewayError:
    if state.refused:
        return UnprocessableEntity(f"The provider refused this content: {state.error}", reason=_REFUSED)
    return BadGateway(f"The video could not be made: {state.error}. Nothing was charged.", spent=True)


def _lost(error: GatewayError) -> GatewayError:
    return BadGateway(
        f"The finished video could not be fetched; nothing was charged. {error.message}",
        reason="job_lost",
        details=error.details,
        spent=True,
    )


def _stopped(status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> None:
    """A job that is not there any more is as good as stopped."""
    if not (200 <= status < 300 or status in (404, 410)):
        raise from_answer(status, headers, body, provider)


async def _nobody(_state: JobState) -> None:
    """Nobody follows."""


async def _as_it_is(made: Media) -> Media:
    return made
