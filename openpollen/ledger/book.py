"""The arithmetic of hold and settle, over accounts in memory. Pure: the journal loads what it needs and stores what
it changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from openpollen.ledger.entries import (
    BUCKETS,
    BUDGETS,
    PAID_BUCKETS,
    PLATFORM,
    SHORTFALL,
    Hold,
    HoldRequest,
    KeyBudget,
    Leg,
    Short,
    Transfer,
    wallet_account,
)
from openpollen.usage.record import Paid


class Account:
    """One account as the book sees it; ``opened`` marks one that the store does not have yet."""

    __slots__ = ("balance", "changed", "held", "opened")

    def __init__(self, balance: int = 0, held: int = 0, *, opened: bool = False) -> None:
        self.balance, self.held, self.opened, self.changed = balance, held, opened, opened

    @property
    def available(self) -> int:
        return self.balance - self.held


class Book:
    """Accounts by name and the transfers made while the book is open. No account of it ever goes below zero."""

    def __init__(self, accounts: Mapping[str, tuple[int, int]], now: int) -> None:
        """``accounts`` gives (balance, held) of those that exist; ``now`` is in milliseconds."""
        self.accounts = {name: Account(balance, held) for name, (balance, held) in accounts.items()}
        self.transfers: list[Transfer] = []
        self.now = now

    def hold(self, request: HoldRequest) -> Hold | Short:
        """Sets the amount aside in the wallet, in spending order, and in every budget; or says what is short."""
        if request.amount == 0:
            return Hold(request)
        budgets = [(budget, self._budget(budget)) for budget in request.budgets]
        spendable = self._spendable(request)
        available = sum(account.available for _, account in spendable)
        amount = request.amount
        if request.least is not None:
            most = min([available, *(account.available for _, account in budgets)])
            amount = min(amount, max(request.least, int(most * request.share)))
        for budget, account in budgets:
            if account.available < amount:
                reset = budget.next_reset(self.now)
                return Short("key_budget", budget.key_id, amount, account.available, account.held, reset)
        if available < amount:
            held = sum(account.held for _, account in spendable)
            reason = "paid_only" if request.paid_only else "wallet"
            return Short(reason, request.user_id, amount, available, held, request.next_reset)
        legs = [Leg(wallet_account(request.user_id, bucket), part) for bucket, part in _split(spendable, amount)]
        legs += [Leg(budget.account(self.now), amount) for budget in request.budgets]
        for leg in legs:
            self._change(leg.account, held=leg.amount)
        return Hold(request, amount, tuple(legs))

    def release(self, legs: Iterable[tuple[str, int]]) -> None:
        """Gives held amounts back. ``legs`` are (account, amount)."""
        for name, amount in legs:
            self._change(name, held=-amount)

    def charge(self, hold: Hold, price: int) -> Paid:
        """Takes the price of a call whose hold was given back, as far as wallet, budgets and ``max_cost`` reach."""
        request = hold.request
        spendable = self._spendable(request)
        due = min(price, sum(account.available for _, account in spendable))
        if request.max_cost is not None:
            due = min(due, request.max_cost)
        budgets = self._budgets_of(hold)
        for name in budgets:
            due = min(due, self.accounts[name].available)
        parts = _split(spendable, due)
        for bucket, part in parts:
            self._move(wallet_account(request.user_id, bucket), PLATFORM, part, request)
        if due:
            for name in budgets:
                self._move(name, BUDGETS, due, request)
        if price > due:
            self.book_shortfall(request, price - due)
        return Paid(price, tuple(parts))

    def book_shortfall(self, request: HoldRequest, amount: int) -> None:
        """Books to the platform what a caller does not pay."""
        self.transfers.append(Transfer(SHORTFALL, PLATFORM, amount, "shortfall", request.user_id, request.request_id))

    def _spendable(self, request: HoldRequest) -> list[tuple[str, Account]]:
        buckets = PAID_BUCKETS if request.paid_only else BUCKETS
        names = ((bucket, wallet_account(request.user_id, bucket)) for bucket in buckets)
        return [(bucket, self.accounts[name]) for bucket, name in names if name in self.accounts]

    def _budget(self, budget: KeyBudget) -> Account:
        name = budget.account(self.now)
        account = self.accounts.get(name)
        if account is None:
            account = self.accounts[name] = Account(budget.limit, opened=True)
            if budget.limit:
                self.transfers.append(Transfer(BUDGETS, name, budget.limit, "budget", "system"))
        return account

    def _budgets_of(self, hold: Hold) -> list[str]:
        """Budget accounts that pay for a hold: those it was made on, also when a new period has begun since."""
        wallet = hold.request.user_id + "/"
        held = [leg.account for leg in hold.legs if not leg.account.startswith(wallet)]
        if held or not hold.request.budgets:
            return held
        for budget in hold.request.budgets:
            self._budget(budget)
        return [budget.account(self.now) for budget in hold.request.budgets]

    def _move(self, debit: str, credit: str, amount: int, request: HoldRequest) -> None:
        self._change(debit, balance=-amount)
        self.transfers.append(Transfer(debit, credit, amount, "charge", request.user_id, request.request_id))

    def _change(self, name: str, *, balance: int = 0, held: int = 0) -> None:
        account = self.accounts[name]
        account.balance += balance
        account.held += held
        account.changed = True


def _split(spendable: list[tuple[str, Account]], amount: int) -> list[tuple[str, int]]:
    parts: list[tuple[str, int]] = []
    for bucket, account in spendable:
        part = min(amount, account.available)
        if part > 0:
            parts.append((bucket, part))
            amount -= part
    return parts
