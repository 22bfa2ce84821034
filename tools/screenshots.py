"""Pictures of every page: light and dark, desktop and phone, from a server that is lived in (`make screenshots`).

They go to ``build/screenshots``. Beside each name stands how long the page took until it could be used (``domInteractive``,
the median of three visits) and how large it is: measured here, so on a machine that has nothing else to do they mean something.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page

from tests.web.browser import chromium, watched
from tests.web.house import House, house

OUT = Path("build/screenshots")
BACK = "https://garden.example/home"
CONSENT = "/authorize?" + urlencode({"redirect_url": BACK, "scope": "profile balance keys", "state": "s"})
OUTSIDE = ("/", "/login", "/signup", "/docs")
USERS = (
    *("/me", "/me/usage", "/me/keys", "/me/apps", "/me/connected", "/me/models", "/me/media", "/me/account"),
    *("/play/chat", "/play/image", "/play/video", "/play/speech", "/play/music", "/play/transcribe"),
    *("/device", CONSENT, "/authorize?redirect_url=javascript:alert(1)"),
)
ADMINS = ("/admin", "/admin/users", "/admin/audit", "/admin/catalog", "/admin/settings")
_TIMING = "performance.getEntriesByType('navigation')[0].domInteractive"


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, house(Path(folder)) as home, chromium() as browser:
        for dark in (False, True):
            for phone in (False, True):
                shoot(browser, home, phone, dark)
    print(f"pictures are in {OUT}")


def shoot(browser: Browser, home: House, phone: bool, dark: bool) -> None:
    """Every page in one size and scheme."""
    look = f"{'phone' if phone else 'desktop'}-{'dark' if dark else 'light'}"
    for cookie, paths in (("", OUTSIDE), (home.user, USERS), (home.admin, ADMINS)):
        with watched(browser, home.gateway.url, cookie=cookie, phone=phone, dark=dark) as watch:
            watch.expected.add("400")  # the last of the users' pages is a fault that is told
            page = watch.page()
            for path in paths:
                name = path.partition("?")[0].strip("/").replace("/", "-") or "home"
                if "javascript" in path:
                    name = "fault"
                told = visit(page, path)
                page.screenshot(path=OUT / f"{name}-{look}.png", full_page=True)
                print(f"{look:14} {name:18} {told}")
                sys.stdout.flush()


def visit(page: Page, path: str) -> str:
    """Loads a page three times and says how that went."""
    times: list[float] = []
    size = 0
    for _ in range(3):
        answer = page.goto(path)
        assert answer is not None
        size = len(answer.body())
        times.append(page.evaluate(_TIMING))
    return f"{statistics.median(times):6.0f} ms {size / 1024:6.1f} KB"


if __name__ == "__main__":
    main()
