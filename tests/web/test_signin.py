"""Signing up, in and out with a password or a one-time link, and what attackers try at that door."""

from __future__ import annotations

import json
import re
import statistics
import time
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.gateway import Gateway, eventually
from tests.web.visitor import PASSWORD, Visitor


@pytest.fixture
def visitor(server: Gateway) -> Visitor:
    return Visitor(server)


def link(server: Gateway, name: str) -> str:
    return urlsplit(server.admin("login-link", name)["url"]).path


def member(server: Gateway, name: str, **fields: str) -> Visitor:
    somebody = Visitor(server)
    assert somebody.sign_up(name, **fields).status == 303
    return somebody


def test_sign_up_sign_out_and_sign_in_by_name_or_address(visitor: Visitor) -> None:
    made = visitor.sign_up("Ada", email="ada@example.org")
    assert (made.status, made.headers["location"]) == (303, "/me")
    assert visitor.signed_in
    assert visitor.post("/logout").headers["location"] == "/login"
    assert not visitor.signed_in
    for name in ("ada", "ADA@example.org"):
        assert visitor.sign_in(name).status == 303
        assert visitor.signed_in


def test_the_cookie_is_not_for_scripts_and_not_for_other_sites(server: Gateway) -> None:
    member(server, "cookie")
    somebody = Visitor(server)
    somebody.sign_in("cookie")
    (line,) = [line for line in somebody.set_cookies if line.startswith("openpollen=")]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(line.split("; "))


def test_on_https_the_cookie_is_bound_to_the_host_and_to_https(tmp_path: Path) -> None:
    config = tmp_path / "openpollen.toml"
    config.write_text('[server]\nenter_url = "https://pollen.example"\n[engines]\nenabled = false\n')
    with Gateway(tmp_path / "data", config) as running:
        made = running.request("POST", link(running, "admin"))
    assert made.headers["set-cookie"].startswith("__Host-openpollen=")
    assert made.headers["set-cookie"].endswith("; Secure")


@pytest.mark.parametrize(
    ("fields", "beside"),
    [
        ({"name": ""}, "Choose a user name."),
        ({"name": "a@b.example"}, "A user name has no @"),
        ({"name": "x" * 65}, "A user name has 1 to 64 printable characters."),
        ({"email": "nobody"}, "is not an email address"),
        ({"password": "short"}, "Use at least 10 characters"),
        ({"password": "x" * 300}, "Use at most 256 characters"),
        ({"password": "password1234"}, "easy to guess"),
        ({"name": "ADMIN"}, "exists already"),
    ],
)
def test_a_wrong_field_is_told_beside_it_and_nothing_typed_is_lost(
    visitor: Visitor, fields: dict[str, str], beside: str
) -> None:
    sent = {"name": "grace", "email": "grace@example.org", "password": PASSWORD} | fields
    page = visitor.post("/signup", sent)
    assert 400 <= page.status < 500
    assert re.search(rf'class="fault"[^>]*>[^<]*{re.escape(beside)}', page.text), page.text
    for name in ("name", "email"):
        assert f'value="{sent[name]}"' in page.text
    assert sent["password"] not in page.text


def test_a_name_in_any_script_signs_in_again(server: Gateway) -> None:
    for name in ("Änne", "Ольга", "李 雷"):
        member(server, name)
        assert Visitor(server).sign_in(name).status == 303
        assert Visitor(server).sign_up(name).status == 409


def test_names_that_look_alike_are_one_name(server: Gateway) -> None:
    member(server, "aspect")
    for name in ("ASPECT", "ɑspect", "аѕрест", "ASPECT\ufe0f", "aſpect", "ᴀꜱᴘᴇᴄᴛ", "ａｓｐｅｃｔ"):
        page = Visitor(server).sign_up(name)
        assert (page.status, "Choose another name" in page.text) == (409, True), name
    member(server, "ÅSA")
    assert Visitor(server).sign_up("åsa").status == 409
    assert Visitor(server).sign_in("Åsa").status == 303


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("аdmin", "Cyrillic and Latin letters look alike"),
        ("ad\u3164min", "can be seen"),
        ("gr\u200bace", "printable"),
        ("\u202egrace", "printable"),
        ("...", "one letter or digit"),
        ("ａｄｍｉｎ", "exists already"),
    ],
)
def test_a_name_that_hides_or_looks_like_another_is_refused(visitor: Visitor, name: str, told: str) -> None:
    page = visitor.sign_up(name)
    assert 400 <= page.status < 500
    assert re.search(rf'class="fault"[^>]*>[^<]*{told}', page.text), page.text


def test_who_signs_up_on_the_way_to_a_page_comes_to_it(server: Gateway, visitor: Visitor) -> None:
    page = visitor.get("/me/usage?days=7")
    assert page.status == 303
    door = visitor.get(page.headers["location"]).text
    link = unescape(re.search(r'href="(/signup[^"]*)"', door)[1])  # type: ignore[index]  # a miss fails the test
    form = visitor.get(link).text
    to = unescape(re.search(r'name="next" value="([^"]*)"', form)[1])  # type: ignore[index]
    assert visitor.sign_up("traveller", next=to).headers["location"] == "/me/usage?days=7"


def test_a_form_sent_after_the_session_ended_leads_back_to_its_page(server: Gateway) -> None:
    somebody = member(server, "late")
    somebody.cookies.clear()
    referer = f"{server.url}/me/keys?page=1"
    answer = somebody.post("/me/keys", {"name": "k"}, csrf="", referer=referer)
    assert answer.headers["location"] == "/login?next=/me/keys%3Fpage%3D1"
    assert "nothing was done" in somebody.get(answer.headers["location"]).text
    elsewhere = somebody.post("/me/keys", {"name": "k"}, csrf="", referer="https://evil.example/me/keys")
    assert elsewhere.headers["location"] == "/login?next=/me"


def test_a_form_of_too_many_fields_is_told(visitor: Visitor) -> None:
    page = visitor.post("/login", {f"f{number}": "x" for number in range(2_001)})
    assert page.status == 400
    assert "at most 2,000 fields" in page.text


def test_markup_in_a_name_stays_text(visitor: Visitor) -> None:
    visitor.sign_up("<b>bold</b>")
    page = visitor.get("/me/account").text
    assert "&lt;b&gt;bold" in page
    assert "<b>bold" not in page


def test_signing_up_never_makes_an_admin(visitor: Visitor, server: Gateway) -> None:
    visitor.sign_up("eve", role="admin", tier="router")
    made = server.admin("user", "show", "eve")
    assert (made["role"], made["tier"]) == ("user", "microbe")


def test_looking_at_a_link_does_not_use_it_up_and_a_button_does(server: Gateway, visitor: Visitor) -> None:
    path = link(server, "admin")
    for _ in range(2):
        page = visitor.get(path)
        assert page.status == 200
        assert "Sign in" in page.text
    used = visitor.post(path, csrf="")
    assert (used.status, used.headers["location"]) == (303, "/welcome")
    assert Visitor(server).post(path).status == 401
    assert Visitor(server).get(path).status == 404


def test_after_a_link_a_password_can_be_set_and_links_that_wait_die(server: Gateway, visitor: Visitor) -> None:
    server.admin("user", "create", "linked")
    waiting, path = link(server, "linked"), link(server, "linked")
    visitor.post(path)
    assert visitor.get("/welcome").status == 200
    weak = visitor.post("/welcome", {"password": "linked"})
    assert weak.status == 400
    before = dict(visitor.cookies)
    assert visitor.post("/welcome", {"password": PASSWORD}).status == 303
    assert visitor.cookies["openpollen"] != before["openpollen"]
    assert Visitor(server).get(waiting).status == 404
    assert Visitor(server).sign_in("linked").status == 303


def test_who_signed_in_with_a_password_must_know_it_to_change_it(server: Gateway) -> None:
    somebody = member(server, "borrowed")
    somebody.sign_in("borrowed")
    assert somebody.get("/welcome").headers["location"] == "/me/account#password"
    assert somebody.post("/welcome", {"password": "another long password"}).status == 303
    assert Visitor(server).sign_in("borrowed").status == 303


def test_the_first_start_prints_a_link_that_works(tmp_path: Path) -> None:
    config = tmp_path / "openpollen.toml"
    config.write_text("[engines]\nenabled = false\n")
    with Gateway(tmp_path / "data", config) as running:
        found = eventually(lambda: re.search(r"(/login/[\w-]+)", running.output), "the sign-in link")
        assert running.request("POST", found[1]).status == 303
        assert json.loads((tmp_path / "data" / "server.json").read_text())["url"] == running.url


# -- attacks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "http:evil.example",
        "/me\r\nset-cookie: a=b",
        "evil.example",
    ],
)
def test_next_leads_to_this_site_only(server: Gateway, to: str) -> None:
    somebody = Visitor(server)
    member(server, f"goes {to.encode().hex()}")
    went = somebody.sign_in(f"goes {to.encode().hex()}", next=to)
    assert (went.status, went.headers["location"]) == (303, "/me")
    assert "a" not in somebody.cookies


def test_next_leads_on_within_this_site(server: Gateway) -> None:
    member(server, "onward")
    asked = Visitor(server).get("/me/account")
    assert asked.headers["location"] == "/login?next=/me/account"
    assert Visitor(server).sign_in("onward", next="/me/account?tab=1").headers["location"] == "/me/account?tab=1"


FORMS = [
    "/logout",
    "/welcome",
    "/me/account/email",
    "/me/account/time-zone",
    "/me/account/password",
    "/me/account/passkeys/remove",
    "/me/account/unlink",
    "/me/account/sessions/end",
    "/me/account/delete",
]


@pytest.mark.parametrize("path", FORMS)
def test_a_form_of_another_site_is_refused(server: Gateway, path: str) -> None:
    name = f"csrf{path}"
    somebody = member(server, name)
    fields = {"confirm": name, "email": "evil@example.org", "password": "evil evil evil words"}
    right = somebody.csrf
    for csrf, headers in (
        ("0" * 32, {}),
        (Visitor(server).csrf or "", {}),
        (right, {"origin": "https://evil.example"}),
        (right, {"sec-fetch-site": "cross-site"}),
        (right, {"origin": "null"}),
    ):
        assert somebody.post(path, fields, csrf=csrf, **headers).status == 403
    assert somebody.signed_in
    assert server.admin("user", "show", name)["email"] is None


@pytest.mark.parametrize("path", ["/login", "/signup"])
def test_another_site_cannot_sign_a_browser_in(server: Gateway, visitor: Visitor, path: str) -> None:
    member(server, f"attacker{path}")
    fields = {"name": f"attacker{path}", "password": PASSWORD}
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert visitor.post(path, fields, csrf="", **headers).status == 403
    assert "openpollen" not in visitor.cookies


def test_a_session_from_before_signing_in_is_worth_nothing_after_it(server: Gateway) -> None:
    member(server, "fixed")
    planted = "attacker-knows-this-value"
    victim = Visitor(server)
    victim.cookies["openpollen"] = planted
    victim.post("/login", {"name": "fixed", "password": PASSWORD}, csrf="")
    assert victim.cookies["openpollen"] != planted
    thief = Visitor(server)
    thief.cookies["openpollen"] = planted
    assert not thief.signed_in
    first = victim.cookies["openpollen"]
    victim.sign_in("fixed")
    thief.cookies["openpollen"] = first
    assert not thief.signed_in
    assert victim.signed_in


def test_guessing_is_slowed_down_and_the_right_password_is_no_exception(server: Gateway, visitor: Visitor) -> None:
    member(server, "guessed")
    statuses = [visitor.sign_in("guessed", f"wrong guess {number}").status for number in range(11)]
    assert statuses == [401] * 10 + [429]
    slow = visitor.sign_in("guessed")
    assert slow.status == 429
    assert 0 < int(slow.headers["retry-after"]) <= 120
    assert "Too many tries" in slow.text
    assert 'value="guessed"' in slow.text
    assert Visitor(server).sign_in("admin", "wrong guess").status == 401


def test_who_guesses_elsewhere_does_not_lock_the_owner_out(server: Gateway, visitor: Visitor) -> None:
    member(server, "owned")
    while visitor.sign_in("owned", "a wrong guess").status != 429:
        pass
    assert Visitor(server).sign_in("owned").status == 303


def test_answers_do_not_tell_who_exists(server: Gateway, visitor: Visitor) -> None:
    member(server, "exists", email="exists@example.org")
    pages = [visitor.sign_in(name, "not the password") for name in ("exists", "exists@example.org", "nobody", "no@b.c")]
    assert {page.status for page in pages} == {401}
    assert len({re.sub(r'value="[^"]*"', "", page.text) for page in pages}) == 1
    asked = [visitor.post("/reset", {"name": name}) for name in ("exists", "nobody")]
    assert len({(page.status, page.text) for page in asked}) == 1


def test_names_that_nobody_has_are_slowed_down_alike(visitor: Visitor) -> None:
    statuses = [visitor.sign_in("ghost", f"wrong guess {number}").status for number in range(11)]
    assert statuses == [401] * 10 + [429]


def test_one_address_cannot_guess_at_many_names(visitor: Visitor) -> None:
    began = time.monotonic()
    statuses: list[int] = []
    while 429 not in statuses:
        statuses.append(visitor.sign_in(f"guess {len(statuses)}", "a wrong guess").status)
    assert statuses[:30] == [401] * 30
    assert len(statuses) <= 31 + (time.monotonic() - began) / 10


def test_one_address_makes_few_accounts(visitor: Visitor) -> None:
    statuses = [visitor.sign_up(f"many{number}", PASSWORD).status for number in range(21)]
    assert statuses[19:] == [303, 429]


def test_a_closed_account_cannot_sign_in(server: Gateway) -> None:
    somebody = member(server, "shut")
    server.admin("user", "ban", "shut")
    assert not somebody.signed_in
    assert Visitor(server).sign_in("shut").status == 401


def test_pages_are_not_for_frames_caches_or_other_origins(server: Gateway) -> None:
    somebody = member(server, "framed")
    for path in ("/login", "/signup", "/reset", "/me/account"):
        headers = somebody.get(path, origin="https://evil.example").headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cache-control"] == "private, no-store"
        assert "access-control-allow-origin" not in headers
        asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        preflight = server.request("OPTIONS", path, headers=asked)
        assert preflight.status == 405
        assert not [name for name in preflight.headers if name.startswith("access-control")]


def test_a_name_that_nobody_has_takes_as_long(server: Gateway, visitor: Visitor) -> None:
    member(server, "timed")

    def seconds(name: str) -> float:
        def once(number: int) -> float:
            started = time.monotonic()
            assert visitor.sign_in(name, f"wrong guess {number}").status == 401
            return time.monotonic() - started

        return statistics.median(once(number) for number in range(5))

    # Without the hash an answer takes a twentieth of the time.
    assert seconds("nobody at all") > seconds("timed") / 3
