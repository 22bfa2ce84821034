"""The pages ``docs/reference/models.md`` and ``voices.md``: from the shipped catalogue and the table of voices."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from openpollen.catalog.describe import format_rate
from openpollen.catalog.load import load_catalog
from openpollen.catalog.parse import PER_UNITS
from openpollen.catalog.registry import Registry
from openpollen.core.model import Model, Price, Unit
from openpollen.engines.voices import VOICES
from openpollen.providers.adapter import adapters

_MODELS_HEAD = """# Models

Written by `make docs` from the shipped catalogue. Prices are pollen (1 pollen is 1 USD), of tokens and characters for a
million of them. A route is live when its provider's credentials are set; the first live one serves. "Else" is the
built-in engine that serves when none is live, at its own price (0 unless you set one): it is told in `x-model-used`,
in `served_by` of the model lists and at start. Some prices depend on length, quality or resolution: see
[prices](prices.md#variants).
"""

_KINDS = {"text": "Text", "image": "Images", "video": "Video", "audio": "Audio"}

_VOICES_HEAD = """# Voices

Written by `make docs` from `openpollen/engines/voices.py`. These are the voices of the local speech engine. The names
are those of OpenAI and ElevenLabs; the voices are not: each is a Kokoro voice, or a stated blend of two, of like
gender and, where the original is known for it, accent. `alloy`, the default, is the fast voice. No two sound the same.

| Voice | Gender | Accent | Sounds | Made of |
| --- | --- | --- | --- | --- |
"""


def voices_page() -> str:
    """The page of voices, in Markdown."""
    rows = (f"| `{v.name}` | {v.gender} | {v.accent} | {v.description} | {v.recipe} |" for v in VOICES.values())
    return _VOICES_HEAD + "\n".join(rows) + "\n"


def models_page() -> str:
    """The page of models, in Markdown, as they are served with no credential set."""
    wires = {wire: adapter.operations for wire, adapter in adapters().items()}
    registry = Registry.build(load_catalog(), {}, local_url="http://local", wires=wires)
    parts = [_MODELS_HEAD]
    for kind, title in _KINDS.items():
        models = [model for model in registry.models() if model.kind == kind and not model.local]
        parts.append(_section(title, models, registry))
    parts.append(_section("Built in", [model for model in registry.models() if model.local], registry))
    parts.append(_credentials(registry))
    return "\n".join(parts)


def _section(title: str, models: Iterable[Model], registry: Registry) -> str:
    lines = [
        f"## {title}\n",
        "| Model | Also called | Can | Price | Routes | Else |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [_row(model, registry) for model in models]
    return "\n".join(lines) + "\n"


def _row(model: Model, registry: Registry) -> str:
    names = ", ".join(f"`{alias}`" for alias in (*model.aliases, *model.successor_aliases))
    marks = " (paid)" if model.paid_only else ""
    can = ", ".join(sorted(capability.value.replace("_", " ") for capability in model.capabilities))
    routes = ", ".join(dict.fromkeys(route.provider for route in model.routes)) or "none"
    now = registry.now(model)
    other = f"`{now.routes[0][0].model}`" if now and now.served_by else ""
    return f"| `{model.name}`{marks}<br>{model.title} | {names} | {can} | {_price(model.price)} | {routes} | {other} |"


def _price(price: Price) -> str:
    if price.free:
        return "0"
    rates = ", ".join(f"{_words(unit)} {_rate(unit, rate)}" for unit, rate in price.rates.items() if rate)
    return f"{rates}; varies" if price.variants else rates


def _words(unit: Unit) -> str:
    return unit.value.removesuffix("_token").replace("_", " ")


def _rate(unit: Unit, rate: Fraction) -> str:
    return format_rate(rate * 1_000_000 if unit in PER_UNITS else rate)


def _credentials(registry: Registry) -> str:
    lines = ["## Providers\n", "What makes the routes of each one live.\n", "| Provider | Live when |", "| --- | --- |"]
    used = dict.fromkeys(route.provider for model in registry.models() for route in model.routes)
    missing = {name: registry.providers[name].missing for name in sorted(used) if name != "local"}
    lines += [f"| `{name}` | {words} |" for name, words in missing.items()]
    return "\n".join(lines) + "\n"
