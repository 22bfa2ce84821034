"""Claude elsewhere, and what not every host has: Bedrock's InvokeModel, locations of Vertex AI, web search."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from openpollen.catalog.load import load_catalog
from openpollen.catalog.registry import Registry
from openpollen.core.chat import ChatFrame
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route, Unit
from openpollen.core.usage import Usage
from openpollen.providers.failures import Failure
from tests.conformance.anthropic_lab import (
    BEDROCK,
    DIRECT,
    HAIKU,
    HI,
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
from tests.conformance.captures import captured, same, timeless
from tests.conformance.test_aws_wire import frame, text

ON_BEDROCK = "us.anthropic.claude-haiku-4-5-20251001-v1:0"


@pytest.mark.parametrize(
    ("name", "messages"),
    [
        ("bedrock.claude.invoke_model", HI),
        ("bedrock.claude.invoke_model.anthropic_sdk", [{"role": "system", "content": "x"}, *HI]),
        ("bedrock.claude.invoke_model_stream", HI),
    ],
)
def test_invoke_model(name: str, messages: list[Any]) -> None:
    expected = captured(name)["requests"][0]
    expected["headers"].pop("authorization")  # the signature is put in when the request goes out
    out = encoded(request(stream="stream" in name, messages=messages), ON_BEDROCK, BEDROCK)
    assert out.service == "bedrock"
    # Its library names no type of a stream's body; the service's own definition does.
    same(out, {**expected, "headers": {"content-type": "application/json", **expected["headers"]}})


def test_bedrock_takes_no_user_and_no_search() -> None:
    rich = Provider("b", "anthropic", BEDROCK.base_url, signer="aws", params=frozenset({"web_search_options"}))
    known = adapter.params(Capability.CHAT, rich, Route("b", ON_BEDROCK))
    assert not {"user", "web_search_options"} & known
    assert body(request(user="u", web_search_options={}), ON_BEDROCK, rich).keys() == {
        "max_tokens", "messages", "anthropic_version",
    }  # fmt: skip


BINARY = base64.b64decode(captured("bedrock.claude.invoke_model_stream")["recorder_response_frames_base64"])


def test_a_binary_stream_says_what_botocore_read() -> None:
    parsed = captured("bedrock.claude.invoke_model_stream")["sdk_parsed"]
    found = frames(BINARY)
    assert json.loads(found[0].data)["id"] == parsed[0]["message"]["id"]
    assert gathered(found)["content"] == parsed[1]["delta"]["text"]
    assert found[-1].done
    assert [one.usage for one in found if one.usage][-1] == Usage(input_tokens=1, output_tokens=1)


def test_a_binary_stream_may_be_split_anywhere() -> None:
    whole = timeless(frames(BINARY))
    for at in range(1, len(BINARY)):
        decoder = adapter.chat_frames(Route("b", ON_BEDROCK))
        assert timeless([*decoder.feed(BINARY[:at]), *decoder.feed(BINARY[at:]), *decoder.end()]) == whole
    assert timeless(frames(BINARY, 1)) == whole


@pytest.mark.parametrize("data", [BINARY[:-3], BINARY[:500], BINARY[:-1] + b"\x00", BINARY[:8] + b"x" + BINARY[9:]])
def test_a_binary_stream_that_breaks_ends_with_one_error(data: bytes) -> None:
    found = frames(data, 100)
    assert [one.error is not None for one in found].count(True) == 1
    assert found[-1].error
    assert not any(one.done for one in found)


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        ("throttlingException", 502, "provider_rate_limit"),
        ("serviceUnavailableException", 503, "upstream_overloaded"),
        ("modelTimeoutException", 504, "upstream_timeout"),
        ("internalServerException", 502, "upstream_error"),
    ],
)
def test_an_exception_in_a_binary_stream(kind: str, status: int, reason: str) -> None:
    headers = text(":message-type", "exception") + text(":exception-type", kind)
    wrong = frame(headers, b'{"message": "not now"}')
    *_, last = frames(wrong)
    found = adapter.error(200, {}, last.data, BEDROCK)
    assert (found.error.status, found.error.reason, found.retryable) == (status, reason, True)


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("global", "aiplatform.googleapis.com"),
        ("us-east5", "us-east5-aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
    ],
)
def test_a_location_of_vertex_has_its_host(location: str, host: str) -> None:
    path = f"/v1/projects/p/locations/{location}/publishers/anthropic/models"
    vertex = Provider("v", "anthropic", f"https://aiplatform.googleapis.com{path}", signer="google")
    assert encoded(request(), "claude-x", vertex).url == f"https://{host}{path}/claude-x:rawPredict"


def test_vertex_says_its_errors_as_google_does() -> None:
    told = b'[{"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}}]'
    with pytest.raises(Failure) as caught:
        adapter.decode_chat(429, {"retry-after": "3"}, told, VERTEX)
    assert (caught.value.error.reason, caught.value.error.retry_after) == ("provider_rate_limit", 3)


# Web search, by Anthropic's page of the tool: no library was recorded with it

SEARCHING = Provider(
    "anthropic", "anthropic", DIRECT.base_url, "k", auth="x-api-key", params=frozenset({"web_search_options"})
)
FOUND = [{"type": "web_search_result", "url": "https://a.example/1", "title": "A", "encrypted_content": "EqgfCioIARgB"}]
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "weather"}}
RESULT = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": FOUND}
CITED = {"type": "web_search_result_location", "url": "https://a.example/1", "title": "A", "cited_text": "It rains."}
SEARCHED = {
    "id": "m",
    "model": HAIKU,
    "content": [SEARCH, RESULT, {"type": "text", "text": "It rains.", "citations": [CITED, CITED]}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 9, "output_tokens": 4, "server_tool_use": {"web_search_requests": 1}},
}
SEARCHED_STREAM = b"".join(
    b"data: " + json.dumps(event).encode() + b"\n\n"
    for event in (
        {"type": "message_start", "message": {"id": "m", "model": HAIKU, "usage": {"input_tokens": 9}}},
        {"type": "content_block_start", "index": 0, "content_block": {**SEARCH, "input": {}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"query":'}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": '"weather"}'},
        },
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": RESULT},
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "citations_delta", "citation": CITED}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "It rains."}},
        {"type": "content_block_stop", "index": 2},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}},
        {"type": "message_delta", "delta": {}, "usage": {"server_tool_use": {"web_search_requests": 1}}},
        {"type": "message_stop"},
    )
)
COUNTED = Usage(input_tokens=9, output_tokens=4, searches=1)


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({}, {"max_uses": 5}),
        ({"search_context_size": "low"}, {"max_uses": 1}),
        (
            {"user_location": {"type": "approximate", "approximate": {"city": "Oslo", "country": "NO"}}},
            {"max_uses": 5, "user_location": {"type": "approximate", "city": "Oslo", "country": "NO"}},
        ),
    ],
)
def test_search_by_documentation_is_a_tool_where_the_configuration_names_it(options: Any, more: Any) -> None:
    for provider, route in ((SEARCHING, frozenset[str]()), (DIRECT, SEARCHING.params)):
        found = adapter.params(Capability.CHAT, provider, Route("anthropic", HAIKU, params=route))
        assert "web_search_options" in found
    assert "web_search_options" not in adapter.params(Capability.CHAT, DIRECT, Route("anthropic", HAIKU))
    tools = body(request(web_search_options=options, tools=[WEATHER]), provider=SEARCHING)["tools"]
    assert tools[1] == {"type": "web_search_20250305", "name": "web_search", **more}


def test_a_searched_answer_by_documentation_has_its_sources_and_count() -> None:
    answer = adapter.decode_chat(200, {}, json.dumps(SEARCHED).encode(), SEARCHING)
    said = json.loads(answer.body)
    assert said["citations"] == ["https://a.example/1"]
    assert said["choices"][0]["finish_reason"] == "stop"
    assert "tool_calls" not in said["choices"][0]["message"]
    assert answer.usage == COUNTED


def test_a_searched_stream_by_documentation_says_what_the_whole_answer_says() -> None:
    said = decoded(SEARCHED)["choices"][0]["message"]
    for size in (1 << 20, 1):
        found = frames(SEARCHED_STREAM, size)
        heard = gathered(found)
        assert (heard["content"], heard["blocks"], heard["finish"]) == (said["content"], said["content_blocks"], "stop")
        assert cited(found) == ["https://a.example/1"]
        assert [one.usage for one in found if one.usage][-1] == COUNTED


def cited(found: list[ChatFrame]) -> list[str]:
    return [url for one in found if not one.done for url in json.loads(one.data).get("citations", ())]


def test_what_was_found_returns_unchanged_while_there_is_search() -> None:
    said = decoded(SEARCHED)["choices"][0]["message"]
    messages = [*HI, said, {"role": "user", "content": "And tomorrow?"}]
    again = body(request(messages=messages, web_search_options={}), provider=SEARCHING)["messages"][1]["content"]
    assert again == [SEARCH, RESULT, {"type": "text", "text": "It rains."}]
    assert body(request(messages=messages), provider=SEARCHING)["messages"][1]["content"] == "It rains."


def test_a_search_that_was_interrupted_returns_alone_at_the_end_only() -> None:
    paused = {**SEARCHED, "content": [SEARCH], "stop_reason": "pause_turn"}
    said = decoded(paused)["choices"][0]["message"]
    assert decoded(paused)["choices"][0]["finish_reason"] == "stop"
    on = request(messages=[*HI, said], web_search_options={})
    assert body(on, provider=SEARCHING)["messages"][1]["content"] == [SEARCH]
    later = request(messages=[*HI, said, *HI], web_search_options={})
    assert len(body(later, provider=SEARCHING)["messages"]) == 1


def test_other_tools_of_the_provider_are_refused_by_name() -> None:
    with pytest.raises(BadRequest, match="web_search_20250305"):
        encoded(request(tools=[{"type": "web_search_20250305"}]), provider=SEARCHING)


def test_the_guides_example_of_a_searching_model_searches(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/providers/anthropic.md").read_text("utf-8")
    path = tmp_path / "openpollen.toml"
    path.write_text(guide.partition("```toml\n")[2].partition("```")[0], "utf-8")
    wires = {"anthropic": adapter.operations}
    env = {"ANTHROPIC_API_KEY": "k"}
    registry = Registry.build(load_catalog(path), env, local_url="http://127.0.0.1:1/v1", wires=wires)
    found = registry.resolve("claude-search", "chat").model
    serving = registry.serving(found, Capability.CHAT)
    ((route, provider),) = serving.routes
    assert serving.price.rates[Unit.SEARCH] == 10_000_000
    out = adapter.encode_chat(request(web_search_options={}), route, provider)
    assert b"web_search_20250305" in (out.body if isinstance(out.body, bytes) else b"")
    assert dict(out.headers)["x-api-key"] == "k"
