"""What one worker may spend without asking: slices of accounts that it leased, held and settled in memory. Pure
arithmetic; the journal and ``take`` move the same amounts in the database.

A lease is money that the ledger already counts as held by this worker. Memory never has more than the database says:
what goes out is taken off here when it is queued, what comes in is added when it is committed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from openpollen.ledger.entries import BUCKETS, Bucket, Hold, HoldRequest, KeyBudget, Leg, wallet_account

_DAY_MS = 86_400_000


class Lease:
    """This worker's slice of one account. ``free`` can be held, ``inflight`` is held by open calls.

    ``rest`` is what nobody had leased when the ledger was last asked; ``dry`` says that nothing unheld was left then,
    with any worker: only after a dry bucket comes the next. A ``draining`` lease was recalled: what comes free of it
    goes back.
    """

    __slots__ = ("account", "bucket", "draining", "dry", "free", "inflight", "rest", "used")

    def __init__(self, account: str, bucket: Bucket | None = None) -> None:
        self.account = account
        self.bucket: Bucket | None = bucket
        self.free = self.inflight = self.rest = 0
        self.dry = self.draining = False
        self.used = 0.0


class Drawn(Struct, frozen=True):
    """What a visit to the ledger brought to one lease, and what it found there."""

    amount: int
    rest: int
    dry: bool


class Move(Struct, frozen=True, gc=False):
    """The end of one leg: what is charged of it, and what goes back to the account. The rest of the leg stays in the
    lease."""

    account: str
    bucket: Bucket | None
    charged: int
    returned: int


class Leases:
    """The leases of one worker, of one epoch: of the time in which nobody took them back."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, now: Callable[[], float] = time.time) -> None:
        self._monotonic, self._now = monotonic, now
        self.epoch = 0
        self.valid_until = 0.0
        self._wallets: dict[str, tuple[Lease, ...]] = {}
        self._budgets: dict[str, Lease] = {}
        self._names: dict[KeyBudget, tuple[int, str]] = {}

    def start(self, epoch: int) -> None:
        """Begins an epoch with nothing leased. Holds of earlier epochs are the platform's loss, not the caller's."""
        self.epoch = epoch
        self._wallets, self._budgets = {}, {}

    def hold(self, request: HoldRequest) -> Hold | None:
        """Holds in memory, or says by ``None`` that the ledger must be asked."""
        moment = self._monotonic()
        wallet = self._wallets.get(request.user_id)
        if wallet is None or moment > self.valid_until:
            return None
        if request.paid_only:
            wallet = wallet[1:]
        budgets = [self._budgets.get(name) for name in self.budget_accounts(request)] if request.budgets else []
        want = request.amount
        if request.least is not None and request.share < 1:
            known = [sum(lease.free + lease.rest for lease in wallet)]
            known += [0 if lease is None else lease.free + lease.rest for lease in budgets]
            want = open_amount(request, min(known))
        legs: list[Leg] = []
        for lease in budgets:
            if lease is None or lease.draining or lease.free < want:
                return None
            legs.append(Leg(lease.account, want, None, lease))
        left = want
        for lease in wallet:
            part = 0 if lease.draining else lease.free if lease.free < left else left
            if part:
                legs.append(Leg(lease.account, part, lease.bucket, lease))
                left -= part
            if not left:
                break
            if not lease.dry:
                return None
        if left:
            return None
        for leg in legs:
            lease = leg.lease
            lease.free -= leg.amount
            lease.inflight += leg.amount
            lease.used = moment
        return Hold(request, want, tuple(legs), self.epoch)

    def close(self, hold: Hold, price: int) -> list[Move]:
        """Ends a hold at a price within it, in spending order. An epoch that is over moves nothing here."""
        left = price
        moves: list[Move] = []
        for leg in hold.legs:
            amount = leg.amount
            if leg.bucket is None:
                charged = price
            else:
                charged = left if left < amount else amount
                left -= charged
            back = amount - charged
            lease: Lease | None = leg.lease
            if lease is not None:
                lease.inflight -= amount
                if not lease.draining:
                    lease.free += back
                    back = 0
            if charged or back:
                moves.append(Move(leg.account, leg.bucket, charged, back))
        return moves

    def restore(self, moves: Iterable[Move]) -> list[tuple[str, int]]:
        """Takes back moves of this epoch that the ledger refused. Returns what is of recalled leases and goes back."""
        returns: list[tuple[str, int]] = []
        for move in moves:
            amount = move.charged + move.returned
            lease = self._lease(move.account)
            if lease is None or lease.draining:
                returns.append((move.account, amount))
            else:
                lease.free += amount
        return returns

    def pin(self, hold: Hold) -> None:
        """Hands the legs of a hold over to the database, where it stands by itself from now on."""
        for leg in hold.legs:
            leg.lease.inflight -= leg.amount
        hold.legs = tuple(Leg(leg.account, leg.amount, leg.bucket) for leg in hold.legs)
        hold.stored = True

    def have(self, request: HoldRequest, budgets: Iterable[str]) -> dict[str, int]:
        """What this worker could hold at once, by account, of all that the request may touch."""
        wallet = self._wallets.get(request.user_id, ())
        found = {lease.account: 0 if lease.draining else lease.free for lease in wallet}
        for name in budgets:
            lease = self._budgets.get(name)
            found[name] = 0 if lease is None or lease.draining else lease.free
        return found

    def add(self, user_id: str, drawn: Mapping[str, Drawn]) -> None:
        """Takes in what a visit to the ledger brought."""
        wallet = self._wallets.get(user_id)
        if wallet is None:
            wallet = tuple(Lease(wallet_account(user_id, bucket), bucket) for bucket in BUCKETS)
            self._wallets[user_id] = wallet
        leases = {lease.account: lease for lease in wallet}
        for account, found in drawn.items():
            lease = leases.get(account) or self._budgets.get(account)
            if lease is None:
                lease = self._budgets[account] = Lease(account)
            if found.amount:
                lease.free += found.amount
                lease.draining = False
            lease.rest, lease.dry = found.rest, found.dry
            lease.used = self._monotonic()

    def drain(self, accounts: Iterable[str]) -> list[tuple[str, int]]:
        """Stops using recalled leases; returns what they had free, now gone from here."""
        returns: list[tuple[str, int]] = []
        for account in accounts:
            for lease in self._wallets.get(account.partition("/")[0], ()):
                lease.dry = False  # why it was recalled may be that an earlier bucket has money again
            lease = self._lease(account)
            if lease is None:
                continue
            lease.draining = True
            if lease.free:
                returns.append((account, lease.free))
                lease.free = 0
        return returns

    def idle(self, seconds: float) -> list[tuple[str, int]]:
        """Forgets leases without open calls that were not used for so long; returns what they had free."""
        before = self._monotonic() - seconds
        returns: list[tuple[str, int]] = []
        for user_id, wallet in list(self._wallets.items()):
            if all(lease.inflight == 0 and lease.used < before for lease in wallet):
                returns += [(lease.account, lease.free) for lease in wallet if lease.free]
                del self._wallets[user_id]
        for account, lease in list(self._budgets.items()):
            if lease.inflight == 0 and lease.used < before:
                returns += [(account, lease.free)] if lease.free else []
                del self._budgets[account]
        return returns

    @property
    def quiet(self) -> bool:
        """Whether no open call holds anything here."""
        wallets = (lease for wallet in self._wallets.values() for lease in wallet)
        return not any(lease.inflight for lease in (*wallets, *self._budgets.values()))

    def _lease(self, account: str) -> Lease | None:
        wallet = self._wallets.get(account.partition("/")[0], ())
        return next((lease for lease in wallet if lease.account == account), None) or self._budgets.get(account)

    def budget_accounts(self, request: HoldRequest) -> list[str]:
        """The accounts that count the request's budgets now."""
        return [self._budget_account(budget) for budget in request.budgets]

    def _budget_account(self, budget: KeyBudget) -> str:
        if budget.period is None:
            return budget.account(0)
        now = int(self._now() * 1000)
        cached = self._names.get(budget)
        if cached is None or cached[0] != now // _DAY_MS:
            if len(self._names) > 10_000:
                self._names.clear()
            cached = self._names[budget] = (now // _DAY_MS, budget.account(now))
        return cached[1]


def open_amount(request: HoldRequest, known: int) -> int:
    """What a call of open length holds where ``known`` is available: a share of it, at least a short answer."""
    least = request.amount if request.least is None else request.least
    share = known if request.share >= 1 else known * round(request.share * 1_000_000) // 1_000_000
    return min(request.amount, max(least, share))
