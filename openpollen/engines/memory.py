"""Which engines are in memory: loaded on first use, the least recently used idle ones unloaded for room or after a time."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from openpollen.core.errors import ServiceUnavailable
from openpollen.engines.base import CancelToken, Engine, Missing


class MemoryBudget:
    """Loads and unloads engines within ``limit_mb`` of their own estimates. Belongs to one event loop."""

    def __init__(self, limit_mb: int) -> None:
        self.limit_mb = limit_mb
        self._loaded: dict[str, Engine] = {}  # least recently used first
        self._used: dict[str, float] = {}
        self._users: Counter[str] = Counter()
        self._leaving = ""  # the engine that is being unloaded just now
        self._changing = asyncio.Lock()
        self._released = asyncio.Event()

    @property
    def loaded(self) -> list[str]:
        return list(self._loaded)

    @property
    def loaded_mb(self) -> int:
        return sum(engine.memory_mb for engine in self._loaded.values())

    async def make_ready(self, engine: Engine, token: CancelToken) -> None:
        """Load an engine and mark it in use until ``release``. Other idle engines leave when there is no room.

        Raises ``Missing`` when its weights are not there and ServiceUnavailable when it alone exceeds the budget.
        """
        self._users[engine.name] += 1
        if engine.name in self._loaded and engine.name != self._leaving:
            self._touch(engine)
            return
        async with self._changing:
            token.check()
            if engine.name not in self._loaded:
                await self._load(engine)
            self._touch(engine)

    def release(self, engine: Engine) -> None:
        """The job that ``make_ready`` was called for is over."""
        self._users[engine.name] -= 1
        if engine.name in self._loaded:
            self._touch(engine)
        self._released.set()

    async def unload_idle(self, idle_seconds: float) -> None:
        """Unload what nobody used for that long."""
        before = time.monotonic() - idle_seconds
        async with self._changing:
            for name in list(self._used):
                if self._used[name] <= before and not self._users[name]:  # asked anew: unloading another took time
                    await self._unload(name)

    async def _load(self, engine: Engine) -> None:
        if sentence := await asyncio.to_thread(engine.missing):
            raise Missing(sentence)
        need = engine.memory_mb
        if need > self.limit_mb:
            raise ServiceUnavailable(
                f"{engine.name} needs about {need} MB, more than the {self.limit_mb} MB that local engines may use. "
                "Raise OPENPOLLEN_ENGINE_MEMORY_MB or choose a smaller model.",
                reason="engine_memory",
            )
        while self.loaded_mb + need > self.limit_mb:
            idle = next((name for name in self._loaded if not self._users[name]), None)
            if idle is None:
                self._released.clear()
                await self._released.wait()
            else:
                await self._unload(idle)
        await asyncio.to_thread(engine.load)
        self._loaded[engine.name] = engine

    async def _unload(self, name: str) -> None:
        self._leaving = name
        try:
            await asyncio.to_thread(self._loaded[name].unload)
        finally:
            self._leaving = ""
            del self._loaded[name], self._used[name]

    def _touch(self, engine: Engine) -> None:
        self._loaded[engine.name] = self._loaded.pop(engine.name)
        self._used[engine.name] = time.monotonic()
