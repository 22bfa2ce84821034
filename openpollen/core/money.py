"""Pollen as integers. 1 pollen = 1 USD = 1,000,000,000 nano-pollen; every amount in the program is an ``int`` of nano-pollen.

There is one rounding rule: a price is summed exactly and rounded half up once; what is held before a call rounds up.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

NANO = 1_000_000_000
#: Largest amount accepted anywhere: a billion pollen. Keeps sums inside SQLite's and PostgreSQL's 64-bit integers.
MAX_POLLEN = 1_000_000_000
MAX_AMOUNT = MAX_POLLEN * NANO

#: ASCII digits and a point: no sign, space, exponent or separator, and no digits of other scripts.
_PLAIN = re.compile(r"[0-9]*\.?[0-9]+")
_NANO_POLLEN = Decimal("1e-9")


def plain_decimal(value: str) -> Decimal:
    """A number written as a plain decimal, such as 12 or 0.40, exactly. Raises ValueError for any other text."""
    if not _PLAIN.fullmatch(value):
        raise ValueError("an amount is a plain decimal number of 0 or more, such as 1.5")
    return Decimal(value)


def parse_pollen(value: str | int | float | Decimal) -> int:
    """Turns a number of pollen into nano-pollen, exactly. Text is a plain decimal; an exponent is for numbers only.

    Raises ValueError for what is not a finite number of 0 or more, has more than nine places, or is above MAX_POLLEN.
    """
    if isinstance(value, bool):
        raise ValueError("an amount of pollen is a number")
    # repr() of a float is the shortest text that reads back the same, so 0.1 means what its author typed.
    amount = (
        plain_decimal(value) if isinstance(value, str) else Decimal(repr(value) if isinstance(value, float) else value)
    )
    if not amount.is_finite() or amount < 0:
        raise ValueError("an amount of pollen is a finite number of 0 or more")
    if amount > MAX_POLLEN:
        raise ValueError(f"an amount of pollen is at most {MAX_POLLEN:,}")
    rounded = amount.quantize(_NANO_POLLEN)
    if rounded != amount:
        raise ValueError("an amount of pollen has at most nine decimal places")
    return int(rounded.scaleb(9))


def format_pollen(nano: int) -> str:
    """Nano-pollen as a plain decimal string without exponent or trailing zeros: 1500000000 -> "1.5"."""
    sign = "-" if nano < 0 else ""
    whole, rest = divmod(abs(nano), NANO)
    return f"{sign}{whole}" if rest == 0 else f"{sign}{whole}.{rest:09d}".rstrip("0")


def pollen_number(nano: int) -> float | int:
    """Nano-pollen as a JSON number of pollen, for the fields that the contract keeps numeric (balance, cost_usd)."""
    return nano // NANO if nano % NANO == 0 else nano / NANO


def round_price(exact: Fraction) -> int:
    """Rounds an exact price in nano-pollen half up to a whole nano-pollen."""
    return (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)


def round_hold(exact: Fraction) -> int:
    """Rounds an exact upper bound in nano-pollen up to a whole nano-pollen."""
    return -(-exact.numerator // exact.denominator)
