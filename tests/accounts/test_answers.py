"""The answers of the account API: fields, their order, and what the usage pages add up to."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from openpollen.accounts import keys as api_keys
from openpollen.accounts import views
from openpollen.accounts.authenticate import Authenticator
from openpollen.accounts.tiers import Tiers
from openpollen.accounts.users import User, create_user
from openpollen.accounts.wanted_keys import NewKey
from openpollen.core.errors import BadRequest, Forbidden
from openpollen.core.money import NANO
from openpollen.core.usage import Usage
from openpollen.ledger.credit import remaining
from openpollen.ledger.entries import Balances, HoldRequest
from openpollen.ledger.wallet import Wallet
from openpollen.storage.database import Database
from openpollen.usage import report
from openpollen.usage.record import UsageRow

NOON = int(datetime(2026, 3, 25, 12, tzinfo=UTC).timestamp())


@pytest.fixture
def user(database: Database) -> User:
    return database.write_sync(lambda c: create_user(c, "Ann", tier="seed", email="ann@example.org", github="ann"))


def use(database: Database, user: User, rows: list[dict[str, Any]], price: int = NANO // 10) -> None:
    async def work() -> None:
        wallet = Wallet(database)
        for bucket, amount in (("tier", NANO // 20), ("pack", 1000 * NANO)):
            await wallet.grant(user.id, amount, bucket, "grant", "test")  # type: ignore[arg-type]  # bucket names
        for number, fields in enumerate(rows):
            request_id = f"r{number:04}"
            hold = await wallet.hold(HoldRequest(request_id, user.id, price))
            row = UsageRow(
                **{"request_id": request_id, "user_id": user.id, "type": "generate.text", "model": "openai", **fields}
            )
            await wallet.settle(hold, price, row)

    asyncio.run(work())


def test_profile(user: User) -> None:
    answer = views.profile(user, Tiers())
    assert list(answer) == ["name", "email", "githubUsername", "image", "tier", "createdAt", "nextResetAt"]
    assert (answer["name"], answer["email"], answer["githubUsername"], answer["tier"]) == (
        "Ann",
        "ann@example.org",
        "ann",
        "seed",
    )


def test_keys_and_key_and_balance(database: Database, user: User) -> None:
    wanted = NewKey(name="k", budget=2.5, expires_in=3600, scopes=["keys"], models=["flux"])
    key, value = database.write_sync(lambda c: api_keys.create_key(c, user.id, wanted))
    made = views.created_key(key, value)
    assert list(made)[:9] == ["id", "key", "name", "type", "prefix", "start", "expiresAt", "expiresIn", "permissions"]
    assert (made["key"], made["prefix"], made["start"], made["pollenBudget"]) == (value, "sk_", value[:10], 2.5)
    assert made["permissions"] == {"models": ["flux"], "account": ["keys"]}
    listed = views.listed_keys(database.read_sync(lambda c: api_keys.with_remaining(c, [key])))["data"][0]
    assert list(listed)[:10] == [
        "id", "name", "start", "prefix", "createdAt", "expiresAt", "lastRequest", "permissions", "metadata", "pollenBalance",
    ]  # fmt: skip
    assert value not in str(listed)
    who = asyncio.run(Authenticator(database).authenticate(value))
    assert who.budget is not None
    left = database.read_sync(lambda c: remaining(c, who.budget))  # type: ignore[arg-type]  # checked above
    answer = views.current_key(who, left)
    assert list(answer)[:8] == [
        "valid", "type", "name", "expiresAt", "expiresIn", "permissions", "pollenBudget", "rateLimitEnabled",
    ]  # fmt: skip
    assert 3590 <= answer["expiresIn"] <= 3600
    assert views.balance(who, Balances(pack=7 * NANO), left) == {"balance": 2.5}


def test_the_wallet_is_shown_to_those_who_may_see_it(database: Database, user: User) -> None:
    def who(**fields: Any) -> Any:
        _, value = database.write_sync(lambda c: api_keys.create_key(c, user.id, NewKey(name="k", **fields)))
        return asyncio.run(Authenticator(database).authenticate(value))

    wallet = Balances(tier=NANO // 2, crypto=NANO, pack=2 * NANO)
    for scope in ("balance", "usage"):
        full = views.balance(who(scopes=[scope]), wallet, None)
        assert full == {"balance": 3.5, "accountBalance": {"total": 3.5, "tier": 0.5, "pack": 2, "crypto": 1}}
    who(budget=1).require_balance()
    with pytest.raises(Forbidden):
        who().require_balance()


def test_a_usage_row_has_the_contracts_fields_in_order(database: Database, user: User) -> None:
    units = Usage(
        input_tokens=5, cache_write_tokens=2, cached_input_tokens=1, output_tokens=7, reasoning_tokens=3, estimated=True
    )
    use(database, user, [{"units": units, "key_name": "k", "key_type": "secret", "response_ms": 12, "at": NOON * 1000}])
    page = database.read_sync(lambda c: report.rows(c, user.id, now=NOON))
    row = page.rows[0]
    assert [name for name in row if name in report.ROW_COLUMNS] == list(report.ROW_COLUMNS)
    assert (row["timestamp"], row["meter_source"], row["cost_usd"]) == ("2026-03-25 12:00:00", "tier", 0.1)
    tokens = [row[name] for name in report.ROW_COLUMNS if name.endswith("_tokens")]
    assert tokens == [7, 1, 0, 0, 7, 3, 0, 0]
    assert row["estimated"]
    assert page.body()["count"] == 1


def test_following_the_cursor_skips_nothing_and_repeats_nothing(database: Database, user: User) -> None:
    times = [NOON * 1000 + offset for offset in (0, 10, 20, 900, 999, 1000, 1500, 5000, 5000, 5000, 9000, 9999)]
    use(database, user, [{"at": at} for at in times])

    def follow(limit: int, by: str) -> list[str]:
        seen: list[str] = []
        before: str | None = None
        while True:
            page = database.read_sync(partial(report.rows, user_id=user.id, limit=limit, before=before, now=NOON))
            assert len(page.rows) <= limit
            seen += [row["request_id"] for row in page.rows]
            if page.next is None:
                return seen
            before = page.next if by == "next" else page.rows[-1]["timestamp"]

    everything = follow(50, "next")
    assert len(everything) == len(times)
    for limit in range(1, 13):
        assert follow(limit, "next") == everything
    for limit in range(
        6, 13
    ):  # a second here has up to 5 rows: more than fit one page cannot be told apart by a timestamp
        assert follow(limit, "timestamp") == everything


@pytest.mark.parametrize(
    "before",
    ["2026-03-25T12:00:01Z", "2026-03-25 12:00:01", "2026-03-25T13:00:01 01:00", "2026-03-25T12:00:01.000+00:00"],
)
def test_before_takes_any_iso_timestamp(database: Database, user: User, before: str) -> None:
    use(database, user, [{"at": NOON * 1000}, {"at": NOON * 1000 + 2000}])
    page = database.read_sync(lambda c: report.rows(c, user.id, before=before, now=NOON))
    assert [row["request_id"] for row in page.rows] == ["r0000"]


@pytest.mark.parametrize("query", [{"days": 0}, {"days": 91}, {"limit": 0}, {"limit": 50_001}, {"before": "yesterday"}])
def test_ranges_are_checked(database: Database, user: User, query: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        database.read_sync(lambda c: report.rows(c, user.id, **query))


def test_the_window_is_whole_utc_days_and_others_stay_out(database: Database, user: User) -> None:
    day = 86_400
    midnight = NOON - day // 2
    use(database, user, [{"at": (midnight - 1) * 1000}, {"at": midnight * 1000, "key_id": "key_1"}])
    one_day = database.read_sync(lambda c: report.rows(c, user.id, days=1, now=NOON))
    assert [row["request_id"] for row in one_day.rows] == ["r0001"]
    assert len(database.read_sync(lambda c: report.rows(c, user.id, days=2, now=NOON)).rows) == 2
    assert len(database.read_sync(lambda c: report.rows(c, user.id, days=2, key_id="key_1", now=NOON)).rows) == 1
    assert database.read_sync(lambda c: report.rows(c, "usr_other", now=NOON)).rows == []


def test_daily_sums_split_a_charge_exactly(database: Database, user: User) -> None:
    use(database, user, [{"at": NOON * 1000}, {"at": NOON * 1000, "model": "flux"}, {"at": NOON * 1000 - 86_400_000}])
    page = database.read_sync(lambda c: report.daily(c, user.id, now=NOON))
    assert [tuple(row.values()) for row in page.rows] == [
        ("2026-03-25", "flux", "pack", 1, 0.1),
        ("2026-03-25", "openai", "tier", 1, 0.05),
        ("2026-03-25", "openai", "pack", 0, 0.05),
        ("2026-03-24", "openai", "pack", 1, 0.1),
    ]


def test_csv_has_the_contracts_header_and_no_formulas(database: Database, user: User) -> None:
    names = ["=cmd()", "+1", "-1", "@x", 'say "hi", all', "plain\nline", None]
    use(
        database,
        user,
        [{"key_name": name, "at": NOON * 1000 - number * 1000} for number, name in enumerate(names)],
        price=1,
    )
    page = database.read_sync(lambda c: report.rows(c, user.id, now=NOON))
    text = report.to_csv(report.ROW_COLUMNS, page.rows)
    assert text.startswith("timestamp,type,model,api_key,api_key_type,meter_source,input_text_tokens,")
    assert not text.endswith("\n")
    parsed = list(csv.DictReader(io.StringIO(text)))
    assert [row["api_key"] for row in parsed] == ["'=cmd()", "'+1", "'-1", "'@x", 'say "hi", all', "plain\nline", ""]
    assert {row["cost_usd"] for row in parsed} == {"0.000000001"}
