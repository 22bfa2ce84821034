"""Files by their content: renewal, references, expiry."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from openpollen.core.errors import BadRequest, Conflict, NotFound, PayloadTooLarge, RateLimited
from openpollen.media.store import MediaStore
from openpollen.storage.blobs import Blobs
from openpollen.storage.database import Database


@pytest.fixture
def store(database: Database, tmp_path: Path) -> MediaStore:
    return MediaStore(database, Blobs(tmp_path / "blobs"), max_bytes=1000)


def files(tmp_path: Path) -> int:
    return sum(path.is_file() for path in (tmp_path / "blobs").rglob("*"))


def change(database: Database, sql: str) -> None:
    database.write_sync(lambda c: c.exec_driver_sql(sql).rowcount)


def test_a_file_is_found_under_the_first_half_of_its_hash(store: MediaStore) -> None:
    async def work() -> None:
        made = await store.put(b"hello", "usr_1", "notes/../hi\x00.txt")
        assert made.sha256.startswith("2cf24dba5fb0a30e")
        assert (made.id, made.content_type, made.size, made.duplicate) == ("2cf24dba5fb0a30e", "text/plain", 5, False)
        assert made.name == "hi.txt"
        assert await store.get("2CF24DBA5FB0A30E") == (await store.head(made.id), b"hello")
        assert 14 * 86_400 - 60 < made.seconds_left <= 14 * 86_400

    asyncio.run(work())


def test_duplicate_speaks_of_the_callers_own_earlier_upload_and_renews_it(
    store: MediaStore, database: Database
) -> None:
    async def work() -> None:
        first = await store.put(b"hello", "usr_1")
        change(database, "UPDATE media SET expires_at = expires_at - 1000000")
        change(database, "UPDATE media_refs SET expires_at = expires_at - 1000000")
        assert not (await store.put(b"hello", "usr_2")).duplicate
        again = await store.put(b"hello", "usr_1")
        assert again.duplicate
        assert (await store.head(first.id)).expires >= first.expires

    asyncio.run(work())


def test_the_bytes_go_with_the_last_reference(store: MediaStore, tmp_path: Path) -> None:
    async def work() -> None:
        made = await store.put(b"hello", "usr_1")
        await store.put(b"hello", "usr_2")
        with pytest.raises(NotFound):
            await store.delete(made.id, "usr_3")
        await store.delete(made.id, "usr_1")
        assert (await store.get(made.id))[1] == b"hello"
        assert files(tmp_path) == 1
        await store.delete(made.id, "usr_2")
        with pytest.raises(NotFound):
            await store.head(made.id)
        assert files(tmp_path) == 0

    asyncio.run(work())


def test_what_has_expired_is_gone_and_the_sweep_removes_its_bytes(
    store: MediaStore, database: Database, tmp_path: Path
) -> None:
    async def work() -> None:
        made = await store.put(b"hello", "usr_1")
        await store.put(b"other", "usr_1")
        for table, column in (("media", "id"), ("media_refs", "media_id")):
            change(database, f"UPDATE {table} SET expires_at = 1 WHERE {column} = '{made.id}'")
        with pytest.raises(NotFound):
            await store.head(made.id)
        assert await store.sweep() == 1
        assert files(tmp_path) == 1
        assert not (await store.put(b"hello", "usr_1")).duplicate
        assert (await store.get(made.id))[1] == b"hello"

    asyncio.run(work())


def test_other_bytes_under_the_same_address_are_refused(store: MediaStore, database: Database) -> None:
    async def work() -> None:
        await store.put(b"hello", "usr_1")
        change(database, "UPDATE media SET sha256 = '2cf24dba5fb0a30e' || substr(sha256, 17, 47) || '0'")
        with pytest.raises(Conflict):
            await store.put(b"hello", "usr_2")

    asyncio.run(work())


def test_a_removal_and_an_upload_at_once_leave_no_row_without_bytes(store: MediaStore) -> None:
    async def work() -> None:
        made = await store.put(b"hello", "usr_1")
        for _ in range(20):
            await asyncio.gather(store.delete(made.id, "usr_1"), store.put(b"hello", "usr_2"))
            assert (await store.get(made.id))[1] == b"hello"
            await asyncio.gather(store.delete(made.id, "usr_2"), store.put(b"hello", "usr_1"))
            assert (await store.get(made.id))[1] == b"hello"

    asyncio.run(work())


def test_limits(store: MediaStore) -> None:
    async def work() -> None:
        with pytest.raises(BadRequest):
            await store.put(b"", "usr_1")
        with pytest.raises(PayloadTooLarge):
            await store.put(bytes(1001), "usr_1")
        assert (await store.put(bytes(1001), "usr_1", limit=False)).size == 1001
        for address in ("xyz", "0" * 15, "0" * 17, "../" * 5 + "a"):
            with pytest.raises(BadRequest):
                await store.head(address)
        with pytest.raises(NotFound):
            await store.head("0" * 16)

    asyncio.run(work())


def test_an_account_keeps_and_adds_only_so_much(database: Database, tmp_path: Path) -> None:
    async def work() -> None:
        store = MediaStore(database, Blobs(tmp_path / "blobs"), account_bytes=100, account_per_minute=3)
        await store.put(bytes(60), "usr_1")
        with pytest.raises(PayloadTooLarge):
            await store.put(bytes(41), "usr_1")
        assert files(tmp_path) == 1
        await store.put(bytes(41), "usr_2")
        await store.put(b"a", "usr_1")
        await store.put(b"b", "usr_1")
        with pytest.raises(RateLimited):
            await store.put(b"c", "usr_1")
        await store.put(b"made here", "usr_1", limit=False)

    asyncio.run(work())


def test_an_uploader_lists_their_own_files_newest_first(store: MediaStore) -> None:
    async def work() -> None:
        names = [f"{number}.txt" for number in range(3)]
        for name in names:
            await store.put(name.encode(), "usr_1", name)
        await store.put(b"foreign", "usr_2")
        assert {file.name for file in await store.list("usr_1")} == set(names)
        assert len(await store.list("usr_1", limit=2)) == 2
        assert await store.list("usr_3") == []

    asyncio.run(work())
