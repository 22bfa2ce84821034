"""A theatre stage: velvet curtains, boards, spotlights in smoke."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..noise import Rng, child, fbm
from ..paint import blend, clear, f32, grid, lay, opaque, over, rgb, smoothstep
from ..terrain import Camera
from ..types import Array, Layer, Light, Plan, Rgb, Stage
from .indoor import HOUSES, floor_boards, indoor_stage


def stage(plan: Plan, w: int, h: int, rng: Rng) -> Stage:
    """A theatre stage: curtains, boards, spotlights."""
    own = child(rng)
    camera = Camera(h, w, 0.5)
    gu, gv = grid(h, w)
    hue = [rgb(c) for c in ("5a2a8a", "1f4a8a", "8a2a4a", "1f6a6a")][int(own.integers(4))]
    image = np.empty((h, w, 3), np.float32)
    glow = np.exp(-(((gu - 0.5 * w / h) / (0.5 * w / h)) ** 2) - ((gv - 0.55) / 0.4) ** 2)
    smoke = 0.75 + 0.35 * fbm(own, h, w, 3, 5, 0.55)
    for c in range(3):
        image[..., c] = 0.03 + hue[c] * glow * smoke * 0.95
    floor = _stage_floor(own, camera, hue)
    beams, pools = _spots(own, camera, w, h)
    over(floor, pools)
    drapes = _drapes(own, camera)
    layers = [
        Layer(opaque(np.clip(image, 0, 1)), 0.0, "hall"),
        Layer(floor, 0.3, "floor"),
        Layer(beams, 0.4, "light"),
        Layer(drapes, 0.8, "curtains"),
    ]
    light = Light(
        (-0.25, 0.95), rgb("fff0d0"), blend(hue, (0.5, 0.5, 0.55), 0.45), 0.68, blend(hue, (1, 1, 1), 0.55), None
    )
    out = indoor_stage(layers, camera, light, replace(HOUSES[0], wall=hue), (0.76, 0.9), f32(np.full(w, 0.66 * h)))
    out.foreground = None
    return out


def _stage_floor(rng: Rng, camera: Camera, hue: Rgb) -> Array:
    h, w = camera.h, camera.w
    gu, gv = grid(h, w)
    z = 0.5 / np.maximum(gv - 0.42, 0.02)
    x = (gu - 0.5 * w / h) * z
    boards = floor_boards(rng, f32(x * 1.5), f32(z * 1.5), HOUSES[0])
    far = smoothstep(0.66, 0.98, gv)
    alpha = smoothstep(0.655, 0.665, gv) + 0 * gu
    out = np.empty((h, w, 4), np.float32)
    for c in range(3):
        out[..., c] = np.clip(boards[..., c] * (0.34 + 0.12 * far) + hue[c] * 0.2 * (1 - far), 0, 1) * alpha
    out[..., 3] = alpha
    return out


def _spots(rng: Rng, camera: Camera, w: int, h: int) -> tuple[Array, Array]:
    """Beams from above and the pools of light where they fall."""
    gu, gv = grid(h, w)
    beams, pools = clear(h, w), clear(h, w)
    for x0, x1, code, width in ((0.24, 0.42, "ffe6b8", 0.17), (0.76, 0.58, "ffd0e8", 0.17), (0.5, 0.5, "fff8e6", 0.2)):
        t = np.clip((gv + 0.08) / 0.9, 0, 1)
        centre = (x0 + (x1 - x0) * t) * w / h
        half = 0.012 + width * t
        across = np.abs(gu - centre) / half
        beam = smoothstep(1.0, 0.35, across) * (0.42 - 0.26 * t) * smoothstep(0.86, 0.76, gv)
        lay(beams, rgb(code), f32(beam * 0.75))
        d = ((gu - x1 * w / h) / width) ** 2 + ((gv - 0.83) / (width * 0.34)) ** 2
        lay(pools, rgb(code), f32(smoothstep(1.15, 0.3, d) * 0.5))
    return beams, pools


def _drapes(rng: Rng, camera: Camera) -> Array:
    """Red velvet curtains at both sides and a valance above."""
    h, w = camera.h, camera.w
    gu, gv = grid(h, w)
    aspect = w / h
    reach = 0.17 * max(aspect, 0.8) - 0.03 * np.sin(gv * 3.0) + 0.05 * smoothstep(0.7, 1.0, gv) * 0
    edge = np.minimum(gu, aspect - gu)
    side = smoothstep(reach + 0.003, reach - 0.003, edge)
    fold = 0.5 + 0.5 * np.sin(edge * 62 + 1.1 * np.sin(gv * 4) + 0.4 * np.sin(edge * 23))
    drop = 0.12 + 0.03 * np.abs(np.sin(gu * np.pi * 3.0 / aspect * 1.3))
    top = smoothstep(drop + 0.003, drop - 0.003, gv)
    fold_top = 0.5 + 0.5 * np.sin(gu * 48 + 2.2 * np.sin(gu * 9) + gv * 5)
    alpha = np.maximum(side, top)
    t = np.where(top > 0.5, fold_top * 0.85 + 0.1, fold)
    t = t * (0.55 + 0.45 * smoothstep(0.0, 0.5, gv)) * smoothstep(-0.06, 0.1, edge)
    fringe = np.exp(-(((gv - drop + 0.012) / 0.006) ** 2)) * top
    out = np.empty((h, w, 4), np.float32)
    for c in range(3):
        plane = rgb("2e0508")[c] + (rgb("c8242c")[c] - rgb("2e0508")[c]) * t
        plane = plane + (rgb("f0c060")[c] - plane) * np.clip(fringe, 0, 1) * 0.85
        out[..., c] = np.clip(plane, 0, 1) * alpha
    out[..., 3] = alpha
    return out
