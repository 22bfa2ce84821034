"""Waiting for money: one line for each wallet, first come, first served (rule 27).

Across processes, claims in the ledger keep the order.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

from openpollen.ledger.entries import Hold, HoldRequest

_POLL_SECONDS = 0.05


class Waiter:
    """A call that waits for a hold, until ``deadline`` (monotonic). ``moved`` is set when money came free."""

    def __init__(self, request: HoldRequest, deadline: float) -> None:
        self.request, self.deadline = request, deadline
        self.future: asyncio.Future[Hold] = asyncio.get_running_loop().create_future()
        self.moved = asyncio.Event()

    async def pause(self, until: float | None) -> None:
        """Sleeps until money came free, the next look at the ledger is due, or it is ``until`` (monotonic)."""
        seconds = _POLL_SECONDS if until is None else max(0.0, min(_POLL_SECONDS, until - time.monotonic()))
        try:
            async with asyncio.timeout(seconds):
                await self.moved.wait()
        except TimeoutError:
            pass
        self.moved.clear()


class Lines:
    """The lines of one process. ``try_now`` holds at once or gives ``None``; ``ask`` goes to the ledger for a hold, and
    gives ``None`` when the caller left meanwhile; ``give_up`` takes a hold back that nobody waits for any more."""

    def __init__(
        self,
        try_now: Callable[[HoldRequest], Hold | None],
        ask: Callable[[Waiter], Awaitable[Hold | None]],
        give_up: Callable[[Hold], object],
    ) -> None:
        self._try_now, self._ask, self._give_up = try_now, ask, give_up
        self._lines: dict[str, deque[Waiter]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> bool:
        """Whether anyone waits for money."""
        return bool(self._lines)

    def busy(self, owner: str) -> bool:
        """Whether someone already waits for this owner's money."""
        return owner in self._lines

    def moved(self, owner: str | None = None) -> None:
        """Tells who stands first in an owner's line, or in all, that money came free."""
        for line in list(self._lines.values()) if owner is None else filter(None, (self._lines.get(owner),)):
            line[0].moved.set()

    async def wait(self, request: HoldRequest, seconds: float) -> Hold:
        """Stands in the line for a hold. Whose time is up before its turn comes asks once more, past the others.

        Raises what ``ask`` raises."""
        waiter = Waiter(request, time.monotonic() + seconds)
        line = self._lines.get(request.user_id)
        if line is None:
            line = self._lines[request.user_id] = deque()
            task = asyncio.create_task(self._serve(request.user_id, line))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        line.append(waiter)
        try:
            await asyncio.wait({waiter.future}, timeout=max(0.0, waiter.deadline - time.monotonic()))
            if not waiter.future.done() and line[0] is not waiter:
                line.remove(waiter)
                if (hold := await self._ask(waiter)) is not None:
                    return hold
            return await waiter.future
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled() and waiter.future.exception() is None:
                self._give_up(waiter.future.result())
            waiter.future.cancel()
            waiter.moved.set()
            raise

    async def _serve(self, owner: str, line: deque[Waiter]) -> None:
        while line:
            waiter = line[0]
            try:
                if not waiter.future.done():
                    hold = self._try_now(waiter.request) or await self._ask(waiter)
                    if hold is not None and waiter.future.done():
                        self._give_up(hold)
                    elif hold is not None:
                        waiter.future.set_result(hold)
            except Exception as error:
                if not waiter.future.done():
                    waiter.future.set_exception(error)
            line.popleft()
        del self._lines[owner]
