"""Transactions: each alone, many in a commit, and faults that say what to do."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from openpollen.core.errors import Conflict, ServiceUnavailable
from openpollen.storage import describe, migrate
from openpollen.storage.database import FILE_NAME, Connection, Database, Driver
from openpollen.storage.schema import metadata

TABLES_PAGE = Path(__file__).parents[2] / "docs/reference/tables.md"


def add(connection: Connection, key: str) -> str:
    connection.execute(text("INSERT INTO once (key, at) VALUES (:key, 1)"), {"key": key})
    return key


def add_items(driver: Driver, items: Sequence[str]) -> Sequence[str | Exception]:
    driver.executemany("INSERT INTO once (key, at) VALUES (?, 1)", [(item,) for item in items if item != "refuse"])
    return [Conflict("refused") if item == "refuse" else item for item in items]


def keys(database: Database) -> list[str]:
    return list(database.read_sync(lambda c: c.execute(text("SELECT key FROM once ORDER BY key")).scalars()))


def test_the_migrations_build_the_tables_of_the_schema(database: Database) -> None:
    def compare(connection: Connection) -> None:
        found = inspect(connection)
        assert set(found.get_table_names()) == {*metadata.tables, "migrations"}
        for table in metadata.tables.values():
            columns = {column["name"]: column for column in found.get_columns(table.name)}
            assert list(columns) == [column.name for column in table.columns], table.name
            for column in table.columns:
                made = columns[column.name]
                assert str(made["type"]) == str(column.type.compile(connection.dialect)), (table.name, column.name)
                assert made["nullable"] == column.nullable, (table.name, column.name)
            assert found.get_pk_constraint(table.name)["constrained_columns"] == [c.name for c in table.primary_key]
            assert {i["name"] for i in found.get_indexes(table.name)} == {index.name for index in table.indexes}
            assert len(found.get_foreign_keys(table.name)) == len(table.foreign_keys)

    database.read_sync(compare)


def test_every_migration_reads_for_both_databases() -> None:
    for name in migrate.available():
        for dialect in ("sqlite", "postgresql"):
            statements = migrate.statements(name, dialect)
            assert statements
            assert not any("{" in statement for statement in statements)
        assert any("IDENTITY" in statement for statement in migrate.statements(name, "postgresql"))


def test_opening_again_changes_nothing_and_a_newer_database_is_refused(tmp_path: Path, database: Database) -> None:
    assert database.write_sync(migrate.upgrade) == []
    database.write_sync(
        lambda c: c.execute(text("INSERT INTO migrations (name, at) VALUES ('9999_later.sql', 1)")).rowcount
    )
    with pytest.raises(ServiceUnavailable, match="newer version"):
        Database.open(tmp_path)


def test_the_page_of_tables_is_up_to_date() -> None:
    message = "run: python -m openpollen.storage.describe > docs/reference/tables.md"
    assert TABLES_PAGE.read_text("utf-8") == describe.tables_page(), message


def test_a_failing_transaction_leaves_no_trace_and_its_neighbours_stand(database: Database) -> None:
    def half(connection: Connection) -> None:
        add(connection, "half")
        raise Conflict("no")

    async def work() -> list[object]:
        writes = [database.write(lambda c, n=n: add(c, f"k{n}")) for n in range(10)]
        return await asyncio.gather(
            *writes, database.write(half), database.write(lambda c: add(c, "k10")), return_exceptions=True
        )

    outcomes = asyncio.run(work())
    assert isinstance(outcomes[10], Conflict)
    assert len(keys(database)) == 11
    assert "half" not in keys(database)


def test_a_bad_item_fails_alone_in_a_group(database: Database) -> None:
    async def work() -> list[object]:
        items = ["a", "b", "refuse", "a", "c"]  # the second "a" breaks the whole statement
        return await asyncio.gather(*(database.submit(add_items, item) for item in items), return_exceptions=True)

    outcomes = asyncio.run(work())
    assert [type(outcome) for outcome in outcomes] == [str, str, Conflict, outcomes[3].__class__, str]
    assert "UNIQUE" in str(outcomes[3])
    assert keys(database) == ["a", "b", "c"]


def test_a_write_happens_although_its_task_is_cancelled(database: Database) -> None:
    async def work() -> None:
        write = database.write(lambda c: add(c, "kept"))
        write.cancel()
        await database.write(lambda c: None)

    asyncio.run(work())
    assert keys(database) == ["kept"]


def test_a_read_sees_one_snapshot(database: Database) -> None:
    def look(connection: Connection) -> tuple[int, int]:
        before = connection.execute(text("SELECT COUNT(*) FROM once")).scalar_one()
        database.write_sync(lambda c: add(c, "later"))
        return before, connection.execute(text("SELECT COUNT(*) FROM once")).scalar_one()

    assert database.read_sync(look) == (0, 0)
    assert keys(database) == ["later"]


def test_a_locked_database_is_unavailable_and_works_again_after(tmp_path: Path) -> None:
    database = Database.open(tmp_path, busy_seconds=0.2)
    try:
        other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        with pytest.raises(ServiceUnavailable) as fault:
            database.write_sync(lambda c: add(c, "a"))
        assert time.monotonic() - started < 3
        assert (fault.value.reason, fault.value.retry_after) == ("database_busy", 1)
        other.execute("ROLLBACK")
        other.close()
        database.write_sync(lambda c: add(c, "b"))
        assert keys(database) == ["b"]
    finally:
        database.close()


def test_a_full_disk_is_unavailable_and_loses_nothing(database: Database) -> None:
    database.write_sync(lambda c: add(c, "before"))

    def fill(connection: Connection) -> None:
        # What SQLite does at the end of the disk it also does at the end of the pages it is allowed.
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        try:
            for number in range(2000):
                add(connection, f"{number}" * 100)
        finally:
            connection.exec_driver_sql("PRAGMA max_page_count = 1073741823")

    with pytest.raises(ServiceUnavailable) as fault:
        database.write_sync(fill)
    assert fault.value.reason == "disk_full"
    database.write_sync(lambda c: add(c, "later"))
    assert keys(database) == ["before", "later"]


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ServiceUnavailable, match="cannot be made"):
        Database.open(tmp_path / "file" / "data")


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database at all " * 100)
    with pytest.raises(ServiceUnavailable, match="SQLITE_NOTADB"):
        Database.open(tmp_path)


def test_two_processes_that_open_a_new_folder_at_once_agree(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from openpollen.storage.database import Database; "
        "Database.open(pathlib.Path(sys.argv[1])).close()"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "new")]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]


def test_a_closed_database_says_so(tmp_path: Path) -> None:
    database = Database.open(tmp_path)
    database.close()
    with pytest.raises(ServiceUnavailable):
        database.write_sync(lambda c: add(c, "a"))
