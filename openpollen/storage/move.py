"""Copies all that a database holds into an empty one, row for row, whatever the two are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Table, func, insert, select, text

from openpollen.core.errors import Conflict
from openpollen.storage.database import Connection
from openpollen.storage.schema import metadata

_ROWS = 1_000


def copy(source: Connection, target: Connection) -> dict[str, int]:
    """Copies every table and returns how many rows each has. For use inside a transaction of the target.

    Raises Conflict for a target that holds anything, or that has other counts in the end."""
    tables = metadata.sorted_tables
    if full := [table.name for table in tables if _count(target, table)]:
        raise Conflict(f"The target is not empty: it has rows in {', '.join(full)}. Give an empty database.")
    for table in tables:
        rows = source.execute(select(table).execution_options(yield_per=_ROWS)).mappings()
        for part in _parts(_parents_first(table, (dict(row) for row in rows))):
            target.execute(insert(table), part)
        _go_on_counting(target, table)
    counts = {table.name: _count(source, table) for table in tables}
    if wrong := [table.name for table in tables if _count(target, table) != counts[table.name]]:
        raise Conflict(f"Not every row arrived in {', '.join(wrong)}; nothing was moved.")
    return counts


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _parts(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rest = iter(rows)
    while part := list(islice(rest, _ROWS)):
        yield part


def _parents_first(table: Table, rows: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """The rows in an order in which each comes after the row of its own table that it names."""
    parent = next((key.parent.name for key in table.foreign_keys if key.column.table is table), None)
    if parent is None:
        return rows
    children: dict[object, list[dict[str, Any]]] = {}
    for row in rows:
        children.setdefault(row[parent], []).append(row)
    return _level(children, children.get(None, ()))


def _level(children: dict[object, list[dict[str, Any]]], rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    while rows:
        yield from rows
        rows = [child for row in rows for child in children.get(row["id"], ())]


def _go_on_counting(target: Connection, table: Table) -> None:
    """Makes PostgreSQL number new rows after those that brought their numbers along; SQLite does so by itself."""
    if target.dialect.name == "postgresql" and table.autoincrement_column is not None:
        last = f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), MAX(id)) FROM {table.name}"  # noqa: S608 - schema names
        target.execute(text(last))
