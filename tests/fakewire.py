"""The bytes that the fake provider reads and writes: requests parsed, answers of the OpenAI wire made."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import math
import struct
import wave
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from typing import Any

import msgspec

TEXT = "This is a fake answer: žluť, 漢字, 🙂."
#: What is said first, inside the answer, in the mode "thinks".
THOUGHT = "A pot holds tea."
SLOW = 0.4
PROMPT_TOKENS = 12
WORDS = TEXT.split(" ")
#: What models that are stepped through say: every piece is a token, also for who takes 4 bytes for one.
STEP_TEXT = "You pay for all you get"
#: What the model ``words`` says: its pieces are its tokens, of other sizes than 4 bytes.
WORDS_TEXT = "Here pieces are tokens, of any"


@dataclass(frozen=True)
class Recorded:
    """One request as it came. ``json`` is the parsed body of a JSON request, ``form`` the parts of a multipart one."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    json: dict[str, Any] = field(default_factory=dict[str, Any])
    form: tuple[Part, ...] = ()

    @property
    def model(self) -> str:
        named = self.json.get("model") or next((p.data.decode() for p in self.form if p.name == "model"), "")
        return str(named)


@dataclass(frozen=True)
class Part:
    """One part of a multipart form."""

    name: str
    filename: str | None
    content_type: str | None
    data: bytes


def mode_of(request: Recorded) -> str:
    mode = request.model.rpartition("/")[2]
    return mode.removeprefix("step-") if is_stepped(request) else mode


def is_stepped(request: Recorded) -> bool:
    mode = request.model.rpartition("/")[2]
    return mode == "step" or mode.startswith("step-")


def tokens(length: int) -> int:
    """The tokenizer: 4 bytes are a token."""
    return -(-length // 4)


def prompt_tokens(request: Recorded) -> int:
    """Tokens of the messages as they came."""
    messages = msgspec.json.decode(request.body, type=dict[str, msgspec.Raw]).get("messages", msgspec.Raw(b""))
    return tokens(len(bytes(messages)))


def text_of(request: Recorded) -> str:
    if mode_of(request) == "words":
        return WORDS_TEXT
    if mode_of(request) == "thinks":
        return f"<think>{THOUGHT}</think>\n\n{TEXT}"
    return STEP_TEXT if is_stepped(request) else TEXT


def usage_of(request: Recorded, said: str | None = None) -> tuple[int, int]:
    """Tokens of the prompt and of what was said so far, which is all unless it is given."""
    if mode_of(request) == "words":
        return prompt_tokens(request), len(WORDS_TEXT.split(" "))
    if is_stepped(request):
        return prompt_tokens(request), tokens(len((STEP_TEXT if said is None else said).encode()))
    return PROMPT_TOKENS, len(WORDS) if said is None else len(said.split(" "))


def heard_seconds(request: Recorded) -> float:
    """Length of the recording of a transcription request where it is a WAV file; anything else passes for a second."""
    data = next(part.data for part in request.form if part.name == "file")
    try:
        with wave.open(io.BytesIO(data)) as file:
            return file.getnframes() / file.getframerate()
    except (wave.Error, EOFError):
        return 1.0


def head_length(data: bytes) -> int:
    return data.index(b"\r\n\r\n") + 4


def body_of(data: bytes) -> bytes:
    return data[head_length(data) :]


def thirds(data: bytes) -> list[bytes]:
    """An answer as its head and three pieces of its body."""
    head, body = data[: head_length(data)], body_of(data)
    first, second = len(body) // 3, 2 * len(body) // 3
    return [head, body[:first], body[first:second], body[second:]]


async def read_request(reader: asyncio.StreamReader) -> Recorded | None:
    """Reads one HTTP/1.1 request, by length or chunks; None when the connection ended before one."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    path, _, query = target.partition("?")
    kind = headers.get("content-type", "")
    parsed: Any = json.loads(body) if body and kind.startswith("application/json") else {}
    form = parse_form(kind, body) if kind.startswith("multipart/form-data") else ()
    return Recorded(method, path, query, headers, body, parsed, form)


def parse_form(content_type: str, body: bytes) -> tuple[Part, ...]:
    """The parts of a multipart form, read by the standard library's mail parser."""
    message = BytesParser().parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    parts: list[Part] = []
    for part in message.get_payload():
        assert not isinstance(part, str)
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        name = str(part.get_param("name", header="content-disposition"))
        content_type_given = part.get_content_type() if "content-type" in part else None
        parts.append(Part(name, part.get_filename(), content_type_given, data))
    return tuple(parts)


def answer(status: int, content: Any, content_type: str = "application/json", extra: str = "") -> bytes:
    """A whole HTTP answer; anything but bytes is sent as JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
    head = f"HTTP/1.1 {status} Fake\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def error_answer(status: int, message: str, code: str, extra: str = "") -> bytes:
    error = {"message": message, "type": "fake_error", "param": None, "code": code}
    return answer(status, {"error": error}, extra=extra)


def chat_answer(request: Recorded, mode: str) -> dict[str, Any]:
    """A whole chat completion; with ``tools`` and a forced choice it calls the first tool."""
    message: dict[str, Any] = {"role": "assistant", "content": text_of(request)}
    finish = "stop"
    if mode == "judge":
        message["content"] = "unsafe" if TEXT in request.body.decode() else "safe"
    if request.json.get("tools") and request.json.get("tool_choice") not in (None, "auto", "none"):
        name = request.json["tools"][0]["function"]["name"]
        call = {"id": "call_fake", "type": "function", "function": {"name": name, "arguments": "{}"}}
        message, finish = {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"
    out: dict[str, Any] = {"id": "chatcmpl-fake", "object": "chat.completion", "created": 1764000000}
    out |= {"model": request.model, "choices": [{"index": 0, "finish_reason": finish, "message": message}]}
    if mode != "no-usage":
        out["usage"] = reported(request, mode)
    return out


#: Modes whose report is wrong or odd -> tokens read and written, as reported.
ODD_REPORTS: dict[str, tuple[object, object]] = {
    "zero-usage": (0, 0),
    "nothing-said": (PROMPT_TOKENS, 0),
    "minus-said": (PROMPT_TOKENS, -5),
    "nothing-read": (0, len(WORDS)),
    "absurd-usage": (PROMPT_TOKENS, 9 * 10**18),
    "absurd-float": (1e30, 1e30),
    "greedy": (PROMPT_TOKENS, 900_000_000),
    "only-read": (PROMPT_TOKENS, None),
    "only-said": (None, len(WORDS)),
    "float-usage": (float(PROMPT_TOKENS), float(len(WORDS))),
    "text-usage": (str(PROMPT_TOKENS), str(len(WORDS))),
}


def reported(request: Recorded, mode: str) -> dict[str, Any]:
    """The usage object of a whole answer."""
    prompt, completion = usage_of(request)
    usage: dict[str, Any] = _usage(prompt, completion)
    if mode == "null-said":
        usage["completion_tokens"] = None
    elif mode in ODD_REPORTS:
        told = zip(("prompt_tokens", "completion_tokens"), ODD_REPORTS[mode], strict=True)
        usage = {name: count for name, count in told if count is not None}
    return usage


#: Modes whose picture is none -> what comes of the PNG.
UNUSABLE: dict[str, Callable[[bytes], bytes]] = {
    "picture-html": lambda _: b"<html><body>Please sign in.</body></html>",
    "picture-head": lambda png: png[:8],
    "picture-cut": lambda png: png[:-40],
    "picture-junk": lambda png: b"\xff\xd8\xff\xe0" + png[8:],
}


def image_answer(size: str, count: int, url: str | None, mode: str = "") -> dict[str, Any]:
    width, _, height = size.partition("x")
    if url is not None:
        return {"created": 1764000000, "data": [{"url": url}] * count}
    png = picture(int(width), int(height))
    data = base64.b64encode(UNUSABLE[mode](png) if mode in UNUSABLE else png).decode()
    return {"created": 1764000000, "data": [{"b64_json": data}] * count}


def transcription_answer(request: Recorded) -> dict[str, Any]:
    fields = {part.name: part.data.decode("utf-8", "replace") for part in request.form if part.name != "file"}
    out: dict[str, Any] = {"text": "a fake transcription"}
    if fields.get("response_format") == "verbose_json":
        words = [{"word": word, "start": i * 0.5, "end": i * 0.5 + 0.5} for i, word in enumerate(out["text"].split())]
        segment = {"id": 0, "start": 0.0, "end": 1.5, "text": out["text"], "tokens": [1], "avg_logprob": -0.1}
        out |= {"task": "transcribe", "language": "english", "duration": 1.5, "words": words, "segments": [segment]}
    return out


def picture(width: int, height: int) -> bytes:
    """A PNG of one colour, of the size asked for."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x30\x80\xc0" * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def tone(seconds: float) -> bytes:
    """A WAV file with a 440 Hz tone, mono, 16 bits, 8 kHz."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        samples = [int(9000 * math.sin(2 * math.pi * 440 * i / 8000)) for i in range(int(8000 * seconds))]
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return out.getvalue()


def _usage(prompt: int, completion: int) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def refusal(mode: str, request: Recorded) -> bytes | None:
    if mode.startswith("error-") and mode[6:].isdigit():
        return error_answer(int(mode[6:]), f"fake error {mode[6:]}", "fake_code")
    if mode == "content-policy":
        return error_answer(400, "fake refusal of this content", "content_policy_violation")
    if mode == "no-credit":
        return error_answer(429, "You exceeded your current quota", "insufficient_quota")
    if mode == "overloaded":
        return error_answer(503, "fake overload", "overloaded", "retry-after: 7\r\n")
    if mode == "leaky":
        return error_answer(
            401, f"Incorrect API key provided: {request.headers.get('authorization')}", "invalid_api_key"
        )
    if mode == "html":
        return answer(502, b"<html><body>Bad gateway</body></html>", "text/html")
    if mode == "garbage":
        return answer(200, b"this is no JSON {")
    if mode == "empty":
        return answer(200, b"")
    return None


#: Modes whose streams end with an error after the role -> its code.
ROLE_ERRORS = {
    "role-error": "server_error",
    "role-overloaded": "overloaded_error",
    "role-refused": "content_policy_violation",
}


async def pieces(request: Recorded, mode: str) -> AsyncIterator[tuple[bytes, int]]:
    """The events of a stream, one at a time, and how many bytes of text each says."""
    base = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1764000000, "model": request.model}
    wanted = bool((request.json.get("stream_options") or {}).get("include_usage")) and mode not in ("no-usage", "words")

    def piece(delta: dict[str, Any] | None, finish: str | None = None, usage: dict[str, Any] | None = None) -> bytes:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
        return (
            b"data: " + json.dumps(base | {"choices": choices, "usage": usage}, ensure_ascii=False).encode() + b"\n\n"
        )

    yield piece({"role": "assistant", "content": ""}), 0
    if mode in ROLE_ERRORS:
        error = {"message": f"fake error after the role: {ROLE_ERRORS[mode]}", "code": ROLE_ERRORS[mode]}
        yield b"data: " + json.dumps({"error": error}).encode() + b"\n\n", 0
        return
    words = text_of(request).split(" ")
    for number, word in enumerate(words, 1):
        usage = _usage(*usage_of(request, " ".join(words[:number]))) if mode == "double-usage" else None
        text = word if number == 1 else f" {word}"
        yield piece({"content": text}, usage=usage), len(text.encode())
        if mode == "slow-stream":
            await asyncio.sleep(SLOW)
        if mode == "error-frame" and number == 2:
            error = b'{"error": {"message": "fake error in a stream", "type": "server_error", "code": "fake"}}'
            yield b"data: " + error + b"\n\n", 0
            return
    full = reported(request, mode)
    yield piece({}, "stop", full if mode == "late-usage" else None), 0
    if wanted and mode != "late-usage":
        yield piece(None, usage=_usage(0, 0) if mode == "double-usage" else full), 0
    if mode != "no-done":
        yield b"data: [DONE]\n\n", 0


def job_state(mode: str, polls: int) -> dict[str, Any]:
    if polls == 1:
        return {"status": "in_progress", "progress": 40}
    if mode == "job-fails":
        return {"status": "failed", "progress": 40, "error": {"code": "fake_failure", "message": "the fake job failed"}}
    if mode == "job-refused":
        return {"status": "failed", "error": {"code": "moderation_blocked", "message": "the fake job was refused"}}
    return {"status": "completed", "progress": 100}
