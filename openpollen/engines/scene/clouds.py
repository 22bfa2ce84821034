"""Clouds: heaps with flat bases and cauliflower tops, sheets that recede to the horizon, and high wisps.

Density comes from fractal noise; light is found by walking from each point towards the sun through that density.
"""

from __future__ import annotations

import numpy as np

from .atmosphere import Air
from .noise import Rng, child, fbm, sample, texture
from .paint import f32, resize, smoothstep
from .types import Array


def _shifted(field: Array, dx: int, dy: int) -> Array:
    """`field` read `dx` right and `dy` down of each point, edges repeated."""
    h, w = field.shape
    ys = np.minimum(np.maximum(np.arange(h, dtype=np.int64) + dy, 0), h - 1)
    xs = np.minimum(np.maximum(np.arange(w, dtype=np.int64) + dx, 0), w - 1)
    return field[ys][:, xs]


def _sunlight(density: Array, sun: tuple[float, float], reach: float) -> Array:
    """How much sun arrives at each point, 0..1, when it shines from `sun` (0..1 of width and height)."""
    h, w = density.shape
    dx, dy = (sun[0] - 0.5) * w / h * 0.9, min(sun[1] - 0.45, -0.18)
    length = float(np.hypot(dx, dy))
    total = np.zeros_like(density)
    for step in (0.25, 0.6, 1.0, 1.5, 2.1):
        offset = step * reach * h
        total += _shifted(density, round(dx / length * offset), round(dy / length * offset))
    return f32(np.exp(-0.62 * total))


def _heaps(rng: Rng, h: int, w: int, horizon: float, cover: float) -> Array:
    """The outline field of heap clouds: above 0 inside, before noise is added."""
    own = child(rng)
    field = np.full((h, w), -1.0, np.float32)
    aspect = w / h
    count = int((5 + 16 * cover) * max(0.6, aspect)) + 1
    for i in range(count):
        far = (i + own.random()) / count
        base = horizon * (0.94 - 0.72 * far**1.1)
        size = (0.06 + 0.2 * far**1.4) * (0.7 + 0.7 * own.random()) * (0.55 + horizon)
        cx = own.random() * (aspect + 0.3) - 0.15
        for _ in range(6 + int(10 * far)):
            along = float(np.clip(own.normal(0, 0.42), -0.9, 0.9))
            px = cx + along * size
            radius = size * (0.26 + 0.22 * own.random()) * max(0.4, 1 - abs(along) * 0.6)
            py = base - radius * (0.25 + 0.75 * own.random() * max(0.0, 1 - abs(along)))
            x0, x1 = max(0, int((px - radius) * h)), min(w, int((px + radius) * h) + 2)
            y0, y1 = max(0, int((py - radius) * h)), min(h, int(min(py + radius, base + 0.01) * h) + 2)
            if x0 >= x1 or y0 >= y1:
                continue
            gy, gx = np.ogrid[y0:y1, x0:x1]
            ball = 1 - ((gx / h - px) ** 2 + (gy / h - py) ** 2) / radius**2
            ball = np.minimum(ball, (base - gy / h) / (0.12 * size) + 0.35)
            np.maximum(field[y0:y1, x0:x1], f32(ball), out=field[y0:y1, x0:x1])
    return field


def heap_clouds(rng: Rng, h: int, w: int, horizon: float, air: Air, sun: tuple[float, float], cover: float) -> Array:
    """A layer (premultiplied RGBA) of fair-weather clouds above the horizon."""
    ch = min(h, 420)
    cw = max(2, round(w * ch / h))
    outline = _heaps(rng, ch, cw, horizon, cover)
    rough = fbm(rng, ch, cw, 7, 6, 0.6)
    puff = 1 - 2 * np.abs(fbm(rng, ch, cw, 11, 5, 0.55))
    density = np.clip(outline + 0.42 * rough + 0.3 * (puff - 0.45), 0, 1.4)
    alpha = smoothstep(0.03, 0.34, density)
    lit = _sunlight(density, sun, 0.02)
    lit = np.clip(lit * 1.25 + 0.1 * (puff - 0.3), 0, 1)
    return _coloured(alpha * 0.96, lit, air, sun, horizon, h, w)


def sheet_clouds(rng: Rng, h: int, w: int, horizon: float, air: Air, sun: tuple[float, float], cover: float) -> Array:
    """A layer (premultiplied RGBA) of broken or closed cloud seen from below, in perspective."""
    ch = min(h, 420)
    cw = max(2, round(w * ch / h))
    tile = texture(rng, 512, 1.55, 3)
    v = (np.arange(ch, dtype=np.float32)[:, None] + 0.5) / ch
    u = (np.arange(cw, dtype=np.float32)[None, :] + 0.5) / ch - 0.5 * cw / ch
    up = np.maximum((horizon - v) / max(horizon, 0.05), 0.02) + 0.1
    z = 0.55 / up
    x = u * z / max(horizon, 0.35)
    density = sample(tile, x * 0.16, z * 0.2 + 0 * u) + 0.5 * sample(tile, x * 0.47 + 0.3, z * 0.55 + 0 * u)
    toward = (sun[0] - 0.5) * 0.05
    beyond = sample(tile, x * 0.16 + toward, (z + 0.16) * 0.2 + 0 * u)
    beyond += 0.5 * sample(tile, x * 0.47 + 0.3 + toward * 2, (z + 0.16) * 0.55 + 0 * u)
    threshold = 0.9 - 1.75 * cover
    alpha = smoothstep(threshold, threshold + 0.75, density)
    thick = np.clip(density - threshold, 0, 2)
    lit = np.clip(0.55 + 0.55 * (density - beyond) - 0.28 * thick, 0, 1)
    alpha *= smoothstep(-0.02, 0.12, (horizon - v) / max(horizon, 0.05)) * 0.9
    return _coloured(f32(alpha), f32(lit), air, sun, horizon, h, w)


def wisps(rng: Rng, h: int, w: int, horizon: float, air: Air, sun: tuple[float, float], amount: float) -> Array:
    """A layer (premultiplied RGBA) of thin high cloud, combed by the wind."""
    ch = min(h, 320)
    cw = max(2, round(w * ch / h))
    broad = fbm(rng, ch, cw, 2.2, 3, 0.5, 2.0)
    fine = fbm(rng, ch, cw, 7, 5, 0.62, 5.0)
    alpha = smoothstep(-0.05, 1.1, broad + 0.55 * fine) * amount
    v = (np.arange(ch, dtype=np.float32)[:, None] + 0.5) / ch
    alpha *= smoothstep(0.0, 0.5, (horizon - v) / max(horizon, 0.05))
    return _coloured(f32(alpha), f32(np.full_like(alpha, 0.85)), air, sun, horizon, h, w)


def _coloured(alpha: Array, lit: Array, air: Air, sun: tuple[float, float], horizon: float, h: int, w: int) -> Array:
    ch, cw = alpha.shape
    v = (np.arange(ch, dtype=np.float32)[:, None] + 0.5) / ch
    u = (np.arange(cw, dtype=np.float32)[None, :] + 0.5) / cw
    near_sun = np.exp(-(((u - sun[0]) * cw / ch) ** 2 + (v - sun[1]) ** 2) / 0.09) * (1 - air.overcast)
    distance = smoothstep(0.45, 0.0, (horizon - v) / max(horizon, 0.05)) * 0.72
    out = np.empty((ch, cw, 4), np.float32)
    lining = near_sun * (1 - alpha) * 0.6 + near_sun * lit * 0.25
    for c in range(3):
        plane = air.cloud_dark[c] + (air.cloud_lit[c] - air.cloud_dark[c]) * lit
        plane = plane + air.glow[c] * lining
        plane = plane + (air.horizon[c] - plane) * distance
        out[..., c] = np.clip(plane, 0, 1) * alpha
    out[..., 3] = alpha
    large = np.clip(resize(out, h, w), 0, 1)
    large[..., :3] = np.minimum(large[..., :3], large[..., 3:])
    return large
