"""``polli admin move``: from one database to another."""

from __future__ import annotations

from pathlib import Path

import click

from openpollen.cli.adminrun import Admin, common, opened
from openpollen.cli.leftover import only_server
from openpollen.core.errors import Conflict
from openpollen.ledger.verify import verify
from openpollen.storage.database import Connection, Database, place
from openpollen.storage.move import copy


@click.command("move")
@click.option("--to", "target", required=True, metavar="URL", help="An empty PostgreSQL: postgresql://user@host/name.")
@common
def move(target: str, data: Path | None, config: Path | None, as_json: bool) -> None:
    """Copy the database into an empty PostgreSQL. The server must be stopped; nothing of the old one is changed.

    One transaction: all of it arrives, counted and verified, or nothing."""
    with opened(data, config, as_json) as run:
        run.give_back_of_dead()
        try:
            with only_server(run.settings.data):
                rows = _move(run, target)
        except RuntimeError:
            raise Conflict(f"A server runs on {run.settings.data}: stop it first.", reason="server_runs") from None
        where = place(run.settings.data, target)
        run.show(
            {"to": where, "rows": rows},
            f"{sum(rows.values())} rows of {len(rows)} tables are in {where}, counted and verified.",
            "Name it as storage.database_url, or OPENPOLLEN_STORAGE_DATABASE_URL, before you start the server again.",
        )


def _move(run: Admin, url: str) -> dict[str, int]:
    run.read(_verified)
    target = Database.open(run.settings.data, url)

    def write(connection: Connection) -> dict[str, int]:
        rows = run.read(lambda source: copy(source, connection))
        _verified(connection)
        return rows

    try:
        return target.write_sync(write)
    finally:
        target.close()


def _verified(connection: Connection) -> None:
    if problems := verify(connection)["problems"]:
        raise Conflict(f"The ledger does not add up, so nothing was moved: {problems[0]}", reason="verify")
