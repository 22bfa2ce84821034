"""Rows of long work, such as a video. A worker keeps a job by renewing its lease; a job whose lease is over is an
orphan for anyone.

    queued -> running -> done | failed          a finished job never changes again
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import Row, delete, insert, select, update

from openpollen.core.errors import NotFound
from openpollen.core.ids import new_id
from openpollen.storage.database import Connection, Database
from openpollen.storage.schema import jobs as table

Status = Literal["queued", "running", "done", "failed"]

_OPEN = ("queued", "running")
LEASE_SECONDS = 30.0


class JobRow(Struct, frozen=True):
    """A stored job. ``request`` and ``result`` are JSON text of whoever runs it; times are milliseconds."""

    id: str
    user_id: str
    key_id: str | None
    kind: str
    status: Status
    progress: int
    request: str
    request_id: str
    provider: str | None
    upstream_id: str | None
    media_id: str | None
    result: str | None
    error: str | None
    worker: str | None
    lease_until: int
    created_at: int
    updated_at: int


class Jobs:
    """The jobs of an installation, as one worker sees them."""

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self._worker = worker

    async def create(self, kind: str, user_id: str, key_id: str | None, request: str, request_id: str) -> JobRow:
        """Stores a new job, kept by this worker."""
        now = int(time.time() * 1000)
        job = JobRow(
            id=new_id(kind),
            user_id=user_id,
            key_id=key_id,
            kind=kind,
            status="queued",
            progress=0,
            request=request,
            request_id=request_id,
            provider=None,
            upstream_id=None,
            media_id=None,
            result=None,
            error=None,
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
        mine = (table.c.id == job_id, table.c.worker == self._worker, table.c.status.in_(_OPEN))
        times = {"updated_at": now, "lease_until": now + round(LEASE_SECONDS * 1000)}
        statement = update(table).where(*mine).values(**values, **times)
        return await self._database.write(lambda connection: connection.execute(statement).rowcount == 1)

    async def get(self, job_id: str, user_id: str | None = None) -> JobRow:
        """A job, of this user where one is given. Raises NotFound."""
        row = await self._database.read(
            lambda connection: connection.execute(select(table).where(table.c.id == job_id)).one_or_none()
        )
        if row is None or (user_id is not None and row.user_id != user_id):
            raise NotFound("There is no such job.")
        return _job(row)

    async def list(self, user_id: str, *, kind: str, limit: int = 20, after: str | None = None) -> Sequence[JobRow]:
        """A user's jobs, the newest first; ``after`` is the id of the last one seen. Ids sort by time."""
        wanted = select(table).where(table.c.user_id == user_id, table.c.kind == kind)
        if after is not None:
            wanted = wanted.where(table.c.id < after)
        newest = wanted.order_by(table.c.id.desc()).limit(limit)
        return [_job(row) for row in await self._database.read(lambda connection: connection.execute(newest).all())]

    async def delete(self, job_id: str, user_id: str) -> None:
        """Removes a user's finished job. Raises NotFound for one that is unknown, another's or still open."""
        statement = delete(table).where(table.c.id == job_id, table.c.user_id == user_id, table.c.status.not_in(_OPEN))
        if await self._database.write(lambda connection: connection.execute(statement).rowcount) == 0:
            raise NotFound("There is no such finished job.")

    async def claim_orphan(self, kind: str) -> JobRow | None:
        """Takes over the oldest open job whose worker let its lease run out; ``None`` when there is none."""
        return await self._database.write(lambda connection: self._claim(connection, kind))

    def _claim(self, connection: Connection, kind: str) -> JobRow | None:
        now = int(time.time() * 1000)
        orphan = (table.c.kind == kind, table.c.status.in_(_OPEN), table.c.lease_until < now)
        oldest = select(table.c.id).where(*orphan).order_by(table.c.created_at).limit(1).scalar_subquery()
        values = {"worker": self._worker, "lease_until": now + round(LEASE_SECONDS * 1000), "updated_at": now}
        claimed = update(table).where(table.c.id == oldest).values(**values).returning(table)
        row = connection.execute(claimed).one_or_none()
        return None if row is None else _job(row)


def _job(row: Row[Any]) -> JobRow:
    return JobRow(**{column.name: getattr(row, column.name) for column in table.columns})
