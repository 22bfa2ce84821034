"""Fixtures that every part of the suite shares."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import gateway, postgres


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database", choices=("sqlite", "postgresql"), default="sqlite", help="What the servers of the tests run on."
    )


@pytest.fixture(scope="session", autouse=True)
def database_of_gateways(request: pytest.FixtureRequest) -> None:
    """With ``--database postgresql`` every server that a test starts has a database of its own there."""
    if request.config.getoption("--database") == "postgresql":
        gateway.POSTGRES = request.getfixturevalue("postgres_server")


@pytest.fixture(autouse=True)
def own_models_folder() -> Iterator[None]:
    """Commands that run inside a test point the process at the models folder of their settings; no other test is."""
    before = os.environ.get("OPENPOLLEN_MODELS")
    yield
    if before is None:
        os.environ.pop("OPENPOLLEN_MODELS", None)
    else:
        os.environ["OPENPOLLEN_MODELS"] = before


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path leaves room for the name of a socket (107 bytes in all)."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The models folder, filled with the default local models (fetched once; a second run fetches nothing)."""
    from openpollen.engines import weights

    folder = weights.models_folder()
    subprocess.run([sys.executable, "-m", "openpollen", "models", "pull", "--quiet"], check=True, env=os.environ)
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """An embedded PostgreSQL, started when the first test asks for it."""
    with postgres.server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: postgres.Server) -> Iterator[str]:
    """A fresh database with this version's tables."""
    url = postgres_server.fresh()
    yield url
    postgres_server.drop(url)


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """For tests below the server: the address that ``--database`` asks for, empty for SQLite."""
    chosen = request.config.getoption("--database")
    return request.getfixturevalue("postgres_url") if chosen == "postgresql" else ""
