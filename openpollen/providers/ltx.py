"""Lightricks' LTX API: the film is the answer itself, which takes minutes (https://docs.ltx.video)."""

from __future__ import annotations

from typing import Any

from openpollen.core.assets import Media, VideoRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers.adapter import Adapter, BaseAdapter, Headers
from openpollen.providers.json_media import data_of, data_uri, post
from openpollen.providers.shapes import nearest_length, shape_of

_PARAMS = frozenset({
    "prompt", "seconds", "duration", "width", "height", "size", "aspect_ratio", "resolution", "fps", "audio", "image",
})  # fmt: skip
_SECONDS = (6, 8, 10, 12, 14, 16, 18, 20)
#: Rates with which every length can be made.
_RATES = (25, 50)
_LYING, _STANDING = "1920x1080", "1080x1920"


class Ltx(BaseAdapter):
    """The adapter of this wire; see ``Adapter`` for what each method promises."""

    wire = "ltx"
    operations = frozenset({Capability.VIDEO})

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        return _PARAMS

    def lengths(self, route: Route) -> tuple[int, ...]:
        return _SECONDS

    def encode_video(
        self, request: VideoRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        body: dict[str, Any] = {
            "prompt": request.prompt,
            "model": route.model,
            "duration": nearest_length(request.seconds, _SECONDS),
            "resolution": _frame(request, route),
            "fps": _rate(request, route),
            "generate_audio": request.audio,
        }
        if request.images:
            body["image_uri"] = data_uri(request.images[0])
        return post("image-to-video" if request.images else "text-to-video", body, provider)

    def decode_video(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
        return data_of(status, headers, body, provider)


def _frame(request: VideoRequest, route: Route) -> str:
    """1080p, lying or standing. Raises BadRequest for any other shape that was asked for."""
    frame = _LYING if shape_of(request) >= 1 else _STANDING
    if "size" in request.given and f"{request.width}x{request.height}" != frame:
        raise BadRequest(
            f"size: {route.model} makes 1080p only, not {request.width}x{request.height}; "
            "leave it out, and say with aspectRatio whether the film lies (16:9) or stands (9:16)."
        )
    if "resolution" in request.given and request.resolution != "1080p":
        raise BadRequest(f"resolution: {route.model} makes 1080p, not {request.resolution[:40]}.")
    if "aspect_ratio" in request.given and request.aspect_ratio not in ("16:9", "9:16"):
        raise BadRequest(f"aspectRatio: {route.model} makes 16:9 or 9:16, not {request.aspect_ratio[:40]}.")
    return frame


def _rate(request: VideoRequest, route: Route) -> int:
    if request.fps is not None and request.fps not in _RATES:
        raise BadRequest(f"fps: {route.model} makes 25 or 50 pictures a second, not {request.fps}.")
    return request.fps or _RATES[0]


ADAPTER: Adapter = Ltx()
