"""Video jobs in OpenAI's shape: queued, in progress, completed or failed; finished files kept within bounds."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from openpollen.core.errors import NotFound
from openpollen.engines.base import Cancelled, CancelToken, VideoEngine, VideoJob, VideoMade
from openpollen.engines.host_errors import error_body
from openpollen.engines.scheduler import Job, Scheduler

Status = Literal["queued", "in_progress", "completed", "failed"]

#: Bounds on finished jobs: how many, their bytes, and seconds since they ended.
KEEP_JOBS = 64
KEEP_BYTES = 128 << 20
KEEP_SECONDS = 3600


@dataclass(eq=False)
class Video:
    """One job. ``progress`` runs from 0 to 100; times are seconds since the epoch."""

    model: str
    job: VideoJob
    id: str = field(default_factory=lambda: "video_" + secrets.token_hex(12))
    created_at: float = field(default_factory=time.time)
    ended_at: float | None = None
    status: Status = "queued"
    progress: int = 0
    made: VideoMade | None = None
    error: dict[str, Any] | None = None
    task: asyncio.Task[None] | None = None

    @property
    def size(self) -> int:
        return len(self.made.data) if self.made else 0

    def told(self) -> dict[str, Any]:
        """The job as the caller sees it."""
        made = self.made
        width, height = (made.width, made.height) if made else (self.job.width, self.job.height)
        return {
            "id": self.id,
            "object": "video",
            "model": self.model,
            "status": self.status,
            "progress": self.progress,
            "created_at": int(self.created_at),
            "completed_at": int(self.ended_at) if made and self.ended_at else None,
            "seconds": f"{made.seconds if made else self.job.seconds:g}",
            "size": f"{width}x{height}",
            "fps": made.fps if made else self.job.fps,
            "seed": made.seed if made else self.job.seed,
            "error": self.error,
        }


class VideoJobs:
    """All jobs of one host, in memory. Belongs to one event loop."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._videos: dict[str, Video] = {}

    def submit(self, engine: VideoEngine, job: VideoJob) -> Video:
        """Queue a job; RateLimited when the queue is full."""
        place = self._scheduler.admit(engine)
        video = Video(engine.name, job)
        self._videos[video.id] = video
        video.task = asyncio.create_task(self._make(engine, place, video))
        return video

    def get(self, video_id: str) -> Video:
        self._forget_old()
        video = self._videos.get(video_id)
        if video is None:
            raise NotFound(
                f"There is no video job {video_id}; finished files are kept for {KEEP_SECONDS // 60} minutes."
            )
        return video

    def all(self) -> list[Video]:
        """Newest first."""
        self._forget_old()
        return list(reversed(self._videos.values()))

    def delete(self, video_id: str) -> None:
        """Forget a job; one that has not ended is cancelled."""
        video = self.get(video_id)
        del self._videos[video_id]
        if video.task:
            video.task.cancel()

    async def _make(self, engine: VideoEngine, place: Job, video: Video) -> None:
        loop = asyncio.get_running_loop()

        def progress(part: float) -> None:
            loop.call_soon_threadsafe(self._progress, video, part)

        def generate(token: CancelToken) -> VideoMade:
            video.status = "in_progress"
            return engine.generate(video.job, token, progress)

        try:
            video.made = await self._scheduler.run(place, generate)
            video.status, video.progress = "completed", 100
        except Cancelled:
            return
        except Exception as error:
            video.status, video.error = "failed", error_body(error)["error"]
        video.ended_at = time.time()
        self._forget_old()

    @staticmethod
    def _progress(video: Video, part: float) -> None:
        if video.status == "in_progress":
            video.progress = max(video.progress, min(99, int(part * 100)))

    def _forget_old(self) -> None:
        ended = sorted((v for v in self._videos.values() if v.ended_at is not None), key=lambda v: v.ended_at or 0)
        size, count, now = sum(video.size for video in ended), len(ended), time.time()
        for video in ended:
            old = now - (video.ended_at or now) > KEEP_SECONDS
            if not old and size <= KEEP_BYTES and count <= KEEP_JOBS:
                break
            del self._videos[video.id]
            size, count = size - video.size, count - 1
