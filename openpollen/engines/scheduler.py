"""Who computes when: one first-come queue for all local engines, and a memory budget over the loaded ones.

Everything here runs on the event loop except engine calls, which run in worker threads. A job passes three gates:

    admit (a place in the queue, else 429)  ->  a free engine and free threads  ->  memory (idle engines make room)

An engine runs one job at a time. A job behind a busy engine lets others pass; nothing passes a job that waits for threads.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from openpollen.core.errors import RateLimited
from openpollen.engines.base import Cancelled, CancelToken, Engine
from openpollen.engines.memory import MemoryBudget

T = TypeVar("T")

#: Job times remembered for Retry-After, and the guess in seconds before there are any.
_REMEMBERED = 20
_FIRST_GUESS = 5.0


@dataclass(eq=False)
class Job:
    """One call of one engine. ``weight`` is the number of threads it computes with."""

    engine: Engine
    weight: int
    token: CancelToken = field(default_factory=CancelToken)
    turn: asyncio.Event = field(default_factory=asyncio.Event)
    started: bool = False


class Scheduler:
    """Admits, orders and runs jobs. ``threads`` compute at once; ``queue_size`` jobs may wait beside those that run."""

    def __init__(self, *, threads: int, queue_size: int, memory_mb: int) -> None:
        self.memory = MemoryBudget(memory_mb)
        self._threads = threads
        self._queue_size = queue_size
        self._waiting: list[Job] = []
        self._running: set[Job] = set()
        self._times: deque[float] = deque(maxlen=_REMEMBERED)
        self._workers = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="engine")

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        return len(self._running)

    def admit(self, engine: Engine) -> Job:
        """A place in the queue for one job; RateLimited with Retry-After when there is none. ``run`` it, or ``drop``."""
        job = Job(engine, min(int(getattr(engine, "threads", 1)), self._threads))
        self._waiting.append(job)
        self._start_next()
        if not job.started and len(self._waiting) > self._queue_size:
            self._waiting.remove(job)
            after = self._retry_after()
            raise RateLimited(
                f"The local engines are busy: {self.running} jobs run and {self._queue_size} wait. "
                f"Try again in {after} s.",
                reason="engine_queue_full",
                retry_after=after,
            )
        return job

    def drop(self, job: Job) -> None:
        """Give up a job: a waiting one leaves the queue, a running one is told to stop."""
        job.token.cancel()
        if job in self._waiting:
            self._waiting.remove(job)
            job.turn.set()

    async def run(self, job: Job, work: Callable[[CancelToken], T]) -> T:
        """Wait for the job's turn, load its engine, and do ``work`` in a thread.

        When the awaiting task is cancelled, the work is told to stop and its place is free once it has.
        """
        try:
            await job.turn.wait()
        except asyncio.CancelledError:
            self._leave(job)
            raise
        if job.token.cancelled:
            self._leave(job)
            raise Cancelled
        finished = asyncio.ensure_future(self._work(job, work))
        try:
            return await asyncio.shield(finished)
        except asyncio.CancelledError:
            job.token.cancel()
            finished.add_done_callback(_retrieve)
            raise

    async def _work(self, job: Job, work: Callable[[CancelToken], T]) -> T:
        loop = asyncio.get_running_loop()
        begun = time.monotonic()
        try:
            await self.memory.make_ready(job.engine, job.token)
            result = await loop.run_in_executor(self._workers, work, job.token)
            self._times.append(time.monotonic() - begun)
            return result
        finally:
            self.memory.release(job.engine)
            self._leave(job)

    def close(self) -> None:
        """Tell every job to stop; running ones end at their next look at the token."""
        for job in [*self._waiting, *self._running]:
            self.drop(job)
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _leave(self, job: Job) -> None:
        self._running.discard(job)
        if job in self._waiting:
            self._waiting.remove(job)
        self._start_next()

    def _start_next(self) -> None:
        busy = {id(job.engine) for job in self._running}
        free = self._threads - sum(job.weight for job in self._running)
        for job in list(self._waiting):
            if id(job.engine) in busy:
                continue
            if job.weight > free:
                return
            self._waiting.remove(job)
            self._running.add(job)
            busy.add(id(job.engine))
            free -= job.weight
            job.started = True
            job.turn.set()

    def _retry_after(self) -> int:
        """Whole seconds until a place is likely free: the mean of recent jobs over the number that run at once."""
        mean = sum(self._times) / len(self._times) if self._times else _FIRST_GUESS
        return max(1, math.ceil(mean / max(1, self.running)))


def _retrieve(task: asyncio.Future[T]) -> None:
    """Look at the outcome of work that nobody waits for any more, so that it is not reported as lost."""
    if not task.cancelled():
        task.exception()
