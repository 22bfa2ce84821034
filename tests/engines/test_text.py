"""The local chat model, through the engine host's own HTTP surface and with its real weights."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openpollen.engines.text_schema import fits
from tests.engines.host_process import Client, host_program, listener

WEATHER = {
    "name": "get_weather",
    "description": "Get the current weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
    },
}
FLIGHT = {
    "name": "book_flight",
    "description": "Book seats on a flight between two cities",
    "parameters": {
        "type": "object",
        "properties": {
            "from": {"$ref": "#/$defs/place"},
            "to": {"$ref": "#/$defs/place"},
            "seats": {"type": "integer", "minimum": 1, "maximum": 9},
        },
        "required": ["from", "to", "seats"],
        "$defs": {"place": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
    },
}
CLOCK = {"name": "now", "description": "Tell the time"}
TOOLS = [{"type": "function", "function": tool} for tool in (WEATHER, FLIGHT, CLOCK)]
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 40},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "mood": {"enum": ["good", "bad"]},
        "likes": {"type": "array", "items": {"type": "string", "maxLength": 20}, "minItems": 1, "maxItems": 3},
        "home": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"]},
    },
    "required": ["name", "age", "mood", "likes", "home"],
    "additionalProperties": False,
}


NOWHERE = {"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}, "required": ["a"]}
CIRCLE = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}


@pytest.fixture(scope="module")
def client(models_dir: Path) -> Iterator[Client]:
    with listener() as socket, host_program(socket, models_dir):
        yield Client(socket.getsockname()[1])


def content(choice: Any) -> str:
    return choice["message"]["content"]


def test_a_streamed_answer_is_the_whole_answer_in_pieces(client: Client) -> None:
    whole = client.chat("Write one sentence about rain.", seed=5).json
    events = client.chat("Write one sentence about rain.", seed=5, stream=True).events
    deltas = [event["choices"][0] for event in events if event["choices"]]
    assert len(deltas) > 5
    assert deltas[0]["delta"]["role"] == "assistant"
    assert "".join(choice["delta"].get("content") or "" for choice in deltas) == content(whole["choices"][0])
    assert deltas[-1]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert events[-1]["choices"] == []
    assert events[-1]["usage"] == whole["usage"]
    assert {event["object"] for event in events} == {"chat.completion.chunk"}


def test_usage_adds_up_and_the_limit_on_tokens_is_kept(client: Client) -> None:
    for limit in ({"max_tokens": 7}, {"max_tokens": None, "max_completion_tokens": 7}):
        answer = client.chat("Tell me a long story.", **limit).json
        usage = answer["usage"]
        assert answer["choices"][0]["finish_reason"] == "length"
        assert usage["completion_tokens"] == 7
        assert usage["prompt_tokens"] > 5
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_the_same_seed_gives_the_same_text_whatever_was_asked_before(client: Client) -> None:
    def ask(seed: int) -> str:
        return content(
            client.chat("Name an animal and say why.", seed=seed, temperature=1, max_tokens=12).json["choices"][0]
        )

    first = ask(11)
    client.chat("Something else entirely.", seed=3, max_tokens=5)
    assert ask(11) == first
    assert len({ask(seed) for seed in (1, 2)}) > 1


def test_a_stop_text_ends_the_answer_before_it(client: Client) -> None:
    asked = "Count from 1 to 10, with a comma between."
    free = content(client.chat(asked, seed=1, temperature=0).json["choices"][0])
    assert "4" in free
    answer = client.chat(asked, seed=1, temperature=0, stop=["4"]).json["choices"][0]
    assert content(answer) == free.split("4")[0]
    assert answer["finish_reason"] == "stop"


def test_logprobs_come_with_their_alternatives(client: Client) -> None:
    answer = client.chat("Say hello.", seed=1, max_tokens=4, logprobs=True, top_logprobs=3).json
    tokens = answer["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == content(answer["choices"][0])
    assert all(token["logprob"] <= 0 and len(token["top_logprobs"]) == 3 for token in tokens)


@pytest.mark.parametrize("stream", [False, True])
def test_logprobs_come_without_alternatives_that_nobody_asked_for(client: Client, stream: bool) -> None:
    answer = client.chat("Say hello.", seed=1, max_tokens=4, logprobs=True, stream=stream)
    chosen = [choice for event in answer.events for choice in event["choices"]] if stream else answer.json["choices"]
    tokens = [token for choice in chosen if choice.get("logprobs") for token in choice["logprobs"]["content"]]
    assert tokens
    assert all(token["logprob"] <= 0 and token["top_logprobs"] == [] for token in tokens)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"not": {"enum": ["John"]}}, ["Ann", 3], ["John"]),
        ({"type": "array", "uniqueItems": True}, [[], ["a", "b"]], [["a", "a"], [{"x": 1, "y": 2}, {"y": 2, "x": 1}]]),
        ({"contains": {"type": "integer"}}, [["a", 1]], [[], ["a"]]),
        ({"contains": {"type": "integer"}, "minContains": 2, "maxContains": 2}, [[1, 2]], [[1], [1, 2, 3]]),
        ({"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"minimum": 5}}, ["ab", 5], ["a", 4]),
        ({"multipleOf": 0.1}, [0.3, 7], [0.35]),
        ({"propertyNames": {"pattern": "^[a-z]+$"}}, [{"a": 1}], [{"A": 1}]),
        ({"dependentRequired": {"card": ["name"]}}, [{}, {"card": 1, "name": 2}], [{"card": 1}]),
    ],
)
def test_rules_that_no_grammar_holds_are_checked(schema: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
    assert all(fits(value, schema) for value in good)
    assert not any(fits(value, schema) for value in bad)


def test_json_that_breaks_a_rule_is_told_and_not_given(client: Client) -> None:
    schema = {"type": "object", "properties": {"a": {"enum": ["x"]}}, "required": ["a"], "not": {"type": "object"}}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    answer = client.chat("Fill it in.", seed=1, response_format=form)
    assert (answer.status, "did not meet the schema" in str(answer.json)) == (422, True)


def test_no_alternatives_of_no_logprobs_are_no_mistake(client: Client) -> None:
    answer = client.chat("Say hello.", seed=1, max_tokens=4, top_logprobs=0)
    assert (answer.status, answer.json["choices"][0].get("logprobs")) == (200, None)


def test_developer_text_parts_and_null_fields_are_understood(client: Client) -> None:
    parts = [{"type": "text", "text": "Say"}, {"type": "text", "text": "yes"}]
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}]
    answer = client.chat(messages, tools=None, stop=None, temperature=None, n=1, max_tokens=8)
    assert answer.status == 200
    assert content(answer.json["choices"][0])


@pytest.mark.parametrize("stream", [False, True])
def test_json_mode_yields_an_object(client: Client, stream: bool) -> None:
    options: dict[str, Any] = {"response_format": {"type": "json_object"}, "seed": 2, "max_tokens": 400}
    answer = client.chat("Describe a cat as JSON with name and age.", stream=stream, **options)
    if stream:
        text = "".join(e["choices"][0]["delta"].get("content") or "" for e in answer.events if e["choices"])
    else:
        text = content(answer.json["choices"][0])
    assert isinstance(json.loads(text), dict)


def test_a_json_answer_fits_its_schema(client: Client) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
    asked = "Anna is 31, happy, lives in Oslo and likes tea and chess."
    value = json.loads(content(client.chat(asked, response_format=form, max_tokens=300).json["choices"][0]))
    assert fits(value, PERSON)
    assert "Anna" in value["name"]


#: Nothing in these says where an answer ends.
ENDLESS: dict[str, Any] = {
    "steps": {
        "type": "object",
        "properties": {
            "steps": {"type": "array", "items": {"$ref": "#/$defs/Step"}},
            "ok": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
            "kind": {"enum": ["x", "y"], "type": "string"},
        },
        "required": ["steps", "ok", "kind"],
        "additionalProperties": False,
        "$defs": {
            "Step": {
                "type": "object",
                "properties": {"e": {"type": "string"}, "n": {"type": "integer"}},
                "required": ["e", "n"],
                "additionalProperties": False,
            }
        },
    },
    "tree": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["name", "children"],
    },
    "open": {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1},
    "patterns": {
        "type": "object",
        "patternProperties": {"^[a-z]{1,8}$": {"type": "number"}},
        "additionalProperties": False,
        "minProperties": 1,
    },
    "parts": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"type": "array", "items": {}}}, "required": ["b"]},
        ]
    },
    "either": {
        "type": "object",
        "properties": {"kind": {"type": ["string", "null"]}},
        "required": ["kind"],
        "oneOf": [{"required": ["at"], "properties": {"at": {"type": "string", "format": "date-time"}}}],
    },
}


@pytest.mark.parametrize("name", ENDLESS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_json_comes_to_an_end_by_itself_whatever_the_seed(client: Client, name: str, seed: int) -> None:
    form = {"type": "json_schema", "json_schema": {"name": name, "schema": ENDLESS[name], "strict": True}}
    asked = "Solve 8x + 7 = -23 in four small steps."
    answer = client.chat(asked, response_format=form, seed=seed, stream=seed == 3, max_tokens=None)
    if seed == 3:
        text = "".join(e["choices"][0]["delta"].get("content") or "" for e in answer.events if e["choices"])
        usage = answer.events[-1]["usage"]
    else:
        text, usage = content(answer.json["choices"][0]), answer.json["usage"]
    assert fits(json.loads(text), ENDLESS[name])
    assert usage["completion_tokens"] < 300


@pytest.mark.parametrize("name", ENDLESS)
def test_json_fits_into_few_tokens_where_the_schema_allows_it(client: Client, name: str) -> None:
    form = {"type": "json_schema", "json_schema": {"name": name, "schema": ENDLESS[name]}}
    answer = client.chat("Solve 8x + 7 = -23.", response_format=form, seed=1, max_tokens=80)
    assert fits(json.loads(content(answer.json["choices"][0])), ENDLESS[name])


def test_bounds_that_the_schema_gives_are_kept(client: Client) -> None:
    schema = {"type": "array", "items": {"type": "integer", "minimum": 10, "maximum": 99}, "minItems": 12}
    form = {"type": "json_schema", "json_schema": {"name": "numbers", "schema": schema}}
    answer = client.chat("Numbers, please.", response_format=form, seed=1, max_tokens=None)
    value = json.loads(content(answer.json["choices"][0]))
    assert fits(value, schema)


def test_json_that_cannot_be_finished_is_an_error_and_never_half_an_object(client: Client) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"schema": {**schema, "required": ["name", "age"]}}}
    whole = client.chat("Describe Anna.", response_format=form, max_tokens=6)
    assert whole.status == 422
    assert "max_tokens" in whole.json["error"]["message"]
    streamed = client.chat("Describe Anna.", response_format=form, max_tokens=6, stream=True).body.decode()
    assert "json_unfinished" in streamed.strip().split("\n\n")[-1]
    assert "[DONE]" not in streamed


@pytest.mark.parametrize(
    ("asked", "choice", "tool"),
    [
        ("Book 2 seats from Rome to Oslo.", {"type": "function", "function": {"name": "book_flight"}}, FLIGHT),
        ("What time is it?", {"type": "function", "function": {"name": "now"}}, CLOCK),
        ("What is the weather in Paris?", "required", WEATHER),
    ],
)
def test_a_tool_call_is_named_and_its_arguments_fit(client: Client, asked: str, choice: Any, tool: Any) -> None:
    answer = client.chat(asked, tools=TOOLS, tool_choice=choice, seed=1, max_tokens=200).json["choices"][0]
    assert answer["finish_reason"] == "tool_calls"
    assert answer["message"]["content"] is None
    [call] = answer["message"]["tool_calls"]
    assert call["type"] == "function"
    assert call["id"]
    assert call["function"]["name"] == tool["name"]
    assert fits(json.loads(call["function"]["arguments"]), tool.get("parameters", {}))


@pytest.mark.parametrize("choice", [{"type": "function", "function": {"name": "get_weather"}}, "auto"])
def test_a_streamed_tool_call_is_the_whole_one_in_pieces(client: Client, choice: Any) -> None:
    options = {"tools": TOOLS[:2], "tool_choice": choice, "seed": 1, "max_tokens": 100}
    [call] = client.chat("What is the weather in Paris?", **options).json["choices"][0]["message"]["tool_calls"]
    events = client.chat("What is the weather in Paris?", **options, stream=True).events
    deltas = [event["choices"][0] for event in events if event["choices"]]
    pieces = [piece for choice in deltas for piece in choice["delta"].get("tool_calls") or ()]
    assert {piece["index"] for piece in pieces} == {0}
    assert pieces[0]["function"]["name"] == call["function"]["name"] == "get_weather"
    assert pieces[0]["id"]
    assert "".join(piece["function"]["arguments"] for piece in pieces) == call["function"]["arguments"]
    assert deltas[-1]["finish_reason"] == "tool_calls"
    assert events[-1]["usage"]["completion_tokens"] > 0


def test_auto_and_none_answer_in_words_where_no_tool_is_wanted(client: Client) -> None:
    for asked, choice in (("Hello!", "auto"), ("What is the weather in Paris?", "none")):
        message = client.chat(asked, tools=TOOLS, tool_choice=choice, seed=1).json["choices"][0]["message"]
        assert message["content"]
        assert "tool_calls" not in message


def test_a_call_that_does_not_fit_the_limit_is_an_error_if_required_and_words_if_not(client: Client) -> None:
    options = {"tools": TOOLS[:1], "seed": 1, "max_tokens": 3}
    assert client.chat("Weather in Paris?", tool_choice="required", **options).status == 422
    message = client.chat("Weather in Paris?", tool_choice="auto", **options).json["choices"][0]["message"]
    assert message["content"]
    assert "tool_calls" not in message


def test_several_calls_come_when_the_caller_allows_them(client: Client) -> None:
    options = {"tools": TOOLS[:1], "tool_choice": "required", "parallel_tool_calls": True, "temperature": 0}
    calls = client.chat("Weather in Paris and in Oslo?", **options, max_tokens=100).json["choices"][0]["message"]
    names = [call["function"]["name"] for call in calls["tool_calls"]]
    assert 1 <= len(names) <= 8
    assert len({call["id"] for call in calls["tool_calls"]}) == len(names)
    assert len({call["function"]["arguments"] for call in calls["tool_calls"]}) == len(names)


def test_a_tool_result_is_answered_in_words(client: Client) -> None:
    search = {"name": "search", "description": "Search the web", "parameters": {"type": "object"}}
    call = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"query": "chess cup"}'}}
    messages = [
        {"role": "user", "content": "Who won the 2031 chess cup?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "The 2031 chess cup was won by Ines Duarte of Portugal."},
    ]
    answer = client.chat(messages, tools=[{"type": "function", "function": search}], temperature=0).json["choices"][0]
    assert "Ines Duarte" in content(answer)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"n": 2}, "n: smollm2 makes one answer"),
        ({"temperature": "hot"}, "temperature"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "image_url"),
        ({"messages": [{"role": "user", "content": "word " * 9000}]}, "context_length is 8192"),
        ({"tool_choice": "required"}, "tools"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "other"}}}, "other"),
        ({"response_format": {"type": "json_schema"}}, "json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "wrong"}}}}, "wrong"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"$ref": "http://x/"}}}}, "http://x/"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": NOWHERE}}}, "#/$defs/none"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": CIRCLE}}}, "No finite JSON"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"pattern": "("}}}}, "pattern"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": NOWHERE}}]}, "#/$defs/none"),
        ({"logprobs": False, "top_logprobs": 2}, "logprobs"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
    ],
)
def test_a_wrong_request_is_400_and_says_what_is_wrong(client: Client, fault: dict[str, Any], words: str) -> None:
    for stream in (False, True):
        answer = client.chat("Hi", **({"stream": stream} | fault)) if "messages" not in fault else client.ask(
            "POST", "/v1/chat/completions", {"model": "smollm2", "stream": stream, **fault}
        )  # fmt: skip
        assert answer.status == 400
        assert words in answer.json["error"]["message"]
        assert answer.json["error"]["type"] == "invalid_request_error"


def test_the_models_listening_socket_cannot_be_reached(client: Client) -> None:
    client.chat("Hi", max_tokens=1)
    pid = client.ask("GET", "/health").json["pid"]
    inodes = _open_files(pid)
    tcp = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    mine = [row[1] for row in tcp if row[3] == "0A" and f"socket:[{row[9]}]" in inodes]
    assert len(mine) == 1, "only the host's own inherited socket listens on TCP"
    unix = Path(f"/proc/{pid}/net/unix").read_text().splitlines()
    paths = [Path(line.split()[7]) for line in unix if "llama.sock" in line]
    assert not [path for path in paths if path.exists()]


def _open_files(pid: int) -> set[str]:
    found: set[str] = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            found.add(fd.readlink().name)
    return found


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=5))
def test_a_value_fits_its_own_constant_and_nothing_fits_false(value: Any) -> None:
    assert fits(value, {"const": value})
    assert fits(value, {})
    assert not fits(value, False)


@pytest.mark.parametrize(
    ("value", "schema", "good"),
    [
        (3, {"type": "integer"}, True),
        (True, {"type": "integer"}, False),
        (3.5, {"type": ["integer", "null"]}, False),
        ({"a": 1}, {"required": ["b"]}, False),
        ({"a": 1}, {"properties": {"a": {}}, "additionalProperties": False}, True),
        ({"b": 1}, {"properties": {"a": {}}, "additionalProperties": False}, False),
        ([1, "x"], {"prefixItems": [{"type": "integer"}], "items": {"type": "string"}}, True),
        ([1, 2], {"maxItems": 1}, False),
        ("abc", {"pattern": "^b"}, False),
        (5, {"anyOf": [{"maximum": 3}, {"minimum": 5}]}, True),
        (5, {"allOf": [{"maximum": 3}, {"minimum": 5}]}, False),
        ({"ab": 1}, {"patternProperties": {"^a": {"type": "integer"}}, "additionalProperties": False}, True),
        ({"ab": "1"}, {"patternProperties": {"^a": {"type": "integer"}}}, False),
        ({"a": 1, "b": 2}, {"maxProperties": 1}, False),
        ({"x": 1}, {"properties": {"x": {"$ref": "#/$defs/t"}}, "$defs": {"t": {"type": "string"}}}, False),
    ],
)
def test_the_schema_check_tells_good_from_bad(value: Any, schema: Any, good: bool) -> None:
    assert fits(value, schema) is good
