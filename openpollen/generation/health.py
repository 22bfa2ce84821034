"""How calls of providers went lately, as this worker saw it: for the pages of who runs the installation."""

from __future__ import annotations

import time

from msgspec import Struct


class Trouble(Struct):
    """A provider's failures since this worker started: how many, and the last one."""

    count: int = 0
    at: int = 0
    model: str = ""
    message: str = ""


class Health:
    """Failures by provider. Nothing is kept of calls that went well."""

    def __init__(self) -> None:
        self._troubles: dict[str, Trouble] = {}

    def failed(self, provider: str, model: str, message: str) -> None:
        """Notes a failure."""
        trouble = self._troubles.setdefault(provider, Trouble())
        trouble.count += 1
        trouble.at, trouble.model, trouble.message = int(time.time() * 1000), model, message

    def of(self, provider: str) -> Trouble | None:
        """What went wrong with a provider; ``None`` when nothing did."""
        return self._troubles.get(provider)
