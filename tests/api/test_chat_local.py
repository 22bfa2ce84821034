"""Chat on the built-in engine through OpenAI's own library, whole and streamed."""

from __future__ import annotations

import base64
import json
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from tests.gateway import Account, nano

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
PERSON: Any = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
ASK_JSON = 'Reply with this JSON: {"animal": "cat"}'


def ask(text: str) -> Any:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("base", ["", "/v1"])
def test_a_chat_works_with_and_without_v1(user: Account, base: str) -> None:
    raw = user.openai(base).chat.completions.with_raw_response.create(
        model="smollm2", messages=ask("Say hello."), max_tokens=8
    )
    answer = raw.parse()
    assert answer.object == "chat.completion"
    assert len(answer.choices) == 1
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert 0 < answer.usage.completion_tokens <= 8
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert 1_700_000_000 < answer.created < 3_000_000_000  # seconds, not milliseconds
    assert raw.headers["x-model-used"] == "smollm2"
    assert raw.headers["x-usage-prompt-text-tokens"] == str(answer.usage.prompt_tokens)
    assert raw.headers["x-usage-completion-text-tokens"] == str(answer.usage.completion_tokens)
    assert raw.headers["x-pollen-cost"] == "0"


def test_a_model_without_a_live_route_is_served_here_and_says_so(user: Account) -> None:
    reply = user.chat("claude-large", "Say hello.", max_tokens=4)
    assert reply.status == 200
    assert reply.headers["x-model-used"] == "smollm2"
    row = user.get("/api/account/usage?limit=1").json["usage"]
    assert row[0]["cost_usd"] == 0


def test_a_stream_ends_with_usage_cost_and_done(user: Account) -> None:
    reply = user.chat("smollm2", "Say hello.", stream=True, max_tokens=8)
    *chunks, last, done = reply.events
    assert done == "[DONE]"
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] > 0
    assert nano(last["usage"]["pollen_cost"]) == 0
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
    assert [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]][-1] in ("stop", "length")
    assert all("usage" not in c or c["usage"] is None for c in chunks)
    assert len({c["id"] for c in [*chunks, last]}) == 1


def test_openais_library_reads_the_stream_to_its_end(user: Account) -> None:
    stream = user.openai().chat.completions.create(
        model="openai", messages=ask("Say hello."), stream=True, max_tokens=8, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert chunks[-1].usage is not None
    assert chunks[-1].choices == []
    assert any(chunk.choices and chunk.choices[0].delta.content for chunk in chunks)


def test_the_same_seed_gives_the_same_text_and_another_seed_another(user: Account) -> None:
    def text(seed: int) -> str:
        body = {"temperature": 1, "seed": seed, "max_tokens": 24, "no-cache": True}
        reply = user.chat("smollm2", "Tell a story.", **body)
        assert reply.headers["x-cache"] == "MISS"
        return str(reply.json["choices"][0]["message"]["content"])

    assert text(5) == text(5)
    assert text(5) != text(6)


def test_a_stop_word_ends_the_text_before_it(user: Account) -> None:
    body = {"messages": ask("Count: one, two, three, four, five."), "seed": 1, "max_tokens": 30}
    free = user.chat("smollm2", **body).json["choices"][0]["message"]["content"]
    word = free.split()[2]
    stopped = user.chat("smollm2", **body, stop=word).json["choices"][0]
    assert word not in stopped["message"]["content"]
    assert free.startswith(stopped["message"]["content"])
    assert stopped["finish_reason"] == "stop"


@pytest.mark.parametrize("stream", [False, True])
def test_json_mode_gives_json(user: Account, stream: bool) -> None:
    body = {"response_format": {"type": "json_object"}, "temperature": 0, "seed": 1, "max_tokens": 100}
    reply = user.chat("openai", ASK_JSON, stream=stream, **body)
    assert reply.status == 200
    assert isinstance(json.loads(content(reply, stream)), dict)


@pytest.mark.parametrize("field", ["json", "jsonMode"])
def test_json_mode_by_its_short_names(user: Account, field: str) -> None:
    reply = user.chat("openai", ASK_JSON, temperature=0, seed=1, max_tokens=100, **{field: True})
    assert isinstance(json.loads(content(reply, False)), dict)


def test_json_that_does_not_fit_is_an_error_and_not_half_of_it(user: Account) -> None:
    body = {"response_format": {"type": "json_object"}, "max_tokens": 3}
    assert "max_tokens" in user.chat("openai", ASK_JSON, **body).error["message"]
    events = user.chat("openai", ASK_JSON, stream=True, **body).events
    assert [event for event in events if event != "[DONE]" and "error" in event]


@pytest.mark.parametrize("stream", [False, True])
def test_a_schema_is_kept(user: Account, stream: bool) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
    reply = user.chat("smollm2", "Make up a person.", response_format=form, max_tokens=60, stream=stream)
    person = json.loads(content(reply, stream))
    assert person.keys() == {"name", "age"}
    assert isinstance(person["age"], int)


class Step(BaseModel):
    e: str
    n: int


class Solution(BaseModel):
    steps: list[Step]
    ok: bool | None
    kind: Literal["x", "y"]


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_openais_library_parses_an_answer_that_nobody_bounded(user: Account, seed: int | None) -> None:
    answer = user.openai().chat.completions.parse(
        model="openai", messages=ask("Solve 8x + 7 = -23."), response_format=Solution, seed=seed
    )
    assert isinstance(answer.choices[0].message.parsed, Solution)
    assert answer.usage is not None
    assert answer.usage.completion_tokens < 300


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
def test_a_forced_tool_is_called(user: Account, choice: Any) -> None:
    answer = user.openai().chat.completions.create(
        model="openai",
        messages=ask("What is the weather in Paris?"),
        tools=[WEATHER],
        tool_choice=choice,
        max_tokens=60,
    )
    assert answer.choices[0].finish_reason == "tool_calls"
    calls: Any = answer.choices[0].message.tool_calls
    assert calls[0].function.name == "get_weather"
    assert isinstance(json.loads(calls[0].function.arguments)["city"], str)


def test_a_forced_tool_is_called_in_a_stream(user: Account) -> None:
    body = {"tools": [WEATHER], "tool_choice": "required", "max_tokens": 60, "stream": True}
    *chunks, last, done = user.chat("smollm2", "What is the weather in Paris?", **body).events
    assert (done, last["choices"]) == ("[DONE]", [])
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    parts = [call for delta in deltas for call in delta.get("tool_calls") or ()]
    assert "".join(part["function"].get("name") or "" for part in parts) == "get_weather"
    assert json.loads("".join(part["function"].get("arguments") or "" for part in parts)).keys() == {"city"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_automatic_tools_may_be_called_or_not(user: Account) -> None:
    reply = user.chat("smollm2", "What is the weather in Paris?", tools=[WEATHER], tool_choice="auto", max_tokens=60)
    assert reply.status == 200
    choice = reply.json["choices"][0]
    called = choice["message"].get("tool_calls")
    assert (choice["finish_reason"] == "tool_calls") == bool(called)
    assert called or choice["message"]["content"]


def test_tool_choice_none_calls_nothing(user: Account) -> None:
    reply = user.chat("smollm2", "What is the weather in Paris?", tools=[WEATHER], tool_choice="none", max_tokens=8)
    assert not reply.json["choices"][0]["message"].get("tool_calls")


def test_a_tools_answer_may_be_sent_back(user: Account) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
    turns = [
        *ask("What is the weather in Paris?"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny, 20 degrees"},
    ]
    reply = user.chat("smollm2", messages=turns, tools=[WEATHER], tool_choice="none", max_tokens=12)
    assert reply.status == 200
    assert reply.json["choices"][0]["message"]["content"]


def test_logprobs_come_with_the_tokens(user: Account) -> None:
    reply = user.chat("smollm2", "Say hello.", logprobs=True, top_logprobs=2, max_tokens=4)
    tokens = reply.json["choices"][0]["logprobs"]["content"]
    assert all(token["logprob"] <= 0 and len(token["top_logprobs"]) == 2 for token in tokens)


def test_a_persona_is_told_who_it_is_before_the_callers_words(user: Account) -> None:
    plain = user.chat("smollm2", "Hi", max_tokens=1).json["usage"]["prompt_tokens"]
    polly = user.chat("polly", "Hi", max_tokens=1)
    assert polly.headers["x-model-used"] == "smollm2"
    assert polly.json["usage"]["prompt_tokens"] > plain + 20


def test_what_the_engine_cannot_do_is_told_with_the_engines_name(user: Account) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    turns = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, picture]}]
    error = user.chat("qwen-vision", messages=turns).error
    assert error["code"] == "BAD_REQUEST"
    assert "smollm2" in error["message"] or "text" in error["message"]


def test_sampling_that_the_engine_does_not_know_is_told_and_unknown_names_are_not(user: Account) -> None:
    reply = user.chat("claude", "Hi", max_tokens=1, top_k=4, reasoning_effort="high", nonsense=1)
    assert reply.headers["x-ignored-parameters"] == "reasoning_effort, top_k"
    assert "x-ignored-parameters" not in user.chat("claude", "Hi", max_tokens=1, nonsense=1, top_p=0.5).headers


def test_a_voice_model_speaks_its_answer(user: Account) -> None:
    asked = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}, "max_tokens": 6, "seed": 3}
    message = user.chat("openai-audio", "Say hello.", **asked).json["choices"][0]["message"]
    assert base64.b64decode(message["audio"]["data"]).startswith(b"RIFF")
    assert message["audio"]["transcript"]


def test_get_text_of_a_voice_model_answers_sound(user: Account) -> None:
    reply = user.get("/text/Say%20hello.?model=openai-audio&max_tokens=6&seed=3")
    assert reply.headers["content-type"] == "audio/mpeg"
    assert len(reply.body) > 2000


def content(reply: Any, stream: bool) -> str:
    if not stream:
        return str(reply.json["choices"][0]["message"]["content"])
    chunks = [event for event in reply.events if event != "[DONE]" and event["choices"]]
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
