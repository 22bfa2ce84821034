"""A forgotten password and an address to confirm, by mail; and the same pages where the server sends none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import pytest

from tests.gateway import Gateway, eventually
from tests.web.postbox import PASSWORD, USER, Postbox, postbox
from tests.web.visitor import SETTINGS, Visitor


@pytest.fixture(scope="module")
def post() -> Iterator[Postbox]:
    with postbox() as here:
        yield here


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, post: Postbox) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("web")
    config = folder / "openpollen.toml"
    mail = f'[mail]\nhost = "127.0.0.1"\nport = {post.port}\nsender = "Pollen <p@example.org>"\ntls = "none"\n'
    config.write_text(SETTINGS + '[signin]\nsignup = "open"\n' + mail)
    with Gateway(folder / "data", config) as running:
        yield running


def member(server: Gateway, post: Postbox, name: str) -> Visitor:
    """Somebody with a confirmed address."""
    somebody = Visitor(server)
    somebody.sign_up(name, email=f"{name}@example.org")
    somebody.post(post.link_for(f"{name}@example.org"), csrf="")
    return somebody


def test_an_address_is_confirmed_by_the_link_in_the_mail(server: Gateway, post: Postbox) -> None:
    somebody = Visitor(server)
    somebody.sign_up("ada", email="ada@example.org")
    assert "Not confirmed yet" in somebody.get("/me/account").text
    link = post.link_for("ada@example.org")
    anywhere = Visitor(server)
    assert anywhere.get(link).status == 200
    assert "is confirmed" in anywhere.post(link).text
    assert "Confirmed." in somebody.get("/me/account").text
    assert anywhere.post(link).status == 404
    assert not anywhere.signed_in


def test_a_confirmation_does_not_sign_in_and_a_sign_in_does_not_confirm(server: Gateway, post: Postbox) -> None:
    somebody = Visitor(server)
    somebody.sign_up("bob", email="bob@example.org")
    token = post.link_for("bob@example.org").rpartition("/")[2]
    assert Visitor(server).post(f"/login/{token}").status == 401
    assert Visitor(server).get(f"/login/{token}").status == 404


def test_a_link_for_an_address_that_was_replaced_confirms_nothing(server: Gateway, post: Postbox) -> None:
    somebody = Visitor(server)
    somebody.sign_up("cleo", email="cleo@example.org")
    link = post.link_for("cleo@example.org")
    assert somebody.post("/me/account/email", {"email": "cleo2@example.org"}).status == 303
    assert Visitor(server).post(link).status == 404
    assert "Not confirmed yet" in somebody.get("/me/account").text
    assert Visitor(server).post(post.link_for("cleo2@example.org")).status == 200


def test_a_confirmed_address_goes_to_its_owner_and_not_to_who_only_claimed_it(server: Gateway, post: Postbox) -> None:
    squatter, owner = Visitor(server), Visitor(server)
    squatter.sign_up("squatter", email="owner@example.org")
    owner.sign_up("owner", email="owner@example.org")
    owner.post(post.link_for("owner@example.org", 2), csrf="")
    assert server.admin("user", "show", "squatter")["email"] is None
    assert server.admin("user", "show", "owner")["email"] == "owner@example.org"


def test_a_forgotten_password_is_set_anew_by_mail_and_other_browsers_are_signed_out(
    server: Gateway, post: Postbox
) -> None:
    before = member(server, post, "dora")
    somebody = Visitor(server)
    assert "on its way" in somebody.post("/reset", {"name": "dora"}).text
    used = somebody.post(post.link_for("dora@example.org", 2))
    assert used.headers["location"] == "/welcome"
    assert somebody.post("/welcome", {"password": "nine other brave words"}).status == 303
    assert not before.signed_in
    assert Visitor(server).sign_in("dora").status == 401
    assert Visitor(server).sign_in("dora@example.org", "nine other brave words").status == 303


def test_who_forgot_the_password_on_the_way_to_an_app_comes_to_it(server: Gateway, post: Postbox) -> None:
    member(server, post, "hana")
    to = "/authorize?redirect_url=https%3A%2F%2Fapp.example%2F&state=s%26t"
    somebody, elsewhere = Visitor(server), Visitor(server)
    door = somebody.get(f"/login?next={quote(to)}").text
    form = somebody.get(unescape(re.findall(r'href="(/reset[^"]*)"', door)[0])).text
    (kept,) = re.findall(r'name="next" value="([^"]*)"', form)
    fault = somebody.post("/reset", {"name": "", "next": unescape(kept)})
    assert (fault.status, f'value="{kept}"' in fault.text) == (400, True)
    somebody.post("/reset", {"name": "hana", "next": unescape(kept)})
    letter = post.link_for("hana@example.org", 2)
    assert "authorize" not in letter
    page = somebody.get(somebody.post(letter).headers["location"]).text
    (kept,) = re.findall(r'name="next" value="([^"]*)"', page)
    weak = somebody.post("/welcome", {"password": "hana", "next": unescape(kept)})
    assert (weak.status, f'value="{kept}"' in weak.text) == (400, True)
    done = somebody.post("/welcome", {"password": "nine other brave words", "next": unescape(kept)})
    assert done.headers["location"] == to
    # In another browser nothing of it is known: whoever asks for a link does not choose where its owner is led.
    elsewhere.post("/reset", {"name": "hana", "next": to})
    assert Visitor(server).post(post.link_for("hana@example.org", 3)).headers["location"] == "/welcome"


def test_no_mail_goes_to_an_address_that_was_not_confirmed(server: Gateway, post: Postbox) -> None:
    Visitor(server).sign_up("erin", email="erin@example.org")
    post.link_for("erin@example.org")
    told = Visitor(server).post("/reset", {"name": "erin@example.org"})
    assert "on its way" in told.text
    member(server, post, "fay")
    Visitor(server).post("/reset", {"name": "fay"})
    post.link_for("fay@example.org", 2)  # by now a letter to Erin would have come
    assert len([letter for letter in post.letters if letter["To"] == "erin@example.org"]) == 1


def test_mail_is_not_for_flooding(server: Gateway, post: Postbox) -> None:
    statuses = [Visitor(server).post("/reset", {"name": "gil@example.org"}).status for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    one = Visitor(server)
    statuses = [one.post("/reset", {"name": f"n{number}"}).status for number in range(11)]
    assert statuses[-1] == 429


def test_letters_are_plain_and_say_what_to_do(server: Gateway, post: Postbox) -> None:
    member(server, post, "hal")
    letter = next(letter for letter in post.letters if letter["To"] == "hal@example.org")
    assert letter["From"] == "Pollen <p@example.org>"
    assert letter.get_content_type() == "text/plain"
    assert f"{server.url}/verify/" in letter.get_content()
    assert "do nothing" in letter.get_content()


def test_a_line_break_in_an_address_writes_no_header(server: Gateway, post: Postbox) -> None:
    made = Visitor(server).sign_up("ida", email="ida@example.org\r\nBcc: all@example.org")
    assert made.status == 400


def test_without_mail_the_page_says_whom_to_ask(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("nomail")
    config = folder / "openpollen.toml"
    config.write_text(SETTINGS)
    with Gateway(folder / "data", config) as running:
        assert "polli admin login-link" in Visitor(running).get("/reset").text
        # The same server takes no newcomers without an invitation.
        somebody = Visitor(running)
        assert "Type the code of your invitation" in somebody.sign_up("jo").text
        assert "unknown, used up or over" in somebody.sign_up("jo", invite="x" * 20).text
        code = running.admin("invite", "--note", "for Jo")
        assert code["code"] in somebody.get(code["url"]).text
        assert somebody.sign_up("jo", invite=code["code"]).status == 303
        assert "used up" in Visitor(running).sign_up("kim", invite=code["code"]).text
        trail = running.admin("audit", "--user", "jo")["data"]
        assert [row["action"] for row in trail if row["action"].startswith("invite")] == ["invite.use"]


def test_a_closed_server_takes_nobody(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("closed")
    config = folder / "openpollen.toml"
    config.write_text(SETTINGS + '[signin]\nsignup = "closed"\n')
    with Gateway(folder / "data", config) as running:
        somebody = Visitor(running)
        code = running.admin("invite")["code"]
        assert "takes no new accounts" in somebody.get("/signup").text
        assert somebody.sign_up("lea", invite=code).status == 403
        assert "Make an account" not in somebody.get("/login").text


# Over TLS from the start the mail server does not know that it is on, and warns of logins in clear.
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_mail_is_encrypted_and_logged_in(tmp_path: Path, tls: Literal["starttls", "tls"]) -> None:
    with postbox(tls, tmp_path) as post, mailing(tmp_path, post, tls, str(post.certificate)) as server:
        Visitor(server).sign_up("ada", email="ada@example.org")
        assert post.link_for("ada@example.org").startswith("/")
        assert post.sent == [(True, True)]


def test_no_letter_goes_to_a_server_that_nobody_vouches_for(tmp_path: Path) -> None:
    with postbox("starttls", tmp_path) as post, mailing(tmp_path, post, "starttls", "") as server:
        somebody = Visitor(server)
        somebody.sign_up("ada", email="ada@example.org")
        eventually(lambda: "mail: 127.0.0.1 does not take our mail" in server.output, "the operator's line")
        assert PASSWORD not in server.output
        assert post.letters == []
        assert somebody.signed_in


def mailing(folder: Path, post: Postbox, tls: str, trusted: str) -> Gateway:
    """A server that sends mail there, and trusts a certificate beside the usual ones."""
    config = folder / "openpollen.toml"
    mail = f'[mail]\nhost = "127.0.0.1"\nport = {post.port}\nsender = "Pollen <p@example.org>"\ntls = "{tls}"\n'
    mail += f'user = "{USER}"\npassword = "env:MAIL_PASSWORD"\n'
    config.write_text(SETTINGS + '[signin]\nsignup = "open"\n' + mail)
    env = {"MAIL_PASSWORD": PASSWORD} | ({"SSL_CERT_FILE": trusted} if trusted else {})
    return Gateway(folder / "data", config, env=env)
