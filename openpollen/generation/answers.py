"""Answers that need not be made again: the cache of fixed seeds (rule 10), repeats with an Idempotency-Key, and paid
results that could not be delivered (rule 21).

``begin`` says whether an answer is there already. Whoever gets none makes it, then calls ``done`` or ``failed`` once.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import math
import time
from collections.abc import Awaitable, Callable
from functools import partial

from msgspec import Struct, structs

from openpollen import __version__
from openpollen.core.errors import Conflict, ServiceUnavailable
from openpollen.core.patience import patiently
from openpollen.generation.admit import IGNORED, Admission
from openpollen.generation.call import Call
from openpollen.storage import idempotency
from openpollen.storage.answers import Answer
from openpollen.storage.cache import Cache
from openpollen.storage.deliveries import Attended, Deliveries, Found
from openpollen.storage.idempotency import Idempotency

log = logging.getLogger("openpollen")

#: How long a repeat waits for the first request before it is told to come again, in seconds.
_WAIT = 600.0
_RENEW = 20.0
#: How often one that took over looks whether the answer is there, in seconds.
_LOOK = 0.1
#: How long it may take until it is known here that a client has left, and until a dead worker's jobs are free.
_MISSED, _MISSED_JOB = 0.05, 1.0
#: Largest answer that is kept: above it a repeat makes it again.
_MAX_KEPT = 64 * 1024 * 1024


class Repeat(Struct):
    """Where a call stands among its repeats. ``answer`` is set when nothing needs to be made, ``job`` when the job of the
    request of that id makes it. ``delivery`` is the request id under which the answer is kept if it cannot be delivered."""

    answer: Answer | None = None
    ticket: idempotency.New | None = None
    cache_key: str = ""
    job: str = ""
    delivery: str = ""
    again: bool = False

    @property
    def kept(self) -> bool:
        """Whether the answer will be asked for again."""
        return self.ticket is not None or bool(self.cache_key)


class Answers:
    """The stores of kept answers."""

    def __init__(self, cache: Cache, deliveries: Deliveries, repeats: Idempotency) -> None:
        self._cache = cache
        self._deliveries = deliveries
        self._repeats = repeats
        self._renewals: dict[str, asyncio.Task[None]] = {}
        self._keepers: set[asyncio.Task[None]] = set()

    async def begin(self, call: Call, admission: Admission, key: str | None, *, cached: bool = True) -> Repeat:
        """The kept answer to this call, or the right to make it. Raises Conflict for a key used with another request.

        ``cached=False`` looks at repeats only: a job is made anew whatever its seed."""
        repeat = Repeat()
        if key is not None:
            repeat = await self._repeat(call, key)
            if repeat.answer is not None:
                return repeat
        try:
            if cached and call.cacheable:
                repeat.cache_key = _cache_key(call, admission)
                if not call.refresh:
                    hit = await self._cache.get(call.caller.partition, repeat.cache_key)
                    if hit is not None:
                        repeat.answer = _told(
                            hit, {"x-cache": "HIT", "x-pollen-cost": "0", **admission.attempts[0].told}
                        )
            if cached and repeat.answer is None and key is None and not admission.free:
                if call.finishes(admission.free):
                    await self._take_over(repeat, call)
                elif call.shape != "stream" and await self._deliveries.has_any(call.caller.key_id):
                    await self._take_chat(repeat, call)
        except BaseException:
            await self.failed(repeat)
            raise
        if repeat.answer is not None and repeat.ticket is not None:
            await self._finish(repeat.ticket, repeat.answer)
        return repeat

    async def done(self, call: Call, repeat: Repeat, answer: Answer, *, cache: bool) -> None:
        """Keeps a charged answer for repeats; with ``cache``, that is when it is whole, also for its fixed seed."""
        if len(answer.body) > _MAX_KEPT:
            await self.failed(repeat)
            return
        if repeat.cache_key and cache:
            try:
                await self._cache.put(call.caller.partition, repeat.cache_key, answer)
            except ServiceUnavailable as fault:  # it is paid and in hand: a cache can do without it
                log.warning("an answer was not cached: %s", fault.message)
        if repeat.ticket is not None:
            await self._finish(repeat.ticket, answer)

    async def failed(self, repeat: Repeat) -> None:
        """Frees the key of a call that ended without a charge."""
        if repeat.ticket is not None:
            self._stop_renewing(repeat.ticket.owner)
            with contextlib.suppress(ServiceUnavailable):  # its lease ends by itself
                await self._repeats.abandon(repeat.ticket)
        await self.delivered(repeat)

    async def delivered(self, repeat: Repeat) -> None:
        """Ends the care for an answer that its client has, or that came to nothing."""
        if repeat.delivery:
            self._stop_renewing(repeat.delivery)
            with contextlib.suppress(ServiceUnavailable):  # its lease ends by itself
                await self._deliveries.drop(repeat.delivery)

    async def undelivered(self, call: Call, repeat: Repeat, answer: Answer) -> None:
        """Keeps a charged chat whose client was found gone when it was ready, unless it is kept already."""
        if not repeat.kept and len(answer.body) <= _MAX_KEPT:
            await self._deliveries.keep(call.caller.key_id, _digest(call.identity()), call.id, answer)

    async def lost(self, repeat: Repeat, work: asyncio.Task[Answer]) -> None:
        """Keeps what is made for a client that left, for the next identical request of the same key; one that comes
        while it is still made takes over the waiting."""
        if repeat.delivery:
            keeper = asyncio.create_task(self._keep(repeat, work))
            self._keepers.add(keeper)
            keeper.add_done_callback(self._keepers.discard)

    async def _keep(self, repeat: Repeat, work: asyncio.Task[Answer]) -> None:
        await patiently(partial(self._deliveries.left, repeat.delivery))
        await asyncio.wait({work})
        if not work.cancelled() and work.exception() is None:
            await patiently(partial(self._deliveries.finish, repeat.delivery, work.result()))
            self._stop_renewing(repeat.delivery)

    async def _take_over(self, repeat: Repeat, call: Call) -> None:
        """Gives the repeat what was made, or is still made, for a client that left; once. Else its own is noted."""
        key_id, identity = call.caller.key_id, _digest(call.identity())
        taken = await self._deliveries.take(key_id, identity)
        patience = 0.0
        while isinstance(taken, Attended) and patience < (_MISSED_JOB if taken.job else _MISSED):
            # A client that comes again may be faster than the news that it had left, or that its worker has died.
            await asyncio.sleep(_MISSED)
            patience += _MISSED
            taken = await self._deliveries.take(key_id, identity)
        if not isinstance(taken, Found):
            repeat.delivery = call.id
            await self._deliveries.begin(key_id, identity, call.id)
            self._renewals[call.id] = asyncio.create_task(self._renew(partial(self._deliveries.renew, call.id)))
            return
        repeat.delivery, repeat.again = taken.request_id, True
        if taken.job:
            repeat.job = taken.request_id
            return
        try:
            found: object = taken
            while isinstance(found, Found) and not found.job:
                await asyncio.sleep(_LOOK)
                found = await self._deliveries.answer(taken.request_id)
        except BaseException:
            await asyncio.shield(self._deliveries.left(taken.request_id))
            raise
        if isinstance(found, Answer):
            repeat.answer = _told(found, {"x-delivered-again": "true", "x-pollen-cost": "0"})
        elif isinstance(found, Found):
            repeat.job = found.request_id
        else:  # it came to nothing after all
            repeat.delivery, repeat.again = "", False
            await self._take_over(repeat, call)

    async def _take_chat(self, repeat: Repeat, call: Call) -> None:
        """Gives the repeat a whole chat that was made for a client that left; once."""
        identity = _digest(call.identity())
        if not self._deliveries.has(call.caller.key_id, identity):
            return
        taken = await self._deliveries.take(call.caller.key_id, identity)
        found = await self._deliveries.answer(taken.request_id) if isinstance(taken, Found) else None
        if isinstance(taken, Found) and isinstance(found, Answer):
            repeat.delivery, repeat.again = taken.request_id, True
            repeat.answer = _told(found, {"x-delivered-again": "true", "x-pollen-cost": "0"})

    async def _repeat(self, call: Call, key: str) -> Repeat:
        body_hash = _digest(call.identity())
        deadline = time.monotonic() + _WAIT
        pause = 0.02
        while True:
            begun = await self._repeats.begin(call.caller.user.id, call.endpoint, key, body_hash, call.id)
            match begun:
                case idempotency.New():
                    renewal = self._renew(partial(self._repeats.renew, begun))
                    self._renewals[begun.owner] = asyncio.create_task(renewal)
                    return Repeat(ticket=begun, job=begun.begun)
                case idempotency.Replay():
                    return Repeat(answer=_told(begun.answer, {"idempotent-replayed": "true"}))
                case idempotency.Conflict():
                    raise Conflict(
                        "This Idempotency-Key was used with another request; send a new key for a new request.",
                        reason="idempotency_key",
                    )
                case idempotency.InFlight():
                    if time.monotonic() > deadline:
                        raise ServiceUnavailable("The first request with this key is still running.", retry_after=10)
                    await asyncio.sleep(pause)
                    pause = min(pause * 1.5, 0.5)

    async def _renew(self, renew: Callable[[], Awaitable[bool]]) -> None:
        """Keeps a lease alive, also over a time in which the database is away."""
        while await patiently(renew, math.inf):
            await asyncio.sleep(_RENEW)

    async def _finish(self, ticket: idempotency.New, answer: Answer) -> None:
        try:
            await patiently(partial(self._repeats.finish, ticket, answer))
        finally:
            self._stop_renewing(ticket.owner)

    def _stop_renewing(self, name: str) -> None:
        task = self._renewals.pop(name, None)
        if task is not None:
            task.cancel()


def _cache_key(call: Call, admission: Admission) -> str:
    """The request and what serves it now: another route, engine or version makes another answer."""
    first = admission.attempts[0]
    served = f"{first.provider.name}/{first.route.model}/{__version__ if admission.local else first.provider.base_url}"
    return _digest(call.identity() + served.encode())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _told(answer: Answer, headers: dict[str, str]) -> Answer:
    # What was ignored is told of this request: another one that got the same answer may have sent other parameters.
    kept = {name: value for name, value in answer.headers.items() if name != IGNORED}
    return structs.replace(answer, headers={**kept, **headers})
