"""Waiting for money that others hold: first come, first served, one line for each wallet and each key (rule 27)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager


class _Line:
    """Those who wait for one owner's money. Whoever has the turn is woken by each settlement."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()  # asyncio's lock is fair: turns come in the order in which they were asked for
        self.moved = asyncio.Event()
        self.waiting = 0


class Lines:
    """The lines of one process. Across processes there is no order, only a look at the ledger each ``poll`` seconds."""

    def __init__(self, poll: float = 0.05) -> None:
        self._poll = poll
        self._lines: dict[str, _Line] = {}

    @property
    def waiting(self) -> bool:
        """Whether anyone waits for money."""
        return bool(self._lines)

    def busy(self, owners: Iterable[str]) -> str | None:
        """The first of these owners that someone already waits for."""
        return next((owner for owner in owners if owner in self._lines), None) if self._lines else None

    def moved(self, owners: Iterable[str]) -> None:
        """Tells the lines of these owners that money came free."""
        if self._lines:
            for owner in owners:
                if line := self._lines.get(owner):
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

    async def pause(self, moved: asyncio.Event) -> None:
        """Sleeps until money came free, or until the next look at the ledger is due."""
        try:
            async with asyncio.timeout(self._poll):
                await moved.wait()
        except TimeoutError:
            pass
        moved.clear()
