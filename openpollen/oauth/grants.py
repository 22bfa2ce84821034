"""What a user agreed to, and the key that comes of it. A grant is its key: ending the key ends the grant, everywhere.

Every function runs inside a transaction of the caller."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct, json
from sqlalchemy import delete, func, insert, select, update

from openpollen.accounts import audit
from openpollen.accounts.keys import (
    Key,
    NewKey,
    change_key,
    create_key,
    family_of,
    get_key,
    granted_keys,
    renew_value,
    revoke_key,
)
from openpollen.accounts.permissions import CONSENT
from openpollen.accounts.users import get_user
from openpollen.core.errors import NotFound
from openpollen.core.ids import hash_key
from openpollen.ledger.credit import remaining
from openpollen.oauth.errors import Refused
from openpollen.oauth.request import Ask
from openpollen.storage.database import Connection
from openpollen.storage.schema import api_keys, refresh_tokens, usage

_DAY_S = 86_400
_BYTES = 32

Via = Literal["redirect-auth", "oauth", "device"]


class Terms(Struct, frozen=True):
    """The key that a user agreed to. ``budget`` is decimal pollen, ``None`` for no limit."""

    name: str
    app_key_id: str | None
    scopes: tuple[str, ...]
    models: tuple[str, ...] | None
    budget: str | None
    period: Literal["day", "week", "month"] | None
    days: int
    markup: int
    offline: bool

    def text(self) -> str:
        return json.encode(self).decode()


class Granted(Struct, frozen=True):
    """A key that was just made, as a token answer: its value, and how long it lives in seconds."""

    key: Key
    value: str
    seconds: int
    scopes: tuple[str, ...]
    refresh: str = ""


class Connected(Struct, frozen=True):
    """A grant as its user sees it. Amounts are nano-pollen, times milliseconds; ``left`` is ``None`` without a limit."""

    key: Key
    app: str
    author: str
    host: str
    left: int | None
    requests: int
    spent: int


def terms(ask: Ask, scopes: Sequence[str], models: Sequence[str] | None, budget: str | None, days: int) -> Terms:
    """What the user made of a request: never wider in scopes and models than what was asked for."""
    kept = tuple(scope for scope in ask.scopes if scope in scopes)
    wanted = None if models is None else tuple(models)
    if ask.models is not None:
        wanted = ask.models if wanted is None else tuple(name for name in wanted if name in ask.models)
    app_id = ask.app.key.id if ask.app is not None else None
    return Terms(ask.name, app_id, kept, wanted, budget, None, days, ask.markup, ask.offline)


def mint(connection: Connection, user_id: str, agreed: Terms, via: Via, *, client_id: str = "") -> Granted:
    """Makes the key. With ``offline`` a refresh token comes along."""
    wanted = NewKey(
        name=agreed.name,
        expires_in=agreed.days * _DAY_S,
        models=agreed.models,
        budget=agreed.budget,
        budget_period=agreed.period,
        scopes=agreed.scopes,
        created_via=via,
        app_key_id=agreed.app_key_id,
        markup=agreed.markup,
    )
    key, value = create_key(connection, user_id, wanted, actor=user_id)
    refresh = _refresh(connection, key, client_id) if agreed.offline else ""
    return Granted(key, value, agreed.days * _DAY_S, agreed.scopes, refresh)


def refreshed(connection: Connection, token: str, client_id: str) -> Granted | Refused:
    """A new value of the key, in exchange for a refresh token that has not been used: the old value ends, and so does the
    token. One that was used before ends the key: somebody has copied it. A revoked or expired grant stays so."""
    now = int(time.time() * 1000)
    here = refresh_tokens.c.hash == hash_key(token)
    took = update(refresh_tokens).where(
        here, refresh_tokens.c.used_at.is_(None), refresh_tokens.c.client_id == client_id
    )
    row = connection.execute(took.values(used_at=now).returning(refresh_tokens.c.key_id)).one_or_none()
    if row is None:
        stale = connection.execute(select(refresh_tokens).where(here)).one_or_none()
        if stale is not None and stale.client_id == client_id:
            end(connection, stale.key_id, "reused refresh token")
        return Refused("invalid_grant", "This refresh token is unknown, was used before, or was revoked.")
    try:
        key = get_key(connection, row.key_id)
    except NotFound:
        return Refused("invalid_grant", "The user has revoked this grant.")
    if not key.enabled or (key.expires_at is not None and key.expires_at <= now):
        return Refused("invalid_grant", "This grant has expired. Ask the user again.")
    key, value = renew_value(connection, key, actor=key.user_id)
    seconds = _DAY_S if key.expires_at is None else max(1, (key.expires_at - now) // 1000)
    return Granted(key, value, seconds, key.scopes, _refresh(connection, key, client_id))


def end(connection: Connection, key_id: str, why: str) -> bool:
    """Revokes a granted key with all below it and its refresh tokens. False when it is gone already."""
    connection.execute(delete(refresh_tokens).where(refresh_tokens.c.key_id == key_id))
    known = select(api_keys.c.id).where(api_keys.c.id == key_id, api_keys.c.created_via.in_(CONSENT))
    if connection.execute(known).first() is None:
        return False
    revoke_key(connection, key_id, actor=why)
    return True


def of_token(connection: Connection, token: str) -> str | None:
    """The granted key behind an access or a refresh token."""
    digest = hash_key(token)
    live = select(api_keys.c.id).where(api_keys.c.hash == digest, api_keys.c.created_via.in_(CONSENT))
    found = connection.execute(live).scalar_one_or_none()
    if found is not None:
        return found
    return connection.execute(
        select(refresh_tokens.c.key_id).where(refresh_tokens.c.hash == digest)
    ).scalar_one_or_none()


def of_user(connection: Connection, user_id: str) -> list[Connected]:
    """What a user has granted, the newest first."""
    found: list[Connected] = []
    for key in granted_keys(connection, user_id):
        mine = usage.c.key_id.in_(family_of(connection, key.id))
        sums = select(func.count(), func.coalesce(func.sum(usage.c.charged), 0)).where(mine)
        requests, spent = connection.execute(sums).one()
        app, author = _app(connection, key)
        left = None if key.budget is None else remaining(connection, key.budget)
        found.append(Connected(key, app or key.name, author, "" if app else key.name, left, requests, int(spent)))
    return found


def change(connection: Connection, user_id: str, key_id: str, changes: dict[str, Any]) -> Key:
    """Changes what a grant may do: the user's own money, so in either direction. Raises NotFound, Conflict."""
    return change_key(connection, _mine(connection, user_id, key_id), changes, actor=user_id)


def revoke(connection: Connection, user_id: str, key_id: str) -> None:
    """Ends a grant, with every key made of it and its refresh tokens. Raises NotFound."""
    _mine(connection, user_id, key_id)
    end(connection, key_id, user_id)


def note_consent(connection: Connection, user_id: str, ask: Ask, decision: str) -> None:
    """Writes down what a user said to whom."""
    where = ask.place.host if ask.place is not None else "device"
    app = ask.app.key.id if ask.app is not None else None
    audit.note(connection, user_id, "grant.consent", user_id, decision=decision, app=app, host=where)


def _mine(connection: Connection, user_id: str, key_id: str) -> Key:
    key = get_key(connection, key_id)
    if key.user_id != user_id or key.created_via not in CONSENT:
        raise NotFound("There is no such connection.")
    return key


def _app(connection: Connection, key: Key) -> tuple[str, str]:
    if key.app_key_id is None:
        return "", ""
    try:
        app = get_key(connection, key.app_key_id)
    except NotFound:
        return "", ""
    return app.name, get_user(connection, app.user_id).name


def _refresh(connection: Connection, key: Key, client_id: str) -> str:
    token = "rt_" + secrets.token_urlsafe(_BYTES)
    values = {"hash": hash_key(token), "key_id": key.id, "client_id": client_id, "expires_at": key.expires_at}
    connection.execute(insert(refresh_tokens).values(values))
    return token
