"""OpenAI's API as its hosts speak it: chat whole and streamed, pictures, speech, transcription
(https://platform.openai.com/docs/api-reference)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal, cast

from openpollen.core.usage import Usage
from openpollen.engines import codec
from openpollen.world import made
from openpollen.world.asked import Answer, Asked
from openpollen.world.place import Place


def answer(asked: Asked, place: Place) -> Answer:
    match asked.path.rstrip("/").rsplit("/", 2)[-2:]:
        case ["chat", "completions"] | [_, "completions"]:
            return _chat(asked, place)
        case ["images", "generations"]:
            return _picture(asked, asked.json)
        case ["images", "edits"]:
            return _picture(asked, dict(asked.form[0]) or asked.json)
        case ["audio", "speech"]:
            return _speech(asked)
        case ["audio", "transcriptions"]:
            return _transcription(asked)
        case [*_, "models"]:
            return Answer({"object": "list", "data": []})
        case _:
            return Answer({"error": {"message": f"no such path: {asked.path}", "type": "invalid_request_error"}}, 404)


def _chat(asked: Asked, place: Place) -> Answer:
    body = asked.json
    tools = [(tool["function"]["name"], tool["function"].get("parameters")) for tool in body.get("tools") or ()]
    plain = asked.at("response_format", "type") in (None, "text")
    shape = None if plain else asked.at("response_format", "json_schema", "schema") or True
    thinks = bool(body.get("reasoning_effort") or body.get("thinking") or body.get("enable_thinking"))
    talk = made.talk(asked.text, place.seed, tools=tools, shape=shape, thinks=thinks)
    spoken = "audio" in (body.get("modalities") or ())
    bill = talk.bill
    audio: dict[str, Any] | None = None
    if spoken:
        kind: Literal["mp3", "pcm"] = "pcm" if body["audio"]["format"].startswith("pcm") else "mp3"
        length = made.spoken_ms(talk.text)
        tokens = max(1, length * made.AUDIO_TOKENS // 1000)
        bill = Usage(
            input_tokens=bill.input_tokens,
            cached_input_tokens=bill.cached_input_tokens,
            output_tokens=bill.output_tokens,
            output_audio_tokens=tokens,
        )
        audio = {
            "id": "audio-1",
            "data": made.encoded(made.sound(length, kind)),
            "transcript": talk.text,
            "expires_at": 0,
        }
    model = str(body.get("model") or _deployment(asked.path))
    head: dict[str, Any] = {"id": "chatcmpl-world", "created": 1, "model": model}
    if body.get("stream"):
        frames = list(_frames(head, talk, audio, _usage(bill)))
        return Answer(kind="text/event-stream", pieces=frames, bill=bill, model=model)
    message: dict[str, Any] = {"role": "assistant", "content": talk.text or None}
    if audio:
        message |= {"content": None, "audio": audio}
    if talk.reasoning:
        message["reasoning_content"] = talk.reasoning
    if talk.call:
        message["tool_calls"] = [_call(talk.call)]
    finish = "tool_calls" if talk.call else "stop"
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
    whole = {**head, "object": "chat.completion", "choices": [choice], "usage": _usage(bill)}
    return Answer(whole, bill=bill, model=model)


def _frames(
    head: dict[str, Any], talk: made.Talk, audio: dict[str, Any] | None, usage: dict[str, Any]
) -> Iterator[bytes]:
    def frame(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _event({**head, "object": "chat.completion.chunk", "choices": [choice]})

    yield frame({"role": "assistant", "content": ""})
    if talk.reasoning:
        yield frame({"reasoning_content": talk.reasoning})
    if audio:
        yield frame({"audio": {"id": audio["id"], "transcript": audio["transcript"]}})
        yield frame({"audio": {"data": audio["data"]}})
    else:
        for piece in talk.pieces:
            yield frame({"content": piece})
    if talk.call:
        yield frame({"tool_calls": [{"index": 0, **_call(talk.call)}]})
    yield frame({}, "tool_calls" if talk.call else "stop")
    yield _event({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


def _call(call: tuple[str, str]) -> dict[str, Any]:
    return {"id": "call_world", "type": "function", "function": {"name": call[0], "arguments": call[1]}}


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _usage(bill: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": bill.read_tokens,
        "completion_tokens": bill.made_tokens,
        "total_tokens": bill.read_tokens + bill.made_tokens,
        "prompt_tokens_details": {"cached_tokens": bill.cached_input_tokens, "audio_tokens": bill.input_audio_tokens},
        "completion_tokens_details": {
            "reasoning_tokens": bill.reasoning_tokens,
            "audio_tokens": bill.output_audio_tokens,
        },
    }


def _picture(asked: Asked, fields: dict[str, Any]) -> Answer:
    width, height = _size(str(fields.get("size") or "1024x1024"))
    drawn = made.picture(width, height, str(fields.get("prompt", "")))
    model = str(fields.get("model") or _deployment(asked.path))
    one = {"b64_json": made.encoded(drawn)}
    if not model.startswith("gpt-image"):
        return Answer({"created": 1, "data": [one]}, bill=Usage(images=1), model=model)
    bill = Usage(input_tokens=20, output_image_tokens=272)
    if asked.path.endswith("edits"):
        bill = Usage(input_tokens=20, input_image_tokens=300, output_image_tokens=272)
    usage = {
        "input_tokens": bill.read_tokens,
        "output_tokens": bill.made_tokens,
        "total_tokens": bill.read_tokens + bill.made_tokens,
        "input_tokens_details": {"text_tokens": bill.input_tokens, "image_tokens": bill.input_image_tokens},
    }
    return Answer({"created": 1, "data": [one], "usage": usage}, bill=bill, model=model)


def _deployment(path: str) -> str:
    """Azure names the model in the path."""
    return path.partition("/deployments/")[2].partition("/")[0]


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return (int(width), int(height)) if width.isdigit() and height.isdigit() else (1024, 1024)


def _speech(asked: Asked) -> Answer:
    body = asked.json
    kind = cast(Literal["mp3", "opus", "aac", "flac", "wav", "pcm"], body.get("response_format", "mp3"))
    length = made.spoken_ms(body["input"])
    bill = Usage(characters=len(body["input"]), audio_ms=length)
    return Answer(made.sound(length, kind), kind="audio/mpeg", bill=bill, model=body.get("model", ""))


def _transcription(asked: Asked) -> Answer:
    fields, files = asked.form
    seconds = codec.duration(files["file"], "audio")
    words = [{"word": "hello", "start": 0.0, "end": 0.4}, {"word": "world", "start": 0.5, "end": 0.9}]
    segment = {"id": 0, "start": 0.0, "end": 0.9, "text": " hello world"}
    body = {"task": "transcribe", "language": "english", "duration": seconds, "text": "hello world"}
    whole = body | {"words": words, "segments": [segment]}
    return Answer(whole, bill=Usage(input_audio_ms=round(seconds * 1000)), model=fields.get("model", ""))
