"""Bytes on the local disk, each under its SHA-256: ``blobs/ab/abcd...``. A blob is whole or absent, never half written.

Rows name blobs. Bytes are removed inside the transaction that removes the last row that names them, and
``put_with_row`` looks inside its transaction whether they are still there; so no row ever names bytes that are gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from openpollen.core.errors import ServiceUnavailable
from openpollen.storage.database import Connection, Database

T = TypeVar("T")

_NAME = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """A folder of blobs. Writing the same bytes twice is the same as once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def part(self, name: str) -> Blobs:
        """A folder within this one. Each table that names blobs has its own, so that none removes another's bytes."""
        return Blobs(self._folder / name)

    async def put(self, data: bytes) -> str:
        """Stores bytes durably and returns their SHA-256 in hex. Raises ServiceUnavailable when the disk is full."""
        return await asyncio.to_thread(self.put_sync, data)

    async def get(self, name: str) -> bytes | None:
        """The bytes of this hash, ``None`` when they are not here."""
        return await asyncio.to_thread(self.get_sync, name)

    async def put_with_row(self, database: Database, data: bytes, write: Callable[[Connection, str], T]) -> T:
        """Stores bytes, then runs ``write(connection, sha256)`` as a transaction, and again if a removal came
        between."""
        while True:
            name = await self.put(data)
            done = await database.write(
                lambda connection, name=name: (write(connection, name),) if self.has(name) else None
            )
            if done is not None:
                return done[0]

    def has(self, name: str) -> bool:
        """Whether the bytes of this hash are here."""
        return self.path(name).exists()

    def remove(self, name: str) -> None:
        """Removes the bytes of this hash, if they are here. Call it inside the transaction that removes the last row
        that names them."""
        self.path(name).unlink(missing_ok=True)

    def put_sync(self, data: bytes) -> str:
        name = hashlib.sha256(data).hexdigest()
        path = self.path(name)
        with contextlib.suppress(OSError):
            if path.stat().st_size == len(data):
                return name
        part = path.with_name(f"{name}.{secrets.token_hex(4)}.part")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink()
            message = f"The file could not be stored: {error.strerror}. Make room in the data folder and try again."
            raise ServiceUnavailable(message, reason="storage", retry_after=5) from error
        return name

    def get_sync(self, name: str) -> bytes | None:
        try:
            return self.path(name).read_bytes()
        except FileNotFoundError:
            return None

    def path(self, name: str) -> Path:
        """Where a blob lies or would lie. Raises ValueError for what is not a SHA-256 in hex."""
        if not _NAME.fullmatch(name):
            raise ValueError("a blob is named by the 64 hex digits of its SHA-256")
        return self._folder / name[:2] / name
