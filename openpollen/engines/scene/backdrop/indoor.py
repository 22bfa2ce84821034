"""Indoors: a room, a kitchen and a stage, in one-point perspective with light from a window, lamps or spots."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..atmosphere import air_of
from ..noise import Rng, child, fbm, line, sample, sample_nearest, texture
from ..paint import blend, blur, clear, f32, grid, lay, opaque, over, rgb, scale, smoothstep
from ..props import draw_prop
from ..props.canvas import svg
from ..sky import paint_sky
from ..terrain import Camera
from ..types import Array, Layer, Light, Plan, Rgb, Stage

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


_HOUSES = (
    House(rgb("9fb6a6"), rgb("7f9a8c"), rgb("f4efe4"), (rgb("8a5a34"), rgb("c08a54"))),
    House(rgb("e6cfa8"), rgb("cfae7e"), rgb("fbf6ea"), (rgb("7a4d2c"), rgb("b07a48"))),
    House(rgb("a9bcd0"), rgb("8298b2"), rgb("f6f4ef"), (rgb("94683f"), rgb("cc9a62"))),
    House(rgb("d9a892"), rgb("bd826c"), rgb("fbf1e6"), (rgb("80502f"), rgb("b8804c"))),
)
_CASTLE = House(rgb("8d8578"), rgb("756d62"), rgb("5d564c"), (rgb("5a5650"), rgb("8c867c")), stone=True, tiles=True)
_LAB = House(rgb("d4dde2"), rgb("b4c2ca"), rgb("f4f8fa"), (rgb("a8b4bc"), rgb("d8e0e4")), tiles=True)
_KITCHEN = House(rgb("f0e2c8"), rgb("e8efe8"), rgb("fffaf0"), (rgb("b89a7c"), rgb("e2cdae")), tiles=True)


def room(plan: Plan, w: int, h: int, rng: Rng) -> Stage:
    """A furnished room with a window."""
    own = child(rng)
    house = (
        _CASTLE
        if "castle interior" in plan.extra
        else _LAB
        if "laboratory" in plan.extra
        else _HOUSES[int(own.integers(len(_HOUSES)))]
    )
    camera = Camera(h, w, 0.44)
    window_left = bool(own.random() < 0.5)
    box = _window_box(camera, window_left)
    image, lit = _shell(own, camera, house, plan, box)
    view = _window_view(plan, child(rng), box)
    _hang_window(image, view, box, plan, house)
    furniture = clear(h, w)
    lamp_xy = _furnish(furniture, image, own, camera, plan, house, window_left)
    shine = _lamplight(image, furniture, plan, camera, lamp_xy, lit)
    light = _room_light(plan, window_left, lit)
    layers = [
        Layer(opaque(np.clip(image, 0, 1)), 0.0, "room"),
        Layer(furniture, 0.45, "furniture"),
        Layer(shine, 0.6, "light"),
    ]
    return _indoor_stage(layers, camera, light, house, (0.8, 0.94), f32(np.full(w, _floor_line(camera) * h)))


def _indoor_stage(
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


def _window_box(camera: Camera, left: bool) -> tuple[int, int, int, int]:
    """The window on the back wall: x0, y0, x1, y1 in pixels."""
    h, w = camera.h, camera.w
    wide = min(0.34 * h, 0.36 * w)
    cx = w * 0.3 if left else w * 0.7
    return int(cx - wide / 2), int(0.12 * h), int(cx + wide / 2), int(0.12 * h + 0.36 * h)


def _day(plan: Plan) -> float:
    """How much daylight comes in, 0..1."""
    level = {"day": 1.0, "dawn": 0.72, "sunset": 0.72, "dusk": 0.32, "night": 0.16}[plan.time]
    return level * (0.75 if plan.weather in ("rain", "storm", "fog", "cloudy") else 1.0)


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
    boards = _boards(rng, x, z, house)
    image = wall + (boards - wall) * floor[..., None]
    corner = (
        1
        - 0.34 * np.exp(-np.abs(np.abs(x) - half) / 0.22) * (z > BACK - 0.6)
        - 0.3 * np.exp(-np.clip(y, 0, 9) / 0.12) * (1 - floor)
        - 0.3 * np.exp(-np.abs(z - BACK) / 0.3) * floor
    )
    day = _day(plan)
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


def _boards(rng: Rng, x: Array, z: Array, house: House) -> Array:
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


def _window_view(plan: Plan, rng: Rng, box: tuple[int, int, int, int]) -> Array:
    """What is seen through the window: the sky and hills at this time of day."""
    h, w = max(8, box[3] - box[1]), max(8, box[2] - box[0])
    sky = paint_sky(plan, rng, h, w, 0.78, 1.0)
    image = sky.image.copy()
    gu, gv = grid(h, w)
    for i, code in enumerate(("6f9a78", "4a7a4a")):
        edge = 0.74 + 0.11 * i + 0.07 * line(rng, w, w / h, 1.5, 4)
        level = tuple(sky.light.ambient[c] + sky.light.color[c] * sky.light.strength * 0.6 for c in range(3))
        base = rgb(code)
        if plan.weather == "snow":
            base = rgb("e6eef8")
        tone_ = blend((base[0] * level[0], base[1] * level[1], base[2] * level[2]), sky.air.horizon, 0.45 - 0.3 * i)
        lay(image, tone_, smoothstep(-0.01, 0.01, gv - edge[None, :]))
    return np.clip(image, 0, 1)


def _hang_window(image: Array, view: Array, box: tuple[int, int, int, int], plan: Plan, house: House) -> None:
    """The view in its frame, with sill and curtains (on `image`, in place)."""
    x0, y0, x1, y1 = box
    h, w = image.shape[:2]
    over(image, opaque(view), x0, y0)
    wide, tall = x1 - x0, y1 - y0
    day = 0.4 + 0.6 * _day(plan)
    arch = house.stone
    if arch:
        gy, gx = np.mgrid[0:tall, 0:wide].astype(np.float32)
        outside = ((gx / wide - 0.5) * 2) ** 2 + (np.clip(0.45 - gy / tall, 0, 1) / 0.45) ** 2 > 0.98
        part = image[y0:y1, x0:x1]
        part[outside] = f32(scale(house.wall, 0.55 * day))
    trim = "".join(f"{int(c * 255 * day):02x}" for c in house.trim)
    edge = "".join(f"{int(c * 200 * day):02x}" for c in house.trim)
    frame = (
        f'<g fill="none" stroke="#{trim}" stroke-width="5"><path d="M2.5 2.5 H97.5 V117.5 H2.5z M50 2 V118 M2 58 H98"/></g>'
        f'<g fill="none" stroke="#{edge}" stroke-width="1"><path d="M5.5 5.5 H47 V55 H5.5z M53 5.5 H94.5 V55 H53z M5.5 61 H47 V114.5 H5.5z M53 61 H94.5 V114.5 H53z"/></g>'
        '<path d="M8 8 L30 8 L8 44z M56 8 L72 8 L56 32z" fill="#fff" fill-opacity=".16"/>'
    )
    over(image, svg(frame, (100, 120), tall), x0, y0)
    sill = svg(
        f'<path d="M0 0 H120 V6 L116 10 H4 L0 6z" fill="#{trim}"/><path d="M4 10 H116 V12 H4z" fill="#000" fill-opacity=".3"/>',
        (120, 12),
        max(3, int(tall * 0.07)),
    )
    over(image, sill, x0 + wide // 2 - sill.shape[1] // 2, y1 - 1)
    if not arch and "laboratory" not in plan.extra:
        _curtains(image, box, day)


def _curtains(image: Array, box: tuple[int, int, int, int], day: float) -> None:
    x0, y0, x1, y1 = box
    tall, wide = int((y1 - y0) * 1.22), int((x1 - x0) * 0.3)
    if wide < 3:
        return
    gy, gx = np.mgrid[0:tall, 0:wide].astype(np.float32)
    for side in (0, 1):
        t = gx / wide if side == 0 else 1 - gx / wide
        gather = 1 - 0.3 * np.exp(-(((gy / tall - 0.62) / 0.2) ** 2))
        alpha = smoothstep(gather + 0.01, gather - 0.02, t)
        fold = 0.5 + 0.5 * np.sin(t / gather * 19 + 0.6 * np.sin(gy / tall * 3))
        shade = (0.52 + 0.42 * fold) * day
        part = np.empty((tall, wide, 4), np.float32)
        for c in range(3):
            part[..., c] = np.clip((0.86, 0.52, 0.42)[c] * shade * 1.1, 0, 1) * alpha
        part[..., 3] = alpha
        over(image, part, x0 - int(wide * 0.62) if side == 0 else x1 - int(wide * 0.38), y0 - int(0.05 * tall))
    rod = np.zeros((max(2, tall // 60), int((x1 - x0) * 1.5), 4), np.float32)
    rod[...] = (0.3 * day, 0.21 * day, 0.14 * day, 1)
    over(image, rod, x0 - int((x1 - x0) * 0.25), y0 - int(0.06 * tall))


def _stand(
    target: Array, floor: Array, key: str, rng: Rng, x: float, y: float, tall: float, camera: Camera, level: float
) -> tuple[float, float]:
    """A piece of furniture with its foot at (x, y), 0..1, and its shadow; returns its top middle in pixels."""
    h, w = camera.h, camera.w
    drawn = draw_prop(key, max(6, int(tall * h)), rng, (-0.5, 0.86))
    px, py = x * w, y * h
    soft_shadow(floor, px, py, drawn.shape[1] * 0.54, 0.42)
    drawn = drawn.copy()
    if key not in ("lamp", "fireplace"):
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
    level = 0.5 + 0.5 * _day(plan)
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
        lamp = _stand(target, floor, "lamp", rng, at(0.47), base + 0.05, 0.5, camera, 1.0)
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
    lamp = _stand(target, floor, "lamp", rng, at(0.05), base + 0.07, 0.5, camera, 1.0)
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
        f'<rect width="100" height="100" fill="#4a3020"/><rect x="6" y="6" width="88" height="88" fill="#f4ecd8"/><rect x="13" y="13" width="74" height="74" fill="#{pick[0]}"/>'
        f'<circle cx="66" cy="34" r="9" fill="#fff4d0"/><path d="M13 62 L36 36 L54 58 L66 46 L87 66 V87 H13z" fill="#{pick[1]}"/><path d="M13 74 Q50 60 87 76 V87 H13z" fill="#{pick[2]}"/>'
    )
    from ..paint import resize

    frame = np.clip(resize(svg(body, (100, 100), tall), tall, wide), 0, 1)
    frame[..., :3] *= np.float32(level)
    over(target, frame, int(x * w - wide / 2), int(y * h))


def _lamplight(
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


def _room_light(plan: Plan, window_left: bool, day: float) -> Light:
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


def kitchen(plan: Plan, w: int, h: int, rng: Rng) -> Stage:
    """A kitchen counter with tiles, cupboards, shelves and a window behind it."""
    own = child(rng)
    camera = Camera(h, w, 0.4)
    window_left = bool(own.random() < 0.5)
    box = _window_box(camera, window_left)
    day = _day(plan)
    image = _kitchen_wall(own, camera, plan, box, day)
    _hang_window(image, _window_view(plan, child(rng), box), box, plan, _KITCHEN)
    things = clear(h, w)
    level = 0.5 + 0.5 * day
    _shelf_with_jars(things, own, camera, 0.72 if window_left else 0.28, level)
    image = blur(image, 0.0022 * h)
    counter = _counter(own, camera, plan, box, day)
    glow = _lamplight(image, things, plan, camera, (w * (0.72 if window_left else 0.28), 0.1 * h), day)
    layers = [
        Layer(opaque(np.clip(image, 0, 1)), 0.0, "room"),
        Layer(things, 0.3, "shelf"),
        Layer(counter, 0.6, "counter"),
        Layer(glow, 0.7, "light"),
    ]
    return _indoor_stage(
        layers, camera, _room_light(plan, window_left, day), _KITCHEN, (0.8, 0.92), f32(np.full(w, 0.72 * h))
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
                f'<rect x="{at + 3:g}" y="{shelf_y - tall + 5:g}" width="3" height="{tall - 11:g}" rx="1.5" fill="#fff" fill-opacity=".4"/>'
            )
            at += wide + 5 + 8 * rng.random()
        jars.append(
            f'<rect x="4" y="{shelf_y}" width="232" height="9" rx="2" fill="#a8743f"/><rect x="4" y="{shelf_y + 9}" width="232" height="5" fill="#000" fill-opacity=".16"/>'
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
    out = _indoor_stage(layers, camera, light, replace(_HOUSES[0], wall=hue), (0.76, 0.9), f32(np.full(w, 0.66 * h)))
    out.foreground = None
    return out


def _stage_floor(rng: Rng, camera: Camera, hue: Rgb) -> Array:
    h, w = camera.h, camera.w
    gu, gv = grid(h, w)
    z = 0.5 / np.maximum(gv - 0.42, 0.02)
    x = (gu - 0.5 * w / h) * z
    boards = _boards(rng, f32(x * 1.5), f32(z * 1.5), _HOUSES[0])
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
