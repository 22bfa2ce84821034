"""xAI's pictures and films (Grok Imagine); its chat speaks the OpenAI wire.

https://docs.x.ai/developers/rest-api-reference/inference/images and ``/videos``. Pictures have a named ratio and a
resolution of 1k or 2k in place of pixels; an edit is JSON and keeps the shape of its picture. There are no seeds and no
negative prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from openpollen.core.assets import ImageRequest, JobState, Media, VideoRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.core.usage import Usage
from openpollen.outbound.message import Outgoing
from openpollen.providers import shapes
from openpollen.providers.adapter import Adapter, BaseAdapter, Headers
from openpollen.providers.failures import Failure, read_words, refusal, unreadable
from openpollen.providers.json_media import JobError, bare, data_uri, failed, post, read, segment, unpack

_PICTURE_RATIOS = (
    "1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "2:1", "1:2", "19.5:9", "9:19.5", "20:9", "9:20",
)  # fmt: skip
_FILM_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3")
#: Resolutions of films, by the name of the model; later ones than the first have the last as well.
_FIRST, _TIERS = "grok-imagine-video", ("480p", "720p", "1080p")
#: Pixels from which a picture of 2k, about four million, is nearer than one of 1k, about one million.
_LARGE = 2 * 1024 * 1024
#: Pictures that an edit takes.
_SOURCES = 3
_WITHHELD = "the result was withheld by the provider's moderation"
_STATES: Mapping[str, Literal["queued", "running"]] = {
    "pending": "running", "processing": "running", "in_progress": "running", "queued": "queued",
}  # fmt: skip
_PARAMS: Mapping[Capability, frozenset[str]] = {
    Capability.IMAGE: frozenset({"prompt", "n", "width", "height", "size"}),
    Capability.EDIT: frozenset({"prompt", "n", "image"}),
    Capability.VIDEO: frozenset(
        {"prompt", "seconds", "duration", "width", "height", "size", "aspect_ratio", "resolution", "image"}
    ),
}


class _Billed(Struct, frozen=True):
    cost_in_usd_ticks: int | None = None


class _Picture(Struct, frozen=True):
    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None
    respect_moderation: bool | None = None


class _Pictures(Struct, frozen=True):
    data: list[_Picture] | None = None
    usage: _Billed | None = None


class _Begun(Struct, frozen=True):
    request_id: str = ""


class _Film(Struct, frozen=True):
    url: str | None = None
    duration: float | None = None
    respect_moderation: bool | None = None


class _Job(Struct, frozen=True):
    status: str | None = None
    progress: float | None = None
    video: _Film | None = None
    error: JobError | str | None = None


class XAI(BaseAdapter):
    """The adapter of this wire; see ``Adapter`` for what each method promises."""

    wire = "xai"
    operations = frozenset(_PARAMS)

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        return _PARAMS.get(operation, frozenset())

    def encode_image(
        self, request: ImageRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        body: dict[str, Any] = {"model": route.model, "prompt": request.prompt, "n": request.n}
        body["response_format"] = "b64_json"
        if not request.images:
            body["aspect_ratio"] = shapes.nearest_ratio(request.width / request.height, _PICTURE_RATIOS)
            body["resolution"] = "2k" if request.width * request.height > _LARGE else "1k"
            return post("images/generations", body, provider)
        if len(request.images) > _SOURCES:
            raise BadRequest(f"image: {route.model} takes at most {_SOURCES} pictures, not {len(request.images)}.")
        sources = [{"url": data_uri(image), "type": "image_url"} for image in request.images]
        body |= {"image": sources[0]} if len(sources) == 1 else {"images": sources}
        return post("images/edits", body, provider)

    def decode_image(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
        """Pictures as bytes or addresses. Those that moderation withheld are left out, and told; Failure when all are."""
        answer = read(_Pictures, status, headers, body, provider)
        made = answer.data or []
        kept = [one for one in made if one.respect_moderation is not False and (one.b64_json or one.url)]
        withheld = sum(one.respect_moderation is False for one in made)
        if not kept:
            raise refusal(_WITHHELD, provider) if withheld else unreadable("an answer without a picture", provider)
        return Media(
            assets=tuple(unpack(one.b64_json, provider) for one in kept if one.b64_json),
            urls=tuple(one.url for one in kept if one.url and not one.b64_json),
            usage=Usage(images=len(made)) if answer.usage is not None else None,
            revised_prompt=next((one.revised_prompt for one in kept if one.revised_prompt), None),
            note=f"{withheld} of {len(made)} pictures were withheld by moderation" if withheld else "",
        )

    def encode_video(
        self, request: VideoRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        """A film from words, or from its first frame, whose shape it keeps unless the caller gave another."""
        if len(request.images) > 1:
            raise BadRequest(f"image: {route.model} takes one picture, the first frame.")
        body: dict[str, Any] = {"model": route.model, "prompt": request.prompt}
        body["duration"] = shapes.whole_seconds(request, route.model)
        if not request.images or request.given & {"aspect_ratio", "size"}:
            body["aspect_ratio"] = shapes.nearest_ratio(shapes.shape_of(request), _FILM_RATIOS)
        tiers = _TIERS[:2] if route.model == _FIRST else _TIERS
        body["resolution"] = shapes.tier_of(request, tiers, route.model, short_side=True)
        if request.images:
            body["image"] = {"url": data_uri(request.images[0])}
        return post("videos/generations", body, provider)

    def decode_video(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        begun = read(_Begun, status, headers, body, provider)
        if not begun.request_id:
            raise unreadable("a job without an id", provider)
        return JobState(begun.request_id, "queued")

    def poll_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        return bare("GET", f"videos/{segment(job)}", provider)

    def decode_job(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        """The state; its ``id`` is empty, as the answer does not tell it. A film that was withheld, and a request found
        invalid only now, come as status 400: the job failed."""
        try:
            job = read(_Job, status, headers, body, provider)
        except Failure as failure:
            if failure.error.reason not in ("content_policy_violation", "upstream_invalid_request"):
                raise
            words = read_words(body)
            return failed("", JobError("".join(words.codes[:1]), words.message), "the job was refused", provider)
        film = job.video or _Film()
        if film.respect_moderation is False:
            return JobState("", "failed", error=_WITHHELD, refused=True)
        if job.status in ("failed", "expired"):
            error = JobError(message=job.error) if isinstance(job.error, str) else job.error
            return failed("", error, f"the job has {job.status}", provider)
        if job.status == "done" or (job.status is None and film.url):
            if not film.url:
                raise unreadable("a finished job without a film", provider)
            usage = Usage(video_ms=round(film.duration * 1000)) if film.duration else None
            return JobState("", "done", 100, media=Media(urls=(film.url,), usage=usage))
        state = _STATES.get(job.status or "pending")
        if state is None:
            raise unreadable("a job in a state that is not known", provider)
        return JobState("", state, min(99, max(0, int(job.progress or 0))))


ADAPTER: Adapter = XAI()
