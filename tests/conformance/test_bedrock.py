"""Chat on Amazon Bedrock: what goes out equals what boto3 sends for the same call, and what it parsed is what we read."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from openpollen.core.assets import JobState
from openpollen.core.chat import ChatAnswer, ChatFrame, ChatRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.core.usage import Usage
from openpollen.outbound.message import Headers
from openpollen.providers.failures import Failure, from_answer
from tests.conformance.bedrock_lab import ARN, AWS, FILMS, KEYED, PIXEL_URI, REEL, adapter, same_head, sent
from tests.conformance.captures import captured

#: What these tests prove, by wire and operation: the captured requests that ours are compared with, or "documentation".
PROVES = {
    "bedrock/chat": (
        "bedrock.converse.full",
        "bedrock.converse_stream",
    ),
}

CLAUDE = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
MICRO, LITE2 = "amazon.nova-micro-v1:0", "us.amazon.nova-2-lite-v1:0"


def chat(fields: Mapping[str, Any], **more: Any) -> ChatRequest:
    return ChatRequest(msgspec.json.decode(msgspec.json.encode(fields), type=dict[str, msgspec.Raw]), **more)


def encode(fields: Mapping[str, Any], model: str = CLAUDE, **more: Any) -> Any:
    messages = {"messages": [{"role": "user", "content": "hi"}]}
    return sent(adapter.encode_chat(chat({**messages, **fields}, **more), Route("bedrock", model), AWS))


WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Weather", "parameters": WEATHER}}
CALL = {"id": "t0", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}
FULL = {
    "messages": [
        {"role": "system", "content": "You are terse.", "cache_control": {"type": "ephemeral"}},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": PIXEL_URI}},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "t0", "content": '{"c":3}'},
    ],
    "temperature": 0.7,
    "top_p": 0.9,
    "stop": ["END"],
    "tools": [TOOL],
    "tool_choice": "auto",
    "thinking": {"type": "enabled", "budget_tokens": 1024},
}
HI = [{"role": "user", "content": "hi"}]
CHATS: dict[str, tuple[ChatRequest, str, Provider]] = {
    # The limit of the capture leaves no room for the thinking that it asks for.
    "converse.full": (chat(FULL, max_tokens=2048), CLAUDE, AWS),
    "converse.bearer_api_key": (chat({"messages": HI}), MICRO, KEYED),
    "converse.nova2_reasoning": (chat({"messages": HI, "reasoning_effort": "medium"}, max_tokens=2000), LITE2, AWS),
    "converse_stream": (chat({"messages": HI, "stream": True}, stream=True, max_tokens=64), MICRO, AWS),
}


@pytest.mark.parametrize("name", CHATS)
def test_chat(name: str) -> None:
    request, model, provider = CHATS[name]
    expected = captured(f"bedrock.{name}")["requests"][0]
    out = adapter.encode_chat(request, Route("bedrock", model), provider)
    same_head(out, expected)
    body = expected["body"]["json"]
    if name == "converse.full":
        body["inferenceConfig"]["maxTokens"] = 2048
    for message in body["messages"]:
        for block in message["content"]:
            if "toolResult" in block:  # a tool's message here is text, and has no word for success
                del block["toolResult"]["status"]
                block["toolResult"]["content"] = [{"text": '{"c":3}'}]
    assert sent(out) == body


def test_an_answer_is_read_as_botocore_parsed_it() -> None:
    fixture = captured("bedrock.converse.full")
    answer = adapter.decode_chat(200, {}, json.dumps(fixture["recorder_responses"]["items"][0]).encode(), AWS)
    thought, words, use = fixture["sdk_parsed"]["output"]["message"]["content"]
    choice = json.loads(answer.body)["choices"][0]
    message = choice["message"]
    assert message["reasoning_content"] == thought["reasoningContent"]["reasoningText"]["text"]
    assert message["content"] == words["text"]
    (call,) = message["tool_calls"]
    assert call["id"] == use["toolUse"]["toolUseId"]
    assert call["function"]["name"] == use["toolUse"]["name"]
    assert json.loads(call["function"]["arguments"]) == use["toolUse"]["input"]
    assert choice["finish_reason"] == "tool_calls"
    assert answer.usage == Usage(input_tokens=12, cached_input_tokens=4, output_tokens=7)


# Streams


def event(kind: str, payload: Mapping[str, Any], message_type: str = "event") -> bytes:
    name = ":event-type" if message_type == "event" else f":{message_type}-type"
    headers = b"".join(
        bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for key, value in ((name, kind), (":message-type", message_type))
    )
    data = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(data), len(headers))
    head = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + data
    return head + struct.pack(">I", zlib.crc32(head))


def stream_of(content: list[dict[str, Any]], reason: str, usage: Mapping[str, int] | None) -> bytes:
    """The events that tell a whole answer's content in small pieces."""
    out = event("messageStart", {"role": "assistant"})
    for index, block in enumerate(content):
        deltas: list[dict[str, Any]] = []
        if "toolUse" in block:
            use = block["toolUse"]
            start = {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"]}}
            out += event("contentBlockStart", {"contentBlockIndex": index, "start": start})
            deltas = [
                {"toolUse": {"input": piece}}
                for piece in halves(json.dumps(use["input"], separators=(",", ":"), ensure_ascii=False))
            ]
        elif "reasoningContent" in block:
            part = block["reasoningContent"]
            if "redactedContent" in part:
                deltas = [{"reasoningContent": {"redactedContent": part["redactedContent"]}}]
            else:
                deltas = [{"reasoningContent": {"text": piece}} for piece in halves(part["reasoningText"]["text"])]
                if "signature" in part["reasoningText"]:
                    deltas.append({"reasoningContent": {"signature": part["reasoningText"]["signature"]}})
        else:
            deltas = [{"text": piece} for piece in halves(block["text"])]
        for delta in deltas:
            out += event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta})
        out += event("contentBlockStop", {"contentBlockIndex": index})
    out += event("messageStop", {"stopReason": reason})
    return out + (event("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}) if usage is not None else b"")


def halves(text: str) -> list[str]:
    return [text[: len(text) // 2], text[len(text) // 2 :]]


def read(data: bytes, step: int | None = None, model: str = CLAUDE) -> list[ChatFrame]:
    decoder = adapter.chat_frames(Route("bedrock", model))
    pieces = [data] if step is None else [data[at : at + step] for at in range(0, len(data), step)]
    frames = [frame for piece in pieces for frame in decoder.feed(piece)]
    return [*frames, *decoder.end()]


def joined(frames: list[ChatFrame]) -> dict[str, Any]:
    """The message and finish reason that a client puts together from chunks."""
    out: dict[str, Any] = {
        "content": "",
        "reasoning_content": "",
        "tool_calls": [],
        "content_blocks": [],
        "finish": None,
    }
    for frame in frames:
        if frame.done or frame.error is not None:
            continue
        for choice in json.loads(frame.data)["choices"]:
            delta = choice["delta"]
            out["content"] += delta.get("content") or ""
            out["reasoning_content"] += delta.get("reasoning_content") or ""
            out["content_blocks"] += delta.get("content_blocks") or []
            calls: list[dict[str, Any]] = delta.get("tool_calls") or []
            for call in calls:
                if call["index"] == len(out["tool_calls"]):
                    out["tool_calls"].append({"id": call["id"], "name": call["function"]["name"], "arguments": ""})
                out["tool_calls"][call["index"]]["arguments"] += call["function"]["arguments"]
            out["finish"] = choice["finish_reason"] or out["finish"]
    return out


def told(answer: ChatAnswer) -> dict[str, Any]:
    """The same of a whole answer."""
    choice = json.loads(answer.body)["choices"][0]
    message = choice["message"]
    calls: list[dict[str, Any]] = [{"id": call["id"], **call["function"]} for call in message.get("tool_calls", [])]
    return {
        "content": message["content"] or "",
        "reasoning_content": message.get("reasoning_content", ""),
        "tool_calls": calls,
        "content_blocks": message.get("content_blocks", []),
        "finish": choice["finish_reason"],
    }


def whole(content: list[dict[str, Any]], reason: str = "end_turn", usage: Any = None) -> bytes:
    return json.dumps(
        {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": reason, "usage": usage}
    ).encode()


SIGNED = {"reasoningContent": {"reasoningText": {"text": "let me think", "signature": "c2ln"}}}
REDACTED = {"reasoningContent": {"redactedContent": "cmVkYWN0ZWQ="}}
UNSIGNED = {"reasoningContent": {"reasoningText": {"text": "[REDACTED]"}}}
USE = {"toolUse": {"toolUseId": "tooluse_1", "name": "get_weather", "input": {"city": "Oslo"}}}
USE_TOO: dict[str, Any] = {"toolUse": {"toolUseId": "tooluse_2", "name": "get_time", "input": {}}}
JSON_ANSWER = {"toolUse": {"toolUseId": "tooluse_3", "name": "json_answer", "input": {"city": "Ösló"}}}
COUNTS = {
    "inputTokens": 12,
    "outputTokens": 7,
    "totalTokens": 124,
    "cacheReadInputTokens": 100,
    "cacheWriteInputTokens": 5,
}
CONTENTS: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "words": ([{"text": "Hello, "}, {"text": "wörld 🙂"}], "end_turn", "stop"),
    "calls": ([{"text": "See:"}, USE, USE_TOO], "tool_use", "tool_calls"),
    "thoughts": ([SIGNED, REDACTED, {"text": "x"}, USE], "tool_use", "tool_calls"),
    "an unsigned thought": ([UNSIGNED, {"text": "x"}], "stop_sequence", "stop"),
    "json": ([JSON_ANSWER], "tool_use", "stop"),
    "cut": ([{"text": "x"}], "max_tokens", "length"),
    "full": ([{"text": "x"}], "model_context_window_exceeded", "length"),
    "guarded": ([{"text": "no"}], "guardrail_intervened", "content_filter"),
    "filtered": ([{"text": "no"}], "content_filtered", "content_filter"),
    "a reason of tomorrow": ([{"text": "x"}], "something_new", "stop"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_whole_and_streamed_answers_agree_however_the_bytes_are_split(name: str) -> None:
    content, reason, finish = CONTENTS[name]
    answer = adapter.decode_chat(200, {}, whole(content, reason, COUNTS), AWS)
    assert json.loads(answer.body)["choices"][0]["finish_reason"] == finish
    data = stream_of(content, reason, COUNTS)
    for step in (None, 1, 7, 64):
        frames = read(data, step)
        assert [frame.done for frame in frames] == [False] * (len(frames) - 1) + [True]
        assert joined(frames) == told(answer)
        usage = [frame.usage for frame in frames if frame.usage is not None]
        assert usage == [answer.usage]
    assert answer.usage == Usage(input_tokens=12, cached_input_tokens=100, cache_write_tokens=5, output_tokens=7)
    assert json.loads(answer.body)["usage"]["prompt_tokens"] == 117


def test_words_on_the_way_to_an_answer_in_a_schema_are_no_part_of_it() -> None:
    answer = adapter.decode_chat(200, {}, whole([{"text": "Let me see."}, JSON_ANSWER], "tool_use"), AWS)
    assert json.loads(told(answer)["content"]) == {"city": "Ösló"}


def test_the_captured_stream_is_read_as_botocore_parsed_it() -> None:
    fixture = captured("bedrock.converse_stream")
    data = base64.b64decode(fixture["recorder_response_frames_base64"])
    for cut in range(0, len(data), 13):
        decoder = adapter.chat_frames(Route("bedrock", MICRO))
        frames = [*decoder.feed(data[:cut]), *decoder.feed(data[cut:]), *decoder.end()]
        assert joined(frames) == {
            "content": "Hello",
            "reasoning_content": "",
            "tool_calls": [{"id": "tooluse_1", "name": "get_weather", "arguments": '{"city":"Oslo"}'}],
            "content_blocks": [],
            "finish": "tool_calls",
        }
        assert frames[-2].usage == Usage(input_tokens=12, output_tokens=7)
        assert frames[-1].done
        assert frames[0].empty
        assert json.loads(frames[1].data)["model"] == MICRO


def test_a_stream_without_counts_is_whole_and_says_none() -> None:
    for usage in (None, {}, {"inputTokens": 0, "outputTokens": 0}, {"inputTokens": 10**12}):
        frames = read(stream_of([{"text": "x"}], "end_turn", usage))
        assert frames[-1].done
        assert all(frame.usage is None for frame in frames)
        assert adapter.decode_chat(200, {}, whole([{"text": "x"}], usage=usage), AWS).usage is None


@pytest.mark.parametrize("end", [0, 40, 300])
def test_a_stream_that_breaks_off_ends_in_one_error(end: int) -> None:
    frames = read(stream_of([{"text": "Hello"}], "end_turn", COUNTS)[:end])
    assert [frame.error is not None for frame in frames].count(True) == 1
    assert frames[-1].error is not None
    assert not any(frame.done for frame in frames)
    failure = adapter.error(200, {}, frames[-1].data, AWS)
    assert (failure.error.reason, failure.error.spent, failure.retryable) == ("upstream_error", True, True)


@pytest.mark.parametrize("step", [None, 1, 50])
def test_a_flipped_bit_ends_the_stream_in_an_error(step: int | None) -> None:
    first = event("messageStart", {"role": "assistant"}) + event("contentBlockDelta", {"delta": {"text": "Hello"}})
    broken = bytearray(event("contentBlockDelta", {"delta": {"text": " there"}}))
    broken[90] ^= 4
    frames = read(first + bytes(broken) + event("messageStop", {"stopReason": "end_turn"}), step)
    assert joined(frames)["content"] == "Hello"
    assert frames[-1].error == "The provider's stream has an event that cannot be read."
    assert sum(frame.error is not None for frame in frames) == 1


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_an_answer_that_the_model_garbled_is_none(reason: str) -> None:
    with pytest.raises(Failure, match="garbled"):
        adapter.decode_chat(200, {}, whole([{"text": "x"}], reason), AWS)
    frames = read(stream_of([{"text": "x"}], reason, COUNTS))
    assert frames[-1].error is not None


@pytest.mark.parametrize(
    ("name", "status", "reason", "retryable"),
    [
        ("throttlingException", 502, "provider_rate_limit", True),
        ("validationException", 400, "upstream_invalid_request", False),
        ("serviceUnavailableException", 503, "upstream_overloaded", True),
        ("internalServerException", 502, "upstream_error", True),
        ("modelStreamErrorException", 502, "upstream_error", True),
    ],
)
def test_exceptions_inside_a_stream(name: str, status: int, reason: str, retryable: bool) -> None:
    data = event("messageStart", {"role": "assistant"}) + event(name, {"message": "Words of it."}, "exception")
    frames = read(data + event("messageStop", {"stopReason": "end_turn"}), 9)
    assert frames[-1].error == "Words of it."
    assert sum(frame.error is not None for frame in frames) == 1
    failure = adapter.error(200, {}, frames[-1].data, AWS)
    assert (failure.error.status, failure.error.reason, failure.retryable) == (status, reason, retryable)


# Requests


def test_thoughts_return_unchanged_with_the_next_turn() -> None:
    content = [SIGNED, REDACTED, {"text": "x"}, USE]
    message = json.loads(adapter.decode_chat(200, {}, whole(content, "tool_use"), AWS).body)["choices"][0]["message"]
    assert [block["type"] for block in message["content_blocks"]] == ["thinking", "redacted_thinking"]
    result = {"role": "tool", "tool_call_id": "tooluse_1", "content": "3 C"}
    body = encode({"messages": [*HI, message, result], "tools": [TOOL]})
    assert body["messages"][1]["content"] == content
    unsigned = json.loads(adapter.decode_chat(200, {}, whole([UNSIGNED, {"text": "x"}]), AWS).body)
    body = encode({"messages": [*HI, unsigned["choices"][0]["message"], *HI]})
    assert body["messages"][1]["content"] == [{"text": "x"}]


def test_turns_of_one_side_are_one_message_and_blank_text_is_left_out() -> None:
    messages = [
        {"role": "system", "content": " "},
        {"role": "user", "content": "a"},
        {"role": "user", "content": "  \n"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": ""},
        {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "functions.x:1"}]},
        {"role": "tool", "tool_call_id": "t0", "content": ""},
        {"role": "tool", "tool_call_id": "functions.x:1", "content": "5"},
        {"role": "user", "content": "c"},
    ]
    body = encode({"messages": messages, "tools": [TOOL]})
    assert "system" not in body
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][0]["content"] == [{"text": "a"}, {"text": "b"}]
    assert [block["toolUse"]["toolUseId"] for block in body["messages"][1]["content"]] == ["t0", "functions_x_1"]
    first, second, last = body["messages"][2]["content"]
    assert first == {"toolResult": {"toolUseId": "t0", "content": [{"text": "(nothing)"}]}}
    assert second == {"toolResult": {"toolUseId": "functions_x_1", "content": [{"text": "5"}]}}
    assert last == {"text": "c"}


@pytest.mark.parametrize("more", [{}, {"tools": [TOOL], "tool_choice": "none"}])
def test_without_tools_their_earlier_calls_are_told_in_words(more: dict[str, Any]) -> None:
    messages = [
        *HI,
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "t0", "content": "3 C"},
    ]
    body = encode({"messages": messages, **more})
    assert "toolConfig" not in body
    assert body["messages"][1:] == [
        {"role": "assistant", "content": [{"text": '[Called get_weather with {"city":"Oslo"}]'}]},
        {"role": "user", "content": [{"text": "[The call's result:]"}, {"text": "3 C"}]},
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "get_weather"}}, {"tool": {"name": "get_weather"}}),
    ],
)
def test_tool_choice(choice: Any, expected: Any) -> None:
    assert encode({"tools": [TOOL], "tool_choice": choice}, MICRO)["toolConfig"]["toolChoice"] == expected
    assert "toolChoice" not in encode({"tools": [TOOL]}, MICRO)["toolConfig"]


def test_strict_tools_are_strict_where_claude_can_keep_to_them() -> None:
    def spec(schema: Any, model: str) -> Any:
        function = {"name": "f", "strict": True, "parameters": schema}
        return encode({"tools": [{"type": "function", "function": function}]}, model)["toolConfig"]["tools"][0][
            "toolSpec"
        ]

    assert spec(CLOSED, CLAUDE)["strict"] is True
    assert spec(WEATHER, CLAUDE).keys() == spec(CLOSED, MICRO).keys() == {"name", "inputSchema"}


def test_one_call_at_a_time_is_told_to_claude_beside_the_choice() -> None:
    body = encode({"tools": [TOOL], "parallel_tool_calls": False, "tool_choice": "auto"})
    assert body["additionalModelRequestFields"]["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert "toolChoice" not in body["toolConfig"]
    body = encode({"tools": [TOOL], "parallel_tool_calls": False, "tool_choice": "required"})
    assert body["additionalModelRequestFields"]["tool_choice"] == {"disable_parallel_tool_use": True}
    assert body["toolConfig"]["toolChoice"] == {"any": {}}
    assert "additionalModelRequestFields" not in encode({"tools": [TOOL], "parallel_tool_calls": True})


def test_marks_of_the_cache_stand_behind_what_they_keep() -> None:
    kept = {"cache_control": {"type": "ephemeral"}}
    fields = {
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "s", **kept}]},
            {"role": "user", "content": [{"type": "text", "text": "a", **kept}, {"type": "text", "text": "b"}]},
        ],
        "tools": [{**TOOL, **kept}],
    }
    point = {"cachePoint": {"type": "default"}}
    body = encode(fields)
    assert body["system"] == [{"text": "s"}, point]
    assert body["messages"][0]["content"] == [{"text": "a"}, point, {"text": "b"}]
    assert body["toolConfig"]["tools"][1] == point
    nova = encode(fields, MICRO)  # keeps no tools
    assert len(nova["toolConfig"]["tools"]) == 1
    assert nova["system"] == [{"text": "s"}, point]
    assert "cachePoint" not in json.dumps(encode(fields, "meta.llama3-3-70b-instruct-v1:0"))


def test_documents_have_distinct_names_that_converse_takes() -> None:
    pdf = f"data:application/pdf;base64,{base64.b64encode(b'%PDF').decode()}"
    files = [
        {"type": "file", "file": {"file_data": pdf, "filename": name}}
        for name in ("Q3_report: v2.pdf", "Q3 report v2.pdf", "")
    ]
    body = encode({"messages": [{"role": "user", "content": [{"type": "text", "text": "read"}, *files]}]})
    documents = [block["document"] for block in body["messages"][0]["content"][1:]]
    assert [document["name"] for document in documents] == ["Q3 report v2", "Q3 report v2 2", "document"]
    assert {document["format"] for document in documents} == {"pdf"}
    assert base64.b64decode(documents[0]["source"]["bytes"]) == b"%PDF"


def test_films_in_a_chat() -> None:
    uri = f"data:video/mp4;base64,{base64.b64encode(b'film').decode()}"
    body = encode(
        {"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": uri}}]}]}, LITE2
    )
    assert body["messages"][0]["content"][0]["video"]["format"] == "mp4"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"messages": [{"role": "user", "content": ""}]}, "no message with content"),
        ({"messages": [{"role": "system", "content": "x"}]}, "no message with content"),
        ({"tools": [{"type": "web_search"}]}, "functions only"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": "data:image/bmp;base64,eA=="}}],
                    }
                ]
            },
            "image/bmp is not taken",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "eA=="}}]}]},
            "does not take audio",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "video_url", "video_url": {"url": "https://h/f.mp4"}}]}
                ]
            },
            "does not take video",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        encode(fields)


# Thinking


@pytest.mark.parametrize(
    ("fields", "limit", "expected"),
    [
        ({"reasoning_effort": "low"}, None, 2048),
        ({"reasoning_effort": "medium"}, 64000, 8192),
        ({"reasoning_effort": "high"}, 5000, 4999),
        ({"reasoning_effort": "max"}, None, 32000),
        ({"thinking_budget": 2000}, 64000, 2000),
        ({"thinking": {"type": "enabled", "budget_tokens": 3000}}, 2500, 2499),
    ],
)
def test_claude_thinks_inside_the_limit_of_its_answer(fields: dict[str, Any], limit: int | None, expected: int) -> None:
    body = encode(fields, max_tokens=limit)
    assert body["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": expected}}


def test_thinking_that_would_leave_no_room_for_an_answer_is_not_asked_for() -> None:
    assert "additionalModelRequestFields" not in encode({"reasoning_effort": "low"}, max_tokens=1024)


def test_newer_claudes_think_as_much_as_they_need() -> None:
    body = encode({"reasoning_effort": "xhigh"}, "us.anthropic.claude-opus-4-6-v1", max_tokens=500)
    assert body["additionalModelRequestFields"] == {
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
    }


@pytest.mark.parametrize("given", [{"type": "adaptive"}, {"type": "disabled"}])
def test_claudes_own_parameter_passes_as_it_came(given: dict[str, Any]) -> None:
    assert encode({"thinking": given, "reasoning_effort": "low"})["additionalModelRequestFields"] == {"thinking": given}


@pytest.mark.parametrize("effort", ["none", ""])
def test_no_effort_is_no_thinking(effort: str) -> None:
    for model in (CLAUDE, LITE2):
        assert "additionalModelRequestFields" not in encode({"reasoning_effort": effort, "thinking": None}, model)


def test_nova_thinks_hard_only_without_a_limit() -> None:
    config = {"type": "enabled", "maxReasoningEffort": "high"}
    assert encode({"reasoning_effort": "high"}, LITE2)["additionalModelRequestFields"] == {"reasoningConfig": config}
    with pytest.raises(BadRequest, match="ask for medium"):
        encode({"reasoning_effort": "high"}, LITE2, max_tokens=500)


# Answers in a schema

CLOSED = {**WEATHER, "additionalProperties": False}


def in_schema(schema: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "weather", "schema": schema}}}


@pytest.mark.parametrize("model", [CLAUDE, MICRO, LITE2, "anthropic.claude-3-5-haiku-20241022-v1:0"])
@pytest.mark.parametrize("schema", [CLOSED, WEATHER])
def test_a_schema_is_that_of_a_tool_that_must_be_called(model: str, schema: Any) -> None:
    body = encode(in_schema(schema), model)
    assert not {"outputConfig", "system"} & body.keys()
    config = body["toolConfig"]
    assert config["toolChoice"] == {"tool": {"name": "json_answer"}}
    assert config["tools"][0]["toolSpec"]["inputSchema"]["json"] == schema


@pytest.mark.parametrize("more", [{"tools": [TOOL]}, {"thinking": {"type": "enabled", "budget_tokens": 1024}}])
def test_beside_tools_and_thinking_claude_is_bound_to_the_schema(more: dict[str, Any]) -> None:
    body = encode({**in_schema(CLOSED), **more})
    form = body["outputConfig"]["textFormat"]
    assert (form["type"], form["structure"]["jsonSchema"]["name"]) == ("json_schema", "weather")
    assert json.loads(form["structure"]["jsonSchema"]["schema"]) == CLOSED
    assert "system" not in body
    assert "json_answer" not in json.dumps(body)


OPUS = "us.anthropic.claude-opus-4-6-v1"


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (CLAUDE, {"response_format": {"type": "json_object"}}),
        (MICRO, {**in_schema(CLOSED), "tools": [TOOL]}),
        (LITE2, {**in_schema(CLOSED), "reasoning_effort": "low"}),
        (CLAUDE, {**in_schema(WEATHER), "tools": [TOOL]}),
        (CLAUDE, {**in_schema({**CLOSED, "properties": {"a": {"type": "integer", "minimum": 1}}}), "tools": [TOOL]}),
        (CLAUDE, {**in_schema({**CLOSED, "properties": {"a": {"anyOf": [{"type": "object"}]}}}), "tools": [TOOL]}),
        ("anthropic.claude-sonnet-4-20250514-v1:0", {**in_schema(CLOSED), "tools": [TOOL]}),
        (OPUS, {**in_schema(CLOSED), "reasoning_effort": "low"}),  # the effort stands where the schema would
    ],
)
def test_where_neither_is_possible_the_system_prompt_asks_for_json(model: str, fields: dict[str, Any]) -> None:
    body = encode(fields, model)
    words = body["system"][-1]["text"]
    assert words.startswith("Answer with one JSON object alone")
    assert ("JSON schema" in words) == (fields["response_format"]["type"] == "json_schema")
    assert "outputConfig" not in body
    assert "json_answer" not in json.dumps(body)


# Parameters

VALUES: dict[str, Any] = {
    "messages": [{"role": "user", "content": "other"}],
    "temperature": 0.1,
    "top_p": 0.2,
    "top_k": 7,
    "stop": ["x"],
    "tools": [TOOL],
    "functions": [TOOL["function"]],
    "response_format": {"type": "json_object"},
    "reasoning_effort": "low",
    "thinking": {"type": "adaptive"},
    "thinking_budget": 3000,
}
TOOL_VALUES: dict[str, Any] = {
    "tool_choice": "required",
    "function_call": {"name": "get_weather"},
    "parallel_tool_calls": False,
}
#: Decided by the program, told in other tests: ``model`` and ``stream`` in the path, counts always come in a stream.
DECIDED = {"model", "stream", "stream_options", "max_tokens", "max_completion_tokens"}


@pytest.mark.parametrize("model", [CLAUDE, MICRO, LITE2, "meta.llama3-3-70b-instruct-v1:0"])
def test_every_parameter_of_a_chat_moves_the_wire(model: str) -> None:
    names = adapter.params(Capability.CHAT, AWS, Route("bedrock", model))
    assert names <= VALUES.keys() | TOOL_VALUES.keys() | DECIDED
    for name in names - DECIDED:
        base = {"tools": [TOOL]} if name in TOOL_VALUES else {}
        assert encode({**base, name: (VALUES | TOOL_VALUES)[name]}, model) != encode(base, model), name
    for name in (VALUES.keys() | TOOL_VALUES.keys()) - names:  # what is not named is not sent
        base = {"tools": [TOOL]} if name in TOOL_VALUES else {}
        assert encode({**base, name: (VALUES | TOOL_VALUES)[name]}, model) == encode(base, model), name


def test_only_maker_parameters_of_the_model_are_named() -> None:
    def names(model: str) -> frozenset[str]:
        return adapter.params(Capability.CHAT, AWS, Route("bedrock", model))

    assert {"thinking", "top_k", "parallel_tool_calls"} <= names(CLAUDE)
    assert "reasoning_effort" not in names(MICRO)
    assert "reasoning_effort" in names(LITE2)
    assert not {"seed", "n", "logprobs", "frequency_penalty", "web_search_options"} & names(CLAUDE)
    assert encode({"top_k": 5}, MICRO)["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 5}}


# Faults

MEANINGS = {
    "AccessDeniedException": (502, "provider_credential", True),
    "ThrottlingException": (502, "provider_rate_limit", True),
    "ResourceNotFoundException": (502, "provider_unknown_model", True),
    "ModelTimeoutException": (504, "upstream_timeout", True),
    "InternalServerException": (502, "upstream_error", True),
    "ServiceUnavailableException": (503, "upstream_overloaded", True),
    "ValidationException": (400, "upstream_invalid_request", False),
    "ModelNotReadyException": (503, "upstream_overloaded", True),
    "ModelErrorException": (502, "upstream_error", True),
    "ServiceQuotaExceededException": (502, "provider_rate_limit", True),
    "ConflictException": (400, "upstream_invalid_request", False),
}
ERRORS = {
    (error["name"], error["http_status"])
    for errors in captured("bedrock.service_model_facts")["errors"].values()
    for error in errors
}


@pytest.mark.parametrize(("name", "status"), sorted(ERRORS))
def test_every_error_of_the_service_model_has_its_meaning(name: str, status: int) -> None:
    """By the header, and by the body alone, as botocore reads either."""
    raw = Headers([(b"X-Amzn-ErrorType", f"{name}:http://internal.amazon.com/".encode())])
    answers: list[tuple[Mapping[str, str], dict[str, str]]] = [
        (raw, {"message": "Words."}),
        ({}, {"__type": f"com.amazon.coral.service#{name}", "Message": "Words."}),
    ]
    for headers, body in answers:
        failure = from_answer(status, headers, json.dumps(body).encode(), KEYED)
        assert (failure.error.status, failure.error.reason, failure.retryable) == MEANINGS[name]
        with pytest.raises(Failure):
            adapter.decode_chat(status, headers, json.dumps(body).encode(), KEYED)
        assert ("Words." in failure.error.message) == (failure.error.status == 400)


@pytest.mark.parametrize("name", ["ExpiredTokenException", "IncompleteSignature", "UnrecognizedClientException"])
def test_a_credential_that_is_not_taken_is_our_fault_whatever_the_status(name: str) -> None:
    failure = from_answer(400, {"x-amzn-errortype": name}, b'{"message": "no"}', AWS)
    assert (failure.error.reason, failure.retryable) == ("provider_credential", True)


@pytest.mark.parametrize(
    "words",
    [
        "The provided model identifier is invalid.",
        "Invocation of model ID amazon.nova-2-lite-v1:0 with on-demand throughput isn\u2019t supported.",
    ],
)
def test_a_model_that_the_account_has_not_is_our_fault(words: str) -> None:
    failure = from_answer(
        400, {"x-amzn-errortype": "ValidationException"}, json.dumps({"message": words}).encode(), AWS
    )
    assert (failure.error.status, failure.error.reason, failure.retryable) == (502, "provider_unknown_model", True)


@pytest.mark.parametrize(
    "body", [b"", b"no", b"[]", b"{}", b'{"output": {}}', b'{"output": {"message": {"content": []}}}']
)
def test_an_answer_that_cannot_be_read_is_none(body: bytes) -> None:
    with pytest.raises(Failure) as caught:
        adapter.decode_chat(200, {}, body, AWS)
    assert caught.value.error.reason == "upstream_invalid_answer"


def test_no_key_in_any_message() -> None:
    key = KEYED.key or ""
    body = json.dumps({"message": f"bad key {key}"}).encode()
    for status in (400, 403, 500):
        failure = from_answer(status, {}, body, KEYED)
        assert key not in failure.error.message + repr(failure.error.details)


def test_the_credential_is_a_key_or_a_signature_and_films_are_signed_for_always() -> None:
    both = msgspec.structs.replace(FILMS, key="bedrock-api-key-fake")
    out = adapter.encode_chat(chat({"messages": HI}), Route("bedrock", MICRO), both)
    assert (out.service, dict(out.headers)["authorization"]) == ("", "Bearer bedrock-api-key-fake")
    out = adapter.encode_chat(chat({"messages": HI}), Route("bedrock", MICRO), AWS)
    assert (out.service, "authorization" in dict(out.headers)) == ("bedrock", False)
    film = adapter.fetch_job(JobState(ARN, "done", result="s3://fake-bucket/x/output.mp4"), REEL, both)
    assert (film.service, film.headers) == ("s3", ())
