"""What may happen once happens once, however many try at the same moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from tests.gateway import Gateway
from tests.web.visitor import SETTINGS, Visitor


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("web")
    config = folder / "openpollen.toml"
    config.write_text(SETTINGS)
    with Gateway(folder / "data", config, options=("--workers", "2")) as running:
        yield running


def at_once(act: Callable[[int], int], times: int = 8) -> Counter[int]:
    with ThreadPoolExecutor(times) as pool:
        return Counter(pool.map(act, range(times)))


def test_a_link_signs_in_one_browser(server: Gateway) -> None:
    path = urlsplit(server.admin("login-link", "admin")["url"]).path
    assert at_once(lambda _: Visitor(server).post(path).status) == {303: 1, 401: 7}


def test_an_invitation_makes_as_many_accounts_as_it_says(server: Gateway) -> None:
    code = server.admin("invite", "--uses", "2")["code"]
    assert at_once(lambda n: Visitor(server).sign_up(f"guest{n}", invite=code).status) == {303: 2, 403: 6}
    assert len(server.admin("user", "list")["data"]) == 3


def test_a_name_is_taken_once(server: Gateway) -> None:
    code = server.admin("invite", "--uses", "9")["code"]
    assert at_once(lambda _: Visitor(server).sign_up("Same Name", invite=code).status) == {303: 1, 409: 7}


def test_guesses_at_once_count_like_guesses_in_a_row(server: Gateway) -> None:
    place = Visitor(server).address
    at = {"x-forwarded-for": place}
    assert at_once(lambda n: Visitor(server).sign_in("admin", f"guess {n}", at).status, 14) == {401: 10, 429: 4}
