"""Inside woods: forest and jungle, with trunks in depth, a canopy, undergrowth and shafts of light."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..noise import Rng, child, fbm, line
from ..paint import add, blend, clear, f32, grid, lay, luminance, over, rgb, scale, smoothstep
from ..props import draw_prop
from ..props.canvas import Board, sized
from ..props.plants import AUTUMN, BARK, BLOSSOM, LEAF, Palette, crown
from ..sky import Sky, paint_sky
from ..terrain import Camera
from ..types import Array, Layer, Light, Plan, Rgb, Stage
from .land import Field, Spot, dressed, near_land, plants_layer, set_out, spots, stage_of

JUNGLE: Palette = (rgb("0c3320"), rgb("23773a"), rgb("9edb4e"))
FROST: Palette = (rgb("6f8496"), rgb("a9bccb"), rgb("e3ecf4"))
MOSS = Field(rgb("2c4522"), rgb("7c9440"), 0.3, 8.0, 0.26, 1.0, rgb("8a6a3a"), 0.4)
LITTER = Field(rgb("5f3a1e"), rgb("c9823a"), 0.3, 8.0, 0.3, 1.0, rgb("8c7a35"), 0.35)
WET = Field(rgb("1f4022"), rgb("5f8a3a"), 0.3, 8.0, 0.26, 1.0, rgb("4a5a28"), 0.4)
SNOWY = Field(rgb("b6c8e2"), rgb("f4f8fe"), 0.32, 8.0, 0.08, 1.0, rgb("ffffff"), 0.4)


@dataclass(frozen=True)
class Wood:
    """What a wood is made of: leaf palette, ground, undergrowth props, the colour of the light between the trees."""

    leaves: Palette
    ground: Field
    undergrowth: tuple[str, ...]
    glade: Rgb
    conifers: bool = False
    bare: bool = False
    vines: bool = False


def _wood_of(plan: Plan) -> Wood:
    if plan.setting == "jungle":
        return Wood(JUNGLE, SNOWY if plan.snowy else WET, ("fern", "fern", "bush", "fern"), rgb("d8f2b0"), vines=True)
    if plan.snowy:
        return Wood(FROST, SNOWY, ("rock", "snowy-pine", "rock", "snowy-pine"), rgb("e8f0fa"), conifers=True)
    if "autumn" in plan.extra:
        return Wood(AUTUMN, LITTER, ("fern", "bush", "rock"), rgb("ffe2a8"))
    if "spring" in plan.extra:
        return Wood(BLOSSOM, MOSS, ("fern", "bush", "flowers"), rgb("ffeaf2"))
    if "halloween" in plan.extra:
        return Wood(LEAF, LITTER, ("rock", "grass"), rgb("c8b8d8"), bare=True)
    return Wood(LEAF, MOSS, ("fern", "bush", "rock", "fern"), rgb("f4f6c0"))


def _faded(palette: Palette, air: Rgb, t: float) -> Palette:
    a, b, c = palette
    return (blend(a, air, t), blend(b, air, t), blend(c, air, t))


def woods(plan: Plan, w: int, h: int, rng: Rng) -> Stage:
    """A forest or jungle clearing seen from inside."""
    wood = _wood_of(plan)
    camera = Camera(h, w, 0.56)
    sky = paint_sky(plan, child(rng), h, w, camera.horizon, 0.0)
    sky = _under_trees(sky, wood, camera, child(rng))
    direction = sky.light.direction
    layers: list[Layer] = []
    own = child(rng)
    for i, (fade, base, wide) in enumerate(((0.8, 0.575, 0.02), (0.6, 0.6, 0.032), (0.36, 0.635, 0.05))):
        board = _trees(own, camera, wood, sky, fade, base, wide, (16, 10, 6)[i], direction)
        layers.append(Layer(board, 0.2 + 0.12 * i, "trees"))
        if i < 2:
            layers.append(Layer(_mist(camera, sky, base, 0.34 - 0.1 * i), 0.22 + 0.12 * i, "mist"))
    near, skyline, land = near_land(own, replace(camera, horizon=0.5), sky, wood.ground, 26.0)
    near = Layer(_faded_ground(near.rgba, camera, sky), near.depth, near.name)
    grown = plants_layer(camera, 0.6, "undergrowth")
    low = [draw_prop(key, max(10, int(0.13 * h)), own, direction) for key in wood.undergrowth]
    set_out(grown.rgba, near.rgba, low, spots(own, camera, land, int(30 * w / h), 0.5, 4.4, 11, 1.0), own, sky)
    _near_trunks(grown.rgba, near.rgba, own, camera, wood, sky)
    set_out(grown.rgba, near.rgba, low, spots(own, camera, land, int(8 * w / h), 0.5, 2.3, 3.6, 0.08), own, sky)
    layers += [near, grown]
    if sky.air.overcast < 0.6:
        layers.append(Layer(_shafts(child(rng), camera, sky, wood, plan), 0.62, "light"))
    if "fireflies" in plan.extra or "magic" in plan.extra:
        layers.append(Layer(_fireflies(child(rng), camera, plan), 0.7, "fireflies"))
    stage = stage_of(sky, layers, camera, (0.7, 0.93), skyline)
    stage.foreground = _canopy(child(rng), camera, wood, sky)
    return stage


def _under_trees(sky: Sky, wood: Wood, camera: Camera, rng: Rng) -> Sky:
    """The sky as the bright end of a wood: veiled by distant foliage."""
    air = sky.air
    lift = luminance(air.horizon)
    glow = blend(air.horizon, scale(wood.glade, min(1.0, lift * 1.15)), 0.6)
    dark = blend(scale(wood.leaves[1], 0.35 + 0.6 * lift), glow, 0.35)
    image = sky.layers[0].rgba[..., :3]
    _, gv = grid(camera.h, camera.w)
    field = fbm(rng, camera.h, camera.w, 6, 6, 0.62)
    veil = smoothstep(-0.5, 0.7, field + 0.75 * (0.42 - gv) / 0.42 + 0.1)
    lay(image, glow, f32(np.full(field.shape, 0.62)))
    lay(image, dark, f32(veil * 0.85))
    return replace(sky, image=image, layers=[sky.layers[0]], air=replace(air, horizon=glow), light=_soft(sky.light))


def _soft(light: Light) -> Light:
    return replace(light, strength=light.strength * 0.85, sun_xy=None)


def _trees(
    rng: Rng,
    camera: Camera,
    wood: Wood,
    sky: Sky,
    fade: float,
    base: float,
    wide: float,
    count: int,
    light: tuple[float, float],
) -> Array:
    """One row of trees across the picture at one distance, in the light and faded."""
    h, w = camera.h, camera.w
    aspect = w / h
    if wood.conifers or wood.bare:
        out = clear(h, w)
        key = "snowy-pine" if wood.conifers else "bare-tree"
        kinds = [draw_prop(key, max(16, int((0.35 + 9 * wide) * h)), rng, light) for _ in range(2)]
        for _ in range(int(count * aspect * 1.3)):
            drawn = dressed(
                sized(
                    kinds[int(rng.integers(2))],
                    max(4, int((0.3 + 10 * wide) * h * (0.8 + 0.4 * rng.random()))),
                    rng.random() < 0.5,
                ),
                sky,
                fade * 30,
            )
            over(out, drawn, int(rng.random() * w - drawn.shape[1] / 2), int(base * h - drawn.shape[0]) + int(0.02 * h))
        return out
    board = Board(h, aspect, 1 if fade > 0.5 else 2)
    bark = _faded(BARK, sky.air.horizon, fade)
    shaded = (1 - fade) * 0.9

    def in_light(p: Rgb) -> Rgb:
        color, ambient = sky.light.color, sky.light.ambient
        r, g, b = (min(1.0, ambient[c] + color[c] * sky.light.strength * 0.8) for c in range(3))
        return blend(p, (p[0] * r, p[1] * g, p[2] * b), shaded)

    bark = (in_light(bark[0]), in_light(bark[1]), in_light(bark[2]))
    low, mid, high = _faded(wood.leaves, sky.air.horizon, fade)
    leaves: Palette = (in_light(low), in_light(mid), in_light(high))
    side = 1.0 if light[0] > 0 else -1.0
    total = max(3, int(count * aspect))
    xs = (np.arange(total) + 0.5 + rng.normal(0, 0.28, total)) / total * aspect
    for x in xs:
        lean, thick = rng.normal(0, 0.02), wide * (0.7 + 0.6 * rng.random())
        points = [(float(x), base), (float(x + lean * 0.5), base * 0.5), (float(x + lean), -0.02)]
        board.limb(points, [thick * 1.25, thick, thick * 0.85], bark[0], bark[2], side)
    blobs = _canopy_blobs(rng, aspect, 0.3 - 0.2 * fade, total)
    crown(board, rng, blobs, leaves, light, int(1100 * max(1.0, aspect)), 0.007 + wide * 0.16)
    shrubs = np.stack(
        [rng.random(total * 2) * aspect, np.full(total * 2, base), 0.02 + 0.5 * wide * rng.random(total * 2)], axis=1
    )
    crown(board, rng, f32(shrubs), leaves, light, int(500 * max(1.0, aspect)), 0.006 + wide * 0.12)
    return board.done(h)


def _canopy_blobs(rng: Rng, aspect: float, reach: float, count: int) -> Array:
    n = max(8, int(count * 2.2))
    x = rng.random(n) * aspect
    return f32(np.stack([x, rng.uniform(-0.08, reach, n), rng.uniform(0.06, 0.13, n)], axis=1))


def _mist(camera: Camera, sky: Sky, base: float, amount: float) -> Array:
    out = clear(camera.h, camera.w)
    _, gv = grid(camera.h, camera.w)
    alpha = np.exp(-(((gv - base) / 0.1) ** 2)) * amount * (0.7 + 0.6 * sky.air.murk) + np.zeros((1, camera.w))
    lay(out, sky.air.horizon, f32(np.clip(alpha, 0, 0.9)))
    return out


def _faded_ground(rgba: Array, camera: Camera, sky: Sky) -> Array:
    """The ground dissolving upwards into the undergrowth of the far trees."""
    _, gv = grid(camera.h, camera.w)
    return rgba * smoothstep(0.575, 0.66, gv)[..., None]


def _near_trunks(target: Array, ground: Array, rng: Rng, camera: Camera, wood: Wood, sky: Sky) -> None:
    if wood.conifers or wood.bare:
        key = "snowy-pine" if wood.conifers else "bare-tree"
        kinds = [draw_prop(key, max(16, int(0.85 * camera.h)), rng, sky.light.direction)]
        places = [Spot(camera.w * x, camera.h * 0.76, 2.5, int(0.85 * camera.h)) for x in (0.06, 0.96)]
        set_out(target, ground, kinds, places, rng, sky)
        return
    h, w = camera.h, camera.w
    board = Board(h, 0.34)
    side = 1.0 if sky.light.direction[0] > 0 else -1.0
    board.limb(
        [(0.17, 1.0), (0.165, 0.93), (0.172, 0.5), (0.165, -0.02)], [0.17, 0.115, 0.095, 0.085], BARK[0], BARK[2], side
    )
    for _ in range(110):
        x, y = 0.17 + rng.uniform(-0.05, 0.05), rng.random()
        long = 0.02 + 0.05 * rng.random()
        board.stroke([(x, y), (x + rng.normal(0, 0.004), y + long)], 0.003, BARK[0] if rng.random() < 0.6 else BARK[1])
    for root in (-0.11, 0.1, -0.05, 0.06):
        board.limb([(0.17 + root * 0.4, 0.95), (0.17 + root, 1.0)], [0.05, 0.02], BARK[0], BARK[1], side)
    trunk = board.done(int(0.84 * h))
    for x, flip in ((0.07, False), (0.95, True)):
        drawn = dressed(trunk[:, ::-1] if flip else trunk, sky, 1.5, 0.8)
        foot = int((0.8 + 0.03 * rng.random()) * h)
        over(target, drawn, int(x * w - drawn.shape[1] / 2), foot - drawn.shape[0])


def _shafts(rng: Rng, camera: Camera, sky: Sky, wood: Wood, plan: Plan) -> Array:
    """Beams of light slanting through the trees."""
    h, w = camera.h, camera.w
    gu, gv = grid(h, w)
    lean = sky.light.direction[0] / max(0.4, sky.light.direction[1])
    across = gu + gv * lean * 0.75
    span = w / h + 1.2
    profile = line(rng, 512, span, 2.6, 4, 0.6)
    at = np.clip((across + 0.6) / span * 511, 0, 511).astype(np.int32)
    beams = smoothstep(0.15, 0.95, profile)[at] * smoothstep(0.9, 0.1, gv)
    amount = 0.6 if "sunbeams" in plan.extra or "magic" in plan.extra else 0.42
    amount *= 0.5 if sky.air.night else 1.0
    out = clear(h, w)
    lay(out, blend(sky.light.color, wood.glade, 0.4), f32(beams * amount * (1 - sky.air.overcast)))
    return out


def _fireflies(rng: Rng, camera: Camera, plan: Plan) -> Array:
    h, w = camera.h, camera.w
    glow = np.zeros((h, w, 3), np.float32)
    tints = (
        [rgb("ffe98a"), rgb("b8ff9a")] if "fireflies" in plan.extra else [rgb("9ae8ff"), rgb("f2b8ff"), rgb("fff0a8")]
    )
    for _ in range(int(46 * w / h)):
        x, y, size = rng.random() * w, (0.25 + 0.65 * rng.random()) * h, (0.004 + 0.008 * rng.random()) * h
        x0, x1, y0, y1 = (
            max(0, int(x - size * 4)),
            min(w, int(x + size * 4) + 1),
            max(0, int(y - size * 4)),
            min(h, int(y + size * 4) + 1),
        )
        if x0 >= x1 or y0 >= y1:
            continue
        gy, gx = np.ogrid[y0:y1, x0:x1]
        d2 = ((gx - x) ** 2 + (gy - y) ** 2) / size**2
        add(
            glow[y0:y1, x0:x1], tints[int(rng.integers(len(tints)))], f32(np.exp(-d2 * 2.5) + 0.35 * np.exp(-d2 * 0.35))
        )
    out = np.empty((h, w, 4), np.float32)
    out[..., :3] = np.clip(glow, 0, 1)
    out[..., 3] = out[..., :3].max(axis=2)
    return out


def _canopy(rng: Rng, camera: Camera, wood: Wood, sky: Sky) -> Array | None:
    """Leaves that frame the upper corners, in front of everything; vines in a jungle."""
    if wood.bare or wood.conifers:
        return None
    h, w = camera.h, camera.w
    aspect = w / h
    board = Board(h, aspect, 1 if h > 900 else 2)
    if wood.vines:
        for _ in range(int(7 * aspect)):
            x, long = rng.random() * aspect, 0.15 + 0.35 * rng.random()
            sway = rng.normal(0, 0.04)
            t = np.linspace(0, 1, 12)
            points = [(float(x + sway * np.sin(a * 2.6)), float(a * long)) for a in t]
            board.stroke(points, 0.004, rgb("1d4a26"))
            ends = f32(points)
            size = f32(np.full(12, 0.011))
            board.dabs(
                ends[:, 0] + f32(rng.normal(0, 0.008, 12)),
                ends[:, 1],
                size,
                size * np.float32(0.6),
                f32([rgb("3a8a3f")] * 12),
            )
    n = int(18 * max(1.0, aspect))
    x = np.concatenate(
        [rng.beta(0.6, 2.2, n // 2) * aspect * 0.5, aspect - rng.beta(0.6, 2.2, n - n // 2) * aspect * 0.5]
    )
    edge = np.abs(x / aspect - 0.5) * 2
    blobs = np.stack([x, rng.uniform(-0.1, 0.02, n) + 0.12 * edge**3, rng.uniform(0.05, 0.1, n)], axis=1)
    dark: Palette = (scale(wood.leaves[0], 0.7), blend(wood.leaves[0], wood.leaves[1], 0.6), wood.leaves[1])
    crown(board, rng, f32(blobs), dark, sky.light.direction, int(900 * max(1.0, aspect)), 0.013)
    return dressed(board.done(h), sky, 0.5, 0.85)
