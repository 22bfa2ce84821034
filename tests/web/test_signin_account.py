"""The life of an account: its sessions, its password, what it says of itself, its export, its end."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from argon2 import PasswordHasher

from tests.gateway import Gateway, form
from tests.web.visitor import PASSWORD, SETTINGS, Visitor


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("web")
    config = folder / "openpollen.toml"
    config.write_text(SETTINGS + '[signin]\nsignup = "open"\n[accounts]\nsignup_grant = "2"\n')
    with Gateway(folder / "data", config) as running:
        yield running


def member(server: Gateway, name: str, **fields: str) -> Visitor:
    somebody = Visitor(server)
    assert somebody.sign_up(name, **fields).status == 303
    return somebody


def run_sql(server: Gateway, sql: str) -> list[Any]:
    """Looks into, or changes, the database beside the server."""
    if server.database_url:
        with psycopg.connect(server.database_url) as connected:
            cursor = connected.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []
    connection = sqlite3.connect(server.data / "openpollen.db", timeout=10)
    try:
        with connection:
            return connection.execute(sql).fetchall()
    finally:
        connection.close()


def age_sessions(server: Gateway, name: str) -> None:
    """Lets eleven minutes pass for the sessions of an account."""
    user = server.admin("user", "show", name)["id"]
    run_sql(server, f"UPDATE sessions SET created_at = created_at - 660000 WHERE user_id = '{user}'")


def test_the_page_lists_browsers_and_signs_one_or_all_others_out(server: Gateway) -> None:
    here = member(server, "roamer")
    phone = Visitor(server, "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0) AppleWebKit Version/19 Safari/604.1")
    edge = Visitor(server, "Mozilla/5.0 (Windows NT 10.0) AppleWebKit Chrome/140.0 Safari/537.36 Edg/140.0")
    for other in (phone, edge):
        assert other.sign_in("roamer").status == 303
    page = here.get("/me/account").text
    for name in ("Firefox on Linux", "Safari on iPhone", "Edge on Windows"):
        assert name in page
    row = page.partition("<strong>Safari on iPhone")[2]
    assert (
        here.post("/me/account/sessions/end", {"id": row.partition('name="id" value="')[2].partition('"')[0]}).status
        == 303
    )
    assert (here.signed_in, phone.signed_in, edge.signed_in) == (True, False, True)
    here.post("/me/account/sessions/end")
    assert (here.signed_in, edge.signed_in) == (True, False)


def test_nobody_ends_the_sessions_of_others(server: Gateway) -> None:
    here, other = member(server, "roamer2"), member(server, "roamer3")
    user = server.admin("user", "show", "roamer2")["id"]
    ((session,),) = run_sql(server, f"SELECT hash FROM sessions WHERE user_id = '{user}'")
    other.post("/me/account/sessions/end", {"id": session})
    assert here.signed_in


def test_a_new_password_needs_the_old_one_and_signs_other_browsers_out(server: Gateway) -> None:
    here, other = member(server, "changer"), Visitor(server)
    other.sign_in("changer")
    new = "nine other brave words"
    wrong = here.post("/me/account/password", {"current_password": "not it at all", "new_password": new})
    assert wrong.status == 400
    assert "This is not your password" in wrong.text
    weak = here.post("/me/account/password", {"current_password": PASSWORD, "new_password": "short"})
    assert "at least 10 characters" in weak.text
    before = here.cookies["openpollen"]
    assert here.post("/me/account/password", {"current_password": PASSWORD, "new_password": new}).status == 303
    assert here.cookies["openpollen"] != before
    assert (here.signed_in, other.signed_in) == (True, False)
    assert (Visitor(server).sign_in("changer").status, Visitor(server).sign_in("changer", new).status) == (401, 303)


def test_a_hash_made_with_older_parameters_is_made_anew_at_the_next_sign_in(server: Gateway) -> None:
    member(server, "veteran")
    user = server.admin("user", "show", "veteran")["id"]
    old = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    run_sql(server, f"UPDATE passwords SET hash = '{old}' WHERE user_id = '{user}'")
    assert Visitor(server).sign_in("veteran", "a wrong guess").status == 401
    assert run_sql(server, f"SELECT hash FROM passwords WHERE user_id = '{user}'") == [(old,)]
    assert Visitor(server).sign_in("veteran").status == 303
    ((new,),) = run_sql(server, f"SELECT hash FROM passwords WHERE user_id = '{user}'")
    assert new.startswith("$argon2id$v=19$m=47104,t=2,p=1$")
    assert Visitor(server).sign_in("veteran").status == 303


def test_the_old_password_cannot_be_guessed_on_the_page_either(server: Gateway) -> None:
    here = member(server, "held")
    fields = {"new_password": "nine other brave words"}
    statuses = [
        here.post("/me/account/password", {**fields, "current_password": f"wrong {n}"}).status for n in range(11)
    ]
    assert statuses[:10] == [400] * 10
    assert "Too many tries" in here.post("/me/account/password", {**fields, "current_password": PASSWORD}).text


@pytest.mark.parametrize("path", ["email", "delete", "passkeys/remove", "unlink", "link/lab"])
def test_a_borrowed_browser_cannot_change_who_gets_in(server: Gateway, path: str) -> None:
    name = f"borrowed-{path.replace('/', '-')}"
    here = member(server, name)
    age_sessions(server, name)
    asked = here.post(f"/me/account/{path}", {"email": "thief@example.org", "confirm": name})
    assert asked.headers["location"] == "/login?again=1&next=/me/account"
    assert server.admin("user", "show", name)["email"] is None
    assert here.get("/login?again=1&next=/me/account").status == 200
    assert here.sign_in(name, next="/me/account").headers["location"] == "/me/account"
    assert here.post("/me/account/email", {"email": "mine@example.org"}).headers["location"] == "/me/account#profile"


def test_a_wrong_address_or_zone_is_told_beside_the_field(server: Gateway) -> None:
    here = member(server, "speller")
    wrong = here.post("/me/account/email", {"email": "spell er@example.org"})
    assert wrong.status == 400
    assert "is not an email address" in wrong.text
    assert 'value="spell er@example.org"' in wrong.text
    assert here.post("/me/account/time-zone", {"time_zone": "Mars/Olympus"}).status == 400
    assert here.post("/me/account/time-zone", {"time_zone": "Europe/Berlin"}).status == 303
    assert '<option value="Europe/Berlin" selected>' in here.get("/me/account").text


def test_the_page_is_small_and_says_what_it_should(server: Gateway) -> None:
    page = member(server, "reader").get("/me/account")
    assert len(page.body) < 100_000
    assert "2 pollen are lost" in page.text


def test_the_export_has_everything_and_no_secret(server: Gateway) -> None:
    here = member(server, "exporter", email="exporter@example.org")
    user = server.admin("user", "show", "exporter")["id"]
    made = server.key(user, "exporter")
    body, kind = form({}, [("file", "mine.txt", b"my own words, exported")])
    file = made.request("POST", "/upload", body=body, headers={"content-type": kind}).json
    answer = here.get("/me/export")
    assert answer.headers["content-disposition"] == 'attachment; filename="openpollen-account.json"'
    told = answer.json
    (account,) = told["account"]
    assert (account["name"], account["email"]) == ("exporter", "exporter@example.org")
    assert [key["name"] for key in told["keys"]] == ["key of exporter"]
    assert [row["id"] for row in told["files"]] == [file["id"]]
    assert sum(row["balance"] for row in told["balances"] if row["kind"] == "wallet") == 2_000_000_000
    assert {"user.create", "password.set", "session.start"} <= {row["action"] for row in told["audit"]}
    assert len(told["transfers"]) == 1
    for secret in (made.key, here.cookies["openpollen"], "argon2", '"hash"'):
        assert secret not in answer.text


def test_deleting_an_account_removes_everything_but_nameless_money(server: Gateway) -> None:
    here = member(server, "Wilhelmina", email="wil@example.org")
    user = server.admin("user", "show", "Wilhelmina")["id"]
    made = server.key(user, "Wilhelmina")
    body, kind = form({}, [("file", "mine.txt", f"words of {time.time()}".encode())])
    file = made.request("POST", "/upload", body=body, headers={"content-type": kind}).json
    assert here.post("/me/account/delete", {"confirm": "wilhelmina"}).status == 400
    assert here.signed_in
    gone = here.post("/me/account/delete", {"confirm": "Wilhelmina"})
    assert gone.headers["location"] == "/login"
    assert "openpollen" not in here.cookies
    assert Visitor(server).sign_in("Wilhelmina").status == 401
    assert made.get("/api/account/key").status == 401
    assert server.request("GET", f"/{file['id']}").status == 404
    for table in ("users", "api_keys", "sessions", "passwords", "passkeys", "identities", "login_links", "media_refs"):
        column = "id" if table == "users" else "user_id"
        assert run_sql(server, f"SELECT 1 FROM {table} WHERE {column} = '{user}'") == []
    told = [row for (row,) in run_sql(server, f"SELECT details FROM audit WHERE subject = '{user}'")]
    assert set(told) == {"{}"}
    assert run_sql(server, f"SELECT count(*) FROM transfers WHERE credit = '{user}/pack'") == [(1,)]
    assert server.verify()["ok"]
    assert Visitor(server).sign_up("Wilhelmina", email="wil@example.org").status == 303


def test_the_last_admin_cannot_be_deleted(server: Gateway) -> None:
    admin = Visitor(server)
    admin.post(server.admin("login-link", "admin")["url"], csrf="")
    kept = admin.post("/me/account/delete", {"confirm": "admin"})
    assert kept.status == 409
    assert "last admin" in kept.text
    assert admin.signed_in
