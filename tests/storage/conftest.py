"""A real database of a test's own, on either back end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from openpollen.storage.database import Database
from tests import postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """The address of the database: empty for SQLite in the data folder."""
    return "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def database(tmp_path: Path, url: str) -> Iterator[Database]:
    database = Database.open(tmp_path, url, commit_gap=0)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a database that has no tables yet."""
    if request.param == "sqlite":
        yield ""
        return
    server: postgres.Server = request.getfixturevalue("postgres_server")
    url = server.empty()
    yield url
    server.drop(url)
