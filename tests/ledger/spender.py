"""A worker for the tests of several processes: holds and settles, and prints each request id once its charge is on disk,
and how it was paid.

python spender.py FOLDER URL WORKER CALLS        URL may be empty; CALLS 0 means for ever
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from openpollen.core.errors import PaymentRequired, ServiceUnavailable
from openpollen.ledger.entries import Hold, HoldRequest, KeyBudget
from openpollen.ledger.wallet import Wallet
from openpollen.storage.bell import open_bell
from openpollen.storage.database import Database
from openpollen.usage.record import UsageRow

USER = "usr_1"
BUDGET = KeyBudget("key_1", 900)
AT_ONCE = 16
_PAUSE_SECONDS = 0.2


async def spend(folder: Path, url: str, worker: str, calls: int) -> None:
    database = Database.open(folder, url)
    bell = open_bell(database)
    wallet = Wallet(database, worker=worker, strict=True, ring=lambda: bell.ring("ledger"))
    wallet.start()
    bell.listen(asyncio.get_running_loop(), lambda _: wallet.woken())
    numbers = iter(range(calls or sys.maxsize))
    chance = random.Random(worker)

    async def one(request_id: str) -> str:
        price = chance.randint(0, 4)
        try:
            hold = await _hold(wallet, HoldRequest(request_id, USER, 3, budgets=(BUDGET,)))
        except PaymentRequired as refusal:
            return f"refused {refusal.reason}"
        if chance.random() < 0.1:
            await wallet.release(hold)
            return "released"
        paid = await wallet.settle(hold, price, UsageRow(request_id=request_id, user_id=USER, type="generate.text"))
        return f"charged {request_id} {paid.charged} {paid.shortfall}"

    async def loop() -> None:
        for number in numbers:
            outcome = await one(f"{worker}-{number}")
            sys.stdout.write(outcome + "\n")
            sys.stdout.flush()

    await asyncio.gather(*(loop() for _ in range(AT_ONCE)))
    await wallet.stop()
    bell.close()
    database.close()


async def _hold(wallet: Wallet, request: HoldRequest) -> Hold:
    """Asks again, as clients do, while a slow disk keeps charges waiting."""
    while True:
        try:
            return await wallet.hold(request)
        except ServiceUnavailable:
            await asyncio.sleep(_PAUSE_SECONDS)


if __name__ == "__main__":
    asyncio.run(spend(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
