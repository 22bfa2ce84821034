"""Land seen in perspective: a field of heights is projected, lit and hidden where nearer land stands before it.

Heights are given on a fan of slices, near to far: row i lies at distance z[i], column j under picture column j. For each
column the nearest slice that covers a pixel is found by interpolation, so one lookup per pixel draws the land.
Distances and heights are in units where the camera's picture plane, one picture height tall, is one unit away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .paint import f32, smoothstep
from .types import Array, Light


@dataclass(frozen=True)
class Camera:
    """Where the land is seen from: `eye` above the plane 0, `horizon` 0..1 of the picture height."""

    h: int
    w: int
    horizon: float
    eye: float = 1.0

    def near(self) -> float:
        """Distance of the plane at the lower edge of the picture."""
        return self.eye / max(0.05, 1 - self.horizon)

    def fan(self, slices: int = 320, far: float = 90.0, near: float | None = None) -> tuple[Array, Array]:
        """Slice distances z (n x 1) and the sideways places x (n x w) of their points."""
        start = (self.near() if near is None else near) * 0.8
        z = f32(start * (far / start) ** np.linspace(0, 1, slices))[:, None]
        u = (np.arange(self.w, dtype=np.float32) + 0.5) / self.h - 0.5 * self.w / self.h
        return z, f32(u[None, :] * z)


@dataclass(frozen=True)
class View:
    """What each pixel sees: fractional slice `at` (h x w), `cover` 0..1, and the skyline per column in pixels."""

    at: Array
    cover: Array
    skyline: Array

    def gather(self, field: Array) -> Array:
        """A field on the fan (n x w) at each pixel, linear between slices."""
        n, w = field.shape
        low = np.minimum(self.at.astype(np.int32), n - 2)
        t = self.at - low
        index = low * w + np.arange(w, dtype=np.int32)[None, :]
        flat = np.ascontiguousarray(field).ravel()
        a = f32(np.take(flat, index))
        return f32(a + (f32(np.take(flat, index + w)) - a) * t)

    def gather_row(self, row: Array) -> Array:
        """A value per slice (n) at each pixel."""
        last: int = row.shape[0] - 2
        low = np.minimum(self.at.astype(np.int32), last)
        a = f32(np.take(row, low))
        return f32(a + (f32(np.take(row, low + 1)) - a) * (self.at - low))


def project(camera: Camera, height: Array, z: Array) -> View:
    """Which slice of the land with these heights each pixel sees."""
    n = height.shape[0]
    y = (camera.horizon + (camera.eye - height) / z) * camera.h
    top = np.minimum.accumulate(y, axis=0)
    rows = np.arange(camera.h, dtype=np.float32) + 0.5
    slices = np.arange(n, dtype=np.float32)
    at = np.empty((camera.h, camera.w), np.float32)
    for j in range(camera.w):
        at[:, j] = np.interp(rows, top[::-1, j], slices[::-1])
    skyline = f32(top[-1])
    slope = np.abs(np.gradient(skyline)) if camera.w > 1 else np.zeros(1, np.float32)
    cover = np.clip((rows[:, None] - skyline[None, :]) / np.maximum(1, slope)[None, :] + 0.5, 0, 1)
    return View(at, f32(cover), skyline)


def slopes(height: Array, x: Array, z: Array) -> tuple[Array, Array]:
    """The rise of the land to the right and away, per unit."""
    step = np.maximum(x[:, 1:2] - x[:, 0:1], 1e-6) if x.shape[1] > 1 else np.ones_like(z)
    right = np.gradient(height, axis=1) / step if x.shape[1] > 1 else np.zeros_like(height)
    away = np.gradient(height, axis=0) / np.gradient(z[:, 0])[:, None]
    return f32(right), f32(away)


def lambert(height: Array, x: Array, z: Array, light: Light, toward: float = 0.35) -> Array:
    """Light received, 0..1; `toward` is how much of it comes from the viewer's side (negative: from behind the land)."""
    right, away = slopes(height, x, z)
    lx, ly = light.direction
    lz = -toward
    size = (lx * lx + ly * ly + lz * lz) ** 0.5
    dot = (-right * lx + ly - away * lz) / (np.sqrt(right * right + away * away + 1) * size)
    return f32(np.clip(dot, 0, 1))


def shadowed(height: Array, x: Array, light: Light, steps: int = 10, reach: float = 6.0) -> Array:
    """1 in sun, towards 0 where land on the sun's side stands in the way, sideways along each slice."""
    lx, ly = light.direction
    if abs(lx) < 0.05:
        return np.ones_like(height)
    rise = ly / abs(lx)
    step = np.maximum(x[:, 1:2] - x[:, 0:1], 1e-6)
    sun = np.ones_like(height)
    columns = np.arange(height.shape[1], dtype=np.int64)
    for k in range(1, steps + 1):
        distance = reach * (k / steps) ** 2
        shift = np.clip(columns[None, :] + np.rint(np.sign(lx) * distance / step).astype(np.int32), 0, columns[-1])
        other = np.take_along_axis(height, shift, axis=1)
        sun = np.minimum(sun, 1 - smoothstep(0.0, 0.06 + 0.04 * distance, other - height - distance * rise))
    return f32(sun)
