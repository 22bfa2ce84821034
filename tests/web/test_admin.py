"""The pages of who runs the installation: what they show, what they change, and that nobody else gets in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.gateway import NANO, Reply
from tests.web.browser import violations, watched
from tests.web.house import FORM, SETTINGS, House, house, sign_in

PAGES = ("/admin", "/admin/users", "/admin/audit", "/admin/catalog", "/admin/settings")
MOST_BYTES = 100 * 1024
SECRET = "a-mail-password-4711"
MAIL = f'{SETTINGS}\n[mail]\nhost = "127.0.0.1"\nsender = "pollen@example.org"\npassword = "{SECRET}"\n'


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house"), MAIL) as running:
        yield running


def get(home: House, path: str, cookie: str = "") -> Reply:
    return home.gateway.request("GET", path, headers={"cookie": cookie or home.admin})


def post(home: House, path: str, fields: dict[str, str], cookie: str = "") -> Reply:
    cookie = cookie or home.admin
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', get(home, "/me/account", cookie).text)
    assert found
    body = urlencode({**fields, "csrf": found[1]}).encode()
    return home.gateway.request("POST", path, body=body, headers={**FORM, "cookie": cookie})


def someone(home: House) -> tuple[str, str]:
    """The path of a new user's page, and the name."""
    account = home.gateway.account()
    return f"/admin/users/{account.id}", account.get("/api/account/profile").json["name"]


@pytest.mark.parametrize(("phone", "dark"), [(False, False), (True, True)], ids=["desktop-light", "phone-dark"])
def test_every_page_is_readable_small_and_quiet(browser: Browser, home: House, phone: bool, dark: bool) -> None:
    with watched(browser, home.gateway.url, cookie=home.admin, phone=phone, dark=dark) as watch:
        page = watch.page()
        for path in (*PAGES, f"/admin/users/{home.account.id}"):
            answer = page.goto(path)
            assert answer is not None
            assert (path, answer.status) == (path, 200)
            assert len(answer.body()) < MOST_BYTES
            page.evaluate("for (const one of document.querySelectorAll('main details')) one.open = true")
            assert violations(page) == [], path
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"{path} scrolls sideways"


@pytest.mark.parametrize("path", PAGES)
def test_only_an_admin_gets_in(home: House, path: str) -> None:
    assert get(home, path, home.user).status == 403
    assert home.gateway.request("GET", path).headers["location"].startswith("/login")
    assert 'href="/admin"' not in get(home, "/me", home.user).text


@pytest.mark.parametrize("act", ["grant", "tier", "ban", "link"])
def test_a_user_changes_nobody(home: House, act: str) -> None:
    path, name = someone(home)
    fields = {
        "amount": "5",
        "bucket": "pack",
        "reason": "grant",
        "note": "x",
        "tier": "seed",
        "banned": "on",
        "why": "x",
    }
    assert post(home, f"{path}/{act}", fields, home.user).status == 403
    after = home.gateway.admin("user", "show", name)
    assert (after["tier"], after["banned"], after["balance"]["pack"]) == ("microbe", False, 1)


@pytest.mark.parametrize("act", ["grant", "tier", "ban", "link"])
def test_a_form_without_the_token_changes_nobody(home: House, act: str) -> None:
    path, name = someone(home)
    own = {**FORM, "cookie": home.admin}
    assert home.gateway.request("POST", f"{path}/{act}", body=b"amount=5&tier=seed", headers=own).status == 403
    assert home.gateway.admin("user", "show", name)["balance"]["pack"] == 1


def test_today_counts_what_was_used(home: House) -> None:
    page = get(home, "/admin").text
    assert re.search(r'Requests</p><p class="big">[1-9]', page)
    assert "Live providers: lab" in page


def test_pollen_is_given_with_a_reason_and_can_be_spent(browser: Browser, home: House) -> None:
    account = home.gateway.account(pack="0")
    assert account.chat("lab-chat").status == 402
    with watched(browser, home.gateway.url, cookie=home.admin) as watch:
        watch.expected.add("400")
        page = watch.page()
        page.goto(f"/admin/users/{account.id}")
        page.get_by_label("Pollen", exact=True).fill("lots")
        page.get_by_label("Why").first.fill("for the workshop")
        page.get_by_role("button", name="Give it").click()
        expect(page.locator("#amount-hint")).to_contain_text("plain decimal number")
        assert page.get_by_label("Why").first.input_value() == "for the workshop"
        page.get_by_label("Pollen", exact=True).fill("2.5")
        page.get_by_role("button", name="Give it").click()
        expect(page.get_by_text("got 2.5 pollen (pack)")).to_be_visible()
        expect(page.get_by_text("for the workshop")).to_be_visible()
    assert account.balance == 5 * NANO // 2
    assert account.chat("lab-chat").status == 200
    assert home.gateway.verify()["ok"]


@pytest.mark.parametrize(
    "wrong", [{"amount": "0"}, {"amount": "-1"}, {"bucket": "gold"}, {"reason": "because"}, {"note": ""}]
)
def test_a_wrong_grant_gives_nothing(home: House, wrong: dict[str, str]) -> None:
    path, name = someone(home)
    fields = {"amount": "5", "bucket": "pack", "reason": "grant", "note": "why", **wrong}
    answer = post(home, f"{path}/grant", fields)
    assert answer.status == 400
    assert 'class="fault"' in answer.text
    assert home.gateway.admin("user", "show", name)["balance"]["pack"] == 1


def test_a_ban_needs_a_reason_ends_key_and_session_and_can_be_taken_back(home: House) -> None:
    account = home.gateway.account()
    name = account.get("/api/account/profile").json["name"]
    cookie = sign_in(home.gateway, name)
    path = f"/admin/users/{account.id}"
    assert post(home, f"{path}/ban", {"banned": "on"}).status == 400
    assert account.get("/api/account/key").status == 200
    assert post(home, f"{path}/ban", {"banned": "on", "why": "resells keys"}).status == 303
    assert account.get("/api/account/key").status == 401
    assert get(home, "/me", cookie).status == 303
    assert "resells keys" in get(home, path).text
    assert post(home, f"{path}/ban", {}).status == 303
    assert account.get("/api/account/key").status == 200


def test_an_admin_cannot_shut_themselves_out(home: House) -> None:
    own = home.gateway.admin("user", "show", "admin")["id"]
    assert post(home, f"/admin/users/{own}/ban", {"banned": "on", "why": "oops"}).status == 400
    assert get(home, "/admin").status == 200


def test_a_tier_is_changed_and_told(home: House) -> None:
    path, name = someone(home)
    assert post(home, f"{path}/tier", {"tier": "seed"}).status == 303
    assert home.gateway.admin("user", "show", name)["tier"] == "seed"
    assert post(home, f"{path}/tier", {"tier": "emperor"}).status == 400


def test_a_sign_in_link_is_shown_once_and_signs_in(home: House) -> None:
    path, name = someone(home)
    answer = post(home, f"{path}/link", {})
    found = re.search(r"http\S+/login/[\w-]+", answer.text)
    assert found
    entered = home.gateway.request("POST", urlsplit(found[0]).path, headers=FORM)
    cookie = entered.headers["set-cookie"].partition(";")[0]
    assert name in get(home, "/me", cookie).text
    token = found[0].rpartition("/")[2]
    assert token not in get(home, path).text + get(home, "/admin/audit").text


def test_users_are_found_by_part_of_a_name_and_by_id(home: House) -> None:
    path, name = someone(home)
    for words in (name[:-1].upper(), path.rpartition("/")[2]):
        assert path in get(home, f"/admin/users?{urlencode({'q': words})}").text
    assert "Nobody fits" in get(home, "/admin/users?q=%25_nobody").text


def test_many_keys_of_a_user_are_shown_a_page_at_a_time(home: House) -> None:
    owner = home.gateway.account(permissions="keys")
    names = {f"key number {number:02}" for number in range(24)}
    for name in names:
        assert owner.post("/api/account/keys", {"name": name}).status == 200
    pages = [get(home, f"/admin/users/{owner.id}?page={page}").text for page in (1, 2, 3)]
    shown = [{name for name in names if f">{name}<" in page} for page in pages]
    assert set().union(*shown) == names
    assert all(0 < len(some) <= 10 for some in shown)


def test_the_trail_narrows_to_an_action_and_an_account(home: House) -> None:
    path, _ = someone(home)
    post(home, f"{path}/tier", {"tier": "seed"})
    account = path.rpartition("/")[2]
    page = get(home, f"/admin/audit?action=user.tier&subject={account}").text
    assert len(re.findall("<tr>", page)) == 2  # the head and the one row
    assert "Nothing of this kind" in get(home, "/admin/audit?action=user.delete").text


def test_settings_are_shown_but_no_secret(home: House) -> None:
    page = get(home, "/admin/settings").text
    assert "pollen@example.org" in page
    assert "set, not shown" in page
    for path in PAGES:
        text = get(home, path).text
        assert SECRET not in text
        assert "lab-secret" not in text


def test_a_providers_failure_is_told_on_the_pages(home: House) -> None:
    assert home.account.chat("lab-second-chance").status == 200  # by its second route; the first was asked twice
    for path in ("/admin", "/admin/catalog"):
        assert re.search(r"gone.*?(2 failures|>2, last)", get(home, path).text, re.DOTALL)


def test_who_is_banned_or_demoted_sees_no_admin_page(home: House) -> None:
    path, name = someone(home)
    cookie = sign_in(home.gateway, name)
    assert get(home, "/admin", cookie).status == 403
    assert post(home, f"{path}/ban", {"banned": "on", "why": "test"}).status == 303
    assert get(home, "/admin", cookie).status == 303
