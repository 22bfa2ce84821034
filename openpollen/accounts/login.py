"""One-time sign-in links (rule 41): 128 random bits, stored hashed, for 10 minutes, used once."""

from __future__ import annotations

import secrets
import time

from sqlalchemy import delete, insert, select, update

from openpollen.accounts.users import User, get_user
from openpollen.core.errors import Unauthorized
from openpollen.core.ids import hash_key
from openpollen.storage.database import Connection
from openpollen.storage.schema import login_links

LIVES_SECONDS = 600
_KEPT_MS = 24 * 3_600_000
_BYTES = 16


def create_link(connection: Connection, user_id: str) -> str:
    """Makes a link for a user and returns its token; the store keeps only a hash."""
    now = int(time.time() * 1000)
    token = secrets.token_urlsafe(_BYTES)
    connection.execute(delete(login_links).where(login_links.c.created_at < now - _KEPT_MS))
    values = {"hash": hash_key(token), "user_id": user_id, "created_at": now, "expires_at": now + LIVES_SECONDS * 1000}
    connection.execute(insert(login_links).values(values))
    return token


def link_url(base: str, token: str) -> str:
    """The address of a link's page. ``base`` is the public address of the accounts face."""
    return f"{base.rstrip('/')}/login/{token}"


def link_is_live(connection: Connection, token: str) -> bool:
    """Whether a token can still be redeemed; looking does not use it up."""
    links = login_links.c
    live = (links.hash == hash_key(token), links.used_at.is_(None), links.expires_at > int(time.time() * 1000))
    return connection.execute(select(links.hash).where(*live)).first() is not None


def redeem_link(connection: Connection, token: str) -> User:
    """Uses a link up and returns its user. Raises Unauthorized for one that is unknown, used or too old."""
    links = login_links.c
    now = int(time.time() * 1000)
    live = (links.hash == hash_key(token), links.used_at.is_(None), links.expires_at > now)
    # One statement decides, so of two redemptions at once only one succeeds.
    user_id = connection.execute(
        update(login_links).where(*live).values(used_at=now).returning(links.user_id)
    ).scalar_one_or_none()
    if user_id is None:
        raise Unauthorized("This sign-in link was used or has expired. `polli admin login-link` makes a new one.")
    user = get_user(connection, user_id)
    if user.banned_at is not None:
        raise Unauthorized("This account is closed.")
    return user
