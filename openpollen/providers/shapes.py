"""Shapes of pictures and films for hosts that do not take pixels: named ratios, resolution tiers, whole seconds. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from openpollen.core.assets import VideoRequest
from openpollen.core.errors import BadRequest

#: Pixels of a frame of each tier, as 16:9 has them.
_PIXELS = {"480p": 848 * 480, "580p": 1032 * 580, "720p": 1280 * 720, "1080p": 1920 * 1080}
#: How far a size may be from the nearest tier: a film with more pixels, or with less than half, is another film.
_MOST, _LEAST = 1.25, 0.5


def nearest_ratio(shape: float, ratios: Sequence[str]) -> str:
    """The named ratio (``16:9``) nearest to width divided by height, in log space: 2:1 is as far from a square as 1:2."""
    return min(ratios, key=lambda name: abs(math.log(ratio_of(name) / shape)))


def ratio_of(name: str) -> float:
    """Width divided by height of a named ratio. Raises BadRequest for what is none."""
    try:
        wide, high = (float(part) for part in name.split(":"))
        ratio = wide / high
    except (ValueError, ZeroDivisionError):
        ratio = 0.0
    if not 0 < ratio < math.inf:
        raise BadRequest(f"aspectRatio: expected two numbers such as 16:9, not {name[:40]!r}.")
    return ratio


def shape_of(request: VideoRequest) -> float:
    """Width divided by height of the film that is asked for, by its size where the caller gave one."""
    if "size" in request.given:
        return request.width / request.height
    return ratio_of(request.aspect_ratio)


def tier_of(request: VideoRequest, tiers: Sequence[str], model: str, *, short_side: bool = False) -> str:
    """The resolution that is asked for, of those that a model has, from small to large: ``720p``. A size in pixels is taken
    to the nearest one, by all its pixels, or by its ``short_side`` for hosts whose 720p has 720 of them in any shape.
    Raises BadRequest for one that is far from all of them, naming what would work; what nobody asked for is the first."""
    known = ", ".join(tiers)
    if "size" not in request.given:
        if "resolution" not in request.given and request.resolution not in tiers:
            return tiers[0]
        if request.resolution not in tiers:
            raise BadRequest(f"resolution: {model} makes {known}, not {request.resolution[:40]}.")
        return request.resolution
    pixels = min(request.width, request.height) ** 2 * 16 / 9 if short_side else request.width * request.height
    if not _LEAST * _PIXELS[tiers[0]] <= pixels <= _MOST * _PIXELS[tiers[-1]]:
        raise BadRequest(f"size: {model} makes {known}, not {request.width}x{request.height}.")
    return min(tiers, key=lambda tier: abs(math.log(_PIXELS[tier] / pixels)))


def nearest_length(seconds: float, lengths: Sequence[int]) -> int:
    """The length in seconds, of those that a host makes, that is nearest to one: of two the shorter."""
    return min(lengths, key=lambda length: (abs(length - seconds), length))


def whole_seconds(request: VideoRequest, model: str) -> int:
    """The length in seconds, for hosts that count whole ones. Raises BadRequest for a fraction."""
    if request.seconds != int(request.seconds):
        raise BadRequest(f"duration: {model} makes videos of whole seconds, not of {request.seconds:g}.")
    return int(request.seconds)
