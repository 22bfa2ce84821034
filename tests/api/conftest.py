"""One real server for most of these tests: the built-in engines, and a pretended host behind an operator's file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import labconfig
from tests.fakeprovider import FakeProvider
from tests.gateway import Account, Gateway


@pytest.fixture(scope="session")
def lab() -> Iterator[FakeProvider]:
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def fake(lab: FakeProvider) -> FakeProvider:
    """The pretended host with an empty log."""
    lab.clear()
    return lab


@pytest.fixture(scope="session")
def gateway(lab: FakeProvider, models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("server")
    config = folder / "openpollen.toml"
    config.write_text(labconfig.operator_file(lab.base_url))
    env = {"OPENPOLLEN_MODELS": str(models_dir), "LAB_KEY": labconfig.KEY}
    with Gateway(folder / "data", config, env=env) as running:
        yield running
    assert "Traceback" not in running.output


@pytest.fixture(scope="session")
def user(gateway: Gateway) -> Account:
    """An account for tests that do not look at its money."""
    return gateway.account(pack="100")


@pytest.fixture
def payer(gateway: Gateway) -> Account:
    """A new account with one pollen."""
    return gateway.account()
