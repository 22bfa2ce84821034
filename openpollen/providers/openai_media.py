"""Images, speech, music, transcriptions and video jobs on the OpenAI wire.

Standard parameters have OpenAI's names. What OpenAI does not have (``seed``, ``negative_prompt``, ``reasoning``,
``metadata``, ``fps``, ``audio``, ``aspect_ratio``, ``resolution``, ``duration``, ``instrumental``) or only some models
take (of images ``output_format`` and ``response_format``) is sent under these names to hosts whose ``params`` list it,
and not when it has its default.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, cast
from urllib.parse import quote, unquote

import msgspec
from msgspec import Struct

from openpollen.core.assets import (
    Asset,
    ImageRequest,
    JobState,
    Media,
    MusicRequest,
    Segment,
    SpeechRequest,
    Transcript,
    TranscriptionRequest,
    VideoRequest,
    Word,
)
from openpollen.core.model import Provider, Route
from openpollen.core.usage import Usage
from openpollen.outbound.message import Outgoing, Timeouts
from openpollen.outbound.scrub import scrub
from openpollen.providers.adapter import UNSNIFFED
from openpollen.providers.failures import REFUSED, from_answer, read_words, unreadable
from openpollen.providers.openai_wire import TokenDetails, endpoint, extras, headers, multipart

#: Media take minutes where chat takes seconds; a video's file is large.
_SLOW = Timeouts(first_byte=600, idle=120, total=900)
_JSON = "application/json"
_STATES: dict[str, Literal["queued", "running", "done", "failed"]] = {
    "queued": "queued", "pending": "queued", "in_progress": "running", "processing": "running", "running": "running",
    "completed": "done", "succeeded": "done", "failed": "failed", "cancelled": "failed", "canceled": "failed",
    "expired": "failed",
}  # fmt: skip


_Shape = TypeVar("_Shape", bound=Struct)
_Value = TypeVar("_Value")


class _Picture(Struct):
    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None


class _PartCounts(TokenDetails):
    text_tokens: int | None = None


class _ImageUsage(Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _PartCounts | None = None
    output_tokens_details: _PartCounts | None = None


class _Pictures(Struct):
    data: list[_Picture] = []
    usage: _ImageUsage | None = None
    note: str | None = None  # our engine host's: what could not be drawn


class _Heard(Struct):
    text: str
    language: Any = None
    duration: Any = None
    segments: Any = None
    words: Any = None


class _Job(Struct):
    id: str
    status: str
    progress: float | None = None
    error: Any = None


def encode_image(request: ImageRequest, route: Route, provider: Provider) -> Outgoing:
    """``images/generations`` as JSON, or ``images/edits`` as a form. An edit with no size given keeps the picture's."""
    extra = extras(provider, route)
    body: dict[str, Any] = {"model": route.model, "prompt": request.prompt}
    if request.n != 1 or "n" in request.given:
        body["n"] = request.n
    if not request.images or request.given & {"size", "width", "height"}:
        body["size"] = f"{request.width}x{request.height}"
    if "quality" in request.given:
        body["quality"] = request.quality
    if request.transparent:
        body |= {"background": "transparent", "output_format": "png"}
    else:
        body |= _only(extra, output_format=request.output_format)
    body |= _only(extra, seed=request.seed, negative_prompt=request.negative_prompt or None)
    body |= _only(extra, reasoning=request.reasoning or None, metadata=None if request.metadata else False)
    body |= _only(extra, response_format="b64_json")
    if not request.images:
        return _post_json(body, "images/generations", route, provider)
    name = "image" if len(request.images) == 1 else "image[]"
    files = [(name, image) for image in request.images]
    if request.mask is not None:
        files.append(("mask", request.mask))
    return _post_form(body, files, "images/edits", route, provider)


def decode_image(status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> Media:
    """Pictures as bytes or addresses; token usage where the provider reports it."""
    answer = _decode(_Pictures, status, headers, body, provider)
    assets: list[Asset] = []
    urls: list[str] = []
    for picture in answer.data:
        if picture.b64_json:
            assets.append(Asset(_unpack(picture.b64_json, provider), UNSNIFFED))
        elif picture.url and picture.url.startswith("data:"):
            assets.append(Asset(_unpack(picture.url.partition(",")[2], provider), UNSNIFFED))
        elif picture.url:
            urls.append(picture.url)
    if not assets and not urls:
        raise unreadable("an answer without a picture", provider)
    revised = next((picture.revised_prompt for picture in answer.data if picture.revised_prompt), None)
    usage = _image_usage(answer.usage, len(assets) + len(urls))
    return Media(tuple(assets), tuple(urls), usage, revised, answer.note or "")


def encode_speech(request: SpeechRequest | MusicRequest, route: Route, provider: Provider) -> Outgoing:
    """``audio/speech``; a song is asked for in the same place, with its prompt as the input."""
    extra = extras(provider, route)
    body: dict[str, Any] = {"model": route.model, "response_format": request.format}
    if isinstance(request, MusicRequest):
        body["input"] = request.prompt
        body |= _only(extra, duration=request.seconds, seed=request.seed)
        body |= _only(extra, instrumental=request.instrumental if "instrumental" in request.given else None)
    else:
        body |= {"input": request.input, "voice": request.voice}
        if request.speed != 1.0 or "speed" in request.given:
            body["speed"] = request.speed
        if request.instructions:
            body["instructions"] = request.instructions
        body |= _only(extra, seed=request.seed)
    return _post_json(body, "audio/speech", route, provider, accept="application/octet-stream")


def decode_speech(status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> Media:
    return _file("sound", status, headers, body, provider)


def encode_transcription(request: TranscriptionRequest, route: Route, provider: Provider) -> Outgoing:
    """``audio/transcriptions`` or ``audio/translations`` as a form; always the verbose answer, whose times every other format
    is made from. A translation has no words with times (https://platform.openai.com/docs/api-reference/audio)."""
    body: dict[str, Any] = {"model": route.model, "response_format": "verbose_json"}
    if request.language:
        body["language"] = request.language
    if request.prompt:
        body["prompt"] = request.prompt
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.translate:
        return _post_form(body, [("file", request.file)], "audio/translations", route, provider)
    body["timestamp_granularities[]"] = ["word", "segment"] if request.words else ["segment"]
    return _post_form(body, [("file", request.file)], "audio/transcriptions", route, provider)


def decode_transcription(status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> Transcript:
    """The text is what counts: a host that spells the rest in another way, or leaves it out, was paid for it too."""
    heard = _decode(_Heard, status, headers, body, provider)
    language = heard.language if isinstance(heard.language, str) else ""
    duration = _read(float, heard.duration) or 0.0
    return Transcript(heard.text, language, duration, _timed(Segment, heard.segments), _timed(Word, heard.words))


def _timed(shape: type[_Shape], found: Any) -> tuple[_Shape, ...]:
    """Those that can be read, numbered where they have no number."""
    entries = cast(list[Any], found) if isinstance(found, list) else []
    numbered = (
        {**cast(dict[str, Any], entry), "id": at} for at, entry in enumerate(entries) if isinstance(entry, dict)
    )
    read = (_read(shape, entry) for entry in numbered)
    return tuple(entry for entry in read if entry is not None)


def _read(shape: type[_Value], value: Any) -> _Value | None:
    try:
        return msgspec.convert(value, shape, strict=False)
    except msgspec.ValidationError:
        return None


def encode_video(request: VideoRequest, route: Route, provider: Provider) -> Outgoing:
    """``POST videos`` as a form, as OpenAI's own library sends it, with or without a start picture."""
    extra = extras(provider, route)
    body: dict[str, Any] = {
        "model": route.model,
        "prompt": request.prompt,
        "seconds": f"{request.seconds:g}",
        "size": f"{request.width}x{request.height}",
    }
    body |= _only(extra, fps=request.fps, seed=request.seed, metadata=None if request.metadata else False)
    body |= _only(extra, audio=request.audio if request.audio or "audio" in request.given else None)
    body |= _only(extra, aspect_ratio=request.aspect_ratio, resolution=request.resolution)
    body |= _only(extra, negative_prompt=request.negative_prompt or None)
    files = [("input_reference", image) for image in request.images]
    return _post_form(body, files, "videos", route, provider)


def decode_job(status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> JobState:
    """The state of a job. Raises Failure when the answer is an error; a job that failed is a state, not a Failure."""
    job = _decode(_Job, status, headers, body, provider)
    state = _STATES.get(job.status)
    if state is None:
        raise unreadable("a job in a state that is not known", provider)
    if state != "failed":
        return JobState(job.id, state, 100 if state == "done" else min(100, max(0, int(job.progress or 0))))
    words = read_words(body) if job.error else None
    message = words.message if words is not None and words.message else f"the job was {job.status}"
    refused = words is not None and words.has(*REFUSED)
    return JobState(job.id, state, error=scrub(message, [provider.key] if provider.key else []), refused=refused)


def poll_job(job: str, route: Route, provider: Provider) -> Outgoing:
    return _job_call("GET", job, "", _JSON, route, provider)


def fetch_job(job: str, route: Route, provider: Provider) -> Outgoing:
    return _job_call("GET", job, "/content", "application/binary", route, provider)


def cancel_job(job: str, route: Route, provider: Provider) -> Outgoing:
    return _job_call("DELETE", job, "", _JSON, route, provider)


def decode_result(status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> Media:
    return _file("video", status, headers, body, provider)


def _only(extra: frozenset[str], **values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None and name in extra}


def _post_json(body: dict[str, Any], path: str, route: Route, provider: Provider, accept: str = _JSON) -> Outgoing:
    url = endpoint(provider.base_url, route.model, path)
    return Outgoing("POST", url, headers(provider, accept, _JSON), msgspec.json.encode(body), _SLOW)


def _post_form(
    body: dict[str, Any], files: list[tuple[str, Asset]], path: str, route: Route, provider: Provider
) -> Outgoing:
    content_type, data = multipart([field for name, value in body.items() for field in _fields(name, value)], files)
    url = endpoint(provider.base_url, route.model, path)
    return Outgoing("POST", url, headers(provider, _JSON, content_type), data, _SLOW)


def _fields(name: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, list):
        return [field for item in cast(list[Any], value) for field in _fields(name, item)]
    return [(name, value if isinstance(value, str) else msgspec.json.encode(value).decode())]


def _job_call(method: str, job: str, suffix: str, accept: str, route: Route, provider: Provider) -> Outgoing:
    url = endpoint(provider.base_url, route.model, f"videos/{quote(job, safe='')}{suffix}")
    return Outgoing(method, url, headers(provider, accept), b"", _SLOW)


def _decode(shape: type[_Shape], status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> _Shape:
    if not 200 <= status < 300:
        raise from_answer(status, headers, body, provider)
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        words = read_words(body)
        if words.message and body.lstrip().startswith(b"{"):
            raise from_answer(200, headers, body, provider) from None
        raise unreadable("an answer that cannot be read", provider) from None


def _file(what: str, status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> Media:
    if not 200 <= status < 300 or _JSON in headers.get("content-type", ""):
        raise from_answer(status, headers, body, provider)
    if not body:
        raise unreadable(f"an empty {what}", provider)
    return Media((Asset(body, UNSNIFFED),), note=unquote(headers.get("x-engine-note", "")))


def _unpack(text: str, provider: Provider) -> bytes:
    try:
        data = base64.b64decode(text)
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise unreadable("a picture that is no base64", provider)
    return data


def _image_usage(reported: _ImageUsage | None, images: int) -> Usage | None:
    if reported is None or reported.input_tokens is None or reported.output_tokens is None:
        return None
    into, out = reported.input_tokens_details, reported.output_tokens_details
    image_in = min(into.image_tokens or 0, reported.input_tokens) if into else 0
    text_out = min(out.text_tokens or 0, reported.output_tokens) if out else 0
    return Usage(
        input_tokens=reported.input_tokens - image_in,
        input_image_tokens=image_in,
        output_tokens=text_out,
        output_image_tokens=reported.output_tokens - text_out,
        images=images,
    )
