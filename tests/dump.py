"""All that a database holds, as text: what must not be stored is not in it."""

from __future__ import annotations

from sqlalchemy import select

from openpollen.storage.database import Connection, Database
from openpollen.storage.schema import metadata


def everything(database: Database) -> str:
    def look(connection: Connection) -> str:
        return "\n".join(str(row) for table in metadata.sorted_tables for row in connection.execute(select(table)))

    return database.read_sync(look)
