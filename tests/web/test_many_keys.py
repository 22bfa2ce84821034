"""An account with very many keys and connections: pages of a size, and an end to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.gateway import Account, Gateway, Reply
from tests.labserver import lab_server
from tests.oauth.clock import rewrite
from tests.oauth.people import Author, Person, author_of, endpoint, filled
from tests.web.house import sign_in

MOST = 130
MOST_BYTES = 100 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    settings = f"[engines]\nenabled = false\n[accounts]\nmax_keys = {MOST}\n"
    with lab_server(tmp_path_factory.mktemp("many"), settings) as (running, _):
        yield running


def owner_of(author: Author) -> Person:
    """An author, signed in."""
    name = author.account.get("/api/account/profile").json["name"]
    return Person(author.gateway, author.account, sign_in(author.gateway, name))


def make(account: Account, name: str, **fields: Any) -> Reply:
    return account.post("/api/account/keys", {"name": name, **fields})


def fill(author: Author) -> None:
    """Makes keys until there is no room for another."""
    statuses = [make(author.account, f"key number {number}").status for number in range(MOST)]
    assert statuses == [200] * (MOST - 1) + [409]


def all_pages(person: Person, path: str, pattern: str) -> list[str]:
    """What a pattern finds on the pages of a list, each of which is small."""
    out: list[str] = []
    page: str | None = "?page=1"
    while page is not None:
        answer = person.get(path + page)
        assert (answer.status, len(answer.body) < MOST_BYTES) == (200, True), len(answer.body)
        out += re.findall(pattern, answer.text)
        older = re.search(r'href="(\?page=\d+)">Older', answer.text)
        page = older[1] if older else None
    return out


def test_keys_are_shown_on_pages_of_a_size(server: Gateway) -> None:
    author = author_of(server)
    for number in range(MOST - 1):
        assert make(author.account, f"key number {number} & {'<' * 230}").status == 200
    names = all_pages(owner_of(author), "/me/keys", r">(key number \d+) &amp;")
    assert sorted(names) == sorted(f"key number {number}" for number in range(MOST - 1))


def test_connections_are_shown_on_pages_of_a_size_app_by_app(server: Gateway) -> None:
    user = Person.new(server)
    apps = [author_of(server).app(f"App {n} {'x' * 200}", appUrl="https://garden.example") for n in range(2)]
    for number in range(100):
        user.back(apps[number % 3 == 0].asks())
    made = all_pages(user, "/me/connected", r'<h2><a href="/me/connected/(key_[^"]+)"')
    assert len(made) == len(set(made)) == 100
    heads = all_pages(user, "/me/connected", r"</strong> has (\d+) connections")
    assert set(heads) == {"66", "34"}


def test_apps_are_shown_on_pages_of_a_size(server: Gateway) -> None:
    author = author_of(server)
    for number in range(MOST - 1):
        author.app(f"App {number} {'x' * 240}", appUrl=f"https://garden.example/{'y' * 900}")
    assert len(set(all_pages(owner_of(author), "/me/apps", r">(App \d+) x"))) == MOST - 1


def test_an_account_has_no_more_keys_than_the_setting_says(server: Gateway) -> None:
    author = author_of(server)
    fill(author)
    refused = make(author.account, "One more")
    assert (refused.status, refused.error["reason"]) == (409, "too_many_keys")
    assert f"at most {MOST} keys" in refused.error["message"]
    assert "Revoke some" in refused.error["message"]
    person = owner_of(author)
    for path in ("/me/keys", "/me/apps"):
        fields = [("name", "One more"), ("app_url", "https://a.example"), ("models", "all"), ("expiry", "never")]
        page = person.post(path, [*csrf(person), *fields])
        assert re.search(rf'class="fault"[^>]*>An account has at most {MOST} keys', page.text), page.text


def test_consent_makes_no_key_that_there_is_no_room_for(server: Gateway) -> None:
    author = author_of(server)
    app = author_of(server).app("Garden", appUrl="https://garden.example", redirectUris=["https://garden.example/back"])
    fill(author)
    person = owner_of(author)
    for asked in (app.asks(), app.asks_code()):
        page = person.decide(asked, budget="0.7")
        assert (page.status, "location" in page.headers) == (409, False)
        assert "Nothing was allowed" in page.text
        assert 'value="0.7"' in page.text
    begun = endpoint(server, "/api/device/code", {"scope": "generate"}).json
    fields = filled(person.get(f"/device?user_code={begun['user_code']}"), {})
    page = person.post("/device", fields)
    page = person.post("/device", [*filled(page, {}), ("decision", "allow")])
    assert (page.status, "Nothing was allowed" in page.text) == (409, True)
    polled = endpoint(server, "/api/device/token", {"device_code": begun["device_code"]})
    assert polled.json["error"] == "authorization_pending"


def test_codes_that_were_given_out_together_make_no_more_keys_than_there_is_room_for(server: Gateway) -> None:
    author = author_of(server)
    app = author_of(server).app("Garden", appUrl="https://garden.example", redirectUris=["https://garden.example/back"])
    for number in range(MOST - 2):
        assert make(author.account, f"key number {number}").status == 200
    person = owner_of(author)
    codes = [person.back(app.asks_code())["code"] for _ in range(4)]
    begun = endpoint(server, "/api/device/code", {"scope": "generate"}).json
    page = person.post("/device", filled(person.get(f"/device?user_code={begun['user_code']}"), {}))
    assert person.post("/device", [*filled(page, {}), ("decision", "allow")]).status == 200
    with ThreadPoolExecutor(len(codes)) as at_once:
        made = list(at_once.map(app.token, codes))
    assert sorted(answer.status for answer in made) == [200, 400, 400, 400]
    polled = endpoint(server, "/api/device/token", {"device_code": begun["device_code"]})
    for answer in (polled, *(answer for answer in made if answer.status == 400)):
        assert answer.json["error"] == "access_denied"
        assert "no room for another key" in answer.json["error_description"]


def test_expired_keys_make_room(server: Gateway) -> None:
    author = author_of(server)
    first = make(author.account, "Old", expiresIn=3600).json["id"]
    statuses = [make(author.account, f"key number {number}").status for number in range(MOST - 1)]
    assert statuses[-1] == 409
    rewrite(server, "UPDATE api_keys SET expires_at = 1 WHERE id = ?", first)
    assert make(author.account, "New").status == 200
    left = {key["id"] for key in author.account.get("/api/account/keys").json["data"]}
    assert (len(left), first in left) == (MOST, False)


def csrf(person: Person) -> list[tuple[str, str]]:
    return [("csrf", dict(filled(person.get("/me/account"), {}))["csrf"])]
