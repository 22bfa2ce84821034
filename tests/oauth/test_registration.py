"""Clients that register themselves, and a server without refresh tokens: two settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.gateway import Account, Gateway, Reply
from tests.labconfig import ANSWER
from tests.labserver import lab_server
from tests.oauth.conftest import SETTINGS
from tests.oauth.people import CHALLENGE, VERIFIER, Person, author_of, endpoint

WELL_KNOWN = "/.well-known/oauth-authorization-server"
BACK = "http://127.0.0.1:9999/callback"


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("open")
    settings = SETTINGS + "[oauth]\nregistration = true\nrefresh_tokens = false\n"
    with lab_server(folder, settings) as (running, _):
        yield running


def register(server: Gateway, **fields: Any) -> Reply:
    sent = {"content-type": "application/json"}
    return server.request("POST", "/api/oauth/register", body=json.dumps(fields).encode(), headers=sent)


def asks(client_id: str, **more: str) -> dict[str, str]:
    asked = {"response_type": "code", "client_id": client_id, "redirect_uri": BACK, "state": "s"}
    return asked | {"code_challenge": CHALLENGE, "code_challenge_method": "S256"} | more


def test_registration_is_off_unless_the_operator_turns_it_on(server: Gateway, open_server: Gateway) -> None:
    reply = register(server, redirect_uris=[BACK])
    assert (reply.status, "error" in reply.json) == (404, True)
    assert "registration_endpoint" not in server.request("GET", WELL_KNOWN).json
    assert open_server.request("GET", WELL_KNOWN).json["registration_endpoint"].endswith("/api/oauth/register")


def test_a_client_registers_and_is_shown_as_nobody_s_app(open_server: Gateway) -> None:
    made = register(open_server, redirect_uris=["http://127.0.0.1/callback"], client_name="Editor <b>", scope="usage")
    assert (made.status, made.headers["cache-control"]) == (201, "no-store")
    client = made.json
    assert (client["token_endpoint_auth_method"], client["response_types"]) == ("none", ["code"])
    user = Person.new(open_server)
    page = user.get("/authorize?" + urlencode(asks(client["client_id"])))
    assert "Nobody has registered this app" in page.text
    assert "Editor &lt;b&gt;" in page.text
    assert "127.0.0.1:9999" in page.text
    code = user.back(asks(client["client_id"], scope="usage offline_access"))["code"]
    fields = {"grant_type": "authorization_code", "code": code, "client_id": client["client_id"], "redirect_uri": BACK}
    token = endpoint(open_server, "/api/oauth/token", fields | {"code_verifier": VERIFIER}).json
    assert (token["scope"], "refresh_token" in token) == ("usage", False)
    key = Account(open_server, "", token["access_token"], "")
    assert key.chat("lab-chat").cost == ANSWER
    assert key.get("/api/account/key").json["name"] == "127.0.0.1:9999", "the host, not what it calls itself"


def test_only_its_own_addresses_are_reached(open_server: Gateway) -> None:
    user = Person.new(open_server)
    client = register(open_server, redirect_uris=["https://editor.example/cb"]).json["client_id"]
    for address in ("https://editor.example/other", "https://evil.example/cb", BACK):
        page = user.get("/authorize?" + urlencode(asks(client, redirect_uri=address)))
        assert (page.status, "location" in page.headers) == (400, False)
    assert user.get("/authorize?" + urlencode(asks("oc_" + "x" * 24))).status == 400


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": [BACK] * 11}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://editor.example/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://editor.example/cb#x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://a@editor.example/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": "https://editor.example"}, "invalid_client_metadata"),
        ({"redirect_uris": [BACK], "client_name": "x" * 101}, "invalid_client_metadata"),
        ({"redirect_uris": [BACK], "client_name": "a\u202eb"}, "invalid_client_metadata"),
        ({"redirect_uris": [BACK], "client_name": 5}, "invalid_client_metadata"),
    ],
)
def test_what_is_no_client(open_server: Gateway, fields: dict[str, Any], error: str) -> None:
    reply = register(open_server, **fields)
    assert (reply.status, reply.json["error"]) == (400, error)
    assert reply.json["error_description"]


def test_refresh_tokens_can_be_turned_off(open_server: Gateway) -> None:
    told = open_server.request("GET", WELL_KNOWN).json
    assert "refresh_token" not in told["grant_types_supported"]
    assert "offline_access" not in told["scopes_supported"]
    fields = {"grant_type": "refresh_token", "refresh_token": "rt_x", "client_id": "y"}
    assert endpoint(open_server, "/api/oauth/token", fields).json["error"] == "unsupported_grant_type"


def test_apps_work_there_as_ever(open_server: Gateway) -> None:
    app = author_of(open_server).app("Garden notes", appUrl="https://garden.example")
    assert "api_key" in Person.new(open_server).back(app.asks())


def test_registering_without_end_is_stopped(open_server: Gateway) -> None:
    replies = [register(open_server, redirect_uris=[BACK]) for _ in range(12)]
    assert replies[-1].status == 429
    assert replies[-1].json["error"] == "temporarily_unavailable"
    assert int(replies[-1].headers["retry-after"]) > 0
