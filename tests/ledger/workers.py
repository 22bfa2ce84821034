"""What the ledger's tests share: rows, requests, and several workers on one ledger."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from openpollen.ledger.entries import HoldRequest
from openpollen.ledger.wallet import Wallet
from openpollen.storage.database import Database
from openpollen.usage.record import UsageRow

USER = "usr_1"


def row(request_id: str, user_id: str = USER, **fields: Any) -> UsageRow:
    return UsageRow(request_id=request_id, user_id=user_id, type="generate.text", model="openai", **fields)


def ask(request_id: str, amount: int, **fields: Any) -> HoldRequest:
    return HoldRequest(request_id, USER, amount, **fields)


async def fill(wallet: Wallet, **buckets: int) -> None:
    for bucket, amount in buckets.items():
        await wallet.grant(USER, amount, bucket, "grant", "test")  # type: ignore[arg-type]  # the names are bucket names


@asynccontextmanager
async def workers(database: Database, *names: str, **options: Any) -> AsyncGenerator[list[Wallet]]:
    """Wallets of several workers, with hearts that beat and bells that ring each other."""
    wallets: list[Wallet] = []

    def ring(me: str) -> None:
        for name, wallet in zip(names, wallets, strict=True):
            if name != me:
                wallet.woken()

    wallets += [Wallet(database, worker=name, ring=partial(ring, name), **options) for name in names]
    for wallet in wallets:
        wallet.start()
    yield wallets
    for wallet in wallets:
        await wallet.stop()
