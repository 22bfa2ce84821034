"""A server whose users are asked for consent, and the three sides of it: author, user, app."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway import Gateway
from tests.labserver import lab_server
from tests.oauth.people import App, Person, author_of

SETTINGS = """
[engines]
enabled = false
"""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("oauth")
    with lab_server(folder, SETTINGS) as (running, _):
        yield running


@pytest.fixture
def user(server: Gateway) -> Person:
    """Somebody with 1 pollen, signed in."""
    return Person.new(server)


@pytest.fixture(scope="session")
def app(server: Gateway) -> App:
    """A registered app with an address of each kind."""
    return author_of(server).app(
        "Garden notes",
        appUrl="https://garden.example",
        redirectUris=["https://garden.example/back", "http://127.0.0.1:4000/cb"],
    )
