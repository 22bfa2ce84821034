"""Answers to requests with a fixed seed (rule 10), each in the partition of those who may see it."""

from __future__ import annotations

import time

from sqlalchemy import delete, insert, select, update

from openpollen.storage import answers
from openpollen.storage.answers import Answer
from openpollen.storage.blobs import Blobs
from openpollen.storage.database import Connection, Database
from openpollen.storage.schema import cached_answers as table

DAY = 86_400


class Cache:
    """``partition`` says who shares the answer, ``key`` is the SHA-256 of the canonical request and what serves it."""

    def __init__(self, database: Database, blobs: Blobs, *, seconds: float = 30 * DAY) -> None:
        self._database = database
        self._blobs = blobs.part("cache")
        self._seconds = seconds

    async def get(self, partition: str, key: str) -> Answer | None:
        """The cached answer, ``None`` when there is none or it is too old."""
        here = (table.c.partition == partition, table.c.key == key, table.c.expires_at > int(time.time() * 1000))
        row = await self._database.read(lambda connection: connection.execute(select(table).where(*here)).one_or_none())
        return None if row is None else await answers.load(self._blobs, row)

    async def put(self, partition: str, key: str, answer: Answer) -> None:
        """Keeps an answer, in place of an older one."""
        now = int(time.time() * 1000)
        place = {"partition": partition, "key": key, "created_at": now, "expires_at": now + round(self._seconds * 1000)}

        def write(connection: Connection, columns: dict[str, object]) -> None:
            connection.execute(delete(table).where(table.c.partition == partition, table.c.key == key))
            connection.execute(insert(table).values(**place, **columns))

        await answers.store(self._database, self._blobs, answer, write)

    async def take(self, partition: str, key: str) -> Answer | None:
        """The kept answer, once: whoever gets it is the only one."""
        here = (table.c.partition == partition, table.c.key == key, table.c.expires_at > int(time.time() * 1000))
        gone = update(table).where(*here).values(expires_at=0).returning(table)
        row = await self._database.write(lambda connection: connection.execute(gone).one_or_none())
        return None if row is None else await answers.load(self._blobs, row)

    async def forget(self, partition: str) -> None:
        """Drops every answer of a partition; the next sweep removes the bytes."""
        expired = table.update().where(table.c.partition == partition).values(expires_at=0)
        await self._database.write(lambda connection: connection.execute(expired).rowcount)

    async def sweep(self) -> int:
        """Removes what is too old and returns how many answers went."""
        now = int(time.time() * 1000)
        return await self._database.write(lambda connection: answers.expire(connection, table, self._blobs, now))
