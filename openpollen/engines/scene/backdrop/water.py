"""Water seen from above its surface: sea, beach, and lakes poured into other stages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..noise import Rng, child, sample, texture
from ..paint import add, blend, blend_in, blur, f32, grid, lay, over, rgb, smoothstep
from ..props import draw_prop
from ..sky import Sky, paint_sky
from ..terrain import Camera
from ..types import Array, Layer, Plan, Rgb, Stage
from .land import Spot, far_range, plants_layer, set_out, unless


@dataclass(frozen=True)
class Waves:
    """The tile that shapes a water surface, how rough it is, and how far it has moved."""

    tile: Array
    rough: float
    shift: float = 0.0


def waves_of(rng: Rng, rough: float) -> Waves:
    """Waves for calm (0.3) to stormy (2) water."""
    return Waves(texture(rng, 256, 1.5, 4), rough)


def surface(camera: Camera, waves: Waves, above: Array, sky: Sky, deep: Rgb, top: int = 0) -> Array:
    """Water below the horizon (h x w x 3): it mirrors `above`, the picture over it, and shows `deep` where it is steep to us.

    Only rows from `top` on are computed.
    """
    h, w = camera.h, camera.w
    rows = np.arange(max(top, int(camera.horizon * h)), h)
    v = f32(rows + 0.5)[:, None] / h - camera.horizon
    z = camera.eye / np.maximum(v, 0.0012)
    u = (np.arange(w, dtype=np.float32)[None, :] + 0.5) / h - 0.5 * w / h
    x = u * z
    s = waves.shift
    swell = sample(waves.tile, x * 0.075 + s * 0.02, z * 0.24 + s * 0.05 + 0 * u)
    chop = sample(waves.tile, x * 0.24 - s * 0.03 + 0.37, z * 0.85 + s * 0.11 + 0 * u)
    ripple = sample(waves.tile, x * 0.8 + s * 0.05, z * 2.9 - s * 0.16 + 0 * u)
    far_fade = 1 / (1 + 0.03 * z)
    slope = waves.rough * (
        0.42 * swell / (1 + 0.01 * z) + 0.42 * chop * np.exp(-0.045 * z) + 0.4 * ripple * np.exp(-0.2 * z)
    )
    reach = 0.045 + 0.5 * v
    my = np.clip((camera.horizon - v * 0.92 - 0.006 - np.abs(slope) * reach) * h, 0, h - 1).astype(np.int32)
    mx = np.clip((u + 0.5 * w / h + slope * reach * 0.45) * h, 0, w - 1).astype(np.int32)
    soft = blur(above, 0.011 * h)
    mirrored = soft.reshape(-1, above.shape[2]).take(my * w + mx, axis=0)
    fresnel = np.clip(0.72 - 1.05 * v - 0.42 * slope * (0.35 + v), 0.08, 0.9)
    bright = [sky.light.ambient[c] * 1.15 + sky.light.color[c] * sky.light.strength * 0.5 for c in range(3)]
    out = np.empty((rows.size, w, 3), np.float32)
    for c in range(3):
        body = deep[c] * bright[c] * (1.05 + 0.45 * slope)
        out[..., c] = body + (mirrored[..., c] - body) * fresnel
    _glitter(out, slope, u, v, camera, sky)
    crest = smoothstep(0.62, 1.1, slope) * np.clip(waves.rough - 0.75, 0, 1) * far_fade
    add(out, (0.75 * bright[0], 0.78 * bright[1], 0.8 * bright[2]), f32(crest * 0.6))
    return np.clip(out, 0, 1)


def _glitter(out: Array, slope: Array, u: Array, v: Array, camera: Camera, sky: Sky) -> None:
    """The sun's or moon's road on the water."""
    if sky.light.sun_xy is None:
        return
    away = u + 0.5 * camera.w / camera.h - sky.sun[0] * camera.w / camera.h
    path = np.exp(-((away / (0.05 + 0.26 * v)) ** 2))
    spark = smoothstep(0.1, 0.75, slope) * path * np.exp(-v * 1.5)
    glow = path * 0.16
    strength = (0.95 if sky.air.low_sun or sky.air.night else 0.55) * (1 - sky.air.overcast)
    add(out, sky.air.sun, f32((spark + glow) * strength))


def _deep(plan: Plan) -> Rgb:
    if plan.weather in ("storm", "rain"):
        return rgb("27495a")
    return rgb("1c9fae") if "tropical" in plan.extra else rgb("16648f")


def _rough(plan: Plan) -> float:
    return {"storm": 2.0, "wind": 1.35, "rain": 1.15, "snow": 0.8, "fog": 0.5}.get(plan.weather, 0.8)


def _filled(camera: Camera, rows: Array, name: str, depth: float) -> Layer:
    layer = np.zeros((camera.h, camera.w, 4), np.float32)
    layer[camera.h - rows.shape[0] :, :, :3] = rows
    layer[camera.h - rows.shape[0] :, :, 3] = 1
    return Layer(layer, depth, name)


def sea(plan: Plan, w: int, h: int, rng: Rng) -> Stage:
    """The open sea, or a lake between wooded hills, with a far coast."""
    camera = Camera(h, w, 0.52)
    sky = paint_sky(plan, child(rng), h, w, camera.horizon)
    inland = "lake" in plan.extra or "river" in plan.extra
    tall, rock = (0.2, rgb("4c6a50")) if inland else (0.075, rgb("5c6b78"))
    coast, _ = far_range(rng, camera, sky, tall, rock, 0.2 if plan.snowy else 0.0, 24.0)
    image = sky.image.copy()
    shore = coast.rgba.copy()
    if not inland:
        gu, _ = grid(h, w)
        side = sky.sun[0] > 0.5
        part = smoothstep(0.55, 0.2, gu * h / w if side else 1 - gu * h / w)
        shore *= part[..., None]
    over(image, shore)
    waves = waves_of(child(rng), 0.35 if inland else _rough(plan))
    water = surface(camera, waves, image, sky, rgb("1f5a5e") if inland else _deep(plan))
    layer = _filled(camera, water, "water", 0.5)
    mist = f32(
        np.exp(-np.abs(np.arange(h)[:, None] / h - camera.horizon) / 0.02) * (0.2 + 0.3 * sky.air.murk) + 0 * gu_like(w)
    )
    veil = np.zeros((h, w, 4), np.float32)
    lay(veil, sky.air.horizon, mist)
    layers = [Layer(shore, 0.2, "coast"), layer, Layer(veil, 0.5, "mist")]
    over(image, layer.rgba)
    over(image, veil)
    mask = f32(np.zeros((h, w), np.float32))
    mask[h - water.shape[0] :] = 1
    line = f32(np.full(w, camera.horizon * h))
    return Stage(
        image=np.clip(image, 0, 1),
        horizon=camera.horizon,
        ground=line,
        ground_band=(camera.horizon + 0.1, 0.9),
        water=mask,
        light=sky.light,
        haze=(sky.air.horizon, sky.air.murk),
        layers=(*sky.layers, *layers),
    )


def gu_like(w: int) -> Array:
    """A row of zeros to broadcast against."""
    return np.zeros((1, w), np.float32)


def beach(plan: Plan, w: int, h: int, rng: Rng) -> Stage:
    """Surf running up a sandy beach, palms, a far headland."""
    camera = Camera(h, w, 0.42)
    sky = paint_sky(plan, child(rng), h, w, camera.horizon)
    coast, _ = far_range(rng, camera, sky, 0.09, rgb("55705f"), 0.0, 22.0)
    gu, gv = grid(h, w)
    right = sky.sun[0] > 0.5
    part = smoothstep(0.5, 0.25, gu * h / w if right else 1 - gu * h / w)
    coast = Layer(coast.rgba * part[..., None], 0.2, "coast")
    image = sky.image.copy()
    over(image, coast.rgba)
    water = _filled(
        camera, surface(camera, waves_of(child(rng), _rough(plan) * 0.8), image, sky, _deep(plan)), "water", 0.45
    )
    own = child(rng)
    tile = texture(own, 256, 1.9, 2)
    edge = (
        0.62 + 0.03 * sample(tile, gu * 0.35, np.full_like(gu, 0.3)) + 0.035 * (gu * h / w - 0.5) * (1 if right else -1)
    )
    _surf(water.rgba, tile, gu, gv, edge, camera, sky)
    sand = _sand(own, camera, sky, gu, gv, edge, tile)
    grown = plants_layer(camera, 0.75, "palms")
    places = unless(plan, "palms", _palms(own, camera, w, h, right))
    palms = [draw_prop("palm", max(24, int(0.62 * h)), own, sky.light.direction) for _ in range(2)]
    set_out(grown.rgba, sand.rgba, palms, places, own, sky)
    _shells(grown.rgba, sand.rgba, own, camera, sky)
    layers = [coast, water, sand, grown]
    for part_ in layers[1:]:
        over(image, part_.rgba)
    mask = np.clip(water.rgba[..., 3] - sand.rgba[..., 3], 0, 1)
    return Stage(
        image=np.clip(image, 0, 1),
        horizon=camera.horizon,
        ground=f32(edge[0] * h + 0.05 * h),
        ground_band=(0.72, 0.94),
        water=f32(mask),
        light=sky.light,
        haze=(sky.air.horizon, sky.air.murk),
        layers=(*sky.layers, *layers),
    )


def _surf(image: Array, tile: Array, u: Array, v: Array, edge: Array, camera: Camera, sky: Sky) -> None:
    """Shallows turning clear and green, with lines of foam that follow the shore (in place)."""
    level = [min(1.0, sky.light.ambient[c] * 0.85 + sky.light.color[c] * sky.light.strength * 0.62) for c in range(3)]
    shallow = smoothstep(-0.15, 0.01, v - edge) * 0.72
    lay(image, (0.46 * level[0], 0.86 * level[1], 0.84 * level[2]), f32(shallow * image[..., 3]))
    lace = sample(tile, u * 1.3, v * 4.5) + 0.5 * sample(tile, u * 3.7, v * 11)
    for offset, wide, strength in ((-0.012, 0.014, 1.0), (-0.05, 0.008, 0.75), (-0.092, 0.005, 0.5)):
        place = edge + offset + 0.012 * sample(tile, u * 0.9 + offset * 9, np.full_like(u, 0.7))
        crest = np.exp(-(((v - place) / wide) ** 2)) * smoothstep(-0.55, 0.45, lace + 0.25)
        lay(
            image,
            (0.97 * level[0], 0.99 * level[1], 1.0 * level[2]),
            f32(np.clip(crest * strength, 0, 0.95) * image[..., 3]),
        )


def _sand(rng: Rng, camera: Camera, sky: Sky, u: Array, v: Array, edge: Array, tile: Array) -> Layer:
    """Wet sand that mirrors the sky near the surf, dry sand in front."""
    h, w = camera.h, camera.w
    z = 1 / np.maximum(v - camera.horizon, 0.05)
    x = (u - 0.5 * w / h) * z
    fine = texture(rng, 512, 0.7, 12)
    tone = 0.62 + 0.16 * sample(tile, x * 0.12, z * 0.3) + 0.13 * sample(fine, x * 0.7, z * 1.1) * np.exp(-z * 0.12)
    tone += 0.05 * np.sin(z * 16 + 2 * sample(tile, x * 0.2, z * 0.2)) * np.exp(-z * 0.35)
    dark, pale = rgb("b98d58"), rgb("fbe4b4")
    wet = smoothstep(0.1, 0.0, v - edge)
    out = np.empty((h, w, 4), np.float32)
    alpha = smoothstep(-0.006, 0.004, v - edge)
    mirror = blend(sky.air.horizon, sky.air.middle, 0.4)
    for c in range(3):
        level = sky.light.ambient[c] * 0.9 + sky.light.color[c] * sky.light.strength * 0.72
        dry = (dark[c] + (pale[c] - dark[c]) * tone) * level
        damp = dry * 0.62 + mirror[c] * 0.3
        out[..., c] = np.clip(dry + (damp - dry) * wet, 0, 1) * alpha
    out[..., 3] = alpha
    return Layer(out, 0.6, "sand")


def _palms(rng: Rng, camera: Camera, w: int, h: int, right: bool) -> list[Spot]:
    out: list[Spot] = []
    for i in range(3):
        x = (0.05 + 0.11 * i + 0.03 * rng.random()) * (1 if right else -1) + (0 if right else 1)
        out.append(Spot(x * w, (0.72 + 0.05 * i * rng.random()) * h, 3.0, int((0.62 - 0.13 * i) * h)))
    return out[::-1]


def _shells(target: Array, ground: Array, rng: Rng, camera: Camera, sky: Sky) -> None:
    rocks = [draw_prop("rock", max(6, int(0.05 * camera.h)), rng, sky.light.direction) for _ in range(2)]
    places = [
        Spot(
            float(rng.random()) * camera.w,
            (0.7 + 0.27 * float(rng.random())) * camera.h,
            2.5,
            max(3, int(camera.h * (0.012 + 0.02 * rng.random()))),
        )
        for _ in range(7)
    ]
    set_out(target, ground, rocks, sorted(places, key=lambda spot: spot.y), rng, sky)


def pour_lake(stage: Stage, plan: Plan, sky: Sky, camera: Camera, rng: Rng, ice: bool = False) -> Stage:
    """The stage with a lake across its middle ground, mirroring what stands behind it; frozen when `ice`."""
    h, w = camera.h, camera.w
    gu, gv = grid(h, w)
    tile = texture(child(rng), 256, 1.9, 2)
    centre, half = camera.horizon + 0.135, 0.075
    wobble = 0.35 * sample(tile, gu * 0.4, np.full_like(gu, 0.2))
    across = (gu - w / h * 0.5) / (0.62 * max(1.0, w / h))
    field = 1 - ((gv - centre) / half) ** 2 - across**2 + wobble * 0.5 + 0.12 * sample(tile, gu * 1.4, gv * 3)
    alpha = smoothstep(0.0, 0.06, field)
    flat = Camera(h, w, camera.horizon + 0.03)
    above = stage.image
    water = surface(
        flat, waves_of(child(rng), 0.12 if ice else 0.3), above, sky, rgb("9cc6d8") if ice else rgb("1d5f6a")
    )
    full = np.zeros((h, w, 3), np.float32)
    full[h - water.shape[0] :] = water
    layer = np.empty((h, w, 4), np.float32)
    layer[..., :3] = full * alpha[..., None]
    layer[..., 3] = alpha
    bank = smoothstep(-0.12, 0.02, field) * (1 - alpha) * 0.5
    lay(layer, (0.2 * sky.light.ambient[0], 0.18 * sky.light.ambient[1], 0.14 * sky.light.ambient[2]), f32(bank * 0.6))
    image = stage.image.copy()
    blend_in(image, layer[..., :3] + image * (1 - layer[..., 3:]), f32(np.ones((h, w))))
    layers = list(stage.layers)
    at = next((i for i, part in enumerate(layers) if part.name in ("trees", "cacti", "buildings")), len(layers))
    layers.insert(at, Layer(layer, 0.55, "water"))
    composed = layers[0].rgba[..., :3].copy()
    for part in layers[1:]:
        over(composed, part.rgba)
    stage.image = np.clip(composed, 0, 1)
    stage.layers = tuple(layers)
    stage.water = alpha
    stage.ground_band = (min(0.9, centre + half + 0.03), stage.ground_band[1])
    return stage
