"""A few of these faults with PostgreSQL, in every run; ``pytest tests/faults --database postgresql`` runs them all there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests import labconfig, postgres
from tests.fakeprovider import FakeProvider
from tests.faults import test_jobs, test_streams
from tests.faults.conftest import SETTINGS
from tests.faults.test_jobs import Job
from tests.faults.test_streams import FINISH, FRAMES, HEAD, ROLE
from tests.gateway import Account, Gateway


@pytest.fixture(scope="module")
def gateway(
    lab: FakeProvider, postgres_server: postgres.Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    yield from server(lab, postgres_server, tmp_path_factory, "1")


@pytest.fixture(scope="module")
def crew(
    lab: FakeProvider, postgres_server: postgres.Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    yield from server(lab, postgres_server, tmp_path_factory, "2")


def server(
    lab: FakeProvider, database: postgres.Server, folders: pytest.TempPathFactory, workers: str
) -> Iterator[Gateway]:
    folder = folders.mktemp("postgres")
    config = folder / "openpollen.toml"
    config.write_text(labconfig.operator_file(lab.base_url, SETTINGS))
    env = {"LAB_KEY": labconfig.KEY, "OPENPOLLEN_STORAGE_DATABASE_URL": database.fresh()}
    with Gateway(folder / "data", config, ("--workers", workers), env=env) as running:
        yield running
    assert "Traceback" not in running.output


@pytest.fixture(scope="module")
def payer(gateway: Gateway) -> Account:
    return gateway.account(pack="100")


@pytest.fixture
def job(crew: Gateway, fake: FakeProvider, clip: bytes) -> Iterator[Callable[[], Job]]:
    before, fake.film = fake.film, clip
    yield lambda: Job(crew, fake)
    fake.clear()
    fake.film = before


@pytest.mark.parametrize("frames", [0, HEAD, ROLE, ROLE + 1, FINISH, FRAMES - 1])
def test_the_client_leaves(payer: Account, fake: FakeProvider, frames: int) -> None:
    test_streams.test_the_client_leaves(payer, fake, "ok", frames)


@pytest.mark.parametrize("frames", [0, HEAD, ROLE, ROLE + 1, FINISH, FRAMES - 1])
def test_the_host_breaks_off(payer: Account, fake: FakeProvider, frames: int) -> None:
    test_streams.test_the_host_breaks_off(payer, fake, "ok", frames)


def test_a_whole_stream(payer: Account, fake: FakeProvider) -> None:
    test_streams.test_a_whole_stream(payer, fake, "ok")


@pytest.mark.parametrize("state", ["submitted", "running"])
def test_the_worker_of_a_job_is_killed(crew: Gateway, fake: FakeProvider, job: Callable[[], Job], state: str) -> None:
    test_jobs.test_its_worker_is_killed(crew, fake, job, state)


def test_in_the_end_nothing_is_held(gateway: Gateway, crew: Gateway, payer: Account) -> None:
    test_streams.test_in_the_end_nothing_is_held_and_the_wallet_has_the_rest(gateway, payer)
    test_jobs.test_in_the_end_nothing_is_held(crew)
