"""Gives back what dead or silent workers had set aside."""

from __future__ import annotations

import time
from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import text

from openpollen.ledger.statements import select
from openpollen.storage.database import Connection, Driver


class Reclaim(Struct, frozen=True):
    """Take back everything of a dead worker; of all whose name starts so when it ends with a dash."""

    worker: str


def run(driver: Driver, items: Sequence[Reclaim]) -> list[int]:
    """Handles reclaims; each answers with the number of stored holds that were given back."""
    return [sum(reclaim(driver, name) for name in _named(driver, item.worker)) for item in items]


def reclaim(driver: Driver, worker: str, *, holds: bool = True) -> int:
    """Ends a worker's epoch: its leases go back less what was charged, and so do the holds that it had stored. Jobs'
    holds stay: their jobs answer for them. Returns the number of stored holds given back."""
    driver.execute(_BACK, (worker, worker))
    driver.execute("DELETE FROM leases WHERE worker = ?", (worker,))
    driver.execute("DELETE FROM claims WHERE worker = ?", (worker,))
    driver.execute("DELETE FROM ledger_workers WHERE name = ?", (worker,))
    return _give_back(driver, "worker = ?", worker) if holds else 0


def reclaim_expired(driver: Driver, now: int) -> int:
    """Reclaims from workers that have not been heard of for the time of a lease. Returns their number."""
    silent = select(driver, "SELECT name FROM ledger_workers WHERE expires_at < ?", (now,))
    for (name,) in silent:
        reclaim(driver, name)
    return len(silent)


def sweep(driver: Driver, items: Sequence[None]) -> list[int]:
    """Gives back stored holds that outlived their limit; answers with their number."""
    now = driver.now()
    reclaim_expired(driver, now)
    driver.execute("DELETE FROM claims WHERE expires_at < ?", (now,))
    return [_give_back(driver, "expires_at < ?", now) for _ in items]


_BACK = (
    "UPDATE ledger_accounts SET held = held - "
    "(SELECT amount FROM leases WHERE leases.account_id = ledger_accounts.id AND worker = ?) "
    "WHERE id IN (SELECT account_id FROM leases WHERE worker = ?)"
)


def _give_back(driver: Driver, which: str, value: object) -> int:
    found = select(driver, f"SELECT request_id, account_id, amount FROM holds WHERE {which}", (value,))  # noqa: S608
    if not found:
        return 0
    back = [(amount, account) for _, account, amount in found]
    driver.executemany("UPDATE ledger_accounts SET held = held - ? WHERE id = ?", back)
    ended = sorted({request_id for request_id, _, _ in found})
    driver.executemany("DELETE FROM holds WHERE request_id = ?", [(request_id,) for request_id in ended])
    return len(ended)


def known(connection: Connection, start: str) -> list[tuple[str, bool]]:
    """The workers that have set money aside and whose name starts so; with whether they have been silent for longer
    than a lease."""
    alive = {row.name for row in connection.execute(text(_HEARD), {"now": int(time.time() * 1000)})}
    return [(name, name not in alive) for (name,) in connection.execute(text(_WORKERS)) if name.startswith(start)]


_WORKERS = (
    "SELECT name FROM ledger_workers UNION SELECT worker FROM leases "
    "UNION SELECT worker FROM holds WHERE worker IS NOT NULL"
)
_HEARD = "SELECT name FROM ledger_workers WHERE expires_at >= :now"


def _named(driver: Driver, worker: str) -> list[str]:
    if not worker.endswith("-"):
        return [worker]
    return [name for (name,) in select(driver, _WORKERS) if name.startswith(worker)]
