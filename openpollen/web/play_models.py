"""The models of the playground's picker: their prices in words, what serves them now, what they can be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Literal

import msgspec
from msgspec import Struct

from openpollen.catalog.registry import Endpoint, Registry
from openpollen.core.errors import BadRequest, ServiceUnavailable
from openpollen.core.model import Capability, Limits, Model, Unit
from openpollen.web.prices import price_words

By = Literal["provider", "local", "nobody"]

#: The units that the picker tells. Rarer ones are told on the models page.
_TOLD = {
    Unit.INPUT_TOKEN,
    Unit.OUTPUT_TOKEN,
    Unit.OUTPUT_AUDIO_TOKEN,
    Unit.OUTPUT_IMAGE_TOKEN,
    Unit.VIDEO_TOKEN,
    Unit.CHARACTER,
    Unit.IMAGE,
    Unit.SECOND,
    Unit.REQUEST,
}


class Choice(Struct, frozen=True):
    """A model in the picker. ``facts`` is JSON for the page's script."""

    name: str
    price: str
    by: By
    own: bool
    facts: str


def choice(registry: Registry, model: Model, capability: Capability, missing: set[str]) -> Choice:
    """What to tell of a model that is asked for ``capability``. ``missing`` are local engines without their weights."""
    try:
        serving = registry.serving(model, capability)
    except ServiceUnavailable as fault:
        by, server, why, engine, price = "nobody", "", fault.message, None, model.price
    else:
        route, provider = serving.routes[0]
        local, engine, price = provider.name == "local", serving.served_by, serving.price
        server = route.model if local else provider.name
        gone = local and server in missing
        by = "nobody" if gone else "local" if local else "provider"
        why = f"Its engine {server} is not downloaded; the operator gets it with: polli models pull." if gone else ""
    limits: Limits = model.limits if engine is None else engine.limits
    facts: dict[str, Any] = {
        "name": model.name,
        "prices": _told(price.rates),
        "free": price.free,
        "usually": _told(model.price.rates) if price is not model.price else [],
        "by": by,
        "server": server,
        "why": why,
        "paid": model.paid_only,
        "does": sorted(model.capabilities),
        "voices": model.voices,
        "limits": {name: value for name, value in msgspec.to_builtins(limits).items() if value not in (None, (), [])},
    }
    prices = _told(price.rates)
    short = "free" if price.free else " ".join(prices[-1]) if prices else "no price"
    own = by == "provider" or model.local
    return Choice(model.name, short, by, own, msgspec.json.encode(facts).decode())


def _told(rates: Mapping[Unit, Fraction]) -> list[tuple[str, str]]:
    return price_words({unit: rate for unit, rate in rates.items() if unit in _TOLD})


def grouped(choices: list[Choice]) -> list[tuple[str, list[Choice]]]:
    """What answers as itself first: then what a local engine stands in for, and what nobody serves now."""
    titles = ("Ready", "Answered by an engine of this server", "Not served now")
    groups: list[list[Choice]] = [[], [], []]
    for one in choices:
        groups[2 if one.by == "nobody" else 0 if one.own else 1].append(one)
    return [(title, group) for title, group in zip(titles, groups, strict=True) if group]


def default(registry: Registry, endpoint: Endpoint, choices: list[Choice]) -> str:
    """The model that the endpoint takes when none is named, if something serves it; else the first that is served."""
    live = [one.name for one in choices if one.by != "nobody"]
    try:
        name = registry.resolve(None, endpoint).model.name
    except BadRequest:
        name = ""
    return name if name in live else next(iter(live), "")
