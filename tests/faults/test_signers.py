"""Hosts without a plain key: the token that opens them is fetched once, kept, and never shown."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.fakeprovider import FakeProvider
from tests.gateway import Gateway
from tests.labconfig import chat_model

TOKEN = "ya29.short-lived-token-of-the-test"


class TokenHost(ThreadingHTTPServer):
    """A host that gives a token for a form, and keeps the forms. ``status`` and ``answer`` are what it answers with."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200
        self.answer: dict[str, object] = {"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"}
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: TokenHost

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        self.server.asked.append((self.path, {name: values[0] for name, values in form.items()}))
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        body = json.dumps(self.server.answer).encode()
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def tokens() -> Iterator[TokenHost]:
    host = TokenHost()
    serving = threading.Thread(target=host.serve_forever, daemon=True)
    serving.start()
    yield host
    host.shutdown()
    host.server_close()
    serving.join()


@contextmanager
def served(folder: Path, fake: FakeProvider, signer: str, env: dict[str, str]) -> Iterator[Gateway]:
    config = folder / "openpollen.toml"
    row = f'[providers.lab]\nwire = "openai_compatible"\nbase_url = "{fake.base_url}"\nsigner = "{signer}"\n'
    config.write_text(f"{row}[engines]\nenabled = false\n{chat_model('lab-chat', 'ok')}")
    with Gateway(folder / "data", config, env=env) as gateway:
        yield gateway
    assert TOKEN not in gateway.output


def service_account(folder: Path, tokens: TokenHost) -> tuple[dict[str, str], RSAKey]:
    key = RSAKey.generate_key(2048, private=True)
    file = folder / "account.json"
    file.write_text(
        json.dumps(
            {
                "type": "service_account",
                "client_email": "gateway@project.example",
                "private_key": key.as_pem(private=True).decode(),
                "private_key_id": "k1",
                "token_uri": f"{tokens.url}/token",
            }
        )
    )
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}, key


def bearers(fake: FakeProvider) -> list[str]:
    return [request.headers["authorization"] for request in fake.requests]


def test_a_service_account_s_assertion_brings_a_token_once(
    tmp_path: Path, fake: FakeProvider, tokens: TokenHost
) -> None:
    env, key = service_account(tmp_path, tokens)
    with served(tmp_path, fake, "google", env) as gateway:
        payer = gateway.account()
        assert [payer.chat("lab-chat", stream=stream).status for stream in (False, True, False)] == [200] * 3
    assert bearers(fake) == [f"Bearer {TOKEN}"] * 3
    ((path, form),) = tokens.asked
    assert (path, form["grant_type"]) == ("/token", "urn:ietf:params:oauth:grant-type:jwt-bearer")
    claims = jwt.decode(form["assertion"], key).claims
    assert (claims["iss"], claims["aud"]) == ("gateway@project.example", f"{tokens.url}/token")
    assert claims["exp"] - claims["iat"] == 3600


def test_entra_gives_a_token_for_client_credentials(tmp_path: Path, fake: FakeProvider, tokens: TokenHost) -> None:
    env = {
        "AZURE_TENANT_ID": "tenant-1",
        "AZURE_CLIENT_ID": "client-1",
        "AZURE_CLIENT_SECRET": "hush-hush-secret",
        "AZURE_AUTHORITY_HOST": tokens.url,
    }
    with served(tmp_path, fake, "entra", env) as gateway:
        assert gateway.account().chat("lab-chat").status == 200
        assert "hush-hush" not in gateway.output
    assert bearers(fake) == [f"Bearer {TOKEN}"]
    ((path, form),) = tokens.asked
    assert path == "/tenant-1/oauth2/v2.0/token"
    assert (form["client_id"], form["scope"]) == ("client-1", "https://cognitiveservices.azure.com/.default")


def test_without_a_token_nothing_is_sent_and_the_operator_is_told(
    tmp_path: Path, fake: FakeProvider, tokens: TokenHost
) -> None:
    env, _ = service_account(tmp_path, tokens)
    tokens.status = 403
    with served(tmp_path, fake, "google", env) as gateway:
        payer = gateway.account()
        reply = payer.chat("lab-chat")
        assert (reply.status, reply.error["reason"]) == (502, "provider_credential")
        assert "403" in reply.error["details"]["hint"]
        assert payer.balance == 1_000_000_000
        tokens.status = 200
        assert payer.chat("lab-chat").status == 200
    assert len(fake.requests) == 1


def test_a_host_whose_account_is_not_set_up_is_not_live(tmp_path: Path, fake: FakeProvider) -> None:
    with served(tmp_path, fake, "google", {}) as gateway:
        reply = gateway.account().chat("lab-chat")
        assert (reply.status, reply.error["reason"]) == (503, "no_route")
        assert "GOOGLE_APPLICATION_CREDENTIALS" in reply.error["message"]


def test_requests_to_amazon_are_signed(tmp_path: Path, tokens: TokenHost) -> None:
    config = tmp_path / "openpollen.toml"
    config.write_text(f'[providers.bedrock]\nbase_url = "{tokens.url}"\n[engines]\nenabled = false\n')
    env = {"AWS_ACCESS_KEY_ID": "AKIDLAB", "AWS_SECRET_ACCESS_KEY": "hush-hush-secret", "AWS_REGION": "eu-west-1"}
    tokens.answer = {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hello."}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15},
    }
    with Gateway(tmp_path / "data", config, env=env) as gateway:
        reply = gateway.account().chat("claude-fast")
        assert reply.status == 200, reply.text
        assert reply.json["choices"][0]["message"]["content"] == "Hello."
        assert "hush-hush" not in gateway.output
    (headers,) = tokens.headers
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDLAB/")
    assert "/eu-west-1/bedrock/aws4_request" in headers["authorization"]
    assert headers["x-amz-date"].endswith("Z")
