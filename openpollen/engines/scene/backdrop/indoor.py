"""Indoors: a room, a kitchen and a stage, in one-point perspective with light from a window, lamps or spots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..art import draw
from ..atmosphere import air_of
from ..noise import Rng, child, sample_nearest, texture
from ..paint import blend, clear, f32, grid, lay, opaque, over, rgb, smoothstep
from ..props import draw_prop
from ..props.canvas import svg
from ..terrain import Camera
from ..types import Array, Layer, Light, Plan, Rgb, Stage
from .window import daylight, hang_window, window_box, window_view

BACK = 3.6  # distance of the back wall, in eye heights


@dataclass(frozen=True)
class House:
    """A room's paint: wall, lower wall, trim, floor and whether the walls are of stone."""

    wall: Rgb
    panel: Rgb
    trim: Rgb
    floor: tuple[Rgb, Rgb]
    stone: bool = False
    tiles: bool = False


HOUSES = (
    House(rgb("9fb6a6"), rgb("7f9a8c"), rgb("f4efe4"), (rgb("8a5a34"), rgb("c08a54"))),
    House(rgb("e6cfa8"), rgb("cfae7e"), rgb("fbf6ea"), (rgb("7a4d2c"), rgb("b07a48"))),
    House(rgb("a9bcd0"), rgb("8298b2"), rgb("f6f4ef"), (rgb("94683f"), rgb("cc9a62"))),
    House(rgb("d9a892"), rgb("bd826c"), rgb("fbf1e6"), (rgb("80502f"), rgb("b8804c"))),
)
_CASTLE = House(rgb("8d8578"), rgb("756d62"), rgb("5d564c"), (rgb("5a5650"), rgb("8c867c")), stone=True, tiles=True)
_LAB = House(rgb("d4dde2"), rgb("b4c2ca"), rgb("f4f8fa"), (rgb("a8b4bc"), rgb("d8e0e4")), tiles=True)
KITCHEN = House(rgb("f0e2c8"), rgb("e8efe8"), rgb("fffaf0"), (rgb("b89a7c"), rgb("e2cdae")), tiles=True)


def room(plan: Plan, w: int, h: int, rng: Rng) -> Stage:
    """A furnished room with a window."""
    own = child(rng)
    house = (
        _CASTLE
        if "castle interior" in plan.extra
        else _LAB
        if "laboratory" in plan.extra
        else HOUSES[int(own.integers(len(HOUSES)))]
    )
    camera = Camera(h, w, 0.44)
    window_left = bool(own.random() < 0.5)
    box = window_box(camera, window_left)
    image, lit = _shell(own, camera, house, plan, box)
    view = window_view(plan, child(rng), box)
    hang_window(image, view, box, plan, house.trim, house.stone)
    furniture = clear(h, w)
    lamp_xy = _furnish(furniture, image, own, camera, plan, house, window_left)
    shine = lamplight(image, furniture, plan, camera, lamp_xy, lit)
    light = room_light(plan, window_left, lit)
    layers = [
        Layer(opaque(np.clip(image, 0, 1)), 0.0, "room"),
        Layer(furniture, 0.45, "furniture"),
        Layer(shine, 0.6, "light"),
    ]
    return indoor_stage(layers, camera, light, house, (0.8, 0.94), f32(np.full(w, _floor_line(camera) * h)))


def indoor_stage(
    layers: list[Layer], camera: Camera, light: Light, house: House, band: tuple[float, float], ground: Array
) -> Stage:
    out = layers[0].rgba[..., :3].copy()
    for part in layers[1:]:
        over(out, part.rgba)
    return Stage(np.clip(out, 0, 1), camera.horizon, ground, band, None, light, (house.wall, 0.05), tuple(layers))


def _floor_line(camera: Camera) -> float:
    return camera.horizon + camera.eye / BACK


def _half_width(camera: Camera) -> float:
    return 0.47 * camera.w / camera.h * BACK


def _shell(rng: Rng, camera: Camera, house: House, plan: Plan, box: tuple[int, int, int, int]) -> tuple[Array, float]:
    """Walls, ceiling line and floor, lit by the window; and the level of daylight."""
    h, w = camera.h, camera.w
    gu, gv = grid(h, w)
    du, dv = gu - 0.5 * w / h, gv - camera.horizon
    half = _half_width(camera)
    z = np.minimum(BACK, np.minimum(half / np.maximum(np.abs(du), 1e-4), camera.eye / np.maximum(dv, 1e-4)))
    x, y = du * z, 1 - dv * z
    floor = smoothstep(0.012, 0.0, y)
    side = (np.abs(x) > half - 0.01) & (y > 0.01)
    along = np.where(side, z, x)
    wall = _wall(rng, along, y, house)
    boards = floor_boards(rng, x, z, house)
    image = wall + (boards - wall) * floor[..., None]
    corner = (
        1
        - 0.34 * np.exp(-np.abs(np.abs(x) - half) / 0.22) * (z > BACK - 0.6)
        - 0.3 * np.exp(-np.clip(y, 0, 9) / 0.12) * (1 - floor)
        - 0.3 * np.exp(-np.abs(z - BACK) / 0.3) * floor
    )
    day = daylight(plan)
    air = air_of(plan)
    wx, wy = (box[0] + box[2]) / 2 / h, (box[1] + box[3]) / 2 / h
    from_window = np.exp(-((gu - wx) ** 2 + (gv - wy) ** 2) / 0.34)
    patch = _sun_patch(camera, x, z, box, plan) * floor
    tint_ = blend(air.sun, (1.0, 1.0, 1.0), 0.35)
    for c in range(3):
        level = (0.3 + 0.42 * day) * blend((1.0, 0.93, 0.86), air.middle, 0.35 if plan.time != "day" else 0.12)[c]
        level = level + from_window * 0.42 * day * tint_[c] + np.where(side, -0.07, 0.0) * day
        image[..., c] *= level * corner
        image[..., c] += patch * tint_[c] * boards[..., c] * 0.9 * day
    return f32(image), day


def _wall(rng: Rng, along: Array, y: Array, house: House) -> Array:
    grain = texture(rng, 256, 1.0, 8)
    out = np.empty((*y.shape, 3), np.float32)
    tone_ = 1 + 0.05 * sample_nearest(grain, along * 0.35, y * 0.35)
    if house.stone:
        row = np.floor(y / 0.3)
        column = np.floor(along / 0.55 + 0.5 * (row % 2))
        fx, fy = along / 0.55 + 0.5 * (row % 2) - column, y / 0.3 - row
        joint = (fx < 0.05) | (fy < 0.09)
        pick = (np.sin(row * 12.9 + column * 78.2) * 437.5) % 1
        tone_ = tone_ * np.where(joint, 0.66, 0.86 + 0.28 * pick) + 0.1 * sample_nearest(grain, along * 0.9, y * 0.9)
        for c in range(3):
            out[..., c] = house.wall[c] * tone_
        return out
    stripes = 1 + 0.035 * np.where(np.floor(along / 0.16) % 2 == 0, 1, -1)
    panel = y < 0.56
    rail = (np.abs(y - 0.58) < 0.03) | (y < 0.14)
    inset = (np.abs(along % 0.62 - 0.31) < 0.23) & (y > 0.2) & (y < 0.5)
    edge = (np.abs(np.abs(along % 0.62 - 0.31) - 0.23) < 0.012) & (y > 0.19) & (y < 0.51)
    for c in range(3):
        plane = np.where(panel, house.panel[c] * np.where(inset, 0.94, 1.0), house.wall[c] * stripes)
        plane = np.where(edge, house.panel[c] * 0.8, plane)
        out[..., c] = np.where(rail, house.trim[c] * 0.95, plane * tone_)
    return out


def floor_boards(rng: Rng, x: Array, z: Array, house: House) -> Array:
    grain = texture(rng, 512, 0.9, 6)
    dark, pale = house.floor
    if house.tiles:
        odd = (np.floor(x / 0.5) + np.floor(z / 0.5)) % 2
        joint = (np.abs(x / 0.5 % 1 - 0.5) > 0.475) | (np.abs(z / 0.5 % 1 - 0.5) > 0.475)
        t = odd * 0.75 + 0.1 * sample_nearest(grain, x, z)
        shade = np.where(joint, 0.75, 1.0)
    else:
        column = np.floor(x / 0.26)
        pick = np.abs(np.sin(column * 12.9898) * 43758.5453) % 1
        row = np.floor(z / 1.3 + pick * 7)
        pick2 = np.abs(np.sin(column * 78.233 + row * 37.719) * 43758.5453) % 1
        t = 0.2 + 0.6 * pick2 + 0.22 * sample_nearest(grain, x * 1.6 + pick, z * 0.12)
        joint = (x / 0.26 - column < 0.045) | (z / 1.3 + pick * 7 - row < 0.012)
        shade = np.where(joint, 0.62, 1.0)
    out = np.empty((*x.shape, 3), np.float32)
    for c in range(3):
        out[..., c] = (dark[c] + (pale[c] - dark[c]) * np.clip(t, 0, 1)) * shade
    return out


def _sun_patch(camera: Camera, x: Array, z: Array, box: tuple[int, int, int, int], plan: Plan) -> Array:
    """The window's light on the floor: its panes, slanted away from it."""
    if plan.weather in ("rain", "storm", "fog", "cloudy", "snow"):
        return np.zeros_like(x)
    h, w = camera.h, camera.w
    left = (box[0] / h - 0.5 * w / h) * BACK
    right = (box[2] / h - 0.5 * w / h) * BACK
    lean = 0.55 if left + right < 0 else -0.55
    away = BACK - z
    a = (x - lean * away - left) / (right - left)
    b = (away - 0.35) / 1.25
    soft = 0.03
    inside = (
        smoothstep(-soft, soft, a)
        * smoothstep(1 + soft, 1 - soft, a)
        * smoothstep(-soft, soft, b)
        * smoothstep(1 + soft, 1 - soft, b)
    )
    bars = smoothstep(0.02, 0.045, np.abs(a - 0.5)) * smoothstep(0.02, 0.045, np.abs(b - 0.5))
    return f32(inside * bars)


def _stand(
    target: Array, floor: Array, key: str, rng: Rng, x: float, y: float, tall: float, camera: Camera, level: float
) -> tuple[float, float]:
    """A piece of furniture with its foot at (x, y), 0..1, and its shadow; returns its top middle in pixels."""
    h, w = camera.h, camera.w
    rows = max(6, int(tall * h))
    drawn = draw(key, rows) if key == "banner" else draw_prop(key, rows, rng, (-0.5, 0.86))
    px, py = x * w, y * h
    soft_shadow(floor, px, py, drawn.shape[1] * 0.54, 0.42)
    drawn = drawn.copy()
    if key not in ("floor-lamp", "fireplace"):
        drawn[..., :3] *= np.float32(level)
    over(target, drawn, int(px - drawn.shape[1] / 2), int(py - drawn.shape[0]))
    return px, py - drawn.shape[0]


def soft_shadow(image: Array, x: float, y: float, wide: float, strength: float) -> None:
    """Darken a soft ellipse on `image` (in place)."""
    h, w = image.shape[:2]
    rx, ry = max(2.0, wide), max(2.0, wide * 0.17)
    x0, x1, y0, y1 = max(0, int(x - rx)), min(w, int(x + rx) + 1), max(0, int(y - ry)), min(h, int(y + ry) + 1)
    if x0 >= x1 or y0 >= y1:
        return
    gy, gx = np.ogrid[y0:y1, x0:x1]
    dark = f32(1 - strength * np.clip(1 - ((gx - x) / rx) ** 2 - ((gy - y) / ry) ** 2, 0, 1))
    for c in range(3):
        image[y0:y1, x0:x1, c] *= dark


def _furnish(
    target: Array, floor: Array, rng: Rng, camera: Camera, plan: Plan, house: House, window_left: bool
) -> tuple[float, float] | None:
    """Put furniture along the back wall; returns where a lamp burns, in pixels."""
    h, w = camera.h, camera.w
    level = 0.5 + 0.5 * daylight(plan)
    base = _floor_line(camera)

    def at(x: float) -> float:
        return 1 - x if window_left else x

    if house.stone:
        torches = [(at(0.08) * w, 0.26 * h), (at(0.46) * w, 0.26 * h)]
        _stand(target, floor, "banner", rng, at(0.26), base - 0.13, 0.34, camera, level)
        _stand(target, floor, "fireplace", rng, at(0.22), base + 0.03, 0.3, camera, 1.0)
        return torches[0]
    if "library" in plan.extra or "laboratory" in plan.extra:
        for x in (0.1, 0.3):
            _stand(target, floor, "shelf", rng, at(x), base + 0.025, 0.5, camera, level)
        _stand(target, floor, "plant", rng, at(0.95), base + 0.06, 0.24, camera, level)
        lamp = _stand(target, floor, "floor-lamp", rng, at(0.47), base + 0.05, 0.5, camera, 1.0)
        return lamp[0], lamp[1] + 0.08 * h
    _picture(target, rng, at(0.3), 0.2, camera, level)
    _picture(target, rng, at(0.14), 0.17, camera, level)
    if "cozy" in plan.extra or "christmas" in plan.extra or rng.random() < 0.3:
        _stand(target, floor, "fireplace", rng, at(0.24), base + 0.03, 0.32, camera, 1.0)
        warm = (at(0.24) * w, (base - 0.04) * h)
    else:
        _stand(target, floor, "sofa", rng, at(0.26), base + 0.08, 0.25, camera, level)
        warm = None
    _rug(floor, rng, camera, level)
    _stand(target, floor, "shelf", rng, at(0.93), base + 0.03, 0.46, camera, level)
    _stand(target, floor, "plant", rng, at(0.55), base + 0.05, 0.22, camera, level)
    lamp = _stand(target, floor, "floor-lamp", rng, at(0.05), base + 0.07, 0.5, camera, 1.0)
    return warm or (lamp[0], lamp[1] + 0.08 * h)


def _rug(floor: Array, rng: Rng, camera: Camera, level: float) -> None:
    h, w = camera.h, camera.w
    rug = draw_prop("rug", max(4, int(0.17 * h)), rng).copy()
    rug[..., :3] *= np.float32(level)
    wide = int(min(0.78 * w, 0.75 * h))
    from ..paint import resize

    flat = np.clip(resize(rug, rug.shape[0], max(2, wide)), 0, 1)
    over(floor, flat, int(0.5 * w - wide / 2), int(0.79 * h))


def _picture(target: Array, rng: Rng, x: float, y: float, camera: Camera, level: float) -> None:
    """A framed landscape on the wall."""
    h, w = camera.h, camera.w
    tall, wide = int((0.1 + 0.05 * rng.random()) * h), int((0.09 + 0.06 * rng.random()) * h)
    if tall < 8 or wide < 8:
        return
    pick = [("f2b56a", "d2604a", "5a3a5c"), ("bfe3f0", "7fb58a", "3f6a52"), ("f0d8b0", "c89a6a", "6a8a9a")][
        int(rng.integers(3))
    ]
    body = (
        '<rect width="100" height="100" fill="#4a3020"/><rect x="6" y="6" width="88" height="88" fill="#f4ecd8"/><rect '
        f'x="13" y="13" width="74" height="74" fill="#{pick[0]}"/>'
        '<circle cx="66" cy="34" r="9" fill="#fff4d0"/><path d="M13 62 L36 36 L54 58 L66 46 L87 66 V87 H13z" '
        f'fill="#{pick[1]}"/><path d="M13 74 Q50 60 87 76 V87 H13z" fill="#{pick[2]}"/>'
    )
    from ..paint import resize

    frame = np.clip(resize(svg(body, (100, 100), tall), tall, wide), 0, 1)
    frame[..., :3] *= np.float32(level)
    over(target, frame, int(x * w - wide / 2), int(y * h))


def lamplight(
    image: Array, furniture: Array, plan: Plan, camera: Camera, lamp: tuple[float, float] | None, day: float
) -> Array:
    """The glow of the lamp on everything near it, as a layer."""
    out = clear(camera.h, camera.w)
    if lamp is None:
        return out
    gu, gv = grid(camera.h, camera.w)
    distance = np.hypot(gu - lamp[0] / camera.h, gv - lamp[1] / camera.h)
    amount = (0.62 - 0.5 * day) * np.exp(-distance / 0.26) + (0.3 - 0.2 * day) * np.exp(-distance / 0.07)
    lay(out, rgb("ffb860"), f32(np.clip(amount, 0, 0.6)))
    out[..., 3] *= np.float32(0.55)
    return out


def room_light(plan: Plan, window_left: bool, day: float) -> Light:
    air = air_of(plan)
    side = -0.62 if window_left else 0.62
    warm = blend(air.sun, rgb("ffc890"), 1 - day)
    level = 0.34 + 0.36 * day
    return Light(
        (side, 0.78),
        warm,
        (0.86 * level, 0.83 * level, 0.82 * level),
        0.3 + 0.4 * day,
        blend(warm, (1, 1, 1), 0.2),
        None,
    )
