"""Every page on the narrowest screens: nothing is cut off or scrolls sideways at 320 pixels (WCAG 2.2, 1.4.10 Reflow)."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser

from tests.web.browser import violations, watched
from tests.web.house import House, house

CONSENT = "/authorize?" + urlencode(
    {"redirect_url": "https://a-very-long-name-of-a-host.garden.example/home", "scope": "profile balance usage keys"}
)
OUTSIDE = ("/", "/login", "/signup", "/reset", "/docs", "/me/models")
USERS = (
    *("/me", "/me/usage", "/me/keys", "/me/apps", "/me/connected", "/me/media", "/me/account"),
    *("/play/chat", "/play/image", "/play/video", "/play/speech", "/play/music", "/play/transcribe"),
    *("/device", CONSENT),
)
ADMINS = ("/admin", "/admin/users", "/admin/audit", "/admin/catalog", "/admin/settings")
_BEYOND = """() => {
    const wide = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= wide) return [];
    const beyond = (one) => one.getBoundingClientRect().right > wide + 1 && !one.closest('.tabs, .nav, .table, pre');
    const found = [...document.querySelectorAll('body *')].filter(beyond).slice(0, 5);
    return ['the page scrolls sideways', ...found.map((one) => one.outerHTML.slice(0, 120))];
}"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("narrow")) as running:
        yield running


@pytest.mark.parametrize("who", ["nobody", "user", "admin"])
def test_nothing_is_beyond_the_edge_of_the_narrowest_screen(browser: Browser, home: House, who: str) -> None:
    cookie, paths = {"nobody": ("", OUTSIDE), "user": (home.user, USERS), "admin": (home.admin, ADMINS)}[who]
    with watched(browser, home.gateway.url, cookie=cookie) as watch:
        watch.expected |= {"404"}
        page = watch.page()
        page.set_viewport_size({"width": 320, "height": 640})
        for path in paths:
            page.goto(path)
            page.evaluate("for (const one of document.querySelectorAll('main details')) one.open = true")
            assert page.evaluate(_BEYOND) == [], path


@pytest.mark.parametrize(("phone", "dark"), [(False, False), (True, True)], ids=["desktop-light", "phone-dark"])
def test_the_api_reference_is_readable(browser: Browser, home: House, phone: bool, dark: bool) -> None:
    with watched(browser, home.gateway.url, phone=phone, dark=dark) as watch:
        page = watch.page()
        page.goto("/docs")
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        assert violations(page) == []
        assert page.evaluate(_BEYOND) == []
