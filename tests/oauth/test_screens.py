"""Consent and the device page in a real browser: small screens, keyboards, screen readers, light and dark."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.gateway import Account, Gateway
from tests.oauth.people import Person, endpoint
from tests.web.browser import chromium, violations, watched


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def app_page() -> Iterator[str]:
    """The address of an app that answers every request with an empty page."""
    with _app_at("127.0.0.1", socket.AF_INET) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def numbered_page() -> Iterator[str]:
    """The same at an IPv6 address."""
    with _app_at("::1", socket.AF_INET6) as port:
        yield f"http://[::1]:{port}"


@contextmanager
def _app_at(host: str, family: socket.AddressFamily) -> Generator[int]:

    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>app</title>")

        def log_message(self, *_: object) -> None:
            pass

    class Local(HTTPServer):
        address_family = family

    with Local((host, 0), Empty) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def fits(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize(("phone", "dark"), [(True, True), (True, False), (False, True)])
def test_a_device_is_approved_on_a_phone(
    server: Gateway, user: Person, browser: Browser, phone: bool, dark: bool
) -> None:
    begun = endpoint(server, "/api/device/code", {"client_id": "tv", "scope": "usage keys"}).json
    with watched(browser, server.url, cookie=user.cookie, phone=phone, dark=dark) as watch:
        page = watch.page()
        page.goto(begun["verification_uri_complete"])
        page.get_by_text("Go on with a phone").click()
        picture = page.get_by_role("img", name="QR code of this page")
        picture.wait_for()
        assert picture.evaluate("image => image.complete && image.naturalWidth > 100")
        assert (violations(page), fits(page)) == ([], True)
        page.get_by_role("button", name="Go on").click()
        assert begun["user_code"] in page.inner_text("main")
        assert not page.get_by_label("Make and revoke keys below its own").is_checked()
        page.get_by_label("Spend at most (pollen)").fill("0.25")
        assert (violations(page), fits(page)) == ([], True)
        page.get_by_role("button", name="Allow", disabled=False).press("Enter")
        page.get_by_role("status").wait_for()
        assert (violations(page), fits(page)) == ([], True)
    key = endpoint(server, "/api/device/token", {"device_code": begun["device_code"]}).json["access_token"]
    info = Account(server, "", key, "").get("/api/account/key").json
    assert (info["pollenBudget"], info["permissions"]["account"]) == (0.25, ["usage"])


@pytest.mark.parametrize("decision", ["Allow", "No, thanks"])
def test_an_app_at_an_ipv6_address_gets_its_answer(
    server: Gateway, user: Person, browser: Browser, numbered_page: str, decision: str
) -> None:
    """No content security policy can name such an address."""
    asked = urlencode({"redirect_url": f"{numbered_page}/home", "state": "s"})
    with watched(browser, server.url, cookie=user.cookie, hosts=["::1"]) as watch:
        page = watch.page()
        page.goto(f"/authorize?{asked}")
        page.get_by_role("button", name=decision).click()
        page.wait_for_url(f"{numbered_page}/**")
        told = dict(parse_qsl(urlsplit(page.url).fragment))
    assert told["state"] == "s"
    assert ("api_key" in told) is (decision == "Allow")


def test_allow_waits_until_the_page_was_in_view_for_a_moment(
    server: Gateway, user: Person, browser: Browser, app_page: str
) -> None:
    """A click that was meant for what the page came up under gives nothing away; neither does Enter in a field."""
    with watched(browser, server.url, cookie=user.cookie, hosts=["127.0.0.1"]) as watch:
        page = watch.page()
        page.clock.install(time=0)
        page.clock.pause_at(1_000)
        page.goto("/authorize?" + urlencode({"redirect_url": f"{app_page}/home"}))
        allow = page.get_by_role("button", name="Allow")
        assert allow.is_disabled()
        page.get_by_label("Spend at most (pollen)").press("Enter")
        page.clock.run_for(650)
        assert allow.is_disabled()
        page.clock.run_for(100)
        assert allow.is_enabled()
        page.evaluate("window.dispatchEvent(new Event('focus'))")
        assert allow.is_disabled()
        page.clock.run_for(750)
        page.get_by_label("Spend at most (pollen)").fill("0.5")
        page.get_by_label("Spend at most (pollen)").press("Enter")
        page.wait_for_url(f"{app_page}/**")
        assert "api_key" in urlsplit(page.url).fragment


@pytest.mark.parametrize("decision", ["Allow", "No, thanks"])
def test_an_unregistered_app_is_reached_through_the_page_s_policy(
    server: Gateway, user: Person, browser: Browser, app_page: str, decision: str
) -> None:
    asked = urlencode({"redirect_url": f"{app_page}/home?a=1", "state": "s&1#", "models": "lab-chat"})
    with watched(browser, server.url, cookie=user.cookie, phone=True, hosts=["127.0.0.1"]) as watch:
        page = watch.page()
        page.goto(f"/authorize?{asked}")
        assert "Nobody has registered this app" in page.inner_text("main")
        assert (violations(page), fits(page)) == ([], True)
        page.get_by_role("button", name=decision).click()
        page.wait_for_url(f"{app_page}/**")
        back = urlsplit(page.url)
    told = dict(parse_qsl(back.fragment))
    assert (back.path, back.query, told["state"], told["iss"]) == ("/home", "a=1", "s&1#", server.url)
    assert ("api_key" in told) is (decision == "Allow")
