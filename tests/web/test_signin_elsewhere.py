"""Signing in at an OpenID Connect provider and at GitHub: the whole way with real signatures, and every forged token."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.gateway import Gateway, Reply
from tests.web.browser import violations, watched
from tests.web.provider import CLIENT, SECRET, Provider, provider
from tests.web.visitor import PASSWORD, SETTINGS, Visitor


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with provider() as here:
        yield here


@pytest.fixture
def lab(running: Provider) -> Iterator[Provider]:
    yield running
    running.person, running.fault = Provider().person, ""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, running: Provider) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("web")
    config = folder / "openpollen.toml"
    config.write_text(
        SETTINGS
        + f"""[signin]
signup = "open"
[signin.github]
client_id = "{CLIENT}"
client_secret = "{SECRET}"
url = "{running.url}"
api_url = "{running.url}"
[[signin.oidc]]
name = "lab"
title = "The Lab"
issuer = "{running.url}"
client_id = "{CLIENT}"
client_secret = "env:LAB_SECRET"
"""
    )
    with Gateway(folder / "data", config, env={"LAB_SECRET": SECRET}) as gateway:
        yield gateway


def follow(url: str) -> str:
    """Asks the provider as a browser would; where it sends the browser."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port)
    connection.request("GET", f"{parts.path}?{parts.query}")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == 302
    return str(answer.headers["location"])


def go(visitor: Visitor, name: str = "lab", to: str = "") -> Reply:
    """The way to the provider and back."""
    start = visitor.get(f"/login/with/{name}?next={to}")
    assert start.status == 303, start.text
    return visitor.get(follow(start.headers["location"]))


def join(visitor: Visitor, lab: Provider, subject: str, name: str, at: str = "lab") -> None:
    """Somebody new comes from a provider and makes an account."""
    lab.person = lab.person | {"sub": subject, "preferred_username": name, "email": f"{name}@example.org"}
    assert go(visitor, at).headers["location"] == "/signup"
    page = visitor.get("/signup").text
    assert f'value="{name}"' in page
    made = visitor.post("/signup", {"name": name, "email": f"{name}@example.org"})
    assert made.status == 303, made.text


def test_the_pages_offer_the_providers(server: Gateway) -> None:
    page = Visitor(server).get("/login").text
    assert "Continue with GitHub" in page
    assert "Continue with The Lab" in page


@pytest.mark.parametrize("at", ["lab", "github"])
def test_a_newcomer_makes_an_account_and_is_known_from_then_on(server: Gateway, lab: Provider, at: str) -> None:
    somebody, name = Visitor(server), f"hopper{at}"
    join(somebody, lab, "2001", name, at)
    assert somebody.signed_in
    assert "Confirmed." in somebody.get("/me/account").text
    again = Visitor(server)
    assert go(again, at, "/me/account").headers["location"] == "/me/account"
    assert name in again.get("/me/account").text
    assert "openpollen-flow" not in again.cookies


def test_a_renamed_github_account_is_the_same_person_and_a_new_one_of_that_name_is_not(
    server: Gateway, lab: Provider
) -> None:
    join(Visitor(server), lab, "3001", "rename-me", "github")
    lab.person |= {"preferred_username": "renamed"}
    assert go(Visitor(server), "github").headers["location"] == "/me"
    lab.person |= {"sub": "3002", "preferred_username": "rename-me"}
    assert go(Visitor(server), "github").headers["location"] == "/signup"


def test_an_address_links_nobody(server: Gateway, lab: Provider) -> None:
    victim = Visitor(server)
    victim.sign_up("victim", email="victim@example.org")
    thief = Visitor(server)
    lab.person |= {"sub": "4001", "preferred_username": "thief", "email": "victim@example.org"}
    assert go(thief).headers["location"] == "/signup"
    assert not thief.signed_in
    made = thief.post("/signup", {"name": "victim", "email": "victim@example.org"})
    assert made.status == 409
    assert victim.signed_in
    assert "None yet" in victim.get("/me/account").text


def test_who_is_signed_in_links_and_unlinks(server: Gateway, lab: Provider) -> None:
    somebody = Visitor(server)
    somebody.sign_up("linker")
    lab.person |= {"sub": "5001"}
    leave = somebody.post("/me/account/link/lab")
    assert leave.status == 200
    url = leave.text.partition('content="0;url=')[2].partition('"')[0].replace("&amp;", "&")
    back = somebody.get(follow(url))
    assert back.headers["location"] == "/me/account#linked"
    assert go(Visitor(server)).headers["location"] == "/me"
    other = Visitor(server)
    other.sign_up("linker2")
    url = other.post("/me/account/link/lab").text.partition('content="0;url=')[2].partition('"')[0]
    assert other.get(follow(url.replace("&amp;", "&"))).status == 409
    assert somebody.post("/me/account/unlink", {"provider": lab.url, "subject": "5001"}).status == 303
    assert go(Visitor(server)).headers["location"] == "/signup"


def test_the_only_way_in_cannot_be_removed(server: Gateway, lab: Provider) -> None:
    somebody = Visitor(server)
    join(somebody, lab, "5101", "single")
    kept = somebody.post("/me/account/unlink", {"provider": lab.url, "subject": "5101"})
    assert kept.status == 409
    assert "only way into your account" in kept.text
    assert somebody.post("/welcome", {"password": PASSWORD}).status == 303
    assert somebody.post("/me/account/unlink", {"provider": lab.url, "subject": "5101"}).status == 303


@pytest.mark.parametrize(
    "fault",
    [
        "nonce",
        "aud",
        "azp",
        "azp-missing",
        "iss",
        "expired",
        "future",
        "nobody",
        "no-exp",
        "no-iat",
        "no-nonce",
        "no-sub",
        "no-aud",
        "no-iss",
        "alg-none",
        "alg-hs256",
        "other-key",
        "changed",
        "garbage",
        "mix-up",
    ],
)
def test_a_forged_token_signs_nobody_in(server: Gateway, lab: Provider, fault: str) -> None:
    lab.fault = fault
    somebody = Visitor(server)
    refused = go(somebody)
    assert refused.status == 401
    assert "Start again" in refused.text
    assert "openpollen" not in somebody.cookies


def test_a_cancelled_sign_in_is_told(server: Gateway, lab: Provider) -> None:
    lab.fault = "denied"
    refused = go(Visitor(server))
    assert refused.status == 401
    assert "was cancelled" in refused.text


def test_an_answer_works_once_and_only_in_the_browser_that_asked(server: Gateway, lab: Provider) -> None:
    lab.person |= {"sub": "6001"}
    join(Visitor(server), lab, "6001", "once")
    somebody, other = Visitor(server), Visitor(server)
    answer = follow(somebody.get("/login/with/lab").headers["location"])
    other.get("/login/with/lab")
    assert other.get(answer).status == 401  # an attacker's answer in a victim's browser
    assert somebody.get(answer).status == 401  # and it is used up
    fresh = follow(somebody.get("/login/with/lab").headers["location"])
    assert somebody.get(fresh).status == 303
    assert somebody.get(fresh).status == 401


@pytest.mark.parametrize("answer", ["", "?code=x", "?state=x&code=x", "?error=server_error"])
def test_an_answer_to_no_question_is_refused(server: Gateway, answer: str) -> None:
    assert Visitor(server).get(f"/login/with/lab/callback{answer}").status == 401


def test_another_site_cannot_make_somebody_link(server: Gateway) -> None:
    somebody = Visitor(server)
    somebody.sign_up("unlinked")
    assert somebody.post("/me/account/link/lab", csrf="0" * 32).status == 403
    assert somebody.get("/me/account/link/lab").status == 405


def test_a_link_that_another_session_began_is_refused(server: Gateway, lab: Provider) -> None:
    somebody = Visitor(server)
    somebody.sign_up("sessions")
    leave = somebody.post("/me/account/link/lab")
    url = leave.text.partition('content="0;url=')[2].partition('"')[0].replace("&amp;", "&")
    answer = follow(url)
    somebody.sign_in("sessions")
    assert somebody.get(answer).status == 401
    assert "None yet" in somebody.get("/me/account").text


def test_an_invitation_survives_the_way_to_a_provider(server: Gateway, lab: Provider) -> None:
    lab.person |= {"sub": "6501", "preferred_username": "invited"}
    somebody, code = Visitor(server), server.admin("invite")["code"]
    page = somebody.get(f"/signup?invite={code}&next=/me/account").text
    door = page.partition('href="/login/with/lab')[2].partition('"')[0].replace("&amp;", "&")
    back = somebody.get(follow(somebody.get(f"/login/with/lab{door}").headers["location"]))
    assert back.headers["location"] == f"/signup?invite={code}&next=/me/account".replace(
        "/me/account", "%2Fme%2Faccount"
    )
    assert code in somebody.get(back.headers["location"]).text


def test_in_a_browser_a_provider_signs_up_and_is_linked(server: Gateway, lab: Provider, browser: Browser) -> None:
    lab.person |= {"sub": "6601", "preferred_username": "browsing", "email": "browsing@example.org"}
    with watched(browser, server.url, hosts=("127.0.0.1",)) as watch:
        page = watch.page()
        page.goto("/login?next=/me/account")
        page.get_by_role("link", name="Continue with The Lab").click()
        expect(page.get_by_text("You come from browsing")).to_be_visible()
        assert violations(page) == []
        page.get_by_role("button", name="Make my account").click()
        page.wait_for_url("**/me/account")
        page.get_by_role("button", name="Link GitHub").click()
        expect(page.get_by_text("GitHub is linked")).to_be_visible()
        assert violations(page) == []


def test_the_way_on_stays_on_this_site(server: Gateway, lab: Provider) -> None:
    join(Visitor(server), lab, "7001", "wanderer")
    assert go(Visitor(server), to="//evil.example").headers["location"] == "/me"


def test_documents_are_read_once_not_for_each_sign_in(server: Gateway, lab: Provider) -> None:
    join(Visitor(server), lab, "8001", "reader")
    before = lab.calls["/.well-known/openid-configuration"]
    go(Visitor(server))
    assert lab.calls["/.well-known/openid-configuration"] == before
