"""Pictures of Gemini's image models, drawn by generateContent (https://ai.google.dev/gemini-api/docs/image-generation)."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from openpollen.core.assets import Asset, ImageRequest, Media
from openpollen.core.model import Capability, Provider, Route
from openpollen.providers.adapter import UNSNIFFED, Headers
from openpollen.providers.failures import refusal, unreadable
from openpollen.providers.google_answer import BLOCKED, read_answer, usage_of
from openpollen.providers.google_chat import inline
from openpollen.providers.google_wire import SEEDS, is_newer, unpack
from openpollen.providers.shapes import nearest_ratio

_PARAMS = frozenset({"prompt", "width", "height", "size", "seed"})
_SIZE = frozenset({"width", "height", "size"})
_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
#: Gemini 3.1 Flash Image draws these too.
_LONG_RATIOS = ("1:4", "4:1", "1:8", "8:1")
#: Sides in pixels up to which each size is the nearest.
_SIZES = (("1K", 1448), ("2K", 2896))


def params(operation: Capability, route: Route) -> frozenset[str]:
    more = {"image"} if operation is Capability.EDIT else set[str]()
    return _PARAMS | more | ({"reasoning"} if is_newer(route.model) else set[str]())


def body_of(request: ImageRequest, route: Route) -> dict[str, Any]:
    """An edit for which no size was given keeps that of its picture."""
    parts = [{"text": request.prompt}, *(inline(image.data, image.mime) for image in request.images)]
    config: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"]}
    if not request.images or request.given & _SIZE:
        config["imageConfig"] = _shape(request, route.model)
    if request.seed is not None:
        config["seed"] = request.seed % SEEDS
    if request.reasoning and is_newer(route.model):
        config["thinkingConfig"] = {"thinkingLevel": "HIGH"}
    return {"contents": [{"role": "user", "parts": parts}], "generationConfig": config}


def decode(status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
    """The pictures of an answer, without the drafts that it thought of. Raises Failure."""
    answer = read_answer(status, headers, body, provider)
    parts = [part for part in answer.candidate.content.parts if not part.thought]
    pictures = [part.inline_data for part in parts if part.inline_data is not None]
    if not pictures:
        finish = answer.candidate.finish_reason or ""
        raise refusal(finish, provider) if finish in BLOCKED else unreadable("an answer without a picture", provider)
    assets = tuple(Asset(unpack(picture.data, provider, "a picture"), UNSNIFFED) for picture in pictures)
    usage = usage_of(answer.usage_metadata, 0)
    return Media(assets, usage=None if usage is None else structs.replace(usage, images=len(assets)))


def _shape(request: ImageRequest, model: str) -> dict[str, str]:
    """The ratio nearest by proportion, and from Gemini 3 on the size nearest by the longer side."""
    ratios = (*_RATIOS, *_LONG_RATIOS) if "3.1-flash-image" in model else _RATIOS
    shape = {"aspectRatio": nearest_ratio(request.width / request.height, ratios)}
    longest = max(request.width, request.height)
    size = next((name for name, side in _SIZES if longest <= side), "4K")
    return {**shape, "imageSize": size} if is_newer(model) else shape
