"""Paid answers that are not lost when their client leaves (rule 21): the next identical request of the same key gets them.
Media it takes over on any worker, also while they are still made; a chat is kept once it is ready and nobody is there.

    attended -> left (the client is gone) -> taken by the next request -> gone when that has it
    taken -> left again when that one leaves too

An attended row whose worker died counts as left where a job goes on with the work.
"""

from __future__ import annotations

import time

from msgspec import Struct
from sqlalchemy import delete, insert, select, update

from openpollen.storage import answers, jobs
from openpollen.storage.answers import Answer, Refund, no_refund
from openpollen.storage.blobs import Blobs
from openpollen.storage.database import Connection, Database
from openpollen.storage.schema import deliveries as table

_DAY_MS = 86_400_000
_LEASE_MS = 60_000
_LOOK_SECONDS = 1.0
#: What was taken or is over leaves the memory of workers with the next full look.
_FORGET_SECONDS = 600.0


class Found(Struct, frozen=True):
    """What an identical request left and nobody has finished yet: ``job`` when it is the work of a stored job."""

    request_id: str
    job: bool


class Attended(Struct, frozen=True):
    """An identical request is being served: its client may be about to be missed, or its worker, if ``job``."""

    job: bool


class Deliveries:
    """The store of one installation, shared by its workers; ``worker`` is the name of this one. ``refund`` gives back
    what a request was charged whose answer is lost."""

    def __init__(self, database: Database, blobs: Blobs, worker: str = "", refund: Refund = no_refund) -> None:
        self._database = database
        self._blobs = blobs.part("deliveries")
        self._worker = worker
        self._refund = refund
        self._left: dict[str, set[str]] = {}
        self._looked = self._forgot = float("-inf")
        self._since = 0

    async def begin(self, key_id: str, identity: str, request_id: str) -> None:
        """Notes that something is made for a client that waits. ``renew`` it at least every 30 seconds."""
        now = int(time.time() * 1000)
        names = {"request_id": request_id, "key_id": key_id, "identity": identity, "worker": self._worker}
        row = {**names, "state": "attended", "lease_until": now + _LEASE_MS, "expires_at": now + _DAY_MS}
        await self._database.write(lambda connection: connection.execute(insert(table).values(row)).rowcount)

    async def renew(self, request_id: str) -> bool:
        """Extends the lease; false when there is none any more."""
        until = int(time.time() * 1000) + _LEASE_MS
        mine = update(table).where(table.c.request_id == request_id, table.c.worker == self._worker)
        return await self._database.write(
            lambda connection: connection.execute(mine.values(lease_until=until)).rowcount == 1
        )

    async def left(self, request_id: str) -> None:
        """The client is gone: the next identical request may have it, for a day from now on."""
        day = int(time.time() * 1000) + _DAY_MS
        gone = update(table).where(table.c.request_id == request_id).values(state="left", expires_at=day)
        await self._database.write(lambda connection: connection.execute(gone).rowcount)

    async def finish(self, request_id: str, answer: Answer) -> None:
        """Keeps what was made for 24 hours."""
        expires_at = int(time.time() * 1000) + _DAY_MS

        def write(connection: Connection, columns: dict[str, object]) -> None:
            row = update(table).where(table.c.request_id == request_id)
            connection.execute(row.values(**columns, expires_at=expires_at))

        await answers.store(self._database, self._blobs, answer, write)

    async def keep(self, key_id: str, identity: str, request_id: str, answer: Answer) -> None:
        """Keeps an answer whose client left, for the next identical request of the same key."""
        await self.begin(key_id, identity, request_id)
        await self.finish(request_id, answer)
        await self.left(request_id)
        self._left.setdefault(key_id, set()).add(identity)

    async def has_any(self, key_id: str) -> bool:
        """Whether something was left for this key: at once for what was left with this worker, a second later for that
        of others. Cheap, it is asked for each chat."""
        now = time.monotonic()
        if now - self._looked > _LOOK_SECONDS:
            if now - self._forgot > _FORGET_SECONDS:
                self._forgot, self._since, self._left = now, 0, {}
            self._looked = now
            await self._look()
        return key_id in self._left

    def has(self, key_id: str, identity: str) -> bool:
        """Whether ``has_any`` saw just this request among what was left."""
        return identity in self._left.get(key_id, ())

    def _forget(self, key_id: str, identity: str) -> None:
        """There is nothing more of it: another worker may have given it out."""
        if rest := self._left.pop(key_id, set()) - {identity}:
            self._left[key_id] = rest

    async def _look(self) -> None:
        """Reads what was left since the last look; such rows are dated ahead by a day."""
        now = int(time.time() * 1000)
        waiting = select(table.c.key_id, table.c.identity).where(
            table.c.state == "left", table.c.expires_at > max(now, self._since)
        )
        self._since = now + _DAY_MS - _LEASE_MS
        for key_id, identity in await self._database.read(lambda connection: connection.execute(waiting).all()):
            self._left.setdefault(key_id, set()).add(identity)

    async def drop(self, request_id: str) -> None:
        """It was delivered, or came to nothing. The next sweep removes it and its bytes."""
        over = update(table).where(table.c.request_id == request_id).values(expires_at=0)
        await self._database.write(lambda connection: connection.execute(over).rowcount)

    async def take(self, key_id: str, identity: str) -> Found | Attended | None:
        """What an identical request of the same key left, for this one alone; ``None`` when there is nothing."""
        now = int(time.time() * 1000)
        same = (table.c.key_id == key_id, table.c.identity == identity, table.c.expires_at > now)
        if await self._database.read(lambda connection: connection.execute(select(table).where(*same)).first()) is None:
            self._forget(key_id, identity)
            return None
        return await self._database.write(
            lambda connection: _take(connection, key_id, identity, self._worker, self._refund)
        )

    async def answer(self, request_id: str) -> Answer | Found | None:
        """How something taken over stands: its answer, that it is still made, or ``None`` when it came to nothing."""
        now = int(time.time() * 1000)
        here = select(table).where(table.c.request_id == request_id, table.c.expires_at > now)

        def look(connection: Connection) -> object:
            row = connection.execute(here).one_or_none()
            if row is None or row.status is not None:
                return row
            job = jobs.begun(connection, request_id)
            return Found(request_id, job) if job or row.lease_until > now else None

        found = await self._database.read(look)
        if found is None or isinstance(found, Found):
            return found
        return await answers.load(self._blobs, found)  # type: ignore[arg-type]  # a row of this table

    async def sweep(self) -> int:
        """Removes what is over and returns how much."""
        now = int(time.time() * 1000)
        return await self._database.write(lambda connection: answers.expire(connection, table, self._blobs, now))


def _take(connection: Connection, key_id: str, identity: str, worker: str, refund: Refund) -> Found | Attended | None:
    now = int(time.time() * 1000)
    same = (table.c.key_id == key_id, table.c.identity == identity, table.c.expires_at > now)
    attended: Attended | None = None
    for row in connection.execute(select(table).where(*same).order_by(table.c.request_id)).all():
        here = table.c.request_id == row.request_id
        alive = row.status is not None or row.lease_until > now
        job = row.status is None and jobs.begun(connection, row.request_id)
        if alive and row.state != "left":
            if row.status is None:
                attended = Attended(job or (attended is not None and attended.job))
            continue
        if not alive and not job:
            connection.execute(delete(table).where(here))
            refund(connection, row.request_id)  # its worker died before the answer was kept
            continue
        # A job needs its worker no more: from now on the row stands and falls with whoever took it.
        kept = {"worker": worker, "lease_until": now + _LEASE_MS} if job else {}
        unchanged = (table.c.state == row.state, table.c.worker == row.worker, table.c.lease_until == row.lease_until)
        taken = update(table).where(here, *unchanged).values(state="taken", **kept)
        if connection.execute(taken).rowcount == 1:
            return Found(row.request_id, job)
    return attended
