"""What the pages draw of an account's usage: sums by time and by model, key, app or bucket, and single requests with what
their bill was made of. Amounts are nano-pollen, times milliseconds."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from msgspec import Struct, json
from sqlalchemy import ColumnElement, Row, and_, func, or_, select

from openpollen.core.usage import Usage
from openpollen.storage.database import Connection
from openpollen.storage.schema import api_keys, usage, usage_daily, usage_terms
from openpollen.usage.days import day_of, days_ago
from openpollen.usage.record import PAGE_KEY

By = Literal["model", "key", "app", "bucket"]

_HOUR_MS = 3_600_000
#: Zones differ from UTC by whole quarters of an hour, so days of any zone are sums of these.
_QUARTER_MS = 900_000
_units = json.Decoder(Usage).decode
_rates = json.Decoder(dict[str, str]).decode


class Window(Struct, frozen=True):
    """A stretch of time in bins: hours of the last day, or whole days of a zone, the last one being today.

    ``starts`` are where the bins begin, ``end`` is where the last one ends."""

    zone: str
    starts: tuple[int, ...]
    end: int
    hours: bool

    @property
    def start(self) -> int:
        return self.starts[0]

    def labels(self) -> list[str]:
        """What each bin is called."""
        form = "%H:%M" if self.hours else "%-d %b"
        return [datetime.fromtimestamp(at / 1000, ZoneInfo(self.zone)).strftime(form) for at in self.starts]


class Only(Struct, frozen=True):
    """Which requests count: of one model, of one key, or all."""

    model: str | None = None
    key_id: str | None = None


EVERYTHING = Only()


class Group(Struct):
    """What one model, key, app or bucket had in each bin. ``id`` is ``None`` for requests that have none."""

    id: str | None
    name: str
    requests: list[int]
    cost: list[int]


class Spent(Struct, frozen=True):
    """One request. ``rates`` are nano-pollen for one of each unit, as exact fractions; ``share`` went to an app's author."""

    id: int
    at: int
    request_id: str
    type: str
    model: str | None
    served_model: str | None
    provider: str | None
    key_id: str | None
    key_name: str | None
    app_key_id: str | None
    units: Usage
    rates: Mapping[str, str]
    meter_source: str | None
    measured: int
    charged: int
    shortfall: int
    response_ms: int | None
    estimated: bool
    partial: bool
    cached: bool

    @property
    def share(self) -> int:
        return self.charged + self.shortfall - self.measured


class Today(Struct, frozen=True):
    """A UTC day of the whole installation."""

    requests: int
    cost: int
    users: int


def window(days: int, zone: str, now: float | None = None) -> Window:
    """The last ``days`` days of a zone, today included; a single day is the last 24 hours."""
    tz = ZoneInfo(zone)
    moment = datetime.fromtimestamp(time.time() if now is None else now, tz)
    if days == 1:
        end = (int(moment.timestamp() * 1000) // _HOUR_MS + 1) * _HOUR_MS
        return Window(zone, tuple(end - hour * _HOUR_MS for hour in range(24, 0, -1)), end, True)
    dates = [moment.date() - timedelta(days=back) for back in range(days - 1, -2, -1)]
    midnights = [round(datetime(day.year, day.month, day.day, tzinfo=tz).timestamp() * 1000) for day in dates]
    return Window(zone, tuple(midnights[:-1]), midnights[-1], False)


def groups(connection: Connection, user_id: str, within: Window, by: By, only: Only = EVERYTHING) -> list[Group]:
    """The sums of an account, largest first. Whole UTC days come from the daily roll-up, which splits a charge exactly
    between its buckets; else a charge counts for the bucket that paid most of it."""
    rolled = within.zone == "UTC" and not within.hours and by != "app"
    found = (
        _of_days(connection, user_id, within, by, only) if rolled else _of_rows(connection, user_id, within, by, only)
    )
    named = _names(connection, by, [id_ for id_ in found if id_])
    blank = {"model": "No model", "key": "No key", "app": "Without an app", "bucket": "Free"}[by]
    out = [Group(id_, named.get(id_, id_) if id_ else blank, *sums) for id_, sums in found.items()]
    return sorted(out, key=lambda group: (-sum(group.cost), -sum(group.requests), group.name))


def used(connection: Connection, user_id: str, days: int = 90) -> tuple[list[str], list[tuple[str, str]]]:
    """Models, and keys as (id, name), that an account has used lately."""
    first = days_ago(days)
    table = usage_daily.c
    mine = (table.user_id == user_id, table.date >= first)
    models = connection.execute(select(table.model).where(*mine, table.model != "").distinct()).scalars().all()
    keys = connection.execute(select(table.key_id).where(*mine, table.key_id != "").distinct()).scalars().all()
    named = _names(connection, "key", [str(key) for key in keys])
    pairs = [(str(key), named.get(str(key), str(key))) for key in keys]
    return sorted(models), sorted(pairs, key=lambda pair: pair[1].lower())


def latest(
    connection: Connection,
    user_id: str,
    *,
    limit: int,
    only: Only = EVERYTHING,
    since: int = 0,
    until: int | None = None,
    before: tuple[int, int] | None = None,
) -> list[Spent]:
    """An account's requests, the newest first. ``before`` is (``at``, ``id``) of the last one seen."""
    where = [*_mine(user_id, only), usage.c.at >= since]
    if until is not None:
        where.append(usage.c.at < until)
    if before is not None:
        where.append(or_(usage.c.at < before[0], and_(usage.c.at == before[0], usage.c.id < before[1])))
    terms = (column for column in usage_terms.c if column.name != "id")
    rows = select(usage, *terms).join(usage_terms, usage_terms.c.id == usage.c.terms).where(*where)
    rows = rows.order_by(usage.c.at.desc(), usage.c.id.desc()).limit(limit)
    return [_spent(row) for row in connection.execute(rows)]


def of_everybody(connection: Connection, day: date) -> Today:
    """What all accounts used on a UTC day."""
    table = usage_daily.c
    sums = select(
        func.coalesce(func.sum(table.requests), 0),
        func.coalesce(func.sum(table.cost), 0),
        func.count(func.distinct(table.user_id)),
    )
    requests, cost, people = connection.execute(sums.where(table.date == f"{day:%Y-%m-%d}")).one()
    return Today(int(requests), int(cost), int(people))


def days_of_everybody(connection: Connection, within: Window) -> Group:
    """What all accounts used, by UTC day."""
    table, dates = usage_daily.c, _dates(within)
    sums = select(table.date, func.sum(table.requests), func.sum(table.cost))
    rows = connection.execute(sums.where(table.date >= dates[0]).group_by(table.date))
    out = Group(None, "All accounts", [0] * len(dates), [0] * len(dates))
    for day, requests, cost in rows:
        if day in dates:
            out.requests[dates.index(day)], out.cost[dates.index(day)] = int(requests), int(cost)
    return out


Sums = tuple[list[int], list[int]]


def _of_days(connection: Connection, user_id: str, within: Window, by: By, only: Only) -> dict[str | None, Sums]:
    table, dates = usage_daily.c, _dates(within)
    column = {"model": table.model, "key": table.key_id, "bucket": table.meter_source}[by]
    where = [table.user_id == user_id, table.date >= dates[0]]
    if only.model is not None:
        where.append(table.model == only.model)
    if only.key_id is not None:
        where.append(table.key_id == only.key_id)
    sums = select(table.date, column, func.sum(table.requests), func.sum(table.cost)).where(*where)
    rows = connection.execute(sums.group_by(table.date, column))
    places = {day: place for place, day in enumerate(dates)}
    found = ((places[day], id_, requests, cost) for day, id_, requests, cost in rows if day in places)
    return _summed(found, len(dates))


def _of_rows(connection: Connection, user_id: str, within: Window, by: By, only: Only) -> dict[str | None, Sums]:
    quarter = (usage.c.at // _QUARTER_MS).label("quarter")
    column = {"model": usage.c.terms, "app": usage.c.terms, "key": usage.c.key_id, "bucket": usage.c.meter_source}[by]
    where = [*_mine(user_id, only), usage.c.at >= within.start, usage.c.at < within.end]
    sums = select(quarter, column, func.count(), func.sum(usage.c.charged)).where(*where)
    rows = connection.execute(sums.group_by(quarter, column)).all()
    told: Mapping[str | None, str | None] = {row[1]: row[1] for row in rows}
    if by in ("model", "app"):
        name = usage_terms.c.model if by == "model" else usage_terms.c.app_key_id
        known = select(usage_terms.c.id, name).where(usage_terms.c.id.in_({row[1] for row in rows}))
        told = {row[0]: row[1] for row in connection.execute(known)}
    found = ((bisect_right(within.starts, q * _QUARTER_MS) - 1, told[id_], n, cost) for q, id_, n, cost in rows)
    return _summed(found, len(within.starts))


def _summed(rows: Iterable[tuple[int, str | None, int, int]], bins: int) -> dict[str | None, Sums]:
    out: dict[str | None, Sums] = {}
    for place, id_, requests, cost in rows:
        sums = out.setdefault(id_ or None, ([0] * bins, [0] * bins))
        sums[0][place] += int(requests)
        sums[1][place] += int(cost)
    return out


def _names(connection: Connection, by: By, ids: Sequence[str]) -> dict[str, str]:
    """What people call these: keys and apps by name, the name a revoked key had when it was last used."""
    if by == "model":
        return {}
    if by == "bucket":
        return {"tier": "Tier", "crypto": "Crypto", "pack": "Pack"}
    rows = connection.execute(select(api_keys.c.id, api_keys.c.name).where(api_keys.c.id.in_(ids)))
    named = {row.id: row.name for row in rows}
    if by == "app":
        return dict.fromkeys(ids, "An app that is gone") | named
    for key_id in set(ids) - named.keys():
        last = select(usage_terms.c.key_name).join(usage, usage.c.terms == usage_terms.c.id)
        last = last.where(usage.c.key_id == key_id).order_by(usage.c.at.desc(), usage.c.id.desc()).limit(1)
        name = connection.execute(last).scalar() or "A key"
        named[key_id] = name if key_id.startswith(PAGE_KEY) else f"{name} (revoked)"
    return named


def _mine(user_id: str, only: Only) -> list[ColumnElement[bool]]:
    where = [usage.c.user_id == user_id]
    if only.key_id is not None:
        where.append(usage.c.key_id == only.key_id)
    if only.model is not None:
        where.append(usage.c.terms.in_(select(usage_terms.c.id).where(usage_terms.c.model == only.model)))
    return where


def _dates(within: Window) -> list[str]:
    return [day_of(at) for at in within.starts]


def _spent(row: Row[Any]) -> Spent:
    known: dict[str, Any] = {name: getattr(row, name) for name in Spent.__struct_fields__}
    for name in ("estimated", "partial", "cached"):
        known[name] = bool(known[name])
    known["units"], known["rates"] = _units(row.units), _rates(row.rates)
    return Spent(**known)
