"""Which route serves a call: the first that is well and below its limits, the next one where the provider failed and the call
may be made again. Another route is tried before the first byte only, and never after the caller's own fault or a refusal of
content.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from openpollen.core.errors import GatewayError, ServiceUnavailable
from openpollen.generation.admit import Admission, Attempt
from openpollen.generation.call import Call, Heard
from openpollen.generation.health import Health
from openpollen.generation.upstream import Unfit
from openpollen.providers.failures import LOCAL, Failure

log = logging.getLogger("openpollen")

T = TypeVar("T")
#: Told what a provider answered in vain, which it may bill.
InVain = Callable[[Call, Admission, Attempt, Heard], None]
#: Seconds before a provider that could not be reached is tried again, chosen between these.
_RETRY_PAUSE = (0.05, 0.25)


class Routing:
    """The routes of one worker."""

    def __init__(self, health: Health, in_vain: InVain) -> None:
        self._health = health
        self._in_vain = in_vain

    async def first(
        self,
        call: Call,
        admission: Admission,
        make: Callable[[Attempt, Heard], Awaitable[T]],
        *,
        stays: bool = False,
        begins: bool = False,
    ) -> T:
        """The first route's result, of the next one only where the failure allows it, or the route cannot carry the request,
        which is told where none can. A call that ``stays`` with its route
        after this, as a stream does, must ``leave`` it; of one that only ``begins`` a job ``ended`` must tell how it went.
        Raises GatewayError."""
        last: GatewayError | None = None
        unfit: GatewayError | None = None
        resting: list[float] = []
        for attempt in admission.attempts:
            if attempt.provider.name != LOCAL and (wait := self._health.enter(attempt.route)):
                resting.append(wait)
                continue
            heard = Heard()
            try:
                return await self._observed(attempt, partial(make, attempt, heard), stays, begins)
            except Unfit as refused:
                unfit = unfit or refused.error
            except Failure as failure:
                if failure.error.spent:
                    self._in_vain(call, admission, attempt, heard)
                last = failure.error
                if not failure.retryable:
                    break
            except BaseException:
                self._in_vain(call, admission, attempt, heard)
                raise
        raise last or (unfit if unfit is not None and not resting else _resting(call, resting))

    async def _observed(self, attempt: Attempt, make: Callable[[], Awaitable[T]], stays: bool, begins: bool) -> T:
        """What a route makes; how that went is noted. A route that could not be reached is asked once more, a little later."""
        route = attempt.route
        if attempt.provider.name == LOCAL:
            return await self._of_engine(make)
        try:
            again = True
            while True:
                started = time.monotonic()
                try:
                    result = await make()
                except Failure as failure:
                    error = failure.error
                    if error.status < 500:  # the caller's fault, or refused content: the route itself is well
                        self._health.went_well(route, time.monotonic() - started)
                        raise
                    log.warning("%s failed: %s", route.provider, error.message)
                    self._health.failed(route, error.message, error.retry_after)
                    if not again or error.reason != "upstream_unreachable" or not self._health.may_retry(route):
                        raise
                    again = False
                    await asyncio.sleep(random.uniform(*_RETRY_PAUSE))
                else:
                    if begins:
                        self._health.took(route)
                    else:
                        self._health.went_well(route, time.monotonic() - started)
                    if not stays:
                        self._health.leave(route)
                    return result
        except BaseException:
            self._health.leave(route)
            raise

    @staticmethod
    async def _of_engine(make: Callable[[], Awaitable[T]]) -> T:
        try:
            return await make()
        except Failure as failure:
            if failure.error.status >= 429:  # else it is the engine's word on the request
                log.warning("%s failed: %s", LOCAL, failure.error.message)
            raise

    def leave(self, attempt: Attempt) -> None:
        """Ends a call that stayed with its route."""
        if attempt.provider.name != LOCAL:
            self._health.leave(attempt.route)

    def ended(self, attempt: Attempt, seconds: float, error: GatewayError | None = None) -> None:
        """Notes how a job went that a call began, ``seconds`` ago."""
        if attempt.provider.name == LOCAL:
            return
        if error is None or error.status < 500:  # the caller's fault, or refused content: the route itself is well
            self._health.went_well(attempt.route, seconds)
        else:
            log.warning("%s failed: %s", attempt.route.provider, error.message)
            self._health.failed(attempt.route, error.message, error.retry_after)


def _resting(call: Call, waits: list[float]) -> ServiceUnavailable:
    """Nobody was asked: every route is at its limit, or failed so often lately that it rests."""
    after = math.ceil(min(waits, default=1.0))
    return ServiceUnavailable(
        f"The providers of {call.model.name} are at their limit or failed repeatedly just now. "
        f"Try again in {after} second{'' if after == 1 else 's'}, or ask for another model.",
        reason="upstream_resting",
        retry_after=after,
    )
