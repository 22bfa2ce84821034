"""The sky: gradient, sun or moon with their glow, stars, clouds, and the shows a prompt may ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .atmosphere import Air, air_of, light_of, sun_place
from .clouds import heap_clouds, sheet_clouds, wisps
from .noise import Rng, child, fbm, line, stars
from .paint import add, blend, clear, f32, grid, lay, opaque, over, ramp, rgb, smoothstep
from .types import Array, Layer, Light, Plan


@dataclass
class Sky:
    """A painted sky: `image` fills the whole picture; `layers` are the same thing in planes, the far one opaque."""

    image: Array
    layers: list[Layer]
    light: Light
    air: Air
    sun: tuple[float, float]


def paint_sky(plan: Plan, rng: Rng, h: int, w: int, horizon: float, cloudiness: float = 1.0) -> Sky:
    """The sky above `horizon` (0..1 of the height) for a plan's time, weather and extras."""
    air = air_of(plan)
    sun = sun_place(plan, child(rng), horizon)
    image = _gradient(air, h, w, horizon, sun)
    if air.stars > 0 and "stars" not in plan.denied:
        _stars(image, child(rng), air, h, w)
    _shows(image, plan, child(rng), h, w, horizon)
    _disc(image, plan, air, child(rng), h, w, sun, horizon)
    layers = [Layer(opaque(np.clip(image, 0, 1)), 0.0, "sky")]
    for cloud in _clouds(plan, child(rng), h, w, horizon, air, sun, cloudiness):
        over(image, cloud)
        layers.append(Layer(cloud, 0.06, "clouds"))
    if "lightning" in plan.extra or plan.weather == "storm":
        bolt = lightning(child(rng), h, w, horizon)
        over(image, bolt)
        layers.append(Layer(bolt, 0.08, "lightning"))
    return Sky(np.clip(image, 0, 1), layers, light_of(air, sun, horizon), air, sun)


def _gradient(air: Air, h: int, w: int, horizon: float, sun: tuple[float, float]) -> Array:
    v = (np.arange(h, dtype=np.float32) + 0.5) / h
    up = np.clip((horizon - v) / max(horizon, 0.05), 0, 1) ** 0.85
    stops = [(0.0, air.horizon), (0.16, blend(air.horizon, air.middle, 0.55)), (0.42, air.middle), (1.0, air.zenith)]
    column = ramp(up, stops)
    image = f32(np.broadcast_to(column[:, None, :], (h, w, 3)).copy())
    gu, gv = grid(h, w)
    du, dv = gu - sun[0] * w / h, gv - sun[1]
    if not air.night:
        wide = 2.4 if air.low_sun else 1.0
        glow = np.exp(-((du / wide) ** 2 + (dv * 1.5) ** 2) / 0.085) * (0.5 if air.low_sun else 0.28)
        lay(image, air.glow, f32(glow * (1 - 0.8 * air.overcast)))
    return image


def _disc(
    image: Array, plan: Plan, air: Air, rng: Rng, h: int, w: int, sun: tuple[float, float], horizon: float
) -> None:
    gu, gv = grid(h, w)
    distance = f32(np.hypot(gu - sun[0] * w / h, gv - sun[1]))
    clear_air = max(0.0, 1 - air.overcast * 1.15)
    moon = air.night or (plan.time == "dusk" and plan.moon)
    if (plan.time == "dusk" and not moon) or ("moon" if moon else "sun") in plan.denied:
        return
    wanted = dict(plan.washes).get("moon" if moon else "sun")
    if not moon:
        radius = 0.07 if wanted else 0.05 if air.low_sun else 0.035
        add(
            image,
            air.glow,
            f32(0.55 * clear_air * np.exp(-distance / 0.055) + 0.2 * clear_air * np.exp(-distance / 0.2)),
        )
        face = wanted.rgb if wanted else blend((1.0, 0.97, 0.86), (1.0, 0.87, 0.6), 0.75 if air.low_sun else 0.0)
        lay(image, face, smoothstep(radius + 0.004, radius - 0.004, distance) * f32(clear_air))
        return
    radius = 0.055
    add(image, air.glow, f32(clear_air * (0.34 * np.exp(-distance / 0.08) + 0.13 * np.exp(-distance / 0.3))))
    size = max(8, int(radius * h * 2.2))
    maria = fbm(rng, size, size, 2.5, 4, 0.5)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size * 2.2 - 1.1
    r = np.hypot(x, y)
    bright = np.clip(0.93 + 0.06 * np.sqrt(np.clip(1 - r * r, 0, 1)) - 0.16 * smoothstep(0.0, 0.8, maria), 0, 1)
    face = np.empty((size, size, 4), np.float32)
    face[..., 3] = smoothstep(1.03, 0.97, r) * np.float32(clear_air)
    for c, k in enumerate(wanted.rgb if wanted else (1.0, 0.985, 0.93)):
        face[..., c] = bright * k * face[..., 3]
    over(image, face, int(sun[0] * w - size / 2), int(sun[1] * h - size / 2))


def _stars(image: Array, rng: Rng, air: Air, h: int, w: int) -> None:
    field = stars(rng, h, w, 620)
    band = fbm(rng, h, w, 2.2, 5, 0.55)
    gu, gv = grid(h, w)
    across = (gu - 0.5 * w / h) * 0.62 + (gv - 0.38) * 0.85
    milky = np.exp(-(across**2) / 0.03) * np.clip(0.5 + 0.6 * band, 0, 1)
    add(image, (0.5, 0.55, 0.8), f32(milky * 0.13 * air.stars))
    fade = smoothstep(0.95, 0.3, gv)
    for c in range(3):
        image[..., c] += field[..., c] * fade * np.float32(air.stars)


def _clouds(
    plan: Plan, rng: Rng, h: int, w: int, horizon: float, air: Air, sun: tuple[float, float], cloudiness: float
) -> list[Array]:
    if cloudiness <= 0 or "clouds" in plan.denied:
        return []
    if plan.weather in ("rain", "storm", "snow", "fog"):
        cover = {"rain": 0.85, "storm": 1.0, "snow": 0.7, "fog": 0.5}[plan.weather]
        return [sheet_clouds(rng, h, w, horizon, air, sun, cover * cloudiness)]
    if plan.weather == "cloudy":
        return [
            sheet_clouds(rng, h, w, horizon, air, sun, 0.5 * cloudiness),
            heap_clouds(rng, h, w, horizon, air, sun, 0.8),
        ]
    colored = "clouds" in dict(plan.washes)
    if {"sun", "moon"} & dict(plan.washes).keys() and not colored:  # a disc in a colour of its own is to be seen
        return [wisps(rng, h, w, horizon, air, sun, 0.3)]
    high = wisps(rng, h, w, horizon, air, sun, 0.75 if plan.weather == "wind" else 0.4)
    if air.night and not colored:
        return [high * 0.35]
    return [high, heap_clouds(rng, h, w, horizon, air, sun, (0.5 if colored else 0.16) * cloudiness)]


def _shows(image: Array, plan: Plan, rng: Rng, h: int, w: int, horizon: float) -> None:
    if "aurora" in plan.extra:
        _aurora(image, rng, h, w, horizon)
    if "rainbow" in plan.extra:
        _rainbow(image, rng, h, w, horizon)
    if "fireworks" in plan.extra:
        _fireworks(image, rng, h, w, horizon)


def _aurora(image: Array, rng: Rng, h: int, w: int, horizon: float) -> None:
    _, v = grid(h, w)
    for i, (low, high) in enumerate((("38f2a0", "7a4cf0"), ("2ee6c8", "c04ce0"), ("6cf27a", "5a5cf0"))):
        base = horizon * (0.78 - 0.17 * i) + 0.09 * line(rng, w, w / h, 1.1, 3)
        rays = np.clip(0.62 + 0.3 * line(rng, w, w / h, 9, 4, 0.7) + 0.3 * line(rng, w, w / h, 1.5, 2), 0.05, 1.3)
        height = horizon * (0.42 + 0.12 * line(rng, w, w / h, 2, 3))
        t = (base[None, :] - v) / np.maximum(height[None, :], 0.05)
        amount = np.where(t < 0, np.exp(t * 26), np.exp(-t * 2.2)) * smoothstep(1.6, 0.4, t) * rays[None, :] * 0.5
        mixed = smoothstep(0.1, 0.9, t)
        add(image, rgb(low), f32(amount * (1 - mixed)))
        add(image, rgb(high), f32(amount * mixed))


def _rainbow(image: Array, rng: Rng, h: int, w: int, horizon: float) -> None:
    u, v = grid(h, w)
    centre = w / h * (0.4 + 0.2 * float(rng.random()))
    radius = np.hypot(u - centre, v - horizon - 0.12)
    t = (radius - 0.56 * max(0.7, min(1.2, w / h))) / 0.075
    colors = [rgb(c) for c in ("8a4cf0", "4c6cf0", "3cc8e8", "5ce06a", "f7ee5a", "ff9d3c", "ff4c4c")]
    bow = ramp(f32(np.clip(t, 0, 1)), [(i / 6, c) for i, c in enumerate(colors)])
    alpha = smoothstep(-0.12, 0.12, t) * smoothstep(1.12, 0.88, t) * 0.5 * smoothstep(horizon + 0.12, horizon - 0.1, v)
    for c in range(3):
        image[..., c] += (bow[..., c] - image[..., c]) * alpha + bow[..., c] * alpha * 0.25


def _fireworks(image: Array, rng: Rng, h: int, w: int, horizon: float) -> None:
    own = child(rng)
    palette = [rgb(c) for c in ("ff5a5a", "ffd24c", "6cf27a", "5ac8ff", "d07aff", "ff9ad0", "ffffff")]
    for _ in range(max(4, int(6 * w / h))):
        cx, cy = own.random() * w / h, horizon * (0.15 + 0.55 * own.random())
        color = palette[int(own.integers(len(palette)))]
        reach = 0.09 + 0.1 * own.random()
        rays = int(own.integers(26, 46))
        angle = np.arange(rays) * (2 * np.pi / rays) + own.normal(0, 0.05, rays)
        length = reach * (0.75 + 0.3 * own.random(rays))
        steps = np.linspace(0.15, 1, 26)[:, None]
        x = cx + np.cos(angle) * length * steps
        y = cy + np.sin(angle) * length * steps + 0.05 * steps**2 * reach * 4
        power = np.broadcast_to(0.25 + 0.75 * steps**2, x.shape)
        _sparks(image, x.ravel() * h, y.ravel() * h, f32(power.ravel()), color, max(0.8, h / 640))
        gu, gv = grid(h, w)
        add(image, color, f32(0.16 * np.exp(-((gu - cx) ** 2 + (gv - cy) ** 2) / (reach * 0.9) ** 2)))


def _sparks(image: Array, x: Array, y: Array, power: Array, color: tuple[float, float, float], size: float) -> None:
    h, w = image.shape[:2]
    reach = int(np.ceil(size * 2))
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            xi, yi = np.rint(x + dx).astype(int), np.rint(y + dy).astype(int)
            inside = (xi >= 0) & (xi < w) & (yi >= 0) & (yi < h)
            fall = np.exp(-((xi - x) ** 2 + (yi - y) ** 2) / (2 * (size * 0.6) ** 2)) * power
            for c in range(3):
                np.maximum.at(image[..., c], (yi[inside], xi[inside]), f32(fall * (0.35 + 0.65 * color[c]))[inside])


def lightning(rng: Rng, h: int, w: int, horizon: float) -> Array:
    """A forked bolt from the clouds to the horizon, as a premultiplied layer with its glow."""
    own = child(rng)
    out = clear(h, w)
    u, v = grid(h, w)
    x0 = (0.15 + 0.7 * own.random()) * w / h
    trunk = np.zeros(h, np.float32)
    glow = np.zeros((h, w), np.float32)
    core = np.zeros((h, w), np.float32)
    for branch in range(4):
        start, stop = (
            (0.0, horizon) if branch == 0 else (horizon * own.uniform(0.15, 0.5), horizon * own.uniform(0.6, 0.9))
        )
        wander = 0.07 * line(own, h, 1.0, 4, 6, 0.62)
        lean = 0.0 if branch == 0 else own.uniform(-0.35, 0.35)
        path = wander + lean * np.clip(v[:, 0] - start, 0, 1)
        at = int(np.clip(start * h, 0, h - 1))
        if branch == 0:
            trunk = f32(x0 + path)
            path = trunk
        else:
            path = path - path[at] + trunk[at]
        inside = smoothstep(start - 0.005, start + 0.005, v) * smoothstep(stop + 0.01, stop - 0.02, v)
        distance = np.abs(u - path[:, None])
        width = 0.0026 if branch == 0 else 0.0014
        core = np.maximum(core, np.exp(-((distance / width) ** 2)) * inside)
        glow = np.maximum(glow, np.exp(-distance / 0.03) * inside * (0.5 if branch == 0 else 0.22))
    alpha = np.clip(core + glow * 0.6, 0, 1)
    out[..., 3] = alpha
    for c, k in enumerate((0.82, 0.86, 1.0)):
        out[..., c] = alpha * (k + (1 - k) * core)
    return out
