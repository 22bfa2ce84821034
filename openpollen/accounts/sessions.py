"""Signed-in browsers: a random cookie value, stored hashed, for 30 days. Every function takes a transaction's connection."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

from sqlalchemy import delete, insert, select

from openpollen.accounts.users import User, get_user
from openpollen.core.ids import hash_key
from openpollen.storage.database import Connection
from openpollen.storage.schema import sessions

LIVES_SECONDS = 30 * 86_400
_BYTES = 32


def start_session(connection: Connection, user_id: str) -> str:
    """Starts a session and returns the cookie's value; forgets sessions that are over."""
    now = int(time.time() * 1000)
    value = secrets.token_urlsafe(_BYTES)
    connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
    expires = now + LIVES_SECONDS * 1000
    connection.execute(
        insert(sessions).values(hash=hash_key(value), user_id=user_id, created_at=now, expires_at=expires)
    )
    return value


def session_user(connection: Connection, value: str) -> User | None:
    """Who is signed in with this cookie; None when the session is over or the account is shut."""
    live = (sessions.c.hash == hash_key(value), sessions.c.expires_at > int(time.time() * 1000))
    user_id = connection.execute(select(sessions.c.user_id).where(*live)).scalar_one_or_none()
    user = None if user_id is None else get_user(connection, user_id)
    return None if user is None or user.banned_at is not None else user


def end_session(connection: Connection, value: str) -> None:
    """Signs a browser out."""
    connection.execute(delete(sessions).where(sessions.c.hash == hash_key(value)))


def form_token(value: str) -> str:
    """What every form of a session carries, so that no other site can post it (CSRF)."""
    return hmac.new(value.encode(), b"form", hashlib.sha256).hexdigest()[:32]


def form_token_is_right(value: str, given: str) -> bool:
    return hmac.compare_digest(form_token(value).encode(), given.encode())
