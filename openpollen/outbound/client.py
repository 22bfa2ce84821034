"""The way out: one HTTP/1.1 client over pools of keep-alive connections, on any event loop and fastest on uvloop.

    client = Client()
    response = await client.request(Outgoing("POST", url, headers, body))
    body = await response.read()            # or: async for piece in response

**When a request is sent again.** A call that may have been processed is never made twice. A request goes out again, on
another connection, only if it went out on a *reused* connection, not one byte of an answer came, and either the write
itself failed (so that the peer cannot have the whole request) or the method is GET or HEAD. It goes out twice at most.
A connection that the peer closed before the request was written is found out first and not used. Streamed bodies are
never sent again.
"""

from __future__ import annotations

import asyncio
import ssl

from openpollen.outbound.connection import Connection, Response
from openpollen.outbound.message import Broken, Limits, Origin, Outgoing, prepare
from openpollen.outbound.pool import Pool

_REPEATABLE = frozenset({"GET", "HEAD"})
#: From so many origins on, those without a connection are forgotten when another is added.
_MANY_POOLS = 64


class Client:
    """An HTTP client. Make one per event loop and close it at the end; connections are opened as they are needed.

    ``tls`` replaces the default context, which verifies certificates against the system's authorities.
    """

    def __init__(self, limits: Limits = Limits(), *, tls: ssl.SSLContext | None = None) -> None:  # noqa: B008 - frozen
        self._limits = limits
        self._tls = tls
        self._pools: dict[Origin, Pool] = {}
        self._connections: set[Connection] = set()
        self._beat: asyncio.TimerHandle | None = None
        self._closed = False

    async def request(self, out: Outgoing) -> Response:
        """Sends a request and returns when the head of the answer has come, whatever its status.

        Redirects are not followed. Raises OutboundError (see ``message``), and ValueError for a URL or header that
        cannot be sent. Cancelling closes the connection.
        """
        origin, head = prepare(out.method, out.url, out.headers, out.address)
        pool = self._pools.get(origin) or self._open_pool(origin)
        now = asyncio.get_running_loop().time()
        connection = pool.take(now) or await pool.obtain(out.timeouts.connect)
        try:
            return await _exchange(connection, head, out)
        except Broken:
            if self._closed or not _may_repeat(connection, out):
                raise
        return await _exchange(await pool.obtain(out.timeouts.connect), head, out)

    async def close(self) -> None:
        """Closes every connection at once; requests under way fail as Broken."""
        self._closed = True
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None
        for connection in list(self._connections):
            connection.fail(Broken("the client was closed", sent=True))
        self._pools.clear()
        await asyncio.sleep(0)  # lets the transports close their sockets

    def _open_pool(self, origin: Origin) -> Pool:
        if self._closed:
            raise RuntimeError("this client is closed")
        if origin.tls and self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        if len(self._pools) >= _MANY_POOLS:
            self._pools = {key: pool for key, pool in self._pools.items() if not pool.empty}
        pool = self._pools[origin] = Pool(origin, self._limits, self._tls, self._opened, self._connections.discard)
        return pool

    def _opened(self, connection: Connection) -> None:
        self._connections.add(connection)
        if self._closed:
            connection.fail(Broken("the client was closed", sent=False))
        elif self._beat is None:
            self._schedule()

    def _schedule(self) -> None:
        self._beat = asyncio.get_running_loop().call_later(self._limits.beat, self._tick)

    def _tick(self) -> None:
        # One timer for all connections: looking at each on a slow beat costs less than a timer per request.
        now = asyncio.get_running_loop().time()
        for connection in list(self._connections):
            connection.check(now)
        self._beat = None
        if self._connections:
            self._schedule()


async def _exchange(connection: Connection, head: bytes, out: Outgoing) -> Response:
    response = connection.send(out.method, head, out.body, out.timeouts)
    try:
        if not isinstance(out.body, bytes):
            await connection.upload(out.body)
        await response.head()
    except BaseException:
        response.close()
        raise
    return response


def _may_repeat(connection: Connection, out: Outgoing) -> bool:
    if not connection.reused or connection.answered or not isinstance(out.body, bytes):
        return False
    return connection.write_failed or out.method in _REPEATABLE
