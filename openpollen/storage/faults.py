"""What a fault of the database means to a caller: always 503, never 401 or 500 (rule 8)."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError

from openpollen.core.errors import ServiceUnavailable


def of_sqlite(error: Exception) -> Exception:
    """Turns a full disk, a locked or an unreadable file into ServiceUnavailable; leaves programming errors as they
    are."""
    cause = cause_of(error)
    if not isinstance(cause, sqlite3.DatabaseError) or isinstance(
        cause, (sqlite3.IntegrityError, sqlite3.ProgrammingError)
    ):
        return error
    name: str = getattr(cause, "sqlite_errorname", "")
    if name == "SQLITE_FULL":
        return full("The disk of the data folder")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return busy()
    if name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_CORRUPT", "SQLITE_NOTADB")):
        message = f"The database cannot be used ({name}). Look at the data folder's disk and permissions."
        return ServiceUnavailable(message, reason="database", retry_after=5)
    return error


def unknown() -> ServiceUnavailable:
    """For a write whose commit was not answered, while the database cannot tell how it ended."""
    message = "The database was lost while it wrote: this may have been done or not. Look before you repeat it."
    return ServiceUnavailable(message, reason="database_doubt", retry_after=2)


def not_written() -> ServiceUnavailable:
    """For a write whose commit was not answered, and did not happen."""
    message = "The database was lost while it wrote; nothing was done. Try again in a moment."
    return ServiceUnavailable(message, reason="database_away", retry_after=2)


def cause_of(error: Exception) -> BaseException | None:
    """The driver's own error."""
    return error.orig if isinstance(error, DBAPIError) else error


def full(disk: str) -> ServiceUnavailable:
    """For a disk without room."""
    message = f"{disk} is full. Make room and try again; nothing was lost."
    return ServiceUnavailable(message, reason="disk_full", retry_after=5)


def busy() -> ServiceUnavailable:
    """For a lock that others hold too long."""
    return ServiceUnavailable("The database is busy. Try again in a second.", reason="database_busy", retry_after=1)
