"""The first start of an installation: an admin account with credit, one secret key and a sign-in link, made once."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

from msgspec import Struct

from openpollen.accounts import audit
from openpollen.accounts.key_changes import renew_value
from openpollen.accounts.keys import create_key, list_keys
from openpollen.accounts.login import create_link
from openpollen.accounts.once import first_time, happened
from openpollen.accounts.permissions import SCOPES
from openpollen.accounts.users import User, create_user, list_users
from openpollen.accounts.wanted_keys import NewKey
from openpollen.core.money import NANO, format_pollen
from openpollen.ledger.credit import grant
from openpollen.storage.database import Connection, Database

WELCOME = 10 * NANO
_SHOWN, _VIA = "first-start-shown", "first-start"


class FirstStart(Struct, frozen=True):
    """What the first start made. Neither the key nor the link can be read again."""

    user: User
    key: str
    link_token: str


def bootstrap(
    database: Database, *, name: str = "admin", tier: str = "microbe", welcome: int = WELCOME
) -> FirstStart | None:
    """Makes the admin account on the first start, and ``None`` on every later one. Waits; call it before serving. Until
    ``shown`` says that the key was shown, each start gives it a new value: a start that was broken off showed nothing.

    A name that is taken already, by a user made before the first start, gets a number.
    """

    def start(connection: Connection) -> FirstStart | None:
        return _make(connection, name, tier, welcome) or _again(connection)

    return database.write_sync(start)


def shown(database: Database) -> None:
    """Notes that the first key was shown; it will not be shown again."""
    database.write_sync(lambda connection: first_time(connection, _SHOWN, int(time.time() * 1000)))


def _make(connection: Connection, name: str, tier: str, welcome: int) -> FirstStart | None:
    if not first_time(connection, "first-start", int(time.time() * 1000)):
        return None
    taken = {user.name.lower() for user in list_users(connection)}
    free = next(wanted for wanted in _numbered(name) if wanted.lower() not in taken)
    user = create_user(connection, free, tier=tier, role="admin")
    if welcome:
        grant(connection, user.id, welcome, "pack", "welcome", audit.SYSTEM)
        amount = format_pollen(welcome)
        audit.note(connection, audit.SYSTEM, "credit.grant", user.id, amount=amount, bucket="pack", reason="welcome")
    wanted = NewKey(name="first key", scopes=SCOPES, created_via=_VIA)
    _, value = create_key(connection, user.id, wanted, actor=audit.SYSTEM)
    return FirstStart(user, value, create_link(connection, user.id))


def _again(connection: Connection) -> FirstStart | None:
    """The first key with another value, where nobody can have seen the one that it has."""
    if happened(connection, _SHOWN):
        return None
    for user in list_users(connection):
        for key in list_keys(connection, user.id):
            if key.created_via == _VIA and key.enabled and key.last_request_at is None:
                _, value = renew_value(connection, key, actor=audit.SYSTEM)
                return FirstStart(user, value, create_link(connection, user.id))
    return None


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}{number}" for number in itertools.count(2))
