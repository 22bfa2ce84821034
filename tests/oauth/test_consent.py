"""The redirect flow, as the contract has it: the user decides, the app gets a key that spends the user's pollen, no more."""

from __future__ import annotations

import json
import re
from html import unescape
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import pytest

from tests.gateway import NANO, Account, Gateway
from tests.labconfig import ANSWER
from tests.oauth.people import App, Author, Person, author_of, endpoint, filled
from tests.web.house import sign_in


def test_the_key_comes_in_the_fragment_and_spends_the_users_pollen(server: Gateway, user: Person, app: App) -> None:
    answer = user.decide(
        app.asks(models="lab-chat,lab-image", budget="0.5", expiry="7", permissions="balance,usage,keys")
    )
    assert answer.status == 303
    place, _, fragment = answer.headers["location"].partition("#")
    assert place == "https://garden.example/home"
    back = user.back(app.asks(models="lab-chat,lab-image", budget="0.5", expiry="7", permissions="balance,usage,keys"))
    assert (back["state"], back["iss"]) == ("s1", server.url)
    assert "api_key=sk_" in fragment
    key = Account(server, user.account.id, back["api_key"], "")
    info = key.get("/api/account/key").json
    assert info["pollenBudget"] == 0.5
    assert info["permissions"] == {"models": ["lab-chat", "lab-image"], "account": ["balance", "usage"]}
    assert 6.9 * 86_400 < info["expiresIn"] <= 7 * 86_400
    reply = key.chat("lab-chat")
    assert (reply.status, reply.cost) == (200, ANSWER)
    (row,) = user.account.rows(1)
    assert (row["api_key"], user.account.balance) == ("Garden notes", NANO - ANSWER)
    assert key.chat("lab-paid").status == 403


def test_what_was_not_asked_for_has_the_defaults(server: Gateway, user: Person, app: App) -> None:
    back = user.back(app.asks())
    info = server.request("GET", "/api/account/key", headers={"authorization": f"Bearer {back['api_key']}"}).json
    assert (info["pollenBudget"], info["permissions"]) == (5, {"models": None, "account": None})
    assert 29.9 * 86_400 < info["expiresIn"] <= 30 * 86_400


def test_a_model_that_was_unticked_is_not_allowed_whatever_else_was_left_alone(
    server: Gateway, user: Person, app: App
) -> None:
    back = user.back(app.asks(models="lab-chat,lab-image"), model=["lab-image"])
    info = server.request("GET", "/api/account/key", headers={"authorization": f"Bearer {back['api_key']}"}).json
    assert info["permissions"]["models"] == ["lab-image"]


def test_who_unticks_every_model_allows_none(user: Person, app: App) -> None:
    answer = user.decide(app.asks(), model=None)
    assert answer.status == 422
    assert "Choose one model at least." in answer.text


def test_the_user_narrows_scopes_and_models_and_sets_the_rest(server: Gateway, user: Person, app: App) -> None:
    asked = app.asks(models="lab-chat,lab-image", scope="profile balance", budget="1")
    back = user.back(
        asked, scope=["balance", "keys"], models="some", model=["lab-image", "lab-paid"], budget="7.25", days="365"
    )
    info = server.request("GET", "/api/account/key", headers={"authorization": f"Bearer {back['api_key']}"}).json
    assert info["permissions"] == {"models": ["lab-image"], "account": ["balance"]}
    assert info["pollenBudget"] == 7.25
    back = user.back(asked, unlimited="on", scope=None)
    info = server.request("GET", "/api/account/key", headers={"authorization": f"Bearer {back['api_key']}"}).json
    assert (info["pollenBudget"], info["permissions"]["account"]) == (None, None)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"budget": "-1"}, "Write an amount"),
        ({"budget": "NaN"}, "Write an amount"),
        ({"budget": "1e30"}, "Write an amount"),
        ({"budget": ""}, "Write an amount"),
        ({"days": "0"}, "from 1 to 365"),
        ({"days": "366"}, "from 1 to 365"),
        ({"days": "<b>"}, "from 1 to 365"),
        ({"models": "some", "model": None}, "Choose one model"),
    ],
)
def test_a_wrong_field_is_told_beside_it_and_nothing_typed_is_lost(
    user: Person, app: App, changes: dict[str, str], fault: str
) -> None:
    answer = user.decide(app.asks(models="lab-chat"), **{"budget": "3.5", "days": "12"} | changes)
    assert answer.status == 422
    assert fault in answer.text
    assert ('value="3.5"' in answer.text) is ("budget" not in changes)
    assert ('value="12"' in answer.text) is ("days" not in changes)
    assert "<b>" not in answer.text.partition("<main")[2]


@pytest.mark.parametrize("host", ["straße.example", "STRAßE.example", "ﬆrasse.example", "stra\u200dsse.example"])
def test_a_host_that_browsers_read_otherwise_is_not_the_registered_one(
    server: Gateway, user: Person, host: str
) -> None:
    """A browser goes to xn--strae-oqa.example, and would take the key there."""
    app = author_of(server).app("Street", appUrl="https://strasse.example")
    assert user.decide(app.asks(redirect_url="https://strasse.example/")).status == 303
    answer = user.get("/authorize?" + urlencode(app.asks(redirect_url=f"https://{host}/")))
    assert (answer.status, "location" in answer.headers) == (400, False)


def test_no_is_told_to_the_app(user: Person, app: App) -> None:
    assert user.back(app.asks(), "deny") == {"error": "access_denied", "state": "s1", "iss": user.gateway.url}
    back = user.back(app.asks_code(), "deny")
    assert (back["error"], back["state"], back["iss"]) == ("access_denied", "s2", user.gateway.url)


def test_an_unregistered_app_is_shown_by_its_bare_host(user: Person) -> None:
    page = user.get("/authorize?" + urlencode({"redirect_url": "https://bücher.example/x"}))
    assert page.status == 200
    assert "Nobody has registered this app" in page.text
    assert "xn--bcher-kva.example" in page.text
    assert "https://xn--bcher-kva.example" in page.headers["content-security-policy"]


def test_who_is_signed_out_signs_in_first_and_comes_back(server: Gateway, app: App) -> None:
    answer = server.request("GET", "/authorize?" + urlencode(app.asks()))
    assert answer.status == 303
    assert answer.headers["location"].startswith("/login?next=")
    assert "app_key" in answer.headers["location"]


@pytest.mark.parametrize(
    "link",
    [
        {"redirect_url": "https://evil.example"},
        {"redirect_url": "https://garden.example:8443/"},
        {"redirect_url": "http://garden.example/"},
        {"redirect_url": "https://garden.example.evil.example/"},
        {"redirect_url": "https://garden.example@evil.example/"},
        {"redirect_url": "https://garden.example\\@evil.example/"},
        {"redirect_url": "https://garden.example;script-src/"},
        {"redirect_url": "javascript:alert(1)"},
        {"redirect_url": "data:text/html,x"},
        {"redirect_url": ""},
        {"app_key": "pk_0000000000000000"},
        {"redirect_uri": "https://evil.example", "redirect_url": "https://garden.example"},
        {"budget": "-1"},
        {"budget": "NaN"},
        {"expiry": "400"},
        {"expiry": "x"},
        {"models": "there-is-no-such-model"},
        {"response_type": "token"},
    ],
)
@pytest.mark.parametrize("decision", ["look", "allow", "deny"])
def test_a_link_that_cannot_be_right_is_an_error_page_and_never_a_redirect(
    user: Person, app: App, link: dict[str, str], decision: str
) -> None:
    asked = app.asks() | link
    if decision == "look":
        answer = user.get("/authorize?" + urlencode(asked))
    else:
        token = dict(filled_csrf(user, app))["csrf"]
        answer = user.post("/authorize", [("csrf", token), ("link", urlencode(asked)), ("decision", decision)])
    assert answer.status == 400
    assert "location" not in answer.headers
    assert answer.headers["content-type"].startswith("text/html")


def filled_csrf(user: Person, app: App) -> list[tuple[str, str]]:
    return filled(user.get("/authorize?" + urlencode(app.asks())), {})


def test_the_page_cannot_be_framed_or_driven_by_another_site(user: Person, app: App) -> None:
    page = user.get("/authorize?" + urlencode(app.asks()))
    assert page.headers["x-frame-options"] == "DENY"
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'self'" in policy
    fields = [*filled_csrf(user, app), ("decision", "allow")]
    assert user.post("/authorize", fields, origin="https://evil.example").status == 403
    assert user.post("/authorize", fields, **{"sec-fetch-site": "cross-site"}).status == 403
    assert user.post("/authorize", [field for field in fields if field[0] != "csrf"]).status == 403
    other = Person.new(user.gateway)
    assert other.post("/authorize", fields).status == 403, "the token of another session"
    assert "access-control-allow-origin" not in page.headers


def test_a_name_with_markup_is_text(server: Gateway, user: Person) -> None:
    app = author_of(server).app("<script>alert(1)</script>", appUrl="https://garden.example")
    page = user.get("/authorize?" + urlencode(app.asks()))
    assert "<script>alert(1)" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text


def test_an_author_is_not_told_of_a_share_that_is_not_taken(server: Gateway, user: Person) -> None:
    author = author_of(server)
    app = author.app("Garden notes", appUrl="https://garden.example", markup=10)
    name = author.account.get("/api/account/profile").json["name"]
    oneself = Person(server, author.account, sign_in(server, name))
    asked = urlencode(app.asks())
    assert "the author takes" in user.get(f"/authorize?{asked}").text
    own = oneself.get(f"/authorize?{asked}").text
    assert ("the author takes" in own, "your share of 10 % is not added" in own) == (False, True)


def test_revoking_ends_the_key_at_once(server: Gateway, user: Person, app: App) -> None:
    key = user.back(app.asks())["api_key"]
    assert server.request("GET", "/api/account/key", headers={"authorization": f"Bearer {key}"}).status == 200
    assert endpoint(server, "/api/oauth/revoke", {"token": key}).status == 200
    assert server.request("GET", "/api/account/key", headers={"authorization": f"Bearer {key}"}).status == 401
    assert endpoint(server, "/api/oauth/revoke", {"token": key}).status == 200
    mine = user.account.key
    assert endpoint(server, "/api/oauth/revoke", {"token": mine}).status == 200
    assert user.account.get("/api/account/key").status == 200, "a key that was not granted is not revoked here"


@pytest.mark.parametrize("change", [{"markup": "50"}, {"name": "Your bank"}])
@pytest.mark.parametrize("flow", ["link", "device"])
def test_a_decision_is_about_what_was_read(server: Gateway, user: Person, flow: str, change: dict[str, str]) -> None:
    """The author raises the share, or renames the app, while the page is open: nothing is allowed before it is read again."""
    author = Person.new(server, permissions="profile,balance,usage,keys")
    app = Author(server, author.account).app("Honest", appUrl="https://garden.example", devices=True)
    if flow == "link":
        page, target = user.get("/authorize?" + urlencode(app.asks())), "/authorize"
    else:
        begun = server.request(
            "POST",
            "/api/device/code",
            body=json.dumps({"client_id": app.key}).encode(),
            headers={"content-type": "application/json"},
        ).json
        page = user.post("/device", filled(user.get("/device"), {"user_code": begun["user_code"]}))
        target = "/device"
    assert "Honest" in page.text
    form = author.get(f"/me/apps/{app.key_id}")
    assert author.post(f"/me/apps/{app.key_id}", filled(form, change)).status == 303
    reply = user.post(target, [*filled(page, {"budget": "3"}), ("decision", "allow")])
    assert reply.status == 409
    assert "has changed since" in reply.text
    assert 'value="3"' in reply.text
    assert user.get("/me/connected").text.count("Honest") == 0
    again = user.post(target, [*filled(reply, {}), ("decision", "allow")])
    assert again.status == (303 if flow == "link" else 200)


def test_a_decision_after_the_session_ended_comes_back_to_the_same_request(
    server: Gateway, user: Person, app: App
) -> None:
    asked = app.asks_code(models="lab-chat", budget="0.5")
    page = user.get(f"/authorize?{urlencode(asked)}")
    # A page that was shown again after a fault stands at an address that tells nothing of the request.
    page = user.post("/authorize", [*filled(page, {"budget": "much"}), ("decision", "allow")])
    assert page.status == 422
    late = user.post(
        "/authorize",
        [*filled(page, {"budget": "0.5"}), ("decision", "allow")],
        cookie="",
        referer=f"{server.url}/authorize",
    )
    door = urlsplit(late.headers["location"])
    assert (late.status, door.path) == (303, "/login")
    assert "nothing was done" in unquote(late.headers["set-cookie"])
    again = urlsplit(dict(parse_qsl(door.query))["next"])
    assert (again.path, dict(parse_qsl(again.query))) == ("/authorize", asked)
    assert user.get(again.geturl()).status == 200
    assert "Garden notes" not in user.get("/me/connected").text


def test_a_device_s_code_outlives_the_session_that_was_to_decide(server: Gateway, user: Person) -> None:
    begun = endpoint(server, "/api/device/code", {"client_id": "tv"}).json
    page = user.post("/device", filled(user.get("/device"), {"user_code": begun["user_code"]}))
    late = user.post("/device", [*filled(page, {}), ("decision", "allow")], cookie="", referer=f"{server.url}/device")
    again = dict(parse_qsl(urlsplit(late.headers["location"]).query))["next"]
    assert again == f"/device?user_code={begun['user_code']}"
    assert f'value="{begun["user_code"]}"' in user.get(again).text
    polled = endpoint(server, "/api/device/token", {"device_code": begun["device_code"]})
    assert polled.json["error"] == "authorization_pending"


@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_an_app_whose_host_a_policy_cannot_name_gets_its_answer(server: Gateway, user: Person, decision: str) -> None:
    """Of a name with ``_`` in it browsers take no ``form-action``: a page leads there in place of the form."""
    home = "http://my_app.lan/cb"
    app = author_of(server).app("Homelab", redirectUris=[home])
    asked = urlencode({"redirect_url": home, "app_key": app.key, "state": "s1"})
    page = user.get(f"/authorize?{asked}")
    assert "form-action 'self';" in page.headers["content-security-policy"]
    answer = user.post("/authorize", [*filled(page, {}), ("decision", decision)])
    assert answer.status == 200
    onward = re.search(r'<a class="button" href="([^"]+)"', answer.text)
    assert onward
    place, _, told = unescape(onward[1]).partition("#")
    assert (place, dict(parse_qsl(told))["state"]) == (home, "s1")
