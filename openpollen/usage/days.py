"""UTC days as the daily sums name them."""

from __future__ import annotations

import time
from functools import lru_cache

DAY_MS = 86_400_000


def day_of(at: int) -> str:
    """The UTC day of a time in milliseconds, such as 2026-03-25."""
    return _text(at // DAY_MS)


def days_ago(days: int, now: int | None = None) -> str:
    """The UTC day so many days before ``now``, in milliseconds."""
    return day_of((int(time.time() * 1000) if now is None else now) - days * DAY_MS)


@lru_cache(maxsize=512)
def _text(day: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(day * DAY_MS // 1000))
