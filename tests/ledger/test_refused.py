"""A settlement that the database refuses for good: nobody is charged, nothing stays held, the platform bears it."""

from __future__ import annotations

import asyncio

import pytest

from openpollen.core.money import MAX_AMOUNT
from openpollen.ledger.entries import Balances
from openpollen.ledger.verify import verify
from openpollen.ledger.wallet import Wallet
from openpollen.storage.database import Connection, Database
from openpollen.storage.schema import transfers
from tests.ledger.workers import USER, ask, fill, row


def booked(connection: Connection) -> int:
    return sum(entry.amount for entry in connection.execute(transfers.select()) if entry.reason == "attempt")


@pytest.mark.parametrize("durable", [False, True])
def test_the_money_is_free_again(database: Database, durable: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        await fill(wallet, pack=100)
        await wallet.settle(await wallet.hold(ask("r1", 10)), 10, row("r1"))
        hold = await wallet.hold(ask("r2", 90, durable=durable))
        with pytest.raises(Exception, match=r"."):
            await wallet.settle(hold, 90, row("r1"))  # a row of this request is there already
        again = await wallet.hold(ask("r3", 90))
        await wallet.settle(again, 90, row("r3"))
        assert await wallet.balances(USER) == Balances()
        await wallet.stop()

    asyncio.run(work())
    assert "r2: 0.00000009 pollen could not be charged" in caplog.text
    assert database.read_sync(booked) == 90
    report = database.read_sync(verify)
    assert (report["problems"], report["held"]) == ([], 0)


def test_no_price_is_too_high_to_be_written(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        for number in range(12):
            await fill(wallet, pack=100)
            hold = await wallet.hold(ask(f"r{number}", 1))
            paid = await wallet.settle(hold, 10**40, row(f"r{number}"))
            assert (paid.measured, paid.charged) == (MAX_AMOUNT, 100)
        wallet.book("r0", "lab", 10**40)
        await wallet.stop()

    asyncio.run(work())
    assert database.read_sync(verify)["problems"] == []
