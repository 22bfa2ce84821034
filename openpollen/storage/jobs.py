"""Rows of long work, such as a video. A worker keeps a job by renewing its lease; a job whose lease is over is an
orphan for anyone.

    queued -> running -> done | failed          a finished job never changes again

A job that its owner cancelled is gone for the owner at once; its row goes when whoever runs it has stopped the work.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import Row, Select, delete, insert, or_, select, update

from openpollen.core.errors import NotFound
from openpollen.core.ids import new_id
from openpollen.storage.database import Connection, Database
from openpollen.storage.schema import jobs as table

Status = Literal["queued", "running", "done", "failed"]

_OPEN = ("queued", "running")
#: A worker's lease of a job; it is renewed when half of it is over.
LEASE_SECONDS = 10.0
_DAY_MS = 86_400_000
#: Days for which a finished job is shown: as long as media lives, and for a film that was waited for until it is delivered.
_KEPT_DAYS = {"video": 14, "film": 1}


class JobRow(Struct, frozen=True):
    """A stored job. ``request``, ``work`` and ``result`` are JSON text of whoever runs it; times are milliseconds."""

    id: str
    user_id: str
    key_id: str | None
    kind: str
    status: Status
    progress: int
    request: str
    request_id: str
    work: str | None
    provider: str | None
    upstream_id: str | None
    media_id: str | None
    result: str | None
    error: str | None
    cancelled: int
    worker: str | None
    lease_until: int
    created_at: int
    updated_at: int


class Look(Struct, frozen=True):
    """What a worker must do about the open jobs: ``cancelled`` are its own that nobody wants, ``lost`` those that
    another worker has taken over, ``orphans`` tells that some have no worker."""

    cancelled: frozenset[str]
    lost: frozenset[str]
    orphans: bool


class Jobs:
    """The jobs of an installation, as one worker sees them."""

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self._worker = worker

    async def create(
        self, kind: str, user_id: str, key_id: str | None, request: str, request_id: str, work: str | None = None
    ) -> JobRow:
        """Stores a new job, kept by this worker."""
        now = int(time.time() * 1000)
        job = JobRow(
            id=new_id("video" if kind == "film" else kind),
            user_id=user_id,
            key_id=key_id,
            kind=kind,
            status="queued",
            progress=0,
            request=request,
            request_id=request_id,
            work=work,
            provider=None,
            upstream_id=None,
            media_id=None,
            result=None,
            error=None,
            cancelled=0,
            worker=self._worker,
            lease_until=now + round(LEASE_SECONDS * 1000),
            created_at=now,
            updated_at=now,
        )
        values = {column.name: getattr(job, column.name) for column in table.columns}
        await self._database.write(lambda connection: connection.execute(insert(table).values(values)).rowcount)
        return job

    async def update(self, job_id: str, **values: Any) -> bool:
        """Changes columns of an open job of this worker and renews its lease; false when the job is another's or
        over."""
        now = int(time.time() * 1000)
        times = {"updated_at": now, "lease_until": now + round(LEASE_SECONDS * 1000)}
        statement = update(table).where(*self._mine(job_id)).values({**times, **values})
        return await self._database.write(lambda connection: connection.execute(statement).rowcount == 1)

    async def hand_over(self, job_id: str) -> None:
        """Lets go of an open job: any worker may take it up now."""
        await self.update(job_id, lease_until=0)

    async def forget(self, job_id: str) -> None:
        """Removes an open job of this worker that came to nothing or is not wanted any more."""
        statement = delete(table).where(*self._mine(job_id))
        await self._database.write(lambda connection: connection.execute(statement).rowcount)

    async def get(self, job_id: str, user_id: str | None = None) -> JobRow:
        """A job, of this user where one is given. Raises NotFound, also for one that was cancelled."""
        row = await self._database.read(
            lambda connection: connection.execute(select(table).where(table.c.id == job_id)).one_or_none()
        )
        if row is None or row.cancelled or (user_id is not None and row.user_id != user_id):
            raise NotFound("There is no such job.")
        return _job(row)

    async def of_request(self, request_id: str) -> JobRow | None:
        """The job that a request began, if it was submitted and has not failed."""
        row = await self._database.read(lambda connection: connection.execute(_going(request_id)).one_or_none())
        return None if row is None else _job(row)

    async def list(
        self, user_id: str, *, kind: str, limit: int = 20, after: str | None = None, oldest: bool = False
    ) -> Sequence[JobRow]:
        """A user's jobs, the newest first or the ``oldest``; ``after`` is the id of the last one seen. Ids sort by time."""
        wanted = select(table).where(table.c.user_id == user_id, table.c.kind == kind, table.c.cancelled == 0)
        if after is not None:
            wanted = wanted.where(table.c.id > after if oldest else table.c.id < after)
        page = wanted.order_by(table.c.id.asc() if oldest else table.c.id.desc()).limit(limit)
        return [_job(row) for row in await self._database.read(lambda connection: connection.execute(page).all())]

    async def cancel(self, job_id: str, user_id: str) -> bool:
        """Marks a user's open job as not wanted; false when it is not open or not theirs."""
        statement = (
            update(table)
            .where(table.c.id == job_id, table.c.user_id == user_id, table.c.status.in_(_OPEN))
            .values(cancelled=1)
        )
        return await self._database.write(lambda connection: connection.execute(statement).rowcount == 1)

    async def delete(self, job_id: str, user_id: str) -> None:
        """Removes a user's finished job. Raises NotFound for one that is unknown, another's or still open."""
        statement = delete(table).where(table.c.id == job_id, table.c.user_id == user_id, table.c.status.not_in(_OPEN))
        if await self._database.write(lambda connection: connection.execute(statement).rowcount) == 0:
            raise NotFound("There is no such finished job.")

    async def look(self, mine: Sequence[str]) -> Look:
        """Renews the leases of this worker's jobs where it is time, and tells what has changed about open jobs."""
        now = int(time.time() * 1000)
        columns = table.c.id, table.c.worker, table.c.cancelled, table.c.lease_until
        every = select(*columns).where(table.c.status.in_(_OPEN))
        rows = await self._database.read(lambda connection: connection.execute(every).all())
        own = {row.id: row for row in rows if row.worker == self._worker and row.id in mine}
        due = [job_id for job_id, row in own.items() if row.lease_until < now + LEASE_SECONDS * 500]
        if due:
            until = now + round(LEASE_SECONDS * 1000)
            renewed = update(table).where(
                table.c.id.in_(due), table.c.worker == self._worker, table.c.status.in_(_OPEN)
            )
            await self._database.write(
                lambda connection: connection.execute(renewed.values(lease_until=until)).rowcount
            )
        return Look(
            frozenset(job_id for job_id, row in own.items() if row.cancelled),
            frozenset(row.id for row in rows if row.id in mine and row.worker != self._worker),
            any(row.lease_until < now for row in rows if row.id not in own),
        )

    async def claim_orphan(self, kind: str | None = None) -> JobRow | None:
        """Takes over the oldest open job whose worker let its lease run out; ``None`` when there is none."""
        return await self._database.write(lambda connection: self._claim(connection, kind))

    def _claim(self, connection: Connection, kind: str | None) -> JobRow | None:
        now = int(time.time() * 1000)
        orphan = [table.c.status.in_(_OPEN), table.c.lease_until < now]
        if kind is not None:
            orphan.append(table.c.kind == kind)
        oldest = select(table.c.id).where(*orphan).order_by(table.c.created_at).limit(1).scalar_subquery()
        values = {"worker": self._worker, "lease_until": now + round(LEASE_SECONDS * 1000), "updated_at": now}
        # The lease is looked at again with the row locked: of two that saw the same orphan one gets it.
        claimed = update(table).where(table.c.id == oldest, table.c.lease_until < now).values(**values).returning(table)
        row = connection.execute(claimed).one_or_none()
        return None if row is None else _job(row)

    async def sweep(self) -> int:
        """Removes what ended long ago, and the prompts with it; returns how many jobs went."""
        now = int(time.time() * 1000)
        old = [
            (table.c.kind == kind) & (table.c.updated_at < now - days * _DAY_MS) for kind, days in _KEPT_DAYS.items()
        ]
        gone = delete(table).where(or_(*old), table.c.status.not_in(_OPEN))
        return await self._database.write(lambda connection: connection.execute(gone).rowcount)

    def _mine(self, job_id: str) -> tuple[Any, ...]:
        return table.c.id == job_id, table.c.worker == self._worker, table.c.status.in_(_OPEN)


def begun(connection: Connection, request_id: str) -> bool:
    """Whether a request began a job that goes on without it."""
    return connection.execute(_going(request_id)).first() is not None


def _going(request_id: str) -> Select[Any]:
    wanted = table.c.status != "failed", table.c.cancelled == 0, table.c.upstream_id.is_not(None)
    return select(table).where(table.c.request_id == request_id, *wanted)


def _job(row: Row[Any]) -> JobRow:
    return JobRow(**{column.name: getattr(row, column.name) for column in table.columns})
