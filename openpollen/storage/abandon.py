"""What a dead worker left is free for others at once, without waiting for its leases to run out."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ColumnElement, update

from openpollen.storage.database import Connection
from openpollen.storage.schema import deliveries, idempotency, jobs


def abandon(connection: Connection, worker: str) -> None:
    """Ends a worker's leases of jobs, keys and deliveries; those of all whose name starts so when it ends with a dash."""
    connection.execute(update(jobs).where(_named(jobs.c.worker, worker)).values(lease_until=0))
    connection.execute(update(deliveries).where(_named(deliveries.c.worker, worker)).values(lease_until=0))
    owners = idempotency.c.owner.startswith(worker if worker.endswith("-") else f"{worker}/", autoescape=True)
    connection.execute(update(idempotency).where(owners, idempotency.c.status.is_(None)).values(lease_until=0))


def _named(column: Column[Any], worker: str) -> ColumnElement[bool]:
    return column.startswith(worker, autoescape=True) if worker.endswith("-") else column == worker
