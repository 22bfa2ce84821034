"""Credit that comes from outside, and what a wallet and a budget have: for use inside a transaction of the caller."""

from __future__ import annotations

import time
from collections.abc import Sequence

from msgspec.structs import asdict
from sqlalchemy import insert, select, text

from openpollen.core.errors import BadRequest, Conflict
from openpollen.core.money import MAX_POLLEN, NANO
from openpollen.ledger.entries import BUCKETS, BUDGETS, OUTSIDE, Balances, KeyBudget, Transfer, wallet_account
from openpollen.ledger.statements import later_accounts
from openpollen.storage.database import Connection
from openpollen.storage.schema import api_keys, ledger_accounts, transfers


def grant(connection: Connection, user_id: str, amount: int, bucket: str, reason: str, actor: str) -> Balances:
    """Adds credit from outside to a bucket and returns the wallet after it. Raises BadRequest for an amount that is 0,
    negative or too large."""
    if bucket not in BUCKETS:
        raise BadRequest(f"There is no bucket {bucket!r}: choose one of {', '.join(BUCKETS)}.")
    if not 0 < amount <= MAX_POLLEN * NANO:
        raise BadRequest(f"A grant is more than 0 and at most {MAX_POLLEN:,} pollen.")
    if balances(connection, user_id).total + amount > MAX_POLLEN * NANO:
        raise BadRequest(f"A wallet holds at most {MAX_POLLEN:,} pollen.")
    now = int(time.time() * 1000)
    account = wallet_account(user_id, bucket)
    connection.execute(_CREDIT, {"id": account, "owner": user_id, "amount": amount, "now": now})
    append(connection, [Transfer(OUTSIDE, account, amount, reason, actor)], now)
    recall_later(connection, user_id, bucket)
    return balances(connection, user_id)


def refill(connection: Connection, user_id: str, floor: int) -> int:
    """Raises the tier bucket to ``floor`` and returns what was added; a balance at or above it stays."""
    missing = floor - balances(connection, user_id).tier
    if missing > 0:
        grant(connection, user_id, missing, "tier", "refill", "system")
    return max(0, missing)


def recall_later(connection: Connection, user_id: str, bucket: str) -> None:
    """Has workers look again before they spend a bucket that comes after this one, which now has money."""
    for account in later_accounts(user_id, bucket):
        connection.execute(_RECALL, {"account": account})


def balances(connection: Connection, user_id: str) -> Balances:
    """The buckets of a user's wallet; zeros for an unknown user."""
    names = [wallet_account(user_id, bucket) for bucket in BUCKETS]
    account = ledger_accounts.c
    found = connection.execute(select(account.id, account.balance).where(account.id.in_(names)))
    return Balances(**{row.id.rpartition("/")[2]: row.balance for row in found})


def remaining(connection: Connection, budget: KeyBudget) -> int:
    """What is left of a key's budget in its present period."""
    name = budget.account(int(time.time() * 1000))
    row = connection.execute(select(ledger_accounts.c.balance).where(ledger_accounts.c.id == name)).one_or_none()
    return budget.limit if row is None else row.balance


def resize(connection: Connection, budget: KeyBudget, actor: str) -> None:
    """Makes a key's budget of its present period as large as it is now said to be; what was spent of it stays spent.

    Raises Conflict (reason held) while workers have set aside what a smaller one takes away: ``ask_back`` first."""
    now = int(time.time() * 1000)
    name = budget.account(now)
    row = connection.execute(select(ledger_accounts).where(ledger_accounts.c.id == name)).one_or_none()
    if row is None:
        return  # it is made when it is first spent from
    given = connection.execute(_GIVEN, {"name": name}).scalar_one()
    change = max(budget.limit - given, -row.balance)
    if change == 0:
        return
    if row.balance - row.held + change < 0:
        raise Conflict("Calls that are running hold part of this budget. Try again in a few seconds.", reason="held")
    connection.execute(_RESIZE, {"name": name, "change": change})
    sides = (BUDGETS, name) if change > 0 else (name, BUDGETS)
    append(connection, [Transfer(*sides, abs(change), "budget", actor)], now)


def refit(connection: Connection, account: str, actor: str) -> None:
    """Cuts a budget to what its key's limit leaves, after what was spent of it has come back: the limit may have been
    lowered meanwhile. An earlier period's is left alone, nobody spends from it."""
    key_id = account.partition("/")[0]
    key = api_keys.c
    row = connection.execute(select(key.budget_limit, key.budget_period).where(key.id == key_id)).one_or_none()
    if row is None or row.budget_limit is None:
        return
    budget = KeyBudget(key_id, row.budget_limit, row.budget_period)
    if budget.account(int(time.time() * 1000)) == account:
        resize(connection, budget, actor)


def ask_back(connection: Connection, budget: KeyBudget) -> None:
    """Asks workers for what they have set aside of a budget; what no open call needs is free within a second."""
    connection.execute(_RECALL, {"account": budget.account(int(time.time() * 1000))})


def append(connection: Connection, entries: Sequence[Transfer], now: int) -> None:
    """Appends transfers. Whoever calls this changes the stored balances in the same transaction."""
    connection.execute(insert(transfers), [{"at": now, **asdict(entry)} for entry in entries])


_CREDIT = text(
    "INSERT INTO ledger_accounts (id, owner, kind, balance, held, opened_at) "
    "VALUES (:id, :owner, 'wallet', :amount, 0, :now) "
    "ON CONFLICT (id) DO UPDATE SET balance = ledger_accounts.balance + excluded.balance"
)
_GIVEN = text(
    "SELECT COALESCE(SUM(CASE WHEN credit = :name THEN amount ELSE -amount END), 0) FROM transfers "
    "WHERE reason = 'budget' AND (credit = :name OR debit = :name)"
)
_RESIZE = text("UPDATE ledger_accounts SET balance = balance + :change WHERE id = :name")
_RECALL = text("UPDATE leases SET state = 1 WHERE account_id = :account AND state = 0")
