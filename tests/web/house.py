"""A server that people live in: an admin and a user with keys, money, usage, an app and files."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests import labconfig
from tests.fakeprovider import FakeProvider
from tests.gateway import Account, Gateway

SETTINGS = """
[engines]
enabled = false
[signin]
signup = "open"
"""
FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class House:
    """The server, and cookies (``name=value``) of its admin and of a user who has used it."""

    gateway: Gateway
    admin: str
    user: str
    account: Account


@contextmanager
def house(folder: Path, settings: str = SETTINGS) -> Generator[House]:
    """Starts it and moves in."""
    config = folder / "openpollen.toml"
    with FakeProvider() as lab:
        config.write_text(labconfig.operator_file(lab.base_url, settings))
        with Gateway(folder / "data", config, env={"LAB_KEY": labconfig.KEY}) as gateway:
            account = gateway.account(tier="0.4", pack="12.5", crypto="3", permissions="profile,balance,usage,keys")
            _live(account)
            name = account.get("/api/account/profile").json["name"]
            yield House(gateway, sign_in(gateway, "admin"), sign_in(gateway, name), account)


def sign_in(gateway: Gateway, name: str) -> str:
    """The cookie of a fresh session, by one-time link."""
    path = urlsplit(gateway.admin("login-link", name)["url"]).path
    answer = gateway.request("POST", path, headers=FORM)
    assert answer.status == 303, answer.text
    return answer.headers["set-cookie"].partition(";")[0]


def _live(account: Account) -> None:
    for number in range(6):
        account.chat("lab-chat", f"Tell me about bees, part {number}")
    account.chat("lab-paid", stream=True)
    account.post("/v1/images/generations", {"model": "lab-image", "prompt": "a bee on a poppy"})
    account.post("/v1/audio/speech", {"model": "lab-speech", "input": "Good morning, garden."})
    account.post("/upload", {"data": "UG9sbGVu", "contentType": "text/plain", "name": "notes.txt"})
    laptop: dict[str, Any] = {"name": "Laptop", "pollenBudget": 2, "expiresIn": 86_400 * 20}
    app = {"name": "Garden notes", "type": "publishable", "redirectUris": ["https://garden.example/back"]}
    for key in (laptop, app):
        assert account.post("/api/account/keys", key).status == 200
    account.rows(9)
