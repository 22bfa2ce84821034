"""Chat on the OpenAI wire: whole and streamed agree, and any split of the bytes reads the same."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import OpenAI

from openpollen.core.chat import ChatFrame, ChatRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.core.usage import Usage
from openpollen.providers.adapter import adapters
from tests.conformance.lab import FIELDS, KEY, USAGE, adapter, call, chat, content, lab, last_usage, stream
from tests.fakeprovider import PROMPT_TOKENS, TEXT, FakeProvider


def test_the_fake_is_read_by_openais_library(fake: FakeProvider) -> None:
    with OpenAI(base_url=fake.base_url, api_key=KEY, max_retries=0) as sdk:
        whole = sdk.chat.completions.create(model="ok", messages=[{"role": "user", "content": "hi"}])
        assert whole.choices[0].message.content == TEXT
        assert whole.usage is not None
        assert whole.usage.prompt_tokens == PROMPT_TOKENS
        pieces = list(
            sdk.chat.completions.create(
                model="ok",
                messages=[{"role": "user", "content": "hi"}],
                stream=True,
                stream_options={"include_usage": True},
            )
        )
        assert "".join(c.choices[0].delta.content or "" for c in pieces if c.choices) == TEXT
        assert pieces[-1].usage == whole.usage
        picture = sdk.images.generate(model="ok", prompt="x", size="1024x1024")
        assert picture.data is not None
        assert picture.data[0].b64_json
        heard = sdk.audio.transcriptions.create(model="ok", file=("a.wav", b"RIFF"), response_format="verbose_json")
        assert (heard.duration, heard.words and heard.words[0].word) == (1.5, "a")
        assert sdk.audio.speech.create(model="ok", input="hi", voice="alloy").content.startswith(b"RIFF")


def test_whole_and_streamed_agree(fake: FakeProvider) -> None:
    answer, frames = chat(fake, "ok"), stream(fake, "ok")
    whole = json.loads(answer.body)
    assert whole["choices"][0]["message"]["content"] == TEXT == content(frames)
    assert answer.usage == USAGE == last_usage(frames)
    assert answer.model == "ok"
    assert {frame.model for frame in frames if not frame.done} == {"ok"}
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert [frame.done for frame in frames] == [False] * (len(frames) - 1) + [True]
    assert sum(frame.text for frame in frames) == len(TEXT)
    assert frames[0].empty
    assert not any(frame.empty for frame in frames[1:-1])


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("ok", USAGE),
        ("bytes", USAGE),
        ("no-done", USAGE),
        ("late-usage", USAGE),
        ("double-usage", USAGE),
        ("no-usage", None),
        ("zero-usage", None),
    ],
)
def test_usage_of_a_stream_is_found_or_unknown_but_never_zero(
    fake: FakeProvider, model: str, usage: Usage | None
) -> None:
    frames = stream(fake, model)
    assert content(frames) == TEXT
    assert frames[-1].done
    assert last_usage(frames) == usage


@pytest.mark.parametrize("model", ["no-usage", "zero-usage"])
def test_usage_of_a_whole_answer_is_unknown_rather_than_zero(fake: FakeProvider, model: str) -> None:
    assert chat(fake, model).usage is None


@pytest.mark.parametrize(
    ("model", "words", "kept"),
    [
        ("error-frame", "fake error in a stream", "This is"),
        ("cut", "broke off", "This is"),
        ("json-for-stream", "although a stream was asked", ""),
        ("garbage", "broke off", ""),
        ("empty", "broke off", ""),
    ],
)
def test_a_stream_that_is_not_whole_ends_in_an_error(fake: FakeProvider, model: str, words: str, kept: str) -> None:
    frames = stream(fake, model)
    assert words in (frames[-1].error or "")
    assert [frame.error for frame in frames[:-1]] == [None] * (len(frames) - 1)
    assert not any(frame.done for frame in frames)
    assert content(frames) == kept
    failure = adapter.error(200, {}, frames[-1].data, lab(fake))
    assert (failure.error.status, failure.error.reason, failure.retryable) == (502, "upstream_error", True)


def test_forced_tool_calls_pass(fake: FakeProvider) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    fields = FIELDS | {"tools": msgspec.Raw(msgspec.json.encode([tool])), "tool_choice": msgspec.Raw(b'"required"')}
    provider = lab(fake)
    out = adapter.encode_chat(ChatRequest(fields), Route("lab", "ok"), provider)
    answer = json.loads(call(out, adapter.decode_chat, provider).body)
    assert answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "look"


def recorded_stream() -> bytes:
    """A stream with everything in it: text in several scripts, reasoning, tool calls, comments, CRLF, usage twice."""
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "usage": None}

    def piece(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        return b"data: " + json.dumps(base | {"choices": choices}, ensure_ascii=False).encode() + b"\n\n"

    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}}
    more = {"index": 0, "function": {"arguments": '{"a":"ž"}'}}
    early = base | {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}}
    final = base | {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12}}
    return b"".join(
        [
            piece({"role": "assistant", "content": ""}),
            b": keep-alive\n\n",
            b"data: " + json.dumps(early).encode() + b"\r\n\r\n",
            piece({"reasoning_content": "hm 漢"}),
            piece({"content": "žluť 🙂"}).replace(b"\n", b"\r\n"),
            b"\n\n",
            piece({"tool_calls": [call]}),
            piece({"tool_calls": [more]}),
            piece({}, "tool_calls"),
            b"event: x\nid: 1\ndata: " + json.dumps(final).encode() + b"\n\n",
            b"data: [DONE]\n\n",
            b"data: after the end\n\n",
        ]
    )


STREAM = recorded_stream()


def frames_of(pieces: list[bytes]) -> list[ChatFrame]:
    decoder = adapter.chat_frames(Route("lab", "ok"))
    return [frame for piece in pieces for frame in decoder.feed(piece)] + decoder.end()


def test_the_recorded_stream_is_understood() -> None:
    frames = frames_of([STREAM])
    assert frames[-1].done
    assert len(frames) == 9
    assert sum(frame.text for frame in frames) == len("hm 漢") + len("žluť 🙂") + len("look") + len('{"a":"ž"}')
    assert [frame.usage for frame in frames if frame.usage] == [
        Usage(input_tokens=3),
        Usage(input_tokens=3, output_tokens=9),
    ]
    assert [frame.empty for frame in frames] == [True] + [False] * 8


def test_every_single_cut_gives_the_same_frames() -> None:
    expected = frames_of([STREAM])
    for cut in range(len(STREAM) + 1):
        assert frames_of([STREAM[:cut], STREAM[cut:]]) == expected
    assert frames_of([STREAM[i : i + 1] for i in range(len(STREAM))]) == expected


@given(st.integers(0, STREAM.index(b"data: [DONE]")))
def test_a_stream_that_ends_anywhere_before_its_end_has_one_final_frame(end: int) -> None:
    frames = frames_of([STREAM[:end]])
    assert [frame.done or frame.error is not None for frame in frames] == [False] * (len(frames) - 1) + [True]
    finish = STREAM.index(b'"finish_reason": "tool_calls"')
    assert frames[-1].done or end <= STREAM.index(b"data: [DONE]")
    if end < finish:
        assert frames[-1].error


@given(st.binary(max_size=300))
def test_bytes_of_any_kind_never_break_the_decoder(data: bytes) -> None:
    frames = frames_of([data, b"\n\n"])
    assert sum(frame.done or frame.error is not None for frame in frames) == 1


def test_pieces_of_unusual_types_are_relayed_and_counted() -> None:
    parts = [{"type": "text", "text": "abc"}, {"type": "thinking", "thinking": [{"text": "de"}]}]
    choice = {"index": 0, "delta": {"content": parts}, "finish_reason": None}
    odd = b"data: " + json.dumps({"choices": [choice], "usage": "none"}).encode() + b"\n\n"
    worse = b'data: {"choices":[{"delta":7}],"usage":{"prompt_tokens":"many"},"model":5}\n\n'
    nothing, end = b"data: null\n\n", b"data: [DONE]\n\n"
    frames = frames_of([odd, worse, nothing, end])
    assert [frame.text for frame in frames] == [5, 0, 0]
    assert frames[1].data == worse[6:-2]
    assert last_usage(frames) is None


def test_every_wire_has_one_adapter_and_every_operation_its_parameters() -> None:
    assert set(adapters()) >= {"openai_compatible"}
    provider = Provider("p", "openai_compatible", "http://h", params=frozenset({"seed"}))
    for operation in (
        Capability.CHAT, Capability.IMAGE, Capability.EDIT, Capability.VIDEO, Capability.SPEECH, Capability.MUSIC,
        Capability.TRANSCRIPTION,
    ):  # fmt: skip
        params = adapter.params(operation, provider, Route("p", "m", params=frozenset({"fps"})))
        assert {"seed", "fps"} <= params
        assert len(params) > 3
