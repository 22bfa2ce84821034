"""Steps that wait for a browser to come back: the challenge of a passkey, a sign-in at a provider, a mailed link. Each is
taken up once, by whoever holds its random token; the store keeps a hash of that."""

from __future__ import annotations

import secrets
import time
from typing import Any, Literal

from msgspec import json
from sqlalchemy import delete, insert, select

from openpollen.core.ids import hash_key
from openpollen.storage.database import Connection
from openpollen.storage.schema import flows

Kind = Literal["passkey", "provider", "newcomer", "reset"]

SECONDS = 600
_MOST = 20_000


def begin(connection: Connection, kind: Kind, data: dict[str, Any], token: str = "") -> str:
    """Keeps what a step needs for ten minutes, and returns its token."""
    now = int(time.time() * 1000)
    token = token or secrets.token_urlsafe(32)
    forget_old(connection)
    crowd = select(flows.c.expires_at).order_by(flows.c.expires_at.desc()).offset(_MOST).limit(1)
    if (oldest := connection.execute(crowd).scalar_one_or_none()) is not None:
        connection.execute(delete(flows).where(flows.c.expires_at <= oldest))
    values = {"hash": _hash(kind, token), "kind": kind, "data": json.encode(data).decode()}
    connection.execute(insert(flows).values(**values, expires_at=now + SECONDS * 1000))
    return token


def look(connection: Connection, kind: Kind, token: str) -> dict[str, Any] | None:
    """What a step keeps, while it waits."""
    live = (flows.c.hash == _hash(kind, token), flows.c.expires_at > int(time.time() * 1000))
    data = connection.execute(select(flows.c.data).where(*live)).scalar_one_or_none()
    return None if data is None else json.decode(data)


def take(connection: Connection, kind: Kind, token: str) -> dict[str, Any] | None:
    """What a step keeps, once."""
    live = (flows.c.hash == _hash(kind, token), flows.c.expires_at > int(time.time() * 1000))
    data = connection.execute(delete(flows).where(*live).returning(flows.c.data)).scalar_one_or_none()
    return None if data is None else json.decode(data)


def forget_old(connection: Connection) -> int:
    """Removes what nobody came back for, and returns how many steps went."""
    return connection.execute(delete(flows).where(flows.c.expires_at <= int(time.time() * 1000))).rowcount


def _hash(kind: Kind, token: str) -> str:
    return hash_key(f"{kind}:{token}")
