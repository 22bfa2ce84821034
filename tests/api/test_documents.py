"""The API about itself: OpenAPI, the readable page, health, and what browsers ask before they call."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from tests.gateway import Account, Gateway

CONTRACT = {
    *("/v1/chat/completions", "/text/{prompt}", "/image/{prompt}", "/v1/images/generations", "/v1/images/edits"),
    *("/audio/{text}", "/v1/audio/speech", "/v1/audio/transcriptions", "/v1/models", "/image/models"),
    *("/api/account/profile", "/api/account/balance", "/api/account/usage", "/api/account/usage/daily"),
    *("/api/account/keys", "/api/account/keys/{id}", "/api/account/key", "/upload", "/{hash}", "/v1/videos"),
}


def test_openapi_names_every_path_of_the_contract(gateway: Gateway) -> None:
    reply = gateway.request("GET", "/openapi.json")
    document = reply.json
    assert reply.headers["content-type"] == "application/json"
    assert document["openapi"].startswith("3.1")
    assert document["paths"].keys() >= CONTRACT
    for path, methods in document["paths"].items():
        names = set(re.findall(r"\{(\w+)\}", path))
        for method, operation in methods.items():
            told = {p["name"] for p in operation.get("parameters", ()) if p.get("in") == "path"}
            assert told == names, (method, path)
            assert operation["responses"], (method, path)


def test_every_reference_in_openapi_leads_somewhere(gateway: Gateway) -> None:
    reply = gateway.request("GET", "/openapi.json")
    for reference in set(re.findall(r'"\$ref":"#/([^"]+)"', reply.text)):
        found = reply.json
        for step in reference.split("/"):
            found = found[step]


def test_every_documented_get_answers(user: Account) -> None:
    for path, methods in user.get("/openapi.json").json["paths"].items():
        if "get" in methods and "{" not in path:
            needed = {"/api/device/qr": "?user_code=BCDFGHJK"}.get(path, "")
            assert user.get(path + needed).status in (200, 302, 403), path


class Words(HTMLParser):
    """The text of a page, without scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_docs_are_readable_without_scripts(gateway: Gateway) -> None:
    reply = gateway.request("GET", "/docs")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    page = Words()
    page.feed(reply.text)
    assert "script" not in page.tags
    assert "h1" in page.tags
    for path in CONTRACT - {"/{hash}"}:
        assert path in page.text, path
    home = gateway.request("GET", "/")
    assert (home.status, home.headers["location"]) == (302, "/docs")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health(gateway: Gateway, path: str) -> None:
    reply = gateway.request("GET", path)
    assert (reply.status, reply.json["status"], reply.headers["cache-control"]) == (200, "ok", "no-store")
    assert gateway.request("HEAD", path).status == 200


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/image/a", "/upload", "/api/account/key", "/v1/models"])
def test_a_preflight_reflects_the_headers_asked_for(gateway: Gateway, path: str) -> None:
    asked = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os",
    }
    reply = gateway.request("OPTIONS", path, headers=asked)
    assert reply.status in (200, 204)
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["access-control-allow-headers"] == asked["Access-Control-Request-Headers"]
    assert "POST" in reply.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in reply.headers


def test_answers_and_errors_are_open_to_any_origin(user: Account) -> None:
    origin = {"Origin": "https://app.example"}
    for reply in (
        user.get("/v1/models", headers=origin),
        user.chat("lab-zero", headers=origin),
        user.chat("no-such-model", headers=origin),
        user.get("/v1/chat/completions", headers=origin),
        user.get("/v1/nothing/here", headers=origin),
        user.gateway.request("GET", "/image/a", headers=origin),
    ):
        assert reply.headers["access-control-allow-origin"] == "*"
        assert reply.headers["access-control-expose-headers"] == "*"
        assert re.fullmatch(r"req_[0-9a-f]+", reply.headers["x-request-id"])


def test_sign_in_pages_have_no_cors(gateway: Gateway) -> None:
    reply = gateway.request("GET", "/login/none", headers={"Origin": "https://app.example"})
    assert "access-control-allow-origin" not in reply.headers
