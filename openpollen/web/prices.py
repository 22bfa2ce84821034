"""Prices and what serves a model, in words for people."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from msgspec import Struct

from openpollen.catalog.describe import format_rate
from openpollen.catalog.registry import Registry
from openpollen.core.errors import ServiceUnavailable
from openpollen.core.model import Model, Price, Unit, Variant
from openpollen.generation.status import By, server_of

_MILLION = 1_000_000
#: Unit -> how many make the amount that is told, and the words for it. The first of one wording is told.
RATES: dict[Unit, tuple[int, str]] = {
    Unit.INPUT_TOKEN: (_MILLION, "per million tokens read"),
    Unit.CACHED_INPUT_TOKEN: (_MILLION, "per million tokens read again from a cache"),
    Unit.CACHE_WRITE_TOKEN: (_MILLION, "per million tokens put into a cache"),
    Unit.INPUT_AUDIO_TOKEN: (_MILLION, "per million tokens of sound heard"),
    Unit.INPUT_IMAGE_TOKEN: (_MILLION, "per million tokens of pictures seen"),
    Unit.OUTPUT_TOKEN: (_MILLION, "per million tokens written"),
    Unit.OUTPUT_AUDIO_TOKEN: (_MILLION, "per million tokens spoken"),
    Unit.OUTPUT_IMAGE_TOKEN: (_MILLION, "per million tokens drawn"),
    Unit.VIDEO_TOKEN: (_MILLION, "per million video tokens"),
    Unit.CHARACTER: (1_000, "per thousand characters"),
    Unit.IMAGE: (1, "per picture"),
    Unit.SECOND: (1, "per second"),
    Unit.REQUEST: (1, "per request"),
    Unit.SEARCH: (1, "per search"),
}
#: What a line of a bill counts, one and many.
UNITS: dict[Unit, tuple[str, str]] = {
    Unit.INPUT_TOKEN: ("token read", "tokens read"),
    Unit.CACHED_INPUT_TOKEN: ("token from a cache", "tokens from a cache"),
    Unit.CACHE_WRITE_TOKEN: ("token put into a cache", "tokens put into a cache"),
    Unit.INPUT_AUDIO_TOKEN: ("token of sound heard", "tokens of sound heard"),
    Unit.INPUT_IMAGE_TOKEN: ("token of a picture seen", "tokens of pictures seen"),
    Unit.OUTPUT_TOKEN: ("token written", "tokens written"),
    Unit.OUTPUT_AUDIO_TOKEN: ("token spoken", "tokens spoken"),
    Unit.OUTPUT_IMAGE_TOKEN: ("token drawn", "tokens drawn"),
    Unit.VIDEO_TOKEN: ("video token", "video tokens"),
    Unit.CHARACTER: ("character", "characters"),
    Unit.IMAGE: ("picture", "pictures"),
    Unit.SECOND: ("second", "seconds"),
    Unit.REQUEST: ("request", "requests"),
    Unit.SEARCH: ("search", "searches"),
}


class Served(Struct, frozen=True):
    """Who serves a model: of which kind, its name, and why nobody does."""

    by: By
    name: str
    why: str = ""


class Tag(Struct, frozen=True):
    """A model as the list shows it: prices as pairs of amount and words."""

    model: Model
    prices: list[tuple[str, str]]
    free: bool
    usually: list[tuple[str, str]]
    varies: list[str]
    served: Served


def tag(registry: Registry, model: Model, waiting: set[str]) -> Tag:
    """What to tell of a model. ``usually`` is its list price where a local engine stands in at its own."""
    price = registry.price(model)
    usually = price_words(model.price.rates) if price is not model.price else []
    return Tag(model, price_words(price.rates), price.free, usually, _variants(price), served(registry, model, waiting))


def served(registry: Registry, model: Model, waiting: set[str]) -> Served:
    """Who serves a model now."""
    by, now = server_of(registry, model, waiting), registry.now(model)
    if now is None:
        return Served(by, "", _why(registry, model))
    route, provider = now.routes[0]
    return Served(by, route.model if provider.name == "local" else provider.name)


def price_words(rates: Mapping[Unit, Fraction]) -> list[tuple[str, str]]:
    """Each rate as (pollen, words); rates of 0 are left out."""
    return [(format_rate(rates[unit] * count), words) for unit, (count, words) in RATES.items() if rates.get(unit)]


def _variants(price: Price) -> list[str]:
    return [
        f"{_condition(variant)}: {'; '.join(' '.join(pair) for pair in price_words(variant.rates)) or 'free'}"
        for variant in price.variants
    ]


def _condition(variant: Variant) -> str:
    words = [
        f"above {variant.above_input_tokens:,} tokens read" if variant.above_input_tokens is not None else "",
        f"{variant.quality} quality" if variant.quality else "",
        variant.resolution or "",
        "" if variant.audio is None else "with sound" if variant.audio else "without sound",
    ]
    return ", ".join(word for word in words if word)


def _why(registry: Registry, model: Model) -> str:
    for capability in model.capabilities:
        try:
            registry.serving(model, capability)
        except ServiceUnavailable as fault:
            if fault.reason == "no_route" and "is not served here" in fault.message:
                return fault.message
    return f"Model {model.name!r} is not served here."
