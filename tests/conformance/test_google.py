"""Gemini and Vertex AI: our requests are those of Google's own library, the answers it can read come out as OpenAI's."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from openpollen.core.assets import Asset, ImageRequest, JobState, Media, VideoRequest
from openpollen.core.chat import ChatFrame, ChatRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.core.usage import Usage
from openpollen.outbound.message import Outgoing
from openpollen.providers.adapter import adapters
from openpollen.providers.failures import Failure
from tests.conformance.captures import captured, same, timeless, without_secret

adapter = adapters()["google"]
GEMINI = Provider(
    "gemini",
    "google",
    "https://generativelanguage.googleapis.com/v1beta",
    "AIzaFAKE",
    auth="x-goog-api-key",
)
VERTEX = Provider(
    "vertex",
    "google",
    "https://aiplatform.googleapis.com/v1beta1/projects/fake-project/locations/us-central1/publishers/google/models",
    signer="google",
)
VEO = "veo-3.1-fast-generate-preview"
FLASH, LITE = "gemini-3-flash-preview", "gemini-2.5-flash-lite"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SIGNED = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'},
    "extra_content": {"google": {"thought_signature": "c2ln"}},
}
HI = [{"role": "user", "content": "hi"}]


def request(stream: bool = False, max_tokens: int | None = None, seed: int | None = None, **fields: Any) -> ChatRequest:
    raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in ({"messages": HI} | fields).items()}
    return ChatRequest(raw, stream=stream, max_tokens=max_tokens, seed=seed)


def encoded(asked: ChatRequest, model: str = LITE, provider: Provider = GEMINI, operation: str = "") -> Outgoing:
    return adapter.encode_chat(asked, Route(provider.name, model, operation), provider)


def body(out: Outgoing) -> dict[str, Any]:
    assert isinstance(out.body, bytes)
    return json.loads(out.body)


def expected(name: str, number: int = 0) -> dict[str, Any]:
    """A captured request. The library writes some names of Google's bodies with underscores, which mean the same; the token
    of Vertex is put in when the request goes out."""
    found = captured(name)["requests"][number]
    found["headers"].pop("authorization", None)
    if found["body"]["kind"] == "json":
        found["body"]["json"] = camel(found["body"]["json"])
    return found


def camel(value: Any) -> Any:
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    renamed = {"parameters_json_schema": "parametersJsonSchema", "include_thoughts": "includeThoughts"}
    renamed |= {"thinking_level": "thinkingLevel", "thinking_budget": "thinkingBudget"}
    out = {renamed.get(name, name): camel(item) for name, item in value.items()}
    if isinstance(out.get("data"), str):  # either alphabet of base64 is read
        out["data"] = out["data"].replace("-", "+").replace("_", "/")
    return out


def pixel(part: dict[str, Any]) -> bytes:
    return base64.b64decode(part["inlineData"]["data"])


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


@pytest.mark.parametrize("provider", [GEMINI, VERTEX])
def test_pictures(provider: Provider) -> None:
    if provider is GEMINI:
        capture = expected("gemini.generate_content.image")
        image = Asset(pixel(capture["body"]["json"]["contents"][0]["parts"][1]), "image/png")
        asked = ImageRequest("a red fox", 2048, 1152, images=(image,), given=frozenset({"size"}))
        model = "gemini-3-pro-image"
    else:
        capture = expected("vertex.generate_content.image")
        asked, model = ImageRequest("a fox"), "gemini-2.5-flash-image"
    same(adapter.encode_image(asked, Route(provider.name, model), provider), capture)


@pytest.mark.parametrize(
    ("width", "height", "ratio", "size"),
    [(1024, 1024, "1:1", "1K"), (1920, 1080, "16:9", "2K"), (800, 1200, "2:3", "1K"), (4096, 1800, "21:9", "4K")],
)
def test_the_size_of_a_picture_is_the_nearest_there_is(width: int, height: int, ratio: str, size: str) -> None:
    route = Route("gemini", "gemini-3-pro-image-preview")
    config = body(adapter.encode_image(ImageRequest("x", width, height), route, GEMINI))["generationConfig"]
    assert config["imageConfig"] == {"aspectRatio": ratio, "imageSize": size}


def test_the_longest_ratios_are_of_one_model_and_older_models_have_one_size() -> None:
    def shape(model: str) -> dict[str, str]:
        asked = ImageRequest("x", 4096, 1024)
        return body(adapter.encode_image(asked, Route("gemini", model), GEMINI))["generationConfig"]["imageConfig"]

    assert shape("gemini-3.1-flash-image-preview") == {"aspectRatio": "4:1", "imageSize": "4K"}
    assert shape("gemini-3-pro-image-preview") == {"aspectRatio": "21:9", "imageSize": "4K"}
    assert shape("gemini-2.5-flash-image") == {"aspectRatio": "21:9"}


def test_an_edit_without_a_size_keeps_that_of_its_picture() -> None:
    asked = ImageRequest("x", images=(Asset(b"png", "image/png"),))
    sent = body(adapter.encode_image(asked, Route("gemini", "gemini-2.5-flash-image"), GEMINI))
    assert "imageConfig" not in sent["generationConfig"]


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"prompt": "a hen"}, {"prompt"}),
        ({"width": 2048, "height": 1024}, {"width", "height", "size"}),
        ({"seed": 3}, {"seed"}),
        ({"reasoning": True}, {"reasoning"}),
        ({"images": (Asset(b"png", "image/png"),)}, {"image"}),
    ],
)
def test_each_parameter_of_a_picture_moves_the_request(changed: dict[str, Any], names: set[str]) -> None:
    route = Route("gemini", "gemini-3-pro-image-preview")
    plain, moved = (
        adapter.encode_image(ImageRequest(**({"prompt": "a fox"} | more)), route, GEMINI) for more in ({}, changed)
    )
    assert plain.body != moved.body
    assert names <= adapter.params(Capability.EDIT, GEMINI, route)


def test_what_does_not_reach_a_picture_is_not_named() -> None:
    older, newer = Route("gemini", "gemini-2.5-flash-image"), Route("gemini", "gemini-3-pro-image-preview")
    standard = {"prompt", "width", "height", "size", "seed"}
    assert adapter.params(Capability.IMAGE, GEMINI, older) == standard
    assert adapter.params(Capability.EDIT, GEMINI, older) == standard | {"image"}
    assert adapter.params(Capability.IMAGE, GEMINI, newer) == standard | {"reasoning"}


def test_vertex_has_a_host_for_each_location() -> None:
    def host(location: str) -> str:
        base = f"https://aiplatform.googleapis.com/v1/projects/p/locations/{location}/publishers/google/models"
        return encoded(request(), provider=Provider("vertex", "google", base, signer="google")).url.split("/")[2]

    assert host("global") == "aiplatform.googleapis.com"
    assert host("europe-west4") == "europe-west4-aiplatform.googleapis.com"


def test_films_of_the_global_location_are_made_in_one_that_has_them() -> None:
    base = "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models"
    provider = Provider("vertex", "google", base, signer="google")
    at = "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/publishers/google/models"
    route = Route("vertex", VEO)
    assert adapter.encode_video(VideoRequest("x", 4), route, provider).url == f"{at}/{VEO}:predictLongRunning"
    assert adapter.poll_job("projects/p/operations/1", route, provider).url == f"{at}/{VEO}:fetchPredictOperation"


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


ANSWER = captured("gemini.generate_content.full")["recorder_responses"]["items"][0]


def decoded(answer: dict[str, Any]) -> dict[str, Any]:
    return json.loads(adapter.decode_chat(200, {}, json.dumps(answer).encode(), GEMINI).body)


def test_a_whole_answer() -> None:
    made = adapter.decode_chat(200, {}, json.dumps(ANSWER).encode(), GEMINI)
    answer = json.loads(made.body)
    (choice,) = answer["choices"]
    said = choice["message"]
    assert (said["reasoning_content"], said["content"]) == ("thinking...", "Hello!")
    (call,) = said["tool_calls"]
    assert (call["id"], call["function"]["name"]) == ("call_r1_1", "get_weather")
    assert json.loads(call["function"]["arguments"]) == {"city": "Oslo"}
    assert call["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert (choice["finish_reason"], answer["citations"]) == ("tool_calls", ["https://example.com"])
    assert made.usage == Usage(input_tokens=8, cached_input_tokens=4, output_tokens=7, reasoning_tokens=3, searches=1)
    assert answer["usage"]["completion_tokens"] == 10


def test_what_a_turn_brought_goes_back_with_the_next() -> None:
    said = decoded(ANSWER)["choices"][0]["message"]
    messages = [*HI, said, {"role": "tool", "tool_call_id": "call_r1_1", "content": "{}"}]
    _, model, result = body(encoded(request(messages=messages), FLASH))["contents"]
    assert model["parts"][-1]["thoughtSignature"] == "c2ln"
    assert result["parts"][0]["functionResponse"]["name"] == "get_weather"


def streamed(answers: bytes) -> dict[str, Any]:
    """What the frames of a stream say, put together as a client would."""
    said: dict[str, Any] = {"role": "assistant", "content": "", "tool_calls": [], "content_blocks": []}
    for frame in frames(answers):
        for choice in [] if frame.done else json.loads(frame.data)["choices"]:
            delta = choice["delta"]
            said["content"] += delta.get("content") or ""
            for name in ("tool_calls", "content_blocks"):
                said[name] += delta.get(name) or []
    return said


def test_signed_parts_go_back_as_they_came() -> None:
    parts = [
        {"text": "One. "},
        {"text": "Two.", "thoughtSignature": "c2lnMQ=="},
        {"text": " Three."},
        {"text": "", "thoughtSignature": "c2lnMg=="},
        {"functionCall": {"id": "8f2k", "name": "get_weather", "args": {"city": None}}, "thoughtSignature": "c2lnMw=="},
        {"functionCall": {"id": "9f2k", "name": "get_weather", "args": {}}},
    ]
    answer = {
        "responseId": "r2",
        "modelVersion": FLASH,
        "candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}],
    }
    whole = decoded(answer)["choices"][0]["message"]
    for said in (whole, streamed(events(answer))):
        results = [{"role": "tool", "tool_call_id": call["id"], "content": "{}"} for call in said["tool_calls"]]
        messages = [*HI, said, *results]
        _, model, result = body(encoded(request(messages=messages), FLASH))["contents"]
        assert model["parts"] == [
            {"text": "One. Two.", "thoughtSignature": "c2lnMQ=="},
            {"text": " Three.", "thoughtSignature": "c2lnMg=="},
            *parts[4:],
        ]
        assert [part["functionResponse"]["id"] for part in result["parts"]] == ["8f2k", "9f2k"]
        _, model, result = body(encoded(request(messages=messages), FLASH, VERTEX))["contents"]
        assert "id" not in model["parts"][-1]["functionCall"]
        assert "id" not in result["parts"][0]["functionResponse"]


def test_signatures_outlive_words_that_their_client_changed() -> None:
    block = {"type": "thought_signature", "signature": "c2ln", "end": 900}
    other = {"type": "thinking", "thinking": "of another provider", "signature": "x"}
    for content, text in (("Short.", "Short."), (None, "")):
        said = {"role": "assistant", "content": content, "content_blocks": [other, block]}
        model = body(encoded(request(messages=[*HI, said]), FLASH))["contents"][1]
        assert model["parts"] == [{"text": text, "thoughtSignature": "c2ln"}]


def test_calls_of_answers_without_a_name_differ() -> None:
    answer = {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}}]}
    first, second = (decoded(answer)["choices"][0]["message"]["tool_calls"][0]["id"] for _ in range(2))
    assert first != second


def test_what_was_cached_is_not_counted_as_sound_again() -> None:
    usage = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 60,
        "candidatesTokenCount": 5,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 80}, {"modality": "TEXT", "tokenCount": 20}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 60}],
    }
    answer = {"candidates": [{"content": {"parts": [{"text": "a"}]}}], "usageMetadata": usage}
    made = adapter.decode_chat(200, {}, json.dumps(answer).encode(), GEMINI)
    assert made.usage == Usage(input_tokens=20, cached_input_tokens=60, input_audio_tokens=20, output_tokens=5)


@pytest.mark.parametrize(
    "usage", [None, {}, {"totalTokenCount": 3}, {"promptTokenCount": -4}, {"promptTokenCount": 10**12}]
)
def test_usage_that_is_none_or_not_to_be_believed_is_unknown(usage: Any) -> None:
    answer = {"candidates": [{"content": {"parts": [{"text": "a"}]}}], "usageMetadata": usage}
    assert adapter.decode_chat(200, {}, json.dumps(answer).encode(), GEMINI).usage is None


def test_nulls_count_as_absent_and_counts_may_be_text() -> None:
    nulls = {"thought": None, "thoughtSignature": None, "functionCall": None, "inlineData": None}
    candidate = {"content": {"parts": [{"text": "a", **nulls}]}, "finishReason": "STOP", "groundingMetadata": None}
    usage = {"promptTokenCount": "7", "candidatesTokenCount": 1, "promptTokensDetails": None}
    answer = {"candidates": [candidate], "promptFeedback": None, "usageMetadata": usage, "error": None}
    made = adapter.decode_chat(200, {}, json.dumps(answer).encode(), GEMINI)
    assert json.loads(made.body)["choices"][0]["message"]["content"] == "a"
    assert made.usage == Usage(input_tokens=7, output_tokens=1)
    assert frames(events(answer))[-1].done


@pytest.mark.parametrize(("version", "searches"), [(FLASH, 2), (LITE, 1), ("", 1)])
def test_searches_are_counted_as_they_are_billed(version: str, searches: int) -> None:
    grounding = {
        "webSearchQueries": ["a", "", "b"],
        "groundingChunks": [{"web": {"uri": "https://a.example"}}, {"maps": {}}, {"web": {"uri": "https://a.example"}}],
    }
    pages = {"urlMetadata": [{"retrievedUrl": "https://b.example"}]}
    candidate = {"content": {"parts": [{"text": "a"}]}, "groundingMetadata": grounding, "urlContextMetadata": pages}
    answer = {"candidates": [candidate | {"finishReason": "STOP"}], "modelVersion": version}
    answer["usageMetadata"] = {"promptTokenCount": 1}
    made = adapter.decode_chat(200, {}, json.dumps(answer).encode(), GEMINI)
    assert made.usage == Usage(input_tokens=1, searches=searches)
    assert json.loads(made.body)["citations"] == ["https://a.example", "https://b.example"]
    found = frames(
        events(answer, {"candidates": [candidate], "modelVersion": version, "usageMetadata": {"promptTokenCount": 1}})
    )
    assert [frame.usage for frame in found if frame.usage] == [made.usage]
    assert json.loads(found[-3].data)["citations"] == ["https://a.example", "https://b.example"]


def test_sound_pictures_and_tool_results_are_counted_apart() -> None:
    usage = {
        "promptTokenCount": 100,
        "toolUsePromptTokenCount": 20,
        "cachedContentTokenCount": 10,
        "candidatesTokenCount": 50,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}, {"modality": "IMAGE", "tokenCount": 40}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 45}],
    }
    answer = {"candidates": [{"content": {"parts": [{"text": "a"}]}}], "usageMetadata": usage}
    made = adapter.decode_chat(200, {}, json.dumps(answer).encode(), GEMINI)
    assert made.usage == Usage(
        input_tokens=40,
        cached_input_tokens=10,
        input_audio_tokens=30,
        input_image_tokens=40,
        output_tokens=5,
        output_image_tokens=45,
    )


def test_a_picture_and_its_usage() -> None:
    answer = captured("gemini.generate_content.image")["recorder_responses"]["items"][0]
    made = adapter.decode_image(200, {}, json.dumps(answer).encode(), GEMINI)
    assert [asset.data[:4] for asset in made.assets] == [b"\x89PNG"]
    assert made.usage == Usage(input_tokens=8, output_image_tokens=1290, images=1)


def test_code_that_ran_is_shown() -> None:
    parts = [
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}},
        {"text": "One."},
    ]
    said = decoded({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]})["choices"][0]["message"]
    assert said["content"] == "\n```python\nprint(1)\n```\n\n```\n1\n\n```\nOne."


def test_logprobs() -> None:
    token = {"token": "a", "logProbability": -0.5}
    result = {"chosenCandidates": [token], "topCandidates": [{"candidates": [token]}]}
    answer = {"candidates": [{"content": {"parts": [{"text": "a"}]}, "logprobsResult": result}]}
    shown = {"token": "a", "logprob": -0.5, "bytes": [97]}
    probabilities = {"content": [{**shown, "top_logprobs": [shown]}]}
    assert decoded(answer)["choices"][0]["logprobs"] == probabilities
    streams = [json.loads(frame.data) for frame in frames(events(answer)) if not frame.error]
    assert [choice["logprobs"] for chunk in streams for choice in chunk["choices"] if "logprobs" in choice] == [
        probabilities
    ]


@pytest.mark.parametrize("reason", ["SAFETY", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "NO_IMAGE"])
@pytest.mark.parametrize("decode", [adapter.decode_chat, adapter.decode_image])
def test_refused_content_is_422_and_goes_nowhere_else(reason: str, decode: Any) -> None:
    blocked = captured("gemini.generate_content.blocked")["recorder_responses"]["items"][0]
    for answer in (blocked, {"candidates": [{"finishReason": reason}]}):
        with pytest.raises(Failure) as caught:
            decode(200, {}, json.dumps(answer).encode(), GEMINI)
        assert (caught.value.error.status, caught.value.error.reason) == (422, "content_policy_violation")
        assert not caught.value.retryable


def test_pictures_that_were_only_thought_of_are_none() -> None:
    draft = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thought": True}
    parts = [draft, {"inlineData": {"mimeType": "image/png", "data": "_-8="}}]
    answer = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    made = adapter.decode_image(200, {}, json.dumps(answer).encode(), GEMINI)
    assert isinstance(made, Media)
    assert [asset.data for asset in made.assets] == [b"\xff\xef"]
    assert made.usage is None
    answer["candidates"][0]["content"]["parts"] = [draft, {"text": "No."}]
    with pytest.raises(Failure, match="without a picture"):
        adapter.decode_image(200, {}, json.dumps(answer).encode(), GEMINI)


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"])
def test_a_tool_call_that_the_model_failed_at_is_no_answer(reason: str) -> None:
    answer = {"candidates": [{"content": {"parts": [{"text": "Hm.", "thought": True}]}, "finishReason": reason}]}
    with pytest.raises(Failure) as caught:
        decoded(answer)
    assert (caught.value.error.status, caught.value.retryable) == (502, True)
    assert frames(events(answer))[-1].error
    answer["candidates"][0]["content"]["parts"].append({"text": "Yes."})
    assert decoded(answer)["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("answer", [b"", b"[]", b"<html>", b"\xff", b'{"candidates": 3}', b"{}"])
def test_what_is_no_answer_is_a_failure(answer: bytes) -> None:
    for decode in (adapter.decode_chat, adapter.decode_image):
        with pytest.raises(Failure) as caught:
            decode(200, {}, answer, GEMINI)
        assert (caught.value.error.status, caught.value.retryable) == (502, True)


def test_an_answer_that_was_cut_by_the_filter_keeps_its_words() -> None:
    answer = {"candidates": [{"content": {"parts": [{"text": "Once"}]}, "finishReason": "SAFETY"}]}
    assert decoded(answer)["choices"][0]["finish_reason"] == "content_filter"


def events(*answers: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(answer).encode() + b"\r\n\r\n" for answer in answers)


def pieces_of(answer: dict[str, Any]) -> bytes:
    """A whole answer as a stream of one part each; the usage grows and the last one counts."""
    candidate = answer["candidates"][0]
    parts = candidate["content"]["parts"]
    head = {"responseId": answer["responseId"], "modelVersion": answer["modelVersion"]}
    stream = [
        {**head, "candidates": [{"content": {"parts": [part]}}], "usageMetadata": {"promptTokenCount": 12}}
        for part in parts
    ]
    rest = {name: value for name, value in candidate.items() if name != "content"}
    return events(*stream, {**head, "candidates": [rest], "usageMetadata": answer["usageMetadata"]})


def frames(data: bytes, *cuts: int) -> list[ChatFrame]:
    decoder = adapter.chat_frames(Route("gemini", FLASH))
    marks = [0, *cuts, len(data)]
    out = [frame for start, end in pairwise(marks) for frame in decoder.feed(data[start:end])]
    return out + decoder.end()


def test_a_stream_says_what_a_whole_answer_says() -> None:
    whole = adapter.decode_chat(200, {}, json.dumps(ANSWER).encode(), GEMINI)
    said = json.loads(whole.body)["choices"][0]["message"]
    found = frames(pieces_of(ANSWER))
    deltas = [choice for frame in found if not frame.done for choice in json.loads(frame.data)["choices"]]
    assert "".join(choice["delta"].get("content") or "" for choice in deltas) == said["content"]
    assert "".join(choice["delta"].get("reasoning_content") or "" for choice in deltas) == said["reasoning_content"]
    (call,) = [call for choice in deltas for call in choice["delta"].get("tool_calls") or ()]
    assert {name: value for name, value in call.items() if name != "index"} == said["tool_calls"][0]
    assert deltas[-1]["finish_reason"] == "tool_calls"
    assert [frame.usage for frame in found if frame.usage] == [whole.usage]
    assert found[-1].done


def test_a_stream_may_be_split_anywhere() -> None:
    data = pieces_of(ANSWER)
    whole = timeless(frames(data))
    for at in range(1, len(data)):
        assert timeless(frames(data, at)) == whole


def test_streams_that_break_off_are_blocked_or_fail() -> None:
    cut = frames(events({"candidates": [{"content": {"parts": [{"text": "a"}]}}]}))
    assert json.loads(cut[-1].data)["error"]["code"] == "stream_cut"
    blocked = frames(events({"promptFeedback": {"blockReason": "SAFETY"}}))
    assert len(blocked) == 1
    assert adapter.error(200, {}, blocked[0].data, GEMINI).error.status == 422
    (failed,) = frames(events({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}))
    assert failed.error == "The model is overloaded."


def test_a_stream_refused_after_an_empty_beginning_is_refused() -> None:
    found = frames(events({"usageMetadata": {"promptTokenCount": 3}}, {"candidates": [{"finishReason": "SAFETY"}]}))
    assert [frame.empty for frame in found] == [True, False]
    assert adapter.error(200, {}, found[-1].data, GEMINI).error.reason == "content_policy_violation"


def test_the_last_event_of_a_stream_may_lack_its_blank_line() -> None:
    answer = events({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]})
    assert timeless(frames(answer.rstrip()))[1:-1] != []
    assert frames(answer.rstrip())[-1].done
    assert json.loads(frames(answer.rstrip()[:-1])[-1].data)["error"]["code"] == "stream_cut"
    whole = [{"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}}]
    (frame,) = frames(json.dumps(whole).encode(), 5)
    assert adapter.error(200, {}, frame.data, GEMINI).error.reason == "provider_rate_limit"
    (frame,) = frames(json.dumps(ANSWER).encode())
    assert json.loads(frame.data)["error"]["code"] == "stream_expected"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("RESOURCE_EXHAUSTED", "provider_rate_limit"),
        ("UNAVAILABLE", "upstream_overloaded"),
        ("DEADLINE_EXCEEDED", "upstream_timeout"),
        ("PERMISSION_DENIED", "provider_credential"),
        ("UNAUTHENTICATED", "provider_credential"),
        ("INTERNAL", "upstream_error"),
    ],
)
def test_errors_inside_streams_mean_what_they_mean_outside(status: str, reason: str) -> None:
    (frame,) = frames(events({"error": {"code": 500, "message": "x", "status": status}}))
    failure = adapter.error(200, {}, frame.data, GEMINI)
    assert (failure.error.reason, failure.retryable) == (reason, True)


def test_a_rate_limit_tells_when_to_come_back() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}]
    answer = {"error": {"code": 429, "message": "Quota.", "status": "RESOURCE_EXHAUSTED", "details": details}}
    failure = adapter.error(429, {}, json.dumps(answer).encode(), GEMINI)
    assert (failure.error.reason, failure.error.retry_after) == ("provider_rate_limit", 35)


#: An account or region that may not use the API yet is FAILED_PRECONDITION: the operator's fault.
CLASSES = {"INVALID_ARGUMENT": 400, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504}


@pytest.mark.parametrize("case", captured("gemini.error_behaviour")["cases"], ids=lambda case: case["status"])
def test_errors(case: dict[str, Any]) -> None:
    answer = {**case["response_body"], "echo": GEMINI.key}
    with pytest.raises(Failure) as caught:
        adapter.decode_chat(case["http_status"], {}, json.dumps(answer).encode(), GEMINI)
    assert caught.value.error.status == CLASSES.get(case["status"], 502)
    assert caught.value.retryable == (case["status"] != "INVALID_ARGUMENT")
    assert without_secret(f"{caught.value.error.message} {caught.value.error.details}", GEMINI)


def test_a_key_that_is_not_valid_is_the_operator_s_fault() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    answer = {"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT", "details": details}}
    with pytest.raises(Failure) as caught:
        adapter.decode_chat(400, {}, json.dumps(answer).encode(), GEMINI)
    assert (caught.value.error.status, caught.value.error.reason) == (502, "provider_credential")


def film(provider: Provider) -> tuple[str, VideoRequest]:
    name = "gemini.veo.generate_poll_download" if provider is GEMINI else "vertex.veo.generate_poll"
    (instance,) = captured(name)["requests"][0]["body"]["json"]["instances"]
    image = Asset(base64.b64decode(instance["image"]["bytesBase64Encoded"]), "image/png")
    return name, VideoRequest(
        "a fox runs",
        6,
        1280,
        720,
        audio=provider is VERTEX,
        seed=7 if provider is VERTEX else None,
        images=(image, image),
    )


@pytest.mark.parametrize("provider", [GEMINI, VERTEX])
def test_a_film_from_start_to_end(provider: Provider) -> None:
    name, asked = film(provider)
    fixture, route = captured(name), Route(provider.name, VEO)
    begin = expected(name)
    for unsaid in ("personGeneration", "negativePrompt", "enhancePrompt"):  # our videos have no word for these
        begin["body"]["json"]["parameters"].pop(unsaid, None)
    same(adapter.encode_video(asked, route, provider), begin)
    begun, done = (json.dumps(item).encode() for item in fixture["recorder_responses"]["items"][:2])
    state = adapter.decode_video(200, {}, begun, provider)
    assert (state.status, state.id) == ("running", json.loads(begun)["name"])
    same(adapter.poll_job(state.id, route, provider), expected(name, 1))
    state = adapter.decode_job(200, {}, done, provider)
    assert state.status == "done"
    if provider is VERTEX:
        assert state.media is not None
        assert state.media.assets[0].data == base64.b64decode("AAAAGGZ0eXA=")
    else:
        same(adapter.fetch_job(state, route, provider), expected(name, 2))
        assert adapter.decode_result(200, {}, b"film", provider).assets[0].data == b"film"


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"prompt": "a hen"}, {"prompt"}),
        ({"seconds": 8}, {"seconds", "duration"}),
        ({"aspect_ratio": "9:16"}, {"aspect_ratio"}),
        ({"resolution": "1080p"}, {"resolution"}),
        ({"width": 1080, "height": 1920, "given": frozenset({"size"})}, {"width", "height", "size"}),
        ({"images": (Asset(b"png", "image/png"),)}, {"image"}),
        ({"audio": True}, {"audio"}),
        ({"seed": 3}, {"seed"}),
    ],
)
def test_each_parameter_of_a_film_moves_the_request(changed: dict[str, Any], names: set[str]) -> None:
    for provider in (GEMINI, VERTEX):
        route = Route(provider.name, VEO)
        plain, moved = (
            adapter.encode_video(VideoRequest(**({"prompt": "a fox", "seconds": 4} | more)), route, provider)
            for more in ({}, changed)
        )
        assert (plain.body != moved.body) == (names <= adapter.params(Capability.VIDEO, provider, route))


def test_the_size_of_a_film_is_its_shape_and_resolution() -> None:
    asked = VideoRequest("x", 8, 1080, 1920, given=frozenset({"size"}))
    parameters = body(adapter.encode_video(asked, Route("gemini", VEO), GEMINI))["parameters"]
    assert (parameters["aspectRatio"], parameters["resolution"]) == ("9:16", "1080p")


def test_films_that_veo_does_not_make_are_refused() -> None:
    frame = Asset(b"png", "image/png")
    for asked in (
        VideoRequest("x", 4.5),
        VideoRequest("x", 4, images=(frame,) * 3),
        VideoRequest("x", 4, resolution="480p"),
    ):
        with pytest.raises(BadRequest):
            adapter.encode_video(asked, Route("gemini", VEO), GEMINI)


@pytest.mark.parametrize("name", ["", "../../v1/other", "a?b=c", "https://evil.example/op", "a b"])
def test_an_operation_is_asked_for_by_its_name_alone(name: str) -> None:
    with pytest.raises(Failure, match="without a name"):
        adapter.decode_video(200, {}, json.dumps({"name": name}).encode(), GEMINI)


@pytest.mark.parametrize("answer", [b"", b"[]", b"<html>", b'{"name": 3}'])
def test_what_is_no_operation_is_a_failure(answer: bytes) -> None:
    with pytest.raises(Failure, match="cannot be read"):
        adapter.decode_job(200, {}, answer, GEMINI)


def test_a_film_that_is_none_is_not_taken_for_one() -> None:
    with pytest.raises(Failure, match="empty film"):
        adapter.decode_result(200, {}, b"", GEMINI)
    answer = {"error": {"code": 404, "message": "gone", "status": "NOT_FOUND"}}
    for status in (200, 404):
        with pytest.raises(Failure):
            adapter.decode_result(status, {"content-type": "application/json"}, json.dumps(answer).encode(), GEMINI)
    made = {"name": "n", "done": True, "response": {"videos": [{"bytesBase64Encoded": "!"}]}}
    with pytest.raises(Failure, match="no base64"):
        adapter.decode_job(200, {}, json.dumps(made).encode(), VERTEX)


@pytest.mark.parametrize("code", [3, 9])
def test_an_operation_that_refuses_content_is_refused(code: int) -> None:
    failed = {"name": "n", "done": True, "error": {"code": code, "message": "violates the policy", "details": None}}
    state = adapter.decode_job(200, {}, json.dumps(failed).encode(), VERTEX)
    assert (state.status, state.refused) == ("failed", True)


def test_films_that_were_filtered_or_failed() -> None:
    filtered = captured("gemini.veo.poll_filtered")["recorder_responses"]["items"][0]
    state = adapter.decode_job(200, {}, json.dumps(filtered).encode(), GEMINI)
    assert (state.status, state.refused, state.error) == ("failed", True, "blocked")
    failed = {"name": "operations/1", "done": True, "error": {"code": 13, "message": f"internal {GEMINI.key}"}}
    state = adapter.decode_job(200, {}, json.dumps(failed).encode(), GEMINI)
    assert (state.status, state.refused) == ("failed", False)
    assert without_secret(state.error, GEMINI)
    empty = adapter.decode_job(200, {}, b'{"name": "operations/1", "done": true}', GEMINI)
    assert empty.status == "failed"


def test_a_film_at_a_foreign_address_is_not_fetched_with_our_key() -> None:
    made = {"generateVideoResponse": {"generatedSamples": [{"video": {"uri": "https://evil.example/film"}}]}}
    with pytest.raises(Failure, match="not its own"):
        adapter.decode_job(200, {}, json.dumps({"name": "n", "done": True, "response": made}).encode(), GEMINI)
    with pytest.raises(Failure, match="not its own"):
        adapter.fetch_job(JobState("n", "done", result="https://evil.example/film"), Route("gemini", VEO), GEMINI)
