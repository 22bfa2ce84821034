"""Images and, on the GET routes, videos: GET /image and /video, POST /v1/images/generations and /edits."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from openpollen.accounts.permissions import Caller
from openpollen.api.calls import Calls, parse_max_cost
from openpollen.api.exchange import Exchange
from openpollen.api.form import Form, content_kind, read_form
from openpollen.api.params import ImageParams, decode_object, invalid, parse, words
from openpollen.api.sources import Sources
from openpollen.catalog.registry import Endpoint, Resolved
from openpollen.core.assets import Asset, ImageRequest, Media, PictureFormat, VideoRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability
from openpollen.generation.call import Call, Result
from openpollen.generation.limits import aspect_of, parse_size, picture_size
from openpollen.media.sniff import extension
from openpollen.media.store import MediaStore
from openpollen.storage.answers import Answer

_MAX_PROMPT = 32_000
_QUALITY = {"hd": "high", "standard": "medium", "auto": "medium"}
#: Parameters of ours, and those that stand in the request under another name.
_OURS = frozenset(
    {
        "prompt",
        "model",
        "max_cost",
        "no-cache",
        "safe",
        "enhance",
        "response_format",
        "nofeed",
        "private",
        "output_format",
        "images",
    }
)
#: What stands in a header as it is: all of printable ASCII but the sign that encodes the rest.
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
_PLAIN_QUOTES = str.maketrans("“”„‘’", '"""\'\'')
_RENAMED = {"aspectRatio": "aspect_ratio", "seconds": "duration", "background": "transparent"}


class ImagesApi:
    """The handlers of pictures."""

    def __init__(self, calls: Calls, sources: Sources, store: MediaStore, media_url: str) -> None:
        self._calls = calls
        self._sources = sources
        self._store = store
        self._media_url = media_url

    async def image(self, exchange: Exchange) -> None:
        """GET /image/{prompt}: a picture, or a video when the model makes videos."""
        await self._get(exchange, "image")

    async def video(self, exchange: Exchange) -> None:
        """GET /video/{prompt}."""
        await self._get(exchange, "video")

    async def generations(self, exchange: Exchange) -> None:
        """POST /v1/images/generations."""
        caller = await self._calls.authentication.caller(exchange)
        values = decode_object(await exchange.body(self._calls.max_body))
        call = await self.prepare_post(exchange, caller, values, "images", Form())
        await self._calls.respond(exchange, call, self._listed)

    async def edits(self, exchange: Exchange) -> None:
        """POST /v1/images/edits, JSON or multipart."""
        caller = await self._calls.authentication.caller(exchange)
        form = Form()
        if content_kind(exchange) == "form":
            form = await read_form(exchange, self._calls.max_body)
            values: dict[str, Any] = {**form.fields}
            values["image"] = form.lists.get("image")
        else:
            values = decode_object(await exchange.body(self._calls.max_body))
        call = await self.prepare_post(exchange, caller, values, "edits", form)
        await self._calls.respond(exchange, call, self._listed)

    async def _get(self, exchange: Exchange, endpoint: Endpoint) -> None:
        caller = await self._calls.authentication.caller(exchange)
        values = {**exchange.query, "prompt": exchange.args["prompt"]}
        await self._calls.respond(exchange, await self.prepare_get(exchange, caller, values, endpoint), _file)

    async def prepare_get(
        self, exchange: Exchange, caller: Caller, values: Mapping[str, Any], endpoint: Endpoint
    ) -> Call:
        """The call that a GET asks for: a picture, or a video when the model makes videos. Raises BadRequest."""
        params, sent = parse(ImageParams, {"seed": 0, **values})
        refuse(params)
        if params.seed == 0:
            sent -= {"seed"}  # the default of these routes
        prompt = checked_prompt(params.prompt or "")
        resolved = self._calls.registry.resolve(params.model, endpoint)
        images = await self._sources.images(params.image)
        if resolved.capability is Capability.VIDEO:
            request = video_request(params, prompt, images, sent)
            return self._call(exchange, caller, resolved, endpoint, request, params, sent)
        output = _format(params, "png" if _transparent(params) else "jpeg")
        request = image_request(params, prompt, images, None, sent, output)
        return self._call(exchange, caller, _for_images(resolved, images), endpoint, request, params, sent)

    async def prepare_post(
        self, exchange: Exchange, caller: Caller, values: Mapping[str, Any], endpoint: Endpoint, form: Form
    ) -> Call:
        """The call that a POST asks for. Raises BadRequest."""
        if values.get("images") is not None:  # OpenAI's name for them in JSON
            values = {"image": values["images"], **{key: item for key, item in values.items() if item is not None}}
        params, sent = parse(ImageParams, values)
        refuse(params)
        if endpoint == "edits" and params.image is None and not form.files.get("image"):
            raise invalid("image", "is required: a picture to edit, as a file, a URL or a data URI")
        if params.prompt is None:
            raise invalid("prompt", "is required: a description of the picture")
        if params.n != 1:
            raise invalid("n", "only one picture is made per call; send the request again for another")
        prompt = checked_prompt(params.prompt)
        resolved = self._calls.registry.resolve(params.model, endpoint)
        images = await self._sources.images(params.image, form.files.get("image", ()))
        if endpoint == "edits" and not images:
            raise invalid("image", "is empty: give a picture to edit, as a file, a URL or a data URI")
        masks = await self._sources.images(params.mask, form.files.get("mask", ()), "mask")
        mask, output = masks[0] if masks else None, _format(params, "png")
        request = image_request(params, prompt, images, mask, sent, output)
        sent |= {"mask"} if masks else set[str]()
        shape = params.response_format or "both"
        return self._call(exchange, caller, _for_images(resolved, images), endpoint, request, params, sent, shape)

    def _call(
        self,
        exchange: Exchange,
        caller: Caller,
        resolved: Resolved,
        endpoint: str,
        request: ImageRequest | VideoRequest,
        params: ImageParams,
        sent: frozenset[str],
        shape: str = "",
    ) -> Call:
        names = video_names(sent) if resolved.capability is Capability.VIDEO else _picture_names(sent)
        return self._calls.new(
            exchange,
            caller,
            endpoint=endpoint,
            capability=resolved.capability,
            model=resolved.model,
            request=request,
            sent=names,
            shape=shape,
            seed=params.seed,
            refresh=params.no_cache,
            max_cost=parse_max_cost(exchange, params.max_cost),
            enhance=params.enhance,
            safe=params.safe,
        )

    async def _listed(self, call: Call, result: Result) -> Answer:
        """OpenAI's list, each picture as bytes, as a public address, or both (rule 11)."""
        assert isinstance(result.made, Media)
        data: list[dict[str, Any]] = []
        for asset in result.made.assets:
            entry: dict[str, Any] = {}
            if call.shape != "url":
                entry["b64_json"] = base64.b64encode(asset.data).decode()
            if call.shape != "b64_json":
                stored = await self._store.put(asset.data, call.caller.user.id, limit=False)
                entry["url"] = f"{self._media_url}/{stored.id}"
            request = call.request
            assert isinstance(request, ImageRequest)
            entry["revised_prompt"] = call.revised_prompt or result.revised_prompt or request.prompt
            if result.made.note:
                entry["note"] = result.made.note
            data.append(entry)
        usage = result.usage
        images = usage.output_image_tokens or usage.images
        tokens = usage.input_tokens + usage.input_image_tokens
        body = {
            "created": int(call.created),
            "data": data,
            "usage": {
                "input_tokens": tokens,
                "output_tokens": images,
                "total_tokens": tokens + images,
                "input_tokens_details": {"text_tokens": usage.input_tokens, "image_tokens": usage.input_image_tokens},
            },
        }
        return Answer(200, "application/json", msgspec.json.encode(body))


def refuse(params: ImageParams) -> None:
    """Raises BadRequest for pictures or films that are to come in pieces, and for parameters that contradict each other."""
    if params.stream:
        raise invalid("stream", "pictures and videos are sent whole; leave it out")
    if params.partial_images:
        raise invalid("partial_images", "pictures are sent whole; leave it out")
    if params.transparent and params.background == "opaque":
        raise invalid("background", "opaque contradicts transparent; send one of the two")
    if params.duration and params.seconds and params.duration != params.seconds:
        raise invalid("seconds", f"{params.seconds:g} contradicts duration {params.duration:g}; send one of the two")
    width, height = params.width, params.height
    if params.size and params.size != "auto":
        width, height = parse_size(params.size)
        for name, side, told in (("width", params.width, width), ("height", params.height, height)):
            if side is not None and side != told:
                raise invalid(name, f"{side} contradicts size {params.size}; send one of the two")
    ratio = params.aspectRatio
    if width and height and ratio and ":" in ratio and ratio != aspect_of(width, height):
        raise invalid("aspectRatio", f"{ratio} contradicts a size of {width}x{height}; send one of the two")


def checked_prompt(prompt: str) -> str:
    """The prompt without spaces around it. Raises BadRequest for an empty or overlong one."""
    text = words(prompt)
    if not text:
        raise invalid("prompt", "is empty; describe the picture")
    if len(text) > _MAX_PROMPT:
        raise invalid("prompt", f"at most {_MAX_PROMPT:,} characters are taken; this has {len(text):,}")
    return text


def image_request(
    params: ImageParams,
    prompt: str,
    images: tuple[Asset, ...],
    mask: Asset | None,
    sent: frozenset[str],
    output: PictureFormat,
) -> ImageRequest:
    """The request for a picture as the parameters say."""
    width, height = params.width or 1024, params.height or 1024
    given = {name for name in sent if name in ("quality", "size", "width", "height")}
    if params.size and params.size != "auto":
        width, height = parse_size(params.size)
        given.add("size")
    elif params.aspectRatio is not None and not (params.width or params.height):
        width, height = picture_size(params.aspectRatio)
        given.add("size")
    quality: Any = _QUALITY.get(params.quality, params.quality)
    return ImageRequest(
        prompt=prompt,
        width=width,
        height=height,
        seed=params.seed,
        quality=quality,
        negative_prompt=params.negative_prompt,
        transparent=_transparent(params),
        reasoning=params.reasoning not in (False, "fast"),
        metadata=params.metadata,
        output_format=output,
        images=images,
        mask=mask,
        given=frozenset(given),
    )


def video_request(params: ImageParams, prompt: str, images: tuple[Asset, ...], sent: frozenset[str]) -> VideoRequest:
    """The request for a video as the parameters say. A given aspectRatio beats a size nobody gave (rule 13). Raises
    BadRequest."""
    if params.output_format is not None:
        raise invalid("output_format", "videos are MP4; leave it out")
    given: set[str] = set(sent & {"audio", "fps", "resolution"})
    seconds = params.duration or params.seconds
    if seconds is not None:
        given.add("duration")
    aspect, width, height = "16:9", 1280, 720
    if params.aspectRatio is not None:
        aspect = params.aspectRatio
        given.add("aspect_ratio")
    elif params.size and params.size != "auto":
        width, height = parse_size(params.size)
        given.add("size")
    elif params.width or params.height:
        width, height = params.width or 1024, params.height or 1024
        given.add("size")
    if "size" in given:
        aspect = aspect_of(width, height)
    return VideoRequest(
        prompt=prompt,
        seconds=seconds or 5,
        width=width,
        height=height,
        aspect_ratio=aspect,
        resolution=(params.resolution or "720p").lower(),
        fps=params.fps,
        audio=params.audio,
        seed=params.seed,
        negative_prompt=params.negative_prompt,
        metadata=params.metadata,
        images=images,
        given=frozenset(given),
    )


def _names(sent: frozenset[str]) -> frozenset[str]:
    """The parameters that were sent, by the names that adapters know."""
    return frozenset(_RENAMED.get(name, name) for name in sent - _OURS)


def _picture_names(sent: frozenset[str]) -> frozenset[str]:
    """The same for a picture, whose aspect ratio reaches the provider as its size."""
    names = _names(sent)
    return names - {"aspect_ratio"} | {"size"} if "aspect_ratio" in names else names


def video_names(sent: frozenset[str]) -> frozenset[str]:
    """The same for a video, whose shape in all its spellings reaches the provider as one size."""
    names = _names(sent) - {"aspect_ratio", "resolution", "width", "height", "n"}
    return names | {"size"} if sent & {"aspectRatio", "resolution", "width", "height"} else names


async def _file(call: Call, result: Result) -> Answer:
    """The bytes alone, named after the prompt."""
    assert isinstance(result.made, Media)
    asset = result.made.assets[0]
    request = call.request
    assert isinstance(request, ImageRequest | VideoRequest)
    name = re.sub(r"[^A-Za-z0-9]+", "-", request.prompt[:100]).strip("-").lower() or "generated-media"
    headers = {"content-disposition": f'inline; filename="{name}.{extension(asset.mime)}"'}
    if call.revised_prompt:
        headers["x-revised-prompt"] = header_text(call.revised_prompt)
    if result.made.note:
        headers["x-engine-note"] = header_text(result.made.note)
    return Answer(200, asset.mime, asset.data, headers)


def header_text(text: str) -> str:
    """Text as a header's value: one line of ASCII, other characters (and ``%``) percent-encoded as UTF-8."""
    return quote(" ".join(text.split()).translate(_PLAIN_QUOTES), safe=_PRINTABLE)


def _for_images(resolved: Resolved, images: tuple[Asset, ...]) -> Resolved:
    """An edit when pictures were given. Raises BadRequest when the model takes none."""
    if not images:
        if resolved.capability is Capability.EDIT and not resolved.model.can(Capability.IMAGE):
            raise BadRequest(f"{resolved.model.name} edits pictures: give one in image.")
        return resolved
    if not resolved.model.can(Capability.EDIT):
        raise BadRequest(
            f"{resolved.model.name} takes no image; leave it out, or choose a model that edits (GET /image/models)."
        )
    return Resolved(resolved.model, resolved.requested, Capability.EDIT)


def _format(params: ImageParams, default: PictureFormat) -> PictureFormat:
    """The file format. Raises BadRequest for one that is not made, or that cannot be what else was asked for."""
    if params.output_format == "webp":
        raise invalid("output_format", "expected png or jpeg")
    if _transparent(params) and params.output_format == "jpeg":
        raise invalid("output_format", "a JPEG cannot be transparent; ask for png, or leave transparent out")
    return params.output_format or default


def _transparent(params: ImageParams) -> bool:
    return params.transparent or params.background == "transparent"
