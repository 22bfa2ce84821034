"""Films of Veo as long-running operations: on the Gemini API (https://ai.google.dev/gemini-api/docs/video) and on Vertex AI
(https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/veo-video-generation). Sound and seed are Vertex's."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec
from msgspec import Struct, field

from openpollen.core.assets import Asset, JobState, Media, VideoRequest
from openpollen.core.model import Provider
from openpollen.outbound.scrub import scrub
from openpollen.providers.adapter import UNSNIFFED, Headers
from openpollen.providers.addresses import own_address
from openpollen.providers.failures import from_answer, unreadable

_PARAMS = frozenset({"prompt", "seconds", "duration", "aspect_ratio", "resolution", "width", "height", "size", "image"})
#: Codes of an operation's error that mean its content was refused (google.rpc.Code INVALID_ARGUMENT, FAILED_PRECONDITION).
_REFUSED = frozenset({3, 9})


class _Address(Struct):
    uri: str = ""


class _Sample(Struct):
    video: _Address = field(default_factory=_Address)


class _Made(Struct, rename="camel"):
    generated_samples: list[_Sample] = []
    rai_media_filtered_count: int = 0
    rai_media_filtered_reasons: list[str] = []


class _Video(Struct, rename="camel"):
    bytes_base64_encoded: str = ""
    gcs_uri: str = ""


class _Response(Struct, rename="camel"):
    generate_video_response: _Made | None = None
    videos: list[_Video] = []
    rai_media_filtered_count: int = 0
    rai_media_filtered_reasons: list[str] = []


class _Fault(Struct):
    code: int = 0
    message: str = ""


class _Operation(Struct):
    name: str = ""
    done: bool = False
    error: _Fault | None = None
    response: _Response = field(default_factory=_Response)


def is_vertex(provider: Provider) -> bool:
    return "/publishers/" in provider.base_url


def params(provider: Provider) -> frozenset[str]:
    return _PARAMS | {"audio", "seed"} if is_vertex(provider) else _PARAMS


def body_of(request: VideoRequest, provider: Provider) -> dict[str, Any]:
    """The first picture is the first frame, a second one the last."""
    instance: dict[str, Any] = {"prompt": request.prompt}
    for name, image in zip(("image", "lastFrame"), request.images, strict=False):
        instance[name] = {"bytesBase64Encoded": base64.b64encode(image.data).decode(), "mimeType": image.mime}
    parameters: dict[str, Any] = {
        "sampleCount": 1,
        "durationSeconds": round(request.seconds),
        "aspectRatio": request.aspect_ratio,
        "resolution": request.resolution,
    }
    if is_vertex(provider):
        parameters["generateAudio"] = request.audio
        if request.seed is not None:
            parameters["seed"] = request.seed
    return {"instances": [instance], "parameters": parameters}


def decode(status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
    """The state of an operation. Raises Failure when it cannot be told."""
    if not 200 <= status < 300:
        raise from_answer(status, headers, body, provider)
    try:
        job = msgspec.json.decode(body, type=_Operation)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise unreadable("an operation that cannot be read", provider) from None
    if not job.name:
        raise unreadable("an operation without a name", provider)
    if job.error is not None:
        message = scrub(job.error.message or "the operation failed", [provider.key] if provider.key else [])
        return JobState(job.name, "failed", error=message, refused=job.error.code in _REFUSED)
    if not job.done:
        return JobState(job.name, "running")
    return _done(job, provider)


def decode_result(status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
    """The film's own bytes."""
    if not 200 <= status < 300:
        raise from_answer(status, headers, body, provider)
    return Media((Asset(body, UNSNIFFED),))


def _done(job: _Operation, provider: Provider) -> JobState:
    made = job.response.generate_video_response or _Made()
    for sample in made.generated_samples:
        if sample.video.uri:
            return JobState(job.name, "done", 100, result=own_address(sample.video.uri, provider))
    for video in job.response.videos:
        if video.bytes_base64_encoded:
            return JobState(job.name, "done", 100, media=Media((Asset(_bytes(video, provider), UNSNIFFED),)))
    reasons = [*made.rai_media_filtered_reasons, *job.response.rai_media_filtered_reasons]
    if reasons or made.rai_media_filtered_count or job.response.rai_media_filtered_count:
        return JobState(job.name, "failed", error="; ".join(reasons) or "its content was filtered", refused=True)
    return JobState(job.name, "failed", error="the operation ended without a film")


def _bytes(video: _Video, provider: Provider) -> bytes:
    try:
        return base64.b64decode(video.bytes_base64_encoded)
    except (binascii.Error, ValueError):
        raise unreadable("a film that is no base64", provider) from None
