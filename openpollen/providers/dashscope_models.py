"""What the models of Alibaba Model Studio make and take: sizes, resolutions, sound, thinking. Pure.

https://www.alibabacloud.com/help/en/model-studio/qwen-image-api, ``wan-image-generation-and-editing-api-reference``,
``text-to-video-api-reference`` and ``image-to-video-api-reference``. Sizes go out as ``WIDTH*HEIGHT``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from openpollen.core.assets import ImageRequest
from openpollen.core.errors import BadRequest

Sizes = tuple[tuple[int, int], ...]

#: Models of pictures that make one at a time, and those of them that make these sizes only.
SINGLE = frozenset({"qwen-image", "qwen-image-plus", "qwen-image-max", "qwen-image-edit"})
_FIXED = SINGLE - {"qwen-image-edit"}
_SIZES: Sizes = ((1664, 928), (1472, 1104), (1328, 1328), (1104, 1472), (928, 1664))
#: Pixels of an edit of Wan 2.7 at most; from words alone its larger model makes four times as many.
_MOST_EDITED = 2048 * 2048
#: Sizes of films from words, by resolution. Those from a picture have its shape and about as many pixels.
_FRAMES: Mapping[str, Sizes] = {
    "480p": ((832, 480), (480, 832), (624, 624)),
    "720p": ((1280, 720), (720, 1280), (960, 960), (1088, 832), (832, 1088)),
    "1080p": ((1920, 1080), (1080, 1920), (1440, 1440), (1632, 1248), (1248, 1632)),
}
#: Resolutions of models, by the start of their name; the last row is for any other.
_TIERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("wan2.2-t2v-plus", ("480p", "1080p")),
    ("wan2.2-i2v-flash", ("480p", "720p")),
    ("wan2.2-i2v-plus", ("480p", "1080p")),
    ("wan2.5", ("480p", "720p", "1080p")),
    ("", ("720p", "1080p")),
)


def thinks(model: str) -> bool:
    """Whether a picture from words may be thought about first, and takes no negative prompt."""
    return model.startswith("wan2.7-image")


def animates(model: str) -> bool:
    """Whether films begin with a picture, and have its shape."""
    return "-i2v" in model


def sounds(model: str) -> bool:
    """Whether films may have sound."""
    return not model.startswith(("wan2.2", "wan2.1", "wanx"))


def tiers(model: str) -> tuple[str, ...]:
    """Resolutions of films, from small to large."""
    return next(tiers for start, tiers in _TIERS if model.startswith(start))


def frame(shape: float, tier: str) -> str:
    """The size of a film from words in a resolution whose shape, width divided by height, is the nearest."""
    return _nearest(shape, _FRAMES[tier])


def picture_size(request: ImageRequest, model: str) -> str:
    """The size of a picture. A default that the model does not make becomes the nearest that it makes. Raises BadRequest for
    a given one."""
    size = (request.width, request.height)
    if request.images and thinks(model) and request.width * request.height > _MOST_EDITED:
        raise BadRequest(f"size: {model} edits up to {_MOST_EDITED:,} pixels, not {request.width}x{request.height}.")
    if model not in _FIXED or size in _SIZES:
        return f"{request.width}*{request.height}"
    if request.given & {"size", "width", "height"}:
        known = ", ".join(f"{width}x{height}" for width, height in _SIZES)
        raise BadRequest(f"size: {model} makes {known}, not {request.width}x{request.height}.")
    return _nearest(request.width / request.height, _SIZES)


def _nearest(shape: float, sizes: Sizes) -> str:
    width, height = min(sizes, key=lambda size: abs(math.log(size[0] / size[1] / shape)))
    return f"{width}*{height}"
