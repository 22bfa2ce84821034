"""Everything that is held about an account, as one JSON document made piece by piece."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import DecodeError, json
from sqlalchemy import Select, Table, or_, select

from openpollen.accounts.keys import list_keys
from openpollen.ledger.entries import iso
from openpollen.storage.database import Connection, Database
from openpollen.storage.schema import (
    api_keys,
    audit,
    cached_answers,
    identities,
    jobs,
    ledger_accounts,
    media,
    media_refs,
    passkeys,
    passwords,
    sessions,
    transfers,
    usage,
    usage_terms,
    users,
)

_PAGE = 1000
#: What would let a reader in, means nothing outside the server, or is bytes.
_HIDDEN = frozenset(
    {"hash", "public_key", "sign_count", "worker", "lease_until", "terms", "body", "blob", "headers", "work"}
)
_AS_JSON = frozenset({"details", "units", "models", "scopes", "redirect_uris", "origins", "request", "rates", "facts"})


async def export(database: Database, user_id: str) -> AsyncGenerator[bytes, None]:
    """The document, in pieces. Amounts are nano-pollen, times ISO in UTC."""
    keys, buckets = await database.read(lambda connection: _own(connection, user_id))
    yield b'{\n"format": "openpollen-export-1"'
    for name, statement in _sections(user_id, keys):
        yield f',\n"{name}": '.encode() + json.encode(await _rows(database, statement))
    long: list[tuple[str, Table, Select[Any]]] = [
        ("transfers", transfers, select(transfers).where(_moves(buckets))),
        ("usage", usage, _usage(user_id)),
        ("audit", audit, select(audit).where(audit.c.subject == user_id)),
    ]
    for name, table, statement in long:
        yield f',\n"{name}": ['.encode()
        async for piece in _pages(database, table, statement):
            yield piece
        yield b"\n]"
    yield b"\n}\n"


async def _pages(database: Database, table: Table, statement: Select[Any]) -> AsyncGenerator[bytes, None]:
    """Rows of a long table, a page at a time, by their number."""
    last, first = 0, True
    while True:
        page = statement.where(table.c.id > last).order_by(table.c.id).limit(_PAGE)
        rows = await _rows(database, page)
        if not rows:
            return
        lines = b",\n".join(json.encode(row) for row in rows)
        yield (b"\n" if first else b",\n") + lines
        last, first = rows[-1]["id"], False


async def _rows(database: Database, statement: Select[Any]) -> list[dict[str, Any]]:
    return await database.read(lambda connection: [_shown(row) for row in connection.execute(statement).mappings()])


def _own(connection: Connection, user_id: str) -> tuple[list[str], list[str]]:
    """The ids of the account's keys and of its ledger accounts."""
    keys = [key.id for key in list_keys(connection, user_id)]
    owned = select(ledger_accounts.c.id).where(ledger_accounts.c.owner.in_([user_id, *keys]))
    return keys, list(connection.execute(owned).scalars())


def _sections(user_id: str, keys: list[str]) -> Iterable[tuple[str, Any]]:
    yield "account", select(users).where(users.c.id == user_id)
    yield "password", select(passwords.c.changed_at).where(passwords.c.user_id == user_id)
    yield "passkeys", select(passkeys).where(passkeys.c.user_id == user_id)
    yield "linked_accounts", select(identities).where(identities.c.user_id == user_id)
    yield "sessions", select(sessions).where(sessions.c.user_id == user_id)
    yield "keys", select(api_keys).where(api_keys.c.user_id == user_id)
    yield "balances", select(ledger_accounts).where(ledger_accounts.c.owner.in_([user_id, *keys]))
    files = select(media, media_refs.c.name, media_refs.c.created_at.label("uploaded_at"))
    yield "files", files.join(media_refs, media_refs.c.media_id == media.c.id).where(media_refs.c.user_id == user_id)
    yield "jobs", select(jobs).where(jobs.c.user_id == user_id)
    kept, partition = cached_answers.c, cached_answers.c.partition
    own = or_(partition == user_id, partition.startswith(f"{user_id}:", autoescape=True), partition.in_(keys))
    yield "kept_answers", select(kept.key, kept.media_type, kept.created_at, kept.expires_at).where(own)


def _moves(buckets: list[str]) -> Any:
    return or_(transfers.c.debit.in_(buckets), transfers.c.credit.in_(buckets))


def _usage(user_id: str) -> Select[Any]:
    told = [column for column in usage_terms.columns if column.name != "id"]
    return (
        select(usage, *told).outerjoin(usage_terms, usage_terms.c.id == usage.c.terms).where(usage.c.user_id == user_id)
    )


def _shown(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {name: _value(name, value) for name, value in row.items() if name not in _HIDDEN}


def _value(name: str, value: Any) -> Any:
    if isinstance(value, int) and (name == "at" or name.endswith("_at")):
        return iso(datetime.fromtimestamp(value / 1000, UTC))
    if isinstance(value, str) and name in _AS_JSON:
        try:
            return json.decode(value)
        except DecodeError:
            return value
    return value
