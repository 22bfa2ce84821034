"""One fake provider for all the conformance tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakeprovider import FakeProvider


@pytest.fixture(scope="session")
def fake() -> Iterator[FakeProvider]:
    with FakeProvider() as server:
        yield server
