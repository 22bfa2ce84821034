"""A pretended provider for tests: an HTTP server that speaks the OpenAI wire, with deterministic answers and faults.

It is no part of the program, and its answers say what they are: texts call themselves fake, pictures are one colour,
sounds are a tone. What happens is chosen by the name of the model asked for (see ``MODES``).
It keeps a log of the requests and a bill: what it would charge for, so that a test can compare it with the ledger. It
bills a 2xx answer from its head on: of a text what it wrote before the connection ended, of anything else the whole,
and a job when it is done. Where it reports no usage, its tokenizer counts: 4 bytes are a token, of the text and of the
JSON of the messages.

    with FakeProvider() as fake:                 # listens on 127.0.0.1, in a thread of its own
        fake.base_url                            # http://127.0.0.1:PORT/v1
        fake.requests[-1].json["model"], fake.bill
        gate = fake.gate("frame")                # a ``step`` model now stops before each frame: gate.reached(), gate.go()
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass
from typing import Any, Self

from tests.fakegate import Cut, Gate, Gone
from tests.fakewire import (
    PROMPT_TOKENS,
    SLOW,
    STEP_TEXT,
    TEXT,
    WORDS,
    Part,
    Recorded,
    answer,
    body_of,
    chat_answer,
    error_answer,
    head_length,
    heard_seconds,
    image_answer,
    is_stepped,
    job_state,
    mode_of,
    parse_form,
    picture,
    pieces,
    prompt_tokens,
    read_request,
    refusal,
    text_of,
    thirds,
    tokens,
    tone,
    transcription_answer,
    usage_of,
)

__all__ = ["MODES", "PROMPT_TOKENS", "SLOW", "STEP_TEXT", "TEXT", "WORDS", "Charge", "FakeProvider", "Part", "Recorded"]
__all__ += ["parse_form"]

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
    "role-error": "a stream with an error event after the role",
    "role-overloaded": "the same, of a host that is overloaded",
    "role-refused": "the same, for its content",
    "role-cut": "breaks a stream off after the role",
    "role-silent": "a stream without another word after the role",
    "error-frame": "a stream with an error event after two pieces",
    "no-done": "a stream without [DONE]",
    "no-usage": "reports no usage",
    "words": "reports no usage; the pieces of its streams are tokens, of any size",
    "zero-usage": "reports a usage of zeros",
    "nothing-said": "reports that nothing was written",
    "minus-said": "reports that less than nothing was written",
    "nothing-read": "reports that nothing was read",
    "absurd-usage": "reports more tokens than fit a count of 63 bits",
    "absurd-float": "reports tokens as 1e30",
    "greedy": "reports more than anybody's wallet holds",
    "only-read": "reports only what was read",
    "only-said": "reports only what was written",
    "null-said": "reports what was read and the sum of all, and null for what was written",
    "float-usage": "reports tokens as 12.0",
    "text-usage": 'reports tokens as "12"',
    "late-usage": "reports usage on the last piece with choices, not apart",
    "double-usage": "reports usage on every piece, growing, and zeros at the end",
    "bytes": "sends a stream one byte at a time",
    "thinks": "answers with a thought between <think> and </think> first",
    "never": "never answers",
    "resets": "resets the connection instead of answering",
    "judge": "calls a text unsafe that is an answer of this host; bills nothing",
    "url-gone": "image: answers with the address of a picture that is not there",
    "picture-html": "image: a page in place of the picture's bytes",
    "picture-head": "image: the eight bytes that a PNG begins with",
    "picture-cut": "image: a PNG without its end",
    "picture-junk": "image: a JPEG's mark and junk behind it",
    "job-fails": "video: the job fails",
    "job-refused": "video: the job fails for its content",
    "job-withheld": "video: the job is done, and its film is withheld for its content",
    "step": "stops at the gates that a test has set: frame (before the head and each event of a stream), part (before "
    "the head and each third of a whole answer), submit, poll and content (of a job, whose state the test sets)",
    "step-MODE": "the same in another mode",
}


@dataclass(frozen=True)
class Charge:
    """One line of the bill: an answer that was sent to its end, or as far as the model's mode lets it go."""

    operation: str
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    units: float = 0


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
        self.busy = 0  # requests that are being answered
        self._gates: dict[str, Gate] = {}
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
        for gate in self._gates.values():
            gate.open()
        self._gates.clear()

    def gate(self, name: str) -> Gate:
        """Sets a gate: from now on models of the mode ``step`` stop there."""
        assert self._loop is not None
        self._gates[name] = Gate(self._loop)
        return self._gates[name]

    def finish(self, job_id: str) -> None:
        """Ends the work on a job of the mode ``step``, and bills it unless it was cancelled."""
        job = self.jobs[job_id]
        if job["status"] in ("queued", "in_progress"):
            job["status"] = "completed"
            self.bill.append(Charge("videos", job["mode"], units=float(job["fields"]["seconds"])))

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
                self.busy += 1
                gone: asyncio.Future[None] = asyncio.ensure_future(_gone(reader))
                try:
                    await self._answer(request, Wire(writer, gone, self._gates if is_stepped(request) else {}))
                finally:
                    gone.cancel()
                    await asyncio.wait({gone})
                    self.busy -= 1
        except (Reset, Cut):
            writer.transport.abort()
        except (Gone, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: Recorded, wire: Wire) -> None:
        mode = mode_of(request)
        if mode == "never":
            await wire.ended()
        if mode == "resets":
            raise Reset
        if mode == "slow":
            await asyncio.sleep(SLOW)
        if (refused := refusal(mode, request)) is not None:
            await wire.write(refused)
            if b" 200 " in refused[:20]:
                self._charge("chat", request, prompt_tokens(request), tokens(len(body_of(refused))))
        elif mode == "cut" and not request.json.get("stream"):
            start = b'{"id": "chat'
            await wire.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n" + start
            )
            self._charge("chat", request, prompt_tokens(request), tokens(len(start)))
            raise Reset
        else:
            await self._serve_path(request, mode, wire)

    async def _serve_path(self, request: Recorded, mode: str, wire: Wire) -> None:
        path = request.path.removeprefix("/v1")
        if path == "/chat/completions":
            if request.json.get("stream") and mode != "json-for-stream":
                await self._stream(request, mode, wire)
            else:
                await self._chat(request, mode, wire)
        elif path == "/images/generations":
            count = int(request.json.get("n", 1))
            image = image_answer(request.json.get("size", "1024x1024"), count, self._picture_url(request, mode), mode)
            await self._whole(answer(200, image), Charge("images", request.model, units=count), wire)
        elif path == "/images/edits":
            await self._whole(
                answer(200, image_answer("64x64", 1, None)), Charge("edits", request.model, units=1), wire
            )
        elif path == "/picture.png":
            await wire.write(answer(200, picture(8, 8), "image/png"))
        elif path == "/audio/speech":
            spoken = Charge("speech", request.model, units=len(str(request.json.get("input", ""))))
            await self._whole(answer(200, tone(0.2), "audio/wav"), spoken, wire)
        elif path == "/audio/transcriptions":
            heard = Charge("transcriptions", request.model, units=heard_seconds(request))
            await self._whole(answer(200, transcription_answer(request)), heard, wire)
        elif path == "/page":
            await wire.write(answer(200, b"<!doctype html><title>Please sign in</title>", "text/html"))
        elif path == "/models":
            await wire.write(answer(200, {"object": "list", "data": [{"id": "ok", "object": "model", "created": 1}]}))
        elif path == "/videos" or path.startswith("/videos/"):
            await self._videos(request, path, wire)
        else:
            await wire.write(error_answer(404, f"no such path: {request.path}", "not_found"))

    async def _chat(self, request: Recorded, mode: str, wire: Wire) -> None:
        """A whole chat answer. Cut in its body, it is billed by what was written of it."""
        whole = chat_answer(request, mode)
        if mode == "judge":
            await wire.write(answer(200, whole))
            return
        written = 0
        try:
            for part in thirds(answer(200, whole)) if wire.stepped("part") else [answer(200, whole)]:
                await wire.write(part, "part")
                written += len(part)
        finally:
            body = written - head_length(answer(200, whole))
            if written == len(answer(200, whole)):
                self._charge("chat", request, *usage_of(request))
            elif written:
                self._charge("chat", request, prompt_tokens(request), tokens(body))

    async def _whole(self, data: bytes, charge: Charge, wire: Wire) -> None:
        """Any other whole answer, billed from its head on."""
        begun = False
        try:
            for part in thirds(data) if wire.stepped("part") else [data]:
                await wire.write(part, "part")
                begun = True
        finally:
            if begun:
                self.bill.append(charge)

    async def _stream(self, request: Recorded, mode: str, wire: Wire) -> None:
        head = (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        begun, sent, said_pieces, text = False, 0, 0, 0
        try:
            await wire.write(head, "frame")
            begun = True
            async for piece, said in pieces(request, mode):
                for part in [piece[i : i + 1] for i in range(len(piece))] if mode == "bytes" else [piece]:
                    await wire.write(b"%x\r\n%b\r\n" % (len(part), part), "frame")
                sent, said_pieces, text = sent + 1, said_pieces + (said > 0), text + said
                if mode == "role-silent":
                    await wire.ended()
                if mode == "role-cut" or (mode == "cut" and sent == 3):
                    await wire.write(b'400\r\ndata: {"id": "c", "choi')
                    raise Reset
            await wire.write(b"0\r\n\r\n")
        finally:
            whole = text == len(text_of(request).encode()) and mode != "error-frame"
            if whole:
                self._charge("chat", request, *usage_of(request))
            elif begun:
                made = said_pieces if mode == "words" else tokens(text)
                self._charge("chat", request, prompt_tokens(request), made)

    async def _videos(self, request: Recorded, path: str, wire: Wire) -> None:
        job_id = path.removeprefix("/videos").strip("/").partition("/")[0]
        if request.method == "POST":
            await self._submit(request, wire)
            return
        job = self.jobs.get(job_id)
        if job is None or job["status"] == "deleted":
            await wire.write(error_answer(404, "no such video", "not_found"))
            return
        if job["stepped"]:
            wire.gates = self._gates
        if request.method == "DELETE":
            job["status"] = "deleted"
            await wire.write(answer(200, {"id": job_id, "object": "video.deleted", "deleted": True}))
        elif path.endswith("/content"):
            if job["mode"] == "job-withheld":
                await wire.write(error_answer(400, "the fake film is withheld", "content_policy_violation"))
                return
            film = answer(200, self.film, "video/mp4")
            for part in thirds(film) if wire.stepped("content") else [film]:
                await wire.write(part, "content")
        else:
            await self._poll(job_id, job, wire)

    async def _submit(self, request: Recorded, wire: Wire) -> None:
        """A job begins when its host could say so: one whose client is gone by then is never worked on."""
        fields = {part.name: part.data.decode("utf-8", "replace") for part in request.form} | request.json
        job_id = f"video_{len(self.jobs) + 1}"
        mode = mode_of(request)
        told = {"id": job_id, "object": "video", "status": "queued", "progress": 0, "model": mode}
        await wire.stop("submit")
        job = {"polls": 0, "mode": mode, "fields": fields, "status": "queued", "stepped": is_stepped(request)}
        self.jobs[job_id] = job
        await wire.write(answer(200, told))

    async def _poll(self, job_id: str, job: dict[str, Any], wire: Wire) -> None:
        if job["stepped"]:
            progress = {"queued": 0, "in_progress": 40, "completed": 100}.get(job["status"], 0)
            state = {"status": job["status"], "progress": progress}
        else:
            job["polls"] += 1
            state = job_state(job["mode"], job["polls"])
            if state["status"] == "completed" and job["status"] == "queued":
                self.finish(job_id)
        await wire.write(answer(200, {"id": job_id, "object": "video"} | state), "poll")

    def _picture_url(self, request: Recorded, mode: str) -> str | None:
        if mode == "url-gone":
            return f"{self.origin}/v1/gone.png"
        return f"{self.origin}/v1/picture.png" if request.json.get("response_format") == "url" else None

    def _charge(self, operation: str, request: Recorded, into: int = 0, out: int = 0) -> None:
        self.bill.append(Charge(operation, request.model, into, out))


class Wire:
    """Where an answer is written, and the gates on the way. Raises Gone when the other side is gone."""

    def __init__(self, writer: asyncio.StreamWriter, gone: asyncio.Future[None], gates: dict[str, Gate]) -> None:
        self.gates = gates
        self._writer = writer
        self._gone = gone

    def stepped(self, name: str) -> bool:
        return name in self.gates

    async def stop(self, gate: str) -> None:
        """Waits at a gate, if there is one of this name."""
        if gate in self.gates:
            await self.gates[gate].stop(self._gone)
        if self._gone.done():
            raise Gone

    async def ended(self) -> None:
        """Waits until the other side is gone. Raises Gone then."""
        await asyncio.wait({self._gone})
        raise Gone

    async def write(self, data: bytes, gate: str = "") -> None:
        await self.stop(gate)
        self._writer.write(data)
        await self._writer.drain()


async def _gone(reader: asyncio.StreamReader) -> None:
    """Returns when the other side has ended the connection."""
    with contextlib.suppress(ConnectionError):
        assert await reader.read(1) == b"", "a second request came before the answer to the first"
