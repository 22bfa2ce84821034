"""Bad input of every sort: the envelope with the right status, a message that helps, nothing charged, nothing broken."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.fakeprovider import FakeProvider
from tests.fakewire import picture, tone
from tests.gateway import Account, Gateway, Reply, form

CHAT, IMAGES, EDITS = "/v1/chat/completions", "/v1/images/generations", "/v1/images/edits"
SPEECH, EARS = "/v1/audio/speech", "/v1/audio/transcriptions"
HELLO = [{"role": "user", "content": "Hello!"}]
URI = "data:image/png;base64," + base64.b64encode(picture(8, 8)).decode()


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "lab-chat", "messages": HELLO, **fields}


def image(**fields: Any) -> dict[str, Any]:
    return {"model": "lab-image", "prompt": "a cat", **fields}


#: Path, JSON body, and a word that the message must have.
BODIES: list[tuple[str, Any, str]] = [
    (CHAT, chat(messages=None), "messages"),
    (CHAT, chat(messages=[]), "messages"),
    (CHAT, chat(messages="Hello"), "messages"),
    (CHAT, chat(messages=["Hello"]), "messages"),
    (CHAT, chat(messages=[{"content": "a"}]), "role"),
    (CHAT, chat(messages=[{"role": "robot", "content": "a"}]), "robot"),
    (CHAT, chat(messages=[{"role": "user", "content": 5}]), "content"),
    (CHAT, chat(messages=[{"role": "user", "content": []}]), "content"),
    (CHAT, chat(model=5), "model"),
    (CHAT, chat(model=["lab-chat"]), "model"),
    (CHAT, chat(model="no-such-model"), "no-such-model"),
    (CHAT, chat(model="x" * 5000), "There is no model"),
    (CHAT, chat(temperature=2.1), "temperature"),
    (CHAT, chat(temperature=-0.1), "temperature"),
    (CHAT, chat(temperature="warm"), "temperature"),
    (CHAT, chat(temperature=[1]), "temperature"),
    (CHAT, chat(top_p=1.5), "top_p"),
    (CHAT, chat(presence_penalty=3), "presence_penalty"),
    (CHAT, chat(max_tokens=0), "max_tokens"),
    (CHAT, chat(max_tokens=-5), "max_tokens"),
    (CHAT, chat(max_tokens=1.5), "max_tokens"),
    (CHAT, chat(seed=-2), "seed"),
    (CHAT, chat(seed=2**31), "seed"),
    (CHAT, chat(seed="x"), "seed"),
    (CHAT, chat(n=2), "n:"),
    (CHAT, chat(stream="perhaps"), "stream"),
    (CHAT, chat(stop=[]), "stop"),
    (CHAT, chat(stop=["a", "b", "c", "d", "e"]), "stop"),
    (CHAT, chat(tools="all"), "tools"),
    (CHAT, chat(tool_choice=7), "tool_choice"),
    (CHAT, chat(response_format="json"), "response_format"),
    (CHAT, chat(modalities=["smell"]), "modalities"),
    (CHAT, chat(top_logprobs=21), "top_logprobs"),
    (CHAT, chat(max_cost="much"), "max_cost"),
    (CHAT, chat(max_cost=-1), "max_cost"),
    (CHAT, chat(safe="perhaps"), "safe"),
    (CHAT, [HELLO], "object"),
    (CHAT, "Hello", "object"),
    (IMAGES, {"model": "lab-image"}, "prompt"),
    (IMAGES, image(prompt=""), "prompt"),
    (IMAGES, image(prompt="   "), "prompt"),
    (IMAGES, image(prompt="a" * 32_001), "32,000"),
    (IMAGES, image(prompt=["a"]), "prompt"),
    (IMAGES, image(n=0), "n:"),
    (IMAGES, image(n=2), "n:"),
    (IMAGES, image(size="big"), "WIDTHxHEIGHT"),
    (IMAGES, image(size="100"), "WIDTHxHEIGHT"),
    (IMAGES, image(size="-5x100"), "WIDTHxHEIGHT"),
    (IMAGES, image(model="scene", size="0x0"), "scene"),
    (IMAGES, image(model="scene", size="63x64"), "64 to 2048"),
    (IMAGES, image(model="scene", size="99999x64"), "64 to 2048"),
    (IMAGES, image(quality="best"), "quality"),
    (IMAGES, image(response_format="png"), "response_format"),
    (IMAGES, image(output_format="webp"), "output_format"),
    (IMAGES, image(seed=1.5), "seed"),
    (IMAGES, image(transparent="maybe"), "transparent"),
    (EDITS, image(), "image"),
    (EDITS, image(image=5), "image"),
    (EDITS, image(image="cat.png"), "image"),
    (EDITS, image(image="ftp://example.org/cat.png"), "image"),
    (EDITS, image(image="data:image/png;base64,####"), "base64"),
    (EDITS, image(image="data:image/png;base64,"), "image"),
    (EDITS, image(image="data:text/plain;base64,SGVsbG8="), "picture"),
    (EDITS, image(image=[URI] * 17), "16"),
    (EDITS, image(image="http://127.0.0.1:1/cat.png"), "public"),
    (EDITS, image(image="http://localhost/cat.png"), "public"),
    (EDITS, image(image="http://169.254.169.254/latest/meta-data/"), "public"),
    (EDITS, image(image="http://[::1]/cat.png"), "public"),
    (EDITS, image(image="http://[::ffff:10.0.0.1]/cat.png"), "public"),
    (EDITS, image(image="http://10.1.2.3/cat.png"), "public"),
    (EDITS, image(image="http://2130706433/cat.png"), "IP address"),
    (EDITS, image(image="https://user:password@example.org/cat.png"), "user"),
    (SPEECH, {"model": "lab-speech"}, "input"),
    (SPEECH, {"model": "lab-speech", "input": ""}, "input"),
    (SPEECH, {"model": "lab-speech", "input": 0.5, "speed": 0}, "speed"),
    (SPEECH, {"model": "lab-speech", "input": "a", "speed": 5}, "speed"),
    (SPEECH, {"model": "lab-speech", "input": "a", "speed": "fast"}, "speed"),
    (SPEECH, {"model": "lab-speech", "input": "a", "response_format": "midi"}, "response_format"),
    (SPEECH, {"model": "lab-speech", "input": "a", "voice": 7.5}, "voice"),
    (SPEECH, {"model": "lab-speech", "input": "a", "stream_format": "sse"}, "stream_format"),
    (SPEECH, {"input": "a", "voice": "darth"}, "alloy"),
    (SPEECH, {"input": "a", "duration": -1, "model": "elevenmusic"}, "duration"),
    (SPEECH, {"input": "a", "duration": 9999, "model": "elevenmusic"}, "duration"),
    ("/v1/videos", {"model": "lab-video", "prompt": "a", "seconds": "-1"}, "seconds"),
    ("/v1/videos", {"model": "lab-video", "prompt": "a", "seconds": "long"}, "seconds"),
    ("/v1/videos", {"model": "lab-video"}, "prompt"),
    ("/v1/videos", {"model": "flux", "prompt": "a"}, "flux"),
    ("/v1/estimate", {"endpoint": "tea", "request": {}}, "endpoint"),
    ("/v1/estimate", {"request": {}}, "endpoint"),
    ("/v1/estimate", {"endpoint": "image", "request": []}, "request"),
]

#: GET targets that are wrong, and a word that the message must have.
TARGETS: list[tuple[str, str]] = [
    ("/image/a?width=ten", "width"),
    ("/image/a?width=-1", "width"),
    ("/image/a?width=0", "width"),
    ("/image/a?width=1e400", "width"),
    ("/image/a?seed=abc", "seed"),
    ("/image/a?seed=-7", "seed"),
    ("/image/a?transparent=perhaps", "transparent"),
    ("/image/a?quality=ultra", "quality"),
    ("/image/a?image=not-an-address", "image"),
    ("/image/a?model=kontext&image=http://192.168.0.1/a.png", "public"),
    ("/image/%20", "prompt"),
    ("/image/%ff%fe", "UTF-8"),
    ("/image/%zz", "percent"),
    ("/image/a%", "percent"),
    ("/image/a?prompt=%ff", "UTF-8"),
    ("/text/%e2%82", "UTF-8"),
    ("/text/a?temperature=nan", "temperature"),
    ("/text/a?temperature=inf", "temperature"),
    ("/text/a?max_tokens=0", "max_tokens"),
    ("/text/a?stream=perhaps", "stream"),
    ("/audio/%20", "input"),
    ("/audio/a?speed=nan", "speed"),
    ("/audio/a?response_format=midi", "response_format"),
    ("/audio/a?voice=darth", "voice"),
    ("/video/a?model=scene-video&duration=-5", "duration"),
    ("/video/a?model=scene-video&duration=nan", "duration"),
    ("/video/a?model=scene-video&duration=61", "duration"),
    ("/video/a?model=scene-video&aspectRatio=wide", "wide"),
    ("/video/a?model=scene-video&resolution=8k", "8k"),
    ("/v1/videos?limit=0", "limit"),
]

#: Bodies that are no JSON object at all.
RAW: list[tuple[bytes, str]] = [
    (b"", "JSON"),
    (b"{", "JSON"),
    (b"null", "object"),
    (b"\xff\xfe{}", "UTF-8"),
    (b'{"model": "lab-chat", "messages": [{"role": "user", "content": "\xff"}]}', "UTF-8"),
    (b'{"model": "lab-chat", "messages": [{"role": "user", "content": "a"}], "temperature": NaN}', "JSON"),
    (b'{"model": "lab-chat", "messages": [{"role": "user", "content": "a"}], "temperature": 1e999}', "out of range"),
    (b"{'model': 'lab-chat'}", "JSON"),
    (b'{"model": "lab-chat"} trailing', "JSON"),
    (b"[" * 100_000, "JSON"),
    (b'{"a":' * 5000 + b"1" + b"}" * 5000, "nested"),
    (b'{"model": "lab-chat", "messages": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested"),
    (b"model=lab-chat&prompt=a", "JSON"),
]


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
