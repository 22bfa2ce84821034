"""fal's queue (https://docs.fal.ai/model-apis/model-endpoints/queue): pictures, films and music of many makers, each by a job.

Models of one maker share the names of their inputs (``_FAMILIES``, from the pages of the models); what a family has no name for
is not among its ``params``."""

from __future__ import annotations

import math
from typing import Any, Literal

from msgspec import Struct

from openpollen.core.assets import ImageRequest, JobState, Media, MusicRequest, SpeechRequest, VideoRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers import lyrics
from openpollen.providers.adapter import Adapter, BaseAdapter, Headers
from openpollen.providers.addresses import own_address
from openpollen.providers.credential import credential
from openpollen.providers.failures import Failure, from_answer, unreadable
from openpollen.providers.json_media import JobError, data_uri, failed, post, read
from openpollen.providers.shapes import nearest_length, nearest_ratio, ratio_of, shape_of, tier_of, whole_seconds

#: How far, in log space, a ratio may be from the one that is made for it: 3:2 passes for 4:3, a square does not.
_FAR = math.log(1.25)
#: Statuses in place of a result: the request was invalid or refused after all, or the model failed.
_FAILED = frozenset({400, 422, 500})
_WIDE = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9")


class Family(Struct, frozen=True):
    """How models whose names begin alike call their inputs. ``size`` of pictures: in pixels, by a ratio, or not at all;
    ``pictures``: the input for them; ``edit`` and ``draw`` are added to the path with and without pictures, ``ends`` with a
    first and a last one; ``seconds``: how a length is written, one of ``lengths`` where there are only some; ``framed``:
    whether a film that begins with a picture can have another shape than that."""

    size: Literal["image_size", "aspect_ratio", ""] = ""
    pictures: str = ""
    edit: str = ""
    draw: str = ""
    ends: str = ""
    seconds: Literal["", "text", "number", "suffixed"] = ""
    tiers: tuple[str, ...] = ()
    lengths: tuple[int, ...] = ()
    ratios: tuple[str, ...] = _WIDE
    framed: bool = True
    seed: bool = True
    sound: str = ""
    rates: bool = False


_FAMILIES = {
    "fal-ai/flux-pro/kontext": Family("aspect_ratio", "image_url", draw="/text-to-image"),
    "fal-ai/flux-2/klein": Family("image_size", "image_urls", edit="/edit"),
    "bytedance/seedream": Family("image_size", "image_urls"),
    "xai/grok-imagine-image": Family("aspect_ratio", "image_urls", edit="/edit", seed=False),
    "fal-ai/veo3.1": Family(
        pictures="image_url",
        edit="/image-to-video",
        ends="/first-last-frame-to-video",
        seconds="suffixed",
        tiers=("720p", "1080p"),
        lengths=(4, 6, 8),
        ratios=("16:9", "9:16"),
        sound="generate_audio",
    ),
    "fal-ai/bytedance/seedance": Family("", "image_url", seconds="text", tiers=("480p", "720p", "1080p")),
    "wan/v2.6": Family(
        pictures="image_url", seconds="text", tiers=("720p", "1080p"), lengths=(5, 10, 15), framed=False
    ),
    "fal-ai/wan/v2.2": Family("", "image_url", tiers=("480p", "580p", "720p"), ratios=("16:9", "9:16", "1:1")),
    "xai/grok-imagine-video": Family("", "image_url", seconds="number", tiers=("480p", "720p"), seed=False),
    "fal-ai/ltx-2": Family(
        seconds="number",
        tiers=("1080p",),
        lengths=(6, 8, 10, 12, 14, 16, 18, 20),
        ratios=("16:9",),
        seed=False,
        sound="generate_audio",
        rates=True,
    ),
    "fal-ai/": Family("image_size"),
}


class _Begun(Struct, frozen=True):
    status_url: str = ""


class _Status(Struct, frozen=True):
    status: str = ""
    response_url: str = ""
    error: Any = None
    error_type: str | None = None


class _File(Struct, frozen=True):
    url: str = ""


class _Result(Struct, frozen=True):
    images: tuple[_File, ...] = ()
    video: _File = _File()
    audio: _File = _File()


class Fal(BaseAdapter):
    """The adapter of this wire; see ``Adapter`` for what each method promises."""

    wire = "fal"
    operations = frozenset({Capability.IMAGE, Capability.EDIT, Capability.VIDEO, Capability.MUSIC})

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        family = _family(route)
        names = {"prompt"} | ({"seed"} if family.seed else set[str]())
        if operation is Capability.MUSIC:
            return frozenset(names | {"seconds", "duration", "format", "response_format", "instrumental"})
        if family.pictures and operation is not Capability.IMAGE:
            names.add("image")
        if operation is Capability.VIDEO:
            names |= {"width", "height", "size", "aspect_ratio"}
            names |= {"seconds", "duration"} if family.seconds else set[str]()
            names |= {"resolution"} if family.tiers else set[str]()
            names |= {"audio"} if family.sound else set[str]()
            names |= {"fps"} if family.rates else set[str]()
        elif family.size:
            names |= {"width", "height", "size"}
        return frozenset(names)

    def lengths(self, route: Route) -> tuple[int, ...]:
        return _family(route).lengths

    def encode_image(
        self, request: ImageRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        family = _family(route)
        body: dict[str, Any] = {"prompt": request.prompt, "num_images": 1}
        body["output_format"] = request.output_format or "png"
        if family.size == "image_size":
            body["image_size"] = {"width": request.width, "height": request.height}
        elif family.size:
            body["aspect_ratio"] = nearest_ratio(request.width / request.height, family.ratios)
        pictures = [data_uri(image) for image in request.images]
        if pictures:
            _check_pictures(len(pictures), len(pictures) if family.pictures.endswith("s") else 1, route)
            body[family.pictures] = pictures if family.pictures.endswith("s") else pictures[0]
        return _submit(body, request.seed, route, provider, family.edit if pictures else family.draw)

    def decode_image(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        return _begun(status, headers, body, provider)

    def encode_video(
        self, request: VideoRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        family = _family(route)
        body: dict[str, Any] = {"prompt": request.prompt}
        if ratio := _ratio(request, family, route):
            body["aspect_ratio"] = ratio
        if family.seconds:
            seconds = (
                nearest_length(request.seconds, family.lengths)
                if family.lengths
                else whole_seconds(request, route.model)
            )
            body["duration"] = {"text": str(seconds), "number": seconds, "suffixed": f"{seconds}s"}[family.seconds]
        if family.tiers:
            body["resolution"] = tier_of(request, family.tiers, route.model)
        if family.sound:
            body[family.sound] = request.audio
        if family.rates and request.fps is not None:
            body["fps"] = request.fps
        pictures = [data_uri(image) for image in request.images]
        _check_pictures(len(pictures), 2 if family.ends else 1, route)
        if len(pictures) == 2:
            body |= zip(("first_frame_url", "last_frame_url"), pictures, strict=True)
        elif pictures:
            body[family.pictures] = pictures[0]
        path = (family.draw, family.edit, family.ends)[len(pictures)]
        return _submit(body, request.seed, route, provider, path)

    def decode_video(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        return _begun(status, headers, body, provider)

    def encode_speech(self, request: SpeechRequest | MusicRequest, route: Route, provider: Provider) -> Outgoing:
        """Music only, as WAV: another format is made of it here. ACE-Step sings the words that it is given, and writes none."""
        assert isinstance(request, MusicRequest)
        style, words = (request.prompt, lyrics.WORDLESS) if request.instrumental else lyrics.split(request.prompt)
        if not words:
            raise BadRequest(
                f"instrumental: {route.model} sings only words that the prompt brings, in lines behind one such as [verse]."
            )
        body: dict[str, Any] = {"tags": style, "lyrics": words}
        if request.seconds is not None:
            body["duration"] = request.seconds
        return _submit(body, request.seed, route, provider, "")

    def decode_speech(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        return _begun(status, headers, body, provider)

    def poll_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        return Outgoing("GET", own_address(job, provider), _headers(provider))

    def decode_job(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        job = read(_Status, status, headers, body, provider)
        match job.status:
            case "IN_QUEUE":
                return JobState("", "queued")
            case "IN_PROGRESS":
                return JobState("", "running")
            case "COMPLETED" if job.error or not job.response_url:
                why = JobError(job.error_type, str(job.error) if job.error else None)
                return failed("", why, "it has no result", provider)
            case "COMPLETED":
                return JobState("", "done", 100, result=own_address(job.response_url, provider))
            case _:
                raise unreadable("a job in a state that is not known", provider)

    def fetch_job(self, job: JobState, route: Route, provider: Provider) -> Outgoing:
        return Outgoing("GET", job.result, _headers(provider))

    def decode_result(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
        """The addresses of what was made. A job that failed may say so only here, as an error: it is not billed."""
        if status in _FAILED:
            failure = from_answer(status, headers, body, provider)
            raise Failure(failure.error, retryable=failure.retryable, unmade=True)
        made = read(_Result, status, headers, body, provider)
        urls = [file.url for file in (*made.images, made.video, made.audio) if file.url]
        if not urls:
            raise unreadable("a result without a file", provider)
        return Media(urls=tuple(urls))

    def cancel_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        address = own_address(job, provider).partition("?")[0].removesuffix("/status")
        return Outgoing("PUT", f"{address}/cancel", _headers(provider))


def _family(route: Route) -> Family:
    return next((family for start, family in _FAMILIES.items() if route.model.startswith(start)), Family())


def _ratio(request: VideoRequest, family: Family, route: Route) -> str:
    """The named ratio that is asked for, empty where the film takes the shape of its first picture. Raises BadRequest for one
    that is far from all that the model makes."""
    asked = bool(request.given & {"aspect_ratio", "size"})
    if request.images and not asked:
        return ""
    if request.images and not family.framed:
        raise BadRequest(
            f"aspectRatio: {route.model} gives a film the shape of its picture; leave aspectRatio and size out."
        )
    wanted = shape_of(request)
    ratio = nearest_ratio(wanted, family.ratios)
    if asked and abs(math.log(ratio_of(ratio) / wanted)) > _FAR:
        raise BadRequest(
            f"aspectRatio: {route.model} makes {', '.join(family.ratios)}, not {request.aspect_ratio[:40]}."
        )
    return ratio


def _check_pictures(count: int, most: int, route: Route) -> None:
    if count > most:
        raise BadRequest(f"image: {route.model} takes {'one picture' if most == 1 else 'a first and a last picture'}.")


def _submit(body: dict[str, Any], seed: int | None, route: Route, provider: Provider, path: str) -> Outgoing:
    if seed is not None and _family(route).seed:
        body["seed"] = seed
    return post(f"{route.model}{path}", body, provider)


def _headers(provider: Provider) -> tuple[tuple[str, str], ...]:
    return (("accept", "*/*"), *credential(provider))


def _begun(status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
    address = read(_Begun, status, headers, body, provider).status_url
    if not address:
        raise unreadable("a job without an address", provider)
    return JobState(own_address(address, provider), "queued")


ADAPTER: Adapter = Fal()
