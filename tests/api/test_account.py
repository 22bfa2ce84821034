"""The account API: who one is, what is left, what was used, and keys that make keys."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from tests.gateway import NANO, Account, Gateway, nano
from tests.labconfig import ANSWER


@pytest.fixture
def owner(gateway: Gateway) -> Account:
    """An account whose key may manage keys."""
    return gateway.account(permissions="profile,balance,usage,keys")


def child(owner: Account, **body: Any) -> tuple[Account, dict[str, Any]]:
    reply = owner.post("/api/account/keys", {"name": "child", **body})
    assert reply.status == 200, reply.text
    made = reply.json
    return Account(owner.gateway, owner.id, made["key"], made["id"]), made


def test_a_key_tells_the_end_of_the_key_above_it(gateway: Gateway) -> None:
    owner = gateway.account(permissions="keys", expires_in="7200")
    for wanted, seconds in (({}, 7200), ({"expiresIn": 60}, 60), ({"expiresIn": 9000}, 7200)):
        key, told = child(owner, **wanted)
        listed = next(one for one in owner.get("/api/account/keys").json["data"] if one["id"] == key.key_id)
        assert told["expiresAt"] == listed["expiresAt"] == key.get("/api/account/key").json["expiresAt"]
        assert seconds - 30 < told["expiresIn"] <= seconds


@pytest.mark.parametrize("base", ["/api/account", "/account"])
def test_the_profile(owner: Account, base: str) -> None:
    profile = owner.get(f"{base}/profile").json
    assert list(profile) == ["name", "email", "githubUsername", "image", "tier", "createdAt", "nextResetAt"]
    assert (profile["tier"], profile["createdAt"][-1]) == ("microbe", "Z")


def test_the_balance_is_the_sum_of_the_buckets(gateway: Gateway) -> None:
    owner = gateway.account(tier="0.1", crypto="0.2", pack="0.3")
    assert nano(owner.get("/api/account/balance").json["balance"]) == 600_000_000


def test_the_balance_of_a_key_with_a_budget_is_its_budget(gateway: Gateway) -> None:
    assert nano(gateway.account(budget="0.25").get("/api/account/balance").json["balance"]) == NANO // 4


@pytest.mark.parametrize("path", ["profile", "balance", "usage", "usage/daily", "keys"])
def test_a_permission_that_is_missing_is_403_and_named(gateway: Gateway, path: str) -> None:
    owner = gateway.account()
    bare = gateway.key(owner.id, owner.get("/api/account/profile").json["name"], permissions="")
    error = bare.get(f"/api/account/{path}").error
    assert (error["code"], error["reason"]) == ("FORBIDDEN", "scope")
    assert f"account:{path.split('/')[0]}" in error["message"]


def test_usage_as_json_and_csv(owner: Account) -> None:
    for _ in range(3):
        owner.chat("lab-chat")
    rows = owner.rows(3)
    answer = owner.get("/api/account/usage?format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment")
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert [nano(line["cost_usd"]) for line in table] == [ANSWER] * 3
    assert list(table[0])[:6] == ["timestamp", "type", "model", "api_key", "api_key_type", "meter_source"]
    assert [line["model"] for line in table] == [row["model"] for row in rows]


def test_the_cursor_of_usage_skips_and_repeats_nothing(owner: Account) -> None:
    for _ in range(5):
        owner.chat("lab-chat")
    every = [row["request_id"] for row in owner.rows(5)]
    seen: list[str] = []
    target = "/api/account/usage?limit=2"
    while True:
        page = owner.get(target).json
        seen += [row["request_id"] for row in page["usage"]]
        if page["next"] is None:
            break
        target = f"/api/account/usage?limit=2&before={page['next']}"
    assert seen == every
    for past in ("2020-01-01T00:00:00Z", "0_9999999999999999999", f"1577836800000_{2**63}"):
        assert owner.get(f"/api/account/usage?before={past}").json["usage"] == []
    future = owner.get("/api/account/usage?before=999999999999999_9999999999999999999").json["usage"]
    assert [row["request_id"] for row in future] == every


def test_usage_by_day(owner: Account) -> None:
    owner.chat("lab-chat")
    owner.chat("lab-zero")
    owner.rows(2)
    days = owner.get("/api/account/usage/daily").json["usage"]
    assert {(day["model"], day["requests"], nano(day["cost_usd"])) for day in days} == {
        ("lab-chat", 1, ANSWER),
        ("lab-zero", 1, 0),
    }
    table = list(csv.DictReader(io.StringIO(owner.get("/api/account/usage/daily?format=csv").text)))
    assert list(table[0]) == ["date", "model", "meter_source", "requests", "cost_usd"]


def test_fields_stand_in_the_contracts_order(owner: Account) -> None:
    key, made = child(owner, pollenBudget=0.25)
    key.chat("lab-chat")
    rows = [name for name in owner.rows(1)[0] if name != "api_key_id"]
    assert rows[:16] == [
        "timestamp", "type", "model", "api_key", "api_key_type", "meter_source", "input_text_tokens",
        "input_cached_tokens", "input_audio_tokens", "input_image_tokens", "output_text_tokens",
        "output_reasoning_tokens", "output_audio_tokens", "output_image_tokens", "cost_usd", "response_time_ms",
    ]  # fmt: skip
    assert list(owner.get("/api/account/usage").json)[:2] == ["usage", "count"]
    day = owner.get("/api/account/usage/daily").json
    assert (list(day), list(day["usage"][0])) == (
        ["usage", "count"],
        ["date", "model", "meter_source", "requests", "cost_usd"],
    )
    assert list(key.get("/api/account/key").json)[:8] == [
        "valid", "type", "name", "expiresAt", "expiresIn", "permissions", "pollenBudget", "rateLimitEnabled",
    ]  # fmt: skip
    assert list(made)[:10] == [
        "id", "key", "name", "type", "prefix", "start", "expiresAt", "expiresIn", "permissions", "pollenBudget",
    ]  # fmt: skip
    listed = owner.get("/api/account/keys").json["data"][0]
    assert list(listed)[:11] == [
        "id", "name", "start", "prefix", "createdAt", "expiresAt", "lastRequest", "permissions", "metadata",
        "pollenBalance", "enabled",
    ]  # fmt: skip
    assert list(owner.get("/api/account/balance").json) == ["balance", "accountBalance"]
    assert list(owner.get("/api/account/balance").json["accountBalance"]) == ["total", "tier", "pack", "crypto"]


def test_a_keys_own_usage_needs_no_permission_and_shows_no_other_key(gateway: Gateway) -> None:
    owner = gateway.account()
    bare = gateway.key(owner.id, owner.get("/api/account/profile").json["name"], permissions="")
    owner.chat("lab-chat")
    bare.chat("lab-zero")
    owner.rows(2)
    mine = bare.get("/api/account/key/usage").json
    assert [(row["model"], row["api_key_id"]) for row in mine["usage"]] == [("lab-zero", bare.key_id)]
    assert bare.get("/api/account/usage").status == 403
    table = bare.get("/api/account/key/usage?format=csv").text.split("\n")
    assert len(table) == 2


def test_the_cursor_of_a_table_stands_in_a_header(owner: Account) -> None:
    for _ in range(3):
        owner.chat("lab-zero")
    owner.rows(3)
    first = owner.get("/api/account/usage?format=csv&limit=1")
    second = owner.get(f"/api/account/usage?format=csv&limit=2&before={first.headers['x-next-cursor']}")
    assert "x-next-cursor" not in second.headers
    assert len(first.text.split("\n")) == 2
    assert len(second.text.split("\n")) == 3


def test_a_name_like_a_formula_runs_nowhere(owner: Account) -> None:
    key, _ = child(owner, name='=HYPERLINK("http://evil.example")')
    key.chat("lab-zero")
    owner.rows(1)
    table = list(csv.DictReader(io.StringIO(owner.get("/api/account/usage?format=csv").text)))
    assert table[0]["api_key"].startswith("'=HYPERLINK")


@pytest.mark.parametrize("budget", ["NaN", "Infinity", "-1", "-0.000000001", "1e30", "1e400", '"NaN"', "true", "1e-10"])
def test_a_budget_that_is_no_amount_is_400_and_says_so(owner: Account, budget: str) -> None:
    body = b'{"name": "k", "pollenBudget": ' + budget.encode() + b"}"
    reply = owner.request("POST", "/api/account/keys", body=body, headers={"Content-Type": "application/json"})
    assert reply.error["code"] == "BAD_REQUEST"
    assert ("pollenBudget" in reply.error["message"]) == (budget not in ("NaN", "Infinity"))  # which are no JSON
    assert [key["id"] for key in owner.get("/api/account/keys").json["data"]] == [owner.key_id]


def test_a_budget_of_nothing_pays_nothing_and_a_small_one_to_the_nano(owner: Account) -> None:
    none, made = child(owner, pollenBudget=0)
    assert made["pollenBudget"] == 0
    assert none.chat("lab-zero").status == 200
    error = none.chat("lab-chat").error
    assert (error["code"], error["reason"], error["details"]["available"]) == ("PAYMENT_REQUIRED", "key_budget", "0")
    small, _ = child(owner, pollenBudget=0.000400001)
    for charges in (1, 2):
        assert small.chat("lab-chat", max_tokens=10).status == 200
        owner.rows(charges + 1)
        assert nano(small.get("/api/account/key").json["pollenBudget"]) == 400_001 - charges * ANSWER


def test_a_budget_may_start_anew_each_day(owner: Account) -> None:
    key, made = child(owner, pollenBudget=0.5, budgetPeriod="day")
    assert made["pollenBudget"] == 0.5
    assert key.get("/api/account/key").json["budgetPeriod"] == "day"
    error = owner.post("/api/account/keys", {"name": "k", "budgetPeriod": "day"}).error
    assert "budget" in error["message"]


def test_unknown_models_are_told_with_the_nearest(owner: Account) -> None:
    error = owner.post("/api/account/keys", {"name": "k", "allowedModels": ["flx"]}).error
    assert "flux" in error["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"appUrl": "javascript:alert(1)"},
        {"appUrl": "data:text/html,x"},
        {"appUrl": "https://user:pw@a.example"},
        {"redirectUris": ["https://a.example/cb#x"]},
        {"redirectUris": ["https://a.example\\@evil.example"]},
        {"origins": ["https://a.example/path"]},
        {"origins": ["a.example"]},
    ],
)
def test_an_address_that_is_none_makes_no_app(owner: Account, fields: dict[str, Any]) -> None:
    error = owner.post("/api/account/keys", {"name": "k", "type": "publishable", **fields}).error
    assert (error["code"], next(iter(fields)) in error["message"]) == ("BAD_REQUEST", True)


def test_an_app_key_spends_nothing_unless_it_is_given_something(owner: Account) -> None:
    app, made = child(owner, type="publishable", appUrl="https://app.example")
    assert (made["pollenBudget"], app.get("/api/account/key").json["rateLimitEnabled"]) == (0, False)
    assert app.chat("lab-chat").error["reason"] == "key_budget"
    rich, _ = child(owner, type="publishable", redirectUris=["https://app.example/back"], pollenBudget=0.01)
    assert rich.chat("lab-chat").status == 200


def test_an_app_says_what_its_author_takes_and_that_devices_may_name_it(owner: Account) -> None:
    fields = {"type": "publishable", "appUrl": "https://app.example"}
    _, made = child(owner, markup=12.5, devices=True, **fields)
    assert (made["metadata"]["markup"], made["metadata"]["devices"]) == (12.5, True)
    for wrong in (50.1, -1, 0.01, 1e30):
        reply = owner.post("/api/account/keys", {"name": "k", "markup": wrong, **fields})
        assert (reply.status, "markup" in reply.error["message"].lower()) == (400, True)
    for extra in ({"markup": 5}, {"devices": True}, {"markup": 5, "type": "publishable"}):
        reply = owner.post("/api/account/keys", {"name": "k", **extra})
        assert (reply.status, "app keys" in reply.error["message"]) == (400, True)


def test_a_publishable_key_works_on_its_own_pages_only(owner: Account) -> None:
    page, _ = child(owner, type="publishable", origins=["https://app.example"])
    for origin, status in (("https://app.example", 200), ("https://evil.example", 403), ("null", 403)):
        assert page.chat("lab-zero", headers={"Origin": origin}).status == status
    assert page.get("/api/account/key", headers={"Origin": "https://evil.example"}).error["reason"] == "origin"


def test_what_is_done_with_keys_leaves_a_trail(owner: Account, gateway: Gateway) -> None:
    _, made = child(owner, pollenBudget=0.25)
    owner.request("DELETE", f"/api/account/keys/{made['id']}")
    rows = gateway.admin("audit", "--user", owner.id)["data"][:2]
    assert [(row["action"], row["actor"], row["details"]["by_key"]) for row in rows] == [
        ("key.revoke", owner.id, owner.key_id),
        ("key.create", owner.id, owner.key_id),
    ]
    assert made["key"] not in str(rows)


@pytest.mark.parametrize(
    "query",
    [
        *("days=0", "days=91", "limit=0", "limit=50001", "limit=x", "format=xml", "before=yesterday"),
        *(f"{name}={odd}" for name in ("days", "limit") for odd in ("9" * 19, "1_0", "%D9%A5", "", "%2B5", "5%20")),
        *("before=%D9%A5_%D9%A5", f"before={'9' * 16}_1"),
    ],
)
def test_a_wrong_query_is_400(owner: Account, query: str) -> None:
    assert owner.get(f"/api/account/usage?{query}").error["code"] == "BAD_REQUEST"


def test_the_calling_key_describes_itself(gateway: Gateway) -> None:
    made = gateway.account(models="flux", budget="0.5", expires_in="3600", permissions="usage")
    info = made.get("/api/account/key").json
    assert (info["valid"], info["type"], info["rateLimitEnabled"]) == (True, "secret", False)
    assert info["permissions"] == {"models": ["flux"], "account": ["usage"]}
    assert nano(info["pollenBudget"]) == NANO // 2
    assert 3500 < info["expiresIn"] <= 3600
    assert gateway.request("GET", "/api/account/key").status == 401


def test_a_key_is_made_shown_once_used_and_revoked(owner: Account) -> None:
    key, made = child(owner, expiresIn=3600, allowedModels=["lab-alias"], pollenBudget=0.25)
    assert list(made)[:6] == ["id", "key", "name", "type", "prefix", "start"]
    assert {"expiresAt", "permissions", "pollenBudget"} <= made.keys()
    assert (made["type"], made["prefix"], made["name"]) == ("secret", "sk_", "child")
    assert made["permissions"]["models"] == ["lab-chat"]
    assert key.chat("lab-chat").status == 200
    assert key.chat("openai").status == 403
    listed = owner.get("/api/account/keys").json["data"]
    (entry,) = [entry for entry in listed if entry["id"] == made["id"]]
    assert made["key"] not in str(listed)
    assert entry["start"] == made["key"][: len(entry["start"])]
    assert owner.request("DELETE", f"/api/account/keys/{made['id']}").json == {"success": True}
    assert key.chat("lab-chat").status == 401
    assert owner.request("DELETE", f"/api/account/keys/{made['id']}").status == 404


def test_the_permission_to_manage_keys_is_never_handed_on(owner: Account) -> None:
    key, made = child(owner, accountPermissions=["usage", "keys"])
    assert made["permissions"]["account"] == ["usage"]
    assert key.get("/api/account/keys").status == 403


def test_a_child_tells_what_its_ancestors_leave_it(gateway: Gateway) -> None:
    parent = gateway.account(budget="0.25", permissions="balance,keys")
    for budget, left in ((0.1, NANO // 10), (5, NANO // 4), (None, NANO // 4)):
        key, _ = child(parent, pollenBudget=budget, accountPermissions=["balance"])
        assert nano(key.get("/api/account/balance").json["balance"]) == left
        assert nano(key.get("/api/account/key").json["pollenBudget"]) == left


def test_a_child_gets_no_more_than_its_parent(gateway: Gateway) -> None:
    parent = gateway.account(permissions="keys,usage", models="lab-chat,flux", budget="0.0003")
    for body in ({"allowedModels": ["claude"]}, {"pollenBudget": 5}, {"accountPermissions": ["profile"]}):
        reply = parent.post("/api/account/keys", {"name": "more", **body})
        if reply.status == 200:  # narrowed, then it must not work
            key = Account(gateway, parent.id, reply.json["key"], reply.json["id"])
            assert key.get("/api/account/profile").status == 403
            assert key.chat("claude").status == 403
            assert (reply.json["pollenBudget"] or 0) <= 5
        else:
            assert reply.status in (400, 403)
    key, _ = child(parent)
    assert key.chat("openai").status == 403
    while key.chat("lab-chat", max_tokens=10).status == 200:
        pass
    assert key.chat("lab-chat", max_tokens=10).error["reason"] == "key_budget"
    assert nano(parent.get("/api/account/key").json["pollenBudget"]) < ANSWER + 120_000


def test_a_key_cannot_delete_itself(owner: Account) -> None:
    reply = owner.request("DELETE", f"/api/account/keys/{owner.key_id}")
    assert reply.status in (400, 403)
    assert owner.get("/api/account/profile").status == 200


def test_one_account_never_sees_anothers_keys(owner: Account, gateway: Gateway) -> None:
    other = gateway.account(permissions="keys")
    assert other.request("DELETE", f"/api/account/keys/{owner.key_id}").status == 404
    assert owner.key_id not in str(other.get("/api/account/keys").json)


def test_a_publishable_key_generates_and_manages_nothing(owner: Account) -> None:
    page, made = child(owner, type="publishable", accountPermissions=["usage", "keys"])
    assert made["key"].startswith("pk_")
    assert made["permissions"] is None or "account" not in made["permissions"]
    assert page.chat("lab-chat").status == 200
    assert page.get("/api/account/key").json["rateLimitEnabled"] is True
    for reply in (page.get("/api/account/keys"), page.post("/api/account/keys", {"name": "k"})):
        assert (reply.status, reply.error["code"]) == (403, "FORBIDDEN")
    listed = owner.get("/api/account/keys").json["data"]
    assert [entry["metadata"]["plaintextKey"] for entry in listed if entry["id"] == made["id"]] == [made["key"]]


def test_a_publishable_key_is_limited_and_told_when_to_come_again(owner: Account) -> None:
    page, _ = child(owner, type="publishable")
    replies = [page.get("/image/a?model=lab-image&seed=-1") for _ in range(6)]
    limited = [reply for reply in replies if reply.status == 429]
    assert replies[0].status == 200
    assert limited
    assert limited[0].error["code"] == "RATE_LIMITED"
    assert int(limited[0].headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": 5, "type": "secret", "expiresIn": 0},
        {"name": "k", "type": "public"},
        {"name": "k", "expiresIn": 31_536_001},
        {"name": "k", "expiresIn": "soon"},
        {"name": "k", "pollenBudget": -1},
        {"name": "k", "pollenBudget": "much"},
        {"name": "k", "allowedModels": ["no-such-model"]},
        {"name": "k", "allowedModels": "flux"},
        {"name": "x" * 1000},
    ],
)
def test_a_key_that_cannot_be_is_400(owner: Account, body: Any) -> None:
    assert owner.post("/api/account/keys", body).error["code"] == "BAD_REQUEST"


def test_answers_of_the_account_are_never_stored(owner: Account) -> None:
    for path in ("profile", "balance", "usage", "usage/daily", "key", "keys"):
        assert "no-store" in owner.get(f"/api/account/{path}").headers["cache-control"]
