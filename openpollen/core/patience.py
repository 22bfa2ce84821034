"""Waiting for a database that is busy or away, where giving up would lose what was paid for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from openpollen.core.errors import ServiceUnavailable

T = TypeVar("T")
_PAUSE_S = 0.25
#: How long is waited at most, in seconds.
LONGEST_S = 60.0


async def patiently(work: Callable[[], Awaitable[T]], seconds: float = LONGEST_S) -> T:
    """What ``work`` gives; it is done again while it raises ServiceUnavailable. Raises that when the time is up. Only for
    work that can be done twice."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await work()
        except ServiceUnavailable:
            if time.monotonic() >= deadline:
                raise
            await asyncio.sleep(_PAUSE_S)
