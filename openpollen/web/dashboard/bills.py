"""Single requests as people read them: what it was, what it cost, and what the bill was made of."""

from __future__ import annotations

from fractions import Fraction

from msgspec import Struct

from openpollen.catalog.describe import format_rate
from openpollen.core.money import format_pollen, round_price
from openpollen.ledger.breakdown import lines_of
from openpollen.ledger.pricing import Line
from openpollen.usage.figures import Spent
from openpollen.web.prices import RATES, UNITS

#: What kinds of requests are called.
TYPES = {
    "generate.text": "Text",
    "generate.image": "Picture",
    "generate.video": "Video",
    "generate.audio": "Sound",
}


class Bill(Struct, frozen=True):
    """A request. ``lines`` are (how much of what, at which rate, nano-pollen rounded); ``notes`` say what is special."""

    spent: Spent
    kind: str
    lines: list[tuple[str, str, str]]
    notes: list[str]


def bill(spent: Spent) -> Bill:
    """The bill of a request."""
    lines = [_line(line) for line in lines_of(spent.units, spent.rates)] if spent.measured else []
    kind = TYPES.get(spent.type, spent.type.rpartition(".")[2].capitalize())
    return Bill(spent, kind, lines, _notes(spent))


def _line(line: Line) -> tuple[str, str, str]:
    per, words = RATES[line.unit]
    count = Fraction(line.count)
    number = f"{int(count):,}" if count.denominator == 1 else f"{float(count):,.3f}".rstrip("0")
    rate = f"{format_rate(line.rate * per)} {words}"
    return f"{number} {UNITS[line.unit][count != 1]}", rate, format_pollen(round_price(count * line.rate))


def _notes(spent: Spent) -> list[str]:
    notes: list[str] = []
    if spent.cached:
        notes.append("Answered from the cache: free.")
    if spent.partial:
        notes.append("Broken off: only what had been made is charged.")
    if spent.estimated:
        notes.append("The provider did not say how much it was, so we counted.")
    if spent.share > 0:
        notes.append(f"{format_pollen(spent.share)} of it went to the app's author.")
    if spent.shortfall > 0:
        notes.append(f"{format_pollen(spent.shortfall)} was more than you had left; this server covered it.")
    return notes
