"""Hold, settle and release: what a caller can rely on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest

from openpollen.accounts.key_changes import change_key
from openpollen.accounts.keys import create_key
from openpollen.accounts.users import create_user
from openpollen.accounts.wanted_keys import NewKey
from openpollen.core.errors import BadRequest, Conflict, PaymentRequired
from openpollen.core.usage import Usage
from openpollen.ledger.credit import remaining
from openpollen.ledger.entries import Balances, Hold, KeyBudget
from openpollen.ledger.leases import Leases
from openpollen.ledger.verify import verify
from openpollen.ledger.wallet import Wallet
from openpollen.storage.database import Database
from openpollen.usage.record import Paid
from tests.ledger.workers import USER, ask, fill, row, workers


def run(database: Database, work: Coroutine[Any, Any, Any]) -> Any:
    """Runs the scenario; whatever it did, the ledger must add up after it."""
    result = asyncio.run(work)
    problems = database.read_sync(verify)["problems"]
    assert problems == []
    return result


def test_a_hold_takes_tier_then_crypto_then_pack_and_settlement_gives_the_rest_back(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        await fill(wallet, tier=3, crypto=4, pack=10)
        hold = await wallet.hold(ask("r1", 9))
        assert [(leg.account, leg.amount) for leg in hold.legs] == [
            ("usr_1/tier", 3),
            ("usr_1/crypto", 4),
            ("usr_1/pack", 2),
        ]
        assert (await wallet.balances(USER)).total == 17, "what is only held is still there"
        paid = await wallet.settle(hold, 5, row("r1"))
        assert paid == Paid(5, (("tier", 3), ("crypto", 2)))
        assert paid.meter_source == "tier"
        assert await wallet.balances(USER) == Balances(tier=0, crypto=2, pack=10)

    run(database, work())


@pytest.mark.parametrize(("most", "held"), [(1000, 100), (60, 60)])
def test_a_call_of_open_length_holds_a_share_of_what_is_available(database: Database, most: int, held: int) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        await fill(wallet, pack=600)
        budget = KeyBudget("key_1", 400)
        hold = await wallet.hold(ask("r1", most, least=5, budgets=(budget,)))
        assert hold.amount == held
        rest = await wallet.hold(ask("r2", 1000, least=350 - held, share=0.1, budgets=(budget,)))
        assert rest.amount == 350 - held
        with pytest.raises(PaymentRequired):
            await wallet.hold(ask("r3", 1000, least=401, budgets=(budget,)))

    run(database, work())


def test_a_paid_model_never_takes_tier(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        await fill(wallet, tier=100, pack=2)
        with pytest.raises(PaymentRequired) as refused:
            await wallet.hold(ask("r1", 3, paid_only=True))
        assert refused.value.reason == "paid_only"
        hold = await wallet.hold(ask("r2", 2, paid_only=True))
        assert (await wallet.settle(hold, 2, row("r2"))).parts == (("pack", 2),)
        assert (await wallet.balances(USER)).tier == 100

    run(database, work())


def test_a_refusal_says_what_is_missing_in_decimal_pollen(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        await fill(wallet, pack=1_500_000_000)
        with pytest.raises(PaymentRequired) as refused:
            await wallet.hold(ask("r1", 2_000_000_001, next_reset="2026-03-25T11:00:00.000Z"))
        assert refused.value.reason == "wallet"
        assert refused.value.details == {
            "required": "2.000000001",
            "available": "1.5",
            "held": "0",
            "nextResetAt": "2026-03-25T11:00:00.000Z",
        }

    run(database, work())


def test_a_key_family_never_spends_more_than_its_root(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        await fill(wallet, pack=1000)
        root, left, right = KeyBudget("key_root", 10), KeyBudget("key_left", 8), KeyBudget("key_right", 8)
        hold = await wallet.hold(ask("r1", 8, budgets=(left, root)))
        await wallet.settle(hold, 8, row("r1"))
        with pytest.raises(PaymentRequired) as refused:
            await wallet.hold(ask("r2", 3, budgets=(right, root)))
        assert refused.value.reason == "key_budget"
        assert refused.value.details is not None
        assert refused.value.details["available"] == "0.000000002"
        await wallet.settle(await wallet.hold(ask("r3", 2, budgets=(right, root))), 2, row("r3"))
        with pytest.raises(PaymentRequired):
            await wallet.hold(ask("r4", 1, budgets=(right, root)))

    run(database, work())


@pytest.mark.parametrize("limit", [30, 900])
def test_the_first_call_after_a_change_counts_by_the_new_limit(database: Database, limit: int) -> None:
    """A worker that read the key before its budget was changed opens the account as the key has it now."""

    async def work() -> None:
        here = Wallet(database)
        await fill(here, pack=1000)
        user = await database.write(lambda c: create_user(c, "ann", tier="microbe"))
        key, _ = await database.write(lambda c: create_key(c, user.id, NewKey(name="k", budget="0.0000001")))
        before = key.budget
        assert before is not None
        await database.write(lambda c: change_key(c, key, {"budget_limit": limit}, actor="test"))
        await here.settle(await here.hold(ask("r1", 10, budgets=(before,))), 10, row("r1"))
        now = KeyBudget(key.id, limit)
        assert await database.read(lambda c: remaining(c, now)) == limit - 10
        await here.stop()

    run(database, work())


def test_a_budget_of_zero_refuses_everything_but_free_calls(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        await fill(wallet, pack=1000)
        empty = KeyBudget("key_1", 0)
        with pytest.raises(PaymentRequired):
            await wallet.hold(ask("r1", 1, budgets=(empty,)))
        free = await wallet.hold(ask("r2", 0, budgets=(empty,)))
        assert (await wallet.settle(free, 0, row("r2"))).charged == 0

    run(database, work())


def test_an_empty_wallet_can_make_free_calls_and_they_are_recorded(database: Database) -> None:
    async def work() -> int:
        wallet = Wallet(database)
        hold = await wallet.hold(ask("r1", 0))
        await wallet.settle(hold, 0, row("r1"))
        return database.read_sync(lambda c: c.exec_driver_sql("SELECT COUNT(*) FROM usage").scalar_one())

    assert run(database, work()) == 1


def test_a_price_above_the_hold_is_taken_from_what_is_left_and_the_rest_is_the_platforms(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        await fill(wallet, tier=2, pack=3)
        paid = await wallet.settle(await wallet.hold(ask("r1", 1)), 9, row("r1"))
        assert (paid.charged, paid.shortfall) == (5, 4)
        assert (await wallet.balances(USER)).total == 0

    run(database, work())


def test_a_price_above_the_hold_never_passes_max_cost_or_a_budget(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        await fill(wallet, pack=100)
        capped = await wallet.hold(ask("r1", 4, max_cost=6))
        assert (await wallet.settle(capped, 50, row("r1"))).charged == 6
        budget = KeyBudget("key_1", 5)
        bound = await wallet.hold(ask("r2", 4, budgets=(budget,)))
        assert (await wallet.settle(bound, 50, row("r2"))).charged == 5

    run(database, work())


def test_a_second_settlement_changes_nothing_and_answers_as_the_first(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        await fill(wallet, pack=100)
        hold = await wallet.hold(ask("r1", 10))
        first = await wallet.settle(hold, 7, row("r1"))
        again = await asyncio.gather(*(wallet.settle(hold, 9, row("r1")) for _ in range(20)))
        assert {paid.charged for paid in again} == {first.charged} == {7}
        await wallet.release(hold)
        assert await wallet.balances(USER) == Balances(pack=93)

    run(database, work())


def test_settlements_of_one_call_at_the_same_moment_are_one(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        await fill(wallet, pack=100)
        holds = [await wallet.hold(ask(f"r{number}", 10)) for number in range(3)]
        prices = [(hold, price) for hold in holds for price in (4, 5, 6)]
        await asyncio.gather(*(wallet.settle(hold, price, row(hold.request.request_id)) for hold, price in prices))
        assert await wallet.balances(USER) == Balances(pack=88)

    run(database, work())


def test_a_request_id_cannot_hold_twice(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        await fill(wallet, pack=100)
        hold = await wallet.hold(ask("r1", 10))
        with pytest.raises(Conflict):
            await wallet.hold(ask("r1", 10))
        await wallet.settle(hold, 1, row("r1"))

    run(database, work())


def test_a_released_hold_costs_nothing_and_cannot_be_charged_later(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        await fill(wallet, pack=10)
        hold = await wallet.hold(ask("r1", 10))
        await wallet.release(hold)
        assert (await wallet.settle(hold, 4, row("r1"))).charged == 0
        await wallet.settle(await wallet.hold(ask("r2", 10)), 1, row("r2"))
        assert await wallet.balances(USER) == Balances(pack=9)

    run(database, work())


def test_a_call_waits_for_money_that_others_hold(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database, hold_wait=5)
        await fill(wallet, pack=10)
        first = await wallet.hold(ask("r1", 8))
        second = asyncio.create_task(wallet.hold(ask("r2", 8)))
        assert not (await asyncio.wait([second], timeout=0.1))[0]
        third = asyncio.create_task(wallet.hold(ask("r3", 1)))
        assert not (await asyncio.wait([third], timeout=0.1))[0], "it came after the second and must not pass it"
        await wallet.settle(first, 1, row("r1"))
        hold = await asyncio.wait_for(second, 1)
        assert isinstance(hold, Hold)
        await wallet.release(hold)
        await wallet.release(await asyncio.wait_for(third, 1))

    run(database, work())


def test_a_call_that_waited_in_vain_is_refused_with_what_is_held(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database, hold_wait=0.15)
        await fill(wallet, pack=10)
        hold = await wallet.hold(ask("r1", 8))
        started = time.monotonic()
        with pytest.raises(PaymentRequired) as refused:
            await wallet.hold(ask("r2", 8))
        assert 0.1 < time.monotonic() - started < 2
        assert refused.value.details is not None
        assert (refused.value.details["available"], refused.value.details["held"]) == ("0.000000002", "0.000000008")
        await wallet.release(hold)

    run(database, work())


def test_what_can_never_fit_is_refused_at_once(database: Database) -> None:
    async def work() -> float:
        wallet = Wallet(database, hold_wait=30)
        await fill(wallet, pack=10)
        hold = await wallet.hold(ask("r1", 8))
        started = time.monotonic()
        with pytest.raises(PaymentRequired):
            await wallet.hold(ask("r2", 11))
        await wallet.release(hold)
        return time.monotonic() - started

    assert run(database, work()) < 5


def test_money_freed_by_another_worker_is_seen(database: Database) -> None:
    async def work() -> None:
        async with workers(database, "one", "other", hold_wait=5) as (one, other):
            await fill(one, pack=10)
            hold = await one.hold(ask("r1", 8))
            waiting = asyncio.create_task(other.hold(ask("r2", 8)))
            assert not (await asyncio.wait([waiting], timeout=0.1))[0]
            await one.settle(hold, 2, row("r1"))
            await other.release(await asyncio.wait_for(waiting, 3))

    run(database, work())


def test_a_cancelled_hold_holds_nothing(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        await fill(wallet, pack=100)
        for number in range(20):
            task = asyncio.create_task(wallet.hold(ask(f"r{number}", 5)))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await wallet.release(await wallet.hold(ask("last", 1)))
        assert await wallet.balances(USER) == Balances(pack=100)

    run(database, work())


def test_a_settlement_happens_when_its_caller_is_cancelled(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        await fill(wallet, pack=100)
        hold = await wallet.hold(ask("r1", 10))

        async def settle() -> None:
            await wallet.settle(hold, 6, row("r1"))

        task = asyncio.create_task(settle())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await wallet.stop()
        assert await wallet.balances(USER) == Balances(pack=94)

    run(database, work())


def test_reclaim_gives_back_what_a_dead_worker_held_but_not_what_jobs_hold(database: Database) -> None:
    async def work() -> None:
        dead, alive = Wallet(database, worker="dead"), Wallet(database, worker="alive", hold_wait=0)
        await fill(alive, pack=100)
        lost = await dead.hold(ask("r1", 10, budgets=(KeyBudget("key_1", 50),)))
        await dead.hold(ask("r2", 20, durable=True))
        await alive.reclaim("dead")
        with pytest.raises(PaymentRequired) as refused:
            await alive.hold(ask("r3", 81))
        assert refused.value.details is not None
        assert (refused.value.details["available"], refused.value.details["held"]) == ("0.00000008", "0.00000002")
        late = await dead.settle(lost, 10, row("r1"))
        assert (late.charged, late.shortfall) == (0, 10), "what comes after a reclaim is the platform's"
        await alive.settle(await alive.hold(ask("r4", 80)), 80, row("r4"))

    run(database, work())


def test_the_sweep_ends_stored_holds_past_their_limit_and_verify_notices_them_before(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        await fill(wallet, pack=100)
        await wallet.hold(ask("r1", 10, durable=True))
        two_days_later = int(time.time() * 1000) + 2 * 86_400_000
        assert not database.read_sync(lambda connection: verify(connection, two_days_later))["ok"]
        assert await wallet.sweep() == 0
        database.write_sync(lambda c: c.exec_driver_sql("UPDATE holds SET expires_at = 1").rowcount)
        assert await wallet.sweep() == 1
        await wallet.settle(await wallet.hold(ask("r2", 100)), 1, row("r2"))

    run(database, work())


@pytest.mark.parametrize("amount", [0, -1, 10**18 + 1, 10**30])
def test_a_grant_is_a_sensible_amount(database: Database, amount: int) -> None:
    with pytest.raises(BadRequest):
        asyncio.run(Wallet(database).grant(USER, amount, "pack", "grant", "test"))


def test_the_smallest_wallet_works(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        await fill(wallet, pack=1000)  # 0.000001 pollen
        assert (await wallet.settle(await wallet.hold(ask("r1", 1000)), 999, row("r1"))).charged == 999
        with pytest.raises(PaymentRequired):
            await wallet.hold(ask("r2", 2))
        assert (await wallet.settle(await wallet.hold(ask("r3", 1)), 1, row("r3"))).charged == 1

    run(database, work())


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("period", "now", "account", "reset"),
    [
        ("day", "2026-11-22T23:59:59", "key_1/day:2026-11-22", "2026-11-23T00:00:00.000Z"),
        ("week", "2026-11-22T12:00:00", "key_1/week:2026-11-16", "2026-11-23T00:00:00.000Z"),
        ("month", "2026-12-31T23:00:00", "key_1/month:2026-12-01", "2027-01-01T00:00:00.000Z"),
        (None, "2026-11-22T12:00:00", "key_1/total", None),
    ],
)
def test_each_period_of_a_budget_has_its_own_account(period: Any, now: str, account: str, reset: str | None) -> None:
    budget = KeyBudget("key_1", 5, period)
    assert (budget.account(_at(now)), budget.next_reset(_at(now))) == (account, reset)


def test_a_late_settlement_counts_in_the_period_of_its_hold(database: Database) -> None:
    async def work() -> None:
        today = [_at("2026-11-22T23:59:59") / 1000]
        wallet = Wallet(database, leases=Leases(now=lambda: today[0]))
        await fill(wallet, pack=100)
        budget = KeyBudget("key_1", 10, "day")
        before, after = budget.account(_at("2026-11-22T23:59:59")), budget.account(_at("2026-11-23T00:00:01"))
        hold = await wallet.hold(ask("r1", 6, budgets=(budget,)))
        today[0] += 2
        fresh = await wallet.hold(ask("r2", 10, budgets=(budget,)))
        await wallet.settle(hold, 5, row("r1"))
        await wallet.settle(fresh, 10, row("r2"))
        query = "SELECT id, balance FROM ledger_accounts WHERE kind = 'budget'"
        found = dict(map(tuple, database.read_sync(lambda c: c.exec_driver_sql(query).all())))
        assert found == {before: 5, after: 0}

    run(database, work())


def test_the_usage_row_keeps_units_rates_and_both_prices(database: Database) -> None:
    async def work() -> tuple[Any, ...]:
        wallet = Wallet(database)
        await fill(wallet, pack=5)
        record = row("r1", units=Usage(input_tokens=3), rates={"input_token": "3"}, price_version="v1", partial=True)
        await wallet.settle(await wallet.hold(ask("r1", 5)), 9, record)
        query = (
            "SELECT units, rates, price_version, measured, charged, shortfall, partial, meter_source "
            "FROM usage JOIN usage_terms ON usage_terms.id = terms"
        )
        return tuple(database.read_sync(lambda c: c.exec_driver_sql(query).one()))

    assert run(database, work()) == ('{"input_tokens":3}', '{"input_token":"3"}', "v1", 9, 5, 4, 1, "pack")
