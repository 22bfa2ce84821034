"""One row for each request and the daily roll-ups, written in the transaction that settles the request."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b

from msgspec import Struct, json

from openpollen.core.usage import Usage
from openpollen.storage.schema import usage, usage_terms
from openpollen.storage.writer import Driver
from openpollen.usage.days import day_of

_NO_USAGE = Usage(requests=0)
_DAY_MS = 86_400_000
_NOTHING = (("", 0),)
#: How the key ids of calls begin that a signed-in page of ours made, without a key.
PAGE_KEY = "page_"


class UsageRow(Struct, frozen=True, kw_only=True, gc=False):
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


class Paid(Struct, frozen=True, gc=False):
    """How one request was paid: ``parts`` are (bucket, nano-pollen) in spending order; ``share`` of it went to an app's
    author, on top of the price; the shortfall is the platform's."""

    measured: int
    parts: tuple[tuple[str, int], ...] = ()
    share: int = 0

    @property
    def charged(self) -> int:
        return sum(amount for _, amount in self.parts)

    @property
    def shortfall(self) -> int:
        return self.measured + self.share - self.charged

    @property
    def meter_source(self) -> str | None:
        """The bucket that paid most, the earlier one of two equal; ``None`` when nothing was paid."""
        return max(self.parts, key=lambda part: part[1])[0] if self.parts else None


def _insert_into(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 - schema names


_TERMS = tuple(column.name for column in usage_terms.columns)
_COLUMNS = tuple(column.name for column in usage.columns if column.name != "id")
_INSERT_TERMS = f"{_insert_into('usage_terms', _TERMS)} ON CONFLICT (id) DO NOTHING"
_INSERT = _insert_into("usage", _COLUMNS)
_ROLL_UP = (
    "INSERT INTO usage_daily (user_id, date, model, meter_source, key_id, requests, cost) VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (user_id, date, model, meter_source, key_id) DO UPDATE "
    "SET requests = usage_daily.requests + excluded.requests, cost = usage_daily.cost + excluded.cost"
)
_ROLL_UP_APPS = (
    "INSERT INTO usage_apps (app_key_id, date, user_id, meter_source, requests, cost) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (app_key_id, date, user_id, meter_source) DO UPDATE "
    "SET requests = usage_apps.requests + excluded.requests, cost = usage_apps.cost + excluded.cost"
)
_encode = json.Encoder().encode


def write_rows(driver: Driver, rows: Sequence[tuple[UsageRow, Paid]], now: int) -> None:
    """Writes usage rows and adds them to the daily roll-up. ``now`` in milliseconds stands in for a row without a
    time."""
    if not rows:
        return
    values: list[tuple[object, ...]] = []
    terms: dict[str, UsageRow] = {}
    daily: dict[tuple[str, str, str, str, str], list[int]] = {}
    apps: dict[tuple[str, str, str, str], list[int]] = {}
    for row, paid in rows:
        at = row.at or now
        parts = paid.parts or _NOTHING
        main, charged = parts[0] if len(parts) == 1 else (paid.meter_source or "", paid.charged)
        terms_id = _terms_id(_encode(_terms(row)))
        terms[terms_id] = row
        values.append(
            (
                row.request_id,
                at,
                row.user_id,
                row.key_id,
                terms_id,
                main or None,
                _encode(row.units).decode(),
                paid.measured,
                charged,
                paid.measured + paid.share - charged,
                row.response_ms,
                1 if row.estimated or row.units.estimated else 0,
                1 if row.partial else 0,
                1 if row.cached else 0,
            )
        )
        for bucket, amount in parts:
            key = (row.user_id, day_of(at), row.model or "", bucket, row.key_id or "")
            total = daily.get(key)
            if total is None:
                total = daily[key] = [0, 0]
            total[0] += bucket == main
            total[1] += amount
            if row.app_key_id is not None:
                through = apps.setdefault((row.app_key_id, key[1], row.user_id, bucket), [0, 0])
                through[0] += bucket == main
                through[1] += amount
    driver.executemany(_INSERT_TERMS, [_terms_values(terms_id, row) for terms_id, row in terms.items()])
    driver.executemany(_INSERT, values)
    driver.executemany(_ROLL_UP, [(*key, *total) for key, total in daily.items()])
    if apps:
        driver.executemany(_ROLL_UP_APPS, [(*key, *total) for key, total in apps.items()])


def _terms(row: UsageRow) -> tuple[object, ...]:
    """What other requests have in common with this one."""
    return (
        row.key_name,
        row.key_type,
        row.app_key_id,
        row.type,
        row.model,
        row.served_model,
        row.provider,
        row.rates,
        row.facts,
        row.price_version,
        row.catalog_revision,
    )


@lru_cache(maxsize=4096)
def _terms_id(terms: bytes) -> str:
    """The same for the same terms in every process, so that none need ask for it."""
    return base64.urlsafe_b64encode(blake2b(terms, digest_size=12).digest()).decode()


def _terms_values(terms_id: str, row: UsageRow) -> tuple[object, ...]:
    return (terms_id, *(_encode(value).decode() if isinstance(value, Mapping) else value for value in _terms(row)))
