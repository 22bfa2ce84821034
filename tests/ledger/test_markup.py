"""What the author of an app takes on top of a price (rule 30): of what crypto and pack pay, into the same bucket of theirs."""

from __future__ import annotations

import asyncio

import pytest

from openpollen.core.errors import Conflict
from openpollen.ledger.corrections import Busy, Refund, refund
from openpollen.ledger.entries import Balances, HoldRequest, KeyBudget, Markup
from openpollen.ledger.verify import verify
from openpollen.ledger.wallet import Wallet
from openpollen.storage.database import Database
from tests.ledger.workers import USER, ask, fill, row

AUTHOR = Markup("usr_author", 250)
BUDGET = KeyBudget("key_1", 10_000)


def _by_author(request_id: str, amount: int) -> HoldRequest:
    return HoldRequest(request_id, AUTHOR.author, amount)


@pytest.mark.parametrize(
    ("wallet", "price", "payer", "author"),
    [
        ({"pack": 5000}, 1000, Balances(pack=3750), Balances(pack=250)),
        ({"tier": 2000, "pack": 5000}, 1000, Balances(tier=1000, pack=5000), Balances()),
        ({"tier": 400, "pack": 5000}, 1000, Balances(pack=4250), Balances(pack=150)),
        ({"crypto": 1100, "pack": 5000}, 1000, Balances(pack=4850), Balances(crypto=100, pack=150)),
        ({"tier": 400, "crypto": 100, "pack": 5000}, 1000, Balances(pack=4350), Balances(pack=150)),
        ({"pack": 5000}, 2, Balances(pack=4997), Balances(pack=1)),
        ({"pack": 5000}, 0, Balances(pack=5000), Balances()),
    ],
)
@pytest.mark.parametrize("durable", [False, True])
def test_the_share_comes_from_crypto_and_pack_only(
    database: Database, wallet: dict[str, int], price: int, payer: Balances, author: Balances, durable: bool
) -> None:
    async def work() -> None:
        here = Wallet(database)
        await fill(here, **wallet)
        hold = await here.hold(ask("r1", 2500, markup=AUTHOR, budgets=(BUDGET,), durable=durable))
        paid = await here.settle(hold, price, row("r1"))
        share = author.total
        assert (hold.due, paid.charged, paid.share, paid.shortfall) == (price + share, price + share, share, 0)
        assert await here.balances(USER) == payer
        assert await here.balances("usr_author") == author
        await here.stop()

    asyncio.run(work())
    assert database.read_sync(verify)["problems"] == []


def test_the_price_comes_before_the_share(database: Database) -> None:
    """A host that reports more than was held leaves the author what is left of the hold, or nothing."""

    async def work() -> None:
        here = Wallet(database)
        await fill(here, pack=2000)
        hold = await here.hold(ask("r1", 1250, markup=AUTHOR))
        assert (await here.settle(hold, 1200, row("r1"))).parts == (("pack", 1250),)
        assert (await here.balances("usr_author")).total == 50
        hold = await here.hold(ask("r2", 125, markup=AUTHOR))
        paid = await here.settle(hold, 5000, row("r2"))
        assert (paid.charged, paid.share, paid.shortfall) == (750, 0, 4250)
        await here.stop()

    asyncio.run(work())
    assert database.read_sync(verify)["problems"] == []


async def _sold(here: Wallet) -> None:
    """A call for 1000, of which the author got 250 on top."""
    await fill(here, pack=2000)
    hold = await here.hold(ask("r1", 1250, markup=AUTHOR, budgets=(BUDGET,)))
    await here.settle(hold, 1000, row("r1"))


async def _given(database: Database, amount: int | None = None, *, wait: bool = False) -> Refund:
    given = await database.write(lambda connection: refund(connection, "r1", "test", amount, wait=wait))
    assert isinstance(given, Refund)
    return given


def test_a_refund_takes_the_authors_part_back_from_the_author(database: Database) -> None:
    async def work() -> None:
        here = Wallet(database)
        await _sold(here)
        half = await _given(database, 625)
        assert (half.amount, half.left, half.from_author) == (625, 625, 125)
        assert (await here.balances("usr_author")).total == 125
        rest = await _given(database)
        assert (rest.amount, rest.left, rest.from_author) == (625, 0, 125)
        assert (await here.balances(USER)).total == 2000
        assert (await here.balances("usr_author")).total == 0
        with pytest.raises(Conflict):
            await _given(database)
        await here.stop()

    asyncio.run(work())
    assert database.read_sync(verify)["problems"] == []


def test_what_the_author_has_spent_the_platform_gives_back(database: Database) -> None:
    async def work() -> None:
        here = Wallet(database)
        await _sold(here)
        await here.settle(await here.hold(_by_author("a1", 200)), 200, row("a1", AUTHOR.author))
        await here.beat()
        await here.stop()
        given = await _given(database, wait=True)
        assert (given.amount, given.from_author) == (1250, 50)
        assert (await here.balances(USER)).total == 2000
        assert (await here.balances("usr_author")).total == 0

    asyncio.run(work())
    assert database.read_sync(verify)["problems"] == []


def test_a_refund_asks_for_what_a_worker_holds_of_the_author(database: Database) -> None:
    async def work() -> None:
        here = Wallet(database)
        await _sold(here)
        running = await here.hold(_by_author("a1", 100))
        busy = await database.write(lambda connection: refund(connection, "r1", "test", wait=True))
        assert isinstance(busy, Busy)
        assert (await here.balances(USER)).total == 750
        await here.beat()
        given = await _given(database)
        assert (given.amount, given.from_author) == (1250, 150)
        await here.settle(running, 100, row("a1", AUTHOR.author))
        await here.stop()

    asyncio.run(work())
    assert database.read_sync(verify)["problems"] == []


def test_what_was_earned_is_spent_like_any_other(database: Database) -> None:
    async def work() -> None:
        here = Wallet(database)
        await fill(here, pack=2000)
        await here.grant("usr_author", 100, "pack", "grant", "test")
        mine = await here.hold(_by_author("a1", 100))
        hold = await here.hold(ask("r1", 1250, markup=AUTHOR))
        await here.settle(hold, 1000, row("r1"))
        await here.settle(mine, 100, row("a1", AUTHOR.author))
        earned = await here.hold(_by_author("a2", 250))
        await here.settle(earned, 250, row("a2", AUTHOR.author))
        assert (await here.balances("usr_author")).total == 0
        await here.stop()

    asyncio.run(work())
    assert database.read_sync(verify)["problems"] == []
