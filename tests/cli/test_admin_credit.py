"""Credit that people give, correct and give back, charges computed again, and the trail that all of it leaves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result

from openpollen.accounts.users import create_user
from openpollen.catalog.load import load_catalog
from openpollen.cli.main import polli
from openpollen.core.errors import Conflict
from openpollen.core.money import NANO
from openpollen.core.usage import Usage
from openpollen.ledger import credit
from openpollen.ledger.corrections import Refund, refund
from openpollen.ledger.entries import HoldRequest, KeyBudget
from openpollen.ledger.pricing import PriceFacts, charge, with_input_of
from openpollen.ledger.statements import LEASE_MS
from openpollen.ledger.wallet import Wallet
from openpollen.storage.database import Connection, Database
from openpollen.usage.record import UsageRow

Polli = Callable[..., Result]
DAY = datetime(2026, 3, 25, 12, tzinfo=UTC)
#: Amounts that Python would read and people do not mean.
ODD = ("+5", " 5", "5 ", "1_000", "\u0665", "\uff15", "5e0", "0x5", "5.", "")
MODELS = {model.name: model for model in load_catalog().models}


@pytest.fixture
def run(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Polli:
    """Runs ``polli admin ...`` on a data folder of its own, in which Bob has an account."""
    monkeypatch.setenv("OPENPOLLEN_STORAGE_DATABASE_URL", database_url)
    monkeypatch.setenv("OPENPOLLEN_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("OPENPOLLEN_CONFIG", raising=False)

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(polli, ["admin", *words])

    assert invoke("user", "create", "Bob").exit_code == 0
    return invoke


def opened(tmp_path: Path) -> Database:
    """The database that the command works on, as a server opens it."""
    return Database.open(tmp_path / "data", os.environ["OPENPOLLEN_STORAGE_DATABASE_URL"], commit_gap=0)


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(result: Result, code: int, words: str) -> None:
    assert result.exit_code == code, result.output
    assert words in result.stderr
    assert "Traceback" not in result.output


def bob(run: Polli) -> Any:
    return answer(run("user", "show", "Bob", "--json"))


def adds_up(run: Polli) -> None:
    answer(run("ledger", "verify", "--json"))


def spend(tmp_path: Path, user_id: str, *charges: tuple[str, int], budgets: tuple[KeyBudget, ...] = ()) -> None:
    """Charges by (request id, nano-pollen), made as a running server makes them."""

    async def work(database: Database) -> None:
        wallet = Wallet(database)
        for request_id, price in charges:
            hold = await wallet.hold(HoldRequest(request_id, user_id, price, budgets))
            await wallet.settle(hold, price, UsageRow(request_id=request_id, user_id=user_id, type="generate.text"))
        await wallet.stop()

    database = opened(tmp_path)
    asyncio.run(work(database))
    database.close()


def sql(tmp_path: Path, statement: str) -> None:
    database = opened(tmp_path)
    database.write_sync(lambda connection: connection.exec_driver_sql(statement).rowcount)
    database.close()


@pytest.mark.parametrize("amount", ODD)
def test_an_amount_is_a_plain_decimal_or_it_is_refused(run: Polli, amount: str) -> None:
    refused(run("grant", "Bob", amount, "--bucket", "pack"), 2, "AMOUNT: ")
    refused(run("refund", "none", f"--amount={amount}"), 2, "--amount: ")
    refused(run("key", "create", "--user", "Bob", "--name", "k", f"--budget={amount}"), 2, "ollen")
    assert bob(run)["balance"]["total"] == 0


def test_a_correction_takes_and_gives_and_never_goes_below_zero(run: Polli) -> None:
    run("grant", "Bob", "3", "--bucket", "pack", "--reason", "purchase")
    taken = answer(run("correct", "Bob", "-1.5", "--bucket", "pack", "--reason", "booked twice", "--json"))
    assert (taken["amount"], taken["balance"]["pack"]) == (-1.5, 1.5)
    given = answer(run("correct", "Bob", "0.000000001", "--bucket", "tier", "--reason", "the last nano", "--json"))
    assert given["balance"]["tier"] == 1e-9
    refused(
        run("correct", "Bob", "-1.500000001", "--bucket", "pack", "--reason", "too much"), 2, "never goes below zero"
    )
    refused(run("correct", "Bob", "-0.1", "--bucket", "crypto", "--reason", "nothing there"), 2, "crypto bucket has 0")
    for amount in ("0", "-0", "nan", "-inf", "1e30", "-1e30", "1e-10", "--1", "- 1", *ODD):
        assert run("correct", "Bob", amount, "--bucket", "pack", "--reason", "odd").exit_code == 2, amount
    assert run("correct", "Bob", "-1", "--bucket", "pack").exit_code == 2
    assert bob(run)["balance"]["total"] == 1.500000001
    adds_up(run)


HOLD_AND_DIE = """
import asyncio, os, signal, sys
from pathlib import Path
from openpollen.app import instance, worker_name
from openpollen.ledger.entries import HoldRequest
from openpollen.ledger.statements import LEASE_MS
from openpollen.ledger.wallet import Wallet
from openpollen.storage.database import Database

async def work(data, url, user_id):
    wallet = Wallet(Database.open(data, url), worker=worker_name(instance(data), os.getpid()))
    await wallet.hold(HoldRequest("open", user_id, 1_500_000_000))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(work(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
"""


def test_a_correction_takes_at_once_what_a_killed_server_had_set_aside(run: Polli, tmp_path: Path) -> None:
    run("grant", "Bob", "2", "--bucket", "pack")
    words = [str(tmp_path / "data"), os.environ["OPENPOLLEN_STORAGE_DATABASE_URL"], bob(run)["id"]]
    assert subprocess.run([sys.executable, "-c", HOLD_AND_DIE, *words]).returncode == -signal.SIGKILL
    started = time.monotonic()
    taken = run("correct", "Bob", "-1.9", "--bucket", "pack", "--reason", "after the crash", "--json")
    assert answer(taken)["balance"]["pack"] == 0.1
    assert time.monotonic() - started < LEASE_MS / 2000
    adds_up(run)


def test_a_correction_leaves_what_running_calls_hold(run: Polli, tmp_path: Path) -> None:
    run("grant", "Bob", "2", "--bucket", "pack")
    user_id = bob(run)["id"]

    async def work(database: Database) -> None:
        wallet = Wallet(database)
        wallet.start()
        hold = await wallet.hold(HoldRequest("open", user_id, NANO))
        words = ("correct", "Bob", "-1.2", "--bucket", "pack", "--reason", "too much now", "--json")
        refused(await asyncio.to_thread(run, *words), 5, "1 of 2 pollen are free")
        # What the worker has leased and does not hold comes back for a correction within a second or so.
        assert answer(await asyncio.to_thread(run, *words[:2], "-0.9", *words[3:]))["balance"]["pack"] == 1.1
        await wallet.settle(hold, NANO, UsageRow(request_id="open", user_id=user_id, type="generate.text"))
        await wallet.stop()

    database = opened(tmp_path)
    asyncio.run(work(database))
    database.close()
    assert bob(run)["balance"]["pack"] == 0.1
    adds_up(run)


def test_a_refund_goes_back_to_the_buckets_and_budgets_that_paid(run: Polli, tmp_path: Path) -> None:
    for bucket, amount in (("tier", "0.1"), ("crypto", "0.2"), ("pack", "1")):
        run("grant", "Bob", amount, "--bucket", bucket)
    key = answer(run("key", "create", "--user", "Bob", "--name", "k", "--budget", "0.7", "--json"))["id"]
    user_id = bob(run)["id"]
    spend(tmp_path, user_id, ("r1", 6 * NANO // 10), budgets=(KeyBudget(key, 7 * NANO // 10),))
    assert bob(run)["balance"] == {"total": 0.7, "tier": 0, "crypto": 0, "pack": 0.7}

    part = answer(run("refund", "r1", "--amount", "0.45", "--json"))
    assert (part["amount"], part["left"]) == ("0.45", "0.15")
    assert part["parts"] == {f"{user_id}/pack": "0.3", f"{user_id}/crypto": "0.15", f"{key}/total": "0.45"}
    shown = bob(run)
    assert shown["balance"] == {"total": 1.15, "tier": 0, "crypto": 0.15, "pack": 1}
    assert shown["keys"][0]["pollenBalance"] == 0.55

    refused(run("refund", "r1", "--amount", "0.150000001"), 2, "0.15 pollen of this request can be given back")
    assert answer(run("refund", "r1", "--json"))["amount"] == "0.15"
    shown = bob(run)
    assert shown["balance"] == {"total": 1.3, "tier": 0.1, "crypto": 0.2, "pack": 1}
    assert shown["keys"][0]["pollenBalance"] == 0.7
    refused(run("refund", "r1"), 5, "Nothing of this request is left")
    refused(run("refund", "nothing"), 3, "There is no request")
    for amount in ("0", "-1", "nan", "1e30"):
        assert run("refund", "r1", "--amount", amount).exit_code in (2, 5)
    adds_up(run)


def test_of_many_refunds_at_once_one_is_given(run: Polli, tmp_path: Path) -> None:
    run("grant", "Bob", "1", "--bucket", "pack")
    spend(tmp_path, bob(run)["id"], ("r1", NANO // 2))

    async def work(database: Database) -> list[object]:
        tries = (database.write(lambda connection: refund(connection, "r1", "test")) for _ in range(10))
        return await asyncio.gather(*tries, return_exceptions=True)

    database = opened(tmp_path)
    outcomes = asyncio.run(work(database))
    database.close()
    assert sum(isinstance(outcome, Refund) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 9
    assert bob(run)["balance"]["pack"] == 1
    adds_up(run)


OTHERS = """
INSERT INTO transfers (at, debit, credit, amount, reason, actor, request_id)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
SELECT (SELECT MAX(at) FROM usage) + {ms} * i, 'platform', 'shortfall', 1, 'attempt', 'lab', 'other-' || i FROM n"""


@pytest.mark.parametrize("ms", [10, -10])
def test_a_refund_finds_its_charge_among_many_whatever_the_clock_did(run: Polli, tmp_path: Path, ms: int) -> None:
    run("grant", "Bob", "1", "--bucket", "pack")
    user_id = bob(run)["id"]
    spend(tmp_path, user_id, ("r1", NANO // 4))
    sql(tmp_path, OTHERS.format(count=40_000, ms=ms))
    spend(tmp_path, user_id, ("r2", NANO // 4))
    sql(tmp_path, OTHERS.format(count=40_000, ms=ms))
    for request_id in ("r2", "r1"):
        assert answer(run("refund", request_id, "--amount", "0.1", "--json"))["left"] == "0.15"
        assert answer(run("refund", request_id, "--json"))["amount"] == "0.15"
        refused(run("refund", request_id), 5, "Nothing of this request is left")
    assert bob(run)["balance"]["pack"] == 1


def test_a_refund_reads_few_of_many_transfers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in steps of SQLite's machine: a scan takes several for every transfer there is."""
    count = 200_000
    monkeypatch.setenv("OPENPOLLEN_STORAGE_DATABASE_URL", "")
    database = opened(tmp_path)
    owner = database.write_sync(lambda connection: create_user(connection, "Ann", tier="microbe"))
    database.write_sync(lambda connection: credit.grant(connection, owner.id, NANO, "pack", "grant", "test"))
    database.close()
    spend(tmp_path, owner.id, ("r1", NANO // 4))
    database = opened(tmp_path)
    database.write_sync(lambda c: c.exec_driver_sql(OTHERS.format(count=count, ms=10)).rowcount)
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1_000
        return 0

    def give_back(connection: Connection) -> Refund:
        driver = cast(sqlite3.Connection, connection.connection.driver_connection)
        driver.set_progress_handler(step, 1_000)
        try:
            return refund(connection, "r1", "test")
        finally:
            driver.set_progress_handler(None, 0)

    assert database.write_sync(give_back).amount == NANO // 4
    database.close()
    assert steps < count / 2


def test_a_refund_is_seen_by_a_running_worker(run: Polli, tmp_path: Path) -> None:
    run("grant", "Bob", "0.1", "--bucket", "tier")
    run("grant", "Bob", "1", "--bucket", "pack")
    user_id = bob(run)["id"]

    async def work(database: Database) -> None:
        wallet = Wallet(database)
        wallet.start()
        for request_id in ("r1", "r2"):
            hold = await wallet.hold(HoldRequest(request_id, user_id, NANO // 10))
            await wallet.settle(
                hold, NANO // 10, UsageRow(request_id=request_id, user_id=user_id, type="generate.text")
            )
        await asyncio.to_thread(run, "refund", "r1")
        await wallet.beat()
        hold = await wallet.hold(HoldRequest("r3", user_id, NANO // 10))
        paid = await wallet.settle(hold, NANO // 10, UsageRow(request_id="r3", user_id=user_id, type="generate.text"))
        assert paid.parts == (("tier", NANO // 10),)
        await wallet.stop()

    database = opened(tmp_path)
    asyncio.run(work(database))
    database.close()
    adds_up(run)


@pytest.mark.parametrize("reason", ["charge", "refill", "shortfall", "attempt", "budget", "because"])
def test_words_of_the_ledger_itself_are_no_reason_for_a_grant(run: Polli, reason: str) -> None:
    assert run("grant", "Bob", "1", "--bucket", "pack", "--reason", reason).exit_code == 2
    assert bob(run)["balance"]["total"] == 0


def test_every_act_leaves_a_row(run: Polli, tmp_path: Path) -> None:
    user_id = bob(run)["id"]
    key = answer(run("key", "create", "--user", "Bob", "--name", "k", "--models", "flux", "--budget", "2", "--json"))
    run("grant", "Bob", "3", "--bucket", "pack", "--reason", "purchase", "--note", "invoice 7")
    spend(tmp_path, user_id, ("r1", NANO))
    run("refund", "r1", "--amount", "0.25", "--reason", "broken picture")
    run("correct", "Bob", "-0.5", "--bucket", "pack", "--reason", "booked twice")
    run("user", "tier", "Bob", "seed")
    run("user", "tier", "Bob", "seed")  # changes nothing
    run("user", "ban", "Bob", "--reason", "abuse")
    run("user", "unban", "Bob")
    run("login-link", "Bob")
    run("key", "revoke", key["id"])
    run("user", "create", "Eve")
    run("correct", "Bob", "-99", "--bucket", "pack", "--reason", "refused")  # leaves nothing
    rows = answer(run("audit", "--user", "Bob", "--json"))["data"]
    assert {(row["subject"], row["actor"].partition(":")[0]) for row in rows} == {(user_id, "cli")}
    assert [(row["action"], row["details"]) for row in reversed(rows)] == [
        ("user.create", {"name": "Bob", "tier": "microbe", "role": "user"}),
        (
            "key.create",
            {"key": key["id"], "name": "k", "type": "secret", "via": "cli", "budget": "2", "models": ["flux"]},
        ),
        ("credit.grant", {"amount": "3", "bucket": "pack", "reason": "purchase", "note": "invoice 7"}),
        ("credit.refund", {"request": "r1", "amount": "0.25", "reason": "broken picture"}),
        ("credit.correct", {"amount": "-0.5", "bucket": "pack", "reason": "booked twice"}),
        ("user.tier", {"before": "microbe", "after": "seed"}),
        ("user.ban", {"why": "abuse"}),
        ("user.unban", {}),
        ("user.login_link", {}),
        ("key.revoke", {"key": key["id"], "name": "k", "revoked": [key["id"]]}),
    ]
    assert key["key"] not in str(rows)
    every = answer(run("audit", "--limit", "1", "--json"))["data"]
    assert [(row["action"], row["details"]["name"]) for row in every] == [("user.create", "Eve")]
    assert "credit.refund" in run("audit").stdout
    refused(run("audit", "--user", "nobody"), 3, "no user")


def test_tiers_bans_and_the_whole_of_an_account(run: Polli) -> None:
    assert answer(run("user", "tier", "Bob", "flower", "--json"))["tier"] == "flower"
    refused(run("user", "tier", "Bob", "gold"), 2, "choose one of microbe, spore")
    refused(run("user", "tier", "nobody", "seed"), 3, "no user")
    assert answer(run("user", "ban", "Bob", "--json"))["banned"] is True
    shown = bob(run)
    assert (shown["banned"], shown["tier"], shown["keys"]) == (True, "flower", [])
    assert shown["bannedAt"] is not None
    assert shown["nextResetAt"].endswith(":00:00.000Z")
    assert answer(run("user", "unban", "Bob", "--json"))["banned"] is False
    assert "flower" in run("user", "show", "Bob").stdout


def test_a_model_that_does_not_exist_is_refused_with_the_nearest(run: Polli) -> None:
    words = ("key", "create", "--user", "Bob", "--name", "k", "--json", "--models")
    refused(run(*words, "flux,opnai"), 2, "openai")
    assert bob(run)["keys"] == []
    alias = next(model for model in MODELS.values() if model.aliases)
    assert answer(run(*words, f"flux,{alias.aliases[0]}"))["permissions"]["models"] == ["flux", alias.name]


# -- charges computed again -----------------------------------------------------------------------------------------------

#: Rows that took another rate for cause: (model, what served it, what was used, facts).
ROWS: list[tuple[str, str, Usage, PriceFacts]] = [
    ("openai-large", "openai-large", Usage(input_tokens=272_000, cached_input_tokens=1, output_tokens=9), PriceFacts()),
    ("openai-large", "openai-large", Usage(input_tokens=272_000, output_tokens=9, reasoning_tokens=3), PriceFacts()),
    ("nova-canvas", "nova-canvas", Usage(images=1), PriceFacts(quality="high", resolution="2k")),
    ("nova-canvas", "nova-canvas", Usage(images=1), PriceFacts(quality="medium", resolution="1k")),
    ("wan", "wan", Usage(video_ms=5_042), PriceFacts(resolution="720p", audio=True)),
    ("wan", "wan", Usage(video_ms=5_042), PriceFacts(resolution="720p", audio=False)),
    ("perplexity-fast", "perplexity-fast", Usage(input_tokens=3, searches=2), PriceFacts(quality="high")),
    ("openai-audio", "openai-audio", Usage(input_audio_tokens=7, output_audio_tokens=31), PriceFacts()),
    ("gptimage", "gptimage", Usage(input_tokens=9, input_image_tokens=4, output_image_tokens=1056), PriceFacts()),
    ("elevenlabs", "elevenlabs", Usage(characters=11), PriceFacts()),
    ("whisper", "whisper", Usage(input_audio_ms=333), PriceFacts()),
    ("claude", "smollm2", Usage(input_tokens=500, output_tokens=500), PriceFacts()),
    ("polly", "smollm2", Usage(input_tokens=500, output_tokens=500), PriceFacts()),
]


def record(tmp_path: Path, user_id: str) -> int:
    """Writes ``ROWS`` as a server does; their sum."""

    async def work(database: Database) -> int:
        wallet, total = Wallet(database), 0
        await wallet.grant(user_id, 1000 * NANO, "pack", "grant", "test")
        for number, (name, served, units, facts) in enumerate(ROWS):
            price = MODELS[served if name == "claude" else name].price
            bill = charge(units, price, with_input_of(units, facts))
            row = UsageRow(
                request_id=f"r{number}",
                user_id=user_id,
                type="generate.text",
                model=name,
                served_model=served,
                units=units,
                rates={str(line.unit): str(line.rate) for line in bill.lines},
                facts=facts.told,
                at=int(DAY.timestamp() * 1000) + number,
            )
            hold = await wallet.hold(HoldRequest(f"r{number}", user_id, bill.total))
            await wallet.settle(hold, bill.total, row)
            total += bill.total
        await wallet.stop()
        return total

    database = opened(tmp_path)
    try:
        return asyncio.run(work(database))
    finally:
        database.close()


def pollen(nano: int) -> str:
    return f"{nano / NANO:.9f}".rstrip("0").rstrip(".")


def test_every_row_can_be_computed_again(run: Polli, tmp_path: Path) -> None:
    total = record(tmp_path, bob(run)["id"])
    period = ("--from", "2026-03-25", "--to", "2026-03-25")
    for user in ((), ("--user", "Bob")):
        done = answer(run("rerate", *period, *user, "--json"))
        assert done == {"ok": True, "rows": len(ROWS), "measured": pollen(total), "wrong": []}
    assert answer(run("rerate", "--from", "2026-03-26", "--to", "2026-04-01", "--json"))["rows"] == 0
    assert answer(run("rerate", "--from", "2026-03-01", "--to", "2026-03-24", "--json"))["rows"] == 0
    run("user", "create", "Eve")
    assert answer(run("rerate", *period, "--user", "Eve", "--json"))["rows"] == 0
    refused(run("rerate", "--from", "2026-03-26", "--to", "2026-03-25"), 2, "before --from")
    refused(run("rerate", *period, "--user", "nobody"), 3, "no user")


def test_a_row_that_does_not_follow_from_itself_is_found(run: Polli, tmp_path: Path) -> None:
    record(tmp_path, bob(run)["id"])
    sql(tmp_path, "UPDATE usage SET measured = measured + 1, shortfall = shortfall + 1 WHERE request_id = 'r2'")
    sql(
        tmp_path,
        "UPDATE usage_terms SET rates = '{\"image\": \"1\"}' WHERE id = (SELECT terms FROM usage WHERE request_id = 'r4')",
    )
    sql(tmp_path, "UPDATE usage SET units = 'nonsense' WHERE request_id = 'r9'")
    found = run("rerate", "--from", "2026-03-25", "--to", "2026-03-25", "--json")
    assert found.exit_code == 1
    wrong = json.loads(found.stdout)["wrong"]
    assert [row["request_id"] for row in wrong] == ["r2", "r4", "r9"]
    assert (wrong[0]["measured"], wrong[0]["computed"]) == ("0.080000001", "0.08")
    assert "no rate for second" in wrong[1]["why"]
    assert run("rerate", "--from", "2026-03-25", "--to", "2026-03-25").stdout.count("BAD") == 3


def test_todays_prices_are_compared_to_the_nano_pollen(run: Polli, tmp_path: Path) -> None:
    total = record(tmp_path, bob(run)["id"])
    words = ("rerate", "--from", "2026-03-25", "--to", "2026-03-25", "--prices", "current", "--json")
    same = answer(run(*words))["current"]
    assert (same["was"], same["now"], same["difference"], same["unpriced"]) == (pollen(total), pollen(total), "0", 0)
    config = tmp_path / "openpollen.toml"
    config.write_text(
        """
[[models]]
name = "whisper"
price = { second = "0.0000450" }
[[models]]
name = "nova-canvas"
price = { image = "0.01" }
[[models.variants]]
quality = "high"
price = { image = "0.011" }
"""
    )
    now = answer(run(*words, "--config", str(config)))["current"]
    changed = {model["model"]: model for model in now["models"] if model["difference"] != "0"}
    # 333 ms: 14,818.5 nano-pollen round to 14,819, and 14,985 now. Two pictures: 40 and 80 million, 10 and 11 now.
    assert {name: model["difference"] for name, model in changed.items()} == {
        "whisper": "0.000000166",
        "nova-canvas": "-0.099",
    }
    assert (now["difference"], changed["nova-canvas"]["requests"]) == ("-0.098999834", 2)
    sql(tmp_path, "UPDATE usage_terms SET model = 'gone' WHERE id = (SELECT terms FROM usage WHERE request_id = 'r9')")
    sql(tmp_path, "UPDATE usage_daily SET model = 'gone' WHERE model = 'elevenlabs'")
    gone = answer(run(*words))["current"]
    assert (gone["unpriced"], gone["difference"]) == (1, "0")
    assert "whisper" in run(*words[:-1], "--config", str(config)).stdout
    adds_up(run)
