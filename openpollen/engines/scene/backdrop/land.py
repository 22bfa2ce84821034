"""Land and what grows on it: near ground, far ranges, plants and things set out in perspective with their shadows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..noise import Rng, child, sample, sample_nearest, texture
from ..paint import clear, f32, lay, over, scale, smoothstep
from ..props.canvas import sized
from ..sky import Sky
from ..terrain import Camera, View, lambert, project, shadowed
from ..types import Array, Layer, Plan, Rgb, Stage

HILL_AT = 7.0  # distance of a hill's top


@dataclass
class Land:
    """A piece of land as each pixel of the picture sees it; distances `z`, places `x`, light received `sun` 0..1."""

    view: View
    z: Array
    x: Array
    high: Array
    sun: Array


def see(camera: Camera, height: Array, x: Array, z: Array, sky: Sky, toward: float, shadows: float = 0.0) -> Land:
    """Project and light a field of heights."""
    sun = lambert(height, x, z, sky.light, toward)
    if shadows > 0:
        sun = sun * shadowed(height, x, sky.light, reach=shadows)
    view = project(camera, height, z)
    far = view.gather_row(z[:, 0])
    u = (np.arange(camera.w, dtype=np.float32) + 0.5) / camera.h - 0.5 * camera.w / camera.h
    return Land(view, far, f32(u[None, :] * far), view.gather(height), view.gather(sun))


def lit(color: Array, sun: Array, sky: Sky, gain: float = 1.0) -> Array:
    """Bare colours (h x w x 3) under the sky's light."""
    light = sky.light
    out = np.empty_like(color)
    for c in range(3):
        level = light.ambient[c] * 0.92 + light.color[c] * light.strength * gain * sun * 0.92
        out[..., c] = shoulder(color[..., c] * level)
    return out


def shoulder(x: Array) -> Array:
    """Highlights pressed softly below 1, everything under 0.72 untouched."""
    over_ = np.maximum(x - 0.72, 0)
    return f32(x - over_ + 0.3 * (1 - np.exp(-over_ / 0.3)))


def between(a: Rgb, b: Rgb, t: Array) -> Array:
    """Colours from `a` (t = 0) to `b` (t = 1)."""
    out = np.empty((*t.shape, 3), np.float32)
    for c in range(3):
        out[..., c] = a[c] + (b[c] - a[c]) * t
    return out


def haze(color: Array, z: Array, sky: Sky, density: float) -> None:
    """Fade colours into the air by distance, in place."""
    amount = f32(1 - np.exp(-z * density * (0.4 + 2.2 * sky.air.murk)))
    lay(color, sky.air.horizon, amount)


def layer(color: Array, cover: Array, depth: float, name: str) -> Layer:
    """Colours and coverage as a premultiplied layer."""
    out = np.empty((*cover.shape, 4), np.float32)
    for c in range(3):
        out[..., c] = np.clip(color[..., c], 0, 1) * cover
    out[..., 3] = cover
    return Layer(out, depth, name)


def ridged(tile: Array, u: Array, v: Array) -> Array:
    """Sharp crests from a texture: 1 on a crest, falling to both sides."""
    return f32(1 - np.sqrt(sample(tile, u, v) ** 2 + 0.002) * 1.6)


def far_range(
    rng: Rng, camera: Camera, sky: Sky, height: float, rock: Rgb, snow: float, distance: float = 16.0
) -> tuple[Layer, Array]:
    """A range of mountains on the horizon, `height` of the picture tall; `snow` is the share of it that is white."""
    own = child(rng)
    tile, fine = texture(own, 512, 2.9, 2), texture(own, 512, 1.9, 5)
    near, far = distance * 0.55, distance * 1.5
    z, x = camera.fan(200, far, near / 0.8)
    scale_ = distance * 2.2
    u, v = x / scale_, z / scale_ * 1.3
    crest = ridged(tile, u + 0.02 * sample(fine, u * 0.7, v * 0.7), v)
    crest = crest + 0.22 * ridged(fine, u * 0.7 + 0.4, v * 0.7) - 0.3
    body = smoothstep(near, distance, z) * smoothstep(far, distance * 1.1, z)
    massif = np.clip(0.55 + 0.55 * sample(tile, u * 0.35, v * 0.35), 0.12, 1.2)
    field = np.clip(crest, 0, 1.4) * body * massif * height * distance
    field += 0.028 * sample(fine, u * 2, v * 2) * body * height * distance
    land = see(camera, f32(field + camera.eye * 0.3), x, z, sky, 0.45, 0.0)
    relative = (land.high - camera.eye * 0.3) / (height * distance)
    grain = sample_nearest(fine, land.x / scale_ * 5, land.z / scale_ * 9 + land.high * 0.6)
    stone = between(scale(rock, 0.62), scale(rock, 1.2), f32(np.clip(0.5 + 0.35 * grain, 0, 1)))
    line_ = 1.15 - snow * 1.25
    white = smoothstep(line_ - 0.1, line_ + 0.12, relative + 0.12 * grain + 0.28 * (land.sun - 0.55))
    lay(stone, (0.96, 0.97, 1.0), white)
    color = lit(stone, f32(land.sun**1.25), sky, 1.25)
    haze(color, f32(land.z - land.high * 1.2), sky, 0.022 * 16 / distance)
    return layer(color, land.view.cover, 0.18, "mountains"), land.view.skyline


@dataclass(frozen=True)
class Field:
    """How near land looks: its roll, colours and texture. `roll` is in eye heights, `grain` the texture's contrast."""

    low: Rgb
    high: Rgb
    roll: float
    wide: float
    grain: float
    texture_size: float
    patches: Rgb
    patch_share: float


def near_land(
    rng: Rng, camera: Camera, sky: Sky, look: Field, far: float = 60.0, hill: float | None = None
) -> tuple[Layer, Array, Land]:
    """The land from the viewer's feet to the horizon; `hill` is where across the picture, 0..1, a hill rises."""
    own = child(rng)
    tile, fine = texture(own, 256, 3.0, 1), texture(own, 512, 0.75, 10)
    z, x = camera.fan(320, far)
    u, v = x / look.wide, z / look.wide
    calm = smoothstep(camera.near() * 0.9, camera.near() * 3.2, z)
    field = look.roll * calm * (sample(tile, u, v) + 0.25 * sample(tile, u * 2.7 + 0.2, v * 2.7))
    field = f32(np.minimum(field, camera.eye * 0.86 + z * 0.004))
    if hill is not None:
        middle = (hill - 0.5) * camera.w / camera.h * HILL_AT
        bump = np.exp(-(((x - middle) / 2.4) ** 2) - ((z - HILL_AT) / 2.2) ** 2)
        field = f32(field * (1 - 0.7 * bump) + camera.eye * 1.5 * bump)
    land = see(camera, field, x, z, sky, 0.3, look.wide * 0.12)
    size = look.texture_size
    near_grain = sample_nearest(fine, land.x / size, land.z / size * 0.55)
    mid_grain = sample_nearest(fine, land.x / size * 0.22 + 0.5, land.z / size * 0.14)
    fade = np.exp(-land.z * 0.12)
    broad = sample_nearest(tile, land.x / look.wide * 1.9 + 0.3, land.z / look.wide * 1.9)
    tone = 0.5 + look.grain * (near_grain * fade + 0.8 * mid_grain * np.exp(-land.z * 0.03)) + 0.22 * broad
    color = between(look.low, look.high, f32(np.clip(tone, 0, 1)))
    lay(color, look.patches, smoothstep(0.25, 0.85, f32(broad + 0.25 * mid_grain)) * np.float32(look.patch_share))
    color = lit(color, f32(land.sun**1.3), sky, 1.1)
    haze(color, land.z, sky, 0.016)
    return layer(color, land.view.cover, 0.55, "land"), land.view.skyline, land


def stage_of(sky: Sky, layers: list[Layer], camera: Camera, band: tuple[float, float], ground: Array) -> Stage:
    """A stage of these layers over the sky."""
    image = sky.layers[0].rgba[..., :3].copy()
    for part in (*sky.layers[1:], *layers):
        over(image, part.rgba)
    return Stage(
        image=np.clip(image, 0, 1),
        horizon=camera.horizon,
        ground=f32(ground),
        ground_band=band,
        water=None,
        light=sky.light,
        haze=(sky.air.horizon, sky.air.murk),
        layers=(*sky.layers, *layers),
    )


def dressed(sprite: Array, sky: Sky, z: float, gain: float = 1.0, density: float = 0.016) -> Array:
    """A prop in the scene's light, faded by the air at distance `z`."""
    light = sky.light
    out = sprite.copy()
    fade = float(1 - np.exp(-z * density * (0.4 + 2.2 * sky.air.murk)))
    for c in range(3):
        level = (light.ambient[c] + light.color[c] * light.strength * 0.78) * gain
        out[..., c] = (
            np.minimum(out[..., c] * level, out[..., 3]) * (1 - fade) + sky.air.horizon[c] * fade * out[..., 3]
        )
    return out


def shadow(image: Array, sky: Sky, x: float, y: float, wide: float) -> None:
    """Darken `image` (RGB or RGBA, in place) under something `wide` pixels wide that stands at (x, y)."""
    h, w = image.shape[:2]
    light = sky.light
    reach = wide * (0.75 + 0.5 * min(1.0, abs(light.direction[0]) / max(light.direction[1], 0.2)))
    cx = x - np.sign(light.direction[0]) * (reach - wide * 0.7)
    ry = max(1.5, wide * 0.16)
    x0, x1 = max(0, int(cx - reach)), min(w, int(cx + reach) + 1)
    y0, y1 = max(0, int(y - ry)), min(h, int(y + ry) + 1)
    if x0 >= x1 or y0 >= y1:
        return
    gy, gx = np.ogrid[y0:y1, x0:x1]
    distance = ((gx - cx) / reach) ** 2 + ((gy - y) / ry) ** 2
    dark = f32(1 - 0.55 * light.strength / 0.72 * np.clip(1 - distance, 0, 1) ** 0.8 * (1 - 0.6 * sky.air.overcast))
    for c in range(3):
        image[y0:y1, x0:x1, c] *= dark


@dataclass(frozen=True)
class Spot:
    """Where a prop stands: foot (x, y) in pixels, distance `z`, height in pixels."""

    x: float
    y: float
    z: float
    height: int


def spots(
    rng: Rng, camera: Camera, land: Land, count: int, size: float, near: float, far: float, spread: float
) -> list[Spot]:
    """Places on the land between two distances for things `size` units tall, far ones first.

    `spread` 0 keeps them to the sides of the picture, 1 puts them anywhere.
    """
    out: list[Spot] = []
    for _ in range(count):
        z = float(near * (far / near) ** rng.random())
        edge = float(rng.random()) * (0.5 if spread >= 1 else 0.12 + 0.3 * spread)
        x = edge if rng.random() < 0.5 else 1 - edge
        column = int(np.clip(x * camera.w, 0, camera.w - 1))
        rows = land.z[:, column]
        top = int(np.clip(land.view.skyline[column], 0, camera.h - 1))
        y = top + int(np.searchsorted(-rows[top:], -z))
        if y >= camera.h + camera.h * 0.05:
            continue
        tall = int(size * (0.75 + 0.5 * rng.random()) / z * camera.h)
        if tall >= 3:
            out.append(Spot(x * camera.w, float(y), z, tall))
    return sorted(out, key=lambda spot: -spot.z)


def unless(plan: Plan, part: str, places: list[Spot]) -> list[Spot]:
    """The places, none when the prompt denies what would stand there."""
    return [] if part in plan.denied else places


def set_out(
    target: Array, ground: Array, sprites: list[Array], places: list[Spot], rng: Rng, sky: Sky, flip: bool = True
) -> None:
    """Draw a random one of `sprites` at each place on `target`, its shadow on `ground` (both in place)."""
    for spot in places:
        sprite = sprites[int(rng.integers(len(sprites)))]
        drawn = dressed(sized(sprite, spot.height, flip and rng.random() < 0.5), sky, spot.z)
        shadow(ground, sky, spot.x, spot.y, drawn.shape[1] * 0.42)
        over(target, drawn, int(spot.x - drawn.shape[1] / 2), int(spot.y - drawn.shape[0] + 0.02 * drawn.shape[0]))


def plants_layer(camera: Camera, depth: float, name: str) -> Layer:
    """An empty layer to set things out on."""
    return Layer(clear(camera.h, camera.w), depth, name)
