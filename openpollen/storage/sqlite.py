"""SQLite: one file, shared by the processes of one host. WAL, ``synchronous = FULL``; ``BEGIN IMMEDIATE`` takes the
file's write lock."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import QueuePool

from openpollen.storage import faults
from openpollen.storage.dialect import Cursor, Driver, Written, drop, end

_READ_BUSY_SECONDS = 5.0
_LOCK_RETRY_SECONDS = 0.0005


#: Rows in one statement: few lengths, so that each is prepared once.
_SIZES = (256, 64, 16, 4)
_INSERT = re.compile(r"(INSERT INTO .+? VALUES )(\((?:\?, )*\?\))( ON CONFLICT .+)?", re.DOTALL)


@lru_cache(256)
def _many(sql: str, rows: int) -> str:
    """An ``INSERT ... VALUES (?, ...)`` for several rows; empty for any other statement."""
    found = _INSERT.fullmatch(sql)
    return "" if found is None else found[1] + ", ".join([found[2]] * rows) + (found[3] or "")


class SqliteDriver:
    """``Driver`` over a connection of the standard library."""

    dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.execute = connection.execute

    def now(self) -> int:
        return int(time.time() * 1000)

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor:
        """Several rows in one statement where that can be: each step of a statement gives up and takes the interpreter's
        lock, which costs more than the row."""
        rows = parameters if isinstance(parameters, list) else list(parameters)
        done = written = 0
        for size in _SIZES if _many(sql, 2) else ():
            while len(rows) - done >= size:
                values = list(chain.from_iterable(rows[done : done + size]))
                written += self._connection.execute(_many(sql, size), values).rowcount
                done += size
        rest = self._connection.executemany(sql, rows[done:])
        return Written(written + max(0, rest.rowcount))


class Sqlite:
    """The file at ``path``. A write waits ``busy_seconds`` for other processes."""

    def __init__(self, path: Path, *, readers: int, busy_seconds: float) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self.readers = create_engine(
            "sqlite://", creator=self._connect, poolclass=QueuePool, pool_size=readers, max_overflow=readers
        )

    def begin_read(self, connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    def session(self) -> SqliteSession:
        return SqliteSession(self.readers.connect(), self._busy_seconds)

    def translate(self, error: Exception) -> Exception:
        return faults.of_sqlite(error)

    def lost(self, error: Exception) -> bool:
        return False

    def close(self) -> None:
        self.readers.dispose()

    def _connect(self) -> sqlite3.Connection:
        # isolation_level None: the driver begins nothing by itself; transactions begin where this package says so.
        connection = sqlite3.connect(self._path, _READ_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


class SqliteSession:
    """The connection of the writing thread. A commit that fails is undone, so its outcome is always known."""

    def __init__(self, connection: Connection, busy_seconds: float) -> None:
        self.connection = connection
        self._driver = cast(sqlite3.Connection, connection.connection.driver_connection)
        self._driver.execute("PRAGMA busy_timeout = 0")  # ``begin`` does the waiting
        self._busy_seconds = busy_seconds

    @property
    def active(self) -> bool:
        return self._driver.in_transaction

    def begin(self) -> Driver:
        """SQLite's own waiting backs off to 100 ms and starves a busy process; a short even pause is fair."""
        deadline = time.monotonic() + self._busy_seconds
        while True:
            try:
                self._driver.execute("BEGIN IMMEDIATE")
                return SqliteDriver(self._driver)
            except sqlite3.OperationalError as error:
                if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                    raise
            time.sleep(_LOCK_RETRY_SECONDS)

    def commit(self) -> None:
        self._driver.commit()
        end(self.connection)

    def rollback(self) -> None:
        self._driver.rollback()
        end(self.connection)

    def committed(self, mark: str) -> bool:
        return False  # one that failed was undone

    def close(self) -> None:
        drop(self.connection)
