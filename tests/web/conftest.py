"""What the tests of each module share: one browser, and one server where everybody may sign up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.gateway import Gateway
from tests.web.browser import chromium
from tests.web.visitor import SETTINGS


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ends with its module: while it runs, no test of the session could run an event loop of its own."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("web")
    config = folder / "openpollen.toml"
    config.write_text(SETTINGS + '[signin]\nsignup = "open"\n')
    with Gateway(folder / "data", config) as running:
        yield running
