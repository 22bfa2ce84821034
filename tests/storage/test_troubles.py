"""A database that is locked, full, cut off or fed nonsense: what must be written is written once, the rest is told."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from openpollen.cli.main import polli
from openpollen.core.errors import BadRequest, Conflict, ServiceUnavailable
from openpollen.settings import Settings, Storage
from openpollen.storage import writer
from openpollen.storage.database import FILE_NAME, Connection, Database, Driver
from openpollen.storage.postgres import _BEGIN, connect, shown
from tests import postgres
from tests.storage.cutter import Cutter
from tests.storage.test_database import add, keys


def note(driver: Driver, items: Sequence[str]) -> list[str]:
    """Stores keys in the order they came."""
    count = driver.execute("SELECT COUNT(*) FROM once").fetchone()[0]
    driver.executemany("INSERT INTO once (key, at) VALUES (?, ?)", [(key, count + n) for n, key in enumerate(items)])
    return list(items)


def in_order(database: Database) -> list[str]:
    return list(database.read_sync(lambda c: c.execute(text("SELECT key FROM once ORDER BY at")).scalars()))


@contextmanager
def locked(folder: Path, url: str) -> Generator[None]:
    """Another process is writing and does not come to an end."""
    if url:
        with connect(url) as other:
            other.execute(_BEGIN)
            yield
    else:
        with sqlite3.connect(folder / FILE_NAME, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
        other.close()


@contextmanager
def opened(folder: Path, url: str) -> Generator[Database]:
    database = Database.open(folder, url, commit_gap=0, busy_seconds=0.1)
    try:
        yield database
    finally:
        database.close()


def test_what_must_be_written_outlives_a_lock_in_order(tmp_path: Path, url: str) -> None:
    async def work(database: Database) -> None:
        with locked(tmp_path, url):
            musts = [database.submit(note, f"must {n}", must=True) for n in range(300)]
            with pytest.raises(ServiceUnavailable) as fault:
                await database.submit(note, "may")
            assert fault.value.reason == "database_busy"
            assert database.waiting == 300
            with pytest.raises(ServiceUnavailable):
                await database.write(lambda c: add(c, "may"))
            assert database.oldest_wait > 0.1
            assert not any(must.done() for must in musts)
        assert await asyncio.gather(*musts) == [f"must {n}" for n in range(300)]
        assert (database.waiting, database.oldest_wait) == (0, 0.0)
        assert in_order(database) == [f"must {n}" for n in range(300)]

    with opened(tmp_path, url) as database:
        asyncio.run(work(database))


def test_a_closing_database_tries_for_some_seconds_and_then_says_what_is_lost(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "_LAST_TRIES", 0.3)

    database = Database.open(tmp_path, url, busy_seconds=0.1)
    asyncio.run(_close_while_locked(database, tmp_path, url))
    assert "not written, and lost" in caplog.text


async def _close_while_locked(database: Database, folder: Path, url: str) -> None:
    with locked(folder, url):
        must = database.submit(note, "must", must=True)
        await asyncio.to_thread(database.close)
        with pytest.raises(ServiceUnavailable):
            await must


def test_a_full_disk_fails_what_may_fail_and_keeps_what_must_be_written(tmp_path: Path, url: str) -> None:
    tries: list[int] = []

    def fill(driver: Driver, items: Sequence[str]) -> list[str]:
        tries.append(len(items))
        if len(tries) == 1 and driver.dialect == "sqlite":
            pages = driver.execute("PRAGMA page_count").fetchone()[0]
            driver.execute(f"PRAGMA max_page_count = {pages}")
            driver.executemany("INSERT INTO once (key, at) VALUES (?, 1)", [(f"{n}" * 500,) for n in range(500)])
        if len(tries) == 1:
            driver.execute("DO $$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END $$")
        return note(driver, items)

    async def work(database: Database) -> None:
        must, may = database.submit(fill, "must", must=True), database.submit(fill, "may")
        with pytest.raises(ServiceUnavailable) as fault:
            await may
        assert fault.value.reason == "disk_full"
        assert await must == "must"
        assert tries == [2, 1]
        assert keys(database) == ["must"]

    with opened(tmp_path, url) as database:
        asyncio.run(work(database))


def test_one_bad_item_among_many_fails_alone_and_the_order_stays(tmp_path: Path, url: str) -> None:
    def refuse(driver: Driver, items: Sequence[str]) -> list[str]:
        if "bad" in items:
            raise Conflict("bad")
        return note(driver, items)

    async def work(database: Database) -> None:
        items = [f"{n}" for n in range(100)]
        items[37] = items[81] = "bad"
        outcomes = await asyncio.gather(
            *(database.submit(refuse, item, must=True) for item in items), return_exceptions=True
        )
        good = [item for item in items if item != "bad"]
        assert [outcome for outcome in outcomes if isinstance(outcome, str)] == good
        assert [type(outcomes[37]), type(outcomes[81])] == [Conflict, Conflict]
        assert in_order(database) == good

    with opened(tmp_path, url) as database:
        asyncio.run(work(database))


def cut_all(server: postgres.Server, url: str) -> None:
    name = url.partition("postgres:@/")[2].partition("?")[0]
    server.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")


def test_connections_that_were_cut_while_idle_are_opened_again(
    tmp_path: Path, postgres_server: postgres.Server, postgres_url: str
) -> None:
    with opened(tmp_path, postgres_url) as database:
        for number in range(3):
            database.write_sync(lambda c, n=number: add(c, f"{n}"))
            assert len(keys(database)) == number + 1
            cut_all(postgres_server, postgres_url)
        assert keys(database) == ["0", "1", "2"]


def test_a_connection_cut_in_a_transaction_undoes_it_and_is_told(tmp_path: Path, postgres_url: str) -> None:
    tries: list[int] = []

    def cut(driver: Driver, items: Sequence[str]) -> list[str]:
        note(driver, items)
        tries.append(len(items))
        if len(tries) == 1:
            driver.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return list(items)

    def cut_fn(connection: Connection) -> None:
        add(connection, "half")
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    async def work(database: Database) -> None:
        must, may = database.submit(cut, "must", must=True), database.submit(cut, "may")
        with pytest.raises(ServiceUnavailable) as fault:
            await may
        assert fault.value.reason == "database_away"
        assert await must == "must"
        with pytest.raises(ServiceUnavailable):
            await database.write(cut_fn)
        assert keys(database) == ["must"]

    with opened(tmp_path, postgres_url) as database:
        asyncio.run(work(database))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_whose_answer_is_lost_happens_once(tmp_path: Path, postgres_url: str, when: str) -> None:
    async def work(database: Database, cutter: Cutter) -> None:
        await database.submit(note, "first", must=True)
        cutter.cut = when  # type: ignore[assignment]  # one of its two words
        must, may = database.submit(note, "must", must=True), database.submit(note, "may")
        assert await must == "must"
        if when == "after":
            assert await may == "may"
        else:
            with pytest.raises(ServiceUnavailable, match="nothing was done"):
                await may
        assert cutter.cuts == 1
        assert in_order(database) == ["first", "must"] + ["may"] * (when == "after")

    with Cutter(postgres_url, tmp_path) as cutter, opened(tmp_path, cutter.url) as database:
        asyncio.run(work(database, cutter))


@pytest.mark.parametrize("when", ["before", "after"])
def test_while_the_outcome_of_a_commit_is_open_nothing_is_written_twice(
    tmp_path: Path, postgres_url: str, when: str
) -> None:
    async def work(database: Database, cutter: Cutter) -> None:
        await database.submit(note, "first")  # the writer has its connection
        cutter.down.set()
        cutter.cut = when  # type: ignore[assignment]  # one of its two words
        must, may = database.submit(note, "must", must=True), database.submit(note, "may")
        with pytest.raises(ServiceUnavailable) as fault:
            await may
        assert fault.value.reason == "database_doubt"
        with pytest.raises(ServiceUnavailable):
            await database.submit(note, "later")
        assert (must.done(), database.waiting) == (False, 1)
        after = database.submit(note, "after", must=True)
        cutter.down.clear()
        assert [await must, await after] == ["must", "after"]
        assert [key for key in in_order(database) if key != "may"] == ["first", "must", "after"]

    with Cutter(postgres_url, tmp_path) as cutter, opened(tmp_path, cutter.url) as database:
        asyncio.run(work(database, cutter))


def test_a_handler_that_hides_a_failed_statement_is_not_believed(tmp_path: Path, postgres_url: str) -> None:
    def hide(driver: Driver, items: Sequence[str]) -> list[str]:
        note(driver, items)
        with pytest.raises(psycopg.Error):
            driver.execute("SELECT nonsense")
        return list(items)

    with opened(tmp_path, postgres_url) as database:
        with pytest.raises(RuntimeError, match="after a statement had failed"):
            database.submit_sync(hide, "a")
        assert keys(database) == []


def test_text_that_postgresql_cannot_store_is_the_callers_fault(tmp_path: Path, postgres_url: str) -> None:
    with opened(tmp_path, postgres_url) as database:
        with pytest.raises(BadRequest, match="U\\+0000"):
            database.write_sync(lambda c: add(c, "a\0b"))
        with pytest.raises(BadRequest):
            database.submit_sync(note, "a\0b")


def test_an_address_that_leads_nowhere_is_told_without_its_password(tmp_path: Path) -> None:
    for address in (
        "postgresql://polli:secret@127.0.0.1:1/pollen",
        "postgresql://polli:secret@127.0.0.1:port/pollen",
        "postgres://polli:secret@127.0.0.1:1/pollen?colour=red",
        "postgresql://polli:secret@[::1/pollen",
        "mysql://polli:secret@127.0.0.1/pollen",
        "postgresql://polli:se:cr@et@secret@127.0.0.1:1:2/pollen",
    ):
        with pytest.raises(ServiceUnavailable) as fault:
            Database.open(tmp_path, address)
        assert "secret" not in fault.value.message
        assert "database" in fault.value.message
    assert shown("postgres://polli:secret@db.example:5432/pollen?sslmode=require") == (
        "postgresql://polli@db.example:5432/pollen"
    )


def test_the_command_line_never_prints_the_databases_password(tmp_path: Path) -> None:
    address = {"OPENPOLLEN_STORAGE_DATABASE_URL": "postgresql://polli:secret@127.0.0.1:1/pollen"}
    for command, code in ((["doctor"], 0), (["ledger", "verify"], 4)):
        result = CliRunner().invoke(polli, ["admin", *command, "--data", str(tmp_path)], env=address)
        assert result.exit_code == code, result.output
        assert "postgresql://polli@127.0.0.1:1/pollen" in result.output
        assert "secret" not in result.output
    wrong = {"OPENPOLLEN_STORAGE_DATABASE_URL": "mysql://polli:secret@127.0.0.1/pollen"}
    result = CliRunner().invoke(polli, ["admin", "ledger", "verify", "--data", str(tmp_path)], env=wrong)
    assert result.exit_code == 2
    assert "OPENPOLLEN_STORAGE_DATABASE_URL" in result.output
    assert "secret" not in result.output + repr(Settings(storage=Storage("postgresql://polli:secret@h/d")))
