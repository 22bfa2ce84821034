"""The wallet: grant, hold, settle, release. With the journal it is the only writer of the ledger's tables.

    hold     sets the most that a call can cost aside, in the wallet and in every key budget, or refuses with 402
    settle   charges the exact price once, gives the rest back and writes the usage row, all in one transaction
    release  settles at nothing

A call settles under its request id: a second settlement changes nothing and answers as the first did.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from msgspec.structs import asdict
from sqlalchemy import insert, select, text

from openpollen.core.errors import BadRequest
from openpollen.core.money import MAX_POLLEN, NANO
from openpollen.ledger import journal
from openpollen.ledger.entries import (
    BUCKETS,
    OUTSIDE,
    Balances,
    Bucket,
    Hold,
    HoldRequest,
    KeyBudget,
    Short,
    Transfer,
    wallet_account,
)
from openpollen.ledger.lines import Lines
from openpollen.storage.database import Connection, Database
from openpollen.storage.schema import ledger_accounts, transfers
from openpollen.usage.record import Paid, UsageRow


class Wallet:
    """The ledger as one worker uses it. ``hold_wait`` is how long a call waits for money that others hold, in
    seconds."""

    def __init__(self, database: Database, *, worker: str = "main", hold_wait: float = 2.0) -> None:
        self._database = database
        self._worker = worker
        self._hold_wait = hold_wait
        self._lines = Lines()

    async def hold(self, request: HoldRequest) -> Hold:
        """Sets money aside for a call. An amount of 0 holds nothing and is never refused.
        The hold's own ``amount`` says what was set aside, for a request with ``least`` it may be less than asked.

        Raises PaymentRequired (reason wallet, key_budget or paid_only); Conflict when the request id was used before.
        """
        if request.amount == 0:
            return Hold(request)
        owners = _owners(request)
        owner = self._lines.busy(owners)
        if owner is None:
            outcome = await self._open(request)
            if isinstance(outcome, Hold):
                return outcome
            if not outcome.waits:
                raise outcome.error()
            owner = outcome.owner
        return await self._hold_in_turn(request, owner)

    def settle(self, hold: Hold, actual: int, row: UsageRow, *, urgent: bool = False) -> asyncio.Future[Paid]:
        """Ends a hold at the exact price and records the request, once. The future is done when both are on disk.

        It is queued at once, so a caller that is cancelled or does not await still pays. A price above the hold is
        taken from what wallet, budgets and ``max_cost`` still allow; the rest is booked to the platform as shortfall.
        """
        return self._close(journal.Close(hold, actual, row))

    def release(self, hold: Hold, row: UsageRow | None = None) -> asyncio.Future[Paid]:
        """Gives a hold back whole. With a row, the free request is recorded."""
        return self._close(journal.Close(hold, 0, row))

    async def grant(self, user_id: str, amount: int, bucket: Bucket, reason: str, actor: str) -> Balances:
        """Adds credit from outside to a bucket and returns the wallet after it."""
        return await self._database.write(lambda connection: grant(connection, user_id, amount, bucket, reason, actor))

    async def balances(self, user_id: str) -> Balances:
        """The buckets of a user's wallet."""
        return await self._database.read(lambda connection: balances(connection, user_id))

    async def available(self, user_id: str, *, paid_only: bool = False, budgets: Iterable[KeyBudget] = ()) -> int:
        """What a new call could hold now: the least of the wallet and every budget."""

        def look(connection: Connection) -> int:
            wallet = balances(connection, user_id)
            rest = (remaining(connection, budget) for budget in budgets)
            return min([wallet.paid_available if paid_only else wallet.available, *rest])

        return await self._database.read(look)

    async def reclaim(self, worker: str | None) -> int:
        """Gives back the holds of a dead worker; with ``None`` of every worker, for when none runs. Returns their
        number.

        The holds of stored jobs stay: their jobs answer for them.
        """
        return await self._database.write(lambda connection: reclaim(connection, worker))

    async def sweep(self) -> int:
        """Gives back holds that outlived their limit, and returns their number. Run it about once a minute."""
        now = int(time.time() * 1000)
        return await self._database.write(lambda connection: sweep(connection, now))

    async def _open(self, request: HoldRequest) -> Hold | Short:
        try:
            outcome = await self._database.submit(journal.run, journal.Open(request, self._worker))
        except asyncio.CancelledError:
            self.release(Hold(request))  # the hold is already queued and nobody would end it
            raise
        return cast("Hold | Short", outcome)

    def _close(self, entry: journal.Close, *, lazy: bool = False) -> asyncio.Future[Paid]:
        future = self._database.submit(journal.run, entry, lazy=lazy and not self._lines.waiting)
        owners = _owners(entry.hold.request)
        future.add_done_callback(lambda _: self._lines.moved(owners))
        return cast("asyncio.Future[Paid]", future)

    async def _hold_in_turn(self, request: HoldRequest, owner: str) -> Hold:
        outcome: Hold | Short | None = None
        try:
            async with asyncio.timeout(self._hold_wait), self._lines.turn(owner) as moved:
                while not isinstance(outcome, Hold):
                    if outcome is not None:
                        await self._lines.pause(moved)
                    outcome = await self._open(request)
                    if isinstance(outcome, Short) and not outcome.waits:
                        break
        except TimeoutError:
            outcome = outcome or await self._open(request)
        if isinstance(outcome, Short):
            raise outcome.error()
        return outcome


def grant(connection: Connection, user_id: str, amount: int, bucket: str, reason: str, actor: str) -> Balances:
    """``Wallet.grant`` inside a transaction of the caller. Raises BadRequest for an amount that is 0, negative or too
    large."""
    if bucket not in BUCKETS:
        raise BadRequest(f"There is no bucket {bucket!r}: choose one of {', '.join(BUCKETS)}.")
    if not 0 < amount <= MAX_POLLEN * NANO:
        raise BadRequest(f"A grant is more than 0 and at most {MAX_POLLEN:,} pollen.")
    if balances(connection, user_id).total + amount > MAX_POLLEN * NANO:
        raise BadRequest(f"A wallet holds at most {MAX_POLLEN:,} pollen.")
    now = int(time.time() * 1000)
    account = wallet_account(user_id, bucket)
    connection.execute(_CREDIT, {"id": account, "owner": user_id, "amount": amount, "now": now})
    _append(connection, [Transfer(OUTSIDE, account, amount, reason, actor)], now)
    return balances(connection, user_id)


def refill(connection: Connection, user_id: str, floor: int) -> int:
    """Raises the tier bucket to ``floor`` and returns what was added; a balance at or above it stays."""
    missing = floor - balances(connection, user_id).tier
    if missing > 0:
        grant(connection, user_id, missing, "tier", "refill", "system")
    return max(0, missing)


def balances(connection: Connection, user_id: str) -> Balances:
    """The buckets of a user's wallet; zeros for an unknown user."""
    names = [wallet_account(user_id, bucket) for bucket in BUCKETS]
    found = connection.execute(
        select(ledger_accounts.c.id, ledger_accounts.c.balance, ledger_accounts.c.held).where(
            ledger_accounts.c.id.in_(names)
        )
    )
    rows = {row.id.rpartition("/")[2]: row for row in found}
    amounts = {bucket: row.balance for bucket, row in rows.items()}
    held = {bucket: row.held for bucket, row in rows.items()}
    total_held = sum(held.values())
    return Balances(**amounts, held=total_held, paid_held=total_held - held.get("tier", 0))


def remaining(connection: Connection, budget: KeyBudget) -> int:
    """What a key may still hold of its budget now."""
    name = budget.account(int(time.time() * 1000))
    account = ledger_accounts.c
    row = connection.execute(select(account.balance, account.held).where(account.id == name)).one_or_none()
    return budget.limit if row is None else row.balance - row.held


def reclaim(connection: Connection, worker: str | None) -> int:
    """``Wallet.reclaim`` inside a transaction of the caller."""
    which = "worker IS NOT NULL" if worker is None else "worker = :worker"
    return _give_back(connection, which, {"worker": worker})


def sweep(connection: Connection, now: int) -> int:
    """``Wallet.sweep`` inside a transaction of the caller; ``now`` in milliseconds."""
    return _give_back(connection, "expires_at < :now", {"now": now})


_CREDIT = text(
    "INSERT INTO ledger_accounts (id, owner, kind, balance, held, opened_at) "
    "VALUES (:id, :owner, 'wallet', :amount, 0, :now) "
    "ON CONFLICT (id) DO UPDATE SET balance = ledger_accounts.balance + excluded.balance"
)


def _give_back(connection: Connection, which: str, values: Mapping[str, object]) -> int:
    found = connection.execute(text(f"SELECT request_id, account_id, amount FROM holds WHERE {which}"), values).all()  # noqa: S608
    if not found:
        return 0
    back = [{"amount": row.amount, "id": row.account_id} for row in found]
    connection.execute(text("UPDATE ledger_accounts SET held = held - :amount WHERE id = :id"), back)
    ended = sorted({row.request_id for row in found})
    connection.execute(text("DELETE FROM holds WHERE request_id = :id"), [{"id": request_id} for request_id in ended])
    return len(ended)


def _append(connection: Connection, entries: Sequence[Transfer], now: int) -> None:
    connection.execute(insert(transfers), [{"at": now, **asdict(entry)} for entry in entries])


def _owners(request: HoldRequest) -> list[str]:
    return [request.user_id, *(budget.key_id for budget in request.budgets)]
