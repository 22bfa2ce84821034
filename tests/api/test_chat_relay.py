"""Chat through an operator's host: what is sent on, what comes back, and what it costs to the nano-pollen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fakeprovider import PROMPT_TOKENS, TEXT, FakeProvider
from tests.fakewire import THOUGHT, WORDS
from tests.gateway import NANO, Account, Gateway, nano, read_events
from tests.labconfig import ANSWER, INPUT, KEY, OUTPUT


def test_a_whole_answer_is_relayed_byte_for_byte(payer: Account, fake: FakeProvider) -> None:
    reply = payer.chat("lab-chat", "Grüße, 漢字 🙂")
    assert reply.status == 200
    assert reply.json["choices"][0]["message"]["content"] == TEXT
    assert TEXT.encode() in reply.body  # as it came: not escaped, not parsed and written anew
    sent = fake.requests[0]
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert (sent.json["model"], sent.json["messages"]) == ("ok", [{"role": "user", "content": "Grüße, 漢字 🙂"}])
    assert payer.key.encode() not in repr(sent).encode()


def test_the_price_is_exact_in_header_row_balance_and_bill(payer: Account, fake: FakeProvider) -> None:
    reply = payer.chat("lab-chat")
    assert reply.cost == ANSWER
    assert reply.headers["x-model-used"] == "lab-chat"
    assert reply.headers["x-usage-prompt-text-tokens"] == str(PROMPT_TOKENS)
    assert reply.headers["x-usage-completion-text-tokens"] == str(len(WORDS))
    (row,) = payer.rows(1)
    assert (nano(row["cost_usd"]), row["model"], row["meter_source"]) == (ANSWER, "lab-chat", "pack")
    assert (row["input_text_tokens"], row["output_text_tokens"]) == (PROMPT_TOKENS, len(WORDS))
    assert row["request_id"] == reply.headers["x-request-id"]
    assert (row["estimated"], row["partial"], row["type"]) == (False, False, "generate.text")
    assert payer.balance == NANO - ANSWER
    (billed,) = fake.bill
    assert billed.input_tokens * INPUT + billed.output_tokens * OUTPUT == ANSWER


def test_a_service_tier_that_no_host_gets_is_told(payer: Account, fake: FakeProvider) -> None:
    assert payer.chat("lab-chat", service_tier="flex").headers["x-ignored-parameters"] == "service_tier"
    assert "x-ignored-parameters" not in payer.chat("lab-chat", service_tier="auto").headers
    assert all("service_tier" not in request.json for request in fake.requests)


def test_words_for_numbers_reach_the_host_as_numbers(payer: Account, fake: FakeProvider) -> None:
    assert payer.chat("lab-chat", temperature="0.5", logprobs="true", max_tokens="20", stop="4").status == 200
    sent = fake.requests[0].json
    assert (sent["temperature"], sent["logprobs"], sent["max_tokens"], sent["stop"]) == (0.5, True, 20, "4")


@pytest.mark.parametrize("mode", ["chat", "bytes", "late-usage", "double-usage", "no-done"])
def test_a_stream_is_relayed_and_charged_exactly(payer: Account, fake: FakeProvider, mode: str) -> None:
    *chunks, last, done = payer.chat(f"lab-{mode}", stream=True).events
    assert done == "[DONE]"
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks) == TEXT
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == len(WORDS)
    assert nano(last["usage"]["pollen_cost"]) == ANSWER
    (row,) = payer.rows(1)
    assert (nano(row["cost_usd"]), row["partial"]) == (ANSWER, False)
    assert payer.balance == NANO - ANSWER
    assert fake.requests[0].json["stream_options"]["include_usage"] is True


@pytest.mark.parametrize(
    "mode",
    ["no-usage", "zero-usage", "nothing-said", "minus-said", "nothing-read", "absurd-usage", "absurd-float"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_missing_usage_is_estimated_marked_and_never_free(payer: Account, mode: str, stream: bool) -> None:
    reply = payer.chat(f"lab-{mode}", stream=stream)
    assert reply.status == 200
    (row,) = payer.rows(1)
    assert row["estimated"] is True
    assert row["input_text_tokens"] > 0
    assert len(TEXT) // 5 <= row["output_text_tokens"] <= len(TEXT)
    assert payer.balance == NANO - nano(row["cost_usd"]) < NANO
    told = (reply.events[-2] if stream else reply.json)["usage"]
    assert told["estimated"] is True
    assert told["completion_tokens"] == row["output_text_tokens"]
    assert told["prompt_tokens"] == row["input_text_tokens"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_estimate_never_passes_the_limit_that_was_asked_for(payer: Account, stream: bool) -> None:
    assert payer.chat("lab-no-usage", stream=stream, max_tokens=3).status == 200
    assert payer.rows(1)[0]["output_text_tokens"] == 3


@pytest.mark.parametrize("mode", ["null-said", "float-usage", "text-usage"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_report_in_odd_spelling_is_taken_as_it_is_meant(payer: Account, mode: str, stream: bool) -> None:
    assert payer.chat(f"lab-{mode}", stream=stream).status == 200
    assert payer.rows(1)[0]["estimated"] is False
    assert payer.balance == NANO - ANSWER


@pytest.mark.parametrize(
    ("mode", "kept", "count"), [("only-read", "in", PROMPT_TOKENS), ("only-said", "out", len(WORDS))]
)
@pytest.mark.parametrize("stream", [False, True])
def test_of_half_a_report_the_half_is_kept_and_the_rest_counted(
    payer: Account, mode: str, kept: str, count: int, stream: bool
) -> None:
    assert payer.chat(f"lab-{mode}", stream=stream).status == 200
    (row,) = payer.rows(1)
    assert row[f"{kept}put_text_tokens"] == count
    assert row["input_text_tokens"] > 0 < row["output_text_tokens"]
    assert row["estimated"] is True


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_told_is_what_was_charged(gateway: Gateway, stream: bool) -> None:
    """The host reports far more than was held: the wallet pays what it has, and no more is told."""
    payer = gateway.account(pack="1")
    reply = payer.chat("lab-greedy", stream=stream)
    told = reply.events[-2]["usage"]["pollen_cost"] if stream else reply.headers["x-pollen-cost"]
    assert nano(told) == nano(payer.rows(1)[0]["cost_usd"]) == NANO
    assert payer.balance == 0
    assert gateway.verify()["ok"]


def test_only_known_fields_are_sent_on_and_ours_never(payer: Account, fake: FakeProvider) -> None:
    ours = {"max_cost": "0.5", "no-cache": True, "json": True, "safe": False, "system": "Be brief.", "nonsense": 1}
    reply = payer.chat("lab-chat", temperature=0.5, top_p=None, user="u", seed=3, **ours)
    assert reply.status == 200
    sent = fake.requests[0].json
    assert sent["temperature"] == 0.5
    assert sent["seed"] == 3
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert sent["response_format"] == {"type": "json_object"}
    assert not {"max_cost", "no-cache", "json", "safe", "system", "nonsense", "top_p", "key"} & sent.keys()


def test_an_absent_seed_stays_absent(payer: Account, fake: FakeProvider) -> None:
    reply = payer.chat("lab-chat")
    assert "seed" not in fake.requests[0].json
    assert "x-cache" not in reply.headers


def test_a_seed_of_minus_one_is_drawn_and_told(payer: Account, fake: FakeProvider) -> None:
    drawn = {payer.chat("lab-chat", seed=-1).headers["x-seed"] for _ in range(3)}
    assert {str(request.json["seed"]) for request in fake.requests} == drawn
    assert len(drawn) == 3
    assert all(0 <= int(seed) < 2**31 for seed in drawn)


def test_an_alias_is_its_model(payer: Account) -> None:
    reply = payer.chat("lab-alias")
    assert reply.headers["x-model-used"] == "lab-chat"
    assert payer.rows(1)[0]["model"] == "lab-chat"


def test_tools_pass_both_ways(payer: Account) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    answer = payer.chat("lab-chat", tools=[tool], tool_choice="required").json["choices"][0]
    assert answer["finish_reason"] == "tool_calls"
    assert answer["message"]["tool_calls"][0]["function"]["name"] == "look"


def test_get_text_gives_the_bare_text_at_the_same_price(payer: Account, fake: FakeProvider) -> None:
    reply = payer.get("/text/What%20is%20this%3F%20a/b?model=lab-chat&system=Be%20brief.&temperature=0.3")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.text == TEXT
    assert reply.cost == ANSWER
    sent = fake.requests[0].json
    assert [turn["content"] for turn in sent["messages"]] == ["Be brief.", "What is this? a/b"]
    assert (sent["temperature"], sent["seed"]) == (0.3, 0)


def test_get_text_streams_the_same_events_as_chat(payer: Account) -> None:
    *chunks, last, done = payer.get("/text/Hello?model=lab-chat&stream=true").events
    assert done == "[DONE]"
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks) == TEXT
    assert nano(last["usage"]["pollen_cost"]) == ANSWER


def test_a_broken_stream_ends_with_an_error_event_and_costs_what_was_sent_on(payer: Account) -> None:
    for count, mode in enumerate(("cut", "error-frame"), 1):
        events = payer.chat(f"lab-{mode}", stream=True).events
        (error,) = [event["error"] for event in events if event != "[DONE]" and "error" in event]
        assert error["code"] == "BAD_GATEWAY"
        assert error["message"]
        text = "".join(
            e["choices"][0]["delta"].get("content") or "" for e in events if e != "[DONE]" and e.get("choices")
        )
        assert TEXT.startswith(text)
        row = payer.rows(count)[0]
        assert events[-2]["usage"]["pollen_cost"] == f"{nano(row['cost_usd']) / NANO:.9f}".rstrip("0")
        assert (row["partial"], row["estimated"]) == (True, True)
        assert 0 < nano(row["cost_usd"]) < ANSWER
    assert payer.balance == NANO - sum(nano(row["cost_usd"]) for row in payer.rows(2))


def test_a_client_that_leaves_a_stream_pays_for_what_was_made(payer: Account, fake: FakeProvider) -> None:
    connection = payer.gateway.connect()
    body = {"model": "lab-slow-stream", "messages": [{"role": "user", "content": "Hello!"}], "stream": True}
    headers = {"Authorization": f"Bearer {payer.key}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    seen = read_events(connection.getresponse())
    while not next(seen)["choices"][0]["delta"].get("content"):
        pass
    connection.close()
    (row,) = payer.rows(1)
    assert row["partial"] is True
    assert 0 < nano(row["cost_usd"]) < ANSWER
    assert payer.balance == NANO - nano(row["cost_usd"])
    assert fake.bill == []  # the host was left too: it never came to its end


def test_the_ledger_adds_up_after_all_of_this(gateway: Gateway) -> None:
    report: dict[str, Any] = gateway.verify()
    assert report["ok"] is True, report


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_model_thinks_aloud_is_told_apart(payer: Account, stream: bool) -> None:
    reply = payer.chat("lab-thinks-apart", stream=stream)
    if stream:
        deltas = [choice["delta"] for chunk in reply.events[:-1] for choice in chunk["choices"]]
    else:
        deltas = [reply.json["choices"][0]["message"]]
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == THOUGHT
    assert "".join(delta.get("content") or "" for delta in deltas) == TEXT
    assert payer.balance == NANO - ANSWER
    as_it_comes = payer.chat("lab-thinks").json["choices"][0]["message"]["content"]
    assert as_it_comes == f"<think>{THOUGHT}</think>\n\n{TEXT}"


def test_what_a_host_does_not_take_is_not_sent_and_told_or_refused(payer: Account, fake: FakeProvider) -> None:
    reply = payer.chat("lab-thinks-apart", temperature=0.2, top_p=0.5)
    assert (reply.status, reply.headers["x-ignored-parameters"]) == (200, "temperature")
    assert ("temperature" in fake.requests[-1].json, fake.requests[-1].json["top_p"]) == (False, 0.5)
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    refused = payer.chat("lab-thinks-apart", tools=[tool])
    assert (refused.status, refused.error["reason"]) == (400, "unsupported_parameter")
