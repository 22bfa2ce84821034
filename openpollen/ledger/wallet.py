"""The wallet: grant, hold, settle, release, as one worker uses it. With the journal it is the only writer of the
ledger's tables.

    hold     sets the most that a call can cost aside, in the wallet and in every key budget, or refuses with 402
    settle   charges the exact price once, gives the rest back and writes the usage row, all in one transaction
    release  settles at nothing

Holds live in the memory of this process, inside what it leased (``leases``); only a call that does not fit goes to the
database (``take``). A call settles once: a second settlement changes nothing and answers as the first did.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from msgspec import structs
from sqlalchemy import select

from openpollen.core.errors import Conflict, GatewayError, ServiceUnavailable
from openpollen.core.money import MAX_AMOUNT, format_pollen
from openpollen.ledger import credit, reclaim
from openpollen.ledger.entries import BUCKETS, Balances, Bucket, Hold, HoldRequest, Leg, Markup, Short, wallet_account
from openpollen.ledger.journal import Beat, Book, Close, Entry, Fenced, Journal, Pin, Pulse
from openpollen.ledger.leases import Leases, Move
from openpollen.ledger.lines import Lines, Waiter
from openpollen.ledger.spill import Spill, Unwritten
from openpollen.ledger.statements import LEASE_MS
from openpollen.ledger.take import Rejoined, Take, Taken, Unclaim, Wait
from openpollen.storage.database import Connection, Database
from openpollen.storage.schema import holds, usage
from openpollen.usage.record import Paid, UsageRow

log = logging.getLogger("openpollen")

_BEAT_SECONDS = 1.0
_IDLE_SECONDS = 5.0
#: The oldest charge that may wait to be written before calls are refused.
_OLDEST_SECONDS = 1.0
#: A worker stops holding this long before its leases run out, so that clocks need not agree.
_MARGIN_SECONDS = 1.0
_TRUSTED_SECONDS = LEASE_MS / 1000 - _MARGIN_SECONDS
#: A silent worker's recall is answered for it when its leases have run out.
_RECALL_SECONDS = LEASE_MS / 1000 + 2


class Wallet:
    """The ledger as one worker uses it.

    ``hold_wait`` is how long a call waits for money that other calls hold, in seconds. With ``intent`` every hold is
    on disk before it is given. ``backlog`` is how many charges may wait to be written. ``ring`` wakes other workers.
    ``spill`` keeps what could not be written before the end.
    """

    def __init__(
        self,
        database: Database,
        *,
        worker: str = "main",
        hold_wait: float = 2.0,
        intent: bool = False,
        strict: bool = False,
        backlog: int = 10_000,
        ring: Callable[[], None] | None = None,
        leases: Leases | None = None,
        spill: Spill | None = None,
    ) -> None:
        self._database = database
        self._worker = worker
        self._hold_wait = hold_wait
        self._intent = intent
        self._lazy = not (intent or strict)
        self._backlog = backlog
        self._ring = ring
        self._leases = leases or Leases()
        self._spill = spill
        self._journal = Journal(worker)
        self._run = self._journal.run
        self._lines = Lines(self._leases.hold, self._ask, self.release)
        self._wanted = asyncio.Event()
        self._doubtful = False
        self._owed: list[tuple[str, int]] = []
        self._drained: tuple[str, ...] = ()  # what the next beat tells to be drained: nothing is to grow meanwhile
        self._open: set[str] = set()
        self._tasks: set[asyncio.Future[Any]] = set()
        self._beating: asyncio.Task[None] | None = None

    # -- a call -----------------------------------------------------------------------------------------------------

    async def hold(self, request: HoldRequest) -> Hold:
        """Sets money aside for a call. An amount of 0 holds nothing and is never refused.
        The hold's own ``amount`` says what was set aside, for a request with ``least`` it may be less than asked.

        Raises PaymentRequired (reason wallet, key_budget or paid_only); Conflict when the request id is in use;
        ServiceUnavailable when charges cannot be written.
        """
        if request.amount == 0:
            return Hold(request)
        if request.request_id in self._open:
            raise Conflict("This request id was used before.", reason="request_id")
        self._check_backlog()
        if self._journal.over and self._journal.over == self._leases.epoch:
            self._leases.start(0)
        busy = self._lines.waiting and self._lines.busy(request.user_id)
        hold = None if busy else self._leases.hold(request)
        self._open.add(request.request_id)
        try:
            if hold is None:
                hold = await self._lines.wait(request, self._hold_wait)
            while request.durable or self._intent:
                if await self._pin(hold):
                    break
                hold = await self._lines.wait(request, self._hold_wait)
        except BaseException:
            self._open.discard(request.request_id)
            raise
        return hold

    def settle(self, hold: Hold, actual: int, row: UsageRow) -> asyncio.Future[Paid]:
        """Ends a hold at the exact price and records the request, once. The future is done when both are on disk.

        It is queued at once, so a caller that is cancelled or does not await still pays. A price above the hold is
        taken from what wallet, budgets and ``max_cost`` still allow; the rest is booked to the platform as shortfall. An
        author's markup is taken of what is held, after the price.
        """
        if hold.ended is not None:
            return hold.ended
        actual = min(actual, MAX_AMOUNT)
        cap = hold.request.max_cost
        due = actual if cap is None else min(actual, cap)
        if due <= hold.amount:
            share = 0 if hold.request.markup is None else _share(hold, hold.request.markup, due)
            hold.due = due + share
            hold.ended = self._close(hold, due + share, actual, row, share=share)
        else:
            task = asyncio.ensure_future(self._settle_beyond(hold, due, actual, row))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            hold.ended = asyncio.shield(task)
        return hold.ended

    def release(self, hold: Hold, row: UsageRow | None = None) -> asyncio.Future[Paid]:
        """Gives a hold back whole. With a row, the free request is recorded."""
        if hold.ended is None:
            hold.ended = self._close(hold, 0, 0, row)
        return hold.ended

    def book(self, request_id: str, provider: str, amount: int) -> None:
        """Books to the platform what a provider bills for an attempt whose result the caller did not get (rule 28)."""
        if amount > 0:
            self._submit(Book(request_id, provider, min(amount, MAX_AMOUNT)), lazy=True, must=True)

    async def resume(self, request: HoldRequest) -> Hold | None:
        """The stored hold of a request, for a job that another process began; ``None`` when it is gone."""

        def look(connection: Connection) -> dict[str, int]:
            mine = select(holds.c.account_id, holds.c.amount).where(holds.c.request_id == request.request_id)
            return {row.account_id: row.amount for row in connection.execute(mine)}

        found = await self._database.read(look)
        names: dict[Bucket, str] = {bucket: wallet_account(request.user_id, bucket) for bucket in BUCKETS}
        legs = [Leg(name, found.pop(name), bucket) for bucket, name in names.items() if name in found]
        amount = sum(leg.amount for leg in legs)
        legs += [Leg(name, held) for name, held in found.items()]
        return Hold(request, amount, tuple(legs), stored=True) if legs else None

    async def charged(self, request_id: str) -> int:
        """What was charged for a request that is settled; 0 for one that is not."""
        mine = select(usage.c.charged).where(usage.c.request_id == request_id)
        return await self._database.read(lambda connection: connection.execute(mine).scalar_one_or_none()) or 0

    # -- money from outside -----------------------------------------------------------------------------------------

    async def grant(self, user_id: str, amount: int, bucket: Bucket, reason: str, actor: str) -> Balances:
        """Adds credit from outside to a bucket and returns the wallet after it."""
        after = await self._database.write(
            lambda connection: credit.grant(connection, user_id, amount, bucket, reason, actor)
        )
        self._lines.moved(user_id)
        return after

    async def balances(self, user_id: str) -> Balances:
        """The buckets of a user's wallet."""
        return await self._database.read(lambda connection: credit.balances(connection, user_id))

    # -- the worker's life ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins the heartbeat that keeps leases alive and answers recalls."""
        self._beating = asyncio.create_task(self._beat_on())

    async def stop(self) -> None:
        """Ends the heartbeat, writes what is queued and gives every lease back."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        troubled = self._database.congested(self._backlog, _OLDEST_SECONDS)
        if self._leases.epoch and not troubled:  # else time is short, and the next start gives the leases back
            try:
                await self._leave()
            except GatewayError as fault:
                log.warning("what was leased is given back later: %s", fault.message)

    async def recover(self) -> int:
        """Charges what an earlier process could not write before it had to stop, and returns how much that was."""
        if self._spill is None:
            return 0
        self._spill.prepare()
        done = 0
        for kept in self._spill.take():
            if not await self._database.read(partial(_settled, request_id=kept.request.request_id)):
                hold = Hold(structs.replace(kept.request, amount=0, durable=False))
                await self.settle(hold, kept.price, kept.row)
                done += 1
        if done:
            log.warning("%d charges were written that could not be before the last stop", done)
        return done

    async def beat(self) -> None:
        """One heartbeat: renews the leases, gives back idle ones and those that others recall."""
        if not self._leases.epoch:
            return
        if self._doubtful and self._leases.quiet and not self._database.waiting:
            # A visit to the ledger had no certain outcome: begin anew, with what memory and database agree on.
            self._doubtful = False
            await self._leave()
            return
        returns = self._owed + self._leases.idle(_IDLE_SECONDS)
        self._owed = []
        self._drained = tuple[str, ...]()
        while True:
            started = time.monotonic()
            try:
                pulse = cast(Pulse, await self._submit(Beat(self._leases.epoch, returns, self._drained)))
            except BaseException:
                self._doubtful = True  # what went back and what did not is settled by leaving, once all is quiet
                raise
            if pulse.epoch != self._leases.epoch:
                self._leases.start(pulse.epoch)
            self._leases.valid_until = started + _TRUSTED_SECONDS
            if returns or self._drained:
                self._wake_others()
            self._drained = tuple(account for account in pulse.asked if account not in self._drained)
            if not self._drained:
                return
            returns = self._leases.drain(self._drained)

    async def _leave(self) -> None:
        epoch = self._leases.epoch
        self._leases.start(0)
        await self._submit(Beat(epoch, leave=True))

    async def reclaim(self, worker: str) -> int:
        """Gives back what a dead worker had set aside; see ``reclaim.Reclaim``. Returns the number of stored holds
        among it. The holds of stored jobs stay: their jobs answer for them."""
        return await self._database.submit(reclaim.run, reclaim.Reclaim(worker))

    async def sweep(self) -> int:
        """Gives back stored holds that outlived their limit, and returns their number. Run it about once a minute."""
        return await self._database.submit(reclaim.sweep, None)

    def woken(self) -> None:
        """Another worker rang: looks at once whether it recalls something, and wakes who waits here."""
        self._lines.moved()
        self._wanted.set()

    async def _beat_on(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_BEAT_SECONDS):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                await self.beat()
            except GatewayError as fault:
                log.warning("the ledger could not be reached: %s", fault.message)

    # -- the slow way to a hold ---------------------------------------------------------------------------------------

    async def _ask(self, waiter: Waiter) -> Hold | None:
        """Asks the ledger until the request fits or its time is up; ``None`` when its caller left."""
        request, claim = waiter.request, None
        try:
            while not waiter.future.cancelled():
                if (hold := self._leases.hold(request)) is not None:
                    return hold
                now = time.monotonic()
                outcome = await self._take(request, claim, last=now >= waiter.deadline)
                if isinstance(outcome, Hold):
                    claim = None
                    return outcome
                if isinstance(outcome, Short):
                    claim = None
                    raise outcome.error()
                if isinstance(outcome, Wait):
                    claim = outcome.claim
                    if outcome.recalled:
                        self._wake_others()
                    if now > waiter.deadline + _RECALL_SECONDS:
                        raise ServiceUnavailable(
                            "Another worker did not answer for the money it had leased. Try again in a moment.",
                            retry_after=2,
                        )
                    await waiter.pause(until=None if outcome.recalled else waiter.deadline)
            return None
        finally:
            if claim is not None:
                self._submit(Unclaim(claim))

    async def _take(self, request: HoldRequest, claim: int | None, *, last: bool) -> object:
        """One visit to the ledger. What it draws is held for the request before anything else can happen to it."""
        started = time.monotonic()
        budgets = self._leases.budget_accounts(request)
        have = self._leases.have(request, budgets)
        entry = Take(request, self._worker, self._leases.epoch, budgets, have, claim, last)
        future = self._submit(entry)
        holds: list[Hold] = []

        def bring(done: asyncio.Future[object]) -> None:
            if done.cancelled() or done.exception() is not None:
                self._doubtful = True
                return
            match done.result():
                case Taken(drawn, amount, contended) if entry.epoch == self._leases.epoch:
                    self._leases.add(request.user_id, drawn)
                    self._leases.valid_until = max(self._leases.valid_until, started + _TRUSTED_SECONDS)
                    hold = self._leases.hold(structs.replace(request, amount=amount, least=None))
                    if hold is not None:
                        hold.request = request
                        holds.append(hold)
                    if contended or not drawn.keys().isdisjoint(self._drained):
                        self._owed += self._leases.drain(drawn)
                        self._wanted.set()
                case Rejoined(epoch):
                    self._leases.start(epoch)
                    self._leases.valid_until = started + _TRUSTED_SECONDS
                case _:
                    pass

        future.add_done_callback(bring)
        try:
            outcome = await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(lambda _: [self.release(hold) for hold in holds])
            raise
        return holds[0] if holds else outcome

    async def _pin(self, hold: Hold) -> bool:
        """Stores a hold by itself. False when its leases were taken back meanwhile."""
        legs = [(leg.account, leg.amount) for leg in hold.legs]
        self._leases.pin(hold)
        future = self._submit(Pin(hold, legs, None if hold.request.durable else self._worker))
        try:
            return not isinstance(await asyncio.shield(future), Fenced)
        except asyncio.CancelledError:
            self.release(hold)
            raise
        except GatewayError:
            self._doubtful = True
            raise

    # -- the way to the journal -----------------------------------------------------------------------------------------

    def _close(
        self, hold: Hold, due: int, actual: int, row: UsageRow | None, extra: Hold | None = None, share: int = 0
    ) -> asyncio.Future[Paid]:
        """Ends a hold, and what was held on top of it, at ``due``, of which ``share`` is an author's; queues what the
        ledger must know of it."""
        request, epoch = hold.request, self._leases.epoch
        self._open.discard(request.request_id)
        moves: list[Move] = []
        stored: Sequence[Move] = ()
        freed: Bucket | None = None
        alone, waiting = self._journal.alone, self._lines.waiting
        for part in (hold,) if extra is None else (hold, extra):
            paid = due if due < part.amount else part.amount
            due -= paid
            if part.stored:
                stored = self._leases.close(part, paid)
            elif part.epoch == epoch:
                moves += self._leases.close(part, paid)
                freed = freed or (None if alone else _left_over(part, paid))
        if row is None and not moves and not stored:
            self._lines.moved(request.user_id)
            return _done(Paid(0))
        lazy = self._lazy and not waiting
        for move in moves:
            lazy = lazy and not move.returned
        entry = Close(request, actual, epoch, moves, stored, row, freed, share)
        future: asyncio.Future[Any] = self._database.submit(
            self._run, entry, lazy=lazy, must=True, lost=self._unwritten
        )
        if waiting or not alone:
            future.add_done_callback(lambda _: self._moved(request.user_id))
        return future

    async def _settle_beyond(self, hold: Hold, due: int, actual: int, row: UsageRow) -> Paid:
        """Settles a price above the hold: holds as much of the difference as there is, then settles both."""
        more = HoldRequest(
            hold.request.request_id,
            hold.request.user_id,
            due - hold.amount,
            hold.request.budgets,
            hold.request.paid_only,
            least=1,
            share=1.0,
        )
        extra: Hold | None = None
        with contextlib.suppress(Exception):
            extra = await self._ask(Waiter(more, time.monotonic()))
        return await self._close(hold, due, actual, row, extra)

    def _unwritten(self, entry: Close, error: Exception) -> None:
        """A settlement that was not written. One that the database refused: nobody is charged, what was held is free again,
        and the platform bears the price. One that could not be written before the end is kept for the next start."""
        request = entry.request
        if isinstance(error, ServiceUnavailable) and entry.row is not None and self._spill is not None:
            if not request.durable:  # else its stored job settles
                at = entry.row.at or int(time.time() * 1000)
                self._spill.keep(Unwritten(request, entry.price, structs.replace(entry.row, at=at)))
            return
        log.critical("%s: %s pollen could not be charged: %s", request.request_id, format_pollen(entry.price), error)
        if entry.epoch == self._leases.epoch:
            self._owed += self._leases.restore(entry.moves)
        if entry.stored:
            back = [Move(move.account, move.bucket, 0, move.charged + move.returned) for move in entry.stored]
            self._submit(Close(request, 0, entry.epoch, (), back), must=True)
        if entry.row is not None:
            self.book(request.request_id, entry.row.provider or "", entry.price)
        self._lines.moved(request.user_id)

    def _submit(self, entry: Entry, *, lazy: bool = False, must: bool = False) -> asyncio.Future[object]:
        return self._database.submit(self._run, entry, lazy=lazy, must=must)

    def _moved(self, user_id: str) -> None:
        self._lines.moved(user_id)
        if self._journal.ring:
            self._journal.ring = False
            self._wake_others()

    def _wake_others(self) -> None:
        if self._ring is not None and not self._journal.alone:
            self._ring()

    def _check_backlog(self) -> None:
        if self._database.congested(self._backlog, _OLDEST_SECONDS):
            raise ServiceUnavailable(
                "Charges cannot be written fast enough right now; nothing was done. Try again in a moment.",
                reason="ledger_backlog",
                retry_after=2,
            )


def _settled(connection: Connection, request_id: str) -> bool:
    return connection.execute(select(usage.c.id).where(usage.c.request_id == request_id)).first() is not None


def _share(hold: Hold, markup: Markup, price: int) -> int:
    """The author's part on top of a price: of what crypto and pack pay of it, as far as it is held."""
    tier = sum(leg.amount for leg in hold.legs if leg.bucket == "tier")
    return min(markup.on(max(0, price - tier)), hold.amount - price)


def _left_over(hold: Hold, paid: int) -> Bucket | None:
    """The bucket in which a hold leaves money that is spent before what others may have leased."""
    for leg in hold.legs:
        if leg.bucket is not None and leg.bucket != BUCKETS[-1]:
            if paid < leg.amount:
                return leg.bucket
            paid -= leg.amount
    return None


def _done(paid: Paid) -> asyncio.Future[Paid]:
    future: asyncio.Future[Paid] = asyncio.get_running_loop().create_future()
    future.set_result(paid)
    return future
