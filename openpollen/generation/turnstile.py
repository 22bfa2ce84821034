"""How many calls are on a route at once and begin there in a minute, counted over all workers of a data folder.

A running call holds the lock of one byte of the route's file, so that what a killed worker held is free at once, by the
kernel's doing (fcntl(2), record locks). When the latest calls began stands in a ring of times in a file of its own: a minute is
any sixty seconds, not the clock's.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from openpollen.core.model import Route

_MINUTE_S = 60.0
#: Told where a place may be free again at any time, in seconds.
_SOON_S = 1.0
#: How often the ring is asked for while another worker writes in it, which takes it some microseconds.
_ATTEMPTS = 200
_COUNT, _TIME = struct.Struct("<Q"), struct.Struct("<d")


class Turnstile:
    """The limits of one route. ``clock`` gives seconds that all processes of this machine agree on."""

    def __init__(self, folder: Path, route: Route, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = sha256(f"{route.provider}\0{route.model}".encode()).hexdigest()[:16]
        self._folder = folder
        self._clock = clock
        self._files: dict[str, int] = {}
        self._places: set[int] = set()

    def enter(self, route: Route) -> float:
        """Lets a call through: 0, and it must ``leave``; else the seconds after which it is worth asking again."""
        place = None
        if route.concurrent is not None:
            place = self._place(route.concurrent)
            if place is None:
                return _SOON_S
        wait = 0.0 if route.per_minute is None else self._begun(route.per_minute)
        if place is not None:
            self._places.add(place)
            if wait:
                self.leave(route)
        return wait

    def leave(self, route: Route) -> None:
        """Ends a call that was let through."""
        if route.concurrent is not None and self._places:
            fcntl.lockf(self._file("running"), fcntl.LOCK_UN, 1, self._places.pop())

    def _place(self, most: int) -> int | None:
        """A free place, now locked for this process."""
        file = self._file("running")
        return next((place for place in range(most) if place not in self._places and _locked(file, place)), None)

    def _begun(self, most: int) -> float:
        """Notes that a call begins: 0, else the seconds until the oldest of the last minute's is a minute old."""
        file = self._file(f"{most}-a-minute")
        if not any(_locked(file, 0) for _ in range(_ATTEMPTS)):
            return _SOON_S
        try:
            count = _COUNT.unpack(os.pread(file, _COUNT.size, 0).ljust(_COUNT.size, b"\0"))[0]
            place = _COUNT.size + count % most * _TIME.size
            oldest = _TIME.unpack(os.pread(file, _TIME.size, place))[0] if count >= most else -_MINUTE_S
            now = self._clock()
            # A time to come was noted before the machine started anew.
            if 0 <= now - oldest < _MINUTE_S:
                return oldest + _MINUTE_S - now
            os.pwrite(file, _TIME.pack(now), place)
            os.pwrite(file, _COUNT.pack(count + 1), 0)
            return 0.0
        finally:
            fcntl.lockf(file, fcntl.LOCK_UN, 1, 0)

    def _file(self, kind: str) -> int:
        """One file stays open: closing any would free every lock that this process has on it."""
        file = self._files.get(kind)
        if file is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._folder / f"{self._name}.{kind}"
            file = self._files[kind] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return file


def _locked(file: int, byte: int) -> bool:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
    except (BlockingIOError, PermissionError):
        return False
    return True
