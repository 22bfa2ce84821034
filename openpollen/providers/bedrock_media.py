"""Pictures of Nova Canvas by InvokeModel, and films of Nova Reel as jobs whose result lies in a bucket of S3.

Canvas takes sides that are multiples of 16 and pictures as PNG or JPEG. An edit is an ``INPAINTING`` with a mask, a
``BACKGROUND_REMOVAL`` when one picture shall be transparent, which has no words, else an ``IMAGE_VARIATION``.
Reel writes to the address that the query of ``base_url`` names: ``?output=s3://bucket/folder``.
Sources: https://docs.aws.amazon.com/nova/latest/userguide/image-gen-access.html and .../video-gen-access.html
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from msgspec import Struct

from openpollen.core.assets import Asset, ImageRequest, JobState, Media, VideoRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.outbound.scrub import scrub
from openpollen.providers.adapter import UNSNIFFED
from openpollen.providers.bedrock_wire import JSON, call, decode, model_path
from openpollen.providers.failures import Words, from_answer, no_access, refused, unreadable

#: Both models take seeds below this; ours reach it.
_SEEDS = 2**31 - 1
_SIDE_STEP = 16
_SIZES = frozenset({"width", "height", "size"})
_FORMATS = {"image/png": "png", "image/jpeg": "jpeg"}
#: Seconds of one shot, and frames a second of every film.
_SHOT, _FPS = 6, 24
_S3 = "s3://"


class _Pictures(Struct):
    images: list[str] | None = None
    error: str | None = None


class _Begun(Struct, rename="camel"):
    invocation_arn: str


class _Place(Struct, rename="camel"):
    s3_uri: str = ""


class _Output(Struct, rename="camel"):
    s3_output_data_config: _Place | None = None


class _Job(Struct, rename="camel"):
    invocation_arn: str
    status: str
    failure_message: str | None = None
    output_data_config: _Output | None = None


def encode_image(request: ImageRequest, route: Route, provider: Provider) -> Outgoing:
    """Raises BadRequest for what Canvas cannot do in one call."""
    if not request.images:
        body = _task("TEXT_IMAGE", "textToImageParams", _words(request), request, sized=True)
    elif request.transparent:
        body = _cut_out(request)
    elif request.mask is not None:
        words = {
            "image": _picture(_only(request.images)),
            "maskImage": _black_and_white(request.mask),
            **_words(request),
        }
        body = _task("INPAINTING", "inPaintingParams", words, request, sized=bool(request.given & _SIZES))
    else:
        words = {"images": [_picture(image) for image in request.images], **_words(request)}
        body = _task("IMAGE_VARIATION", "imageVariationParams", words, request, sized=True)
    return call("POST", model_path(route.model, "invoke"), provider, body, accept=JSON)


def decode_image(status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> Media:
    """The pictures. Raises Failure when there is none: ``error`` then says why, mostly that the content was refused."""
    answer = decode(_Pictures, status, headers, body, provider)
    if not answer.images:
        if answer.error:
            raise from_answer(200, {}, body, provider)
        raise unreadable("an answer without a picture", provider)
    try:
        assets = tuple(Asset(base64.b64decode(text, validate=True), UNSNIFFED) for text in answer.images)
    except (binascii.Error, ValueError):
        raise unreadable("a picture that is no base64", provider) from None
    return Media(assets, note=answer.error or "")


def encode_video(request: VideoRequest, route: Route, provider: Provider) -> Outgoing:
    """One shot of six seconds, or several that the model plans itself. Raises BadRequest for a start picture of those, Failure
    when there is no bucket."""
    config: dict[str, Any] = {
        "durationSeconds": round(request.seconds),
        "fps": request.fps or _FPS,
        "dimension": f"{request.width}x{request.height}",
    }
    if request.seed is not None:
        config["seed"] = request.seed % _SEEDS
    if config["durationSeconds"] <= _SHOT:
        params: dict[str, Any] = {"text": request.prompt}
        if request.images:
            image = request.images[0]
            params["images"] = [{"format": _format(image), "source": {"bytes": image.data}}]
        model_input = {"taskType": "TEXT_VIDEO", "textToVideoParams": params, "videoGenerationConfig": config}
    elif request.images:
        raise BadRequest(f"image: this model takes a start picture for films of {_SHOT} seconds alone.")
    else:
        params = {"text": request.prompt}
        model_input = {
            "taskType": "MULTI_SHOT_AUTOMATED",
            "multiShotAutomatedParams": params,
            "videoGenerationConfig": config,
        }
    place = _output(provider)
    if not _bucket(place):
        raise no_access(provider, "it needs a bucket to write films to: set BEDROCK_S3_URI to s3://BUCKET/FOLDER")
    output = {"s3OutputDataConfig": {"s3Uri": place}}
    body = {"modelId": route.model, "modelInput": model_input, "outputDataConfig": output}
    return call("POST", "/async-invoke", provider, body)


def decode_video(status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> JobState:
    return JobState(decode(_Begun, status, headers, body, provider).invocation_arn, "queued")


def poll_job(job: str, provider: Provider) -> Outgoing:
    return call("GET", f"/async-invoke/{quote(job, safe='')}", provider)


def decode_job(status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> JobState:
    """The state; ``result`` is the film's address in S3. Raises Failure for one outside the bucket that was asked for."""
    job = decode(_Job, status, headers, body, provider)
    match job.status:
        case "InProgress":
            return JobState(job.invocation_arn, "running")
        case "Failed":
            words = job.failure_message or "the job failed"
            shown = scrub(words, [provider.key] if provider.key else [])
            return JobState(job.invocation_arn, "failed", error=shown, refused=refused(Words(words)))
        case "Completed":
            place = job.output_data_config.s3_output_data_config if job.output_data_config is not None else None
            uri = place.s3_uri.rstrip("/") if place is not None else ""
            if _bucket(uri) != _bucket(_output(provider)):
                raise unreadable("a film's address outside its bucket", provider)
            return JobState(job.invocation_arn, "done", 100, result=f"{uri}/output.mp4")
        case _:
            raise unreadable("a job in a state that is not known", provider)


def fetch_job(job: JobState, provider: Provider) -> Outgoing:
    """The film, from its bucket, signed for S3. At AWS a bucket has a host of its own; elsewhere, and where its name has dots,
    which no certificate covers, it is the first part of the path."""
    bucket, _, key = job.result.removeprefix(_S3).partition("/")
    base = urlsplit(provider.base_url)
    host = base.netloc
    path = f"/{quote(key, safe='/-_.~')}"
    at_aws = host.startswith("bedrock-runtime.")
    if at_aws:
        host = host.replace("bedrock-runtime", "s3", 1)
    if at_aws and "." not in bucket:
        host = f"{bucket}.{host}"
    else:
        path = f"/{quote(bucket, safe='')}{path}"
    return Outgoing("GET", f"{base.scheme}://{host}{path}", service="s3")


def decode_result(status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> Media:
    if not 200 <= status < 300:
        raise from_answer(status, headers, body, provider)
    if not body:
        raise unreadable("an empty film", provider)
    return Media((Asset(body, UNSNIFFED),))


def _task(kind: str, name: str, words: Mapping[str, Any], request: ImageRequest, *, sized: bool) -> dict[str, Any]:
    config: dict[str, Any] = {"numberOfImages": request.n}
    if sized:
        for side, pixels in (("width", request.width), ("height", request.height)):
            if pixels % _SIDE_STEP:
                nearest = _SIDE_STEP * round(pixels / _SIDE_STEP)
                raise BadRequest(
                    f"{side}: this model makes sides that are multiples of {_SIDE_STEP}, such as {nearest}."
                )
            config[side] = pixels
    config["quality"] = "premium" if request.quality == "high" else "standard"
    if request.seed is not None:
        config["seed"] = request.seed % _SEEDS
    return {"taskType": kind, name: words, "imageGenerationConfig": config}


def _words(request: ImageRequest) -> dict[str, str]:
    words = {"text": request.prompt}
    return {**words, "negativeText": request.negative_prompt} if request.negative_prompt else words


def _cut_out(request: ImageRequest) -> dict[str, Any]:
    if request.mask is not None or request.n != 1 or request.given & _SIZES:
        raise BadRequest(
            "transparent: this model cuts out what one picture shows, at its size; leave out mask, n and size."
        )
    return {"taskType": "BACKGROUND_REMOVAL", "backgroundRemovalParams": {"image": _picture(_only(request.images))}}


def _only(images: tuple[Asset, ...]) -> Asset:
    if len(images) != 1:
        raise BadRequest("image: this model changes one picture at a time so; send one.")
    return images[0]


def _picture(image: Asset) -> bytes:
    """Its bytes, which go out as base64."""
    _format(image)
    return image.data


def _format(image: Asset) -> str:
    if image.mime not in _FORMATS:
        raise BadRequest(f"image: this model reads PNG and JPEG, not {image.mime}.")
    return _FORMATS[image.mime]


def _black_and_white(mask: Asset) -> bytes:
    """The mask as Canvas wants it: black where the picture may change, white elsewhere, nothing between. Ours is transparent
    there, or white when it has no transparency."""
    from PIL import Image

    try:
        with Image.open(BytesIO(mask.data)) as image:
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                keep = image.convert("RGBA").getchannel("A")
            else:
                keep = image.convert("L").point([255 - level for level in range(256)])
    except (OSError, ValueError, Image.DecompressionBombError):
        raise BadRequest("mask: it is no picture that can be read.") from None
    out = BytesIO()
    keep.point([0] * 128 + [255] * 128).convert("RGB").save(out, "PNG")
    return out.getvalue()


def _output(provider: Provider) -> str:
    """Where films are written to."""
    return parse_qs(urlsplit(provider.base_url).query).get("output", [""])[0]


def _bucket(uri: str) -> str:
    return uri.removeprefix(_S3).partition("/")[0] if uri.startswith(_S3) else ""
