"""Each check of the ledger finds the fault it is there for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from openpollen.accounts.keys import create_key
from openpollen.accounts.users import create_user
from openpollen.accounts.wanted_keys import NewKey
from openpollen.ledger.corrections import refund
from openpollen.ledger.entries import HoldRequest, KeyBudget, Markup
from openpollen.ledger.verify import CHECKS, verify
from openpollen.ledger.wallet import Wallet
from openpollen.storage.database import Database
from openpollen.usage.record import UsageRow

POSITIVE = "every transfer moves a positive amount between two accounts"
SUMS = "every stored balance is the sum of its transfers"
HELD = "what is held is the sum of the open leases and stored holds"
MARKUP = "every price was charged or covered, and what was charged above it is an author's"
PAYER = "every charge was paid by the user of its usage row"
AUTHOR = "every share went to the owner of the app"
APPS = "the sums of each app are the sums of the usage rows"
DAILY = "daily sums are the sums of the usage rows"

#: What is done to a sound ledger -> the promise that it breaks. Constraints are off meanwhile: they would stop most of it.
FAULTS = {
    "UPDATE transfers SET amount = -amount WHERE reason = 'grant'": POSITIVE,
    "UPDATE ledger_accounts SET balance = balance + 1 WHERE id = 'usr_1/pack'": SUMS,
    "DELETE FROM transfers WHERE reason = 'grant'": SUMS,
    "UPDATE transfers SET debit = 'nowhere' WHERE reason = 'grant'": "no transfer names an account that is not there",
    "DELETE FROM holds WHERE account_id = 'usr_1/pack'": HELD,
    "UPDATE leases SET amount = amount - 1": HELD,
    "UPDATE ledger_accounts SET held = balance + 1 WHERE id = 'usr_1/pack'": "no account is below zero or holds more than it has",
    "UPDATE holds SET expires_at = 1": "no hold is older than its limit",
    "DELETE FROM ledger_workers": "no lease is older than its limit",
    "UPDATE ledger_workers SET expires_at = 1": "no lease is older than its limit",
    "UPDATE holds SET request_id = 'done'": "no settled request still holds money",
    "UPDATE usage SET charged = charged - 1, measured = measured - 1": "every usage row says what was charged",
    "UPDATE usage SET shortfall = shortfall + 1, measured = measured + 1": "every usage row says what the platform covered",
    "UPDATE usage SET measured = measured - 1": MARKUP,
    "DELETE FROM usage": "every charge has its usage row",
    "DELETE FROM usage_terms": "every usage row names its terms",
    "UPDATE transfers SET amount = amount + 1 WHERE credit = 'budgets'": "every key budget paid what the wallet paid",
    "UPDATE transfers SET amount = 13 WHERE reason = 'refund' AND debit = 'platform'": (
        "no request was given back more than it was charged"
    ),
    "UPDATE usage_daily SET cost = cost + 1": DAILY,
    "UPDATE usage_daily SET requests = requests + 1": DAILY,
    "UPDATE usage_daily SET model = 'other'": DAILY,
    "UPDATE usage_daily SET date = '2001-01-01'": DAILY,
    "UPDATE usage_daily SET meter_source = 'tier'": DAILY,
    "UPDATE usage SET meter_source = 'tier'": DAILY,
    "UPDATE usage SET at = at - 86400000": DAILY,
    "DELETE FROM usage_daily": DAILY,
    "UPDATE usage SET user_id = 'usr_2'": PAYER,
    "UPDATE ledger_accounts SET owner = 'usr_2' WHERE id = 'usr_1/pack'": PAYER,
    "UPDATE api_keys SET user_id = (SELECT id FROM users WHERE name = 'usr_2')": AUTHOR,
    "UPDATE usage_apps SET cost = cost - 1": APPS,
    "UPDATE usage_apps SET requests = 0": APPS,
    "UPDATE usage_apps SET user_id = 'usr_2'": APPS,
    "DELETE FROM usage_apps": APPS,
}

DROP_CONSTRAINTS = """SELECT 'ALTER TABLE ' || conrelid::regclass || ' DROP CONSTRAINT ' || conname
    FROM pg_constraint WHERE contype IN ('c', 'f') AND connamespace = 'public'::regnamespace"""


@pytest.fixture
def ledger(database: Database) -> Database:
    """A wallet with a grant, a charge with a shortfall and a refund of a part, a call through an app with its author's share, a
    lease and a stored hold."""

    def make_app(connection: Any) -> tuple[str, str]:
        author, _ = create_user(connection, "author", tier="spore"), create_user(connection, "usr_2", tier="spore")
        wanted = NewKey(name="app", type="publishable", app_url="https://app.example")
        return author.id, create_key(connection, author.id, wanted)[0].id

    async def work() -> None:
        wallet, budget = Wallet(database), KeyBudget("key_1", 50)
        await wallet.grant("usr_1", 100, "pack", "grant", "test")
        hold = await wallet.hold(HoldRequest("done", "usr_1", 10, budgets=(budget,), max_cost=12))
        await wallet.settle(
            hold, 15, UsageRow(request_id="done", user_id="usr_1", type="generate.text", model="openai")
        )
        await database.write(lambda connection: refund(connection, "done", "test", 2))
        author, app = await database.write(make_app)
        hold = await wallet.hold(HoldRequest("through", "usr_1", 20, markup=Markup(author, 100)))
        through = UsageRow(request_id="through", user_id="usr_1", type="generate.text", model="openai", app_key_id=app)
        await wallet.settle(hold, 10, through)
        await wallet.hold(HoldRequest("open", "usr_1", 10, budgets=(budget,), durable=True))

    asyncio.run(work())
    return database


def broken_promises(database: Database) -> list[str]:
    report: dict[str, Any] = database.read_sync(verify)
    assert report["ok"] == (not report["problems"])
    assert [check["check"] for check in report["checks"]] == list(CHECKS)
    return [check["check"] for check in report["checks"] if not check["ok"]]


def test_a_sound_ledger_is_ok(ledger: Database) -> None:
    assert broken_promises(ledger) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(ledger: Database, fault: str) -> None:
    def plant(connection: Any) -> None:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        else:
            for (statement,) in connection.exec_driver_sql(DROP_CONSTRAINTS).all():
                connection.exec_driver_sql(statement)
        assert connection.exec_driver_sql(fault).rowcount > 0
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = OFF")

    ledger.write_sync(plant)
    assert FAULTS[fault] in broken_promises(ledger)


def test_every_check_has_a_fault_that_it_finds() -> None:
    assert set(FAULTS.values()) == set(CHECKS)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger_accounts SET balance = -1",
        "UPDATE ledger_accounts SET held = balance + 1",
        "UPDATE transfers SET amount = 0",
        "UPDATE usage SET charged = charged - 1",
        "UPDATE usage SET charged = charged + measured",
    ],
)
def test_the_store_itself_refuses_what_must_never_be(ledger: Database, change: str) -> None:
    with pytest.raises(Exception, match=r"(?i)check constraint"):
        ledger.write_sync(lambda c: c.exec_driver_sql(change).rowcount)
    assert broken_promises(ledger) == []
