"""Anthropic's Messages API: our requests are those of its own library, its answers come out as OpenAI's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openpollen.core.chat import ChatAnswer
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.core.usage import Usage
from openpollen.providers.failures import Failure
from tests.conformance.anthropic_lab import (
    CALL,
    DIRECT,
    HAIKU,
    HI,
    NEWEST,
    PIXEL,
    SCHEMA,
    SONNET,
    VERTEX,
    WEATHER,
    adapter,
    body,
    decoded,
    encoded,
    frames,
    gathered,
    request,
)
from tests.conformance.captures import captured, same, timeless, without_secret

#: What these tests prove, by wire and operation: the captured requests that ours are compared with, or "documentation".
PROVES = {
    "anthropic/chat": (
        "anthropic.messages.full",
        "anthropic.messages.stream",
        "vertex.claude.raw_predict",
    ),
}


def pixel(fixture: dict[str, Any]) -> str:
    source = fixture["requests"][0]["body"]["json"]["messages"][0]["content"][1]["source"]
    return f"data:{source['media_type']};base64,{source['data']}"


#: Captures of both versions of the library, and the provider that speaks so.
VERSIONS = pytest.mark.parametrize(("suffix", "provider"), [("", DIRECT), (".newest_sdk", NEWEST)])


@VERSIONS
def test_a_request_with_everything(suffix: str, provider: Provider) -> None:
    fixture = captured(f"anthropic.messages.full{suffix}")
    messages = [
        {
            "role": "system",
            "content": [{"type": "text", "text": "You are terse.", "cache_control": {"type": "ephemeral"}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": pixel(fixture)}},
                {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "toolu_0", "content": '{"c":3}'},
    ]
    asked = request(
        max_tokens=2048,
        messages=messages,
        tools=[WEATHER],
        parallel_tool_calls=False,
        stop=["END"],
        temperature=1.0,
        user="u1",
        thinking={"type": "enabled", "budget_tokens": 1024},
    )
    same(encoded(asked, provider=provider), fixture["requests"][0])


def test_sampling_and_a_named_tool() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    asked = request(
        max_tokens=256,
        messages=[{"role": "system", "content": "terse"}, *HI],
        tools=[tool],
        tool_choice={"type": "function", "function": {"name": "f"}},
        stop="END",
        temperature=0.7,
        top_p=0.9,
        top_k=40,
    )
    same(encoded(asked), captured("anthropic.messages.sampling_params")["requests"][0])


@VERSIONS
def test_effort_and_a_schema(suffix: str, provider: Provider) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
    asked = request(max_tokens=4096, reasoning_effort="medium", response_format=wanted)
    same(
        encoded(asked, SONNET, provider), captured(f"anthropic.messages.adaptive_effort_schema{suffix}")["requests"][0]
    )


@VERSIONS
def test_a_stream(suffix: str, provider: Provider) -> None:
    same(
        encoded(request(stream=True), provider=provider), captured(f"anthropic.messages.stream{suffix}")["requests"][0]
    )


@pytest.mark.parametrize("suffix", ["", ".newest_sdk"])
def test_both_calls_of_vertex(suffix: str) -> None:
    whole, streamed = captured(f"vertex.claude.raw_predict{suffix}")["requests"]
    for asked, expected in ((request(), whole), (request(stream=True), streamed)):
        expected["headers"].pop("authorization")  # the token is put in when the request goes out
        if suffix:  # a version that Vertex AI's own page does not name
            expected["body"]["json"]["anthropic_version"] = "vertex-2023-10-16"
        same(encoded(asked, "claude-haiku-4-5@20251001", VERTEX), expected)


def test_what_follows_in_one_role_is_one_message() -> None:
    calls = [{**CALL, "id": name} for name in ("a", "b")]
    messages = [
        *HI,
        {"role": "user", "content": "there"},
        {"role": "assistant", "content": "Look.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]},
        {"role": "user", "content": "And?"},
    ]
    sent = body(request(messages=messages))["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert [block["type"] for block in sent[1]["content"]] == ["text", "tool_use", "tool_use"]
    assert [block["type"] for block in sent[2]["content"]] == ["tool_result", "tool_result", "text"]
    assert sent[2]["content"][1]["content"][0]["type"] == "image"


def test_signed_thinking_comes_back_as_it_went_out() -> None:
    answer = decoded(captured("anthropic.messages.full")["recorder_responses"]["items"][0])
    said = answer["choices"][0]["message"]
    sent = body(request(messages=[*HI, said, {"role": "tool", "tool_call_id": "toolu_01", "content": "3"}]))["messages"]
    assert sent[1]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "text", "text": "Hello!"},
        {"type": "tool_use", "id": "toolu_01", "name": "get_weather", "input": {"city": "Oslo"}},
    ]


@pytest.mark.parametrize(
    ("fields", "moved"),
    [
        ({"temperature": 0.3}, {"temperature": 0.3}),
        ({"top_p": 0.3}, {"top_p": 0.3}),
        ({"top_k": 3}, {"top_k": 3}),
        ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"user": "u"}, {"metadata": {"user_id": "u"}}),
        ({"tools": [WEATHER], "tool_choice": "required"}, {"tool_choice": {"type": "any"}}),
        ({"tools": [WEATHER], "tool_choice": "none"}, {"tool_choice": {"type": "none"}}),
        (
            {"tools": [WEATHER], "parallel_tool_calls": False},
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        ),
        (
            {"functions": [WEATHER["function"]], "function_call": {"name": "get_weather"}},
            {"tool_choice": {"type": "tool", "name": "get_weather"}},
        ),
        ({"response_format": {"type": "json_object"}}, {"system": "Answer with one JSON object and nothing else."}),
        ({"thinking_budget": 2000}, {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        ({"reasoning_effort": "low"}, {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        ({"reasoning_effort": "max"}, {"thinking": {"type": "enabled", "budget_tokens": 4095}}),
    ],
)
def test_each_parameter_moves_the_request(fields: dict[str, Any], moved: dict[str, Any]) -> None:
    sent = body(request(max_tokens=4096, **fields))
    assert {name: sent[name] for name in moved} == moved
    assert fields.keys() <= adapter.params(Capability.CHAT, DIRECT, Route("anthropic", HAIKU))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"tools": [{"type": "google_search"}]}, "google_search"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "narrator"),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA"}}]}]},
            "audio",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "ftp://x"}]}]}, "https://"),
        ({"messages": [{"role": "assistant", "tool_calls": [{**CALL, "function": {"arguments": "["}}]}]}, "toolu_0"),
    ],
)
def test_what_cannot_be_said_here_is_the_callers_fault(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(BadRequest, match=named):
        encoded(request(**fields))


def test_a_whole_answer() -> None:
    fixture = captured("anthropic.messages.full")
    made = adapter.decode_chat(200, {}, json.dumps(fixture["recorder_responses"]["items"][0]).encode(), DIRECT)
    parsed, answer = fixture["sdk_parsed"], json.loads(made.body)
    said = answer["choices"][0]["message"]
    assert (answer["id"], answer["model"]) == (parsed["id"], parsed["model"])
    assert (said["reasoning_content"], said["content"]) == ("hm", "Hello!")
    assert said["tool_calls"][0]["id"] == "toolu_01"
    assert json.loads(said["tool_calls"][0]["function"]["arguments"]) == {"city": "Oslo"}
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    assert made.usage == Usage(input_tokens=12, cached_input_tokens=4, cache_write_tokens=5, output_tokens=7)
    assert answer["usage"]["prompt_tokens"] == 21
    assert answer["usage"]["prompt_tokens_details"] == {"cached_tokens": 4, "cache_write_tokens": 5}


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("end_turn", "stop"), ("max_tokens", "length"), ("stop_sequence", "stop"), ("refusal", "content_filter")],
)
def test_stop_reasons(reason: str, finish: str) -> None:
    answer = {"id": "m", "content": [{"type": "text", "text": "a"}], "stop_reason": reason}
    assert decoded(answer)["choices"][0]["finish_reason"] == finish


def test_an_answer_without_usage_reports_none() -> None:
    answer: ChatAnswer = adapter.decode_chat(200, {}, b'{"id": "m", "content": [], "usage": {}}', DIRECT)
    assert answer.usage is None


STREAM = "".join(captured("anthropic.messages.stream")["recorder_responses"]["items"]).encode()


def test_a_stream_says_what_a_whole_answer_says() -> None:
    found = frames(STREAM)
    assert gathered(found) == {
        "content": "Hel",
        "reasoning_content": "hm",
        "arguments": '{"city":"Oslo"}',
        "blocks": [{"type": "thinking", "thinking": "hm", "signature": "sig"}],
        "finish": "tool_calls",
    }
    assert [frame.done for frame in found].count(True) == 1
    assert [frame.usage for frame in found if frame.usage][-1] == Usage(
        input_tokens=12, cached_input_tokens=4, output_tokens=7
    )


def test_a_stream_may_be_split_anywhere() -> None:
    whole = timeless(frames(STREAM))
    for at in range(1, len(STREAM)):
        decoder = adapter.chat_frames(Route("anthropic", HAIKU))
        assert timeless([*decoder.feed(STREAM[:at]), *decoder.feed(STREAM[at:]), *decoder.end()]) == whole


def test_a_stream_that_breaks_off_ends_with_an_error_and_keeps_what_was_read() -> None:
    cut = STREAM[: STREAM.index(b"event: message_delta")]
    found = frames(cut, 7)
    assert [frame.error is not None for frame in found].count(True) == 1
    assert found[-1].error is not None
    assert json.loads(found[-1].data)["error"]["code"] == "stream_cut"
    assert found[0].usage is not None
    assert found[0].usage.read_tokens == 16


def test_an_error_event_is_what_it_says() -> None:
    event = b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}\n\n'
    *_, last = frames(event)
    failure = adapter.error(200, {}, last.data, DIRECT)
    assert (failure.error.status, failure.error.reason, failure.retryable) == (503, "upstream_overloaded", True)


def test_a_call_without_arguments_is_an_empty_object() -> None:
    start = b'data: {"type": "message_start", "message": {"id": "m", "content": []}}\n\n'
    block = b'data: {"type": "content_block_start", "content_block": {"type": "tool_use", "id": "t", "name": "f"}}\n\n'
    found = frames(start + block + b'data: {"type": "content_block_stop"}\n\ndata: {"type": "message_stop"}\n\n')
    assert gathered(found)["arguments"] == "{}"


EXPECTED = {
    400: (400, None),
    401: (502, "provider_credential"),
    402: (502, "provider_credit"),
    403: (502, "provider_credential"),
    404: (502, "provider_unknown_model"),
    413: (400, None),
    429: (502, "provider_rate_limit"),
    500: (502, "upstream_error"),
    504: (504, "upstream_timeout"),
    529: (503, "upstream_overloaded"),
}


CASES = [case for end in ("", ".newest_sdk") for case in captured(f"anthropic.error_behaviour{end}")["cases"]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["http_status"]))
def test_errors(case: dict[str, Any]) -> None:
    answer = {**case["response_body"], "echo": DIRECT.key}
    with pytest.raises(Failure) as caught:
        adapter.decode_chat(case["http_status"], {"retry-after": "7"}, json.dumps(answer).encode(), DIRECT)
    error = caught.value.error
    status, reason = EXPECTED[case["http_status"]]
    if "credit" in case["response_body"]["error"]["message"]:
        status, reason = 502, "provider_credit"
    assert error.status == status
    assert reason in (None, error.reason)
    assert caught.value.retryable == (status != 400)
    assert without_secret(f"{error.message} {error.details}", DIRECT)
