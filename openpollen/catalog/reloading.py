"""A worker's catalogue while it runs: read again when its files change, replaced as a whole, kept where they are wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from openpollen.catalog.registry import Registry
from openpollen.core.errors import ConfigError

log = logging.getLogger("openpollen")

_Stamp = tuple[tuple[int, int], ...]


class Reloading:
    """``build`` makes a snapshot of the files as they are now, or raises ConfigError; ``take`` is given one that is another
    than the last. Calls that are running keep the snapshot they began with."""

    def __init__(
        self, first: Registry, build: Callable[[], Registry], files: Sequence[Path], take: Callable[[Registry], None]
    ) -> None:
        self._last = first
        self._build = build
        self._files = files
        self._take = take
        self._stamp = _stamp(files)
        self._task: asyncio.Task[None] | None = None

    def rung(self) -> None:
        """The files are said to have changed: they are read in a moment. One reading at a time, the last one counts."""
        before, self._task = self._task, None
        self._task = asyncio.create_task(self._after(before))

    async def look(self) -> None:
        """Reads the files if they changed unheard. Run it about once a minute."""
        if _stamp(self._files) != self._stamp:
            await self._read()

    async def end(self) -> None:
        """Waits for a reading that has begun."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _after(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.gather(before, return_exceptions=True)
        await self._read()

    async def _read(self) -> None:
        self._stamp = _stamp(self._files)
        try:
            registry = await asyncio.to_thread(self._build)
        except ConfigError as fault:
            log.error("the catalogue stays as it was, its files are wrong: %s", "; ".join(fault.problems))
            return
        if (registry.revision, registry.entries) != (self._last.revision, self._last.entries):
            self._last = registry
            self._take(registry)
            log.warning("the catalogue was read again: revision %s", registry.revision)
            for warning in registry.warnings:
                log.warning("%s", warning)


def _stamp(files: Sequence[Path]) -> _Stamp:
    """When the files were last written, and how long they are; zeros for one that is not there."""
    out: list[tuple[int, int]] = []
    for file in files:
        try:
            found = file.stat()
        except OSError:
            out.append((0, 0))
        else:
            out.append((found.st_mtime_ns, found.st_size))
    return tuple(out)
