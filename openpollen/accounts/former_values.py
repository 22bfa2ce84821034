"""The former values of keys that were given new ones: each still works until its grace ends. Stored hashed.

Every function runs inside a transaction of the caller and takes its connection first."""

from __future__ import annotations

import time
from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import delete, insert, select

from openpollen.storage.database import Connection
from openpollen.storage.schema import former_values as values


class Former(Struct, frozen=True):
    """A value that a key had, and until when it still works, in milliseconds."""

    key_id: str
    until: int


def keep(connection: Connection, key_id: str, digest: str, until: int) -> None:
    """Lets the value behind a hash work for its key until then; values whose time is over go on the way."""
    connection.execute(delete(values).where(values.c.expires_at <= int(time.time() * 1000)))
    connection.execute(insert(values).values(hash=digest, key_id=key_id, expires_at=until))


def find(connection: Connection, digest: str) -> Former | None:
    """The key that a former value still stands for."""
    live = (values.c.hash == digest, values.c.expires_at > int(time.time() * 1000))
    row = connection.execute(select(values).where(*live)).one_or_none()
    return None if row is None else Former(row.key_id, row.expires_at)


def of_key(connection: Connection, key_id: str) -> list[Former]:
    """The former values of a key that still work, the one that ends last first."""
    live = (values.c.key_id == key_id, values.c.expires_at > int(time.time() * 1000))
    rows = connection.execute(select(values).where(*live).order_by(values.c.expires_at.desc()))
    return [Former(row.key_id, row.expires_at) for row in rows]


def forget(connection: Connection, key_ids: Sequence[str]) -> None:
    """Ends every former value of these keys."""
    connection.execute(delete(values).where(values.c.key_id.in_(key_ids)))
