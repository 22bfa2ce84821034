"""The database: SQLite in one file, written by one thread that lets many writes share a commit.

``write(fn)`` runs ``fn(connection)`` as a transaction: it cannot await, and raising undoes it alone.
``submit(handler, item)`` is the fast door of the ledger: all items that wait for one handler go to it in a single
call, which speaks plain driver statements. A write is on disk (WAL, ``synchronous = FULL``) when its future is done;
once given, it happens even when the caller is cancelled. A transaction may run twice when another one in its group
fails, so it must do nothing but speak to the database.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from openpollen.core.errors import ServiceUnavailable
from openpollen.storage import migrate
from openpollen.storage.faults import translate
from openpollen.storage.writer import Driver, Handler, Job, Writer

__all__ = ["Connection", "Database", "Driver", "Handler"]

T = TypeVar("T")
Item = TypeVar("Item")

FILE_NAME = "openpollen.db"
_READERS = 4
_BUSY_SECONDS = 5.0


class _Connection(sqlite3.Connection):
    """A connection that tells the time of its database."""

    dialect = "sqlite"

    def now(self) -> int:
        return int(time.time() * 1000)


class Database:
    """One SQLite file, shared by any number of processes. Build it with ``Database.open``; ``close`` ends its
    threads."""

    def __init__(self, path: Path, *, commit_gap: float = 0.004, busy_seconds: float = 5.0) -> None:
        """``commit_gap`` is the least time between two commits under load, in seconds: it gathers writes that come in a stream.
        ``busy_seconds`` is how long a write waits for other processes."""
        self.path = path
        self._engine = create_engine(
            "sqlite://", creator=self._connect, poolclass=QueuePool, pool_size=_READERS + 2, max_overflow=_READERS
        )
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="database-read")
        self._writer = Writer(self._engine, busy_seconds=busy_seconds, commit_gap=commit_gap)

    @classmethod
    def open(cls, folder: Path, *, commit_gap: float = 0.004, busy_seconds: float = 5.0) -> Database:
        """Opens the database of a data folder, making folder, file and tables where they are missing.

        Raises ServiceUnavailable when the folder cannot be written or the file belongs to a newer version of the
        program.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ServiceUnavailable(f"The data folder {folder} cannot be made: {error.strerror}.") from error
        database = cls(folder / FILE_NAME, commit_gap=commit_gap, busy_seconds=busy_seconds)
        try:
            database.write_sync(migrate.upgrade)
        except BaseException:
            database.close()
            raise
        return database

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Runs ``fn`` on a reading thread, in one snapshot of the data."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_sync, fn)

    def read_sync(self, fn: Callable[[Connection], T]) -> T:
        """Runs ``fn`` here and now, in one snapshot of the data."""
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("BEGIN")
                return fn(connection)
        except (DBAPIError, sqlite3.DatabaseError) as error:
            raise translate(error) from error

    def write(self, fn: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Queues ``fn`` for the writing thread; await the future for its result."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._writer.put(Job(future, loop, fn=fn))
        return future

    def write_sync(self, fn: Callable[[Connection], T]) -> T:
        """Runs ``fn`` as a transaction and waits for it; for code without an event loop."""
        future: Future[T] = Future()
        self._writer.put(Job(future, None, fn=fn))
        return future.result()

    @property
    def waiting(self) -> int:
        """How many items that must not be lost wait to be written."""
        return 0

    @property
    def oldest_wait(self) -> float:
        """For how long the oldest of them waits, in seconds."""
        return 0.0

    def submit(
        self, handler: Handler[Item, T], item: Item, *, lazy: bool = False, must: bool = False
    ) -> asyncio.Future[T]:
        """Queues ``item`` for ``handler``, which gets every waiting item at once and has a result or error for each.

        ``lazy`` is for what nobody waits for: it goes along with the next commit, a few milliseconds later at most."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._writer.put(Job(future, loop, handler=handler, item=item, lazy=lazy))
        return future

    def submit_sync(self, handler: Handler[Item, T], item: Item) -> T:
        """``submit`` for code without an event loop."""
        future: Future[T] = Future()
        self._writer.put(Job(future, None, handler=handler, item=item))
        return future.result()

    def close(self) -> None:
        """Finishes what is queued, then closes every connection."""
        self._writer.stop()
        self._readers.shutdown()
        self._engine.dispose()

    def _connect(self) -> sqlite3.Connection:
        # isolation_level None: the driver begins nothing by itself; transactions begin where this package says so.
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, factory=_Connection
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection
