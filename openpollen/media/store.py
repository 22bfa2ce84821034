"""Files by their content (rule 43): the address is the first 16 hex digits of the SHA-256, so equal bytes are one
file.

Each uploader holds a reference with its own expiry; the bytes live as long as the last reference. Uploading again
renews it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Row, delete, func, insert, select, update

from openpollen.core.errors import BadRequest, Conflict, NotFound, PayloadTooLarge, RateLimited
from openpollen.media.sniff import sniff
from openpollen.storage.blobs import Blobs
from openpollen.storage.database import Connection, Database
from openpollen.storage.schema import media, media_refs

_ID = re.compile(r"[0-9a-f]{16}")
_NAME_LENGTH = 255


class Stored(Struct, frozen=True):
    """A stored file. ``duplicate`` is true when the same uploader had it already; times are milliseconds."""

    id: str
    sha256: str
    content_type: str
    size: int
    created_at: int
    expires: int
    duplicate: bool = False
    name: str | None = None

    @property
    def seconds_left(self) -> int:
        """How long the file may still be cached."""
        return max(0, (self.expires - int(time.time() * 1000)) // 1000)


class MediaStore:
    """The files of an installation. ``max_bytes`` limits one file, ``seconds`` is its life since the last upload;
    ``account_bytes`` and ``account_per_minute`` limit what one user keeps and adds."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        *,
        max_bytes: int = 10 * 1024 * 1024,
        seconds: float = 14 * 86_400,
        account_bytes: int = 1_000_000_000,
        account_per_minute: int = 60,
    ) -> None:
        self._database = database
        self._blobs = blobs.part("media")
        self._max_bytes = max_bytes
        self._life = round(seconds * 1000)
        self._account_bytes = account_bytes
        self._account_per_minute = account_per_minute

    async def put(self, data: bytes, owner: str, name: str | None = None, *, limit: bool = True) -> Stored:
        """Stores a file for a user, or renews it. ``limit=False`` is for what the program itself made.

        Raises BadRequest for an empty file, PayloadTooLarge, RateLimited, Conflict for other bytes under the same
        address.
        """
        if not data:
            raise BadRequest("The file is empty. Send at least one byte.")
        now = int(time.time() * 1000)
        if limit:
            if len(data) > self._max_bytes:
                raise PayloadTooLarge(f"The file has {len(data):,} bytes; at most {self._max_bytes:,} are stored.")
            await self._database.read(lambda connection: self._check_account(connection, owner, len(data), now))
        content_type = sniff(data)

        def write(connection: Connection, sha256: str) -> Stored:
            file = Stored(sha256[:16], sha256, content_type, len(data), now, now + self._life, name=_clean(name))
            return _put(connection, file, owner)

        return await self._blobs.put_with_row(self._database, data, write)

    async def head(self, media_id: str) -> Stored:
        """What is known of a file. Raises BadRequest for what is no address, NotFound for a file that is not here or
        over."""
        wanted = media_id.lower()
        if not _ID.fullmatch(wanted):
            raise BadRequest("A media address is 16 hexadecimal digits.")
        stored = await self._database.read(lambda connection: _find(connection, wanted))
        if stored is None or stored.expires <= int(time.time() * 1000):
            raise NotFound("There is no such file; files end some days after their last upload.")
        return stored

    async def get(self, media_id: str) -> tuple[Stored, bytes]:
        """A file and its bytes. Raises like ``head``."""
        stored = await self.head(media_id)
        data = await self._blobs.get(stored.sha256)
        if data is None:
            raise NotFound("There is no such file.")
        return stored, data

    async def delete(self, media_id: str, owner: str) -> None:
        """Drops an uploader's reference, and the bytes with the last one. Raises NotFound when there is no such
        reference."""
        await self._database.write(lambda connection: self._drop(connection, media_id.lower(), owner))

    async def list(self, owner: str, *, limit: int = 100, before: int | None = None) -> Sequence[Stored]:
        """A user's files, the newest first; ``before`` is the ``created_at`` of the last one seen."""
        now = int(time.time() * 1000)
        mine = (
            select(
                media,
                media_refs.c.name,
                media_refs.c.created_at.label("uploaded"),
                media_refs.c.expires_at.label("until"),
            )
            .join(media_refs, media_refs.c.media_id == media.c.id)
            .where(media_refs.c.user_id == owner, media_refs.c.expires_at > now)
            .order_by(media_refs.c.created_at.desc(), media.c.id)
            .limit(limit)
        )
        if before is not None:
            mine = mine.where(media_refs.c.created_at < before)
        found = await self._database.read(lambda connection: connection.execute(mine).all())
        return [
            Stored(row.id, row.sha256, row.content_type, row.size, row.uploaded, row.until, name=row.name)
            for row in found
        ]

    async def sweep(self) -> int:
        """Removes what has expired and returns how many files went. Run it about once an hour."""
        now = int(time.time() * 1000)
        return await self._database.write(lambda connection: self._expire(connection, now))

    def _check_account(self, connection: Connection, owner: str, size: int, now: int) -> None:
        mine = (media_refs.c.user_id == owner, media_refs.c.expires_at > now)
        total = select(func.sum(media.c.size)).join(media_refs, media_refs.c.media_id == media.c.id).where(*mine)
        if (connection.execute(total).scalar() or 0) + size > self._account_bytes:
            most = f"{self._account_bytes:,}"
            raise PayloadTooLarge(f"An account keeps at most {most} bytes. Delete files first.", reason="account_bytes")
        recent = select(func.count()).where(*mine, media_refs.c.created_at > now - 60_000)
        if connection.execute(recent).scalar_one() >= self._account_per_minute:
            message = f"An account uploads at most {self._account_per_minute} files a minute."
            raise RateLimited(message, reason="uploads", retry_after=60)

    def _drop(self, connection: Connection, media_id: str, owner: str) -> None:
        reference = (media_refs.c.media_id == media_id, media_refs.c.user_id == owner)
        if connection.execute(delete(media_refs).where(*reference)).rowcount == 0:
            raise NotFound("You have no such file.")
        last = select(func.max(media_refs.c.expires_at)).where(media_refs.c.media_id == media_id)
        until = connection.execute(last).scalar()
        if until is None:
            removed = delete(media).where(media.c.id == media_id).returning(media.c.sha256)
            self._blobs.remove(connection.execute(removed).scalar_one())
        else:
            connection.execute(update(media).where(media.c.id == media_id).values(expires_at=until))

    def _expire(self, connection: Connection, now: int) -> int:
        connection.execute(delete(media_refs).where(media_refs.c.expires_at <= now))
        unused = media.c.id.not_in(select(media_refs.c.media_id))
        removed = connection.execute(delete(media).where(unused).returning(media.c.sha256)).scalars().all()
        for sha256 in removed:
            self._blobs.remove(sha256)
        return len(removed)


def _put(connection: Connection, file: Stored, owner: str) -> Stored:
    known = _find(connection, file.id)
    if known is not None and known.sha256 != file.sha256:
        raise Conflict(
            "Another file has the same address. Change a byte, for instance in its metadata.", reason="hash_collision"
        )
    if known is None:
        values = {name: getattr(file, name) for name in ("id", "sha256", "content_type", "size", "created_at")}
        connection.execute(insert(media).values(**values, expires_at=file.expires))
    else:
        connection.execute(
            update(media).where(media.c.id == file.id).values(expires_at=max(known.expires, file.expires))
        )
    reference = (media_refs.c.media_id == file.id, media_refs.c.user_id == owner)
    old = connection.execute(select(media_refs.c.created_at, media_refs.c.expires_at).where(*reference)).one_or_none()
    if old is None:
        values = {"media_id": file.id, "user_id": owner, "name": file.name}
        connection.execute(insert(media_refs).values(**values, created_at=file.created_at, expires_at=file.expires))
    else:
        connection.execute(update(media_refs).where(*reference).values(expires_at=file.expires, name=file.name))
    duplicate = old is not None and old.expires_at > file.created_at
    created = known.created_at if known else file.created_at
    return Stored(file.id, file.sha256, file.content_type, file.size, created, file.expires, duplicate, file.name)


def _find(connection: Connection, media_id: str) -> Stored | None:
    row: Row[Any] | None = connection.execute(select(media).where(media.c.id == media_id)).one_or_none()
    if row is None:
        return None
    return Stored(row.id, row.sha256, row.content_type, row.size, row.created_at, row.expires_at)


def _clean(name: str | None) -> str | None:
    """A file name without folders and control characters."""
    if not name:
        return None
    last = re.split(r"[/\\]", name)[-1]
    return "".join(character for character in last if character.isprintable())[:_NAME_LENGTH] or None
