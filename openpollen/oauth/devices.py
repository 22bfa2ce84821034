"""Devices without a browser (RFC 8628, rule 38).

none -> begin -> pending -> approve -> approved -> poll -> used (the key is made, and handed out once)
                         -> deny    -> denied
any, after 30 minutes    -> expired
"""

from __future__ import annotations

import secrets
import time

from msgspec import Struct, json
from sqlalchemy import delete, func, insert, select, update

from openpollen.core.errors import ServiceUnavailable
from openpollen.core.ids import hash_key
from openpollen.oauth.errors import Refused
from openpollen.oauth.grants import Granted, Terms, mint
from openpollen.storage.database import Connection
from openpollen.storage.schema import device_codes

LIVES_SECONDS = 1800
PAUSE_SECONDS = 5
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ23456789"
LENGTH = 8
_MOST_PENDING = 10_000


class Begun(Struct, frozen=True):
    """What a device is told: its secret, and the code that its user types."""

    device_code: str
    user_code: str


class Waiting(Struct, frozen=True):
    """A device that waits for its user."""

    user_code: str
    client_id: str
    scope: str


def begin(connection: Connection, client_id: str, scope: str) -> Begun:
    """Makes codes for a device. Raises ServiceUnavailable while too many wait."""
    now = int(time.time() * 1000)
    connection.execute(delete(device_codes).where(device_codes.c.expires_at < now - LIVES_SECONDS * 1000))
    pending = select(func.count()).where(device_codes.c.status == "pending", device_codes.c.expires_at > now)
    if connection.execute(pending).scalar_one() >= _MOST_PENDING:
        raise ServiceUnavailable("Too many devices are waiting. Try again in a few minutes.", retry_after=120)
    begun = Begun(secrets.token_urlsafe(30), "".join(secrets.choice(_LETTERS) for _ in range(LENGTH)))
    values = {
        "hash": hash_key(begun.device_code),
        "user_code": hash_key(begun.user_code),
        "client_id": client_id,
        "scope": scope,
        "status": "pending",
        "expires_at": now + LIVES_SECONDS * 1000,
        "pause": PAUSE_SECONDS,
    }
    connection.execute(insert(device_codes).values(values))
    return begun


def typed(code: str) -> str:
    """A user code as people type it: dash, blanks and case do not count."""
    return "".join(letter for letter in code.upper() if letter in _LETTERS)


def shown(code: str) -> str:
    """A user code as it is shown: 4-4."""
    return f"{code[:4]}-{code[4:]}"


def waiting(connection: Connection, user_code: str) -> Waiting | None:
    """The device that waits with this code."""
    code = typed(user_code)
    live = (device_codes.c.status == "pending", device_codes.c.expires_at > int(time.time() * 1000))
    row = connection.execute(
        select(device_codes).where(device_codes.c.user_code == hash_key(code), *live)
    ).one_or_none()
    return None if row is None else Waiting(code, row.client_id, row.scope)


def decide(connection: Connection, user_code: str, user_id: str, agreed: Terms | None) -> bool:
    """Approves with the key agreed to, or denies without. Once: False when the code is over or was decided."""
    live = (device_codes.c.status == "pending", device_codes.c.expires_at > int(time.time() * 1000))
    values = {"status": "denied" if agreed is None else "approved", "user_id": user_id}
    values |= {} if agreed is None else {"terms": agreed.text()}
    done = update(device_codes).where(device_codes.c.user_code == hash_key(typed(user_code)), *live).values(values)
    return connection.execute(done).rowcount == 1


def poll(connection: Connection, device_code: str, client_id: str, *, most: int) -> Granted | Refused:
    """The key, once its user has agreed and unless they have ``most`` keys already; else why not (yet). Too quick a device must
    wait five seconds more each time."""
    now = int(time.time() * 1000)
    here = device_codes.c.hash == hash_key(device_code)
    row = connection.execute(select(device_codes).where(here)).one_or_none()
    if row is None or row.status == "used":
        return Refused("invalid_grant", "This device code is unknown or was used before.")
    if client_id and row.client_id and client_id != row.client_id:
        return Refused("invalid_client", "This device code was made for another client.")
    if row.expires_at <= now:
        return Refused("expired_token", "The code has expired. Ask for a new one.")
    if row.status == "denied":
        return Refused("access_denied", "The user said no.")
    if row.status == "pending":
        early = row.polled_at is not None and now - row.polled_at < row.pause * 1000 - 500
        pause = row.pause + PAUSE_SECONDS if early else row.pause
        connection.execute(update(device_codes).where(here).values(polled_at=now, pause=pause))
        if early:
            return Refused("slow_down", f"Ask every {pause} seconds.")
        return Refused("authorization_pending", "The user has not decided yet.")
    took = update(device_codes).where(here, device_codes.c.status == "approved").values(status="used")
    if connection.execute(took).rowcount != 1:
        return Refused("invalid_grant", "This device code was used before.")
    agreed = json.decode(row.terms, type=Terms)
    return mint(connection, row.user_id, agreed, "device", most=most, client_id=row.client_id)
