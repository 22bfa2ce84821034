"""A city street in one-point perspective between lit facades, with a skyline behind, lamps, trees and a wet road."""

from __future__ import annotations

import numpy as np

from ..noise import Rng, child, sample, sample_nearest, texture
from ..paint import add, blend, blur, clear, f32, grid, luminance, over, rgb, scale, smoothstep
from ..props import draw_prop
from ..props.canvas import sized
from ..sky import Sky, paint_sky
from ..terrain import Camera
from ..types import Array, Layer, Plan, Rgb, Stage
from .facade import NEON, NIGHT_WALLS, WALLS, WARM, Mood, facade, hashed
from .land import dressed, shadow
from .water import Waves, waves_of

STREET = 2.7  # half the distance between the facades, in eye heights
ROAD = 1.75


def _mood(plan: Plan) -> Mood:
    neon = "neon" in plan.extra or plan.style == "neon"
    dark = plan.time in ("night", "dusk") or neon
    gloomy = plan.weather in ("rain", "storm", "fog")
    lit = {"night": 0.5, "dusk": 0.42, "sunset": 0.2, "dawn": 0.12, "day": 0.0}[plan.time] + (0.16 if gloomy else 0)
    glow = (*NEON[:2], *NEON[3:4], *WARM) if neon else WARM
    return Mood(
        max(lit, 0.45 if neon else 0),
        glow,
        dark or gloomy,
        plan.weather in ("rain", "storm"),
        neon,
        NIGHT_WALLS if neon else WALLS,
    )


def city(plan: Plan, w: int, h: int, rng: Rng) -> Stage:
    """A street with buildings on both sides."""
    camera = Camera(h, w, 0.56)
    sky = paint_sky(plan, child(rng), h, w, camera.horizon, 0.8)
    mood = _mood(plan)
    own = child(rng)
    layers = [Layer(_skyline(own, camera, sky, mood, i), 0.15 + 0.1 * i, "skyline") for i in range(2)]
    road, wet = _road(own, camera, sky, mood, plan)
    walls, light = _walls(own, camera, sky, mood)
    street = clear(h, w)
    _furniture(street, road, light, own, camera, sky, mood, plan)
    layers += [Layer(walls, 0.4, "buildings"), Layer(road, 0.5, "road"), Layer(street, 0.6, "street")]
    image = sky.image.copy()
    for part in layers:
        over(image, part.rgba)
    water = None
    if wet is not None:
        mirrored = _mirror(image + light * 0.8, camera, waves_of(own, 1.0), wet)
        layers.append(Layer(mirrored, 0.55, "wet"))
        over(image, mirrored)
        water = wet
    halo = np.clip(blur(light, 0.012 * h) * 0.75 + blur(light, 0.05 * h) * 0.8, 0, 0.85)
    veil = np.empty((h, w, 4), np.float32)
    veil[..., :3] = halo
    veil[..., 3] = halo.max(axis=2) * 0.5
    layers.append(Layer(veil, 0.6, "glow"))
    over(image, veil)
    return Stage(
        image=np.clip(image, 0, 1),
        horizon=camera.horizon,
        ground=f32(np.full(w, 0.64 * h)),
        ground_band=(0.72, 0.93),
        water=water,
        light=sky.light,
        haze=(sky.air.horizon, sky.air.murk),
        layers=(*sky.layers, *layers),
    )


def _skyline(rng: Rng, camera: Camera, sky: Sky, mood: Mood, rank: int) -> Array:
    """A row of far towers as flat shapes with tiny windows."""
    h, w = camera.h, camera.w
    out = clear(h, w)
    fade = 0.72 - 0.24 * rank
    base = luminance(sky.air.horizon)
    tone_ = blend(scale(rgb("8494b4"), 0.25 + 0.75 * base), sky.air.horizon, fade)
    x = -0.02 * w
    while x < w:
        wide = int((0.03 + 0.055 * rng.random()) * h)
        middle = 1 - abs((x + wide / 2) / w - 0.5) * 1.1
        tall = int((0.1 + 0.3 * rng.random() * middle + 0.05 * rank) * h)
        x0, x1, y0, y1 = (
            max(0, int(x)),
            min(w, int(x) + wide),
            int(camera.horizon * h) - tall,
            int(camera.horizon * h) + 2,
        )
        x += wide + rng.random() * 0.01 * h
        if x1 - x0 < 2:
            continue
        block = out[max(0, y0) : y1, x0:x1]
        shade = f32(np.linspace(1.06, 0.92, x1 - x0))
        for c in range(3):
            block[..., c] = np.clip(tone_[c] * shade, 0, 1)[None, :]
        block[..., 3] = 1
        cell = max(3, int(0.011 * h))
        rows, cols = np.arange(block.shape[0], dtype=np.int64), np.arange(block.shape[1], dtype=np.int64)
        lit = hashed(f32(rows[:, None] // cell + y0), f32(cols[None, :] // cell), x0) < mood.lit * 0.8
        pane = lit & ((rows % cell) < cell * 0.6)[:, None] & ((cols % cell) < cell * 0.55)[None, :]
        color = blend(mood.glow[int(rng.integers(len(mood.glow)))], sky.air.horizon, fade * 0.55)
        block[..., :3][pane] = color
        if rng.random() < 0.35 and y0 > 0:
            mast = x0 + (x1 - x0) // 2
            top = max(0, y0 - int(0.05 * h * rng.random()) - 4)
            out[top:y0, mast : mast + max(1, h // 500)] = (*tone_, 1)
    return out


def _walls(rng: Rng, camera: Camera, sky: Sky, mood: Mood) -> tuple[Array, Array]:
    """The facades of both sides, far ones first, and the light they give off (h x w x 3)."""
    h, w = camera.h, camera.w
    out, glow = clear(h, w), np.zeros((h, w, 3), np.float32)
    blocks: list[tuple[float, float, float, int, Rgb, int]] = []
    for side in (-1, 1):
        z = 1.6
        while z < 46:
            deep = 1.5 + 1.6 * rng.random() + 0.05 * z
            tall = 3.0 + 4.6 * rng.random() ** 1.4 + 0.09 * z
            blocks.append(
                (z, z + deep, tall, side, mood.walls[int(rng.integers(len(mood.walls)))], int(rng.integers(1 << 20)))
            )
            z += deep
    for z0, z1, tall, side, color, key in sorted(blocks, key=lambda b: -b[0]):
        _front_face(out, glow, camera, sky, mood, z0, tall, side, color, key)
        _side_face(out, glow, camera, sky, mood, z0, z1, tall, side, color, key)
    if mood.neon:
        _signs(out, glow, rng, camera)
    return out, glow


def _put(out: Array, glow: Array, area: tuple[slice, slice], mask: Array, color: Array, shine: Array) -> None:
    target, lamps = out[area], glow[area]
    for c in range(3):
        plane = target[..., c]
        plane += (np.clip(color[..., c] + shine[..., c], 0, 1) - plane) * mask
        light = lamps[..., c]
        light += (shine[..., c] - light) * mask
    target[..., 3] = np.maximum(target[..., 3], mask)


def _front_face(
    out: Array,
    glow: Array,
    camera: Camera,
    sky: Sky,
    mood: Mood,
    z: float,
    tall: float,
    side: int,
    color: Rgb,
    key: int,
) -> None:
    h, w = camera.h, camera.w
    inner, outer = STREET / z, (STREET + 3.4) / z
    left, right = (0.5 * w / h + side * inner, 0.5 * w / h + side * outer)
    x0, x1 = sorted((int(left * h), int(right * h)))
    x0, x1 = max(0, x0), min(w, x1)
    y0, y1 = max(0, int((camera.horizon + (1 - tall) / z) * h)), min(h, int((camera.horizon + 1 / z) * h))
    if x0 >= x1 or y0 >= y1:
        return
    u = (np.arange(x0, x1, dtype=np.float32) + 0.5)[None, :] / h - 0.5 * w / h
    v = (np.arange(y0, y1, dtype=np.float32) + 0.5)[:, None] / h
    along = np.abs(u) * z + 0 * v
    high = 1 - (v - camera.horizon) * z + 0 * u
    face, shine = facade(f32(along), f32(high), tall, color, key, sky, mood, 0.78, f32(np.full(high.shape, z)))
    _put(out, glow, (slice(y0, y1), slice(x0, x1)), np.ones(high.shape, np.float32), face, shine)


def _side_face(
    out: Array,
    glow: Array,
    camera: Camera,
    sky: Sky,
    mood: Mood,
    z0: float,
    z1: float,
    tall: float,
    side: int,
    color: Rgb,
    key: int,
) -> None:
    h, w = camera.h, camera.w
    near, far = 0.5 * w / h + side * STREET / z0, 0.5 * w / h + side * STREET / z1
    x0, x1 = sorted((int(near * h), int(far * h)))
    x0, x1 = max(0, x0), min(w, x1)
    if x0 >= x1:
        return
    u = (np.arange(x0, x1, dtype=np.float32) + 0.5)[None, :] / h - 0.5 * w / h
    z = STREET / np.maximum(np.abs(u), 1e-4)
    y0, y1 = max(0, int((camera.horizon + (1 - tall) / z0) * h)), min(h, int((camera.horizon + 1 / z0) * h) + 1)
    v = (np.arange(y0, y1, dtype=np.float32) + 0.5)[:, None] / h
    high = 1 - (v - camera.horizon) * z
    soft = z / h
    mask = smoothstep(tall + soft, tall - soft, high) * smoothstep(-soft, soft, high)
    facing = 0.62 + 0.38 * max(0.0, -side * sky.light.direction[0]) * 1.4
    face, shine = facade(f32(z + 0 * v), f32(high), tall, color, key, sky, mood, facing, f32(z + 0 * v))
    _put(out, glow, (slice(y0, y1), slice(x0, x1)), mask, face, shine)


def _signs(out: Array, glow: Array, rng: Rng, camera: Camera) -> None:
    """Neon signs that stick out from the facades."""
    h, w = camera.h, camera.w
    items = sorted(((2.6 + 13 * rng.random() ** 1.5, -1 if i % 2 else 1) for i in range(14)), reverse=True)
    for z, side in items:
        wide, tall, foot = 0.28 + 0.3 * rng.random(), 0.6 + 1.3 * rng.random(), 1.2 + 1.6 * rng.random()
        a = 0.5 * w / h + side * (STREET - 0.05) / z
        b = 0.5 * w / h + side * (STREET - 0.05 - wide) / z
        x0, x1 = sorted((int(a * h), int(b * h)))
        y0, y1 = int((camera.horizon + (1 - foot - tall) / z) * h), int((camera.horizon + (1 - foot) / z) * h)
        x0, x1, y0, y1 = max(0, x0), min(w, x1), max(0, y0), min(h, y1)
        if x1 - x0 < 3 or y1 - y0 < 4:
            continue
        color, second = NEON[int(rng.integers(len(NEON)))], NEON[int(rng.integers(len(NEON)))]
        gy = np.linspace(0, 1, y1 - y0, dtype=np.float32)[:, None]
        gx = np.linspace(0, 1, x1 - x0, dtype=np.float32)[None, :]
        rim = np.clip((np.maximum(np.abs(gx - 0.5) * 2, np.abs(gy - 0.5) * 2 * 1.0) - 0.86) / 0.06, 0, 1) + 0 * gy
        count = max(2, int(tall / wide * 1.3))
        row = np.floor(gy * count)
        part = gy * count - row
        bars = hashed(np.floor(gx * 4) + 0 * gy, row * 5 + np.floor(part * 4) + 0 * gx, int(z * 999)) > 0.45
        glyph = bars * (np.abs(gx - 0.5) < 0.34) * (np.abs(part - 0.5) < 0.36) * (np.abs(gy - 0.5) < 0.42)
        face, shine = np.empty((y1 - y0, x1 - x0, 3), np.float32), np.empty((y1 - y0, x1 - x0, 3), np.float32)
        for c in range(3):
            face[..., c] = 0.05 + 0.1 * second[c]
            shine[..., c] = np.maximum(rim * color[c], glyph * second[c]) * 0.95
        _put(out, glow, (slice(y0, y1), slice(x0, x1)), np.ones(rim.shape, np.float32), face, shine)


def _road(rng: Rng, camera: Camera, sky: Sky, mood: Mood, plan: Plan) -> tuple[Array, Array | None]:
    """Carriageway, kerbs and pavements; and where it is wet, how much it mirrors."""
    h, w = camera.h, camera.w
    gu, gv = grid(h, w)
    z = 1 / np.maximum(gv - camera.horizon, 1e-3)
    x = (gu - 0.5 * w / h) * z
    out = clear(h, w)
    inside = smoothstep(1.0, 0.995, np.abs(x) / STREET) * (gv > camera.horizon)
    fine, broad = texture(rng, 512, 0.5, 16), texture(rng, 256, 2.0, 2)
    grain = sample_nearest(fine, x * 0.6, z * 0.6 + 0 * x) * np.exp(-z * 0.16) + 0.9 * sample(
        broad, x * 0.14, z * 0.09 + 0 * x
    )
    side = np.abs(x)
    pavement = smoothstep(ROAD + 0.02, ROAD + 0.06, side)
    kerb = np.exp(-(((side - ROAD - 0.02) / 0.035) ** 2))
    slab = ((np.abs(x * 2.2 % 1) < 0.045) | (np.abs(z * 1.7 % 1) < 0.06)) * np.exp(-z * 0.22)
    dash = (side < 0.05) * ((z * 0.62 % 1) < 0.5) + (np.abs(side - ROAD + 0.16) < 0.025)
    snowy = 1.0 if plan.snowy else 0.0
    far = 1 - np.exp(-z * 0.022 * (0.5 + 2 * sky.air.murk))
    pools = np.zeros_like(x)
    if mood.lamps:
        for lz in (3.2, 5.4, 9.0, 15.0, 25.0):
            for lx in (-ROAD, ROAD):
                pools += np.exp(-((x - lx * 0.82) ** 2 + ((z - lz) * 0.8) ** 2) / (0.5 + 0.05 * lz))
    dim = 1 - luminance(sky.light.ambient)
    for c in range(3):
        level = sky.light.ambient[c] * 0.9 + sky.light.color[c] * sky.light.strength * 0.72
        asphalt = (0.29, 0.3, 0.33)[c] * (1 + 0.22 * grain)
        stone = (0.62, 0.6, 0.58)[c] * (1 + 0.14 * grain - 0.16 * slab)
        plane = asphalt + (stone - asphalt) * pavement + 0.16 * kerb + (0.86 - asphalt) * np.clip(dash, 0, 1) * 0.8
        plane = plane + (0.93 - plane) * snowy * smoothstep(-0.5, 0.6, grain + 1.2 * pavement)
        plane = plane * level + pools * WARM[0][c] * (0.25 + plane) * 0.7 * dim
        plane = plane * (0.55 if mood.wet else 1.0)
        out[..., c] = np.clip(plane + (sky.air.horizon[c] - plane) * far, 0, 1) * inside
    out[..., 3] = inside
    if not mood.wet:
        return out, None
    puddle = smoothstep(-0.5, 0.5, sample(broad, x * 0.21 + 0.3, z * 0.13 + 0 * x)) * 0.4 + 0.42
    return out, f32(np.clip(puddle * inside, 0, 0.85))


def _mirror(image: Array, camera: Camera, waves: Waves, wet: Array) -> Array:
    """The street upside down in its wet ground."""
    h, w = camera.h, camera.w
    top = int(camera.horizon * h)
    rows = np.arange(top, h)
    gu = (np.arange(w, dtype=np.float32)[None, :] + 0.5) / h
    v = (rows[:, None] + 0.5) / h - camera.horizon
    z = 1 / np.maximum(v, 0.01)
    shake = sample(waves.tile, gu * z * 0.4, z * 1.1 + 0 * gu)
    soft = blur(image[:top], 0.004 * h)
    my = np.clip(top - (rows[:, None] - top) * 1.25 - np.abs(shake) * 0.09 * h * (0.2 + v), 0, top - 1).astype(np.int32)
    mx = np.clip(gu * h + shake * 0.02 * h * (0.3 + v), 0, w - 1).astype(np.int32)
    out = np.zeros((h, w, 4), np.float32)
    alpha = wet[top:]
    seen = soft.reshape(-1, 3).take(my * w + mx, axis=0)
    for c in range(3):
        out[top:, :, c] = np.clip(seen[..., c] * 0.95, 0, 1) * alpha
    out[top:, :, 3] = alpha
    return out


def _furniture(
    target: Array, ground: Array, light: Array, rng: Rng, camera: Camera, sky: Sky, mood: Mood, plan: Plan
) -> None:
    """Lamps and trees along the pavements, far ones first."""
    h, w = camera.h, camera.w
    lamp = draw_prop("street-lamp", max(16, int(0.95 * h)), rng, sky.light.direction)
    kind = (
        "snowy-pine"
        if plan.snowy
        else "autumn-tree"
        if "autumn" in plan.extra
        else "cherry-tree"
        if "spring" in plan.extra
        else "tree"
    )
    trees = [draw_prop(kind, max(12, int(0.5 * h)), rng, sky.light.direction) for _ in range(2)]
    for z in (25.0, 15.0, 11.5, 9.0, 7.0, 5.4, 4.2, 3.2):
        is_lamp = z in (25.0, 15.0, 9.0, 5.4, 3.2)
        for side in (-1, 1):
            x = 0.5 * w + side * (ROAD + (0.12 if is_lamp else 0.35)) / z * h
            y = (camera.horizon + 1 / z) * h
            if not is_lamp and (mood.neon or z < 5):
                continue
            tall = int((2.5 if is_lamp else 1.7) / z * h)
            drawn = dressed(
                sized(lamp if is_lamp else trees[int(rng.integers(2))], max(4, tall), is_lamp and side > 0), sky, z
            )
            if not is_lamp:
                shadow(ground, sky, x, y, drawn.shape[1] * 0.4)
            shift = 0.36 * drawn.shape[1] * (-side) if is_lamp else 0
            over(target, drawn, int(x - drawn.shape[1] / 2 + shift), int(y - drawn.shape[0]))
            if is_lamp and mood.lamps:
                _lamp_light(light, x + shift * 1.9, y - 0.9 * tall, tall)


def _lamp_light(light: Array, x: float, y: float, tall: int) -> None:
    h, w = light.shape[:2]
    r = max(1.5, tall * 0.035)
    reach = int(r * 3) + 1
    x0, x1, y0, y1 = max(0, int(x) - reach), min(w, int(x) + reach), max(0, int(y) - reach), min(h, int(y) + reach)
    if x0 >= x1 or y0 >= y1:
        return
    gy, gx = np.ogrid[y0:y1, x0:x1]
    add(light[y0:y1, x0:x1], WARM[1], f32(1.6 * np.exp(-((gx - x) ** 2 + (gy - y) ** 2) / (r * r))))
