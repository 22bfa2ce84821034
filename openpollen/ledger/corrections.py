"""Corrections of what was booked: new transfers against old ones, never a change to one. For use inside a transaction
of the caller, of which an installation runs one at a time.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Row, select, text

from openpollen.core.errors import BadRequest, Conflict, NotFound
from openpollen.core.money import MAX_POLLEN, NANO, format_pollen
from openpollen.ledger.credit import append, balances, grant, recall_later, refit
from openpollen.ledger.entries import BUCKETS, BUDGETS, OUTSIDE, PLATFORM, Balances, Transfer, wallet_account
from openpollen.storage.database import Connection
from openpollen.storage.schema import ledger_accounts, usage

#: Words for credit that people give. Those of the ledger's own transfers are not among them.
REASONS = ("grant", "purchase", "refund", "correction", "signup", "welcome", "reward")


class Busy(Struct, frozen=True):
    """A correction that must wait: workers have set aside what it takes. They were asked to give it back."""

    unheld: int
    balance: int


class Refund(Struct, frozen=True):
    """A charge given back. ``parts`` are nano-pollen by account, wallet buckets and key budgets; ``left`` is what can
    still be given back; ``from_author`` is what an app's author gave of it, the platform gave the rest."""

    user_id: str
    amount: int
    left: int
    parts: Mapping[str, int]
    from_author: int = 0


class _Paid(Struct, frozen=True):
    """What is still to be given back of a request: by bucket of the wallet, by key budget, and by bucket what its app's
    author earned there, with the account it went to."""

    buckets: Mapping[str, int]
    budgets: Mapping[str, int]
    earned: Mapping[str, tuple[str, int]]


def correct(connection: Connection, user_id: str, amount: int, bucket: str, actor: str) -> Balances | Busy:
    """Adds to a bucket, or with a negative ``amount`` takes from it, and returns the wallet after it. What open calls
    hold is not taken: ``Busy`` then says what is free, and workers give back what they do not need within a second.

    Raises BadRequest for an amount of 0, one that is too large, or one that would leave less than nothing."""
    if amount > 0:
        return grant(connection, user_id, amount, bucket, "correction", actor)
    if bucket not in BUCKETS:
        raise BadRequest(f"There is no bucket {bucket!r}: choose one of {', '.join(BUCKETS)}.")
    if not -MAX_POLLEN * NANO <= amount < 0:
        raise BadRequest(f"A correction is not 0 and at most {MAX_POLLEN:,} pollen.")
    account = wallet_account(user_id, bucket)
    if connection.execute(_MOVE, {"id": account, "amount": amount}).rowcount:
        append(connection, [Transfer(account, OUTSIDE, -amount, "correction", actor)], _now())
        return balances(connection, user_id)
    stored = ledger_accounts.c
    row = connection.execute(select(stored.balance, stored.held).where(stored.id == account)).one_or_none()
    balance, held = (row.balance, row.held) if row is not None else (0, 0)
    if balance + amount < 0:
        raise BadRequest(
            f"The {bucket} bucket has {format_pollen(balance)} pollen; a correction never goes below zero.",
            reason="below_zero",
        )
    connection.execute(_RECALL, {"account": account})
    return Busy(balance - held, balance)


def refund(
    connection: Connection, request_id: str, actor: str, amount: int | None = None, *, wait: bool = False
) -> Refund | Busy:
    """Gives a request's charge back to the buckets that paid it, the last one first, and to the budgets of its keys;
    ``amount`` only so much of it. All refunds of a request together never exceed what was charged.

    An app's author returns the same part of what was earned by the request, as far as the bucket it went to still has
    it unheld; the platform gives the rest. With ``wait``, earned pollen that workers hold is asked for first: ``Busy``.

    Raises NotFound for an unknown request, Conflict when nothing is left to give back, BadRequest for more than that."""
    which = select(usage.c.user_id, usage.c.at, usage.c.charged).where(usage.c.request_id == request_id)
    row = connection.execute(which).one_or_none()
    if row is None:
        raise NotFound(f"There is no request {request_id!r}. Usage rows and answers name it (x-request-id).")
    paid = _outstanding(connection, request_id, row.at, row.charged)
    left = sum(paid.buckets.values())
    if left == 0:
        raise Conflict("Nothing of this request is left to give back.", reason="refunded")
    wanted = left if amount is None else amount
    if not 0 < wanted <= left:
        raise BadRequest(f"{format_pollen(left)} pollen of this request can be given back.", reason="refund")
    order = [wallet_account(row.user_id, bucket) for bucket in reversed(BUCKETS)]
    parts = _spread(wanted, [(account, paid.buckets.get(account, 0)) for account in order])
    shares = {account: _author_gives(connection, paid, account, part) for account, part in parts.items()}
    busy = next((found for found in shares.values() if isinstance(found, Busy)), None)
    if wait and busy is not None:
        return busy
    from_author = 0
    now = _now()
    for account, part in parts.items():
        found = shares[account]
        share = found.unheld if isinstance(found, Busy) else found
        if share:
            author = paid.earned[account][0]
            connection.execute(_MOVE, {"id": author, "amount": -share})
            _give_back(connection, author, account, share, actor, request_id, now)
        if part > share:
            _give_back(connection, PLATFORM, account, part - share, actor, request_id, now)
        from_author += share
        recall_later(connection, row.user_id, account.rpartition("/")[2])
    for account, charged in paid.budgets.items():
        if part := min(wanted, charged):
            _give_back(connection, BUDGETS, account, part, actor, request_id, now)
            parts[account] = part
            refit(connection, account, actor)
    return Refund(row.user_id, wanted, left - wanted, parts, from_author)


def _author_gives(connection: Connection, paid: _Paid, account: str, part: int) -> int | Busy:
    """What an author returns of ``part``, which is given back to ``account``. ``Busy`` asks workers for what they hold of
    it."""
    author, earned = paid.earned.get(account, ("", 0))
    wanted = earned * part // paid.buckets[account]
    if not wanted:
        return 0
    stored = ledger_accounts.c
    balance, held = connection.execute(select(stored.balance, stored.held).where(stored.id == author)).one()
    if balance - held < min(wanted, balance):
        connection.execute(_RECALL, {"account": author})
        return Busy(balance - held, balance)
    return min(wanted, balance)


def give_back(connection: Connection, request_id: str) -> None:
    """Refunds a request whose worker died before its answer was kept: nobody has it. Nothing where nothing was charged."""
    with contextlib.suppress(NotFound, Conflict):
        refund(connection, request_id, "lost answer")


def _outstanding(connection: Connection, request_id: str, at: int, charged: int) -> _Paid:
    """What each account paid for a request and has not got back, and what its app's author earned and has not returned."""
    sides: dict[bool, dict[str, int]] = {True: {}, False: {}}
    earned: dict[str, tuple[str, int]] = {}

    def add(account: str, other: str, amount: int) -> None:
        side = sides[other == BUDGETS]
        side[account] = side.get(account, 0) + amount
        if other not in (BUDGETS, PLATFORM):
            earned[account] = (other, earned.get(account, (other, 0))[1] + amount)

    for row in _charges(connection, request_id, at, charged):
        add(row.debit, row.credit, row.amount)
    for row in connection.execute(_REFUNDS, {"request": request_id}):
        add(row.credit, row.debit, -row.amount)
    return _Paid(sides[False], sides[True], earned)


def _charges(connection: Connection, request_id: str, at: int, charged: int) -> Sequence[Row[Any]]:
    """The transfers that charged a request, of which no index tells: they were written together, some time after it
    began. Looks there, and further and further; everywhere when the clock was set back meanwhile."""
    if not charged:
        return ()
    first, rows = _first_since(connection, at - _CLOCKS_MS), _FIRST_LOOK
    end = connection.execute(_LAST).scalar_one()
    while True:
        found = connection.execute(_CHARGES, {"request": request_id, "first": first, "end": first + rows}).all()
        whole = sum(row.amount for row in found if row.credit != BUDGETS) == charged
        if whole and found[-1].id + _LEGS < first + rows:
            return found
        if first + rows > end:
            break
        rows *= 8
    return found if whole else connection.execute(_CHARGES, {"request": request_id, "first": 0, "end": end + 1}).all()


def _first_since(connection: Connection, at: int) -> int:
    """The number of the first transfer at a time or later, as far as the clock only ever went on."""
    low, high = connection.execute(_FIRST).scalar_one(), connection.execute(_LAST).scalar_one() + 1
    while low < high:
        middle = connection.execute(_NEXT, {"id": (low + high) // 2}).one()
        if middle.at >= at:
            high = (low + high) // 2
        else:
            low = middle.id + 1
    return low


def _spread(amount: int, most: Iterable[tuple[str, int]]) -> dict[str, int]:
    parts: dict[str, int] = {}
    for account, limit in most:
        if part := min(amount, limit):
            parts[account] = part
            amount -= part
    return parts


def _give_back(
    connection: Connection, debit: str, account: str, amount: int, actor: str, request_id: str, now: int
) -> None:
    connection.execute(_MOVE, {"id": account, "amount": amount})
    append(connection, [Transfer(debit, account, amount, "refund", actor, request_id)], now)


def _now() -> int:
    return int(time.time() * 1000)


#: By how much the clocks of hosts may differ.
_CLOCKS_MS = 60_000
#: Transfers in the first look, and more than one request can have.
_FIRST_LOOK, _LEGS = 2_000, 100
_FIRST = text("SELECT COALESCE(MIN(id), 1) FROM transfers")
_LAST = text("SELECT COALESCE(MAX(id), 0) FROM transfers")
_NEXT = text("SELECT id, at FROM transfers WHERE id >= :id ORDER BY id LIMIT 1")
_CHARGES = text(
    "SELECT id, debit, credit, amount FROM transfers "
    "WHERE id >= :first AND id < :end AND request_id = :request AND reason IN ('charge', 'markup') ORDER BY id"
)
_REFUNDS = text("SELECT debit, credit, amount FROM transfers WHERE request_id = :request AND reason = 'refund'")
_MOVE = text("UPDATE ledger_accounts SET balance = balance + :amount WHERE id = :id AND balance - held + :amount >= 0")
_RECALL = text("UPDATE leases SET state = 1 WHERE account_id = :account AND state = 0")
