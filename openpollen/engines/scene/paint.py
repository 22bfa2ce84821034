"""Painting with arrays: colours, ramps, blends, compositing, resizing, blur.

Images are float32, 0..1, height x width x channels; RGBA is premultiplied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from .types import Array, Rgb


def f32(values: Any) -> Array:
    """`values` as a float32 array, without a copy when it is one."""
    return np.asarray(values, dtype=np.float32)


def rgb(code: str) -> Rgb:
    """The colour written as six hexadecimal digits, channels 0..1."""
    return (int(code[0:2], 16) / 255, int(code[2:4], 16) / 255, int(code[4:6], 16) / 255)


def blend(a: Rgb, b: Rgb, t: float) -> Rgb:
    """The colour `t` of the way from `a` to `b`."""
    return (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t)


def scale(a: Rgb, k: float) -> Rgb:
    """The colour `a` made `k` times as bright, not clipped."""
    return (a[0] * k, a[1] * k, a[2] * k)


def times(a: Rgb, b: Rgb) -> Rgb:
    """The colour `a` seen in light of colour `b`."""
    return (a[0] * b[0], a[1] * b[1], a[2] * b[2])


def luminance(a: Rgb) -> float:
    """How bright a colour looks, 0..1."""
    return 0.2126 * a[0] + 0.7152 * a[1] + 0.0722 * a[2]


def smoothstep(lo: Any, hi: Any, x: Any) -> Array:
    """0 below `lo`, 1 above `hi`, smooth between."""
    t = np.clip((x - lo) / (hi - lo), 0, 1)
    return f32(t * t * (3 - 2 * t))


def ramp(field: Array, stops: Sequence[tuple[float, Rgb]]) -> Array:
    """`field` turned into colours by linear interpolation between the stops, any shape to shape + (3,)."""
    at = [p for p, _ in stops]
    out = np.empty((*field.shape, 3), np.float32)
    lookup = np.linspace(at[0], at[-1], 512, dtype=np.float32)
    index = np.clip((field - at[0]) * (511 / (at[-1] - at[0])), 0, 511).astype(np.int32)
    for c in range(3):
        out[..., c] = f32(np.interp(lookup, at, [color[c] for _, color in stops])).take(index)
    return out


def fill(h: int, w: int, color: Rgb) -> Array:
    """A picture of one colour."""
    return f32(np.broadcast_to(f32(color), (h, w, 3)).copy())


def tint(field: Array, color: Rgb) -> Array:
    """`field` (h x w) in one colour: h x w x 3."""
    out = np.empty((*field.shape, 3), np.float32)
    for c in range(3):
        np.multiply(field, np.float32(color[c]), out=out[..., c])
    return out


def lay(image: Array, color: Rgb, alpha: Array) -> None:
    """Cover `image` (RGB or premultiplied RGBA, in place) with one colour where `alpha` (h x w) says."""
    keep = 1 - alpha
    for c in range(image.shape[2]):
        plane = image[..., c]
        plane *= keep
        plane += alpha * np.float32(color[c] if c < 3 else 1.0)


def add(image: Array, color: Rgb, amount: Array) -> None:
    """Shine light of `color` on `image` (RGB, in place), `amount` h x w; the result is not clipped."""
    for c in range(3):
        image[..., c] += amount * np.float32(color[c])


def blend_in(image: Array, other: Array, alpha: Array) -> None:
    """Mix `other` (same shape) into `image` in place where `alpha` (h x w) says."""
    for c in range(image.shape[2]):
        plane = image[..., c]
        plane += (other[..., c] - plane) * alpha


def over(image: Array, top: Array, x: int = 0, y: int = 0) -> None:
    """Composite premultiplied RGBA `top` over `image` (RGB or RGBA, in place), its corner at (x, y); clipped."""
    h, w = image.shape[:2]
    x0, y0, x1, y1 = max(0, x), max(0, y), min(w, x + top.shape[1]), min(h, y + top.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    part = top[y0 - y : y1 - y, x0 - x : x1 - x]
    target = image[y0:y1, x0:x1]
    keep = 1 - part[..., 3]
    for c in range(image.shape[2]):
        plane = target[..., c]
        plane *= keep
        plane += part[..., c]


def opaque(image: Array) -> Array:
    """An RGB picture as an RGBA layer."""
    h, w = image.shape[:2]
    out = np.ones((h, w, 4), np.float32)
    out[..., :3] = image
    return out


def clear(h: int, w: int) -> Array:
    """An empty RGBA layer."""
    return np.zeros((h, w, 4), np.float32)


def shade(rgba: Array, light: Any) -> Array:
    """Premultiplied `rgba` seen in light: `light` is a colour, or an h x w or h x w x 3 field."""
    out = rgba.copy()
    field = f32(light)
    for c in range(3):
        out[..., c] *= field if field.ndim == 2 else field[..., c]
    return out


def resize(field: Array, h: int, w: int, smooth: bool = True) -> Array:
    """`field` (2-D or with channels) at another size; bicubic up, area-like down."""
    if field.shape[:2] == (h, w):
        return field
    method = Image.Resampling.BICUBIC if smooth else Image.Resampling.BILINEAR
    if field.ndim == 2:
        return f32(Image.fromarray(np.ascontiguousarray(field)).resize((w, h), method))
    out = np.empty((h, w, field.shape[2]), np.float32)
    for c in range(field.shape[2]):
        out[..., c] = f32(Image.fromarray(np.ascontiguousarray(field[..., c])).resize((w, h), method))
    return out


def _box(field: Array, radius: int, axis: int) -> Array:
    pad = [(0, 0)] * field.ndim
    pad[axis] = (radius + 1, radius)
    # errors of the running sum cancel in the difference, so that single precision is enough
    total = np.cumsum(np.pad(field, pad, mode="edge"), axis=axis, dtype=np.float32)
    length, width = field.shape[axis], 2 * radius + 1
    before = (slice(None),) * axis
    out = total[(*before, slice(width, width + length))] - total[(*before, slice(0, length))]
    out *= np.float32(1 / width)
    return f32(out)


def blur(field: Array, radius: float) -> Array:
    """`field` (2-D or with channels) blurred like a Gaussian of standard deviation `radius` pixels."""
    if radius < 0.3:
        return field
    h, w = field.shape[:2]
    factor = max(1, int(radius / 2.5))
    small = resize(field, max(1, h // factor), max(1, w // factor), smooth=False) if factor > 1 else field
    box = max(1, round(radius / factor))
    for axis in (0, 1, 0, 1):
        small = _box(small, box, axis)
    return resize(small, h, w)


def grid(h: int, w: int) -> tuple[Array, Array]:
    """Pixel centres in units of the height: u runs 0..aspect along a row (1 x w), v 0..1 down a column (h x 1)."""
    u = (np.arange(w, dtype=np.float32) + 0.5) / h
    v = (np.arange(h, dtype=np.float32) + 0.5) / h
    return u[None, :], v[:, None]


def to_bytes(image: Array) -> Any:
    """`image` as uint8 with rounding."""
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
