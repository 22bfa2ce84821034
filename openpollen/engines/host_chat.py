"""``/v1/chat/completions``, whole and as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from openpollen.core.errors import BadRequest
from openpollen.engines.base import Cancelled, ChatEngine
from openpollen.engines.host_context import compute, find_engine, host_of, until_gone
from openpollen.engines.host_errors import error_body

Chunk = dict[str, Any]


async def complete(request: Request) -> Response:
    try:
        body = msgspec.json.decode(await request.body(), type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BadRequest(f"The body is not a JSON object: {error}") from error
    model, stream = body.get("model"), body.get("stream") or False
    if not isinstance(model, (str, type(None))) or not isinstance(stream, bool):
        raise BadRequest("model must be a text and stream true or false.")
    engine = find_engine(host_of(request), model, ChatEngine, ("chat",))
    if stream:
        return await _streamed(request, engine, body)
    return JSONResponse(await compute(request, engine, lambda token: engine.chat(body, token, None)))


async def _streamed(request: Request, engine: ChatEngine, body: dict[str, Any]) -> Response:
    """Answer once the first chunk is there, so that everything that fails before it has its own status."""
    scheduler, loop = host_of(request).scheduler, asyncio.get_running_loop()
    chunks: asyncio.Queue[Chunk | None] = asyncio.Queue()

    def emit(chunk: Chunk) -> None:
        loop.call_soon_threadsafe(chunks.put_nowait, chunk)

    job = scheduler.admit(engine)
    work = asyncio.create_task(scheduler.run(job, lambda token: engine.chat(body, token, emit)))

    def end(task: asyncio.Task[dict[str, Any]]) -> None:
        """Looks at the outcome here too, as a caller who left never will."""
        if not task.cancelled():
            task.exception()
        chunks.put_nowait(None)

    work.add_done_callback(end)
    try:
        first = await until_gone(request, chunks.get())
        if first is None:
            work.result()  # raises what went wrong
            raise RuntimeError("The engine ended without a chunk.")
    except BaseException:
        work.cancel()
        raise
    return StreamingResponse(_events(first, chunks, work), media_type="text/event-stream")


async def _events(
    first: Chunk, chunks: asyncio.Queue[Chunk | None], work: asyncio.Task[dict[str, Any]]
) -> AsyncIterator[bytes]:
    """The chunks as events. The generator is closed when the caller leaves, which stops the engine."""
    try:
        chunk: Chunk | None = first
        while chunk is not None:
            yield _event(chunk)
            chunk = await chunks.get()
        error = work.exception()
        if error is not None and not isinstance(error, Cancelled):
            yield _event(error_body(error))
            return
        yield b"data: [DONE]\n\n"
    finally:
        work.cancel()


def _event(chunk: Chunk) -> bytes:
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"
