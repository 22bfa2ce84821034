"""A server whose database cannot be written for a while: clear errors, nothing lost, nothing charged twice."""

from __future__ import annotations

import resource
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import labconfig
from tests.fakeprovider import FakeProvider
from tests.gateway import NANO, Account, Gateway, Reply, eventually
from tests.labconfig import ANSWER
from tests.ledger.test_kills import workers


@pytest.fixture
def gateway(tmp_path: Path, lab: FakeProvider) -> Iterator[Gateway]:
    config = tmp_path / "openpollen.toml"
    config.write_text(labconfig.operator_file(lab.base_url, "[engines]\nenabled = false\n"))
    with Gateway(tmp_path / "data", config, env={"LAB_KEY": labconfig.KEY}) as gateway:
        yield gateway


@contextmanager
def locked(gateway: Gateway) -> Iterator[None]:
    """Another program holds the database's write lock."""
    connection = sqlite3.connect(gateway.data / "openpollen.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@contextmanager
def full_disk(gateway: Gateway) -> Iterator[None]:
    """No file of the worker can grow any more."""
    (worker,) = workers(gateway)
    log = gateway.data / "openpollen.db-wal"
    before = resource.prlimit(worker, resource.RLIMIT_FSIZE)
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (log.stat().st_size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(worker, resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("trouble", [locked, full_disk])
def test_calls_stop_with_503_and_every_charge_is_written_afterwards(gateway: Gateway, trouble: object) -> None:
    assert callable(trouble)
    payer = gateway.account()
    assert payer.chat("lab-chat", max_tokens=20).status == 200
    payer.rows(1)
    replies: list[Reply] = []

    def refused() -> bool:
        replies.append(payer.chat("lab-chat", max_tokens=20))
        return replies[-1].status != 200

    with trouble(gateway):
        eventually(refused, "the end of what may wait")
        error = replies[-1].error
        assert (replies[-1].status, error["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert int(replies[-1].headers["retry-after"]) > 0
        started = time.monotonic()
        assert payer.chat("lab-chat", max_tokens=20).status == 503
        assert time.monotonic() - started < 5
    answered = 1 + sum(reply.status == 200 for reply in replies)
    assert answered > 1, "a short trouble should be nobody's business"
    eventually(lambda: payer.chat("lab-chat", max_tokens=20).status == 200, "recovery")
    eventually(lambda: payer.balance <= NANO - (answered + 1) * ANSWER, "every charge")
    assert (NANO - payer.balance) % ANSWER == 0
    rows = payer.get("/api/account/usage?limit=1000").json["usage"]
    assert NANO - payer.balance == len(rows) * ANSWER
    assert len(rows) == answered + 1
    assert gateway.verify()["problems"] == []


def test_what_waits_is_written_when_the_server_is_stopped(gateway: Gateway) -> None:
    payer = gateway.account()
    assert payer.chat("lab-chat", max_tokens=20).status == 200
    payer.rows(1)
    with locked(gateway):
        answered = sum(payer.chat("lab-chat", max_tokens=20).status == 200 for _ in range(5))
    gateway.stop()
    gateway.start()
    again = Account(gateway, payer.id, payer.key, payer.key_id)
    assert len(again.rows(1 + answered)) == 1 + answered
