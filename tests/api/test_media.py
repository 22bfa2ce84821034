"""Media: three ways to upload, public addresses made of the content, and nothing that runs in a browser."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.fakewire import picture
from tests.gateway import Account, Gateway, Reply, form

PNG = picture(3, 5)


def upload(user: Account, data: bytes, kind: str = "application/octet-stream") -> Reply:
    return user.request("POST", "/upload", body=data, headers={"Content-Type": kind})


def test_three_ways_lead_to_the_same_file(payer: Account) -> None:
    body, kind = form({}, [("file", "a.png", PNG)])
    encoded = base64.b64encode(PNG).decode()
    raw = upload(payer, PNG).json
    assert raw["id"] == hashlib.sha256(PNG).hexdigest()[:16]
    assert raw == {
        "id": raw["id"],
        "url": f"{payer.gateway.url}/{raw['id']}",
        "contentType": "image/png",
        "size": len(PNG),
        "duplicate": False,
    }
    as_form = payer.request("POST", "/upload", body=body, headers={"Content-Type": kind}).json
    as_json = payer.post("/upload", {"data": encoded, "contentType": "text/html", "name": "a.png"}).json
    as_uri = payer.post("/upload", {"data": f"data:image/png;base64,{encoded}"}).json
    assert as_form == as_json == as_uri == {**raw, "duplicate": True}


def test_the_key_may_stand_in_the_query_and_is_needed(gateway: Gateway, payer: Account) -> None:
    assert gateway.request("POST", f"/upload?key={payer.key}", body=PNG).status == 200
    assert gateway.request("POST", "/upload", body=PNG).status == 401


def test_duplicate_speaks_of_ones_own_uploads_only(gateway: Gateway) -> None:
    data = b"only between us two"
    first, second = gateway.account(), gateway.account()
    assert [upload(who, data).json["duplicate"] for who in (first, second, first)] == [False, False, True]


def test_retrieval_is_public_and_cached_for_as_long_as_the_file_lives(gateway: Gateway, payer: Account) -> None:
    media = upload(payer, PNG).json["id"]
    reply = gateway.request("GET", f"/{media}")
    assert (reply.status, reply.body, reply.headers["content-type"]) == (200, PNG, "image/png")
    assert reply.headers["cache-control"].startswith("public, immutable, max-age=")
    assert 13 * 86_400 < int(reply.headers["cache-control"].rpartition("=")[2]) <= 14 * 86_400
    assert reply.headers["etag"] == f'"{hashlib.sha256(PNG).hexdigest()}"'
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in reply.headers["content-security-policy"]
    assert reply.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "content-disposition" not in reply.headers


def test_head_tells_type_length_and_hash(gateway: Gateway, payer: Account) -> None:
    media = upload(payer, PNG).json["id"]
    reply = gateway.request("HEAD", f"/{media}")
    assert (reply.status, reply.body) == (200, b"")
    assert (reply.headers["content-type"], reply.headers["content-length"]) == ("image/png", str(len(PNG)))
    assert reply.headers["x-content-hash"] == media


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_known_etag_is_304(gateway: Gateway, payer: Account, method: str) -> None:
    media = upload(payer, PNG).json["id"]
    etag = gateway.request("HEAD", f"/{media}").headers["etag"]
    for known in (etag, f'W/"x", {etag}', "*"):
        reply = gateway.request(method, f"/{media}", headers={"If-None-Match": known})
        assert (reply.status, reply.body) == (304, b"")


@pytest.mark.parametrize(
    ("wanted", "status", "part", "said"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=5-99", 206, b"56789", "bytes 5-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=3-1", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_ranges(gateway: Gateway, payer: Account, wanted: str, status: int, part: bytes, said: str | None) -> None:
    media = upload(payer, b"0123456789").json["id"]
    reply = gateway.request("GET", f"/{media}", headers={"Range": wanted})
    assert (reply.status, reply.headers.get("content-range")) == (status, said)
    if status == 416:
        assert reply.error["code"] == "RANGE_NOT_SATISFIABLE"
        assert "10 bytes" in reply.error["message"]
    else:
        assert reply.body == part


def test_a_range_of_another_version_is_the_whole_file(gateway: Gateway, payer: Account) -> None:
    media = upload(payer, b"0123456789").json["id"]
    etag = gateway.request("GET", f"/{media}").headers["etag"]
    for condition, status in ((etag, 206), ('"other"', 200), ("Sun, 06 Nov 1994 08:49:37 GMT", 200)):
        reply = gateway.request("GET", f"/{media}", headers={"Range": "bytes=2-4", "If-Range": condition})
        assert (reply.status, reply.body) == (status, b"234" if status == 206 else b"0123456789")


@pytest.mark.parametrize(
    "data",
    [
        b"<!doctype html><script>alert(1)</script>",
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    ],
)
def test_markup_is_never_served_as_what_it_is(gateway: Gateway, payer: Account, data: bytes) -> None:
    for kind in ("text/html", "image/svg+xml", "image/png"):
        media = upload(payer, data, kind).json["id"]
        reply = gateway.request("GET", f"/{media}")
        assert reply.body == data
        assert reply.headers["content-type"].partition(";")[0] == "application/octet-stream"
        assert reply.headers["content-disposition"] == "attachment"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["content-security-policy"].startswith("sandbox; default-src 'none'")


@pytest.mark.parametrize("data", [b"\x7fELF\x02\x01\x01", b"PK\x03\x04 a zip"])
def test_what_is_not_to_be_shown_is_an_attachment(gateway: Gateway, payer: Account, data: bytes) -> None:
    reply = gateway.request("GET", f"/{upload(payer, data, 'image/png').json['id']}")
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["content-disposition"].startswith("attachment")


def test_ten_megabytes_fit_and_one_byte_more_does_not(payer: Account) -> None:
    assert upload(payer, bytes(10_000_000)).json["size"] == 10_000_000
    reply = upload(payer, bytes(10_000_001))
    assert (reply.status, reply.error["code"]) == (413, "PAYLOAD_TOO_LARGE")
    body, kind = form({}, [("file", "a", bytes(10_000_001))])
    assert payer.request("POST", "/upload", body=body, headers={"Content-Type": kind}).status == 413
    assert payer.post("/upload", {"data": base64.b64encode(bytes(10_000_001)).decode()}).status == 413


def test_what_is_no_upload_is_400(payer: Account) -> None:
    no_file, kind = form({"other": "1"}, [])
    for reply in (
        upload(payer, b""),
        payer.post("/upload", {"data": "###"}),
        payer.post("/upload", {"name": "a"}),
        payer.request("POST", "/upload", body=no_file, headers={"Content-Type": kind}),
    ):
        assert reply.error["code"] == "BAD_REQUEST"


def test_the_uploader_lists_and_deletes(gateway: Gateway) -> None:
    first, second = gateway.account(), gateway.account()
    data = b"kept while somebody refers to it"
    media = upload(first, data).json["id"]
    upload(second, data)
    assert [file["id"] for file in first.get("/uploads").json["data"]] == [media]
    assert first.request("DELETE", f"/{media}").status == 200
    assert gateway.request("GET", f"/{media}").status == 200
    assert first.request("DELETE", f"/{media}").status == 404
    assert second.request("DELETE", f"/{media}").status == 200
    assert gateway.request("GET", f"/{media}").error["code"] == "NOT_FOUND"


def test_an_unknown_address_is_404(gateway: Gateway) -> None:
    assert gateway.request("GET", "/0123456789abcdef").error["code"] == "NOT_FOUND"
    assert gateway.request("HEAD", "/0123456789abcdef").status == 404
    assert gateway.request("GET", "/0123456789abcde").status == 404
