"""Several worker processes on one file: nothing is overspent, and a kill loses nothing that was promised."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from openpollen.ledger.verify import verify
from openpollen.ledger.wallet import Wallet
from openpollen.storage.database import Database

SPENDER = Path(__file__).with_name("spender.py")
USER = "usr_1"


def start(folder: Path, worker: str, calls: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(SPENDER), str(folder), worker, str(calls)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def charges(lines: list[str]) -> dict[str, int]:
    return {words[1]: int(words[2]) for words in (line.split() for line in lines) if words[0] == "charged"}


def booked(database: Database) -> dict[str, int]:
    rows = database.read_sync(lambda c: c.exec_driver_sql("SELECT request_id, charged FROM usage").all())
    return dict(map(tuple, rows))


@pytest.mark.parametrize("credit", [600, 5000], ids=["the wallet ends first", "the key budget ends first"])
def test_a_thousand_calls_on_three_processes_never_overspend(database: Database, tmp_path: Path, credit: int) -> None:
    wallet = Wallet(database)
    asyncio.run(wallet.grant(USER, credit, "pack", "grant", "test"))
    workers = [start(tmp_path, f"w{number}", 334) for number in range(3)]
    lines = [line for worker in workers for line in worker.communicate()[0].splitlines()]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert len(lines) == 1002
    assert charges(lines) == booked(database)
    spent, most = sum(charges(lines).values()), min(credit, 900)
    assert most - 3 < spent <= most, "calls were refused while unheld money was left, or more was spent than there was"
    report = database.read_sync(verify)
    assert report["problems"] == []
    assert asyncio.run(wallet.balances(USER)).total == credit - spent


def test_kill_9_leaves_a_ledger_that_reclaim_mends(database: Database, tmp_path: Path) -> None:
    wallet = Wallet(database)
    asyncio.run(wallet.grant(USER, 1_000_000, "pack", "grant", "test"))
    seen: dict[str, int] = {}
    for round_number in range(3):
        worker = start(tmp_path, f"round{round_number}", 0)
        assert worker.stdout is not None
        lines = [worker.stdout.readline() for _ in range(60)]
        worker.kill()
        lines += worker.communicate()[0].splitlines()[:-1]  # the last line may be cut
        seen |= charges([line for line in lines if line.strip()])
        assert database.read_sync(verify)["problems"] == []
        asyncio.run(wallet.reclaim(f"round{round_number}"))
        assert asyncio.run(wallet.balances(USER)).held == 0
    on_disk = booked(database)
    assert seen.items() <= on_disk.items(), "a charge that was reported is gone"
    assert asyncio.run(wallet.balances(USER)).total == 1_000_000 - sum(on_disk.values())
    assert database.read_sync(verify)["problems"] == []
