"""Random fields: fractal noise on a grid, tileable spectral textures and lookups in them.

Every function takes a generator and draws one integer from it, so the same seed gives the same composition at any size.
Fields are float32; plain noise lies in about -1..1 around 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .paint import f32, resize
from .types import Array

Rng = np.random.Generator


def child(rng: Rng) -> Rng:
    """An independent generator, so that what one painter draws does not depend on how much another drew."""
    return np.random.default_rng(int(rng.integers(1 << 62)))


def fbm(
    rng: Rng, h: int, w: int, cells: float = 4.0, octaves: int = 5, gain: float = 0.5, stretch: float = 1.0
) -> Array:
    """Fractal noise, h x w. `cells` features fit the height at the coarsest octave; `stretch` widens them."""
    own = child(rng)
    total = np.zeros((1, 1), np.float32)
    amplitude, weight = 1.0, 0.0
    for octave in range(octaves):
        rows = max(2, round(cells * 2**octave)) + 3
        cols = max(2, round(cells * 2**octave * w / h / stretch)) + 3
        grid = f32(own.standard_normal((rows, cols)))
        if rows > 2 * h or cols > 2 * w:
            break
        total = resize(total, rows, cols) + grid * amplitude if octave else grid
        weight += amplitude**2
        amplitude *= gain
    return resize(total, h, w) / np.float32(1.7 * weight**0.5)


def line(rng: Rng, w: int, aspect: float, cells: float = 4.0, octaves: int = 6, gain: float = 0.5) -> Array:
    """Fractal noise along a line of `w` points; `cells` features fit one picture height."""
    own = child(rng)
    x = np.linspace(0, aspect, w, dtype=np.float32)
    total = np.zeros(w, np.float32)
    amplitude, weight = 1.0, 0.0
    for octave in range(octaves):
        count = int(cells * 2**octave * 8) + 4
        knots = f32(own.standard_normal(count))
        at = (x * cells * 2**octave) % (count - 3)
        i = at.astype(np.int32)
        t = at - i
        t = t * t * (3 - 2 * t)
        total += amplitude * (knots[i] * (1 - t) + knots[i + 1] * t)
        weight += amplitude**2
        amplitude *= gain
    return f32(total / (1.6 * weight**0.5))


def texture(rng: Rng, size: int = 512, slope: float = 1.6, low: int = 2) -> Array:
    """A tileable size x size texture with power falling as frequency to `slope`; nothing below `low` cycles."""
    own = child(rng)
    fy = np.fft.fftfreq(size, 1 / size)[:, None]
    fx = np.fft.rfftfreq(size, 1 / size)[None, :]
    radius = np.maximum(np.hypot(fy, fx), 1e-3)
    power = np.where(radius < low, 0, radius**-slope)
    phase = own.random(power.shape, dtype=np.float32) * np.float32(2 * np.pi)
    field = np.fft.irfft2(power * np.exp(1j * phase), (size, size))
    return f32(field / (2 * field.std() + 1e-9))


def sample(tile: Array, u: Any, v: Any) -> Array:
    """`tile` at (u, v) counted in tiles, wrapped around, bilinear."""
    size = tile.shape[0]
    x, y = f32(u) * size, f32(v) * size
    x0, y0 = np.floor(x), np.floor(y)
    tx, ty = x - x0, y - y0
    xi, yi = x0.astype(np.int32) % size, y0.astype(np.int32) % size
    xj, yj = (xi + 1) % size, (yi + 1) % size
    flat = tile.ravel()
    top: Array = f32(flat.take(yi * size + xi)) * (1 - tx) + f32(flat.take(yi * size + xj)) * tx
    bottom: Array = f32(flat.take(yj * size + xi)) * (1 - tx) + f32(flat.take(yj * size + xj)) * tx
    return f32(top * (1 - ty) + bottom * ty)


def sample_nearest(tile: Array, u: Any, v: Any) -> Array:
    """As `sample` without interpolation: four times faster, for fine texture."""
    size = tile.shape[0]
    xi = np.floor(f32(u) * size).astype(np.int32) % size
    yi = np.floor(f32(v) * size).astype(np.int32) % size
    return f32(tile.ravel().take(yi * size + xi))


def stars(rng: Rng, h: int, w: int, per_height: float = 700.0, size: float = 1.0) -> Array:
    """A black sky with tinted points of light, h x w x 3; about `per_height` of them in a square picture."""
    own = child(rng)
    count = int(per_height * w / h)
    x, y = own.random(count) * w, own.random(count) * h
    bright = f32(own.pareto(2.2, count) * 0.22 + 0.1)
    warm = f32(own.normal(0, 0.18, count))
    radius = np.maximum(0.45, size * h / 1100 * (0.6 + np.minimum(bright, 1.6)))
    out = np.zeros((h, w, 3), np.float32)
    for i in np.nonzero(bright > 0)[0]:
        spread = float(radius[i])
        reach = int(np.ceil(spread * 3))
        cx, cy = int(x[i]), int(y[i])
        x0, x1, y0, y1 = max(0, cx - reach), min(w, cx + reach + 1), max(0, cy - reach), min(h, cy + reach + 1)
        if x0 >= x1 or y0 >= y1:
            continue
        gy, gx = np.ogrid[y0:y1, x0:x1]
        spot = np.exp(-((gx - x[i]) ** 2 + (gy - y[i]) ** 2) / (2 * (spread * 0.55) ** 2)) * min(1.2, float(bright[i]))
        tint = (1 + warm[i], 1.0, 1 - warm[i])
        for c in range(3):
            out[y0:y1, x0:x1, c] += f32(spot * tint[c])
    return out
