"""Runs video jobs: each step is stored before the next, so that any worker can go on where another one left off, and each
job is settled exactly once.

    begun       the row is there, nothing was submitted: if its worker dies it fails, free
    submitted   the row has the provider's id: whoever takes it up polls on, fetches, stores and settles
    fetched     the row has the media id and the usage: what is left is to settle
    done, failed
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct, structs

from openpollen.accounts.limiter import Ticket
from openpollen.core.assets import JobState, Media, VideoRequest
from openpollen.core.errors import BadRequest, Conflict, GatewayError, InternalError, ServiceUnavailable
from openpollen.core.model import Route
from openpollen.core.money import format_pollen
from openpollen.core.patience import patiently
from openpollen.core.usage import Usage
from openpollen.generation import measure, order
from openpollen.generation.admit import Admission, Attempt
from openpollen.generation.call import Call, Heard
from openpollen.generation.order import Order
from openpollen.generation.remote import Remote, begin
from openpollen.generation.service import Held, Pipeline
from openpollen.ledger.entries import Hold, HoldRequest
from openpollen.ledger.pricing import UnpricedUsage
from openpollen.media.store import MediaStore
from openpollen.providers.failures import unreadable
from openpollen.storage.jobs import JobRow, Jobs

log = logging.getLogger("openpollen")

_BEAT_SECONDS = 1.0
#: How long the error of a failed job is kept for who waits for it here; the row keeps its words.
_ERROR_SECONDS = 60.0


class Work(Struct, frozen=True):
    """What another worker needs to go on with a job; ``request`` is without its pictures, ``route`` is set once the job
    was submitted."""

    order: Order
    request: VideoRequest
    hold: HoldRequest
    ticket: Ticket | None = None
    route: Route | None = None


class Outcome(Struct, frozen=True, omit_defaults=True):
    """What a fetched film used, and once it is settled what it cost. ``note`` says what of the prompt it does not show."""

    usage: Usage
    provider: str
    model: str
    cost: str | None = None
    note: str = ""


class _Job(Struct):
    """A job that this worker runs."""

    row: JobRow
    work: Work
    held: Held
    attempt: Attempt
    remote: Remote


class Runner:
    """The jobs that one worker runs."""

    def __init__(self, jobs: Jobs, pipeline: Pipeline, store: MediaStore) -> None:
        self._jobs = jobs
        self._pipeline = pipeline
        self._store = store
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._errors: dict[str, GatewayError] = {}
        self._unwanted: set[str] = set()
        self._stopping = False
        self._beating: asyncio.Task[None] | None = None

    async def start(self, row: JobRow, work: Work, call: Call, admission: Admission) -> None:
        """Holds the money and submits; the rest goes on by itself. Raises GatewayError; the job is gone then."""
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._run(row.id, self._begin(row, work, call, admission, started))
        await asyncio.shield(started)

    async def ended(self, job_id: str) -> bool:
        """Waits for the end of a job that runs here; false when it runs elsewhere or not at all."""
        task = self._tasks.get(job_id)
        if task is not None:
            await asyncio.wait({task})
        return task is not None

    def error(self, job_id: str) -> GatewayError | None:
        """Why a job that ran here failed."""
        return self._errors.get(job_id)

    async def drop(self, job_id: str) -> None:
        """Stops a job that is marked as cancelled, if it runs here."""
        if (task := self._tasks.get(job_id)) is not None:
            self._unwanted.add(job_id)
            task.cancel()
            await asyncio.wait({task})

    # -- the worker's life ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begins the beat that keeps this worker's jobs and takes up those of dead workers."""
        self._beating = asyncio.create_task(self._beat_on())

    async def stop(self) -> None:
        """Hands this worker's jobs over: another worker, or the next start, goes on with them."""
        self._stopping = True
        tasks = [*self._tasks.values(), *([self._beating] if self._beating else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def beat(self) -> None:
        """Renews the leases of this worker's jobs, stops what nobody wants, takes up what lost its worker."""
        look = await self._jobs.look(tuple(self._tasks))
        for job_id in look.cancelled | look.lost:
            if (task := self._tasks.get(job_id)) is not None and job_id not in self._unwanted:
                if job_id in look.cancelled:
                    self._unwanted.add(job_id)
                task.cancel()
        while look.orphans and (row := await self._jobs.claim_orphan()) is not None:
            self._run(row.id, self._resume(row))

    async def _beat_on(self) -> None:
        while True:
            try:
                await self.beat()
            except GatewayError as fault:
                log.warning("jobs could not be looked at: %s", fault.message)
            except Exception:
                log.exception("jobs could not be looked at")
            await asyncio.sleep(_BEAT_SECONDS)

    def _run(self, job_id: str, steps: Coroutine[Any, Any, None]) -> None:
        async def guarded() -> None:
            try:
                await steps
            except asyncio.CancelledError:
                pass  # the steps have handed the job over or ended it
            except Exception:
                log.exception("job %s is left to another worker", job_id)

        task = asyncio.create_task(guarded())
        self._tasks[job_id] = task
        task.add_done_callback(lambda _: self._forget(job_id))

    def _forget(self, job_id: str) -> None:
        self._tasks.pop(job_id, None)
        self._unwanted.discard(job_id)

    # -- a job's steps ----------------------------------------------------------------------------------------------

    async def _begin(
        self, row: JobRow, work: Work, call: Call, admission: Admission, started: asyncio.Future[None]
    ) -> None:
        held: Held | None = None
        job: _Job | None = None
        try:
            held = await self._pipeline.hold(call, admission, durable=True)
            attempt, state = await self._pipeline.routing.first(
                call, admission, partial(self._submit, call), begins=True
            )
            call.headers.update(attempt.told)
            row = structs.replace(row, provider=attempt.provider.name, upstream_id=state.id)
            work = structs.replace(work, ticket=held.ticket, route=attempt.route)
            job = _Job(row, work, held, attempt, self._remote(attempt, row))
            text = order.encode(work)
            noted = {"provider": row.provider, "upstream_id": row.upstream_id, "work": text}
            if not await patiently(lambda: self._jobs.update(row.id, **noted)):
                raise InternalError("The video was stopped before it began.")
        except BaseException as fault:
            await asyncio.shield(self._give_up(row, held) if job is None else self._drop(job))
            error = fault if isinstance(fault, GatewayError) else self._unstarted(row)
            started.set_exception(error)
            if not isinstance(fault, GatewayError):
                raise
            return
        started.set_result(None)
        await self._go_on(job, state)

    def _unstarted(self, row: JobRow) -> GatewayError:
        if row.id in self._unwanted:
            return Conflict("The video was deleted before it was begun; nothing was charged.", reason="deleted")
        return InternalError("The video could not be started; nothing was charged.")

    async def _submit(self, call: Call, attempt: Attempt, heard: Heard) -> tuple[Attempt, JobState]:
        assert isinstance(call.request, VideoRequest)
        return attempt, await begin(self._pipeline.upstream, attempt, call.request, heard)

    async def _give_up(self, row: JobRow, held: Held | None) -> None:
        """Ends a job that never was: the caller is told why."""
        if held is not None and (back := self._pipeline.release(held)) is not None:
            await back
        await self._jobs.forget(row.id)

    async def _resume(self, row: JobRow) -> None:
        """Goes on with a job that another worker left."""
        log.info("job %s is taken up, %s", row.id, "submitted" if row.upstream_id else "not yet submitted")
        try:
            work = order.decode(row.work or "", Work)
        except msgspec.DecodeError:
            held = await self._pipeline.resume(HoldRequest(row.request_id, row.user_id, 0), None)
            await self._fail(row, held, "This version cannot go on with the video; nothing was charged.")
            return
        held = await self._pipeline.resume(work.hold, work.ticket)
        if row.media_id is not None:
            await self._settle(row, work, held or Held(Hold(work.hold)))
            return
        paid = not work.order.price.free
        if held is None and paid:
            # It was ended before, or never had its hold: whatever was to be booked is booked.
            await self._fail(row, None, "The server restarted before the video was begun; nothing was charged.")
            return
        held = held or Held(Hold(work.hold))
        attempt = self.attempt(work)
        if row.upstream_id == "":
            # Its provider's only answer was the film itself, and went down with the worker.
            self._book(work)
            await self._fail(row, held, "The finished video was lost when the server stopped; nothing was charged.")
        elif row.upstream_id is None or work.route is None:
            await self._fail(row, held, "The server restarted before the video was begun; nothing was charged.")
        elif attempt is None:
            self._book(work)
            await self._fail(row, held, "The provider of this video is not configured any more; nothing was charged.")
        else:
            state = JobState(row.upstream_id, "running" if row.status == "running" else "queued", row.progress)
            job = _Job(row, work, held, attempt, self._remote(attempt, row))
            if row.cancelled:
                await self._drop(job)
            else:
                await self._go_on(job, state)

    async def _go_on(self, job: _Job, state: JobState) -> None:
        """From a submitted job to its end. A worker that stops hands it over."""
        row = job.row
        try:
            done = await job.remote.until_done(state, lambda seen: self._follow(job, seen))
            made = await job.remote.fetch(done, lambda media: self._bring(job, media))
            usage = await self._measured(job, made)
            self._pipeline.routing.ended(job.attempt, _seconds(row))
            ending = asyncio.ensure_future(self._keep(job, made, usage))
        except GatewayError as error:
            self._pipeline.routing.ended(job.attempt, _seconds(row), error)
            await self._broken(job, error)
            return
        except Exception:
            log.exception("job %s failed", row.id)
            await self._broken(job, InternalError("An internal error; nothing was charged."))
            return
        except asyncio.CancelledError:
            await asyncio.shield(self._interrupted(job))
            raise
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await ending
            if row.id in self._unwanted:
                await self._jobs.delete(row.id, row.user_id)

    async def _interrupted(self, job: _Job) -> None:
        if job.row.id in self._unwanted:
            await self._drop(job)
        elif self._stopping:
            await self._jobs.hand_over(job.row.id)

    async def _follow(self, job: _Job, state: JobState) -> None:
        progress = 99 if state.status == "done" else state.progress
        status = "running" if state.status in ("running", "done") else "queued"
        if (status, progress) == (job.row.status, job.row.progress):
            return
        try:
            mine = await self._jobs.update(job.row.id, status=status, progress=progress)
        except ServiceUnavailable as fault:  # told with the next look; the film goes on
            log.warning("the progress of job %s was not noted: %s", job.row.id, fault.message)
            return
        if not mine:
            raise asyncio.CancelledError  # another worker has it
        job.row = structs.replace(job.row, status=status, progress=progress)

    async def _bring(self, job: _Job, media: Media) -> Media:
        return await self._pipeline.maker.bytes_of(media, job.attempt.provider, "video/")

    async def _measured(self, job: _Job, made: Media) -> Usage:
        try:
            return await asyncio.to_thread(measure.measure_video, job.work.request, made, job.work.order.price)
        except BadRequest:
            raise unreadable("a file that cannot be played", job.attempt.provider).error from None

    async def _keep(self, job: _Job, made: Media, usage: Usage) -> None:
        """Stores the film, then settles: from the first on, any worker can do the second."""
        row = job.row
        stored = await patiently(lambda: self._store.put(made.assets[0].data, job.row.user_id, limit=False))
        outcome = Outcome(usage, job.attempt.provider.name, job.work.order.served_by, note=made.note)
        row = structs.replace(row, media_id=stored.id, result=order.encode(outcome))
        if await patiently(lambda: self._jobs.update(row.id, media_id=row.media_id, result=row.result)):
            await self._settle(row, job.work, job.held)

    async def _settle(self, row: JobRow, work: Work, held: Held) -> None:
        """Charges a fetched film, once: of two workers that do, one charges. A hold that is gone was settled before."""
        outcome = order.decode(row.result or "", Outcome)
        try:
            work.order.bill(outcome.usage)
        except UnpricedUsage as fault:
            log.error("%s: %s used %s without a price", row.id, work.order.model, fault.units)
            await self._fail(row, held, "The video used something that has no price; nothing was charged.")
            return
        if held.hold.legs or work.order.price.free:
            cost = (await self._pipeline.charge(work.order, held, outcome.usage, outcome.provider)).charged
        else:
            cost = await self._pipeline.charged(work.order)
        outcome = structs.replace(outcome, cost=format_pollen(cost))
        ending = order.encode(outcome)
        await patiently(lambda: self._jobs.update(row.id, status="done", progress=100, result=ending))

    async def _broken(self, job: _Job, error: GatewayError) -> None:
        """Ends a job that failed. What its provider finished, or may have, is booked."""
        billed = job.remote.done
        if error.reason == "job_timeout":
            billed = not await job.remote.cancel(job.row.upstream_id or "")
        if billed:
            self._book(job.work)
        self._errors[job.row.id] = error
        await self._fail(job.row, job.held, error.message)
        asyncio.get_running_loop().call_later(_ERROR_SECONDS, self._errors.pop, job.row.id, None)

    async def _drop(self, job: _Job) -> None:
        """Ends a job that its owner does not want any more."""
        stopped = job.row.upstream_id is None or await job.remote.cancel(job.row.upstream_id)
        if not stopped:
            self._book(job.work)
        if (back := self._pipeline.release(job.held)) is not None:
            await back
        await self._jobs.forget(job.row.id)

    async def _fail(self, row: JobRow, held: Held | None, why: str) -> None:
        if held is not None and (back := self._pipeline.release(held)) is not None:
            await back
        if row.cancelled:
            await self._jobs.forget(row.id)
        else:
            await self._jobs.update(row.id, status="failed", error=why)

    def _book(self, work: Work) -> None:
        """What its provider finished, or may have, and the caller does not get."""
        if work.route is not None:
            usage = measure.assumed_video(work.request, work.order.price)
            self._pipeline.book(work.order, work.route.provider, usage)

    def _remote(self, attempt: Attempt, row: JobRow) -> Remote:
        return Remote(self._pipeline.upstream, attempt, row.created_at / 1000 + self._pipeline.job_seconds)

    def attempt(self, work: Work) -> Attempt | None:
        """The route that a job was submitted on, if it can still be spoken to."""
        if work.route is None:
            return None
        provider = self._pipeline.registry.providers.get(work.route.provider)
        adapter = self._pipeline.adapter(provider) if provider is not None and provider.live else None
        return None if provider is None or adapter is None else Attempt(work.route, provider, adapter)


def _seconds(row: JobRow) -> float:
    """How long ago a job was asked for."""
    return time.time() - row.created_at / 1000
