"""The world of pretended providers as people start it, and a gateway that takes it for all of its providers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from openpollen.world.configuration import ENVIRONMENT
from tests.gateway import Gateway

SETTINGS = "\n[engines]\nenabled = false\n[generation]\nallow_substitutes = true\n"


@dataclass
class Pretended:
    """A running world: ``polli dev providers``."""

    origin: str
    config: Path

    @property
    def bill(self) -> list[dict[str, Any]]:
        return self._ask("GET", "bill")["bill"]

    @property
    def calls(self) -> dict[str, int]:
        return self._ask("GET", "calls")["calls"]

    def faults(self, **rules: list[str]) -> None:
        self._ask("POST", "faults", rules)

    def clear(self) -> None:
        self._ask("DELETE", "")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.origin}/_world/{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pretended]:
    config = tmp_path_factory.mktemp("world") / "world.toml"
    command = [sys.executable, "-m", "openpollen", "dev", "providers", "--port", "0", "--config", str(config)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as process:
        assert process.stdout is not None
        said = ""
        while not (found := re.search(r"at (http://127\.0\.0\.1:\d+)", said)):
            line = process.stdout.readline()
            assert line, said
            said += line
        config.write_text(config.read_text() + SETTINGS)
        yield Pretended(found[1], config)
        process.terminate()


@pytest.fixture(scope="session")
def gateway(world: Pretended, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("all") / "data", world.config, env=ENVIRONMENT) as running:
        yield running
    assert "Traceback" not in running.output
