"""The HTTP client against real sockets: what is sent, how answers end, limits, time-outs, what is repeated."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from openpollen.outbound.client import Client
from openpollen.outbound.message import (
    Broken,
    Busy,
    ConnectFailed,
    Limits,
    OutboundError,
    Outgoing,
    Timeout,
    Timeouts,
    TooLarge,
)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
FAST = Limits(beat=0.01)


class Certificate:
    """TLS contexts of a server called ``media.test`` and of a client that trusts it."""

    def __init__(self) -> None:
        folder = Path(__file__).with_name("tls")
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(folder / "server.pem", folder / "server.key")
        self.trusting = ssl.create_default_context(cafile=str(folder / "authority.pem"))


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine on either event loop."""
    return uvloop.run if request.param == "uvloop" else asyncio.run


class Server:
    """A server whose every connection is handled by ``handler``; counts connections."""

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None) -> None:
        self.handler = handler
        self.tls = tls
        self.connections = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Server:
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/v1/x"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.writers.append(writer)
        self.connections += 1
        try:
            await self.handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def take(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """One request: its head and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    body = b""
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    elif b"content-length: " in lower:
        body = await reader.readexactly(int(lower.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
    return head, body


def replies(*answers: bytes) -> Handler:
    """Answers each request of a connection with the next of ``answers``, then closes it."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await take(reader)
            writer.write(answer)
            await writer.drain()

    return handle


def always(answer: bytes) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await take(reader)
            writer.write(answer)
            await writer.drain()

    return handle


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def call(client: Client, url: str, method: str = "POST", body: bytes = b"{}", **timeouts: float) -> bytes:
    response = await client.request(Outgoing(method, url, (), body, Timeouts(**timeouts)))
    return await response.read()


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


@pytest.mark.parametrize(
    ("prefix", "kind"),
    [
        (b"", "first_byte"),
        (b"HTTP/1.1 200 OK\r\n", "idle"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", "idle"),
    ],
)
def test_silence_times_out(run: Any, prefix: bytes, kind: str) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take(reader)
        writer.write(prefix)
        await reader.read()

    async def main() -> None:
        async with Server(silent) as server:
            client = Client(FAST)
            with pytest.raises(Timeout) as caught:
                await call(client, server.url, first_byte=0.05, idle=0.05)
            assert (caught.value.kind, caught.value.sent) == (kind, True)
            await client.close()

    run(main())


def test_total_time_bounds_an_answer_that_never_stops(run: Any) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.005)

    async def main() -> None:
        async with Server(drip) as server:
            client = Client(FAST)
            with pytest.raises(Timeout) as caught:
                await call(client, server.url, total=0.1)
            assert caught.value.kind == "total"
            await client.close()

    run(main())


def test_body_larger_than_the_reader_allows(run: Any) -> None:
    async def main() -> None:
        async with Server(replies(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 50_000)) as server:
            client = Client()
            response = await client.request(Outgoing("GET", server.url))
            with pytest.raises(TooLarge):
                await response.read(1000)
            await client.close()

    run(main())


def test_pieces_arrive_as_they_are_sent(run: Any) -> None:
    async def main() -> None:
        step = asyncio.Event()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await take(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            for piece in (b"one", b"two", b"three"):
                await step.wait()
                step.clear()
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            writer.write(b"0\r\n\r\n")
            await reader.read()

        async with Server(handle) as server:
            client = Client()
            response = await client.request(Outgoing("GET", server.url))
            assert response.status == 200
            step.set()
            got: list[bytes] = []
            async for piece in response:
                got.append(piece)
                step.set()
            assert got == [b"one", b"two", b"three"]
            await client.close()

    run(main())


def test_a_slow_reader_stops_the_sender(run: Any) -> None:
    async def main() -> None:
        written = 0
        stuck = asyncio.Event()

        async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal written
            await take(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 50000000\r\n\r\n")
            piece = b"x" * 100_000
            for _ in range(500):
                writer.write(piece)
                try:
                    await asyncio.wait_for(writer.drain(), 0.3)
                except TimeoutError:
                    stuck.set()
                    await writer.drain()
                written += len(piece)

        async with Server(flood) as server:
            client = Client(Limits(beat=0.01))
            response = await client.request(Outgoing("GET", server.url, timeouts=Timeouts(idle=0.05)))
            await asyncio.wait_for(stuck.wait(), 20)
            # What the sender got rid of fits the buffers on the way; a reader that does not read is no idle peer.
            assert written < 25_000_000
            assert response.buffered < 2_000_000
            total = 0
            async for piece in response:
                total += len(piece)
            assert total == 50_000_000
            await client.close()

    run(main())


def test_streamed_upload_waits_for_a_slow_server_and_arrives_whole(run: Any) -> None:
    async def main() -> None:
        seen: list[bytes] = []

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            _, body = await take(reader)
            seen.append(body)
            writer.write(OK)

        async def pieces() -> AsyncIterator[bytes]:
            for number in range(100):
                yield bytes([number]) * 50_000
                yield b""

        async with Server(handle) as server:
            client = Client()
            response = await client.request(Outgoing("POST", server.url, (), pieces()))
            assert await response.read() == b"ok"
            assert seen == [b"".join(bytes([number]) * 50_000 for number in range(100))]
            await client.close()

    run(main())


def test_an_answer_before_the_upload_ends_stops_it(run: Any) -> None:
    async def main() -> None:
        sent = 0

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
            await writer.drain()
            await reader.read()

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            while True:
                sent += 1
                yield b"x" * 1000
                await asyncio.sleep(0)

        async with Server(handle) as server:
            client = Client()
            response = await asyncio.wait_for(client.request(Outgoing("POST", server.url, (), endless())), 20)
            assert (response.status, await response.read()) == (413, b"big")
            assert sent > 0
            await client.close()

    run(main())


def test_connections_are_bounded_and_the_queue_is_served_in_order(run: Any) -> None:
    async def main() -> None:
        open_now = most = 0
        order: list[bytes] = []

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal open_now, most
            while True:
                _, body = await take(reader)
                order.append(body)
                open_now += 1
                most = max(most, open_now)
                await asyncio.sleep(0.002)
                open_now -= 1
                writer.write(OK)

        async with Server(handle) as server:
            client = Client(Limits(connections=2, waiting=20))
            await asyncio.gather(*(call(client, server.url, body=b"%d" % number) for number in range(20)))
            assert server.connections == 2
            assert most == 2
            assert [int(body) for body in order[2:]] == sorted(int(body) for body in order[2:])
            await client.close()

    run(main())


def test_a_full_queue_and_a_long_wait_send_nothing(run: Any) -> None:
    async def main() -> None:
        arrived = asyncio.Event()
        requests = 0

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal requests
            await take(reader)
            requests += 1
            arrived.set()
            await reader.read()

        async with Server(handle) as server:
            client = Client(Limits(connections=1, waiting=1, beat=0.01))
            first = asyncio.ensure_future(call(client, server.url))
            await arrived.wait()
            second = asyncio.ensure_future(call(client, server.url, connect=0.1))
            await asyncio.sleep(0)
            with pytest.raises(Busy) as busy:
                await call(client, server.url)
            with pytest.raises(Timeout) as late:
                await second
            assert (late.value.kind, late.value.sent, busy.value.sent) == ("queue", False, False)
            assert requests == 1
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            await client.close()

    run(main())


def test_cancelling_frees_the_place_of_the_connection(run: Any) -> None:
    async def main() -> None:
        arrived = asyncio.Event()
        gone = asyncio.Event()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            _, body = await take(reader)
            if body == b"quick":
                writer.write(OK)
                return
            arrived.set()
            await reader.read()
            gone.set()

        async with Server(handle) as server:
            client = Client(Limits(connections=1))
            slow = asyncio.ensure_future(call(client, server.url))
            await arrived.wait()
            quick = asyncio.ensure_future(call(client, server.url, body=b"quick"))
            await asyncio.sleep(0)
            slow.cancel()
            assert await asyncio.wait_for(quick, 10) == b"ok"
            await asyncio.wait_for(gone.wait(), 10)
            await client.close()

    run(main())


def test_a_connection_whose_end_waits_unread_is_not_used(run: Any) -> None:
    """The peer closes while our loop stands still, so that the loop cannot have noticed."""
    closed = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(3):
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(OK)
            closed.set()

    async def main() -> None:
        client = Client(Limits(probe=0.0))
        for _ in range(3):
            assert await call(client, f"http://127.0.0.1:{listener.getsockname()[1]}/") == b"ok"
            assert closed.wait(10)
            closed.clear()
        await client.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        run(main())
    finally:
        thread.join(10)
        listener.close()


def test_a_connection_unused_for_long_is_closed(run: Any) -> None:
    async def main() -> None:
        closed = asyncio.Event()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await take(reader)
            writer.write(OK)
            await reader.read()
            closed.set()

        async with Server(handle) as server:
            client = Client(Limits(idle=0.05, beat=0.01))
            await call(client, server.url)
            await asyncio.wait_for(closed.wait(), 10)
            await client.close()

    run(main())


@pytest.mark.parametrize(("method", "calls"), [("POST", 2), ("GET", 3)])
def test_a_post_that_may_have_been_processed_is_never_repeated(run: Any, method: str, calls: int) -> None:
    """The second request arrives on a reused connection, which the server closes without a byte of an answer."""

    async def main() -> None:
        requests = 0

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal requests
            while True:
                await take(reader)
                requests += 1
                if requests == 2:
                    return
                writer.write(OK)

        async with Server(handle) as server:
            client = Client()
            await call(client, server.url, method)
            if method == "GET":
                assert await call(client, server.url, method) == b"ok"
            else:
                with pytest.raises(Broken) as caught:
                    await call(client, server.url, method)
                assert caught.value.sent
            assert requests == calls
            await client.close()

    run(main())


def test_nothing_is_repeated_on_a_first_connection_or_after_a_byte_of_an_answer(run: Any) -> None:
    async def main() -> None:
        requests = 0

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal requests
            while True:
                await take(reader)
                requests += 1
                if requests != 2:
                    return
                writer.write(OK)
                await take(reader)
                requests += 1
                writer.write(b"H")
                return

        async with Server(handle) as server:
            client = Client()
            with pytest.raises(Broken):
                await call(client, server.url, "GET")
            assert requests == 1
            await call(client, server.url, "GET")
            with pytest.raises(Broken):
                await call(client, server.url, "GET")
            assert requests == 3
            await client.close()

    run(main())


def test_closing_ends_what_is_under_way_and_refuses_more(run: Any) -> None:
    async def main() -> None:
        arrived = asyncio.Event()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await take(reader)
            arrived.set()
            await reader.read()

        async with Server(handle) as server:
            client = Client()
            pending = asyncio.ensure_future(call(client, server.url, "GET"))
            await arrived.wait()
            await client.close()
            with pytest.raises(OutboundError):
                await pending
            with pytest.raises(RuntimeError, match="closed"):
                await call(client, "http://127.0.0.1:9/")
            assert server.connections == 1

    run(main())


def test_leaving_a_stream_early_closes_its_connection(run: Any) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await take(reader)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\nsome")
            await reader.read()
            gone.set()

        async with Server(handle) as server:
            client = Client()
            response = await client.request(Outgoing("GET", server.url))
            assert await anext(response) == b"some"
            response.close()
            with pytest.raises(Broken):
                await response.read()
            await asyncio.wait_for(gone.wait(), 10)
            await client.close()

    run(main())


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
