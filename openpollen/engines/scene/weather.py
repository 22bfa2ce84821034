"""Weather in front of and between things: rain, falling snow, fog, blown leaves and petals.

Falling things are drawn on sheets that repeat in both directions, so that a film can scroll them without a seam.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from .noise import Rng, child, fbm
from .paint import blend, clear, f32, grid, lay, over, rgb, smoothstep
from .types import Array, Layer, Plan, Rgb, Stage

OUTDOORS = frozenset(
    {"sea", "beach", "city", "forest", "desert", "mountain", "snow", "meadow", "sky", "jungle", "farm"}
)


@dataclass(frozen=True)
class Sheet:
    """One seamless plane of falling things. `fall` and `drift` are its speed in picture heights a second."""

    rgba: Array
    fall: float
    drift: float
    sway: float = 0.0

    def at(self, seconds: float) -> tuple[int, int]:
        """How far down and right the sheet has moved, in pixels, after a time."""
        h = self.rgba.shape[0]
        side = self.drift * seconds + self.sway * float(np.sin(seconds * 1.7))
        return round(self.fall * seconds * h), round(side * h)


def falling(plan: Plan, rng: Rng, h: int, w: int) -> list[Sheet]:
    """The sheets of what falls in this plan's weather, far ones first; empty when nothing does."""
    if plan.setting not in OUTDOORS:
        return []
    sheets: list[Sheet] = []
    if plan.weather in ("rain", "storm"):
        hard = 1.5 if plan.weather == "storm" else 1.0
        lean = 0.34 if plan.weather == "storm" else 0.12
        for size, count, speed in ((0.6, 420, 1.3), (1.0, 260, 1.9), (1.7, 70, 2.7)):
            rgba = _rain(child(rng), h, w, size, int(count * hard), lean, plan)
            sheets.append(Sheet(rgba, speed, -speed * lean))
    if plan.weather == "snow" or "snowfall" in plan.extra:
        for size, count, speed in ((0.5, 380, 0.1), (1.0, 150, 0.17), (2.1, 34, 0.3)):
            sheets.append(Sheet(_dots(child(rng), h, w, size, count, (1.0, 1.0, 1.0)), speed, -0.03, 0.02 * size))
    if plan.weather == "wind" or "petals" in plan.extra or ("autumn" in plan.extra and plan.setting != "city"):
        colors = (
            ("f7b6cc", "ffd9e6", "f092b4")
            if "petals" in plan.extra or "spring" in plan.extra
            else ("d0642a", "e8a33c", "b8452a")
            if "autumn" in plan.extra
            else ("7fa84a", "b7c46a", "93b45a")
        )
        windy = plan.weather == "wind"
        for size, count in ((0.7, 26), (1.2, 14)):
            rgba = _leaves(child(rng), h, w, size, count, tuple(rgb(c) for c in colors))
            sheets.append(Sheet(rgba, 0.1 * size, 0.5 * size if windy else 0.06, 0.03))
    return sheets


def _wrapped(x: float, y: float, reach: float, h: int, w: int) -> list[tuple[float, float]]:
    """The places where something near an edge must be drawn so that the sheet repeats."""
    xs = [x] + ([x + w] if x < reach else []) + ([x - w] if x > w - reach else [])
    ys = [y] + ([y + h] if y < reach else []) + ([y - h] if y > h - reach else [])
    return [(a, b) for a in xs for b in ys]


def _rain(rng: Rng, h: int, w: int, size: float, count: int, lean: float, plan: Plan) -> Array:
    image = Image.new("L", (w * 2, h * 2), 0)
    draw = ImageDraw.Draw(image)
    for _ in range(int(count * w / h) + 1):
        x, y = rng.random() * w, rng.random() * h
        long = (0.022 + 0.03 * rng.random()) * size * h
        tone = int(70 + 110 * rng.random())
        for a, b in _wrapped(x, y, long + 2, h, w):
            draw.line(
                [(a * 2, b * 2), ((a - lean * long) * 2, (b + long) * 2)],
                fill=tone,
                width=max(1, round(size * h / 520)),
            )
    alpha = f32(np.asarray(image.resize((w, h), Image.Resampling.BOX), dtype=np.float32)) / 255 * np.float32(0.62)
    dark = plan.time in ("night", "dusk")
    out = clear(h, w)
    lay(out, (0.62, 0.7, 0.86) if dark else (0.88, 0.92, 0.97), f32(alpha * (0.7 if dark else 0.85)))
    return out


def _dots(rng: Rng, h: int, w: int, size: float, count: int, color: Rgb) -> Array:
    alpha = np.zeros((h, w), np.float32)
    for _ in range(int(count * w / h) + 1):
        x, y = rng.random() * w, rng.random() * h
        r = (0.0022 + 0.0022 * rng.random()) * size * h + 0.4
        bright = 0.55 + 0.45 * rng.random()
        reach = int(np.ceil(r * 1.6)) + 1
        ys, xs = np.arange(int(y) - reach, int(y) + reach + 1), np.arange(int(x) - reach, int(x) + reach + 1)
        distance = np.hypot(xs[None, :] - x, ys[:, None] - y) / r
        spot = f32(bright * (smoothstep(1.15, 0.35, distance) if size < 1.5 else 0.7 * smoothstep(1.6, 0.2, distance)))
        index = np.ix_(ys % h, xs % w)
        alpha[index] = np.maximum(alpha[index], spot)
    out = clear(h, w)
    lay(out, color, alpha)
    return out


def _leaves(rng: Rng, h: int, w: int, size: float, count: int, colors: tuple[Rgb, ...]) -> Array:
    image = Image.new("RGBA", (w * 2, h * 2), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    for _ in range(int(count * w / h) + 1):
        x, y, angle = rng.random() * w, rng.random() * h, rng.random() * 6.28
        long, wide = (0.007 + 0.006 * rng.random()) * size * h, (0.003 + 0.003 * rng.random()) * size * h
        color = colors[int(rng.integers(len(colors)))]
        fill = (*tuple(int(255 * c) for c in color), 255)
        ca, sa = float(np.cos(angle)), float(np.sin(angle))
        for a, b in _wrapped(x, y, long * 2, h, w):
            shape = [
                (-long, 0),
                (-long * 0.3, -wide),
                (long * 0.5, -wide * 0.8),
                (long, 0),
                (long * 0.3, wide),
                (-long * 0.4, wide * 0.9),
            ]
            draw.polygon([((a + p * ca - q * sa) * 2, (b + p * sa + q * ca) * 2) for p, q in shape], fill=fill)
    small = np.asarray(image.resize((w, h), Image.Resampling.BOX), dtype=np.float32) / 255
    out = small.copy()
    out[..., :3] *= small[..., 3:] if small[..., 3].max() > 0 else 1
    return f32(out)


def fog(plan: Plan, rng: Rng, h: int, w: int, horizon: float, color: Rgb) -> Array | None:
    """Banks of fog between the far land and the subjects, thickest at the horizon; None in clear air."""
    amount = {"fog": 0.9, "rain": 0.3, "storm": 0.3, "snow": 0.34}.get(plan.weather, 0.0)
    if amount == 0.0 or plan.setting not in OUTDOORS:
        return None
    _, v = grid(h, w)
    banks = fbm(rng, h, w, 2.4, 5, 0.55, 2.6)
    alpha = amount * np.exp(-(((v - horizon) / (0.3 if plan.weather == "fog" else 0.16)) ** 2)) * (0.86 + 0.3 * banks)
    if plan.weather == "fog":
        alpha = np.maximum(alpha, 0.3 + 0.16 * banks)
    out = clear(h, w)
    lay(out, color, f32(np.clip(alpha, 0, 0.94)))
    return out


def dress(stage: Stage, plan: Plan, rng: Rng, precipitation: bool = True) -> Stage:
    """The stage with this plan's weather: fog over its far parts, and what falls in its foreground."""
    h, w = stage.image.shape[:2]
    veil = fog(plan, child(rng), h, w, stage.horizon, blend(stage.haze[0], (1.0, 1.0, 1.0), 0.12))
    if veil is not None:
        over(stage.image, veil)
        stage.layers = (*stage.layers, Layer(veil, 0.65, "fog"))
    if "lanterns" in plan.extra:
        lanterns = _lanterns(child(rng), h, w)
        over(stage.image, lanterns)
        stage.layers = (*stage.layers, Layer(lanterns, 0.5, "lanterns"))
    sheets = falling(plan, child(rng), h, w) if precipitation else []
    if sheets:
        front = clear(h, w) if stage.foreground is None else stage.foreground.copy()
        for sheet in sheets:
            over(front, sheet.rgba)
        stage.foreground = front
    return stage


def _lanterns(rng: Rng, h: int, w: int) -> Array:
    """Paper lanterns afloat in the air, with their glow."""
    out = clear(h, w)
    for size in sorted(rng.uniform(0.012, 0.05, int(16 * w / h) + 4)):
        x, y = rng.random() * w, rng.random() * 0.62 * h
        r = size * h
        x0, x1, y0, y1 = max(0, int(x - 4 * r)), min(w, int(x + 4 * r)), max(0, int(y - 4 * r)), min(h, int(y + 4 * r))
        if x0 >= x1 or y0 >= y1:
            continue
        gy, gx = np.ogrid[y0:y1, x0:x1]
        dx, dy = (gx - x) / r, (gy - y) / r
        lay(out[y0:y1, x0:x1], rgb("ff9a3c"), f32(0.4 * np.exp(-(dx * dx + dy * dy) / 2.2) + 0 * dx))
        body = smoothstep(0.72, 0.6, np.abs(dx) * (1 + 0.18 * dy)) * smoothstep(0.85, 0.75, np.abs(dy))
        lay(out[y0:y1, x0:x1], rgb("ffd27a"), f32(body * 0.95))
        lay(out[y0:y1, x0:x1], rgb("fff2c8"), f32(body * np.exp(-(dx * dx + (dy - 0.4) ** 2) / 0.16)))
    return out
