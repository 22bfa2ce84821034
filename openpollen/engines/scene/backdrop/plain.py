"""A plain studio backdrop, for logos, cards and portraits: one soft colour, lit from above, with a floor to stand on."""

from __future__ import annotations

import zlib

import numpy as np

from ..noise import Rng
from ..paint import f32, grid, opaque, over, rgb, smoothstep
from ..types import Layer, Light, Plan, Stage

_COLORS = ("f3e3d3", "dbe7f3", "e6e0f3", "dcefe2", "f6e0e4", "f5edcf")


def plain(plan: Plan, w: int, h: int, rng: Rng) -> Stage:
    """One even colour, the prompt's own when it names one, falling off to the corners."""
    own = rgb(_COLORS[zlib.crc32(plan.prompt.encode()) % len(_COLORS)])
    color = plan.palette[0].rgb if plan.palette else (0.97, 0.97, 0.97) if "white" in plan.prompt.lower() else own
    level = {"day": 1.0, "dawn": 0.96, "sunset": 0.92, "dusk": 0.72, "night": 0.45}[plan.time]
    gu, gv = grid(h, w)
    away = np.hypot((gu - 0.5 * w / h) * 0.85 * h / w, gv - 0.42)
    shade = 1.03 - 0.24 * smoothstep(0.15, 0.85, f32(away))
    wall, floor = np.empty((h, w, 3), np.float32), np.empty((h, w, 4), np.float32)
    floor[..., 3] = smoothstep(0.7, 0.76, gv) + 0 * gu
    for c in range(3):
        wall[..., c] = np.clip(color[c] * shade * level, 0, 1)
        floor[..., c] = wall[..., c] * 0.95 * floor[..., 3]
    image = wall.copy()
    over(image, floor)
    return Stage(
        image=image,
        horizon=0.5,
        ground=f32(np.full(w, 0.74 * h)),
        ground_band=(0.985, 0.985) if "portrait" in plan.extra else (0.84, 0.9),  # a bust is cut by the frame
        water=None,
        light=Light((-0.35, 0.94), (1.0, 0.99, 0.97), (0.6 * level, 0.6 * level, 0.6 * level), 0.62 * level),
        haze=((1.0, 1.0, 1.0), 0.0),
        layers=(Layer(opaque(wall), 0.0, "room"), Layer(floor, 0.3, "floor")),
    )
