"""The few statements that every part of the ledger shares. Amounts only ever move relative to what is stored, so a
constraint of the table, and not a stale figure, decides whether they fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from openpollen.ledger.entries import BUCKETS, wallet_account
from openpollen.storage.database import Driver

#: How long a worker's leases stand without a word from it.
LEASE_MS = 5_000

#: When, debit, credit, amount, reason, actor, request id.
TransferRow = tuple[int, str, str, int, str, str, str | None]

_ACCOUNT = "UPDATE ledger_accounts SET balance = balance + ?, held = held + ? WHERE id = ?"
_LEASE = "UPDATE leases SET amount = amount + ? WHERE account_id = ? AND worker = ?"
_TRANSFER = "INSERT INTO transfers (at, debit, credit, amount, reason, actor, request_id) VALUES (?, ?, ?, ?, ?, ?, ?)"
_ASK = "UPDATE leases SET state = 1 WHERE account_id = ? AND worker <> ? AND state = 0"


def select(driver: Driver, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    return cast("list[tuple[Any, ...]]", driver.execute(sql, values).fetchall())


def adjust(driver: Driver, worker: str, deltas: Mapping[str, Sequence[int]]) -> None:
    """Changes accounts by (balance, held) and this worker's leases of them by the third figure."""
    accounts = [(balance, held, name) for name, (balance, held, _) in deltas.items() if balance or held]
    leases = [(lease, name, worker) for name, (_, _, lease) in deltas.items() if lease]
    if accounts:
        driver.executemany(_ACCOUNT, accounts)
    if leases:
        driver.executemany(_LEASE, leases)


def store_transfers(driver: Driver, rows: Sequence[TransferRow]) -> None:
    """Appends transfers. Whoever calls this changes the stored balances in the same transaction."""
    if rows:
        driver.executemany(_TRANSFER, rows)


def ask(driver: Driver, accounts: Iterable[str], worker: str) -> bool:
    """Recalls what other workers than this one have leased of these accounts. False when there is nothing."""
    return sum(driver.execute(_ASK, (account, worker)).rowcount for account in accounts) > 0


def later_accounts(user_id: str, bucket: str) -> list[str]:
    """The buckets that are only spent after this one: their leases must look again when it has money."""
    names: list[str] = [*BUCKETS]
    return [wallet_account(user_id, name) for name in names[names.index(bucket) + 1 :]]
