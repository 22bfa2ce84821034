"""Pruna's predictions: pictures of p-image, edits, films of p-video (https://docs.api.pruna.ai). Files lie there first, and
results are fetched with the key."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, structs

from openpollen.core.assets import Asset, ImageRequest, JobState, Media, VideoRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers.adapter import Adapter, BaseAdapter, Headers
from openpollen.providers.addresses import own_address
from openpollen.providers.credential import credential
from openpollen.providers.failures import unreadable
from openpollen.providers.json_media import JobError, data_of, failed, post, read
from openpollen.providers.openai_wire import multipart
from openpollen.providers.shapes import nearest_ratio, shape_of, tier_of, whole_seconds

_PICTURE = frozenset({"prompt", "seed"})
_SIZED = _PICTURE | {"width", "height", "size"}
_FILM = frozenset({
    "prompt", "seed", "seconds", "duration", "resolution", "aspect_ratio", "width", "height", "size", "fps", "image",
})  # fmt: skip
_RATIOS = ("16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "1:1")
_TIERS = ("720p", "1080p")


class _Urls(Struct, frozen=True):
    get: str = ""


class _File(Struct, frozen=True):
    urls: _Urls = _Urls()


class _Prediction(Struct, frozen=True):
    status: str = "starting"
    get_url: str = ""
    generation_url: str = ""
    message: str | None = None
    error: str | None = None


class Pruna(BaseAdapter):
    """The adapter of this wire; see ``Adapter`` for what each method promises."""

    wire = "pruna"
    operations = frozenset({Capability.IMAGE, Capability.EDIT, Capability.VIDEO})

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        if operation is Capability.VIDEO:
            return _FILM
        return _PICTURE | {"image"} if operation is Capability.EDIT else _SIZED

    def uploads(self, request: ImageRequest | VideoRequest, route: Route, provider: Provider) -> tuple[Outgoing, ...]:
        return tuple(_upload(image, provider) for image in request.images)

    def decode_upload(self, status: int, headers: Headers, body: bytes, provider: Provider) -> str:
        url = read(_File, status, headers, body, provider).urls.get
        if not url:
            raise unreadable("an uploaded file without an address", provider)
        return url

    def encode_image(
        self, request: ImageRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        asked: dict[str, Any] = {"prompt": request.prompt}
        if uploaded:
            asked["images"] = list(uploaded)
        else:
            asked |= {"aspect_ratio": "custom", "width": request.width, "height": request.height}
        return _predict(asked, request.seed, route, provider, ("try-sync", "true"))

    def decode_image(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        return _begun(status, headers, body, provider)

    def encode_video(
        self, request: VideoRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        asked: dict[str, Any] = {
            "prompt": request.prompt,
            "duration": whole_seconds(request, route.model),
            "resolution": tier_of(request, _TIERS, route.model),
            "aspect_ratio": nearest_ratio(shape_of(request), _RATIOS),
            "fps": request.fps or 24,
        }
        if uploaded:
            asked["image"] = uploaded[0]
        return _predict(asked, request.seed, route, provider)

    def decode_video(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        return _begun(status, headers, body, provider)

    def poll_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        return Outgoing("GET", own_address(job, provider), _headers(provider))

    def decode_job(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        return _state(read(_Prediction, status, headers, body, provider), provider)

    def fetch_job(self, job: JobState, route: Route, provider: Provider) -> Outgoing:
        return Outgoing("GET", job.result, _headers(provider))

    def decode_result(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
        return data_of(status, headers, body, provider)


def _upload(image: Asset, provider: Provider) -> Outgoing:
    content_type, data = multipart([], [("content", image)])
    headers = (*_headers(provider), ("content-type", content_type))
    return Outgoing("POST", f"{provider.base_url}/files", headers, data)


def _predict(
    asked: dict[str, Any], seed: int | None, route: Route, provider: Provider, *more: tuple[str, str]
) -> Outgoing:
    if seed is not None:
        asked["seed"] = seed
    return post("predictions", {"input": asked}, provider, ("model", route.model), *more)


def _headers(provider: Provider) -> tuple[tuple[str, str], ...]:
    return (("accept", "*/*"), *credential(provider))


def _begun(status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
    """A prediction that was asked for: quick pictures are there at once, others have the address to ask again."""
    made = read(_Prediction, status, headers, body, provider)
    state = _state(made, provider)
    if state.status in ("done", "failed"):
        return state
    if not made.get_url:
        raise unreadable("a job without an address", provider)
    return structs.replace(state, id=own_address(made.get_url, provider))


def _state(made: _Prediction, provider: Provider) -> JobState:
    match made.status:
        case "succeeded" if made.generation_url:
            return JobState("", "done", 100, result=own_address(made.generation_url, provider))
        case "starting" | "queued":
            return JobState("", "queued")
        case "processing":
            return JobState("", "running")
        case _:
            why = JobError(None, made.error or made.message)
            return failed("", why, f"the job was {made.status}", provider)


ADAPTER: Adapter = Pruna()
