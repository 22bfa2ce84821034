"""A ring in one process is heard in all others, and in no other installation."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from openpollen.storage.bell import Bell, SocketBell, open_bell
from openpollen.storage.database import Database
from tests import postgres

RING = """if True:
    import sys, pathlib
    from openpollen.storage.bell import open_bell
    from openpollen.storage.database import Database

    database = Database.open(pathlib.Path(sys.argv[1]), sys.argv[2])
    open_bell(database).ring("keys")
    database.close()
"""


class Ears:
    """A bell, and what it hears."""

    def __init__(self, bell: Bell) -> None:
        self.bell = bell
        self._heard: asyncio.Queue[str] = asyncio.Queue()
        bell.listen(asyncio.get_running_loop(), self._heard.put_nowait)

    async def next(self) -> str:
        return await asyncio.wait_for(self._heard.get(), 10)

    @property
    def silent(self) -> bool:
        return self._heard.empty()


@asynccontextmanager
async def two(database: Database) -> AsyncGenerator[tuple[Ears, Ears]]:
    """Two listeners of one installation, as soon as both hear."""
    one, other = Ears(open_bell(database)), Ears(open_bell(database))
    await _until_heard(one, other)
    await _until_heard(other, one)
    yield one, other
    for ears in (one, other):
        await asyncio.to_thread(ears.bell.close) if database.url else ears.bell.close()


async def _until_heard(ringer: Ears, listener: Ears) -> None:
    """Rings until it is heard: a listening connection takes a moment. Then swallows what else was rung."""
    heard = asyncio.ensure_future(listener.next())
    while not heard.done():
        ringer.bell.ring("ready?")
        await asyncio.wait([heard], timeout=0.05)
    ringer.bell.ring("ready!")
    while await listener.next() != "ready!":
        pass


def test_a_ring_is_heard_by_the_others_and_not_by_oneself(database: Database) -> None:
    async def work() -> None:
        async with two(database) as (one, other):
            one.bell.ring("recall")
            assert await other.next() == "recall"
            other.bell.ring("answer")
            assert await one.next() == "answer"
            assert one.silent
            assert other.silent

    asyncio.run(work())


def test_a_process_without_an_event_loop_rings(tmp_path: Path, database: Database, url: str) -> None:
    async def work() -> None:
        async with two(database) as (one, other):
            await asyncio.to_thread(subprocess.run, [sys.executable, "-c", RING, str(tmp_path), url], check=True)
            assert [await one.next(), await other.next()] == ["keys", "keys"]

    asyncio.run(work())


def test_sockets_of_dead_processes_are_removed_and_a_full_one_does_not_hold_up(short_path: Path) -> None:
    folder = short_path / "run"
    bell = SocketBell(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf,
    ):
        dead.bind(str(folder / "1-dead.bell"))
        deaf.bind(str(folder / "2-deaf.bell"))
        dead.close()
        for _ in range(1000):
            bell.ring("anyone")
        assert [path.name for path in folder.iterdir()] == ["2-deaf.bell"]


def test_a_folder_with_a_long_path_rings_too(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)

    async def work() -> None:
        one, other = SocketBell(folder), SocketBell(folder)
        ears = Ears(other)
        one.ring("far")
        assert await ears.next() == "far"
        elsewhere = SocketBell(tmp_path / ("lang" * 30))
        elsewhere.ring("no")
        one.ring("again")
        assert await ears.next() == "again"
        other.close()

    asyncio.run(work())


def test_a_folder_that_others_may_enter_is_refused(short_path: Path) -> None:
    (short_path / "run").mkdir(mode=0o755)
    (short_path / "run").chmod(0o755)
    with pytest.raises(PermissionError, match="only this user"):
        SocketBell(short_path / "run")


def test_a_listener_whose_connection_was_cut_listens_again(
    tmp_path: Path, postgres_server: postgres.Server, postgres_url: str
) -> None:
    async def work(database: Database) -> None:
        async with two(database) as (one, other):
            postgres_server.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
            )
            await _until_heard(one, other)
            await _until_heard(other, one)

    database = Database.open(tmp_path, postgres_url)
    asyncio.run(work(database))
    database.close()
