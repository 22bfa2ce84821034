"""What ties a subject to its place: contact and cast shadows, reflections, the waterline, glow."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from .paint import blur, f32, resize
from .types import Array, Light, Rgb, Sprite


def _darken(image: Array, mask: Array, x: int, y: int, color: Rgb) -> None:
    """Multiply `image` towards `color` where `mask`, whose corner is at (x, y), says; clipped to the image."""
    rows, columns = image.shape[:2]
    h, w = mask.shape
    x0, y0, x1, y1 = max(0, x), max(0, y), min(columns, x + w), min(rows, y + h)
    if x0 >= x1 or y0 >= y1:
        return
    part = mask[y0 - y : y1 - y, x0 - x : x1 - x, None]
    image[y0:y1, x0:x1] *= 1 - part * (1 - f32(color))


def contact(image: Array, sprite: Sprite, dark: float) -> None:
    """The narrow dark line where feet press on the ground, shaped by the feet."""
    alpha = sprite.rgba[..., 3]
    h, w = alpha.shape
    foot = alpha[-max(2, h // 12) :].max(axis=0)
    thick = max(2, round(0.035 * min(h, w * 1.4)))
    pad = 3 * thick
    field = np.zeros((4 * thick, w + 2 * pad), np.float32)
    field[2 * thick - max(1, thick // 2) : 2 * thick + max(1, thick // 2), pad : pad + w] = foot
    soft = np.clip(blur(field, thick * 0.62) * 1.5, 0, 1) * dark
    _darken(image, f32(soft), round(sprite.x - w / 2) - pad, round(sprite.y) - 2 * thick, (0.13, 0.1, 0.2))


def cast(image: Array, sprite: Sprite, light: Light) -> None:
    """The subject's shadow on the ground: its outline laid down, away from the light, softer the farther it reaches."""
    alpha = sprite.rgba[..., 3]
    h, w = alpha.shape
    high = max(light.direction[1], 0.2)
    behind_us = light.sun_xy is None  # the light is not in the picture, so shadows fall away from the viewer
    length = min(0.42, 0.16 / high) * h
    lean = float(np.clip(-light.direction[0] / high, -1.5, 1.5)) * length * 1.3
    rows, reach = max(3, round(length)), round(abs(lean)) + 2
    factor = max(1, round(min(h, w) / 110))
    small = Image.fromarray((alpha * 255).astype(np.uint8)).resize((max(1, w // factor), max(1, h // factor)))
    out_w, out_h = (w + 2 * reach) // factor, max(2, rows // factor)
    # output (X, Y) -> source: Y grows towards the feet when the shadow goes back, away from them when it comes forward
    fall = out_h if behind_us else -out_h
    shear = lean / factor / out_h
    if behind_us:
        matrix = (1, shear, -reach / factor - lean / factor, 0, small.height / fall, 0)
    else:
        matrix = (1, -shear, -reach / factor, 0, small.height / fall, small.height)
    laid: Any = small.transform((out_w, out_h), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    field = np.pad(f32(laid) / 255, 6)
    mask = blur(field, max(0.8, 0.012 * h / factor))
    fade = np.linspace(1, 0.35, mask.shape[0], dtype=np.float32)[:, None]
    mask = mask * (fade[::-1] if behind_us else fade)
    full = resize(f32(mask), mask.shape[0] * factor, mask.shape[1] * factor, smooth=False) * (
        0.5 * min(1.0, light.strength + 0.12)
    )
    top = round(sprite.y) - (rows if behind_us else round(0.02 * h)) - 6 * factor
    _darken(image, f32(np.clip(full, 0, 1)), round(sprite.x - w / 2) - reach - 6 * factor, top, (0.2, 0.17, 0.34))


def reflect(image: Array, sprite: Sprite, water: Array, sink: int) -> None:
    """The subject upside down in the water below it, broken up by ripples."""
    rows, columns = image.shape[:2]
    h, w = sprite.rgba.shape[:2]
    depth = min(round(h * 0.75), rows - round(sprite.y) + sink)
    if depth < 3:
        return
    flipped = sprite.rgba[::-1][sink : sink + depth]
    depth = flipped.shape[0]
    line = np.arange(depth, dtype=np.float32)
    wave: Array = f32(np.sin(line * 0.9 + line**1.3 * 0.11) * (0.4 + line / max(depth, 1) * 0.025 * w))
    shift = np.rint(wave).astype(np.intp)
    columns_at = np.minimum(np.maximum(np.arange(int(w))[None, :] + shift[:, None], 0), w - 1)
    broken = flipped[np.arange(depth)[:, None], columns_at]
    y0, x0 = round(sprite.y) - sink, round(sprite.x - w / 2)
    a, b = max(0, -x0), min(w, columns - x0)
    stop = min(depth, rows - y0)
    if a >= b or stop <= 0 or y0 < 0:
        return
    part = broken[:stop, a:b]
    spot = image[y0 : y0 + stop, x0 + a : x0 + b]
    fade = (np.linspace(0.5, 0.04, depth, dtype=np.float32)[:stop, None] * water[y0 : y0 + stop, x0 + a : x0 + b])[
        ..., None
    ]
    spot += (part[..., :3] + spot * (1 - part[..., 3:]) - spot) * fade


def afloat(rgba: Array, sink: int, foam: Rgb) -> Array:
    """A floating subject whose lowest `sink` rows are under a rippled waterline with a little foam."""
    h, w = rgba.shape[:2]
    x = np.arange(w, dtype=np.float32)
    line = h - sink + np.sin(x * (14 / w) + 1) * sink * 0.16 + np.sin(x * (37 / w)) * sink * 0.1
    below = np.clip(np.arange(h, dtype=np.float32)[:, None] - line[None, :], 0, 1)
    out = rgba * (1 - below)[..., None]
    edge = np.clip(1 - np.abs(np.arange(h, dtype=np.float32)[:, None] - line[None, :]) / max(1.2, sink * 0.16), 0, 1)
    share = (edge * 0.75 * (rgba[..., 3] > 0.3))[..., None]
    out[..., :3] = out[..., :3] * (1 - share) + f32(foam) * share
    out[..., 3:] = out[..., 3:] * (1 - share) + share
    return f32(out)


def glow(image: Array, x: float, y: float, radius: float, color: Rgb, power: float) -> None:
    """Light shed by a lamp, a fire or lit windows: brightens what is near and adds a halo."""
    rows, columns = image.shape[:2]
    reach = radius * 2.2
    x0, x1 = max(0, int(x - reach)), min(columns, int(x + reach) + 1)
    y0, y1 = max(0, int(y - reach)), min(rows, int(y + reach) + 1)
    if x0 >= x1 or y0 >= y1:
        return
    dx = (np.arange(x0, x1, dtype=np.float32) - x)[None, :] / radius
    dy = (np.arange(y0, y1, dtype=np.float32) - y)[:, None] / radius
    fall = np.exp(-(dx * dx + dy * dy) * 1.6).astype(np.float32)[..., None] * power
    spot = image[y0:y1, x0:x1]
    tone = f32(color)
    spot *= 1 + fall * tone * 0.9
    spot += (1 - np.clip(spot, 0, 1)) * fall * tone * 0.4
