"""From a key's value to its caller, on every request: checksum, hash, then a cache that is never more than a second
behind the store."""

from __future__ import annotations

import asyncio
import hashlib
import time

from sqlalchemy import update

from openpollen.accounts.keys import keys_revision, load_caller
from openpollen.accounts.permissions import Caller
from openpollen.core.errors import Forbidden, Unauthorized
from openpollen.core.ids import hash_key, is_key
from openpollen.storage.database import Connection, Database
from openpollen.storage.schema import api_keys

_TRUSTED_SECONDS = 1.0
_CACHED_KEYS = 10_000
_NOTE_EVERY_MS = 60_000


class Authenticator:
    """Knows the callers of one worker. A revoked, changed or banned key stops working within a second on every worker.

    A key is looked up by its hash, so the time an answer takes tells nothing about the keys that exist.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._callers: dict[bytes, Caller] = {}
        self._revision = -1
        self._checked = float("-inf")
        self._checking = asyncio.Lock()
        self._noted: dict[str, int] = {}

    async def authenticate(self, value: str) -> Caller:
        """The caller behind a key. Raises Unauthorized; Forbidden while the app that has the key is switched off;
        ServiceUnavailable when the database cannot be asked."""
        if time.monotonic() - self._checked >= _TRUSTED_SECONDS:
            await self._check()
        digest = hashlib.sha256(value.encode()).digest()
        caller = self._callers.get(digest) or await self._load(value, digest)
        now = int(time.time() * 1000)
        if caller.expires_at is not None and caller.expires_at <= now:
            raise Unauthorized("This API key has expired. Make a new one.", reason="expired")
        if caller.app_off:
            raise Forbidden(
                "The app that has this key is switched off by its author. The key works again when the app does.",
                reason="app_off",
            )
        if now - self._noted.get(caller.key_id, 0) >= _NOTE_EVERY_MS:
            self._note(caller.key_id, now)
        return caller

    def forget(self) -> None:
        """Looks at the store again before the next answer; call it after changing a key in this process."""
        self._checked = float("-inf")

    async def _check(self) -> None:
        async with self._checking:
            asked = time.monotonic()
            if asked - self._checked >= _TRUSTED_SECONDS:
                self._trust(await self._database.read(keys_revision))
                self._checked = asked

    async def _load(self, value: str, digest: bytes) -> Caller:
        if not is_key(value):
            raise Unauthorized("This is not an API key. Keys start with sk_ or pk_; check that it was copied whole.")

        def look(connection: Connection) -> tuple[int, Caller | None]:
            return keys_revision(connection), load_caller(connection, hash_key(value))

        revision, caller = await self._database.read(look)
        self._trust(revision)
        if caller is None:
            raise Unauthorized("This API key is unknown, revoked or switched off.")
        self._callers[digest] = caller
        return caller

    def _trust(self, revision: int) -> None:
        if revision != self._revision or len(self._callers) >= _CACHED_KEYS:
            self._callers.clear()
            self._revision = revision

    def _note(self, key_id: str, now: int) -> None:
        """Writes when the key was last used, about once a minute; nobody waits for it."""
        if len(self._noted) >= _CACHED_KEYS:
            self._noted.clear()
        self._noted[key_id] = now

        def write(connection: Connection) -> None:
            connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(last_request_at=now))

        # Asking a future for its exception keeps asyncio from reporting it: a lost note matters to nobody.
        self._database.write(write).add_done_callback(lambda future: future.cancelled() or future.exception())
