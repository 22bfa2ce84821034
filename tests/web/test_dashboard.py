"""The dashboard in a real browser and over HTTP: keys, usage, apps, connections, models, files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.gateway import Account, Reply, eventually
from tests.web.browser import violations, watched
from tests.web.house import FORM, House, house, sign_in

PAGES = ("/me", "/me/keys", "/me/usage", "/me/apps", "/me/connected", "/me/models", "/me/media")
MOST_BYTES = 100 * 1024
BACK = "https://garden.example/home"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house")) as running:
        yield running


def get(home: House, path: str, cookie: str = "", **headers: str) -> Reply:
    return home.gateway.request("GET", path, headers={"cookie": cookie or home.user, **headers})


def post(home: House, path: str, fields: list[tuple[str, str]], cookie: str = "") -> Reply:
    """Posts a form with the token of the session."""
    cookie = cookie or home.user
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', get(home, "/me/account", cookie).text)
    assert found
    body = urlencode([*fields, ("csrf", found[1])]).encode()
    return home.gateway.request("POST", path, body=body, headers={**FORM, "cookie": cookie})


def new_key(home: House, *fields: tuple[str, str], cookie: str = "") -> Account:
    """A key made on the page; its value is read from where it is shown."""
    answer = post(home, "/me/keys", [("type", "secret"), *fields], cookie)
    assert answer.status == 200, answer.text
    value = re.search(r'class="secret">([^<]+)<', answer.text)
    assert value
    key = Account(home.gateway, home.account.id, value[1], "")
    return Account(home.gateway, home.account.id, value[1], key.get("/api/account/key").json["id"])


def stranger(home: House, **options: str) -> tuple[Account, str]:
    """Another account and its cookie."""
    account = home.gateway.account(**options)
    return account, sign_in(home.gateway, account.get("/api/account/profile").json["name"])


# -- every page ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("phone", "dark"), [(False, False), (True, True)], ids=["desktop-light", "phone-dark"])
def test_every_page_is_readable_small_and_quiet(browser: Browser, home: House, phone: bool, dark: bool) -> None:
    key = new_key(
        home, ("name", f"Looked at {phone}"), ("budget", "3"), ("period", "week"), ("expiry", "days"), ("days", "9")
    )
    app = post(home, "/me/apps", [("name", "Garden"), ("redirect_uris", BACK)]).headers["location"]
    paths = (*PAGES, f"/me/keys/{key.key_id}", app, "/me/usage?by=bucket&days=1", "/me/keys#new")
    for cookie, some in (("", ("/", "/me/models")), (home.user, paths)):
        with watched(browser, home.gateway.url, cookie=cookie, phone=phone, dark=dark) as watch:
            page = watch.page()
            for path in some:
                answer = page.goto(path)
                if answer is not None:  # none for a step within a page
                    assert (path, answer.status) == (path, 200)
                    assert len(answer.body()) < MOST_BYTES
                page.evaluate("for (const one of document.querySelectorAll('main details')) one.open = true")
                assert violations(page) == [], path
                wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                assert wide <= 0, f"{path} scrolls sideways"


@pytest.mark.parametrize("path", [page for page in PAGES if page != "/me/models"])
def test_who_is_signed_out_is_sent_to_sign_in_and_back(home: House, path: str) -> None:
    answer = home.gateway.request("GET", f"{path}?days=7")
    assert (answer.status, answer.headers["location"]) == (303, f"/login?next={quote(path + '?days=7')}")


def test_the_front_door_welcomes_people_and_sends_programs_to_the_docs(home: House) -> None:
    page = {"accept": "text/html,application/xhtml+xml"}
    welcome = home.gateway.request("GET", "/", headers=page)
    assert (welcome.status, "Sign in" in welcome.text) == (200, True)
    assert get(home, "/", **page).headers["location"] == "/me"
    assert home.gateway.request("GET", "/").headers["location"] == "/docs"


# -- keys ----------------------------------------------------------------------------------------------------------------


def test_a_key_is_made_on_the_page_shown_once_and_works(browser: Browser, home: House) -> None:
    with watched(browser, home.gateway.url, cookie=home.user) as watch:
        watch.expected.add("400")
        page = watch.page()
        page.goto("/me/keys")
        page.get_by_label("Name", exact=True).fill("Phone")
        page.get_by_text("Limits: budget, end").click()
        page.get_by_label("Budget (pollen)").fill("five")
        page.get_by_label("See your name and email").uncheck()
        page.get_by_role("button", name="Make the key").click()
        assert "plain decimal number" in page.locator("#budget-hint").inner_text()
        assert page.get_by_label("Name", exact=True).input_value() == "Phone"
        assert page.get_by_label("Budget (pollen)").input_value() == "five"
        assert not page.get_by_label("See your name and email").is_checked()
        assert violations(page) == []
        page.get_by_label("Budget (pollen)").fill("5")
        page.get_by_role("button", name="Make the key").click()
        value = page.locator("code.secret").inner_text()
        key = Account(home.gateway, home.account.id, value, "")
        told = key.get("/api/account/key").json
        assert (told["pollenBudget"], told["permissions"]["account"]) == (5, ["balance", "usage"])
        page.goto("/me/keys")
        assert value not in page.content()
        page.get_by_role("link", name="Phone", exact=True).click()
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Revoke").click()
        expect(page.get_by_text("Phone is revoked")).to_be_visible()
        assert key.get("/api/account/key").status == 401


def test_a_key_keeps_its_value_when_its_limits_change(home: House) -> None:
    key = new_key(home, ("name", "Bound"), ("models", "some"), ("model", "lab-chat"), ("budget", "1"))
    assert key.chat("lab-image").status in (400, 403)
    changed = [("name", "Free"), ("models", "all"), ("budget", ""), ("expiry", "days"), ("days", "30")]
    assert post(home, f"/me/keys/{key.key_id}", changed).status == 303
    told = key.get("/api/account/key").json
    assert (told["name"], told["pollenBudget"], told["permissions"]["models"]) == ("Free", None, None)
    assert 29 * 86_400 < told["expiresIn"] <= 30 * 86_400
    kept = post(home, f"/me/keys/{key.key_id}", [("name", "Free"), ("models", "all"), ("expiry", "keep")])
    assert kept.status == 303
    assert key.get("/api/account/key").json["expiresAt"] == told["expiresAt"]


def test_a_model_that_is_ticked_is_one_of_the_only_ones(browser: Browser, home: House) -> None:
    with watched(browser, home.gateway.url, cookie=home.user) as watch:
        page = watch.page()
        page.goto("/me/keys")
        page.get_by_label("Name", exact=True).fill("Narrow")
        page.get_by_text("Limits: budget, end").click()
        page.get_by_text("Choose models").click()
        page.get_by_label("lab-chat", exact=True).check()
        expect(page.get_by_label("Only the ones ticked here")).to_be_checked()
        page.get_by_label("All, also those that come later").check()
        expect(page.get_by_label("lab-chat", exact=True)).not_to_be_checked()
        page.get_by_label("lab-image", exact=True).check()
        page.get_by_role("button", name="Make the key").click()
        key = Account(home.gateway, home.account.id, page.locator("code.secret").inner_text(), "")
    assert key.get("/api/account/key").json["permissions"]["models"] == ["lab-image"]


def test_a_smaller_budget_keeps_what_was_spent(home: House) -> None:
    key = new_key(home, ("name", "Spender"), ("budget", "1"))
    spent = key.chat("lab-chat").cost

    def left() -> Decimal:
        return Decimal(str(key.get("/api/account/key").json["pollenBudget"]))

    eventually(lambda: left() == 1 - Decimal(spent) / 10**9, "the charge")

    smaller = [("name", "Spender"), ("budget", "0.5"), ("models", "all")]
    assert post(home, f"/me/keys/{key.key_id}", smaller).status == 303  # a worker that holds part of it gives it back
    assert left() == Decimal("0.5") - Decimal(spent) / 10**9


def test_a_rotated_key_works_by_both_values_until_the_grace_is_over(home: House) -> None:
    key = new_key(home, ("name", "Turning"), ("budget", "2"))
    answer = post(home, f"/me/keys/{key.key_id}/rotate", [("hours", "24")])
    value = re.search(r'class="secret">([^<]+)<', answer.text)
    assert value
    new = Account(home.gateway, key.id, value[1], key.key_id)
    assert [one.get("/api/account/key").json["id"] for one in (key, new)] == [key.key_id, key.key_id]
    assert "Old value" in get(home, f"/me/keys/{key.key_id}").text
    again = post(home, f"/me/keys/{key.key_id}/rotate", [("hours", "0")])
    assert again.status == 200
    assert [one.get("/api/account/key").status for one in (key, new)] == [401, 401]
    assert post(home, f"/me/keys/{key.key_id}/rotate", [("hours", "9999")]).status == 400


def test_a_key_that_is_switched_off_is_refused_until_it_is_on_again(home: House) -> None:
    key = new_key(home, ("name", "Lamp"))
    assert post(home, f"/me/keys/{key.key_id}/switch", []).status == 303
    assert key.get("/api/account/key").status == 401
    assert post(home, f"/me/keys/{key.key_id}/switch", [("enabled", "on")]).status == 303
    assert key.get("/api/account/key").status == 200


def test_keys_below_a_key_are_shown_and_end_with_it(home: House) -> None:
    parent = new_key(home, ("name", "Parent"), ("scope", "keys"))
    child = parent.post("/api/account/keys", {"name": "Child"}).json
    assert "below another key" in get(home, "/me/keys").text
    page = get(home, f"/me/keys/{parent.key_id}").text
    assert f"/me/keys/{child['id']}" in page
    assert "and 1 below it" in post_and_follow(home, f"/me/keys/{parent.key_id}/revoke")
    assert home.gateway.request("GET", "/api/account/key", key=child["key"]).status == 401


def post_and_follow(home: House, path: str) -> str:
    answer = post(home, path, [])
    flash = next(value for name, value in answer.headers.items() if name == "set-cookie")
    return get(home, answer.headers["location"], f"{home.user}; {flash.partition(';')[0]}").text


WRONG: list[tuple[str, str, str]] = [
    ("name", "", "Give it a name"),
    ("name", "x" * 254, "Give it a name"),
    ("budget", "-1", "plain decimal"),
    ("budget", "1e3", "plain decimal"),
    ("budget", "0.0000000001", "nine decimal places"),
    ("days", "0", "1 to 365"),
    ("days", "366", "1 to 365"),
    ("days", "٣", "1 to 365"),
    ("period", "hour", "Choose one of the list"),
    ("model", "no-such-model", "There is no model"),
    ("origins", "garden.example", "an address starts with http"),
    ("expiry", "later", "Choose one of the list"),
    ("models", "all", "All were chosen, and some ticked"),
]


@pytest.mark.parametrize(("field", "value", "told"), WRONG)
def test_a_wrong_field_is_told_beside_it_and_nothing_typed_is_lost(
    home: House, field: str, value: str, told: str
) -> None:
    fields = {"name": "Kept as typed", "type": "publishable", "budget": "1.25", "expiry": "days", "days": "7"}
    fields |= {"models": "some", "model": "lab-chat", "origins": "https://garden.example", field: value}
    answer = post(home, "/me/keys", list(fields.items()))
    assert answer.status == 400
    assert re.search(rf'class="fault"[^>]*>[^<]*{told}', answer.text, re.IGNORECASE)
    for name in ("name", "budget", "days"):
        if name != field:
            assert f'value="{fields[name]}"' in answer.text
    assert "Kept as typed" not in get(home, "/me/keys").text


def test_nobody_reaches_the_keys_of_another_account(home: House) -> None:
    _, cookie = stranger(home)
    path = f"/me/keys/{home.account.key_id}"
    assert get(home, path, cookie).status == 404
    for act, fields in (("", [("name", "Mine now")]), ("/rotate", [("hours", "0")]), ("/switch", []), ("/revoke", [])):
        assert post(home, path + act, fields, cookie).status == 404
    assert home.account.get("/api/account/key").json["name"] != "Mine now"


@pytest.mark.parametrize(
    "path", ["/me/keys", "/me/apps", "/me/keys/x/rotate", "/me/connected/x/revoke", "/me/media/x/delete"]
)
def test_a_form_without_the_sessions_token_or_of_another_site_is_refused(home: House, path: str) -> None:
    own = {**FORM, "cookie": home.user}
    assert home.gateway.request("POST", path, body=b"name=x", headers=own).status == 403
    assert home.gateway.request("POST", path, body=b"name=x&csrf=00", headers=own).status == 403
    foreign = {**own, "origin": "https://evil.example"}
    assert home.gateway.request("POST", path, body=b"name=x", headers=foreign).status == 403


def test_a_name_that_is_html_stays_text(home: House) -> None:
    new_key(home, ("name", "<img src=x onerror=alert(1)>"))
    assert "<img src=x" not in get(home, "/me/keys").text


# -- usage ---------------------------------------------------------------------------------------------------------------


def summed(home: House, query: str) -> tuple[str, int]:
    """Pollen and requests of a period, as the page says."""
    found = re.search(
        r'class="sums"><strong>([\d.]+)</strong> pollen <span class="soft">in</span> <strong>([\d,]+)</strong>',
        get(home, f"/me/usage?{query}").text,
    )
    assert found, query
    return found[1], int(found[2].replace(",", ""))


def test_every_way_of_stacking_sums_to_the_same(home: House) -> None:
    usage = home.account.get("/api/account/usage?limit=1000").json["usage"]
    cost = sum(Decimal(str(row["cost_usd"])) for row in usage)
    for by in ("model", "key", "app", "bucket"):
        for more in ("days=7", "days=30&tz=Asia/Kolkata", "days=1&tz=Pacific/Auckland", "days=90&measure=requests"):
            pollen, requests = summed(home, f"by={by}&{more}")
            assert requests >= len(usage)
            assert Decimal(pollen) >= cost


def test_filters_narrow_the_figures_and_the_csv(home: House) -> None:
    key = new_key(home, ("name", "Counted"))
    cost = sum(key.chat("lab-chat", f"part {number}").cost for number in range(3))
    key.chat("lab-zero")
    one = f"days=7&key={key.key_id}"
    eventually(lambda: summed(home, one)[1] == 4, "four rows")
    assert Decimal(summed(home, one)[0]) == Decimal(cost) / 10**9
    assert summed(home, f"{one}&model=lab-chat")[1] == 3
    assert summed(home, f"{one}&model=lab-chat&tz=Europe/Berlin")[1] == 3
    answer = get(home, f"/me/usage.csv?{one}&model=lab-chat")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith("attachment")
    lines = answer.text.splitlines()
    assert len(lines) == 4
    assert all("lab-chat" in line and "Counted" in line for line in lines[1:])


def test_a_request_opens_to_what_its_bill_was_made_of(browser: Browser, home: House) -> None:
    with watched(browser, home.gateway.url, cookie=home.user) as watch:
        page = watch.page()
        page.goto("/me/usage?model=lab-image&days=7")
        page.locator(".bills summary").first.click()
        bill = page.locator(".bill").first
        expect(bill.get_by_text("1 picture")).to_be_visible()
        expect(bill.get_by_text("0.03 per picture")).to_be_visible()
        page.goto("/me/usage?days=7")
        page.get_by_text("The figures as a table").click()
        expect(page.locator(".figures table").get_by_role("columnheader", name="lab-image")).to_be_visible()


def test_a_revoked_key_keeps_its_name_in_the_figures(home: House) -> None:
    key = new_key(home, ("name", "Gone soon"))
    key.chat("lab-chat")
    eventually(lambda: summed(home, f"days=7&key={key.key_id}")[1] == 1, "its row")
    post(home, f"/me/keys/{key.key_id}/revoke", [])
    assert "Gone soon (revoked)" in get(home, "/me/usage?by=key&days=7").text


@pytest.mark.parametrize(
    "query",
    ["days=0", "days=x", "by=salary", "measure=..", "tz=../../etc/passwd", "tz=Mars", "before=1", "key=' OR 1=1"],
)
def test_odd_questions_get_the_usual_page(home: House, query: str) -> None:
    assert get(home, f"/me/usage?{quote(query, safe='=&')}").status == 200
    assert get(home, f"/me/usage.csv?{quote(query, safe='=&')}").status == 200


def test_nobody_sees_the_usage_of_another_account(home: House) -> None:
    _, cookie = stranger(home)
    page = get(home, f"/me/usage?days=90&key={home.account.key_id}", cookie).text
    assert "No request in this period" in page
    assert len(get(home, f"/me/usage.csv?key={home.account.key_id}", cookie).text.splitlines()) == 1


# -- apps and connections -------------------------------------------------------------------------------------------------


def app_of(home: House, *fields: tuple[str, str], cookie: str = "") -> tuple[str, str]:
    """Makes an app and returns its path and its app key."""
    answer = post(home, "/me/apps", [("name", "Garden"), ("app_url", "https://garden.example"), *fields], cookie)
    assert answer.status == 303, answer.text
    page = get(home, answer.headers["location"], cookie).text
    found = re.search(r"pk_[A-Za-z0-9]{16}", page)
    assert found
    return answer.headers["location"], found[0]


def allow(page: Page, home: House, app_key: str, **more: str) -> Account:
    """Lets an app in and returns the key that it gets."""
    page.route("https://garden.example/**", lambda route: route.fulfill(body="<title>Garden</title>"))
    page.goto("/authorize?" + urlencode({"redirect_url": BACK, "app_key": app_key, **more}))
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(f"{BACK}#*")
    return Account(home.gateway, home.account.id, parse_qs(urlsplit(page.url).fragment)["api_key"][0], "")


def test_an_owner_sees_counts_of_an_app_and_its_user_its_spend(browser: Browser, home: House) -> None:
    _, owner = stranger(home)
    path, app_key = app_of(home, cookie=owner)
    with watched(browser, home.gateway.url, cookie=home.user, hosts=["garden.example"]) as watch:
        page = watch.page()
        key = allow(page, home, app_key, permissions="profile")
        cost = key.chat("lab-chat").cost
        shown = f"{Decimal(cost) / 10**9:f}"
        eventually(lambda: shown in get(home, "/me/connected").text, "the spend")
        row = re.search(r"In all</th>(.*?)</tr>", get(home, path, owner).text)
        assert row
        assert re.findall(r">([\d.]+)<", row[1]) == ["1", "1", shown]
        name = home.account.get("/api/account/profile").json["name"]
        owners = get(home, path, owner).text
        assert name not in owners
        assert home.account.id not in owners
        assert re.search(rf"<code>[0-9a-f]{{24}}</code></th><td[^>]*>1</td><td[^>]*>{re.escape(shown)}<", owners)
        assert summed(home, "by=app&days=7")[1] >= 1
        assert "Garden" in get(home, "/me/usage?by=app&days=7").text
        page.goto("/me/connected")
        assert violations(page) == []
        page.get_by_role("link", name="Change what Garden may do").first.click()
        page.get_by_label("Budget (pollen)").fill("0")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("What Garden may do is changed")).to_be_visible()
        assert key.chat("lab-chat").error["reason"] == "key_budget"
        page.get_by_role("button", name="Revoke Garden").first.click()
        expect(page.get_by_text("The connection is revoked")).to_be_visible()
        assert key.chat("lab-chat").status == 401


def test_a_connection_is_narrowed_never_widened_in_what_it_sees(browser: Browser, home: House) -> None:
    _, app_key = app_of(home, cookie=stranger(home)[1])
    with watched(browser, home.gateway.url, cookie=home.user, hosts=["garden.example"]) as watch:
        key = allow(watch.page(), home, app_key, permissions="profile,balance")
    key_id = key.get("/api/account/key").json["id"]
    wanted = [("scope", "balance"), ("scope", "keys"), ("scope", "usage"), ("models", "all"), ("expiry", "keep")]
    assert post(home, f"/me/connected/{key_id}", wanted).status == 303
    assert key.get("/api/account/key").json["permissions"]["account"] == ["balance"]
    assert post(home, f"/me/connected/{key_id}", [("models", "all"), ("expiry", "never")]).status == 400
    assert post(home, f"/me/keys/{key_id}", [("name", "Mine"), *wanted]).status == 400
    assert key.get("/api/account/key").json["permissions"]["account"] == ["balance"]
    _, cookie = stranger(home)
    assert get(home, f"/me/connected/{key_id}", cookie).status == 404
    assert post(home, f"/me/connected/{key_id}/revoke", [], cookie).status == 303
    assert key.get("/api/account/key").status == 200


def test_a_changed_app_keeps_what_its_form_does_not_show(home: House) -> None:
    owner, cookie = stranger(home, permissions="profile,keys")
    wanted: dict[str, Any] = {
        "name": "Shop",
        "type": "publishable",
        "appUrl": "https://shop.example",
        "pollenBudget": 0.5,
    }
    wanted |= {"origins": ["https://shop.example"], "allowedModels": ["lab-chat"], "budgetPeriod": "day"}
    made = owner.post("/api/account/keys", wanted)
    assert made.status == 200, made.text
    path, before = f"/me/apps/{made.json['id']}", listed(owner, made.json["id"])
    fields = [("name", "Shop 2"), ("app_url", "https://shop.example"), ("budget", "0.5"), ("markup", "0")]
    assert post(home, path, fields, cookie).status == 303
    after = listed(owner, made.json["id"])
    assert after["name"] == "Shop 2"
    assert {**after, "name": "Shop"} == before


def listed(owner: Account, key_id: str) -> dict[str, Any]:
    found = next(key for key in owner.get("/api/account/keys").json["data"] if key["id"] == key_id)
    return {name: value for name, value in found.items() if name != "updatedAt"}


def test_connections_of_one_app_stand_together_and_end_together(browser: Browser, home: House) -> None:
    _, app_key = app_of(home, cookie=stranger(home)[1])
    with watched(browser, home.gateway.url, cookie=home.user, hosts=["garden.example"]) as watch:
        page = watch.page()
        found = [allow(page, home, app_key) for _ in range(2)]
        costs = sum(key.chat("lab-chat").cost for key in found)
        shown = f"{Decimal(costs) / 10**9:f}"
        eventually(lambda: f"<strong>{shown}</strong> pollen in 2 requests" in get(home, "/me/connected").text, "sums")
        page.goto("/me/connected")
        assert violations(page) == []
        assert re.search(r"2 requests, last .*20\d\d", page.get_by_role("region", name="Garden").inner_text())
        page.get_by_role("button", name="Revoke all connections of Garden").first.click()
        expect(page.get_by_text("All 2 connections are revoked")).to_be_visible()
    assert [key.chat("lab-chat").status for key in found] == [401, 401]


def test_the_scale_of_an_empty_plot_reads_well(home: House) -> None:
    _, cookie = stranger(home)
    for path, top in (("/me/usage", "1"), ("/me/usage?measure=requests", "5")):
        assert f'<div class="plot-top" aria-hidden="true">{top}</div>' in get(home, path, cookie).text


def test_times_are_in_the_zone_that_the_account_chose(browser: Browser, home: House) -> None:
    _, cookie = stranger(home)
    post(home, "/me/keys", [("name", "k"), ("expiry", "days"), ("days", "1"), ("models", "all")], cookie)
    told: list[str] = []
    for zone in ("Asia/Tokyo", "America/New_York"):
        assert post(home, "/me/account/time-zone", [("time_zone", zone)], cookie).status == 303
        with watched(browser, home.gateway.url, cookie=cookie) as watch:
            page = watch.page()
            page.goto("/me/keys")
            told.append(page.locator("time").last.inner_text())
    assert told[0] != told[1]


def test_an_app_ends_with_every_key_that_was_given_to_it(browser: Browser, home: House) -> None:
    _, owner = stranger(home)
    path, app_key = app_of(home, cookie=owner)
    with watched(browser, home.gateway.url, cookie=home.user, hosts=["garden.example"]) as watch:
        key = allow(watch.page(), home, app_key)
    assert key.get("/api/account/key").status == 200
    assert get(home, path).status == 404
    assert post(home, f"{path}/revoke", []).status == 404
    assert post(home, f"{path}/revoke", [], owner).status == 303
    assert key.get("/api/account/key").status == 401


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": "Lost"}, "Say where your app lives"),
        ({"name": "Bad", "app_url": "javascript:alert(1)"}, "A web address starts with http"),
        ({"name": "Bad", "redirect_uris": "https://a.example/x\nhttps://user@b.example"}, "no user, path"),
        ({"name": "Bad", "app_url": "https://münchen.example"}, "written in punycode"),
        ({"name": "Bad", "app_url": "https://a.example", "markup": "51"}, "from 0 to 50"),
        ({"name": "Bad", "app_url": "https://a.example", "markup": "1.25"}, "from 0 to 50"),
    ],
)
def test_a_wrong_app_is_told_beside_the_field(home: House, fields: dict[str, str], told: str) -> None:
    answer = post(home, "/me/apps", list(fields.items()))
    assert answer.status == 400
    assert re.search(rf'class="fault"[^>]*>[^<]*{told}', answer.text)
    assert f'value="{fields["name"]}"' in answer.text


# -- models and media -----------------------------------------------------------------------------------------------------


def test_models_are_found_by_kind_and_words_as_one_types(browser: Browser, home: House) -> None:
    with watched(browser, home.gateway.url) as watch:
        page = watch.page()
        page.goto("/me/models")
        page.get_by_label("Search").type("lab-image")
        expect(page.locator(".models h2")).to_have_count(len(re.findall("<h2><code>", found(home, "q=lab-image"))))
        expect(page.get_by_text("0.03 per picture").first).to_be_visible()
    assert "lab-chat" not in found(home, "kind=image")
    assert "<strong>1</strong> per million tokens read" in found(home, "q=lab-chat")
    assert "Served by lab" in found(home, "q=lab-chat")
    assert "No model fits" in found(home, "q=nothing-of-the-kind")


def found(home: House, query: str) -> str:
    return home.gateway.request("GET", f"/me/models?{query}").text


def test_a_file_is_shown_and_deleted_by_its_owner_only(home: House) -> None:
    stored = home.account.post(
        "/upload", {"data": "UG9sbGVuIQ==", "contentType": "text/plain", "name": "mine.txt"}
    ).json
    assert "mine.txt" in get(home, "/me/media").text
    _, cookie = stranger(home)
    assert "mine.txt" not in get(home, "/me/media", cookie).text
    post(home, f"/me/media/{stored['id']}/delete", [], cookie)
    assert home.gateway.request("GET", f"/{stored['id']}").status == 200
    assert post(home, f"/me/media/{stored['id']}/delete", []).status == 303
    assert home.gateway.request("GET", f"/{stored['id']}").status == 404


def test_the_pages_work_without_script(browser: Browser, home: House) -> None:
    context = browser.new_context(base_url=home.gateway.url, java_script_enabled=False)
    name, _, value = home.user.partition("=")
    options: Any = [{"name": name, "value": value, "url": home.gateway.url}]
    context.add_cookies(options)
    try:
        page = context.new_page()
        page.goto("/me/models")
        page.get_by_label("Search").fill("lab-speech")
        page.get_by_role("button", name="Search").click()
        expect(page.locator(".models h2")).to_have_count(1)
        page.goto("/me/usage")
        page.get_by_label("Stacked by").select_option("key")
        page.get_by_role("button", name="Apply").click()
        expect(page.get_by_role("heading", name="Pollen by key")).to_be_visible()
        page.goto("/me/keys")
        page.get_by_label("Name", exact=True).fill("Scriptless")
        page.get_by_role("button", name="Make the key").click()
        expect(page.get_by_role("heading", name="Scriptless is ready")).to_be_visible()
    finally:
        context.close()
