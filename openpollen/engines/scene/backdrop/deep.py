"""Under water: blue depth, shafts and caustics, a sandy floor, reefs on both sides, kelp, bubbles and far fish."""

from __future__ import annotations

import numpy as np

from ..atmosphere import air_of
from ..noise import Rng, child, line, sample, texture
from ..paint import blend, clear, f32, grid, lay, over, ramp, rgb, scale, smoothstep
from ..props import draw_prop
from ..props.canvas import Board, sized
from ..terrain import Camera, lambert, project
from ..types import Array, Layer, Light, Plan, Rgb, Stage
from .land import between, layer

_WATER = {
    "day": ("8ff0f4", "2aa6d8", "0c4f94", "06285c"),
    "dawn": ("ffe2c0", "5aa8c4", "28588f", "14305f"),
    "sunset": ("ffd9a0", "c98f8a", "4a5f9a", "1f2a60"),
    "dusk": ("a89ad8", "4a5aa8", "232f70", "0e1440"),
    "night": ("5a86d8", "1c4488", "0b2250", "040d28"),
}


def underwater(plan: Plan, w: int, h: int, rng: Rng) -> Stage:
    """The sea from below, with a reef."""
    camera = Camera(h, w, 0.5)
    colors = [rgb(code) for code in _WATER[plan.time]]
    air = air_of(plan)
    dim = 0.42 if air.night else 0.75 if plan.time == "dusk" else 1.0
    own = child(rng)
    sun = 0.3 + 0.4 * float(own.random())
    image = _depths(colors, camera, sun)
    light = Light(
        ((sun - 0.5) * 0.5, 0.97),
        blend(colors[0], (1, 1, 1), 0.35),
        scale(colors[1], 0.85),
        0.7 * dim,
        colors[0],
        (sun, 0.0),
    )
    far = _far_reef(own, camera, colors)
    floor, skyline = _floor(own, camera, colors, light)
    reef = _reef(own, camera, plan, colors, light, floor.rgba)
    shafts = Layer(_shafts(own, camera, sun, colors[0], 0.5 * dim + 0.12), 0.7, "light")
    fish = Layer(_shoal(own, camera, colors), 0.3, "fish")
    bubbles = Layer(_bubbles(own, camera, 60 if "bubbles" in plan.extra else 26), 0.8, "bubbles")
    back = np.ones((h, w, 4), np.float32)
    back[..., :3] = image
    layers = [Layer(back, 0.0, "water"), far, fish, floor, reef, shafts, bubbles]
    layers = [part for part in layers if {"fish": "shoal"}.get(part.name, part.name) not in plan.denied]
    out = image.copy()
    for part in layers[1:]:
        over(out, part.rgba)
    return Stage(
        image=np.clip(out, 0, 1),
        horizon=camera.horizon,
        ground=skyline,
        ground_band=(0.8, 0.94),
        water=None,
        light=light,
        haze=(colors[1], 0.6),
        layers=tuple(layers),
        foreground=_front(own, camera, colors, light),
    )


def _depths(colors: list[Rgb], camera: Camera, sun: float) -> Array:
    h, w = camera.h, camera.w
    gu, gv = grid(h, w)
    distance = np.hypot((gu - sun * w / h) * 0.75, gv + 0.12)
    return ramp(
        f32(np.clip(distance, 0, 1.25)),
        [
            (0.0, colors[0]),
            (0.3, blend(colors[0], colors[1], 0.75)),
            (0.7, blend(colors[1], colors[2], 0.75)),
            (1.25, colors[3]),
        ],
    )


def _far_reef(rng: Rng, camera: Camera, colors: list[Rgb]) -> Layer:
    h, w = camera.h, camera.w
    out = clear(h, w)
    gu, gv = grid(h, w)
    for i, fade in enumerate((0.8, 0.58)):
        edge = 0.56 + 0.08 * i - 0.09 * line(rng, w, w / h, 1.3, 6, 0.55) - 0.1 * np.abs(gu[0] * h / w - 0.5) * 2
        alpha = smoothstep(-0.003, 0.003, gv - edge[None, :])
        color = blend(blend(colors[3], colors[2], 0.5), blend(colors[1], colors[2], 0.5), fade)
        lay(out, color, alpha)
    return Layer(out, 0.2, "far reef")


def _floor(rng: Rng, camera: Camera, colors: list[Rgb], light: Light) -> tuple[Layer, Array]:
    tile, web = texture(rng, 256, 2.4, 2), texture(rng, 256, 2.0, 6)
    z, x = camera.fan(220, 16.0)
    height = f32(0.28 * smoothstep(1.4, 5, z) * sample(tile, x / 7, z / 7) + 0.02 * z * 0.6)
    sun = lambert(height, x, z, light, 0.3)
    view = project(camera, height, z)
    far = view.gather_row(z[:, 0])
    gu, _ = grid(camera.h, camera.w)
    fx = (gu - 0.5 * camera.w / camera.h) * far
    ridge = 0.5 + 0.5 * np.sin(far * 11 + 1.8 * np.sin(fx * 1.6) + sample(tile, fx / 3, far / 3) * 5)
    sand = between(
        rgb("b59a68"),
        rgb("f6e6b8"),
        f32(0.45 + 0.2 * ridge * np.exp(-far * 0.2) + 0.25 * sample(tile, fx / 2, far / 2)),
    )
    lace = _caustics(web, fx * 0.3, far * 0.42)
    glow = view.gather(sun)
    for c in range(3):
        level = light.ambient[c] * 0.9 + light.color[c] * light.strength * (
            0.45 * glow + 0.9 * lace * np.exp(-far * 0.14)
        )
        sand[..., c] *= level
    murk = f32(1 - np.exp(-np.maximum(far - 1.2, 0) * 0.2))
    lay(sand, blend(colors[1], colors[2], 0.62), murk)
    return layer(sand, view.cover, 0.5, "floor"), view.skyline


def _caustics(web: Array, u: Array, v: Array) -> Array:
    """The bright net that waves throw on the ground."""
    a = 1 - np.abs(sample(web, u, v)) * 2.4
    b = 1 - np.abs(sample(web, u * 1.3 + 0.4, v * 1.3 + 0.2)) * 2.4
    return f32(np.clip(a, 0, 1) ** 3 * 0.7 + np.clip(b, 0, 1) ** 3 * 0.6)


def _reef(rng: Rng, camera: Camera, plan: Plan, colors: list[Rgb], light: Light, ground: Array) -> Layer:
    h, w = camera.h, camera.w
    out = clear(h, w)
    corals = [draw_prop("coral", max(14, int(0.22 * h)), rng, light.direction) for _ in range(9)]
    weeds = [draw_prop("seaweed", max(16, int(0.36 * h)), rng, light.direction) for _ in range(3)]
    rocks = [draw_prop("rock", max(14, int(0.2 * h)), rng, light.direction) for _ in range(3)]
    count = int((34 if "reef" in plan.extra else 25) * w / h) + 5
    items: list[tuple[float, float, Array, float]] = []
    for _ in range(count):
        near = rng.random()
        side = rng.beta(0.7, 2.0) * (0.5 if near < 0.35 else 0.36)
        x = side if rng.random() < 0.5 else 1 - side
        y = 0.64 + 0.32 * near
        pick = rng.random()
        kind, tall = (corals, 0.15) if pick < 0.56 else (weeds, 0.3) if pick < 0.78 else (rocks, 0.13)
        items.append(
            (y, x, kind[int(rng.integers(len(kind)))], tall * (0.42 + 0.75 * near) * (0.75 + 0.5 * rng.random()))
        )
    for y, x, sprite, tall in sorted(items, key=lambda item: item[0]):
        drawn = _wet(sized(sprite, max(4, int(tall * h)), rng.random() < 0.5), light, colors, 1 - (y - 0.64) / 0.32)
        _pool(ground, x * w, y * h, drawn.shape[1])
        over(out, drawn, int(x * w - drawn.shape[1] / 2), int(y * h - drawn.shape[0]))
    return Layer(out, 0.6, "reef")


def _wet(sprite: Array, light: Light, colors: list[Rgb], far: float) -> Array:
    """A prop in water: lit from above, its colours lost to the blue with distance."""
    out = sprite.copy()
    fade = 0.1 + 0.6 * far
    rows = np.linspace(1.1, 0.82, sprite.shape[0], dtype=np.float32)[:, None]
    for c in range(3):
        level = light.ambient[c] * 0.75 + light.color[c] * light.strength * 0.75 * rows
        out[..., c] = np.minimum(out[..., c] * level, out[..., 3]) * (1 - fade)
        out[..., c] += blend(colors[1], colors[2], 0.55)[c] * fade * out[..., 3]
    return out


def _pool(image: Array, x: float, y: float, wide: float) -> None:
    h, w = image.shape[:2]
    rx, ry = max(2.0, wide * 0.6), max(1.5, wide * 0.13)
    x0, x1, y0, y1 = max(0, int(x - rx)), min(w, int(x + rx) + 1), max(0, int(y - ry)), min(h, int(y + ry) + 1)
    if x0 >= x1 or y0 >= y1:
        return
    gy, gx = np.ogrid[y0:y1, x0:x1]
    dark = 1 - 0.5 * np.clip(1 - ((gx - x) / rx) ** 2 - ((gy - y) / ry) ** 2, 0, 1)
    for c in range(3):
        image[y0:y1, x0:x1, c] *= dark


def _shafts(rng: Rng, camera: Camera, sun: float, color: Rgb, amount: float) -> Array:
    h, w = camera.h, camera.w
    gu, gv = grid(h, w)
    angle = np.arctan2(gu - sun * w / h, gv + 0.35)
    profile = line(rng, 1024, 3.0, 5.0, 5, 0.62)
    at = np.clip((angle + 1.5) / 3.0 * 1023, 0, 1023).astype(np.int32)
    beams = smoothstep(-0.1, 1.0, profile)[at] * smoothstep(0.95, 0.0, gv) ** 1.4
    out = clear(h, w)
    lay(out, color, f32(np.clip(beams * amount, 0, 1)))
    return out


def _shoal(rng: Rng, camera: Camera, colors: list[Rgb]) -> Array:
    """Far fish as small shapes that swim one way."""
    board = Board(camera.h, camera.w / camera.h)
    tone_ = blend(colors[2], colors[3], 0.3)
    for _ in range(3):
        cx, cy = rng.random() * camera.w / camera.h, 0.2 + 0.3 * rng.random()
        way = 1 if rng.random() < 0.5 else -1
        for _ in range(int(rng.integers(8, 18))):
            x, y, s = cx + rng.normal(0, 0.07), cy + rng.normal(0, 0.028), 0.008 + 0.006 * rng.random()
            board.polygon(
                [
                    (x + way * s, y),
                    (x, y - s * 0.42),
                    (x - way * s * 0.7, y),
                    (x - way * s * 1.3, y - s * 0.4),
                    (x - way * s * 1.3, y + s * 0.4),
                    (x - way * s * 0.7, y),
                    (x, y + s * 0.42),
                ],
                tone_,
            )
    return board.done(camera.h) * np.float32(0.6)


def _bubbles(rng: Rng, camera: Camera, count: int) -> Array:
    h, w = camera.h, camera.w
    out = clear(h, w)
    columns = rng.random(5)
    for _ in range(int(count * max(1.0, w / h))):
        x = (columns[int(rng.integers(5))] + rng.normal(0, 0.025)) * w
        y, r = rng.random() * 0.85 * h, (0.003 + 0.009 * rng.random() ** 2) * h
        x0, x1, y0, y1 = max(0, int(x - r - 2)), min(w, int(x + r) + 3), max(0, int(y - r - 2)), min(h, int(y + r) + 3)
        if x0 >= x1 or y0 >= y1:
            continue
        gy, gx = np.ogrid[y0:y1, x0:x1]
        d = np.hypot(gx - x, gy - y) / r
        shine = np.exp(-(((gx - x + r * 0.4) ** 2 + (gy - y + r * 0.4) ** 2) / (0.12 * r * r + 0.3)))
        alpha = f32(np.clip(np.exp(-(((d - 0.9) / 0.14) ** 2)) * 0.55 + 0.1 * (d < 0.95) + shine * 0.8 * (d < 1), 0, 1))
        lay(out[y0:y1, x0:x1], (0.92, 0.98, 1.0), alpha)
    return out


def _front(rng: Rng, camera: Camera, colors: list[Rgb], light: Light) -> Array:
    """Dark kelp and coral in the lower corners, close to the viewer."""
    h, w = camera.h, camera.w
    out = clear(h, w)
    for x, key, tall in ((0.03, "seaweed", 0.42), (0.97, "seaweed", 0.36), (0.1, "coral", 0.15), (0.9, "coral", 0.17)):
        sprite = draw_prop(key, max(8, int(tall * h)), rng, light.direction)
        drawn = _wet(sprite, light, colors, 0.1) * np.float32(1.0)
        drawn[..., :3] *= 0.5
        over(out, drawn, int(x * w - drawn.shape[1] / 2), h - drawn.shape[0] + int(0.03 * h))
    return out
