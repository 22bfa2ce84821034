"""What an operator changed of the catalogue with ``polli admin catalog``: ``DATA/catalog.toml``, tables as in the
configuration file and laid over it. The functions are pure: they give the tables as they are after a change.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import tomli_w
from msgspec import Struct

from openpollen.catalog.describe import describe
from openpollen.catalog.load import CHANGES, Catalog
from openpollen.core.errors import Conflict, NotFound
from openpollen.core.model import Model
from openpollen.settings.reading import Table

_HEAD = "# Written by polli admin catalog; laid over the configuration file.\n\n"


class Change(Struct, frozen=True):
    """A model that is not as it is shipped. ``fields`` has what it was and what it is, by name."""

    model: str
    change: str  # added, changed, disabled
    fields: Mapping[str, tuple[Any, Any]] = {}


def file_of(data: Path) -> Path:
    """Where the changes of a data folder stand."""
    return data / CHANGES


def changed(tables: Table, name: str, fields: Mapping[str, Any]) -> Table:
    """The tables with fields of a model set; ``None`` takes one away."""
    models = [dict(model) for model in _models(tables)]
    mine = next((model for model in models if model["name"] == name), None)
    if mine is None:
        mine = {"name": name}
        models.append(mine)
    for key, value in fields.items():
        if value is None:
            mine.pop(key, None)
        else:
            mine[key] = value
    return {**tables, "models": [model for model in models if model.keys() != {"name"}]}


def routes_of(tables: Table, name: str) -> list[Table]:
    """The routes that the tables give to a model."""
    found = next((model for model in _models(tables) if model["name"] == name), Table())
    return cast("list[Table]", found.get("routes", []))


def hosted(tables: Table, provider: str, row: Mapping[str, Any]) -> Table:
    """The tables with a provider. Raises Conflict when they have another of that name."""
    providers = cast(Table, tables.get("providers", {}))
    if providers.get(provider, row) != row:
        raise Conflict(f"The provider {provider!r} is there already with other words.", reason="provider")
    return {**tables, "providers": {**providers, provider: dict(row)}}


def forgotten(tables: Table, name: str) -> Table:
    """The tables without what they say of a model, and without hosts that none of their models needs any more. Raises
    NotFound."""
    models = _models(tables)
    rest = [model for model in models if model["name"] != name]
    if len(rest) == len(models):
        raise NotFound(f"Nothing was changed of a model {name!r} here; polli admin catalog diff tells what was.")
    used = {route["provider"] for model in rest for route in model.get("routes", [])}
    gone = {route["provider"] for model in models for route in model.get("routes", [])} - used
    providers = {key: row for key, row in cast(Table, tables.get("providers", {})).items() if key not in gone}
    return {**tables, "models": rest, "providers": providers}


def write(path: Path, tables: Table) -> None:
    """Puts the tables in place, whole or not at all."""
    temporary = path.with_suffix(".tmp")
    kept = {name: value for name, value in tables.items() if value}
    temporary.write_text(_HEAD + tomli_w.dumps(kept), "utf-8")
    os.replace(temporary, path)


def difference(shipped: Catalog, now: Catalog) -> list[Change]:
    """What of the shipped catalogue an installation has changed, in the order of the lists."""
    before = {model.name: model for model in shipped.models}
    after = {model.name: model for model in now.models if not model.local or model.name in now.operator}
    out: list[Change] = []
    for name, model in after.items():
        old = before.get(name)
        was, told = (_told(old) if old else {}), _told(model)
        fields = {
            key: (was.get(key), told.get(key)) for key in told.keys() | was.keys() if was.get(key) != told.get(key)
        }
        if fields:
            out.append(Change(name, "changed" if old else "added", dict(sorted(fields.items()))))
    return out + [Change(name, "disabled") for name in before if name in now.disabled]


def _told(model: Model) -> dict[str, Any]:
    entry = describe(model, None, None)
    entry.pop("served_by")
    return entry | {"routes": [f"{route.provider}: {route.model}" for route in model.routes]}


def _models(tables: Table) -> list[Table]:
    return cast("list[Table]", tables.get("models", []))
