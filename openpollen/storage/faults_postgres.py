"""What a fault of PostgreSQL means to a caller. Loaded, with its driver, only where it is used."""

from __future__ import annotations

import psycopg

from openpollen.core.errors import BadRequest, ServiceUnavailable
from openpollen.storage.faults import busy, cause_of, full

#: Classes and codes of https://www.postgresql.org/docs/18/errcodes-appendix.html that mean to come again.
_BUSY = ("55P03", "57014", "40", "53300", "25P03", "25P04")
_AWAY = ("08", "57P", "25006")
_BROKEN = ("53", "58", "XX001", "XX002", "28", "3D000", "3F000", "42501")


def of_postgres(error: Exception) -> Exception:
    """Turns what may pass, and a server that is away, into ServiceUnavailable; leaves programming errors as they are.
    Text with the character NUL, which it cannot store, is the caller's fault."""
    cause = cause_of(error)
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
        return full("The disk of the database server")
    if state.startswith(_BUSY):
        return busy()
    if state.startswith(_BROKEN):
        message = f"The database cannot be used (SQLSTATE {state}). Look at its log, disk and permissions."
        return ServiceUnavailable(message, reason="database", retry_after=5)
    return error


def is_lost(error: Exception) -> bool:
    """Whether PostgreSQL's connection is gone: libpq's own faults carry no SQLSTATE, a server that stops says 57P."""
    cause = cause_of(error)
    if not isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    return cause.sqlstate is None or cause.sqlstate.startswith(("08", "57P"))
