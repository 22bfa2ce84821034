"""API keys as rows: make, find, list, revoke. Every function runs inside a transaction of the caller and takes its
connection first.

A child key never exceeds its parent (rule 31): it is narrowed at use, and it ends with its parent. Of a secret
key only the hash is stored; a publishable key is public and stays readable.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, json, structs
from sqlalchemy import Row, and_, delete, func, insert, or_, select

from openpollen.accounts import audit, former_values
from openpollen.accounts.permissions import CONSENT, Caller
from openpollen.accounts.users import User, bump_keys, get_user
from openpollen.accounts.wanted_keys import NewKey, budget_of, check_wanted, expiry_of, origins_of, scopes_of
from openpollen.core.errors import BadRequest, Conflict, Forbidden, NotFound
from openpollen.core.ids import KeyType, hash_key, new_id, new_key
from openpollen.core.money import format_pollen
from openpollen.ledger.credit import remaining
from openpollen.ledger.entries import KeyBudget, Markup, Period
from openpollen.storage.database import Connection
from openpollen.storage.schema import api_keys, refresh_tokens, revisions

#: Characters of a value that stay readable.
START = 10
_DEPTH = 8
_AS_JSON = ("models", "scopes", "redirect_uris", "origins")


class Key(Struct, frozen=True):
    """A stored key. ``models`` is ``None`` for all; ``budget_limit`` is nano-pollen, ``None`` for no limit; times are
    milliseconds. ``markup``, in thousandths, is what the author of its app takes on top of each price (rule 30): of an app
    key what it asks for, of a granted one what was agreed to. ``devices`` lets devices show the app's name."""

    id: str
    user_id: str
    type: KeyType
    name: str
    hash: str
    start: str
    created_via: str
    created_at: int
    parent_id: str | None = None
    app_key_id: str | None = None
    public_value: str | None = None
    models: tuple[str, ...] | None = None
    scopes: tuple[str, ...] = ()
    budget_limit: int | None = None
    budget_period: Period | None = None
    app_url: str | None = None
    redirect_uris: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    expires_at: int | None = None
    last_request_at: int | None = None
    enabled: bool = True
    markup: int = 0
    devices: bool = False

    @property
    def app(self) -> bool:
        """Whether this is an app key: it names an app on the consent page."""
        return self.type == "publishable" and bool(self.app_url or self.redirect_uris)

    @property
    def budget(self) -> KeyBudget | None:
        if self.budget_limit is None:
            return None
        return KeyBudget(self.id, self.budget_limit, self.budget_period)


def create_key(
    connection: Connection,
    user_id: str,
    wanted: NewKey,
    *,
    parent: Caller | None = None,
    actor: str | None = None,
    most: int | None = None,
) -> tuple[Key, str]:
    """Makes a key of a user and returns it with its full value, which cannot be read again when it is a secret one.

    With a ``parent`` the new key is its child: it inherits app and attribution, and never carries ``keys``.
    ``actor`` is who does it, for the audit trail; without one it is the owner.
    Raises BadRequest for what cannot be a key, Forbidden where an app would make another app, Conflict when the user has
    ``most`` already.
    """
    check_wanted(wanted)
    app = wanted.type == "publishable" and bool(wanted.app_url or wanted.redirect_uris)
    if app and parent is not None and parent.granted:
        raise Forbidden("An app makes no app keys: their consent page would name its user as the author.")
    if parent is not None and len(parent.chain) >= _DEPTH:
        raise BadRequest(f"Keys can be nested {_DEPTH} deep. Make this key with one of its ancestors.")
    if most is not None:
        make_room(connection, user_id, most)
    value = new_key(wanted.type)
    now = int(time.time() * 1000)
    key = Key(
        id=new_id("key"),
        user_id=user_id,
        type=wanted.type,
        name=wanted.name,
        hash=hash_key(value),
        start=value[:START],
        created_via=wanted.created_via,
        created_at=now,
        parent_id=parent.key_id if parent else None,
        app_key_id=parent.app_key_id if parent else wanted.app_key_id,
        public_value=value if wanted.type == "publishable" else None,
        models=None if wanted.models is None else tuple(dict.fromkeys(wanted.models)),
        scopes=scopes_of(wanted, child=parent is not None),
        budget_limit=budget_of(wanted.budget, app=app),
        budget_period=wanted.budget_period,
        app_url=wanted.app_url,
        redirect_uris=tuple(wanted.redirect_uris),
        origins=origins_of(wanted),
        expires_at=expiry_of(wanted),
        markup=wanted.markup,
        devices=wanted.devices,
    )
    connection.execute(insert(api_keys).values(columns_of(key)))
    bump_keys(connection)
    audit.note(connection, actor or user_id, "key.create", user_id, **_told(key))
    return key, value


def make_room(connection: Connection, user_id: str, most: int) -> None:
    """Sees to it that an account may have one more key; where it has ``most``, its expired ones go. Raises Conflict."""
    mine = api_keys.c.user_id == user_id
    count = select(func.count()).where(mine)
    if connection.execute(count).scalar_one() < most:
        return
    over = select(api_keys).where(mine, api_keys.c.expires_at <= int(time.time() * 1000)).order_by(api_keys.c.id)
    ended = [key for key in map(_key, connection.execute(over)) if not key.app]
    gone: set[str] = set()
    for key in ended:
        if key.id not in gone:
            gone.update(revoke_key(connection, key.id, actor=audit.SYSTEM))
    if connection.execute(count).scalar_one() >= most:
        raise Conflict(
            f"An account has at most {most} keys, those of connected apps among them. Revoke some that you do not need.",
            reason="too_many_keys",
        )


def get_key(connection: Connection, key_id: str) -> Key:
    """The key of this id. Raises NotFound."""
    row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).one_or_none()
    if row is None:
        raise NotFound("There is no such key.")
    return _key(row)


def find_public(connection: Connection, value: str) -> Key | None:
    """The publishable key of this value; ``None`` when there is none."""
    row = connection.execute(select(api_keys).where(api_keys.c.public_value == value)).one_or_none()
    return None if row is None else _key(row)


def granted_keys(connection: Connection, user_id: str) -> list[Key]:
    """The keys that a user granted to apps and devices, the newest first; not what these made of them."""
    granted = (api_keys.c.user_id == user_id, api_keys.c.created_via.in_(CONSENT), api_keys.c.parent_id.is_(None))
    return [_key(row) for row in connection.execute(select(api_keys).where(*granted).order_by(api_keys.c.id.desc()))]


def chain_of(connection: Connection, key: Key) -> list[Key]:
    """The key and its ancestors, the key first."""
    chain = [key]
    while chain[-1].parent_id is not None:
        chain.append(get_key(connection, chain[-1].parent_id))
    return chain


def list_keys(connection: Connection, user_id: str, *, caller: Caller | None = None) -> list[Key]:
    """A user's keys, the newest first; for a caller only those that it may reach."""
    rows = connection.execute(
        select(api_keys)
        .where(api_keys.c.user_id == user_id)
        .order_by(api_keys.c.created_at.desc(), api_keys.c.id.desc())
    )
    keys = {row.id: _key(row) for row in rows}
    if caller is None or not caller.granted:
        return list(keys.values())
    return [key for key in keys.values() if caller.may_reach(_ancestors(keys, key)) and key.id != caller.key_id]


def with_remaining(connection: Connection, keys: Sequence[Key]) -> list[tuple[Key, int | None]]:
    """Each key as people are told of it: with its end, which is that of an ancestor where that ends sooner, and with the
    nano-pollen left of its budget, ``None`` where it has none."""
    known = {key.id: key for key in keys}

    def end(key: Key) -> int | None:
        if key.parent_id is None:
            return key.expires_at
        parent = known.get(key.parent_id) or known.setdefault(key.parent_id, get_key(connection, key.parent_id))
        return min((at for at in (key.expires_at, end(parent)) if at is not None), default=None)

    return [
        (structs.replace(key, expires_at=end(key)), None if key.budget is None else remaining(connection, key.budget))
        for key in keys
    ]


def family_of(connection: Connection, key_id: str) -> list[str]:
    """The ids of a key and of every key below it, of an app key also of those that users granted to the app."""
    family = [key_id]
    for parent in family:  # grows while children are found
        granted = and_(api_keys.c.app_key_id == parent, api_keys.c.created_via.in_(CONSENT))
        below = select(api_keys.c.id).where(or_(api_keys.c.parent_id == parent, granted)).order_by(api_keys.c.id)
        family += [found for found in connection.execute(below).scalars() if found not in family]
    return family


def revoke_key(
    connection: Connection, key_id: str, *, caller: Caller | None = None, actor: str | None = None
) -> list[str]:
    """Removes a key and every key below it, of an app key also those that users granted to the app, with their refresh
    tokens, and returns their ids. Workers notice within a second.

    Raises NotFound for an unknown key and for one that the caller may not reach, BadRequest for the calling key itself.
    """
    key = get_key(connection, key_id)
    if caller is not None:
        if key.id == caller.key_id:
            raise BadRequest("A key cannot revoke itself. Use another key or the dashboard.", reason="own_key")
        chain = tuple(link.id for link in chain_of(connection, key))
        if key.user_id != caller.user.id or not caller.may_reach(chain):
            raise NotFound("There is no such key.")
        if key.id in caller.chain:
            raise BadRequest("A key cannot revoke a key above it: it would end with it.", reason="own_key")
    family = family_of(connection, key.id)
    former_values.forget(connection, family)
    connection.execute(delete(refresh_tokens).where(refresh_tokens.c.key_id.in_(family)))
    for member in reversed(family):
        connection.execute(delete(api_keys).where(api_keys.c.id == member))
    bump_keys(connection)
    by = {} if caller is None else {"by_key": caller.key_id}
    who = actor or (audit.SYSTEM if caller is None else caller.user.id)
    audit.note(connection, who, "key.revoke", key.user_id, key=key.id, name=key.name, revoked=family, **by)
    return family


def load_caller(connection: Connection, digest: str) -> Caller | None:
    """The caller that a key's hash stands for, or ``None`` when the key, an ancestor or the owner is gone, off, shut
    or expired."""
    row = connection.execute(select(api_keys).where(api_keys.c.hash == digest)).one_or_none()
    former = former_values.find(connection, digest) if row is None else None
    if former is not None:
        row = connection.execute(select(api_keys).where(api_keys.c.id == former.key_id)).one_or_none()
    if row is None:
        return None
    key = _key(row)
    chain = chain_of(connection, key)
    user = get_user(connection, key.user_id)
    ends = [link.expires_at for link in chain if link.expires_at is not None]
    expiry = min(ends if former is None else [*ends, former.until], default=None)
    if user.banned_at is not None or not all(link.enabled for link in chain):
        return None
    granted = next((link for link in chain if link.created_via in CONSENT and link.app_key_id), None)
    app = None if granted is None else _app_behind(connection, granted)
    markup = None if granted is None or app is None else _markup(connection, user, granted, app.user_id)
    caller = _caller(user, key, chain, expiry, markup)
    return caller if app is None or app.enabled else structs.replace(caller, app_off=True)


def own_key(connection: Connection, user_id: str, key_id: str) -> Key:
    """The key of this id, if it is the user's. Raises NotFound."""
    key = get_key(connection, key_id)
    if key.user_id != user_id:
        raise NotFound("There is no such key.")
    return key


def keys_revision(connection: Connection) -> int:
    """A number that rises with each change of a key or its owner."""
    return connection.execute(select(revisions.c.number).where(revisions.c.name == "keys")).scalar() or 0


def _app_behind(connection: Connection, granted: Key) -> Row[str, int] | None:
    """Whose app a key was granted to, and whether it is on."""
    app = select(api_keys.c.user_id, api_keys.c.enabled).where(api_keys.c.id == granted.app_key_id)
    return connection.execute(app).one_or_none()


def _markup(connection: Connection, user: User, granted: Key, author: str) -> Markup | None:
    """What the author of the app behind a granted key gets: nothing from himself, and nothing when he is shut out."""
    if not granted.markup or author == user.id or get_user(connection, author).banned_at is not None:
        return None
    return Markup(author, granted.markup)


def _caller(user: User, key: Key, chain: Sequence[Key], expiry: int | None, markup: Markup | None) -> Caller:
    models: frozenset[str] | None = None
    scopes = frozenset(key.scopes)
    for link in chain:
        if link.models is not None:
            models = frozenset(link.models) if models is None else models & frozenset(link.models)
        scopes &= frozenset(link.scopes)
    return Caller(
        user=user,
        key_id=key.id,
        key_name=key.name,
        key_type=key.type,
        chain=tuple(link.id for link in chain),
        models=models,
        scopes=scopes,
        budgets=tuple(link.budget for link in chain if link.budget is not None),
        expires_at=expiry,
        app_key_id=key.app_key_id,
        granted=any(link.created_via in CONSENT for link in chain),
        app=key.app,
        origins=frozenset(key.origins),
        markup=markup,
    )


def _ancestors(keys: dict[str, Key], key: Key) -> tuple[str, ...]:
    chain = [key.id]
    while (parent := keys[chain[-1]].parent_id) is not None:
        chain.append(parent)
    return tuple(chain)


def _told(key: Key) -> dict[str, Any]:
    """What the audit trail tells of a new key; never its value."""
    told: dict[str, Any] = {"key": key.id, "name": key.name, "type": key.type, "via": key.created_via}
    if key.parent_id is not None:
        told["by_key"] = key.parent_id
    if key.budget_limit is not None:
        told["budget"] = format_pollen(key.budget_limit)
    return told | {name: list(getattr(key, name)) for name in ("models", "scopes") if getattr(key, name)}


def columns_of(key: Key) -> dict[str, Any]:
    """A key as its row."""
    values = {column.name: getattr(key, column.name) for column in api_keys.columns}
    for name in _AS_JSON:
        values[name] = None if values[name] is None else json.encode(values[name]).decode()
    return values


def _key(row: Row[Any]) -> Key:
    values = {column.name: getattr(row, column.name) for column in api_keys.columns}
    for name in _AS_JSON:
        values[name] = None if values[name] is None else tuple(json.decode(values[name]))
    values["enabled"], values["devices"] = bool(values["enabled"]), bool(values["devices"])
    return Key(**values)
