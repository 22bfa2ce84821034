"""The limiter of publishable keys, refills, and sign-in links."""

from __future__ import annotations

import asyncio
import time

import pytest

from openpollen.accounts.limiter import Limiter, LimiterSettings
from openpollen.accounts.login import Redeemed, create_link, link_is_live, redeem_link
from openpollen.accounts.tiers import Refills, Tiers
from openpollen.accounts.users import User, create_user, set_banned
from openpollen.core.errors import BadRequest, PaymentRequired, RateLimited, Unauthorized
from openpollen.core.money import NANO
from openpollen.ledger.credit import balances, grant
from openpollen.ledger.verify import verify
from openpollen.storage.database import Database
from tests.dump import everything

CENT = NANO // 100


def turn_back(database: Database, table: str, column: str, ms: int) -> None:
    """Makes everything in a table older."""
    database.write_sync(lambda c: c.exec_driver_sql(f"UPDATE {table} SET {column} = {column} - {ms}").rowcount)


def test_one_call_at_a_time_for_each_client(database: Database) -> None:
    async def work() -> None:
        here, there = Limiter(database), Limiter(database)
        ticket = await here.begin("key_1", "1.2.3.4", "r1", CENT)
        with pytest.raises(RateLimited):
            await there.begin("key_1", "1.2.3.4", "r2", 0)
        await there.begin("key_1", "5.6.7.8", "r3", CENT)
        await there.begin("key_2", "1.2.3.4", "r4", CENT)
        await here.finish(ticket, 0)
        await there.begin("key_1", "1.2.3.4", "r5", CENT)

    asyncio.run(work())


def test_the_bound_is_taken_first_and_the_real_cost_settled_after(database: Database) -> None:
    async def work() -> None:
        limiter = Limiter(database)
        for number in range(5):
            await limiter.finish(await limiter.begin("key_1", "1.2.3.4", f"r{number}", 10 * CENT), 0)
        await limiter.finish(await limiter.begin("key_1", "1.2.3.4", "big", 8 * CENT), 8 * CENT)
        with pytest.raises(RateLimited) as refused:
            await limiter.begin("key_1", "1.2.3.4", "r6", 5 * CENT)
        # 3 cents are missing and come back at 1 pollen an hour.
        assert refused.value.retry_after is not None
        assert 100 <= refused.value.retry_after <= 108
        turn_back(database, "limits", "at", 110_000)
        await limiter.begin("key_1", "1.2.3.4", "r7", 5 * CENT)

    asyncio.run(work())


def test_what_never_fits_is_no_matter_of_waiting(database: Database) -> None:
    with pytest.raises(PaymentRequired) as refused:
        asyncio.run(Limiter(database).begin("key_1", "1.2.3.4", "r1", 11 * CENT))
    assert refused.value.reason == "publishable_limit"


def test_a_call_that_never_ended_counts_in_full(database: Database) -> None:
    async def work() -> None:
        limiter = Limiter(database)
        await limiter.begin("key_1", "1.2.3.4", "lost", 10 * CENT)
        turn_back(database, "limits", "busy_until", 3_600_000)
        with pytest.raises(RateLimited):
            await limiter.begin("key_1", "1.2.3.4", "r2", 5 * CENT)

    asyncio.run(work())


def test_all_addresses_together_have_a_daily_total(database: Database) -> None:
    async def work() -> None:
        limiter = Limiter(database, LimiterSettings(daily_total=25 * CENT))
        for number in range(2):
            ticket = await limiter.begin("key_1", f"10.0.0.{number}", f"r{number}", 10 * CENT)
            await limiter.finish(ticket, 10 * CENT)
        with pytest.raises(RateLimited) as refused:
            await limiter.begin("key_1", "10.0.0.9", "r9", 10 * CENT)
        assert refused.value.reason == "daily_total"
        await limiter.begin("key_1", "10.0.0.9", "r10", 5 * CENT)
        turn_back(database, "limits", "at", 86_400_000)
        await limiter.begin("key_1", "10.0.0.8", "r11", 10 * CENT)

    asyncio.run(work())


def test_a_call_that_ends_after_midnight_frees_nothing_of_the_new_day(database: Database) -> None:
    async def work() -> None:
        limiter = Limiter(database, LimiterSettings(daily_total=20 * CENT))
        late = await limiter.begin("key_1", "10.0.0.1", "r1", 10 * CENT)
        turn_back(database, "limits", "at", 86_400_000)
        await limiter.begin("key_1", "10.0.0.2", "r2", 10 * CENT)
        await limiter.finish(late, 0)
        await limiter.begin("key_1", "10.0.0.3", "r3", 10 * CENT)
        with pytest.raises(RateLimited):
            await limiter.begin("key_1", "10.0.0.4", "r4", CENT)

    asyncio.run(work())


def test_addresses_are_hashed_and_forgotten_after_a_day(database: Database) -> None:
    async def work() -> None:
        limiter = Limiter(database)
        await limiter.finish(await limiter.begin("key_1", "203.0.113.77", "r1", CENT), CENT)
        dump = everything(database)
        assert "203.0.113.77" not in dump
        turn_back(database, "limits", "at", 86_400_000 + 1)
        assert await limiter.sweep() == 2

    asyncio.run(work())


@pytest.fixture
def user(database: Database) -> User:
    return database.write_sync(lambda c: create_user(c, "Ann", tier="flower"))


@pytest.mark.parametrize(("before", "after"), [(0, 40), (10, 40), (40, 40), (90, 90)])
def test_a_refill_is_a_floor_once_an_hour(database: Database, user: User, before: int, after: int) -> None:
    tiers = Tiers()

    async def work() -> None:
        if before:
            await database.write(lambda c: grant(c, user.id, before * CENT, "tier", "grant", "test"))
        now = int(time.time() * 1000)
        for _ in range(3):
            await Refills(database, tiers).before_call(user)
            await database.write(lambda c: tiers.refill(c, user.id, user.tier, now))

    asyncio.run(work())
    assert database.read_sync(lambda c: balances(c, user.id)).tier == after * CENT
    assert database.read_sync(verify)["ok"]


def test_the_next_hour_refills_again_and_never_stacks(database: Database, user: User) -> None:
    tiers = Tiers()
    now = 1_795_381_674_841
    for hour in (0, 0, 1, 2, 2):
        database.write_sync(lambda c, hour=hour: tiers.refill(c, user.id, user.tier, now + hour * 3_600_000))
    assert database.read_sync(lambda c: balances(c, user.id)).tier == 40 * CENT


def test_old_marks_of_refills_are_forgotten(database: Database, user: User) -> None:
    now = int(time.time() * 1000)
    for hours in (0, 47, 49, 200):
        database.write_sync(lambda c, hours=hours: Tiers().refill(c, user.id, user.tier, now - hours * 3_600_000))

    async def work() -> int:
        return await Refills(database, Tiers()).sweep()

    assert asyncio.run(work()) == 2
    assert asyncio.run(work()) == 0


def test_next_reset_is_the_coming_full_hour() -> None:
    tiers = Tiers()
    assert tiers.next_reset("flower", 1_774_432_799) == "2026-03-25T10:00:00.000Z"
    assert tiers.next_reset("flower", 1_774_432_800) == "2026-03-25T11:00:00.000Z"
    assert tiers.next_reset("microbe") is None
    with pytest.raises(BadRequest, match="microbe, spore"):
        tiers.check("gold")


def test_a_link_signs_in_once_for_ten_minutes_and_is_stored_hashed(database: Database, user: User) -> None:
    token = database.write_sync(lambda c: create_link(c, user.id))
    assert len(token) >= 22
    assert token not in everything(database)
    assert database.read_sync(lambda c: link_is_live(c, token))
    assert database.write_sync(lambda c: redeem_link(c, token)).user == user
    for used in (token, "unknown"):
        assert not database.read_sync(lambda c, used=used: link_is_live(c, used))
        with pytest.raises(Unauthorized):
            database.write_sync(lambda c, used=used: redeem_link(c, used))
    late = database.write_sync(lambda c: create_link(c, user.id))
    turn_back(database, "login_links", "expires_at", 601_000)
    with pytest.raises(Unauthorized):
        database.write_sync(lambda c: redeem_link(c, late))


def test_a_closed_account_cannot_sign_in(database: Database, user: User) -> None:
    token = database.write_sync(lambda c: create_link(c, user.id))
    database.write_sync(lambda c: set_banned(c, user.id, True))
    with pytest.raises(Unauthorized, match="closed"):
        database.write_sync(lambda c: redeem_link(c, token))


def test_two_redemptions_at_once_are_one(database: Database, user: User) -> None:
    token = database.write_sync(lambda c: create_link(c, user.id))

    async def work() -> list[object]:
        return await asyncio.gather(
            *(database.write(lambda c: redeem_link(c, token)) for _ in range(10)), return_exceptions=True
        )

    outcomes = asyncio.run(work())
    assert sum(isinstance(outcome, Redeemed) for outcome in outcomes) == 1
