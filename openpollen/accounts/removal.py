"""Deleting an account (rule 42): everything that says whose it was goes; the ledger and the usage rows stay, under an id
that names nobody any more."""

from __future__ import annotations

from sqlalchemy import and_, delete, func, or_, select, update

from openpollen.accounts import audit
from openpollen.accounts.keys import list_keys, revoke_key
from openpollen.accounts.users import bump_keys, get_user
from openpollen.core.errors import Conflict
from openpollen.storage.database import Connection
from openpollen.storage.schema import audit as trail
from openpollen.storage.schema import (
    cached_answers,
    deliveries,
    idempotency,
    jobs,
    media,
    media_refs,
    metadata,
    users,
)

#: What has a ``user_id`` and stays: the ledger's and the usage's rows, and jobs that have still to be paid.
_STAY = frozenset({"usage", "usage_daily", "usage_apps", "claims", "jobs"})
_OPEN_JOBS = ("queued", "running")


def remove_account(connection: Connection, user_id: str, *, actor: str | None = None) -> None:
    """Deletes an account in one transaction. Its files and kept answers are unreachable at once, and the next sweep
    removes their bytes. Calls under way are still paid. Raises NotFound, and Conflict for the last admin."""
    user = get_user(connection, user_id)
    admins = select(func.count()).where(users.c.role == "admin", users.c.banned_at.is_(None), users.c.id != user_id)
    if user.role == "admin" and connection.execute(admins).scalar_one() == 0:
        raise Conflict("The last admin cannot be deleted: nobody could run this server. Make another admin first.")
    key_ids = [key.id for key in list_keys(connection, user_id)]
    _expire_kept(connection, user_id, key_ids)
    _expire_media(connection, user_id)
    connection.execute(update(jobs).where(jobs.c.user_id == user_id, jobs.c.status.in_(_OPEN_JOBS)).values(cancelled=1))
    connection.execute(delete(jobs).where(jobs.c.user_id == user_id, jobs.c.status.not_in(_OPEN_JOBS)))
    while left := list_keys(connection, user_id):  # ending one key may end others
        root = next(key for key in left if key.parent_id is None)
        revoke_key(connection, root.id, actor=actor or user_id)
    for table in reversed(metadata.sorted_tables):
        if "user_id" in table.columns and table.name not in _STAY:
            connection.execute(delete(table).where(table.c.user_id == user_id))
    # What was done stays on record, but not the names in it.
    connection.execute(
        update(trail).where(or_(trail.c.subject == user_id, trail.c.actor == user_id)).values(details="{}")
    )
    connection.execute(delete(users).where(users.c.id == user_id))
    bump_keys(connection)
    audit.note(connection, actor or user_id, "user.delete", user_id)


def _expire_kept(connection: Connection, user_id: str, key_ids: list[str]) -> None:
    """Answers kept for the account, its grants, its publishable keys."""
    partition = cached_answers.c.partition
    own = or_(partition == user_id, partition.startswith(f"{user_id}:", autoescape=True), partition.in_(key_ids))
    connection.execute(update(cached_answers).where(own).values(expires_at=0))
    mine = and_(idempotency.c.account == user_id, idempotency.c.status.is_not(None))
    connection.execute(update(idempotency).where(mine).values(expires_at=0))
    left = and_(deliveries.c.key_id.in_(key_ids), deliveries.c.status.is_not(None))
    connection.execute(update(deliveries).where(left).values(expires_at=0))


def _expire_media(connection: Connection, user_id: str) -> None:
    """References go at once; a file that nobody else uploaded is over."""
    mine = select(media_refs.c.media_id).where(media_refs.c.user_id == user_id)
    ids = list(connection.execute(mine).scalars())
    connection.execute(delete(media_refs).where(media_refs.c.user_id == user_id))
    until = select(func.max(media_refs.c.expires_at)).where(media_refs.c.media_id == media.c.id).scalar_subquery()
    for media_id in ids:
        connection.execute(update(media).where(media.c.id == media_id).values(expires_at=func.coalesce(until, 0)))
