"""A stop while the database cannot be written: what waits is kept beside it and charged at the next start, once."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from openpollen.ledger.entries import Balances
from openpollen.ledger.spill import Spill, Unwritten
from openpollen.ledger.verify import verify
from openpollen.ledger.wallet import Wallet
from openpollen.storage import writer
from openpollen.storage.database import Database
from tests import labconfig
from tests.fakeprovider import FakeProvider
from tests.gateway import Gateway, eventually, nano
from tests.labconfig import ANSWER
from tests.ledger.workers import USER, ask, fill, row
from tests.storage.test_troubles import locked


def test_what_could_not_be_written_is_charged_at_the_next_start(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_LAST_TRIES", 0.2)

    async def stop_while_locked() -> None:
        database = Database.open(tmp_path, url, commit_gap=0, busy_seconds=0.1)
        wallet = Wallet(database, worker="one", spill=Spill(tmp_path, "one"))
        assert await wallet.recover() == 0
        await fill(wallet, pack=100)
        written = await wallet.settle(await wallet.hold(ask("r0", 10)), 10, row("r0"))
        assert written.charged == 10
        holds = [await wallet.hold(ask(f"r{number}", 10)) for number in range(1, 5)]
        with locked(tmp_path, url):
            for number, hold in enumerate(holds, 1):
                wallet.settle(hold, number, row(f"r{number}"))
            await wallet.stop()
            await asyncio.to_thread(database.close)
            await asyncio.sleep(0)

    async def start_again(name: str) -> int:
        database = Database.open(tmp_path, url, commit_gap=0)
        wallet = Wallet(database, worker=name, spill=Spill(tmp_path, name))
        await wallet.reclaim("one")
        done = await wallet.recover()
        assert await wallet.balances(USER) == Balances(pack=80)
        await wallet.stop()
        assert database.read_sync(verify)["problems"] == []
        await asyncio.to_thread(database.close)
        return done

    asyncio.run(stop_while_locked())
    assert [asyncio.run(start_again(name)) for name in ("two", "three")] == [4, 0]
    assert kept_files(tmp_path) == []


def test_only_one_worker_at_a_time_takes_what_was_kept(tmp_path: Path) -> None:
    for name in ("one", "two"):
        Spill(tmp_path, name).keep(Unwritten(ask(f"of {name}", 10), 10, row(f"of {name}")))
    first, second = Spill(tmp_path, "three"), Spill(tmp_path, "four")
    taking = first.take()
    taken = [next(taking).row.request_id]
    assert list(second.take()) == []
    taken += [kept.row.request_id for kept in taking]
    assert taken == ["of one", "of two"]
    assert list(second.take()) == []
    assert kept_files(tmp_path) == []


def test_what_a_worker_had_begun_to_take_when_it_died_is_taken_by_the_next(tmp_path: Path) -> None:
    Spill(tmp_path, "one").keep(Unwritten(ask("r", 10), 10, row("r")))
    broken_off = Spill(tmp_path, "two").take()
    assert next(broken_off).row.request_id == "r"
    broken_off.close()
    assert [kept.row.request_id for kept in Spill(tmp_path, "three").take()] == ["r"]
    assert kept_files(tmp_path) == []


def kept_files(data: Path) -> list[str]:
    return [path.name for path in (data / "unwritten").glob("*.jsonl*")]


def test_a_server_that_is_stopped_while_the_database_is_locked_forgets_no_charge(tmp_path: Path) -> None:
    config = tmp_path / "openpollen.toml"
    with FakeProvider() as lab:
        config.write_text(labconfig.operator_file(lab.base_url, "[engines]\nenabled = false\n"))
        gateway = Gateway(tmp_path / "data", config, env={"LAB_KEY": labconfig.KEY})
        with gateway:
            payer = gateway.account()
            payer.chat("lab-chat")
            payer.rows(1)
            lock = sqlite3.connect(gateway.data / "openpollen.db", isolation_level=None)
            lock.execute("BEGIN IMMEDIATE")
            told = [reply.cost for reply in (payer.chat("lab-chat") for _ in range(5)) if reply.status == 200]
            gateway.stop()
            lock.close()
        assert len(told) > 0
        with gateway:
            rows = eventually(lambda: len(payer.rows(len(lab.bill))) == len(lab.bill) or None, "every charge")
            assert rows
            assert payer.balance == nano("1") - ANSWER * len(lab.bill)
            assert gateway.verify()["ok"]
