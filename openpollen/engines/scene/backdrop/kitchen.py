"""A kitchen: a wooden counter in front of tiles, shelves and a window."""

from __future__ import annotations

import numpy as np

from ..atmosphere import air_of
from ..noise import Rng, child, sample, texture
from ..paint import blend, blur, clear, f32, grid, opaque, over, rgb, smoothstep
from ..props.canvas import svg
from ..terrain import Camera
from ..types import Array, Layer, Plan, Stage
from .indoor import KITCHEN, indoor_stage, lamplight, room_light
from .window import daylight, hang_window, window_box, window_view


def kitchen(plan: Plan, w: int, h: int, rng: Rng) -> Stage:
    """A kitchen counter with tiles, cupboards, shelves and a window behind it."""
    own = child(rng)
    camera = Camera(h, w, 0.4)
    window_left = bool(own.random() < 0.5)
    box = window_box(camera, window_left)
    day = daylight(plan)
    image = _kitchen_wall(own, camera, plan, box, day)
    hang_window(image, window_view(plan, child(rng), box), box, plan, KITCHEN.trim, KITCHEN.stone)
    things = clear(h, w)
    level = 0.5 + 0.5 * day
    _shelf_with_jars(things, own, camera, 0.72 if window_left else 0.28, level)
    image = blur(image, 0.0022 * h)
    counter = _counter(own, camera, plan, box, day)
    glow = lamplight(image, things, plan, camera, (w * (0.72 if window_left else 0.28), 0.1 * h), day)
    layers = [
        Layer(opaque(np.clip(image, 0, 1)), 0.0, "room"),
        Layer(things, 0.3, "shelf"),
        Layer(counter, 0.6, "counter"),
        Layer(glow, 0.7, "light"),
    ]
    return indoor_stage(
        layers, camera, room_light(plan, window_left, day), KITCHEN, (0.8, 0.92), f32(np.full(w, 0.72 * h))
    )


def _kitchen_wall(rng: Rng, camera: Camera, plan: Plan, box: tuple[int, int, int, int], day: float) -> Array:
    h, w = camera.h, camera.w
    gu, gv = grid(h, w)
    cell = 0.055
    row = np.floor(gv / cell)
    shift = 0.5 * (row % 2)
    column = np.floor(gu / (cell * 2) + shift)
    fx, fy = gu / (cell * 2) + shift - column, gv / cell - row
    joint = smoothstep(0.0, 0.03, np.minimum(fx, 1 - fx)) * smoothstep(0.0, 0.06, np.minimum(fy, 1 - fy))
    pick = np.abs(np.sin(row * 12.9898 + column * 78.233) * 43758.5453) % 1
    shine = smoothstep(0.35, 0.0, np.abs(fx - 0.25 + 0.3 * fy)) * 0.05
    air = air_of(plan)
    wx, wy = (box[0] + box[2]) / 2 / h, (box[1] + box[3]) / 2 / h
    near = np.exp(-((gu - wx) ** 2 + (gv - wy) ** 2) / 0.3)
    out = np.empty((h, w, 3), np.float32)
    for c in range(3):
        tile = (0.86, 0.92, 0.9)[c] * (0.9 + 0.1 * pick) + shine
        plane = (0.72, 0.74, 0.72)[c] + (tile - (0.72, 0.74, 0.72)[c]) * joint
        out[..., c] = plane * ((0.34 + 0.36 * day) + near * 0.36 * day * blend(air.sun, (1, 1, 1), 0.4)[c])
    return out


def _shelf_with_jars(target: Array, rng: Rng, camera: Camera, x: float, level: float) -> None:
    h, w = camera.h, camera.w
    jars: list[str] = []
    for shelf_y in (62, 132):
        at = 16.0
        while at < 210:
            wide, tall = 16 + 14 * rng.random(), 24 + 20 * rng.random()
            color = ("c9503c", "e0a84a", "6f9a5a", "8a5a3a", "d8c8a8", "5a8aa0")[int(rng.integers(6))]
            jars.append(
                f'<rect x="{at:g}" y="{shelf_y - tall:g}" width="{wide:g}" height="{tall:g}" rx="4" fill="#{color}"/>'
                f'<rect x="{at + 2:g}" y="{shelf_y - tall - 5:g}" width="{wide - 4:g}" height="6" rx="2" fill="#7a5a3c"/>'
                f'<rect x="{at + 3:g}" y="{shelf_y - tall + 5:g}" width="3" height="{tall - 11:g}" rx="1.5" fill="#fff" '
                'fill-opacity=".4"/>'
            )
            at += wide + 5 + 8 * rng.random()
        jars.append(
            f'<rect x="4" y="{shelf_y}" width="232" height="9" rx="2" fill="#a8743f"/><rect x="4" y="{shelf_y + 9}" '
            'width="232" height="5" fill="#000" fill-opacity=".16"/>'
        )
    drawn = svg("".join(jars), (240, 160), max(8, int(0.34 * h))).copy()
    drawn[..., :3] *= np.float32(level)
    over(target, drawn, int(x * w - drawn.shape[1] / 2), int(0.1 * h))


def _counter(rng: Rng, camera: Camera, plan: Plan, box: tuple[int, int, int, int], day: float) -> Array:
    """A wooden worktop that fills the foreground."""
    h, w = camera.h, camera.w
    gu, gv = grid(h, w)
    top = 0.7
    z = 0.5 / np.maximum(gv - 0.52, 0.02)
    x = (gu - 0.5 * w / h) * z
    grain = texture(rng, 512, 1.1, 3)
    plank = np.floor(z / 0.5)
    pick = np.abs(np.sin(plank * 12.9898 + 3) * 43758.5453) % 1
    tone_ = 0.45 + 0.3 * pick + 0.3 * sample(grain, x * 0.06 + pick, z * 1.2)
    joint = smoothstep(0.0, 0.03, z / 0.5 - plank)
    air = air_of(plan)
    wx = (box[0] + box[2]) / 2 / h
    sheen = np.exp(-(((gu - wx) / 0.22) ** 2)) * smoothstep(0.99, 0.68, gv) * 0.34 * day
    out = np.empty((h, w, 4), np.float32)
    alpha = smoothstep(-0.002, 0.002, gv - top) + 0 * gu
    for c in range(3):
        dark, pale = rgb("84512a")[c], rgb("d29a5e")[c]
        plane = (dark + (pale - dark) * np.clip(tone_, 0, 1)) * (0.7 + 0.3 * joint) * (0.5 + 0.45 * day)
        plane = plane * (1 - 0.35 * np.exp(-np.clip(gv - top, 0, 1) / 0.02)) + sheen * blend(air.sun, (1, 1, 1), 0.5)[c]
        out[..., c] = np.clip(plane, 0, 1) * alpha
    out[..., 3] = alpha
    return out
