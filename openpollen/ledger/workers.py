"""The worker processes of an installation, by the leases that they keep renewing."""

from __future__ import annotations

import time

from msgspec import Struct
from sqlalchemy import select

from openpollen.storage.database import Connection
from openpollen.storage.schema import ledger_workers


class LiveWorker(Struct, frozen=True):
    """A worker that renewed its leases lately; ``epoch`` counts how often it began anew."""

    name: str
    epoch: int


def live_workers(connection: Connection) -> list[LiveWorker]:
    """Workers that hold money set aside now: those that served a paid call lately."""
    live = select(ledger_workers).where(ledger_workers.c.expires_at > int(time.time() * 1000))
    return [LiveWorker(row.name, row.epoch) for row in connection.execute(live.order_by(ledger_workers.c.name))]
