"""A worker dies after the charge and before the answer is kept: who asks again does not pay twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from openpollen.ledger.corrections import give_back
from openpollen.ledger.entries import Balances, KeyBudget
from openpollen.ledger.verify import verify
from openpollen.ledger.wallet import Wallet
from openpollen.storage.abandon import abandon
from openpollen.storage.blobs import Blobs
from openpollen.storage.database import Database
from openpollen.storage.deliveries import Deliveries
from openpollen.storage.idempotency import Idempotency, New
from tests.ledger.workers import USER, ask, fill, row

BUDGET = KeyBudget("key_1", 60)


@pytest.mark.parametrize("charged", [True, False])
def test_the_charge_of_a_lost_answer_is_given_back(database: Database, tmp_path: Path, charged: bool) -> None:
    async def work() -> None:
        wallet, stores = (
            Wallet(database),
            [Idempotency(database, Blobs(tmp_path), worker, give_back) for worker in ("dead", "next")],
        )
        await fill(wallet, pack=100)
        assert isinstance(await stores[0].begin(USER, "/v1/x", "k", "hash", "r1"), New)
        if charged:
            await wallet.settle(await wallet.hold(ask("r1", 60, budgets=(BUDGET,))), 60, row("r1"))
        await database.write(lambda connection: abandon(connection, "dead"))
        assert isinstance(await stores[1].begin(USER, "/v1/x", "k", "hash", "r2"), New)
        await wallet.settle(await wallet.hold(ask("r2", 60, budgets=(BUDGET,))), 60, row("r2"))
        assert await wallet.balances(USER) == Balances(pack=40)

    asyncio.run(work())
    assert database.read_sync(verify)["problems"] == []


def test_the_same_without_a_key_of_the_client(database: Database, tmp_path: Path) -> None:
    async def work() -> None:
        wallet, stores = (
            Wallet(database),
            [Deliveries(database, Blobs(tmp_path), worker, give_back) for worker in ("dead", "next")],
        )
        await fill(wallet, pack=100)
        await stores[0].begin("key_1", "same", "r1")
        await wallet.settle(await wallet.hold(ask("r1", 60)), 60, row("r1"))
        await database.write(lambda connection: abandon(connection, "dead"))
        for _ in range(2):
            assert await stores[1].take("key_1", "same") is None
            assert await wallet.balances(USER) == Balances(pack=100)

    asyncio.run(work())
    assert database.read_sync(verify)["problems"] == []
