"""A pretended provider for tests: an HTTP server that speaks the OpenAI wire, with deterministic answers and faults.

It is no part of the program, and its answers say what they are: texts call themselves fake, pictures are one colour,
sounds are a tone. What happens is chosen by the name of the model asked for (see ``MODES``).
It keeps a log of the requests and a bill: what it would charge for, so that a test can compare it with the ledger.

    with FakeProvider() as fake:                 # listens on 127.0.0.1, in a thread of its own
        fake.base_url                            # http://127.0.0.1:PORT/v1
        fake.requests[-1].json["model"], fake.bill
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import math
import struct
import threading
import wave
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from typing import Any, Self

#: Mode (the model's name, or its part behind the last ``/``) -> what happens. Any other name works normally.
MODES = {
    "error-NNN": "answers with that status and an OpenAI error object",
    "content-policy": "400 with code content_policy_violation",
    "no-credit": "429 with code insufficient_quota",
    "overloaded": "503 with Retry-After: 7",
    "leaky": "401 whose message repeats the caller's Authorization header",
    "html": "502 with an HTML page",
    "slow": "waits SLOW seconds before the first byte",
    "slow-stream": "waits SLOW seconds between the pieces of a stream",
    "garbage": "200 with a body that is no JSON",
    "empty": "200 with an empty body",
    "json-for-stream": "answers a stream request with a whole JSON answer",
    "cut": "closes in the middle of a frame (or of the body)",
    "error-frame": "a stream with an error event after two pieces",
    "no-done": "a stream without [DONE]",
    "no-usage": "reports no usage",
    "zero-usage": "reports a usage of zeros",
    "late-usage": "reports usage on the last piece with choices, not apart",
    "double-usage": "reports usage on every piece, growing, and zeros at the end",
    "bytes": "sends a stream one byte at a time",
    "never": "never answers",
    "resets": "resets the connection instead of answering",
    "job-fails": "video: the job fails",
    "job-refused": "video: the job fails for its content",
}

TEXT = "This is a fake answer: žluť, 漢字, 🙂."
SLOW = 0.4
PROMPT_TOKENS = 12
_WORDS = TEXT.split(" ")


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


@dataclass(frozen=True)
class Charge:
    """One line of the bill: an answer that was sent to its end, or as far as the model's mode lets it go."""

    operation: str
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    units: int = 0


class Reset(Exception):
    """Ends the connection without another word."""


class FakeProvider:
    """The server. Everything it counts may be read from the test's thread; ``clear`` starts the count anew."""

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self.bill: list[Charge] = []
        self.connections = 0
        self.jobs: dict[str, dict[str, Any]] = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fake provider", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.port = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    def clear(self) -> None:
        self.requests.clear()
        self.bill.clear()
        self.connections = 0

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10), "the fake provider did not start"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._connection(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=2**20)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (request := await read_request(reader)) is not None:
                self.requests.append(request)
                await self._answer(request, writer)
        except Reset:
            writer.transport.abort()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: Recorded, writer: asyncio.StreamWriter) -> None:
        mode = request.model.rpartition("/")[2]
        if mode == "never":
            await asyncio.sleep(3600)
        if mode == "resets":
            raise Reset
        if mode == "slow":
            await asyncio.sleep(SLOW)
        if (refusal := _refusal(mode, request)) is not None:
            writer.write(refusal)
        elif mode == "cut" and not request.json.get("stream"):
            writer.write(
                b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{"id": "chat'
            )
            await writer.drain()
            raise Reset
        else:
            await self._serve_path(request, mode, writer)
        await writer.drain()

    async def _serve_path(self, request: Recorded, mode: str, writer: asyncio.StreamWriter) -> None:
        path = request.path.removeprefix("/v1")
        if path == "/chat/completions":
            if request.json.get("stream") and mode != "json-for-stream":
                await self._stream(request, mode, writer)
            else:
                writer.write(answer(200, chat_answer(request, mode)))
                self._charge("chat", request, PROMPT_TOKENS, len(_WORDS))
        elif path == "/images/generations":
            count = int(request.json.get("n", 1))
            writer.write(
                answer(200, image_answer(request.json.get("size", "1024x1024"), count, self._picture_url(request)))
            )
            self._charge("images", request, units=count)
        elif path == "/images/edits":
            writer.write(answer(200, image_answer("64x64", 1, None)))
            self._charge("edits", request, units=1)
        elif path == "/picture.png":
            writer.write(answer(200, picture(8, 8), "image/png"))
        elif path == "/audio/speech":
            writer.write(answer(200, tone(0.2), "audio/wav"))
            self._charge("speech", request, units=len(str(request.json.get("input", ""))))
        elif path == "/audio/transcriptions":
            writer.write(answer(200, transcription_answer(request)))
            self._charge("transcriptions", request, units=1)
        elif path == "/models":
            writer.write(answer(200, {"object": "list", "data": [{"id": "ok", "object": "model", "created": 1}]}))
        elif path == "/videos" or path.startswith("/videos/"):
            writer.write(self._videos(request, path))
        else:
            writer.write(error_answer(404, f"no such path: {request.path}", "not_found"))

    async def _stream(self, request: Recorded, mode: str, writer: asyncio.StreamWriter) -> None:
        head = (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        writer.write(head)
        sent = 0
        async for piece in _pieces(request, mode):
            for part in [piece[i : i + 1] for i in range(len(piece))] if mode == "bytes" else [piece]:
                writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
            sent += 1
            if mode == "cut" and sent == 3:
                writer.write(b'400\r\ndata: {"id": "c", "choi')
                await writer.drain()
                raise Reset
        writer.write(b"0\r\n\r\n")
        self._charge("chat", request, PROMPT_TOKENS, len(_WORDS))

    def _videos(self, request: Recorded, path: str) -> bytes:
        job_id = path.removeprefix("/videos").strip("/").partition("/")[0]
        if request.method == "POST":
            fields = {part.name: part.data.decode("utf-8", "replace") for part in request.form} | request.json
            job_id = f"video_{len(self.jobs) + 1}"
            mode = request.model.rpartition("/")[2]
            self.jobs[job_id] = {"polls": 0, "mode": mode, "fields": fields}
            return answer(200, {"id": job_id, "object": "video", "status": "queued", "progress": 0, "model": mode})
        job = self.jobs.get(job_id)
        if job is None:
            return error_answer(404, "no such video", "not_found")
        if request.method == "DELETE":
            del self.jobs[job_id]
            return answer(200, {"id": job_id, "object": "video.deleted", "deleted": True})
        if path.endswith("/content"):
            self.bill.append(Charge("videos", job["mode"], units=1))
            return answer(200, b"\0\0\0\x18ftypmp42fake video of no frames", "video/mp4")
        job["polls"] += 1
        return answer(200, {"id": job_id, "object": "video"} | _job_state(job["mode"], job["polls"]))

    def _picture_url(self, request: Recorded) -> str | None:
        return f"{self.origin}/v1/picture.png" if request.json.get("response_format") == "url" else None

    def _charge(self, operation: str, request: Recorded, into: int = 0, out: int = 0, units: int = 0) -> None:
        self.bill.append(Charge(operation, request.model, into, out, units))


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
    message: dict[str, Any] = {"role": "assistant", "content": TEXT}
    finish = "stop"
    if request.json.get("tools") and request.json.get("tool_choice") not in (None, "auto", "none"):
        name = request.json["tools"][0]["function"]["name"]
        call = {"id": "call_fake", "type": "function", "function": {"name": name, "arguments": "{}"}}
        message, finish = {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"
    out: dict[str, Any] = {"id": "chatcmpl-fake", "object": "chat.completion", "created": 1764000000}
    out |= {"model": request.model, "choices": [{"index": 0, "finish_reason": finish, "message": message}]}
    if mode == "zero-usage":
        out["usage"] = _usage(0, 0)
    elif mode != "no-usage":
        out["usage"] = _usage(PROMPT_TOKENS, len(_WORDS))
    return out


def image_answer(size: str, count: int, url: str | None) -> dict[str, Any]:
    width, _, height = size.partition("x")
    if url is not None:
        return {"created": 1764000000, "data": [{"url": url}] * count}
    data = base64.b64encode(picture(int(width), int(height))).decode()
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


def _refusal(mode: str, request: Recorded) -> bytes | None:
    if mode.startswith("error-"):
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


async def _pieces(request: Recorded, mode: str) -> AsyncIterator[bytes]:
    """The events of a stream, one at a time."""
    base = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1764000000, "model": request.model}
    wanted = bool((request.json.get("stream_options") or {}).get("include_usage")) and mode != "no-usage"

    def piece(delta: dict[str, Any] | None, finish: str | None = None, usage: dict[str, Any] | None = None) -> bytes:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
        return (
            b"data: " + json.dumps(base | {"choices": choices, "usage": usage}, ensure_ascii=False).encode() + b"\n\n"
        )

    yield piece({"role": "assistant", "content": ""})
    for number, word in enumerate(_WORDS, 1):
        usage = _usage(PROMPT_TOKENS, number) if mode == "double-usage" else None
        yield piece({"content": word if number == 1 else f" {word}"}, usage=usage)
        if mode == "slow-stream":
            await asyncio.sleep(SLOW)
        if mode == "error-frame" and number == 2:
            yield b'data: {"error": {"message": "fake error in a stream", "type": "server_error", "code": "fake"}}\n\n'
            return
    full = _usage(PROMPT_TOKENS, len(_WORDS))
    yield piece({}, "stop", full if mode == "late-usage" else None)
    if wanted and mode != "late-usage":
        yield piece(None, usage=_usage(0, 0) if mode in ("zero-usage", "double-usage") else full)
    if mode != "no-done":
        yield b"data: [DONE]\n\n"


def _job_state(mode: str, polls: int) -> dict[str, Any]:
    if polls == 1:
        return {"status": "in_progress", "progress": 40}
    if mode == "job-fails":
        return {"status": "failed", "progress": 40, "error": {"code": "fake_failure", "message": "the fake job failed"}}
    if mode == "job-refused":
        return {"status": "failed", "error": {"code": "moderation_blocked", "message": "the fake job was refused"}}
    return {"status": "completed", "progress": 100}
