"""Size, frame and arrangement: crop, rotate, flip, enlarge, border, collage."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from openpollen.core.errors import BadRequest, UnprocessableEntity

from ..lexicon import colors
from ..paint import blur, f32
from ..types import Array
from .pictures import Picture, resized

MAX_SIDE = 4096


def _map(picture: Picture, change: Callable[[Array], Array]) -> Picture:
    alpha = None if picture.alpha is None else np.ascontiguousarray(f32(change(picture.alpha)))
    return Picture(np.ascontiguousarray(f32(change(picture.rgb))), alpha)


def cropped_to(picture: Picture, ratio: float) -> Picture:
    """The middle of the picture with this width over height."""
    w, h = picture.size
    wide, tall = (round(h * ratio), h) if w / h > ratio else (w, round(w / ratio))
    x, y = (w - max(1, wide)) // 2, (h - max(1, tall)) // 2
    return _map(picture, lambda a: a[y : y + max(1, tall), x : x + max(1, wide)])


def fitted(picture: Picture, width: int, height: int) -> Picture:
    """The picture cropped to the ratio of a size and brought to it."""
    for name, side in (("width", width), ("height", height)):
        if not 16 <= side <= MAX_SIDE:
            raise BadRequest(f"{name} must be 16 to {MAX_SIDE} pixels, not {side}")
    return resized(cropped_to(picture, width / height), width, height)


def cropped(picture: Picture, value: str) -> Picture:
    """The picture cropped to "square", "portrait", "landscape", a ratio "16:9" or a size "800x600"."""
    w, h = picture.size
    if value in ("square", "portrait", "landscape"):
        return cropped_to(picture, {"square": 1.0, "portrait": 3 / 4, "landscape": 4 / 3}[value])
    a, b = (int(n) for n in value.replace("x", ":").split(":"))
    if a == 0 or b == 0:
        raise BadRequest(f"The crop {value!r} has a side of 0; name a ratio such as 16:9 or a size such as 800x600")
    if ":" in value or a > w or b > h:
        return cropped_to(picture, a / b)
    x, y = (w - a) // 2, (h - b) // 2
    return _map(picture, lambda p: p[y : y + b, x : x + a])


def rotated(picture: Picture, value: str) -> Picture:
    """The picture turned clockwise by degrees or by a named direction; corners that come free are transparent."""
    turns = {"left": -90, "tothe left": -90, "totheleft": -90, "right": 90, "totheright": 90, "clockwise": 90}
    degrees = turns.get(value, -90 if "counter" in value or "anti" in value else None)
    angle = (int(value) if degrees is None else degrees) % 360
    if angle % 90 == 0:
        return _map(picture, lambda a: np.rot90(a, -angle // 90))
    alpha = np.ones(picture.rgb.shape[:2], np.float32) if picture.alpha is None else picture.alpha

    def turn(field: Array) -> Array:
        image = Image.fromarray(np.ascontiguousarray(field))
        return f32(np.asarray(image.rotate(-angle, Image.Resampling.BICUBIC, expand=True)))

    cover = np.clip(turn(alpha), 0, 1)
    rgb = np.stack([turn(f32(picture.rgb[..., c])) for c in range(3)], axis=2)
    return Picture(np.clip(rgb, 0, 1), cover)


def flipped(picture: Picture, value: str) -> Picture:
    """The picture mirrored."""
    if value == "vertical":
        return _map(picture, lambda a: a[::-1])
    return _map(picture, lambda a: a[:, ::-1])


def enlarged(picture: Picture, factor: float) -> tuple[Picture, str]:
    """The picture `factor` times as large, by Lanczos resampling with its edges sharpened."""
    w, h = picture.size
    width, height = round(w * factor), round(h * factor)
    if max(width, height) > MAX_SIDE:
        raise UnprocessableEntity(
            f"{factor:g} times {w} x {h} is {width} x {height}; the longest side may be {MAX_SIDE}. Ask for a smaller factor.",
            reason="too_large",
        )
    large = resized(picture, width, height)
    detail = large.rgb - blur(large.rgb, 0.55 * factor)
    sharp = large.rgb + np.clip(detail, -0.12, 0.12) * np.float32(0.8)
    return large.with_rgb(
        f32(sharp)
    ), f"upscaled {factor:g} times by Lanczos resampling and sharpening, not by a neural network"


def zoomed(picture: Picture) -> Picture:
    """The middle of the picture at the whole picture's size."""
    w, h = picture.size
    x, y = int(w * 0.15), int(h * 0.15)
    inner = _map(picture, lambda a: a[y : h - y or h, x : w - x or w])
    return resized(inner, w, h)


def bordered(picture: Picture, color: str) -> Picture:
    """A plain frame laid over the picture's edge; the size stays."""
    w, h = picture.size
    wide = max(1, round(min(w, h) * 0.045))
    rgb = picture.rgb.copy()
    paint = f32(colors().get(color, (1.0, 1.0, 1.0)))
    rgb[:wide], rgb[h - wide :], rgb[:, :wide], rgb[:, w - wide :] = paint, paint, paint, paint
    alpha = None if picture.alpha is None else picture.alpha.copy()
    if alpha is not None:
        alpha[:wide], alpha[h - wide :], alpha[:, :wide], alpha[:, w - wide :] = 1, 1, 1, 1
    return Picture(rgb, alpha)


def collage(pictures: list[Picture], value: str) -> Picture:
    """Pictures in a row, a column, or a grid when there are more than three, parted by white."""
    count = len(pictures)
    columns = 1 if value == "column" else count if count <= 3 else int(np.ceil(count**0.5))
    rows = -(-count // columns)
    w, h = pictures[0].size
    k = min(1.0, MAX_SIDE / (w * columns * 1.03), MAX_SIDE / (h * rows * 1.03))
    w, h = max(16, int(w * k)), max(16, int(h * k))
    gap = max(2, round(min(w, h) * 0.02))
    out = np.ones((rows * h + (rows - 1) * gap, columns * w + (columns - 1) * gap, 3), np.float32)
    for i, picture in enumerate(pictures):
        part = fitted(picture, w, h)
        rgb = part.rgb if part.alpha is None else part.rgb * part.alpha[..., None] + (1 - part.alpha[..., None])
        y, x = (i // columns) * (h + gap), (i % columns) * (w + gap)
        out[y : y + h, x : x + w] = rgb
    return Picture(out)


def blended(pictures: list[Picture]) -> Picture:
    """A double exposure: the pictures over one another in equal parts, at the size of the first."""
    w, h = pictures[0].size
    total = np.zeros((h, w, 3), np.float32)
    for picture in pictures:
        total += (picture if picture.size == (w, h) else resized(cropped_to(picture, w / h), w, h)).rgb
    return Picture(total / np.float32(len(pictures)), pictures[0].alpha)
