"""Passwords: argon2id hashes, made and checked on a thread, a few at a time."""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, insert, select

from openpollen.accounts import audit, known_browsers
from openpollen.core.errors import ServiceUnavailable
from openpollen.core.ids import random_text
from openpollen.storage.database import Connection
from openpollen.storage.schema import login_links, passwords

T = TypeVar("T")

SHORTEST, LONGEST = 10, 256
_AT_ONCE = 2
_WAITING = 64
_FEWEST_CHARACTERS = 5
#: So many characters are left when the name, the address and the usual words are taken out.
_FEWEST_OWN = 6
#: The usual ones that are long enough; everything shorter is refused anyway.
_COMMON = ("password", "passwort", "qwertyuiop", "1q2w3e4r5t", "1234567890", "letmein", "iloveyou", "administrator")


class Hasher:
    """Hashes and checks passwords for one worker: 46 MiB and two passes each, twice what OWASP asks for at least."""

    def __init__(self) -> None:
        self._argon = PasswordHasher(time_cost=2, memory_cost=47_104, parallelism=1)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._nobody = ""

    async def hash(self, password: str) -> str:
        """What is stored of a password."""
        return await self._run(lambda: self._argon.hash(_normal(password)))

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether this is the password. Takes as long when there is none, so that time tells nothing of who exists."""
        if not self._nobody:
            self._nobody = await self.hash(random_text(20))
        known = stored or self._nobody
        right = await self._run(lambda: self._check(known, _normal(password)))
        return right and stored is not None

    def is_old(self, stored: str) -> bool:
        """Whether the hash was made with other parameters and should be made again."""
        return self._argon.check_needs_rehash(stored)

    def _check(self, stored: str, password: str) -> bool:
        try:
            return self._argon.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= _WAITING:
            raise ServiceUnavailable("Too many people sign in right now. Try again in a moment.", retry_after=2)
        self._waiting += 1
        try:
            async with self._slots:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1


def fault_of(password: str, name: str = "", email: str = "") -> str:
    """What is wrong with a new password, in a sentence; nothing when it will do."""
    plain = _normal(password)
    if len(plain) < SHORTEST:
        return f"Use at least {SHORTEST} characters; a few words in a row are easy to remember."
    if len(plain) > LONGEST:
        return f"Use at most {LONGEST} characters."
    told = [part for part in (name.strip(), email.strip(), email.partition("@")[0].strip()) if len(part) > 2]
    rest = plain.lower()
    for word in (*told, *_COMMON):
        rest = rest.replace(word.lower(), "")
    if len(set(plain)) < _FEWEST_CHARACTERS or len(rest) < _FEWEST_OWN:
        return "This one is easy to guess. Use a few words that have nothing to do with each other."
    return ""


def stored_hash(connection: Connection, user_id: str) -> str | None:
    """The hash of an account's password, ``None`` when it has none."""
    return connection.execute(select(passwords.c.hash).where(passwords.c.user_id == user_id)).scalar_one_or_none()


def has_password(connection: Connection, user_id: str) -> bool:
    return stored_hash(connection, user_id) is not None


def set_password(connection: Connection, user_id: str, hashed: str, *, actor: str | None = None) -> None:
    """Gives an account a password in place of an older one. Links that wait for it die, and no browser is known any more;
    sessions are the caller's to end."""
    _store(connection, user_id, hashed)
    known_browsers.forget(connection, user_id)
    waiting = (login_links.c.user_id == user_id, login_links.c.used_at.is_(None), login_links.c.purpose != "verify")
    connection.execute(delete(login_links).where(*waiting))
    audit.note(connection, actor or user_id, "password.set", user_id)


def renew_hash(connection: Connection, user_id: str, before: str, after: str) -> None:
    """The same password under today's parameters, unless it was changed meanwhile."""
    if stored_hash(connection, user_id) == before:
        _store(connection, user_id, after)


def _store(connection: Connection, user_id: str, hashed: str) -> None:
    connection.execute(delete(passwords).where(passwords.c.user_id == user_id))
    connection.execute(insert(passwords).values(user_id=user_id, hash=hashed, changed_at=int(time.time() * 1000)))


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)
