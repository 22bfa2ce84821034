"""Requests with an ``Idempotency-Key`` (rule 21): the first one works, its repeats wait for it and get its
answer, on any worker.

    absent      -> begin   -> working by an owner, under a lease that ``renew`` extends
    working     -> finish  -> answered, for 24 hours        -> abandon -> absent (nothing was charged)
    working, its lease over -> begin by another owner takes it over, and the job that the first one began

A worker may die between a charge and the answer that it keeps: whoever takes over gives that charge back first.
"""

from __future__ import annotations

import secrets
import time
from typing import Any, Literal

from msgspec import Struct, structs
from sqlalchemy import Row, delete, insert, select, update

from openpollen.storage import answers, jobs
from openpollen.storage.answers import Answer, Refund, no_refund
from openpollen.storage.blobs import Blobs
from openpollen.storage.database import Connection, Database
from openpollen.storage.schema import idempotency as table

_DAY_MS = 86_400_000
_LEASE_MS = 60_000


class New(Struct, frozen=True):
    """This request is the first: do the work, then ``finish`` or ``abandon`` with this ticket. ``begun`` is the request id
    of one before it whose worker died but whose job goes on: that job is the work."""

    account: str
    endpoint: str
    key: str
    owner: str
    begun: str = ""


class Replay(Struct, frozen=True):
    """The work was done before; this is its answer."""

    answer: Answer


class Conflict(Struct, frozen=True):
    """The key was used with another body: 409."""


class InFlight(Struct, frozen=True):
    """Another request with this key is at work: ask again shortly."""


Begun = New | Replay | Conflict | InFlight


class Idempotency:
    """The store of one installation, shared by its workers; ``worker`` is the name of this one. ``refund`` gives back
    what a request was charged whose answer is lost."""

    def __init__(self, database: Database, blobs: Blobs, worker: str = "", refund: Refund = no_refund) -> None:
        self._database = database
        self._blobs = blobs.part("idempotency")
        self._worker = worker
        self._refund = refund

    async def begin(self, account: str, endpoint: str, key: str, body_hash: str, request_id: str = "") -> Begun:
        """Says what a request with this key is to do. ``request_id`` is its own, unique."""
        owner = f"{self._worker}/{request_id or secrets.token_hex(8)}"
        ticket = New(account, endpoint, key, owner)
        found = await self._database.write(lambda connection: _begin(connection, ticket, body_hash, self._refund))
        if isinstance(found, New):
            return found
        if isinstance(found, str):
            return Conflict() if found == "conflict" else InFlight()
        answer = await answers.load(self._blobs, found)
        return InFlight() if answer is None else Replay(answer)

    async def renew(self, ticket: New) -> bool:
        """Extends the lease; false when it was taken over. Call it at least every 30 seconds of work."""
        until = int(time.time() * 1000) + _LEASE_MS
        statement = update(table).where(*_mine(ticket)).values(lease_until=until)
        return await self._database.write(lambda connection: connection.execute(statement).rowcount == 1)

    async def finish(self, ticket: New, answer: Answer) -> None:
        """Keeps the answer for 24 hours. Give only delivered or charged outcomes."""
        expires_at = int(time.time() * 1000) + _DAY_MS

        def write(connection: Connection, columns: dict[str, Any]) -> None:
            connection.execute(update(table).where(*_mine(ticket)).values(**columns, expires_at=expires_at))

        await answers.store(self._database, self._blobs, answer, write)

    async def abandon(self, ticket: New) -> None:
        """Frees the key: the work failed and nothing was charged."""
        statement = delete(table).where(*_mine(ticket), table.c.status.is_(None))
        await self._database.write(lambda connection: connection.execute(statement).rowcount)

    async def sweep(self) -> int:
        """Removes what is over 24 hours old and returns how many keys went."""
        now = int(time.time() * 1000)
        return await self._database.write(lambda connection: answers.expire(connection, table, self._blobs, now))


def _begin(
    connection: Connection, ticket: New, body_hash: str, refund: Refund
) -> Row[Any] | New | Literal["conflict", "in flight"]:
    now = int(time.time() * 1000)
    place = (table.c.account == ticket.account, table.c.endpoint == ticket.endpoint, table.c.key == ticket.key)
    row = connection.execute(select(table).where(*place, table.c.expires_at > now)).one_or_none()
    if row is not None and row.body_hash != body_hash:
        return "conflict"
    if row is not None and row.status is not None:
        return row
    if row is not None and row.lease_until > now:
        return "in flight"
    if row is not None:
        worker, first = ticket.owner.partition("/")[0], row.owner.partition("/")[2]
        if jobs.begun(connection, first):
            ticket = structs.replace(ticket, owner=f"{worker}/{first}", begun=first)
        else:
            refund(connection, first)
    connection.execute(delete(table).where(*place))
    names = {"account": ticket.account, "endpoint": ticket.endpoint, "key": ticket.key, "owner": ticket.owner}
    times = {"lease_until": now + _LEASE_MS, "expires_at": now + _DAY_MS}
    connection.execute(insert(table).values(**names, **times, body_hash=body_hash))
    return ticket


def _mine(ticket: New) -> tuple[Any, ...]:
    columns = table.c
    return (
        columns.account == ticket.account,
        columns.endpoint == ticket.endpoint,
        columns.key == ticket.key,
        columns.owner == ticket.owner,
    )
