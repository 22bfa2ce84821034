"""Lightricks' LTX API: the film is the answer itself, which takes minutes (https://docs.ltx.video)."""

from __future__ import annotations

from typing import Any

from openpollen.core.assets import Media, VideoRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers.adapter import Adapter, BaseAdapter, Headers
from openpollen.providers.json_media import data_of, data_uri, post
from openpollen.providers.shapes import shape_of

_PARAMS = frozenset({
    "prompt", "seconds", "duration", "width", "height", "size", "aspect_ratio", "resolution", "fps", "audio", "image",
})  # fmt: skip
_SECONDS = (6, 8, 10, 12, 14, 16, 18, 20)
#: Rates with which every length can be made.
_RATES = (25, 50)


class Ltx(BaseAdapter):
    """The adapter of this wire; see ``Adapter`` for what each method promises."""

    wire = "ltx"
    operations = frozenset({Capability.VIDEO})

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        return _PARAMS

    def encode_video(
        self, request: VideoRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        body: dict[str, Any] = {
            "prompt": request.prompt,
            "model": route.model,
            "duration": _seconds(request, route),
            "resolution": "1920x1080" if shape_of(request) >= 1 else "1080x1920",
            "fps": _rate(request, route),
            "generate_audio": request.audio,
        }
        if request.images:
            body["image_uri"] = data_uri(request.images[0])
        return post("image-to-video" if request.images else "text-to-video", body, provider)

    def decode_video(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
        return data_of(status, headers, body, provider)


def _seconds(request: VideoRequest, route: Route) -> int:
    if "duration" not in request.given:
        return _SECONDS[0]
    if request.seconds not in _SECONDS:
        raise BadRequest(
            f"duration: {route.model} makes {', '.join(map(str, _SECONDS))} seconds, not {request.seconds:g}."
        )
    return int(request.seconds)


def _rate(request: VideoRequest, route: Route) -> int:
    if request.fps is not None and request.fps not in _RATES:
        raise BadRequest(f"fps: {route.model} makes 25 or 50 pictures a second, not {request.fps}.")
    return request.fps or _RATES[0]


ADAPTER: Adapter = Ltx()
