"""Time that has passed: rows of a running server's database made older than they are."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from openpollen.storage import postgres
from tests.gateway import Gateway


def rewrite(gateway: Gateway, sql: str, *values: Any) -> int:
    """Changes rows and returns how many. The statement is standard SQL with ``?`` for values."""
    if url := gateway.database_url:
        with closing(postgres.connect(url)) as connection:
            changed = connection.execute(sql.replace("?", "%s").encode(), values).rowcount
            connection.commit()
            return changed
    with closing(sqlite3.connect(gateway.data / "openpollen.db", timeout=10)) as database:
        changed = database.execute(sql, values).rowcount
        database.commit()
        return changed
