"""What grows and lies under water, and rocks: corals, sea fans, seaweed, boulders."""

from __future__ import annotations

import numpy as np

from ..noise import Rng, fbm
from ..paint import f32, rgb, smoothstep
from ..types import Array, Rgb
from .canvas import Board, Point
from .plants import Direction, tone

_CORALS = tuple(
    (rgb(a), rgb(b), rgb(c))
    for a, b, c in (
        ("8c1f4e", "ee5a8a", "ffc2cf"),
        ("9a3a14", "ff8a3c", "ffdca0"),
        ("4b2a8c", "a06af0", "e2caff"),
        ("8a6a10", "f4c83c", "fff3b0"),
        ("0e5f66", "2cc0b4", "b6fff0"),
        ("8c2020", "f0523f", "ffb8a0"),
    )
)


def coral(height: int, rng: Rng, light: Direction) -> Array:
    """A coral of one of four kinds: branching, brain, tubes or fan."""
    palette = _CORALS[int(rng.integers(len(_CORALS)))]
    kind = (_branching, _branching, _brain, _tubes, _fan)[int(rng.integers(5))]
    return kind(height, rng, light, palette)


def _branching(height: int, rng: Rng, light: Direction, palette: tuple[Rgb, Rgb, Rgb]) -> Array:
    board = Board(height, 1.15)

    def grow(at: Point, angle: float, length: float, width: float, depth: int) -> None:
        tip: Point = (at[0] + np.cos(angle) * length, at[1] - np.sin(angle) * length)
        board.limb([at, tip], [width, width * 0.8], palette[0], palette[1], 1.0 if light[0] > 0 else -1.0)
        if depth == 0:
            r = width * 0.52
            board.dabs(f32([tip[0]]), f32([tip[1]]), f32([r]), f32([r]), f32([palette[2]]))
            return
        for side in (-1, 1):
            grow(
                tip,
                angle + side * (0.28 + 0.3 * rng.random()),
                length * (0.72 + 0.16 * rng.random()),
                width * 0.78,
                depth - 1,
            )

    for k in range(3):
        grow((0.575 + 0.09 * (k - 1), 1.0), np.pi / 2 + 0.42 * (1 - k) + rng.normal(0, 0.1), 0.25, 0.085, 3)
    return board.done(height)


def _brain(height: int, rng: Rng, light: Direction, palette: tuple[Rgb, Rgb, Rgb]) -> Array:
    w = int(height * 1.5)
    y, x = np.mgrid[0:height, 0:w].astype(np.float32)
    nx, ny = (x - w / 2) / (w / 2) * 1.02, (y - height) / height * 1.02
    r2 = nx * nx + ny * ny
    nz = np.sqrt(np.clip(1 - r2, 0, 1))
    groove = np.sin(fbm(rng, height, w, 3.2, 4, 0.5) * 16)
    shade = 0.34 + 0.34 * (nx * light[0] - ny * light[1]) + 0.25 * nz + 0.16 * groove
    out = np.empty((height, w, 4), np.float32)
    alpha = smoothstep(1.0, 0.97, r2 + 0.02 * groove)
    out[..., :3] = tone(palette, f32(shade.ravel())).reshape(height, w, 3) * alpha[..., None]
    out[..., 3] = alpha
    return out


def _tubes(height: int, rng: Rng, light: Direction, palette: tuple[Rgb, Rgb, Rgb]) -> Array:
    board = Board(height, 1.1)
    for x in sorted(rng.uniform(0.2, 0.9, 9), key=lambda v: -abs(v - 0.55)):
        top = 0.12 + 0.5 * abs(x - 0.55) + 0.3 * rng.random()
        wide = 0.1 + 0.05 * rng.random()
        foot = 0.55 + (x - 0.55) * 0.6
        board.limb([(foot, 1.0), (x, top + 0.1), (x, top)], [wide * 0.8, wide, wide], palette[0], palette[1], light[0])
        board.dabs(f32([x]), f32([top]), f32([wide * 0.52]), f32([wide * 0.26]), f32([palette[2]]))
        board.dabs(f32([x]), f32([top]), f32([wide * 0.36]), f32([wide * 0.16]), f32([palette[0]]) * np.float32(0.6))
    return board.done(height)


def _fan(height: int, rng: Rng, light: Direction, palette: tuple[Rgb, Rgb, Rgb]) -> Array:
    board = Board(height, 1.3)
    for a in np.linspace(0.45, np.pi - 0.45, 26):
        reach = 0.78 + 0.16 * rng.random()
        t = np.linspace(0, 1, 14)
        bend = 0.12 * np.sin(t * 7 + a * 5) * t
        xs, ys = 0.65 + np.cos(a + bend) * t * reach * 0.85, 1.0 - np.sin(a + bend) * t * reach
        pts: list[Point] = [(float(p), float(q)) for p, q in zip(xs, ys, strict=True)]
        board.stroke(pts, 0.02, palette[0])
        board.stroke([(p + 0.006 * light[0], q - 0.004) for p, q in pts], 0.01, palette[1])
        board.dabs(f32(xs[5:]), f32(ys[5:]), f32(np.full(9, 0.012)), f32(np.full(9, 0.012)), f32([palette[2]] * 9))
    return board.done(height)


def seaweed(height: int, rng: Rng, light: Direction) -> Array:
    """Waving ribbons of kelp."""
    board = Board(height, 0.75)
    for _ in range(6):
        root = 0.375 + rng.normal(0, 0.07)
        tall = 0.55 + 0.42 * rng.random()
        phase, turns = rng.random() * 6, 2.2 + 1.2 * rng.random()
        t = np.linspace(0, 1, 26)
        xs = root + 0.075 * np.sin(phase + t * turns * np.pi) * t + (root - 0.375) * t
        ys = 1 - tall * t
        wide = 0.03 * np.sin(np.pi * np.clip(0.12 + t * 0.88, 0, 1)) + 0.006
        shade = 0.3 + 0.4 * rng.random()
        for half, extra in ((1.0, 0.0), (-1.0, 0.14 * (1 if light[0] < 0 else -1))):
            r, g, b = tone((rgb("0c3f3a"), rgb("1f8a55"), rgb("a8e06a")), f32([shade + extra]))[0].tolist()
            edge = [(float(a + half * c), float(d)) for a, c, d in zip(xs, wide, ys, strict=True)]
            back = [(float(a), float(d)) for a, d in zip(xs[::-1], ys[::-1], strict=True)]
            board.polygon(edge + back, (r, g, b))
    return board.done(height)


def rock(height: int, rng: Rng, light: Direction, palette: tuple[Rgb, Rgb, Rgb] | None = None) -> Array:
    """A boulder: facets lit by their slope, with cracks and grain."""
    colors = palette or (rgb("3c3f49"), rgb("7d7f86"), rgb("d2d0c8"))
    w = int(height * (1.35 + 0.4 * rng.random()))
    own = np.random.default_rng(int(rng.integers(1 << 62)))
    y, x = np.mgrid[0:height, 0:w].astype(np.float32)
    px, py = (x / w - 0.5) * 2, (y / height - 0.62) * 1.9
    lumps = own.uniform(-0.55, 0.55, (11, 2))
    lumps[:, 1] *= 0.7
    depth = f32(np.full((height, w), 99.0))
    nx, ny = np.zeros((height, w), np.float32), np.zeros((height, w), np.float32)
    for k in range(len(lumps)):
        a, b = float(lumps[k, 0]), float(lumps[k, 1])
        tilt_x, tilt_y = float(own.normal(a * 0.9, 0.35)), float(own.normal(b * 0.9 + 0.15, 0.3))
        facet = f32(1.0 - (px - a * 0.5) * tilt_x * 1.1 - (py - b * 0.5) * tilt_y * 1.1)
        lower = facet < depth
        depth = f32(np.where(lower, facet, depth))
        nx, ny = f32(np.where(lower, tilt_x, nx)), f32(np.where(lower, tilt_y, ny))
    edge = 1 - np.abs(px) ** 2.6 - np.abs(np.minimum(py, 0)) ** 2.2
    rough = fbm(own, height, w, 4, 5, 0.55)
    alpha = smoothstep(0.0, 0.03, edge + 0.1 * rough) * smoothstep(1.0, 0.985, y / height + 0.012 * rough)
    shade = 0.42 + 0.42 * (nx * light[0] - ny * light[1]) + 0.1 * rough - 0.22 * smoothstep(0.5, 1.0, y / height)
    out = np.empty((height, w, 4), np.float32)
    out[..., :3] = tone(colors, f32(shade.ravel())).reshape(height, w, 3) * alpha[..., None]
    out[..., 3] = alpha
    return out
