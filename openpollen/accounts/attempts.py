"""How often somebody may try: guesses of passwords, sign-ups, mails. A small burst, then one at a time.

Each bucket has one number, the time at which everything tried so far has been worked off. Names and client addresses
are stored as keyed hashes only, and a row goes as soon as it means nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import delete, insert, select, update

from openpollen.accounts.server_secrets import make_secret
from openpollen.core.errors import RateLimited
from openpollen.storage.database import Connection, Database
from openpollen.storage.schema import attempts


class Limit(Struct, frozen=True):
    """``burst`` tries at once, then one every ``seconds``."""

    name: str
    burst: int
    seconds: int


class Attempt(Struct, frozen=True):
    """Tries that were counted; give them back when they were no guesses."""

    taken: tuple[tuple[str, Limit], ...]


class Attempts:
    """The counts of an installation, shared by its workers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._secret = b""

    async def take(self, *wanted: tuple[Limit, str]) -> Attempt:
        """Counts one try against each of the limits, for whom it names. Raises RateLimited, and then counts none."""
        if not self._secret:
            self._secret = await self._database.write(lambda connection: make_secret(connection, "addresses"))
        taken = tuple((self._bucket(limit, who), limit) for limit, who in wanted)
        await self._database.write(lambda connection: _take(connection, taken, int(time.time() * 1000)))
        return Attempt(taken)

    async def give_back(self, attempt: Attempt) -> None:
        """Uncounts what turned out to be right."""
        await self._database.write(lambda connection: _give_back(connection, attempt.taken))

    def _bucket(self, limit: Limit, who: str) -> str:
        told = f"{limit.name}\0{who.strip().lower()}".encode("utf-8", "replace")
        return hmac.new(self._secret, told, hashlib.sha256).hexdigest()[:32]


def forget_worked_off(connection: Connection) -> int:
    """Removes rows that mean nothing any more, and returns how many."""
    return connection.execute(delete(attempts).where(attempts.c.busy_until <= int(time.time() * 1000))).rowcount


def _take(connection: Connection, taken: Sequence[tuple[str, Limit]], now: int) -> None:
    forget_worked_off(connection)
    rows = connection.execute(select(attempts).where(attempts.c.bucket.in_([bucket for bucket, _ in taken])))
    busy = {row.bucket: row.busy_until for row in rows}
    for bucket, limit in taken:
        over = busy.get(bucket, now) + limit.seconds * 1000 - (now + limit.burst * limit.seconds * 1000)
        if over > 0:
            wait = -(-over // 1000)
            told = f"{wait} seconds" if wait < 120 else f"{-(-wait // 60)} minutes"
            raise RateLimited(f"Too many tries. Wait {told} and try again.", reason="attempts", retry_after=wait)
    for bucket, limit in taken:
        until = busy.get(bucket, now) + limit.seconds * 1000
        if bucket in busy:
            connection.execute(update(attempts).where(attempts.c.bucket == bucket).values(busy_until=until))
        else:
            connection.execute(insert(attempts).values(bucket=bucket, busy_until=until))


def _give_back(connection: Connection, taken: Sequence[tuple[str, Limit]]) -> None:
    for bucket, limit in taken:
        less = attempts.c.busy_until - limit.seconds * 1000
        connection.execute(update(attempts).where(attempts.c.bucket == bucket).values(busy_until=less))
