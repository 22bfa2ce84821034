"""Waiting for money that others hold: first come, first served, one line for each wallet and each key (rule 27)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class _Line:
    """Those who wait for one owner's money. Whoever has the turn is woken by each settlement."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()  # asyncio's lock is fair: turns come in the order in which they were asked for
        self.moved = asyncio.Event()
        self.waiting = 0


class Lines:
    """The lines of one process, by owner. Across processes claims in the ledger keep the order, and a look at it each
    ``poll`` seconds."""

    def __init__(self, poll: float = 0.05) -> None:
        self._poll = poll
        self._lines: dict[str, _Line] = {}

    @property
    def waiting(self) -> bool:
        """Whether anyone waits for money."""
        return bool(self._lines)

    def busy(self, owner: str) -> bool:
        """Whether someone already waits for this owner's money."""
        return owner in self._lines

    def moved(self, owner: str | None = None) -> None:
        """Tells an owner's line, or all, that money came free."""
        for line in self._lines.values() if owner is None else filter(None, (self._lines.get(owner),)):
            line.moved.set()

    @asynccontextmanager
    async def turn(self, owner: str) -> AsyncGenerator[asyncio.Event]:
        """Waits for the turn in an owner's line; gives the event that ``moved`` sets."""
        line = self._lines.setdefault(owner, _Line())
        line.waiting += 1
        try:
            async with line.turn:
                yield line.moved
        finally:
            line.waiting -= 1
            if not line.waiting:
                del self._lines[owner]

    async def pause(self, moved: asyncio.Event, until: float | None = None) -> None:
        """Sleeps until money came free, the next look at the ledger is due, or it is ``until`` (monotonic)."""
        seconds = self._poll if until is None else max(0.0, min(self._poll, until - time.monotonic()))
        try:
            async with asyncio.timeout(seconds):
                await moved.wait()
        except TimeoutError:
            pass
        moved.clear()
