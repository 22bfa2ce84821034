"""One-time links (rule 41): 128 random bits, stored hashed, used once. They sign in, set a new password, or verify an
email address."""

from __future__ import annotations

import secrets
import time
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import delete, func, insert, select, update

from openpollen.accounts import audit
from openpollen.accounts.users import User, get_user
from openpollen.core.errors import Unauthorized
from openpollen.core.ids import hash_key
from openpollen.storage.database import Connection
from openpollen.storage.schema import login_links, users

Purpose = Literal["sign-in", "reset", "verify"]

LIVES_SECONDS = 600
#: A mailed link to verify an address does not sign in, and mail may be slow.
VERIFY_SECONDS = 86_400
_KEPT_MS = 2 * 24 * 3_600_000
_BYTES = 16


class Redeemed(Struct, frozen=True):
    """A link that was used up: whose it was, and what for."""

    user: User
    purpose: Purpose


def create_link(connection: Connection, user_id: str, *, purpose: Purpose = "sign-in", email: str | None = None) -> str:
    """Makes a link for a user and returns its token; the store keeps only a hash. ``email`` is the address that a link
    of the purpose "verify" shows to be theirs."""
    now = int(time.time() * 1000)
    token = secrets.token_urlsafe(_BYTES)
    seconds = VERIFY_SECONDS if purpose == "verify" else LIVES_SECONDS
    connection.execute(delete(login_links).where(login_links.c.created_at < now - _KEPT_MS))
    values = {"hash": hash_key(token), "user_id": user_id, "created_at": now, "expires_at": now + seconds * 1000}
    connection.execute(insert(login_links).values(**values, purpose=purpose, email=email))
    return token


def link_url(base: str, token: str) -> str:
    """The address of a sign-in link's page. ``base`` is the public address of the accounts face."""
    return f"{base.rstrip('/')}/login/{token}"


def verify_url(base: str, token: str) -> str:
    """The address of the page that verifies an email address."""
    return f"{base.rstrip('/')}/verify/{token}"


def link_is_live(connection: Connection, token: str, *, verify: bool = False) -> bool:
    """Whether a token can still be redeemed; looking does not use it up."""
    live = (*_live(token, verify), login_links.c.expires_at > int(time.time() * 1000))
    return connection.execute(select(login_links.c.hash).where(*live)).first() is not None


def redeem_link(connection: Connection, token: str) -> Redeemed:
    """Uses a sign-in link up. Raises Unauthorized for one that is unknown, used or too old."""
    links = login_links.c
    now = int(time.time() * 1000)
    # One statement decides, so of two redemptions at once only one succeeds.
    used = update(login_links).where(*_live(token, verify=False), links.expires_at > now).values(used_at=now)
    row = connection.execute(used.returning(links.user_id, links.purpose)).one_or_none()
    if row is None:
        raise Unauthorized("This sign-in link was used or has expired. `polli admin login-link` makes a new one.")
    user = get_user(connection, row.user_id)
    if user.banned_at is not None:
        raise Unauthorized("This account is closed.")
    return Redeemed(user, row.purpose)


def redeem_verification(connection: Connection, token: str) -> str:
    """Uses up a link that was mailed to an address, and returns the address, which is now verified. Whoever else
    claimed it without a link loses it. Raises Unauthorized for a link that is over or whose address was replaced."""
    links = login_links.c
    now = int(time.time() * 1000)
    used = update(login_links).where(*_live(token, verify=True), links.expires_at > now).values(used_at=now)
    row = connection.execute(used.returning(links.user_id, links.email)).one_or_none()
    if row is None or get_user(connection, row.user_id).email != row.email:
        raise Unauthorized("This link was used or has expired, or the address was changed. Ask for a new one.")
    verify_email(connection, row.user_id, row.email, now)
    return row.email


def verify_email(connection: Connection, user_id: str, email: str, now: int) -> None:
    """Marks an account's address as verified and takes it from accounts that only claimed it."""
    connection.execute(
        update(users)
        .where(func.lower(users.c.email) == email.lower(), users.c.id != user_id, users.c.email_verified_at.is_(None))
        .values(email=None)
    )
    connection.execute(update(users).where(users.c.id == user_id).values(email=email, email_verified_at=now))
    audit.note(connection, user_id, "user.verify", user_id)


def _live(token: str, verify: bool) -> tuple[Any, ...]:
    links = login_links.c
    kind = links.purpose == "verify" if verify else links.purpose != "verify"
    return (links.hash == hash_key(token), links.used_at.is_(None), kind)
