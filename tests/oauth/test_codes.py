"""Code and PKCE, refresh, revocation and introspection: every move and non-move, and clients from outside the project."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from oauthlib.oauth2 import WebApplicationClient

from openpollen.core.ids import hash_key
from tests.gateway import Account, Gateway, Reply
from tests.labconfig import ANSWER
from tests.oauth.clock import rewrite
from tests.oauth.people import CHALLENGE, VERIFIER, App, Person, author_of, endpoint, filled
from tests.web.house import sign_in


def alive(server: Gateway, key: str) -> bool:
    return server.request("GET", "/api/account/key", headers={"authorization": f"Bearer {key}"}).status == 200


def refusal(reply: Reply) -> str:
    assert (reply.status, reply.headers["cache-control"]) == (400, "no-store")
    assert reply.json["error_description"]
    return str(reply.json["error"])


def test_a_code_becomes_a_key_once(server: Gateway, user: Person, app: App) -> None:
    back = user.back(app.asks_code(scope="profile usage", budget="2"))
    assert (back["state"], back["iss"]) == ("s2", server.url)
    made = app.token(back["code"])
    assert (made.status, made.headers["cache-control"]) == (200, "no-store")
    token = made.json
    assert (token["token_type"], token["scope"], token["expires_in"]) == (
        "bearer",
        "profile usage",
        30 * 86_400,
    )
    assert "refresh_token" not in token
    assert Account(server, "", token["access_token"], "").chat("lab-chat").cost == ANSWER
    assert refusal(app.token(back["code"])) == "invalid_grant"
    assert alive(server, token["access_token"]), "a repeat within ten seconds is an accident"


@pytest.mark.parametrize(
    "wrong",
    [
        {"code_verifier": "x" * 43},
        {"code_verifier": VERIFIER + "A"},
        {"code_verifier": "short"},
        {"redirect_uri": "https://garden.example/other"},
        {"client_id": "pk_0000000000000000"},
    ],
)
def test_a_code_is_bound_to_client_address_and_challenge(user: Person, app: App, wrong: dict[str, str]) -> None:
    code = user.back(app.asks_code())["code"]
    assert refusal(app.token(code, **wrong)) == "invalid_grant"
    assert refusal(app.token(code)) == "invalid_grant", "whoever guesses uses it up"


def test_another_app_cannot_redeem_it(server: Gateway, user: Person, app: App) -> None:
    other = author_of(server).app("Other", redirectUris=["https://garden.example/back"])
    code = user.back(app.asks_code())["code"]
    assert refusal(app.token(code, client_id=other.key)) == "invalid_grant"


def test_twenty_at_once_redeem_one_code_into_one_key(user: Person, app: App) -> None:
    code = user.back(app.asks_code())["code"]
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: app.token(code), range(20)))
    assert sorted(reply.status for reply in replies) == [200] + [400] * 19


def test_a_code_is_over_after_a_minute(server: Gateway, user: Person, app: App) -> None:
    code = user.back(app.asks_code())["code"]
    assert rewrite(server, "UPDATE oauth_codes SET expires_at = expires_at - 60000 WHERE hash = ?", hash_key(code)) == 1
    assert refusal(app.token(code)) == "invalid_grant"


def test_a_repeat_after_ten_seconds_ends_the_key_for_somebody_has_a_copy(
    server: Gateway, user: Person, app: App
) -> None:
    back = user.back(app.asks_code(scope="offline_access"))
    token = app.token(back["code"]).json
    aged = "UPDATE oauth_codes SET used_at = used_at - 11000 WHERE hash = ?"
    assert rewrite(server, aged, hash_key(back["code"])) == 1
    assert refusal(app.token(back["code"])) == "invalid_grant"
    assert not alive(server, token["access_token"])
    fields = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"], "client_id": app.key}
    assert refusal(endpoint(server, "/api/oauth/token", fields)) == "invalid_grant"


def test_a_refresh_token_is_worth_nothing_while_its_app_is_switched_off(server: Gateway, user: Person) -> None:
    app = author_of(server).app("Notes", redirectUris=["https://garden.example/back"])
    token = app.token(user.back(app.asks_code(scope="offline_access"))["code"]).json
    fields = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"], "client_id": app.key}
    assert rewrite(server, "UPDATE api_keys SET enabled = 0 WHERE id = ?", app.key_id) == 1
    assert refusal(endpoint(server, "/api/oauth/token", fields)) == "invalid_grant"
    assert rewrite(server, "UPDATE api_keys SET enabled = 1 WHERE id = ?", app.key_id) == 1
    assert endpoint(server, "/api/oauth/token", fields).status == 200


def test_keys_of_an_app_rest_while_it_is_switched_off(server: Gateway, user: Person) -> None:
    author = author_of(server)
    app = author.app("Notes", redirectUris=["https://garden.example/back"])
    token = app.token(user.back(app.asks_code())["code"]).json["access_token"]
    name = author.account.get("/api/account/profile").json["name"]
    owner = Person(server, author.account, sign_in(server, name))
    switch, path, key = f"/me/keys/{app.key_id}/switch", f"/me/apps/{app.key_id}", Account(server, "", token, "")
    for enabled, status in (("", 403), ("on", 200)):
        fields = filled(owner.get(path), {"enabled": enabled})
        assert owner.post(switch, fields).headers["location"] == path
        answer = key.get("/api/account/key")
        assert answer.status == status
        off = status == 403
        assert ("switched off by its author" in answer.text, "switched off" in owner.get(path).text) == (off, off)
        assert ("app switched off by its author" in user.get("/me/connected").text) is off
        bearer = f"Bearer {author.account.key}"
        told = endpoint(server, "/api/oauth/introspect", {"token": token}, authorization=bearer)
        assert told.json["active"] is not off


def test_a_code_is_worth_nothing_once_its_account_is_closed(server: Gateway, user: Person, app: App) -> None:
    code = user.back(app.asks_code())["code"]
    server.admin("user", "ban", user.account.id)
    assert refusal(app.token(code)) == "access_denied"


def test_a_code_is_worth_nothing_once_its_app_is_revoked(server: Gateway, user: Person) -> None:
    app = author_of(server).app("Short", redirectUris=["https://garden.example/back"])
    code = user.back(app.asks_code())["code"]
    server.admin("key", "revoke", app.key_id)
    assert refusal(app.token(code)) == "invalid_grant"


def test_one_user_s_code_is_never_another_s_key(server: Gateway, user: Person, app: App) -> None:
    other = Person.new(server)
    mine, theirs = (app.token(who.back(app.asks_code())["code"]).json["access_token"] for who in (user, other))
    subs = [Account(server, "", key, "").get("/api/oauth/userinfo").json["sub"] for key in (mine, theirs)]
    assert subs == [user.account.id, other.account.id]


@pytest.mark.parametrize(
    "link",
    [
        {"redirect_uri": "https://garden.example/back?x=1"},
        {"redirect_uri": "https://garden.example/"},
        {"redirect_uri": "https://garden.example/back/"},
        {"code_challenge": ""},
        {"code_challenge": "short"},
        {"code_challenge_method": "plain"},
        {"client_id": ""},
    ],
)
def test_the_code_flow_is_exact(user: Person, app: App, link: dict[str, str]) -> None:
    assert user.get("/authorize?" + urlencode(app.asks_code() | link)).status == 400


def test_a_loopback_address_may_have_any_port(user: Person, app: App) -> None:
    asked = app.asks_code(redirect_uri="http://127.0.0.1:51234/cb")
    assert app.token(user.back(asked)["code"], redirect_uri="http://127.0.0.1:51234/cb").status == 200
    assert user.get("/authorize?" + urlencode(asked | {"redirect_uri": "http://127.0.0.1:51234/x"})).status == 400


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "invalid_request"),
        ({"grant_type": "authorization_code", "code": "x"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x", "client_id": "y"}, "invalid_grant"),
    ],
)
def test_what_is_no_token_request(server: Gateway, fields: dict[str, str], error: str) -> None:
    assert refusal(endpoint(server, "/api/oauth/token", fields)) == error
    assert refusal(server.request("POST", "/api/oauth/token", body=b"{", headers={"content-type": "application/json"}))


def test_refresh_tokens_turn_over_and_a_copied_one_ends_the_grant(server: Gateway, user: Person, app: App) -> None:
    first = app.token(user.back(app.asks_code(scope="profile offline_access"))["code"]).json

    def refresh(token: str, client: str = app.key) -> Reply:
        fields = {"grant_type": "refresh_token", "refresh_token": token, "client_id": client}
        return endpoint(server, "/api/oauth/token", fields)

    assert refusal(refresh(first["refresh_token"], "pk_0000000000000000")) == "invalid_grant"
    second = refresh(first["refresh_token"]).json
    assert second["scope"] == "profile offline_access"
    assert alive(server, second["access_token"])
    assert not alive(server, first["access_token"])
    assert refusal(refresh(first["refresh_token"])) == "invalid_grant"
    assert not alive(server, second["access_token"])
    assert refusal(refresh(second["refresh_token"])) == "invalid_grant"


def test_refreshes_at_once_are_one_new_token_or_none(server: Gateway, user: Person, app: App) -> None:
    made = app.token(user.back(app.asks_code(scope="offline_access"))["code"]).json
    fields = {"grant_type": "refresh_token", "refresh_token": made["refresh_token"], "client_id": app.key}
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: endpoint(server, "/api/oauth/token", fields), range(8)))
    new = [reply.json["access_token"] for reply in replies if reply.status == 200]
    assert len(new) == 1
    assert not alive(server, made["access_token"])
    assert not alive(server, new[0]), "the same token from eight sides is a copied one"


def test_a_key_that_is_switched_off_keeps_its_refresh_token_for_later(server: Gateway, user: Person, app: App) -> None:
    made = app.token(user.back(app.asks_code(scope="offline_access"))["code"]).json
    key_id = Account(server, "", made["access_token"], "").get("/api/account/key").json["id"]
    fields = {"grant_type": "refresh_token", "refresh_token": made["refresh_token"], "client_id": app.key}
    assert rewrite(server, "UPDATE api_keys SET enabled = ? WHERE id = ?", 0, key_id) == 1
    assert refusal(endpoint(server, "/api/oauth/token", fields)) == "invalid_grant"
    assert rewrite(server, "UPDATE api_keys SET enabled = ? WHERE id = ?", 1, key_id) == 1
    assert endpoint(server, "/api/oauth/token", fields).status == 200


def test_an_expired_grant_is_not_refreshed(server: Gateway, user: Person, app: App) -> None:
    made = app.token(user.back(app.asks_code(scope="offline_access"))["code"]).json
    key_id = Account(server, "", made["access_token"], "").get("/api/account/key").json["id"]
    assert rewrite(server, "UPDATE api_keys SET expires_at = 1 WHERE id = ?", key_id) == 1
    fields = {"grant_type": "refresh_token", "refresh_token": made["refresh_token"], "client_id": app.key}
    assert refusal(endpoint(server, "/api/oauth/token", fields)) == "invalid_grant"


def test_what_the_user_unticked_is_not_in_the_scope_that_the_app_is_told(user: Person, app: App) -> None:
    back = user.back(app.asks_code(scope="generate profile usage"), scope=["usage"])
    assert app.token(back["code"]).json["scope"] == "generate usage"
    back = user.back(app.asks_code(scope="profile"), scope=None)
    assert app.token(back["code"]).json["scope"] == "generate"


def test_revoking_the_refresh_token_ends_the_grant(server: Gateway, user: Person, app: App) -> None:
    made = app.token(user.back(app.asks_code(scope="offline_access"))["code"]).json
    assert endpoint(server, "/api/oauth/revoke", {"token": made["refresh_token"]}).status == 200
    assert not alive(server, made["access_token"])


def test_a_refresh_never_outlives_the_users_word(server: Gateway, user: Person, app: App) -> None:
    made = app.token(user.back(app.asks_code(scope="offline_access"))["code"]).json
    info = Account(server, "", made["access_token"], "").get("/api/account/key").json
    server.admin("key", "revoke", info["id"])
    fields = {"grant_type": "refresh_token", "refresh_token": made["refresh_token"], "client_id": app.key}
    assert refusal(endpoint(server, "/api/oauth/token", fields)) == "invalid_grant"


def test_introspection_is_for_the_author_and_the_token_itself(server: Gateway, user: Person, app: App) -> None:
    token = app.token(user.back(app.asks_code(scope="usage"))["code"]).json["access_token"]

    def ask(key: str) -> Reply:
        return endpoint(server, "/api/oauth/introspect", {"token": token}, authorization=f"Bearer {key}")

    own, author = ask(token).json, ask(app.author.key).json
    assert (own["active"], own["sub"], own["scope"]) == (True, user.account.id, "generate usage")
    assert (author["active"], author["client_id"], author["iss"]) == (True, app.key, server.url)
    assert author["sub"] != user.account.id
    assert abs(author["exp"] - time.time() - 30 * 86_400) < 60
    assert ask(server.account().key).json == {"active": False}
    assert endpoint(server, "/api/oauth/introspect", {"token": token}).status == 401


def test_userinfo_has_the_shape_of_oidc(server: Gateway, user: Person, app: App) -> None:
    bare = app.token(user.back(app.asks_code())["code"]).json["access_token"]
    full = app.token(user.back(app.asks_code(scope="profile"))["code"]).json["access_token"]
    for path in ("/api/oauth/userinfo", "/api/device/userinfo"):
        told = Account(server, "", bare, "").get(path).json
        assert set(told) == {"sub", "preferred_username", "picture"}
        told = Account(server, "", full, "").get(path).json
        assert set(told) == {"sub", "preferred_username", "picture", "name", "email", "email_verified"}
        assert told["sub"] == user.account.id
    assert set(Account(server, "", app.key, "").get("/api/oauth/userinfo").json) == {
        "sub",
        "preferred_username",
        "picture",
    }
    assert server.request("GET", "/api/oauth/userinfo").status == 401


def test_the_metadata_validates(server: Gateway) -> None:
    reply = server.request(
        "GET", "/.well-known/oauth-authorization-server", headers={"origin": "https://garden.example"}
    )
    assert reply.headers["access-control-allow-origin"] == "*"
    found = reply.json
    assert found["issuer"] == server.url
    # The library insists on https, which a test's server does not speak.
    https = {
        name: value.replace("http://", "https://") if isinstance(value, str) else value for name, value in found.items()
    }
    AuthorizationServerMetadata(https).validate()


def test_oauthlib_completes_the_code_flow(
    server: Gateway, user: Person, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # a test's server speaks http
    client = WebApplicationClient(app.key)
    link = client.prepare_request_uri(
        f"{server.url}/authorize",
        redirect_uri="https://garden.example/back",
        scope=["profile"],
        state="s3",
        code_challenge=CHALLENGE,
        code_challenge_method="S256",
    )
    page = user.get(link.removeprefix(server.url))
    assert page.status == 200
    back = user.back(app.asks_code(scope="profile", state="s3"))
    client.parse_request_uri_response("https://garden.example/back?" + urlencode(back), state="s3")
    body = client.prepare_request_body(redirect_uri="https://garden.example/back", code_verifier=VERIFIER)
    reply = server.request(
        "POST", "/api/oauth/token", body=body.encode(), headers={"content-type": "application/x-www-form-urlencoded"}
    )
    token = client.parse_request_body_response(reply.text)
    assert alive(server, token["access_token"])
