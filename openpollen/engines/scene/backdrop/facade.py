"""The fronts of city buildings: windows, shops, awnings, by day and lit at night."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..paint import blend, f32, luminance, rgb, smoothstep
from ..sky import Sky
from ..types import Array, Rgb

WALLS = tuple(
    rgb(c) for c in ("b5654a", "d8b98c", "8c99a8", "c98a6a", "e2d6c2", "77838f", "a8705c", "9fb0a8", "c4a884")
)
NIGHT_WALLS = tuple(rgb(c) for c in ("5a3f4f", "4c4f68", "3f4a62", "6a4c4c", "565068", "3d4456"))
NEON = tuple(rgb(c) for c in ("ff2fa0", "22e6ff", "ffe23c", "7a5cff", "4cff9a", "ff6a3c"))
WARM = tuple(rgb(c) for c in ("ffd78a", "ffe9b8", "ffb85c", "cfe4ff"))


@dataclass(frozen=True)
class Mood:
    """How a street is lit: the share of lit windows, their colours, whether lamps burn and the ground is wet."""

    lit: float
    glow: tuple[Rgb, ...]
    lamps: bool
    wet: bool
    neon: bool
    walls: tuple[Rgb, ...]


def hashed(a: Array, b: Array, c: int) -> Array:
    """A repeatable value 0..1 for whole numbers a, b and a key."""
    n = a.astype(np.int64) * 73856093 ^ b.astype(np.int64) * 19349663 ^ (c * 83492791)
    n = (n ^ (n >> 13)) * 1274126177
    return f32(((n ^ (n >> 16)) & 0xFFFF) / 65535)


def facade(
    along: Array, high: Array, tall: float, color: Rgb, key: int, sky: Sky, mood: Mood, facing: float, z: Array
) -> tuple[Array, Array]:
    """Colour and emitted light of a facade at places `along` it and `high` above the street."""
    own = np.random.default_rng(key)
    cell_w, cell_h = 0.42 + 0.3 * own.random(), 0.52 + 0.2 * own.random()
    column, row = np.floor(along / cell_w), np.floor((high - 1.15) / cell_h)
    fx, fy = along / cell_w - column, (high - 1.15) / cell_h - row
    wide, low, top = 0.2 + 0.12 * own.random(), 0.2, 0.82
    upper = high > 1.2
    window = (fx > wide) & (fx < 1 - wide) & (fy > low) & (fy < top) & upper & (high < tall - 0.25)
    shop = (high > 0.14) & (high < 0.82) & (np.abs(along / 1.1 % 1 - 0.5) < 0.42)
    frame = (np.abs(fx - 0.5) < 0.03) | (np.abs(fy - 0.52) < 0.03)
    pick = hashed(column, row, key)
    chance = hashed(row, column, key + 7)
    far = f32(np.clip(1 - np.exp(-z * 0.022 * (0.5 + 2 * sky.air.murk)), 0, 1))
    sill = ((fy < low) & (fy > low - 0.09) & (fx > wide - 0.05) & (fx < 1.05 - wide) & upper).astype(np.float32)
    ledge = (((high > 1.0) & (high < 1.14)) | (high > tall - 0.16)).astype(np.float32)
    grime = 1 - 0.18 * smoothstep(1.6, 0.0, high) + 0.1 * (hashed(np.floor(along * 9), np.floor(high * 14), key) - 0.5)
    lamp = smoothstep(1.8, 0.2, high) * (0.5 if mood.lamps else 0.0) * (1 - luminance(sky.light.ambient))
    lit_window = window & (chance < mood.lit) & ~frame
    lit_shop = shop & (mood.lit > 0.05)
    bay = along / 1.1
    pane = np.abs(bay % 1 - 0.5) < 0.4
    pick_bay = hashed(np.floor(bay), np.zeros_like(bay), key + 3)
    goods = hashed(np.floor(along * 8), np.floor(high * 9), key + 5)
    mullion = (np.abs(bay * 2 % 1 - 0.5) > 0.47) | (np.abs(high - 0.66) < 0.012)
    display = (0.3 + 0.5 * pick_bay) * (0.45 + 0.7 * high) * np.where((high < 0.42) & (goods > 0.55), 0.55, 1.0)
    display = np.where(mullion, 0.1, display)
    shop_tint = blend(WARM[key % 3], NEON[key % len(NEON)], 0.55 if mood.neon else 0.06)
    glow_color = mood.glow
    face, shine = np.empty((*along.shape, 3), np.float32), np.zeros((*along.shape, 3), np.float32)
    awning = (high > 0.82) & (high < 1.0)
    stripe = (np.floor(along / 0.16) % 2 == 0) & awning
    tint_ = NEON[key % len(NEON)] if mood.neon else ((*WALLS, rgb("b8352f"), rgb("2f6f8a"), rgb("3f7d4f")))[key % 12]
    for c in range(3):
        level = sky.light.ambient[c] * 0.85 + sky.light.color[c] * sky.light.strength * facing
        plane = (color[c] * grime + 0.12 * sill + 0.08 * ledge) * level + lamp * WARM[0][c] * color[c] * 0.9
        glass = (0.3 * sky.air.middle[c] + 0.36 * sky.air.horizon[c] * pick) * (0.75 + 0.25 * fy)
        plane = np.where(window | shop, glass * 0.85, plane)
        plane = np.where(awning, np.where(stripe, 0.92, tint_[c]) * level, plane)
        face[..., c] = plane + (sky.air.horizon[c] - plane) * far
        tones = f32([g[c] for g in glow_color]).take((pick * 977).astype(np.int32) % len(glow_color))
        bright = np.where(lit_window, tones * (0.55 + 0.45 * fy), 0.0)
        bright = np.where(lit_shop & pane, shop_tint[c] * display, bright)
        shine[..., c] = np.maximum(bright * (1 - 0.75 * far) - face[..., c] * (bright > 0), 0)
    return face, shine
