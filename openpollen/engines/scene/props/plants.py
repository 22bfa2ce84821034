"""Plants drawn leaf by leaf: crowns of dabs shaded as round masses, boughs, fronds, blades, petals."""

from __future__ import annotations

import numpy as np

from ..noise import Rng
from ..paint import blend, f32, rgb
from ..types import Array, Rgb
from .canvas import Board, Point

Direction = tuple[float, float]
Palette = tuple[Rgb, Rgb, Rgb]  # shadow, middle, light

LEAF: Palette = (rgb("1d4a2b"), rgb("3f8637"), rgb("a5d256"))
OLIVE: Palette = (rgb("27422a"), rgb("5b8040"), rgb("b7c766"))
AUTUMN: Palette = (rgb("6e2a1c"), rgb("d0641f"), rgb("ffc04a"))
CRIMSON: Palette = (rgb("5c1420"), rgb("b8342a"), rgb("ff8a4a"))
BLOSSOM: Palette = (rgb("a3517f"), rgb("ec93b6"), rgb("ffe3ee"))
NEEDLE: Palette = (rgb("10352f"), rgb("1f5f47"), rgb("6aa768"))
FROSTED: Palette = (rgb("31585f"), rgb("9dbccb"), rgb("fafdff"))
BARK: Palette = (rgb("3a2720"), rgb("6b4a33"), rgb("a37a52"))


def tone(palette: Palette, t: Array) -> Array:
    """Colours of a palette for shades 0 (shadow) to 1 (light), n x 3."""
    a, b, c = (f32(p) for p in palette)
    t = np.clip(t, 0, 1)[:, None]
    return f32(np.where(t < 0.5, a + (b - a) * t * 2, b + (c - b) * (t * 2 - 1)))


def _one(palette: Palette, t: float) -> Rgb:
    """As `tone`, of one shade: plain numbers are many times faster for so few."""
    t = min(max(t, 0.0), 1.0)
    return blend(palette[0], palette[1], 2 * t) if t < 0.5 else blend(palette[1], palette[2], 2 * t - 1)


def crown(board: Board, rng: Rng, blobs: Array, palette: Palette, light: Direction, leaves: int, leaf: float) -> None:
    """Leaves over round masses (`blobs`: x, y, radius), lit from `light`; nearer and brighter leaves come last."""
    pick = rng.choice(len(blobs), leaves, p=blobs[:, 2] ** 2 / np.sum(blobs[:, 2] ** 2))
    angle, reach = rng.random(leaves) * 2 * np.pi, np.sqrt(rng.random(leaves))
    nx, ny = np.cos(angle) * reach, np.sin(angle) * reach
    nz = np.sqrt(np.clip(1 - nx * nx - ny * ny, 0, 1))
    blob = blobs[pick]
    x, y = blob[:, 0] + nx * blob[:, 2], blob[:, 1] + ny * blob[:, 2]
    middle_x, middle_y = blobs[:, 0].mean(), blobs[:, 1].mean()
    spread = np.abs(blobs[:, :2] - [middle_x, middle_y]).max() + blobs[:, 2].mean()
    local = (nx * light[0] - ny * light[1]) * 0.42 + nz * 0.28
    whole = ((x - middle_x) * light[0] - (y - middle_y) * light[1]) / spread * 0.34
    shade = 0.34 + local + whole + rng.normal(0, 0.075, leaves)
    order = np.argsort(shade + nz * 0.5 + rng.normal(0, 0.12, leaves))
    size = leaf * (0.7 + 0.6 * rng.random(leaves))
    flat = 0.6 + 0.4 * rng.random(leaves)
    colors = tone(palette, f32(shade)) * (1 + rng.normal(0, 0.05, (leaves, 1)))
    board.dabs(f32(x)[order], f32(y)[order], f32(size)[order], f32(size * flat)[order], f32(colors)[order])


def _trunk(board: Board, rng: Rng, x: float, top: float, width: float, light: Direction, bend: float = 0.03) -> None:
    steps = 7
    ys = np.linspace(1.0, top, steps)
    xs = x + bend * np.sin(np.linspace(0, 2.4, steps) + rng.random() * 3) * np.linspace(0, 1, steps)
    widths = [width * (1.55 if i == 0 else 1.1 - 0.09 * i) for i in range(steps)]
    side = 1.0 if light[0] > 0 else -1.0
    points: list[Point] = [(float(a), float(b)) for a, b in zip(xs, ys, strict=True)]
    board.limb(points, widths, BARK[0], BARK[2], side)
    for k in range(4):
        at = points[steps - 2 - k % 3]
        reach = (0.12 + 0.1 * rng.random()) * (1 if k % 2 else -1)
        tip: Point = (at[0] + reach, at[1] - 0.1 - 0.1 * rng.random())
        middle: Point = ((at[0] + tip[0]) / 2, (at[1] + tip[1]) / 2 + 0.02)
        board.limb([at, middle, tip], [width * 0.5, width * 0.36, width * 0.2], BARK[0], BARK[1], side)


def tree(height: int, rng: Rng, light: Direction, palette: Palette = LEAF) -> Array:
    """A broad-leaved tree with a round crown."""
    board = Board(height, 0.95)
    _trunk(board, rng, 0.475, 0.42, 0.062, light)
    count = 15
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False) + rng.normal(0, 0.2, count)
    ring = np.where(np.arange(count) % 3 == 0, 0.35, 1.0) * (0.85 + 0.2 * rng.random(count))
    blobs = np.stack(
        [
            0.475 + np.cos(angle) * 0.27 * ring,
            0.36 + np.sin(angle) * 0.2 * ring,
            0.125 + 0.045 * rng.random(count),
        ],
        axis=1,
    )
    crown(board, rng, f32(blobs), palette, light, max(320, min(3400, height * 7)), 0.013 + 1.6 / max(height, 60))
    return board.done(height)


def bush(height: int, rng: Rng, light: Direction, palette: Palette = OLIVE) -> Array:
    """A low round shrub."""
    board = Board(height, 1.7)
    count = 9
    x = np.linspace(0.3, 1.4, count) + rng.normal(0, 0.04, count)
    lift = 1 - np.abs(np.linspace(-1, 1, count)) ** 2
    top = np.stack([x, 0.8 - 0.36 * lift * (0.7 + 0.5 * rng.random(count)), 0.17 + 0.08 * lift], axis=1)
    foot = np.stack([np.linspace(0.36, 1.34, 6), np.full(6, 0.82), np.full(6, 0.17)], axis=1)
    blobs = np.concatenate([foot, top])
    crown(board, rng, f32(blobs), palette, light, max(220, min(2200, height * 9)), 0.026 + 1.6 / max(height, 60))
    return board.done(height)


def pine(height: int, rng: Rng, light: Direction, palette: Palette = NEEDLE, snow: float = 0.0) -> Array:
    """A conifer: tiers of drooping boughs, each a fan of needle strokes; `snow` whitens their upper sides."""
    board = Board(height, 0.56)
    board.limb([(0.28, 1.0), (0.28, 0.86)], [0.05, 0.045], BARK[0], BARK[1], light[0])
    tiers = 13
    for i in range(tiers):
        t = i / (tiers - 1)
        base = 0.93 - 0.82 * t
        half = (0.255 * (1 - t) ** 0.85 + 0.018) * (0.9 + 0.2 * rng.random())
        drop = 0.055 + 0.05 * (1 - t)
        count = 26
        at = np.linspace(-1, 1, count) + rng.normal(0, 0.05, count)
        for a in at[np.argsort(-np.abs(at))]:
            shade = 0.42 + 0.3 * a * light[0] + 0.12 * t + rng.normal(0, 0.1)
            tip: Point = (0.28 + a * half, base + drop * (0.35 + 0.65 * abs(a)) * (0.8 + 0.4 * rng.random()))
            root: Point = (0.28 + a * half * 0.12, base - drop * 0.95)
            wide = half * 0.16 + 0.006
            color = _one(palette, shade - 0.16)
            board.polygon([root, (tip[0] - wide, tip[1]), (tip[0] + wide * 0.6, tip[1] + 0.008)], color)
            color = _one(palette, shade + 0.1)
            board.polygon([root, (tip[0] - wide * 0.5, tip[1] - 0.012), (tip[0] + wide * 0.5, tip[1] - 0.008)], color)
            if rng.random() < snow:
                white = _one(FROSTED, 0.78 + 0.2 * a * light[0])
                mid: Point = (0.28 + a * half * 0.55, base - drop * 0.3)
                board.polygon(
                    [root, (mid[0] - wide * 0.6, mid[1]), (tip[0], tip[1] - 0.02), (mid[0] + wide * 0.6, mid[1])], white
                )
    return board.done(height)


def snowy_pine(height: int, rng: Rng, light: Direction) -> Array:
    """A conifer laden with snow."""
    return pine(height, rng, light, NEEDLE, 0.62)


def palm(height: int, rng: Rng, light: Direction) -> Array:
    """A leaning palm with arching fronds and coconuts."""
    board = Board(height, 0.9)
    lean = (0.1 + 0.1 * rng.random()) * (1 if rng.random() < 0.5 else -1)
    steps = 16
    t = np.linspace(0, 1, steps)
    xs, ys = 0.45 - lean * 0.8 + lean * 1.3 * t**1.7, 1.0 - 0.7 * t
    points: list[Point] = [(float(a), float(b)) for a, b in zip(xs, ys, strict=True)]
    widths = [0.052 - 0.026 * k + (0.02 if i == 0 else 0) for i, k in enumerate(t.tolist())]
    board.limb(points, widths, rgb("5b4330"), rgb("b9946a"), 1.0 if light[0] > 0 else -1.0)
    for i in range(1, steps):
        x, y = points[i]
        board.stroke([(x - widths[i] * 0.5, y), (x, y + 0.006), (x + widths[i] * 0.5, y)], 0.005, rgb("4a3525"))
    cx, cy = points[-1]
    fronds = 13
    angles = np.linspace(-0.3, np.pi + 0.3, fronds) + rng.normal(0, 0.07, fronds)
    for rank, a in enumerate(rng.permutation(angles)):
        _frond(board, rng, (cx, cy), float(a), 0.3 + 0.09 * rng.random(), light, rank / fronds)
    for dx in (-0.022, 0.02, 0.0):
        board.dabs(f32([cx + dx]), f32([cy + 0.028]), f32([0.02]), f32([0.022]), f32([rgb("5a3a22")]))
        board.dabs(
            f32([cx + dx + 0.006 * light[0]]), f32([cy + 0.022]), f32([0.009]), f32([0.009]), f32([rgb("9a6f45")])
        )
    return board.done(height)


def _frond(board: Board, rng: Rng, root: Point, angle: float, length: float, light: Direction, rank: float) -> None:
    steps = 22
    t = np.linspace(0, 1, steps)
    droop = 0.24 * min(1.6, length / 0.3)
    xs = root[0] + np.cos(angle) * length * t
    ys = root[1] - np.sin(angle) * length * t * 0.95 + droop * t**2.2 * (0.5 + 0.5 * abs(np.cos(angle)))
    for i in range(1, steps):
        k = t[i]
        leaf = 0.085 * np.sin(np.pi * min(1.0, k * 0.86 + 0.12)) + 0.012
        dx, dy = xs[i] - xs[i - 1], ys[i] - ys[i - 1]
        norm = float(np.hypot(dx, dy)) + 1e-6
        for side in (-1, 1):
            px, py = -dy / norm * side, dx / norm * side
            tip = (
                xs[i] + dx / norm * leaf * 0.75 + px * leaf * 0.7,
                ys[i] + dy / norm * leaf * 0.75 + py * leaf * 0.7 + leaf * 0.35,
            )
            shade = 0.38 + 0.28 * (px * light[0] - py * light[1]) + 0.2 * rank + rng.normal(0, 0.06)
            color = _one((rgb("17452b"), rgb("2f7d3a"), rgb("a4d04f")), shade)
            board.polygon([(xs[i - 1], ys[i - 1]), tip, (xs[i], ys[i])], color)
    board.stroke([(float(a), float(b)) for a, b in zip(xs, ys, strict=True)], 0.005, rgb("86a348"))


def cherry_tree(height: int, rng: Rng, light: Direction) -> Array:
    """A tree in pink blossom."""
    return tree(height, rng, light, BLOSSOM)


def autumn_tree(height: int, rng: Rng, light: Direction) -> Array:
    """A tree in autumn leaf."""
    return tree(height, rng, light, AUTUMN if rng.random() < 0.65 else CRIMSON)


def bare_tree(height: int, rng: Rng, light: Direction) -> Array:
    """A leafless tree."""
    board = Board(height, 1.0)

    def grow(at: Point, angle: float, length: float, width: float, depth: int) -> None:
        bend = angle + rng.normal(0, 0.12)
        middle: Point = (at[0] + np.cos(angle) * length * 0.5, at[1] - np.sin(angle) * length * 0.5)
        tip: Point = (middle[0] + np.cos(bend) * length * 0.5, middle[1] - np.sin(bend) * length * 0.5)
        board.limb([at, middle, tip], [width, width * 0.85, width * 0.7], rgb("2a1f1e"), rgb("6e5a50"), light[0])
        if depth == 0:
            return
        for k in range(2 + (rng.random() < 0.35)):
            turn = (0.25 + 0.4 * rng.random()) * (1 if k % 2 else -1)
            grow(tip, bend + turn, length * (0.66 + 0.16 * rng.random()), width * 0.66, depth - 1)

    grow((0.5, 1.0), np.pi / 2, 0.3, 0.06, 6)
    return board.done(height)


def cactus(height: int, rng: Rng, light: Direction) -> Array:
    """A saguaro with ribs and one to three arms."""
    board = Board(height, 0.62)
    dark, mid, pale = rgb("1f5138"), rgb("3c8450"), rgb("93c46a")

    def column(points: list[Point], width: float) -> None:
        board.limb(points, [width] * len(points), dark, mid, light[0])
        x0, y0 = points[0]
        board.dabs(f32([x0]), f32([y0]), f32([width / 2]), f32([width / 2]), f32([dark]))
        for k in (-0.3, -0.1, 0.1, 0.3):
            tone_ = pale if k * light[0] > 0 else dark
            board.stroke([(px + k * width, py) for px, py in points], width * 0.045, tone_)

    arms = int(rng.integers(2, 4))
    for i in range(arms):
        side = -1 if i % 2 else 1
        y = 0.62 - 0.13 * i + 0.05 * rng.random()
        out = 0.15 + 0.03 * rng.random()
        column([(0.31, y), (0.31 + side * out, y), (0.31 + side * out, y - 0.2 - 0.1 * rng.random())], 0.085)
    column([(0.31, 1.0), (0.31, 0.5), (0.31, 0.09)], 0.135)
    return board.done(height)


def flowers(height: int, rng: Rng, light: Direction, color: Rgb | None = None) -> Array:
    """A clump of wild flowers in grass."""
    board = Board(height, 1.3)
    kinds = [rgb(c) for c in ("f25c78", "ffd23f", "ffffff", "b07cf0", "ff8f3c", "6aa5ff")]
    bloom = color or kinds[int(rng.integers(len(kinds)))]
    grass(board, rng, 26, 0.75)
    for _ in range(9):
        x, y = 0.15 + rng.random(), 0.12 + 0.45 * rng.random()
        board.stroke([(x + rng.normal(0, 0.05), 1.0), (x, y)], 0.022, rgb("3f7d33"))
        size = 0.075 + 0.03 * rng.random()
        petals = np.arange(6) * np.pi / 3 + rng.random()
        px, py = x + np.cos(petals) * size, y + np.sin(petals) * size * 0.8
        shade = 0.82 + 0.2 * (np.cos(petals) * light[0] - np.sin(petals) * light[1])
        radius = np.full(6, size * 0.62)
        board.dabs(f32(px), f32(py), f32(radius), f32(radius * 0.85), f32(np.outer(shade, bloom)))
        board.dabs(
            f32([x]),
            f32([y]),
            f32([size * 0.5]),
            f32([size * 0.45]),
            f32([rgb("ffcf3a" if bloom[2] > 0.3 else "7a3b1e")]),
        )
    return board.done(height)


def grass(board: Board, rng: Rng, blades: int, height: float, palette: Palette = LEAF) -> None:
    """Blades of grass along the lower edge of a board."""
    width = board.image.width / board.unit
    for _ in range(blades):
        x = rng.random() * width
        tall = height * (0.45 + 0.55 * rng.random())
        lean = rng.normal(0, 0.12)
        wide = 0.018 + 0.02 * rng.random()
        color = _one(palette, 0.3 + 0.55 * rng.random())
        board.polygon(
            [
                (x - wide, 1.0),
                (x + lean * 0.4, 1 - tall * 0.6),
                (x + lean, 1 - tall),
                (x + lean * 0.4 + wide, 1 - tall * 0.55),
                (x + wide, 1.0),
            ],
            color,
        )


def tuft(height: int, rng: Rng, light: Direction, palette: Palette = LEAF) -> Array:
    """A tuft of grass."""
    board = Board(height, 1.4)
    grass(board, rng, 34, 0.95, palette)
    return board.done(height)


def fern(height: int, rng: Rng, light: Direction) -> Array:
    """A fern: arching fronds from one root."""
    board = Board(height, 1.7)
    for rank, a in enumerate(rng.permutation(np.linspace(0.5, np.pi - 0.5, 11))):
        _frond(board, rng, (0.85, 0.98), float(a), 0.8 + 0.14 * rng.random(), light, rank / 11)
    return board.done(height)
