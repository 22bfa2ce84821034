"""Tiers: how much free pollen an account is topped up to each hour (rule 29). A refill is a floor; unused pollen
never stacks.

Refills are worked out when they matter: an account is topped up on its first call of an hour, once, by a unique key.
So an idle account costs nothing and a server that was down owes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from msgspec import Struct, field

from openpollen.accounts.once import first_time, forget
from openpollen.accounts.users import User
from openpollen.core.errors import BadRequest
from openpollen.core.money import NANO
from openpollen.ledger.credit import refill
from openpollen.ledger.entries import iso
from openpollen.storage.database import Connection, Database

_HOUR_MS = 3_600_000
_CENT = NANO // 100

#: Hourly floors in nano-pollen of the contract's period, 25 March 2026. An installation may set its own.
HOURLY: Mapping[str, int] = {
    "microbe": 0,
    "spore": 1 * _CENT,
    "seed": 15 * _CENT,
    "flower": 40 * _CENT,
    "nectar": 80 * _CENT,
    "router": 10 * NANO,
}


class Tiers(Struct, frozen=True):
    """The tiers of an installation: nano-pollen an hour for each, and where new accounts start."""

    hourly: Mapping[str, int] = field(default_factory=lambda: HOURLY)
    default: str = "microbe"

    def check(self, tier: str) -> str:
        """The tier itself. Raises BadRequest for one that does not exist."""
        if tier not in self.hourly:
            raise BadRequest(f"There is no tier {tier!r}: choose one of {', '.join(self.hourly)}.")
        return tier

    def next_reset(self, tier: str, now: float | None = None) -> str | None:
        """When the tier is next topped up: the coming full hour, UTC; ``None`` for a tier without refill. ``now`` is
        in seconds."""
        if not self.hourly.get(tier):
            return None
        moment = datetime.fromtimestamp(time.time() if now is None else now, UTC)
        return iso(moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1))

    def refill(self, connection: Connection, user_id: str, tier: str, now: int) -> int:
        """Tops an account up unless this hour's refill was given. Returns what was added; ``now`` is in
        milliseconds."""
        floor = self.hourly.get(tier, 0)
        if not floor:
            return 0
        if not first_time(connection, f"refill:{user_id}:{now // _HOUR_MS}", now):
            return 0
        return refill(connection, user_id, floor)


class Refills:
    """Refills of one worker: remembers whom it topped up this hour, so that a call costs a look into a dictionary."""

    def __init__(self, database: Database, tiers: Tiers) -> None:
        self._database = database
        self._tiers = tiers
        self._done: dict[str, int] = {}

    async def before_call(self, user: User) -> None:
        """Gives the user this hour's refill if it is still due."""
        if not self._tiers.hourly.get(user.tier):
            return
        now = int(time.time() * 1000)
        hour = now // _HOUR_MS
        if self._done.get(user.id) == hour:
            return
        if len(self._done) > 100_000:
            self._done.clear()
        await self._database.write(lambda connection: self._tiers.refill(connection, user.id, user.tier, now))
        self._done[user.id] = hour

    async def sweep(self) -> int:
        """Forgets the marks of refills more than two days old and returns how many went."""
        before = int(time.time() * 1000) - 48 * _HOUR_MS
        return await self._database.write(lambda connection: forget(connection, "refill:", before))
