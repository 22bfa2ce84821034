"""What was used and what it cost: rows, daily sums, CSV. Fields and their order are the contract's."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct, json
from sqlalchemy import ColumnElement, Row, and_, func, or_, select

from openpollen.core.errors import BadRequest
from openpollen.core.money import format_pollen, pollen_number
from openpollen.core.usage import Usage
from openpollen.storage.database import Connection
from openpollen.storage.schema import usage, usage_daily, usage_terms
from openpollen.usage.days import day_of

MAX_DAYS = 90
MAX_ROWS = 50_000

#: Columns of the CSV, in this order; JSON rows add fields after ``model`` and at the end.
ROW_COLUMNS = (
    "timestamp",
    "type",
    "model",
    "api_key",
    "api_key_type",
    "meter_source",
    "input_text_tokens",
    "input_cached_tokens",
    "input_audio_tokens",
    "input_image_tokens",
    "output_text_tokens",
    "output_reasoning_tokens",
    "output_audio_tokens",
    "output_image_tokens",
    "cost_usd",
    "response_time_ms",
)
DAILY_COLUMNS = ("date", "model", "meter_source", "requests", "cost_usd")

_CURSOR = re.compile(r"([0-9]{1,15})_([0-9]{1,19})")
_LAST_ROW = 2**63 - 1
#: What a spreadsheet may take for the start of a formula, in its wide forms too.
_FORMULA = ("\t", "\r", "\n")
_FIRST = ("=", "+", "-", "@", "\u2212", ";")
_decode_units = json.Decoder(Usage).decode


class Page(Struct, frozen=True):
    """Rows, the newest first, and the cursor of the rows after them, ``None`` at the end."""

    rows: list[dict[str, Any]]
    next: str | None = None

    def body(self) -> dict[str, Any]:
        """The JSON answer."""
        return {"usage": self.rows, "count": len(self.rows), "next": self.next}


def rows(
    connection: Connection,
    user_id: str,
    *,
    key_id: str | None = None,
    model: str | None = None,
    days: int = 30,
    since: int | None = None,
    limit: int = 100,
    before: str | None = None,
    now: float | None = None,
) -> Page:
    """Requests of a user, or of one of their keys or models, in the last ``days`` UTC days, today included, or ``since``
    a moment in milliseconds.

    ``before`` is a ``Page.next``, or a timestamp. Timestamps in rows have whole seconds, so a page that is cut ends
    between two seconds where it can: following the last timestamp then skips nothing and repeats nothing, as
    following ``next`` always does. Raises BadRequest.
    """
    _check("days", days, MAX_DAYS)
    _check("limit", limit, MAX_ROWS)
    first = _window_start(days, now) if since is None else since
    where: list[ColumnElement[bool]] = [usage.c.user_id == user_id, usage.c.at >= first]
    if key_id is not None:
        where.append(usage.c.key_id == key_id)
    if model is not None:
        where.append(usage.c.terms.in_(select(usage_terms.c.id).where(usage_terms.c.model == model)))
    if before is not None:
        where.append(_older_than(before))
    terms = (column for column in usage_terms.c if column.name != "id")
    newest = select(usage, *terms).join(usage_terms, usage_terms.c.id == usage.c.terms).where(*where)
    newest = newest.order_by(usage.c.at.desc(), usage.c.id.desc()).limit(limit + 1)
    found = connection.execute(newest).all()
    page = _cut(found, limit)
    cursor = f"{page[-1].at}_{page[-1].id}" if len(page) < len(found) else None
    return Page([_row(row) for row in page], cursor)


def daily(connection: Connection, user_id: str, *, days: int = MAX_DAYS, now: float | None = None) -> Page:
    """Sums by UTC day, model and bucket, exact to the nano-pollen and always fresh. Raises BadRequest."""
    _check("days", days, MAX_DAYS)
    table = usage_daily.c
    first = day_of(_window_start(days, now))
    requests, cost = func.sum(table.requests).label("requests"), func.sum(table.cost).label("cost")
    sums = (
        select(table.date, table.model, table.meter_source, requests, cost)
        .where(table.user_id == user_id, table.date >= first)
        .group_by(table.date, table.model, table.meter_source)
        .order_by(table.date.desc(), requests.desc(), table.model, table.meter_source)
    )
    return Page(
        [
            {
                "date": row.date,
                "model": row.model or None,
                "meter_source": row.meter_source or None,
                "requests": int(row.requests),
                "cost_usd": pollen_number(int(row.cost)),
            }
            for row in connection.execute(sums)
        ]
    )


def to_csv(columns: Sequence[str], table: Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV without a last newline. A cell that a spreadsheet would run as a formula starts with an
    apostrophe."""
    lines = [",".join(columns)]
    lines += [",".join(_cell(row.get(column)) for column in columns) for row in table]
    return "\n".join(lines)


def _row(row: Row[Any]) -> dict[str, Any]:
    units = _decode_units(row.units)
    return {
        "timestamp": datetime.fromtimestamp(row.at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "type": row.type,
        "model": row.model,
        "api_key_id": row.key_id,
        "api_key": row.key_name,
        "api_key_type": row.key_type,
        "meter_source": row.meter_source,
        "input_text_tokens": units.input_tokens + units.cache_write_tokens,
        "input_cached_tokens": units.cached_input_tokens,
        "input_audio_tokens": units.input_audio_tokens,
        "input_image_tokens": units.input_image_tokens,
        "output_text_tokens": units.output_tokens,
        "output_reasoning_tokens": units.reasoning_tokens,
        "output_audio_tokens": units.output_audio_tokens or units.characters,
        "output_image_tokens": units.output_image_tokens or units.images,
        "cost_usd": pollen_number(row.charged),
        "response_time_ms": row.response_ms,
        "request_id": row.request_id,
        "served_model": row.served_model,
        "estimated": bool(row.estimated),
        "partial": bool(row.partial),
        "cached": bool(row.cached),
    }


def _cut(found: Sequence[Row[Any]], limit: int) -> Sequence[Row[Any]]:
    if len(found) <= limit:
        return found
    broken = found[limit].at // 1000
    whole = [row for row in found[:limit] if row.at // 1000 != broken]
    return whole or found[:limit]


def _older_than(before: str) -> ColumnElement[bool]:
    if match := _CURSOR.fullmatch(before):
        at, row_id = int(match[1]), min(int(match[2]), _LAST_ROW)
        return or_(usage.c.at < at, and_(usage.c.at == at, usage.c.id < row_id))
    try:
        # A plus sign of a zone, sent unescaped in a query, arrives as a space.
        moment = datetime.fromisoformat(re.sub(r" (\d\d:\d\d)$", r"+\1", before) if before.count(":") > 2 else before)
    except ValueError:
        raise BadRequest(
            "before is an ISO timestamp, such as 2026-03-25T10:00:00Z, or the `next` of an answer."
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return usage.c.at < round(moment.timestamp() * 1000)


def _window_start(days: int, now: float | None) -> int:
    today = datetime.fromtimestamp(time.time() if now is None else now, UTC)
    midnight = today.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return round((midnight - timedelta(days=days)).timestamp() * 1000)


def _check(name: str, value: int, largest: int) -> None:
    if not 1 <= value <= largest:
        raise BadRequest(f"{name} is a whole number from 1 to {largest:,}.")


def _runs(text: str) -> bool:
    """Whether a spreadsheet might take a text for a formula: also behind blanks and signs that are not seen, and in the
    wide and small forms of its first sign."""
    seen = next((sign for sign in text if unicodedata.category(sign)[0] not in "ZC"), "")
    return text.startswith(_FORMULA) or unicodedata.normalize("NFKC", seen).startswith(_FIRST)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        return format_pollen(round(value * 1_000_000_000)) if isinstance(value, float) else str(value)
    text = str(value)
    if _runs(text):
        text = "'" + text
    if any(character in text for character in ',"\n\r'):
        text = '"' + text.replace('"', '""') + '"'
    return text
