"""Whatever is granted, charged, given back and corrected: the ledger adds up, and no charge is given back twice. And every
charge can be computed again from what its row keeps."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from openpollen.accounts.key_changes import change_key
from openpollen.accounts.keys import create_key
from openpollen.accounts.users import create_user
from openpollen.accounts.wanted_keys import NewKey
from openpollen.core.errors import GatewayError
from openpollen.core.model import Price, Unit, Variant
from openpollen.core.money import format_pollen
from openpollen.core.usage import Usage
from openpollen.ledger import corrections, credit, rerate
from openpollen.ledger.entries import BUCKETS, Hold, HoldRequest, KeyBudget, Markup
from openpollen.ledger.pricing import PriceFacts, UnpricedUsage, charge, with_input_of
from openpollen.ledger.verify import verify
from openpollen.ledger.wallet import Wallet
from openpollen.storage.database import Database
from openpollen.usage.record import UsageRow

LIMIT = 500
_numbers = itertools.count()
few = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)

buckets = st.sampled_from(BUCKETS)
#: Several of each, so that the same charge is given back again and again.
acts = st.lists(
    st.one_of(
        st.tuples(st.just("grant"), buckets, st.integers(1, 300)),
        st.tuples(st.just("charge"), st.booleans(), st.integers(1, 120)),
        st.tuples(st.just("sale"), st.integers(1, 500), st.integers(1, 120)),
        st.tuples(st.just("refund"), st.integers(0, 2), st.one_of(st.none(), st.integers(0, 60))),
        st.tuples(st.just("refund"), st.just(0), st.none()),
        st.tuples(st.just("limit"), st.integers(0, LIMIT), st.none()),
        st.tuples(st.just("correct"), buckets, st.integers(-200, 100)),
    ),
    min_size=6,
    max_size=25,
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database.open(tmp_path_factory.mktemp("corrections"), commit_gap=0)
    yield database
    database.close()


class Books:
    """One account, what should be in it by simple sums, and the worker that charges it."""

    def __init__(self, database: Database, wallet: Wallet) -> None:
        self.database, self.wallet = database, wallet
        name = f"user-{next(_numbers)}"
        self.user = database.write_sync(lambda c: create_user(c, name, tier="microbe")).id
        wanted = NewKey(name="spender", budget=format_pollen(LIMIT))
        self.key = database.write_sync(lambda c: create_key(c, self.user, wanted))[0]
        self.total = self.earned = 0
        self.charges: dict[str, tuple[int, bool]] = {}
        self.refunded: dict[str, int] = {}

    async def grant(self, bucket: Any, amount: int) -> None:
        await self.wallet.grant(self.user, amount, bucket, "grant", "test")
        self.total += amount

    @property
    def budget(self) -> KeyBudget:
        assert self.key.budget is not None
        return self.key.budget

    async def limit(self, limit: int, _: None) -> None:
        """The key's owner gives it another budget."""
        await self.database.write(lambda c: credit.ask_back(c, self.budget))
        await self.wallet.beat()
        changes = {"budget_limit": limit}
        self.key = await self.database.write(lambda c: change_key(c, self.key, changes, actor="test"))

    async def charge(self, by_key: bool, price: int) -> None:
        request_id = f"r{next(_numbers)}"
        request = HoldRequest(request_id, self.user, price, (self.budget,) if by_key else ())
        hold: Hold = await self.wallet.hold(request)
        await self.wallet.settle(hold, price, UsageRow(request_id=request_id, user_id=self.user, type="test"))
        self.charges[request_id] = price, by_key
        self.total -= price

    async def sale(self, per_mille: int, price: int) -> None:
        """A call through an app, whose author gets a share."""
        request_id = f"r{next(_numbers)}"
        markup = Markup(f"author-{self.user}", per_mille)
        hold: Hold = await self.wallet.hold(HoldRequest(request_id, self.user, price + markup.on(price), markup=markup))
        paid = await self.wallet.settle(hold, price, UsageRow(request_id=request_id, user_id=self.user, type="test"))
        self.charges[request_id] = paid.charged, False
        self.total -= paid.charged
        self.earned += paid.share

    async def refund(self, number: int, amount: int | None) -> None:
        request_id = [*self.charges, "none"][number % (len(self.charges) + 1)]
        done = await self.database.write(lambda c: corrections.refund(c, request_id, "test", amount))
        assert isinstance(done, corrections.Refund)
        self.refunded[request_id] = self.refunded.get(request_id, 0) + done.amount
        self.total += done.amount
        self.earned -= done.from_author
        assert done.left == self.charges[request_id][0] - self.refunded[request_id] >= 0

    async def correct(self, bucket: str, amount: int) -> None:
        after = await self.database.write(lambda c: corrections.correct(c, self.user, amount, bucket, "test"))
        if not isinstance(after, corrections.Busy):
            self.total += amount

    async def check(self) -> None:
        wallet = await self.wallet.balances(self.user)
        assert wallet.total == self.total
        assert min(wallet.tier, wallet.crypto, wallet.pack) >= 0
        assert (await self.wallet.balances(f"author-{self.user}")).total == self.earned >= 0
        spent = sum(price - self.refunded.get(name, 0) for name, (price, by_key) in self.charges.items() if by_key)
        left = await self.database.read(lambda c: credit.remaining(c, self.budget))
        assert left == max(0, self.budget.limit - spent)


@few
@example([("charge", True, 100), ("limit", 50, None), ("refund", 0, None)])
@given(acts)
def test_the_ledger_adds_up_whatever_people_book(database: Database, acts: list[tuple[str, Any, Any]]) -> None:
    async def work() -> None:
        wallet = Wallet(database, hold_wait=0.0)
        books = Books(database, wallet)
        for bucket, amount in (("tier", 60), ("crypto", 30), ("pack", 400)):
            await books.grant(bucket, amount)
        for act, *words in acts:
            try:
                await getattr(books, act)(*words)
            except GatewayError as refused:
                assert refused.status in (400, 402, 404, 409)  # noqa: PT017 - any of them changes nothing
            await wallet.beat()
            await books.check()
        await wallet.stop()

    asyncio.run(work())
    report = database.read_sync(verify)
    assert report["ok"], report["problems"]


# -- charges computed again -----------------------------------------------------------------------------------------------

rates = st.fractions(min_value=0, max_value=10**7, max_denominator=10**9)
units = st.sampled_from(list(Unit))
prices = st.builds(
    Price,
    st.dictionaries(units, rates, min_size=3),
    st.lists(
        st.builds(
            Variant,
            rates=st.dictionaries(units, rates, min_size=1, max_size=3),
            above_input_tokens=st.sampled_from([None, 1, 1_000]),
            quality=st.sampled_from([None, "low", "high"]),
            resolution=st.sampled_from([None, "1080p"]),
            audio=st.sampled_from([None, True]),
        ),
        max_size=3,
    ).map(tuple[Variant, ...]),
)
known = st.builds(
    PriceFacts,
    quality=st.sampled_from([None, "low", "high"]),
    resolution=st.sampled_from([None, "1080p"]),
    audio=st.sampled_from([None, True, False]),
)
fields = [name for name in Usage.__struct_fields__ if name != "estimated"]
usages = st.dictionaries(st.sampled_from(fields), st.integers(0, 10**6), max_size=5).map(
    lambda counts: msgspec.convert(counts, Usage)
)


@settings(deadline=None)
@given(usages, prices, known)
def test_a_row_tells_its_own_price(usage: Usage, price: Price, facts: PriceFacts) -> None:
    try:
        bill = charge(usage, price, with_input_of(usage, facts))
    except UnpricedUsage:
        return  # such a call is refused: there is no row
    stored = {str(line.unit): str(line.rate) for line in bill.lines}
    row = SimpleNamespace(
        request_id="r",
        model="m",
        units=msgspec.json.encode(usage),
        rates=msgspec.json.encode(stored),
        measured=bill.total,
    )
    assert rerate.check(cast(Any, row)) is None
    told = msgspec.json.decode(msgspec.json.encode(facts.told), type=PriceFacts)
    assert charge(usage, price, with_input_of(usage, told)).total == bill.total
    row.measured += 1
    wrong = rerate.check(cast(Any, row))
    assert wrong is not None
    assert wrong.computed == bill.total
