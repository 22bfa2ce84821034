"""A wallet over a real database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from openpollen.storage.database import Database
from tests.fakeprovider import FakeProvider


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """The address of the database: empty for SQLite in the data folder."""
    return "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def database(tmp_path: Path, url: str) -> Iterator[Database]:
    database = Database.open(tmp_path, url, commit_gap=0)
    yield database
    database.close()


@pytest.fixture(scope="session")
def lab() -> Iterator[FakeProvider]:
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def database_env(url: str) -> dict[str, str]:
    """The variables that tell a server, and the commands beside it, which database to use."""
    return {"OPENPOLLEN_STORAGE_DATABASE_URL": url}
