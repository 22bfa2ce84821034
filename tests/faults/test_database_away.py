"""Another process has the database for longer than a write waits, while paid work is done: nothing is lost or paid twice."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from tests import labconfig
from tests.fakeprovider import FakeProvider
from tests.faults.books import balanced, books
from tests.faults.conftest import SETTINGS
from tests.faults.test_jobs import Job
from tests.gateway import Account, Gateway, Reply, eventually
from tests.labconfig import IMAGE, owed

#: Writes that the server refuses, one after the other: by then its own have waited as long, and once more.
REFUSALS = 2


@pytest.fixture(scope="module")
def served(lab: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """SQLite, whatever the other servers have: its lock can be taken from outside."""
    folder = tmp_path_factory.mktemp("away")
    config = folder / "openpollen.toml"
    config.write_text(labconfig.operator_file(lab.base_url, SETTINGS))
    env = {"LAB_KEY": labconfig.KEY, "OPENPOLLEN_STORAGE_DATABASE_URL": ""}
    with Gateway(folder / "data", config, env=env) as running:
        yield running
    assert "Traceback" not in running.output


@contextmanager
def away(payer: Account) -> Iterator[None]:
    """The database is another's until the server has refused other writes."""
    with closing(sqlite3.connect(payer.gateway.data / "openpollen.db", isolation_level=None)) as other:
        eventually(lambda: begun(other), "the lock")
        yield
        for _ in range(REFUSALS):
            assert payer.post("/api/account/keys", {"name": "late"}).status == 503
        other.execute("ROLLBACK")


def begun(other: sqlite3.Connection) -> bool:
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    return True


@pytest.mark.parametrize("key", [None, "once"])
def test_a_paid_picture_is_delivered_once_it_can_be_kept(served: Gateway, fake: FakeProvider, key: str | None) -> None:
    payer = served.account(permissions="keys,usage,balance")
    headers = {"Idempotency-Key": key} if key else {}
    body: dict[str, Any] = {"model": "lab-step-image", "prompt": f"a cat {key}", "size": "64x64"}
    replies: list[Reply] = []

    def ask() -> None:
        replies.append(payer.post("/v1/images/generations", body, headers=headers))

    with balanced(served, fake) as before:
        gate = fake.gate("part")
        asking = threading.Thread(target=ask)
        asking.start()
        gate.reached()
        with away(payer):
            gate.open()
        asking.join()
        assert replies[0].status == 200, replies[0].text
        payer.rows(1)
        if key:
            again = payer.post("/v1/images/generations", body, headers=headers)
            assert (again.headers["idempotent-replayed"], again.body) == ("true", replies[0].body)
    assert books(served).charged - before.charged == IMAGE == owed(fake.bill)


def test_a_film_goes_on(served: Gateway, fake: FakeProvider, clip: bytes) -> None:
    before, fake.film = fake.film, clip
    charged = books(served).charged
    job = Job(served, fake)
    keeper = served.account(permissions="keys")
    job.to("queued")
    with away(keeper):
        fake.finish(job.upstream)
    eventually(lambda: job.shown()["status"] in ("completed", "failed"), "the end of the film")
    assert job.shown()["status"] == "completed", job.shown()
    assert books(served).charged - charged == owed(fake.bill) > 0
    fake.clear()
    fake.film = before
