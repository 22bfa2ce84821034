"""Random values of an installation, each made when it is first needed and the same for all its workers."""

from __future__ import annotations

import secrets
from typing import Literal

from sqlalchemy import select, text

from openpollen.storage.database import Connection
from openpollen.storage.schema import secrets as stored

#: What client addresses are hashed with, and what the marks of known browsers are signed with.
Name = Literal["addresses", "browsers"]


def make_secret(connection: Connection, name: Name) -> bytes:
    """The secret of this name, made if there is none. For a writing transaction."""
    made = text("INSERT INTO secrets (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING")
    connection.execute(made, {"name": name, "value": secrets.token_hex(32)})
    value = find_secret(connection, name)
    assert value is not None
    return value


def find_secret(connection: Connection, name: Name) -> bytes | None:
    """The secret of this name; ``None`` while nobody has needed it."""
    value = connection.execute(select(stored.c.value).where(stored.c.name == name)).scalar_one_or_none()
    return None if value is None else bytes.fromhex(value)
