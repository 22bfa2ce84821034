"""Open country: meadow, farm, mountain, desert, snow field."""

from __future__ import annotations

import numpy as np

from ..noise import Rng, child
from ..paint import clear, f32, over, rgb, smoothstep
from ..props import draw_prop
from ..props.canvas import sized
from ..props.plants import AUTUMN, BLOSSOM, LEAF, OLIVE, bush, flowers, tuft
from ..sky import Sky, paint_sky
from ..terrain import Camera
from ..types import Array, Plan, Stage
from .land import Field, Land, Spot, dressed, far_range, near_land, plants_layer, set_out, spots, stage_of, unless
from .water import pour_lake

GRASS = Field(rgb("3a7030"), rgb("9cc653"), 0.6, 12.0, 0.24, 1.2, rgb("bcd263"), 0.45)
DRY = Field(rgb("7c6a2e"), rgb("d9b85c"), 0.6, 12.0, 0.24, 1.2, rgb("b8652e"), 0.4)
SNOW = Field(rgb("bccfe9"), rgb("f8fbff"), 0.5, 10.0, 0.07, 1.1, rgb("ffffff"), 0.5)
SAND = Field(rgb("c8894a"), rgb("f4cd8c"), 0.85, 9.0, 0.1, 0.9, rgb("ffdfa3"), 0.3)
ALPINE = Field(rgb("3a6130"), rgb("8fae52"), 0.45, 9.0, 0.22, 1.3, rgb("a3ad78"), 0.35)


def _tree_kinds(plan: Plan, rng: Rng, sky: Sky, height: int) -> list[Array]:
    light = sky.light.direction
    if plan.snowy:
        return [draw_prop("snowy-pine", height, rng, light) for _ in range(3)]
    if "autumn" in plan.extra:
        return [draw_prop("autumn-tree", height, rng, light) for _ in range(3)]
    if "spring" in plan.extra:
        return [draw_prop(kind, height, rng, light) for kind in ("cherry-tree", "cherry-tree", "tree")]
    if "halloween" in plan.extra:
        return [draw_prop("bare-tree", height, rng, light) for _ in range(3)]
    return [draw_prop("tree", height, rng, light) for _ in range(3)]


def _bushes(plan: Plan, rng: Rng, sky: Sky, height: int) -> list[Array]:
    palette = AUTUMN if "autumn" in plan.extra else BLOSSOM if "spring" in plan.extra else OLIVE
    return [bush(height, rng, sky.light.direction, palette if i else LEAF) for i in range(2)]


def grass_edge(rng: Rng, camera: Camera, sky: Sky, blossoms: float, tall: float = 0.075) -> Array:
    """Grass and flowers along the lower edge of the picture, in front of everything."""
    h, w = camera.h, camera.w
    out = clear(h, w)
    size = max(6, int(tall * h))
    light = sky.light.direction
    tufts = [tuft(size * 2, rng, light) for _ in range(3)]
    blooms = [flowers(size * 2, rng, light) for _ in range(4)]
    for _ in range(int(26 * w / h) + 2):
        height = int(size * (0.6 + 0.8 * rng.random()))
        kind = blooms if rng.random() < blossoms else tufts
        drawn = dressed(sized(kind[int(rng.integers(len(kind)))], height, rng.random() < 0.5), sky, 0.5, 0.72)
        over(out, drawn, int(rng.random() * w - drawn.shape[1] / 2), h - height + int(size * 0.3))
    return out


def _scatter_flowers(target: Array, rng: Rng, camera: Camera, land: Land, sky: Sky, amount: int) -> None:
    kinds = [flowers(max(8, int(0.05 * camera.h)), rng, sky.light.direction) for _ in range(6)]
    for spot in spots(rng, camera, land, int(amount * camera.w / camera.h), 0.17, camera.near() * 1.02, 12, 1.0):
        drawn = dressed(sized(kinds[int(rng.integers(6))], max(3, spot.height)), sky, spot.z)
        over(target, drawn, int(spot.x - drawn.shape[1] / 2), int(spot.y - drawn.shape[0]))


def meadow(plan: Plan, w: int, h: int, rng: Rng) -> Stage:
    """Rolling green hills with trees, bushes and wild flowers."""
    camera = Camera(h, w, 0.5)
    sky = paint_sky(plan, child(rng), h, w, camera.horizon)
    far, _ = far_range(rng, camera, sky, 0.1, rgb("56735f"), 0.0, 22.0)
    look = SNOW if plan.snowy else DRY if "autumn" in plan.extra else GRASS
    hill = 0.5 + float(rng.uniform(-0.14, 0.14)) if "hill" in plan.extra else None
    near, skyline, land = near_land(rng, camera, sky, look, 60.0, hill)
    grown = plants_layer(camera, 0.6, "trees")
    own = child(rng)
    trees, bushes = _tree_kinds(plan, own, sky, max(24, int(0.42 * h))), _bushes(plan, own, sky, max(16, int(0.12 * h)))
    set_out(
        grown.rgba,
        near.rgba,
        trees,
        unless(plan, "trees", spots(own, camera, land, int(20 * w / h), 1.5, 14, 45, 1.0)),
        own,
        sky,
    )
    set_out(
        grown.rgba,
        near.rgba,
        bushes,
        unless(plan, "bushes", spots(own, camera, land, int(12 * w / h), 0.5, 7, 26, 1.0)),
        own,
        sky,
    )
    set_out(
        grown.rgba, near.rgba, trees, unless(plan, "trees", spots(own, camera, land, 3, 1.9, 4.2, 7, 0.1)), own, sky
    )
    foreground = None
    if not plan.snowy and "flowers" not in plan.denied:
        _scatter_flowers(grown.rgba, child(rng), camera, land, sky, 330 if "flowers" in plan.extra else 70)
        foreground = grass_edge(child(rng), camera, sky, 0.5 if "flowers" in plan.extra else 0.22)
    stage = stage_of(sky, [far, near, grown], camera, (camera.horizon + 0.13, 0.93), skyline)
    stage.foreground = foreground
    if "lake" in plan.extra or "river" in plan.extra:
        return pour_lake(stage, plan, sky, camera, child(rng))
    return stage


def farm(plan: Plan, w: int, h: int, rng: Rng) -> Stage:
    """Fields in furrows with a barn, a windmill, fences and trees."""
    camera = Camera(h, w, 0.46)
    sky = paint_sky(plan, child(rng), h, w, camera.horizon)
    far, _ = far_range(rng, camera, sky, 0.07, rgb("5d7a5c"), 0.0, 24.0)
    near, skyline, land = near_land(rng, camera, sky, SNOW if plan.snowy else GRASS, 60.0)
    _furrows(near.rgba, land, sky)
    grown = plants_layer(camera, 0.6, "buildings")
    own = child(rng)
    trees = _tree_kinds(plan, own, sky, max(24, int(0.3 * h)))
    set_out(
        grown.rgba,
        near.rgba,
        trees,
        unless(plan, "trees", spots(own, camera, land, int(14 * w / h), 1.4, 16, 40, 1.0)),
        own,
        sky,
    )
    barn_left = own.random() < 0.5
    for key, x, z, tall in (
        ("windmill", 0.88 if barn_left else 0.12, 11.0, 3.6),
        ("barn", 0.16 if barn_left else 0.84, 8.0, 2.3),
    ):
        if plan.denied & {key, "mill" if key == "windmill" else key}:
            continue
        _stand(grown.rgba, near.rgba, key, x, z, tall, camera, land, sky, own)
    fence = draw_prop("fence", max(8, int(0.1 * h)), own, sky.light.direction)
    y = int((camera.horizon + 0.135) * h)
    tall = max(4, int(0.055 * h))
    part = dressed(sized(fence, tall), sky, 5.0)
    for x in range(-part.shape[1] // 3, 0 if "fence" in plan.denied else w, max(1, part.shape[1] - 1)):
        shadow_y = y + tall
        over(grown.rgba, part, x, shadow_y - tall)
    stage = stage_of(sky, [far, near, grown], camera, (camera.horizon + 0.2, 0.94), skyline)
    stage.foreground = None if plan.snowy else grass_edge(child(rng), camera, sky, 0.12)
    return stage


def _furrows(image: Array, land: Land, sky: Sky) -> None:
    """Ploughed strips and standing crops that run to the horizon, on the middle ground."""
    strip = np.floor((land.x + 0.6 * np.sin(land.z * 0.2)) / 4.2)
    wave = 0.5 + 0.5 * np.sin((land.x + 0.6 * np.sin(land.z * 0.2)) * 2 * np.pi / 0.55)
    wave = wave * np.exp(-land.z * 0.045)
    inside = smoothstep(5.2, 6.2, land.z) * image[..., 3] * 0.8
    gold = (strip % 3 == 0).astype(np.float32)
    level = [sky.light.ambient[c] + sky.light.color[c] * sky.light.strength * 0.8 for c in range(3)]
    for c in range(3):
        field = (
            gold * (0.5 + 0.38 * wave) * (0.98, 0.8, 0.34)[c]
            + (1 - gold) * (0.34 + 0.36 * wave) * (0.62, 0.95, 0.36)[c]
        )
        image[..., c] += (field * level[c] - image[..., c]) * inside * np.exp(-land.z * 0.02)


def _stand(
    target: Array,
    ground: Array,
    key: str,
    x: float,
    z: float,
    tall: float,
    camera: Camera,
    land: Land,
    sky: Sky,
    rng: Rng,
) -> None:
    column = int(np.clip(x * camera.w, 0, camera.w - 1))
    top = int(np.clip(land.view.skyline[column], 0, camera.h - 1))
    y = top + int(np.searchsorted(-land.z[top:, column], -z))
    height = max(8, int(tall / z * camera.h))
    sprite = draw_prop(key, height, rng, sky.light.direction)
    set_out(target, ground, [sprite], [Spot(x * camera.w, float(y), z, height)], rng, sky, flip=False)


def mountain(plan: Plan, w: int, h: int, rng: Rng) -> Stage:
    """High peaks with snow caps over a green valley with pines."""
    camera = Camera(h, w, 0.6)
    sky = paint_sky(plan, child(rng), h, w, camera.horizon)
    white = plan.snowy
    back, _ = far_range(rng, camera, sky, 0.44, rgb("686e82"), 0.95 if white else 0.5, 20.0)
    front, _ = far_range(rng, camera, sky, 0.2, rgb("5a6a58"), 0.8 if white else 0.1, 9.0)
    near, skyline, land = near_land(rng, camera, sky, SNOW if white else ALPINE, 40.0)
    grown = plants_layer(camera, 0.6, "trees")
    own = child(rng)
    kind = "snowy-pine" if white else "pine"
    pines = [draw_prop(kind, max(24, int(0.34 * h)), own, sky.light.direction) for _ in range(3)]
    rocks = [draw_prop("rock", max(10, int(0.08 * h)), own, sky.light.direction) for _ in range(2)]
    set_out(
        grown.rgba,
        near.rgba,
        pines,
        unless(plan, "trees", spots(own, camera, land, int(46 * w / h), 1.0, 10, 34, 1.0)),
        own,
        sky,
    )
    set_out(
        grown.rgba,
        near.rgba,
        pines,
        unless(plan, "trees", spots(own, camera, land, int(9 * w / h), 1.25, 4.4, 8, 0.25)),
        own,
        sky,
    )
    set_out(
        grown.rgba,
        near.rgba,
        rocks,
        unless(plan, "rocks", spots(own, camera, land, int(6 * w / h), 0.16, 2.8, 9, 0.6)),
        own,
        sky,
    )
    stage = stage_of(sky, [back, front, near, grown], camera, (camera.horizon + 0.13, 0.94), skyline)
    stage.foreground = None if white else grass_edge(child(rng), camera, sky, 0.2, 0.055)
    if "lake" in plan.extra or "river" in plan.extra:
        return pour_lake(stage, plan, sky, camera, child(rng))
    return stage


def desert(plan: Plan, w: int, h: int, rng: Rng) -> Stage:
    """Dunes with ripples, cacti, rocks and far mesas; an oasis on request."""
    camera = Camera(h, w, 0.5)
    sky = paint_sky(plan, child(rng), h, w, camera.horizon, 0.5)
    far, _ = far_range(rng, camera, sky, 0.13, rgb("b86a44"), 0.0, 22.0)
    near, skyline, land = near_land(rng, camera, sky, SAND, 60.0)
    _ripples(near.rgba, land)
    grown = plants_layer(camera, 0.6, "cacti")
    own = child(rng)
    light = sky.light.direction
    cacti = [draw_prop("cactus", max(20, int(0.3 * h)), own, light) for _ in range(3)]
    rocks = [draw_prop("rock", max(10, int(0.1 * h)), own, light) for _ in range(2)]
    tall = (
        [draw_prop("palm", max(20, int(0.4 * h)), own, light) for _ in range(2)] if "tropical" in plan.extra else cacti
    )
    set_out(
        grown.rgba,
        near.rgba,
        rocks,
        unless(plan, "rocks", spots(own, camera, land, int(9 * w / h), 0.2, 3, 20, 0.8)),
        own,
        sky,
        False,
    )
    set_out(
        grown.rgba,
        near.rgba,
        cacti,
        unless(plan, "cacti", spots(own, camera, land, int(11 * w / h), 0.85, 9, 32, 1.0)),
        own,
        sky,
    )
    set_out(
        grown.rgba,
        near.rgba,
        tall,
        unless(
            plan,
            "palms" if "tropical" in plan.extra else "cacti",
            spots(own, camera, land, int(4 * w / h) + 1, 1.15, 3.6, 6, 0.12),
        ),
        own,
        sky,
    )
    stage = stage_of(sky, [far, near, grown], camera, (camera.horizon + 0.14, 0.94), skyline)
    if "lake" in plan.extra or "tropical" in plan.extra:
        return pour_lake(stage, plan, sky, camera, child(rng))
    return stage


def _ripples(image: Array, land: Land) -> None:
    """Wind ripples across near sand."""
    phase = land.z * 13 + 1.4 * np.sin(land.x * 1.3 + land.z * 0.4) + 0.7 * np.sin(land.x * 3.1)
    amount = f32(0.055 * np.sin(phase) * np.exp(-land.z * 0.22))
    for c in range(3):
        image[..., c] = np.clip(image[..., c] * (1 + amount), 0, image[..., 3])


def snow(plan: Plan, w: int, h: int, rng: Rng) -> Stage:
    """A snow field with laden pines, drifts and white mountains."""
    camera = Camera(h, w, 0.5)
    sky = paint_sky(plan, child(rng), h, w, camera.horizon)
    far, _ = far_range(rng, camera, sky, 0.22, rgb("77839c"), 0.92, 20.0)
    near, skyline, land = near_land(rng, camera, sky, SNOW, 60.0)
    grown = plants_layer(camera, 0.6, "trees")
    own = child(rng)
    pines = [draw_prop("snowy-pine", max(24, int(0.42 * h)), own, sky.light.direction) for _ in range(4)]
    set_out(
        grown.rgba,
        near.rgba,
        pines,
        unless(plan, "trees", spots(own, camera, land, int(44 * w / h), 1.3, 13, 40, 1.0)),
        own,
        sky,
    )
    set_out(
        grown.rgba,
        near.rgba,
        pines,
        unless(plan, "trees", spots(own, camera, land, int(7 * w / h), 1.6, 4.2, 9, 0.12)),
        own,
        sky,
    )
    _sparkle(near.rgba, land, child(rng), sky)
    stage = stage_of(sky, [far, near, grown], camera, (camera.horizon + 0.14, 0.94), skyline)
    if "ice" in plan.extra or "lake" in plan.extra:
        return pour_lake(stage, plan, sky, camera, child(rng), ice=True)
    return stage


def _sparkle(image: Array, land: Land, rng: Rng, sky: Sky) -> None:
    glint = (rng.random(land.z.shape, dtype=np.float32) > 0.9985) * np.exp(-land.z * 0.14) * land.sun * image[..., 3]
    for c in range(3):
        image[..., c] = np.minimum(image[..., c] + f32(glint) * sky.light.color[c] * 0.7, image[..., 3])
