"""The database: SQLite in one file, or PostgreSQL; written by one thread that lets many writes share a commit.

``write(fn)`` runs ``fn(connection)`` as a transaction: it cannot await, and raising undoes it alone.
``submit(handler, item)`` is the fast door of the ledger: all items that wait for one handler go to it in a single
call, which speaks plain driver statements. A write is on disk when its future is done; once given, it happens even when
the caller is cancelled. There is one writer at a time in an installation, so a transaction sees nothing change under it.
It may run twice when another one in its group fails, so it must do nothing but speak to the database.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection

from openpollen.core.errors import ServiceUnavailable
from openpollen.storage import migrate
from openpollen.storage.dialect import Dialect, Driver, Handler
from openpollen.storage.sqlite import Sqlite
from openpollen.storage.writer import Job, Writer

__all__ = ["Connection", "Database", "Driver", "Handler"]

T = TypeVar("T")
Item = TypeVar("Item")

FILE_NAME = "openpollen.db"
_READERS = 4
_CATCH_UP_S = 0.5


def place(folder: Path, url: str) -> str:
    """Where the database is, as it may be printed: an address comes without its password."""
    if not url:
        return str(folder / FILE_NAME)
    from openpollen.storage.postgres import shown

    return shown(url)


class Database:
    """One database, shared by any number of processes. Build it with ``Database.open``; ``close`` ends its threads."""

    def __init__(self, dialect: Dialect, folder: Path, url: str = "", *, commit_gap: float = 0.004) -> None:
        """``folder`` is the data folder, ``url`` the address of a PostgreSQL. ``commit_gap`` is the least time between two
        commits under load, in seconds: it gathers writes that come in a stream."""
        self.folder, self.url = folder, url
        self._dialect = dialect
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="database-read")
        self._writer = Writer(dialect, commit_gap=commit_gap)

    @classmethod
    def open(cls, folder: Path, url: str = "", *, commit_gap: float = 0.004, busy_seconds: float = 2.0) -> Database:
        """Opens the database of a data folder, or the PostgreSQL at ``url``, making folder, file and tables where they
        are missing. ``busy_seconds`` is how long a write waits for other processes.

        Raises ServiceUnavailable when the folder cannot be written, the database cannot be reached, or it belongs to a
        newer version of the program.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ServiceUnavailable(f"The data folder {folder} cannot be made: {error.strerror}.") from error
        dialect: Dialect
        if url:
            from openpollen.storage.postgres import Postgres, reach  # loaded only where it is used

            reach(url)
            dialect = Postgres(url, readers=_READERS, busy_seconds=busy_seconds)
        else:
            dialect = Sqlite(folder / FILE_NAME, readers=_READERS, busy_seconds=busy_seconds)
        database = cls(dialect, folder, url, commit_gap=commit_gap)
        try:
            if database.read_sync(migrate.missing):
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
            try:
                return self._look(fn)
            except Exception as error:
                if not self._dialect.lost(error):
                    raise
            return self._look(fn)  # the pool's connections were cut while they were idle; it has dropped them
        except Exception as error:
            fault = self._dialect.translate(error)
            if fault is error:
                raise
            raise fault from error

    def _look(self, fn: Callable[[Connection], T]) -> T:
        with self._dialect.readers.connect() as connection:
            self._dialect.begin_read(connection)
            return fn(connection)

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

    def submit(
        self,
        handler: Handler[Item, T],
        item: Item,
        *,
        lazy: bool = False,
        must: bool = False,
        lost: Callable[[Any, Exception], None] | None = None,
    ) -> asyncio.Future[T]:
        """Queues ``item`` for ``handler``, which gets every waiting item at once and has a result or error for each.

        ``lazy`` is for what nobody waits for: it goes along with the next commit, a few milliseconds later at most.
        ``must`` is for what may not be lost: while the database is full, locked or away, it stays in the queue.
        ``lost(item, error)`` is called on the loop when it was refused for good all the same."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._writer.put(Job(future, loop, handler=handler, item=item, lazy=lazy, must=must, lost=lost))
        return future

    def submit_sync(self, handler: Handler[Item, T], item: Item) -> T:
        """``submit`` for code without an event loop."""
        future: Future[T] = Future()
        self._writer.put(Job(future, None, handler=handler, item=item))
        return future.result()

    @property
    def waiting(self) -> int:
        """How many items that must not be lost wait to be written."""
        return self._writer.waiting

    @property
    def oldest_wait(self) -> float:
        """For how long the oldest of them waits, in seconds."""
        return self._writer.oldest_wait

    async def caught_up(self) -> None:
        """Waits until what this process has queued is written, so that who reads finds what they did before: for half a second
        at most, as reading goes on while the database is full, locked or away."""
        if self.waiting:
            with contextlib.suppress(ServiceUnavailable, TimeoutError):
                await asyncio.wait_for(self.write(_nothing), _CATCH_UP_S)

    def congested(self, most: int, seconds: float) -> bool:
        """Whether so many items that must not be lost wait, or the oldest for longer. Cheap: asked for each call."""
        return self._writer.congested(most, seconds)

    def close(self) -> None:
        """Finishes what is queued, then closes every connection."""
        self._writer.stop()
        self._readers.shutdown()
        self._dialect.close()


def _nothing(_: Connection) -> None:
    """What is queued to learn that everything before it is written."""
