"""``polli admin``: accounts, credit and ledger of a data folder, while its server runs or not. The groups of commands
stand in files of their own: ``admin_users``, ``admin_keys``, ``admin_apps``, ``admin_credit``.

Exit codes: 0 done, 1 a negative answer (the ledger does not add up), 2 wrong usage or a value that cannot be, 3 not
found, 4 the data folder cannot be used now, 5 it exists or was done already.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from openpollen.accounts import audit, invites, login, users
from openpollen.cli import admin_apps, admin_catalog, admin_credit, admin_keys, admin_move, admin_users, doctor
from openpollen.cli.adminrun import common, opened
from openpollen.cli.supervisor import server_file
from openpollen.core.errors import NotFound
from openpollen.ledger.verify import verify
from openpollen.settings import Settings
from openpollen.storage.database import Connection


@click.group()
def admin() -> None:
    """Accounts, keys, credit and ledger of a data folder, while its server runs or not.

    Exit codes: 0 done; 1 a negative answer; 2 wrong usage or a value that cannot be; 3 not found; 4 the data folder
    cannot be used now; 5 it exists or was done already.
    """


@admin.group("catalog")
def catalog_group() -> None:
    """The catalogue: what can be asked for, and how it differs from the shipped one."""


@admin.group("ledger")
def ledger_group() -> None:
    """Look after the ledger."""


for command in (
    doctor.check_catalog,
    admin_catalog.add,
    admin_catalog.override,
    admin_catalog.disable,
    admin_catalog.enable,
    admin_catalog.forget,
    admin_catalog.diff,
    admin_catalog.reload,
):
    catalog_group.add_command(command)
for command in (
    doctor.doctor,
    admin_users.user_group,
    admin_keys.key_group,
    admin_apps.app_group,
    admin_credit.grant,
    admin_credit.correct,
    admin_credit.refund,
    admin_credit.rerate,
    admin_move.move,
):
    admin.add_command(command)


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


@admin.command("audit")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Most rows.")
@click.option("--user", help="Only what concerns this account: name or id.")
@common
def show_audit(limit: int, user: str | None, data: Path | None, config: Path | None, as_json: bool) -> None:
    """Show who did what to whom, the newest first: accounts, keys, tiers, credit."""

    def look(connection: Connection) -> list[dict[str, object]]:
        subject = users.find_user(connection, user).id if user else None
        return audit.trail(connection, limit=limit, subject=subject)

    with opened(data, config, as_json) as run:
        rows = run.read(look)
        lines = (
            f"{row['at']}  {row['actor']:16} {row['action']:15} {row['subject']}  "
            f"{json.dumps(row['details'], ensure_ascii=False)}"
            for row in rows
        )
        run.show({"data": rows}, *lines)


@admin.command("login-link")
@click.argument("user", required=False)
@common
def login_link(user: str | None, data: Path | None, config: Path | None, as_json: bool) -> None:
    """Make a sign-in link for USER (without one for the first admin): 10 minutes, works once."""
    with opened(data, config, as_json) as run:

        def make(connection: Connection) -> tuple[users.User, str]:
            owner = users.find_user(connection, user) if user else _first_admin(connection)
            audit.note(connection, run.actor, "user.login_link", owner.id)
            return owner, login.create_link(connection, owner.id)

        owner, token = run.write(make)
        url = login.link_url(_base_url(run.settings), token)
        run.show({"user": owner.id, "name": owner.name, "url": url, "expiresIn": login.LIVES_SECONDS}, url)


@admin.command("invite")
@click.option("--uses", type=int, default=1, show_default=True, help="How many accounts it is good for.")
@click.option("--days", type=int, default=invites.DAYS, show_default=True, help="How long it lives.")
@click.option("--note", default="", help="Whom it is for; stands in the audit trail.")
@common
def invite(uses: int, days: int, note: str, data: Path | None, config: Path | None, as_json: bool) -> None:
    """Make an invitation: whoever has it can sign up."""
    with opened(data, config, as_json) as run:
        code = run.write(
            lambda connection: invites.create_invite(connection, actor=run.actor, uses=uses, days=days, note=note)
        )
        url = invites.invite_url(_base_url(run.settings), code)
        run.show({"code": code, "url": url, "uses": uses, "expiresIn": days * 86_400}, url)


def _first_admin(connection: Connection) -> users.User:
    for user in users.list_users(connection):
        if user.role == "admin":
            return user
    raise NotFound("There is no admin account yet; the first `polli serve` makes one.")


def _base_url(settings: Settings) -> str:
    """Where people reach the server: as configured, else as the running server says, else where it would listen."""
    if configured := settings.server.enter_url or settings.server.gen_url:
        return configured.rstrip("/")
    try:
        return str(json.loads(server_file(settings.data).read_text("utf-8"))["url"])
    except (OSError, ValueError, KeyError):
        return f"http://{settings.server.host}:{settings.server.port}"
