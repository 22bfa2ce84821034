"""Every page in a real browser: readable by everybody, small, quiet on the console; and the road from consent to its end."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.gateway import Account
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
    "/me",
    "/me/connected",
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


def test_a_key_is_made_shown_once_and_revoked(browser: Browser, home: House) -> None:
    with watched(browser, home.gateway.url, cookie=home.user) as watch:
        watch.expected.add("422")
        page = watch.page()
        page.goto("/me")
        page.get_by_label("Name", exact=True).fill("Phone")
        page.get_by_label("Budget (pollen)").fill("five")
        page.get_by_role("button", name="Make the key").click()
        assert "a plain decimal number" in page.locator("#budget-hint").inner_text()
        assert page.get_by_label("Name", exact=True).input_value() == "Phone"
        page.get_by_label("Budget (pollen)").fill("5")
        page.get_by_role("button", name="Make the key").click()
        value = page.locator("code").first.inner_text()
        key = Account(home.gateway, home.account.id, value, "")
        assert key.get("/api/account/key").json["pollenBudget"] == 5
        page.goto("/me")
        assert value not in page.content()
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Revoke Phone").click()
        page.get_by_text("Phone is revoked").wait_for()
        assert key.get("/api/account/key").status == 401


def test_from_consent_to_the_first_call_and_to_its_end(browser: Browser, home: House) -> None:
    with watched(browser, home.gateway.url, cookie=home.user, phone=True, hosts=["garden.example"]) as watch:
        page = watch.page()
        page.route("https://garden.example/**", lambda route: route.fulfill(body="<title>Garden</title>"))
        key = allow(page, home, budget="2")
        assert key.chat("lab-chat").status == 200
        home.account.rows(10)
        page.goto("/me/connected")
        card = page.locator("section", has=page.get_by_role("heading", name="garden.example"))
        assert "in 1 request" in card.inner_text()
        card.get_by_label("Spend at most").fill("0")
        card.get_by_role("button", name="Save").click()
        page.get_by_text("Changed.").wait_for()
        assert key.chat("lab-chat").error["reason"] == "key_budget"
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="End the connection").first.click()
        page.get_by_text("The connection has ended").wait_for()
        assert key.chat("lab-chat").status == 401


def allow(page: Page, home: House, *, budget: str) -> Account:
    page.goto("/authorize?" + urlencode({"redirect_url": BACK, "state": "x"}))
    page.get_by_label("Spend at most (pollen)").fill(budget)
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(f"{BACK}#*")
    return Account(home.gateway, home.account.id, parse_qs(urlsplit(page.url).fragment)["api_key"][0], "")
