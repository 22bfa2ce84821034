"""The pages beside the dashboard in a real browser: readable by everybody, small, quiet on the console."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser

from tests.web.browser import violations, watched
from tests.web.house import House, house

MOST_BYTES = 100 * 1024
BACK = "https://garden.example/home"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house")) as running:
        yield running


SIGNED_OUT = ("/login", "/signup")
SIGNED_IN = (
    "/me/account",
    "/device",
    "/authorize?" + urlencode({"redirect_url": BACK, "scope": "profile balance keys"}),
)


@pytest.mark.parametrize(("phone", "dark"), [(False, False), (True, True)], ids=["desktop-light", "phone-dark"])
def test_every_page_is_readable_small_and_quiet(browser: Browser, home: House, phone: bool, dark: bool) -> None:
    for cookie, paths in (("", SIGNED_OUT), (home.user, SIGNED_IN)):
        with watched(browser, home.gateway.url, cookie=cookie, phone=phone, dark=dark) as watch:
            page = watch.page()
            for path in paths:
                answer = page.goto(path)
                assert answer is not None
                assert (path, answer.status) == (path, 200)
                assert len(answer.body()) < MOST_BYTES
                assert violations(page) == [], path
                wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                assert wide <= 0, f"{path} scrolls sideways"
