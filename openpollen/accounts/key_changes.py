"""What an owner changes of a key after it was made: its terms, whether it is on, its value. Every function runs inside a
transaction of the caller and takes its connection first."""

from __future__ import annotations

import time
from typing import Any

from msgspec import structs

from openpollen.accounts import audit, former_values
from openpollen.accounts.keys import (
    Key,
    NewKey,
    budget_of,
    change_key,
    check_wanted,
    expiry_of,
    origins_of,
    own_key,
    renew_value,
    scopes_of,
)
from openpollen.accounts.permissions import CONSENT
from openpollen.core.errors import BadRequest
from openpollen.storage.database import Connection

#: The longest grace of a rotated key's former value.
GRACE_SECONDS = 7 * 86_400


def edit_key(connection: Connection, user_id: str, key_id: str, wanted: NewKey, *, keep_expiry: bool = False) -> Key:
    """Makes a key of the user's what ``wanted`` says, but for its type and its place among keys. ``keep_expiry`` leaves
    the expiry as it is. Raises NotFound, BadRequest, Conflict like ``change_key``."""
    key = own_key(connection, user_id, key_id)
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
