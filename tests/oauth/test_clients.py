"""OAuth libraries from outside the project complete each flow over HTTP; the user decides in between."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from authlib.integrations.httpx_client import OAuth2Client as AuthlibHttpx
from authlib.integrations.requests_client import OAuth2Session as AuthlibRequests
from oauthlib.oauth2 import DeviceClient
from requests_oauthlib import OAuth2Session

from tests.gateway import Account, Gateway
from tests.labconfig import ANSWER
from tests.oauth.people import App, Person, filled

BACK = "http://127.0.0.1:4000/cb"
VERIFIER = "a-verifier-of-the-library-that-is-long-enough-0123"
SCOPE = "profile usage offline_access"


@pytest.fixture(autouse=True)
def http_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's server speaks http, which the libraries refuse otherwise."""
    for name in ("OAUTHLIB_INSECURE_TRANSPORT", "AUTHLIB_INSECURE_TRANSPORT"):
        monkeypatch.setenv(name, "1")


@pytest.fixture
def endpoints(server: Gateway) -> dict[str, str]:
    """What the metadata say, and nothing else, is what a library goes by."""
    return server.request("GET", "/.well-known/oauth-authorization-server").json


def consent(user: Person, url: str) -> str:
    """Opens the address that the library made, agrees, and gives back where the browser is sent."""
    asked = dict(parse_qsl(urlsplit(url).query))
    assert url.startswith(f"{user.gateway.url}/authorize?")
    answer = user.decide(asked)
    assert answer.status == 303
    return answer.headers["location"]


def works(server: Gateway, user: Person, token: str) -> None:
    key = Account(server, "", token, "")
    assert key.get("/api/oauth/userinfo").json["sub"] == user.account.id
    assert key.chat("lab-chat").cost == ANSWER


def test_requests_oauthlib_with_pkce_and_refresh(
    server: Gateway, user: Person, app: App, endpoints: dict[str, str]
) -> None:
    with OAuth2Session(app.key, redirect_uri=BACK, scope=SCOPE.split(), pkce="S256") as session:
        url, _ = session.authorization_url(endpoints["authorization_endpoint"])
        back = consent(user, url)
        token = session.fetch_token(endpoints["token_endpoint"], authorization_response=back, include_client_id=True)
        assert token["scope"] == SCOPE.split(), "other words than were asked for would be an error to it"
        assert session.get(endpoints["userinfo_endpoint"]).json()["sub"] == user.account.id
        works(server, user, token["access_token"])
        again = session.refresh_token(endpoints["token_endpoint"], client_id=app.key)
        assert again["access_token"] != token["access_token"]
        assert session.get(endpoints["userinfo_endpoint"]).status_code == 200


def test_authlib_over_requests_with_pkce_refresh_introspection_and_revocation(
    server: Gateway, user: Person, app: App, endpoints: dict[str, str]
) -> None:
    with AuthlibRequests(app.key, redirect_uri=BACK, scope=SCOPE, code_challenge_method="S256") as session:
        url, state = session.create_authorization_url(endpoints["authorization_endpoint"], code_verifier=VERIFIER)
        back = consent(user, url)
        assert dict(parse_qsl(urlsplit(back).query))["state"] == state
        token = session.fetch_token(
            endpoints["token_endpoint"], authorization_response=back, state=state, code_verifier=VERIFIER
        )
        works(server, user, token["access_token"])
        fresh = session.refresh_token(endpoints["token_endpoint"], token["refresh_token"])
        works(server, user, fresh["access_token"])
        bearer = {"authorization": f"Bearer {fresh['access_token']}"}
        told = requests.post(endpoints["introspection_endpoint"], {"token": fresh["access_token"]}, headers=bearer)
        assert told.json()["active"] is True
        gone = session.revoke_token(endpoints["revocation_endpoint"], fresh["refresh_token"])
        assert gone.status_code == 200
        assert requests.get(endpoints["userinfo_endpoint"], headers=bearer).status_code == 401


def test_authlib_over_httpx_with_pkce(server: Gateway, user: Person, app: App, endpoints: dict[str, str]) -> None:
    with AuthlibHttpx(app.key, redirect_uri=BACK, scope="profile", code_challenge_method="S256") as session:
        url, state = session.create_authorization_url(endpoints["authorization_endpoint"], code_verifier=VERIFIER)
        token = session.fetch_token(
            endpoints["token_endpoint"],
            authorization_response=consent(user, url),
            state=state,
            code_verifier=VERIFIER,
        )
        assert session.get(endpoints["userinfo_endpoint"]).json()["name"]
        works(server, user, token["access_token"])


@pytest.mark.parametrize("ask", ["oauthlib", "authlib"])
def test_the_device_flow(server: Gateway, user: Person, endpoints: dict[str, str], ask: str) -> None:
    begun = requests.post(
        endpoints["device_authorization_endpoint"], {"client_id": "tv", "scope": "generate usage"}
    ).json()
    page = user.get(begun["verification_uri_complete"].removeprefix(server.url))
    asked = user.post("/device", filled(page, {}))
    assert begun["user_code"] in asked.text
    assert "is connected" in user.post("/device", [*filled(asked, {}), ("decision", "allow")]).text
    if ask == "oauthlib":
        client = DeviceClient("tv", scope=["generate", "usage"])
        body = client.prepare_request_body(begun["device_code"], include_client_id=True)
        form = {"content-type": "application/x-www-form-urlencoded"}
        reply = requests.post(endpoints["token_endpoint"], body, headers=form)
        token = client.parse_request_body_response(reply.text, scope=["generate", "usage"])
    else:
        with AuthlibRequests("tv") as session:
            grant = "urn:ietf:params:oauth:grant-type:device_code"
            token = session.fetch_token(endpoints["token_endpoint"], grant_type=grant, device_code=begun["device_code"])
    works(server, user, token["access_token"])


def test_a_user_who_says_no_is_an_error_to_the_library(user: Person, app: App, endpoints: dict[str, str]) -> None:
    with OAuth2Session(app.key, redirect_uri=BACK, pkce="S256") as session:
        url, _ = session.authorization_url(endpoints["authorization_endpoint"])
        asked = dict(parse_qsl(urlsplit(url).query))
        back = user.decide(asked, "deny").headers["location"]
        with pytest.raises(Exception, match="access_denied"):
            session.fetch_token(endpoints["token_endpoint"], authorization_response=back, include_client_id=True)


def test_an_author_s_page_reads_answers_from_another_origin(server: Gateway, app: App) -> None:
    """Browsers ask first; token, revocation, userinfo and device endpoints are open to any origin, without cookies."""
    for path in (
        "/api/oauth/token",
        "/api/oauth/revoke",
        "/api/oauth/userinfo",
        "/api/device/code",
        "/api/device/token",
    ):
        asked = {"origin": "https://garden.example", "access-control-request-method": "POST"}
        reply = server.request("OPTIONS", path, headers=asked)
        assert reply.headers["access-control-allow-origin"] == "*", path
        assert "access-control-allow-credentials" not in reply.headers
    page = server.request("GET", f"/authorize?{urlencode(app.asks())}", headers={"origin": "https://garden.example"})
    assert "access-control-allow-origin" not in page.headers
