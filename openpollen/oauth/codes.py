"""Authorization codes with PKCE (RFC 6749 4.1, RFC 7636): stored hashed, for 60 seconds, one use.

none -> issue -> redeem (the right client, address and verifier) -> key
              -> redeem with anything wrong, too late or again   -> invalid_grant; again after 10 s ends the key too
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time

from msgspec import json
from sqlalchemy import delete, insert, select, update

from openpollen.core.ids import hash_key
from openpollen.oauth.errors import Refused
from openpollen.oauth.grants import Granted, Terms, end, mint
from openpollen.oauth.request import Ask
from openpollen.storage.database import Connection
from openpollen.storage.schema import oauth_codes

LIVES_SECONDS = 60
_KEPT_MS = 3_600_000
_TWICE_MS = 10_000
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def issue(connection: Connection, user_id: str, ask: Ask, agreed: Terms) -> str:
    """A code for the app's server or page; the key is made when it is redeemed."""
    assert ask.place is not None
    now = int(time.time() * 1000)
    code = secrets.token_urlsafe(30)
    connection.execute(delete(oauth_codes).where(oauth_codes.c.expires_at < now - _KEPT_MS))
    values = {
        "hash": hash_key(code),
        "user_id": user_id,
        "client_id": ask.client_id,
        "redirect_uri": ask.place.url,
        "challenge": ask.challenge,
        "terms": agreed.text(),
        "expires_at": now + LIVES_SECONDS * 1000,
    }
    connection.execute(insert(oauth_codes).values(values))
    return code


def redeem(
    connection: Connection, code: str, client_id: str, redirect_uri: str, verifier: str, *, most: int
) -> Granted | Refused:
    """The key of a code, unless its user has ``most`` keys already. A refusal is an outcome, not an exception: what it used
    up must be stored."""
    now = int(time.time() * 1000)
    here = oauth_codes.c.hash == hash_key(code)
    # One statement takes the code, so of redemptions at once only one goes on.
    took = update(oauth_codes).where(here, oauth_codes.c.used_at.is_(None)).values(used_at=now)
    row = connection.execute(took.returning(*oauth_codes.columns)).one_or_none()
    if row is None:
        _twice(connection, code, now)
        return Refused("invalid_grant", "This code is unknown or was used before.")
    right = (
        row.expires_at > now
        and row.client_id == client_id
        and row.redirect_uri == redirect_uri.partition("#")[0]
        and _proves(verifier, row.challenge)
    )
    if not right:
        return Refused(
            "invalid_grant",
            "The code has expired, or client_id, redirect_uri or code_verifier are not those it was made for.",
        )
    made = mint(connection, row.user_id, json.decode(row.terms, type=Terms), "oauth", most=most, client_id=client_id)
    if isinstance(made, Granted):
        connection.execute(update(oauth_codes).where(here).values(key_id=made.key.id))
    return made


def _twice(connection: Connection, code: str, now: int) -> None:
    used = select(oauth_codes).where(oauth_codes.c.hash == hash_key(code), oauth_codes.c.key_id.is_not(None))
    row = connection.execute(used).one_or_none()
    if row is not None and now - row.used_at > _TWICE_MS:
        end(connection, row.key_id, "reused code")


def _proves(verifier: str, challenge: str) -> bool:
    if not _VERIFIER.fullmatch(verifier):
        return False
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    return hmac.compare_digest(digest, challenge.encode())
