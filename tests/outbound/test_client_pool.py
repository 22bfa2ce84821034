"""Connections of the HTTP client: bounded, queued for, reused, and what is never repeated."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from openpollen.outbound.client import Client
from openpollen.outbound.message import (
    Broken,
    Busy,
    ConnectFailed,
    Limits,
    OutboundError,
    Outgoing,
    Timeout,
)
from tests.outbound.server import OK, Server, call, replies, take


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


def test_the_bound_holds_when_every_answer_ends_its_connection(run: Any) -> None:
    async def main() -> None:
        open_now = most = 0

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal open_now, most
            open_now += 1
            most = max(most, open_now)
            await take(reader)
            await asyncio.sleep(0.001)
            open_now -= 1
            writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")

        async with Server(handle) as server:
            client = Client(Limits(connections=2, waiting=30))
            for _ in range(2):
                answers = await asyncio.gather(*(call(client, server.url) for _ in range(30)))
                assert answers == [b"ok"] * 30
            assert (most, server.connections) == (2, 60)
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
    listener.settimeout(10)

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

    thread = threading.Thread(target=serve, daemon=True)
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


def test_a_post_whose_write_failed_on_a_reused_connection_is_sent_once_more(run: Any) -> None:
    """The server gives up the connection in the middle of a large request: it cannot have processed it."""

    async def main() -> None:
        whole: list[int] = []

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            _, body = await take(reader)
            whole.append(len(body))
            writer.write(OK)
            if len(whole) == 1:
                await reader.read(1)
                writer.transport.abort()

        async with Server(handle) as server:
            client = Client()
            await call(client, server.url)
            assert await call(client, server.url, body=b"x" * 20_000_000) == b"ok"
            assert whole == [2, 20_000_000]
            assert server.connections == 2
            await client.close()

    run(main())


def test_a_server_that_closes_at_once_is_an_error_and_no_wait(run: Any) -> None:
    async def main() -> None:
        async with Server(replies()) as server:
            client = Client(Limits(connections=2))
            for _ in range(20):
                with pytest.raises((Broken, ConnectFailed)):
                    await asyncio.wait_for(call(client, server.url), 10)
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
