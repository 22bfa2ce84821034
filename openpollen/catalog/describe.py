"""Models as the public lists show them, and the page on price units. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import msgspec

from openpollen.core.model import Capability, Model, Price, Unit, Variant
from openpollen.core.money import NANO

#: Unit -> key of ``pricing`` in the lists. Seconds are told by kind: made video, made sound, or sound that was heard.
PRICE_KEYS: dict[Unit, str] = {
    Unit.INPUT_TOKEN: "promptTextTokens",
    Unit.CACHED_INPUT_TOKEN: "promptCachedTokens",
    Unit.CACHE_WRITE_TOKEN: "promptCacheWriteTokens",
    Unit.INPUT_AUDIO_TOKEN: "promptAudioTokens",
    Unit.INPUT_IMAGE_TOKEN: "promptImageTokens",
    Unit.OUTPUT_TOKEN: "completionTextTokens",
    Unit.OUTPUT_AUDIO_TOKEN: "completionAudioTokens",
    Unit.OUTPUT_IMAGE_TOKEN: "completionImageTokens",
    Unit.VIDEO_TOKEN: "completionVideoTokens",
    Unit.CHARACTER: "completionAudioTokens",
    Unit.IMAGE: "completionImageTokens",
    Unit.REQUEST: "requests",
    Unit.SEARCH: "searches",
}


def describe(model: Model, price: Price | None, served_by: str | None, engines: Sequence[Model] = ()) -> dict[str, Any]:
    """One entry of ``/text/models``, ``/image/models`` or ``/audio/models``.

    ``price`` is what a call costs as served now and ``served_by`` who serves it: a local model, a provider, or nobody.
    Modalities, capabilities and lengths are what works now: where ``engines`` stand in, what both can. The model's own
    then stand apart, such as ``own_input_modalities`` and ``own_context_length``.
    """
    engines = engines or (model,)
    can = model.capabilities & frozenset[Capability]().union(*(engine.capabilities for engine in engines))
    read = {modality for engine in engines for modality in engine.input_modalities}
    made = {modality for engine in engines for modality in engine.output_modalities}
    if Capability.CHAT in can and any(engine.local for engine in engines):
        # The built-in voice speaks what the text engine says, and what is said to it is transcribed.
        can |= model.capabilities & {Capability.AUDIO_IN, Capability.AUDIO_OUT}
        read, made = read | {"audio"}, made | {"audio"}
    entry: dict[str, Any] = {
        "name": model.name,
        "aliases": list(model.aliases),
        "title": model.title,
        "description": f"{model.title} - {model.description}" if model.description else model.title,
        "pricing": pricing(model, model.price),
        "input_modalities": [m for m in model.input_modalities if m in read],
        "output_modalities": [m for m in model.output_modalities if m in made],
        "capabilities": sorted(can),
        "served_by": served_by,
    }
    lengths = {
        "context_length": _least(one.context_length for one in (model, *engines)),
        "max_completion_tokens": _least(one.max_output_tokens for one in (model, *engines)),
    }
    entry |= {name: value for name, value in lengths.items() if value}
    own = {
        "input_modalities": list(model.input_modalities),
        "output_modalities": list(model.output_modalities),
        "capabilities": sorted(model.capabilities),
        "context_length": model.context_length,
        "max_completion_tokens": model.max_output_tokens,
    }
    entry |= {f"own_{name}": value for name, value in own.items() if value and value != entry[name]}
    if price is not None and price is not model.price:
        entry["pricing_now"] = pricing(model, price)
    if model.successor_aliases:
        entry["successor_aliases"] = list(model.successor_aliases)
    if model.price.variants:
        entry["pricing_variants"] = [_variant(model, variant) for variant in model.price.variants]
    if model.kind == "text":
        entry["tools"] = model.can(Capability.TOOLS)
        entry["reasoning"] = model.can(Capability.REASONING)
    optional = {
        "voices": list(model.voices),
        "paid_only": model.paid_only,
        "alpha": model.alpha,
        "limits": {k: v for k, v in msgspec.to_builtins(model.limits).items() if v not in (None, (), [])},
    }
    return entry | {key: value for key, value in optional.items() if value}


def _least(counts: Iterable[int | None]) -> int | None:
    return min((count for count in counts if count), default=None)


def pricing(model: Model, price: Price) -> dict[str, str]:
    """``pricing`` of an entry: decimal pollen for one of each unit, without exponent; rates of 0 are left out.

    Where sound costs extra, its part stands apart as ``completionAudioSeconds``.
    """
    out = {"currency": "pollen", **_rates(model, price.rates)}
    for variant in price.variants:
        if variant.audio and Unit.SECOND in variant.rates:
            extra = variant.rates[Unit.SECOND] - price.rates.get(Unit.SECOND, Fraction(0))
            out["completionAudioSeconds"] = format_rate(extra)
    return out


def format_rate(nano: Fraction) -> str:
    """A rate in nano-pollen as plain decimal pollen: Fraction(200) -> "0.0000002"."""
    with localcontext(prec=30):
        text = f"{Decimal(nano.numerator) / (Decimal(nano.denominator) * NANO):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _rates(model: Model, rates: Mapping[Unit, Fraction]) -> dict[str, str]:
    heard = model.can(Capability.TRANSCRIPTION)
    seconds = "promptAudioSeconds" if heard else f"completion{'Video' if model.kind == 'video' else 'Audio'}Seconds"
    keys = {**PRICE_KEYS, Unit.SECOND: seconds}
    return {keys[unit]: format_rate(rate) for unit, rate in rates.items() if rate}


def _variant(model: Model, variant: Variant) -> dict[str, Any]:
    conditions = {
        "above_input_tokens": variant.above_input_tokens,
        "quality": variant.quality,
        "resolution": variant.resolution,
        "audio": variant.audio,
    }
    return {key: value for key, value in conditions.items() if value is not None} | {
        "pricing": _rates(model, variant.rates)
    }
