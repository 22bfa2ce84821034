"""What must hold across the catalogue: routes lead somewhere, names are unique, everything billed has a price."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import urlsplit

from openpollen.catalog.parse import ProviderRow
from openpollen.core.model import Capability, Model, Unit
from openpollen.core.nearest import nearest

#: Capability -> sets of units of which one must be priced whole: with any of them, whatever a call is measured in is
#: paid for.
BILLED_IN: dict[Capability, tuple[frozenset[Unit], ...]] = {
    Capability.CHAT: (frozenset({Unit.INPUT_TOKEN, Unit.OUTPUT_TOKEN}),),
    Capability.IMAGE: (frozenset({Unit.IMAGE}), frozenset({Unit.OUTPUT_IMAGE_TOKEN}), frozenset({Unit.REQUEST})),
    Capability.EDIT: (frozenset({Unit.IMAGE}), frozenset({Unit.OUTPUT_IMAGE_TOKEN}), frozenset({Unit.REQUEST})),
    Capability.VIDEO: (frozenset({Unit.SECOND}), frozenset({Unit.VIDEO_TOKEN}), frozenset({Unit.REQUEST})),
    Capability.SPEECH: (frozenset({Unit.CHARACTER}), frozenset({Unit.SECOND}), frozenset({Unit.REQUEST})),
    Capability.MUSIC: (frozenset({Unit.SECOND}), frozenset({Unit.REQUEST})),
    Capability.TRANSCRIPTION: (frozenset({Unit.SECOND}), frozenset({Unit.REQUEST})),
    Capability.SEARCH: (frozenset({Unit.SEARCH}), frozenset({Unit.REQUEST})),
}

_TOKENS = frozenset(unit for unit in Unit if unit.endswith("_token")) - {Unit.VIDEO_TOKEN} | {Unit.REQUEST}

#: Capability -> every unit that its calls are ever measured in.
MEASURED_IN: dict[Capability, frozenset[Unit]] = {
    Capability.CHAT: _TOKENS,
    Capability.IMAGE: _TOKENS | {Unit.IMAGE},
    Capability.EDIT: _TOKENS | {Unit.IMAGE},
    Capability.VIDEO: frozenset({Unit.SECOND, Unit.VIDEO_TOKEN, Unit.REQUEST}),
    Capability.SPEECH: frozenset({Unit.SECOND, Unit.CHARACTER, Unit.REQUEST}),
    Capability.MUSIC: frozenset({Unit.SECOND, Unit.REQUEST}),
    Capability.TRANSCRIPTION: frozenset({Unit.SECOND, Unit.REQUEST}),
    Capability.SEARCH: frozenset({Unit.SEARCH}),
}


def check(
    providers: Mapping[str, ProviderRow],
    models: Sequence[Model],
    provider_places: Mapping[str, str],
    model_places: Mapping[str, str],
    problems: list[str],
    wires: Collection[str] | None,
) -> list[str]:
    """Adds a line to ``problems`` for each fault, and returns warnings, which stop nothing. The places say for each name
    where it was written; ``wires`` are those that have an adapter, ``None`` takes any."""
    warnings: list[str] = []
    for row in providers.values():
        _check_provider(row, provider_places[row.name], problems)
        if wires is not None and row.wire and row.wire not in wires:
            known = ", ".join(sorted(wires))
            problems.append(f"{provider_places[row.name]} wire: {row.wire!r} is unknown; known are {known}")
    for model in models:
        warnings += check_model(model, model_places[model.name], providers, problems)
    _check_names(models, model_places, problems)
    return warnings


def check_model(model: Model, where: str, providers: Mapping[str, ProviderRow], problems: list[str]) -> list[str]:
    """The faults of one model by itself, and its warnings."""
    warnings: list[str] = []
    if not model.routes and model.price.rates:
        warnings.append(f"{where} [[models.routes]]: is missing: only a built-in engine can serve this model")
    elif not model.routes:
        problems.append(
            f'{where} [[models.routes]]: is missing; say who serves the model: provider = "NAME", model = "its name '
            'there" and price'
        )
    for route in model.routes:
        if route.provider and route.provider not in providers:
            hint = nearest(route.provider, providers)
            problems.append(f"{where} [[models.routes]] provider: there is no [providers.{route.provider}]{hint}")
    if model.routes or model.price.rates:  # a price is stated with a route
        _check_price(model, where, problems)
    _check_image_tokens(model, where, problems)
    known = frozenset[Unit]().union(*(MEASURED_IN.get(word, frozenset()) for word in model.capabilities))
    idle = ", ".join(sorted(model.price.rates.keys() - known))
    if idle:
        warnings.append(f"{where} price: {idle}: no call of this model is measured in it")
    return warnings


def _check_provider(row: ProviderRow, where: str, problems: list[str]) -> None:
    if row.name == "local":
        return
    if row.key == "" or row.key in ("env:", "file:"):
        problems.append(f'{where} key: is empty; leave it out, or write "env:NAME", "file:/path" or the key itself')
    if not row.base_url:
        problems.append(f'{where} base_url: is missing; write the address, such as "http://127.0.0.1:8000/v1"')
    elif not _is_address(row.base_url):
        shown = "an address with a user" if "@" in row.base_url else repr(row.base_url)
        problems.append(
            f"{where} base_url: {shown} is not allowed: http or https, a host, no user, no fragment and no blanks"
        )


def _is_address(template: str) -> bool:
    """Whether a base address is one, whatever fills its placeholders; one that opens it is a whole address itself."""
    text = re.sub(r"^\{[A-Z][A-Z0-9_]*\}", "http://host", template)
    try:
        url = urlsplit(re.sub(r"\{[A-Z][A-Z0-9_]*\}", "x", text))
        port = url.port
    except ValueError:
        return False
    plain = not (url.username or url.password or url.fragment) and not re.search(r"[\x00-\x20\x7f]", template)
    return url.scheme in ("http", "https") and bool(url.hostname) and plain and port != 0


def _check_price(model: Model, where: str, problems: list[str]) -> None:
    rates = model.price.rates
    for capability in sorted(model.capabilities & BILLED_IN.keys()):
        choices = BILLED_IN[capability]
        if not any(choice <= rates.keys() for choice in choices):
            needed = " or ".join(" and ".join(sorted(choice)) for choice in choices)
            problems.append(
                f"{where} price: a model with {capability.value!r} is billed in {needed}; state it (0 is a price)"
            )


def _check_image_tokens(model: Model, where: str, problems: list[str]) -> None:
    """A picture that is paid by token is held, and charged where nobody counted, at the largest count there is."""
    pictures = model.capabilities & {Capability.IMAGE, Capability.EDIT}
    if pictures and Unit.OUTPUT_IMAGE_TOKEN in model.price.rates and not model.limits.image_tokens:
        problems.append(
            f"{where} limits.image_tokens: is missing; a price by output_image_token needs the most tokens of a picture"
        )


def _check_names(models: Sequence[Model], places: Mapping[str, str], problems: list[str]) -> None:
    names = {model.name for model in models}
    owner: dict[str, str] = {}
    for model in models:
        for key, aliases in (("aliases", model.aliases), ("successor_aliases", model.successor_aliases)):
            for alias in aliases:
                where = f"{places[model.name]} {key}:"
                if alias in names:
                    problems.append(f"{where} {alias!r} is the name of a model")
                elif alias in owner:
                    problems.append(f"{where} {alias!r} is an alias of {owner[alias]!r} already")
                owner[alias] = model.name
