"""Writes ``docs/reference/tables.md`` from the schema: ``python -m openpollen.storage.describe >
docs/reference/tables.md``."""

from __future__ import annotations

import sys

from sqlalchemy import CheckConstraint, Column, Index, Table

from openpollen.storage.schema import metadata

_HEAD = """# Tables

Made from `openpollen/storage/schema.py`; do not edit by hand. Times are milliseconds since the epoch (UTC), amounts are integer
nano-pollen (1 pollen = 1,000,000,000), JSON is kept as text, and 0 and 1 stand for no and yes.
"""


def tables_page() -> str:
    """The page, in Markdown."""
    return _HEAD + "".join(_section(table) for table in metadata.tables.values())


def _section(table: Table) -> str:
    lines = [f"\n## {table.name}\n", f"{table.info['doc']}\n", "| column | type | |", "| --- | --- | --- |"]
    lines += [f"| `{column.name}` | {column.type} | {_notes(column)} |" for column in table.columns]
    checks = sorted(str(c.sqltext) for c in table.constraints if isinstance(c, CheckConstraint) and _of_table(c))
    indexes = sorted(_index(index) for index in table.indexes)
    lines += [f"\nAlways: `{check}`." for check in checks]
    lines += [f"\nIndexed by {'; '.join(indexes)}."] if indexes else []
    return "\n".join(lines) + "\n"


def _index(index: Index) -> str:
    only = index.dialect_options["sqlite"]["where"]
    columns = ", ".join(column.name for column in index.columns)
    return columns if only is None else f"{columns} where `{only}`"


def _notes(column: Column[object]) -> str:
    notes = ["key"] if column.primary_key else []
    notes += ["unique"] if column.unique else []
    notes += [f"-> `{key.target_fullname}`" for key in column.foreign_keys]
    notes += ["may be empty"] if column.nullable else []
    notes += [f"`{c.sqltext}`" for c in sorted(column.constraints, key=str) if isinstance(c, CheckConstraint)]
    return ", ".join(notes)


def _of_table(check: CheckConstraint) -> bool:
    return check.name is not None


if __name__ == "__main__":
    sys.stdout.write(tables_page())
