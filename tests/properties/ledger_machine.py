"""A state machine over the wallets of two workers: whatever happens in whatever order, the books agree with a model of a
few lines. It is run on each database as it is, and with faults planted into it, each of which it must notice."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from openpollen.core.errors import PaymentRequired
from openpollen.ledger import credit
from openpollen.ledger.entries import BUCKETS, Hold, HoldRequest, KeyBudget
from openpollen.ledger.verify import verify
from openpollen.ledger.wallet import Wallet
from openpollen.storage.database import Connection, Database
from openpollen.usage.record import Paid, UsageRow

USER = "usr_1"
WORKERS = ("one", "two")
ROOT = KeyBudget("key_root", 30)
CHILD = KeyBudget("key_child", 20)
CHAINS: tuple[tuple[KeyBudget, ...], ...] = ((), (ROOT,), (CHILD, ROOT))
SMALL = st.integers(0, 30)
WORKER = st.sampled_from(WORKERS)
T = TypeVar("T")


class Call(NamedTuple):
    """A hold and the wallet that made it."""

    wallet: Wallet
    hold: Hold


class LedgerMachine(RuleBasedStateMachine):
    """The model: what each account has, and which calls are open with which legs."""

    calls = Bundle("calls")
    ended = Bundle("ended")
    make_database: Callable[[Path], Database]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.database = type(self).make_database(self.folder)
        self.runner = asyncio.Runner()
        self.wallets: dict[str, Wallet] = {}
        for name in WORKERS:
            self.start(name)
        self.balance: dict[str, int] = {f"{USER}/{bucket}": 0 for bucket in BUCKETS}
        self.open: dict[str, dict[str, int]] = {}
        self.epoch_of: dict[str, int] = {}
        self.charged: dict[str, int] = {}
        self.count = 0

    def teardown(self) -> None:
        try:
            for wallet in self.wallets.values():
                self.run(wallet.stop())
            leases = self.database.read_sync(lambda c: c.exec_driver_sql("SELECT COUNT(*) FROM leases").scalar_one())
            assert leases == 0, "a worker that stopped kept a lease"
        finally:
            self.runner.close()
            self.database.close()
            shutil.rmtree(self.folder)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def start(self, name: str) -> None:
        wallet = Wallet(self.database, worker=name, hold_wait=0, ring=partial(self.ring, name))
        self.wallets[name] = wallet
        self.run(_start(wallet))

    def ring(self, me: str) -> None:
        for name, wallet in self.wallets.items():
            if name != me:
                wallet.woken()

    def look_around(self) -> None:
        """Lets every worker hear what it was asked."""
        for wallet in self.wallets.values():
            self.run(wallet.beat())

    def free(self, account: str) -> int:
        return self.balance[account] - sum(legs.get(account, 0) for legs in self.open.values())

    def spendable(self, request: HoldRequest) -> list[str]:
        return [f"{USER}/{bucket}" for bucket in BUCKETS if not (request.paid_only and bucket == "tier")]

    def budgets(self, request: HoldRequest) -> list[str]:
        for budget in request.budgets:
            self.balance.setdefault(f"{budget.key_id}/total", budget.limit)
        return [f"{budget.key_id}/total" for budget in request.budgets]

    @initialize(amounts=st.tuples(SMALL, SMALL, SMALL))
    def fill(self, amounts: tuple[int, int, int]) -> None:
        for bucket, amount in zip(BUCKETS, amounts, strict=True):
            if amount:
                self.grant(amount, bucket)

    @rule(amount=st.integers(1, 40), bucket=st.sampled_from(BUCKETS))
    def grant(self, amount: int, bucket: str) -> None:
        self.database.write_sync(lambda c: credit.grant(c, USER, amount, bucket, "grant", "test"))
        self.balance[f"{USER}/{bucket}"] += amount
        self.look_around()

    @rule(floor=SMALL)
    def refill(self, floor: int) -> None:
        added = self.database.write_sync(lambda c: credit.refill(c, USER, floor))
        assert added == max(0, floor - self.balance[f"{USER}/tier"])
        self.balance[f"{USER}/tier"] += added
        self.look_around()

    @rule(
        target=calls,
        worker=WORKER,
        amount=SMALL,
        chain=st.sampled_from(CHAINS),
        paid=st.booleans(),
        cap=st.none() | SMALL,
        durable=st.booleans(),
    )
    def hold(
        self, worker: str, amount: int, chain: tuple[KeyBudget, ...], paid: bool, cap: int | None, durable: bool
    ) -> Call | MultipleResults[Call]:
        self.count += 1
        request = HoldRequest(
            f"r{self.count}", USER, amount, budgets=chain, paid_only=paid, max_cost=cap, durable=durable
        )
        limits = [sum(map(self.free, self.spendable(request))), *map(self.free, self.budgets(request))]
        wallet = self.wallets[worker]
        try:
            hold = self.run(wallet.hold(request))
        except PaymentRequired as refused:
            if amount <= min(limits):
                raise AssertionError("refused while there was room") from refused
            return multiple()
        assert amount <= min(limits) or amount == 0, "held what was not there"
        legs = {leg.account: leg.amount for leg in hold.legs}
        left = amount
        for account in self.spendable(request):
            part = min(left, self.free(account))
            assert legs.get(account, 0) == part, "not in spending order"
            left -= part
        if amount:
            assert all(legs[account] == amount for account in self.budgets(request))
            self.open[request.request_id] = legs
            if not hold.stored:
                self.epoch_of[request.request_id] = hold.epoch
        return Call(wallet, hold)

    @rule(target=ended, call=consumes(calls), price=st.integers(0, 50))
    def settle(self, call: Call, price: int) -> tuple[Call, Paid]:
        request = call.hold.request
        legs = self.open.pop(request.request_id, {})
        lost = bool(call.hold.legs) and not legs
        cap = price if request.max_cost is None else min(price, request.max_cost)
        paid = self.run(_settle(call, price))
        if lost:  # the worker was thought dead: what was within its hold is the platform's loss
            extra = max(0, cap - call.hold.amount)
            due = min([extra, sum(map(self.free, self.spendable(request))), *map(self.free, self.budgets(request))])
            self.check_parts(request, paid, {}, due)
        else:
            within = min(cap, call.hold.amount)
            beyond = min(
                [
                    cap - within,
                    sum(self.free(account) - legs.get(account, 0) for account in self.spendable(request)),
                    *(self.free(account) - legs.get(account, 0) for account in self.budgets(request)),
                ]
            )
            due = within + beyond
            self.check_parts(request, paid, legs, due)
        assert (paid.charged, paid.shortfall) == (due, price - due)
        self.charged[request.request_id] = due
        return call, paid

    def check_parts(self, request: HoldRequest, paid: Paid, legs: dict[str, int], due: int) -> None:
        """Held money first, in spending order; then what is free, in spending order."""
        parts: dict[str, int] = {}
        left = due
        for share in (legs, None):
            for account in self.spendable(request):
                room = share.get(account, 0) if share is not None else self.free(account) - legs.get(account, 0)
                part = min(left, room)
                parts[account] = parts.get(account, 0) + part
                left -= part
        for account, part in parts.items():
            assert dict(paid.parts).get(account.partition("/")[2], 0) == part, "not in spending order"
            self.balance[account] -= part
        for account in self.budgets(request):
            self.balance[account] -= due

    @rule(call=consumes(calls))
    def release(self, call: Call) -> None:
        self.open.pop(call.hold.request.request_id, None)
        self.run(_release(call))

    @rule(done=ended, price=SMALL)
    def replay(self, done: tuple[Call, Paid], price: int) -> None:
        call, paid = done
        again = self.run(_settle(call, price))
        assert (again.charged, again.measured) == (paid.charged, paid.measured)

    @rule(worker=WORKER)
    def crash(self, worker: str) -> None:
        """A worker dies: its leases come back, its open calls with them; what jobs hold stays."""
        self.forget_leases_of(self.wallets[worker])
        dead = self.wallets[worker]
        self.run(_stop_beating(dead))
        self.start(worker)
        self.run(self.wallets[worker].reclaim(worker))

    @rule(worker=WORKER)
    def fence(self, worker: str) -> None:
        """A worker falls silent past its leases, which are taken back, and goes on later."""
        self.forget_leases_of(self.wallets[worker])
        self.wallets[worker]._leases.valid_until = 0.0
        self.run(self.wallets[worker].reclaim(worker))

    def forget_leases_of(self, wallet: Wallet) -> None:
        epoch = wallet._leases.epoch
        for request_id in [name for name in self.open if self.epoch_of.get(name) == epoch]:
            del self.open[request_id]

    @invariant()
    def the_books_agree_with_the_model(self) -> None:
        accounts, problems, charged = self.database.read_sync(_look)
        assert problems == []
        assert charged == self.charged
        for account, balance in self.balance.items():
            assert accounts.get(account, balance if account.startswith("key_") else 0) == balance


async def _start(wallet: Wallet) -> None:
    wallet.start()


async def _stop_beating(wallet: Wallet) -> None:
    assert wallet._beating is not None
    wallet._beating.cancel()
    await asyncio.gather(wallet._beating, return_exceptions=True)


async def _settle(call: Call, price: int) -> Paid:
    return await call.wallet.settle(call.hold, price, _row(call.hold.request.request_id))


async def _release(call: Call) -> Paid:
    return await call.wallet.release(call.hold)


def _row(request_id: str) -> UsageRow:
    return UsageRow(request_id=request_id, user_id=USER, type="generate.text", model="openai")


def _look(connection: Connection) -> tuple[dict[str, int], list[str], dict[str, int]]:
    rows = connection.exec_driver_sql("SELECT id, balance FROM ledger_accounts").all()
    charged = connection.exec_driver_sql("SELECT request_id, charged FROM usage").all()
    return dict(map(tuple, rows)), verify(connection)["problems"], dict(map(tuple, charged))
