"""Stacked bars as SVG, made here. The picture stretches to its place; words stand beside it as HTML, so that they stay
readable on a phone, and the same figures come along as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from markupsafe import Markup
from msgspec import Struct

from openpollen.core.money import NANO, format_pollen
from openpollen.usage.figures import Group, Window
from openpollen.web.render import pollen

Measure = Literal["pollen", "requests"]

#: So many groups have a colour of their own; the rest are one.
_SERIES = 6
_HEIGHT = 100.0
#: Where the scale of a plot without anything in it ends: one pollen, or five requests.
_TOP_OF_NOTHING = {"pollen": NANO, "requests": 5}
_STEP, _BAR = 10.0, 7.6


class Entry(Struct, frozen=True):
    """A line of the legend; ``tone`` is the class of its colour."""

    tone: str
    name: str
    total: str


class Plot(Struct, frozen=True):
    """A plot with its words: the picture, the top of the scale, three labels of the time axis, the legend, the table."""

    svg: Markup
    top: str
    axis: tuple[str, str, str]
    legend: list[Entry]
    columns: list[str]
    rows: list[tuple[str, list[str]]]
    total: str


def stacked(groups: Sequence[Group], within: Window, measure: Measure, *, buckets: bool = False) -> Plot:
    """The plot of groups, the largest first. ``buckets`` colours them as the balance is."""
    labels = within.labels()
    shown = _merged(sorted(groups, key=lambda group: -sum(_values(group, measure))), measure)
    tones = [group.id if buckets and group.id else f"s{place}" for place, group in enumerate(shown)]
    sums = [sum(values) for values in zip(*(_values(group, measure) for group in shown), strict=True)] or [0]
    top = _round_up(max(sums) or _TOP_OF_NOTHING[measure], measure)
    parts: list[str] = []
    for place, label in enumerate(labels):
        bars, base = "", _HEIGHT
        for tone, group in zip(tones, shown, strict=True):
            if value := _values(group, measure)[place]:
                height = _HEIGHT * value / top
                base -= height
                bars += (
                    f'<rect class="{tone}" x="{place * _STEP + (_STEP - _BAR) / 2:.1f}" y="{base:.2f}" width="{_BAR}" '
                    f'height="{height:.2f}"/>'
                )
        if bars:
            parts.append(f"<g><title>{label}: {_text(sums[place], measure)}</title>{bars}</g>")
    width = len(labels) * _STEP
    grid = "".join(f'<path class="rule" d="M0 {y}H{width}"/>' for y in (0, 25, 50, 75, 100))
    # Numbers, labels and classes of our own making: nothing here was typed by anybody.
    svg = Markup(  # noqa: S704
        f'<svg class="bars" viewBox="0 0 {width} 100" preserveAspectRatio="none" aria-hidden="true">'
        f"{grid}{''.join(parts)}</svg>"
    )
    return Plot(
        svg,
        _text(top, measure),
        (labels[0], labels[len(labels) // 2], "now" if within.hours else "today"),
        [
            Entry(tone, group.name, _text(sum(_values(group, measure)), measure))
            for tone, group in zip(tones, shown, strict=True)
        ],
        [group.name for group in shown],
        [
            (label, [_text(_values(group, measure)[place], measure) for group in shown])
            for place, label in enumerate(labels)
            if any(_values(group, measure)[place] for group in shown)
        ],
        _text(sum(sums), measure),
    )


def share_bar(parts: Sequence[tuple[str, int]]) -> Markup:
    """A line divided among amounts, each with the class of its colour."""
    total = sum(amount for _, amount in parts)
    x, rects = 0.0, ""
    for tone, amount in parts:
        width = 100 * amount / total if total else 0
        rects += f'<rect class="{tone}" x="{x:.3f}" y="0" width="{width:.3f}" height="10"/>'
        x += width
    return Markup(  # noqa: S704 - numbers and classes of our own making
        f'<svg class="share" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">{rects}</svg>'
    )


def left_bar(left: int, limit: int) -> Markup:
    """A line that is full while all of a budget is left."""
    part = min(limit, max(0, left))
    return share_bar([("low" if limit and part * 5 < limit else "left", part), ("gone", limit - part or 1)])


def _values(group: Group, measure: Measure) -> list[int]:
    return group.cost if measure == "pollen" else group.requests


def _merged(groups: Sequence[Group], measure: Measure) -> list[Group]:
    some = [group for group in groups if any(_values(group, measure))]
    if len(some) <= _SERIES + 1:
        return some
    rest = some[_SERIES:]
    requests = [sum(values) for values in zip(*(group.requests for group in rest), strict=True)]
    cost = [sum(values) for values in zip(*(group.cost for group in rest), strict=True)]
    return [*some[:_SERIES], Group(None, f"{len(rest)} others", requests, cost)]


def _round_up(value: int, measure: Measure) -> int:
    """The next of 1, 2, 2.5, 5 times a power of ten, so that the scale reads well."""
    least = 4 if measure == "requests" else NANO // 1_000_000
    power = 1
    while True:
        for factor in (10, 20, 25, 50):
            if (step := factor * power // 10) * 10 == factor * power and step >= max(value, least):
                return step
        power *= 10


def _text(value: int, measure: Measure) -> str:
    if measure == "requests":
        return f"{value:,}"
    return format_pollen(value) if value < 1_000 else pollen(value)
