"""``polli admin move``: a whole installation goes from SQLite to PostgreSQL, and works there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from openpollen.cli.main import polli
from openpollen.storage.database import Connection, Database
from openpollen.storage.schema import metadata
from tests import labconfig, postgres
from tests.fakeprovider import FakeProvider
from tests.gateway import NANO, Gateway
from tests.labconfig import ANSWER


@pytest.fixture
def lab() -> Iterator[FakeProvider]:
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def used(lab: FakeProvider, tmp_path: Path) -> Gateway:
    """A stopped server on SQLite that has been used."""
    config = tmp_path / "openpollen.toml"
    config.write_text(labconfig.operator_file(lab.base_url, "[engines]\nenabled = false\n"))
    return Gateway(tmp_path / "data", config, env={"LAB_KEY": labconfig.KEY, "OPENPOLLEN_STORAGE_DATABASE_URL": ""})


def move(gateway: Gateway, url: str, *options: str) -> Result:
    words = ["admin", "move", "--to", url, "--data", str(gateway.data), "--config", str(gateway.config), *options]
    return CliRunner().invoke(polli, words, env=dict(gateway.env))


def everything(folder: Path, url: str) -> dict[str, list[Any]]:
    def look(connection: Connection) -> dict[str, list[Any]]:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }

    database = Database.open(folder, url)
    try:
        return database.read_sync(look)
    finally:
        database.close()


def test_everything_goes_along_and_the_server_goes_on_there(used: Gateway, postgres_url: str) -> None:
    with used:
        payer = used.account(pack="1", permissions="keys,usage")
        child = payer.post("/api/account/keys", {"name": "child", "pollenBudget": 0.5}).json
        assert payer.chat("lab-chat").status == 200
        payer.rows(1)
        refused = move(used, postgres_url)
        assert (refused.exit_code, "stop it first" in refused.stderr) == (5, True)
    moved = move(used, postgres_url, "--json")
    assert moved.exit_code == 0, moved.output
    assert json.loads(moved.stdout)["rows"]["usage"] == 1
    assert everything(used.data, postgres_url) == everything(used.data, "")
    again = move(used, postgres_url)
    assert (again.exit_code, "not empty" in again.stderr) == (5, True)
    there = Gateway(used.data, used.config, env={**used.env, "OPENPOLLEN_STORAGE_DATABASE_URL": postgres_url})
    with there:
        payer = replace(payer, gateway=there)
        assert payer.chat("lab-chat").status == 200
        assert len(payer.rows(2)) == 2
        assert payer.balance == NANO - 2 * ANSWER
        assert {key["id"] for key in payer.get("/api/account/keys").json["data"]} >= {child["id"], payer.key_id}
    assert there.verify()["ok"]


def test_a_ledger_that_does_not_add_up_stays(used: Gateway, postgres_server: postgres.Server) -> None:
    with used:
        used.account(pack="1")
    database = Database.open(used.data)
    database.write_sync(lambda c: c.exec_driver_sql("UPDATE transfers SET amount = amount + 1").rowcount)
    database.close()
    url = postgres_server.empty()
    refused = move(used, url)
    assert (refused.exit_code, "does not add up" in refused.stderr) == (5, True)
    assert not any(everything(used.data, url).values())
