"""Sign-in in a real browser: passkeys with Chromium's own authenticator, pages without script, looks and names."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.gateway import Gateway
from tests.web.browser import violations, watched
from tests.web.visitor import PASSWORD, Visitor


def local(server: Gateway) -> str:
    """The address under which browsers allow passkeys."""
    return f"http://localhost:{urlsplit(server.url).port}"


def authenticator(page: Page, *, verified: bool = True) -> None:
    """Gives the browser a security chip of its own."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": verified,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def sign_in(page: Page, name: str) -> None:
    page.goto("/login")
    page.get_by_label("User name or email address").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/me")


def test_a_passkey_is_added_signs_in_and_is_removed(server: Gateway, browser: Browser) -> None:
    Visitor(server).sign_up("keyed")
    with watched(browser, local(server)) as watch:
        page = watch.page()
        authenticator(page)
        sign_in(page, "keyed")
        page.goto("/me/account")
        page.get_by_label("Name of a new passkey").fill("My laptop")
        page.get_by_role("button", name="Add a passkey").click()
        expect(page.get_by_role("button", name="Remove My laptop")).to_be_visible()
        page.get_by_role("button", name="Sign out", exact=True).first.click()
        page.wait_for_url("**/login")
        page.goto("/login?next=/me/account")
        page.get_by_role("button", name="Use a passkey").click()
        page.wait_for_url("**/me/account")
        expect(page.get_by_text("with a passkey")).to_be_visible()
        page.get_by_role("button", name="Remove My laptop").click()
        expect(page.get_by_text("The passkey is removed here")).to_be_visible()
        page.get_by_role("button", name="Sign out", exact=True).first.click()
        page.goto("/login")
        watch.expected.add("401")
        page.get_by_role("button", name="Use a passkey").click()
        expect(page.get_by_text("This passkey is not known here")).to_be_visible()


def add_passkey(page: Page, name: str) -> None:
    """Signs somebody in who then adds the browser's own chip as a passkey."""
    authenticator(page)
    sign_in(page, name)
    page.goto("/me/account")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("button", name="Remove Passkey")).to_be_visible()


def test_one_device_has_one_passkey_for_an_account_and_an_unverified_person_none(
    server: Gateway, browser: Browser
) -> None:
    Visitor(server).sign_up("twice")
    with watched(browser, local(server)) as watch:
        page = watch.page()
        add_passkey(page, "twice")
        page.get_by_role("button", name="Add a passkey").click()
        expect(page.get_by_text("has a passkey for your account already")).to_be_visible()
        other = watch.page()
        authenticator(other, verified=False)
        other.goto("/login?again=1")
        other.get_by_role("button", name="Use a passkey").click()
        expect(other.get_by_text("No passkey was used")).to_be_visible()


def test_a_recorded_passkey_answer_works_once(server: Gateway, browser: Browser) -> None:
    Visitor(server).sign_up("recorded")
    with watched(browser, local(server)) as watch:
        page = watch.page()
        add_passkey(page, "recorded")
        page.goto("/login?again=1")
        with page.expect_request("**/login/passkey") as sent:
            page.get_by_role("button", name="Use a passkey").click()
            page.wait_for_url("**/me")
        thief = Visitor(server)
        thief.server = server
        again = thief.post_json("/login/passkey", sent.value.post_data_json)
    assert again.status in (400, 401)
    assert "openpollen" not in thief.cookies


@pytest.mark.parametrize("body", [{}, {"credential": {}}, {"credential": {"response": {"clientDataJSON": "e30"}}}, []])
def test_a_made_up_passkey_answer_is_refused(server: Gateway, body: object) -> None:
    answer = Visitor(server).post_json("/login/passkey", body)
    assert answer.status == 400
    assert answer.json["error"]


def test_another_site_cannot_ask_for_passkeys(server: Gateway) -> None:
    somebody = Visitor(server)
    somebody.sign_up("asked")
    asked = server.request("POST", "/login/passkey/options", headers={"origin": "https://evil.example"})
    assert asked.status == 403
    assert somebody.post_json("/me/account/passkeys/options", {"csrf": "0" * 32}).status == 403
    assert Visitor(server).post_json("/me/account/passkeys/options", {}).status == 401


@pytest.mark.parametrize(("phone", "dark"), [(True, False), (False, True)], ids=["phone-light", "desktop-dark"])
def test_everybody_can_read_and_use_the_pages(server: Gateway, browser: Browser, phone: bool, dark: bool) -> None:
    visitor = Visitor(server)
    visitor.sign_up(f"reader{phone}{dark}", email="a-rather-long-address-of-somebody@subdomain.example.org")
    with watched(browser, local(server), phone=phone, dark=dark) as watch:
        page = watch.page()
        watch.expected |= {"400", "401", "404"}
        for path in ("/login", "/signup", "/reset", "/login/x", "/verify/x"):
            page.goto(path)
            assert violations(page) == [], path
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        page.goto("/login")
        page.get_by_label("User name or email address").fill("nobody")
        page.get_by_label("Password").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_text("The name or the password is wrong")).to_be_visible()
        assert violations(page) == []
        sign_in(page, f"reader{phone}{dark}")
        for path in ("/me/account",):
            page.goto(path)
            assert violations(page) == [], path
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_the_forms_work_without_script(server: Gateway, browser: Browser) -> None:
    context = browser.new_context(base_url=local(server), java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto("/signup")
        page.get_by_label("User name").fill("scriptless")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Make my account").click()
        page.goto("/me/account")
        page.get_by_label("Time zone").select_option("Europe/Berlin")
        page.get_by_role("button", name="Save time zone").click()
        expect(page.get_by_text("Times are shown in Europe/Berlin")).to_be_visible()
        page.get_by_label("Type your user name to confirm").fill("scriptless")
        page.get_by_role("button", name="Delete my account").click()
        expect(page.get_by_text("Your account is deleted")).to_be_visible()
    finally:
        context.close()
