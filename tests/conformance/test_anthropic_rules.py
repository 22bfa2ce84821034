"""What Anthropic's API refuses is not sent to it, and what it answers oddly is still read. These rest on its documentation and
on answers that it is known to give."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Route
from openpollen.core.usage import Usage
from openpollen.providers.failures import Failure
from tests.conformance.anthropic_lab import (
    CALL,
    DIRECT,
    HAIKU,
    HI,
    PIXEL,
    SCHEMA,
    SONNET,
    WEATHER,
    adapter,
    body,
    decoded,
    encoded,
    frames,
    gathered,
    request,
)
from tests.conformance.captures import without_secret

OPUS, OLD = "claude-opus-4-7", "claude-3-5-haiku-20241022"
TOLD = {"role": "tool", "tool_call_id": "toolu_0", "content": "3"}
LOOP = [*HI, {"role": "assistant", "tool_calls": [CALL]}, TOLD]
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "sig"}
THINK = {"type": "enabled", "budget_tokens": 2000}


def said_with(part: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": [part]}


FORCED: dict[str, Any] = {"tools": [WEATHER], "tool_choice": "required"}


@pytest.mark.parametrize(
    ("model", "fields", "how", "effort"),
    [
        (HAIKU, {}, None, None),
        (HAIKU, {"reasoning_effort": "none"}, None, None),
        (HAIKU, {"thinking": {"type": "disabled"}, "reasoning_effort": "high"}, {"type": "disabled"}, None),
        (SONNET, {"thinking": {"type": "adaptive"}}, {"type": "adaptive"}, None),
        (SONNET, {"thinking": {"type": "adaptive"}, "reasoning_effort": "low"}, {"type": "adaptive"}, "low"),
        (SONNET, {"reasoning_effort": "xhigh"}, {"type": "adaptive"}, "high"),
        (SONNET, {"thinking_budget": 3000}, {"type": "enabled", "budget_tokens": 3000}, None),
        (OPUS, {"reasoning_effort": "xhigh"}, {"type": "adaptive"}, "xhigh"),
        (OPUS, {"thinking": THINK}, {"type": "adaptive"}, "low"),
        (OPUS, {"thinking_budget": 60000}, {"type": "adaptive"}, "max"),
        # An effort is a wish: a tool that must be called goes before it, and so do calls whose thoughts are lost.
        (HAIKU, {"reasoning_effort": "low", **FORCED}, None, None),
        (SONNET, {"reasoning_effort": "low", **FORCED}, None, "low"),
        (HAIKU, {"reasoning_effort": "low", "messages": LOOP}, None, None),
        (SONNET, {"reasoning_effort": "low", "messages": LOOP}, {"type": "adaptive"}, "low"),
        (HAIKU, {"reasoning_effort": "low", "messages": [*LOOP, *HI]}, {**THINK, "budget_tokens": 2048}, None),
        (HAIKU, {"thinking": THINK, "messages": LOOP}, THINK, None),
    ],
)
def test_how_it_is_asked_to_think(model: str, fields: dict[str, Any], how: Any, effort: str | None) -> None:
    sent = body(request(max_tokens=9000, **fields), model)
    assert sent.get("thinking") == how
    assert sent.get("output_config", {}).get("effort") == effort


def test_thinking_goes_on_where_its_thoughts_came_back() -> None:
    said = {"role": "assistant", "tool_calls": [CALL], "content_blocks": [THOUGHT]}
    sent = body(request(max_tokens=9000, messages=[*HI, said, TOLD], reasoning_effort="low"))
    assert sent["thinking"]["type"] == "enabled"
    assert sent["messages"][1]["content"][0] == THOUGHT


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"thinking": THINK, "temperature": 0.5}, "temperature"),
        ({"reasoning_effort": "low", "top_k": 5}, "top_k"),
        ({"reasoning_effort": "low", "top_p": 0.5}, "top_p"),
        ({"thinking": THINK, **FORCED}, "tool_choice"),
        ({"messages": [{"role": "system", "content": "x"}]}, "no message"),
        (
            {"messages": [said_with({"type": "image_url", "image_url": "data:image/tiff;base64,AA=="})]},
            "image/tiff is not",
        ),
        ({"messages": [said_with({"type": "file", "file_data": "data:a/zip;base64,AA=="})]}, "application/pdf is"),
    ],
)
def test_what_contradicts_itself_is_refused_with_what_would_work(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(BadRequest, match=named):
        encoded(request(max_tokens=9000, **fields))


def test_sampling_that_goes_with_thinking_is_sent() -> None:
    sent = body(request(max_tokens=9000, thinking=THINK, temperature=1, top_p=0.95))
    assert (sent["temperature"], sent["top_p"]) == (1, 0.95)


def test_every_parameter_is_known_to_a_test_and_newer_models_take_no_sampling() -> None:
    known = adapter.params(Capability.CHAT, DIRECT, Route("anthropic", HAIKU))
    assert known == {
        "function_call", "functions", "max_completion_tokens", "max_tokens", "messages", "model", "parallel_tool_calls",
        "reasoning_effort", "response_format", "stop", "stream", "stream_options", "temperature", "thinking",
        "thinking_budget", "tool_choice", "tools", "top_k", "top_p", "user",
    }  # fmt: skip
    newer = adapter.params(Capability.CHAT, DIRECT, Route("anthropic", OPUS))
    assert known - newer == {"temperature", "top_k", "top_p"}
    assert not {"temperature", "top_k"} & body(request(temperature=0.1, top_k=3), OPUS).keys()
    assert adapter.params(Capability.IMAGE, DIRECT, Route("anthropic", HAIKU)) == frozenset()
    assert adapter.inline


def test_a_limit_is_always_sent() -> None:
    assert body(request(max_tokens=77))["max_tokens"] == 77
    assert body(request(max_tokens=None))["max_tokens"] == 4096


OPEN = {
    "type": "object",
    "properties": {
        "minimum": {"type": "integer", "minimum": 1, "maximum": 9, "description": "How many."},
        "tags": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "string", "maxLength": 5}},
        "one": {"anyOf": [{"$ref": "#/$defs/part"}, {"type": "null"}]},
    },
    "$defs": {"part": {"type": "object", "properties": {"a": {"type": "string"}}}},
}
CLOSED = {
    "type": "object",
    "properties": {
        "minimum": {"type": "integer", "description": "How many. (minimum: 1, maximum: 9)"},
        "tags": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "description": "(maxLength: 5)"},
            "description": "(maxItems: 3)",
        },
        "one": {"anyOf": [{"$ref": "#/$defs/part"}, {"type": "null"}]},
    },
    "$defs": {"part": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}},
    "additionalProperties": False,
}
FREE = {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {"type": "string"}}}}


def in_schema(schema: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}}


def test_a_schema_is_closed_and_its_bounds_are_told() -> None:
    assert body(request(**in_schema(OPEN)))["output_config"]["format"]["schema"] == CLOSED


@pytest.mark.parametrize(("model", "schema"), [(HAIKU, FREE), (OLD, SCHEMA)])
def test_a_schema_that_no_grammar_has_is_an_instruction(model: str, schema: Any) -> None:
    sent = body(request(**in_schema(schema)), model)
    assert "output_config" not in sent
    assert json.loads(sent["system"].partition("schema: ")[2]) == schema


def test_a_strict_tool_has_a_schema_that_can_be_kept() -> None:
    function = {"name": "f", "strict": True, "parameters": OPEN}
    tool = {"type": "function", "function": function, "cache_control": {"type": "ephemeral"}}
    assert body(request(tools=[tool]))["tools"] == [
        {"name": "f", "input_schema": CLOSED, "strict": True, "cache_control": {"type": "ephemeral"}}
    ]
    loose = {"type": "function", "function": {**function, "strict": True, "parameters": FREE}}
    assert body(request(tools=[loose]))["tools"] == [{"name": "f", "input_schema": FREE}]


def test_ids_and_thoughts_of_other_hosts() -> None:
    foreign = {**CALL, "id": "functions.get_weather:0"}
    blocks = [{"type": "thinking", "thinking": "unsigned"}, {"type": "reasoning.text", "text": "x"}]
    said = {"role": "assistant", "content": None, "tool_calls": [foreign], "content_blocks": blocks}
    told = {"role": "tool", "tool_call_id": "functions.get_weather:0", "content": ""}
    sent = body(request(messages=[*HI, said, told], tools=[WEATHER]))["messages"]
    assert [block["type"] for block in sent[1]["content"]] == ["tool_use"]
    assert sent[1]["content"][0]["id"] == "functions_get_weather_0"
    assert sent[2]["content"] == [{"type": "tool_result", "tool_use_id": "functions_get_weather_0"}]


def test_marks_for_the_cache_stand_on_whole_blocks_and_blank_text_is_left_out() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    picture = {"type": "image_url", "image_url": {"url": PIXEL}}
    told = {"role": "tool", "tool_call_id": "toolu_0", "content": [{"type": "text", "text": "a", **mark}, picture]}
    system = {"role": "system", "content": [{"type": "text", "text": " "}, {"type": "text", "text": "b"}]}
    asked = {"role": "user", "content": [{"type": "text", "text": "\n"}, {**picture, **mark}]}
    sent = body(request(messages=[system, asked, LOOP[1], told]))
    assert sent["system"] == "b"
    assert [block["type"] for block in sent["messages"][0]["content"]] == ["image"]
    assert sent["messages"][0]["content"][0]["cache_control"] == mark["cache_control"]
    (result,) = sent["messages"][2]["content"]
    assert result["cache_control"] == mark["cache_control"]
    assert result["content"][0] == {"type": "text", "text": "a"}


@pytest.mark.parametrize(
    ("file", "source"),
    [
        (
            "data:application/pdf;base64,JVBERg==",
            {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
        ),
        ("data:text/csv;base64,YSxi", {"type": "text", "media_type": "text/plain", "data": "a,b"}),
        ("https://example.com/a.pdf", {"type": "url", "url": "https://example.com/a.pdf"}),
    ],
)
def test_files(file: str, source: dict[str, str]) -> None:
    part = {"type": "file", "file": {"file_data": file, "filename": "a.pdf"}}
    (sent,) = body(request(messages=[{"role": "user", "content": [part]}]))["messages"]
    assert sent["content"] == [{"type": "document", "source": source, "title": "a.pdf"}]


# Answers


def test_nulls_and_unknown_blocks_are_passed_over() -> None:
    answer = decoded(
        {
            "id": None,
            "model": None,
            "content": [
                {"type": "text", "text": None, "citations": None},
                {"type": "thinking", "thinking": "hm", "signature": None},
                {"type": "tool_use", "id": "t", "name": "f", "input": None, "caller": None},
                {"type": "container_upload", "file_id": "x"},
            ],
            "stop_reason": None,
            "stop_details": None,
            "usage": {"input_tokens": None, "output_tokens": None, "server_tool_use": None},
        }
    )
    said = answer["choices"][0]["message"]
    assert (said["reasoning_content"], said.get("content_blocks"), "usage" in answer) == ("hm", None, False)
    assert said["tool_calls"][0]["function"]["arguments"] == "{}"


def test_hidden_thoughts_go_out_and_return() -> None:
    hidden = {"type": "redacted_thinking", "data": "EmwKAhgB"}
    said = decoded({"id": "m", "content": [hidden, {"type": "text", "text": "a"}]})["choices"][0]["message"]
    assert said["content_blocks"] == [hidden]
    sent = body(request(messages=[*HI, said, *HI]))["messages"][1]["content"]
    assert sent == [hidden, {"type": "text", "text": "a"}]


REFUSED = {"type": "refusal", "category": "cyber", "explanation": "Not this."}


def test_a_refusal_tells_why_whole_and_streamed() -> None:
    answer = decoded({"id": "m", "content": [], "stop_reason": "refusal", "stop_details": REFUSED})["choices"][0]
    assert (answer["finish_reason"], answer["message"]["refusal"]) == ("content_filter", "Not this.")
    found = frames(
        event({"type": "message_start", "message": {"id": "m", "content": []}})
        + event({"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": REFUSED}})
        + event({"type": "message_stop"})
    )
    assert gathered(found)["finish"] == "content_filter"
    assert b'"refusal":"Not this."' in b"".join(one.data for one in found)


def test_thinking_is_a_part_of_what_was_written() -> None:
    usage = {"input_tokens": 5, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 6}}
    answer = adapter.decode_chat(200, {}, json.dumps({"id": "m", "content": [], "usage": usage}).encode(), DIRECT)
    assert answer.usage == Usage(input_tokens=5, output_tokens=3, reasoning_tokens=6)
    told = json.loads(answer.body)["usage"]
    assert (told["completion_tokens"], told["completion_tokens_details"]) == (9, {"reasoning_tokens": 6})


@pytest.mark.parametrize("count", [0, 10**12])
def test_counts_that_cannot_be_are_none(count: int) -> None:
    told: dict[str, Any] = {"id": "m", "content": [], "usage": {"input_tokens": count, "output_tokens": 0}}
    assert adapter.decode_chat(200, {}, json.dumps(told).encode(), DIRECT).usage is None


@pytest.mark.parametrize("answer", [b"{}", b"[]", b"", b"\xff", b'{"content": "x"}', b"<html>"])
def test_what_is_no_message_is_unreadable(answer: bytes) -> None:
    with pytest.raises(Failure) as caught:
        adapter.decode_chat(200, {}, answer, DIRECT)
    assert (caught.value.error.reason, caught.value.retryable) == ("upstream_invalid_answer", True)


# Streams


def event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


START = event({"type": "message_start", "message": {"id": "m", "content": [], "usage": {"input_tokens": 3}}})
ENDED = event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}})


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (START + ENDED + event({"type": "message_stop"}), True),
        (START + ENDED + event({"type": "message_stop"}).strip(), True),
        (START + ENDED, True),
        (START + ENDED + b'data: {"type": "message_st', False),
        (START, False),
        (b"", False),
        (START + b"data: nonsense\n\n" + ENDED, False),
        (START + ENDED + event({"type": "message_stop"}) + b"data: nonsense\n\n", True),
        (b'{"type": "error", "error": {"type": "api_error", "message": "x"}}', False),
    ],
)
def test_a_stream_has_one_final_frame(data: bytes, whole: bool) -> None:
    for size in (1 << 20, 1):
        found = frames(data, size)
        assert [one.done or one.error is not None for one in found].count(True) == 1
        assert found[-1].done == whole


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        ("overloaded_error", 503, "upstream_overloaded"),
        ("rate_limit_error", 502, "provider_rate_limit"),
        ("timeout_error", 504, "upstream_timeout"),
        ("billing_error", 502, "provider_credit"),
        ("authentication_error", 502, "provider_credential"),
        ("api_error", 502, "upstream_error"),
    ],
)
def test_an_error_in_a_stream_means_what_its_status_would(kind: str, status: int, reason: str) -> None:
    *_, last = frames(START + event({"type": "error", "error": {"type": kind, "message": f"no {DIRECT.key}"}}))
    found = adapter.error(200, {}, last.data, DIRECT)
    assert (found.error.status, found.error.reason, found.retryable) == (status, reason, True)
    assert without_secret(f"{found.error.message} {found.error.details}", DIRECT)


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        ("Output blocked by content filtering policy", 422, "content_policy_violation"),
        (
            "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
            502,
            "provider_credit",
        ),
        ("This organization has been disabled.", 502, "provider_credential"),
        ("messages: text content blocks must be non-empty", 400, "upstream_invalid_request"),
    ],
)
def test_an_invalid_request_is_told_by_its_words(words: str, status: int, reason: str) -> None:
    told = {"type": "error", "error": {"type": "invalid_request_error", "message": words}}
    found = adapter.error(400, {}, json.dumps(told).encode(), DIRECT)
    assert (found.error.status, found.error.reason) == (status, reason)
    assert found.retryable == (status == 502)
