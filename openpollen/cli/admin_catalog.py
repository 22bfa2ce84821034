"""``polli admin catalog``: add, override, disable and take back models while the server runs. What is changed stands in
``DATA/catalog.toml``; every worker takes it at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from filelock import FileLock

from openpollen.app import CATALOG
from openpollen.catalog import changes
from openpollen.catalog.load import Catalog, load_catalog
from openpollen.catalog.parse import PER_UNITS
from openpollen.cli.adminrun import Admin, common, opened, words
from openpollen.configuration import build_registry
from openpollen.core.errors import BadRequest, Conflict, NotFound
from openpollen.core.model import Model, Unit
from openpollen.core.money import NANO
from openpollen.core.nearest import nearest
from openpollen.settings.reading import Table, read_toml

Command = Callable[..., None]
#: What ``--per`` divides.
_PER = 1_000_000


def _of_model(command: Command) -> Command:
    """The options that say what a model is."""
    for option in (
        click.option("--title", help="What people read."),
        click.option("--description", help="One line on it."),
        click.option("--aliases", help="Other names for it, comma-separated."),
        click.option("--capabilities", help="What it does, comma-separated: chat, tools, vision, image, ..."),
        click.option("--context-length", type=click.IntRange(1), help="Tokens that it can read and write."),
        click.option("--max-output-tokens", type=click.IntRange(1), help="Tokens that it can write."),
        click.option("--paid-only/--not-paid-only", default=None, help="Whether tier pollen cannot pay for it."),
        click.option("--price", "prices", multiple=True, help="UNIT=POLLEN, such as input_token=0.40; repeatable."),
        click.option(
            "--per", type=click.IntRange(1), default=_PER, show_default=True, help="Divides token and character prices."
        ),
        click.option("--provider", help="Who serves it: a provider of the catalogue."),
        click.option("--model", "upstream", help="Its name there."),
        click.option("--base-url", help="Makes a new provider of that name: a host that speaks OpenAI's API."),
        click.option("--key", help="The new provider's key: env:NAME or file:PATH."),
    ):
        command = option(command)
    return command


@click.command("add")
@click.argument("name")
@_of_model
@common
def add(name: str, data: Path | None, config: Path | None, as_json: bool, **options: Any) -> None:
    """Add a model NAME: what it does, who serves it, and its price."""
    with opened(data, config, as_json) as run:
        if _model(run.catalog(), name) is not None:
            raise Conflict(f"There is a model {name!r} already; polli admin catalog override changes it.")
        fields = _fields(options)
        for option in ("provider", "upstream", "prices"):
            if not options[option]:
                raise BadRequest(f"--{option.replace('upstream', 'model').replace('prices', 'price')}: is missing.")
        _change(run, name, lambda tables: _with_model(tables, name, {"capabilities": ["chat"], **fields}, options))


@click.command("override")
@click.argument("name")
@_of_model
@click.option(
    "--flat", is_flag=True, help="Its --price counts for every quality, size and length, whatever they cost now."
)
@common
def override(name: str, flat: bool, data: Path | None, config: Path | None, as_json: bool, **options: Any) -> None:
    """Change fields of the model NAME. A new route is tried before those that it has."""
    with opened(data, config, as_json) as run:
        model = _known(run.catalog(), name)
        fields = _fields(options)
        if "price" in fields:
            fields["price"] = _rates(model, options["per"]) | fields["price"] | {"per": options["per"]}
        if "price" in fields and model.price.variants and not flat:
            raise BadRequest(
                f"--price: {model.name} has {len(model.price.variants)} other prices, by quality, size or length, which one "
                "price would replace. Add --flat if that is meant, or write all of them into the configuration file.",
            )
        if not fields and not options["provider"]:
            raise BadRequest("Say what to change, such as --price or --aliases; --help lists everything.")
        _change(run, model.name, lambda tables: _with_model(tables, model.name, fields, options))


@click.command("disable")
@click.argument("name")
@common
def disable(name: str, data: Path | None, config: Path | None, as_json: bool) -> None:
    """Take the model NAME away until it is enabled. Calls that are running go on."""
    with opened(data, config, as_json) as run:
        catalog = run.catalog()
        if name in catalog.disabled:
            raise Conflict(f"{name} is disabled already.")
        model = _known(catalog, name)
        _change(run, model.name, lambda tables: changes.changed(tables, model.name, {"disabled": True}))


@click.command("enable")
@click.argument("name")
@common
def enable(name: str, data: Path | None, config: Path | None, as_json: bool) -> None:
    """Bring the model NAME back."""
    with opened(data, config, as_json) as run:
        if name not in run.catalog().disabled:
            raise NotFound(f"No model {name!r} is disabled.")
        _change(run, name, lambda tables: changes.changed(tables, name, {"disabled": None}), enabled=True)


@click.command("forget")
@click.argument("name")
@common
def forget(name: str, data: Path | None, config: Path | None, as_json: bool) -> None:
    """Take back everything that was changed of the model NAME by command."""
    with opened(data, config, as_json) as run:
        _change(run, name, lambda tables: changes.forgotten(tables, name))


@click.command("diff")
@common
def diff(data: Path | None, config: Path | None, as_json: bool) -> None:
    """Show what the configuration file and commands change of the shipped catalogue."""
    with opened(data, config, as_json) as run:
        found = changes.difference(load_catalog(), run.catalog())
        rows = [{"model": one.model, "change": one.change, "fields": one.fields} for one in found]
        run.show({"changes": rows}, *(line for one in found for line in _lines(one)))


@click.command("reload")
@common
def reload(data: Path | None, config: Path | None, as_json: bool) -> None:
    """Have a running server read its catalogue again, as after the configuration file was edited."""
    with opened(data, config, as_json) as run:
        _tell(run, None)


def _change(run: Admin, name: str, change: Callable[[Table], Table], *, enabled: bool = False) -> None:
    """Puts a change in place, if the catalogue is right with it, and has workers take it. Raises ConfigError."""
    path = changes.file_of(run.settings.data)
    with FileLock(path.with_suffix(".lock")):
        faults: list[str] = []
        before = read_toml(path, faults) if path.exists() else {}
        if faults:
            raise BadRequest(f"{faults[0]}. Mend or remove the file first.")
        after = change(before)
        catalog = run.catalog(after)
        if enabled and name in catalog.disabled:
            raise Conflict(f"{name} is disabled in the configuration file; enable it there.")
        changes.write(path, after)
    _tell(run, name)


def _tell(run: Admin, name: str | None) -> None:
    settings, catalog = run.settings, run.catalog()
    registry = build_registry(settings, catalog, os.environ)
    run.ring(CATALOG)
    answer: dict[str, Any] = {"models": len(registry.models()), "revision": registry.revision}
    answer["warnings"] = list(registry.warnings)
    what = f"{name}: changed. " if name else ""
    run.show(
        {"success": True, **({"model": name} if name else {}), **answer},
        *(f"warning: {warning}" for warning in registry.warnings),
        f"{what}{answer['models']} models, revision {registry.revision}; a running server takes it now.",
    )


def _with_model(tables: Table, name: str, fields: Mapping[str, Any], options: Mapping[str, Any]) -> Table:
    provider, upstream = options["provider"], options["upstream"]
    if options["key"] and not options["key"].startswith(("env:", "file:")):
        raise BadRequest(
            "--key: write env:NAME or file:PATH; a key itself would stand in the file and in your shell's history."
        )
    if options["base_url"]:
        row = {"wire": "openai_compatible", "base_url": options["base_url"]}
        tables = changes.hosted(tables, provider or name, row | ({"key": options["key"]} if options["key"] else {}))
    if provider:
        route = {"provider": provider, "model": upstream or name}
        own = changes.routes_of(tables, name)
        fields = {**fields, "routes": [route, *(one for one in own if one != route)]}
    return changes.changed(tables, name, fields)


def _fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a model that options give. Raises BadRequest."""
    plain = ("title", "description", "context_length", "max_output_tokens", "paid_only")
    fields = {name: options[name] for name in plain if options[name] is not None}
    fields |= {name: words(options[name]) for name in ("aliases", "capabilities") if options[name] is not None}
    if options["prices"]:
        fields["price"] = _price(options["prices"], options["per"])
    return fields


def _price(given: tuple[str, ...], per: int) -> dict[str, Any]:
    price: dict[str, Any] = {}
    for one in given:
        unit, _, amount = one.partition("=")
        if unit not in Unit.__members__.values():
            raise BadRequest(f"--price: {unit!r} is no unit{nearest(unit, [str(known) for known in Unit])}")
        try:
            price[unit] = str(Decimal(amount))
        except ArithmeticError:
            raise BadRequest(f"--price: {one!r}: write {unit}=POLLEN, such as {unit}=0.40.") from None
    return price | ({"per": per} if PER_UNITS & price.keys() else {})


def _rates(model: Model, per: int) -> dict[str, Any]:
    """What a model costs now, as it stands in a file: what is not stated anew stays."""
    price: dict[str, Any] = {}
    for unit, rate in model.price.rates.items():
        amount = rate * (per if unit in PER_UNITS else 1) / NANO
        price[str(unit)] = format(Decimal(amount.numerator) / Decimal(amount.denominator), "f")
    return price


def _model(catalog: Catalog, name: str) -> Model | None:
    return next((model for model in catalog.models if name in (model.name, *model.aliases)), None)


def _known(catalog: Catalog, name: str) -> Model:
    model = _model(catalog, name)
    if model is None:
        names = [one.name for one in catalog.models]
        off = " It is disabled." if name in catalog.disabled else nearest(name, names)
        raise NotFound(
            f"There is no model {name!r}.{off}" if off.startswith(" ") else f"There is no model {name!r}{off}"
        )
    return model


def _lines(change: changes.Change) -> list[str]:
    lines = [f"{change.change:<9} {change.model}"]
    if change.change == "changed":
        lines += [f"            {name}: {was} -> {now}" for name, (was, now) in change.fields.items()]
    return lines
