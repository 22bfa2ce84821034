"""The people of a consent: who signs in and decides, who wrote the app, and what the app does."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.gateway import Account, Gateway, Reply
from tests.web.house import FORM, sign_in

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Person:
    """Somebody at a browser: an account and the cookie of a session."""

    gateway: Gateway
    account: Account
    cookie: str

    @classmethod
    def new(cls, gateway: Gateway, **wallet: str) -> Person:
        account = gateway.account(**wallet)
        name = account.get("/api/account/profile").json["name"]
        return cls(gateway, account, sign_in(gateway, name))

    def get(self, target: str) -> Reply:
        return self.gateway.request("GET", target, headers={"cookie": self.cookie})

    def post(self, target: str, fields: list[tuple[str, str]], **headers: str) -> Reply:
        sent = FORM | {"cookie": self.cookie} | headers
        return self.gateway.request("POST", target, body=urlencode(fields).encode(), headers=sent)

    def decide(self, asked: dict[str, str], decision: str = "allow", **changes: Any) -> Reply:
        """Opens the consent page of a link and posts its form, as it stands or changed. A list replaces all of a name,
        ``None`` unticks."""
        page = self.get(f"/authorize?{urlencode(asked)}")
        assert page.status == 200, page.text
        return self.post("/authorize", [*filled(page, changes), ("decision", decision)])

    def back(self, asked: dict[str, str], decision: str = "allow", **changes: Any) -> dict[str, str]:
        """What the app's address gets after the decision."""
        answer = self.decide(asked, decision, **changes)
        assert answer.status == 303, answer.text
        parts = urlsplit(answer.headers["location"])
        return dict(parse_qsl(parts.fragment or parts.query))


@dataclass
class App:
    """A registered app."""

    gateway: Gateway
    key: str
    key_id: str
    author: Account

    def asks(self, **more: str) -> dict[str, str]:
        """A link of the fragment flow."""
        return {"redirect_url": "https://garden.example/home", "app_key": self.key, "state": "s1"} | more

    def asks_code(self, **more: str) -> dict[str, str]:
        asked = {"response_type": "code", "client_id": self.key, "redirect_uri": "https://garden.example/back"}
        return asked | {"state": "s2", "code_challenge": CHALLENGE, "code_challenge_method": "S256"} | more

    def token(self, code: str, **changes: str) -> Reply:
        fields = {"grant_type": "authorization_code", "code": code, "client_id": self.key, "code_verifier": VERIFIER}
        fields |= {"redirect_uri": "https://garden.example/back"} | changes
        return endpoint(self.gateway, "/api/oauth/token", fields)


@dataclass
class Author:
    gateway: Gateway
    account: Account

    def app(self, name: str, **fields: Any) -> App:
        made = self.account.post("/api/account/keys", {"name": name, "type": "publishable", **fields})
        assert made.status == 200, made.text
        return App(self.gateway, made.json["key"], made.json["id"], self.account)


def author_of(gateway: Gateway) -> Author:
    return Author(gateway, gateway.account(permissions="profile,balance,usage,keys"))


def endpoint(gateway: Gateway, target: str, fields: dict[str, str], **headers: str) -> Reply:
    return gateway.request("POST", target, body=urlencode(fields).encode(), headers=FORM | headers)


def filled(page: Reply, changes: dict[str, Any]) -> list[tuple[str, str]]:
    """The fields of a page's form as a browser would post them, with changes."""
    fields: list[tuple[str, str]] = []
    for tag in re.findall(r"<input[^>]*>", page.text.partition("<main")[2]):
        found = {name: unescape(value) for name, value in re.findall(r'([a-z-]+)="([^"]*)"', tag)}
        if "name" in found and (found.get("type") != "checkbox" or re.search(r"\schecked", tag)):
            fields.append((found["name"], found.get("value", "")))
    for name, value in changes.items():
        fields = [(key, old) for key, old in fields if key != name]
        fields += [(name, one) for one in ([] if value is None else [value] if isinstance(value, str) else value)]
    return fields
