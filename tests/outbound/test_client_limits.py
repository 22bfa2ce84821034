"""Limits of the HTTP client: time-outs, sizes, and back-pressure both ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from openpollen.outbound.client import Client
from openpollen.outbound.message import (
    Limits,
    Outgoing,
    Timeout,
    Timeouts,
    TooLarge,
)
from tests.outbound.server import FAST, OK, Server, call, replies, take


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
                    await asyncio.wait_for(writer.drain(), 1.3)
                except TimeoutError:
                    stuck.set()
                    await writer.drain()
                written += len(piece)

        async with Server(flood) as server:
            client = Client(Limits(beat=0.01))
            response = await client.request(Outgoing("GET", server.url, timeouts=Timeouts(idle=1.0)))
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


@pytest.mark.parametrize("takes", [True, False])
def test_the_wait_for_an_answer_begins_when_the_request_is_out(run: Any, takes: bool) -> None:
    """A large body that a slow peer takes bit by bit is no silence; a peer that stops taking it is."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(20 if takes else 2):
            await reader.readexactly(1_000_000)
            await asyncio.sleep(0.05)
        if takes:
            writer.write(OK)
        await reader.read()

    async def main() -> None:
        async with Server(handle) as server:
            client = Client(FAST)
            answer = call(client, server.url, body=b"x" * 20_000_000, first_byte=0.6)
            if takes:
                assert await answer == b"ok"
            else:
                with pytest.raises(Timeout) as caught:
                    await answer
                assert caught.value.kind == "first_byte"
            await client.close()

    run(main())
