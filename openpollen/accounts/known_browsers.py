"""Browsers in which an account has signed in before. Each carries a signed mark, so that it is told apart from those that
only guess: what is guessed elsewhere does not lock it out, and what it guesses itself is counted on its own.

A mark signs nobody in. It ends after a year, with a new password, with a ban and with the account. One cookie holds the
marks of the last few accounts of a browser; none of them says whose it is.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time

from sqlalchemy import select, update

from openpollen.accounts.server_secrets import find_secret, make_secret
from openpollen.accounts.users import user_to_sign_in
from openpollen.storage.database import Connection
from openpollen.storage.schema import users

LIVES_SECONDS = 365 * 86_400
_ACCOUNTS = 4
_BYTES = 12
#: When it was made (milliseconds), whose bucket it is, the signature.
_MARK = re.compile(r"([0-9]{13})\.([A-Za-z0-9_-]{16})\.([0-9a-f]{64})")


def remember(connection: Connection, user_id: str, cookie: str) -> str:
    """The cookie of a browser that has just signed in to an account, which had ``cookie`` before."""
    secret = make_secret(connection, "browsers")
    made = f"{int(time.time() * 1000)}.{secrets.token_urlsafe(_BYTES)}"
    others = [mark for mark in _marks(cookie) if not _is_of(secret, user_id, mark)]
    kept = [mark[0] for mark in others][: _ACCOUNTS - 1]
    return "~".join([f"{made}.{_signature(secret, user_id, made)}", *kept])


def known(connection: Connection, cookie: str, name: str) -> str:
    """What a browser is counted by when it guesses the password of the account that ``name`` means; empty for one that the
    account does not know."""
    secret = find_secret(connection, "browsers")
    user = user_to_sign_in(connection, name) if secret and _MARK.search(cookie) else None
    if secret is None or user is None or user.banned_at is not None:
        return ""
    since = connection.execute(select(users.c.browsers_since).where(users.c.id == user.id)).scalar_one()
    since = max(since, int(time.time() * 1000) - LIVES_SECONDS * 1000)
    for mark in _marks(cookie):
        if int(mark[1]) >= since and _is_of(secret, user.id, mark):
            return mark[2]
    return ""


def forget(connection: Connection, user_id: str) -> None:
    """Makes every browser a stranger to an account again."""
    now = int(time.time() * 1000)
    connection.execute(update(users).where(users.c.id == user_id).values(browsers_since=now))


def _marks(cookie: str) -> list[re.Match[str]]:
    found = (_MARK.fullmatch(part) for part in cookie.split("~")[:_ACCOUNTS])
    return [mark for mark in found if mark]


def _is_of(secret: bytes, user_id: str, mark: re.Match[str]) -> bool:
    return hmac.compare_digest(_signature(secret, user_id, f"{mark[1]}.{mark[2]}"), mark[3])


def _signature(secret: bytes, user_id: str, made: str) -> str:
    return hmac.new(secret, f"{user_id}\0{made}".encode(), hashlib.sha256).hexdigest()
