"""A whole answer to a request, as the cache and the idempotency store keep it: small bodies in their row, large ones
as blobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from msgspec import Struct, json
from sqlalchemy import Row, Table, delete, select

from openpollen.storage.blobs import Blobs
from openpollen.storage.database import Connection, Database

T = TypeVar("T")

#: Gives back what the request of this id was charged, if it was: its answer is lost.
Refund = Callable[[Connection, str], None]

_IN_ROW = 65_536


class Answer(Struct, frozen=True):
    """Status, type, headers worth keeping, and the body."""

    status: int
    media_type: str
    body: bytes
    headers: Mapping[str, str] = {}


def no_refund(connection: Connection, request_id: str) -> None:
    """For a store of answers that were not paid for."""


async def store(
    database: Database, blobs: Blobs, answer: Answer, write: Callable[[Connection, dict[str, Any]], T]
) -> T:
    """Runs ``write(connection, columns)`` with the columns that hold the answer, its body stored first where it is
    large."""
    columns = {
        "status": answer.status,
        "media_type": answer.media_type,
        "headers": json.encode(answer.headers).decode(),
        "body": answer.body,
        "blob": None,
    }
    if len(answer.body) <= _IN_ROW:
        return await database.write(lambda connection: write(connection, columns))
    return await blobs.put_with_row(
        database, answer.body, lambda connection, name: write(connection, {**columns, "body": None, "blob": name})
    )


async def load(blobs: Blobs, row: Row[Any]) -> Answer | None:
    """The answer in a row; ``None`` when its bytes are gone from the disk."""
    body = row.body if row.blob is None else await blobs.get(row.blob)
    return None if body is None else Answer(row.status, row.media_type, body, json.decode(row.headers))


def expire(connection: Connection, table: Table, blobs: Blobs, now: int) -> int:
    """Removes expired rows of a table of answers, and the bytes that no row of it names any more."""
    gone = connection.execute(delete(table).where(table.c.expires_at <= now).returning(table.c.blob)).scalars().all()
    for name in {name for name in gone if name is not None}:
        if connection.execute(select(table.c.blob).where(table.c.blob == name).limit(1)).first() is None:
            blobs.remove(name)
    return len(gone)
