"""Answers on the OpenAI wire: whole and streamed agree, any split of the bytes reads the same, errors mean what they should.

The fake provider serves them over real connections; that its answers are the wire's is proved by OpenAI's own library.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import OpenAI

from openpollen.core.assets import Asset, ImageRequest, MusicRequest, SpeechRequest, TranscriptionRequest, VideoRequest
from openpollen.core.chat import ChatAnswer, ChatFrame, ChatRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.core.usage import Usage
from openpollen.outbound.client import Client
from openpollen.outbound.message import Broken, Limits, OutboundError, Outgoing, Timeout, Timeouts
from openpollen.providers import failures
from openpollen.providers.adapter import adapters
from openpollen.providers.failures import Failure
from tests.fakeprovider import PROMPT_TOKENS, TEXT, FakeProvider, Recorded

KEY = "sk-test-0123456789abcdefghijklmnop"
FIELDS = {"messages": msgspec.Raw(b'[{"role":"user","content":"hi"}]')}
USAGE = Usage(input_tokens=PROMPT_TOKENS, output_tokens=len(TEXT.split(" ")))

adapter = adapters()["openai_compatible"]


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeProvider]:
    with FakeProvider() as server:
        yield server


def lab(fake: FakeProvider, **more: Any) -> Provider:
    return Provider("lab", "openai_compatible", fake.base_url, **({"key": KEY, "key_env": "LAB_KEY"} | more))


async def send(client: Client, out: Outgoing, **timeouts: float) -> tuple[int, Any, bytes]:
    timed = Outgoing(out.method, out.url, out.headers, out.body, Timeouts(**({"first_byte": 5.0} | timeouts)))
    response = await client.request(timed)
    return response.status, response.headers, await response.read()


def call(out: Outgoing, decode: Callable[..., Any], provider: Provider) -> Any:
    """One request over a connection of its own, decoded."""

    async def main() -> Any:
        client = Client(Limits(beat=0.01))
        try:
            return decode(*await send(client, out), provider)
        finally:
            await client.close()

    return asyncio.run(main())


def chat(fake: FakeProvider, model: str, **more: Any) -> ChatAnswer:
    provider = lab(fake)
    return call(
        adapter.encode_chat(ChatRequest(FIELDS, **more), Route("lab", model), provider), adapter.decode_chat, provider
    )


def stream(fake: FakeProvider, model: str) -> list[ChatFrame]:
    """All frames of a streamed answer. A connection that breaks ends the frames as the end of the bytes does."""
    provider = lab(fake)

    async def main() -> list[ChatFrame]:
        client = Client(Limits(beat=0.01))
        decoder = adapter.chat_frames()
        frames: list[ChatFrame] = []
        response = await client.request(
            adapter.encode_chat(ChatRequest(FIELDS, stream=True), Route("lab", model), provider)
        )
        try:
            async for piece in response:
                frames += decoder.feed(piece)
        except Broken:
            pass
        await client.close()
        return frames + decoder.end()

    return asyncio.run(main())


def content(frames: list[ChatFrame]) -> str:
    chunks = [json.loads(frame.data) for frame in frames if not frame.done and frame.error is None]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def last_usage(frames: list[ChatFrame]) -> Usage | None:
    return next((frame.usage for frame in reversed(frames) if frame.usage is not None), None)


# The fake is a real OpenAI host to OpenAI's own library


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


# Whole and streamed


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


# Any split


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
    decoder = adapter.chat_frames()
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
    odd = b'data: {"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"abc"},{"type":"thinking","thinking":[{"text":"de"}]}]},"finish_reason":null}],"usage":"none"}\n\n'
    worse = b'data: {"choices":[{"delta":7}],"usage":{"prompt_tokens":"many"},"model":5}\n\n'
    end = b"data: [DONE]\n\n"
    frames = frames_of([odd, worse, end])
    assert [frame.text for frame in frames] == [5, 0, 0]
    assert frames[1].data == worse[6:-2]
    assert last_usage(frames) is None


# Usage


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5}, Usage(input_tokens=10, output_tokens=5)),
        ({"prompt_tokens": 10, "completion_tokens": 0}, Usage(input_tokens=10)),
        (
            {
                "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 5, "image_tokens": 7, "cache_write_tokens": 8},
                "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 4},
            },
            Usage(
                input_tokens=20, cached_input_tokens=60, cache_write_tokens=8, input_audio_tokens=5, input_image_tokens=7,
                output_tokens=16, reasoning_tokens=30, output_audio_tokens=4,
            ),
        ),
        (  # parts larger than the whole are cut, nothing goes below zero
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 90, "audio_tokens": 3}},
            Usage(cached_input_tokens=10, output_tokens=5),
        ),
        (  # reasoning reported on top of the completion
            {
                "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 45,
                "completion_tokens_details": {"reasoning_tokens": 30},
            },
            Usage(input_tokens=10, output_tokens=5, reasoning_tokens=30),
        ),
        (  # all parts on top
            {
                "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 65,
                "prompt_tokens_details": {"cached_tokens": 20}, "completion_tokens_details": {"reasoning_tokens": 30},
            },
            Usage(input_tokens=10, cached_input_tokens=20, output_tokens=5, reasoning_tokens=30),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 6},
            Usage(input_tokens=6, cached_input_tokens=4, output_tokens=5),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": None}, Usage(input_tokens=10, output_tokens=5)),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, None),
        ({"total_tokens": 19}, None),
        ({"prompt_tokens": 10}, None),
        ({}, None),
        (None, None),
        ("unknown", None),
    ],
)  # fmt: skip
def test_usage_is_split_into_units_without_double_counting(reported: Any, usage: Usage | None) -> None:
    body = json.dumps({"choices": [{"message": {"content": "x"}}], "usage": reported}).encode()
    assert adapter.decode_chat(200, {}, body, Provider("p", "w", "http://h")).usage == usage


COUNTS = st.none() | st.integers(0, 1000)


@given(
    st.integers(0, 1000), st.integers(1, 1000), COUNTS,
    st.fixed_dictionaries({"cached_tokens": COUNTS, "audio_tokens": COUNTS, "image_tokens": COUNTS, "cache_write_tokens": COUNTS}),
    st.fixed_dictionaries({"reasoning_tokens": COUNTS, "audio_tokens": COUNTS}),
)  # fmt: skip
def test_units_always_add_up_to_what_was_reported(prompt: int, done: int, total: Any, into: Any, out: Any) -> None:
    reported = {"prompt_tokens": prompt, "completion_tokens": done, "total_tokens": total}
    reported |= {"prompt_tokens_details": into, "completion_tokens_details": out}
    body = json.dumps({"choices": [{}], "usage": reported}).encode()
    usage = adapter.decode_chat(200, {}, body, Provider("p", "w", "http://h")).usage
    assert usage is not None
    counts = [
        usage.input_tokens, usage.cached_input_tokens, usage.cache_write_tokens, usage.input_audio_tokens,
        usage.input_image_tokens, usage.output_tokens, usage.reasoning_tokens, usage.output_audio_tokens,
    ]  # fmt: skip
    assert min(counts) >= 0
    assert sum(counts) in (prompt + done, max(prompt + done, total or 0))


# Errors


@pytest.mark.parametrize(
    ("model", "status", "reason", "retryable"),
    [
        ("error-400", 400, "upstream_invalid_request", False),
        ("error-422", 400, "upstream_invalid_request", False),
        ("error-413", 400, "upstream_invalid_request", False),
        ("error-401", 502, "provider_credential", True),
        ("error-403", 502, "provider_credential", True),
        ("error-402", 502, "provider_credit", True),
        ("no-credit", 502, "provider_credit", True),
        ("error-404", 502, "provider_unknown_model", True),
        ("error-429", 502, "provider_rate_limit", True),
        ("error-408", 504, "upstream_timeout", True),
        ("error-504", 504, "upstream_timeout", True),
        ("error-524", 504, "upstream_timeout", True),
        ("error-409", 502, "upstream_error", True),
        ("error-500", 502, "upstream_error", True),
        ("error-301", 502, "upstream_error", True),
        ("html", 502, "upstream_error", True),
        ("error-503", 503, "upstream_overloaded", True),
        ("error-529", 503, "upstream_overloaded", True),
        ("overloaded", 503, "upstream_overloaded", True),
        ("content-policy", 422, "content_policy_violation", False),
        ("garbage", 502, "upstream_invalid_answer", True),
        ("empty", 502, "upstream_invalid_answer", True),
        ("leaky", 502, "provider_credential", True),
    ],
)
def test_what_an_error_means(fake: FakeProvider, model: str, status: int, reason: str, retryable: bool) -> None:
    with pytest.raises(Failure) as caught:
        chat(fake, model)
    error = caught.value.error
    assert (error.status, error.reason, caught.value.retryable) == (status, reason, retryable)
    shown = f"{error.message} {json.dumps(error.details)}"
    assert KEY not in shown
    assert KEY[:8] not in shown
    assert error.details is not None
    assert error.details["provider"] == "lab"
    if reason.startswith("provider_"):
        assert error.details["hint"]
    if model.startswith("error-4") and status == 400:
        assert f"fake error {model[6:]}" in error.message


def failure(status: int, body: Any, headers: dict[str, str] | None = None, **provider: Any) -> Failure:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return adapter.error(
        status, headers or {}, data, Provider(**({"name": "lab", "wire": "w", "base_url": "http://h"} | provider))
    )


@pytest.mark.parametrize(
    ("status", "body", "expected", "words"),
    [
        (400, {"error": {"message": "blocked", "code": "moderation_blocked"}}, 422, "blocked"),
        (400, {"error": {"message": "filtered", "code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}, 422, "filtered"),
        (400, {"error": {"message": "x", "code": None, "innererror": {"code": "ResponsibleAIPolicyViolation"}}}, 422, "x"),
        (400, {"code": "DataInspectionFailed", "message": "bad words"}, 422, "bad words"),
        (400, {"error": {"code": "1301", "message": "unsafe"}}, 422, "unsafe"),
        (400, {"error": {"code": "InputTextSensitiveContentDetected", "message": "s"}}, 422, "s"),
        (429, {"error": {"code": "1113", "message": "no balance"}}, 502, "no credit"),
        (429, {"error": {"type": "exceeded_current_quota_error", "message": "q"}}, 502, "no credit"),
        (400, {"code": "Arrearage", "message": "overdue"}, 502, "no credit"),
        (429, {"error": {"type": "engine_overloaded_error", "message": "busy"}}, 503, "overloaded"),
        (400, {"error": {"code": "invalid_api_key", "message": "bad key"}}, 502, "refused access"),
        (422, {"detail": [{"loc": ["body", "messages"], "msg": "field required", "type": "missing"}]}, 400, "body.messages: field required"),
        (422, {"detail": "too long"}, 400, "too long"),
        (400, {"object": "error", "message": "context is 4096", "code": 40303}, 400, "context is 4096"),
        (400, {"error": "just words"}, 400, "just words"),
        (400, [{"error": {"message": "in a list"}}], 400, "in a list"),
        (400, b"plain words", 400, "plain words"),
        (400, b"<html>no</html>", 400, "gives no reason"),
        (400, b"\xff\xfe\x00", 400, ""),
        (200, {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, 502, "no credit"),
        (200, {"base_resp": {"status_code": 1027, "status_msg": "output"}}, 422, "output"),
        (402, {"error": {"code": "PAYMENT_REQUIRED", "message": "Insufficient balance"}}, 502, "no credit"),
    ],
)  # fmt: skip
def test_errors_in_the_shapes_of_many_hosts(status: int, body: Any, expected: int, words: str) -> None:
    found = failure(status, body)
    assert found.error.status == expected
    assert words in found.error.message


def test_an_error_inside_a_good_status_is_an_error() -> None:
    provider = Provider("p", "w", "http://h")
    for body in (
        {"error": {"message": "m", "code": "overloaded"}},
        {"base_resp": {"status_code": 1002, "status_msg": "m"}},
    ):
        with pytest.raises(Failure):
            adapter.decode_chat(200, {}, json.dumps(body).encode(), provider)
    with pytest.raises(Failure, match="without choices"):
        adapter.decode_chat(200, {}, b'{"choices": []}', provider)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after": "0.2"}, 1),
        ({"retry-after-ms": "1500", "retry-after": "99"}, 2),
        ({"retry-after": "Sun, 22 Nov 2026 21:00:30 GMT", "date": "Sun, 22 Nov 2026 21:00:00 GMT"}, 30),
        ({"retry-after": "999999"}, 3600),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: int | None) -> None:
    assert failure(429, {"error": {"message": "slow down"}}, headers).error.retry_after == seconds


@pytest.mark.parametrize(("status", "retryable"), [(422, False), (429, True), (503, True)])
def test_words_of_the_built_in_engines_reach_the_caller(status: int, retryable: bool) -> None:
    body = {"error": {"message": "run polli models pull", "code": "weights_missing"}}
    found = failure(status, body, {"retry-after": "3"}, name=failures.LOCAL)
    assert (found.error.status, found.error.message, found.error.reason) == (
        status,
        "run polli models pull",
        "weights_missing",
    )
    assert (found.error.retry_after, found.retryable) == (3, retryable)


@pytest.mark.parametrize(
    ("model", "timeouts", "status", "spent"),
    [("resets", {}, 502, True), ("cut", {}, 502, True), ("never", {"first_byte": 0.05}, 504, True)],
)
def test_connections_that_break_or_stay_silent(
    fake: FakeProvider, model: str, timeouts: dict[str, float], status: int, spent: bool
) -> None:
    provider = lab(fake)

    async def main() -> Failure:
        client = Client(Limits(beat=0.01))
        out = adapter.encode_chat(ChatRequest(FIELDS), Route("lab", model), provider)
        try:
            with pytest.raises((Broken, Timeout)) as caught:
                await send(client, out, **timeouts)
        finally:
            await client.close()
        return failures.from_transport(caught.value, provider)

    found = asyncio.run(main())
    assert (found.error.status, found.error.spent, found.retryable) == (status, spent, True)
    assert str(fake.port) not in found.error.message


def test_a_host_that_is_not_there() -> None:
    provider = Provider("lab", "w", "http://127.0.0.1:1/v1")

    async def main() -> Failure:
        client = Client()
        with pytest.raises(OutboundError) as caught:
            await client.request(adapter.encode_chat(ChatRequest(FIELDS), Route("lab", "m"), provider))
        return failures.from_transport(caught.value, provider)

    found = asyncio.run(main())
    assert (found.error.status, found.error.reason, found.error.spent) == (502, "upstream_unreachable", False)


# Media


def test_pictures_as_bytes_and_as_addresses(fake: FakeProvider) -> None:
    provider = lab(fake)
    out = adapter.encode_image(ImageRequest("x", 64, 32, n=2), Route("lab", "ok"), provider)
    media = call(out, adapter.decode_image, provider)
    assert [asset.data[:4] for asset in media.assets] == [b"\x89PNG"] * 2
    assert media.usage is None
    body = json.dumps({"data": [{"url": "http://h/a.png", "revised_prompt": "a fox"}]}).encode()
    media = adapter.decode_image(200, {}, body, provider)
    assert (media.urls, media.assets, media.revised_prompt) == (("http://h/a.png",), (), "a fox")
    data = json.dumps({"data": [{"url": "data:image/png;base64,iVBORw=="}]}).encode()
    assert adapter.decode_image(200, {}, data, provider).assets[0].data == b"\x89PNG"


def test_image_tokens_are_measured() -> None:
    usage = {
        "total_tokens": 1068, "input_tokens": 212, "output_tokens": 1056,
        "input_tokens_details": {"text_tokens": 12, "image_tokens": 200},
        "output_tokens_details": {"image_tokens": 1000, "text_tokens": 56},
    }  # fmt: skip
    body = json.dumps({"data": [{"b64_json": "iVBORw=="}], "usage": usage}).encode()
    media = adapter.decode_image(200, {}, body, Provider("p", "w", "http://h"))
    assert media.usage == Usage(
        input_tokens=12, input_image_tokens=200, output_tokens=56, output_image_tokens=1000, images=1
    )


@pytest.mark.parametrize(
    "body", [b"{}", b'{"data": []}', b'{"data": [{"b64_json": "A"}]}', b"[]", b"nothing", b'{"data": [{}]}']
)
def test_an_answer_without_a_picture_is_no_answer(body: bytes) -> None:
    with pytest.raises(Failure) as caught:
        adapter.decode_image(200, {}, body, Provider("p", "w", "http://h"))
    assert caught.value.error.reason == "upstream_invalid_answer"
    assert caught.value.error.spent


def test_sounds(fake: FakeProvider) -> None:
    provider = lab(fake, params=frozenset({"duration", "seed", "instrumental"}))
    speech = adapter.encode_speech(SpeechRequest("hello", format="wav"), Route("lab", "ok"), provider)
    assert call(speech, adapter.decode_speech, provider).assets[0].data.startswith(b"RIFF")
    song = MusicRequest("a waltz", 12.5, seed=3, instrumental=False, given=frozenset({"instrumental"}))
    call(adapter.encode_speech(song, Route("lab", "ok"), provider), adapter.decode_speech, provider)
    assert fake.requests[-1].json == {
        "model": "ok", "response_format": "mp3", "input": "a waltz", "duration": 12.5, "seed": 3, "instrumental": False,
    }  # fmt: skip
    with pytest.raises(Failure):
        adapter.decode_speech(200, {"content-type": "application/json"}, b'{"error":{"message":"no"}}', provider)
    with pytest.raises(Failure, match="empty sound"):
        adapter.decode_speech(200, {"content-type": "audio/mpeg"}, b"", provider)


def test_transcriptions_have_words_and_times(fake: FakeProvider) -> None:
    provider = lab(fake)
    out = adapter.encode_transcription(TranscriptionRequest(Asset(b"RIFF", "audio/wav")), Route("lab", "ok"), provider)
    heard = call(out, adapter.decode_transcription, provider)
    assert (heard.text, heard.language, heard.duration) == ("a fake transcription", "english", 1.5)
    assert [(word.word, word.start, word.end) for word in heard.words][1] == ("fake", 0.5, 1.0)
    assert heard.segments[0].text == heard.text
    plain = adapter.decode_transcription(200, {}, b'{"text": ""}', provider)
    assert (plain.text, plain.duration, plain.words) == ("", 0.0, ())


def last_request(fake: FakeProvider) -> Recorded:
    return fake.requests[-1]


@pytest.mark.parametrize("images", [(), (Asset(b"\x89PNGdata", "image/png", "start.png"),)])
def test_a_video_job_is_asked_for_as_openais_library_does(fake: FakeProvider, images: tuple[Asset, ...]) -> None:
    provider = lab(fake)
    with OpenAI(base_url=fake.base_url, api_key=KEY, max_retries=0) as sdk, pytest.warns(DeprecationWarning):
        more: dict[str, Any] = {"input_reference": ("start.png", b"\x89PNGdata", "image/png")} if images else {}
        sdk.videos.create(model="ok", prompt="a fox", seconds="4", size="1280x720", **more)
        theirs = last_request(fake)
        job = f"video_{len(fake.jobs)}"
        sdk.videos.retrieve(job)
        their_poll = last_request(fake)
        sdk.videos.download_content(job).read()
        their_fetch = last_request(fake)
        sdk.videos.delete(job)
        their_cancel = last_request(fake)
    request = VideoRequest("a fox", seconds=4, images=images)
    state = call(adapter.submit_video(request, Route("lab", "ok"), provider), adapter.decode_submitted, provider)
    ours = last_request(fake)
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    if theirs.form or images:
        assert sorted(map(repr, ours.form)) == sorted(map(repr, theirs.form))
    route = Route("lab", "ok")
    for out, same in (
        (adapter.poll_video(job, route, provider), their_poll),
        (adapter.fetch_video(job, route, provider), their_fetch),
        (adapter.cancel_video(job, route, provider), their_cancel),
    ):
        assert (out.method, out.url) == (same.method, f"{fake.origin}{same.path}")
        assert dict(out.headers) == {name: same.headers[name] for name in ("accept", "authorization")}
    assert state.status == "queued"


def test_a_video_job_from_end_to_end(fake: FakeProvider) -> None:
    provider = lab(fake, params=frozenset({"seed", "fps", "audio"}))
    route = Route("lab", "ok")
    request = VideoRequest("a fox", seconds=2.5, seed=4, fps=12, audio=True)
    state = call(adapter.submit_video(request, route, provider), adapter.decode_submitted, provider)
    fields = fake.jobs[state.id]["fields"]
    assert (fields["seconds"], fields["seed"], fields["fps"], fields["audio"]) == ("2.5", "4", "12", "true")
    states = [call(adapter.poll_video(state.id, route, provider), adapter.decode_job, provider) for _ in range(2)]
    assert [(s.status, s.progress) for s in states] == [("running", 40), ("done", 100)]
    film = call(adapter.fetch_video(state.id, route, provider), adapter.decode_video, provider)
    assert film.assets[0].data[4:8] == b"ftyp"
    call(adapter.cancel_video(state.id, route, provider), lambda status, *_: status, provider)
    with pytest.raises(Failure):
        call(adapter.poll_video(state.id, route, provider), adapter.decode_job, provider)


@pytest.mark.parametrize(("model", "refused"), [("job-fails", False), ("job-refused", True)])
def test_jobs_that_fail(fake: FakeProvider, model: str, refused: bool) -> None:
    provider, route = lab(fake), Route("lab", model)
    state = call(adapter.submit_video(VideoRequest("x"), route, provider), adapter.decode_submitted, provider)
    for _ in range(2):
        state = call(adapter.poll_video(state.id, route, provider), adapter.decode_job, provider)
    assert (state.status, state.refused) == ("failed", refused)
    assert "fake job" in state.error


# The adapter as a whole


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
