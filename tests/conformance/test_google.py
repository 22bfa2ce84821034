"""Chats of Gemini and Vertex AI: our requests are those of Google's own library, and each parameter moves them."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route
from tests.conformance.captures import same
from tests.conformance.google_lab import (
    FLASH,
    GEMINI,
    HI,
    LITE,
    SIGNED,
    WEATHER,
    adapter,
    body,
    encoded,
    expected,
    request,
)

#: What these tests prove, by wire and operation: the captured requests that ours are compared with, or "documentation".
PROVES = {
    "google/chat": (
        "gemini.generate_content.full",
        "gemini.generate_content.stream",
    ),
}


def test_a_request_with_everything() -> None:
    capture = expected("gemini.generate_content.full")
    theirs = capture["body"]["json"]
    theirs.pop("safetySettings")  # the operator's account has its own
    theirs.pop("toolConfig")  # AUTO is what it is without
    picture = theirs["contents"][0]["parts"][1]["inlineData"]["data"]
    messages = [
        {"role": "system", "content": "You are terse."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}},
                {"type": "image_url", "image_url": {"url": "https://example.com/c.png"}},
            ],
        },
        {"role": "assistant", "tool_calls": [SIGNED]},
        {"role": "tool", "tool_call_id": "call_1", "content": '{"c": 3}'},
    ]
    asked = request(
        messages=messages,
        tools=[WEATHER],
        temperature=0.7,
        top_p=0.9,
        stop=["END"],
        presence_penalty=0.1,
        frequency_penalty=0.2,
        reasoning_effort="low",
        max_tokens=256,
        seed=42,
    )
    same(encoded(asked, FLASH), capture)


def test_json_search_code_and_streams() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    asked = request(messages=[{"role": "user", "content": "give json"}], response_format=wanted)
    same(encoded(asked), expected("gemini.generate_content.json"))
    tools = [{"type": "google_search"}, {"type": "code_execution"}]
    asked = request(messages=[{"role": "user", "content": "news?"}], tools=tools, reasoning_effort="none")
    same(encoded(asked), expected("gemini.generate_content.search_codeexec"))
    same(encoded(request(stream=True), FLASH), expected("gemini.generate_content.stream"))


def test_a_search_model_always_searches() -> None:
    assert body(encoded(request(), operation="search"))["tools"] == [{"googleSearch": {}}]
    assert "tools" not in body(encoded(request()))


def test_vertex_has_a_host_for_each_location() -> None:
    def host(location: str) -> str:
        base = f"https://aiplatform.googleapis.com/v1/projects/p/locations/{location}/publishers/google/models"
        return encoded(request(), provider=Provider("vertex", "google", base, signer="google")).url.split("/")[2]

    assert host("global") == "aiplatform.googleapis.com"
    assert host("europe-west4") == "europe-west4-aiplatform.googleapis.com"


def test_unsigned_calls_of_newer_models_say_so_and_results_may_be_anything() -> None:
    bare = {name: value for name, value in SIGNED.items() if name != "extra_content"}
    messages = [
        *HI,
        {"role": "assistant", "content": "Look.", "tool_calls": [bare, {**bare, "id": "call_2"}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        {"role": "tool", "tool_call_id": "call_2", "content": "[1]"},
    ]
    _, model, results = body(encoded(request(messages=messages), FLASH))["contents"]
    signatures = [part.get("thoughtSignature") for part in model["parts"]]
    assert signatures == [None, "skip_thought_signature_validator", None]
    assert [part["functionResponse"]["response"] for part in results["parts"]] == [{"result": "sunny"}, {"result": [1]}]
    older = body(encoded(request(messages=messages)))["contents"][1]["parts"]
    assert not any("thoughtSignature" in part for part in older)


@pytest.mark.parametrize(
    ("fields", "moved"),
    [
        ({"temperature": 0.3}, {"temperature": 0.3}),
        ({"top_p": 0.3}, {"topP": 0.3}),
        ({"top_k": 3}, {"topK": 3}),
        ({"stop": "x"}, {"stopSequences": ["x"]}),
        ({"presence_penalty": 0.5}, {"presencePenalty": 0.5}),
        ({"frequency_penalty": 0.5}, {"frequencyPenalty": 0.5}),
        ({"logprobs": True, "top_logprobs": 3}, {"responseLogprobs": True, "logprobs": 3}),
        ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
        ({"reasoning_effort": "high"}, {"thinkingConfig": {"thinkingBudget": 24576, "includeThoughts": True}}),
        ({"thinking_budget": 100}, {"thinkingConfig": {"thinkingBudget": 100, "includeThoughts": True}}),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 64}},
            {"thinkingConfig": {"thinkingBudget": 64, "includeThoughts": True}},
        ),
    ],
)
def test_each_parameter_moves_the_request(fields: dict[str, Any], moved: dict[str, Any]) -> None:
    config = body(encoded(request(**fields)))["generationConfig"]
    assert {name: config[name] for name in moved} == moved
    assert fields.keys() <= adapter.params(Capability.CHAT, GEMINI, Route("gemini", LITE))


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        (FLASH, "none", {"thinkingLevel": "MINIMAL"}),
        (FLASH, "medium", {"thinkingLevel": "MEDIUM", "includeThoughts": True}),
        (FLASH, "xhigh", {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-3.1-pro-preview", "none", {"thinkingLevel": "LOW"}),
        ("gemini-3.1-pro-preview", "medium", {"thinkingLevel": "MEDIUM", "includeThoughts": True}),
        ("gemini-3-pro-preview", "medium", {"thinkingLevel": "HIGH", "includeThoughts": True}),
        (LITE, "none", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", "none", {"thinkingBudget": 128}),
        (LITE, "minimal", {"thinkingBudget": 512, "includeThoughts": True}),
    ],
)
def test_effort_is_what_the_model_has_of_it(model: str, effort: str, config: dict[str, Any]) -> None:
    assert body(encoded(request(reasoning_effort=effort), model))["generationConfig"]["thinkingConfig"] == config


@pytest.mark.parametrize(
    ("fields", "newer", "older"),
    [
        ({"thinking": {"type": "disabled"}}, {"thinkingLevel": "MINIMAL"}, {"thinkingBudget": 0}),
        ({"thinking_budget": 0}, {"thinkingLevel": "MINIMAL"}, {"thinkingBudget": 0}),
        (
            {"thinking": {"type": "enabled"}},
            {"includeThoughts": True},
            {"thinkingBudget": -1, "includeThoughts": True},
        ),
    ],
)
def test_thinking_is_turned_off_and_on(fields: dict[str, Any], newer: dict[str, Any], older: dict[str, Any]) -> None:
    for model, config in ((FLASH, newer), (LITE, older)):
        assert body(encoded(request(**fields), model))["generationConfig"]["thinkingConfig"] == config


def test_every_parameter_of_a_chat_that_is_named_moves_the_request() -> None:
    values: dict[str, Any] = {
        "frequency_penalty": 0.5,
        "functions": [WEATHER["function"]],
        "messages": [{"role": "user", "content": "ho"}],
        "presence_penalty": 0.5,
        "reasoning_effort": "low",
        "response_format": {"type": "json_object"},
        "stop": ["x"],
        "temperature": 0.1,
        "thinking": {"type": "enabled"},
        "thinking_budget": 99,
        "tools": [WEATHER],
        "top_k": 4,
        "top_p": 0.4,
        "logprobs": True,
        "web_search_options": {},
    }
    still = encoded(request()).body
    moved = {name for name, value in values.items() if encoded(request(**{name: value})).body != still}
    tools = encoded(request(tools=[WEATHER])).body
    moved |= {
        name
        for name in ("tool_choice", "function_call")
        if encoded(request(tools=[WEATHER], **{name: "none"})).body != tools
    }
    if encoded(request(logprobs=True, top_logprobs=2)).body != encoded(request(logprobs=True)).body:
        moved.add("top_logprobs")
    if body(encoded(request(max_tokens=9)))["generationConfig"] == {"maxOutputTokens": 9}:
        moved |= {"max_tokens", "max_completion_tokens"}
    if body(encoded(request(seed=0)))["generationConfig"] == {"seed": 0}:
        moved.add("seed")
    if encoded(request(stream=True)).url.endswith(":streamGenerateContent?alt=sse"):
        moved |= {"stream", "stream_options"}
    assert moved == adapter.params(Capability.CHAT, GEMINI, Route("gemini", LITE))


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (
            {"type": "function", "function": {"name": "get_weather"}},
            {"mode": "ANY", "allowedFunctionNames": ["get_weather"]},
        ),
    ],
)
def test_the_choice_of_tools(choice: Any, config: dict[str, Any]) -> None:
    sent = body(encoded(request(tools=[WEATHER], tool_choice=choice)))
    assert sent["toolConfig"]["functionCallingConfig"] == config


def test_tools_that_the_provider_runs() -> None:
    tools = [{"type": "url_context"}, {"type": "web_search"}, WEATHER]
    sent = body(encoded(request(tools=tools)))["tools"]
    assert [next(iter(tool)) for tool in sent] == ["urlContext", "googleSearch", "functionDeclarations"]


def test_results_of_tools_stand_by_themselves_and_are_those_of_the_last_call_of_that_id() -> None:
    def call(name: str) -> dict[str, Any]:
        return {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": name, "arguments": "{}"}}],
        }

    result = {"role": "tool", "tool_call_id": "c", "content": "{}"}
    messages = [*HI, call("first"), result, call("second"), result, {"role": "user", "content": "and?"}]
    contents = body(encoded(request(messages=messages)))["contents"]
    assert [content["role"] for content in contents] == ["user", "model", "user", "model", "user", "user"]
    assert [contents[at]["parts"][0]["functionResponse"]["name"] for at in (2, 4)] == ["first", "second"]


def test_sound_and_documents_go_out_as_bytes() -> None:
    data = base64.b64encode(b"bytes").decode()
    parts = [
        {"type": "input_audio", "input_audio": {"data": data, "format": "mp3"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{data}"}},
    ]
    sent = body(encoded(request(messages=[{"role": "user", "content": parts}])))["contents"][0]["parts"]
    assert [part["inlineData"] for part in sent] == [
        {"mimeType": "audio/mp3", "data": data},
        {"mimeType": "application/pdf", "data": data},
    ]
    assert adapter.inline


def test_web_search_and_unknown_tools() -> None:
    assert body(encoded(request(web_search_options={})))["tools"] == [{"googleSearch": {}}]
    with pytest.raises(BadRequest, match="computer_use"):
        encoded(request(tools=[{"type": "computer_use"}]))


def test_seeds_larger_than_the_api_has_are_taken_to_their_remainder() -> None:
    for seed, sent in ((0, 0), (2**31 - 1, 2**31 - 1), (2**31 + 5, 5)):
        assert body(encoded(request(seed=seed)))["generationConfig"] == {"seed": sent}
