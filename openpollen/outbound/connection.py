"""One keep-alive HTTP/1.1 connection and the answer that is being read from it. No task is made per request.

Back-pressure runs both ways: reading stops while a slow reader has ``Limits.buffer`` bytes unread, and an upload waits
while the transport is full. Answers end by length, by chunks, or by the close of the connection; interim 1xx answers
are skipped; compressed answers, which were not asked for, are refused.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, cast

import httptools

from openpollen.outbound.message import (
    Broken,
    Headers,
    Limits,
    Origin,
    OutboundError,
    Timeout,
    TimeoutKind,
    Timeouts,
    TooLarge,
)

if TYPE_CHECKING:
    from openpollen.outbound.pool import Pool

DEFAULT_READ_LIMIT = 64 * 1024 * 1024
#: Up to this many bytes a body is joined to its head and written at once.
_SMALL = 65536
_BODILESS = frozenset({"GET", "HEAD", "DELETE"})


class _Refused(Exception):
    """Raised inside the parser's callbacks, to stop it."""


class Response:
    """An answer whose head has come. Read it with ``read()`` or by iterating; ``close()`` gives up the rest.

    Iterating yields the body in pieces as they arrive. A body that breaks off raises ``Broken`` or ``Timeout`` at the
    place where it broke; closing early closes the connection.
    """

    __slots__ = ("_connection", "_ended", "_error", "_parts", "_waiter", "buffered", "headers", "status")

    def __init__(self, connection: Connection) -> None:
        self.status = 0
        self.headers = Headers([])
        self.buffered = 0
        self._connection = connection
        self._parts: list[bytes] = []
        self._ended = False
        self._error: OutboundError | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def read(self, limit: int = DEFAULT_READ_LIMIT) -> bytes:
        """The whole body (what is left of it). Raises TooLarge, and closes, as soon as it exceeds ``limit`` bytes."""
        parts: list[bytes] = []
        total = 0
        while True:
            if self._parts:
                taken = self._take()
                total += len(taken)
                if total > limit:
                    self.close()
                    raise TooLarge(f"the answer of {self._connection.origin} is larger than {limit} bytes")
                parts.append(taken)
            elif self._error is not None:
                raise self._error
            elif self._ended:
                return parts[0] if len(parts) == 1 else b"".join(parts)
            else:
                await self.wait()

    def __aiter__(self) -> Response:
        return self

    async def __anext__(self) -> bytes:
        while True:
            if self._parts:
                return self._take()
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            await self.wait()

    def close(self) -> None:
        """Gives up what has not been read. Harmless after the end."""
        self._parts.clear()
        if not self._ended and self._error is None:
            self._error = Broken("the answer was closed before its end", sent=True)
            self._connection.abort()

    @property
    def ended(self) -> bool:
        """Whether the whole body has come in (it may still wait to be read)."""
        return self._ended

    async def wait(self) -> None:
        """Waits until there is something new: the head, a piece of the body, the end, or an error."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def head(self) -> None:
        """Waits for the head of the answer, or raises what prevented it."""
        while not self.status:
            if self._error is not None:
                raise self._error
            await self.wait()

    def add(self, data: bytes) -> None:
        self._parts.append(data)
        self.buffered += len(data)

    def end(self) -> None:
        self._ended = True

    def fail(self, error: OutboundError) -> None:
        if not self._ended and self._error is None:
            self._error = error
            self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _take(self) -> bytes:
        parts = self._parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self.buffered = 0
        if not self._ended:
            self._connection.resume()
        return data


class Connection(asyncio.Protocol):
    """A connection of a pool. It carries one request at a time; the pool has it while no request does."""

    def __init__(self, pool: Pool, limits: Limits) -> None:
        loop = asyncio.get_running_loop()
        self.origin: Origin = pool.origin
        self.closed = False
        self.reused = False
        self.answered = False
        self.write_failed = False
        self.last = loop.time()
        self._pool = pool
        self._limits = limits
        self._time = loop.time
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._drained: asyncio.Future[None] | None = None
        self._response: Response | None = None
        self._timeouts = Timeouts()
        self._started = 0.0
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0
        self._head_done = False
        self._method = ""
        self._interim = False
        self._finished = False
        self._keep_alive = False
        self._uploading = False
        self._paused = False
        self._unsent = 0

    # The request

    def fresh(self, now: float) -> bool:
        """Whether an unused connection may carry a request: it is open, and neither bytes nor its end wait unread."""
        transport = self._transport
        if self.closed or transport is None or transport.is_closing():
            return False
        if now - self.last < self._limits.probe:
            return True
        sock = transport.get_extra_info("socket")
        probe = select.poll()
        probe.register(sock.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
        return not probe.poll(0)

    def send(self, method: str, head: bytes, body: bytes | AsyncIterable[bytes], timeouts: Timeouts) -> Response:
        """Writes the request, but for a streamed body, which ``upload`` writes. Returns the answer-to-be."""
        response = self._response = Response(self)
        self._timeouts = timeouts
        self._started = self.last = self._time()
        self._method = method
        self.answered = self._finished = self._keep_alive = self._head_done = False
        self._headers = []
        self._head_size = self._unsent = 0
        transport = self._transport
        assert transport is not None
        if not isinstance(body, bytes):
            self._uploading = True
            transport.write(head + b"transfer-encoding: chunked\r\n\r\n")
        elif len(body) > _SMALL:
            transport.write(b"%bcontent-length: %d\r\n\r\n" % (head, len(body)))
            transport.write(body)
        elif body or method not in _BODILESS:
            transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))
        else:
            transport.write(head + b"\r\n")
        return response

    async def upload(self, body: AsyncIterable[bytes]) -> None:
        """Sends a streamed body in chunks; stops early when the answer has ended or the connection is gone."""
        transport, response = self._transport, self._response
        assert transport is not None
        async for piece in body:
            if self.closed or self._response is not response or response is None or response.ended:
                return
            if piece:
                transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.last = self._time()
            if self._drained is not None:
                await self._drained
        if not self.closed:
            transport.write(b"0\r\n\r\n")
            self.last = self._time()
        self._uploading = False

    def abort(self) -> None:
        """Closes at once, without waiting for what is still to be written."""
        self.closed = True
        self._response = None
        self._pool.discard(self)
        if self._transport is not None:
            self._transport.abort()

    def fail(self, error: OutboundError) -> None:
        """Closes at once; the request under way, if any, ends with ``error``."""
        response = self._response
        self.abort()
        if response is not None:
            response.fail(error)

    def resume(self) -> None:
        if self._paused and self._transport is not None and not self.closed:
            self._paused = False
            self.last = self._time()
            self._transport.resume_reading()

    def check(self, now: float) -> None:
        """Called on every beat: ends a request that is out of time, closes a connection that nobody used for long."""
        if self._response is None:
            if now - self.last > self._limits.idle:
                self.abort()
            return
        kind: TimeoutKind
        if now - self._started > self._timeouts.total:
            kind, limit = "total", self._timeouts.total
        elif self._paused or self._uploading or self._sends_on(now):
            return
        elif not self.answered and now - self.last > self._timeouts.first_byte:
            kind, limit = "first_byte", self._timeouts.first_byte
        elif self.answered and now - self.last > self._timeouts.idle:
            kind, limit = "idle", self._timeouts.idle
        else:
            return
        self.fail(Timeout(kind, f"{self.origin} took longer than {limit:g} s ({kind})", sent=True))

    def _sends_on(self, now: float) -> bool:
        # While a large body still leaves, the answer is not waited for yet; a peer that stops taking it is.
        left = 0 if self.answered or self._transport is None else self._transport.get_write_buffer_size()
        if left == self._unsent:
            return False
        self._unsent = left
        self.last = now
        return True

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are no subclass of it

    def data_received(self, data: bytes) -> None:
        response = self._response
        if response is None:
            self.abort()  # bytes that no request asked for
            return
        self.last = self._time()
        self.answered = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._finished:
                reason = error.__context__ if isinstance(error.__context__, _Refused) else error
                self.fail(Broken(f"{self.origin} sent an answer that cannot be read: {reason}", sent=True))
                return
            self._keep_alive = False  # the answer is whole; what came behind it is nobody's
        if self._finished:
            self._finish(response)
        elif response.status:
            if response.buffered > self._limits.buffer and not self._paused and self._transport is not None:
                self._paused = True
                self._transport.pause_reading()
        else:
            self._head_size += len(data)
            if self._head_size > self._limits.head:
                self.fail(Broken(f"{self.origin} sent a head larger than {self._limits.head} bytes", sent=True))
            return
        response.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        # A full write buffer means that a good part of the request never left.
        self.write_failed = self._drained is not None or isinstance(exc, BrokenPipeError)
        self._pool.discard(self)
        self.resume_writing()
        response, self._response = self._response, None
        if response is None:
            return
        if response.status and exc is None and _ends_with_connection(response.headers):
            response.end()
            response.wake()
        else:
            seen = self.answered or not self.write_failed
            response.fail(Broken(f"{self.origin} closed the connection before the end of its answer", sent=seen))

    def pause_writing(self) -> None:
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # The parser's side

    def on_message_begin(self) -> None:
        if self._finished:
            raise _Refused("a second answer came to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_done:
            return  # trailers tell nothing that is used
        if len(name) == 16 and name.lower() == b"content-encoding" and value.lower() != b"identity":
            raise _Refused("it is compressed although identity was asked for")
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._interim = True
            self._headers = []
            return
        response = self._response
        assert response is not None
        response.status = status
        response.headers = Headers(self._headers)
        self._head_done = True
        if self._method == "HEAD":
            self._finished = True

    def on_body(self, body: bytes) -> None:
        response = self._response
        if response is not None and not self._finished:
            response.add(body)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
            return
        self._finished = True
        self._keep_alive = self._parser.should_keep_alive()

    def _finish(self, response: Response) -> None:
        response.end()
        self._response = None
        if self._paused:
            self._paused = False
            assert self._transport is not None
            self._transport.resume_reading()
        if self._keep_alive and not self._uploading:
            self.reused = True
            self._pool.release(self)
        else:
            self.abort()


def _ends_with_connection(headers: Headers) -> bool:
    return "content-length" not in headers and "chunked" not in headers.get("transfer-encoding", "").lower()
