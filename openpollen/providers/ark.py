"""BytePlus ModelArk: pictures of Seedream, films of Seedance.

https://docs.byteplus.com/en/docs/ModelArk/1541523 (pictures), 1520757 and 1521309 (films), 1299023 (errors). Pictures are
answered at once, films are tasks. Models of the 1.0 family read a film's parameters from the end of its text, later ones
from the body.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

from openpollen.core.assets import ImageRequest, JobState, Media, VideoRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.core.usage import Usage
from openpollen.outbound.message import Outgoing
from openpollen.providers import shapes
from openpollen.providers.adapter import Adapter, BaseAdapter, Headers
from openpollen.providers.failures import from_answer, unreadable
from openpollen.providers.json_media import JobError, bare, data_uri, failed, post, read, segment, unpack

_TASKS = "contents/generations/tasks"
_RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "21:9")
_TIERS = ("480p", "720p", "1080p")
_ROLES = ("first_frame", "last_frame")
#: Pixels that the families of Seedream make at least: a smaller picture is asked for in this size and its own ratio.
_LEAST_PIXELS = {"seedream-4-0": 1280 * 720, "seedream-4-5": 2560 * 1440, "seedream-5": 2560 * 1440}
#: The size of an edit whose caller gave none: about four million pixels in the shape that the model finds fitting.
_EDIT_SIZE = "2K"
#: What the models would take for a parameter inside a text.
_FLAG = re.compile(
    r"--(?=(?:resolution|rs|ratio|rt|duration|dur|frames|framespersecond|fps|seed|camerafixed|cf|watermark|wm)\b)", re.I
)
_STATES: Mapping[str, Literal["queued", "running", "done"]] = {
    "queued": "queued", "running": "running", "succeeded": "done",
}  # fmt: skip
_ENDS = {"failed": "the task failed", "cancelled": "the task was cancelled", "expired": "the task has expired"}
_PICTURE = frozenset({"prompt", "width", "height", "size", "seed"})
_FILM = frozenset(
    {"prompt", "seconds", "duration", "width", "height", "size", "aspect_ratio", "resolution", "seed", "image", "audio"}
)


class _Picture(Struct, frozen=True):
    url: str | None = None
    b64_json: str | None = None
    error: JobError | None = None


class _PictureUsage(Struct, frozen=True):
    generated_images: int | None = None
    output_tokens: int | None = None


class _Pictures(Struct, frozen=True):
    data: list[_Picture] | None = None
    usage: _PictureUsage | None = None
    error: JobError | None = None


class _Content(Struct, frozen=True):
    video_url: str | None = None


class _FilmUsage(Struct, frozen=True):
    completion_tokens: int | None = None


class _Task(Struct, frozen=True):
    id: str = ""
    status: str | None = None
    content: _Content | None = None
    usage: _FilmUsage | None = None
    error: JobError | None = None


class Ark(BaseAdapter):
    """The adapter of this wire; see ``Adapter`` for what each method promises."""

    wire = "ark"
    operations = frozenset({Capability.IMAGE, Capability.EDIT, Capability.VIDEO})

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        if operation is Capability.VIDEO:
            deaf = {"audio"} if _first_family(route) else set[str]()
            return _FILM - (deaf | {"image"} if "-t2v" in route.model else deaf)
        if operation is Capability.EDIT:
            return _PICTURE | {"image"}
        return _PICTURE if operation is Capability.IMAGE else frozenset()

    def encode_image(
        self, request: ImageRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        body: dict[str, Any] = {"model": route.model, "prompt": request.prompt, "response_format": "url"}
        body |= {"watermark": False, "sequential_image_generation": "disabled"}
        if request.images:
            sources = [data_uri(image) for image in request.images]
            body["image"] = sources[0] if len(sources) == 1 else sources
        sized = not request.images or request.given & {"size", "width", "height"}
        body["size"] = _size(request.width, request.height, route.model) if sized else _EDIT_SIZE
        if request.seed is not None:
            body["seed"] = request.seed
        return post("images/generations", body, provider)

    def decode_image(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
        """Addresses of pictures, which live for 24 hours, and the pictures and tokens that are billed."""
        answer = read(_Pictures, status, headers, body, provider)
        made = answer.data or []
        assets = tuple(unpack(one.b64_json, provider) for one in made if one.b64_json)
        urls = tuple(one.url for one in made if one.url and not one.b64_json)
        if not assets and not urls:
            # The error of a picture that failed stands in its place.
            fault = answer.error or next((one.error for one in made if one.error is not None), None)
            if fault is None:
                raise unreadable("an answer without a picture", provider)
            raise from_answer(200, headers, msgspec.json.encode({"error": fault}), provider)
        return Media(assets, urls, _picture_usage(answer.usage))

    def encode_video(
        self, request: VideoRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        """A task: words, and the first frame or the first and the last one. A film from a picture has the picture's shape
        unless the caller gave another."""
        if len(request.images) > len(_ROLES):
            raise BadRequest(
                f"image: {route.model} takes a first and a last frame, not {len(request.images)} pictures."
            )
        wanted: dict[str, Any] = {"resolution": shapes.tier_of(request, _TIERS, route.model)}
        wanted["duration"] = shapes.whole_seconds(request, route.model)
        if not request.images or request.given & {"aspect_ratio", "size"}:
            wanted["ratio"] = shapes.nearest_ratio(shapes.shape_of(request), _RATIOS)
        wanted["watermark"] = False
        if request.seed is not None:
            wanted["seed"] = request.seed
        text, fields = _FLAG.sub("\u2014", request.prompt), wanted
        if _first_family(route):
            text, fields = " ".join([text, *(f"--{name} {_flag(value)}" for name, value in wanted.items())]), {}
        else:
            fields["generate_audio"] = request.audio
        content: list[dict[str, Any]] = [{"type": "text", "text": text}]
        for role, image in zip(_ROLES, request.images, strict=False):
            content.append({"type": "image_url", "image_url": {"url": data_uri(image)}, "role": role})
        return post(_TASKS, {"model": route.model, "content": content} | fields, provider)

    def decode_video(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        task = read(_Task, status, headers, body, provider)
        if not task.id:
            raise unreadable("a job without an id", provider)
        return JobState(task.id, "queued")

    def poll_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        return bare("GET", f"{_TASKS}/{segment(job)}", provider)

    def decode_job(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        """The state; a film's address lives for 24 hours. Tasks that failed are not billed."""
        task = read(_Task, status, headers, body, provider)
        if task.status in _ENDS:
            return failed(task.id, task.error, _ENDS[task.status], provider)
        state = _STATES.get(task.status or "")
        if state is None:
            raise unreadable("a job in a state that is not known", provider)
        if state != "done":
            return JobState(task.id, state)
        if task.content is None or not task.content.video_url:
            raise unreadable("a finished job without a film", provider)
        tokens = task.usage.completion_tokens if task.usage is not None else None
        usage = Usage(video_tokens=tokens) if tokens else None
        return JobState(task.id, "done", 100, media=Media(urls=(task.content.video_url,), usage=usage))

    def cancel_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        """Takes a task out of the queue, or deletes one that has ended; one that runs is refused."""
        return post(f"{_TASKS}/{segment(job)}", {}, provider, method="DELETE")


def _first_family(route: Route) -> bool:
    return "seedance-1-0" in route.model


def _flag(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _size(width: int, height: int, model: str) -> str:
    least = next((pixels for family, pixels in _LEAST_PIXELS.items() if family in model), 0)
    if width * height < least:
        scale = math.sqrt(least / (width * height))
        width, height = math.ceil(width * scale), math.ceil(height * scale)
    return f"{width}x{height}"


def _picture_usage(reported: _PictureUsage | None) -> Usage | None:
    if reported is None or not reported.generated_images:
        return None
    return Usage(images=reported.generated_images, output_image_tokens=reported.output_tokens or 0)


ADAPTER: Adapter = Ark()
