"""What all AWS services share: requests signed with Signature Version 4, answers as frames of an event stream."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openpollen.outbound.message import Outgoing
from openpollen.providers.eventstream import Event, EventStream
from openpollen.providers.sigv4 import sign
from tests.conformance.captures import captured

#: The key, region and moment of the test suite that AWS published with Signature Version 4.
SUITE = {"access_key": "AKIDEXAMPLE", "secret_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "region": "us-east-1"}
MOMENT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)


def signature(out: Outgoing, secret: dict[str, str], now: datetime) -> str:
    return dict(sign(out, secret, now).headers)["authorization"].rpartition("Signature=")[2]


@pytest.mark.parametrize(
    ("method", "target", "headers", "body", "expected"),
    [
        ("GET", "/", (), b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "/", (), b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            (),
            b"",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "POST",
            "/",
            (("My-Header1", "value1"),),
            b"",
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ),
        (
            "POST",
            "/",
            (("Content-Type", "application/x-www-form-urlencoded"),),
            b"Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        ("GET", "//example//", (), b"", "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"),
        (
            "GET",
            "/example1/example2/../..",
            (),
            b"",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
    ],
)
def test_signatures_are_those_of_the_published_suite(
    method: str, target: str, headers: tuple[tuple[str, str], ...], body: bytes, expected: str
) -> None:
    out = Outgoing(method, f"https://example.amazonaws.com{target}", headers, body, service="service")
    assert signature(out, SUITE, MOMENT) == expected


def test_an_object_of_s3_is_asked_for_as_its_documentation_shows() -> None:
    secret = {**SUITE, "access_key": "AKIAIOSFODNN7EXAMPLE", "secret_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
    url = "https://examplebucket.s3.amazonaws.com/test.txt"
    out = sign(Outgoing("GET", url, (("Range", "bytes=0-9"),), service="s3"), secret, datetime(2013, 5, 24, tzinfo=UTC))
    headers = dict(out.headers)
    assert headers["x-amz-content-sha256"] == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


RUNTIME = "https://bedrock-runtime.us-east-1.amazonaws.com"
ARN = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aasync-invoke%2Fabcdefgh1234"


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        (
            Outgoing(
                "POST",
                f"{RUNTIME}/model/amazon.nova-micro-v1%3A0/converse",
                (("content-type", "application/json"),),
                b'{"a":1}',
                service="bedrock",
            ),
            "ed1f6e482985ad4e63692da8376d20ed2c5ac6015e9d1379cbc98326ffdb8df2",
        ),
        (
            Outgoing("GET", f"{RUNTIME}/async-invoke/{ARN}", service="bedrock"),
            "6431835e157cf5309de9ac638414ad7b6fd17a7df388a784094d7bf505f49b98",
        ),
        (
            Outgoing("GET", "https://b.s3.us-east-1.amazonaws.com/a%20b/x%3A1/output.mp4", service="s3"),
            "8f0584bc4cea69ee4fbd31a5c806054bc79220eabb167e569de5b4ed2653256c",
        ),
    ],
)
def test_encoded_paths_and_session_tokens_are_signed_as_botocore_1_43_signs_them(out: Outgoing, expected: str) -> None:
    secret = {"access_key": "AKIAFAKEFAKEFAKEFAKE", "secret_key": "secretsecret", "session_token": "tok"}
    now = datetime(2026, 4, 10, 14, tzinfo=timezone(timedelta(hours=2)))
    assert signature(out, {**secret, "region": "us-east-1"}, now) == expected
    assert ("x-amz-security-token", "tok") in sign(out, {**secret, "region": "us-east-1"}, now).headers


def test_a_body_that_comes_in_pieces_is_not_signed() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"

    with pytest.raises(ValueError, match="cannot be signed"):
        sign(Outgoing("POST", "https://h/", body=pieces(), service="s3"), SUITE, MOMENT)


def test_a_header_that_comes_twice_and_one_with_spaces_are_signed_as_one_value() -> None:
    twice = Outgoing("GET", "https://example.amazonaws.com/", (("A", " x   y "), ("a", "z")), service="service")
    once = Outgoing("GET", "https://example.amazonaws.com/", (("a", "x y,z"),), service="service")
    assert signature(twice, SUITE, MOMENT) == signature(once, SUITE, MOMENT)


def read(data: bytes) -> list[Event]:
    return list(EventStream().feed(data))


STREAMS = ("bedrock.converse_stream", "bedrock.claude.invoke_model_stream")


@pytest.mark.parametrize("name", STREAMS)
def test_frames_are_read_as_botocore_reads_them(name: str) -> None:
    fixture = captured(name)
    events = read(base64.b64decode(fixture["recorder_response_frames_base64"]))
    payloads = [json.loads(event.payload) for event in events]
    if name == "bedrock.converse_stream":
        assert [
            {event.headers[":event-type"]: payload} for event, payload in zip(events, payloads, strict=True)
        ] == fixture["sdk_parsed"]
    else:  # the payload of this operation is base64 of the model's own event
        assert [json.loads(base64.b64decode(payload["bytes"])) for payload in payloads] == fixture["sdk_parsed"]


def frame(headers: bytes, payload: bytes) -> bytes:
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    head = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return head + struct.pack(">I", zlib.crc32(head))


def text(name: str, value: str) -> bytes:
    key, data = name.encode(), value.encode()
    return bytes([len(key)]) + key + b"\x07" + struct.pack(">H", len(data)) + data


def typed(kind: int, value: bytes) -> bytes:
    return b"\x01n" + bytes([kind]) + value


def test_headers_of_every_type_are_passed_over() -> None:
    values = [
        (0, b""),
        (1, b""),
        (2, b"1"),
        (3, b"12"),
        (4, b"1234"),
        (5, b"12345678"),
        (6, b"\x00\x02ab"),
        (8, b"12345678"),
    ]
    headers = b"".join(typed(kind, value) for kind, value in [*values, (9, b"0123456789abcdef")])
    assert read(frame(headers + text("é", "ü"), b"p")) == [Event({"é": "ü"}, b"p")]


@pytest.mark.parametrize(
    "headers", [b"\x01n\x0a", b"\x09n", b"\x01n\x07\x00\x09a", b"\x01n\x07", b"\x01n\x05\x00", b"\x01n\x07\x00\x01\xff"]
)
def test_headers_that_cannot_be_read_are_a_fault(headers: bytes) -> None:
    with pytest.raises(ValueError, match="header"):
        read(frame(headers, b""))


@given(st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=200)), max_size=5), st.data())
def test_any_split_of_the_bytes_gives_the_same_messages(messages: list[tuple[str, bytes]], data: st.DataObject) -> None:
    whole = b"".join(frame(text(":event-type", name), payload) for name, payload in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    stream = EventStream()
    events = [
        event
        for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)
        for event in stream.feed(whole[start:end])
    ]
    assert events == [Event({":event-type": name}, payload) for name, payload in messages]
    assert not stream.pending


def test_every_flipped_bit_of_a_frame_is_noticed() -> None:
    whole = frame(text(":event-type", "x"), b'{"a":1}')
    for at in range(len(whole)):
        for bit in range(8):
            broken = bytearray(whole)
            broken[at] ^= 1 << bit
            with pytest.raises(ValueError, match="checksum"):
                read(bytes(broken))


def test_a_length_out_of_range_is_a_fault_before_its_bytes_come() -> None:
    for length, headers in ((2**31, 0), (20, 100), (2**20, 2**19)):
        prelude = struct.pack(">II", length, headers)
        with pytest.raises(ValueError, match="out of range"):
            read(prelude + struct.pack(">I", zlib.crc32(prelude)))


def test_a_message_that_is_not_whole_is_pending() -> None:
    whole = frame(b"", b"payload")
    stream = EventStream()
    assert list(stream.feed(whole[:-1])) == []
    assert stream.pending
    assert list(stream.feed(whole[-1:])) == [Event({}, b"payload")]
    assert not stream.pending


def test_messages_before_a_broken_one_are_still_read() -> None:
    events = EventStream().feed(frame(b"", b"first") + frame(b"", b"second")[:-1] + b"x")
    assert next(events) == Event({}, b"first")
    with pytest.raises(ValueError, match="checksum"):
        next(events)
