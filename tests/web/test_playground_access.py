"""Who may call the API with the cookie of a signed-in browser: our own pages, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import labconfig
from tests.gateway import Account, Gateway, Reply
from tests.labserver import lab_server
from tests.web.house import sign_in
from tests.web.visitor import PASSWORD, SETTINGS, Visitor

CHAT = {"model": "lab-chat", "messages": [{"role": "user", "content": "Hello!"}]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("access")
    with lab_server(folder, SETTINGS) as (running, _):
        yield running


class Browser:
    """A signed-in browser whose page calls the API."""

    def __init__(self, server: Gateway, account: Account) -> None:
        self.account = account
        self.name: str = account.get("/api/account/profile").json["name"]
        self.visitor = Visitor(server)
        name, _, value = sign_in(server, self.name).partition("=")
        self.visitor.cookies[name] = value
        self._server = server
        self.token = self.visitor.csrf

    def ask(self, method: str, path: str, body: object = None, **changed: str | None) -> Reply:
        """A request as the page makes it; ``changed`` headers differ, and ``None`` leaves one out."""
        headers: dict[str, str | None] = {
            "cookie": "; ".join(f"{name}={value}" for name, value in self.visitor.cookies.items()),
            "x-csrf-token": self.token,
            "sec-fetch-site": "same-origin",
            "origin": self._server.url if method != "GET" else None,
        }
        headers |= {name.replace("_", "-"): value for name, value in changed.items()}
        sent = {name: value for name, value in headers.items() if value is not None}
        return self._server.request(method, path, headers=sent, json=body)

    def chat(self, **changed: str | None) -> Reply:
        return self.ask("POST", "/v1/chat/completions", CHAT, **changed)


@pytest.fixture
def browser(server: Gateway) -> Browser:
    return Browser(server, server.account(pack="1"))


def test_a_page_spends_as_the_account_and_its_calls_are_told_apart(browser: Browser) -> None:
    before = browser.account.balance
    reply = browser.chat()
    assert reply.status == 200, reply.text
    (row,) = browser.account.rows(1)
    assert (row["api_key"], row["model"]) == ("Playground", "lab-chat")
    assert before - browser.account.balance == labconfig.ANSWER == reply.cost


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/estimate", {"endpoint": "chat/completions", "request": CHAT}),
        ("GET", "/v1/models", None),
        ("GET", "/v1/videos", None),
        ("GET", "/uploads", None),
        ("POST", "/upload", {"data": "UG9sbGVu", "contentType": "text/plain"}),
        ("POST", "/v1/images/generations", {"model": "lab-image", "prompt": "a bee"}),
        ("POST", "/v1/audio/speech", {"model": "lab-speech", "input": "Hello"}),
    ],
)
def test_what_a_page_needs_is_open_to_it_and_shut_without_the_token(
    browser: Browser, method: str, path: str, body: object
) -> None:
    assert browser.ask(method, path, body).status == 200
    refused = browser.ask(method, path, body, x_csrf_token=None)
    assert refused.status == (200 if path == "/v1/models" else 401)  # models are for everybody
    assert browser.ask(method, path, body, x_csrf_token="0" * 32).status == 401


READS = (
    "/api/account/profile",
    "/api/account/balance",
    "/api/account/usage",
    "/api/account/usage/daily",
    "/api/account/key/usage",
    "/account/balance",
)


@pytest.mark.parametrize("path", READS)
def test_reading_the_account_needs_the_session_alone(browser: Browser, path: str) -> None:
    for way in ({}, {"x_csrf_token": None}, {"x_csrf_token": None, "sec_fetch_site": "none"}):
        assert browser.ask("GET", path, **way).status == 200
    assert browser.ask("GET", path, x_csrf_token=None, cookie=None).status == 401
    assert browser.ask("GET", path, x_csrf_token=None, authorization="Bearer sk_wrong").status == 401
    for other in (
        {"origin": "https://evil.example"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ):
        assert browser.ask("GET", path, x_csrf_token=None, **other).status == 401


ATTACKS: dict[str, dict[str, str | None]] = {
    "no token": {"x_csrf_token": None},
    "empty token": {"x_csrf_token": ""},
    "wrong token": {"x_csrf_token": "f" * 32},
    "token without cookie": {"cookie": None},
    "made-up cookie": {"cookie": "openpollen=abcdefghijklmnop"},
    "other origin": {"origin": "https://evil.example"},
    "other port": {"origin": "http://127.0.0.1:1"},
    "opaque origin": {"origin": "null"},
    "other site": {"sec_fetch_site": "cross-site"},
    "sibling site": {"sec_fetch_site": "same-site"},
    "typed address": {"sec_fetch_site": "none"},
}


@pytest.mark.parametrize("changed", ATTACKS.values(), ids=ATTACKS.keys())
def test_another_site_cannot_spend_with_the_cookie(browser: Browser, changed: dict[str, str | None]) -> None:
    reply = browser.chat(**changed)
    assert reply.status == 401
    assert reply.error["code"] == "UNAUTHORIZED"
    assert browser.ask("GET", "/image/a%20bee?model=lab-image", **changed).status == 401
    assert browser.account.rows(0) == []


def test_answers_to_pages_allow_no_credentials_from_elsewhere(browser: Browser) -> None:
    reply = browser.chat()
    assert reply.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in reply.headers


def test_a_token_of_another_session_is_worth_nothing(server: Gateway, browser: Browser) -> None:
    other = Browser(server, server.account(pack="1"))
    assert browser.chat(x_csrf_token=other.token).status == 401


def test_a_key_goes_before_the_cookie(browser: Browser) -> None:
    assert browser.chat(authorization="Bearer sk_wrong").status == 401
    assert browser.chat(authorization=f"Bearer {browser.account.key}", x_csrf_token=None).status == 200
    assert browser.account.rows(1)[0]["api_key"] != "Playground"


def test_a_page_manages_no_keys_and_has_none(browser: Browser) -> None:
    assert browser.ask("GET", "/api/account/keys").status == 403
    assert browser.ask("POST", "/api/account/keys", {"name": "more"}).status == 403
    assert browser.ask("GET", "/api/account/key").status == 401
    assert browser.ask("GET", "/api/oauth/userinfo").status == 401
    assert browser.ask("POST", "/api/oauth/introspect", {"token": browser.account.key}).status == 401


def test_an_ended_session_and_a_banned_account_stop_at_once(server: Gateway) -> None:
    first, second = Browser(server, server.account(pack="1")), Browser(server, server.account(pack="1"))
    assert (first.chat().status, second.chat().status) == (200, 200)
    cookie = dict(first.visitor.cookies)
    assert first.visitor.post("/logout", csrf=first.token).status == 303
    first.visitor.cookies.update(cookie)
    assert first.chat().status == 401
    server.admin("user", "ban", second.name)
    assert second.chat().status == 401


def test_paid_answers_of_two_accounts_are_never_mixed(server: Gateway) -> None:
    one, two = Browser(server, server.account(pack="1")), Browser(server, server.account(pack="1"))
    same = CHAT | {"seed": 7}
    assert one.ask("POST", "/v1/chat/completions", same).headers["x-cache"] == "MISS"
    assert two.ask("POST", "/v1/chat/completions", same).headers["x-cache"] == "MISS"
    own = one.account.post("/v1/chat/completions", same)  # the account's own keys share with its pages
    assert own.headers["x-cache"] == "HIT"


def test_the_page_is_for_who_is_signed_in(server: Gateway) -> None:
    visitor = Visitor(server)
    reply = visitor.get("/play/chat")
    assert (reply.status, reply.headers["location"]) == (303, "/login?next=/play/chat")
    assert PASSWORD not in reply.text


def test_scripts_are_kept_only_under_the_address_of_their_version(server: Gateway) -> None:
    plain = server.request("GET", "/static/play.js")
    assert plain.headers["cache-control"] == "public, no-cache"
    again = server.request("GET", "/static/play.js", headers={"if-none-match": plain.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    version = plain.headers["etag"].strip('"')
    assert "immutable" in server.request("GET", f"/static/play.js?v={version}").headers["cache-control"]
    assert "immutable" not in server.request("GET", "/static/play.js?v=old").headers["cache-control"]
