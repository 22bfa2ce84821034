"""Attacks that public services have seen, each tried on the running server. Further ones of the same list: framing, cross-site
posts and markup in names in ``test_consent``; parallel redemption and copied codes and tokens in ``test_codes`` and
``test_devices``; guessing in ``test_devices``; addresses in ``test_redirects``; links out of sign-in in ``tests/web``."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest

from openpollen.storage.schema import api_keys
from tests.gateway import NANO, Account, Gateway, eventually, nano
from tests.labconfig import ANSWER
from tests.oauth.clock import rewrite
from tests.oauth.people import App, Person, author_of, endpoint, filled

EVIL = "https://evil.example/back"


def key_of(user: Person, app: App, **asked: str) -> Account:
    """What an app gets in the fragment flow, as a caller."""
    ticked = asked["scope"].split() if "scope" in asked else []
    return Account(user.gateway, "", user.back(app.asks(**asked), scope=ticked)["api_key"], "")


def test_a_stolen_app_key_spends_nothing_of_its_author(server: Gateway, app: App) -> None:
    thief = Account(server, "", app.key, "")
    for model in ("lab-chat", "lab-image"):
        reply = thief.chat(model) if model == "lab-chat" else thief.get(f"/image/a%20bee?model={model}")
        assert (reply.status, reply.error["code"]) == (402, "PAYMENT_REQUIRED")
    assert thief.get("/api/account/keys").status == 403
    assert app.author.balance == NANO


def test_an_app_key_beside_a_foreign_address_is_stopped_at_page_mint_code_and_token(user: Person, app: App) -> None:
    csrf = dict(filled(user.get("/authorize?" + urlencode(app.asks())), {}))["csrf"]
    for asked in (app.asks(redirect_url=EVIL), app.asks_code(redirect_uri=EVIL)):
        page = user.get("/authorize?" + urlencode(asked))
        assert (page.status, "location" in page.headers) == (400, False)
        for decision in ("allow", "deny"):
            sent = [("csrf", csrf), ("link", urlencode(asked)), ("budget", "5"), ("days", "30"), ("decision", decision)]
            answer = user.post("/authorize", sent)
            assert (answer.status, "location" in answer.headers) == (400, False)
    code = user.back(app.asks_code())["code"]
    assert app.token(code, redirect_uri=EVIL).json["error"] == "invalid_grant"


def test_a_host_that_only_looks_like_a_registered_one_gets_nothing(server: Gateway, user: Person) -> None:
    """Browsers take straße for another host than the strasse that older rules make of it."""
    app = author_of(server).app("Strasse", appUrl="https://strasse.example")
    for address in (
        "https://straße.example/",
        "https://stras\u200dse.example/",
        "https://strasse.example.evil.example/",
    ):
        assert user.get("/authorize?" + urlencode(app.asks(redirect_url=address))).status == 400


@pytest.mark.parametrize("address", ["http://evil.example/", "http://10.0.0.1/", "ftp://evil.example/", "myapp://back"])
def test_without_an_app_key_nobody_is_sent_to_what_is_not_https(user: Person, address: str) -> None:
    assert user.get("/authorize?" + urlencode({"redirect_url": address})).status == 400


def test_a_parameter_that_comes_twice_is_refused(user: Person, app: App) -> None:
    link = urlencode([*app.asks().items(), ("redirect_url", EVIL)])
    assert user.get(f"/authorize?{link}").status == 400
    csrf = dict(filled(user.get("/authorize?" + urlencode(app.asks())), {}))["csrf"]
    answer = user.post("/authorize", [("csrf", csrf), ("link", link), ("decision", "deny")])
    assert (answer.status, "location" in answer.headers) == (400, False)


def test_a_host_cannot_write_into_the_page_s_policy(user: Person) -> None:
    for address in ("https://a.example;sandbox/", "https://a.example,b.example/"):
        page = user.get("/authorize?" + urlencode({"redirect_url": address}))
        assert page.status == 400
        assert "form-action 'self';" in page.headers["content-security-policy"]
    page = user.get("/authorize?" + urlencode({"redirect_url": "https://a.example/x"}))
    assert "form-action 'self' https://a.example;" in page.headers["content-security-policy"]


def test_a_device_is_approved_by_who_is_signed_in_whatever_the_form_says(server: Gateway, user: Person) -> None:
    victim = Person.new(server)
    begun = endpoint(server, "/api/device/code", {"client_id": "tv"}).json
    page = user.post("/device", filled(user.get("/device"), {"user_code": begun["user_code"]}))
    claimed = [("user_id", victim.account.id), ("api_key", victim.account.key), ("api_key_id", victim.account.key_id)]
    user.post("/device", [*filled(page, {}), *claimed, ("decision", "allow")])
    key = endpoint(server, "/api/device/token", {"device_code": begun["device_code"]}).json["access_token"]
    assert Account(server, "", key, "").get("/api/device/userinfo").json["sub"] == user.account.id


def test_codes_tell_nothing_to_who_is_not_signed_in(server: Gateway) -> None:
    begun = endpoint(server, "/api/device/code", {"client_id": "tv", "scope": "usage"}).json
    for code in (begun["user_code"], "BCDF-GHJK"):
        assert server.request("GET", f"/device?user_code={code}").headers["location"].startswith("/login")
        assert server.request("GET", f"/api/device/info?user_code={code}").status == 404
        assert server.request("GET", f"/api/device/qr?user_code={code}").status == 200
    assert server.request("GET", "/api/device/qr?user_code=BCDF").status == 400


def test_calls_at_once_spend_no_more_than_the_budget(user: Person, app: App) -> None:
    key = key_of(user, app, budget="0.0003")
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: key.chat("lab-chat", max_tokens=10), range(24)))
    paid = sum(reply.cost for reply in replies if reply.status == 200)
    assert 0 < paid <= nano("0.0003")
    assert {reply.status for reply in replies} == {200, 402}


def test_a_granted_key_makes_no_key_that_may_more(user: Person, app: App) -> None:
    key = key_of(user, app, scope="keys usage", models="lab-chat", budget="0.0003")
    wide = {"name": "wide", "pollenBudget": None, "allowedModels": None, "accountPermissions": ["keys", "profile"]}
    made = key.post("/api/account/keys", wide)
    assert made.status == 200, made.text
    child = Account(user.gateway, "", made.json["key"], made.json["id"])
    assert child.chat("lab-paid").status == 403
    assert child.get("/api/account/profile").status == 403
    assert child.post("/api/account/keys", wide).status == 403
    spent = 0
    while (reply := child.chat("lab-chat", max_tokens=10)).status == 200:
        spent += reply.cost
    assert 0 < spent <= nano("0.0003")
    listed = [row["id"] for row in key.get("/api/account/keys").json["data"]]
    assert listed == [child.key_id], "it reaches only the keys that it made"
    assert key.request("DELETE", f"/api/account/keys/{user.account.key_id}").status == 404
    for place in ({"appUrl": "https://evil.example"}, {"redirectUris": ["https://evil.example/back"]}):
        refused = key.post("/api/account/keys", {"name": "Bank", "type": "publishable", **place})
        assert refused.status == 403, "consent to it would name the user as its author"


def test_an_app_key_ends_with_all_that_was_granted_to_it_and_the_books_stay(server: Gateway, user: Person) -> None:
    app = author_of(server).app("Short", appUrl="https://garden.example", redirectUris=["https://garden.example/back"])
    first = key_of(user, app)
    made = app.token(user.back(app.asks_code(scope="offline_access"))["code"]).json
    assert first.chat("lab-chat").cost == ANSWER
    user.account.rows(1)
    assert app.author.request("DELETE", f"/api/account/keys/{app.key_id}").status == 200
    for key in (first, Account(server, "", made["access_token"], "")):
        assert key.chat("lab-chat").status == 401
    fields = {"grant_type": "refresh_token", "refresh_token": made["refresh_token"], "client_id": app.key}
    assert endpoint(server, "/api/oauth/token", fields).json["error"] == "invalid_grant"
    assert user.get("/authorize?" + urlencode(app.asks())).status == 400
    assert len(user.account.rows(1)) == 1
    assert server.verify()["ok"]


def test_an_account_has_only_so_many_keys(server: Gateway, user: Person, app: App) -> None:
    changed = {"id": "'k' || i || api_keys.id", "hash": "'h' || i || api_keys.hash", "public_value": "NULL"}
    columns = [column.name for column in api_keys.columns]
    chosen = ", ".join(changed.get(name, f"api_keys.{name}") for name in columns)
    many = f"""
        INSERT INTO api_keys ({", ".join(columns)})
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 498)
        SELECT {chosen} FROM api_keys, n WHERE api_keys.id = ?
    """
    assert rewrite(server, many, user.account.key_id) == 498
    assert "api_key" in user.back(app.asks())
    for asked in (app.asks(), app.asks_code()):
        answer = user.decide(asked)
        assert (answer.status, "location" in answer.headers) == (409, False)
        assert "Revoke some that you do not need" in answer.text


def test_neither_key_nor_code_is_in_the_log_or_told_to_the_next_site(server: Gateway, user: Person, app: App) -> None:
    answer = user.decide(app.asks())
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"].endswith("no-store")
    key = answer.headers["location"].partition("api_key=")[2].partition("&")[0]
    server.request("GET", f"/api/account/key?key={key}")
    code = user.back(app.asks_code())["code"]
    assert app.token(code).status == 200
    assert key not in server.output
    assert code not in server.output


@pytest.mark.parametrize(
    "amount", ["-1", "-0.0000000001", "NaN", "Infinity", "1e400", "0x10", "١", "1,5", "99999999999999"]
)
def test_a_budget_is_a_finite_number_of_0_or_more(user: Person, app: App, amount: str) -> None:
    assert user.get("/authorize?" + urlencode(app.asks(budget=amount))).status == 400
    assert user.decide(app.asks(), budget=amount).status == 422


def test_a_revoked_grant_fails_at_once(server: Gateway, user: Person, app: App) -> None:
    key = key_of(user, app)
    key_id = key.get("/api/account/key").json["id"]
    assert key.chat("lab-zero").status == 200
    server.admin("key", "revoke", key_id)  # another process: workers look each second
    eventually(lambda: key.chat("lab-zero").status == 401, "the end of the key", 1.5)


def test_apps_and_users_are_not_told_to_strangers(server: Gateway, user: Person, app: App) -> None:
    assert server.request("GET", "/authorize?" + urlencode(app.asks())).headers["location"].startswith("/login")
    assert server.request("GET", f"/api/app-lookup?client_id={app.key}").status == 404
    token = user.back(app.asks(scope="profile"))["api_key"]
    for stranger in (app.key, server.account().key):
        told = endpoint(server, "/api/oauth/introspect", {"token": token}, authorization=f"Bearer {stranger}")
        assert told.json == {"active": False}
    told = Account(server, "", app.key, "").get("/api/oauth/userinfo").json
    assert not {"name", "email", "email_verified"} & told.keys()


def test_only_models_that_were_offered_get_into_a_key(user: Person, app: App) -> None:
    key = user.back(app.asks(), models="some", model=["lab-chat", "no-such-model", "<b>"])["api_key"]
    info = Account(user.gateway, "", key, "").get("/api/account/key").json
    assert info["permissions"]["models"] == ["lab-chat"]
