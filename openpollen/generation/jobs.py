"""Videos as jobs (rule 19): a row and, for paid ones, a stored hold that outlive the request and the worker. What callers
ask of them; ``job_runner`` does the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import structs

from openpollen.core.assets import Asset, Media, VideoRequest
from openpollen.core.errors import BadGateway, Conflict
from openpollen.core.money import parse_pollen
from openpollen.generation import order
from openpollen.generation.admit import Admission
from openpollen.generation.call import Call, Result
from openpollen.generation.job_runner import Outcome, Runner, Work
from openpollen.generation.order import Order
from openpollen.generation.prompt import Prompts
from openpollen.generation.service import Pipeline
from openpollen.ledger.entries import HoldRequest
from openpollen.media.store import MediaStore
from openpollen.storage.jobs import JobRow, Jobs

#: Jobs of the Videos API, and those that a GET waits for.
KIND, WAITED = "video", "film"
_STATUS = {"queued": "queued", "running": "in_progress", "done": "completed", "failed": "failed"}
_LOOK_SECONDS = 0.2
#: Seconds beyond a job's deadline in which whoever runs it surely ends it.
_GRACE_SECONDS = 60.0


class VideoJobs:
    """Starts, shows and ends the video jobs of callers."""

    def __init__(self, jobs: Jobs, pipeline: Pipeline, prompts: Prompts, store: MediaStore) -> None:
        self._jobs = jobs
        self._pipeline = pipeline
        self._prompts = prompts
        self._store = store
        self._runner = Runner(jobs, pipeline, store)

    async def start(self, call: Call, admission: Admission, kind: str = KIND) -> JobRow:
        """Stores a job and begins it: money is held and the provider has taken it when this returns. Raises GatewayError
        when not; the job does not exist then and nothing is charged."""
        request = call.request
        assert isinstance(request, VideoRequest)
        if call.safe:
            await self._prompts.check_prompt(call, admission)
        described = {
            "model": call.model.name,
            "prompt": request.prompt,
            "seconds": f"{request.seconds:g}",
            "size": f"{request.width}x{request.height}",
        }
        caller = call.caller
        hold = HoldRequest(
            call.id,
            caller.user.id,
            0,
            caller.budgets,
            admission.paid_only,
            max_cost=call.max_cost,
            durable=True,
            markup=caller.markup,
        )
        work = Work(Order.of(call, admission), structs.replace(request, images=()), hold)
        text = msgspec.json.encode(described).decode()
        row = await self._jobs.create(kind, caller.user.id, caller.key_id, text, call.id, order.encode(work))
        await self._runner.start(row, work, call, admission)
        return row

    async def make(self, call: Call, admission: Admission) -> Result:
        """A film, waited for. It is finished, paid and kept also when nobody waits any more. Raises GatewayError."""
        return await self.wait(await self.start(call, admission, WAITED))

    async def wait(self, row: JobRow) -> Result:
        """The result of a job, whichever worker runs it. Raises GatewayError when it fails."""
        deadline = asyncio.get_running_loop().time() + self._pipeline.job_seconds + _GRACE_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if not await self._runner.ended(row.id):
                await asyncio.sleep(_LOOK_SECONDS)
            row = await self._jobs.get(row.id, row.user_id)
            if row.status == "failed":
                raise self._runner.error(row.id) or BadGateway(row.error or "The video could not be made.")
            if row.status == "done":
                return await self._result(row)
        raise BadGateway("The video did not come to its end.", reason="job_lost")

    async def get(self, job_id: str, user_id: str) -> JobRow:
        return await self._jobs.get(job_id, user_id)

    async def of_request(self, request_id: str) -> JobRow | None:
        """The job that an earlier request began, for one that repeats it."""
        return await self._jobs.of_request(request_id)

    async def list(self, user_id: str, limit: int, after: str | None, *, oldest: bool = False) -> Sequence[JobRow]:
        return await self._jobs.list(user_id, kind=KIND, limit=limit, after=after, oldest=oldest)

    async def delete(self, job_id: str, user_id: str) -> None:
        """Forgets a job: a finished one at once, an open one as soon as whoever runs it has stopped it. Raises
        NotFound."""
        await self._jobs.get(job_id, user_id)
        if not await self._jobs.cancel(job_id, user_id):
            await self._jobs.delete(job_id, user_id)
        else:
            await self._runner.drop(job_id)

    async def content(self, job_id: str, user_id: str) -> tuple[Asset, str]:
        """The finished video, and what of the prompt it does not show. Raises NotFound, Conflict while it is not ready."""
        job = await self._jobs.get(job_id, user_id)
        if job.status != "done" or job.media_id is None:
            raise Conflict(f"The video is {_STATUS[job.status]}; its content is there when it is completed.")
        stored, data = await self._store.get(job.media_id)
        note = order.decode(job.result, Outcome).note if job.result else ""
        return Asset(data, stored.content_type), note

    def begin(self) -> None:
        """Begins to keep this worker's jobs and to take up those of dead workers."""
        self._runner.begin()

    async def sweep(self) -> int:
        """Forgets jobs that ended long ago and returns how many."""
        return await self._jobs.sweep()

    async def stop(self) -> None:
        """Hands this worker's jobs over to other workers, or to the next start."""
        await self._runner.stop()

    async def _result(self, row: JobRow) -> Result:
        """A finished job's film as the pipeline's result."""
        work, outcome = order.decode(row.work or "", Work), order.decode(row.result or "", Outcome)
        stored, data = await self._store.get(row.media_id or "")
        attempt = self._runner.attempt(work)
        if attempt is None:
            raise BadGateway("The provider of this video is not configured any more.", reason="job_lost")
        media = Media((Asset(data, stored.content_type),), note=outcome.note)
        cost = parse_pollen(outcome.cost or "0")
        return Result(media, outcome.usage, attempt.route, attempt.provider, outcome.model, cost)


def shown(job: JobRow) -> dict[str, Any]:
    """A job in the shape of OpenAI's Videos API."""
    described: dict[str, Any] = msgspec.json.decode(job.request)
    body: dict[str, Any] = {
        "id": job.id,
        "object": "video",
        "created_at": job.created_at // 1000,
        "status": _STATUS[job.status],
        "progress": job.progress,
        **described,
        "error": None if job.error is None else {"code": "failed", "message": job.error},
        "completed_at": job.updated_at // 1000 if job.status == "done" else None,
    }
    if job.result is not None and job.status == "done":
        outcome = order.decode(job.result, Outcome)
        body["usage"] = {"pollen_cost": outcome.cost}
        body["served_by"] = outcome.model
        if outcome.note:
            body["note"] = outcome.note
    return body
