"""Rises: an account whose apps others pay in goes to a higher tier by itself (rule 29). What counts is pack and crypto
pollen of the last 30 days, from accounts that are some days old, and enough of them.

A tier that a person set stays as it is; whoever undoes a rise does it by setting the tier. Nobody falls by themselves.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from msgspec import Struct
from sqlalchemy import func, select

from openpollen.accounts import audit
from openpollen.accounts.once import first_time, forget
from openpollen.accounts.tiers import Tiers
from openpollen.accounts.users import set_tier
from openpollen.storage.database import Connection, Database
from openpollen.storage.schema import api_keys, usage_apps, users
from openpollen.usage.days import DAY_MS, days_ago

#: Who is named in the audit trail.
ACTOR = "rises"
_DAYS = 30
_HOUR_MS = 3_600_000


class Rules(Struct, frozen=True):
    """``at``: the nano-pollen that lead to each tier, 0 for a tier that nobody rises to; ``users`` at least have spent it (0
    turns rises off), with accounts over ``age_days`` old."""

    at: Mapping[str, int]
    users: int = 5
    age_days: int = 7

    @property
    def on(self) -> bool:
        return self.users > 0 and any(self.at.values())


class Rise(Struct, frozen=True):
    """An account that went up, and what for; ``spent`` is nano-pollen."""

    user_id: str
    before: str
    after: str
    spent: int
    users: int


def rise(connection: Connection, rules: Rules, tiers: Tiers, now: int | None = None) -> list[Rise]:
    """Moves every account up that has earned it. ``now`` is in milliseconds."""
    if not rules.on:
        return []
    now = int(time.time() * 1000) if now is None else now
    risen: list[Rise] = []
    for user_id, before, spent, payers in _earned(connection, rules, now):
        after = _highest(rules, tiers, spent)
        higher = after is not None and tiers.hourly[after] > tiers.hourly.get(before, 0)
        if after is None or not higher or audit.last_actor(connection, user_id, "user.tier") not in (None, ACTOR):
            continue
        set_tier(connection, user_id, after, actor=ACTOR)
        risen.append(Rise(user_id, before, after, spent, payers))
    return risen


class Rises:
    """The rises of an installation: looked for once an hour, by whichever worker comes first."""

    def __init__(self, database: Database, rules: Rules, tiers: Tiers) -> None:
        self._database = database
        self._rules = rules
        self._tiers = tiers
        self._hour = 0

    async def sweep(self) -> int:
        """Moves up who has earned it, unless that was done this hour, and returns how many rose."""
        now = int(time.time() * 1000)
        if not self._rules.on or now // _HOUR_MS == self._hour:
            return 0
        self._hour = now // _HOUR_MS

        def look(connection: Connection) -> int:
            if not first_time(connection, f"rises:{now // _HOUR_MS}", now):
                return 0
            forget(connection, "rises:", now - 48 * _HOUR_MS)
            return len(rise(connection, self._rules, self._tiers, now))

        return await self._database.write(look)


def _earned(connection: Connection, rules: Rules, now: int) -> list[tuple[str, str, int, int]]:
    """Owners of apps with their tier, what others spent there and how many they were."""
    payer, owner = users.alias("payer"), users.alias("owner")
    spent, payers = func.sum(usage_apps.c.cost), func.count(func.distinct(payer.c.id))
    rows = (
        select(owner.c.id, owner.c.tier, spent, payers)
        .select_from(usage_apps)
        .join(api_keys, api_keys.c.id == usage_apps.c.app_key_id)
        .join(owner, owner.c.id == api_keys.c.user_id)
        .join(payer, payer.c.id == usage_apps.c.user_id)
        .where(
            usage_apps.c.date > days_ago(_DAYS, now),
            usage_apps.c.meter_source.in_(("pack", "crypto")),
            usage_apps.c.cost > 0,
            payer.c.id != owner.c.id,
            payer.c.created_at < now - rules.age_days * DAY_MS,
            payer.c.banned_at.is_(None),
            owner.c.banned_at.is_(None),
        )
        .group_by(owner.c.id, owner.c.tier)
        .having(payers >= rules.users)
    )
    return [(row[0], row[1], int(row[2]), int(row[3])) for row in connection.execute(rows)]


def _highest(rules: Rules, tiers: Tiers, spent: int) -> str | None:
    """The tier with the largest refill that so much leads to."""
    reached = (tier for tier, least in rules.at.items() if 0 < least <= spent)
    return max(reached, key=lambda tier: tiers.hourly[tier], default=None)
