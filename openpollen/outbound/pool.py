"""Connections to one origin: kept open between requests, bounded in number, with a bounded queue of who waits.

The youngest connection is used first, so that the others grow idle and are closed.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable

from openpollen.outbound.connection import Connection
from openpollen.outbound.message import Busy, ConnectFailed, Limits, Origin, Timeout


class Pool:
    """The connections of one origin. ``opened`` and ``closed`` tell the client of each connection."""

    def __init__(
        self,
        origin: Origin,
        limits: Limits,
        context: ssl.SSLContext | None,
        opened: Callable[[Connection], None],
        closed: Callable[[Connection], None],
    ) -> None:
        self.origin = origin
        self._limits = limits
        self._context = context
        self._opened = opened
        self._closed = closed
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._connecting = 0
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()

    @property
    def empty(self) -> bool:
        return not (self._open or self._connecting or self._waiting)

    def take(self, now: float) -> Connection | None:
        """An open connection that is not in use, if there is one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.fresh(now):
                return connection
            connection.abort()
        return None

    async def obtain(self, timeout: float) -> Connection:
        """A new connection, or the first that comes free when there are as many as allowed.

        Raises ConnectFailed, Busy (too many wait already) and Timeout (queue or connect), all with nothing sent.
        """
        while len(self._open) + self._connecting >= self._limits.connections:
            connection = await self._queue(timeout)
            if connection is None:
                return await self._connect(timeout)
            if connection.fresh(0.0):
                return connection
        self._connecting += 1
        return await self._connect(timeout)

    def release(self, connection: Connection) -> None:
        """Takes back a connection whose answer has ended, and hands it to who waits longest."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._idle.append(connection)

    def discard(self, connection: Connection) -> None:
        """Forgets a connection that is closed; who waits longest may open another in its place."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._closed(connection)
        self._let_next_connect()

    async def _queue(self, timeout: float) -> Connection | None:
        # The answer is a connection, or None for the right to open one, which is counted in ``_connecting`` already.
        if len(self._waiting) >= self._limits.waiting:
            raise Busy(f"all {self._limits.connections} connections to {self.origin} are busy and the queue is full")
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                connection = await waiter
        except BaseException as error:
            self._give_back(waiter)
            if isinstance(error, TimeoutError):
                raise Timeout(
                    "queue", f"no connection to {self.origin} came free in {timeout:g} s", sent=False
                ) from None
            raise
        return connection

    def _give_back(self, waiter: asyncio.Future[Connection | None]) -> None:
        # What was handed over in the moment of giving up goes to the next one.
        if waiter.done() and not waiter.cancelled():
            connection = waiter.result()
            if connection is None:
                self._connecting -= 1
                self._let_next_connect()
            elif not connection.closed:
                self.release(connection)
        elif waiter in self._waiting:
            self._waiting.remove(waiter)

    def _let_next_connect(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._connecting += 1
                waiter.set_result(None)
                return

    async def _connect(self, timeout: float) -> Connection:
        origin = self.origin
        try:
            async with asyncio.timeout(timeout):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self, self._limits),
                    origin.address or origin.host,
                    origin.port,
                    ssl=self._context if origin.tls else None,
                    server_hostname=origin.host if origin.tls else None,
                )
        except BaseException as error:
            self._connecting -= 1
            self._let_next_connect()
            if isinstance(error, TimeoutError):
                raise Timeout("connect", f"no connection to {origin} within {timeout:g} s", sent=False) from None
            if isinstance(error, OSError | UnicodeError):
                raise ConnectFailed(f"cannot connect to {origin}: {error}") from error
            raise
        self._connecting -= 1
        if connection.closed:
            self._let_next_connect()
            raise ConnectFailed(f"{origin} closed the connection at once")
        self._open.add(connection)
        self._opened(connection)
        return connection
