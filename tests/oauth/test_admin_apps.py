"""``polli admin app``: app keys made and listed on the command line."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from openpollen.cli.main import polli
from tests.gateway import Account, Gateway
from tests.labconfig import ANSWER
from tests.oauth.people import App, Person


def name_of(account: Account) -> str:
    return str(account.get("/api/account/profile").json["name"])


def test_an_app_is_made_used_and_listed(server: Gateway, user: Person) -> None:
    author = server.account()
    words = ["--user", name_of(author), "--name", "Bees", "--url", "https://garden.example", "--markup", "12.5"]
    made = server.admin("app", "create", *words, "--redirect-uri", "https://garden.example/back")
    assert (made["type"], made["pollenBudget"], made["key"][:3]) == ("publishable", 0, "pk_")
    app = App(server, made["key"], made["id"], author)
    key = Account(server, "", user.back(app.asks())["api_key"], "")
    assert key.chat("lab-chat").cost > ANSWER  # the author's share is on top
    (row,) = server.admin("app", "list", "--user", name_of(author))["data"]
    assert (row["id"], row["markup"], row["appUrl"]) == (made["id"], 12.5, "https://garden.example")
    assert row["redirectUris"] == ["https://garden.example/back"]
    assert server.admin("app", "list", "--user", name_of(server.account()))["data"] == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--name", "x"], "needs an address"),
        (["--name", "x", "--url", "javascript:alert(1)"], "appUrl"),
        (["--name", "x", "--url", "https://a.example", "--markup", "50.1"], "0 to 50 percent"),
        (["--name", "x", "--url", "https://a.example", "--markup", "-1"], "no number of percent"),
        (["--name", "x", "--url", "https://a.example", "--markup", "1.25"], "one decimal place"),
        (["--name", " ", "--url", "https://a.example"], "name of 1 to 253"),
    ],
)
def test_what_cannot_be_an_app_is_told(server: Gateway, words: list[str], told: str) -> None:
    command = ["admin", "app", "create", "--user", "admin", *words, "--data", str(server.data)]
    result = CliRunner().invoke(polli, command, env={"OPENPOLLEN_STORAGE_DATABASE_URL": server.database_url})
    assert result.exit_code == 2
    assert told in result.stderr
