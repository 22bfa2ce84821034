"""Answers of Gemini and Vertex AI, whole and streamed, that Google's own library can read come out as OpenAI's; errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openpollen.core.usage import Usage
from openpollen.providers.failures import Failure
from tests.conformance.captures import captured, timeless, without_secret
from tests.conformance.google_lab import (
    ANSWER,
    FLASH,
    GEMINI,
    HI,
    LITE,
    VERTEX,
    adapter,
    body,
    decoded,
    encoded,
    events,
    frames,
    request,
)


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


def test_thoughts_before_a_refusal_are_no_answer() -> None:
    parts = [{"text": "Hm.", "thought": True}]
    answer = {"candidates": [{"content": {"parts": parts}, "finishReason": "SAFETY"}]}
    with pytest.raises(Failure) as caught:
        decoded(answer)
    assert caught.value.error.status == 422
    assert adapter.error(200, {}, frames(events(answer))[-1].data, GEMINI).error.status == 422


def test_an_answer_that_was_cut_by_the_filter_keeps_its_words() -> None:
    answer = {"candidates": [{"content": {"parts": [{"text": "Once"}]}, "finishReason": "SAFETY"}]}
    assert decoded(answer)["choices"][0]["finish_reason"] == "content_filter"


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
