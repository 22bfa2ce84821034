"""Who may spend what: refusals before any work, budgets, paid models, caps, and estimates that hold."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest

from tests.fakeprovider import FakeProvider
from tests.gateway import NANO, Account, Gateway, eventually, nano
from tests.labconfig import ANSWER, CHARACTER, IMAGE, INPUT, OUTPUT

CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("chat/completions", "/v1/chat/completions", {"model": "lab-chat", "messages": [{"role": "user", "content": "a"}]}),
    ("images/generations", "/v1/images/generations", {"model": "lab-image", "prompt": "a", "size": "64x64"}),
    ("audio/speech", "/v1/audio/speech", {"model": "lab-speech", "input": "Hello"}),
]


@pytest.mark.parametrize(("path", "body"), [(path, body) for _, path, body in CALLS])
def test_no_money_is_402_before_any_call(gateway: Gateway, fake: FakeProvider, path: str, body: Any) -> None:
    poor = gateway.account(pack="0")
    error = poor.post(path, body).error
    assert error["code"] == "PAYMENT_REQUIRED"
    assert error["reason"] == "wallet"
    assert nano(error["details"]["required"]) > 0
    assert error["details"]["available"] == "0"
    assert fake.requests == []
    assert poor.rows(0) == []


def test_a_price_of_zero_needs_no_money(gateway: Gateway, fake: FakeProvider) -> None:
    poor = gateway.account(pack="0")
    for model in ("lab-zero", "lab-zero-paid"):
        reply = poor.chat(model)
        assert (reply.status, reply.cost) == (200, 0)
    assert poor.get("/image/cat?model=scene&width=64&height=64").status == 200
    assert len(fake.requests) == 2
    assert poor.balance == 0


def test_a_paid_model_skips_the_tier(gateway: Gateway, fake: FakeProvider) -> None:
    guest = gateway.account(tier="1", pack="0")
    error = guest.chat("lab-paid").error
    assert (error["code"], error["reason"]) == ("PAYMENT_REQUIRED", "paid_only")
    assert fake.requests == []
    assert guest.chat("lab-chat").status == 200
    gateway.admin("grant", guest.id, "1", "--bucket", "pack")
    assert guest.chat("lab-paid").status == 200
    assert [row["meter_source"] for row in guest.rows(2)] == ["pack", "tier"]


def test_buckets_are_spent_tier_crypto_pack_and_a_charge_may_split(gateway: Gateway) -> None:
    owner = gateway.account(tier="0.00003", crypto="0.00001", pack="1")
    assert owner.chat("lab-chat", max_tokens=20).status == 200
    (row,) = owner.rows(1)
    left = owner.get("/api/account/balance").json["accountBalance"]
    assert (left["tier"], left["crypto"]) == (0, 0)
    assert nano(left["pack"]) == NANO - (ANSWER - 40_000)
    assert row["meter_source"] == "tier"  # it paid most
    daily = owner.get("/api/account/usage/daily").json["usage"]
    assert {line["meter_source"]: nano(line["cost_usd"]) for line in daily} == {
        "tier": 30_000,
        "crypto": 10_000,
        "pack": ANSWER - 40_000,
    }
    assert sum(line["requests"] for line in daily) == 1


def test_the_budget_of_a_key_ends_before_the_wallet(gateway: Gateway, fake: FakeProvider) -> None:
    child = gateway.account(pack="1", budget="0.0002")
    assert child.chat("lab-chat", max_tokens=10).status == 200
    child.rows(1)
    error = child.chat("lab-chat", max_tokens=100).error
    assert (error["code"], error["reason"]) == ("PAYMENT_REQUIRED", "key_budget")
    assert nano(error["details"]["available"]) == 200_000 - ANSWER
    assert len(fake.requests) == 1
    assert nano(child.get("/api/account/balance").json["balance"]) == 200_000 - ANSWER
    assert nano(child.get("/api/account/key").json["pollenBudget"]) == 200_000 - ANSWER


def test_a_key_for_some_models_is_403_on_others(gateway: Gateway, fake: FakeProvider) -> None:
    child = gateway.account(models="lab-chat,flux")
    assert child.chat("lab-chat").status == 200
    assert child.chat("lab-alias").status == 200  # the resolved name counts
    for reply in (child.chat("lab-paid"), child.chat("openai"), child.get("/image/cat?model=zimage")):
        error = reply.error
        assert (reply.status, error["code"], error["reason"]) == (403, "FORBIDDEN", "model")
        assert "flux, lab-chat" in error["message"]
    assert len(fake.requests) == 2


def test_permission_comes_before_money_and_after_validation(gateway: Gateway) -> None:
    poor = gateway.account(pack="0", models="lab-paid")
    assert poor.chat("lab-chat", temperature=9).status == 400
    assert poor.chat("lab-chat").status == 403
    assert poor.chat("lab-paid").status == 402


def test_max_cost_shortens_a_chat(payer: Account, fake: FakeProvider) -> None:
    reply = payer.chat("lab-chat", max_cost="0.001", max_tokens=900)
    assert reply.status == 200
    limit = fake.requests[0].json["max_tokens"]
    assert 100 < limit < 900
    assert limit * OUTPUT <= 1_000_000


def test_what_a_chat_needs_at_least_is_told_and_is_enough(payer: Account, fake: FakeProvider) -> None:
    error = payer.chat("lab-chat", "a word " * 50, max_cost="0.000001", max_tokens=900).error
    assert (error["code"], error["reason"]) == ("PAYMENT_REQUIRED", "max_cost")
    required = error["details"]["required"]
    assert nano(required) < 900 * OUTPUT
    assert fake.requests == []
    assert payer.chat("lab-chat", "a word " * 50, max_cost=required, max_tokens=900).status == 200
    assert fake.requests[0].json["max_tokens"] == 1


@pytest.mark.parametrize("way", ["body", "query", "header"])
def test_max_cost_refuses_what_cannot_be_shortened(payer: Account, fake: FakeProvider, way: str) -> None:
    body = {"model": "lab-image", "prompt": "a", "size": "64x64"}
    target, headers = "/v1/images/generations", {}
    if way == "body":
        body["max_cost"] = "0.01"
    elif way == "query":
        target += "?max_cost=0.01"
    else:
        headers["x-max-cost"] = "0.01"
    error = payer.post(target, body, headers=headers).error
    assert (error["code"], error["reason"]) == ("PAYMENT_REQUIRED", "max_cost")
    assert (nano(error["details"]["required"]), error["details"]["available"]) == (IMAGE, "0.01")
    assert fake.requests == []


@pytest.mark.parametrize("cap", ["", "1_000", "\u0665", "+5", "5e1", "0x5"])
@pytest.mark.parametrize("way", ["query", "header"])
def test_a_cap_that_is_no_amount_is_never_no_cap(payer: Account, fake: FakeProvider, way: str, cap: str) -> None:
    target = f"/v1/chat/completions?max_cost={quote(cap)}" if way == "query" else "/v1/chat/completions"
    headers = {"x-max-cost": cap.encode().decode("latin-1")} if way == "header" else {}
    body = {"model": "lab-chat", "messages": [{"role": "user", "content": "Hello!"}]}
    reply = payer.post(target, body, headers=headers)
    assert (reply.status, reply.error["message"].partition(":")[0]) == (400, "max_cost")
    assert not fake.requests


def test_a_cap_that_is_a_json_number_may_have_an_exponent(payer: Account) -> None:
    assert payer.chat("lab-chat", max_cost=1e-9).error["reason"] == "max_cost"
    assert payer.chat("lab-chat", max_cost=1.0).status == 200


@pytest.mark.parametrize(("body", "header", "query"), [("1", "0.01", "1"), ("0.01", "1", "1"), ("1", "1", "0.01")])
def test_of_several_caps_the_least_counts(payer: Account, body: str, header: str, query: str) -> None:
    request = {"model": "lab-image", "prompt": "a", "max_cost": body}
    reply = payer.post(f"/v1/images/generations?max_cost={query}", request, headers={"x-max-cost": header})
    assert (reply.status, reply.error["reason"], reply.error["details"]["available"]) == (402, "max_cost", "0.01")


def test_max_cost_that_is_enough_changes_nothing(payer: Account) -> None:
    reply = payer.post("/v1/images/generations", {"model": "lab-image", "prompt": "a", "max_cost": 0.03})
    assert (reply.status, reply.cost) == (200, IMAGE)


@pytest.mark.parametrize(("endpoint", "path", "body"), CALLS)
def test_an_estimate_is_never_below_the_charge(payer: Account, endpoint: str, path: str, body: Any) -> None:
    told = payer.post("/v1/estimate", {"endpoint": endpoint, "request": body}).json
    assert told["currency"] == "pollen"
    assert told["model"] == body["model"]
    assert payer.rows(0) == []
    cost = payer.post(path, body).cost
    assert 0 < cost <= nano(told["max"])
    assert nano(told["expected"]) <= nano(told["max"])


def test_estimates_of_the_get_routes(payer: Account) -> None:
    for endpoint, request, cost in (
        ("image", {"prompt": "a", "model": "lab-image"}, IMAGE),
        ("video", {"prompt": "a", "model": "scene-video", "duration": 2}, 0),
        ("audio", {"text": "Hello", "model": "lab-speech"}, 5 * CHARACTER),
        ("text", {"prompt": "Hi", "model": "lab-zero"}, 0),
    ):
        told = payer.post("/v1/estimate", {"endpoint": endpoint, "request": request})
        assert told.status == 200, told.text
        assert nano(told.json["max"]) == cost
    assert payer.balance == NANO


def test_an_open_chat_holds_a_share_and_is_told_how_long_it_may_get(gateway: Gateway, fake: FakeProvider) -> None:
    owner = gateway.account(pack="0.01")
    assert owner.chat("lab-chat").status == 200
    limit = fake.requests[0].json["max_tokens"]
    assert 256 <= limit < 1000
    assert limit * OUTPUT + INPUT <= NANO // 100 // 4


def test_a_cap_leaves_room_for_others_too(gateway: Gateway, fake: FakeProvider) -> None:
    """``max_cost`` is the most, not what is asked for: an open chat still holds no more than its share."""
    owner = gateway.account(pack="0.01")
    assert owner.chat("lab-chat", max_cost="0.008").status == 200
    assert owner.chat("lab-chat", max_cost="0.001").status == 200
    shared, capped = (request.json["max_tokens"] * OUTPUT + INPUT for request in fake.requests)
    assert shared <= NANO // 100 // 4
    assert 800_000 < capped <= 1_000_000
    poor = gateway.account(pack="0.002")
    assert poor.chat("lab-chat", max_cost="0.003").status == 200


def test_many_at_once_never_spend_more_than_there_is(gateway: Gateway, fake: FakeProvider) -> None:
    owner = gateway.account(pack="0.0004")
    body = {"max_tokens": 20}  # holds a little more than it costs
    with ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(lambda _: owner.chat("lab-chat", **body), range(12)))
    served = [reply for reply in replies if reply.status == 200]
    assert {reply.status for reply in replies} == {200, 402}
    assert len(served) <= 400_000 // ANSWER
    owner.rows(len(served))
    assert owner.balance == 400_000 - len(served) * ANSWER >= 0
    assert len(fake.requests) == len(served)
    refused = next(reply for reply in replies if reply.status == 402)
    assert {"required", "available", "held"} <= refused.error["details"].keys()


@pytest.mark.parametrize("stream", [False, True])
def test_who_paid_sees_it_at_once(gateway: Gateway, stream: bool) -> None:
    payer = gateway.account(pack="1")
    for number in range(1, 31):
        assert payer.chat("lab-chat", stream=stream).status == 200
        assert payer.balance == NANO - number * ANSWER
        assert len(payer.get("/api/account/usage").json["usage"]) == number


def test_nothing_stays_held_and_the_ledger_adds_up(gateway: Gateway) -> None:
    def free() -> bool:
        report = gateway.verify()
        return report["held"] == report["leased"] == 0

    eventually(free, "the end of every hold and of leases without work")
    assert gateway.verify()["ok"] is True
