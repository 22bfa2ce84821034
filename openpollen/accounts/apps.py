"""Apps: publishable keys that name an app on the consent page, and what came through them. Their owner sees counts and
pseudonyms, never who it was (rule 40). Every function with a connection runs inside a transaction of the caller."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from msgspec import Struct, structs
from sqlalchemy import func, select

from openpollen.accounts.keys import Key, list_keys, own_key
from openpollen.core.errors import NotFound
from openpollen.storage.database import Connection
from openpollen.storage.schema import usage_apps
from openpollen.usage.days import days_ago

_LATELY = 30
_PEOPLE = 50


class Traffic(Struct, frozen=True):
    """What came through an app; ``spent`` is nano-pollen."""

    requests: int
    users: int
    spent: int


class Person(Struct, frozen=True):
    """Somebody who used an app lately, by pseudonym; ``spent`` is nano-pollen."""

    name: str
    requests: int
    spent: int


class App(Struct, frozen=True):
    """An app of an owner: of the last 30 days, and since it began. ``people`` are those who spent most lately."""

    key: Key
    lately: Traffic
    ever: Traffic
    people: Sequence[Person] = ()


def of_owner(connection: Connection, user_id: str) -> list[App]:
    """An owner's apps, the newest first."""
    return [_app(connection, key) for key in list_keys(connection, user_id) if key.app]


def of_id(connection: Connection, user_id: str, key_id: str) -> App:
    """One app of an owner. Raises NotFound."""
    key = own_key(connection, user_id, key_id)
    if not key.app:
        raise NotFound("There is no such app.")
    return structs.replace(_app(connection, key), people=_people(connection, key.id))


def pseudonym(app_key_id: str, user_id: str) -> str:
    """What an app's owner and its servers call a user: always the same, another one in every app."""
    return hmac.new(app_key_id.encode(), user_id.encode(), hashlib.sha256).hexdigest()[:24]


def traffic(connection: Connection, key_id: str, days: int | None = None) -> Traffic:
    """What came through an app in the last so many UTC days, or ever."""
    table = usage_apps.c
    sums = select(
        func.coalesce(func.sum(table.requests), 0),
        func.count(func.distinct(table.user_id)),
        func.coalesce(func.sum(table.cost), 0),
    ).where(table.app_key_id == key_id)
    if days is not None:
        sums = sums.where(table.date > days_ago(days))
    return Traffic(*(int(number) for number in connection.execute(sums).one()))


def _app(connection: Connection, key: Key) -> App:
    return App(key, traffic(connection, key.id, _LATELY), traffic(connection, key.id))


def _people(connection: Connection, key_id: str) -> list[Person]:
    table = usage_apps.c
    spent = func.sum(table.cost)
    sums = select(table.user_id, func.sum(table.requests), spent)
    sums = sums.where(table.app_key_id == key_id, table.date > days_ago(_LATELY)).group_by(table.user_id)
    rows = connection.execute(sums.order_by(spent.desc(), table.user_id).limit(_PEOPLE))
    return [Person(pseudonym(key_id, row[0]), int(row[1]), int(row[2])) for row in rows]
