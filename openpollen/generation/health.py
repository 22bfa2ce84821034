"""How the routes to providers do, as this worker sees it, and whether one is worth trying now.

A route that failed several times in a row rests: calls go on to the next route, or are told at once when to come again. When
its pause is over one call is let through as a probe: if that goes well the route is back, else it rests twice as long
(https://martinfowler.com/bliki/CircuitBreaker.html). Only the provider's own faults count, never the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from msgspec import Struct

from openpollen.core.model import Route
from openpollen.generation.turnstile import Turnstile

State = Literal["closed", "open", "half-open"]

#: How much the latest call counts in the average latency and in the share of failures.
_WEIGHT = 0.1
#: Calls that earn one retry, and the most retries that can be saved up.
_CALLS_PER_RETRY, _MOST_RETRIES = 10, 5.0


class Trouble(Struct):
    """A provider's failures since this worker started: how many, and the last one."""

    count: int = 0
    at: int = 0
    model: str = ""
    message: str = ""


class Circuit(Struct):
    """One route. Times are seconds of a clock that never goes back; ``latency`` is the average time to the first byte or whole
    answer, ``faults`` the share of calls that failed lately."""

    route: Route
    turnstile: Turnstile
    row: int = 0
    open_until: float = 0.0
    pause: float = 0.0
    probing: bool = False
    calls: int = 0
    latency: float = 0.0
    faults: float = 0.0
    retries: float = _MOST_RETRIES

    def state(self, now: float) -> State:
        if not self.pause:
            return "closed"
        return "open" if now < self.open_until else "half-open"


class Health:
    """The routes of one worker. ``failures`` in a row open a route, 0 never does; it rests ``pause`` seconds first, at most
    ``longest``. What limits the calls of all workers together lies in ``folder``."""

    def __init__(
        self,
        folder: Path,
        failures: int = 5,
        pause: float = 2.0,
        longest: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._failures = failures
        self._pause = pause
        self._longest = longest
        self._clock = clock
        self._circuits: dict[tuple[str, str], Circuit] = {}
        self._troubles: dict[str, Trouble] = {}

    def enter(self, route: Route) -> float:
        """Begins a call on a route: 0 when it may go, else the seconds after which it is worth asking again. One that may
        go must ``leave``."""
        circuit = self.circuit(route)
        now = self._clock()
        state = circuit.state(now)
        if state == "open":
            return circuit.open_until - now
        if state == "half-open" and circuit.probing:
            return circuit.pause
        if wait := circuit.turnstile.enter(route):
            return wait
        circuit.probing = state == "half-open"
        return 0.0

    def leave(self, route: Route) -> None:
        """Ends a call, however it went."""
        circuit = self.circuit(route)
        circuit.turnstile.leave(route)
        circuit.probing = False

    def took(self, route: Route) -> None:
        """The provider took a job: the route is back, but what failed in a row counts until one is made."""
        self.circuit(route).pause = 0.0

    def went_well(self, route: Route, seconds: float) -> None:
        """The provider answered, if only with the caller's fault; ``seconds`` is how long that took."""
        circuit = self.circuit(route)
        circuit.row, circuit.pause = 0, 0.0
        circuit.calls += 1
        circuit.latency += (seconds - circuit.latency) * (_WEIGHT if circuit.calls > 1 else 1)
        circuit.faults *= 1 - _WEIGHT
        circuit.retries = min(_MOST_RETRIES, circuit.retries + 1 / _CALLS_PER_RETRY)

    def failed(self, route: Route, message: str, retry_after: int | None = None) -> None:
        """Notes a failure of the provider; ``retry_after`` is when it wants to be asked again, in seconds."""
        circuit = self.circuit(route)
        circuit.calls += 1
        circuit.row += 1
        circuit.faults += (1 - circuit.faults) * _WEIGHT
        # Calls that were on their way when the route began to rest tell nothing new: only a probe that fails doubles.
        if self._failures and circuit.row >= self._failures and circuit.state(self._clock()) != "open":
            circuit.pause = min(self._longest, circuit.pause * 2 or self._pause)
            circuit.open_until = self._clock() + max(circuit.pause, min(retry_after or 0, self._longest))
        trouble = self._troubles.setdefault(route.provider, Trouble())
        trouble.count += 1
        trouble.at, trouble.model, trouble.message = int(time.time() * 1000), route.model, message

    def may_retry(self, route: Route) -> bool:
        """Whether the route may be asked once more for the same call: retries are a small share of all calls."""
        circuit = self.circuit(route)
        if circuit.retries < 1:
            return False
        circuit.retries -= 1
        return True

    def circuit(self, route: Route) -> Circuit:
        """How a route does."""
        key = (route.provider, route.model)
        found = self._circuits.get(key)
        if found is None:
            found = self._circuits[key] = Circuit(route, Turnstile(self._folder, route))
        return found

    def seen(self, route: Route) -> Circuit | None:
        """How a route does; ``None`` before its first call."""
        return self._circuits.get((route.provider, route.model))

    def state(self, route: Route) -> State:
        """Whether a route takes calls now."""
        return self.circuit(route).state(self._clock())

    def of(self, provider: str) -> Trouble | None:
        """What went wrong with a provider; ``None`` when nothing did."""
        return self._troubles.get(provider)
