"""Several workers share one ledger: each spends what it leased without asking, and together they are exact."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any

import pytest

from openpollen.core.errors import PaymentRequired
from openpollen.ledger.credit import recall_later, refill
from openpollen.ledger.entries import Balances, Hold, KeyBudget, wallet_account
from openpollen.ledger.journal import Beat, Entry, Journal
from openpollen.ledger.leases import Leases
from openpollen.ledger.take import Take
from openpollen.ledger.verify import verify
from openpollen.ledger.wallet import Wallet
from openpollen.storage.database import Connection, Database
from tests.ledger.workers import USER, ask, fill, row, workers


def run(database: Database, work: Coroutine[Any, Any, Any]) -> Any:
    """Runs the scenario; whatever it did, the ledger must add up after it."""
    result = asyncio.run(work)
    assert database.read_sync(verify)["problems"] == []
    return result


def leased(database: Database) -> dict[str, int]:
    query = "SELECT worker, SUM(amount) FROM leases GROUP BY worker"
    return dict(map(tuple, database.read_sync(lambda c: c.exec_driver_sql(query).all())))


def buckets_of(hold: Hold) -> dict[str, int]:
    return {leg.account.partition("/")[2]: leg.amount for leg in hold.legs}


def test_most_calls_never_touch_the_database(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        await fill(wallet, pack=1_000_000)
        await wallet.release(await wallet.hold(ask("first", 10)))
        for number in range(1000):
            waiting = wallet.hold(ask(f"r{number}", 10, budgets=()))
            with pytest.raises(StopIteration) as done:
                waiting.send(None)  # a coroutine that ends at once waited for nothing
            wallet.release(done.value.value)

    run(database, work())


def test_nobody_is_refused_while_another_worker_has_money_unheld(database: Database) -> None:
    async def work() -> None:
        async with workers(database, "one", "two", "three") as (one, two, three):
            await fill(one, pack=100)
            for number, wallet in enumerate((one, two, three)):
                await wallet.settle(await wallet.hold(ask(f"r{number}", 10)), 10, row(f"r{number}"))
            assert len(leased(database)) == 3
            await three.settle(await three.hold(ask("all", 70)), 70, row("all"))
            with pytest.raises(PaymentRequired):
                await one.hold(ask("more", 1))

    run(database, work())


def test_a_budget_that_others_leased_is_recalled_too(database: Database) -> None:
    async def work() -> None:
        key = (KeyBudget("key_1", 20),)
        async with workers(database, "one", "two") as (one, two):
            await fill(one, pack=1000)
            await one.settle(await one.hold(ask("r1", 1, budgets=key)), 1, row("r1"))
            await two.settle(await two.hold(ask("r2", 19, budgets=key)), 19, row("r2"))
            with pytest.raises(PaymentRequired) as refused:
                await one.hold(ask("r3", 1, budgets=key))
            assert refused.value.reason == "key_budget"

    run(database, work())


def test_a_lease_that_grew_before_its_drain_was_told_is_still_asked_for(database: Database) -> None:
    """Else the next worker takes it for held by open calls, and refuses a call that fits."""

    async def work() -> None:
        await fill(Wallet(database), pack=100)
        one, two = Journal("one"), Journal("two")

        async def say(journal: Journal, entry: Entry) -> Any:
            return await database.submit(journal.run, entry)

        mine = (await say(one, Take(ask("r1", 10), "one", 0, (), {}))).epoch
        drawn = (await say(one, Take(ask("r1", 10), "one", mine, (), {}))).drawn
        await database.write(lambda connection: recall_later(connection, USER, "tier"))
        asked = (await say(one, Beat(mine))).asked
        assert asked == (wallet_account(USER, "pack"),)
        await say(one, Take(ask("r2", 20), "one", mine, (), {}))
        await say(one, Beat(mine, [(name, drawn[name].amount) for name in asked], asked))
        other = (await say(two, Take(ask("r3", 90), "two", 0, (), {}))).epoch
        assert (await say(two, Take(ask("r3", 90), "two", other, (), {}))).recalled

        await say(one, Beat(mine, leave=True))
        await say(two, Beat(other, leave=True))

    run(database, work())


def test_a_later_bucket_is_drawn_only_when_the_earlier_are_dry_everywhere(database: Database) -> None:
    async def work() -> None:
        async with workers(database, "one", "two") as (one, two):
            await fill(one, tier=10, pack=100)
            await one.release(await one.hold(ask("r1", 1)))
            hold = await two.hold(ask("r2", 12))
            assert buckets_of(hold) == {"tier": 10, "pack": 2}
            await two.settle(hold, 12, row("r2"))

    run(database, work())


def test_tier_that_comes_free_is_spent_before_pack_by_whomever(database: Database) -> None:
    async def work() -> None:
        async with workers(database, "one", "two") as (one, two):
            await fill(one, tier=10, pack=100)
            first = await one.hold(ask("r1", 10))
            second = await two.hold(ask("r2", 5))
            assert buckets_of(second) == {"pack": 5}
            await one.settle(first, 4, row("r1"))
            await one.beat()
            await two.beat()
            third = await two.hold(ask("r3", 8))
            assert buckets_of(third) == {"tier": 6, "pack": 2}
            await two.settle(second, 5, row("r2"))
            await two.settle(third, 8, row("r3"))

    run(database, work())


def test_a_refill_counts_what_is_leased_and_is_spent_first(database: Database) -> None:
    async def work() -> None:
        async with workers(database, "one", "two") as (one, two):
            await fill(one, tier=4, pack=100)
            held = await one.hold(ask("r1", 6))
            assert buckets_of(held) == {"tier": 4, "pack": 2}
            assert await database.write(lambda connection: refill(connection, USER, 10)) == 6
            for wallet in (one, two):
                await wallet.beat()
            again = await one.hold(ask("r2", 6))
            assert buckets_of(again) == {"tier": 6}
            await one.settle(held, 6, row("r1"))
            await one.settle(again, 6, row("r2"))
            assert await one.balances(USER) == Balances(tier=0, pack=98)

    run(database, work())


def test_paid_models_lease_pack_without_spending_it_for_others(database: Database) -> None:
    async def work() -> None:
        async with workers(database, "one") as (one,):
            await fill(one, tier=10, pack=100)
            await one.settle(await one.hold(ask("r1", 5, paid_only=True)), 5, row("r1"))
            hold = await one.hold(ask("r2", 8))
            assert buckets_of(hold) == {"tier": 8}
            await one.settle(hold, 8, row("r2"))

    run(database, work())


def test_calls_of_several_workers_wait_in_the_order_in_which_they_came(database: Database) -> None:
    async def work() -> list[str]:
        served: list[str] = []
        async with workers(database, "one", "two", hold_wait=10) as (one, two):
            await fill(one, pack=10)
            first = await one.hold(ask("r0", 10))

            async def call(wallet: Wallet, name: str) -> None:
                hold = await wallet.hold(ask(name, 10))
                served.append(name)
                await wallet.settle(hold, 0, row(name))

            tasks: list[asyncio.Task[None]] = []
            for number in range(6):
                tasks.append(asyncio.create_task(call((two, one)[number % 2], f"r{number + 1}")))
                await _claims(database, min(number + 1, 2))
            await one.settle(first, 0, row("r0"))
            await asyncio.gather(*tasks)
        return served

    served = run(database, work())
    assert served[:2] == ["r1", "r2"], "the first of each worker stood in line in the ledger"
    assert [name for name in served if int(name[1]) % 2] == ["r1", "r3", "r5"]


async def _claims(database: Database, count: int) -> None:
    """Waits until so many calls wait in the ledger."""
    query = "SELECT COUNT(*) FROM claims"
    async with asyncio.timeout(5):
        while await database.read(lambda c: c.exec_driver_sql(query).scalar_one()) < count:
            await asyncio.sleep(0.01)


def test_a_worker_whose_leases_were_taken_back_charges_nobody(database: Database) -> None:
    async def work() -> None:
        stopped, alive = Wallet(database, worker="stopped", hold_wait=0), Wallet(database, worker="alive")
        await fill(alive, pack=100)
        hold = await stopped.hold(ask("r1", 60))
        await alive.reclaim("stopped")
        await alive.settle(await alive.hold(ask("r2", 100)), 100, row("r2"))
        late = await stopped.settle(hold, 50, row("r1"))
        assert (late.charged, late.shortfall) == (0, 50)
        with pytest.raises(PaymentRequired):
            await stopped.hold(ask("r3", 1))

    run(database, work())


def test_leases_of_a_silent_worker_come_back_when_they_run_out(database: Database) -> None:
    async def work() -> None:
        silent = Wallet(database, worker="silent")
        await fill(silent, pack=100)
        await silent.hold(ask("r1", 1))

        def age(connection: Connection) -> None:
            connection.exec_driver_sql("UPDATE ledger_workers SET expires_at = 1")

        await database.write(age)
        async with workers(database, "alive") as (alive,):
            await alive.settle(await alive.hold(ask("r2", 100)), 100, row("r2"))

    run(database, work())


def test_a_worker_stops_holding_before_its_leases_run_out(database: Database) -> None:
    async def work() -> None:
        clock = [time.monotonic()]
        wallet = Wallet(database, worker="stopped", hold_wait=0, leases=Leases(monotonic=lambda: clock[0]))
        other = Wallet(database, worker="other", hold_wait=0)
        await fill(wallet, pack=100)
        await wallet.release(await wallet.hold(ask("r1", 60)))
        clock[0] += 4.5
        await other.reclaim("stopped")
        await other.settle(await other.hold(ask("r2", 100)), 100, row("r2"))
        with pytest.raises(PaymentRequired):
            await wallet.hold(ask("r3", 1))

    run(database, work())


def test_a_clock_that_goes_back_changes_no_balance(database: Database) -> None:
    async def work() -> None:
        now = [time.time()]
        wallet = Wallet(database, leases=Leases(now=lambda: now[0]))
        await fill(wallet, pack=100)
        budget = (KeyBudget("key_1", 10, "day"),)
        await wallet.settle(await wallet.hold(ask("r1", 10, budgets=budget)), 10, row("r1"))
        now[0] -= 7200
        hold = await wallet.hold(ask("r2", 5))
        await wallet.settle(hold, 5, row("r2"))
        assert await wallet.balances(USER) == Balances(pack=85)

    run(database, work())


def test_what_is_idle_goes_back_and_stopping_gives_back_everything(database: Database) -> None:
    async def work() -> None:
        clock = [time.monotonic()]
        wallet = Wallet(database, leases=Leases(monotonic=lambda: clock[0]))
        await fill(wallet, pack=100)
        key = (KeyBudget("key_1", 50),)
        await wallet.settle(await wallet.hold(ask("r1", 5, budgets=key)), 5, row("r1"))
        assert leased(database)
        clock[0] += 6
        await wallet.beat()
        assert not leased(database)
        hold = await wallet.hold(ask("r2", 5, budgets=key))
        await wallet.settle(hold, 5, row("r2"))
        await wallet.stop()
        assert not leased(database)

    run(database, work())


def test_a_stored_hold_outlives_its_worker_and_another_settles_it(database: Database) -> None:
    async def work() -> None:
        first, second = Wallet(database, worker="first"), Wallet(database, worker="second")
        await fill(first, tier=3, pack=100)
        request = ask("job", 10, budgets=(KeyBudget("key_1", 50),), durable=True)
        await first.hold(request)
        await second.reclaim("first")
        hold = await second.resume(request)
        assert hold is not None
        assert hold.amount == 10
        paid = await second.settle(hold, 7, row("job"))
        assert paid.parts == (("tier", 3), ("pack", 4))
        again = await second.resume(request)
        assert again is None

    run(database, work())


def test_a_stored_hold_settled_twice_is_charged_once(database: Database) -> None:
    async def work() -> None:
        first, second = Wallet(database, worker="first"), Wallet(database, worker="second")
        await fill(first, pack=100)
        request = ask("job", 10, durable=True)
        mine = await first.hold(request)
        theirs = await second.resume(request)
        assert theirs is not None
        paid = await asyncio.gather(first.settle(mine, 7, row("job")), second.settle(theirs, 9, row("job")))
        assert paid[0].charged == paid[1].charged
        assert (await first.balances(USER)).pack == 100 - paid[0].charged

    run(database, work())


def test_a_price_above_a_stored_hold_is_one_charge(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        await fill(wallet, pack=100)
        hold = await wallet.hold(ask("job", 10, budgets=(KeyBudget("key_1", 50),), durable=True))
        paid = await wallet.settle(hold, 25, row("job"))
        assert paid.parts == (("pack", 25),)

    run(database, work())


def test_with_intent_every_hold_is_on_disk_first_and_a_crash_gives_it_back(database: Database) -> None:
    async def work() -> None:
        wallet = Wallet(database, worker="w1", intent=True)
        await fill(wallet, pack=100)
        hold = await wallet.hold(ask("r1", 10))
        assert database.read_sync(lambda c: c.exec_driver_sql("SELECT amount FROM holds").scalar_one()) == 10
        await wallet.settle(hold, 4, row("r1"))
        await wallet.hold(ask("r2", 10))
        assert await wallet.reclaim("w1") == 1, "the crash's open calls are counted"
        other = Wallet(database, worker="w2")
        await other.settle(await other.hold(ask("r3", 96)), 96, row("r3"))

    run(database, work())


@pytest.mark.parametrize("seed", range(4))
def test_random_work_on_three_workers_is_exact(database: Database, seed: int) -> None:
    """Credit is just enough for every call to be paid, if none is refused while there is money."""

    async def work() -> None:
        dice = random.Random(seed)
        root, child = KeyBudget("root", 900), KeyBudget("child", 500)
        async with workers(database, "one", "two", "three", hold_wait=20) as wallets:
            await fill(wallets[0], tier=200, crypto=200, pack=500)

            async def client(number: int) -> None:
                for turn in range(10):
                    name = f"r{number}-{turn}"
                    chain = ((), (root,), (child, root))[dice.randrange(3)]
                    try:
                        hold = await dice.choice(wallets).hold(ask(name, dice.randrange(1, 40), budgets=chain))
                    except PaymentRequired as refused:
                        refusals.append(refused.details or {})
                        continue
                    await asyncio.sleep(dice.random() * 0.01)
                    wallet = next(w for w in wallets if hold.legs[0].lease is None or w._leases.epoch == hold.epoch)
                    if dice.random() < 0.3:
                        await wallet.release(hold)
                    else:
                        await wallet.settle(hold, dice.randrange(0, hold.amount + 1), row(name))

            await asyncio.gather(*(client(number) for number in range(12)))
        for said in refusals:
            amounts = [Decimal(said[name] or "0") for name in ("required", "available", "held")]
            assert amounts[0] > amounts[1] + amounts[2], "refused while others might give back"

    refusals: list[dict[str, str | None]] = []
    run(database, work())
