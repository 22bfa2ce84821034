"""Apps: publishable keys that name an app on the consent page, and what came through them. Their owner sees counts, never
who it was (rule 40). Every function runs inside a transaction of the caller."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec import Struct
from sqlalchemy import func, select

from openpollen.accounts.keys import Key, list_keys, own_key
from openpollen.core.errors import NotFound
from openpollen.storage.database import Connection
from openpollen.storage.schema import usage_apps


class Traffic(Struct, frozen=True):
    """What came through an app; ``spent`` is nano-pollen."""

    requests: int
    users: int
    spent: int


class App(Struct, frozen=True):
    """An app of an owner: of the last 30 days, and since it began."""

    key: Key
    lately: Traffic
    ever: Traffic


def of_owner(connection: Connection, user_id: str) -> list[App]:
    """An owner's apps, the newest first."""
    return [_app(connection, key) for key in list_keys(connection, user_id) if key.app]


def of_id(connection: Connection, user_id: str, key_id: str) -> App:
    """One app of an owner. Raises NotFound."""
    key = own_key(connection, user_id, key_id)
    if not key.app:
        raise NotFound("There is no such app.")
    return _app(connection, key)


def traffic(connection: Connection, key_id: str, days: int | None = None) -> Traffic:
    """What came through an app in the last so many UTC days, or ever."""
    table = usage_apps.c
    sums = select(
        func.coalesce(func.sum(table.requests), 0),
        func.count(func.distinct(table.user_id)),
        func.coalesce(func.sum(table.cost), 0),
    ).where(table.app_key_id == key_id)
    if days is not None:
        sums = sums.where(table.date > (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%d"))
    return Traffic(*(int(number) for number in connection.execute(sums).one()))


def _app(connection: Connection, key: Key) -> App:
    return App(key, traffic(connection, key.id, 30), traffic(connection, key.id))
