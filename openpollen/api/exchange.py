"""One HTTP exchange: the request as far as a handler asks for it, and the ways to answer. A thin layer over raw ASGI.

Generation routes are hot, so nothing is parsed before it is needed and no task is made per request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, MutableMapping
from contextlib import aclosing
from http.cookies import CookieError, SimpleCookie
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl

import msgspec

from openpollen.core.errors import BadRequest, PayloadTooLarge, UnsupportedMediaType

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
T = TypeVar("T")

_encoder = msgspec.json.Encoder()


class ClientGone(Exception):
    """The client closed the connection before the answer was complete."""


class Exchange:
    """A request and its answer. ``headers`` has lower-case names; ``args`` the captured parts of the path."""

    __slots__ = ("_body", "_headers", "_query", "_receive", "_send", "args", "common", "id", "scope", "started")

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        self.scope = scope
        self.id = request_id
        self.args: Mapping[str, str] = {}
        self.common: list[tuple[bytes, bytes]] = []
        self.started = False
        self._receive = receive
        self._send = send
        self._headers: dict[str, str] | None = None
        self._query: dict[str, str] | None = None
        self._body: bytes | None = None

    # -- the request ------------------------------------------------------------------------------------------------

    @property
    def method(self) -> str:
        return self.scope["method"]

    @property
    def path(self) -> str:
        return self.scope["path"]

    @property
    def headers(self) -> dict[str, str]:
        if self._headers is None:
            self._headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self.scope["headers"]}
        return self._headers

    @property
    def query(self) -> dict[str, str]:
        """The query parameters, percent-decoded as UTF-8; of repeated names the last one counts."""
        if self._query is None:
            raw: bytes = self.scope["query_string"]
            if not raw:
                self._query = {}
            else:
                try:
                    pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=200)
                except ValueError:
                    raise BadRequest(
                        "The query string is not valid percent-encoded UTF-8; encode it with encodeURIComponent or quote()."
                    ) from None
                self._query = dict(pairs)
        return self._query

    def cookie(self, name: str) -> str:
        """The value of a cookie; empty without it."""
        try:
            morsel = SimpleCookie(self.headers.get("cookie", "")).get(name)
        except CookieError:
            return ""
        return morsel.value if morsel else ""

    async def body(self, limit: int) -> bytes:
        """The whole request body. Raises PayloadTooLarge beyond ``limit`` bytes, before reading further, and
        UnsupportedMediaType for a compressed one."""
        if self._body is not None:
            return self._body
        if self.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
            raise UnsupportedMediaType("Send the body as it is, without Content-Encoding.")
        length = self.headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            raise _too_large(limit)
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            whole: bytes = message.get("body", b"")
            if len(whole) > limit:
                raise _too_large(limit)
            self._body = whole
            return whole
        parts: list[bytes] = []
        size = 0
        while True:
            if message["type"] == "http.disconnect":
                raise ClientGone
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            parts.append(part)
            if not message.get("more_body"):
                break
            message = await self._receive()
        self._body = b"".join(parts)
        return self._body

    async def disconnected(self) -> None:
        """Returns when the client is gone; waits until then."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    @property
    def gone(self) -> bool:
        """Whether the client is known to have left. Costs next to nothing: looks without waiting. Read the body before."""
        look = self._receive().__await__()
        try:
            next(look)  # the server's next message, if it is there already
        except StopIteration as there:
            return there.value["type"] == "http.disconnect"
        cast(Generator[Any, Any, Any], look).close()
        return False

    async def unless_gone(self, work: Awaitable[T]) -> T:
        """The result of ``work``; if the client leaves first, cancels ``work`` and raises ClientGone."""
        task = asyncio.ensure_future(work)
        watch = asyncio.ensure_future(self.disconnected())
        try:
            await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise ClientGone
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)  # a stream may still say how it ends
            raise
        finally:
            watch.cancel()
            if not task.done():
                task.cancel()

    # -- the answer -------------------------------------------------------------------------------------------------

    async def answer(
        self, status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Sends a whole answer. A HEAD request gets the same headers and no body."""
        raw = [
            (b"content-type", content_type.encode("latin-1")),
            (b"content-length", str(len(body)).encode()),
            *self.common,
        ]
        if headers:
            raw.extend(map(_header, headers.items()))
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": raw})
        await self._send({"type": "http.response.body", "body": b"" if self.method == "HEAD" else body})

    async def head(self, status: int, content_type: str, length: int | None, headers: Mapping[str, str]) -> None:
        """The headers of an answer without its bytes; ``length`` is ``None`` when nobody knows it before it is made."""
        raw = [
            (b"content-type", content_type.encode("latin-1")),
            *([] if length is None else [(b"content-length", str(length).encode())]),
            *self.common,
            *map(_header, headers.items()),
        ]
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": raw})
        await self._send({"type": "http.response.body", "body": b""})

    async def json(self, status: int, value: object, headers: Mapping[str, str] | None = None) -> None:
        await self.answer(status, _encoder.encode(value), "application/json", headers)

    async def stream(
        self, body: AsyncGenerator[bytes, None], content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Sends an answer piece by piece, the head at once. Raises ClientGone into the caller when the client leaves;
        ``body`` is then closed, so that its own ``finally`` settles what was made."""
        raw = [(b"content-type", content_type.encode("latin-1")), *self.common]
        if headers:
            raw.extend(map(_header, headers.items()))
        self.started = True
        await self._send({"type": "http.response.start", "status": 200, "headers": raw})
        await self.unless_gone(self._pump(body))

    async def _pump(self, body: AsyncGenerator[bytes, None]) -> None:
        async with aclosing(body) as pieces:
            async for piece in pieces:
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})


def _header(header: tuple[str, str]) -> tuple[bytes, bytes]:
    """A header as it is sent. What cannot stand in one, such as the end of a line, becomes a question mark."""
    name, value = header
    if not value.isprintable():
        value = "".join(char if char.isprintable() else "?" for char in value)
    return name.encode("latin-1"), value.encode("latin-1", "replace")


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request body is larger than {limit:,} bytes; send less or use URLs.")
