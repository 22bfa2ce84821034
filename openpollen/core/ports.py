"""Small protocols that let the layers above be built over different back ends."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Time as the program sees it; tests turn it by hand."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, for durations and deadlines."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()
