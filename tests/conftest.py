"""Fixtures that every part of the suite shares."""

from __future__ import annotations

import os
import subprocess
import sys
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
