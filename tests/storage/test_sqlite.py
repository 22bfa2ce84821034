"""What only a file can suffer."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from openpollen.core.errors import ServiceUnavailable
from openpollen.storage.database import FILE_NAME, Connection, Database
from tests.storage.test_database import add, keys


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


def test_a_full_disk_is_unavailable_and_loses_nothing(tmp_path: Path) -> None:
    database = Database.open(tmp_path, commit_gap=0)
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
    database.close()


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ServiceUnavailable, match="cannot be made"):
        Database.open(tmp_path / "file" / "data")


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database at all " * 100)
    with pytest.raises(ServiceUnavailable, match="SQLITE_NOTADB"):
        Database.open(tmp_path)
