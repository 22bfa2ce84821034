"""What a past charge was made of: its units, each at the rate that its bill took."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from openpollen.core.model import Price, Unit
from openpollen.core.usage import Usage
from openpollen.ledger.pricing import Line, UnpricedUsage, charge


def lines_of(units: Usage, rates: Mapping[str, str]) -> tuple[Line, ...]:
    """The lines of the bill that cost something; none where nothing was charged or a unit had no rate."""
    try:
        price = Price({Unit(unit): Fraction(rate) for unit, rate in rates.items()})
        return tuple(line for line in charge(units, price).lines if line.count and line.rate)
    except (UnpricedUsage, ValueError):
        return ()
