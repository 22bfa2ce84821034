"""Films of Veo as long-running operations: on the Gemini API (https://ai.google.dev/gemini-api/docs/video) and on Vertex AI
(https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/veo-video-generation). A choice of sound and a seed are
Vertex AI's: the Gemini API takes neither."""

from __future__ import annotations

import base64
import re
from typing import Any

from msgspec import Struct, field

from openpollen.core.assets import Asset, JobState, Media, VideoRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.outbound.scrub import scrub
from openpollen.providers import shapes
from openpollen.providers.adapter import UNSNIFFED, Headers
from openpollen.providers.addresses import own_address
from openpollen.providers.failures import from_answer, unreadable
from openpollen.providers.google_wire import FILM_SEEDS, is_vertex, post, read, unpack
from openpollen.providers.google_wire import headers as lines

_PARAMS = frozenset({
    "prompt", "negative_prompt", "seconds", "duration", "aspect_ratio", "resolution", "width", "height", "size", "image",
})  # fmt: skip
_RATIOS = ("16:9", "9:16")
_TIERS = ("720p", "1080p")
#: What pictures are to a film, in their order.
_FRAMES = ("image", "lastFrame")
#: Codes of an operation's error that mean its content was refused (google.rpc.Code INVALID_ARGUMENT, FAILED_PRECONDITION).
_REFUSED = frozenset({3, 9})
#: What an operation is called: ``models/veo-3.1/operations/abc``, on Vertex AI with project and location before it.
_NAME = re.compile(r"[\w.~-]+(/[\w.~-]+)*")


class _Address(Struct, frozen=True):
    uri: str = ""


class _Sample(Struct, frozen=True):
    video: _Address = field(default_factory=_Address)


class _Made(Struct, frozen=True, rename="camel"):
    generated_samples: list[_Sample] = []
    rai_media_filtered_count: int = 0
    rai_media_filtered_reasons: list[str] = []


class _Video(Struct, frozen=True, rename="camel"):
    bytes_base64_encoded: str = ""


class _Response(Struct, frozen=True, rename="camel"):
    generate_video_response: _Made = field(default_factory=_Made)
    videos: list[_Video] = []
    rai_media_filtered_count: int = 0
    rai_media_filtered_reasons: list[str] = []


class _Fault(Struct, frozen=True):
    code: int = 0
    message: str = ""


class _Operation(Struct, frozen=True):
    name: str = ""
    done: bool = False
    error: _Fault | None = None
    response: _Response = field(default_factory=_Response)


def params(provider: Provider) -> frozenset[str]:
    return _PARAMS | {"audio", "seed"} if is_vertex(provider) else _PARAMS


def body_of(request: VideoRequest, route: Route, provider: Provider) -> dict[str, Any]:
    """The first picture is the first frame, a second one the last. Raises BadRequest for more, and for a length or size
    that films of Veo do not have."""
    if len(request.images) > len(_FRAMES):
        raise BadRequest(f"image: {route.model} takes two pictures, the first frame and the last.")
    instance: dict[str, Any] = {"prompt": request.prompt}
    for name, image in zip(_FRAMES, request.images, strict=False):
        instance[name] = {"bytesBase64Encoded": base64.b64encode(image.data).decode(), "mimeType": image.mime}
    parameters: dict[str, Any] = {
        "sampleCount": 1,
        "durationSeconds": shapes.whole_seconds(request, route.model),
        "aspectRatio": shapes.nearest_ratio(shapes.shape_of(request), _RATIOS),
        "resolution": shapes.tier_of(request, _TIERS, route.model, short_side=True),
    }
    if request.negative_prompt:
        parameters["negativePrompt"] = request.negative_prompt
    if is_vertex(provider):
        parameters["generateAudio"] = request.audio
        if request.seed is not None:
            parameters["seed"] = request.seed % FILM_SEEDS
    return {"instances": [instance], "parameters": parameters}


def poll(job: str, route: Route, provider: Provider) -> Outgoing:
    """Asks by the operation's name: on Vertex AI in a body, on the Gemini API as an address."""
    if is_vertex(provider):
        return post({"operationName": job}, route, provider, "fetchPredictOperation")
    return Outgoing("GET", f"{provider.base_url}/{job}", lines(provider))


def fetch(job: JobState, provider: Provider) -> Outgoing:
    return Outgoing("GET", own_address(job.result, provider), lines(provider))


def decode_begun(status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
    """The operation that was begun. Raises Failure, for one whose name is none too: it is part of an address."""
    state = decode(status, headers, body, provider)
    if not _NAME.fullmatch(state.id) or ".." in state.id:
        raise unreadable("an operation without a name", provider)
    return state


def decode(status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
    """The state of an operation. Raises Failure when it cannot be told."""
    if not 200 <= status < 300:
        raise from_answer(status, headers, body, provider)
    job = read(_Operation, body)
    if job is None:
        raise unreadable("an operation that cannot be read", provider)
    if job.error is not None:
        message = _shown(job.error.message or "the operation failed", provider)
        return JobState(job.name, "failed", error=message, refused=job.error.code in _REFUSED)
    return _done(job, provider) if job.done else JobState(job.name, "running")


def decode_result(status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
    """The film's own bytes."""
    if not 200 <= status < 300 or "application/json" in headers.get("content-type", ""):
        raise from_answer(status, headers, body, provider)
    if not body:
        raise unreadable("an empty film", provider)
    return Media((Asset(body, UNSNIFFED),))


def _done(job: _Operation, provider: Provider) -> JobState:
    response, made = job.response, job.response.generate_video_response
    for sample in made.generated_samples:
        if sample.video.uri:
            return JobState(job.name, "done", 100, result=own_address(sample.video.uri, provider))
    for video in response.videos:
        if video.bytes_base64_encoded:
            film = Asset(unpack(video.bytes_base64_encoded, provider, "a film"), UNSNIFFED)
            return JobState(job.name, "done", 100, media=Media((film,)))
    reasons = [*made.rai_media_filtered_reasons, *response.rai_media_filtered_reasons]
    if reasons or made.rai_media_filtered_count or response.rai_media_filtered_count:
        why = _shown("; ".join(reasons) or "its content was filtered", provider)
        return JobState(job.name, "failed", error=why, refused=True)
    return JobState(job.name, "failed", error="the operation ended without a film")


def _shown(text: str, provider: Provider) -> str:
    return scrub(text, [provider.key] if provider.key else [])
