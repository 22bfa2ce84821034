"""A visit to the ledger for a call that does not fit what its worker has leased: draws what is missing, recalls what
others have unheld, or says what is short. Runs inside the journal's transaction, which no other writer shares.

A call that must wait leaves a claim. Claims of a wallet are served oldest first, whichever worker they come from; while
a claim is open the leases in its way are drained: what comes free of them goes back to the account at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from openpollen.ledger.entries import BUCKETS, BUDGETS, HoldRequest, KeyBudget, Short, wallet_account
from openpollen.ledger.leases import Drawn, open_amount
from openpollen.ledger.reclaim import reclaim, reclaim_expired
from openpollen.ledger.statements import LEASE_MS, ask, select, store_transfers
from openpollen.storage.database import Driver

_CLAIM_MS = 3_000
#: Of what nobody has leased, a worker draws half: so slices shrink as an account runs dry.
_SHARE = 2


class Take(Struct, frozen=True):
    """Make room for a request in the worker's leases. ``budgets`` are the accounts of its budgets, ``have`` is what the
    worker could hold of every account already. ``last`` passes older claims: the caller has waited its time."""

    request: HoldRequest
    worker: str
    epoch: int
    budgets: Sequence[str]
    have: Mapping[str, int]
    claim: int | None = None
    last: bool = False


class Taken(Struct, frozen=True):
    """What was drawn, by account, so that ``amount`` can be held. ``contended``: calls of other workers wait for this
    wallet, so what this call leaves over is theirs."""

    drawn: Mapping[str, Drawn]
    amount: int
    contended: bool


class Rejoined(Struct, frozen=True):
    """The worker was unknown or its epoch over; this is its new one. Ask again."""

    epoch: int


class Wait(Struct, frozen=True):
    """Not yet: older claims come first, or others must first answer a recall (``recalled``), or ``short`` by what open
    calls hold."""

    claim: int
    recalled: bool = False
    short: Short | None = None


class Unclaim(Struct, frozen=True):
    """Withdraw a claim."""

    claim: int


def take(driver: Driver, entry: Take, epoch: int, now: int, *, judge: bool) -> Taken | Rejoined | Short | Wait:
    """Serves a request, or says why not. ``epoch`` is the worker's own as the database has it, 0 for none. With
    ``judge``, leases that ran out in the way are taken back."""
    if not epoch or epoch != entry.epoch:
        return Rejoined(_join(driver, entry.worker, now))
    request = entry.request
    if not entry.last and _older_claim(driver, entry, now):
        return Wait(_claim(driver, entry, now))
    buckets = [(bucket, wallet_account(request.user_id, bucket)) for bucket in BUCKETS]
    view = _View(driver, entry, [*(name for _, name in buckets), *entry.budgets], now, judge=judge)
    for budget, name in zip(request.budgets, entry.budgets, strict=True):
        view.open_budget(budget, name)
    outcome = _plan(view, request, buckets[1:] if request.paid_only else buckets, entry.budgets)
    if isinstance(outcome, Short):
        if entry.last or not outcome.waits:
            unclaim(driver, Unclaim(entry.claim or 0))
            return outcome
        return Wait(_claim(driver, entry, now), short=outcome)
    if isinstance(outcome, str):
        ask(driver, [outcome], entry.worker)
        return Wait(_claim(driver, entry, now), recalled=True)
    contended = _waiting(driver, entry, now)
    drawn = view.draw(outcome.needs, contended=contended)
    unclaim(driver, Unclaim(entry.claim or 0))
    return Taken(drawn, outcome.amount, contended)


def unclaim(driver: Driver, entry: Unclaim) -> None:
    """Withdraws a claim."""
    if entry.claim:
        driver.execute("DELETE FROM claims WHERE id = ?", (entry.claim,))


class _View:
    """The accounts that a request may touch, as the ledger has them now."""

    def __init__(self, driver: Driver, entry: Take, names: list[str], now: int, *, judge: bool) -> None:
        self._driver, self._entry, self.now = driver, entry, now
        self.have = entry.have
        marks = ", ".join("?" * len(names))
        leased = f"SELECT account_id, worker, amount, state FROM leases WHERE account_id IN ({marks})"  # noqa: S608 - only marks
        leases = select(driver, leased, names)
        others = any(worker != entry.worker for _, worker, _, _ in leases)
        if judge and others and reclaim_expired(driver, now):
            leases = select(driver, leased, names)
        rows = select(driver, f"SELECT id, balance, held FROM ledger_accounts WHERE id IN ({marks})", names)  # noqa: S608
        self.accounts: dict[str, tuple[int, int]] = {name: (balance, held) for name, balance, held in rows}
        #: Accounts of which other workers may have something unheld: they did not answer a recall yet.
        self.unanswered = {
            name for name, worker, amount, state in leases if worker != entry.worker and amount and state < 2
        }

    def rest(self, name: str) -> int:
        """What nobody has leased or held."""
        balance, held = self.accounts.get(name, (0, 0))
        return balance - held

    def usable(self, name: str) -> int:
        return self.have.get(name, 0) + self.rest(name)

    def busy(self, name: str) -> int:
        """What open calls hold, here and elsewhere, once every recall is answered."""
        return self.accounts.get(name, (0, 0))[1] - self.have.get(name, 0)

    def open_budget(self, budget: KeyBudget, name: str) -> None:
        """Makes the account of a budget, or of a budget's new period, when it is first spent from. As large as the key
        has it now: the caller may have read the key a moment ago."""
        if name in self.accounts:
            return
        stored = select(self._driver, "SELECT budget_limit FROM api_keys WHERE id = ?", (budget.key_id,))
        limit = budget.limit if not stored or stored[0][0] is None else int(stored[0][0])
        made = (
            "INSERT INTO ledger_accounts (id, owner, kind, balance, held, opened_at) VALUES (?, ?, 'budget', ?, 0, ?)"
        )
        self._driver.execute(made, (name, budget.key_id, limit, self.now))
        if limit:
            store_transfers(self._driver, [(self.now, BUDGETS, name, limit, "budget", "system", None)])
        self.accounts[name] = (limit, 0)

    def draw(self, needs: Mapping[str, int], *, contended: bool) -> dict[str, Drawn]:
        """Leases what is needed beyond what is at hand, and half of the rest with it unless others wait for that."""
        drawn: dict[str, Drawn] = {}
        for name, need in needs.items():
            rest = self.rest(name)
            missing = need - self.have.get(name, 0)
            amount = 0 if missing <= 0 else max(missing, 0 if contended else rest // _SHARE)
            if amount:
                self._driver.execute("UPDATE ledger_accounts SET held = held + ? WHERE id = ?", (amount, name))
                self._driver.execute(_LEASE, (name, self._entry.worker, amount, int(contended)))
            drawn[name] = Drawn(amount, rest - amount, rest == amount and name not in self.unanswered)
        return drawn


class _Plan(Struct, frozen=True):
    """How much of each account a hold of ``amount`` needs."""

    amount: int
    needs: dict[str, int]


def _plan(
    view: _View, request: HoldRequest, buckets: Sequence[tuple[str, str]], budgets: Sequence[str]
) -> _Plan | Short | str:
    """Spreads a hold over the accounts, in spending order; or says who is short, or which account to recall first:
    nothing of a later bucket is touched while an earlier one may have money unheld anywhere."""
    available = sum(view.usable(name) for _, name in buckets)
    want = open_amount(request, min([available, *(view.usable(name) for name in budgets)]))
    if want < request.amount and request.share >= 1:  # as much as there is: so look everywhere
        for name in (*(name for _, name in buckets), *budgets):
            if name in view.unanswered:
                return name
    needs: dict[str, int] = {}
    left = want
    for _, name in buckets:
        needs[name] = min(left, view.usable(name))
        left -= needs[name]
        if left and name in view.unanswered:
            return name
        if not left:
            break
    for budget, name in zip(request.budgets, budgets, strict=True):
        if view.usable(name) < want:
            if name in view.unanswered:
                return name
            reset = budget.next_reset(view.now)
            return Short("key_budget", budget.key_id, want, view.usable(name), view.busy(name), reset)
        needs[name] = want
    if left:
        held = sum(view.busy(name) for _, name in buckets)
        reason = "paid_only" if request.paid_only else "wallet"
        return Short(reason, request.user_id, want, available, held, request.next_reset)
    return _Plan(want, needs)


_LEASE = (
    "INSERT INTO leases (account_id, worker, amount, state) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (account_id, worker) DO UPDATE SET amount = leases.amount + excluded.amount, state = excluded.state"
)


def _join(driver: Driver, worker: str, now: int) -> int:
    """Begins a new epoch of a worker. Whatever stands under its name from an earlier one goes back."""
    reclaim(driver, worker)
    driver.execute(
        "INSERT INTO revisions (name, number) VALUES ('epoch', 1) "
        "ON CONFLICT (name) DO UPDATE SET number = revisions.number + 1"
    )
    epoch = int(select(driver, "SELECT number FROM revisions WHERE name = 'epoch'")[0][0])
    driver.execute(
        "INSERT INTO ledger_workers (name, epoch, expires_at) VALUES (?, ?, ?)", (worker, epoch, now + LEASE_MS)
    )
    return epoch


def _older_claim(driver: Driver, entry: Take, now: int) -> bool:
    """Whether another worker's call waits for this wallet, longer than this one does."""
    older = "SELECT 1 FROM claims WHERE user_id = ? AND worker <> ? AND expires_at > ?"
    values: list[object] = [entry.request.user_id, entry.worker, now]
    if entry.claim is not None:
        older += " AND id < ?"
        values.append(entry.claim)
    return bool(select(driver, older, values))


def _waiting(driver: Driver, entry: Take, now: int) -> bool:
    """Whether any call of another worker waits for this wallet."""
    waiting = "SELECT 1 FROM claims WHERE user_id = ? AND worker <> ? AND expires_at > ?"
    return bool(select(driver, waiting, (entry.request.user_id, entry.worker, now)))


def _claim(driver: Driver, entry: Take, now: int) -> int:
    """The place in the line of those who wait for this wallet; kept while it is asked for."""
    if entry.claim is not None:
        driver.execute("UPDATE claims SET expires_at = ? WHERE id = ?", (now + _CLAIM_MS, entry.claim))
        return entry.claim
    made = "INSERT INTO claims (user_id, worker, expires_at) VALUES (?, ?, ?) RETURNING id"
    return int(select(driver, made, (entry.request.user_id, entry.worker, now + _CLAIM_MS))[0][0])
