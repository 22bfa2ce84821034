"""Accounts elsewhere that sign a person in: provider and subject, never an email address (rule 41). Every function takes
a transaction's connection."""

from __future__ import annotations

import time
from typing import Any

from msgspec import Struct
from sqlalchemy import Row, delete, func, insert, select, update

from openpollen.accounts import audit
from openpollen.accounts.github import PROVIDER as GITHUB
from openpollen.accounts.oidc import Person
from openpollen.accounts.passkeys import count_passkeys
from openpollen.accounts.passwords import has_password
from openpollen.accounts.users import User, bump_keys, get_user
from openpollen.core.errors import Conflict, NotFound, Unauthorized
from openpollen.storage.database import Connection
from openpollen.storage.schema import identities, users

_MOST = 20


class Identity(Struct, frozen=True):
    """An account at a provider, linked to one here; times are milliseconds."""

    provider: str
    subject: str
    user_id: str
    label: str
    created_at: int
    last_used_at: int | None


def sign_in(connection: Connection, person: Person) -> User | None:
    """Whom this person is here; ``None`` for somebody new. Raises Unauthorized for a closed account."""
    here = (identities.c.provider == person.provider, identities.c.subject == person.subject)
    user_id = connection.execute(select(identities.c.user_id).where(*here)).scalar_one_or_none()
    if user_id is None:
        return None
    user = get_user(connection, user_id)
    if user.banned_at is not None:
        raise Unauthorized("This account is closed.")
    used = {"last_used_at": int(time.time() * 1000), "label": person.label}
    connection.execute(update(identities).where(*here).values(used))
    _show_github(connection, user_id, person.provider, person.label, person.image)
    return user


def link(connection: Connection, user_id: str, person: Person) -> None:
    """Lets a person sign in to this account from now on. Raises Conflict when they sign in to another one."""
    here = (identities.c.provider == person.provider, identities.c.subject == person.subject)
    owner = connection.execute(select(identities.c.user_id).where(*here)).scalar_one_or_none()
    if owner == user_id:
        return
    if owner is not None:
        raise Conflict("That account is linked with another one here. Unlink it there first.", reason="linked")
    if len(list_identities(connection, user_id)) >= _MOST:
        raise Conflict(f"An account has at most {_MOST} linked accounts. Unlink one first.")
    now = int(time.time() * 1000)
    values = {"provider": person.provider, "subject": person.subject, "user_id": user_id, "label": person.label}
    connection.execute(insert(identities).values(**values, created_at=now, last_used_at=None))
    _show_github(connection, user_id, person.provider, person.label, person.image)
    audit.note(connection, user_id, "identity.link", user_id, provider=person.provider)


def unlink(connection: Connection, user_id: str, provider: str, subject: str) -> None:
    """Removes a linked account. Raises NotFound."""
    mine = (identities.c.provider == provider, identities.c.subject == subject, identities.c.user_id == user_id)
    if connection.execute(delete(identities).where(*mine)).rowcount == 0:
        raise NotFound("You have no such linked account.")
    _show_github(connection, user_id, provider, None, None)
    audit.note(connection, user_id, "identity.unlink", user_id, provider=provider)


def list_identities(connection: Connection, user_id: str) -> list[Identity]:
    """What an account is linked with, the oldest first."""
    mine = select(identities).where(identities.c.user_id == user_id)
    return [_identity(row) for row in connection.execute(mine.order_by(identities.c.created_at, identities.c.subject))]


def ways_in(connection: Connection, user_id: str) -> int:
    """In how many ways an account can be signed in to, one-time links apart."""
    linked = connection.execute(select(func.count()).where(identities.c.user_id == user_id)).scalar_one()
    return linked + count_passkeys(connection, user_id) + has_password(connection, user_id)


def require_another_way(connection: Connection, user_id: str) -> None:
    """Raises Conflict when an account has one way in, which is about to go."""
    if ways_in(connection, user_id) <= 1:
        raise Conflict("This is the only way into your account. Set a password or add another way first.")


def _show_github(connection: Connection, user_id: str, provider: str, label: str | None, image: str | None) -> None:
    """The linked GitHub name stands in the profile, where apps see it."""
    if provider == GITHUB and get_user(connection, user_id).github != label:
        connection.execute(update(users).where(users.c.id == user_id).values(github=label, image=image))
        bump_keys(connection)


def _identity(row: Row[Any]) -> Identity:
    return Identity(**{column.name: getattr(row, column.name) for column in identities.columns})
