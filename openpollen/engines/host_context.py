"""What the host's endpoints share: finding the engine, reading the body, running the work until the caller leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import msgspec
from starlette.datastructures import UploadFile
from starlette.requests import Request

from openpollen.core.errors import BadRequest, NotFound
from openpollen.engines.base import Cancelled, CancelToken, Engine, Missing
from openpollen.engines.scheduler import Scheduler
from openpollen.engines.video_jobs import VideoJobs

T = TypeVar("T")
E = TypeVar("E")


@dataclass(frozen=True)
class Host:
    """The parts of one engine host."""

    engines: Mapping[str, Engine]
    scheduler: Scheduler
    videos: VideoJobs


def host_of(request: Request) -> Host:
    return request.app.state.host


def find_engine(host: Host, name: str | None, protocol: type[E], kinds: tuple[str, ...]) -> E:
    """The engine called ``name`` that can do this, or without a name the first that can."""
    named = host.engines.get(name) if name is not None else None
    if named is not None and can(named, protocol, kinds):
        return as_protocol(named, protocol)
    if named is not None and named.kind in kinds and named.missing():
        raise Missing(named.missing())
    able = [engine for engine in host.engines.values() if can(engine, protocol, kinds)]
    names = " or ".join(engine.name for engine in able)
    if name is not None and named is None:
        there = ", ".join(host.engines)
        raise NotFound(f"No local engine is called {name!r}; there are {there}.", reason="model_not_found")
    if named is not None:
        raise BadRequest(f"{name} does {named.kind}, not {kinds[0]}; use {names or 'another'}.")
    if not able:
        raise NotFound(f"No local engine does {kinds[0]}.")
    return as_protocol(next((engine for engine in able if not engine.missing()), able[0]), protocol)


def can(engine: Engine, protocol: type[Any], kinds: tuple[str, ...]) -> bool:
    """Whether an engine does one of ``kinds``. Editing is a second skill of an image engine, seen by its method."""
    return isinstance(engine, protocol) and (engine.kind in kinds or ("edit" in kinds and engine.kind == "image"))


def as_protocol(engine: Engine, protocol: type[E]) -> E:
    assert isinstance(engine, protocol)
    return engine


async def read_json(request: Request, into: type[T]) -> T:
    """The JSON body as a struct; a null counts as absent where the struct has a default."""
    try:
        raw = msgspec.json.decode(await request.body())
    except msgspec.DecodeError as error:
        raise BadRequest(f"The body is not JSON: {error}") from error
    return convert(raw, into)


@dataclass(frozen=True)
class Form:
    """A multipart body, read whole: text fields (the last of a name counts) and files in the order sent."""

    texts: dict[str, str]
    files: list[tuple[str, bytes]]

    def fields(self, into: type[T]) -> T:
        """The text fields as a struct; numbers and booleans are written as text, an empty field is absent."""
        return convert({key: value for key, value in self.texts.items() if value}, into, strict=False)

    def named(self, *names: str) -> list[bytes]:
        """The files sent under any of ``names``."""
        return [data for name, data in self.files if name in names]


async def read_form(request: Request) -> Form:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise BadRequest("Send multipart/form-data.")
    texts, files = dict[str, str](), list[tuple[str, bytes]]()
    async with request.form(max_files=32, max_fields=64) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                files.append((name, await value.read()))
            else:
                texts[name] = value
    return Form(texts, files)


def convert(raw: Any, into: type[T], *, strict: bool = True) -> T:
    if isinstance(raw, dict):
        given = cast("dict[str, Any]", raw)
        raw = {key: value for key, value in given.items() if value is not None}
    try:
        return msgspec.convert(raw, into, strict=strict)
    except msgspec.ValidationError as error:
        raise BadRequest(f"The request is not right: {error}") from error


async def compute(request: Request, engine: Engine, work: Callable[[CancelToken], T]) -> T:
    """Run ``work`` on ``engine`` when its turn comes. If the caller disconnects first, the work is told to stop."""
    scheduler = host_of(request).scheduler
    job = scheduler.admit(engine)
    return await until_gone(request, scheduler.run(job, work))


async def until_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await ``work``; cancel it and raise ``Cancelled`` when the caller disconnects first."""
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Cancelled
    finally:
        watch.cancel()
        task.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
