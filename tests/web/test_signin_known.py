"""A browser in which somebody has signed in before: guesses made elsewhere do not lock it out, and its own are counted."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from tests.gateway import Gateway
from tests.oauth.clock import rewrite
from tests.web.visitor import PASSWORD, Visitor

KNOWN = "openpollen-known"


def member(server: Gateway, name: str) -> Visitor:
    """Somebody who signed up, and out again."""
    somebody = Visitor(server)
    assert somebody.sign_up(name).status == 303
    assert somebody.post("/logout").status == 303
    return somebody


def besieged(server: Gateway, name: str) -> None:
    """Guesses from everywhere, until a stranger who has the right password is not let in either."""
    Visitor(server).sign_in(name, "a wrong guess")
    rewrite(server, "UPDATE attempts SET busy_until = busy_until + 10000000")
    assert Visitor(server).sign_in(name).status == 429


def test_guesses_from_everywhere_do_not_lock_a_known_browser_out(server: Gateway) -> None:
    owner = member(server, "ada")
    assert not owner.signed_in
    besieged(server, "ada")
    assert owner.sign_in("ada").status == 303
    assert owner.signed_in


def test_a_known_browser_may_not_guess_without_end_and_locks_out_nobody(server: Gateway) -> None:
    owner = member(server, "bea")
    assert [owner.sign_in("bea", f"wrong guess {number}").status for number in range(11)] == [401] * 10 + [429]
    slow = owner.sign_in("bea")
    assert slow.status == 429
    assert 0 < int(slow.headers["retry-after"]) <= 120
    assert Visitor(server).sign_in("bea").status == 303


def test_the_right_password_is_no_guess(server: Gateway) -> None:
    owner = member(server, "cyd")
    assert [owner.sign_in("cyd").status for _ in range(12)] == [303] * 12


def test_the_cookie_is_this_host_s_alone_signs_nobody_in_and_does_not_say_whose_it_is(server: Gateway) -> None:
    owner = member(server, "dot")
    owner.sign_in("dot")
    (line,) = [line for line in owner.set_cookies if line.startswith(f"{KNOWN}=")]
    assert {"HttpOnly", "SameSite=Lax", "Path=/", f"Max-Age={365 * 86_400}"} <= set(line.split("; "))
    assert "Domain" not in line
    thief = Visitor(server)
    thief.cookies[KNOWN] = owner.cookies[KNOWN]
    assert not thief.signed_in
    user = server.admin("user", "show", "dot")
    assert user["id"] not in line
    assert "dot" not in line


def test_on_https_the_cookie_is_bound_to_the_host_and_to_https(tmp_path: Path) -> None:
    config = tmp_path / "openpollen.toml"
    config.write_text('[server]\nenter_url = "https://pollen.example"\n[engines]\nenabled = false\n')
    with Gateway(tmp_path / "data", config) as running:
        somebody = Visitor(running)
        somebody.post(urlsplit(running.admin("login-link", "admin")["url"]).path, csrf="")
    (line,) = [line for line in somebody.set_cookies if line.startswith("__Host-openpollen-known=")]
    assert line.endswith("; Secure")


def test_one_browser_is_known_to_several_accounts(server: Gateway) -> None:
    family = member(server, "eve")
    for name in ("fay", "gus", "hal"):
        family.sign_up(name)
        family.post("/logout")
    for name in ("eve", "fay", "gus", "hal"):
        besieged(server, name)
        assert family.sign_in(name).status == 303
        family.post("/logout")
    for number in range(4):
        member(server, f"guest {number}")
        assert family.sign_in(f"guest {number}").status == 303
        family.post("/logout")
    assert family.sign_in("eve").status == 429, "only the last few accounts are kept"
    assert len(family.cookies[KNOWN]) < 400


def test_a_mark_of_another_account_or_a_made_up_one_is_worth_nothing(server: Gateway) -> None:
    member(server, "ida")
    stranger = member(server, "jon")
    mark = stranger.cookies[KNOWN]
    besieged(server, "ida")
    at, who, signed = mark.split(".")
    other = "0" if signed[-1] != "0" else "1"
    for cookie in (
        mark,
        f"{int(at) + 1}.{who}.{signed}",
        f"{mark[:-1]}{other}",
        f"{mark}~{mark}",
        "~",
        "é",
        mark * 100,
    ):
        stranger.cookies[KNOWN] = cookie
        assert stranger.sign_in("ida").status == 429, cookie
    assert stranger.sign_in("nobody").status == 401


def test_a_new_password_makes_every_browser_a_stranger(server: Gateway) -> None:
    old, lost = member(server, "kim"), Visitor(server)
    lost.sign_in("kim")
    lost.post("/logout")
    old.sign_in("kim")
    new = {"current_password": PASSWORD, "new_password": "eight other plain words"}
    assert old.post("/me/account/password", new).status == 303
    besieged_by = Visitor(server)
    besieged_by.sign_in("kim", "a wrong guess")
    rewrite(server, "UPDATE attempts SET busy_until = busy_until + 10000000")
    assert lost.sign_in("kim", "eight other plain words").status == 429
    old.post("/logout")
    assert old.sign_in("kim", "eight other plain words").status == 303


def test_a_ban_makes_every_browser_a_stranger(server: Gateway) -> None:
    owner = member(server, "lea")
    server.admin("user", "ban", "lea")
    server.admin("user", "unban", "lea")
    besieged(server, "lea")
    assert owner.sign_in("lea").status == 429


def test_a_name_that_is_taken_anew_is_another_account(server: Gateway) -> None:
    owner = member(server, "mia")
    owner.sign_in("mia")
    assert owner.post("/me/account/delete", {"confirm": "mia"}).status == 303
    member(server, "mia")
    besieged(server, "mia")
    assert owner.sign_in("mia").status == 429
