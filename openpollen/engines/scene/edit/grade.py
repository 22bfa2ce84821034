"""Colour, tone and focus of a whole picture."""

from __future__ import annotations

import numpy as np

from ..lexicon import colors
from ..noise import Rng
from ..paint import blur, f32, grid, smoothstep
from ..styles import edges, kuwahara, luma, saturated
from ..types import Array


def levels(image: Array, gain: tuple[float, float, float], amount: float) -> Array:
    """Each channel multiplied, by more or less of `gain`."""
    out = np.empty_like(image)
    for c in range(3):
        out[..., c] = image[..., c] * np.float32(gain[c] ** amount)
    return out


def curve(image: Array, gamma: float) -> Array:
    """Middle tones made darker (`gamma` > 1) or lighter."""
    return f32(np.clip(image, 0, 1) ** np.float32(gamma))


def contrast(image: Array, amount: float) -> Array:
    """Tones pushed away from the picture's own middle (`amount` > 1) or towards it."""
    middle = float(np.median(luma(image)))
    middle = min(0.65, max(0.3, middle))
    return f32((image - middle) * np.float32(amount) + middle)


def tinted(image: Array, name: str, amount: float) -> Array:
    """The picture washed with a named colour; white stays light and black dark."""
    color = colors()[name]
    grey = luma(image)
    share = np.float32(min(0.9, 0.55 * amount))
    out = np.empty_like(image)
    for c in range(3):
        wash = np.where(grey < 0.5, 2 * grey * color[c], 1 - 2 * (1 - grey) * (1 - color[c]))
        out[..., c] = image[..., c] + (wash - image[..., c]) * share
    return out


def sharpened(image: Array, amount: float) -> Array:
    """An unsharp mask that leaves flat areas alone."""
    h = image.shape[0]
    detail = image - blur(image, max(0.8, h / 620))
    return f32(image + detail * np.float32(1.1 * amount))


def vignetted(image: Array, amount: float) -> Array:
    """Corners darkened."""
    h, w = image.shape[:2]
    u, v = grid(h, w)
    far = np.clip(((u * h / w - 0.5) ** 2 + (v - 0.5) ** 2) / 0.5, 0, 1)
    shade = f32(1 - min(0.95, 0.72 * amount) * far**1.15)
    return f32(image * shade[..., None])


def grained(image: Array, rng: Rng, amount: float) -> Array:
    """Film grain."""
    h, w = image.shape[:2]
    grain = blur(rng.standard_normal((h, w), dtype=np.float32), h / 1600) * np.float32(0.055 * amount)
    return f32(image + grain[..., None])


def glowing(image: Array, amount: float) -> Array:
    """Highlights that bleed."""
    h = image.shape[0]
    bright = np.maximum(image - 0.5, 0)
    glow = blur(bright, h / 60) * 0.7 + blur(bright, h / 20) * 0.6
    return f32(1 - (1 - image) * (1 - np.clip(glow * np.float32(amount), 0, 1)))


def focus_map(image: Array) -> Array:
    """An estimate of what stands in focus, 0..1: detailed and near the middle. No knowledge of objects is involved."""
    h, w = image.shape[:2]
    detail = blur(edges(image, max(1.0, h / 500)), h / 16)
    detail = detail / max(float(detail.max()), 1e-4)
    u, v = grid(h, w)
    centre = np.exp(-(((u * h / w - 0.5) / 0.34) ** 2) - ((v - 0.58) / 0.36) ** 2)
    return smoothstep(0.28, 0.62, f32(centre * (0.62 + 0.55 * detail)))


def background_blurred(image: Array, amount: float, subjects: Array | None = None) -> Array:
    """Everything out of focus but the `subjects` (h x w, 0..1), or the middle of interest where they are not known."""
    h = image.shape[0]
    keep = blur(focus_map(image), h / 60) if subjects is None else subjects
    soft, very = blur(image, h / 110 * amount), blur(image, h / 46 * amount)
    out = np.empty_like(image)
    for c in range(3):
        far = soft[..., c] + (very[..., c] - soft[..., c]) * smoothstep(0.6, 0.1, keep)
        out[..., c] = far + (image[..., c] - far) * keep
    return out


def graded(image: Array, kind: str, amount: float, rng: Rng) -> Array:
    """The picture after one named change of colour, tone or focus."""
    h = image.shape[0]
    if kind == "grey":
        return f32(np.repeat(luma(image)[..., None], 3, axis=2))
    if kind == "warmer":
        return levels(image, (1.14, 1.02, 0.82), amount)
    if kind == "cooler":
        return levels(image, (0.84, 0.99, 1.15), amount)
    if kind == "darker":
        return f32(curve(image, 1 + 0.45 * amount) * np.float32(1 - 0.12 * amount))
    if kind == "brighter":
        return curve(f32(image * np.float32(1 + 0.08 * amount)), 1 / (1 + 0.42 * amount))
    if kind == "more contrast":
        return contrast(image, 1 + 0.36 * amount)
    if kind == "less contrast":
        return f32(contrast(image, 1 - min(0.7, 0.32 * amount)) + 0.03)
    if kind == "more colour":
        return saturated(image, 1 + 0.5 * amount)
    if kind == "less colour":
        return saturated(image, max(0.0, 1 - 0.5 * amount))
    if kind == "invert":
        return f32(1 - image)
    if kind == "blur":
        return blur(image, h / 90 * amount)
    if kind == "sharpen":
        return sharpened(image, amount)
    if kind == "smooth":
        return kuwahara(image, max(1, round(h / 380 * amount)))
    if kind == "vignette":
        return vignetted(image, amount)
    if kind == "grain":
        return grained(image, rng, amount)
    return glowing(image, amount)


GRADES = frozenset(
    {
        "grey", "warmer", "cooler", "darker", "brighter", "more contrast", "less contrast", "more colour", "less colour",
        "invert", "blur", "sharpen", "smooth", "vignette", "grain", "glow",
    }
)  # fmt: skip
