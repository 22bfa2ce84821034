"""Giving a drawing another colour while its shading, highlights and details of other colours stay."""

from __future__ import annotations

import numpy as np

from .paint import f32, smoothstep
from .types import Array, Rgb, Tint

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_BINS = 24  # of hue; the last place of the histogram is for greys
NEUTRAL = 0.17  # spread of channels below which a pixel has no hue of its own


def recolored(rgba: Array, tint: Tint, *, keep_skin: bool = False, keep_grey: bool = False) -> Array:
    """`rgba` (premultiplied) with its main colour and its shades turned to `tint`.

    The main colour is the hue, or the grey, that covers most of the drawing. Other hues stay: a red house keeps blue
    windows. Eyes and mouths stay dark. `keep_skin` leaves the yellow of the pack's faces and hands, for people;
    `keep_grey` leaves greys, for the tyres of a bicycle.
    """
    alpha = rgba[..., 3]
    if not (alpha > 0.5).any():
        return rgba
    rgb = rgba[..., :3] / np.maximum(alpha, 1e-3)[..., None]
    luma = f32(rgb @ _LUMA)
    share = _main_share(rgb, alpha, luma, keep_skin, keep_grey)
    weight = share * alpha
    middle = float(_weighted_median(luma, weight))
    target = f32(tint.rgb)
    bright = float(target @ _LUMA)
    # shading around the new colour: darker tones multiply it, lighter ones lift it to white
    low = target * np.clip(luma / max(middle, 0.08), 0, 1)[..., None] ** 0.9
    lift = np.clip((luma - middle) / max(1 - middle, 0.2), 0, 1)[..., None] * (0.6 if bright > 0.25 else 0.3)
    painted = low * (1 - lift) + lift
    out = rgba.copy()
    out[..., :3] = (rgb + (painted - rgb) * share[..., None]) * alpha[..., None]
    return out


def washed(rgba: Array, color: Rgb) -> Array:
    """`rgba` (premultiplied) in shades of one colour: its middle tones become it, light ones stay light."""
    alpha = np.maximum(rgba[..., 3], 1e-3)
    luma = f32(rgba[..., :3] @ _LUMA) / alpha
    middle = float(np.median(luma[rgba[..., 3] > 0.5])) if (rgba[..., 3] > 0.5).any() else 0.5
    low = np.clip(luma / max(middle, 0.08), 0, 1.15)
    lift = np.clip((luma - middle) / max(1 - middle, 0.2), 0, 1) * np.float32(0.6)
    out = rgba.copy()
    for c in range(3):
        shade = np.clip(color[c] * low, 0, 1)
        shade = shade + (1 - shade) * lift
        own = rgba[..., c] / alpha
        out[..., c] = (own + (shade - own) * np.float32(0.85)) * rgba[..., 3]
    return f32(out)


def _main_share(rgb: Array, alpha: Array, luma: Array, keep_skin: bool, keep_grey: bool) -> Array:
    """How far each pixel belongs to the main colour, 0..1."""
    high, low = rgb.max(axis=-1), rgb.min(axis=-1)
    spread = high - low
    hue = _hue(rgb, high, spread)
    colored = smoothstep(NEUTRAL * 0.6, NEUTRAL * 1.4, spread)
    if keep_skin:
        skin = smoothstep(0.055, 0.075, hue) * (1 - smoothstep(0.15, 0.17, hue)) * smoothstep(0.3, 0.4, spread)
        alpha = f32(alpha * (1 - skin))
    if keep_grey:
        alpha = f32(alpha * (luma > 0.25))  # tyres are of a very dark blue
    bins = (hue * _BINS).astype(int) % _BINS
    histogram = np.bincount(bins.ravel(), (colored * alpha).ravel(), _BINS)
    near = (
        histogram
        + 0.8 * (np.roll(histogram, 1) + np.roll(histogram, -1))
        + 0.4 * (np.roll(histogram, 2) + np.roll(histogram, -2))
    )
    best = int(near.argmax())
    grey = float(((1 - colored) * alpha * (luma > 0.25)).sum())
    dark = float(((1 - colored) * alpha * (luma <= 0.25)).sum())
    total = float(alpha.sum())
    if not keep_grey and (grey > 0.5 * total or dark > 0.75 * total):
        kept = smoothstep(0.16, 0.28, luma) if grey > dark else np.ones_like(luma)
        return f32((1 - colored) * kept)
    away = np.abs((hue - (best + 0.5) / _BINS + 0.5) % 1 - 0.5)
    same = 1 - smoothstep(0.11, 0.17, away)
    return f32(same * smoothstep(NEUTRAL * 0.45, NEUTRAL, spread) * smoothstep(0.1, 0.2, luma))


def _hue(rgb: Array, high: Array, spread: Array) -> Array:
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    safe = np.maximum(spread, 1e-4)
    hue = f32((r - g) / safe + 4)
    for strongest, turn in ((high == g, (b - r) / safe + 2), (high == r, (g - b) / safe % 6)):
        hue[strongest] = turn[strongest]
    return np.mod(hue, np.float32(6)) / np.float32(6)


def _weighted_median(values: Array, weights: Array) -> float:
    order = np.argsort(values, axis=None)
    running = np.cumsum(weights.ravel()[order])
    at = int(np.argmax(running >= running[-1] / 2))
    return float(values.ravel()[order[min(at, order.size - 1)]])
