"""Transactions: each alone, many in a commit, and faults that say what to do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from openpollen.core.errors import Conflict, ServiceUnavailable
from openpollen.storage import describe, migrate
from openpollen.storage.database import Connection, Database, Driver
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
                wanted = str(column.type.compile(connection.dialect))
                if wanted == "TEXT" and connection.dialect.name == "postgresql":
                    wanted = 'TEXT COLLATE "C"'  # compared byte by byte, as SQLite does
                assert str(made["type"].compile(connection.dialect)) == wanted, (table.name, column.name)
                assert made["nullable"] == column.nullable, (table.name, column.name)
            assert found.get_pk_constraint(table.name)["constrained_columns"] == [c.name for c in table.primary_key]
            assert {i["name"] for i in found.get_indexes(table.name) if "duplicates_constraint" not in i} == {
                index.name for index in table.indexes
            }
            assert len(found.get_foreign_keys(table.name)) == len(table.foreign_keys)

    database.read_sync(compare)


def test_every_migration_reads_for_both_databases() -> None:
    for name in migrate.available():
        for dialect in ("sqlite", "postgresql"):
            statements = migrate.statements(name, dialect)
            assert statements
            assert not any("{" in statement for statement in statements)
        assert any("IDENTITY" in statement for statement in migrate.statements(name, "postgresql"))


def test_opening_again_changes_nothing_and_a_newer_database_is_refused(
    tmp_path: Path, database: Database, url: str
) -> None:
    assert database.write_sync(migrate.upgrade) == []
    database.write_sync(
        lambda c: c.execute(text("INSERT INTO migrations (name, at) VALUES ('9999_later.sql', 1)")).rowcount
    )
    with pytest.raises(ServiceUnavailable, match="newer version"):
        Database.open(tmp_path, url)


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
    assert "unique" in str(outcomes[3]).lower()
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


def test_processes_that_open_a_new_database_at_once_agree(tmp_path: Path, empty_url: str) -> None:
    code = (
        "import sys, pathlib; from openpollen.storage.database import Database; "
        "Database.open(pathlib.Path(sys.argv[1]), sys.argv[2]).close()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "new"), empty_url]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]


def test_processes_that_read_decide_and_write_lose_no_update(tmp_path: Path, database: Database, url: str) -> None:
    code = """if True:
        import sys, pathlib
        from openpollen.storage.database import Database
        from sqlalchemy import text

        database = Database.open(pathlib.Path(sys.argv[1]), sys.argv[2], commit_gap=0)

        def raise_by_one(connection):
            at = connection.execute(text("SELECT at FROM once WHERE key = 'counter'")).scalar_one()
            connection.execute(text("UPDATE once SET at = :at WHERE key = 'counter'"), {"at": at + 1})

        for _ in range(100):
            database.write_sync(raise_by_one)
        database.close()
    """
    database.write_sync(lambda c: add(c, "counter"))
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), url]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    query = text("SELECT at FROM once WHERE key = 'counter'")
    assert database.read_sync(lambda c: c.execute(query).scalar_one()) == 301


def test_a_closed_database_says_so(tmp_path: Path, url: str) -> None:
    database = Database.open(tmp_path, url)
    database.close()
    with pytest.raises(ServiceUnavailable):
        database.write_sync(lambda c: add(c, "a"))


def test_the_driver_takes_one_sql_text_on_both(database: Database) -> None:
    upsert = "INSERT INTO once (key, at) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET at = once.at + excluded.at"

    def work(driver: Driver, items: Sequence[int]) -> list[tuple[list[int], dict[str, int], int]]:
        many = driver.executemany(upsert, [(f"k{number}", number) for number in range(1203)])
        again = driver.executemany(upsert, [("k1", 10), ("k2", True)])
        one = driver.executemany(upsert, [("k3", 5)])
        gone = driver.executemany("DELETE FROM once WHERE key = ?", [("k4",), ("k5",), ("nobody",)])
        none = driver.executemany(upsert, [])
        rows = driver.execute("SELECT key, at FROM once WHERE at < ? ORDER BY key", (20,)).fetchall()
        total = driver.execute("SELECT SUM(at) FROM once").fetchone()
        assert driver.dialect in ("sqlite", "postgresql")
        assert abs(driver.now() - time.time() * 1000) < 5000
        counts = [many.rowcount, again.rowcount, one.rowcount, gone.rowcount, max(0, none.rowcount)]
        return [(counts, dict(map(tuple, rows)), total[0])]

    counts, rows, total = database.submit_sync(work, 0)
    assert counts == [1203, 2, 1, 2, 0]
    assert (rows["k1"], rows["k2"], rows["k3"]) == (11, 3, 8)
    assert "k4" not in rows
    assert list(rows) == sorted(rows)
    assert total == 1203 * 1202 // 2 - 9 + 10 + 1 + 5
    assert type(total) is int


def test_text_is_ordered_byte_by_byte(database: Database) -> None:
    for key in ("b", "A", "a", "B", "_", "1"):
        database.write_sync(lambda c, key=key: add(c, key))
    assert keys(database) == ["1", "A", "B", "_", "a", "b"]
