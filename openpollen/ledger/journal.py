"""Runs many holds and settlements in one transaction: load what they touch, do the arithmetic in memory, store what
changed.

The cost of a transaction is its statements; here their number hardly grows with the calls they serve. Everything is
plain driver SQL.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import cast

from msgspec import Struct

from openpollen.core.errors import Conflict
from openpollen.ledger.book import Book
from openpollen.ledger.entries import BUCKETS, Hold, HoldRequest, Short, Transfer, wallet_account
from openpollen.storage.writer import Driver
from openpollen.usage.record import Paid, UsageRow, write_rows

_HELD_FOR_MS = 3_600_000
_DURABLE_HELD_FOR_MS = 24 * 3_600_000
_IN_ONE_STATEMENT = 500


class Open(Struct, frozen=True):
    """Make a hold for a worker."""

    request: HoldRequest
    worker: str


class Close(Struct, frozen=True):
    """End a hold at a price; with a row it is recorded."""

    hold: Hold
    price: int
    row: UsageRow | None


Entry = Open | Close
Outcome = Hold | Short | Paid


def run(driver: Driver, entries: Sequence[Entry]) -> list[Outcome | Exception]:
    """Handles entries in order; the answer to each is a hold, a refusal, how it was paid, or Conflict for a request
    id used twice."""
    now = int(time.time() * 1000)
    page = _Page(driver, entries, now)
    outcomes = [page.open(entry) if isinstance(entry, Open) else page.close(entry) for entry in entries]
    page.store(driver)
    return outcomes


class _Page:
    """The part of the ledger that one batch works on."""

    def __init__(self, driver: Driver, entries: Sequence[Entry], now: int) -> None:
        ids = [_hold_of(entry).request.request_id for entry in entries]
        self._held = _load_holds(driver, ids)
        self._settled = _load_settled(driver, ids)
        names = {name for entry in entries for name in _accounts_of(entry, now)}
        names.update(name for legs in self._held.values() for name, _ in legs)
        self._book = Book(_load_accounts(driver, names), now)
        self._now = now
        self._made: list[tuple[Hold, str]] = []
        self._ended: list[str] = []
        self._rows: list[tuple[UsageRow, Paid]] = []

    def open(self, entry: Open) -> Outcome | Exception:
        request_id = entry.request.request_id
        if request_id in self._held or request_id in self._settled:
            return Conflict("This request id was used before.", reason="request_id")
        outcome = self._book.hold(entry.request)
        if isinstance(outcome, Hold) and outcome.legs:
            self._held[request_id] = [(leg.account, leg.amount) for leg in outcome.legs]
            self._made.append((outcome, entry.worker))
        return outcome

    def close(self, entry: Close) -> Outcome:
        request = entry.hold.request
        legs = self._held.pop(request.request_id, None)
        if legs:
            self._book.release(legs)
            self._ended.append(request.request_id)
        if done := self._settled.get(request.request_id):
            return done
        if entry.row is None:
            return Paid(0)
        if entry.hold.legs and not legs:
            # The hold was taken back, because its worker was thought dead: what came too late is the platform's.
            self._book.book_shortfall(request, entry.price)
            paid = Paid(entry.price)
        else:
            paid = self._book.charge(entry.hold, entry.price)
        self._settled[request.request_id] = paid
        self._rows.append((entry.row, paid))
        return paid

    def store(self, driver: Driver) -> None:
        _store_accounts(driver, self._book)
        store_transfers(driver, self._book.transfers, self._now)
        ended = set(self._ended)
        made = [
            (hold.request.request_id, leg.account, leg.amount, *_keeper(hold.request, worker, self._now))
            for hold, worker in self._made
            if hold.request.request_id not in ended
            for leg in hold.legs
        ]
        if made:
            sql = (
                "INSERT INTO holds (request_id, account_id, amount, worker, created_at, expires_at) "
                "VALUES (?, ?, ?, ?, ?, ?)"
            )
            driver.executemany(sql, made)
        if ended:
            driver.executemany("DELETE FROM holds WHERE request_id = ?", [(request_id,) for request_id in ended])
        write_rows(driver, self._rows, self._now)


def store_transfers(driver: Driver, transfers: Iterable[Transfer], now: int) -> None:
    """Appends transfers. Whoever calls this changes the stored balances in the same transaction."""
    rows = [(now, t.debit, t.credit, t.amount, t.reason, t.actor, t.request_id) for t in transfers]
    if rows:
        sql = (
            "INSERT INTO transfers (at, debit, credit, amount, reason, actor, request_id) VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        driver.executemany(sql, rows)


def _store_accounts(driver: Driver, book: Book) -> None:
    changed = [(name, account) for name, account in book.accounts.items() if account.changed]
    opened = [
        (name, name.partition("/")[0], "budget", account.balance, account.held, book.now)
        for name, account in changed
        if account.opened
    ]
    if opened:
        sql = "INSERT INTO ledger_accounts (id, owner, kind, balance, held, opened_at) VALUES (?, ?, ?, ?, ?, ?)"
        driver.executemany(sql, opened)
    kept = [(account.balance, account.held, name) for name, account in changed if not account.opened]
    if kept:
        driver.executemany("UPDATE ledger_accounts SET balance = ?, held = ? WHERE id = ?", kept)


def _load_accounts(driver: Driver, names: Iterable[str]) -> dict[str, tuple[int, int]]:
    rows = _select(driver, "SELECT id, balance, held FROM ledger_accounts WHERE id IN", list(names))
    return {name: (balance, held) for name, balance, held in cast(list[tuple[str, int, int]], rows)}


def _load_holds(driver: Driver, ids: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
    rows = _select(driver, "SELECT request_id, account_id, amount FROM holds WHERE request_id IN", ids)
    held: dict[str, list[tuple[str, int]]] = {}
    for request_id, account, amount in cast(list[tuple[str, str, int]], rows):
        held.setdefault(request_id, []).append((account, amount))
    return held


def _load_settled(driver: Driver, ids: Sequence[str]) -> dict[str, Paid]:
    sql = "SELECT request_id, measured, charged, meter_source FROM usage WHERE request_id IN"
    rows = cast(list[tuple[str, int, int, str | None]], _select(driver, sql, ids))
    return {
        request_id: Paid(measured, ((source or "", charged),) if charged else ())
        for request_id, measured, charged, source in rows
    }


def _select(driver: Driver, sql: str, values: Sequence[str]) -> list[object]:
    rows: list[object] = []
    for start in range(0, len(values), _IN_ONE_STATEMENT):
        part = values[start : start + _IN_ONE_STATEMENT]
        rows += driver.execute(f"{sql} ({', '.join('?' * len(part))})", part).fetchall()
    return rows


def _hold_of(entry: Entry) -> Hold:
    return Hold(entry.request) if isinstance(entry, Open) else entry.hold


def _accounts_of(entry: Entry, now: int) -> Iterable[str]:
    hold = _hold_of(entry)
    for bucket in BUCKETS:
        yield wallet_account(hold.request.user_id, bucket)
    for budget in hold.request.budgets:
        yield budget.account(now)
    for leg in hold.legs:
        yield leg.account


def _keeper(request: HoldRequest, worker: str, now: int) -> tuple[str | None, int, int]:
    return (None, now, now + _DURABLE_HELD_FOR_MS) if request.durable else (worker, now, now + _HELD_FOR_MS)
