"""Places where the fake provider stops until a test says how to go on: no test needs to sleep to hit a moment."""

from __future__ import annotations

import asyncio
import threading
from typing import Literal

Order = Literal["go", "cut"]
_PATIENCE = 20.0


class Cut(Exception):
    """The test ends the connection here."""


class Gone(Exception):
    """The other side has ended the connection."""


class Gate:
    """One such place. A test calls ``reached``, then ``go`` or ``cut``; ``open`` lets everything through from now on."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._arrivals = threading.Semaphore(0)
        self._orders: asyncio.Queue[Order] = asyncio.Queue()
        self._open = False

    def reached(self) -> None:
        """Waits until somebody stands at the gate."""
        assert self._arrivals.acquire(timeout=_PATIENCE), "nobody came to the gate"

    def go(self) -> None:
        """Lets one through."""
        self._tell("go")

    def cut(self) -> None:
        """Ends the connection of whoever stands there."""
        self._tell("cut")

    def open(self) -> None:
        """Lets whoever stands there through, and all who come."""
        self._open = True
        self._tell("go")

    async def stop(self, gone: asyncio.Future[None]) -> None:
        """Stands at the gate. Raises Cut, or Gone when the other side leaves meanwhile."""
        if self._open:
            return
        self._arrivals.release()
        order = asyncio.ensure_future(self._orders.get())
        try:
            await asyncio.wait({order, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not order.done():
                raise Gone
            if order.result() == "cut":
                raise Cut
        finally:
            order.cancel()

    def _tell(self, order: Order) -> None:
        self._loop.call_soon_threadsafe(self._orders.put_nowait, order)
