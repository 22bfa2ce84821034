"""Replicate's predictions of official models (https://replicate.com/docs/reference/http). Models call their inputs by names of
their own (``_MODELS``, from their pages); small files go along as data URIs, larger ones lie there first."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from openpollen.core.assets import Asset, ImageRequest, JobState, Media, VideoRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.outbound.scrub import scrub
from openpollen.providers.adapter import Adapter, BaseAdapter, Headers
from openpollen.providers.addresses import own_address
from openpollen.providers.credential import credential
from openpollen.providers.failures import unreadable
from openpollen.providers.json_media import data_uri, post, read
from openpollen.providers.openai_wire import multipart
from openpollen.providers.shapes import nearest_ratio, shape_of, tier_of, whole_seconds

#: Bytes up to which a file may stand in the request itself.
_INLINE = 256 * 1024
_RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9")
_REFUSED = ("nsfw", "flagged", "sensitive", "content policy", "moderation")
#: Seconds for which a quick picture is waited for in the call that asks for it.
_WAIT = ("prefer", "wait=60")


class Inputs(Struct, frozen=True):
    """How a model calls its inputs: ``size`` in pixels, by a ratio, by a ratio called custom with pixels, or not at all;
    ``pictures`` is the name for them, of a list where it takes ``several``; films have ``tiers`` of resolution."""

    size: Literal["pixels", "ratio", "custom", ""] = ""
    pictures: str = ""
    several: bool = False
    tiers: tuple[str, ...] = ()
    rates: bool = False


_MODELS = {
    "black-forest-labs/flux-kontext-pro": Inputs("ratio", "input_image"),
    "black-forest-labs/flux-schnell": Inputs("ratio"),
    "prunaai/z-image-turbo": Inputs("pixels"),
    "prunaai/p-image-edit": Inputs("", "images", several=True),
    "prunaai/p-image": Inputs("custom"),
    "prunaai/p-video": Inputs("", "image", tiers=("720p", "1080p"), rates=True),
    "qwen/qwen-image-edit-plus": Inputs("", "image", several=True),
    "qwen/qwen-image": Inputs("ratio"),
    "bytedance/seedance": Inputs("", "image", tiers=("480p", "720p", "1080p")),
    "bytedance/seedream": Inputs("ratio", "image_input", several=True),
    "wan-video/": Inputs("pixels", "images", several=True),
}


class _Urls(Struct, frozen=True):
    get: str = ""


class _Prediction(Struct, frozen=True):
    status: str = ""
    output: str | list[str] | None = None
    error: str | None = None
    urls: _Urls = _Urls()


class _Uploaded(Struct, frozen=True):
    urls: _Urls = _Urls()


class Replicate(BaseAdapter):
    """The adapter of this wire; see ``Adapter`` for what each method promises."""

    wire = "replicate"
    operations = frozenset({Capability.IMAGE, Capability.EDIT, Capability.VIDEO})

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        inputs = _inputs(route)
        names = {"prompt", "seed"}
        if inputs.pictures and operation is not Capability.IMAGE:
            names.add("image")
        if operation is Capability.VIDEO:
            names |= {"seconds", "duration", "resolution", "aspect_ratio", "width", "height", "size"}
            names |= {"fps"} if inputs.rates else set[str]()
        elif inputs.size:
            names |= {"width", "height", "size"}
        return frozenset(names)

    def uploads(self, request: ImageRequest | VideoRequest, route: Route, provider: Provider) -> tuple[Outgoing, ...]:
        return tuple(_upload(image, provider) for image in request.images if len(image.data) > _INLINE)

    def decode_upload(self, status: int, headers: Headers, body: bytes, provider: Provider) -> str:
        url = read(_Uploaded, status, headers, body, provider).urls.get
        if not url:
            raise unreadable("an uploaded file without an address", provider)
        return url

    def encode_image(
        self, request: ImageRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        inputs = _inputs(route)
        asked: dict[str, Any] = {"prompt": request.prompt}
        if inputs.size in ("pixels", "custom"):
            asked |= {"width": request.width, "height": request.height}
        if inputs.size == "custom":
            asked["aspect_ratio"] = "custom"
        elif inputs.size == "ratio":
            asked["aspect_ratio"] = nearest_ratio(request.width / request.height, _RATIOS)
        _show(asked, inputs, request.images, uploaded)
        return _predict(asked, request.seed, route, provider, _WAIT)

    def decode_image(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        return _state(status, headers, body, provider)

    def encode_video(
        self, request: VideoRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        inputs = _inputs(route)
        asked: dict[str, Any] = {
            "prompt": request.prompt,
            "duration": whole_seconds(request, route.model),
            "resolution": tier_of(request, inputs.tiers or ("720p", "1080p"), route.model),
            "aspect_ratio": nearest_ratio(shape_of(request), _RATIOS),
        }
        if inputs.rates:
            asked["fps"] = request.fps or 24
        _show(asked, inputs, request.images, uploaded)
        return _predict(asked, request.seed, route, provider)

    def decode_video(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        return _state(status, headers, body, provider)

    def poll_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        return Outgoing("GET", own_address(job, provider), _headers(provider))

    def decode_job(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        return _state(status, headers, body, provider)

    def cancel_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        return Outgoing("POST", f"{own_address(job, provider)}/cancel", _headers(provider))


def _inputs(route: Route) -> Inputs:
    return next((inputs for start, inputs in _MODELS.items() if route.model.startswith(start)), Inputs("ratio"))


def _show(asked: dict[str, Any], inputs: Inputs, images: tuple[Asset, ...], uploaded: tuple[str, ...]) -> None:
    """Puts pictures into the input: those that were brought there beforehand by their addresses."""
    if not images or not inputs.pictures:
        return
    there = iter(uploaded)
    shown = [next(there) if len(image.data) > _INLINE else data_uri(image) for image in images]
    asked[inputs.pictures] = shown if inputs.several else shown[0]


def _upload(image: Asset, provider: Provider) -> Outgoing:
    content_type, data = multipart([], [("content", image)])
    headers = (*_headers(provider), ("content-type", content_type))
    return Outgoing("POST", f"{provider.base_url}/files", headers, data)


def _predict(
    asked: dict[str, Any], seed: int | None, route: Route, provider: Provider, *more: tuple[str, str]
) -> Outgoing:
    if seed is not None:
        asked["seed"] = seed
    return post(f"models/{route.model}/predictions", {"input": asked}, provider, *more)


def _headers(provider: Provider) -> tuple[tuple[str, str], ...]:
    return (("accept", "*/*"), *credential(provider))


def _state(status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
    made = read(_Prediction, status, headers, body, provider)
    job = own_address(made.urls.get, provider) if made.urls.get else ""
    match made.status:
        case "succeeded":
            urls = (made.output,) if isinstance(made.output, str) else tuple(made.output or ())
            if not urls:
                raise unreadable("a result without a file", provider)
            return JobState(job, "done", 100, media=Media(urls=urls))
        case "starting" | "processing" if job:
            return JobState(job, "queued" if made.status == "starting" else "running")
        case "failed" | "canceled" | "aborted":
            why = scrub(made.error or f"the job was {made.status}", [provider.key] if provider.key else [])
            return JobState(job, "failed", error=why, refused=any(word in why.lower() for word in _REFUSED))
        case _:
            raise unreadable("a job in a state that is not known", provider)


ADAPTER: Adapter = Replicate()
