"""Workers hear one another: money that one has leased and another needs moves on a ring, not with the next heartbeat."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import labconfig, postgres
from tests.fakeprovider import FakeProvider
from tests.faults.books import query
from tests.gateway import Gateway, eventually

WORKERS = 3


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def crew(
    lab: FakeProvider,
    postgres_server: postgres.Server,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("crew")
    config = folder / "openpollen.toml"
    config.write_text(labconfig.operator_file(lab.base_url))
    env = {"LAB_KEY": labconfig.KEY}
    if request.param == "postgresql":
        env["OPENPOLLEN_STORAGE_DATABASE_URL"] = postgres_server.fresh()
    with Gateway(folder / "data", config, ("--workers", str(WORKERS)), env=env) as running:
        yield running


def test_every_worker_has_its_ears_open(crew: Gateway) -> None:
    eventually(lambda: listening(crew) == WORKERS, "the ears of every worker")


def listening(crew: Gateway) -> int:
    if crew.database_url:
        sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND query = ?"
        (count,) = query(crew, sql, "LISTEN openpollen")[0]
        return count
    return sum(hears(path) for path in (crew.data / "run").glob("*.bell"))


def hears(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ringer, contextlib.suppress(OSError):
        ringer.sendto(b"hello", str(path))
        return True
    return False
