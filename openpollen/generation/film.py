"""Makes a video at a provider: submit, poll, fetch. Cancels the provider's job when nobody wants it any more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

from openpollen.core.assets import JobState, Media, VideoRequest
from openpollen.core.errors import BadGateway, GatewayTimeout, UnprocessableEntity
from openpollen.core.model import Provider
from openpollen.generation.admit import Attempt
from openpollen.generation.upstream import Upstream
from openpollen.providers.failures import Failure

#: Told each time a job's state was seen.
Follow = Callable[[Attempt, JobState], Awaitable[None]]

_LOCAL_PAUSE = 0.15
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 2.0, 15.0, 1.2
#: Polls that may fail in a row before the job is given up: a provider's hiccup must not lose a paid film.
_PATIENCE = 5


async def film(
    upstream: Upstream, attempt: Attempt, request: VideoRequest, deadline: float, follow: Follow | None
) -> Media:
    """The finished video. Raises Failure before the job exists, then GatewayError: 422 for refused content, 504 after
    ``deadline`` seconds, 502 when the job fails."""
    adapter, route, provider = attempt.adapter, attempt.route, attempt.provider
    out = adapter.submit_video(request, route, provider)
    state = await upstream.call(out, provider, adapter.decode_submitted)
    try:
        async with asyncio.timeout(deadline):
            state = await _until_done(upstream, attempt, state, follow)
    except TimeoutError:
        await _cancel(upstream, attempt, state)
        raise GatewayTimeout(f"The video was not ready within {deadline:g} seconds; nothing was charged.") from None
    except asyncio.CancelledError:
        await asyncio.shield(_cancel(upstream, attempt, state))
        raise
    return await upstream.call(adapter.fetch_video(state.id, route, provider), provider, adapter.decode_video)


async def _until_done(upstream: Upstream, attempt: Attempt, state: JobState, follow: Follow | None) -> JobState:
    adapter, route, provider = attempt.adapter, attempt.route, attempt.provider
    pause = _LOCAL_PAUSE if provider.name == "local" else _FIRST_PAUSE
    failures = 0
    while True:
        if follow is not None:
            await follow(attempt, state)
        if state.status == "done":
            return state
        if state.status == "failed":
            raise _failed(state)
        await asyncio.sleep(pause)
        pause = pause if provider.name == "local" else min(pause * _GROWTH, _LONGEST_PAUSE)
        try:
            state = await upstream.call(adapter.poll_video(state.id, route, provider), provider, adapter.decode_job)
            failures = 0
        except Failure as failure:
            if failure.error.reason == "provider_unknown_model":
                raise BadGateway(
                    "The provider lost the video while it was made; nothing was charged. Send the request again.",
                    reason="job_lost",
                    spent=True,
                ) from failure
            failures += 1
            if failures >= _PATIENCE or not failure.retryable:
                raise


def _failed(state: JobState) -> Exception:
    if state.refused:
        return UnprocessableEntity(
            f"The provider refused this content: {state.error}", reason="content_policy_violation"
        )
    return BadGateway(f"The video could not be made: {state.error}. Nothing was charged.", spent=True)


async def _cancel(upstream: Upstream, attempt: Attempt, state: JobState) -> None:
    out = attempt.adapter.cancel_video(state.id, attempt.route, attempt.provider)
    with contextlib.suppress(Failure):
        await upstream.call(out, attempt.provider, _nothing)


def _nothing(_status: int, _headers: Mapping[str, str], _body: bytes, _provider: Provider) -> None:
    """Whatever the answer to a cancellation is, nobody waits for it."""
