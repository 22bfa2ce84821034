"""Tables of the catalogue -> values. Every fault becomes a line that names file, table and key; nothing is raised.

The words of the file are those of ``core.model``: capabilities, units, limits. A price is an inline table of decimal
strings in pollen, ``per`` a number of tokens or characters: ``price = { input_token = "1.00", image = "0.04", per =
1_000_000 }``.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeVar, cast, get_type_hints

import msgspec
from msgspec import Meta, Struct

from openpollen.core.model import Capability, Kind, Limits, Model, Price, Route, Signer, Unit, Variant
from openpollen.core.money import MAX_POLLEN, NANO, plain_decimal
from openpollen.core.nearest import nearest
from openpollen.settings.reading import Table

T = TypeVar("T")
Positive = Annotated[int, Meta(ge=1)]
Name = Annotated[str, Meta(min_length=1, max_length=120, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$")]

#: Units that ``per`` divides; the others are always for one.
PER_UNITS = frozenset(unit for unit in Unit if unit.endswith("_token") or unit is Unit.CHARACTER)


class ProviderRow(Struct, frozen=True):
    """A provider as written. ``key`` is a literal, ``env:NAME`` or ``file:PATH``; ``base_url`` may have ``{NAME}``
    placeholders for variables of the environment. ``auth`` is ``bearer`` or the name of the header that carries the key.
    ``signer`` is how requests are authorised where there is no key (see ``signers``). ``probe`` is a path below ``base_url``
    that costs nothing to get and shows whether the credential works."""

    name: str
    wire: str
    base_url: str
    key: str | None = None
    needs_key: bool = False
    auth: str = "bearer"
    signer: Signer | None = None
    headers: dict[str, str] = {}
    params: frozenset[str] = frozenset()
    probe: str = ""
    docs: str = ""
    notes: str = ""

    def __repr__(self) -> str:
        return f"ProviderRow({self.name!r}, {self.wire!r}, {self.base_url!r})"


class Reader:
    """One table while it is read: typed values are taken out of it, what is left over is unknown."""

    def __init__(self, table: Mapping[str, Any], where: str, problems: list[str]) -> None:
        self._left = dict(table)
        self._where = where
        self._problems = problems
        self._asked: list[str] = []

    def problem(self, key: str, text: str) -> None:
        self._problems.append(f"{self._where} {key}: {text}")

    def raw(self, key: str, default: Any = None) -> Any:
        self._asked.append(key)
        return self._left.pop(key, default)

    def take(self, key: str, hint: Any, default: T) -> T:
        """The value of a key in the type of ``hint``, or the default when it is absent or wrong."""
        self._asked.append(key)
        if key not in self._left:
            return default
        value = self._left.pop(key)
        try:
            return msgspec.convert(_plain(value), hint)
        except msgspec.ValidationError as error:
            shown = "the value" if key == "key" else _show(value)
            self.problem(key, f"{shown} is not allowed: {str(error)[:1].lower()}{str(error)[1:]}")
            return default

    def finish(self) -> None:
        for key in self._left:
            self.problem(key, f"unknown key{nearest(key, self._asked)}")


def parse_provider(name: str, table: object, where: str, problems: list[str]) -> ProviderRow | None:
    """``[providers.NAME]``."""
    if not isinstance(table, dict):
        problems.append(f"{where}: must be a table, not {_show(table)}")
        return None
    reader = Reader(cast(Table, table), where, problems)
    key = reader.take("key", str | None, None)
    row = ProviderRow(
        name=name,
        wire=reader.take("wire", str, ""),
        base_url=reader.take("base_url", str, "").rstrip("/"),
        key=key,
        needs_key=reader.take("needs_key", bool, key is not None or "signer" in table),
        auth=reader.take("auth", str, "bearer"),
        signer=reader.take("signer", Signer | None, None),
        headers=reader.take("headers", dict[str, str], {}),
        params=reader.take("params", frozenset[str], frozenset()),
        probe=reader.take("probe", str, ""),
        docs=reader.take("docs", str, ""),
        notes=reader.take("notes", str, ""),
    )
    reader.finish()
    if row.probe and not row.probe.startswith("/"):
        reader.problem("probe", f'is a path below base_url, such as "/models", not {row.probe!r}')
    if not row.wire:
        reader.problem("wire", 'is missing; for a host that speaks OpenAI\'s API write wire = "openai_compatible"')
    return row


def parse_model(table: Table, where: str, problems: list[str]) -> Model | None:
    """One ``[[models]]`` table, whole: what an operator's table leaves out has been filled in from the shipped one."""
    reader = Reader(table, where, problems)
    name = reader.take("name", Name, "")
    words = reader.take("capabilities", tuple[str, ...], ())
    capabilities = _words(words, Capability, lambda text: reader.problem("capabilities", text))
    kind = reader.take("kind", Kind | None, None) or kind_of(capabilities)
    inputs, outputs = modalities(capabilities)
    as_of = reader.take("as_of", str, "")
    routes = tuple(_route(item, where, problems) for item in _tables(reader, "routes"))
    variants = tuple(_variant(item, where, problems) for item in _tables(reader, "variants"))
    price = reader.raw("price")
    of_route = any(route.get("price") is price for route in _tables(Reader(table, where, []), "routes"))
    rates = parse_rates(price, f"{where} price", [] if of_route else problems)  # a route's faults are told with it
    model = Model(
        name=name,
        kind=kind,
        capabilities=capabilities,
        price=Price(rates, variants, _version(as_of, rates, variants)),
        routes=routes,
        title=reader.take("title", str, name),
        description=reader.take("description", str, ""),
        aliases=reader.take("aliases", tuple[Name, ...], ()),
        successor_aliases=reader.take("successor_aliases", tuple[Name, ...], ()),
        input_modalities=reader.take("input_modalities", tuple[str, ...], inputs),
        output_modalities=reader.take("output_modalities", tuple[str, ...], outputs),
        paid_only=reader.take("paid_only", bool, False),
        alpha=reader.take("alpha", bool, False),
        context_length=reader.take("context_length", Positive | None, None),
        max_output_tokens=reader.take("max_output_tokens", Positive | None, None),
        voices=reader.take("voices", tuple[str, ...], ()),
        limits=_limits(reader.take("limits", dict[str, Any], {}), where, problems),
        source=reader.take("source", str, ""),
        local=bool(routes) and all(route.provider == "local" for route in routes),
    )
    reader.finish()
    if not words:
        known = ", ".join(Capability)
        reader.problem("capabilities", f"is missing; name what the model can do, of {known}")
    return model if name else None


def parse_rates(value: object, where: str, problems: list[str]) -> dict[Unit, Fraction]:
    """A price table in nano-pollen for one of each unit. Decimal text, whole numbers and TOML numbers are all exact."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        problems.append(f"{where}: must be a table of unit = amount, not {_show(value)}")
        return {}
    table = dict(cast(Table, value))
    per = table.pop("per", 1)
    if not isinstance(per, int) or isinstance(per, bool) or per < 1:
        problems.append(f"{where}.per: {_show(per)} is not allowed: a whole number of 1 or more, such as 1_000_000")
        per = 1
    rates: dict[Unit, Fraction] = {}
    for key, amount in table.items():
        if key not in Unit.__members__.values():
            problems.append(f"{where}.{key}: unknown unit{nearest(key, [*Unit, 'per'])}")
            continue
        unit = Unit(key)
        try:
            rates[unit] = Fraction(_amount(amount)) * NANO / (per if unit in PER_UNITS else 1)
        except ValueError as error:
            problems.append(f"{where}.{key}: {_show(amount)} is not allowed: {error}")
            rates[unit] = Fraction(0)  # stated, if wrongly: it is not missing as well
    return rates


def kind_of(capabilities: Iterable[Capability]) -> Kind:
    """The list that a model is shown in."""
    has = frozenset(capabilities)
    if Capability.CHAT in has:
        return "text"
    if has & {Capability.IMAGE, Capability.EDIT}:
        return "image"
    if Capability.VIDEO in has:
        return "video"
    return "audio" if has & {Capability.SPEECH, Capability.MUSIC, Capability.TRANSCRIPTION} else "text"


def modalities(capabilities: Iterable[Capability]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Input and output modalities as far as capabilities tell them."""
    has = frozenset(capabilities)
    pictures, pictured = {Capability.VISION, Capability.EDIT}, {Capability.IMAGE, Capability.EDIT}
    inputs = ["text"] * bool(has - {Capability.TRANSCRIPTION})
    inputs += ["image"] * bool(has & pictures)
    inputs += ["audio"] * bool(has & {Capability.AUDIO_IN, Capability.TRANSCRIPTION})
    outputs = ["text"] * bool(has & {Capability.CHAT, Capability.TRANSCRIPTION})
    outputs += ["image"] * bool(has & pictured) + ["video"] * (Capability.VIDEO in has)
    outputs += ["audio"] * bool(has & {Capability.AUDIO_OUT, Capability.SPEECH, Capability.MUSIC})
    return tuple(inputs), tuple(outputs)


def _route(table: Table, where: str, problems: list[str]) -> Route:
    reader = Reader(table, f"{where} [[models.routes]]", problems)
    route = Route(
        provider=reader.take("provider", str, ""),
        model=reader.take("model", str, ""),
        operation=reader.take("operation", str, ""),
        substitute=reader.take("substitute", bool, False),
        params=reader.take("params", frozenset[str], frozenset()),
        inline_thinking=reader.take("inline_thinking", bool, False),
        concurrent=reader.take("concurrent", Positive | None, None),
        per_minute=reader.take("per_minute", Positive | None, None),
    )
    parse_rates(reader.raw("price"), f"{where} [[models.routes]] price", problems)
    for key in ("provider", "model"):
        if not getattr(route, key):
            reader.problem(key, "is missing")
    reader.finish()
    return route


def _variant(table: Table, where: str, problems: list[str]) -> Variant:
    where = f"{where} [[models.variants]]"
    reader = Reader(table, where, problems)
    variant = Variant(
        rates=parse_rates(reader.raw("price"), f"{where} price", problems),
        above_input_tokens=reader.take("above_input_tokens", Positive | None, None),
        quality=reader.take("quality", Literal["low", "medium", "high"] | None, None),
        resolution=reader.take("resolution", str | None, None),
        audio=reader.take("audio", bool | None, None),
    )
    reader.finish()
    if not variant.rates:
        reader.problem("price", "is missing")
    if msgspec.structs.replace(variant, rates={}) == Variant({}):
        reader.problem("quality", "is missing: a variant needs above_input_tokens, quality, resolution or audio")
    return variant


def _limits(table: Table, where: str, problems: list[str]) -> Limits:
    reader = Reader(table, f"{where} limits", problems)
    defaults = Limits()
    values = {name: reader.take(name, hint, getattr(defaults, name)) for name, hint in _limit_types().items()}
    reader.finish()
    return Limits(**values)


@functools.cache
def _limit_types() -> dict[str, Any]:
    return get_type_hints(Limits)


def _tables(reader: Reader, key: str) -> list[Table]:
    value = reader.raw(key, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in cast("list[object]", value)):
        reader.problem(key, f"must be tables, written [[models.{key}]]")
        return []
    return cast("list[Table]", value)


def _words(words: Iterable[str], known: type[Capability], problem: Callable[[str], None]) -> frozenset[Capability]:
    found: set[Capability] = set()
    for word in words:
        if word in known.__members__.values():
            found.add(known(word))
        else:
            problem(f"{word!r} is unknown{nearest(word, known)}")
    return frozenset(found)


def _amount(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError('write the amount as text, such as "0.40"')
    amount = plain_decimal(value) if isinstance(value, str) else Decimal(value)
    if not amount.is_finite() or not 0 <= amount <= MAX_POLLEN:
        raise ValueError(f"an amount is a finite number from 0 to {MAX_POLLEN:,}")
    return amount


def _version(as_of: str, rates: Mapping[Unit, Fraction], variants: tuple[Variant, ...]) -> str:
    """Names the figures: their date and a digest, so that a usage row tells which ones it was charged at."""
    text = repr(
        (
            sorted(rates.items()),
            [(sorted(v.rates.items()), v.above_input_tokens, v.quality, v.resolution, v.audio) for v in variants],
        )
    )
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return f"{as_of}/{digest}" if as_of else digest


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[Any]", value)]
    return value


def _show(value: object) -> str:
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
