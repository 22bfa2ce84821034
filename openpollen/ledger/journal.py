"""Writes what a worker did in memory to the ledger: many settlements in one transaction, folded per account.

Everything is plain driver SQL, and the number of statements hardly grows with the calls they serve. Every batch renews
the worker's leases and is conditional on its epoch: whose leases were taken back charges nobody, the platform pays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from openpollen.ledger.entries import BUDGETS, PLATFORM, SHORTFALL, Bucket, Hold, HoldRequest, wallet_account
from openpollen.ledger.leases import Move
from openpollen.ledger.reclaim import reclaim, reclaim_expired
from openpollen.ledger.statements import LEASE_MS, TransferRow, adjust, ask, later_accounts, select, store_transfers
from openpollen.ledger.take import Rejoined, Take, Taken, Unclaim, Wait, take, unclaim
from openpollen.storage.database import Driver
from openpollen.usage.record import Paid, UsageRow, write_rows

_WORKERS_HOLD_MS = 3_600_000
_JOBS_HOLD_MS = 24 * 3_600_000
_IN_ONE_STATEMENT = 500


class Close(Struct, frozen=True, gc=False):
    """End a hold at a price; ``moves`` belong to leases of ``epoch``, ``stored`` to the request's own rows. ``freed``
    is a bucket of which some stays unheld with this worker: others look again before they spend a later one. ``share`` is
    what of the charge an author gets: the last that is taken."""

    request: HoldRequest
    price: int
    epoch: int
    moves: Sequence[Move]
    stored: Sequence[Move] = ()
    row: UsageRow | None = None
    freed: Bucket | None = None
    share: int = 0


class Book(Struct, frozen=True):
    """Book to the platform what a provider bills for an attempt whose result nobody got (rule 28)."""

    request_id: str
    provider: str
    amount: int


class Pin(Struct, frozen=True):
    """Store a hold by itself: its legs leave the worker's leases. ``worker`` is empty for a job's hold, which outlives
    whoever made it."""

    hold: Hold
    legs: Sequence[tuple[str, int]]
    worker: str | None


class Beat(Struct, frozen=True):
    """Renew the leases, give back what is not needed, and learn what others ask for. ``leave`` gives back all."""

    epoch: int
    returns: Sequence[tuple[str, int]] = ()
    drained: Sequence[str] = ()
    leave: bool = False


class Pulse(Struct, frozen=True):
    """Answer to a beat: the epoch in force and the leases that others recall."""

    epoch: int
    asked: tuple[str, ...] = ()


class Fenced(Struct, frozen=True):
    """Answer to a pin whose leases were taken back: hold anew."""


Entry = Close | Book | Pin | Beat | Take | Unclaim
Outcome = Paid | Pulse | Fenced | Taken | Rejoined | Wait | object


class Journal:
    """The ledger's writer for one worker."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self.alone = False
        self.ring = False
        self.over = 0  # the latest epoch of ours that was found to be over
        self._last = 0
        self._stalled = 0

    def run(self, driver: Driver, entries: Sequence[Entry]) -> list[object]:
        """Handles entries in order, each with its outcome."""
        now = driver.now()
        if self._last and now - self._last > LEASE_MS // 2:
            self._stalled = now  # nobody could renew: the silence of others means nothing yet
        self._last = now
        renewed = select(driver, _RENEW, (now + LEASE_MS, self._worker))
        page = _Page(driver, self._worker, renewed[0][0] if renewed else 0, now)
        page.load([entry for entry in entries if isinstance(entry, Close) and entry.stored])
        outcomes = [page.close(entry) if isinstance(entry, Close) else self._handle(page, entry) for entry in entries]
        page.flush()
        self.ring = self.ring or page.ring
        self.over = page.over or self.over
        return outcomes

    def _handle(self, page: _Page, entry: Book | Pin | Beat | Take | Unclaim) -> object:
        match entry:
            case Book():
                return page.book(entry)
            case Pin():
                return page.pin(entry)
            case Beat():
                return self._beat(page, entry)
            case Take():
                page.flush()
                return take(page.driver, entry, page.epoch, page.now, judge=self._judges(page.now))
            case Unclaim():
                return unclaim(page.driver, entry)

    def _judges(self, now: int) -> bool:
        """Whether this worker has seen the database long enough to take another's silence for its end."""
        return now - self._stalled > LEASE_MS

    def _beat(self, page: _Page, entry: Beat) -> Pulse:
        page.flush()
        driver, worker, now = page.driver, self._worker, page.now
        if entry.leave:
            reclaim(driver, worker, holds=False)
            return Pulse(0)
        if entry.epoch and entry.epoch == page.epoch:
            for account, amount in entry.returns:
                adjust(driver, worker, {account: (0, -amount, -amount)})
            if entry.drained:
                driver.executemany(_DRAINED, [(account, worker) for account in entry.drained])
            driver.execute("DELETE FROM leases WHERE worker = ? AND amount = 0", (worker,))
        if self._judges(now):
            reclaim_expired(driver, now)
        self.alone = select(driver, "SELECT COUNT(*) FROM ledger_workers")[0][0] < 2
        asked = select(driver, "SELECT account_id FROM leases WHERE worker = ? AND state = 1", (worker,))
        return Pulse(page.epoch, tuple(account for (account,) in asked))


class _Page:
    """One batch: what it changes, summed up until it is stored."""

    def __init__(self, driver: Driver, worker: str, epoch: int, now: int) -> None:
        self.driver, self.epoch, self.now = driver, epoch, now
        self._worker = worker
        self._leased: list[Move] = []
        self._stored: list[Move] = []
        self._transfers: list[TransferRow] = []
        self._rows: list[tuple[UsageRow, Paid]] = []
        self._held: set[str] = set()
        self._settled: dict[str, Paid] = {}
        self._earned: list[tuple[str, str, int, int]] = []
        self._freed: set[str] = set()
        self.ring = False
        self.over = 0

    def load(self, entries: Sequence[Close]) -> None:
        """Looks up which stored holds are still there, and which requests were settled before."""
        ids = [entry.request.request_id for entry in entries]
        self._held = {row[0] for row in _of(self.driver, "SELECT request_id FROM holds WHERE request_id IN", ids)}
        sql = "SELECT request_id, measured, charged, meter_source FROM usage WHERE request_id IN"
        for request_id, measured, charged, source in _of(self.driver, sql, ids):
            self._settled[request_id] = Paid(measured, ((source or "", charged),) if charged else ())

    def close(self, entry: Close) -> Paid:
        request = entry.request
        moves = entry.moves
        if moves and entry.epoch != self.epoch:
            moves, self.over = (), entry.epoch
        self._leased += moves
        if entry.freed is not None:
            self._freed.update(later_accounts(request.user_id, entry.freed))
        if entry.stored:
            if (done := self._settled.get(request.request_id)) is not None:
                return done
            moves = [*moves, *self._close_stored(entry)]
        if entry.row is None:
            return Paid(0)
        paid = self._charge(request, entry.price, moves, entry.share)
        self._rows.append((entry.row, paid))
        if entry.stored:
            self._settled[request.request_id] = paid
        return paid

    def book(self, entry: Book) -> None:
        self._move(SHORTFALL, PLATFORM, entry.amount, "attempt", entry.provider, entry.request_id)

    def pin(self, entry: Pin) -> Hold | Fenced:
        self.flush()
        hold, lifetime = entry.hold, _WORKERS_HOLD_MS if entry.worker else _JOBS_HOLD_MS
        if hold.epoch != self.epoch:
            return Fenced()
        adjust(self.driver, self._worker, {account: (0, 0, -amount) for account, amount in entry.legs})
        rows = [
            (hold.request.request_id, account, amount, entry.worker, self.now, self.now + lifetime)
            for account, amount in entry.legs
        ]
        self.driver.executemany(_INSERT_HOLD, rows)
        return hold

    def flush(self) -> None:
        """Stores what was summed up so far."""
        if self._leased or self._stored:
            adjust(self.driver, self._worker, _folded(self._leased, self._stored))
            self.ring = self.ring or any(move.returned for move in self._leased)
            self._leased, self._stored = [], []
        if self._earned:
            self.driver.executemany(_EARN, self._earned)
            self._earned = []
        if self._freed:
            self.ring = ask(self.driver, sorted(self._freed), self._worker) or self.ring
            self._freed = set()
        store_transfers(self.driver, self._transfers)
        write_rows(self.driver, self._rows, self.now)
        self._transfers, self._rows = [], []

    def _close_stored(self, entry: Close) -> Sequence[Move]:
        """Ends a stored hold. One that was given back, because nobody answered for it in time, charges nobody."""
        request_id = entry.request.request_id
        if request_id not in self._held:
            return ()
        self._held.discard(request_id)
        self.driver.execute("DELETE FROM holds WHERE request_id = ?", (request_id,))
        self._stored += entry.stored
        self.ring = True
        return entry.stored

    def _charge(self, request: HoldRequest, price: int, moves: Sequence[Move], share: int) -> Paid:
        if len(moves) > 1 and len({move.account for move in moves}) < len(moves):
            moves = _joined(moves)
        parts: list[tuple[str, int]] = []
        short = price
        for move in moves:
            amount = move.charged
            if amount:
                credit = BUDGETS
                if move.bucket is not None:
                    credit = PLATFORM
                    parts.append((move.bucket, amount))
                    if share and amount > short:
                        self._mark_up(request, move, amount - short)
                        amount = short
                    short -= amount
                if amount:
                    self._move(move.account, credit, amount, "charge", request.user_id, request.request_id)
        if short:
            self._move(SHORTFALL, PLATFORM, short, "shortfall", request.user_id, request.request_id)
        return Paid(price, tuple(parts), share if parts else 0)

    def _mark_up(self, request: HoldRequest, move: Move, amount: int) -> None:
        """Credits what is taken beyond the price to the author's same bucket."""
        assert request.markup is not None
        assert move.bucket is not None
        author = wallet_account(request.markup.author, move.bucket)
        self._move(move.account, author, amount, "markup", request.user_id, request.request_id)
        self._earned.append((author, request.markup.author, amount, self.now))
        self._freed.update(later_accounts(request.markup.author, move.bucket))

    def _move(self, debit: str, credit: str, amount: int, reason: str, actor: str, request_id: str) -> None:
        self._transfers.append((self.now, debit, credit, amount, reason, actor, request_id))


def _joined(moves: Sequence[Move]) -> Sequence[Move]:
    """One move for each account: a hold, and what was held on top of it, may share some."""
    joined: dict[str, Move] = {}
    for move in moves:
        same = joined.get(move.account)
        joined[move.account] = (
            move
            if same is None
            else Move(move.account, move.bucket, same.charged + move.charged, same.returned + move.returned)
        )
    return list(joined.values())


def _folded(leased: Sequence[Move], stored: Sequence[Move]) -> dict[str, list[int]]:
    """By account, what changes of its balance, of what is held of it, and of this worker's lease."""
    deltas: dict[str, list[int]] = {}
    for moves, share in ((leased, 1), (stored, 0)):
        for move in moves:
            delta = deltas.get(move.account)
            if delta is None:
                delta = deltas[move.account] = [0, 0, 0]
            charged = move.charged
            gone = charged + move.returned
            delta[0] -= charged
            delta[1] -= gone
            delta[2] -= gone * share
    return deltas


_RENEW = "UPDATE ledger_workers SET expires_at = ? WHERE name = ? RETURNING epoch"
_EARN = (
    "INSERT INTO ledger_accounts (id, owner, kind, balance, held, opened_at) VALUES (?, ?, 'wallet', ?, 0, ?) "
    "ON CONFLICT (id) DO UPDATE SET balance = ledger_accounts.balance + excluded.balance"
)
# Only what was asked for: who drew anew since then was not drained of that.
_DRAINED = "UPDATE leases SET state = 2 WHERE account_id = ? AND worker = ? AND state = 1"
_INSERT_HOLD = (
    "INSERT INTO holds (request_id, account_id, amount, worker, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)"
)


def _of(driver: Driver, sql: str, ids: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    for start in range(0, len(ids), _IN_ONE_STATEMENT):
        part = ids[start : start + _IN_ONE_STATEMENT]
        yield from select(driver, f"{sql} ({', '.join('?' * len(part))})", part)
