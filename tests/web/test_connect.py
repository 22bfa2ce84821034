"""connect.js and the sample app, each on an origin of its own: from the button to the first call that the user pays, and
every way in which that ends early."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests import labconfig
from tests.fakeprovider import TEXT
from tests.gateway import Account, Gateway
from tests.labserver import lab_server
from tests.web.browser import Watched, violations, watched
from tests.web.house import SETTINGS, sign_in
from tests.web.visitor import PASSWORD, Visitor

SAMPLE = Path(__file__).parents[2] / "examples" / "byop"


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_args: Any) -> None:  # type: ignore[override]  # its arguments are of no interest
        """Says nothing: a test's own output is enough."""


@dataclass(frozen=True)
class Site:
    """The server, and the app at another origin."""

    gateway: Gateway
    app: str
    folder: Path
    key: str
    author: Account

    def page(self, name: str, **data: str) -> str:
        """Writes the sample's page with these attributes of connect.js; returns its address."""
        text = (SAMPLE / "index.html").read_text()
        found = re.search(r"<script src=\"[^\"]*connect\.js\"[^>]*>", text)
        assert found
        words = "".join(f' data-{word.replace("_", "-")}="{value}"' for word, value in data.items())
        tag = f'<script src="{self.gateway.url}/static/connect.js" data-app-key="{self.key}"{words}>'
        text = text.replace(found[0], tag).replace('<form id="ask">', '<form id="ask" data-model="lab-chat">')
        (self.folder / name).write_text(text)
        return f"{self.app}/{name}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("connect")
    shutil.copytree(SAMPLE, folder / "app")
    files = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(folder / "app")))
    serving = threading.Thread(target=files.serve_forever, daemon=True)
    serving.start()
    origin = f"http://127.0.0.1:{files.server_port}"
    with lab_server(folder, SETTINGS) as (running, _):
        author = running.account(permissions="profile,balance,usage,keys")
        pages = [f"{origin}/{name}.html" for name in ("popup", "redirect", "remember", "refresh", "twice")]
        wanted = {"name": "Haiku", "type": "publishable", "redirectUris": pages}
        made = author.post("/api/account/keys", wanted)
        assert made.status == 200, made.text
        yield Site(running, origin, folder / "app", made.json["key"], author)
    files.shutdown()
    files.server_close()
    serving.join()


@dataclass(frozen=True)
class Visit:
    """Somebody signed in at the server who opens the app."""

    account: Account
    watch: Watched
    page: Page
    asked: list[Request]

    def press(self) -> None:
        self.page.get_by_role("button", name="Connect with OpenPollen").click()

    def allow(self, window: Page) -> None:
        expect(window.get_by_role("heading", level=1)).to_contain_text("Haiku")
        window.get_by_role("button", name="Allow").click()

    def connect(self) -> None:
        with self.page.expect_popup() as opened:
            self.press()
        self.allow(opened.value)
        expect(self.page.get_by_role("button", name="Disconnect")).to_be_visible()

    def write(self) -> None:
        self.page.get_by_role("button", name="Write").click()

    def calls(self, path: str) -> list[Request]:
        return [request for request in self.asked if urlsplit(request.url).path == path]

    def revoke(self) -> None:
        """The user ends the connection at the server, in another tab."""
        tab = self.watch.page()
        tab.on("dialog", lambda dialog: dialog.accept())
        tab.goto("/me/connected")
        tab.get_by_role("button", name="Revoke").first.click()
        tab.get_by_role("status").wait_for()
        tab.close()


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Visit]:
    account = site.gateway.account(pack="1")
    cookie = sign_in(site.gateway, account.get("/api/account/profile").json["name"])
    with watched(browser, site.gateway.url, cookie=cookie, hosts=["127.0.0.1"]) as watch:
        watch.context.set_default_timeout(8000)
        asked: list[Request] = []
        watch.context.on("request", lambda request: asked.append(request))
        yield Visit(account, watch, watch.page(), asked)


def test_the_script_is_small_and_asks_no_other_host(site: Site) -> None:
    script = site.gateway.request("GET", "/static/connect.js")
    assert len(script.body) < 8_192
    assert set(re.findall(r"https?://[\w.-]+", script.text)) == set()
    assert "localStorage" not in script.text
    assert script.headers["cross-origin-resource-policy"] == "cross-origin"


def test_from_the_button_to_a_call_that_the_user_pays(visit: Visit, site: Site) -> None:
    page = visit.page
    page.goto(site.page("popup.html", budget="0.5"))
    assert urlsplit(page.url).netloc != urlsplit(site.gateway.url).netloc
    assert violations(page) == []
    visit.connect()
    expect(page.get_by_role("status")).to_contain_text("pays. This page may still spend 0.5 pollen.")
    visit.write()
    expect(page.locator("#haiku")).to_have_text(TEXT)
    expect(page.get_by_role("status")).to_contain_text("0.499948 pollen")
    (row,) = visit.account.rows(1)
    assert row["api_key"] == "Haiku"
    assert visit.account.balance == 1_000_000_000 - labconfig.ANSWER
    assert site.author.rows(0) == []
    stored = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])")
    assert "sk_" not in stored
    assert "code=" not in stored


def test_the_code_in_the_address_alone_is_worth_nothing(visit: Visit, site: Site) -> None:
    visit.page.goto(site.page("popup.html"))
    visit.connect()
    (authorize,) = visit.calls("/authorize")[:1]
    words = {name: values[0] for name, values in parse_qs(urlsplit(authorize.url).query).items()}
    assert (words["response_type"], words["code_challenge_method"]) == ("code", "S256")
    assert len(words["code_challenge"]) == 43
    (token,) = visit.calls("/api/oauth/token")
    assert "code_verifier" in (token.post_data or "")
    assert "code_verifier" not in authorize.url


def test_by_redirect_where_the_app_wants_no_window(visit: Visit, site: Site) -> None:
    page = visit.page
    address = site.page("redirect.html", popup="false")
    page.goto(f"{address}?lang=en&x=1")
    page.evaluate(f"OpenPollen.connect({{ redirectUri: {address!r} }}).catch(() => {{}}); 0")
    page.wait_for_url(f"{site.gateway.url}/authorize?**")
    visit.allow(page)
    expect(page.get_by_role("button", name="Disconnect")).to_be_visible()
    assert page.url == address
    visit.write()
    expect(page.locator("#haiku")).to_have_text(TEXT)
    page.reload()
    expect(page.get_by_role("button", name="Connect with OpenPollen")).to_be_visible()


def test_a_key_is_kept_for_the_tab_when_the_app_asks_for_that(visit: Visit, site: Site) -> None:
    page = visit.page
    page.goto(site.page("remember.html", remember="true"))
    visit.connect()
    page.reload()
    visit.write()
    expect(page.locator("#haiku")).to_have_text(TEXT)
    assert page.evaluate("Object.keys(localStorage).length") == 0
    page.get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("button", name="Connect with OpenPollen")).to_be_visible()
    assert page.evaluate("Object.keys(sessionStorage).length") == 0


def test_a_key_that_a_call_asked_to_keep_is_kept_too(visit: Visit, site: Site) -> None:
    page = visit.page
    page.goto(site.page("remember.html"))
    with page.expect_popup() as opened:
        page.evaluate("OpenPollen.connect({ remember: true }); 0")
    visit.allow(opened.value)
    expect(page.get_by_role("button", name="Disconnect")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Disconnect")).to_be_visible()
    visit.write()
    expect(page.locator("#haiku")).to_have_text(TEXT)


def test_a_refusal_is_an_event_whoever_asked(visit: Visit, site: Site) -> None:
    page = visit.page
    page.goto(site.page("popup.html"))
    page.evaluate("addEventListener('openpollen', ({ detail }) => { window.heard = detail.error?.code }); 0")
    with page.expect_popup() as opened:
        page.evaluate("OpenPollen.connect().catch((fault) => { window.caught = fault.code }); 0")
    opened.value.get_by_role("button", name="No, thanks").click()
    page.wait_for_function("window.caught === 'access_denied' && window.heard === 'access_denied'")


def test_after_the_user_revokes_the_next_call_fails_and_says_so(visit: Visit, site: Site) -> None:
    visit.watch.expected.add("401")
    page = visit.page
    page.goto(site.page("popup.html"))
    visit.connect()
    visit.revoke()
    visit.write()
    expect(page.get_by_role("alert")).to_have_text("The connection has ended. Connect again to go on.")
    expect(page.get_by_role("status")).to_have_text("Nobody is connected yet.")
    assert len(visit.calls("/v1/chat/completions")) == 1  # nothing to renew it with, so it is not repeated
    assert visit.account.rows(0) == []


def test_disconnecting_ends_the_key_at_the_server(visit: Visit, site: Site) -> None:
    page = visit.page
    page.goto(site.page("remember.html", remember="true"))
    visit.connect()
    (kept,) = page.evaluate("Object.values(sessionStorage).map((text) => JSON.parse(text).key)")
    assert Account(site.gateway, "", kept, "").get("/api/account/key").status == 200
    with page.expect_response("**/api/oauth/revoke"):
        page.get_by_role("button", name="Disconnect").click()
    assert Account(site.gateway, "", kept, "").get("/api/account/key").status == 401


def test_a_call_is_repeated_once_with_one_idempotency_key_after_a_refresh(visit: Visit, site: Site) -> None:
    visit.watch.expected.add("401")
    page = visit.page
    page.goto(site.page("refresh.html", scope="offline_access"))
    visit.connect()
    refused: list[str] = []

    def once(route: Any) -> None:
        if route.request.method == "POST" and not refused:
            refused.append(route.request.headers["idempotency-key"])
            headers = {"access-control-allow-origin": "*"}
            route.fulfill(status=401, body='{"error": {"message": "expired"}}', headers=headers)
        else:
            route.continue_()

    page.route("**/v1/chat/completions", once)
    visit.write()
    expect(page.locator("#haiku")).to_have_text(TEXT)
    calls = [call for call in visit.calls("/v1/chat/completions") if call.method == "POST"]
    assert [call.headers["idempotency-key"] for call in calls] == refused * 2
    first, second = (call.headers["authorization"] for call in calls)
    assert first != second
    assert len(visit.account.rows(1)) == 1


def test_a_no_is_told_and_nothing_is_connected(visit: Visit, site: Site) -> None:
    page = visit.page
    page.goto(site.page("popup.html"))
    with page.expect_popup() as opened:
        visit.press()
    opened.value.get_by_role("button", name="No, thanks").click()
    expect(page.get_by_role("alert")).to_have_text("You said no; nothing was connected.")
    expect(page.get_by_role("button", name="Connect with OpenPollen")).to_be_visible()
    assert visit.calls("/api/oauth/token") == []


def test_a_no_by_redirect_is_told_too(visit: Visit, site: Site) -> None:
    page = visit.page
    page.goto(site.page("redirect.html", popup="false"))
    visit.press()
    page.get_by_role("button", name="No, thanks").click()
    expect(page.get_by_role("alert")).to_have_text("You said no; nothing was connected.")
    assert "error" not in page.url


def test_a_closed_window_is_told_and_the_button_works_again(visit: Visit, site: Site) -> None:
    page = visit.page
    page.goto(site.page("popup.html"))
    with page.expect_popup() as opened:
        visit.press()
    expect(opened.value.get_by_role("button", name="Allow")).to_be_visible()
    opened.value.close()
    expect(page.get_by_role("alert")).to_have_text("The window was closed before you decided.")
    visit.connect()


@pytest.mark.parametrize("door", ["Sign in", "Make an account"])
def test_a_window_stays_in_sight_while_its_user_signs_in(browser: Browser, site: Site, door: str) -> None:
    """A policy that cuts windows off would make it look closed, and the app would give up."""
    name = f"visitor {door.lower()}"
    if door == "Sign in":
        assert Visitor(site.gateway).sign_up(name).status == 303
    with watched(browser, site.gateway.url, hosts=["127.0.0.1"]) as watch:
        watch.expected.add("401")
        watch.context.add_init_script("const before = open; open = (...given) => window.child = before(...given);")
        page = watch.page()
        page.goto(site.page("popup.html"))
        with page.expect_popup() as opened:
            page.get_by_role("button", name="Connect with OpenPollen").click()
        window = opened.value

        def seen(heading: str) -> None:
            expect(window.get_by_role("heading", level=1)).to_contain_text(heading)
            assert page.evaluate("child.closed") is False

        seen("Sign in")
        window.get_by_role("link", name="Forgot your password?").click()
        seen("Forgotten password")
        window.get_by_role("link", name="Back to sign-in").click()
        if door == "Sign in":
            window.get_by_label("User name or email address").fill(name)
            window.get_by_label("Password").fill("not the password")
            window.get_by_role("button", name="Sign in").click()
            expect(window.get_by_text("The name or the password is wrong")).to_be_visible()
        else:
            window.get_by_role("link", name="Make an account").click()
            seen("Make an account")
            window.get_by_label("User name").fill(name)
        window.get_by_label("Password").fill(PASSWORD)
        window.get_by_label("Password").press("Enter")
        seen("Haiku")
        window.get_by_role("button", name="Allow").click()
        expect(page.get_by_role("button", name="Disconnect")).to_be_visible()
        assert window.is_closed()


def test_no_other_page_can_be_watched_by_who_opened_it(visit: Visit, site: Site) -> None:
    signed_in, stranger = visit.watch.context.request, site.gateway.request
    for path in ("/me", "/login", "/login?next=/me", "/signup", "/reset", "/device"):
        for answer in (signed_in.get(path, max_redirects=0), stranger("GET", path)):
            assert answer.headers["cross-origin-opener-policy"] == "same-origin", path


def test_a_window_that_was_cut_off_still_brings_its_answer(visit: Visit, site: Site) -> None:
    """As a sign-in page on the way may do: the window then reaches the page by a broadcast of their own origin."""
    page = visit.page
    visit.watch.context.add_init_script("if (window.opener) window.opener = null;")
    page.goto(site.page("popup.html"))
    visit.connect()


def test_an_answer_of_somebody_else_is_not_taken(visit: Visit, site: Site) -> None:
    page = visit.page
    page.goto(site.page("popup.html"))
    with page.expect_popup() as opened:
        visit.press()
    expect(opened.value.get_by_role("button", name="Allow")).to_be_visible()
    trip = parse_qs(urlsplit(visit.calls("/authorize")[0].url).query)["state"][0]
    own = {"state": trip, "code": "stolen", "iss": site.gateway.url}
    page.evaluate("(answer) => postMessage(answer, '*')", own)  # the right state, but not from the window
    page.evaluate("(answer) => new BroadcastChannel('op.other').postMessage(answer)", own)
    opened.value.evaluate("(answer) => opener.postMessage(answer, '*')", own)  # the window, but of another origin
    visit.allow(opened.value)
    expect(page.get_by_role("button", name="Disconnect")).to_be_visible()
    assert "stolen" not in (visit.calls("/api/oauth/token")[0].post_data or "")


def test_an_answer_that_names_another_server_is_refused(visit: Visit, site: Site) -> None:
    page = visit.page
    address = site.page("redirect.html", popup="false")
    page.goto(address)
    visit.press()
    page.wait_for_url(f"{site.gateway.url}/authorize?**")
    trip = parse_qs(urlsplit(page.url).query)["state"][0]
    page.goto(f"{address}?code=abc&state={trip}&iss=https://evil.example")
    expect(page.get_by_role("alert")).to_contain_text("nothing was connected")
    assert visit.calls("/api/oauth/token") == []
    assert page.url == address


def test_the_key_goes_to_no_other_host(visit: Visit, site: Site) -> None:
    page = visit.page
    page.goto(site.page("popup.html"))
    visit.connect()
    fault = page.evaluate("OpenPollen.fetch('https://evil.example/x').catch((fault) => fault.code)")
    assert fault == "host"
    assert page.evaluate("OpenPollen.fetch('//evil.example/x').catch((fault) => fault.code)") == "host"
