"""The finish of a picture: the default one, light and grain, and the styles, each by its own painter in `styles`."""

from __future__ import annotations

import numpy as np

from . import styles
from .noise import Rng
from .paint import blur, f32, grid
from .styles import StylePainter
from .types import Array, Plan, Style

STYLES: dict[Style, StylePainter] = {
    "oil": styles.oil,
    "watercolor": styles.watercolor,
    "pixel": styles.pixel,
    "sketch": styles.sketch,
    "neon": styles.neon,
    "vintage": styles.vintage,
    "noir": styles.noir,
    "comic": styles.comic,
    "pastel": styles.pastel,
    "clay": styles.clay,
    "stained-glass": styles.stained_glass,
}


def apply_style(image: Array, plan: Plan, rng: Rng) -> Array:
    """`image` (h x w x 3) in the plan's style, the same size."""
    return restyle(image, plan.style, rng)


def restyle(image: Array, style: Style, rng: Rng) -> Array:
    """`image` (h x w x 3) in a named style, the same size."""
    painter = STYLES.get(style)
    return f32(np.clip(polish(image, rng) if painter is None else painter(image, rng), 0, 1))


def polish(image: Array, rng: Rng) -> Array:
    """The default finish: highlights bleed a little, the corners fall off, fine grain hides banding."""
    h, w = image.shape[:2]
    bright = np.maximum(image - 0.72, 0)
    glow = blur(bright, 0.014 * h) * 0.55 + blur(bright, 0.05 * h) * 0.4
    u, v = grid(h, w)
    corner = 1 - 0.17 * np.clip(((u * h / w - 0.5) ** 2 + (v - 0.5) ** 2) / 0.5, 0, 1) ** 1.3
    grain = rng.standard_normal((h, w), dtype=np.float32) * np.float32(0.009)
    out = np.empty_like(image)
    for c in range(3):
        plane = image[..., c]
        plane = 1 - (1 - plane) * (1 - np.clip(glow[..., c], 0, 1))
        out[..., c] = plane * corner + grain
    return out
