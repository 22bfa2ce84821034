"""Answers that are not made twice: fixed seeds from the cache, repeats with an Idempotency-Key, and lost deliveries."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.fakeprovider import TEXT, FakeProvider
from tests.gateway import NANO, Account, Gateway, dumps, eventually, nano
from tests.labconfig import ANSWER, IMAGE


def test_a_fixed_seed_is_answered_from_the_cache_and_not_charged(payer: Account, fake: FakeProvider) -> None:
    first = payer.chat("lab-chat", seed=7)
    second = payer.chat("lab-alias", seed=7, temperature=None)  # the same request, spelled otherwise
    assert (first.headers["x-cache"], second.headers["x-cache"]) == ("MISS", "HIT")
    assert first.body == second.body
    assert second.headers["cache-control"] == "private"
    assert second.headers["vary"] == "Authorization"
    assert (first.cost, second.cost) == (ANSWER, 0)
    assert len(fake.requests) == 1
    assert payer.balance == NANO - ANSWER
    payer.rows(1)


def test_another_seed_prompt_or_shape_is_another_answer(payer: Account, fake: FakeProvider) -> None:
    payer.chat("lab-chat", seed=1)
    for fields in ({"seed": 2}, {"seed": 1, "text": "Bye!"}, {"seed": 1, "max_tokens": 5}, {"seed": 1, "stream": True}):
        assert payer.chat("lab-chat", **fields).headers.get("x-cache", "MISS") == "MISS"
    assert len(fake.requests) == 5


def test_the_cache_is_private_to_the_account_and_needs_no_money(gateway: Gateway, fake: FakeProvider) -> None:
    first, other = gateway.account(pack="0.0003"), gateway.account()
    body = {"seed": 11, "max_tokens": 10}
    assert first.chat("lab-chat", **body).headers["x-cache"] == "MISS"
    assert other.chat("lab-chat", **body).headers["x-cache"] == "MISS"
    while first.chat("lab-chat", max_tokens=10).status == 200:
        pass  # until nothing can be paid
    again = first.chat("lab-chat", **body)
    assert (again.status, again.headers["x-cache"]) == (200, "HIT")
    name = first.get("/api/account/profile").json["name"]
    assert gateway.key(first.id, name).chat("lab-chat", **body).headers["x-cache"] == "HIT"  # another of their keys
    barred = gateway.key(first.id, name, models="openai")
    assert barred.chat("lab-chat", **body).status == 403


def test_a_publishable_key_has_a_cache_of_its_own(gateway: Gateway) -> None:
    owner = gateway.account()
    body = {"seed": 12}
    owner.chat("lab-chat", **body)
    page = gateway.key(owner.id, owner.get("/api/account/profile").json["name"], type="publishable")
    assert page.key.startswith("pk_")
    assert page.chat("lab-chat", **body).headers["x-cache"] == "MISS"
    assert page.chat("lab-chat", **body).headers["x-cache"] == "HIT"


def test_no_cache_makes_the_answer_anew_and_replaces_it(payer: Account, fake: FakeProvider) -> None:
    target = "/image/a%20red%20square?model=lab-image&width=64&height=64"
    assert payer.get(target).headers["x-cache"] == "MISS"  # GET routes have the seed 0
    assert payer.get(target).headers["x-cache"] == "HIT"
    assert payer.get(f"{target}&no-cache=true").headers["x-cache"] == "MISS"
    assert payer.get(target).headers["x-cache"] == "HIT"
    assert len(fake.requests) == 2
    assert payer.balance == NANO - 2 * IMAGE


def test_a_drawn_seed_is_never_kept(payer: Account, fake: FakeProvider) -> None:
    replies = [payer.get("/text/Hi?model=lab-chat&seed=-1") for _ in range(2)]
    assert all("x-cache" not in reply.headers for reply in replies)
    assert len(fake.requests) == 2


def test_a_streams_cache_hit_is_the_same_stream(payer: Account, fake: FakeProvider) -> None:
    first = payer.chat("lab-chat", seed=3, stream=True)
    second = payer.chat("lab-chat", seed=3, stream=True)
    assert second.headers["x-cache"] == "HIT"
    assert first.body == second.body
    assert len(fake.requests) == 1
    assert payer.balance == NANO - ANSWER


def test_failures_are_not_kept(payer: Account, fake: FakeProvider) -> None:
    for _ in range(2):
        assert payer.chat("lab-error-500", seed=4).status == 502
        assert [e for e in payer.chat("lab-cut", seed=4, stream=True).events if e != "[DONE]" and "error" in e]
    assert len(fake.requests) == 4


def test_a_key_replays_its_answer_at_no_charge(payer: Account, fake: FakeProvider) -> None:
    headers = {"Idempotency-Key": "order-1"}
    first, second = (payer.chat("lab-chat", headers=headers) for _ in range(2))
    assert second.headers["idempotent-replayed"] == "true"
    assert first.body == second.body
    assert len(fake.requests) == 1
    payer.rows(1)
    assert payer.balance == NANO - ANSWER


def test_a_key_used_with_another_body_is_a_conflict(payer: Account) -> None:
    headers = {"Idempotency-Key": "order-2"}
    payer.chat("lab-chat", headers=headers)
    error = payer.chat("lab-chat", "Something else", headers=headers).error
    assert (error["code"], error["reason"]) == ("CONFLICT", "idempotency_key")


def test_a_key_also_replays_what_was_made_with_a_drawn_seed(payer: Account, fake: FakeProvider) -> None:
    headers = {"Idempotency-Key": "order-8"}
    first, second = (payer.chat("lab-chat", seed=-1, headers=headers) for _ in range(2))
    assert first.headers["x-seed"] == second.headers["x-seed"]
    assert len(fake.requests) == 1


def test_keys_belong_to_an_account_and_an_endpoint(gateway: Gateway, payer: Account, fake: FakeProvider) -> None:
    headers = {"Idempotency-Key": "order-3"}
    payer.chat("lab-chat", headers=headers)
    assert "idempotent-replayed" not in gateway.account().chat("lab-chat", headers=headers).headers
    picture = payer.post("/v1/images/generations", {"prompt": "a", "model": "lab-image"}, headers=headers)
    assert picture.status == 200


def test_twenty_at_once_with_one_key_are_one_call(payer: Account, fake: FakeProvider) -> None:
    headers = {"Idempotency-Key": "order-4"}
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: payer.chat("lab-slow", headers=headers), range(20)))
    assert {(reply.status, reply.body) for reply in replies} == {(200, replies[0].body)}
    assert sum("idempotent-replayed" in reply.headers for reply in replies) == 19
    assert len(fake.requests) == len(fake.bill) == 1
    payer.rows(1)
    assert payer.balance == NANO - ANSWER


def test_an_uncharged_failure_frees_the_key(payer: Account, fake: FakeProvider) -> None:
    headers = {"Idempotency-Key": "order-5"}
    assert payer.chat("lab-error-500", headers=headers).status == 502
    assert payer.chat("lab-chat", headers=headers).status == 200


def test_a_stream_is_replayed_whole(payer: Account, fake: FakeProvider) -> None:
    headers = {"Idempotency-Key": "order-6"}
    first, second = (payer.chat("lab-chat", stream=True, headers=headers) for _ in range(2))
    assert first.body == second.body
    assert second.events[-1] == "[DONE]"
    assert TEXT.split()[-1].encode() in second.body
    assert len(fake.requests) == 1


@pytest.mark.parametrize("early", [True, False])
def test_a_paid_picture_whose_caller_left_is_given_to_the_next_same_request_once(
    payer: Account, fake: FakeProvider, early: bool
) -> None:
    body = {"model": "lab-image-slow", "prompt": "a lost picture", "size": "64x64", "seed": -1}
    leave(payer, fake, "POST", "/v1/images/generations", body)
    if not early:
        payer.rows(1)  # it is paid and all but kept
    again = payer.post("/v1/images/generations", body)
    assert again.headers["x-delivered-again"] == "true"
    assert again.json["data"][0]["b64_json"]
    assert len(fake.requests) == 1
    assert payer.balance == NANO - IMAGE
    third = payer.post("/v1/images/generations", body)
    assert "x-delivered-again" not in third.headers
    assert nano(payer.rows(2)[0]["cost_usd"]) == IMAGE


def test_a_get_that_broke_off_is_not_paid_twice(payer: Account, fake: FakeProvider) -> None:
    target = "/image/a%20lost%20picture?model=lab-image-slow&width=64&height=64"
    leave(payer, fake, "GET", target)
    assert payer.get(target).headers["x-delivered-again"] == "true"
    assert payer.get(target).headers["x-cache"] == "HIT"
    assert len(fake.requests) == 1
    assert payer.balance == NANO - IMAGE


def leave(payer: Account, fake: FakeProvider, method: str, target: str, body: object = None) -> None:
    """Sends a request and hangs up when the host has it."""
    headers = {"Authorization": f"Bearer {payer.key}", "Content-Type": "application/json"}
    connection = payer.gateway.connect()
    connection.request(method, target, dumps(body) if body else None, headers)
    eventually(lambda: bool(fake.requests), "the request at the host")
    connection.close()
    assert payer.gateway.alive  # by now the server has noticed it


def test_a_waiting_repeat_does_not_hold_up_others(payer: Account) -> None:
    done: list[int] = []
    headers = {"Idempotency-Key": "order-7"}
    slow = threading.Thread(target=lambda: done.append(payer.chat("lab-slow", headers=headers).status))
    slow.start()
    assert payer.chat("lab-chat").status == 200
    assert done == []
    slow.join()
    assert done == [200]


def test_the_repeat_of_a_stream_that_its_client_left_comes_to_an_end(payer: Account, fake: FakeProvider) -> None:
    headers = {"Authorization": f"Bearer {payer.key}", "Content-Type": "application/json", "Idempotency-Key": "left"}
    body = {"model": "lab-slow-stream", "messages": [{"role": "user", "content": "Hello!"}], "stream": True}
    connection = payer.gateway.connect()
    connection.request("POST", "/v1/chat/completions", dumps(body), headers)
    assert connection.getresponse().read(200)
    connection.close()
    (row,) = payer.rows(1)
    assert row["partial"] is True
    again = payer.chat("lab-slow-stream", stream=True, headers={"Idempotency-Key": "left"})
    *_, error, last, done = again.events
    assert (again.headers["idempotent-replayed"], done) == ("true", "[DONE]")
    assert error["error"]["reason"] == "client_left"
    assert nano(last["usage"]["pollen_cost"]) == nano(row["cost_usd"]) == NANO - payer.balance > 0
    assert len(fake.requests) == 1


def test_a_chat_whose_caller_left_is_given_to_the_next_same_request_once(payer: Account, fake: FakeProvider) -> None:
    headers = {"Authorization": f"Bearer {payer.key}", "Content-Type": "application/json"}
    body = {"model": "lab-slow", "messages": [{"role": "user", "content": "Hello!"}]}
    connection = payer.gateway.connect()
    connection.request("POST", "/v1/chat/completions", dumps(body), headers)
    eventually(lambda: fake.requests or None, "the call of the host")
    connection.close()
    payer.rows(1)
    other = payer.chat("lab-slow", "Something else")
    assert (other.cost, other.headers.get("x-delivered-again")) == (ANSWER, None)
    again = payer.chat("lab-slow")
    assert (again.status, again.cost, again.headers["x-delivered-again"]) == (200, 0, "true")
    assert again.json["choices"][0]["message"]["content"] == TEXT
    assert payer.chat("lab-slow").cost == ANSWER
    payer.rows(3)
    assert payer.balance == NANO - 3 * ANSWER
