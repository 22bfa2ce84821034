"""What a fault of the database means to a caller: always 503, never 401 or 500 (rule 8)."""

from __future__ import annotations

import sqlite3

import psycopg
from sqlalchemy.exc import DBAPIError

from openpollen.core.errors import BadRequest, ServiceUnavailable


def of_sqlite(error: Exception) -> Exception:
    """Turns a full disk, a locked or an unreadable file into ServiceUnavailable; leaves programming errors as they
    are."""
    cause = _cause(error)
    if not isinstance(cause, sqlite3.DatabaseError) or isinstance(
        cause, (sqlite3.IntegrityError, sqlite3.ProgrammingError)
    ):
        return error
    name: str = getattr(cause, "sqlite_errorname", "")
    if name == "SQLITE_FULL":
        return _full("The disk of the data folder")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return _busy()
    if name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_CORRUPT", "SQLITE_NOTADB")):
        message = f"The database cannot be used ({name}). Look at the data folder's disk and permissions."
        return ServiceUnavailable(message, reason="database", retry_after=5)
    return error


#: Classes and codes of https://www.postgresql.org/docs/18/errcodes-appendix.html that mean to come again.
_BUSY = ("55P03", "57014", "40", "53300", "25P03", "25P04")
_AWAY = ("08", "57P", "25006")
_BROKEN = ("53", "58", "XX001", "XX002", "28", "3D000", "3F000", "42501")


def of_postgres(error: Exception) -> Exception:
    """The same for PostgreSQL. Text with the character NUL, which it cannot store, is the caller's fault."""
    cause = _cause(error)
    if not isinstance(cause, psycopg.Error):
        return error
    state = cause.sqlstate
    if state is None and isinstance(cause, psycopg.DataError) and "NUL" in str(cause):
        return BadRequest("Text must not contain the character U+0000.")
    if is_lost(cause) or (state or "").startswith(_AWAY):
        message = "The database cannot be reached. Try again in a moment."
        return ServiceUnavailable(message, reason="database_away", retry_after=2)
    if state is None:
        return error
    if state == "53100":
        return _full("The disk of the database server")
    if state.startswith(_BUSY):
        return _busy()
    if state.startswith(_BROKEN):
        message = f"The database cannot be used (SQLSTATE {state}). Look at its log, disk and permissions."
        return ServiceUnavailable(message, reason="database", retry_after=5)
    return error


def is_lost(error: Exception) -> bool:
    """Whether PostgreSQL's connection is gone: libpq's own faults carry no SQLSTATE, a server that stops says 57P."""
    cause = _cause(error)
    if not isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    return cause.sqlstate is None or cause.sqlstate.startswith(("08", "57P"))


def unknown() -> ServiceUnavailable:
    """For a write whose commit was not answered, while the database cannot tell how it ended."""
    message = "The database was lost while it wrote: this may have been done or not. Look before you repeat it."
    return ServiceUnavailable(message, reason="database_doubt", retry_after=2)


def not_written() -> ServiceUnavailable:
    """For a write whose commit was not answered, and did not happen."""
    message = "The database was lost while it wrote; nothing was done. Try again in a moment."
    return ServiceUnavailable(message, reason="database_away", retry_after=2)


def _cause(error: Exception) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _full(disk: str) -> ServiceUnavailable:
    message = f"{disk} is full. Make room and try again; nothing was lost."
    return ServiceUnavailable(message, reason="disk_full", retry_after=5)


def _busy() -> ServiceUnavailable:
    return ServiceUnavailable("The database is busy. Try again in a second.", reason="database_busy", retry_after=1)
