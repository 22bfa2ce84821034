"""Several worker processes on one file: nothing is overspent, and a kill loses nothing that was promised."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from openpollen.core.errors import ServiceUnavailable
from openpollen.ledger.verify import verify
from openpollen.ledger.wallet import Wallet
from openpollen.storage.database import Database

SPENDER = Path(__file__).with_name("spender.py")
USER = "usr_1"


def start(database: Database, worker: str, calls: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(SPENDER), str(database.folder), database.url, worker, str(calls)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def stop_between_writes(process: subprocess.Popen[str], database: Database) -> None:
    """Stops a worker where it holds no lock of the database, which all others would wait for as long as it stands."""

    async def writable() -> bool:
        probe = database.write(lambda c: c.exec_driver_sql("UPDATE ledger_accounts SET balance = balance").rowcount)
        done, _ = await asyncio.wait([probe], timeout=1)
        if not done:
            process.send_signal(signal.SIGCONT)
        with contextlib.suppress(ServiceUnavailable):
            await probe
            return bool(done)
        return False

    process.send_signal(signal.SIGSTOP)
    while not asyncio.run(writable()):
        process.send_signal(signal.SIGCONT)
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)


def charges(lines: list[str]) -> dict[str, int]:
    return {words[1]: int(words[2]) for words in (line.split() for line in lines) if words[0] == "charged"}


def booked(database: Database) -> dict[str, int]:
    rows = database.read_sync(lambda c: c.exec_driver_sql("SELECT request_id, charged FROM usage").all())
    return dict(map(tuple, rows))


@pytest.mark.parametrize("credit", [600, 5000], ids=["the wallet ends first", "the key budget ends first"])
def test_a_thousand_calls_on_three_processes_never_overspend(database: Database, credit: int) -> None:
    wallet = Wallet(database)
    asyncio.run(wallet.grant(USER, credit, "pack", "grant", "test"))
    workers = [start(database, f"w{number}", 334) for number in range(3)]
    lines = [line for worker in workers for line in worker.communicate()[0].splitlines()]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert len(lines) == 1002
    assert charges(lines) == booked(database)
    spent, most = sum(charges(lines).values()), min(credit, 900)
    assert most - 3 < spent <= most, "calls were refused while unheld money was left, or more was spent than there was"
    report = database.read_sync(verify)
    assert report["problems"] == []
    assert asyncio.run(wallet.balances(USER)).total == credit - spent


def test_kill_9_leaves_a_ledger_that_reclaim_mends(database: Database) -> None:
    wallet = Wallet(database)
    asyncio.run(wallet.grant(USER, 1_000_000, "pack", "grant", "test"))
    seen: dict[str, int] = {}
    for round_number in range(3):
        worker = start(database, f"round{round_number}", 0)
        assert worker.stdout is not None
        lines = [worker.stdout.readline() for _ in range(60)]
        worker.kill()
        lines += worker.communicate()[0].splitlines()[:-1]  # the last line may be cut
        seen |= charges([line for line in lines if line.strip()])
        assert database.read_sync(verify)["problems"] == []
        asyncio.run(wallet.reclaim(f"round{round_number}"))
        assert database.read_sync(verify)["leased"] == 0
    on_disk = booked(database)
    assert seen.items() <= on_disk.items(), "a charge that was reported is gone"
    assert asyncio.run(wallet.balances(USER)).total == 1_000_000 - sum(on_disk.values())
    assert database.read_sync(verify)["problems"] == []


def test_a_worker_stopped_past_its_leases_spends_nothing_twice(database: Database) -> None:
    wallet = Wallet(database)
    asyncio.run(wallet.grant(USER, 800, "pack", "grant", "test"))
    stopped = start(database, "stopped", 0)
    assert stopped.stdout is not None
    before = [stopped.stdout.readline() for _ in range(20)]
    stop_between_writes(stopped, database)
    try:
        query = "SELECT COUNT(*) FROM ledger_workers WHERE name = 'stopped'"
        other = start(database, "other", 400)
        lines = other.communicate(timeout=60)[0].splitlines()
        assert other.returncode == 0
        assert database.read_sync(lambda c: c.exec_driver_sql(query).scalar_one()) == 0, (
            "its leases were not taken back"
        )
    finally:
        stopped.send_signal(signal.SIGCONT)
    after = [stopped.stdout.readline() for _ in range(20)]
    stopped.kill()
    after += stopped.communicate()[0].splitlines()[:-1]
    asyncio.run(wallet.reclaim("stopped"))
    report = database.read_sync(verify)
    assert report["problems"] == []
    on_disk = booked(database)
    seen = charges([line for line in (*before, *lines, *after) if line.strip()])
    assert seen.items() <= on_disk.items()
    left = asyncio.run(wallet.balances(USER)).total
    assert left == 800 - sum(on_disk.values())
    assert 0 <= left < 3, "the other worker could not have what the stopped one had leased"
