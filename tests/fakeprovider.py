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
import threading
from dataclasses import dataclass
from typing import Any, Self

from tests.fakewire import (
    PROMPT_TOKENS,
    SLOW,
    TEXT,
    WORDS,
    Part,
    Recorded,
    answer,
    chat_answer,
    error_answer,
    image_answer,
    job_state,
    parse_form,
    picture,
    pieces,
    read_request,
    refusal,
    tone,
    transcription_answer,
)

__all__ = ["MODES", "PROMPT_TOKENS", "SLOW", "TEXT", "Charge", "FakeProvider", "Part", "Recorded", "parse_form"]

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
        self.film = b"\0\0\0\x18ftypmp42fake video of no frames"  # a test may put a real one here
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
        if (refused := refusal(mode, request)) is not None:
            writer.write(refused)
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
                self._charge("chat", request, PROMPT_TOKENS, len(WORDS))
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
        async for piece in pieces(request, mode):
            for part in [piece[i : i + 1] for i in range(len(piece))] if mode == "bytes" else [piece]:
                writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
            sent += 1
            if mode == "cut" and sent == 3:
                writer.write(b'400\r\ndata: {"id": "c", "choi')
                await writer.drain()
                raise Reset
        writer.write(b"0\r\n\r\n")
        self._charge("chat", request, PROMPT_TOKENS, len(WORDS))

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
            return answer(200, self.film, "video/mp4")
        job["polls"] += 1
        return answer(200, {"id": job_id, "object": "video"} | job_state(job["mode"], job["polls"]))

    def _picture_url(self, request: Recorded) -> str | None:
        return f"{self.origin}/v1/picture.png" if request.json.get("response_format") == "url" else None

    def _charge(self, operation: str, request: Recorded, into: int = 0, out: int = 0, units: int = 0) -> None:
        self.bill.append(Charge(operation, request.model, into, out, units))
