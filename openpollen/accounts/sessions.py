"""Signed-in browsers: a random cookie value, stored hashed, for 30 days. Every function takes a transaction's connection."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import Any

from msgspec import Struct
from sqlalchemy import Row, delete, insert, select, update

from openpollen.accounts import audit
from openpollen.accounts.users import User, get_user
from openpollen.core.ids import hash_key
from openpollen.storage.database import Connection
from openpollen.storage.schema import sessions

LIVES_SECONDS = 30 * 86_400
#: How long after signing in a person counts as there, for what must not be done on a borrowed browser.
FRESH_SECONDS = 600
_SEEN_EVERY_MS = 300_000
_BYTES = 32

_BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari"))
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


class Session(Struct, frozen=True):
    """A signed-in browser. ``id`` is public, the cookie's value is not; ``via`` is how the person signed in; times are
    milliseconds."""

    id: str
    user_id: str
    created_at: int
    expires_at: int
    seen_at: int
    browser: str
    via: str

    @property
    def fresh(self) -> bool:
        """Whether the person signed in within the last ten minutes."""
        return self.created_at > int(time.time() * 1000) - FRESH_SECONDS * 1000


def start_session(
    connection: Connection, user_id: str, *, browser: str = "", via: str = "link", instead_of: str = ""
) -> str:
    """Starts a session and returns the cookie's value; forgets sessions that are over. ``instead_of`` is the cookie that
    the browser had: its session ends, so that no value from before a sign-in is worth anything after it."""
    now = int(time.time() * 1000)
    value = secrets.token_urlsafe(_BYTES)
    if instead_of:
        end_session(connection, instead_of)
    connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
    values = {
        "hash": hash_key(value),
        "user_id": user_id,
        "created_at": now,
        "expires_at": now + LIVES_SECONDS * 1000,
        "seen_at": now,
        "browser": browser,
        "via": via,
    }
    connection.execute(insert(sessions).values(values))
    audit.note(connection, user_id, "session.start", user_id, via=via)
    return value


def session_user(connection: Connection, value: str) -> User | None:
    """Who is signed in with this cookie; None when the session is over or the account is shut."""
    session = get_session(connection, value)
    user = None if session is None else get_user(connection, session.user_id)
    return None if user is None or user.banned_at is not None else user


def get_session(connection: Connection, value: str) -> Session | None:
    """The live session of a cookie."""
    live = (sessions.c.hash == hash_key(value), sessions.c.expires_at > int(time.time() * 1000))
    row = connection.execute(select(sessions).where(*live)).one_or_none()
    return None if row is None else _session(row)


def list_sessions(connection: Connection, user_id: str) -> list[Session]:
    """Where an account is signed in, the last seen first."""
    live = (sessions.c.user_id == user_id, sessions.c.expires_at > int(time.time() * 1000))
    rows = connection.execute(select(sessions).where(*live).order_by(sessions.c.seen_at.desc(), sessions.c.hash))
    return [_session(row) for row in rows]


def note_seen(connection: Connection, value: str) -> None:
    """Remembers that a browser was here, to within five minutes."""
    now = int(time.time() * 1000)
    stale = (sessions.c.hash == hash_key(value), sessions.c.seen_at < now - _SEEN_EVERY_MS)
    connection.execute(update(sessions).where(*stale).values(seen_at=now))


def end_session(connection: Connection, value: str) -> None:
    """Signs a browser out."""
    connection.execute(delete(sessions).where(sessions.c.hash == hash_key(value)))


def end_one(connection: Connection, user_id: str, session_id: str) -> bool:
    """Signs one of an account's browsers out, and tells whether it was signed in."""
    one = (sessions.c.user_id == user_id, sessions.c.hash == session_id)
    ended = connection.execute(delete(sessions).where(*one)).rowcount > 0
    if ended:
        audit.note(connection, user_id, "session.end", user_id, sessions=1)
    return ended


def end_others(connection: Connection, user_id: str, but: str = "") -> int:
    """Signs all of an account's browsers out but the one with this cookie; returns how many."""
    others = (sessions.c.user_id == user_id, sessions.c.hash != hash_key(but))
    ended = connection.execute(delete(sessions).where(*others)).rowcount
    if ended:
        audit.note(connection, user_id, "session.end", user_id, sessions=ended)
    return ended


def cookie_name(url: str) -> str:
    """What the cookie is called at a public address; of https it is for that host alone, and never sent in clear."""
    return "__Host-openpollen" if url.startswith("https:") else "openpollen"


def form_token(value: str) -> str:
    """What every form of a session carries, so that no other site can post it (CSRF)."""
    return hmac.new(value.encode(), b"form", hashlib.sha256).hexdigest()[:32]


def form_token_is_right(value: str, given: str) -> bool:
    return hmac.compare_digest(form_token(value).encode(), given.encode())


def browser_name(user_agent: str) -> str:
    """A browser as a person would call it, out of its User-Agent; all that is kept of that."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return f"{browser} on {system}" if browser and system else browser or system or "Unknown browser"


def _session(row: Row[Any]) -> Session:
    return Session(
        row.hash, row.user_id, row.created_at, row.expires_at, row.seen_at, row.browser or "Unknown browser", row.via
    )
