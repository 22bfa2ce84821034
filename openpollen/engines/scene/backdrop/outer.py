"""Space and the open sky: nebulae, planets and a moonscape; a sea of clouds."""

from __future__ import annotations

import numpy as np

from ..noise import Rng, child, fbm, sample, stars, texture
from ..paint import add, blend, clear, f32, grid, lay, opaque, over, ramp, rgb, smoothstep
from ..sky import Sky, paint_sky
from ..terrain import Camera, lambert, project
from ..types import Array, Layer, Light, Plan, Rgb, Stage
from .land import Field, near_land, stage_of

_NEBULAE = (
    ("1b2a8c", "b03ad0", "ff7ab0"),
    ("0c4a7a", "22b0c8", "ffd28a"),
    ("4a1a6a", "e0486a", "ffb46a"),
    ("123a5a", "3a6cf0", "b07af0"),
)
_WORLDS = (
    ("3a5a8a", "8ac0e0", "f0f4f0"),
    ("8a4a2a", "d8905a", "ffe0b0"),
    ("4a3a7a", "9a7ad0", "f0d0f0"),
    ("2a6a5a", "6ac09a", "e0f0c0"),
)


def space(plan: Plan, w: int, h: int, rng: Rng) -> Stage:
    """Deep space with nebulae, stars and planets; the ground of the moon or of Mars on request."""
    own = child(rng)
    image = np.zeros((h, w, 3), np.float32)
    image += f32((0.012, 0.014, 0.035))
    palette = [rgb(c) for c in _NEBULAE[int(own.integers(len(_NEBULAE)))]]
    _nebula(image, own, palette, 1.25 if "nebula" in plan.extra else 0.85)
    image += stars(child(rng), h, w, 1100) + 0.6 * stars(child(rng), h, w, 500, 0.6)
    _bright_stars(image, child(rng))
    np.clip(image, 0, 1, out=image)
    left = own.random() < 0.5
    side = (-0.78, 0.62) if left else (0.78, 0.62)
    light = Light(
        side, rgb("fff4e2"), blend(rgb("4a5080"), palette[1], 0.3), 0.72, blend(palette[2], (1, 1, 1), 0.3), None
    )
    planets = clear(h, w)
    world = [rgb(c) for c in _WORLDS[int(own.integers(len(_WORLDS)))]]
    x = 0.83 if left else 0.17
    planet(planets, own, x * w, 0.2 * h, 0.13 * h, world, light, ringed=own.random() < 0.5)
    planet(
        planets,
        own,
        (1 - x) * w + 0.04 * w,
        (0.1 + 0.05 * own.random()) * h,
        0.035 * h,
        [rgb(c) for c in ("5a5a60", "a8a49c", "e8e4d8")],
        light,
    )
    if "planets" in plan.denied:
        planets = clear(h, w)
    layers = [Layer(opaque(image), 0.0, "sky"), Layer(planets, 0.1, "planets")]
    if "lunar" in plan.extra or "mars" in plan.extra:
        return _surface(plan, child(rng), h, w, layers, light)
    over(image, planets)
    return Stage(
        image=np.clip(image, 0, 1),
        horizon=1.0,
        ground=f32(np.full(w, h - 1)),
        ground_band=(0.55, 0.86),
        water=None,
        light=light,
        haze=(palette[0], 0.1),
        layers=tuple(layers),
    )


def _nebula(image: Array, rng: Rng, palette: list[Rgb], strength: float) -> None:
    h, w = image.shape[:2]
    ch = min(h, 448)
    cw = max(2, round(w * ch / h))
    gas = fbm(rng, ch, cw, 1.6, 7, 0.56)
    veil = fbm(rng, ch, cw, 2.2, 7, 0.6)
    dust = 1 - np.abs(fbm(rng, ch, cw, 2.6, 7, 0.6)) * 1.5
    dark = 1 - 0.75 * smoothstep(0.5, 1.0, dust) * smoothstep(-0.4, 0.5, veil)
    cloud = smoothstep(-1.1, 1.3, gas + 0.4 * veil) ** 1.6
    heart = smoothstep(0.0, 1.5, gas + 0.5 * veil)
    small = np.zeros((ch, cw, 3), np.float32)
    add(small, palette[0], f32(cloud * 0.75 * dark))
    add(small, palette[1], f32(cloud * smoothstep(-0.7, 1.2, veil) * 0.7 * dark))
    add(small, palette[2], f32(heart**2 * 0.6 * dark))
    from ..paint import resize

    image += np.maximum(resize(small, h, w), 0) * np.float32(strength)


def _bright_stars(image: Array, rng: Rng) -> None:
    """A few stars with a cross of light."""
    h, w = image.shape[:2]
    gu, gv = grid(h, w)
    for _ in range(int(7 * w / h) + 2):
        x, y, size = rng.random() * w / h, rng.random(), 0.006 + 0.012 * rng.random()
        du, dv = np.abs(gu - x), np.abs(gv - y)
        thin = size * 0.09
        column = np.exp(-du / thin) * np.exp(-dv / size) + np.exp(-dv / thin) * np.exp(-du / size)
        add(
            image,
            blend((0.75, 0.85, 1.0), (1.0, 0.85, 0.7), float(rng.random())),
            f32(column + np.exp(-(du**2 + dv**2) / (size * 0.35) ** 2) * 0.8),
        )


def planet(
    target: Array, rng: Rng, x: float, y: float, radius: float, colors: list[Rgb], light: Light, ringed: bool = False
) -> None:
    """A lit ball with clouds or bands, an atmosphere and perhaps rings, on an RGBA layer (in place)."""
    size = max(12, int(radius * 2.5))
    gy, gx = np.mgrid[0:size, 0:size].astype(np.float32)
    nx, ny = (gx / size - 0.5) * 2.5, (gy / size - 0.5) * 2.5
    r2 = nx * nx + ny * ny
    nz = np.sqrt(np.clip(1 - r2, 0, 1))
    rough = fbm(rng, size, size, 3, 5, 0.55)
    tone = (
        0.5 + 0.42 * np.sin((ny + 0.25 * nx) * 8 + rough * 1.8) * 0.6 + 0.3 * rough
        if rng.random() < 0.6
        else 0.45 + 0.7 * rough
    )
    face = ramp(f32(np.clip(tone, 0, 1)), [(0.0, colors[0]), (0.55, colors[1]), (1.0, colors[2])])
    lit = np.clip(nx * light.direction[0] * 0.9 - ny * light.direction[1] * 0.9 + nz * 0.35, 0, 1)
    inside = smoothstep(1.0, 0.965, np.sqrt(r2))
    out = np.zeros((size, size, 4), np.float32)
    edge = (1 - nz) ** 2.5 * lit * 0.9
    for c in range(3):
        out[..., c] = np.clip(face[..., c] * (0.04 + 1.05 * lit) + colors[2][c] * edge * 0.6, 0, 1) * inside
    out[..., 3] = inside
    halo = (
        np.exp(-np.clip(np.sqrt(r2) - 1, 0, 9) / 0.055)
        * (1 - inside)
        * np.clip(0.25 + nx * light.direction[0] - ny * light.direction[1], 0, 1)
        * 0.55
    )
    for c in range(3):
        out[..., c] += halo * colors[1][c]
    out[..., 3] += halo * 0.6
    if ringed:
        _rings(target, x, y, radius, colors, None)
    over(target, out, int(x - size / 2), int(y - size / 2))
    if ringed:
        _rings(target, x, y, radius, colors, 1)


def _rings(target: Array, x: float, y: float, radius: float, colors: list[Rgb], front: int | None) -> None:
    """The rings' far half (`front` None) or near half."""
    h, w = target.shape[:2]
    reach = int(radius * 2.3)
    x0, x1, y0, y1 = max(0, int(x) - reach), min(w, int(x) + reach), max(0, int(y) - reach), min(h, int(y) + reach)
    if x0 >= x1 or y0 >= y1:
        return
    gy, gx = np.ogrid[y0:y1, x0:x1]
    a, b = (gx - x) * 0.95 + (gy - y) * 0.3, -(gx - x) * 0.3 + (gy - y) * 0.95
    d = np.hypot(a, b * 3.6) / radius
    band = smoothstep(1.28, 1.34, d) * smoothstep(2.15, 2.05, d) * (0.55 + 0.35 * np.sin(d * 26) * np.sin(d * 9))
    half = b > 0 if front else b <= 0
    lay(target[y0:y1, x0:x1], blend(colors[2], colors[1], 0.3), f32(np.clip(band, 0, 0.9) * half))


def _surface(plan: Plan, rng: Rng, h: int, w: int, layers: list[Layer], light: Light) -> Stage:
    """The ground of an airless or a red world, with craters."""
    from ..atmosphere import air_of

    red = "mars" in plan.extra
    air = air_of(Plan("", time="day"))
    from dataclasses import replace

    light = replace(light, ambient=rgb("8a5a48") if red else rgb("3a3f52"), direction=(light.direction[0] * 0.7, 0.55))
    air = replace(air, horizon=rgb("c98a64") if red else rgb("565a6a"), murk=0.25 if red else -0.1)
    sky = Sky(layers[0].rgba[..., :3], layers, light, air, (0.5, 0.1))
    if red:
        veil = clear(h, w)
        _, gv = grid(h, w)
        lay(veil, rgb("e0a070"), f32(np.exp(-np.clip(0.55 - gv, 0, 1) / 0.12) * 0.8 + np.zeros((1, w))))
        layers.append(Layer(veil, 0.15, "air"))
    camera = Camera(h, w, 0.55)
    look = (
        Field(rgb("7a3a22"), rgb("d98c60"), 0.5, 7.0, 0.2, 0.9, rgb("e8a880"), 0.3)
        if red
        else Field(rgb("5a5c66"), rgb("c9c8c6"), 0.4, 7.0, 0.22, 0.9, rgb("8a8a90"), 0.4)
    )
    near, skyline, _ = near_land(rng, camera, sky, look, 40.0)
    _craters(near.rgba, rng, camera, light)
    stage = stage_of(sky, [near], camera, (0.68, 0.93), skyline)
    stage.haze = (air.horizon, 0.1)
    return stage


def _craters(image: Array, rng: Rng, camera: Camera, light: Light) -> None:
    h, w = camera.h, camera.w
    for _ in range(int(16 * w / h)):
        v = 0.05 + 0.4 * rng.random() ** 1.3
        x, y, r = rng.random() * w, (camera.horizon + v) * h, (0.03 + 0.09 * rng.random()) * v / 0.3 * h
        x0, x1, y0, y1 = (
            max(0, int(x - r * 1.4)),
            min(w, int(x + r * 1.4)),
            max(0, int(y - r * 0.6)),
            min(h, int(y + r * 0.6)),
        )
        if x0 >= x1 or y0 >= y1:
            continue
        gy, gx = np.ogrid[y0:y1, x0:x1]
        dx, dy = (gx - x) / r, (gy - y) / (r * 0.36)
        d = np.hypot(dx, dy)
        slope = (dx * light.direction[0] - dy * 0.5) / np.maximum(d, 0.05)
        bowl = (
            smoothstep(1.0, 0.7, d) * slope * 0.34
            - np.exp(-(((d - 1.05) / 0.12) ** 2)) * slope * 0.3
            - 0.1 * smoothstep(1, 0.4, d)
        )
        for c in range(3):
            part = image[y0:y1, x0:x1, c]
            part *= 1 + bowl
            np.minimum(part, image[y0:y1, x0:x1, 3], out=part)


def sky(plan: Plan, w: int, h: int, rng: Rng) -> Stage:
    """High above the ground: a wide sky over a sea of clouds."""
    horizon = 0.8
    painted = paint_sky(plan, child(rng), h, w, horizon, 1.2)
    own = child(rng)
    layers: list[Layer] = []
    base = painted.image.copy()
    camera = Camera(h, w, 0.74)
    for depth, near, far, lift in ((0.3, 6.0, 40.0, 0.0), (0.55, 1.6, 7.5, 0.04)):
        rgba = _cloud_sea(own, camera, painted, near, far, lift)
        layers.append(Layer(rgba, depth, "clouds"))
        over(base, rgba)
    return Stage(
        image=np.clip(base, 0, 1),
        horizon=horizon,
        ground=f32(np.full(w, 0.86 * h)),
        ground_band=(0.84, 0.94),
        water=None,
        light=painted.light,
        haze=(painted.air.horizon, painted.air.murk),
        layers=(*painted.layers, *layers),
    )


def _cloud_sea(rng: Rng, camera: Camera, sky: Sky, near: float, far: float, lift: float) -> Array:
    """A stretch of cloud tops seen from above, between two distances."""
    tile, fine = texture(rng, 256, 3.2, 2), texture(rng, 256, 2.6, 4)
    z, x = camera.fan(220, far, near)
    u, v = x / 12, z / 12
    lumps = np.abs(sample(tile, u, v)) * 0.62 + np.abs(sample(tile, u * 2.4 + 0.3, v * 2.4)) * 0.3
    lumps = lumps + np.abs(sample(fine, u * 2.2, v * 2.2)) * 0.16
    height = f32((lumps - 0.2) * (0.7 + 0.035 * z) + lift)
    lit = lambert(height, x, z, sky.light, 0.15)
    view = project(camera, height, z)
    distance = view.gather_row(z[:, 0])
    shape = np.clip(0.06 + 0.62 * view.gather(lit) + 0.6 * (view.gather(f32(lumps)) - 0.3), 0, 1)
    fade = 1 - np.exp(-distance * 0.03 * (1 + sky.air.murk))
    cover = view.cover * smoothstep(near * 0.7, near, distance) if lift == 0 else view.cover
    out = np.empty((camera.h, camera.w, 4), np.float32)
    air = sky.air
    for c in range(3):
        plane = air.cloud_dark[c] + (air.cloud_lit[c] - air.cloud_dark[c]) * shape
        out[..., c] = np.clip(plane + (air.horizon[c] - plane) * fade, 0, 1) * cover
    out[..., 3] = cover
    return out
