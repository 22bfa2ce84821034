"""What a back end of the database is to the rest of this package: a few small protocols, implemented by ``sqlite`` and
``postgres``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine

from openpollen.core.errors import ServiceUnavailable

ItemT_contra = TypeVar("ItemT_contra", contravariant=True)
ResultT_co = TypeVar("ResultT_co", covariant=True)


class Cursor(Protocol):
    """The part of a driver's cursor that is used."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Written:
    """The outcome of an insert in several statements."""

    def __init__(self, rowcount: int) -> None:
        self.rowcount = rowcount

    def fetchone(self) -> Any:
        return None

    def fetchall(self) -> list[Any]:
        return []


class Driver(Protocol):
    """A driver connection inside the writing transaction. Statements are standard SQL with ``?`` for values and no
    other question mark; one SQL text serves every back end.

    The rows of one ``executemany`` may be written by a single statement: those of an upsert name no row twice. A
    handler in which a statement fails must let its exception pass, as the whole transaction may be over.
    """

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        ...

    def now(self) -> int:
        """The time in milliseconds by the database's clock, which all its writers share."""
        ...

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor: ...
    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor: ...


class Handler(Protocol[ItemT_contra, ResultT_co]):
    """Takes all items that wait for it and answers with one result or exception for each, in order. Raising undoes
    them all."""

    def __call__(self, driver: Driver, items: Sequence[ItemT_contra], /) -> Sequence[ResultT_co | Exception]: ...


class OutcomeUnknownError(Exception):
    """The connection was lost during COMMIT. ``Session.committed(mark)`` of a later session knows how it ended."""

    def __init__(self, mark: str) -> None:
        super().__init__(mark)
        self.mark = mark


class Session(Protocol):
    """A connection for writing, used by one thread for one transaction after another."""

    @property
    def connection(self) -> Connection:
        """The same connection for SQLAlchemy."""
        ...

    @property
    def active(self) -> bool:
        """Whether the transaction is still open: some faults end it."""
        ...

    def begin(self) -> Driver:
        """Begins a transaction as the only writer of the installation; waits for others."""
        ...

    def commit(self) -> None:
        """Raises OutcomeUnknownError when it cannot be told whether it happened; after any other fault it did not."""
        ...

    def rollback(self) -> None: ...

    def committed(self, mark: str) -> bool:
        """Whether the transaction with this mark took place. Ask inside a later transaction."""
        ...

    def close(self) -> None:
        """Drops the connection; never raises."""
        ...


class Dialect(Protocol):
    """One back end."""

    @property
    def readers(self) -> Engine:
        """Pooled connections for reading."""
        ...

    def begin_read(self, connection: Connection) -> None:
        """Makes what follows on a reading connection see one snapshot."""
        ...

    def session(self) -> Session:
        """A new connection for writing."""
        ...

    def translate(self, error: Exception) -> Exception:
        """ServiceUnavailable for a fault of operation, such as a full disk; faults of a program stay as they are."""
        ...

    def lost(self, error: Exception) -> bool:
        """Whether the fault is a lost connection, so that a new one may do."""
        ...

    def close(self) -> None:
        """Closes the pool."""
        ...


def operational(dialect: Dialect, error: Exception) -> ServiceUnavailable | None:
    """The fault of operation behind an error of the driver; ``None`` for anything else, such as what a transaction
    raised itself."""
    fault = dialect.translate(error)
    return fault if fault is not error and isinstance(fault, ServiceUnavailable) else None


def end(connection: Connection) -> None:
    """Ends the transaction as SQLAlchemy sees it; the driver has none any more."""
    if connection.in_transaction():
        connection.rollback()


def drop(connection: Connection) -> None:
    """Closes a connection for good, whatever state it is in."""
    with contextlib.suppress(Exception):
        connection.invalidate()
    with contextlib.suppress(Exception):
        connection.close()
