"""Amazon Bedrock: what goes out equals what boto3 sends for the same call, and what it parsed is what we read.

Compared canonically: paths decoded once, JSON by value, bytes as base64, signatures by their scope and signed headers.
"""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from PIL import Image

from openpollen.core.assets import Asset, ImageRequest, JobState, VideoRequest
from openpollen.core.chat import ChatAnswer, ChatFrame, ChatRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.core.usage import Usage
from openpollen.outbound.message import Headers, Outgoing, parse_origin
from openpollen.providers.adapter import adapters
from openpollen.providers.failures import Failure, from_answer
from openpollen.providers.sigv4 import sign

WIRE = Path(__file__).with_name("wire")
SECRET = {
    "access_key": "AKIAFAKEFAKEFAKEFAKE",
    "secret_key": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
    "region": "us-east-1",
}
URL = "https://bedrock-runtime.us-east-1.amazonaws.com"
AWS = Provider("bedrock", "bedrock", URL, signer="aws", secret=SECRET)
FILMS = Provider("bedrock-video", "bedrock", f"{URL}?output=s3://fake-bucket/nova-reel/", signer="aws", secret=SECRET)
KEYED = Provider("bedrock", "bedrock", URL, key="bedrock-api-key-fake", key_env="AWS_BEARER_TOKEN_BEDROCK")
CLAUDE = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
MICRO, LITE2 = "amazon.nova-micro-v1:0", "us.amazon.nova-2-lite-v1:0"
CANVAS = Route("bedrock", "amazon.nova-canvas-v1:0", "nova-canvas")
REEL = Route("bedrock-video", "amazon.nova-reel-v1:1", "nova-reel")
ARN = "arn:aws:bedrock:us-east-1:123456789012:async-invoke/abcdefgh1234"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PIXEL = Asset(PNG, "image/png")
PIXEL_URI = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"

adapter = adapters()["bedrock"]


def captured(name: str) -> dict[str, Any]:
    return json.loads((WIRE / f"bedrock.{name}.json").read_text())


def chat(fields: Mapping[str, Any], **more: Any) -> ChatRequest:
    return ChatRequest(msgspec.json.decode(msgspec.json.encode(fields), type=dict[str, msgspec.Raw]), **more)


def sent(out: Outgoing) -> Any:
    assert isinstance(out.body, bytes)
    return json.loads(out.body)


def encode(fields: Mapping[str, Any], model: str = CLAUDE, **more: Any) -> Any:
    messages = {"messages": [{"role": "user", "content": "hi"}]}
    return sent(adapter.encode_chat(chat({**messages, **fields}, **more), Route("bedrock", model), AWS))


def scope(authorization: str) -> tuple[str, list[str]]:
    """Service and names of a signature."""
    parts = dict(part.split("=", 1) for part in authorization.removeprefix("AWS4-HMAC-SHA256 ").split(", "))
    return parts["Credential"].split("/", 2)[2], parts["SignedHeaders"].split(";")


def same_head(out: Outgoing, expected: Mapping[str, Any], drop: Iterable[str] = ()) -> None:
    _, _, target = parse_origin(out.url)
    assert (out.method, unquote(target)) == (expected["method"], unquote(expected["path"]))
    wanted: dict[str, str] = dict(expected["headers"])
    if out.service:
        out = sign(out, SECRET, datetime(2026, 4, 10, tzinfo=UTC))
        service, names = scope(wanted.pop("authorization"))
        got_service, got_names = scope(dict(out.headers)["authorization"])
        assert (got_service, got_names) == (service, [name for name in names if name not in drop])
    ours = {name: value for name, value in out.headers if not name.startswith("x-amz-")}
    if out.service:
        del ours["authorization"]
    assert ours == {name: value for name, value in wanted.items() if name not in drop}


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
    "converse.full": (chat(FULL, max_tokens=256), CLAUDE, AWS),
    "converse.bearer_api_key": (chat({"messages": HI}), MICRO, KEYED),
    "converse.nova2_reasoning": (chat({"messages": HI, "reasoning_effort": "medium"}, max_tokens=2000), LITE2, AWS),
    "converse_stream": (chat({"messages": HI, "stream": True}, stream=True, max_tokens=64), MICRO, AWS),
}


@pytest.mark.parametrize("name", CHATS)
def test_chat(name: str) -> None:
    request, model, provider = CHATS[name]
    expected = captured(name)["requests"][0]
    out = adapter.encode_chat(request, Route("bedrock", model), provider)
    same_head(out, expected)
    body = expected["body"]["json"]
    for message in body["messages"]:
        for block in message["content"]:
            if "toolResult" in block:  # a tool's message here is text, and has no word for success
                del block["toolResult"]["status"]
                block["toolResult"]["content"] = [{"text": '{"c":3}'}]
    assert sent(out) == body


WORDS = {"negative_prompt": "blur", "seed": 42}
PICTURES = {
    "nova_canvas.text_image": ImageRequest("a fox", **WORDS),
    "nova_canvas.image_variation": ImageRequest("a fox", images=(PIXEL,), **WORDS),
    "nova_canvas.inpainting": ImageRequest(
        "stars", images=(PIXEL,), mask=PIXEL, seed=42, given=frozenset({"width", "height"})
    ),
    "nova_canvas.background_removal": ImageRequest("cut out", images=(PIXEL,), transparent=True),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(name: str) -> None:
    fixture = captured(name)
    expected = fixture["requests"][0]
    out = adapter.encode_image(PICTURES[name], CANVAS, AWS)
    same_head(out, expected)
    body, ours = expected["body"]["json"], sent(out)
    # Left at its default there: our request has no word for either.
    body.get("imageGenerationConfig", {}).pop("cfgScale", None)
    body.get("imageVariationParams", {}).pop("similarityStrength", None)
    if "inPaintingParams" in body:  # a mask is a picture here, not words
        del body["inPaintingParams"]["maskPrompt"]
        assert base64.b64decode(ours["inPaintingParams"].pop("maskImage")).startswith(b"\x89PNG")
    assert ours == body
    media = adapter.decode_image(200, {}, json.dumps(fixture["recorder_responses"]["items"][0]).encode(), AWS)
    assert [base64.b64encode(asset.data).decode() for asset in media.assets] == fixture["sdk_parsed"]["images"]
    assert (media.note, media.usage) == ("", None)


FILM_REQUESTS = {
    "nova_reel.text_video": VideoRequest("a fox runs", seconds=6, seed=42, images=(PIXEL,)),
    "nova_reel.multi_shot": VideoRequest("a fox runs", seconds=12, seed=42),
}


@pytest.mark.parametrize("name", FILM_REQUESTS)
def test_films_are_begun_polled_and_fetched(name: str) -> None:
    fixture = captured(name)
    begin, poll, fetch = fixture["requests"]
    begun, done = (json.dumps(item).encode() for item in fixture["recorder_responses"]["items"])
    out = adapter.encode_video(FILM_REQUESTS[name], REEL, FILMS)
    same_head(out, begin)
    body = begin["body"]["json"]
    del body["clientRequestToken"]  # optional: makes a repeated request harmless, and none is repeated here
    assert sent(out) == body
    state = adapter.decode_video(200, {}, begun, FILMS)
    assert state == JobState(ARN, "queued")
    same_head(adapter.poll_job(ARN, REEL, FILMS), poll)
    finished = adapter.decode_job(200, {}, done, FILMS)
    uri = fixture["sdk_parsed"]["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"]
    assert finished == JobState(ARN, "done", 100, result=f"{uri}/output.mp4")
    # The capture was made at a loopback host, where the bucket stands in the path; checksums are not asked for.
    at_loopback = msgspec.structs.replace(FILMS, base_url="http://127.0.0.1:9000?output=s3://fake-bucket/nova-reel/")
    same_head(adapter.fetch_job(finished, REEL, at_loopback), fetch, drop={"x-amz-checksum-mode"})
    film = adapter.fetch_job(finished, REEL, FILMS)
    assert film.url == "https://fake-bucket.s3.us-east-1.amazonaws.com/nova-reel/abcdefgh1234/output.mp4"
    assert (film.service, film.headers) == ("s3", ())
    assert adapter.decode_result(200, {}, b"mp4", FILMS).assets[0].data == b"mp4"


def test_a_bucket_whose_name_has_dots_stands_in_the_path() -> None:
    job = JobState(ARN, "done", result="s3://my.bucket/a b/x/output.mp4")
    assert adapter.fetch_job(job, REEL, FILMS).url == "https://s3.us-east-1.amazonaws.com/my.bucket/a%20b/x/output.mp4"


def test_an_answer_is_read_as_botocore_parsed_it() -> None:
    fixture = captured("converse.full")
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
            for call in delta.get("tool_calls") or []:
                if call["index"] == len(out["tool_calls"]):
                    out["tool_calls"].append({"id": call["id"], "name": call["function"]["name"], "arguments": ""})
                out["tool_calls"][call["index"]]["arguments"] += call["function"]["arguments"]
            out["finish"] = choice["finish_reason"] or out["finish"]
    return out


def told(answer: ChatAnswer) -> dict[str, Any]:
    """The same of a whole answer."""
    choice = json.loads(answer.body)["choices"][0]
    message = choice["message"]
    calls = [{"id": call["id"], **call["function"]} for call in message.get("tool_calls", [])]
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
USE_TOO = {"toolUse": {"toolUseId": "tooluse_2", "name": "get_time", "input": {}}}
JSON_ANSWER = {"toolUse": {"toolUseId": "tooluse_3", "name": "json_answer", "input": {"city": "Ösló"}}}
COUNTS = {
    "inputTokens": 12,
    "outputTokens": 7,
    "totalTokens": 124,
    "cacheReadInputTokens": 100,
    "cacheWriteInputTokens": 5,
}
CONTENTS = {
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


def test_the_captured_stream_is_read_as_botocore_parsed_it() -> None:
    fixture = captured("converse_stream")
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


def test_a_flipped_bit_ends_the_stream_in_an_error() -> None:
    data = bytearray(stream_of([{"text": "Hello"}], "end_turn", COUNTS))
    data[200] ^= 4
    frames = read(bytes(data), 50)
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
        ({"reasoning_effort": "low"}, None, 1024),
        ({"reasoning_effort": "medium"}, 64000, 4096),
        ({"reasoning_effort": "high"}, 5000, 4999),
        ({"reasoning_effort": "xhigh"}, None, 32768),
        ({"thinking_budget": 2000}, 64000, 2000),
        ({"thinking_budget": 2000, "reasoning_effort": "high"}, None, 2000),
    ],
)
def test_claude_thinks_inside_the_limit_of_its_answer(fields: dict[str, Any], limit: int | None, expected: int) -> None:
    body = encode(fields, max_tokens=limit)
    assert body["additionalModelRequestFields"]["thinking"] == {"type": "enabled", "budget_tokens": expected}


def test_a_limit_that_leaves_no_room_to_think_is_refused() -> None:
    with pytest.raises(BadRequest, match="max_tokens"):
        encode({"reasoning_effort": "low"}, max_tokens=1024)


@pytest.mark.parametrize("given", [{"type": "adaptive"}, {"type": "disabled"}, {"type": "enabled", "budget_tokens": 9}])
def test_claudes_own_parameter_passes_as_it_came(given: dict[str, Any]) -> None:
    assert encode({"thinking": given, "reasoning_effort": "low"})["additionalModelRequestFields"]["thinking"] == given


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


def test_claude_keeps_to_a_closed_schema_also_beside_tools_and_thinking() -> None:
    for more in ({}, {"tools": [TOOL]}, {"thinking": {"type": "enabled", "budget_tokens": 1024}}):
        body = encode({**in_schema(CLOSED), **more})
        form = body["outputConfig"]["textFormat"]
        assert (form["type"], form["structure"]["jsonSchema"]["name"]) == ("json_schema", "weather")
        assert json.loads(form["structure"]["jsonSchema"]["schema"]) == CLOSED
        assert "system" not in body
        assert [tool["toolSpec"]["name"] for tool in body.get("toolConfig", {}).get("tools", [])] in (
            [],
            ["get_weather"],
        )


@pytest.mark.parametrize(
    ("model", "schema"),
    [
        (MICRO, CLOSED),
        (CLAUDE, WEATHER),
        (CLAUDE, {**CLOSED, "properties": {"a": {"type": "array", "items": {"type": "object"}}}}),
        ("anthropic.claude-sonnet-4-20250514-v1:0", CLOSED),
        ("anthropic.claude-3-5-haiku-20241022-v1:0", CLOSED),
    ],
)
def test_other_schemas_are_those_of_a_tool_that_must_be_called(model: str, schema: Any) -> None:
    body = encode(in_schema(schema), model)
    assert "outputConfig" not in body
    config = body["toolConfig"]
    assert config["toolChoice"] == {"tool": {"name": "json_answer"}}
    assert config["tools"][0]["toolSpec"]["inputSchema"]["json"] == schema


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (CLAUDE, {"response_format": {"type": "json_object"}}),
        (MICRO, {**in_schema(CLOSED), "tools": [TOOL]}),
        (CLAUDE, {**in_schema(WEATHER), "reasoning_effort": "low"}),
        (LITE2, {**in_schema(CLOSED), "reasoning_effort": "low"}),
    ],
)
def test_where_no_tool_can_be_forced_the_system_prompt_asks_for_json(model: str, fields: dict[str, Any]) -> None:
    body = encode(fields, model)
    words = body["system"][-1]["text"]
    assert words.startswith("Answer with one JSON object alone")
    assert ("JSON schema" in words) == ("json_schema" in fields["response_format"])
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


PICTURE_VALUES: dict[str, dict[str, Any]] = {
    "prompt": {"prompt": "a cat"},
    "width": {"width": 512},
    "height": {"height": 512},
    "size": {"width": 768, "height": 768, "given": frozenset({"size"})},
    "n": {"n": 3},
    "seed": {"seed": 5},
    "quality": {"quality": "high"},
    "negative_prompt": {"negative_prompt": "rain"},
    "image": {"images": (PIXEL, PIXEL)},
    "mask": {"mask": PIXEL},
    "transparent": {"transparent": True},
}


@pytest.mark.parametrize("operation", [Capability.IMAGE, Capability.EDIT])
def test_every_parameter_of_a_picture_moves_the_wire(operation: Capability) -> None:
    base: dict[str, Any] = {"prompt": "a fox", "images": (PIXEL,) if operation is Capability.EDIT else ()}
    for name in adapter.params(operation, AWS, CANVAS):
        one = sent(adapter.encode_image(ImageRequest(**(base | PICTURE_VALUES[name])), CANVAS, AWS))
        assert one != sent(adapter.encode_image(ImageRequest(**base), CANVAS, AWS)), name
    assert "transparent" not in adapter.params(Capability.IMAGE, AWS, CANVAS)


FILM_VALUES: dict[str, dict[str, Any]] = {
    "prompt": {"prompt": "a cat"},
    "seconds": {"seconds": 18},
    "duration": {"seconds": 18},
    "width": {"width": 640},
    "height": {"height": 640},
    "size": {"width": 640, "height": 360},
    "fps": {"fps": 30},
    "seed": {"seed": 0},
    "image": {"images": (PIXEL,)},
}


def test_every_parameter_of_a_film_moves_the_wire() -> None:
    def body(**more: Any) -> Any:
        return sent(adapter.encode_video(VideoRequest(**({"prompt": "a fox", "seconds": 6} | more)), REEL, FILMS))

    for name in adapter.params(Capability.VIDEO, FILMS, REEL):
        assert body(**FILM_VALUES[name]) != body(), name


# Pictures


@pytest.mark.parametrize(("seed", "expected"), [(0, 0), (2147483646, 2147483646), (2147483647, 0)])
def test_seeds_stay_in_the_models_range(seed: int, expected: int) -> None:
    picture = sent(adapter.encode_image(ImageRequest("x", seed=seed), CANVAS, AWS))
    assert picture["imageGenerationConfig"]["seed"] == expected
    film = sent(adapter.encode_video(VideoRequest("x", seconds=6, seed=seed), REEL, FILMS))
    assert film["modelInput"]["videoGenerationConfig"]["seed"] == expected
    assert "seed" not in sent(adapter.encode_image(ImageRequest("x"), CANVAS, AWS))["imageGenerationConfig"]


@pytest.mark.parametrize(("quality", "expected"), [("low", "standard"), ("medium", "standard"), ("high", "premium")])
def test_qualities(quality: Any, expected: str) -> None:
    body = sent(adapter.encode_image(ImageRequest("x", quality=quality), CANVAS, AWS))
    assert body["imageGenerationConfig"]["quality"] == expected


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (ImageRequest("x", width=1000), "width: .* such as 992"),
        (ImageRequest("x", height=1001), "height: .* such as 1008"),
        (ImageRequest("x", images=(PIXEL, PIXEL), mask=PIXEL), "one picture at a time"),
        (ImageRequest("x", images=(PIXEL, PIXEL), transparent=True), "one picture at a time"),
        (ImageRequest("x", images=(PIXEL,), mask=PIXEL, transparent=True), "leave out mask"),
        (ImageRequest("x", images=(PIXEL,), transparent=True, given=frozenset({"size"})), "leave out mask, n and size"),
        (ImageRequest("x", images=(Asset(b"RIFF", "image/webp"),)), "PNG and JPEG, not image/webp"),
        (ImageRequest("x", images=(PIXEL,), mask=Asset(b"x", "image/png")), "mask: "),
    ],
)
def test_what_canvas_cannot_do_in_one_call_is_refused(request_: ImageRequest, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        adapter.encode_image(request_, CANVAS, AWS)


def picture(mode: str, pixels: list[Any]) -> Asset:
    image = Image.new(mode, (len(pixels), 1))
    image.putdata(pixels)
    out = io.BytesIO()
    image.save(out, "PNG")
    return Asset(out.getvalue(), "image/png")


@pytest.mark.parametrize(
    "mask",
    [
        picture("RGBA", [(9, 9, 9, 0), (0, 0, 0, 255), (255, 255, 255, 90), (255, 255, 255, 200)]),
        picture("L", [255, 0, 180, 30]),
    ],
)
def test_a_mask_becomes_black_where_the_picture_may_change(mask: Asset) -> None:
    body = sent(adapter.encode_image(ImageRequest("x", images=(PIXEL,), mask=mask), CANVAS, AWS))
    assert "width" not in body["imageGenerationConfig"]  # the picture keeps its size
    with Image.open(io.BytesIO(base64.b64decode(body["inPaintingParams"]["maskImage"]))) as image:
        assert list(image.convert("RGB").getdata()) == [(0, 0, 0), (255, 255, 255)] * 2


def test_pictures_of_which_some_were_withheld_come_with_a_note() -> None:
    words = "Some images were blocked by our content filters."
    body = json.dumps({"images": [base64.b64encode(PNG).decode()], "error": words}).encode()
    media = adapter.decode_image(200, {}, body, AWS)
    assert (len(media.assets), media.note) == (1, words)


@pytest.mark.parametrize("body", [b"{}", b'{"images": []}', b'{"images": null}', b'{"images": ["%"]}', b"no", b"[]"])
def test_an_answer_without_a_picture_is_no_answer(body: bytes) -> None:
    with pytest.raises(Failure) as caught:
        adapter.decode_image(200, {}, body, AWS)
    assert caught.value.error.reason == "upstream_invalid_answer"


# Films


def test_a_start_picture_is_for_one_shot_alone() -> None:
    with pytest.raises(BadRequest, match="films of 6 seconds"):
        adapter.encode_video(VideoRequest("x", seconds=12, images=(PIXEL,)), REEL, FILMS)
    with pytest.raises(BadRequest, match="PNG and JPEG"):
        adapter.encode_video(VideoRequest("x", seconds=6, images=(Asset(b"GIF8", "image/gif"),)), REEL, FILMS)


def job(**fields: Any) -> JobState:
    return adapter.decode_job(200, {}, json.dumps({"invocationArn": ARN, **fields}).encode(), FILMS)


def test_states_of_a_film() -> None:
    assert job(status="InProgress") == JobState(ARN, "running")
    assert job(status="Failed", failureMessage="no room") == JobState(ARN, "failed", error="no room")
    assert job(status="Failed") == JobState(ARN, "failed", error="the job failed")
    words = "This request has been blocked by our content filters."
    assert job(status="Failed", failureMessage=words) == JobState(ARN, "failed", error=words, refused=True)
    with pytest.raises(Failure, match="not known"):
        job(status="Sleeping")
    assert adapter.cancel_job(ARN, REEL, FILMS) is None


@pytest.mark.parametrize("uri", ["s3://other-bucket/x", "s3://fake-bucket.evil.com/x", "https://evil.com/x", "", None])
def test_a_film_outside_its_bucket_is_not_fetched(uri: str | None) -> None:
    config = None if uri is None else {"s3OutputDataConfig": {"s3Uri": uri}}
    with pytest.raises(Failure, match="outside its bucket"):
        job(status="Completed", outputDataConfig=config)


def test_a_film_that_is_not_there_yet_is_asked_for_again() -> None:
    body = b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>gone</Message></Error>'
    with pytest.raises(Failure) as caught:
        adapter.decode_result(404, {"content-type": "application/xml"}, body, FILMS)
    assert caught.value.retryable
    with pytest.raises(Failure, match="empty film"):
        adapter.decode_result(200, {}, b"", FILMS)


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
    for errors in captured("service_model_facts")["errors"].values()
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
    if MEANINGS[name][0] == 400:
        assert "Words." in failure.error.message


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"message": "This request has been blocked by our content filters. Please try again."}),
        (400, {"message": "The image may conflict with our AUP or AWS Responsible AI Policy."}),
        (200, {"images": [], "error": "All of the generated images have been blocked by our content filters."}),
    ],
)
def test_refused_content(status: int, body: dict[str, Any]) -> None:
    with pytest.raises(Failure) as caught:
        adapter.decode_image(status, {}, json.dumps(body).encode(), AWS)
    error = caught.value.error
    assert (error.status, error.reason, caught.value.retryable) == (422, "content_policy_violation", False)


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
