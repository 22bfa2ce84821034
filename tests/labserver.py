"""The real program before the pretended host, for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests import labconfig
from tests.fakeprovider import FakeProvider
from tests.gateway import Gateway


@contextmanager
def lab_server(
    folder: Path, settings: str, options: tuple[str, ...] = (), env: Mapping[str, str] | None = None
) -> Iterator[tuple[Gateway, FakeProvider]]:
    """A server with these settings and the models of ``labconfig``, and its host. It must end without a traceback."""
    config = folder / "openpollen.toml"
    with FakeProvider() as lab:
        config.write_text(labconfig.operator_file(lab.base_url, settings))
        with Gateway(folder / "data", config, options, env={"LAB_KEY": labconfig.KEY, **(env or {})}) as running:
            yield running, lab
        assert "Traceback" not in running.output
