"""What a publishable key may spend of its owner's pollen (rule 32): a little at a time for each client, and so
much a day in all.

For each key and client address a bucket of 0.1 pollen refills at 1 pollen an hour, and one call runs at a time. The
most a call can cost is taken first and the real cost settled after. The state lies in the database, so all workers
count together. Addresses are stored as keyed hashes and forgotten after 24 hours.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from typing import Any

from msgspec import Struct
from sqlalchemy import Row, delete, insert, select, update

from openpollen.accounts.server_secrets import make_secret
from openpollen.core.errors import PaymentRequired, RateLimited
from openpollen.core.money import NANO, format_pollen
from openpollen.storage.database import Connection, Database
from openpollen.storage.schema import limits

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_CALL_MS = 600_000
_ALL = "*"
#: How long a call waits for one of the same client that is just ending, in seconds: an answer is sent before its end is in
#: the database, and who waited for the whole answer has nothing more to wait for.
_PAUSES_S = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)


class LimiterSettings(Struct, frozen=True):
    """Nano-pollen: what a client can spend at once, what it gets back in an hour, and what the key spends in a UTC
    day in all."""

    capacity: int = NANO // 10
    refill: int = NANO
    daily_total: int = 10 * NANO


class Ticket(Struct, frozen=True):
    """A call let through; give it back with its real cost."""

    key_id: str
    address: str
    request_id: str


class _StillRunning(RateLimited):
    """A call of this client has not ended yet."""

    def __init__(self) -> None:
        super().__init__("One call at a time runs with a publishable key. Wait for the last one to end.", retry_after=1)


class Limiter:
    """The limiter of an installation, shared by its workers."""

    def __init__(self, database: Database, settings: LimiterSettings | None = None) -> None:
        self._database = database
        self._settings = settings or LimiterSettings()
        self._secret = b""

    async def begin(self, key_id: str, address: str, request_id: str, amount: int) -> Ticket:
        """Lets a call through that may cost ``amount``. Raises RateLimited, PaymentRequired for more than fits at
        once."""
        if amount > self._settings.capacity:
            most = format_pollen(self._settings.capacity)
            raise PaymentRequired(
                f"This call may cost {format_pollen(amount)} pollen; a publishable key spends at most {most} at once. "
                "Ask for less, or use a secret key on your server.",
                reason="publishable_limit",
                details={"required": format_pollen(amount), "available": most},
            )
        if not self._secret:
            self._secret = await self._database.write(lambda connection: make_secret(connection, "addresses"))
        hashed = hmac.new(self._secret, address.encode(), hashlib.sha256).hexdigest()[:32]
        ticket = Ticket(key_id, hashed, request_id)
        for pause in _PAUSES_S:
            try:
                return await self._let_in(ticket, amount)
            except _StillRunning:
                await asyncio.sleep(pause)
        return await self._let_in(ticket, amount)

    async def _let_in(self, ticket: Ticket, amount: int) -> Ticket:
        await self._database.write(lambda connection: self._begin(connection, ticket, amount, int(time.time() * 1000)))
        return ticket

    async def finish(self, ticket: Ticket, cost: int) -> None:
        """Ends a call at its real cost."""
        await self._database.write(lambda connection: self._finish(connection, ticket, cost, int(time.time() * 1000)))

    async def sweep(self) -> int:
        """Forgets addresses not seen for 24 hours and returns how many went."""
        old = delete(limits).where(limits.c.at < int(time.time() * 1000) - _DAY_MS)
        return await self._database.write(lambda connection: connection.execute(old).rowcount)

    def _begin(self, connection: Connection, ticket: Ticket, amount: int, now: int) -> None:
        client = _row(connection, ticket.key_id, ticket.address)
        if client is not None and client.request_id is not None and client.busy_until > now:
            raise _StillRunning
        # A call that never ended counts as spent in full.
        spent = 0 if client is None else self._leaked(client.spent, now - client.at) + client.held
        if spent + amount > self._settings.capacity:
            missing = spent + amount - self._settings.capacity
            wait = -(-missing * _HOUR_MS // self._settings.refill // 1000) if self._settings.refill else 3600
            raise RateLimited(
                "This publishable key spends too fast from here. Wait a little.", retry_after=max(1, wait)
            )
        today = now - now % _DAY_MS
        total = _row(connection, ticket.key_id, _ALL)
        day_spent, day_held = (0, 0) if total is None or total.at < today else (total.spent, total.held)
        if day_spent + day_held + amount > self._settings.daily_total:
            wait = (today + _DAY_MS - now) // 1000 + 1
            raise RateLimited(
                "This publishable key has spent what it may in a day.", reason="daily_total", retry_after=wait
            )
        everyone = Ticket(ticket.key_id, _ALL, ticket.request_id)
        _store(connection, client, ticket, spent=spent, at=now, held=amount, request_id=ticket.request_id)
        _store(connection, total, everyone, spent=day_spent, at=now, held=day_held + amount, request_id=None)

    def _finish(self, connection: Connection, ticket: Ticket, cost: int, now: int) -> None:
        client = _row(connection, ticket.key_id, ticket.address)
        if client is None or client.request_id != ticket.request_id:
            return
        spent = self._leaked(client.spent, now - client.at) + cost
        _store(connection, client, ticket, spent=spent, at=now, held=0, request_id=None)
        total = _row(connection, ticket.key_id, _ALL)
        if total is not None and client.at // _DAY_MS >= total.at // _DAY_MS:  # else it began before today's count
            everyone = Ticket(ticket.key_id, _ALL, ticket.request_id)
            held = max(0, total.held - client.held)
            _store(connection, total, everyone, spent=total.spent + cost, at=total.at, held=held, request_id=None)

    def _leaked(self, spent: int, ms: int) -> int:
        return max(0, spent - max(0, ms) * self._settings.refill // _HOUR_MS)


def _row(connection: Connection, key_id: str, address: str) -> Row[Any] | None:
    here = (limits.c.key_id == key_id, limits.c.address == address)
    return connection.execute(select(limits).where(*here)).one_or_none()


def _store(connection: Connection, row: Row[Any] | None, ticket: Ticket, **values: Any) -> None:
    values["busy_until"] = values["at"] + _CALL_MS
    if row is None:
        connection.execute(insert(limits).values(key_id=ticket.key_id, address=ticket.address, **values))
    else:
        here = (limits.c.key_id == ticket.key_id, limits.c.address == ticket.address)
        connection.execute(update(limits).where(*here).values(**values))
