"""``polli admin`` as people type it: answers, JSON, exit codes, and a running server that follows."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from openpollen.accounts.authenticate import Authenticator
from openpollen.accounts.login import redeem_link
from openpollen.cli.main import polli
from openpollen.core.errors import Unauthorized
from openpollen.storage.database import FILE_NAME, Database

Polli = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Polli:
    """Runs ``polli admin ...`` on a data folder of its own."""
    monkeypatch.setenv("OPENPOLLEN_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("OPENPOLLEN_CONFIG", raising=False)
    return lambda *words: CliRunner().invoke(polli, ["admin", *words])


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def database(tmp_path: Path) -> Database:
    return Database.open(tmp_path / "data")


def test_a_user_is_made_listed_and_given_credit(run: Polli) -> None:
    made = answer(run("user", "create", "Bob", "--email", "bob@example.org", "--json"))
    assert (made["name"], made["email"], made["tier"], made["role"]) == ("Bob", "bob@example.org", "microbe", "user")
    for bucket, amount in (("tier", "0.1"), ("crypto", "0.2"), ("pack", "3")):
        given = answer(run("grant", "bob", amount, "--bucket", bucket, "--json"))
    assert given["user"] == made["id"]
    assert given["balance"] == {"total": 3.3, "tier": 0.1, "crypto": 0.2, "pack": 3}
    listed = answer(run("user", "list", "--json"))["data"]
    assert [(user["name"], user["balance"]["total"]) for user in listed] == [("Bob", 3.3)]
    assert "Bob" in run("user", "list").stdout


def test_a_key_is_shown_once_works_and_is_revoked_under_a_running_server(run: Polli, tmp_path: Path) -> None:
    run("user", "create", "Bob")
    words = [
        "--user",
        "Bob",
        "--name",
        "k",
        "--permissions",
        "balance,keys",
        "--models",
        "flux, openai",
        "--budget",
        "0.5",
    ]
    made = answer(run("key", "create", *words, "--expires-in", "60", "--json"))
    assert list(made)[:9] == ["id", "key", "name", "type", "prefix", "start", "expiresAt", "expiresIn", "permissions"]
    assert made["permissions"] == {"models": ["flux", "openai"], "account": ["balance", "keys"]}
    server = database(tmp_path)

    async def work() -> None:
        authenticator = Authenticator(server)
        who = await authenticator.authenticate(made["key"])
        assert (who.key_id, who.models, who.scopes) == (made["id"], {"flux", "openai"}, {"balance", "keys"})
        assert answer(run("key", "revoke", made["id"], "--json")) == {
            "success": True,
            "id": made["id"],
            "revoked": [made["id"]],
        }
        async with asyncio.timeout(5):
            with pytest.raises(Unauthorized):  # noqa: PT012 - it must turn within a second or so
                while True:
                    await authenticator.authenticate(made["key"])
                    await asyncio.sleep(0.05)

    asyncio.run(work())
    server.close()
    assert answer(run("key", "list", "--user", "Bob", "--json")) == {"data": []}


def test_publishable_keys(run: Polli) -> None:
    run("user", "create", "Bob")
    app = answer(
        run(
            "key",
            "create",
            "--user",
            "Bob",
            "--name",
            "app",
            "--type",
            "publishable",
            "--app-url",
            "https://a.example",
            "--json",
        )
    )
    assert (app["prefix"], app["pollenBudget"], app["metadata"]["appUrl"]) == ("pk_", 0, "https://a.example")
    plain = answer(
        run(
            "key",
            "create",
            "--user",
            "Bob",
            "--name",
            "web",
            "--type",
            "publishable",
            "--permissions",
            "usage",
            "--json",
        )
    )
    assert (plain["pollenBudget"], plain["permissions"], plain["metadata"]["plaintextKey"]) == (
        None,
        None,
        plain["key"],
    )


def test_a_login_link_signs_its_user_in(run: Polli, tmp_path: Path) -> None:
    run("user", "create", "Bob")
    assert run("login-link").exit_code == 3
    run("user", "create", "Root", "--admin")
    (tmp_path / "data" / "server.json").write_text(
        json.dumps({"url": "http://127.0.0.1:4711", "pid": 1, "version": "0"})
    )
    for words, name in (([], "Root"), (["Bob"], "Bob")):
        link = answer(run("login-link", *words, "--json"))
        assert link["name"] == name
        assert link["expiresIn"] == 600
        base, _, token = link["url"].rpartition("/")
        assert base == "http://127.0.0.1:4711/login"
        store = database(tmp_path)
        assert store.write_sync(lambda c, token=token: redeem_link(c, token)).user.name == name
        store.close()


def test_verify_answers_yes_and_no(run: Polli, tmp_path: Path) -> None:
    run("user", "create", "Bob")
    run("grant", "Bob", "1", "--bucket", "pack")
    assert answer(run("ledger", "verify", "--json"))["ok"] is True
    store = database(tmp_path)
    store.write_sync(lambda c: c.exec_driver_sql("UPDATE ledger_accounts SET balance = balance + 1").rowcount)
    store.close()
    broken = run("ledger", "verify", "--json")
    assert broken.exit_code == 1
    report = json.loads(broken.stdout)
    assert report["ok"] is False
    assert len(report["problems"]) == 1
    assert "every stored balance is the sum of its transfers" in report["problems"][0]
    assert "BAD" in run("ledger", "verify").stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["grant", "nobody", "1", "--bucket", "pack"], 3),
        (["key", "revoke", "key_unknown"], 3),
        (["key", "create", "--user", "nobody", "--name", "k"], 3),
        (["user", "create", "BOB"], 5),
        (["user", "create", ""], 2),
        (["user", "create", "Eve", "--tier", "gold"], 2),
        (["user", "create", "Eve", "--email", "nonsense"], 2),
        (["grant", "Bob", "nan", "--bucket", "pack"], 2),
        (["grant", "Bob", "0", "--bucket", "pack"], 2),
        (["grant", "Bob", "1e30", "--bucket", "pack"], 2),
        (["grant", "Bob", "1"], 2),
        (["grant", "Bob", "1", "--bucket", "gold"], 2),
        (["key", "create", "--user", "Bob", "--name", "k", "--permissions", "root"], 2),
        (["key", "create", "--user", "Bob", "--name", "k", "--budget", "-1"], 2),
        (["key", "create", "--user", "Bob", "--name", "k", "--expires-in", "0"], 2),
        (["user", "list", "--config", "missing.toml"], 2),
        (["frobnicate"], 2),
    ],
)
def test_exit_codes(run: Polli, words: list[str], code: int) -> None:
    run("user", "create", "Bob")
    result = run(*words)
    assert result.exit_code == code
    assert result.stderr.strip()
    assert "Traceback" not in result.output


def test_a_fault_is_json_when_json_is_asked_for(run: Polli) -> None:
    run("user", "create", "Bob")
    result = run("grant", "nobody", "1", "--bucket", "pack", "--json")
    assert json.loads(result.stdout)["error"]["code"] == "NOT_FOUND"


def test_a_data_folder_that_cannot_be_used_is_exit_code_4(run: Polli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert run("user", "list", "--data", str(tmp_path / "file")).exit_code == 4


def test_options_beat_the_environment_and_the_file_is_read(run: Polli, tmp_path: Path) -> None:
    config = tmp_path / "openpollen.toml"
    config.write_text('[tiers]\ndefault = "seed"\n[accounts]\nsignup_grant = "0.25"\n')
    made = answer(run("user", "create", "Bob", "--data", str(tmp_path / "other"), "--config", str(config), "--json"))
    assert (made["tier"], made["balance"]["pack"]) == ("seed", 0.25)
    assert len(answer(run("user", "list", "--data", str(tmp_path / "other"), "--json"))["data"]) == 1


def test_a_mistyped_data_folder_is_told_and_not_made(run: Polli, tmp_path: Path) -> None:
    for words in (["ledger", "verify"], ["user", "list"], ["grant", "Bob", "1", "--bucket", "pack"]):
        result = run(*words, "--data", str(tmp_path / "typo"))
        assert result.exit_code == 4
        assert "There is no data in" in result.output
    assert not (tmp_path / "typo").exists()


def test_the_command_itself_runs(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "openpollen",
        "admin",
        "user",
        "create",
        "Bob",
        "--data",
        str(tmp_path / "new"),
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["name"] == "Bob"


@pytest.mark.parametrize(
    "words",
    [
        ("ledger", "verify"),
        ("rerate", "--from", "2026-03-01", "--to", "2026-03-31"),
        ("audit",),
        ("user", "list"),
        ("user", "show", "Bob"),
        ("key", "list", "--user", "Bob"),
        ("doctor",),
    ],
)
def test_what_only_reads_does_not_wait_for_a_writer(run: Polli, tmp_path: Path, words: tuple[str, ...]) -> None:
    run("user", "create", "Bob")
    with closing(sqlite3.connect(tmp_path / "data" / FILE_NAME, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert run(*words).exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("grant", "bob", "--json"), "AMOUNT"),
        (("grant", "bob", "1", "--bucket", "gold", "--json"), "gold"),
        (("user", "list", "--json", "--none"), "--none"),
        (("brew", "--json"), "brew"),
    ],
)
def test_a_mistake_in_the_words_is_json_too(run: Polli, words: tuple[str, ...], said: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    told = json.loads(result.stdout)
    assert (told["success"], told["error"]["code"]) == (False, "USAGE")
    assert said in told["error"]["message"]
    assert run(*[word for word in words if word != "--json"]).stdout == ""


def test_what_a_publishable_key_cannot_carry_is_told(run: Polli) -> None:
    run("user", "create", "Bob")
    key = ("key", "create", "--user", "Bob", "--name", "page", "--type", "publishable", "--json", "--permissions")
    made = run(*key, "profile,balance")
    assert answer(made)["permissions"]["account"] == ["profile"]
    assert "not balance" in made.stderr
    assert run(*key, "profile").stderr == ""
