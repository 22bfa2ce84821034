"""What a fault of the database means to a caller: always 503, never 401 or 500 (rule 8)."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError

from openpollen.core.errors import ServiceUnavailable


def translate(error: Exception) -> Exception:
    """Turns a full disk, a locked or an unreadable file into ServiceUnavailable; leaves programming errors as they
    are."""
    cause: BaseException | None = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, sqlite3.DatabaseError) or isinstance(
        cause, (sqlite3.IntegrityError, sqlite3.ProgrammingError)
    ):
        return error
    name: str = getattr(cause, "sqlite_errorname", "")
    if name == "SQLITE_FULL":
        message = "The disk of the data folder is full. Make room and try again; nothing was lost."
        return ServiceUnavailable(message, reason="disk_full", retry_after=5)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return ServiceUnavailable("The database is busy. Try again in a second.", reason="database_busy", retry_after=1)
    if name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_CORRUPT", "SQLITE_NOTADB")):
        message = f"The database cannot be used ({name}). Look at the data folder's disk and permissions."
        return ServiceUnavailable(message, reason="database", retry_after=5)
    return error
