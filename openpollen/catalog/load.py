"""Reads the catalogue: the shipped files under ``data/``, and over them what an operator's file says.

An operator's ``[providers.NAME]`` is laid over the shipped provider of that name, key by key. An operator's
``[[models]]`` of a shipped name is laid over it too: its routes come first, its price replaces price and variants. A
model of a new name takes that name from whatever alias had it, and one with ``disabled = true`` is not there at all.

What was changed by command (``changes``) is a second such file, laid over the first. If it has come to be wrong, since a
newer version ships another catalogue, it is left out with a warning: the server starts all the same.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import Struct

from openpollen.catalog.parse import ProviderRow, parse_model, parse_provider
from openpollen.catalog.validate import check, check_model
from openpollen.core.errors import ConfigError
from openpollen.core.model import Capability, Model
from openpollen.core.nearest import nearest
from openpollen.settings import Settings
from openpollen.settings.reading import Table, parse_settings, read_toml

#: Order of the shipped model files, which is the order of the public lists.
MODEL_FILES = ("text", "image", "video", "audio", "local")
#: The file in the data folder with what was changed by command.
CHANGES = "catalog.toml"

#: A file of the operator's: its path, for messages, and its tables.
Layer = tuple[str, Table]


class Catalog(Struct, frozen=True):
    """Everything that can be asked for, checked. ``operator`` names the models that the operator's files speak of,
    ``disabled`` those that they take away."""

    providers: Mapping[str, ProviderRow]
    models: tuple[Model, ...]
    operator: frozenset[str] = frozenset()
    disabled: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


class _Source(Struct):
    """Raw tables with the place they came from, for messages."""

    providers: dict[str, tuple[str, Any]] = {}
    models: dict[str, tuple[str, Table]] = {}
    repeated: list[tuple[str, Table]] = []  # models whose name is taken: an error, but their own faults are told too
    warnings: list[str] = []


def load(
    config: Path | None = None,
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    pulled: Callable[[Path], Iterable[Model]] = lambda _: (),
    wires: Collection[str] | None = None,
    changes: Table | None = None,
) -> tuple[Settings, Catalog]:
    """Settings and catalogue of one file, with every fault of either in one ConfigError.

    ``pulled`` tells the local models that lie in the models folder beside the shipped ones; ``wires`` are those that have
    an adapter, ``None`` takes any. ``changes`` are tried in place of those of the data folder: their faults count."""
    problems: list[str] = []
    tables = read_toml(config, problems) if config else {}
    settings = parse_settings(tables, str(config), env or {}, overrides or {}, problems)
    own = (str(config), tables)
    changed = settings.data / CHANGES
    if changes is not None:
        catalog = parse_catalog([own, (str(changed), changes)], problems, wires)
    else:
        catalog = _with_changes(own, changed, problems, wires)
    known = {model.name for model in catalog.models}
    extra = tuple(model for model in pulled(settings.engines.models) if model.name not in known | catalog.disabled)
    catalog = msgspec.structs.replace(catalog, models=catalog.models + extra)
    problems += _unserved(settings, catalog, config)
    if problems:
        raise ConfigError(problems)
    return settings, catalog


def load_catalog(config: Path | None = None) -> Catalog:
    """The shipped catalogue, with an operator's file over it. Raises ConfigError with every fault."""
    problems: list[str] = []
    catalog = parse_catalog([(str(config), read_toml(config, problems) if config else {})], problems)
    if problems:
        raise ConfigError(problems)
    return catalog


def _with_changes(own: Layer, path: Path, problems: list[str], wires: Collection[str] | None) -> Catalog:
    """The catalogue with what was changed by command; without it, and with a warning, where that is wrong."""
    without = parse_catalog([own], problems, wires)
    if not path.exists():
        return without
    faults: list[str] = []
    catalog = parse_catalog([own, (str(path), read_toml(path, faults))], faults, wires)
    if not faults:
        return catalog
    told = f"{path} is left out, so nothing that was changed by command counts: {faults[0]}"
    return msgspec.structs.replace(without, warnings=(*without.warnings, told))


def _unserved(settings: Settings, catalog: Catalog, config: Path | None) -> list[str]:
    """Models that the settings name and the catalogue has not."""
    problems: list[str] = []
    chat = {model.name for model in catalog.models if model.local and model.can(Capability.CHAT)} - {"polly"}
    if settings.engines.chat_model not in chat:
        problems.append(
            f"{config}: [engines] chat_model: {settings.engines.chat_model!r} is not a local chat model"
            + nearest(settings.engines.chat_model, chat)
        )
    checker = settings.generation.safety_model
    judges = {name for model in catalog.models if model.can(Capability.CHAT) for name in (model.name, *model.aliases)}
    if checker and checker not in judges:
        problems.append(
            f"{config}: [generation] safety_model: {checker!r} is not a chat model{nearest(checker, judges)}"
        )
    return problems


def parse_catalog(layers: Sequence[Layer], problems: list[str], wires: Collection[str] | None = None) -> Catalog:
    """The catalogue of the shipped files and the operator's, each laid over those before; faults are added to
    ``problems``."""
    source = _shipped(problems)
    mine = frozenset[str]().union(*(_operator(tables, file, source, problems) for file, tables in layers))
    disabled = frozenset(name for name, (where, table) in source.models.items() if _is_off(table, where, problems))
    providers: dict[str, ProviderRow] = {}
    for name, (where, table) in source.providers.items():
        row = parse_provider(name, table, where, problems)
        if row is not None:
            providers[name] = row
    models: list[Model] = []
    for name, (where, table) in source.models.items():
        model = None if name in disabled else parse_model(table, where, problems)
        if model is not None:
            models.append(model)
    for where, table in source.repeated:
        repeated = parse_model(table, where, problems)
        if repeated is not None:
            check_model(repeated, where, providers, problems)
    models = _release_aliases(models, mine)
    source.warnings += check(
        providers,
        models,
        {name: where for name, (where, _) in source.providers.items()},
        {name: where for name, (where, _) in source.models.items()},
        problems,
        wires,
    )
    return Catalog(providers, tuple(models), mine, disabled, tuple(source.warnings))


def _is_off(table: Table, where: str, problems: list[str]) -> bool:
    off = table.pop("disabled", False)
    if not isinstance(off, bool):
        problems.append(f"{where} disabled: is true or false, not {off!r}")
    return off is True


def resolve_secret(text: str, env: Mapping[str, str]) -> tuple[str | None, str]:
    """The value of a key as written (``env:NAME``, ``file:PATH`` or a literal), or ``None`` and what is missing."""
    scheme, _, rest = text.partition(":")
    if scheme == "env":
        value, place, absent = env.get(rest, "").strip(), rest, f"set {rest}"
    elif scheme == "file":
        place = f"the key file {os.path.basename(rest)}"
        try:
            value, absent = Path(rest).expanduser().read_text("utf-8").strip(), f"{place} is empty"
        except (OSError, UnicodeDecodeError):
            return None, f"{place} cannot be read"
    else:
        value, place, absent = text, "the key in the configuration file", "set key"
    if not value:
        return None, absent
    if not (value.isascii() and value.isprintable()):
        return (
            None,
            f"{place} has characters that no header can carry, such as a line break or a sign: copy the key again",
        )
    return value, ""


def fill_url(template: str, env: Mapping[str, str]) -> tuple[str, str]:
    """An address with its ``{NAME}`` placeholders filled from the environment, and which variables are missing."""
    names = re.findall(r"\{([A-Z][A-Z0-9_]*)\}", template)
    absent = [name for name in names if not env.get(name)]
    if absent:
        return template, "set " + " and ".join(absent)
    return re.sub(r"\{([A-Z][A-Z0-9_]*)\}", lambda match: env[match[1]], template), ""


def _shipped(problems: list[str]) -> _Source:
    source = _Source()
    data = resources.files("openpollen.catalog") / "data"
    providers = sorted((item for item in (data / "providers").iterdir() if item.name.endswith(".toml")), key=str)
    for item in [*providers, *(data / "models" / f"{name}.toml" for name in MODEL_FILES)]:
        tables = read_toml(Path(str(item)), problems)
        where = f"{item.name}:"
        for name, table in tables.get("providers", {}).items():
            source.providers[name] = (f"{where} [providers.{name}]", table)
        dated = {key: tables[key] for key in ("as_of", "source") if key in tables}
        for table in tables.get("models", []):
            source.models[table["name"]] = (f"{where} [[models]] {table['name']}", {**dated, **table})
    return source


def _over(shipped: Table, table: Table) -> Table:
    """An operator's provider over the shipped one. With an address of its own it is the operator's host: it gets the
    shipped key where that is set, and may well need none."""
    own = "base_url" in table and not {"key", "signer"} & table.keys()
    return {**shipped, **({"needs_key": False} if own else {}), **table}


def _operator(tables: Table, file: str, source: _Source, problems: list[str]) -> frozenset[str]:
    """Lays the operator's tables over the shipped ones; returns the names of the models it speaks of."""
    providers, models = tables.get("providers", {}), tables.get("models", [])
    if not isinstance(providers, dict):
        problems.append(f"{file}: providers: must be tables, written [providers.NAME]")
        providers = {}
    for name, table in cast(Table, providers).items():
        where = f"{file}: [providers.{name}]"
        if name == "local":
            problems.append(f"{where}: is the host of the built-in engines and set by [engines]; choose another name")
            continue
        shipped = source.providers.get(name, ("", {}))[1]
        source.providers[name] = (where, _over(shipped, cast(Table, table)) if isinstance(table, dict) else table)
    if not isinstance(models, list) or not all(isinstance(item, dict) for item in cast("list[object]", models)):
        problems.append(f"{file}: models: must be tables, written [[models]]")
        models = []
    names: set[str] = set()
    shipped_models = {name: table for name, (_, table) in source.models.items()}
    for number, table in enumerate(cast("list[Table]", models), 1):
        name = table.get("name")
        if not isinstance(name, str) or not name:
            problems.append(f"{file}: [[models]] number {number} name: is missing")
            continue
        where = f"{file}: [[models]] {name}"
        if name in names:
            problems.append(f"{where} name: is there twice")
            where = f"{file}: [[models]] number {number}, {name}"
            source.repeated.append((where, _overlay(table, shipped_models.get(name, {}), where, source.warnings)))
            continue
        names.add(name)
        source.models[name] = (where, _overlay(table, shipped_models.get(name, {}), where, source.warnings))
    return frozenset(names)


def _overlay(table: Table, shipped: Table, where: str, warnings: list[str]) -> Table:
    """An operator's model over the shipped one of its name. The price of a route is the model's: callers pay one
    price."""
    merged = {**shipped, **table}
    routes = table.get("routes", [])
    priced: list[Any] = [table["price"]] if "price" in table else []
    if isinstance(routes, list):
        own = cast("list[object]", routes)
        merged["routes"] = [*own, *shipped.get("routes", [])]
        priced += [cast(Table, route)["price"] for route in own if isinstance(route, dict) and "price" in route]
    if priced:
        merged["price"] = priced[0]
        merged["as_of"] = table.get("as_of", "")
        merged["variants"] = table.get("variants", [])
        if any(price != priced[0] for price in priced):
            warnings.append(f"{where} [[models.routes]] price: more than one is stated; callers pay the first")
    return merged


def _release_aliases(models: list[Model], mine: frozenset[str]) -> list[Model]:
    """Takes names that an operator's models use (their own or as aliases) away from the aliases of shipped models."""
    taken = set(mine).union(*(model.aliases for model in models if model.name in mine))
    return [
        model
        if model.name in mine
        else msgspec.structs.replace(
            model,
            aliases=tuple(alias for alias in model.aliases if alias not in taken),
            successor_aliases=tuple(alias for alias in model.successor_aliases if alias not in taken),
        )
        for model in models
    ]
