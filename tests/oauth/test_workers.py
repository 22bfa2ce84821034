"""Codes, device codes and refresh tokens are worth one key, however many ask for it at once on however many workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.gateway import Account, Gateway, Reply, eventually
from tests.labconfig import ANSWER
from tests.labserver import lab_server
from tests.oauth.conftest import SETTINGS
from tests.oauth.people import App, Person, author_of, endpoint
from tests.oauth.test_devices import begin, decide, poll

AT_ONCE = 24


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def trio(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("trio")
    env: dict[str, str] = {}
    if request.param == "postgresql":
        env["OPENPOLLEN_STORAGE_DATABASE_URL"] = request.getfixturevalue("postgres_server").fresh()
    with lab_server(folder, SETTINGS, ("--workers", "3"), env) as (running, _):
        yield running


@pytest.fixture
def user(trio: Gateway) -> Person:
    return Person.new(trio)


@pytest.fixture
def app(trio: Gateway) -> App:
    return author_of(trio).app("Garden notes", redirectUris=["https://garden.example/back"], devices=True)


def together(ask: Callable[[int], Reply]) -> list[Reply]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(ask, range(AT_ONCE)))


def the_one(replies: list[Reply]) -> str:
    """The key that one of many got; all others were told that there is none to get."""
    good = [reply for reply in replies if reply.status == 200]
    assert len(good) == 1
    assert {(reply.status, reply.json["error"]) for reply in replies if reply not in good} == {(400, "invalid_grant")}
    return good[0].json["access_token"]


def test_one_code_is_one_key(trio: Gateway, user: Person, app: App) -> None:
    code = user.back(app.asks_code())["code"]
    key = Account(trio, "", the_one(together(lambda _: app.token(code))), "")
    assert key.chat("lab-chat").cost == ANSWER


def test_one_device_code_is_one_key(trio: Gateway, user: Person, app: App) -> None:
    begun = begin(trio, client_id=app.key)
    decide(user, begun["user_code"])
    key = Account(trio, "", the_one(together(lambda _: poll(trio, begun["device_code"], client_id=app.key))), "")
    assert key.chat("lab-chat").cost == ANSWER


def test_one_refresh_token_is_one_new_value_and_a_copy_ends_the_grant(trio: Gateway, user: Person, app: App) -> None:
    made = app.token(user.back(app.asks_code(scope="offline_access"))["code"]).json
    fields = {"grant_type": "refresh_token", "refresh_token": made["refresh_token"], "client_id": app.key}
    new = the_one(together(lambda _: endpoint(trio, "/api/oauth/token", fields)))
    for value in (made["access_token"], new):
        key = Account(trio, "", value, "")
        eventually(lambda key=key: key.get("/api/account/key").status == 401, "the end of the grant on every worker")


def test_one_budget_is_spent_once(trio: Gateway, user: Person, app: App) -> None:
    """Ten answers fit; more are asked for at once on all workers."""
    budget = f"{10 * ANSWER / 1e9:.9f}"
    made = app.token(user.back(app.asks_code(), budget=budget)["code"]).json
    key = Account(trio, "", made["access_token"], "")
    replies = together(lambda _: key.chat("lab-chat", max_tokens=8))
    assert sum(reply.cost or 0 for reply in replies if reply.status == 200) <= 10 * ANSWER
    assert {reply.status for reply in replies} == {200, 402}
    assert trio.verify()["ok"] is True
