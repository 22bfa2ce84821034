"""``durability = "off"``: the wallet that books nothing. For measuring what the ledger costs, and for nothing else."""

from __future__ import annotations

import asyncio

from openpollen.ledger.entries import Hold, HoldRequest
from openpollen.ledger.wallet import Wallet
from openpollen.usage.record import Paid, UsageRow

WARNING = 'NOTHING IS CHARGED OR RECORDED: [ledger] durability is "off", which is for measuring only.'


class Unbooked(Wallet):
    """Grants everyone everything and forgets it."""

    async def hold(self, request: HoldRequest) -> Hold:
        return Hold(request, request.amount)

    def settle(self, hold: Hold, actual: int, row: UsageRow) -> asyncio.Future[Paid]:
        hold.due = actual
        paid: asyncio.Future[Paid] = asyncio.get_running_loop().create_future()
        paid.set_result(Paid(actual, (("pack", actual),)))
        return paid

    def release(self, hold: Hold, row: UsageRow | None = None) -> asyncio.Future[Paid]:
        return self.settle(hold, 0, row or UsageRow(request_id="", user_id="", type=""))

    def book(self, request_id: str, provider: str, amount: int) -> None:
        """Books nothing."""

    def start(self) -> None:
        """No lease, no heartbeat."""
