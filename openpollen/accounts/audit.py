"""The audit trail: who did what to whom, written in the transaction that does it. Without secrets, and never changed but
for this: when an account is deleted, the details of its rows go (rule 42)."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from msgspec import json
from sqlalchemy import insert, select

from openpollen.ledger.entries import iso
from openpollen.storage.database import Connection
from openpollen.storage.schema import audit

#: The actor of what the program does by itself.
SYSTEM = "system"

Action = Literal[
    "user.create",
    "user.tier",
    "user.ban",
    "user.unban",
    "user.login_link",
    "user.profile",
    "user.verify",
    "user.delete",
    "session.start",
    "session.end",
    "password.set",
    "passkey.add",
    "passkey.remove",
    "identity.link",
    "identity.unlink",
    "invite.create",
    "invite.use",
    "key.create",
    "key.revoke",
    "key.change",
    "key.rotate",
    "grant.consent",
    "credit.grant",
    "credit.correct",
    "credit.refund",
]


def note(connection: Connection, actor: str, action: Action, subject: str, **details: Any) -> None:
    """Adds a row: ``actor`` did ``action`` to the account ``subject``. ``details`` are plain values; amounts in
    decimal pollen. Call it in the transaction of the act itself."""
    row = {
        "at": int(time.time() * 1000),
        "actor": actor,
        "action": action,
        "subject": subject,
        "details": json.encode(details).decode(),
    }
    connection.execute(insert(audit).values(row))


def last_actor(connection: Connection, subject: str, action: Action) -> str | None:
    """Who last did this to an account; ``None`` when nobody did."""
    rows = select(audit.c.actor).where(audit.c.subject == subject, audit.c.action == action)
    return connection.execute(rows.order_by(audit.c.id.desc()).limit(1)).scalar_one_or_none()


#: Every action, in the order of the list above.
ACTIONS: tuple[Action, ...] = get_args(Action)


def trail(
    connection: Connection,
    *,
    limit: int = 100,
    subject: str | None = None,
    action: str | None = None,
    before: int | None = None,
) -> list[dict[str, Any]]:
    """The latest rows, of one account or action or of all, the newest first; ``before`` is the id of the last one seen."""
    rows = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if subject is not None:
        rows = rows.where(audit.c.subject == subject)
    if action is not None:
        rows = rows.where(audit.c.action == action)
    if before is not None:
        rows = rows.where(audit.c.id < before)
    return [
        {
            "id": row.id,
            "at": iso(datetime.fromtimestamp(row.at / 1000, UTC)),
            "actor": row.actor,
            "action": row.action,
            "subject": row.subject,
            "details": json.decode(row.details),
        }
        for row in connection.execute(rows)
    ]
