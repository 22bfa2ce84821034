"""What changes of a key after it was made: its terms, whether it is on, its value. Every function but ``change_when_free``
runs inside a transaction of the caller and takes its connection first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import structs
from sqlalchemy import update

from openpollen.accounts import audit, former_values
from openpollen.accounts.keys import START, Key, columns_of, get_key, own_key
from openpollen.accounts.permissions import CONSENT
from openpollen.accounts.users import bump_keys
from openpollen.accounts.wanted_keys import NewKey, budget_of, check_wanted, expiry_of, origins_of, scopes_of
from openpollen.core.errors import BadRequest, Conflict
from openpollen.core.ids import hash_key, new_key
from openpollen.ledger import credit
from openpollen.storage.database import Connection, Database
from openpollen.storage.schema import api_keys

#: The longest grace of a rotated key's former value.
GRACE_SECONDS = 7 * 86_400
_FREE_SECONDS = 0.25


def change_key(connection: Connection, key: Key, changes: Mapping[str, Any], *, actor: str) -> Key:
    """Changes fields of a stored key, such as ``models``, ``budget_limit`` or ``expires_at``. Workers notice within a
    second. What a budget has spent in its period stays spent.

    Raises Conflict (reason held) while workers have set aside what a lower budget takes away; see ``change_when_free``."""
    changed = structs.replace(key, **changes)
    columns = columns_of(changed)
    connection.execute(
        update(api_keys).where(api_keys.c.id == key.id).values({name: columns[name] for name in changes})
    )
    if changed.budget is not None and changed.budget != key.budget:
        credit.resize(connection, changed.budget, actor)
    bump_keys(connection)
    audit.note(connection, actor, "key.change", key.user_id, key=key.id, changes=sorted(changes))
    return changed


def renew_value(connection: Connection, key: Key, *, actor: str) -> tuple[Key, str]:
    """Gives a key a new value, and returns it with that; the old one ends at once."""
    value = new_key(key.type)
    return change_key(connection, key, {"hash": hash_key(value), "start": value[:START]}, actor=actor), value


def edit_key(connection: Connection, user_id: str, key_id: str, wanted: NewKey, *, keep_expiry: bool = False) -> Key:
    """Makes a key of the user's what ``wanted`` says, but for its type and its place among keys. ``keep_expiry`` leaves
    the expiry as it is. Raises NotFound, BadRequest, Conflict like ``change_key``."""
    key = own_key(connection, user_id, key_id)
    if key.created_via in CONSENT:
        raise BadRequest("An app has this key. What it may do is changed under Connected.")
    wanted = structs.replace(wanted, type=key.type, created_via=key.created_via)
    check_wanted(wanted)
    changes: dict[str, Any] = {
        "name": wanted.name,
        "models": None if wanted.models is None else tuple(dict.fromkeys(wanted.models)),
        "scopes": scopes_of(wanted, child=key.parent_id is not None),
        "budget_limit": budget_of(wanted.budget, app=key.app),
        "budget_period": wanted.budget_period,
        "app_url": wanted.app_url,
        "redirect_uris": tuple(wanted.redirect_uris),
        "origins": origins_of(wanted),
        "markup": wanted.markup,
        "devices": wanted.devices,
    }
    if not keep_expiry:
        changes["expires_at"] = expiry_of(wanted)
    changes = {name: value for name, value in changes.items() if value != getattr(key, name)}
    return change_key(connection, key, changes, actor=user_id) if changes else key


def switch_key(connection: Connection, user_id: str, key_id: str, enabled: bool) -> Key:
    """Switches a key of the user's off, and with it all below it, or on again. Raises NotFound."""
    key = own_key(connection, user_id, key_id)
    return key if key.enabled == enabled else change_key(connection, key, {"enabled": enabled}, actor=user_id)


def rotate_key(connection: Connection, user_id: str, key_id: str, grace_s: int) -> tuple[Key, str]:
    """Gives a secret key of the user's a new value and returns both; the old one works for ``grace_s`` seconds more,
    and values older than that end now. Raises NotFound, BadRequest."""
    key = own_key(connection, user_id, key_id)
    if key.type != "secret":
        raise BadRequest("A publishable key is no secret, so there is nothing to rotate. Make another one.")
    if key.created_via in CONSENT:
        raise BadRequest("The app that has this key could not learn the new value. Revoke the connection instead.")
    if not 0 <= grace_s <= GRACE_SECONDS:
        raise BadRequest(f"The old value works for at most {GRACE_SECONDS // 3600} hours more.")
    now = int(time.time() * 1000)
    former_values.forget(connection, [key.id])
    if grace_s:
        former_values.keep(connection, key.id, key.hash, now + grace_s * 1000)
    audit.note(connection, user_id, "key.rotate", user_id, key=key.id, name=key.name, grace_s=grace_s)
    return renew_value(connection, key, actor=user_id)


async def change_when_free(
    database: Database, key_id: str, change: Callable[[Connection], Key], *, seconds: float = 4
) -> Key:
    """Runs a change of a key; where workers have set aside what it takes away, asks them for it and tries again.

    Raises Conflict when running calls still need it after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await database.write(change)
        except Conflict as fault:
            if fault.reason != "held" or time.monotonic() > deadline:
                raise
        await database.write(lambda connection: _ask_back(connection, key_id))
        await asyncio.sleep(_FREE_SECONDS)


def _ask_back(connection: Connection, key_id: str) -> None:
    budget = get_key(connection, key_id).budget
    if budget is not None:
        credit.ask_back(connection, budget)
