"""Promises that are easy to break at the seams between parameters, models and engines."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from tests.gateway import Account, Gateway


@pytest.mark.parametrize("image", [[], "", [None], [""]])
def test_an_edit_without_a_picture_is_refused(user: Account, image: object) -> None:
    reply = user.post("/v1/images/edits", {"prompt": "at night", "image": image, "size": "128x128"})
    assert reply.status == 400
    assert "picture to edit" in reply.error["message"]


@pytest.mark.parametrize(("model", "seconds"), [("veo", 4), ("nova-reel", 6)])
def test_a_video_without_a_length_has_the_models_own(user: Account, model: str, seconds: int) -> None:
    units = user.post("/v1/estimate", {"endpoint": "video", "request": {"prompt": "a dog", "model": model}}).json[
        "units"
    ]
    assert seconds * 1000 <= units["ms"] < seconds * 1000 + 500


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("/text/hi", "text/plain; charset=utf-8"),
        ("/image/a%20cat", "image/jpeg"),
        ("/image/a%20cat?transparent=true", "image/png"),
        ("/audio/hi?response_format=wav", "audio/wav"),
        ("/video/a%20cat", "video/mp4"),
    ],
)
def test_head_tells_the_type_that_get_answers_with(user: Account, target: str, kind: str) -> None:
    reply = user.request("HEAD", target)
    assert (reply.status, reply.headers["content-type"], reply.body) == (200, kind, b"")
    assert "content-length" not in reply.headers


def test_a_pictures_aspect_ratio_is_its_shape(user: Account) -> None:
    reply = user.get("/image/a%20boat?aspectRatio=2:1&model=scene")
    width, height = _jpeg_size(reply.body)
    assert abs(width / height - 2) < 0.05
    assert user.get("/image/a%20boat?aspectRatio=wide").status == 400


def test_a_voice_is_not_swallowed_by_a_model_that_does_not_speak(user: Account) -> None:
    reply = user.get("/text/hi?voice=nova")
    assert reply.status == 400
    assert "voice" in reply.error["message"]


def test_no_cache_works_in_the_query_of_a_post(payer: Account) -> None:
    body = {"model": "scene", "prompt": "a hill", "size": "64x64", "seed": 3}
    first = payer.post("/v1/images/generations", body)
    assert first.headers["x-cache"] == "MISS"
    assert payer.post("/v1/images/generations", body).headers["x-cache"] == "HIT"
    assert payer.post("/v1/images/generations?no-cache=true", body).headers["x-cache"] == "MISS"


def test_what_one_request_had_ignored_is_not_told_to_another(payer: Account) -> None:
    told = payer.get("/image/a%20tin%20mug?width=64&height=64&model=scene&reasoning=true")
    assert "reasoning" in told.headers["x-ignored-parameters"]
    plain = payer.get("/image/a%20tin%20mug?width=64&height=64&model=scene")
    assert "x-ignored-parameters" not in plain.headers


def test_what_is_no_http_gets_the_envelope_too(gateway: Gateway) -> None:
    parts = urlsplit(gateway.url)
    with socket.create_connection((str(parts.hostname), parts.port or 80), timeout=10) as connection:
        connection.sendall(b"FOO /text/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert b'"code":"BAD_REQUEST"' in body


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height from the frame header of a JPEG."""
    at = 2
    while data[at + 1] not in (0xC0, 0xC2):
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
