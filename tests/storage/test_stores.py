"""Blobs, cached answers, idempotency records and jobs."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from openpollen.core.errors import NotFound, ServiceUnavailable
from openpollen.storage.answers import Answer
from openpollen.storage.blobs import Blobs
from openpollen.storage.cache import Cache
from openpollen.storage.database import Database
from openpollen.storage.deliveries import Deliveries, Found
from openpollen.storage.idempotency import Conflict, Idempotency, InFlight, New, Replay
from openpollen.storage.jobs import Jobs

SMALL = Answer(200, "application/json", b'{"a": 1}', {"x-seed": "7"})
LARGE = Answer(200, "image/png", b"\x89PNG" + bytes(100_000))


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def files(blobs: Blobs, tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


def age(database: Database, table: str, **columns: int) -> None:
    changes = ", ".join(f"{name} = {value}" for name, value in columns.items())
    database.write_sync(lambda c: c.exec_driver_sql(f"UPDATE {table} SET {changes}").rowcount)


def test_a_blob_is_named_by_its_content_and_stored_once(blobs: Blobs, tmp_path: Path) -> None:
    name = asyncio.run(blobs.put(b"abc"))
    assert name == hashlib.sha256(b"abc").hexdigest()
    assert blobs.put_sync(b"abc") == name
    assert asyncio.run(blobs.get(name)) == b"abc"
    assert len(files(blobs, tmp_path)) == 1
    blobs.remove(name)
    blobs.remove(name)
    assert asyncio.run(blobs.get(name)) is None


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63])
def test_a_blob_has_no_other_names(blobs: Blobs, name: str) -> None:
    with pytest.raises(ValueError, match="64 hex"):
        blobs.path(name)


def test_a_blob_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file in the way")
    with pytest.raises(ServiceUnavailable):
        Blobs(tmp_path / "blobs").put_sync(b"abc")


@pytest.mark.parametrize("answer", [SMALL, LARGE], ids=["in the row", "as a blob"])
def test_the_cache_gives_back_what_it_got_to_its_partition_only(
    database: Database, blobs: Blobs, answer: Answer
) -> None:
    async def work() -> None:
        cache = Cache(database, blobs)
        await cache.put("usr_1", "key", SMALL)
        await cache.put("usr_1", "key", answer)
        assert await cache.get("usr_1", "key") == answer
        assert await cache.get("usr_2", "key") is None
        await cache.forget("usr_1")
        assert await cache.get("usr_1", "key") is None

    asyncio.run(work())


def test_the_cache_forgets_after_its_time_and_shared_bytes_go_with_the_last(
    database: Database, blobs: Blobs, tmp_path: Path
) -> None:
    async def work() -> None:
        cache = Cache(database, blobs)
        await cache.put("usr_1", "key", LARGE)
        await cache.put("usr_2", "key", LARGE)
        await cache.forget("usr_1")
        assert await cache.sweep() == 1
        assert await cache.get("usr_2", "key") == LARGE
        age(database, "cached_answers", expires_at=1)
        assert await cache.get("usr_2", "key") is None
        assert await cache.sweep() == 1
        assert files(blobs, tmp_path) == []

    asyncio.run(work())


def test_a_cached_answer_whose_bytes_are_gone_is_a_miss(database: Database, blobs: Blobs, tmp_path: Path) -> None:
    async def work() -> None:
        cache = Cache(database, blobs)
        await cache.put("usr_1", "key", LARGE)
        files(blobs, tmp_path)[0].unlink()
        assert await cache.get("usr_1", "key") is None

    asyncio.run(work())


@pytest.mark.parametrize("answer", [SMALL, LARGE], ids=["in the row", "as a blob"])
def test_of_many_equal_requests_one_works_and_the_rest_get_its_answer(
    database: Database, blobs: Blobs, answer: Answer
) -> None:
    async def work() -> None:
        store = Idempotency(database, blobs)
        begun = await asyncio.gather(*(store.begin("usr_1", "/v1/x", "k", "hash") for _ in range(20)))
        tickets = [outcome for outcome in begun if isinstance(outcome, New)]
        assert len(tickets) == 1
        assert begun.count(InFlight()) == 19
        assert await store.begin("usr_1", "/v1/x", "k", "other") == Conflict()
        assert isinstance(await store.begin("usr_2", "/v1/x", "k", "other"), New)
        assert isinstance(await store.begin("usr_1", "/v1/y", "k", "other"), New)
        await store.finish(tickets[0], answer)
        assert await store.begin("usr_1", "/v1/x", "k", "hash") == Replay(answer)
        assert await store.begin("usr_1", "/v1/x", "k", "other") == Conflict()
        await store.abandon(tickets[0])
        assert await store.begin("usr_1", "/v1/x", "k", "hash") == Replay(answer), (
            "a finished answer cannot be abandoned"
        )
        age(database, "idempotency", expires_at=1)
        await store.sweep()
        assert isinstance(await store.begin("usr_1", "/v1/x", "k", "other"), New)

    asyncio.run(work())


def test_a_failed_request_frees_its_key_and_a_dead_worker_loses_it(database: Database, blobs: Blobs) -> None:
    async def work() -> None:
        store = Idempotency(database, blobs)
        first: Any = await store.begin("usr_1", "/v1/x", "k", "hash")
        await store.abandon(first)
        second: Any = await store.begin("usr_1", "/v1/x", "k", "hash")
        assert await store.renew(second)
        age(database, "idempotency", lease_until=1)
        third: Any = await store.begin("usr_1", "/v1/x", "k", "hash")
        assert isinstance(third, New)
        assert not await store.renew(second)
        await store.finish(second, SMALL)
        assert await store.begin("usr_1", "/v1/x", "k", "hash") == InFlight(), (
            "the late one must not answer for the new"
        )

    asyncio.run(work())


def test_a_job_is_kept_by_its_worker_and_an_orphan_is_taken_over_once(database: Database) -> None:
    async def work() -> None:
        one, other = Jobs(database, "one"), Jobs(database, "other")
        job = await one.create("video", "usr_1", "key_1", "{}", "req_1")
        assert await one.update(job.id, status="running", upstream_id="up-1", progress=40)
        assert not await other.update(job.id, progress=50)
        assert await other.claim_orphan("video") is None
        age(database, "jobs", lease_until=1)
        claims = await asyncio.gather(*(other.claim_orphan("video") for _ in range(5)))
        taken = [claim for claim in claims if claim is not None]
        assert [(claim.upstream_id, claim.progress, claim.worker) for claim in taken] == [("up-1", 40, "other")]
        assert not await one.update(job.id, progress=60)
        assert await other.update(job.id, status="done", progress=100, media_id="0" * 16)
        assert not await other.update(job.id, status="failed")
        assert (await one.get(job.id, "usr_1")).status == "done"

    asyncio.run(work())


def test_a_user_sees_and_deletes_their_own_jobs_only(database: Database) -> None:
    async def work() -> None:
        jobs = Jobs(database, "one")
        made = [await jobs.create("video", "usr_1", None, "{}", f"req_{number}") for number in range(3)]
        ids = sorted((job.id for job in made), reverse=True)
        assert [job.id for job in await jobs.list("usr_1", kind="video", limit=2)] == ids[:2]
        assert [job.id for job in await jobs.list("usr_1", kind="video", after=ids[1])] == ids[2:]
        with pytest.raises(NotFound):
            await jobs.get(ids[0], "usr_2")
        with pytest.raises(NotFound):
            await jobs.delete(ids[0], "usr_1")
        await jobs.update(ids[0], status="failed", error="it broke")
        await jobs.delete(ids[0], "usr_1")
        assert len(await jobs.list("usr_1", kind="video")) == 2

    asyncio.run(work())


def test_an_answer_that_was_left_is_found_by_every_worker_given_once_and_forgotten(
    database: Database, blobs: Blobs
) -> None:
    """What is gone must cost the other requests of its key nothing."""

    async def work() -> None:
        here, there = Deliveries(database, blobs, "here"), Deliveries(database, blobs, "there")
        await here.keep("key_1", "same", "req_1", SMALL)
        assert await there.has_any("key_1")
        assert (there.has("key_1", "same"), there.has("key_1", "other"), there.has("key_2", "same")) == (
            True,
            False,
            False,
        )
        assert await there.take("key_1", "same") == Found("req_1", False)
        assert await there.answer("req_1") == SMALL
        await there.drop("req_1")
        for worker in (here, there):
            assert await worker.take("key_1", "same") is None
            assert not await worker.has_any("key_1")

    asyncio.run(work())
