"""What a call costs, and the most it can cost. Pure arithmetic over exact fractions; amounts are nano-pollen.

A price has a rate per unit. A token kind without a rate of its own is paid at the text rate of its direction: cached,
cache-write, audio and image input at ``input_token``; reasoning, audio and image output at ``output_token``. Units that
describe the same work twice (a picture and the tokens it took) are paid by whichever of them has a rate, by both when
both have one. Work that no rate covers is never free: it raises UnpricedUsage.

``charge`` sums exactly and rounds half up once; ``upper_bound`` rounds up. For every usage within a ``Ceiling``,
``charge`` is at most ``upper_bound``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

import msgspec
from msgspec import Struct

from openpollen.core.model import Price, Unit, Variant
from openpollen.core.money import round_hold, round_price
from openpollen.core.usage import Usage

#: What ``affordable_tokens`` answers when output costs nothing.
UNLIMITED_TOKENS = 2**31 - 1

#: A number without rounding. Most rates are whole nano-pollen, and integers are an order of magnitude faster.
Exact = int | Fraction


class UnpricedUsage(Exception):
    """Something was used that no rate covers. ``units`` names it."""

    def __init__(self, units: tuple[Unit, ...]) -> None:
        super().__init__("no rate for " + ", ".join(units))
        self.units = units


class PriceFacts(Struct, frozen=True):
    """What decides between the variants of a price. ``input_tokens_total`` counts every kind of input token.

    ``quality`` is low, medium or high (``search_context_size`` for a chat that searches); ``resolution`` is 480p,
    720p or 1080p of a video, 1k, 2k or 4k of a picture (``image_resolution``); ``audio`` tells whether a video has
    sound.
    """

    input_tokens_total: int = 0
    quality: str | None = None
    resolution: str | None = None
    audio: bool | None = None

    @property
    def told(self) -> dict[str, str | bool]:
        """The facts that are known, but for the count of input tokens: a usage row keeps that with its units."""
        known = {"quality": self.quality, "resolution": self.resolution, "audio": self.audio}
        return {name: fact for name, fact in known.items() if fact is not None}


NO_FACTS = PriceFacts()


class Line(Struct, frozen=True):
    """One item of a bill: ``count`` units at ``rate`` nano-pollen each."""

    unit: Unit
    count: Exact
    rate: Fraction


class Charge(Struct, frozen=True):
    """A bill. ``total`` is in nano-pollen, rounded half up once."""

    total: int
    lines: tuple[Line, ...]

    @property
    def exact(self) -> Fraction:
        return Fraction(_sum(self.lines))


class Ceiling(Struct, frozen=True):
    """The most that one call can use. ``input_tokens`` and ``output_tokens`` bound the sums over all kinds of tokens of
    their direction, but for ``output_image_tokens``, which are bounded apart. ``ms`` is made or heard time."""

    input_tokens: int = 0
    output_tokens: int = 0
    output_image_tokens: int = 0
    images: int = 0
    characters: int = 0
    ms: int = 0
    video_tokens: int = 0
    searches: int = 0
    requests: int = 1


_INPUT_UNITS = (
    Unit.INPUT_TOKEN,
    Unit.CACHED_INPUT_TOKEN,
    Unit.CACHE_WRITE_TOKEN,
    Unit.INPUT_AUDIO_TOKEN,
    Unit.INPUT_IMAGE_TOKEN,
)
_TEXT_OUTPUTS = (Unit.OUTPUT_TOKEN, Unit.OUTPUT_AUDIO_TOKEN)
_OUTPUT_UNITS = (*_TEXT_OUTPUTS, Unit.OUTPUT_IMAGE_TOKEN)
_FLAT_UNITS = (Unit.IMAGE, Unit.SECOND, Unit.CHARACTER, Unit.VIDEO_TOKEN, Unit.REQUEST)

#: What may pay for words read or written beside a picture that is paid by token: they come with the picture.
_WORD_PAYERS = (*_FLAT_UNITS, Unit.OUTPUT_IMAGE_TOKEN)

#: Field of ``Usage``, its unit, and which units may pay for it when it has no rate.
_TOKENS = (
    ("input_tokens", Unit.INPUT_TOKEN, _WORD_PAYERS),
    ("cached_input_tokens", Unit.CACHED_INPUT_TOKEN, _WORD_PAYERS),
    ("cache_write_tokens", Unit.CACHE_WRITE_TOKEN, _WORD_PAYERS),
    ("input_audio_tokens", Unit.INPUT_AUDIO_TOKEN, _FLAT_UNITS),
    ("input_image_tokens", Unit.INPUT_IMAGE_TOKEN, _WORD_PAYERS),
    ("output_tokens", Unit.OUTPUT_TOKEN, _WORD_PAYERS),
    ("reasoning_tokens", Unit.OUTPUT_TOKEN, _WORD_PAYERS),
    ("output_audio_tokens", Unit.OUTPUT_AUDIO_TOKEN, _FLAT_UNITS),
    ("output_image_tokens", Unit.OUTPUT_IMAGE_TOKEN, _FLAT_UNITS),
)

#: Field of a ceiling -> the units that its count may be billed in; ``ms`` is not among them, it counts thousandths.
_BOUNDED: tuple[tuple[str, tuple[Unit, ...]], ...] = (
    ("input_tokens", _INPUT_UNITS),
    ("output_tokens", _TEXT_OUTPUTS),
    ("output_image_tokens", (Unit.OUTPUT_IMAGE_TOKEN,)),
    ("images", (Unit.IMAGE,)),
    ("characters", (Unit.CHARACTER,)),
    ("video_tokens", (Unit.VIDEO_TOKEN,)),
    ("searches", (Unit.SEARCH,)),
    ("requests", (Unit.REQUEST,)),
)
#: Kind of token -> the unit whose rate it takes when it has none.
_TEXT_RATE: dict[Unit, Unit] = {
    **dict.fromkeys(_INPUT_UNITS, Unit.INPUT_TOKEN),
    **dict.fromkeys(_OUTPUT_UNITS, Unit.OUTPUT_TOKEN),
}


def rates_for(price: Price, facts: PriceFacts) -> Mapping[Unit, Fraction]:
    """The rates that count for these facts: the base, overlaid by each variant whose conditions all hold."""
    if not price.variants:
        return price.rates
    rates = dict(price.rates)
    for variant in price.variants:
        if _holds(variant, facts):
            rates.update(variant.rates)
    return rates


def charge(usage: Usage, price: Price, facts: PriceFacts = NO_FACTS) -> Charge:
    """The bill for what was used. Raises UnpricedUsage when something was used that nothing on the bill pays for."""
    rates = rates_for(price, facts)
    lines: list[Line] = []
    unpriced: list[tuple[Unit, tuple[Unit, ...]]] = []
    for unit, count, paid_by in _measures(usage):
        rate = _rate(rates, unit)
        if rate is None:
            unpriced.append((unit, paid_by))
        else:
            lines.append(Line(unit, count, rate))
    if usage.requests and Unit.REQUEST in rates:
        lines.append(Line(Unit.REQUEST, usage.requests, rates[Unit.REQUEST]))
    if unpriced:
        billed = {line.unit for line in lines}
        missing = tuple(unit for unit, paid_by in unpriced if billed.isdisjoint(paid_by))
        if missing:
            raise UnpricedUsage(missing)
    exact = _sum(lines)
    return Charge(exact if isinstance(exact, int) else round_price(exact), tuple(lines))


def with_input_of(usage: Usage, facts: PriceFacts) -> PriceFacts:
    """The facts with the input tokens of a usage, every kind of them."""
    total = sum(getattr(usage, name) for name, unit, _ in _TOKENS if unit in _INPUT_UNITS)
    return msgspec.structs.replace(facts, input_tokens_total=total)


def upper_bound(most: Ceiling, price: Price, facts: PriceFacts = NO_FACTS) -> int:
    """Nano-pollen that a call within ``most`` can cost at most, rounded up.

    A threshold on input length counts as reached when the ceiling reaches it; ``facts`` decides the other variants.
    """
    exact = _exact_bound(most, _tables(price, facts, most.input_tokens))
    return exact if isinstance(exact, int) else round_hold(exact)


def affordable_tokens(available: int, price: Price, most: Ceiling, facts: PriceFacts = NO_FACTS) -> int:
    """Output tokens that ``available`` nano-pollen pays for beside all else in ``most``, whose own ``output_tokens`` is
    not looked at. 0 when not even the rest is covered, UNLIMITED_TOKENS when output costs nothing."""
    tables = _tables(price, facts, most.input_tokens)
    rate = _highest(tables, _TEXT_OUTPUTS)
    rest = available - _exact_bound(most, tables) + most.output_tokens * rate
    if rest < 0:
        return 0
    return UNLIMITED_TOKENS if rate == 0 else min(UNLIMITED_TOKENS, int(rest // rate))


def _exact_bound(most: Ceiling, tables: Sequence[Mapping[Unit, Fraction]]) -> Exact:
    exact: Exact = 0
    for name, units in _BOUNDED:
        if count := getattr(most, name):
            exact += count * _highest(tables, units)
    if most.ms:
        exact += _seconds(most.ms) * _highest(tables, (Unit.SECOND,))
    return exact


def _measures(usage: Usage) -> Iterator[tuple[Unit, Exact, tuple[Unit, ...]]]:
    """Each unit that was used, how much, and which other units may pay for the same work."""
    for name, unit, paid_by in _TOKENS:
        if count := getattr(usage, name):
            yield unit, count, paid_by
    if usage.images:
        yield Unit.IMAGE, usage.images, (*_OUTPUT_UNITS, Unit.REQUEST)
    if usage.characters:
        yield Unit.CHARACTER, usage.characters, (Unit.SECOND, Unit.REQUEST, *_INPUT_UNITS, *_OUTPUT_UNITS)
    # One length is billed: a video's sound and a recording that guides it take no time of their own.
    if usage.video_ms:
        yield Unit.SECOND, _seconds(usage.video_ms), (Unit.VIDEO_TOKEN, Unit.REQUEST)
    elif usage.audio_ms:
        yield Unit.SECOND, _seconds(usage.audio_ms), (Unit.CHARACTER, Unit.REQUEST, *_OUTPUT_UNITS)
    elif usage.input_audio_ms:
        yield Unit.SECOND, _seconds(usage.input_audio_ms), (Unit.REQUEST, *_INPUT_UNITS)
    if usage.video_tokens:
        yield Unit.VIDEO_TOKEN, usage.video_tokens, (Unit.SECOND, Unit.REQUEST)
    if usage.searches:
        yield Unit.SEARCH, usage.searches, (Unit.REQUEST,)


def _seconds(ms: int) -> Exact:
    return Fraction(ms, 1000) if ms else 0


def _sum(lines: Iterable[Line]) -> Exact:
    return sum(line.count * _plain(line.rate) for line in lines)


def _plain(rate: Fraction) -> Exact:
    return rate.numerator if rate.denominator == 1 else rate


def _rate(rates: Mapping[Unit, Fraction], unit: Unit) -> Fraction | None:
    rate = rates.get(unit)
    if rate is None and (text := _TEXT_RATE.get(unit)) is not None:
        return rates.get(text)
    return rate


def _tables(price: Price, facts: PriceFacts, input_tokens: int) -> Sequence[Mapping[Unit, Fraction]]:
    """The rates that may count for a call of up to ``input_tokens``: one table for each threshold it can pass."""
    if not price.variants:
        return (price.rates,)
    steps = {0} | {v.above_input_tokens + 1 for v in price.variants if v.above_input_tokens is not None}
    return [
        rates_for(price, msgspec.structs.replace(facts, input_tokens_total=step))
        for step in steps
        if step <= input_tokens
    ]


def _highest(tables: Sequence[Mapping[Unit, Fraction]], units: tuple[Unit, ...]) -> Exact:
    """The highest rate of the given units in any table; 0 when none has one."""
    top: Exact = 0
    for rates in tables:
        for unit in units:
            rate = _rate(rates, unit)
            if rate is not None and (plain := _plain(rate)) > top:
                top = plain
    return top


def _holds(variant: Variant, facts: PriceFacts) -> bool:
    return (
        (variant.above_input_tokens is None or facts.input_tokens_total > variant.above_input_tokens)
        and (variant.quality is None or variant.quality == facts.quality)
        and (variant.resolution is None or variant.resolution == facts.resolution)
        and (variant.audio is None or variant.audio == facts.audio)
    )
