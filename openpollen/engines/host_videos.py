"""``/v1/videos``: OpenAI's Videos API over the job list."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from openpollen.core.errors import BadRequest, Conflict
from openpollen.engines.base import VideoEngine, VideoJob
from openpollen.engines.host_context import find_engine, host_of, read_form, read_json
from openpollen.engines.host_images import size_of


class VideoBody(Struct):
    """A video to make. ``size`` is WIDTHxHEIGHT in pixels, ``seconds`` its length."""

    prompt: str
    model: str | None = None
    seconds: float | str = 5
    size: str = "1280x720"
    fps: Annotated[int, Meta(ge=1, le=60)] = 24
    audio: bool = False
    seed: int | None = None
    metadata: bool = True


async def create(request: Request) -> Response:
    images: tuple[bytes, ...] = ()
    if request.headers.get("content-type", "").startswith("multipart/"):
        form = await read_form(request)
        body = form.fields(VideoBody)
        images = tuple(form.named("input_reference", "input_reference[]"))
    else:
        body = await read_json(request, VideoBody)
    engine = find_engine(host_of(request), body.model, VideoEngine, ("video",))
    width, height = size_of(body.size) or (1280, 720)
    job = VideoJob(
        prompt=body.prompt,
        seconds=_seconds(body.seconds),
        width=width,
        height=height,
        fps=body.fps,
        seed=body.seed,
        audio=body.audio,
        images=images,
        metadata=body.metadata,
    )
    return JSONResponse(host_of(request).videos.submit(engine, job).told())


async def listing(request: Request) -> Response:
    return JSONResponse({"object": "list", "data": [video.told() for video in host_of(request).videos.all()]})


async def show(request: Request) -> Response:
    return JSONResponse(host_of(request).videos.get(request.path_params["id"]).told())


async def content(request: Request) -> Response:
    video = host_of(request).videos.get(request.path_params["id"])
    if video.made is None:
        raise Conflict(f"Video {video.id} is {video.status}; ask again when it is completed.", reason="not_ready")
    note = {"x-engine-note": quote(video.made.note, safe=" ")} if video.made.note else {}
    return Response(video.made.data, media_type="video/mp4", headers=note)


async def delete(request: Request) -> Response:
    video_id = request.path_params["id"]
    host_of(request).videos.delete(video_id)
    return JSONResponse({"id": video_id, "object": "video.deleted", "deleted": True})


def _seconds(given: float | str) -> float:
    try:
        return float(given)
    except ValueError as error:
        raise BadRequest(f"seconds must be a number, not {given!r}.") from error
