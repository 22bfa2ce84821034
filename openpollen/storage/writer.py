"""The one thread of a process that writes. Writes that wait together share one commit, and so one wait for the disk."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection

from openpollen.core.errors import ServiceUnavailable
from openpollen.storage import faults
from openpollen.storage.dialect import Dialect, Driver, Handler, OutcomeUnknownError, Session, operational

log = logging.getLogger("openpollen")

#: Writes in one commit at most: bounds how long other processes are locked out.
_BATCH = 512
_LAZY_GAP = 0.005
_FEW = 4
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
#: How long what must not be lost is still tried when the writer is stopped, in seconds.
_LAST_TRIES = 1.0


class Job(Struct, eq=False):
    """One queued write and where its outcome goes: a transaction ``fn``, or an ``item`` for a ``handler``. One that
    ``must`` happen stays in the queue through faults of operation; if it fails all the same, ``lost`` is told."""

    future: asyncio.Future[Any] | Future[Any]
    loop: asyncio.AbstractEventLoop | None
    fn: Callable[[Connection], Any] | None = None
    handler: Handler[Any, Any] | None = None
    item: Any = None
    lazy: bool = False
    must: bool = False
    lost: Callable[[Any, Exception], None] | None = None
    value: Any = None
    error: Exception | None = None
    at: float = 0.0
    done: bool = False

    def finish(self, outcome: Any) -> None:
        if isinstance(outcome, Exception):
            self.error = outcome
        else:
            self.value, self.error = outcome, None


class Writer:
    """Runs jobs in the order they came, but those of one handler together. A bad one fails alone.

    A lazy job is one that nobody waits for: it goes along with the next commit, ``_LAZY_GAP`` seconds later at most.
    After a fault of operation the jobs that must happen are tried again, in order and before any other; the rest of
    their transaction fails.
    """

    def __init__(self, dialect: Dialect, *, commit_gap: float) -> None:
        self._dialect = dialect
        self._commit_gap = commit_gap
        self._queue: deque[Job] = deque()
        self._musts: deque[Job] = deque()
        self._again: list[Job] = []
        self._doubt: tuple[str, Sequence[Job]] | None = None
        self._fault: ServiceUnavailable | None = None
        self._wake = threading.Event()
        self._urgent = False
        self._patient = False
        self._stopped = False
        self._give_up_at = 0.0
        self._session: Session | None = None
        self._thread = threading.Thread(target=self._loop, name="database-write", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        if self._stopped:
            raise ServiceUnavailable("The server is stopping. Try again in a moment.", retry_after=2)
        if job.must:
            job.at = time.monotonic()
            self._musts.append(job)
        if not job.lazy:
            self._urgent = True
        self._queue.append(job)
        if not (job.lazy and self._patient) and not self._wake.is_set():
            self._wake.set()

    def congested(self, most: int, seconds: float) -> bool:
        """Whether so many jobs that must happen wait, or the oldest for longer."""
        musts = self._musts
        while musts and musts[0].done:
            musts.popleft()
        return bool(musts) and (len(musts) >= most or time.monotonic() - musts[0].at > seconds)

    @property
    def waiting(self) -> int:
        """How many jobs that must happen wait."""
        self._forget_done()
        return len(self._musts)

    @property
    def oldest_wait(self) -> float:
        """For how long the oldest of them waits, in seconds."""
        self._forget_done()
        return time.monotonic() - self._musts[0].at if self._musts else 0.0

    def _forget_done(self) -> None:
        """Run by those who queue, never by the writing thread, so that nothing needs a lock."""
        while self._musts and self._musts[0].done:
            self._musts.popleft()

    def stop(self) -> None:
        """Finishes what is queued and ends the thread."""
        if not self._stopped:
            self._give_up_at = time.monotonic() + _LAST_TRIES
            self._stopped = True
            self._wake.set()
            self._thread.join()

    def _loop(self) -> None:
        committed = pause = 0.0
        gathered = 0
        while True:
            self._wake.wait()
            self._wake.clear()
            if not self._stopped:
                if not self._urgent:
                    self._wait_for_company()
                # Under load it pays to gather; a lone caller would only wait, and so would a full batch.
                gap = self._commit_gap if gathered > _FEW else self._commit_gap / 4
                wait = committed + gap - time.monotonic() if len(self._queue) < _BATCH else 0
                if wait > 0:
                    time.sleep(wait)
            self._urgent = False
            gathered = self._turn()
            committed = time.monotonic()
            held_up = self._fault is not None and (self._queue or self._doubt)
            pause = min(max(pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE) if held_up else 0
            if pause:
                time.sleep(pause)
            if self._queue or self._doubt:
                self._urgent = True
                self._wake.set()
            elif self._stopped:
                self._disconnect()
                return

    def _wait_for_company(self) -> None:
        """Lets lazy jobs gather until one comes that somebody waits for, or their time is up."""
        self._patient = True
        self._wake.wait(_LAZY_GAP)
        self._patient = False
        self._wake.clear()

    def _turn(self) -> int:
        """Runs one batch of the queue, after any whose outcome is open. Returns how many jobs were taken."""
        self._fault = None
        if self._doubt is not None:
            _deliver(self._find_out(*self._doubt))
            self._put_back()
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH))]
        if self._doubt is not None and self._fault is not None:
            _deliver(self._put_off(batch, self._fault))
        else:
            self._fault = None
            _deliver(self._run(batch))
        if self._fault is not None and (self._again or self._doubt):
            # Nobody waits behind what is held up: all that may fail is told now.
            rest = [self._queue.popleft() for _ in range(len(self._queue))]
            _deliver(self._put_off(rest, self._fault))
        self._put_back()
        return len(batch)

    def _run(self, batch: Sequence[Job]) -> Sequence[Job]:
        """Runs jobs as one transaction, or in parts where one is bad. Returns those that are over."""
        if not batch:
            return batch
        try:
            self._transact(batch)
        except OutcomeUnknownError as error:
            self._disconnect()
            return self._find_out(error.mark, batch)
        except Exception as error:
            if (fault := operational(self._dialect, error)) is not None:
                self._disconnect()
                return self._put_off(batch, fault)
            if len(batch) == 1:
                batch[0].finish(self._dialect.translate(error))
                return batch
            middle = len(batch) // 2
            first = self._run(batch[:middle])
            if self._fault is not None:  # what came later must not be written earlier
                return [*first, *self._put_off(batch[middle:], self._fault)]
            return [*first, *self._run(batch[middle:])]
        return batch

    def _put_off(self, batch: Sequence[Job], fault: ServiceUnavailable) -> Sequence[Job]:
        """After a fault of operation: what must happen is tried again later, the rest is over."""
        self._fault = fault
        again = [] if self._give_up else [job for job in batch if job.must]
        over = [job for job in batch if not (job.must and again)]
        self._again += again
        for job in over:
            job.finish(fault)
            if job.must:
                log.error("not written, and lost with this process: %s (%s)", type(job.item).__name__, fault.message)
        return over

    def _put_back(self) -> None:
        self._queue.extendleft(reversed(self._again))
        self._again = []

    def _find_out(self, mark: str, batch: Sequence[Job]) -> Sequence[Job]:
        """The connection was lost during COMMIT: asks the database how it ended. While it does not answer, what must
        happen waits, neither written again nor given up."""
        self._doubt = None
        try:
            session, _ = self._begin()
            happened = session.committed(mark)
            session.rollback()
        except Exception as error:
            self._disconnect()
            log.warning("the outcome of a commit is not known yet: %s", self._dialect.translate(error))
            over = self._put_off(batch, faults.unknown())
            self._doubt = (mark, self._again) if self._again else None
            self._again = []
            return over
        return batch if happened else self._put_off(batch, faults.not_written())

    @property
    def _give_up(self) -> bool:
        return self._stopped and time.monotonic() > self._give_up_at

    def _transact(self, batch: Sequence[Job]) -> None:
        session, driver = self._begin()
        try:
            for handler, jobs in _by_handler(batch):
                outcomes = handler(driver, [job.item for job in jobs])
                for job, outcome in zip(jobs, outcomes, strict=True):
                    job.finish(outcome)
            for job in batch:
                if job.fn is not None and len(batch) == 1:
                    job.finish(job.fn(session.connection))
                elif job.fn is not None:
                    self._run_alone(session, driver, job, job.fn)
        except BaseException:
            self._undo(session)
            raise
        try:
            session.commit()
        except OutcomeUnknownError:
            raise
        except BaseException:
            self._undo(session)
            raise

    def _run_alone(self, session: Session, driver: Driver, job: Job, fn: Callable[[Connection], Any]) -> None:
        driver.execute("SAVEPOINT alone")
        try:
            job.finish(fn(session.connection))
        except Exception as error:
            if not session.active:  # the database itself gave up the transaction, as on a full disk
                raise
            driver.execute("ROLLBACK TO SAVEPOINT alone")
            job.finish(self._dialect.translate(error))
        driver.execute("RELEASE SAVEPOINT alone")

    def _begin(self) -> tuple[Session, Driver]:
        """Begins a transaction, on a new connection where the old one was cut while it was idle."""
        if self._session is not None:
            try:
                return self._session, self._session.begin()
            except Exception as error:
                if not self._dialect.lost(error):
                    raise
                self._disconnect()
        session = self._session = self._dialect.session()
        return session, session.begin()

    def _undo(self, session: Session) -> None:
        try:
            session.rollback()
        except Exception:
            self._disconnect()

    def _disconnect(self) -> None:
        """Drops the connection after a fault: the next transaction starts from a fresh one."""
        if self._session is not None:
            self._session.close()
            self._session = None


def _by_handler(batch: Sequence[Job]) -> Iterable[tuple[Handler[Any, Any], list[Job]]]:
    groups: dict[Any, list[Job]] = {}
    last, group = None, list[Job]()
    for job in batch:
        if job.handler is None:
            continue
        if job.handler is not last:
            last, group = job.handler, groups.setdefault(job.handler, [])
        group.append(job)
    return groups.items()


def _deliver(over: Sequence[Job]) -> None:
    loops: dict[asyncio.AbstractEventLoop | None, list[Job]] = {}
    last, group = None, list[Job]()
    for job in over:
        job.done = True
        if job.loop is not last or last is None:
            last, group = job.loop, loops.setdefault(job.loop, [])
        group.append(job)
    for loop, jobs in loops.items():
        if loop is None:
            _resolve(jobs)
        elif not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, jobs)


def _resolve(jobs: Sequence[Job]) -> None:
    for job in jobs:
        if job.error is not None and job.lost is not None:
            job.lost(job.item, job.error)
        if job.future.done():  # its task was cancelled; the write happened all the same
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.value)
