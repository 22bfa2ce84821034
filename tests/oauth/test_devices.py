"""Devices: a code on one screen, the decision on another, one key (RFC 8628)."""

from __future__ import annotations

import io
import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import segno
from oauthlib.oauth2 import DeviceClient

from openpollen.core.ids import hash_key
from tests.gateway import Account, Gateway, Reply
from tests.labconfig import ANSWER
from tests.oauth.clock import rewrite
from tests.oauth.people import App, Person, author_of, endpoint, filled

JSON = {"content-type": "application/json"}
GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def begin(server: Gateway, **fields: str) -> dict[str, str]:
    reply = server.request("POST", "/api/device/code", body=json.dumps(fields).encode(), headers=JSON)
    assert (reply.status, reply.headers["cache-control"]) == (200, "no-store")
    return reply.json


def poll(server: Gateway, device_code: str, **more: str) -> Reply:
    return endpoint(server, "/api/device/token", {"device_code": device_code} | more)


def decide(user: Person, code: str, decision: str = "allow", **changes: str) -> Reply:
    page = user.get("/device")
    asked = user.post("/device", filled(page, {"user_code": code}))
    assert asked.status == 200, asked.text
    return user.post("/device", [*filled(asked, changes), ("decision", decision)])


def test_the_device_gets_its_key_when_its_user_agrees(server: Gateway, user: Person) -> None:
    begun = begin(server, client_id="whatever", scope="generate usage")
    assert begun["verification_uri"] == f"{server.url}/device"
    assert begun["verification_uri_complete"].startswith(f"{server.url}/device?user_code=")
    assert (begun["expires_in"], begun["interval"]) == (1800, 5)
    first = poll(server, begun["device_code"])
    assert (first.status, first.json["error"]) == (400, "authorization_pending")
    assert poll(server, begun["device_code"]).json["error"] == "slow_down"
    assert "is connected" in decide(user, begun["user_code"].lower().replace("-", " "), budget="2").text
    made = poll(server, begun["device_code"])
    assert (made.json["token_type"], made.json["scope"]) == ("bearer", "generate usage")
    key = Account(server, "", made.json["access_token"], "")
    assert key.get("/api/account/key").json["pollenBudget"] == 2
    assert key.chat("lab-chat").cost == ANSWER
    assert poll(server, begun["device_code"]).json["error"] == "invalid_grant"


def test_a_refresh_token_is_for_a_client_that_has_a_name(server: Gateway, user: Person) -> None:
    nameless, named = begin(server, scope="offline_access"), begin(server, client_id="tv", scope="offline_access")
    made = []
    for begun in (nameless, named):
        decide(user, begun["user_code"])
        made.append(poll(server, begun["device_code"]).json)
    assert ("refresh_token" in made[0], made[0]["scope"]) == (False, "generate")
    fields = {"grant_type": "refresh_token", "refresh_token": made[1]["refresh_token"], "client_id": "tv"}
    again = endpoint(server, "/api/oauth/token", fields).json
    assert Account(server, "", again["access_token"], "").get("/api/account/key").status == 200


def test_no_is_no(server: Gateway, user: Person) -> None:
    begun = begin(server)
    assert "turned away" in decide(user, begun["user_code"], "deny").text
    assert poll(server, begun["device_code"]).json["error"] == "access_denied"


def test_a_code_is_decided_once(server: Gateway, user: Person) -> None:
    begun = begin(server)
    other = Person.new(server)
    mine = user.post("/device", filled(user.get("/device"), {"user_code": begun["user_code"]}))
    theirs = other.post("/device", filled(other.get("/device"), {"user_code": begun["user_code"]}))
    assert "is connected" in user.post("/device", [*filled(mine, {}), ("decision", "allow")]).text
    late = other.post("/device", [*filled(theirs, {}), ("decision", "allow")])
    assert (late.status, "No device waits" in late.text) == (422, True)
    key = Account(server, "", poll(server, begun["device_code"]).json["access_token"], "")
    assert key.get("/api/device/userinfo").json["sub"] == user.account.id


def test_twenty_polls_at_once_are_one_key(server: Gateway, user: Person) -> None:
    begun = begin(server)
    decide(user, begun["user_code"])
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: poll(server, begun["device_code"]), range(20)))
    assert sorted(reply.status for reply in replies) == [200] + [400] * 19


def test_the_page_names_an_app_only_where_its_author_lets_devices_in(server: Gateway, user: Person, app: App) -> None:
    begun = begin(server, client_id=app.key)
    page = user.post("/device", filled(user.get("/device"), {"user_code": begun["user_code"]}))
    assert "Another device asks" in page.text
    assert begun["user_code"] in page.text
    assert "Garden notes" not in page.text


def test_guesses_are_limited_and_nobody_signed_out_may_guess(server: Gateway) -> None:
    guesser = Person.new(server)
    assert server.request("GET", "/device?user_code=BCDF-GHJK").status == 303
    answers = [
        guesser.post("/device", filled(guesser.get("/device"), {"user_code": f"BCDFGHJ{letter}"}))
        for letter in "BCDFGHJKLMNPQ"
    ]
    assert answers[0].status == 422
    last = answers[-1]
    assert last.status == 429
    assert int(last.headers["retry-after"]) > 0
    assert 'value="BCDFGHJQ"' in last.text
    assert re.search(r'class="fault"[^>]*>Too many tries', last.text)


@pytest.mark.parametrize(
    ("fields", "error"),
    [({}, "invalid_request"), ({"device_code": "x"}, "invalid_grant"), ({"device_code": ""}, "invalid_request")],
)
def test_what_is_no_poll(server: Gateway, fields: dict[str, str], error: str) -> None:
    assert endpoint(server, "/api/device/token", fields).json["error"] == error
    assert endpoint(server, "/api/oauth/token", fields | {"grant_type": GRANT}).json["error"] == error


def test_another_client_cannot_fetch_it(server: Gateway, user: Person) -> None:
    begun = begin(server, client_id="tv")
    decide(user, begun["user_code"])
    assert poll(server, begun["device_code"], client_id="radio").json["error"] == "invalid_client"
    assert poll(server, begun["device_code"], client_id="tv").status == 200


def test_oauthlib_completes_the_device_flow(server: Gateway, user: Person) -> None:
    client = DeviceClient("tv", scope=["generate"])
    form = {"content-type": "application/x-www-form-urlencoded"}
    begun = server.request("POST", "/api/device/code", body=b"client_id=tv&scope=generate", headers=form).json
    decide(user, begun["user_code"])
    body = client.prepare_request_body(begun["device_code"])
    reply = server.request("POST", "/api/oauth/token", body=body.encode(), headers=form)
    token = client.parse_request_body_response(reply.text)
    assert Account(server, "", token["access_token"], "").chat("lab-chat").status == 200


def test_an_expired_code_is_told(server: Gateway, user: Person) -> None:
    begun = begin(server)
    expire(server, begun["device_code"])
    assert poll(server, begun["device_code"]).json["error"] == "expired_token"
    page = user.post("/device", filled(user.get("/device"), {"user_code": begun["user_code"]}))
    assert (page.status, "No device waits" in page.text) == (422, True)


def expire(server: Gateway, device_code: str) -> None:
    aged = "UPDATE device_codes SET expires_at = 1 WHERE hash = ?"
    assert rewrite(server, aged, hash_key(device_code)) == 1


def test_what_was_approved_in_time_is_over_when_it_is_not_fetched_in_time(server: Gateway, user: Person) -> None:
    begun = begin(server)
    decide(user, begun["user_code"])
    expire(server, begun["device_code"])
    assert poll(server, begun["device_code"]).json["error"] == "expired_token"


@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_a_decision_is_final(server: Gateway, user: Person, decision: str) -> None:
    begun = begin(server)
    decide(user, begun["user_code"], decision)
    page = user.post("/device", filled(user.get("/device"), {"user_code": begun["user_code"]}))
    assert (page.status, "No device waits" in page.text) == (422, True)
    first = poll(server, begun["device_code"])
    assert (first.status == 200) is (decision == "allow")
    assert poll(server, begun["device_code"]).json["error"] == (
        "invalid_grant" if first.status == 200 else "access_denied"
    )


def test_an_approval_is_worth_nothing_once_the_account_is_closed(server: Gateway, user: Person) -> None:
    begun = begin(server)
    decide(user, begun["user_code"])
    server.admin("user", "ban", user.account.id)
    assert poll(server, begun["device_code"]).json["error"] == "access_denied"


def test_an_approval_is_worth_nothing_once_the_app_is_revoked(server: Gateway, user: Person) -> None:
    app = named_app(server)
    begun = begin(server, client_id=app["key"])
    assert "Bird feeder" in user.post("/device", filled(user.get("/device"), {"user_code": begun["user_code"]})).text
    decide(user, begun["user_code"])
    server.admin("key", "revoke", app["id"])
    assert poll(server, begun["device_code"], client_id=app["key"]).json["error"] == "invalid_grant"


def test_traffic_of_an_app_on_devices_is_attributed_to_it(server: Gateway, user: Person) -> None:
    app = named_app(server)
    begun = begin(server, client_id=app["key"])
    decide(user, begun["user_code"])
    key = Account(server, "", poll(server, begun["device_code"]).json["access_token"], "")
    assert key.get("/api/account/key").json["byopClientKeyId"] == app["id"]


def named_app(server: Gateway) -> dict[str, str]:
    """An app whose author lets devices show its name."""
    author = author_of(server).account.get("/api/account/profile").json["name"]
    words = ["--user", author, "--name", "Bird feeder", "--url", "https://feeder.example", "--devices"]
    return server.admin("app", "create", *words)


def test_who_asks_too_often_is_slowed_down_by_five_seconds_more_each_time(server: Gateway) -> None:
    begun = begin(server)
    answers = [poll(server, begun["device_code"]).json for _ in range(4)]
    assert [answer["error"] for answer in answers] == ["authorization_pending"] + ["slow_down"] * 3
    assert [answer["error_description"] for answer in answers[1:]] == [f"Ask every {s} seconds." for s in (10, 15, 20)]
    waited = "UPDATE device_codes SET polled_at = polled_at - 20000 WHERE hash = ?"
    assert rewrite(server, waited, hash_key(begun["device_code"])) == 1
    assert poll(server, begun["device_code"]).json["error"] == "authorization_pending"


@pytest.mark.parametrize("body", [b"", b"{}", b"client_id=&scope=", b'{"client_id": null}'])
def test_a_device_need_not_say_who_it_is(server: Gateway, body: bytes) -> None:
    kind = "application/json" if body.startswith(b"{") else "application/x-www-form-urlencoded"
    reply = server.request("POST", "/api/device/code", body=body, headers={"content-type": kind})
    assert reply.status == 200


@pytest.mark.parametrize("body", [b"[]", b"{", b'"x"', b'{"client_id": "\\u0000"}', b'{"client_id": "\\ud800"}'])
def test_what_is_no_request_for_a_code(server: Gateway, body: bytes) -> None:
    reply = server.request("POST", "/api/device/code", body=body, headers=JSON)
    assert (reply.status, reply.json["error"]) == (400, "invalid_request")


def test_the_qr_code_is_a_picture_of_the_complete_address(server: Gateway) -> None:
    begun = begin(server)
    assert begun["verification_uri_qr"] == f"{server.url}/api/device/qr?user_code={begun['user_code']}"
    picture = server.request("GET", begun["verification_uri_qr"].removeprefix(server.url))
    assert (picture.status, picture.headers["content-type"]) == (200, "image/svg+xml")
    drawn = io.BytesIO()
    expected = segno.make(begun["verification_uri_complete"], error="m", micro=False)
    expected.save(drawn, kind="svg", scale=6, light="#fff", dark="#000", xmldecl=False)
    assert picture.body == drawn.getvalue()
