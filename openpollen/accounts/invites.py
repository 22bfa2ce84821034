"""Invitations and new accounts. Every function takes a transaction's connection."""

from __future__ import annotations

import time
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import delete, insert, select, update

from openpollen.accounts import audit
from openpollen.accounts.users import User, create_user
from openpollen.core.errors import BadRequest, Forbidden
from openpollen.core.ids import hash_key, random_text
from openpollen.core.money import format_pollen
from openpollen.ledger.credit import grant
from openpollen.storage.database import Connection
from openpollen.storage.schema import invites

Signup = Literal["invite", "open", "closed"]

DAYS = 7
_MOST_DAYS = 365
_MOST_USES = 1000
_LENGTH = 20
_NOTE_LENGTH = 200


class NewAccount(Struct, frozen=True):
    """What everybody who signs up gets: the tier, and nano-pollen as a present."""

    tier: str
    gift: int


def create_invite(connection: Connection, *, actor: str, uses: int = 1, days: int = DAYS, note: str = "") -> str:
    """Makes an invitation and returns its code; the store keeps only a hash. Raises BadRequest."""
    if not 0 < uses <= _MOST_USES:
        raise BadRequest(f"uses: an invitation is good for 1 to {_MOST_USES} accounts.")
    if not 0 < days <= _MOST_DAYS:
        raise BadRequest(f"days: an invitation lives 1 to {_MOST_DAYS} days.")
    if len(note) > _NOTE_LENGTH or not note.isprintable():
        raise BadRequest(f"note: at most {_NOTE_LENGTH} printable characters.")
    now = int(time.time() * 1000)
    code = random_text(_LENGTH)
    connection.execute(delete(invites).where((invites.c.expires_at <= now) | (invites.c.uses_left == 0)))
    values = {"hash": hash_key(code), "note": note, "actor": actor, "uses_left": uses, "created_at": now}
    connection.execute(insert(invites).values(**values, expires_at=now + days * 86_400_000))
    audit.note(connection, actor, "invite.create", "", uses=uses, days=days, note=note)
    return code


def invite_url(base: str, code: str) -> str:
    """The address at which an invited person signs up."""
    return f"{base.rstrip('/')}/signup?invite={code}"


def invite_is_live(connection: Connection, code: str) -> bool:
    """Whether an invitation is still good for an account."""
    return connection.execute(select(invites.c.hash).where(*_live(code))).first() is not None


def use_invite(connection: Connection, code: str) -> dict[str, Any]:
    """Uses an invitation up by one and returns whose it was. Raises Forbidden."""
    # One statement decides, so an invitation never makes more accounts than it says.
    used = update(invites).where(*_live(code)).values(uses_left=invites.c.uses_left - 1)
    row = connection.execute(used.returning(invites.c.actor, invites.c.note)).one_or_none()
    if row is None:
        raise Forbidden("This invitation is unknown, used up or over. Ask for a new one.", reason="invite")
    return {"by": row.actor, "note": row.note}


def sign_up(
    connection: Connection, name: str, *, mode: Signup, invite: str, email: str | None, new: NewAccount
) -> User:
    """Makes an account for somebody who asked for it. Never an admin. Raises Forbidden, BadRequest, Conflict."""
    if mode == "closed":
        raise Forbidden("This server takes no new accounts. Its operator can make one for you.", reason="signup")
    invited = use_invite(connection, invite) if mode == "invite" or invite else None
    user = create_user(connection, name, tier=new.tier, email=email)
    if invited is not None:
        audit.note(connection, user.id, "invite.use", user.id, **invited)
    if new.gift:
        grant(connection, user.id, new.gift, "pack", "signup", audit.SYSTEM)
        told = {"amount": format_pollen(new.gift), "bucket": "pack", "reason": "signup"}
        audit.note(connection, audit.SYSTEM, "credit.grant", user.id, **told)
    return user


def _live(code: str) -> tuple[Any, ...]:
    live = invites.c.expires_at > int(time.time() * 1000)
    return (invites.c.hash == hash_key(code.strip()), invites.c.uses_left > 0, live)
