"""One row for each request and the daily roll-up, written in the transaction that settles the request."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache

from msgspec import Struct, json

from openpollen.core.usage import Usage
from openpollen.storage.schema import usage
from openpollen.storage.writer import Driver

_NO_USAGE = Usage(requests=0)
_DAY_MS = 86_400_000


class UsageRow(Struct, frozen=True, kw_only=True):
    """What is written about one request. The ledger adds the money: measured and charged price, shortfall and bucket.

    ``at`` is in milliseconds. ``model`` is the model asked for, ``served_model`` what served it. ``rates`` are the
    nano-pollen for one of each unit that the bill took, as text of an exact fraction, and ``facts`` what chose them from
    the price: with ``units`` the charge can be computed again. ``meter_source`` is the bucket that paid most; the ledger
    sets it with the amounts.
    """

    request_id: str
    user_id: str
    type: str
    key_id: str | None = None
    key_name: str | None = None
    key_type: str | None = None
    app_key_id: str | None = None
    model: str | None = None
    served_model: str | None = None
    provider: str | None = None
    units: Usage = _NO_USAGE
    rates: Mapping[str, str] = {}
    facts: Mapping[str, str | bool] = {}
    price_version: str = ""
    catalog_revision: str = ""
    response_ms: int | None = None
    estimated: bool = False
    partial: bool = False
    cached: bool = False
    at: int | None = None


class Paid(Struct, frozen=True):
    """How one request was paid: ``parts`` are (bucket, nano-pollen) in spending order; the shortfall is the
    platform's."""

    measured: int
    parts: tuple[tuple[str, int], ...] = ()

    @property
    def charged(self) -> int:
        return sum(amount for _, amount in self.parts)

    @property
    def shortfall(self) -> int:
        return self.measured - self.charged

    @property
    def meter_source(self) -> str | None:
        """The bucket that paid most, the earlier one of two equal; ``None`` when nothing was paid."""
        return max(self.parts, key=lambda part: part[1])[0] if self.parts else None


_COLUMNS = tuple(column.name for column in usage.columns if column.name != "id")
_INSERT = f"INSERT INTO usage ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - schema names
_ROLL_UP = (
    "INSERT INTO usage_daily (user_id, date, model, meter_source, key_id, requests, cost) VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (user_id, date, model, meter_source, key_id) DO UPDATE "
    "SET requests = usage_daily.requests + excluded.requests, cost = usage_daily.cost + excluded.cost"
)
_encode = json.Encoder().encode


def write_rows(driver: Driver, rows: Sequence[tuple[UsageRow, Paid]], now: int) -> None:
    """Writes usage rows and adds them to the daily roll-up. ``now`` in milliseconds stands in for a row without a
    time."""
    if not rows:
        return
    values: list[tuple[object, ...]] = []
    daily: dict[tuple[str, str, str, str, str], list[int]] = {}
    for row, paid in rows:
        at = row.at or now
        main = paid.meter_source
        values.append(_values(row, paid, at, main))
        for bucket, amount in paid.parts or (("", 0),):
            key = (row.user_id, _date(at // _DAY_MS), row.model or "", bucket, row.key_id or "")
            total = daily.get(key)
            if total is None:
                total = daily[key] = [0, 0]
            total[0] += bucket == (main or "")
            total[1] += amount
    driver.executemany(_INSERT, values)
    driver.executemany(_ROLL_UP, [(*key, *total) for key, total in daily.items()])


def _values(row: UsageRow, paid: Paid, at: int, main: str | None) -> tuple[object, ...]:
    charged = paid.charged
    return (
        row.request_id,
        at,
        row.user_id,
        row.key_id,
        row.key_name,
        row.key_type,
        row.app_key_id,
        row.type,
        row.model,
        row.served_model,
        row.provider,
        main,
        _encode(row.units).decode(),
        _encode(row.rates).decode(),
        _encode(row.facts).decode(),
        row.price_version,
        row.catalog_revision,
        paid.measured,
        charged,
        paid.measured - charged,
        row.response_ms,
        int(row.estimated or row.units.estimated),
        int(row.partial),
        int(row.cached),
    )


@lru_cache(maxsize=8)
def _date(day: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(day * _DAY_MS // 1000))
