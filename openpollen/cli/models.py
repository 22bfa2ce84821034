"""``polli models``: bring, list, check and remove the weights of local models."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from openpollen.core.errors import ConfigError

if TYPE_CHECKING:
    from openpollen.engines.weights import Progress


Command = TypeVar("Command", bound=Callable[..., None])


def _use_settings(_ctx: click.Context, _option: click.Parameter, config: Path | None) -> None:
    """The models folder that a settings file names is the one these commands work in."""
    if config is not None:
        from openpollen.settings.reading import load_settings

        try:
            folder = load_settings(config, os.environ).engines.models
        except ConfigError as fault:
            raise click.UsageError("\n".join(fault.problems)) from None
        os.environ["OPENPOLLEN_MODELS"] = str(folder)


def _common(command: Command) -> Command:
    """The options that every command has. Models are shared by all data folders, so ``--data`` changes nothing here."""
    config = click.Path(path_type=Path)
    for option in (
        click.option(
            "--config",
            type=config,
            envvar="OPENPOLLEN_CONFIG",
            callback=_use_settings,
            expose_value=False,
            help="Settings file.",
        ),
        click.option("--data", type=config, expose_value=False, help="Data folder; all of them share the models."),
    ):
        command = option(command)
    return command


@click.group()
def models() -> None:
    """Bring, list, check and remove the weights of local models."""


@models.command()
@_common
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every model, opt-in ones too.")
@click.option("--hub", "hub_ids", multiple=True, metavar="ORG/REPO[:FILE]", help="A GGUF of the model hub; repeatable.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def pull(names: tuple[str, ...], everything: bool, hub_ids: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """Bring models (the default ones when none is named); what is ready is not fetched again.

    Exit code 1 when one could not be brought; the others are brought all the same.
    """
    from openpollen.engines import weights

    with _usage_errors():
        known = weights.names()
        if unknown := [name for name in names if name not in known]:
            raise click.UsageError(f"No model is called {unknown[0]}; there are {', '.join(known)}.")
        wanted = known if everything else list(names) or ([] if hub_ids else weights.default_names())
    failures: dict[str, str] = {}
    hub = True
    with _progress(silent=quiet or as_json) as progress:
        for name in wanted:
            try:
                weights.pull(name, progress, second_source=hub)
            except weights.HubUnreachable as error:
                failures[name], hub = str(error), False
            except weights.WeightsError as error:
                failures[name] = str(error)
        for hub_id in hub_ids:
            try:
                weights.pull_hub(hub_id, progress)
            except weights.WeightsError as error:
                failures[hub_id] = str(error)
    if as_json:
        _print_json({"ok": not failures, "models": _rows(weights.status()), "errors": failures})
    for name, words in failures.items():
        click.echo(f"Could not pull {name}. {words}", err=True)
    if failures:
        raise SystemExit(1)


@models.command("list")
@_common
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_models(as_json: bool) -> None:
    """Show every model, whether it is ready, and what it takes."""
    from openpollen.engines import weights

    with _usage_errors():
        rows = weights.status()
    if as_json:
        _print_json({"folder": str(weights.models_folder()), "models": _rows(rows)})
        return
    for row in rows:
        opt = "" if row.default else "  (opt-in)"
        click.echo(f"{row.name:24} {row.state:8} {row.size / 1e6:7,.0f} MB  {row.purpose}{opt}")
        if row.detail:
            click.echo(f"{'':24} {row.detail}; run `polli models pull {row.name}`")
    click.echo(f"In {weights.models_folder()}")


@models.command()
@_common
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def verify(as_json: bool) -> None:
    """Hash every file that is there. Exit code 1 when one is not what it should be."""
    from openpollen.engines import weights

    with _usage_errors():
        rows = weights.verify()
    broken = [row for row in rows if row.state == "broken"]
    if as_json:
        _print_json({"ok": not broken, "models": _rows(rows)})
    else:
        for row in rows:
            click.echo(f"{row.name:24} {row.state:8} {row.detail}".rstrip())
    if broken:
        raise SystemExit(1)


@models.command()
@_common
@click.argument("name")
def remove(name: str) -> None:
    """Delete a model's files from the models folder."""
    from openpollen.engines import weights

    with _usage_errors():
        click.echo(f"{name} is removed." if weights.remove(name) else f"{name} was not there.")


@contextmanager
def _usage_errors() -> Generator[None]:
    from openpollen.engines.weights import WeightsError

    try:
        yield
    except WeightsError as error:
        raise click.ClickException(str(error)) from error


def _rows(rows: list[Any]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]


def _print_json(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value, indent=2))


@contextmanager
def _progress(silent: bool) -> Generator[Progress]:
    """Bars on a terminal, plain lines elsewhere, nothing when silent."""
    from rich.console import Console

    from openpollen.engines.weights import Silent

    console = Console(stderr=True)
    if silent:
        yield Silent()
    elif not console.is_terminal:
        yield _Lines()
    else:
        from rich import progress as bars

        columns = (
            bars.TextColumn("{task.description}"), bars.BarColumn(), bars.DownloadColumn(), bars.TransferSpeedColumn(),
        )  # fmt: skip
        with bars.Progress(*columns, console=console) as display:
            yield _Bars(display)


class _Lines:
    """A line when a download begins and one for each note."""

    def __init__(self) -> None:
        self._begun: set[str] = set()

    def note(self, text: str) -> None:
        click.echo(text)

    def advance(self, label: str, done: int, total: int) -> None:
        del done
        if label not in self._begun:
            self._begun.add(label)
            click.echo(f"{label} ({total / 1e6:,.0f} MB)" if total else label)


class _Bars:
    """One bar for each thing that comes."""

    def __init__(self, display: Any) -> None:  # rich's Progress, which is imported only when there is a terminal
        self._display = display
        self._tasks: dict[str, Any] = {}

    def note(self, text: str) -> None:
        self._display.console.print(text, highlight=False)

    def advance(self, label: str, done: int, total: int) -> None:
        if label not in self._tasks:
            self._tasks[label] = self._display.add_task(label, total=total or None)
        self._display.update(self._tasks[label], completed=done)
