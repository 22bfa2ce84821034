"""A server without engines whose models all lead to a pretended host that fails in every way."""

from __future__ import annotations

import io
from collections.abc import Iterator

import av
import pytest

from tests import labconfig
from tests.fakeprovider import FakeProvider
from tests.gateway import Account, Gateway

SETTINGS = """
[engines]
enabled = false
[generation]
safety_model = "lab-judge"
"""


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
def gateway(lab: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("faults")
    config = folder / "openpollen.toml"
    config.write_text(labconfig.operator_file(lab.base_url, SETTINGS))
    with Gateway(folder / "data", config, env={"LAB_KEY": labconfig.KEY}) as running:
        yield running
    assert "Traceback" not in running.output
    assert labconfig.KEY not in running.output


@pytest.fixture(scope="session")
def crew(lab: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A server of two workers, which tests may kill."""
    folder = tmp_path_factory.mktemp("crew")
    config = folder / "openpollen.toml"
    config.write_text(labconfig.operator_file(lab.base_url, SETTINGS))
    with Gateway(folder / "data", config, ("--workers", "2"), env={"LAB_KEY": labconfig.KEY}) as running:
        yield running
    assert "Traceback" not in running.output


@pytest.fixture(scope="session")
def clip() -> bytes:
    """A film of a second."""
    return film(1)


def film(seconds: int) -> bytes:
    """A film of this length."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as file:
        stream = file.add_stream("mpeg4", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(8 * seconds):
            file.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        file.mux(stream.encode(None))
    return out.getvalue()


@pytest.fixture
def payer(gateway: Gateway) -> Account:
    """A new account with one pollen."""
    return gateway.account()
