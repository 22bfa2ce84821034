"""The engine host's web application: every path on one page, the bearer check, and the background clean-up."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openpollen.core.errors import GatewayError, MethodNotAllowed, NotFound, PayloadTooLarge, Unauthorized
from openpollen.engines import host_audio, host_chat, host_images, host_videos
from openpollen.engines.base import Cancelled, EditEngine, Engine
from openpollen.engines.host_context import Host, can, host_of
from openpollen.engines.host_errors import error_response
from openpollen.engines.scheduler import Scheduler
from openpollen.engines.video_jobs import VideoJobs

Endpoint = Callable[[Request], Awaitable[Response]]

#: Largest request body in bytes: a few pictures or an hour of compressed sound.
MAX_BODY = 64 << 20


@dataclass(frozen=True)
class HostSettings:
    """Limits of the host. ``threads`` compute at once, ``queue`` jobs wait, idle engines leave after ``idle_s``."""

    token: str
    threads: int = 1
    memory_mb: int = 3000
    queue: int = 16
    idle_s: float = 600


def create_host(engines: Mapping[str, Engine], settings: HostSettings) -> Starlette:
    """The ASGI application over ``engines``. Nothing is loaded until the first request for it."""
    scheduler = Scheduler(threads=settings.threads, queue_size=settings.queue, memory_mb=settings.memory_mb)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        cleaning = asyncio.create_task(_unload_idle(scheduler, settings.idle_s))
        yield
        cleaning.cancel()
        scheduler.close()

    app = Starlette(
        routes=[Route(path, _answering(endpoint), methods=[method]) for method, path, endpoint in ROUTES],
        lifespan=lifespan,
        middleware=[Middleware(Gate, token=settings.token)],
        exception_handlers={404: _no_route, 405: _no_route},
    )
    app.state.host = Host(engines, scheduler, VideoJobs(scheduler))
    return app


async def health(request: Request) -> Response:
    """What runs, waits and is loaded; sizes in MB."""
    scheduler = host_of(request).scheduler
    memory = scheduler.memory
    return JSONResponse(
        {
            "status": "ok",
            "pid": os.getpid(),
            "running": scheduler.running,
            "queued": scheduler.waiting,
            "loaded": memory.loaded,
            "loaded_mb": memory.loaded_mb,
            "memory_mb": memory.limit_mb,
        }
    )


async def models(request: Request) -> Response:
    """Every engine: whether it can serve, what it does, and what it would need in memory."""
    host = host_of(request)
    loaded = host.scheduler.memory.loaded
    told = await asyncio.to_thread(lambda: [_told(engine, loaded) for engine in host.engines.values()])
    return JSONResponse({"object": "list", "data": told})


def _told(engine: Engine, loaded: list[str]) -> dict[str, Any]:
    missing = engine.missing()
    status = "missing" if missing else "loaded" if engine.name in loaded else "ready"
    told: dict[str, Any] = {
        "id": engine.name,
        "object": "model",
        "created": 0,
        "owned_by": "local",
        "status": status,
        "missing": missing,
        "kind": engine.kind,
        "kinds": [engine.kind, "edit"]
        if engine.kind == "image" and can(engine, EditEngine, ("edit",))
        else [engine.kind],
        "memory_mb": engine.memory_mb,
    }
    context = getattr(engine, "context_length", None)
    return told | ({"context_length": context} if context else {})


#: Every path: method, path, endpoint.
ROUTES: list[tuple[str, str, Endpoint]] = [
    ("GET", "/health", health),
    ("GET", "/v1/models", models),
    ("POST", "/v1/chat/completions", host_chat.complete),
    ("POST", "/v1/images/generations", host_images.generate),
    ("POST", "/v1/images/edits", host_images.edit),
    ("POST", "/v1/audio/speech", host_audio.speech),
    ("POST", "/v1/audio/transcriptions", host_audio.transcribe),
    ("POST", "/v1/audio/translations", host_audio.translate),
    ("POST", "/v1/videos", host_videos.create),
    ("GET", "/v1/videos", host_videos.listing),
    ("GET", "/v1/videos/{id}", host_videos.show),
    ("DELETE", "/v1/videos/{id}", host_videos.delete),
    ("GET", "/v1/videos/{id}/content", host_videos.content),
]


class Gate:
    """Lets in only requests with the host's bearer token, and stops bodies that are too long."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        too_long = PayloadTooLarge(f"The request body is over {MAX_BODY >> 20} MB.")
        refusal: GatewayError | None = None
        if not hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
            refusal = Unauthorized("The engine host takes only its own program's requests.")
        elif int(headers.get(b"content-length", b"0")) > MAX_BODY:
            refusal = too_long
        if refusal:
            await error_response(refusal)(scope, receive, send)
            return
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_BODY:
                raise too_long
            return message

        await self._app(scope, limited, send)


def _answering(endpoint: Endpoint) -> Endpoint:
    """The endpoint with every failure told as an OpenAI error. A caller who left gets an answer that nobody reads."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (Cancelled, ClientDisconnect):
            return Response(status_code=499)
        except Exception as error:
            return error_response(error)

    return answer


def _no_route(request: Request, error: Exception) -> Response:
    """404 and 405 of the router."""
    wrong_method = isinstance(error, HTTPException) and error.status_code == 405
    where = f"{request.method} {request.url.path}"
    return error_response(MethodNotAllowed(f"No {where}.") if wrong_method else NotFound(f"There is no {where}."))


async def _unload_idle(scheduler: Scheduler, idle_s: float) -> None:
    """Look a few times per idle period, so that an engine stays at most a quarter longer than it should."""
    while True:
        await asyncio.sleep(max(0.1, idle_s / 4))
        await scheduler.memory.unload_idle(idle_s)
