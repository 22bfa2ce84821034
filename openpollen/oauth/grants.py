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
from openpollen.accounts.key_changes import change_key, renew_value
from openpollen.accounts.keys import Key, create_key, family_of, get_key, granted_keys, revoke_key
from openpollen.accounts.permissions import CONSENT
from openpollen.accounts.users import get_user
from openpollen.accounts.wanted_keys import NewKey
from openpollen.core.errors import Conflict, NotFound
from openpollen.core.ids import hash_key
from openpollen.ledger.credit import remaining
from openpollen.oauth.clients import note_use
from openpollen.oauth.errors import Refused
from openpollen.oauth.request import Ask, stands
from openpollen.storage.database import Connection
from openpollen.storage.schema import api_keys, refresh_tokens, usage

_DAY_S = 86_400
_BYTES = 32
_USED_KEPT_MS = 7 * _DAY_S * 1000

Via = Literal["redirect-auth", "oauth", "device"]


class Terms(Struct, frozen=True):
    """The key that a user agreed to. ``budget`` is decimal pollen, ``None`` for no limit; ``words`` are the scope words that
    were asked for, ``offline_access`` only where it is given."""

    name: str
    app_key_id: str | None
    scopes: tuple[str, ...]
    models: tuple[str, ...] | None
    budget: str | None
    period: Literal["day", "week", "month"] | None
    days: int
    markup: int
    words: tuple[str, ...]

    def text(self) -> str:
        return json.encode(self).decode()


class Granted(Struct, frozen=True):
    """A key that was just made, as a token answer: its value, how long it lives in seconds, and the scope words that were
    asked for and given."""

    key: Key
    value: str
    seconds: int
    scope: str
    refresh: str = ""


class Connected(Struct, frozen=True):
    """A grant as its user sees it. Amounts are nano-pollen, times milliseconds; ``left`` is ``None`` without a limit;
    ``app_off`` is true while the author has the app switched off."""

    key: Key
    app: str
    author: str
    host: str
    left: int | None
    requests: int
    spent: int
    app_off: bool


def terms(ask: Ask, scopes: Sequence[str], models: Sequence[str] | None, budget: str | None, days: int) -> Terms:
    """What the user made of a request: never wider in scopes and models than what was asked for."""
    kept = tuple(scope for scope in ask.scopes if scope in scopes)
    wanted = None if models is None else tuple(models)
    if ask.models is not None:
        wanted = ask.models if wanted is None else tuple(name for name in wanted if name in ask.models)
    app_id = ask.app.key.id if ask.app is not None else None
    return Terms(ask.name, app_id, kept, wanted, budget, None, days, ask.markup, ask.words)


def mint(
    connection: Connection, user_id: str, agreed: Terms, via: Via, *, most: int, client_id: str = ""
) -> Granted | Refused:
    """Makes the key. With ``offline_access`` a refresh token comes along, which is bound to its client: one without a
    ``client_id`` gets none. Refused when, since the user agreed, the account
    was closed, the app ended, or the account came to have ``most`` keys."""
    if get_user(connection, user_id).banned_at is not None:
        return Refused("access_denied", "The account of this grant is closed.")
    if agreed.app_key_id is not None and not _app_stands(connection, agreed.app_key_id):
        return Refused("invalid_grant", "The app was revoked or switched off.")
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
    try:
        key, value = create_key(connection, user_id, wanted, actor=user_id, most=most)
    except Conflict:
        return Refused(
            "access_denied", "The account has no room for another key. Its user can revoke some, then try again."
        )
    words = agreed.words if client_id else tuple(word for word in agreed.words if word != "offline_access")
    refresh = _refresh(connection, key, client_id, words) if "offline_access" in words else ""
    return Granted(key, value, agreed.days * _DAY_S, _given(words, key), refresh)


def refreshed(connection: Connection, token: str, client_id: str) -> Granted | Refused:
    """A new value of the key, in exchange for a refresh token that has not been used: the old value ends, and so does the
    token. One that was used before ends the key: somebody has copied it. A revoked or expired grant stays so."""
    now = int(time.time() * 1000)
    here = refresh_tokens.c.hash == hash_key(token)
    row = connection.execute(select(refresh_tokens).where(here)).one_or_none()
    if row is None or row.client_id != client_id:
        return Refused("invalid_grant", "This refresh token is unknown or was revoked.")
    key = get_key(connection, row.key_id)
    if not key.enabled or (key.expires_at is not None and key.expires_at <= now):
        return Refused("invalid_grant", "This grant has expired or was switched off. Ask the user again.")
    if key.app_key_id is not None and not _app_stands(connection, key.app_key_id):
        return Refused("invalid_grant", "The app was revoked or switched off.")
    took = update(refresh_tokens).where(here, refresh_tokens.c.used_at.is_(None)).values(used_at=now)
    if connection.execute(took).rowcount != 1:
        end(connection, key.id, "reused refresh token")
        return Refused("invalid_grant", "This refresh token was used before, so the grant has ended.")
    old = (refresh_tokens.c.key_id == key.id, refresh_tokens.c.used_at < now - _USED_KEPT_MS)
    connection.execute(delete(refresh_tokens).where(*old))
    key, value = renew_value(connection, key, actor=key.user_id)
    seconds = _DAY_S if key.expires_at is None else max(1, (key.expires_at - now) // 1000)
    words = tuple(row.scope.split())
    return Granted(key, value, seconds, _given(words, key), _refresh(connection, key, client_id, words))


def end(connection: Connection, key_id: str, why: str) -> bool:
    """Revokes a granted key with all below it and its refresh tokens. False when it is gone already."""
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
    return [_connected(connection, key) for key in granted_keys(connection, user_id)]


def of_id(connection: Connection, user_id: str, key_id: str) -> Connected:
    """One of them. Raises NotFound."""
    return _connected(connection, _mine(connection, user_id, key_id))


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
    if ask.client is not None and decision == "allowed":
        note_use(connection, ask.client.id)
    audit.note(connection, user_id, "grant.consent", user_id, decision=decision, app=app, host=where)


def _mine(connection: Connection, user_id: str, key_id: str) -> Key:
    key = next((key for key in granted_keys(connection, user_id) if key.id == key_id), None)
    if key is None:
        raise NotFound("There is no such connection. It may have been revoked.")
    return key


def _connected(connection: Connection, key: Key) -> Connected:
    mine = usage.c.key_id.in_(family_of(connection, key.id))
    sums = select(func.count(), func.coalesce(func.sum(usage.c.charged), 0)).where(mine)
    requests, spent = connection.execute(sums).one()
    app = _app(connection, key)
    name, author = (app.name, get_user(connection, app.user_id).name) if app else (key.name, "")
    left = None if key.budget is None else remaining(connection, key.budget)
    off = app is not None and not app.enabled
    return Connected(key, name, author, "" if app else key.name, left, requests, int(spent), off)


def _app_stands(connection: Connection, key_id: str) -> bool:
    try:
        app = get_key(connection, key_id)
    except NotFound:
        return False
    return stands(app) and get_user(connection, app.user_id).banned_at is None


def _app(connection: Connection, key: Key) -> Key | None:
    if key.app_key_id is None:
        return None
    try:
        return get_key(connection, key.app_key_id)
    except NotFound:
        return None


def _given(words: Sequence[str], key: Key) -> str:
    """The words that were asked for and that the key has. Clients take others than they asked for as an error."""
    return " ".join(word for word in words if word in (*key.scopes, "generate", "offline_access")) or "generate"


def _refresh(connection: Connection, key: Key, client_id: str, words: Sequence[str]) -> str:
    token = "rt_" + secrets.token_urlsafe(_BYTES)
    values = {"hash": hash_key(token), "key_id": key.id, "client_id": client_id, "scope": " ".join(words)}
    connection.execute(insert(refresh_tokens).values(values))
    return token
