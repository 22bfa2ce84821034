"""The HTTP client against real sockets: what is sent, how answers end, what is refused, and TLS."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from openpollen.outbound.client import Client
from openpollen.outbound.message import (
    Broken,
    ConnectFailed,
    Outgoing,
)
from tests.outbound.server import OK, Certificate, Server, always, call, replies, take


def test_request_is_framed_and_headers_and_body_arrive(run: Any) -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await take(reader))
            writer.write(b"HTTP/1.1 201 Made\r\nX-Request-Id: r1\r\nContent-Length: 5\r\n\r\nhello")

    async def main() -> None:
        async with Server(handle) as server:
            client = Client()
            big = b"x" * 300_000
            response = await client.request(
                Outgoing("POST", f"{server.url}?a=b c&d=ž", (("authorization", "Bearer k"),), b'{"a":1}')
            )
            assert (response.status, await response.read()) == (201, b"hello")
            assert response.headers["X-Request-ID"] == "r1"
            assert "x-missing" not in response.headers
            assert set(response.headers) == {"x-request-id", "content-length"}
            await call(client, server.url, body=big)
            await call(client, server.url, "GET", b"")
            await client.close()
            assert server.connections == 1
            head, body = seen[0]
            assert head.startswith(b"POST /v1/x?a=b%20c&d=%C5%BE HTTP/1.1\r\n")
            assert f"host: 127.0.0.1:{server.port}\r\n".encode() in head
            assert b"accept-encoding: identity\r\n" in head
            assert b"authorization: Bearer k\r\n" in head
            assert b"content-length: 7\r\n" in head
            assert body == b'{"a":1}'
            assert seen[1][1] == big
            assert b"content-length" not in seen[2][0]

    run(main())


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (OK, 200, b"ok"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n3;x=1\r\ncde\r\n0\r\nx-t: 1\r\n\r\n",
            200,
            b"abcde",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK, 200, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", 304, b""),
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", 500, b""),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: identity\r\ncontent-length: 1\r\n\r\nx", 200, b"x"),
    ],
)
def test_answers_end_where_they_say_and_keep_the_connection(run: Any, answer: bytes, status: int, body: bytes) -> None:
    async def main() -> None:
        async with Server(always(answer)) as server:
            client = Client()
            for _ in range(2):
                response = await client.request(Outgoing("POST", server.url, (), b"{}"))
                assert (response.status, await response.read()) == (status, body)
            await client.close()
            assert server.connections == 1

    run(main())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.0 200 OK\r\ncontent-length: 13\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 13\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nuntil the endHTTP/1.1 200 OK\r\n\r\nsmuggled",
        b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nuntil the end and junk",
    ],
)
def test_answers_that_end_the_connection(run: Any, answer: bytes) -> None:
    async def main() -> None:
        async with Server(replies(answer)) as server:
            client = Client()
            for _ in range(2):
                assert await call(client, server.url) == b"until the end"
            await client.close()
            assert server.connections == 2

    run(main())


def test_head_has_no_body(run: Any) -> None:
    async def main() -> None:
        async with Server(replies(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n")) as server:
            client = Client()
            response = await client.request(Outgoing("HEAD", server.url))
            assert await response.read() == b""
            assert response.headers["content-length"] == "500"
            await client.close()

    run(main())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nabc", "closed the connection"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "cannot be read"),
        (b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc", "compressed"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 700_000, "larger than 65536 bytes"),
    ],
)
def test_broken_answers(run: Any, answer: bytes, words: str) -> None:
    async def main() -> None:
        async with Server(replies(answer)) as server:
            client = Client()
            with pytest.raises(Broken, match=words) as caught:
                await call(client, server.url)
            assert caught.value.sent
            await client.close()
            assert server.connections == 1

    run(main())


def test_refused_connection_has_sent_nothing(run: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        async def main() -> None:
            client = Client()
            with pytest.raises(ConnectFailed) as caught:
                await call(client, f"http://127.0.0.1:{port}/")
            assert not caught.value.sent
            await client.close()

        run(main())


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://127.0.0.1/", "http"),
        ("http:///x", "no host"),
        ("http://u:p@127.0.0.1/", "user name"),
        ("http://127.0.0.1:99999/", "[Pp]ort"),
    ],
)
def test_addresses_that_cannot_be_called(url: str, words: str) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match=words):
            await Client().request(Outgoing("GET", url))

    asyncio.run(main())


@pytest.mark.parametrize("header", [("x", "a\r\nb: c"), ("x\ny", "a"), ("Host", "other"), ("content-length", "3")])
def test_headers_cannot_break_out_or_change_the_framing(header: tuple[str, str]) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="header"):
            await Client().request(Outgoing("GET", "http://127.0.0.1:9/", (header,)))

    asyncio.run(main())


def test_tls_is_verified_and_names_the_host_when_connecting_to_an_address(run: Any) -> None:
    certificate = Certificate()
    names: list[str | None] = []
    certificate.server.sni_callback = lambda _sock, name, _context: names.append(name)

    async def main() -> None:
        async with Server(always(OK), certificate.server) as server:
            client = Client(tls=certificate.trusting)
            url = f"https://media.test:{server.port}/x"
            response = await client.request(Outgoing("GET", url, address="127.0.0.1"))
            assert await response.read() == b"ok"
            assert names == ["media.test"]
            with pytest.raises(ConnectFailed, match="certificate"):
                await client.request(Outgoing("GET", f"https://other.test:{server.port}/x", address="127.0.0.1"))
            await client.close()
            stranger = Client()
            with pytest.raises(ConnectFailed, match="certificate"):
                await stranger.request(Outgoing("GET", url, address="127.0.0.1"))
            await stranger.close()

    run(main())
