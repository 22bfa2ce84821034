"""Computes charges again: from what each usage row keeps, which must agree, and at the prices of today, which need not.
Nothing is ever changed.

A row keeps its units and the rates that its bill took, so its price follows from the row alone. What it would cost
today takes the price of the model, or of the local engine where that stood in, with the row's own facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

from msgspec import DecodeError, Struct, json
from sqlalchemy import Row, select

from openpollen.core.model import Model, Price, Unit
from openpollen.core.usage import Usage
from openpollen.ledger.pricing import PriceFacts, UnpricedUsage, charge, with_input_of
from openpollen.storage.database import Connection
from openpollen.storage.schema import usage, usage_terms

_BATCH = 1_000

#: The price that a call of a model costs today, by model and by what served it; ``None`` when there is none any more.
PriceOf = Callable[[str, str | None], Price | None]

_units = json.Decoder(Usage).decode
_rates = json.Decoder(dict[str, str]).decode
_facts = json.Decoder(PriceFacts).decode


class Wrong(Struct, frozen=True):
    """A row whose price does not follow from it. ``computed`` is ``None`` when none can be computed, and ``why``
    says it."""

    request_id: str
    model: str
    measured: int
    computed: int | None
    why: str = ""


class Repriced(Struct):
    """A model's calls of the period: what they cost, and what they would cost now. ``unpriced`` calls have no price any
    more and are in neither sum."""

    model: str
    requests: int = 0
    was: int = 0
    now: int = 0
    unpriced: int = 0

    @property
    def difference(self) -> int:
        return self.now - self.was


class Rerated(Struct):
    """What came of it. ``measured`` is the sum of the rows' prices, in nano-pollen."""

    rows: int = 0
    measured: int = 0
    wrong: list[Wrong] = []
    models: list[Repriced] = []


def rerate(
    connection: Connection, first: date, last: date, *, user_id: str | None = None, price_of: PriceOf | None = None
) -> Rerated:
    """Computes every usage row of the UTC days from ``first`` to ``last`` again, both included. With ``price_of``, also
    at today's prices."""
    done = Rerated()
    models: dict[str, Repriced] = {}
    for row in _of_period(connection, first, last, user_id):
        done.rows += 1
        done.measured += row.measured
        if (wrong := check(row)) is not None:
            done.wrong.append(wrong)
        if price_of is not None:
            name = row.model or ""
            _reprice(row, price_of(name, row.served_model), models.setdefault(name, Repriced(name)))
    done.models = sorted(models.values(), key=lambda model: model.model)
    return done


def check(row: Row[Any]) -> Wrong | None:
    """What is wrong with a row's price; ``None`` when it is what its units cost at its rates."""
    try:
        price = Price({Unit(unit): Fraction(rate) for unit, rate in _rates(row.rates).items()})
        computed = charge(_units(row.units), price).total
    except UnpricedUsage as fault:
        return Wrong(row.request_id, row.model or "", row.measured, None, str(fault))
    except (DecodeError, ValueError, ZeroDivisionError) as fault:
        return Wrong(row.request_id, row.model or "", row.measured, None, f"cannot be read: {fault}")
    return None if computed == row.measured else Wrong(row.request_id, row.model or "", row.measured, computed)


def current_prices(models: Iterable[Model]) -> PriceOf:
    """Today's price of a call: that of its model, but that of the local engine where one stood in for want of a route."""
    by_name = {model.name: model for model in models}

    def price_of(name: str, served_by: str | None) -> Price | None:
        model = by_name.get(name)
        if model is None:
            return None
        stood_in = served_by not in (None, name) and all(route.provider != "local" for route in model.routes)
        engine = by_name.get(served_by or "")
        return engine.price if stood_in and engine is not None else model.price

    return price_of


def _reprice(row: Row[Any], price: Price | None, into: Repriced) -> None:
    into.requests += 1
    try:
        if price is None:
            raise UnpricedUsage(())
        units = _units(row.units)
        now = charge(units, price, with_input_of(units, _facts(row.facts))).total
    except (UnpricedUsage, DecodeError):
        into.unpriced += 1
        return
    into.was += row.measured
    into.now += now


def _of_period(connection: Connection, first: date, last: date, user_id: str | None) -> Iterator[Row[Any]]:
    terms = usage_terms.c
    columns = [usage.c[name] for name in ("request_id", "units", "measured")]
    columns += [terms[name] for name in ("model", "served_model", "rates", "facts")]
    rows = select(*columns).join(usage_terms, terms.id == usage.c.terms)
    rows = rows.where(usage.c.at >= _midnight(first), usage.c.at < _midnight(last + timedelta(days=1)))
    if user_id is not None:
        rows = rows.where(usage.c.user_id == user_id)
    yield from connection.execute(rows.order_by(usage.c.id).execution_options(yield_per=_BATCH))


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
