"""``polli admin``: accounts and ledger of a data folder, while its server runs or not.

Exit codes: 0 done, 1 a negative answer (the ledger does not add up), 2 wrong usage or a value that cannot be, 3 not
found, 4 the data folder cannot be used now, 5 it exists already.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from openpollen.accounts import keys as api_keys
from openpollen.accounts import login, users, views
from openpollen.accounts.permissions import SCOPES
from openpollen.accounts.tiers import Tiers
from openpollen.cli import doctor
from openpollen.core.errors import BadRequest, ConfigError, Conflict, GatewayError, NotFound, ServiceUnavailable
from openpollen.core.money import parse_pollen, pollen_number
from openpollen.ledger import credit
from openpollen.ledger.verify import verify
from openpollen.settings import Settings, load_settings
from openpollen.storage.database import FILE_NAME, Connection, Database

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., None])

_BUCKETS = click.Choice(["tier", "pack", "crypto"])


class Admin:
    """One command's run: its settings, its database, and how it prints."""

    def __init__(self, settings: Settings, database: Database, as_json: bool) -> None:
        self.settings = settings
        self.tiers = Tiers(settings.tiers.refill, settings.tiers.default)
        self._database = database
        self._as_json = as_json

    def write(self, fn: Callable[[Connection], T]) -> T:
        return self._database.write_sync(fn)

    def read(self, fn: Callable[[Connection], T]) -> T:
        return self._database.read_sync(fn)

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
        if not may_make and not (settings.data / FILE_NAME).exists():
            raise ServiceUnavailable(
                f"There is no data in {settings.data}; check --data, or start polli serve there first."
            )
        database = Database.open(settings.data)
        try:
            yield Admin(settings, database, as_json)
        finally:
            database.close()
    except ConfigError as error:
        _fail(str(error), "CONFIG", 2, as_json)
    except GatewayError as error:
        _fail(error.message, error.code, _exit_code(error), as_json)


@click.group()
def admin() -> None:
    """Accounts, keys, credit and ledger of a data folder, while its server runs or not.

    Exit codes: 0 done; 1 a negative answer; 2 wrong usage or a value that cannot be; 3 not found; 4 the data folder
    cannot be used now; 5 it exists already.
    """


@admin.group("catalog")
def catalog_group() -> None:
    """The catalogue: what can be asked for."""


admin.add_command(doctor.doctor)
catalog_group.add_command(doctor.check_catalog)


@admin.group("user")
def user_group() -> None:
    """Make and list accounts."""


@user_group.command("create")
@click.argument("name")
@click.option("--email", help="Email address; it identifies nobody.")
@click.option("--tier", help="Tier; without it the one that new accounts start in.")
@click.option("--admin", "is_admin", is_flag=True, help="Make it an admin account.")
@common
def create_user(
    name: str,
    email: str | None,
    tier: str | None,
    is_admin: bool,
    data: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Make an account called NAME."""
    with opened(data, config, as_json, may_make=True) as run:
        start = run.tiers.check(tier or run.tiers.default)
        gift = run.settings.accounts.signup_grant

        def make(connection: Connection) -> dict[str, Any]:
            role = "admin" if is_admin else "user"
            user = users.create_user(connection, name, tier=start, email=email, role=role)
            if gift:
                credit.grant(connection, user.id, gift, "pack", "signup", "system")
            return views.user_row(user, credit.balances(connection, user.id))

        row = run.write(make)
        run.show(row, f"{row['name']} ({row['id']}) was made, in tier {row['tier']}.")


@user_group.command("list")
@common
def list_users(data: Path | None, config: Path | None, as_json: bool) -> None:
    """List all accounts with their balances."""

    def look(connection: Connection) -> list[dict[str, Any]]:
        found = users.list_users(connection)
        return [views.user_row(user, credit.balances(connection, user.id)) for user in found]

    with opened(data, config, as_json) as run:
        rows = run.read(look)
        lines = [f"{r['id']}  {r['name']:20} {r['role']:6} {r['tier']:8} {r['balance']['total']:>12}" for r in rows]
        run.show({"data": rows}, *lines)


@admin.command("grant")
@click.argument("user")
@click.argument("amount")
@click.option("--bucket", type=_BUCKETS, required=True, help="Where the credit goes.")
@click.option("--reason", default="grant", show_default=True, help="A word for the ledger.")
@common
def grant(
    user: str, amount: str, bucket: str, reason: str, data: Path | None, config: Path | None, as_json: bool
) -> None:
    """Give USER (name or id) AMOUNT pollen."""
    with opened(data, config, as_json) as run:
        nano = _pollen(amount)

        def give(connection: Connection) -> dict[str, Any]:
            owner = users.find_user(connection, user)
            after = credit.grant(connection, owner.id, nano, bucket, reason, "admin")
            row = {"user": owner.id, "name": owner.name, "bucket": bucket, "amount": pollen_number(nano)}
            return {**row, "balance": views.balances_row(after)}

        row = run.write(give)
        run.show(row, f"{row['name']} got {amount} pollen ({bucket}) and now has {row['balance']['total']}.")


@admin.group("key")
def key_group() -> None:
    """Make, list and revoke API keys."""


@key_group.command("create")
@click.option("--user", required=True, help="Owner: name or id.")
@click.option("--name", required=True, help="Name of the key.")
@click.option("--type", "key_type", type=click.Choice(["secret", "publishable"]), default="secret", show_default=True)
@click.option("--permissions", default="", help=f"Account scopes, comma-separated: {', '.join(SCOPES)}.")
@click.option("--models", default=None, help="Models it may use, comma-separated; without it all.")
@click.option("--budget", default=None, help="Most pollen it may spend.")
@click.option("--period", type=click.Choice(["day", "week", "month"]), help="The budget starts anew each period.")
@click.option("--expires-in", type=int, help="Seconds it lives; without it for ever.")
@click.option("--app-url", help="Makes a publishable key an app key.")
@click.option("--redirect-uri", "redirect_uris", multiple=True, help="Where an app may be returned to; repeatable.")
@click.option("--origin", "origins", multiple=True, help="Web origin that may use a publishable key; repeatable.")
@common
def create_key(
    user: str,
    permissions: str,
    models: str | None,
    data: Path | None,
    config: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Make an API key. It is shown in full this once."""
    with opened(data, config, as_json) as run:
        wanted = api_keys.NewKey(
            name=options["name"],
            type=options["key_type"],
            expires_in=options["expires_in"],
            models=None if models is None else _words(models),
            budget=options["budget"],
            budget_period=options["period"],
            scopes=_scopes(permissions),
            app_url=options["app_url"],
            redirect_uris=options["redirect_uris"],
            origins=options["origins"],
            created_via="cli",
        )

        def make(connection: Connection) -> dict[str, Any]:
            owner = users.find_user(connection, user)
            return views.created_key(*api_keys.create_key(connection, owner.id, wanted))

        answer = run.write(make)
        run.show(answer, answer["key"])


@key_group.command("list")
@click.option("--user", required=True, help="Owner: name or id.")
@common
def list_keys(user: str, data: Path | None, config: Path | None, as_json: bool) -> None:
    """List a user's keys."""

    def look(connection: Connection) -> dict[str, Any]:
        owner = users.find_user(connection, user)
        found = api_keys.list_keys(connection, owner.id)
        return views.listed_keys(api_keys.with_remaining(connection, found))

    with opened(data, config, as_json) as run:
        answer = run.read(look)
        run.show(answer, *(f"{row['id']}  {row['start']}...  {row['name']}" for row in answer["data"]))


@key_group.command("revoke")
@click.argument("key_id")
@common
def revoke_key(key_id: str, data: Path | None, config: Path | None, as_json: bool) -> None:
    """Revoke a key and every key made with it; a running server follows within a second."""
    with opened(data, config, as_json) as run:
        gone = run.write(lambda connection: api_keys.revoke_key(connection, key_id))
        run.show({"success": True, "id": key_id, "revoked": gone}, f"Revoked: {', '.join(gone)}.")


@admin.command("login-link")
@click.argument("user", required=False)
@common
def login_link(user: str | None, data: Path | None, config: Path | None, as_json: bool) -> None:
    """Make a sign-in link for USER (without one for the first admin): 10 minutes, works once."""

    def make(connection: Connection) -> tuple[users.User, str]:
        owner = users.find_user(connection, user) if user else _first_admin(connection)
        return owner, login.create_link(connection, owner.id)

    with opened(data, config, as_json) as run:
        owner, token = run.write(make)
        url = login.link_url(_base_url(run.settings), token)
        run.show({"user": owner.id, "name": owner.name, "url": url, "expiresIn": login.LIVES_SECONDS}, url)


@admin.group("ledger")
def ledger_group() -> None:
    """Look after the ledger."""


@ledger_group.command("verify")
@common
def verify_ledger(data: Path | None, config: Path | None, as_json: bool) -> None:
    """Add everything up again. Exit code 1 when something does not agree."""
    with opened(data, config, as_json) as run:
        answer = run.read(verify)
        checks = [f"{'ok ' if check['ok'] else 'BAD'}  {check['check']}" for check in answer["checks"]]
        run.show(answer, *checks, *answer["problems"])
    if not answer["ok"]:
        raise SystemExit(1)


def _first_admin(connection: Connection) -> users.User:
    for user in users.list_users(connection):
        if user.role == "admin":
            return user
    raise NotFound("There is no admin account yet; the first `polli serve` makes one.")


def _base_url(settings: Settings) -> str:
    """Where people reach the server: as configured, else as the running server says, else where it would listen."""
    if configured := settings.server.enter_url or settings.server.gen_url:
        return configured
    try:
        return str(json.loads((settings.data / "server.json").read_text("utf-8"))["url"])
    except (OSError, ValueError, KeyError):
        return f"http://{settings.server.host}:{settings.server.port}"


def _pollen(amount: str) -> int:
    try:
        return parse_pollen(amount)
    except ValueError as error:
        raise BadRequest(f"AMOUNT: {error}.") from None


def _scopes(permissions: str) -> list[str]:
    scopes = [word.removeprefix("account:") for word in _words(permissions)]
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise BadRequest(f"There is no permission {unknown[0]!r}: choose from {', '.join(SCOPES)}.")
    return scopes


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _exit_code(error: GatewayError) -> int:
    if isinstance(error, NotFound):
        return 3
    if isinstance(error, Conflict):
        return 5
    return 2 if error.status < 500 else 4


def _fail(message: str, code: str, exit_code: int, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps({"success": False, "error": {"code": code, "message": message}}, ensure_ascii=False))
    click.echo(message, err=True)
    raise SystemExit(exit_code)
