"""Videos as jobs (rule 19): a row that outlives the request, worked on by one worker, its result in the media store.

A worker that stops leaves its jobs behind; they end as failed, nothing charged, when another finds them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from openpollen.core.assets import JobState, Media, VideoRequest
from openpollen.core.errors import Conflict, GatewayError, InternalError
from openpollen.core.money import format_pollen
from openpollen.generation.admit import Admission, Attempt
from openpollen.generation.call import Call
from openpollen.generation.prompt import Prompts
from openpollen.generation.service import Pipeline
from openpollen.media.store import MediaStore
from openpollen.storage.jobs import JobRow, Jobs

log = logging.getLogger("openpollen")

KIND = "video"
_STATUS = {"queued": "queued", "running": "in_progress", "done": "completed", "failed": "failed"}


class VideoJobs:
    """Starts, shows and ends the video jobs of callers."""

    def __init__(self, jobs: Jobs, pipeline: Pipeline, prompts: Prompts, store: MediaStore) -> None:
        self._jobs = jobs
        self._pipeline = pipeline
        self._prompts = prompts
        self._store = store
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self, call: Call, admission: Admission) -> JobRow:
        """Stores a job and begins it. The call was admitted; money is held when its turn comes, and a refusal of it is
        raised here, before the job exists."""
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
        text = msgspec.json.encode(described).decode()
        job = await self._jobs.create(KIND, call.caller.user.id, call.caller.key_id, text, call.id)
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._run(job, call, admission, started))
        self._tasks[job.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.id, None))
        await started
        return job

    async def get(self, job_id: str, user_id: str) -> JobRow:
        return await self._jobs.get(job_id, user_id)

    async def list(self, user_id: str, limit: int, after: str | None) -> Sequence[JobRow]:
        return await self._jobs.list(user_id, kind=KIND, limit=limit, after=after)

    async def delete(self, job_id: str, user_id: str) -> None:
        """Stops an open job of this worker, or forgets a finished one. Raises NotFound, Conflict."""
        job = await self._jobs.get(job_id, user_id)
        task = self._tasks.get(job_id)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        elif job.status in ("queued", "running"):
            raise Conflict("The job is still running on another worker; delete it when it has ended.")
        await self._jobs.delete(job_id, user_id)

    async def content(self, job_id: str, user_id: str) -> tuple[bytes, str]:
        """The finished video and its media type. Raises NotFound, Conflict while it is not ready."""
        job = await self._jobs.get(job_id, user_id)
        if job.status != "done" or job.media_id is None:
            raise Conflict(f"The video is {_STATUS[job.status]}; its content is there when it is completed.")
        stored, data = await self._store.get(job.media_id)
        return data, stored.content_type

    async def stop(self) -> None:
        """Ends this worker's jobs; each releases its money and its provider's work."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def end_orphans(self) -> int:
        """Fails the jobs whose worker is gone. Their money went back when its holds were reclaimed."""
        ended = 0
        while (orphan := await self._jobs.claim_orphan(KIND)) is not None:
            await self._jobs.update(orphan.id, status="failed", error="the server restarted; nothing was charged")
            ended += 1
        return ended

    async def _run(self, job: JobRow, call: Call, admission: Admission, started: asyncio.Future[None]) -> None:
        async def follow(attempt: Attempt, state: JobState) -> None:
            if not started.done():
                started.set_result(None)
            progress = 99 if state.status == "done" else state.progress
            status = "running" if state.status in ("running", "done") else "queued"
            await self._jobs.update(
                job.id, status=status, progress=progress, provider=attempt.provider.name, upstream_id=state.id
            )

        try:
            result = await self._pipeline.run(call, admission, follow)
            assert isinstance(result.made, Media)
            stored = await self._store.put(result.made.assets[0].data, call.caller.user.id, limit=False)
            outcome = {"cost": format_pollen(result.cost), "model": result.served_by}
            text = msgspec.json.encode(outcome).decode()
            await self._jobs.update(job.id, status="done", progress=100, media_id=stored.id, result=text)
        except GatewayError as error:
            await self._jobs.update(job.id, status="failed", error=error.message)
            if not started.done():
                started.set_exception(error)
        except asyncio.CancelledError:
            await asyncio.shield(self._jobs.update(job.id, status="failed", error="cancelled"))
            raise
        except Exception:
            log.exception("job %s failed", job.id)
            await self._jobs.update(job.id, status="failed", error="an internal error; nothing was charged")
            if not started.done():
                started.set_exception(InternalError(f"The video could not be started; request {call.id}."))
        finally:
            if not started.done():
                started.set_result(None)


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
    if job.result is not None:
        outcome: dict[str, Any] = msgspec.json.decode(job.result)
        body["usage"] = {"pollen_cost": outcome["cost"]}
        body["served_by"] = outcome["model"]
    return body
