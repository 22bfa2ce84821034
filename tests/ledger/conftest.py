"""A wallet over a real database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from openpollen.storage.database import Database
from tests.fakeprovider import FakeProvider


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path, commit_gap=0)
    yield database
    database.close()


@pytest.fixture(scope="session")
def lab() -> Iterator[FakeProvider]:
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def database_env() -> dict[str, str]:
    """The variables that tell a server which database to use."""
    return {}
