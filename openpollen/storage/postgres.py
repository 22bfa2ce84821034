"""PostgreSQL: one database for any number of hosts.

Each writing transaction begins by taking one advisory lock for its whole length: one writer at a time, as with SQLite,
so that a transaction which reads, decides and writes is right on both (``docs/decisions/0009-one-writer.md``).
"""

from __future__ import annotations

import time
from typing import cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import IsolationLevel
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool, QueuePool

from openpollen.core.errors import ServiceUnavailable
from openpollen.storage import faults_postgres as faults
from openpollen.storage import postgres_driver as driver
from openpollen.storage.dialect import Driver, OutcomeUnknownError, drop, end
from openpollen.storage.postgres_driver import PostgresDriver, adapt

#: Names the advisory lock of the writers: the ASCII of "pollen".
_LOCK = 0x706F6C6C656E
#: One round trip: the lock, then this transaction's name and the time. A statement each, so that all that follows
#: sees what the writer before committed.
_BEGIN = (
    b"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "
    b"SELECT pg_advisory_xact_lock(%d); "
    b"SELECT pg_current_xact_id()::text, (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
) % _LOCK
_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
#: A dead network is noticed within seconds. The address may say otherwise.
_CONNECTION = {
    "application_name": "openpollen",
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
_OLDEST = 130_000
#: A writer that stands still in a transaction, stopped or cut off, is ended by the server: the others go on.
_IDLE_LIMIT_MS = 5_000


def conninfo(url: str) -> str:
    """The address for libpq. Raises ServiceUnavailable for what is no PostgreSQL address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ServiceUnavailable("The database's address cannot be read: check its host.") from None
    if parts.scheme not in _SCHEMES:
        raise ServiceUnavailable("The database's address must start with postgresql:// or postgres://.")
    if parts.netloc.count("@") > 1:
        raise ServiceUnavailable("The database's address has more than one @: write one in a password as %40.")
    query = {**_CONNECTION, **dict(parse_qsl(parts.query))}
    return urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(query), ""))


def shown(url: str) -> str:
    """The address as it may be printed: without password and parameters, but for a socket's folder."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "postgresql://..."
    user = parts.netloc.rpartition("@")[0].partition(":")[0]
    place = parts.netloc.rpartition("@")[2] or dict(parse_qsl(parts.query)).get("host", "localhost")
    return f"postgresql://{user + '@' if user else ''}{place}{parts.path}"


def connect(url: str) -> driver.Connection:
    """A new connection, in autocommit. Values travel as they do with SQLite."""
    connection = psycopg.connect(conninfo(url), autocommit=True)
    adapt(connection)
    return connection


def reach(url: str) -> None:
    """Raises ServiceUnavailable, with what to look at, for a database that cannot be used."""
    place = shown(url)
    try:
        with connect(url) as connection:
            version = connection.info.server_version
            encoding = connection.info.parameter_status("server_encoding")
    except psycopg.OperationalError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip() and "Is the server" not in line]
        reason = lines[-1] if lines else "no reason given"
        raise ServiceUnavailable(f"The database {place} cannot be reached: {reason}", retry_after=5) from None
    except psycopg.Error:  # its text may repeat the address with the password
        raise ServiceUnavailable(f"The address of the database {place} has a part that cannot be read.") from None
    if version < _OLDEST:
        raise ServiceUnavailable(f"The database {place} is too old: PostgreSQL 13 or newer is needed.")
    if encoding != "UTF8":
        raise ServiceUnavailable(f"The database {place} has the encoding {encoding}; make one with UTF8.")


class Postgres:
    """The database at ``url``. A write waits ``busy_seconds`` for other writers."""

    def __init__(self, url: str, *, readers: int, busy_seconds: float) -> None:
        self._url = url
        self._busy_ms = round(busy_seconds * 1000)
        self.readers = create_engine(
            "postgresql+psycopg://",
            creator=self._connect_reader,
            poolclass=QueuePool,
            pool_size=readers,
            max_overflow=readers,
            use_native_hstore=False,
        )
        self._writers = create_engine(
            "postgresql+psycopg://", creator=self._connect_writer, poolclass=NullPool, use_native_hstore=False
        )

    def begin_read(self, connection: Connection) -> None:
        """Nothing to do: the driver begins one with the first statement."""

    def session(self) -> PostgresSession:
        return PostgresSession(self._writers.connect())

    def translate(self, error: Exception) -> Exception:
        return faults.of_postgres(error)

    def lost(self, error: Exception) -> bool:
        return faults.is_lost(error)

    def close(self) -> None:
        self.readers.dispose()

    def _connect_reader(self) -> driver.Connection:
        connection = connect(self._url)
        connection.autocommit = False
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        return connection

    def _connect_writer(self) -> driver.Connection:
        connection = connect(self._url)
        connection.execute(b"SET lock_timeout = %d" % self._busy_ms)
        connection.execute(b"SET idle_in_transaction_session_timeout = %d" % _IDLE_LIMIT_MS)
        connection.execute("SET synchronous_commit = on")
        return connection


class PostgresSession:
    """The connection of the writing thread. A connection lost during COMMIT leaves the transaction's id as the mark by
    which the server knows how it ended."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._driver = cast(driver.Connection, connection.connection.driver_connection)
        self._mark = ""

    @property
    def active(self) -> bool:
        return self._driver.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR)

    def begin(self) -> Driver:
        answer = self._driver.execute(_BEGIN)
        while answer.nextset():
            pass
        self._mark, now = answer.fetchall()[0]
        return PostgresDriver(self._driver, now - time.monotonic() * 1000)

    def commit(self) -> None:
        if self._driver.info.transaction_status != TransactionStatus.INTRANS:
            # COMMIT would answer with a rollback, and nobody would know.
            raise RuntimeError("a handler went on after a statement had failed")
        try:
            self._driver.commit()
        except psycopg.Error as error:
            if faults.is_lost(error):
                raise OutcomeUnknownError(self._mark) from error
            raise
        end(self.connection)

    def rollback(self) -> None:
        self._driver.rollback()
        end(self.connection)

    def committed(self, mark: str) -> bool:
        """The transaction is over, as this one has its lock. A server that never heard of it did not commit it."""
        sql = (
            "SELECT CASE WHEN %(mark)s::xid8 < pg_snapshot_xmax(pg_current_snapshot()) "
            "THEN pg_xact_status(%(mark)s::xid8) END"
        )
        row = self._driver.execute(sql, {"mark": mark}).fetchone()
        return row is not None and row[0] == "committed"

    def close(self) -> None:
        drop(self.connection)
