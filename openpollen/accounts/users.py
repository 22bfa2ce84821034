"""People. Every function runs inside a transaction of the caller and takes its connection first."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any, Literal

from msgspec import Struct, structs
from sqlalchemy import ColumnElement, Row, func, insert, or_, select, text, update

from openpollen.accounts import audit
from openpollen.core.errors import BadRequest, Conflict, NotFound
from openpollen.core.ids import new_id
from openpollen.core.names import likeness, name_fault, plain
from openpollen.storage.database import Connection
from openpollen.storage.schema import users

_NAME_LENGTH = 64
_EMAIL_LENGTH = 254


class User(Struct, frozen=True):
    """An account. Times are milliseconds; ``banned_at`` is set while the account is shut."""

    id: str
    name: str
    email: str | None
    github: str | None
    image: str | None
    tier: str
    role: Literal["user", "admin"]
    created_at: int
    banned_at: int | None = None
    email_verified_at: int | None = None
    time_zone: str | None = None

    @property
    def email_verified(self) -> bool:
        """Whether a mailed link, or a provider's word, showed that the address is theirs."""
        return self.email is not None and self.email_verified_at is not None


def create_user(
    connection: Connection,
    name: str,
    *,
    tier: str,
    email: str | None = None,
    github: str | None = None,
    image: str | None = None,
    role: Literal["user", "admin"] = "user",
    actor: str = audit.SYSTEM,
) -> User:
    """Makes an account. ``actor`` is who does it, for the audit trail.

    Raises BadRequest for a name that cannot be one, Conflict for one that is taken."""
    if not name.strip().isprintable() or not 0 < len(name := plain(name)) <= _NAME_LENGTH:
        raise BadRequest(f"A user name has 1 to {_NAME_LENGTH} printable characters.", reason="name")
    if fault := name_fault(name):
        raise BadRequest(f"A user name {fault}.", reason="name")
    if "@" in name:  # also one that only looks otherwise as it was typed: nobody's name is somebody's address
        raise BadRequest("A user name has no @; an address goes into its own field.", reason="name")
    if email is not None:
        check_email(email)
    taken = connection.execute(select(users.c.name).where(_named(name))).scalar()
    if taken is not None:
        raise Conflict(f"A user named {taken!r} exists already. Choose another name.", reason="name_taken")
    user = User(new_id("usr"), name, email, github, image, tier, role, int(time.time() * 1000))
    connection.execute(
        insert(users).values(structs.asdict(user) | {"likeness": likeness(name), "browsers_since": user.created_at})
    )
    audit.note(connection, actor, "user.create", user.id, name=name, tier=tier, role=role)
    return user


def find_user(connection: Connection, name_or_id: str) -> User:
    """The user of this id or name, the id first. Raises NotFound."""
    by_either = or_(users.c.id == name_or_id, _named(name_or_id))
    rows = connection.execute(select(users).where(by_either)).all()
    if not rows:
        raise NotFound(f"There is no user {name_or_id!r}. `polli admin user list` shows all.")
    return _user(min(rows, key=lambda row: row.id != name_or_id))


def get_user(connection: Connection, user_id: str) -> User:
    """The user of this id. Raises NotFound."""
    row = connection.execute(select(users).where(users.c.id == user_id)).one_or_none()
    if row is None:
        raise NotFound("There is no such user.")
    return _user(row)


def user_to_sign_in(connection: Connection, name_or_email: str) -> User | None:
    """Whom a typed name or address means: the account of this name, else that which verified the address, else the
    oldest that claims it."""
    wanted = plain(name_or_email).lower()
    row = connection.execute(select(users).where(_named(wanted))).one_or_none()
    if row is None and "@" in wanted:
        verified_first = (users.c.email_verified_at.is_(None), users.c.created_at)
        row = connection.execute(
            select(users).where(func.lower(users.c.email) == wanted).order_by(*verified_first).limit(1)
        ).first()
    return None if row is None else _user(row)


def set_profile(connection: Connection, user_id: str, *, email: str | None, time_zone: str | None) -> User:
    """Changes what a person says of themselves. Another address is not verified. Raises BadRequest."""
    before = get_user(connection, user_id)
    if email is not None:
        check_email(email)
    values: dict[str, Any] = {"email": email, "time_zone": time_zone}
    if email != before.email:
        values["email_verified_at"] = None
    changed = [name for name in ("email", "time_zone") if getattr(before, name) != values[name]]
    if changed:
        connection.execute(update(users).where(users.c.id == user_id).values(values))
        bump_keys(connection)
        audit.note(connection, user_id, "user.profile", user_id, changed=changed)
    return get_user(connection, user_id)


def check_email(email: str) -> None:
    """Raises BadRequest for what is no email address."""
    shaped = email.count("@") == 1 and email.strip("@") == email and len(email) <= _EMAIL_LENGTH
    if not shaped or not email.isprintable() or any(mark in email for mark in ' ,;<>()[]"\\'):
        raise BadRequest(f"{email[:80]!r} is not an email address.", reason="email")


def list_users(connection: Connection) -> list[User]:
    """All users, the oldest first."""
    return [_user(row) for row in connection.execute(select(users).order_by(users.c.created_at, users.c.id))]


def search_users(connection: Connection, words: str, *, limit: int, skip: int = 0) -> list[User]:
    """Users whose name or address has these words in it, or whose id they are; the newest first."""
    rows = select(users).order_by(users.c.created_at.desc(), users.c.id).limit(limit).offset(skip)
    if words:
        part = words.lower()
        inside = (func.lower(column).contains(part, autoescape=True) for column in (users.c.name, users.c.email))
        rows = rows.where(or_(users.c.id == words, *inside))
    return [_user(row) for row in connection.execute(rows)]


def count_users(connection: Connection) -> int:
    """How many accounts there are."""
    return connection.execute(select(func.count()).select_from(users)).scalar_one()


def names_of(connection: Connection, user_ids: Collection[str]) -> dict[str, str]:
    """The names of those that are accounts."""
    rows = connection.execute(select(users.c.id, users.c.name).where(users.c.id.in_(user_ids)))
    return {row.id: row.name for row in rows}


def set_banned(connection: Connection, user_id: str, banned: bool, *, actor: str = audit.SYSTEM, why: str = "") -> User:
    """Shuts an account, or opens it again, and returns it. Its keys stop (or work) within a second on every worker."""
    user = get_user(connection, user_id)
    if banned == (user.banned_at is not None):
        return user
    at = int(time.time() * 1000) if banned else None
    values = {"banned_at": at, "browsers_since": at} if banned else {"banned_at": None}
    connection.execute(update(users).where(users.c.id == user_id).values(values))
    bump_keys(connection)
    audit.note(connection, actor, "user.ban" if banned else "user.unban", user_id, **({"why": why} if why else {}))
    return get_user(connection, user_id)


def set_tier(connection: Connection, user_id: str, tier: str, *, actor: str = audit.SYSTEM) -> User:
    """Moves an account to another tier and returns it. The new refill counts from the next full hour on, or at once
    for an account that had none this hour."""
    before = get_user(connection, user_id)
    if before.tier == tier:
        return before
    connection.execute(update(users).where(users.c.id == user_id).values(tier=tier))
    bump_keys(connection)
    audit.note(connection, actor, "user.tier", user_id, before=before.tier, after=tier)
    return get_user(connection, user_id)


def bump_keys(connection: Connection) -> None:
    """Tells every worker that a key or its owner changed; they look each second."""
    connection.execute(
        text(
            "INSERT INTO revisions (name, number) VALUES ('keys', 1) "
            "ON CONFLICT (name) DO UPDATE SET number = revisions.number + 1"
        )
    )


def _named(name: str) -> ColumnElement[bool]:
    """Of this name, in any case."""
    return users.c.likeness == likeness(name)


def _user(row: Row[Any]) -> User:
    return User(**{name: getattr(row, name) for name in User.__struct_fields__})
