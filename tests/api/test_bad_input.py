"""Bad input of every sort: the envelope with the right status, a message that helps, nothing charged, nothing broken."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.api.wrong import BODIES, CHAT, EARS, EDITS, IMAGES, RAW, SPEECH, TARGETS
from tests.fakeprovider import FakeProvider
from tests.fakewire import picture, tone
from tests.gateway import Account, Gateway, Reply, form

UNTAKEN = "UNSUPPORTED_MEDIA_TYPE"


@pytest.fixture(scope="module")
def account(gateway: Gateway) -> Iterator[Account]:
    """One account for all bad input; at the end nothing was charged and the server is well."""
    made = gateway.account()
    yield made
    assert made.rows(0) == []
    assert gateway.alive


def check(reply: Reply, word: str, status: int = 400, code: str = "BAD_REQUEST") -> None:
    error = reply.error
    assert (reply.status, error["code"]) == (status, code), error
    assert word in error["message"], error["message"]
    assert len(error["message"]) < 2000


@pytest.mark.parametrize(("path", "body", "word"), BODIES)
def test_a_wrong_body(account: Account, fake: FakeProvider, path: str, body: Any, word: str) -> None:
    check(account.post(path, body), word)
    assert fake.requests == []


@pytest.mark.parametrize(("target", "word"), TARGETS)
def test_a_wrong_address(account: Account, fake: FakeProvider, target: str, word: str) -> None:
    check(account.get(target), word)
    assert fake.requests == []


@pytest.mark.parametrize(("body", "word"), RAW)
@pytest.mark.parametrize("path", [CHAT, IMAGES])
def test_a_body_that_is_no_json(account: Account, path: str, body: bytes, word: str) -> None:
    if path == CHAT or word in ("JSON", "nested"):  # a picture knows no temperature
        check(account.request("POST", path, body=body, headers={"Content-Type": "application/json"}), word)


@pytest.mark.parametrize("path", [CHAT, IMAGES, SPEECH])
def test_a_form_or_a_compressed_body_is_415(account: Account, path: str) -> None:
    body, kind = form({"model": "lab-chat", "prompt": "a"}, [])
    headers = {"Content-Type": kind}
    check(account.request("POST", path, body=body, headers=headers), "JSON", 415, UNTAKEN)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    check(account.request("POST", path, body=gzip.compress(b"{}"), headers=headers), "Content-Encoding", 415, UNTAKEN)


@pytest.mark.parametrize("path", [CHAT, IMAGES, EDITS, SPEECH])
def test_one_byte_too_much_is_413(account: Account, path: str) -> None:
    too_large = b'{"a": "' + b"a" * (20 * 1024 * 1024 - 8) + b'"}'
    assert len(too_large) == 20 * 1024 * 1024 + 1
    reply = account.request("POST", path, body=too_large, headers={"Content-Type": "application/json"})
    check(reply, "20,971,520 bytes", 413, "PAYLOAD_TOO_LARGE")


def test_a_chunked_body_that_is_too_large_is_413_too(account: Account) -> None:
    parts = urlsplit(account.gateway.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as raw:
        head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {account.key}\r\n"
        raw.sendall((head + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n").encode())
        try:
            for _ in range(21):
                raw.sendall(b"100000\r\n" + b"a" * 0x100000 + b"\r\n")
        except ConnectionError:
            pass  # it may hang up as soon as it has answered
        assert raw.recv(64).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("kind", "path", "status"),
    [
        ("text/plain", EDITS, 415),
        ("application/xml", EDITS, 415),
        ("application/json", EARS, 400),
        ("multipart/form-data", EDITS, 400),
        ("multipart/form-data; boundary=x", EARS, 400),
    ],
)
def test_a_wrong_content_type(account: Account, kind: str, path: str, status: int) -> None:
    reply = account.request("POST", path, body=b"{}", headers={"Content-Type": kind})
    assert reply.status == status
    assert reply.error["message"]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "file"),
        (b"no sound at all", "audio"),
        (picture(8, 8), "audio"),
        (tone(0.5)[:30], "audio"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "audio"),
        (b"ID3" + bytes(500), "audio"),
    ],
)
def test_a_file_that_is_no_sound(account: Account, data: bytes, word: str) -> None:
    body, kind = form({"model": "lab-ears"}, [("file", "a.wav", data)])
    check(account.request("POST", EARS, body=body, headers={"Content-Type": kind}), word)


@pytest.mark.parametrize("model", ["kontext", "lab-image"])
@pytest.mark.parametrize("data", [b"", b"no picture", b"<svg/>", tone(0.2)])
def test_a_file_that_is_no_picture(account: Account, fake: FakeProvider, model: str, data: bytes) -> None:
    body, kind = form({"prompt": "night", "model": model}, [("image", "a.png", data)])
    check(account.request("POST", EDITS, body=body, headers={"Content-Type": kind}), "image")
    assert fake.requests == []


@pytest.mark.parametrize("data", [picture(64, 64)[:60], b"\x89PNG\r\n\x1a\n" + bytes(40), b"\xff\xd8\xff\xe0broken"])
def test_a_broken_picture(account: Account, data: bytes) -> None:
    body, kind = form({"prompt": "make it night", "model": "kontext"}, [("image", "a.png", data)])
    reply = account.request("POST", EDITS, body=body, headers={"Content-Type": kind})
    assert reply.status in (400, 422), reply.text
    assert reply.error["message"]


def test_prompts_of_any_kind_are_drawn(user: Account) -> None:
    for prompt in ("🐱", "a" * 3000, "word " * 2000, "\u202e\u0000x", "'; DROP TABLE users; --", "漢字 žluť"):
        target = f"/image/{quote(prompt, safe='')}?width=64&height=64&model=scene"
        reply = user.get(target)
        assert reply.status == 200, (prompt[:20], reply.text)
        assert reply.headers["content-type"] == "image/jpeg"
    body = {"prompt": "a cat and " * 1000, "size": "64x64", "model": "scene"}
    assert user.post(IMAGES, body).status == 200


def test_odd_texts_are_answered(user: Account) -> None:
    for text in ("🙂", "\u0000", "\u202e", ""):
        assert user.chat("smollm2", text, max_tokens=2).status == 200
    assert user.chat("lab-zero", "x" * 10_000).status == 200
    check(user.chat("smollm2", "one two " * 10_000), "8192 tokens")


@pytest.mark.parametrize("text", ["🙂", "...", "漢字"])
def test_speech_of_what_cannot_be_said_is_silent_or_told(user: Account, text: str) -> None:
    reply = user.get(f"/audio/{quote(text)}")
    if reply.status == 200:
        assert reply.headers["content-type"] == "audio/mpeg"
    else:
        assert reply.status in (400, 422)
        assert reply.error["message"]


def test_nulls_are_absent_and_of_repeated_names_the_last_counts(user: Account, fake: FakeProvider) -> None:
    nulls = dict.fromkeys(("temperature", "seed", "stop", "stream", "tools", "max_tokens", "response_format", "n"))
    assert user.chat("lab-zero", **nulls).status == 200
    body = b'{"model": "nonsense", "model": "lab-zero", "messages": [], "messages": [{"role":"user","content":"b"}]}'
    reply = user.request("POST", CHAT, body=body, headers={"Content-Type": "application/json"})
    assert reply.status == 200
    assert fake.requests[-1].json["messages"][0]["content"] == "b"
    assert json.loads(fake.requests[0].body).keys().isdisjoint(set(nulls) - {"max_tokens"})
    assert user.get("/image/a?model=scene&width=64&width=128&height=64&nonsense=1").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer sk_wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": "Bearer " + "x" * 5000},
        {"Authorization": "Bearer sk_\xff"},
    ],
)
def test_no_key_or_a_wrong_one_is_401_before_anything_is_looked_at(gateway: Gateway, headers: dict[str, str]) -> None:
    reply = gateway.request("POST", CHAT, body=b"{", headers=headers)
    assert (reply.status, reply.error["code"]) == (401, "UNAUTHORIZED")
    assert reply.headers["www-authenticate"] == "Bearer"
    assert "sk_wrong" not in reply.text


def test_two_keys_must_be_the_same(account: Account) -> None:
    assert account.get(f"/api/account/key?key={account.key}").status == 200
    assert account.get("/api/account/key?key=sk_other").status == 401
    lower = {"authorization": f"bearer {account.key}"}
    assert account.gateway.request("GET", "/api/account/key", headers=lower).status == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", ""])
def test_another_host_is_421(account: Account, host: str) -> None:
    reply = account.get("/v1/models", headers={"Host": host})
    check(reply, "ost", 421, "MISDIRECTED_REQUEST")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", CHAT), ("PUT", CHAT), ("DELETE", "/image/a"), ("POST", "/image/a"), ("PATCH", "/v1/models")],
)
def test_a_wrong_method_is_405_and_names_the_right_ones(account: Account, method: str, path: str) -> None:
    reply = account.request(method, path)
    check(reply, "", 405, "METHOD_NOT_ALLOWED")
    assert reply.headers["allow"]


@pytest.mark.parametrize(
    "path", ["/nothing", "/v1", "/v1/chat", "/image", "/image/", "/v2/models", "/../etc/passwd", "//"]
)
def test_an_unknown_path_is_404(account: Account, path: str) -> None:
    check(account.get(path), "", 404, "NOT_FOUND")


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 100])
def test_what_is_no_http_breaks_nothing(gateway: Gateway, junk: bytes) -> None:
    parts = urlsplit(gateway.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as raw:
        raw.sendall(junk)
        raw.shutdown(socket.SHUT_WR)
        raw.recv(1000)
    assert gateway.alive


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_idempotency_key_of_a_wrong_length_is_400(account: Account, key: str) -> None:
    check(account.chat("lab-chat", headers={"Idempotency-Key": key}), "Idempotency-Key")
