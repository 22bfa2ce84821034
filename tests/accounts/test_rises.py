"""An owner whose apps others pay in rises by the rules that the operator set, and stays where a person put them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from sqlalchemy import insert, update

from openpollen.accounts import audit
from openpollen.accounts.keys import create_key
from openpollen.accounts.rises import Rise, Rises, Rules, rise
from openpollen.accounts.tiers import Tiers
from openpollen.accounts.users import User, create_user, get_user, set_banned, set_tier
from openpollen.accounts.wanted_keys import NewKey
from openpollen.core.money import NANO
from openpollen.storage.database import Connection, Database
from openpollen.storage.schema import usage_apps, users

RULES = Rules({"spore": 10 * NANO, "seed": 100 * NANO, "router": 0}, users=3, age_days=7)
TIERS = Tiers()
_DAY_MS = 86_400_000
T = TypeVar("T")


def write(database: Database, act: Callable[[Connection], T]) -> T:
    async def run() -> T:
        return await database.write(act)

    return asyncio.run(run())


class Stage:
    """An owner with one app, and payers who spend in it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.owner = self.person("owner")
        self.app = self.app_of(self.owner)

    def person(self, name: str, days: int = 8) -> User:
        born = int(time.time() * 1000) - days * _DAY_MS

        def make(connection: Connection) -> User:
            user = create_user(connection, name, tier="microbe")
            connection.execute(update(users).where(users.c.id == user.id).values(created_at=born))
            return user

        return write(self.database, make)

    def app_of(self, owner: User) -> str:
        wanted = NewKey(name="app", type="publishable", app_url="https://app.example")
        return write(self.database, lambda connection: create_key(connection, owner.id, wanted))[0].id

    def spend(self, user: User, pollen: float, bucket: str = "pack", days_ago: int = 0) -> None:
        day = (datetime.now(UTC) - timedelta(days=days_ago)).strftime("%Y-%m-%d")
        row = {"app_key_id": self.app, "date": day, "user_id": user.id, "meter_source": bucket, "requests": 1}
        write(
            self.database,
            lambda connection: connection.execute(insert(usage_apps).values(cost=int(pollen * NANO), **row)),
        )

    def rise(self, rules: Rules = RULES) -> list[Rise]:
        return write(self.database, lambda connection: rise(connection, rules, TIERS))

    @property
    def tier(self) -> str:
        return write(self.database, lambda connection: get_user(connection, self.owner.id)).tier


@pytest.fixture
def stage(database: Database) -> Stage:
    return Stage(database)


def test_an_owner_rises_to_the_highest_tier_that_was_earned_and_the_trail_says_so(stage: Stage) -> None:
    for number, pollen in enumerate((40, 40, 20)):
        stage.spend(stage.person(f"payer-{number}"), pollen, "crypto" if number else "pack")
    assert stage.rise() == [Rise(stage.owner.id, "microbe", "seed", 100 * NANO, 3)]
    assert stage.tier == "seed"
    trail = write(
        stage.database, lambda connection: audit.trail(connection, subject=stage.owner.id, action="user.tier")
    )
    assert [(row["actor"], row["details"]) for row in trail] == [("rises", {"before": "microbe", "after": "seed"})]
    assert stage.rise() == []


def test_what_does_not_count(stage: Stage) -> None:
    """Two of the three that are needed pay enough; each of the others misses a rule."""
    for number in range(2):
        stage.spend(stage.person(f"payer-{number}"), 100)
    stage.spend(stage.owner, 100)
    stage.spend(stage.person("young", days=6), 100)
    stage.spend(stage.person("on the house"), 100, "tier")
    stage.spend(stage.person("free"), 0)
    stage.spend(stage.person("long ago"), 100, days_ago=31)
    banned = stage.person("banned")
    stage.spend(banned, 100)
    write(stage.database, lambda connection: set_banned(connection, banned.id, True))
    assert stage.rise() == []
    assert stage.rise(Rules(RULES.at, users=2)) == [Rise(stage.owner.id, "microbe", "seed", 200 * NANO, 2)]


@pytest.mark.parametrize("rules", [Rules(RULES.at, users=0), Rules({}), Rules({"seed": 0}, users=1)])
def test_rules_that_are_off_move_nobody(stage: Stage, rules: Rules) -> None:
    for number in range(5):
        stage.spend(stage.person(f"payer-{number}"), 100)
    assert stage.rise(rules) == []


def test_who_was_moved_by_hand_stays_and_an_undone_rise_is_not_done_again(stage: Stage) -> None:
    for number in range(3):
        stage.spend(stage.person(f"payer-{number}"), 10)
    assert [risen.after for risen in stage.rise()] == ["spore"]
    write(stage.database, lambda connection: set_tier(connection, stage.owner.id, "microbe", actor="usr_admin"))
    assert stage.rise() == []
    assert stage.tier == "microbe"


def test_nobody_falls(stage: Stage) -> None:
    for number in range(3):
        stage.spend(stage.person(f"payer-{number}"), 100)
    stage.rise()
    assert stage.rise(Rules({"spore": 10 * NANO}, users=3)) == []
    assert stage.tier == "seed"


def test_an_hours_rises_are_looked_for_once_by_whichever_worker_comes_first(stage: Stage) -> None:
    for number in range(3):
        stage.spend(stage.person(f"payer-{number}"), 10)
    workers = [Rises(stage.database, RULES, TIERS) for _ in range(2)]
    assert [asyncio.run(worker.sweep()) for worker in (*workers, workers[0])] == [1, 0, 0]
