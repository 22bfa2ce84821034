"""A state machine over the wallet: whatever happens in whatever order, the books agree with a model written in a few lines."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, cast

from hypothesis import HealthCheck, settings
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

from openpollen.ledger import journal, wallet
from openpollen.ledger.entries import Hold, HoldRequest, KeyBudget, Short
from openpollen.ledger.verify import verify
from openpollen.storage.database import Connection, Database
from openpollen.usage.record import Paid, UsageRow

USER = "usr_1"
BUCKETS = ("tier", "crypto", "pack")
ROOT = KeyBudget("key_root", 30)
CHILD = KeyBudget("key_child", 20)
CHAINS: tuple[tuple[KeyBudget, ...], ...] = ((), (ROOT,), (CHILD, ROOT))
SMALL = st.integers(0, 30)


class WalletMachine(RuleBasedStateMachine):
    """The model: what each account has, and which holds are open with which legs."""

    holds = Bundle("holds")
    ended = Bundle("ended")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.database = Database.open(self.folder, commit_gap=0)
        self.balance: dict[str, int] = {f"{USER}/{bucket}": 0 for bucket in BUCKETS}
        self.open: dict[str, dict[str, int]] = {}
        self.charged: dict[str, int] = {}
        self.count = 0

    def teardown(self) -> None:
        self.database.close()
        shutil.rmtree(self.folder)

    def free(self, account: str) -> int:
        return self.balance[account] - sum(legs.get(account, 0) for legs in self.open.values())

    def spendable(self, request: HoldRequest) -> list[str]:
        return [f"{USER}/{bucket}" for bucket in BUCKETS if not (request.paid_only and bucket == "tier")]

    def budgets(self, request: HoldRequest) -> list[str]:
        for budget in request.budgets:
            self.balance.setdefault(f"{budget.key_id}/total", budget.limit)
        return [f"{budget.key_id}/total" for budget in request.budgets]

    def submit(self, entry: journal.Entry) -> Any:
        return self.database.submit_sync(journal.run, entry)

    @initialize(amounts=st.tuples(SMALL, SMALL, SMALL))
    def fill(self, amounts: tuple[int, int, int]) -> None:
        for bucket, amount in zip(BUCKETS, amounts, strict=True):
            if amount:
                self.grant(amount, bucket)

    @rule(amount=st.integers(1, 40), bucket=st.sampled_from(BUCKETS))
    def grant(self, amount: int, bucket: str) -> None:
        self.database.write_sync(lambda c: wallet.grant(c, USER, amount, bucket, "grant", "test"))
        self.balance[f"{USER}/{bucket}"] += amount

    @rule(floor=SMALL)
    def refill(self, floor: int) -> None:
        added = self.database.write_sync(lambda c: wallet.refill(c, USER, floor))
        assert added == max(0, floor - self.balance[f"{USER}/tier"])
        self.balance[f"{USER}/tier"] += added

    @rule(target=holds, amount=SMALL, chain=st.sampled_from(CHAINS), paid=st.booleans(), cap=st.none() | SMALL)
    def hold(
        self, amount: int, chain: tuple[KeyBudget, ...], paid: bool, cap: int | None
    ) -> Hold | MultipleResults[Hold]:
        self.count += 1
        request = HoldRequest(f"r{self.count}", USER, amount, budgets=chain, paid_only=paid, max_cost=cap)
        outcome = cast("Hold | Short", self.submit(journal.Open(request, "worker")))
        room = (
            min([sum(map(self.free, self.spendable(request))), *map(self.free, self.budgets(request))]) if amount else 0
        )
        if isinstance(outcome, Short):
            assert amount > room, "refused while there was room"
            return multiple()
        assert amount <= room, "held what was not there"
        legs = {leg.account: leg.amount for leg in outcome.legs}
        left = amount
        for account in self.spendable(request):
            part = min(left, self.free(account))
            assert legs.get(account, 0) == part, "not in spending order"
            left -= part
        if amount:
            assert all(legs[account] == amount for account in self.budgets(request))
            self.open[request.request_id] = legs
        return outcome

    @rule(target=ended, hold=consumes(holds), price=st.integers(0, 50))
    def settle(self, hold: Hold, price: int) -> tuple[Hold, Paid]:
        request = hold.request
        reclaimed = bool(hold.legs) and request.request_id not in self.open
        self.open.pop(request.request_id, None)
        paid = self.submit(journal.Close(hold, price, _row(request.request_id)))
        limits = [sum(map(self.free, self.spendable(request))), *map(self.free, self.budgets(request))]
        due = 0 if reclaimed else min([price, *limits, *([] if request.max_cost is None else [request.max_cost])])
        assert (paid.charged, paid.shortfall) == (due, price - due)
        left = due
        for account in self.spendable(request):
            part = min(left, self.free(account))
            assert dict(paid.parts).get(account.partition("/")[2], 0) == part, "not in spending order"
            self.balance[account] -= part
            left -= part
        for account in self.budgets(request):
            self.balance[account] -= due
        self.charged[request.request_id] = due
        return hold, paid

    @rule(hold=consumes(holds))
    def release(self, hold: Hold) -> None:
        self.open.pop(hold.request.request_id, None)
        self.submit(journal.Close(hold, 0, None))

    @rule(done=ended, price=SMALL)
    def replay(self, done: tuple[Hold, Paid], price: int) -> None:
        again = self.submit(journal.Close(done[0], price, _row(done[0].request.request_id)))
        assert (again.charged, again.measured) == (done[1].charged, done[1].measured)

    @rule(reclaim=st.booleans())
    def crash(self, reclaim: bool) -> None:
        self.database.close()
        self.database = Database.open(self.folder, commit_gap=0)
        if reclaim:
            assert self.database.write_sync(lambda c: wallet.reclaim(c, None)) == len(self.open)
            self.open.clear()

    @invariant()
    def the_books_agree_with_the_model(self) -> None:
        accounts, problems, charged = self.database.read_sync(_look)
        assert problems == []
        assert charged == self.charged
        for account, balance in self.balance.items():
            if account in accounts or balance:
                free = 0 if account not in accounts else accounts[account][0] - accounts[account][1]
                expected = self.free(account)
                assert free == expected or (account not in accounts and account.startswith("key_"))


def _row(request_id: str) -> UsageRow:
    return UsageRow(request_id=request_id, user_id=USER, type="generate.text", model="openai")


def _look(connection: Connection) -> tuple[dict[str, tuple[int, int]], list[str], dict[str, int]]:
    rows = connection.exec_driver_sql("SELECT id, balance, held FROM ledger_accounts").all()
    charged = connection.exec_driver_sql("SELECT request_id, charged FROM usage").all()
    return (
        {row[0]: (row[1], row[2]) for row in rows},
        verify(connection)["problems"],
        {row[0]: row[1] for row in charged},
    )


WalletMachine.TestCase.settings = settings(
    max_examples=50,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestWallet = WalletMachine.TestCase
