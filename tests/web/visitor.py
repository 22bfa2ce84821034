"""Somebody with a browser but without its picture: keeps cookies, posts forms as our own pages do."""

from __future__ import annotations

import http.client
import itertools
import json
import re
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.gateway import Gateway, Reply

PASSWORD = "seven quiet otters"
#: Settings under which each visitor comes from an address of their own.
SETTINGS = """[server]
trusted_proxies = ["127.0.0.1", "::1"]
[engines]
enabled = false
"""
_numbers = itertools.count(1)


class Visitor:
    """``agent`` is the browser's User-Agent."""

    def __init__(self, server: Gateway, agent: str = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0") -> None:
        self.server = server
        self.cookies: dict[str, str] = {}
        self.set_cookies: list[str] = []
        number = next(_numbers)
        self.address = f"198.18.{number // 256}.{number % 256}"
        self._agent = agent

    def get(self, target: str, **headers: str) -> Reply:
        return self._request("GET", target, None, headers)

    def post(
        self, target: str, fields: dict[str, str] | None = None, *, csrf: str | None = None, **headers: str
    ) -> Reply:
        """Posts a form. The token of a signed-in browser is read from the account page unless ``csrf`` gives one."""
        if csrf is None and "openpollen" in self.cookies:
            csrf = self.csrf
        sent = {**(fields or {}), **({"csrf": csrf} if csrf else {})}
        own = {"content-type": "application/x-www-form-urlencoded", "origin": self.server.url, **headers}
        return self._request("POST", target, urlencode(sent).encode(), own)

    def post_json(self, target: str, body: Any) -> Reply:
        own = {"content-type": "application/json", "origin": self.server.url}
        return self._request("POST", target, json.dumps(body).encode(), own)

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', self.get("/me/account").text)
        return found[1] if found else ""

    @property
    def signed_in(self) -> bool:
        return self.get("/me/account").status == 200

    def sign_up(self, name: str, password: str = PASSWORD, **fields: str) -> Reply:
        return self.post("/signup", {"name": name, "password": password, **fields})

    def sign_in(
        self, name: str, password: str = PASSWORD, headers: dict[str, str] | None = None, **fields: str
    ) -> Reply:
        return self.post("/login", {"name": name, "password": password, **fields}, **(headers or {}))

    def _request(self, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        sent = {"user-agent": self._agent, "x-forwarded-for": self.address, **headers}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        parts = urlsplit(target)
        path = target if not parts.scheme else parts.path + (f"?{parts.query}" if parts.query else "")
        connection: http.client.HTTPConnection = self.server.connect()
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            data, lines = response.read(), response.getheaders()
        finally:
            connection.close()
        self.set_cookies = [value for name, value in lines if name.lower() == "set-cookie"]
        for line in self.set_cookies:
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return Reply(response.status, {name.lower(): value for name, value in lines}, data)
