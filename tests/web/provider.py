"""A small provider of OpenID Connect, and a small GitHub, on loopback: real documents, real keys, real signatures.

Each sign-in is whom ``person`` says, without a page of its own. ``fault`` names what goes wrong with the next ID token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from tests.web.serving import serving

CLIENT, SECRET = "openpollen-here", "a-secret/of:ours"


def _person() -> dict[str, Any]:
    return {"sub": "1001", "preferred_username": "grace", "email": "grace@example.org", "email_verified": True}


@dataclass
class Provider:
    """``calls`` counts the requests by path."""

    url: str = ""
    person: dict[str, Any] = field(default_factory=_person)
    fault: str = ""
    calls: dict[str, int] = field(default_factory=dict[str, int])
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "first", "use": "sig"}))
    other: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "first", "use": "sig"}))
    codes: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser is sent back to."""
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT
        assert query["code_challenge_method"] == "S256"
        if self.fault == "denied":
            return f"{query['redirect_uri']}?{urlencode({'error': 'access_denied', 'state': query['state'], 'iss': self.url})}"
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        issuer = "https://evil.example" if self.fault == "mix-up" else self.url
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state'], 'iss': issuer})}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        expected = base64.b64encode(f"{CLIENT}:{SECRET.replace('/', '%2F').replace(':', '%3A')}".encode()).decode()
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        fits = (
            asked is not None and asked["code_challenge"] == challenge and asked["redirect_uri"] == form["redirect_uri"]
        )
        if authorization != f"Basic {expected}" or not fits or asked is None:
            return 400, {"error": "invalid_grant"}
        return 200, {
            "access_token": f"at-{self.person['sub']}",
            "token_type": "Bearer",
            "id_token": self.id_token(asked),
        }

    def id_token(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **self.person,
        }
        claims |= {
            "nonce": {"nonce": "another"},
            "aud": {"aud": "somebody-else"},
            "azp": {"aud": [CLIENT, "somebody-else"], "azp": "somebody-else"},
            "azp-missing": {"aud": [CLIENT, "somebody-else"]},
            "iss": {"iss": "https://evil.example"},
            "expired": {"iat": now - 4000, "exp": now - 3600},
            "future": {"nbf": now + 3600},
            "nobody": {"sub": ""},
        }.get(self.fault, {})
        for name in ("exp", "iat", "nonce", "sub", "aud", "iss"):
            if self.fault == f"no-{name}":
                del claims[name]
        if self.fault == "alg-none":
            parts = [{"alg": "none", "typ": "JWT"}, claims]
            return ".".join(_b64(json.dumps(part).encode()) for part in parts) + "."
        if self.fault == "alg-hs256":  # signed with what everybody knows: our own public key
            signed = ".".join(_b64(json.dumps(part).encode()) for part in ({"alg": "HS256", "kid": "first"}, claims))
            mac = hmac.new(self.key.as_pem(private=False), signed.encode(), hashlib.sha256).digest()
            return f"{signed}.{_b64(mac)}"
        token = jwt.encode(
            {"alg": "RS256", "kid": "first"}, claims, self.other if self.fault == "other-key" else self.key
        )
        if self.fault == "changed":
            head, _, signature = token.split(".")
            return f"{head}.{_b64(json.dumps({**claims, 'sub': '1'}).encode())}.{signature}"
        return "not-a-token" if self.fault == "garbage" else token

    def document(self) -> dict[str, Any]:
        return {
            "issuer": "https://evil.example" if self.fault == "document" else self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "authorization_response_iss_parameter_supported": True,
        }

    def keys(self) -> dict[str, Any]:
        encryption = ECKey.generate_key("P-256", {"kid": "enc", "use": "enc"})
        strange = {"kty": "quantum", "kid": "strange"}
        return {"keys": [strange, encryption.as_dict(private=False), self.key.as_dict(private=False)]}

    def github_token(self, form: dict[str, str]) -> dict[str, Any]:
        asked = self.codes.pop(form.get("code", ""), None)
        if asked is None or form.get("client_secret") != SECRET:
            return {"error": "bad_verification_code"}
        return {"access_token": f"gh-{self.person['sub']}", "token_type": "bearer"}

    def github_user(self) -> dict[str, Any]:
        return {
            "id": int(self.person["sub"]),
            "login": self.person["preferred_username"],
            "avatar_url": "https://avatars.example/u/1",
        }

    def github_emails(self) -> list[dict[str, Any]]:
        return [
            {"email": "old@example.org", "primary": False, "verified": True},
            {"email": self.person["email"], "primary": True, "verified": True},
        ]


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextmanager
def provider() -> Generator[Provider]:
    """One that listens."""
    here = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            self._answer({name: values[-1] for name, values in parse_qs(body).items()})

        def _answer(self, form: dict[str, str]) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            here.calls[parts.path] = here.calls.get(parts.path, 0) + 1
            if parts.path in ("/authorize", "/login/oauth/authorize"):
                if parts.path.startswith("/login"):
                    query |= {"response_type": "code"}
                self.send_response(302)
                self.send_header("location", here.authorize(query))
                self.send_header("content-length", "0")
                self.end_headers()
                return
            status, answer = self._json(parts.path, form)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _json(self, path: str, form: dict[str, str]) -> tuple[int, Any]:
            bearer = self.headers.get("authorization", "").endswith(f"-{here.person['sub']}")
            match path:
                case "/.well-known/openid-configuration":
                    return 200, here.document()
                case "/keys":
                    return 200, here.keys()
                case "/token":
                    return here.token(form, self.headers.get("authorization", ""))
                case "/login/oauth/access_token":
                    return 200, here.github_token(form)
                case "/user" if bearer:
                    return 200, here.github_user()
                case "/user/emails" if bearer:
                    return 200, here.github_emails()
                case "/userinfo" if bearer:
                    return 200, {"sub": here.person["sub"], "email": "told@example.org", "email_verified": True}
                case _:
                    return 404, {}

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here.url = f"http://127.0.0.1:{server.server_port}"
    with serving(server):
        yield here
