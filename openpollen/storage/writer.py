"""The one thread of a process that writes. Writes that wait together share one commit, and so one wait for the disk."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import Connection, Engine

from openpollen.core.errors import ServiceUnavailable
from openpollen.storage.faults import translate

ItemT_contra = TypeVar("ItemT_contra", contravariant=True)
ResultT_co = TypeVar("ResultT_co", covariant=True)

#: Writes in one commit at most: bounds how long the file is locked for other processes.
_BATCH = 256
_LAZY_GAP = 0.005
_FEW = 4
_LOCK_RETRY_SECONDS = 0.0005


class Cursor(Protocol):
    """The part of a driver's cursor that is used."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Driver(Protocol):
    """A driver connection inside the writing transaction. Statements are standard SQL with ``?`` for values."""

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor: ...
    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor: ...
    def now(self) -> int: ...


class Handler(Protocol[ItemT_contra, ResultT_co]):
    """Takes all items that wait for it and answers with one result or exception for each, in order. Raising undoes
    them all."""

    def __call__(self, driver: Driver, items: Sequence[ItemT_contra], /) -> Sequence[ResultT_co | Exception]: ...


class Job:
    """One queued write and where its outcome goes: a transaction ``fn``, or an ``item`` for a ``handler``."""

    __slots__ = ("error", "fn", "future", "handler", "item", "lazy", "loop", "value")

    def __init__(
        self,
        future: asyncio.Future[Any] | Future[Any],
        loop: asyncio.AbstractEventLoop | None,
        *,
        fn: Callable[[Connection], Any] | None = None,
        handler: Handler[Any, Any] | None = None,
        item: Any = None,
        lazy: bool = False,
    ) -> None:
        self.future, self.loop, self.fn, self.handler, self.item = future, loop, fn, handler, item
        self.lazy = lazy
        self.value: Any = None
        self.error: Exception | None = None

    def finish(self, outcome: Any) -> None:
        if isinstance(outcome, Exception):
            self.error = outcome
        else:
            self.value, self.error = outcome, None


class Writer:
    """Runs jobs in the order they came, but those of one handler together. A bad one fails alone.

    A lazy job is one that nobody waits for: it goes along with the next commit, ``_LAZY_GAP`` seconds later at most.
    """

    def __init__(self, engine: Engine, *, busy_seconds: float, commit_gap: float) -> None:
        self._engine = engine
        self._busy_seconds = busy_seconds
        self._commit_gap = commit_gap
        self._queue: deque[Job] = deque()
        self._wake = threading.Event()
        self._patient = False
        self._stopped = False
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._loop, name="database-write", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        if self._stopped:
            raise ServiceUnavailable("The server is stopping. Try again in a moment.", retry_after=2)
        self._queue.append(job)
        if not (job.lazy and self._patient):
            self._wake.set()

    def stop(self) -> None:
        """Finishes what is queued and ends the thread."""
        if not self._stopped:
            self._stopped = True
            self._wake.set()
            self._thread.join()

    def _loop(self) -> None:
        committed = 0.0
        gathered = 0
        while True:
            self._wake.wait()
            self._wake.clear()
            if not self._stopped:
                if all(job.lazy for job in tuple(self._queue)):
                    self._wait_for_company()
                # Under load it pays to gather; a lone caller would only wait.
                gap = self._commit_gap if gathered > _FEW else self._commit_gap / 4
                wait = committed + gap - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH))]
            self._run(batch)
            committed = time.monotonic()
            gathered = len(batch)
            _deliver(batch)
            if self._queue:
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

    def _run(self, batch: Sequence[Job]) -> None:
        if not batch:
            return
        try:
            connection = self._connect()
            self._transact(connection, cast(Any, connection.connection.driver_connection), batch)
        except Exception as error:
            self._disconnect()
            fault = translate(error)
            if len(batch) > 1 and fault is error:
                for job in batch:
                    self._run((job,))
            else:
                for job in batch:
                    job.finish(fault)

    def _transact(self, connection: Connection, driver: Any, batch: Sequence[Job]) -> None:
        self._begin(driver)
        try:
            for handler, jobs in _by_handler(batch):
                outcomes = handler(driver, [job.item for job in jobs])
                for job, outcome in zip(jobs, outcomes, strict=True):
                    job.finish(outcome)
            for job in batch:
                if job.fn is not None:
                    _run_alone(connection, driver, job, job.fn)
            driver.commit()
        except BaseException:
            driver.rollback()
            raise
        if connection.in_transaction():
            connection.rollback()  # undoes nothing: it ends the transaction as SQLAlchemy sees it

    def _connect(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
            self._connection.exec_driver_sql("PRAGMA busy_timeout = 0")  # ``_begin`` does the waiting
            self._connection.rollback()
        return self._connection

    def _disconnect(self) -> None:
        """Drops the connection after a fault: the next transaction starts from a fresh one."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _begin(self, driver: sqlite3.Connection) -> None:
        """Takes the write lock. SQLite's own waiting backs off to 100 ms and starves a busy process; a short even
        pause is fair."""
        deadline = time.monotonic() + self._busy_seconds
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                    raise
            time.sleep(_LOCK_RETRY_SECONDS)


def _run_alone(connection: Connection, driver: sqlite3.Connection, job: Job, fn: Callable[[Connection], Any]) -> None:
    driver.execute("SAVEPOINT alone")
    try:
        job.finish(fn(connection))
    except Exception as error:
        if not driver.in_transaction:  # SQLite itself gave up the transaction, as on a full disk
            raise
        driver.execute("ROLLBACK TO alone")
        job.finish(translate(error))
    driver.execute("RELEASE alone")


def _by_handler(batch: Sequence[Job]) -> Iterable[tuple[Handler[Any, Any], list[Job]]]:
    groups: dict[Any, list[Job]] = {}
    for job in batch:
        if job.handler is not None:
            groups.setdefault(job.handler, []).append(job)
    return groups.items()


def _deliver(batch: Sequence[Job]) -> None:
    loops: dict[asyncio.AbstractEventLoop | None, list[Job]] = {}
    for job in batch:
        loops.setdefault(job.loop, []).append(job)
    for loop, jobs in loops.items():
        if loop is None:
            _resolve(jobs)
        elif not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, jobs)


def _resolve(jobs: Sequence[Job]) -> None:
    for job in jobs:
        if job.future.done():  # its task was cancelled; the write happened all the same
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.value)
