"""What every ``polli admin`` command shares: its options, its database, how it prints, how it fails."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from openpollen.accounts.tiers import Tiers
from openpollen.catalog.load import Catalog
from openpollen.cli.leftover import give_back_of_dead
from openpollen.cli.main import failure
from openpollen.configuration import read_configuration
from openpollen.core.errors import BadRequest, ConfigError, Conflict, GatewayError, NotFound, ServiceUnavailable
from openpollen.core.money import parse_pollen
from openpollen.settings import Settings
from openpollen.settings.reading import Table, load_settings
from openpollen.storage.bell import open_bell
from openpollen.storage.database import FILE_NAME, Connection, Database

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., None])


class Admin:
    """One command's run: its settings, its database, and how it prints. ``actor`` is who runs it, for transfers and the
    audit trail."""

    def __init__(self, settings: Settings, database: Database, as_json: bool, config: Path | None) -> None:
        self.settings = settings
        self.tiers = Tiers(settings.tiers.refill, settings.tiers.default)
        self.actor = f"cli:{_user()}"
        self._database = database
        self._as_json = as_json
        self._config = config

    def write(self, fn: Callable[[Connection], T]) -> T:
        return self._database.write_sync(fn)

    def read(self, fn: Callable[[Connection], T]) -> T:
        return self._database.read_sync(fn)

    def give_back_of_dead(self) -> None:
        """Gives back what workers of this data folder had set aside when they died."""
        give_back_of_dead(self._database)

    def catalog(self, changes: Table | None = None) -> Catalog:
        """Today's catalogue, with the operator's file, the models that were pulled, and what was changed by command; or
        with other such ``changes``. Raises ConfigError."""
        overrides = {"data": str(self.settings.data)}
        return read_configuration(self._config, os.environ, overrides, changes)[1]

    def ring(self, topic: str) -> None:
        """Wakes the workers of a running server."""
        bell = open_bell(self._database)
        bell.ring(topic)
        bell.close()

    def show(self, answer: Any, *lines: str) -> None:
        """Prints the answer as JSON, or the lines for a person."""
        if self._as_json:
            click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        else:
            for line in lines:
                click.echo(line)


def common(command: Command) -> Command:
    """The options that every command has."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option("--config", type=click.Path(path_type=Path), envvar="OPENPOLLEN_CONFIG", help="Settings file."),
        click.option("--data", type=click.Path(path_type=Path), help="Data folder; also OPENPOLLEN_DATA."),
    ):
        command = option(command)
    return command


@contextmanager
def opened(data: Path | None, config: Path | None, as_json: bool, *, may_make: bool = False) -> Generator[Admin]:
    """The data folder's database for one command; a fault becomes a message and an exit code.

    Only ``may_make`` makes a data folder: elsewhere a mistyped one must not look like an empty, healthy one."""
    try:
        settings = load_settings(config, os.environ, {"data": data})
        stored = settings.storage.database_url or (settings.data / FILE_NAME).exists()
        if not may_make and not stored:
            raise ServiceUnavailable(
                f"There is no data in {settings.data}; check --data, or start polli serve there first."
            )
        database = Database.open(settings.data, settings.storage.database_url)
        try:
            yield Admin(settings, database, as_json, config)
        finally:
            database.close()
    except ConfigError as error:
        _fail(str(error), "CONFIG", 2, as_json)
    except GatewayError as error:
        _fail(error.message, error.code, _exit_code(error), as_json)


def pollen(amount: str, name: str = "AMOUNT") -> int:
    """An amount as typed, in nano-pollen. Raises BadRequest."""
    try:
        return parse_pollen(amount)
    except ValueError as error:
        raise BadRequest(f"{name}: {error}.") from None


def words(text: str) -> list[str]:
    """The words of a comma-separated list."""
    return [word.strip() for word in text.split(",") if word.strip()]


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container may run under a number that has no name
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


def _exit_code(error: GatewayError) -> int:
    if isinstance(error, NotFound):
        return 3
    if isinstance(error, Conflict):
        return 5
    return 2 if error.status < 500 else 4


def _fail(message: str, code: str, exit_code: int, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(failure(code, message))
    click.echo(message, err=True)
    raise SystemExit(exit_code)
