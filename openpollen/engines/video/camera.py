"""Planes of a scene seen by a camera that moves: near planes travel and grow more than far ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ..scene.paint import to_bytes
from ..scene.types import Array

MARGIN = 1.12  # planes are this much larger than the frame, so that the camera has room to move
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Camera:
    """A slow push and pan over planes of `plane` (width, height) pixels, shown in `frame` pixels."""

    frame: tuple[int, int]
    plane: tuple[int, int]
    pan: float  # of the frame's width, from first to last picture, for the nearest plane
    push: float  # how much the nearest plane grows

    def box(self, progress: float, depth: float) -> Box:
        """The part of a plane that fills the frame, `progress` 0..1 through the film: left, top, right, bottom."""
        eased = progress * progress * (3 - 2 * progress)
        near = 0.25 + 0.75 * depth
        w, h = self.plane
        wide = self.frame[0] * (1.075 - self.push * eased * near)
        tall = wide * self.frame[1] / self.frame[0]
        cx = w / 2 + self.frame[0] * self.pan * (eased - 0.5) * near
        cy = h * 0.5 + (h - tall) * 0.1 * (eased - 0.5)
        left = min(max(cx - wide / 2, 0.0), w - wide)
        top = min(max(cy - tall / 2, 0.0), h - tall)
        return left, top, left + wide, top + tall


@dataclass(frozen=True)
class Plane:
    """An opaque picture and where it covers (`mask` None: everywhere), between rows `top` and `bottom` of the plane."""

    image: Any  # PIL.Image RGB
    mask: Any | None  # PIL.Image L
    depth: float
    top: int
    bottom: int
    drift: float = 0.0  # pixels a second that it travels by itself


def plane(image: Array, alpha: Array | None, depth: float, drift: float = 0.0) -> Plane | None:
    """A plane of these colours; None when it covers nothing."""
    if alpha is None:
        return Plane(Image.fromarray(to_bytes(image)), None, depth, 0, image.shape[0])
    rows = np.flatnonzero(alpha.max(axis=1) > 0.01)
    if not rows.size:
        return None
    mask = Image.fromarray(to_bytes(alpha))
    return Plane(Image.fromarray(to_bytes(image)), mask, depth, int(rows[0]), int(rows[-1]) + 1, drift)


def show(frame: Any, part: Plane, camera: Camera, progress: float, seconds: float) -> None:
    """Paste a plane into the frame (a PIL image, in place) as the camera sees it now."""
    width, height = camera.frame
    left, upper, right, lower = camera.box(progress, part.depth)
    k = (lower - upper) / height
    first = max(0, int(np.floor((part.top - upper) / k)))
    last = min(height, int(np.ceil((part.bottom - upper) / k)))
    if last <= first:
        return
    shift = part.drift * seconds
    room = camera.plane[0] - (right - left)
    x = min(max(left - shift, 0.0), room)
    box = (x, upper + first * k, x + right - left, min(upper + last * k, float(camera.plane[1])))
    size = (width, last - first)
    picture = part.image.resize(size, Image.Resampling.BILINEAR, box=box)
    if part.mask is None:
        frame.paste(picture, (0, first))
        return
    frame.paste(picture, (0, first), part.mask.resize(size, Image.Resampling.BILINEAR, box=box))
