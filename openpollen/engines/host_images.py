"""``/v1/images/generations`` and ``/v1/images/edits``."""

from __future__ import annotations

import base64
import re
import time
from typing import Literal

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from openpollen.core.errors import BadRequest
from openpollen.engines.base import EditEngine, EditJob, ImageEngine, ImageJob, ImageMade, PictureFormat
from openpollen.engines.host_context import compute, find_engine, host_of, read_form, read_json

Background = Literal["transparent", "opaque", "auto"]


class ImageBody(Struct):
    """A picture to make. ``size`` is WIDTHxHEIGHT in pixels or ``auto``."""

    prompt: str
    model: str | None = None
    size: str = "auto"
    n: int = 1
    seed: int | None = None
    negative_prompt: str = ""
    background: Background = "auto"
    quality: str = "medium"
    output_format: PictureFormat = "png"
    metadata: bool = True


class EditBody(Struct):
    """A picture to change; the pictures themselves are files beside it. No ``size`` keeps that of the first."""

    prompt: str
    model: str | None = None
    size: str = "auto"
    n: int = 1
    seed: int | None = None
    background: Background = "auto"
    output_format: PictureFormat = "png"
    metadata: bool = True


async def generate(request: Request) -> Response:
    body = await read_json(request, ImageBody)
    engine = find_engine(host_of(request), body.model, ImageEngine, ("image",))
    _check(body)
    width, height = size_of(body.size) or (1024, 1024)
    job = ImageJob(
        prompt=body.prompt,
        width=width,
        height=height,
        seed=body.seed,
        negative_prompt=body.negative_prompt,
        transparent=body.background == "transparent",
        output_format=body.output_format,
        metadata=body.metadata,
        quality=body.quality,
    )
    return _answer(await compute(request, engine, lambda token: engine.generate(job, token)), body.output_format)


async def edit(request: Request) -> Response:
    form = await read_form(request)
    body = form.fields(EditBody)
    engine = find_engine(host_of(request), body.model, EditEngine, ("edit",))
    _check(body)
    images, masks = form.named("image", "image[]"), form.named("mask")
    if not images:
        raise BadRequest("An edit needs at least one file in the field image.")
    size = size_of(body.size)
    job = EditJob(
        prompt=body.prompt,
        images=tuple(images),
        mask=masks[0] if masks else None,
        width=size[0] if size else None,
        height=size[1] if size else None,
        seed=body.seed,
        transparent=body.background == "transparent",
        output_format=body.output_format,
        metadata=body.metadata,
    )
    return _answer(await compute(request, engine, lambda token: engine.edit(job, token)), body.output_format)


def size_of(text: str) -> tuple[int, int] | None:
    """``WIDTHxHEIGHT`` as two numbers, None for ``auto``; BadRequest for anything else."""
    if text == "auto":
        return None
    match = re.fullmatch(r"(\d{1,5})[xX×](\d{1,5})", text)
    if not match:
        raise BadRequest(f"size must be WIDTHxHEIGHT in pixels, such as 1024x768, not {text!r}.")
    return int(match[1]), int(match[2])


def _check(body: ImageBody | EditBody) -> None:
    if body.n != 1:
        raise BadRequest("Local engines make one picture at a time: n must be 1.")
    if body.background == "transparent" and body.output_format == "jpeg":
        raise BadRequest("JPEG has no transparency; use output_format png with background transparent.")


def _answer(made: ImageMade, form: str) -> Response:
    return JSONResponse(
        {
            "created": int(time.time()),
            "data": [{"b64_json": base64.b64encode(made.data).decode()}],
            "output_format": form,
            "size": f"{made.width}x{made.height}",
            "seed": made.seed,
            "note": made.note,
        }
    )
