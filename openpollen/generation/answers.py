"""Answers that need not be made again: the cache of fixed seeds (rule 10), repeats with an Idempotency-Key, and paid
results that could not be delivered (rule 21).

``begin`` says whether an answer is there already. Whoever gets none makes it, then calls ``done`` or ``failed`` once.
"""

from __future__ import annotations

import asyncio
import hashlib
import time

from msgspec import Struct, structs

from openpollen import __version__
from openpollen.core.errors import Conflict, ServiceUnavailable
from openpollen.generation.admit import IGNORED, Admission
from openpollen.generation.call import Call
from openpollen.storage import idempotency
from openpollen.storage.answers import Answer
from openpollen.storage.cache import Cache
from openpollen.storage.idempotency import Idempotency

#: How long a repeat waits for the first request before it is told to come again, in seconds.
_WAIT = 600.0
_RENEW = 20.0
#: Largest answer that is kept: above it a repeat makes it again.
_MAX_KEPT = 64 * 1024 * 1024


class Repeat(Struct):
    """Where a call stands among its repeats. ``answer`` is set when nothing needs to be made, ``running`` when an earlier
    caller left while the answer was made; ``identity`` when one that cannot be delivered is to be kept."""

    answer: Answer | None = None
    ticket: idempotency.New | None = None
    running: asyncio.Task[Answer] | None = None
    cache_key: str = ""
    identity: str = ""

    @property
    def kept(self) -> bool:
        """Whether the answer will be asked for again."""
        return self.ticket is not None or bool(self.cache_key)


class Answers:
    """The stores of kept answers. ``delivery`` keeps what could not be sent, apart from the cache of seeds."""

    def __init__(self, cache: Cache, delivery: Cache, repeats: Idempotency) -> None:
        self._cache = cache
        self._delivery = delivery
        self._repeats = repeats
        self._renewals: dict[str, asyncio.Task[None]] = {}
        self._lost: dict[tuple[str, str], asyncio.Task[Answer]] = {}
        self._keepers: dict[tuple[str, str], asyncio.Task[None]] = {}

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
            if cached and repeat.answer is None and key is None and call.finishes(admission.free):
                repeat.identity = _digest(call.identity())
                await self._take_over(repeat, (call.caller.key_id, repeat.identity))
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
            await self._cache.put(call.caller.partition, repeat.cache_key, answer)
        if repeat.ticket is not None:
            await self._finish(repeat.ticket, answer)

    async def failed(self, repeat: Repeat) -> None:
        """Frees the key of a call that ended without a charge."""
        if repeat.ticket is not None:
            self._stop_renewing(repeat.ticket)
            await self._repeats.abandon(repeat.ticket)

    def lost(self, call: Call, repeat: Repeat, work: asyncio.Task[Answer]) -> None:
        """Keeps what is made for a client that left, for the next identical request of the same key; one that comes
        while it is still made takes over the waiting."""
        if not repeat.identity:
            return
        place = (call.caller.key_id, repeat.identity)
        self._lost[place] = work

        def made(_: asyncio.Task[Answer]) -> None:
            if self._lost.get(place) is not work:
                return  # somebody took it over
            del self._lost[place]
            if not repeat.cache_key and not work.cancelled() and work.exception() is None:
                keeper = asyncio.create_task(self._delivery.put(*place, work.result()))
                self._keepers[place] = keeper
                keeper.add_done_callback(lambda _: self._keepers.pop(place, None))

        work.add_done_callback(made)

    async def _take_over(self, repeat: Repeat, place: tuple[str, str]) -> None:
        """Gives the repeat what was made, or is still made, for a client that left; once."""
        if place in self._keepers:
            await asyncio.wait({self._keepers[place]})
        kept = None if place in self._lost else await self._delivery.take(*place)
        if kept is not None:
            repeat.answer = _told(kept, {"x-delivered-again": "true", "x-pollen-cost": "0"})
        else:
            # Looked at after the store, for a client may come again before its leaving is noticed.
            repeat.running = self._lost.pop(place, None)

    async def _repeat(self, call: Call, key: str) -> Repeat:
        body_hash = _digest(call.identity())
        deadline = time.monotonic() + _WAIT
        pause = 0.02
        while True:
            begun = await self._repeats.begin(call.caller.user.id, call.endpoint, key, body_hash)
            match begun:
                case idempotency.New():
                    self._renewals[begun.owner] = asyncio.create_task(self._renew(begun))
                    return Repeat(ticket=begun)
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

    async def _renew(self, ticket: idempotency.New) -> None:
        while await self._repeats.renew(ticket):
            await asyncio.sleep(_RENEW)

    async def _finish(self, ticket: idempotency.New, answer: Answer) -> None:
        self._stop_renewing(ticket)
        await self._repeats.finish(ticket, answer)

    def _stop_renewing(self, ticket: idempotency.New) -> None:
        task = self._renewals.pop(ticket.owner, None)
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
