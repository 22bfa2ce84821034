"""What must happen only once, whichever process comes first: a unique row marks it as done."""

from __future__ import annotations

from sqlalchemy import text

from openpollen.storage.database import Connection

_MARK = text("INSERT INTO once (key, at) VALUES (:key, :at) ON CONFLICT (key) DO NOTHING")
_FIND = text("SELECT 1 FROM once WHERE key = :key")
_FORGET = text("DELETE FROM once WHERE key LIKE :start AND at < :at")


def first_time(connection: Connection, key: str, now: int) -> bool:
    """Marks ``key`` as done at ``now``, in milliseconds. False when it was."""
    return connection.execute(_MARK, {"key": key, "at": now}).rowcount == 1


def happened(connection: Connection, key: str) -> bool:
    """Whether ``key`` was marked."""
    return connection.execute(_FIND, {"key": key}).first() is not None


def forget(connection: Connection, prefix: str, before: int) -> int:
    """Takes away the marks that begin with ``prefix`` and are older, and returns how many went."""
    return connection.execute(_FORGET, {"start": f"{prefix}%", "at": before}).rowcount
