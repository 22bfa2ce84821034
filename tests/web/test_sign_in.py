"""The one-time link signs a person in, once, in one browser; the account's page shows balance and keys and makes one more."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from tests.gateway import Gateway, Reply, eventually

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("web")
    config = folder / "openpollen.toml"
    config.write_text("[engines]\nenabled = false\n")
    with Gateway(folder / "data", config) as running:
        yield running


def link(server: Gateway) -> str:
    made = server.admin("login-link", "admin")
    return urlsplit(made["url"]).path


def sign_in(server: Gateway) -> dict[str, str]:
    """The cookie header of a fresh session."""
    answer = server.request("POST", link(server))
    assert answer.status == 303
    assert answer.headers["location"] == "/me"
    return {"cookie": answer.headers["set-cookie"].partition(";")[0]}


def me(server: Gateway, cookie: dict[str, str]) -> Reply:
    return server.request("GET", "/me", headers=cookie)


def token_of(page: Reply) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]+)"', page.text)
    assert found
    return found[1]


def test_looking_at_a_link_does_not_use_it_up_and_a_button_does(server: Gateway) -> None:
    path = link(server)
    for _ in range(2):
        page = server.request("GET", path)
        assert page.status == 200
        assert "Sign in" in page.text
    assert server.request("POST", path).status == 303
    assert server.request("POST", path).status == 401
    assert server.request("GET", path).status == 404


def test_the_cookie_is_not_for_scripts_and_not_for_other_sites(server: Gateway) -> None:
    cookie = server.request("POST", link(server)).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_the_account_page_shows_balance_and_keys(server: Gateway) -> None:
    page = me(server, sign_in(server))
    assert page.status == 200
    assert "10 pollen" in page.text
    assert "first key" in page.text
    assert page.headers["cache-control"] == "private, no-store"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


def test_a_key_made_on_the_page_works_and_is_shown_once(server: Gateway) -> None:
    cookie = sign_in(server)
    form = urlencode({"form_token": token_of(me(server, cookie)), "name": "<b>laptop</b>"})
    made = server.request("POST", "/me/keys", headers={**cookie, **FORM}, body=form.encode())
    assert made.status == 200
    key = re.search(r"sk_\w{32}", made.text)
    assert key
    assert server.request("GET", "/api/account/key", key=key[0]).json["name"] == "<b>laptop</b>"
    page = me(server, cookie).text
    assert key[0] not in page
    assert "&lt;b&gt;laptop" in page


@pytest.mark.parametrize("token", ["", "0" * 32])
def test_a_form_of_another_site_is_refused(server: Gateway, token: str) -> None:
    cookie = sign_in(server)
    form = urlencode({"form_token": token, "name": "stolen"}).encode()
    assert server.request("POST", "/me/keys", headers={**cookie, **FORM}, body=form).status == 403
    foreign = {**cookie, **FORM, "origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    right = urlencode({"form_token": token_of(me(server, cookie)), "name": "stolen"}).encode()
    assert server.request("POST", "/me/keys", headers=foreign, body=right).status == 403
    assert "stolen" not in me(server, cookie).text


def test_signing_out_ends_the_session(server: Gateway) -> None:
    cookie = sign_in(server)
    form = urlencode({"form_token": token_of(me(server, cookie))}).encode()
    assert server.request("POST", "/logout", headers={**cookie, **FORM}, body=form).status == 303
    assert me(server, cookie).status == 401


def test_without_a_session_the_page_says_how_to_get_one(server: Gateway) -> None:
    answer = server.request("GET", "/me")
    assert answer.status == 401
    assert "login-link" in answer.error["message"]


def test_pages_of_other_origins_get_no_access(server: Gateway) -> None:
    answer = server.request("GET", "/me", headers={**sign_in(server), "origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_the_first_start_prints_a_link_that_works(tmp_path: Path) -> None:
    config = tmp_path / "openpollen.toml"
    config.write_text("[engines]\nenabled = false\n")
    with Gateway(tmp_path / "data", config) as running:
        found = eventually(lambda: re.search(r"(/login/[\w-]+)", running.output), "the sign-in link")
        assert running.request("POST", found[1]).status == 303
        assert json.loads((tmp_path / "data" / "server.json").read_text())["url"] == running.url
