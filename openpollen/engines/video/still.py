"""A film from a given first picture: the camera moves in, the light breathes, the prompt's weather falls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..scene.edit.pictures import Picture, decode
from ..scene.edit.relight import sky_mask
from ..scene.edit.shape import cropped_to, resized
from ..scene.paint import to_bytes
from ..scene.types import Plan
from ..scene.weather import OUTDOORS, falling
from .film import Loose, pil, travelled

_OVERSIZE = 1.5  # of the frame: enough detail for the whole way in


@dataclass(frozen=True)
class Still:
    """The first picture, larger than the frame, where it goes, and what falls over it."""

    image: Any  # PIL.Image RGB
    size: tuple[int, int]
    target: tuple[float, float]
    sky: Any | None  # PIL.Image L: sky that drifts a little against the land
    falls: list[Loose]


def prepare_still(data: bytes, plan: Plan, width: int, height: int, seed: int) -> Still:
    """Decode the first picture and bring it to the film's ratio. BadRequest in words when it is no picture."""
    picture = decode(data, "The first picture of the video")
    if picture.alpha is not None:
        alpha = picture.alpha[..., None]
        picture = Picture(picture.rgb * alpha + (1 - alpha))
    large = resized(cropped_to(picture, width / height), round(width * _OVERSIZE), round(height * _OVERSIZE))
    rng = np.random.default_rng(seed % 2**64)
    target = (0.35 + 0.3 * float(rng.random()), 0.4 + 0.2 * float(rng.random()))
    outdoors = plan if plan.setting in OUTDOORS else Plan(plan.prompt, weather=plan.weather, extra=plan.extra)
    falls = [Loose(pil(sheet.rgba), 0.0, 0.0, sheet) for sheet in falling(outdoors, rng, height, width)]
    sky = sky_mask(large.rgb)
    mask = Image.fromarray(to_bytes(sky)) if float(sky.max()) > 0 else None
    return Still(Image.fromarray(to_bytes(large.rgb)), (width, height), target, mask, falls)


def still_frame(still: Still, index: int, count: int, fps: int) -> NDArray[np.uint8]:
    """The film's picture number `index` of `count`; number 0 is the given picture itself."""
    seconds, progress = index / fps, index / max(1, count - 1)
    eased = progress * progress * (3 - 2 * progress)
    w, h = still.image.size
    zoom = 1 - 0.16 * eased
    left, top = (w - w * zoom) * still.target[0], (h - h * zoom) * still.target[1]
    box = (left, top, left + w * zoom, top + h * zoom)
    picture = still.image.resize(still.size, Image.Resampling.BILINEAR, box=box)
    if still.sky is not None:
        far = 1 - 0.09 * eased
        x, y = (w - w * far) * still.target[0], (h - h * far) * still.target[1]
        behind = still.image.resize(still.size, Image.Resampling.BILINEAR, box=(x, y, x + w * far, y + h * far))
        picture.paste(behind, (0, 0), still.sky.resize(still.size, Image.Resampling.BILINEAR, box=box))
    if seconds > 0:
        for fall in still.falls:
            travelled(picture, fall, seconds)
    breath = 1 + 0.035 * np.sin(seconds * 1.3)
    tone = np.clip(np.arange(256) * breath, 0, 255).astype(np.uint8)
    return tone[np.asarray(picture)]
