"""A real browser for tests of pages: Chromium, headless, one process for the session, a fresh profile for each test.

Every page is watched: an error on its console, a fault of its own, or a request to another host fails the test.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

_EXECUTABLES = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
PHONE = {"width": 375, "height": 812}
DESKTOP = {"width": 1280, "height": 900}


@contextmanager
def chromium() -> Generator[Browser]:
    """The browser of a test session."""
    path = next((name for name in _EXECUTABLES if Path(name).exists()), None)  # else the one that playwright brought
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield browser
        browser.close()


class Watched:
    """A browser context whose pages must not complain. ``expected`` names statuses of answers that a test provokes."""

    def __init__(self, context: BrowserContext, hosts: Sequence[str]) -> None:
        self.context = context
        self.complaints: list[str] = []
        self.expected: set[str] = set()
        self._hosts = set(hosts)
        context.on("page", self._watch)

    def page(self) -> Page:
        return self.context.new_page()

    def _watch(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda fault: self.complaints.append(f"script: {fault}"))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(word in message.text for word in self.expected):
            self.complaints.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in self._hosts:
            self.complaints.append(f"request to another host: {request.url}")


@contextmanager
def watched(
    browser: Browser,
    base_url: str,
    *,
    cookie: str = "",
    phone: bool = False,
    dark: bool = False,
    hosts: Sequence[str] = (),
) -> Generator[Watched]:
    """A fresh profile. ``cookie`` is ``name=value`` of a session; ``hosts`` may be asked beside the server's own."""
    context = browser.new_context(
        base_url=base_url,
        viewport=PHONE if phone else DESKTOP,  # type: ignore[arg-type]  # a size
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        has_touch=phone,
    )
    if cookie:
        name, _, value = cookie.partition("=")
        context.add_cookies([{"name": name, "value": value, "url": base_url}])
    watch = Watched(context, (str(urlsplit(base_url).hostname), *hosts))
    try:
        yield watch
    finally:
        context.close()
    assert watch.complaints == []


def violations(page: Page) -> list[str]:
    """What axe finds wrong with a page for people who cannot see it well, or at all."""
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes'][:3]]}" for one in found]
