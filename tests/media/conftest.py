"""A real database in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from openpollen.storage.database import Database


@pytest.fixture
def database(tmp_path: Path, database_url: str) -> Iterator[Database]:
    database = Database.open(tmp_path, database_url, commit_gap=0)
    yield database
    database.close()
