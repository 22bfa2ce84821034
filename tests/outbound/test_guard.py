"""The guard against addresses that lead inside, over real sockets where something must be fetched."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openpollen.core.assets import Asset
from openpollen.core.errors import BadGateway, BadRequest
from openpollen.outbound.client import Client
from openpollen.outbound.guard import Guard, Resolver, is_public, parse_data_uri
from openpollen.outbound.message import Limits

PNG = b"\x89PNG\r\n\x1a\n" + b"picture"


def sniff(data: bytes) -> str:
    return "image/png" if data.startswith(b"\x89PNG") else "text/plain"


PUBLIC = [
    "8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "2001:4860:4860::8888", "64:ff9b::8.8.8.8",
    "2002:808:808::1", "::ffff:8.8.8.8",
]  # fmt: skip
PRIVATE = [
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "100.127.255.255", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.255", "240.0.0.1",
    "255.255.255.255", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "192.0.0.1", "192.88.99.1",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::10.0.0.1",
    "64:ff9b::127.0.0.1", "64:ff9b:1::1", "2002:7f00:1::1", "2002:a00:1::", "2002:c0a8:101::1", "fe80::1", "fe80::1%eth0",
    "fec0::1", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1", "3fff::1", "100::1", "2001:0:0a00:1::f5ff:fffe",
    "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:2::1", "2001:10::1", "5f00::1", "not an address", "",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_wrapping_an_address_changes_nothing(ip: Any) -> None:
    public = is_public(str(ip))
    assert is_public(f"::ffff:{ip}") == public
    assert is_public(f"64:ff9b::{ip}") == public
    number = int(ip)
    assert is_public(f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1") == public


Page = tuple[int, str, bytes]


@asynccontextmanager
async def site(pages: dict[str, Page]) -> AsyncIterator[tuple[int, list[str]]]:
    """A web site on the loopback; gives its port and the list of hosts and paths that were asked for."""
    asked: list[str] = []
    tasks: list[asyncio.Task[None] | None] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split(" ")[1]
        host = next(line for line in head.split("\r\n") if line.startswith("host: "))[6:].partition(":")[0]
        asked.append(host + path)
        assert "authorization" not in head.lower()
        assert "cookie" not in head.lower()
        status, extra, body = pages[path]
        writer.write(f"HTTP/1.1 {status} X\r\nconnection: close\r\n{extra}\r\n".encode() + body)
        writer.close()
        await reader.read()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        server.close()
        await asyncio.gather(*[task for task in tasks if task is not None], return_exceptions=True)


def names(table: dict[str, list[str]]) -> Resolver:
    async def resolver(host: str, port: int) -> list[str]:
        if host not in table:
            raise OSError("unknown host")
        return table[host]

    return resolver


def fetching(use: Callable[[Guard, int, list[str]], Awaitable[None]], pages: dict[str, Page], **more: Any) -> None:
    """Runs ``use`` with a guard that takes the loopback for a public place, as no test may leave the machine."""

    async def main() -> None:
        async with site(pages) as (port, asked):
            client = Client(Limits(beat=0.01))
            more.setdefault("resolver", names({"good.test": ["127.0.0.1"]}))
            await use(Guard(client, sniff, **more), port, asked)
            await client.close()

    asyncio.run(main())


@pytest.fixture
def loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets 127.0.0.1 (only) pass as public: everything else of the guard is the real thing."""
    monkeypatch.setattr(
        "openpollen.outbound.guard.is_public", lambda address: address == "127.0.0.1" or is_public(address)
    )


async def refused(guard: Guard, url: str, **more: Any) -> str:
    with pytest.raises(BadRequest) as caught:
        await guard.fetch_public(url, **({"max_bytes": 1000} | more))
    assert caught.value.reason == "invalid_url"
    return caught.value.message


@pytest.mark.usefixtures("loopback_is_public")
def test_a_public_picture_is_fetched_and_its_type_comes_from_its_bytes() -> None:
    async def use(guard: Guard, port: int, asked: list[str]) -> None:
        asset = await guard.fetch_public(f"http://good.test:{port}/a%20b.png?x=1", max_bytes=1000)
        assert asset == Asset(PNG, "image/png", "a b.png")
        assert asked == ["good.test/a%20b.png?x=1"]

    fetching(use, {"/a%20b.png?x=1": (200, "content-type: text/html\r\n", PNG)})


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:{port}/x", "not on the public internet"),
        ("http://[::1]:{port}/x", "not on the public internet"),
        ("http://[::ffff:127.0.0.1]:{port}/x", "not on the public internet"),
        ("http://inside.test:{port}/x", "not on the public internet"),
        ("http://mixed.test:{port}/x", "not on the public internet"),
        ("http://2130706433:{port}/x", "unusual spelling"),
        ("http://0x7f000001:{port}/x", "unusual spelling"),
        ("http://0177.0.0.1:{port}/x", "unusual spelling"),
        ("http://127.1:{port}/x", "unusual spelling"),
        ("http://0x7f.1:{port}/x", "unusual spelling"),
        ("http://①②⑦.⓪.⓪.①:{port}/x", "not on the public internet"),
        ("http://unknown.test/x", "not known"),
        ("http://u:p@good.test:{port}/x", "user name"),
        ("http://good.test\\@inside.test/x", ""),
        ("file:///etc/passwd", "http://"),
        ("gopher://good.test/", "http://"),
        ("http://", "no host"),
        ("http://good.test:x/", "ort"),
        ("http://" + "a" * 9000, "longer than"),
        ("", "http://"),
    ],
)
def test_addresses_that_lead_inside_or_nowhere_are_never_opened(url: str, words: str) -> None:
    table = {
        "127.0.0.1": ["127.0.0.1"],
        "::1": ["::1"],
        "::ffff:127.0.0.1": ["::ffff:127.0.0.1"],
        "inside.test": ["10.0.0.7"],
        "mixed.test": ["8.8.8.8", "127.0.0.1"],
        "good.test": ["8.8.8.8"],
    }

    async def use(guard: Guard, port: int, asked: list[str]) -> None:
        message = await refused(guard, url.format(port=port))
        assert words in message
        assert "cannot be used" in message
        assert asked == []

    fetching(use, {}, resolver=names(table))


@pytest.mark.usefixtures("loopback_is_public")
def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    """A name that answers differently the second time (DNS rebinding) is asked only once."""
    calls = 0

    async def rebinding(host: str, port: int) -> list[str]:
        nonlocal calls
        calls += 1
        return ["127.0.0.1"] if calls == 1 else ["10.0.0.7"]

    async def use(guard: Guard, port: int, asked: list[str]) -> None:
        await guard.fetch_public(f"http://rebind.test:{port}/p", max_bytes=1000)
        assert (calls, asked) == (1, ["rebind.test/p"])

    fetching(use, {"/p": (200, "", PNG)}, resolver=rebinding)


@pytest.mark.usefixtures("loopback_is_public")
def test_redirects_are_followed_and_each_is_checked() -> None:
    pages: dict[str, Page] = {
        "/1": (302, "location: /2\r\n", b""),
        "/2": (307, "location: http://good.test:{port}/3\r\n", b""),
        "/3": (301, "location: 4\r\n", b""),
        "/4": (200, "", PNG),
        "/0": (303, "location: /1\r\n", b""),
        "/inside": (302, "location: http://10.0.0.7/secret\r\n", b""),
        "/file": (302, "location: file:///etc/passwd\r\n", b""),
        "/loop": (302, "location: /loop\r\n", b""),
    }

    async def use(guard: Guard, port: int, asked: list[str]) -> None:
        status, extra, body = pages["/2"]
        pages["/2"] = (status, extra.format(port=port), body)
        base = f"http://good.test:{port}"
        assert (await guard.fetch_public(f"{base}/1", max_bytes=1000)).data == PNG
        assert "redirects more than 3 times" in await refused(guard, f"{base}/0")
        assert "redirects more than 3 times" in await refused(guard, f"{base}/loop")
        assert "not on the public internet" in await refused(guard, f"{base}/inside")
        assert "http://" in await refused(guard, f"{base}/file")

    fetching(use, pages, resolver=names({"good.test": ["127.0.0.1"], "10.0.0.7": ["10.0.0.7"]}))


@pytest.mark.usefixtures("loopback_is_public")
def test_limits_of_size_time_and_type() -> None:
    pages: dict[str, Page] = {
        "/long": (200, "content-length: 5000\r\n", b"x" * 5000),
        "/endless": (200, "", PNG + b"x" * 5000),
        "/text": (200, "content-type: image/png\r\n", b"<html>"),
        "/empty": (200, "content-length: 0\r\n", b""),
        "/missing": (404, "content-length: 0\r\n", b""),
    }

    async def use(guard: Guard, port: int, asked: list[str]) -> None:
        base = f"http://good.test:{port}"
        assert "larger than 0.001 MB" in await refused(guard, f"{base}/long")
        assert "larger than 0.001 MB" in await refused(guard, f"{base}/endless")
        assert "not of type image (it looks like text/plain)" in await refused(guard, f"{base}/text")
        assert "empty" in await refused(guard, f"{base}/empty")
        assert "status 404" in await refused(guard, f"{base}/missing")
        assert (await guard.fetch_public(f"{base}/text", max_bytes=1000, accept=("",))).mime == "text/plain"

    fetching(use, pages)


@pytest.mark.usefixtures("loopback_is_public")
def test_a_host_that_says_nothing_is_given_up() -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            gone.set()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        client = Client()
        guard = Guard(client, sniff, resolver=names({"good.test": ["127.0.0.1"]}))
        port = server.sockets[0].getsockname()[1]
        assert "within 0.1 seconds" in await refused(guard, f"http://good.test:{port}/", timeout=0.1)
        await client.close()
        await asyncio.wait_for(gone.wait(), 10)
        server.close()

    asyncio.run(main())


def test_our_own_media_are_read_from_the_store() -> None:
    async def own(url: str) -> Asset | None:
        return Asset(PNG, "image/png") if url.startswith("http://127.0.0.1:4000/media/") else None

    async def use(guard: Guard, port: int, asked: list[str]) -> None:
        asset = await guard.fetch_public("http://127.0.0.1:4000/media/0123456789abcdef", max_bytes=1000)
        assert asset.data == PNG
        assert "public internet" in await refused(guard, "http://127.0.0.1:4000/other")
        assert "larger" in await refused(guard, "http://127.0.0.1:4000/media/0123456789abcdef", max_bytes=3)
        assert asked == []

    fetching(use, {}, own=own, resolver=names({"127.0.0.1": ["127.0.0.1"]}))


def test_a_result_is_fetched_from_its_own_provider_wherever_that_is_and_from_nowhere_else_inside() -> None:
    async def use(guard: Guard, port: int, asked: list[str]) -> None:
        base = f"http://127.0.0.1:{port}/v1"
        asset = await guard.fetch_result(f"http://127.0.0.1:{port}/out.png", base, max_bytes=1000)
        assert (asset.data, asked) == (PNG, ["127.0.0.1/out.png"])
        for url in (
            f"http://127.0.0.1:{port + 1}/out.png",
            f"http://localhost:{port}/out.png",
            f"http://127.0.0.1:{port}/away",
        ):
            with pytest.raises(BadGateway) as caught:
                await guard.fetch_result(url, base, max_bytes=1000)
            assert caught.value.spent
        assert asked == ["127.0.0.1/out.png", "127.0.0.1/away"]

    pages: dict[str, Page] = {"/out.png": (200, "", PNG), "/away": (302, "location: http://10.0.0.7/x\r\n", b"")}
    table = {"127.0.0.1": ["127.0.0.1"], "localhost": ["127.0.0.1"], "10.0.0.7": ["10.0.0.7"]}
    fetching(use, pages, resolver=names(table))


@pytest.mark.parametrize(
    "uri",
    [
        "data:image/png;base64," + base64.b64encode(PNG).decode(),
        "data:;base64," + base64.b64encode(PNG).decode().rstrip("="),
        "DATA:image/jpeg;charset=x;BASE64," + base64.urlsafe_b64encode(PNG).decode(),
        "data:image/png;base64,%20" + base64.b64encode(PNG).decode().replace("+", "%2B"),
        "data:image/png," + "".join(f"%{byte:02x}" for byte in PNG),
    ],
)
def test_data_addresses(uri: str) -> None:
    assert parse_data_uri(uri, max_bytes=1000).data == PNG


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("data:image/png;base64", "form"),
        ("data:image/png;base64,!!!!", "no valid base64"),
        ("data:image/png;base64,A", "no valid base64"),
        ("data:image/png;base64,", "empty"),
        ("data:image/png;base64," + base64.b64encode(PNG * 100).decode(), "larger than 0.001 MB"),
        ("data:image/png," + "x" * 10_000, "larger than 0.001 MB"),
    ],
)
def test_data_addresses_that_are_refused(uri: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        parse_data_uri(uri, max_bytes=1000)
