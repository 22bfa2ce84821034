"""Subjects that move: each group walks, flies, swims, floats, drifts or stands, with its shadow or reflection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from PIL import Image

from ..scene import compose
from ..scene.icons import icons
from ..scene.layout import Spot, arrange
from ..scene.paint import clear, over, to_bytes
from ..scene.types import Array, Plan, Sprite, Stage
from .camera import Camera

Gait = Literal["walk", "roll", "fly", "swim", "float", "drift", "sway", "still"]

_WALKS = ("animal", "person", "face")
_WALKERS = frozenset(
    {"robot", "monster", "knight", "astronaut", "snowman", "alien", "ghost", "teddy-bear", "dragon", "t-rex"}
)


@dataclass(frozen=True)
class Actor:
    """A group drawn once: its picture, its shadow or reflection, where it stands on the plane and how it moves."""

    image: Any  # PIL.Image RGBA
    shade: Any | None  # PIL.Image RGBA, drawn where the group would stand if it did not hop
    x: float  # left of both pictures on the plane
    y: float
    gait: Gait
    heading: int  # -1 left, 1 right
    phase: float
    depth: float
    room: float = 0.12  # how far it may go to either side, of the frame's width
    scaled: dict[int, Any] = field(default_factory=dict[int, Any])  # `shade` in the sizes it has been drawn in


def gait_of(spot: Spot) -> Gait:
    """How a group moves, from where it is and from what carries it."""
    domain = spot.group.domain
    if domain in ("deep", "drift"):
        return "swim" if domain == "deep" else "drift"
    if domain in ("air", "hang"):
        return "fly" if domain == "air" else "sway"
    if domain == "water":
        return "float"
    base = next((f for f in spot.group.figures if not f.carried), spot.group.figures[0])
    icon = icons().get(base.key)
    group = icon.group if icon else ""
    if group.startswith(_WALKS) or base.key in _WALKERS:
        return "walk"
    if group == "transport-ground":
        return "roll"
    return "still"


def cast_actors(plan: Plan, stage: Stage, rng: np.random.Generator) -> tuple[list[Actor], list[Sprite]]:
    """The groups that move, and the sprites of those that stand still."""
    actors: list[Actor] = []
    still: list[Sprite] = []
    for spot in arrange(plan, stage, rng):
        sprites = compose.sprites_at([spot], plan, stage)
        gait = gait_of(spot)
        if gait == "still":
            still += sprites
        else:
            actors.append(_actor(spot, sprites, gait, stage, rng))
    return actors, still


def _actor(spot: Spot, sprites: list[Sprite], gait: Gait, stage: Stage, rng: np.random.Generator) -> Actor:
    h, w = stage.image.shape[:2]
    layer = clear(h, w)
    for sprite in sprites:
        rows, columns = sprite.rgba.shape[:2]
        over(layer, sprite.rgba, round(sprite.x - columns / 2), round(sprite.y) - rows)
    shade = _shade(sprites, layer, stage)
    cover = np.maximum(layer[..., 3], shade[..., 3])
    ys, xs = np.flatnonzero(cover.max(axis=1) > 0.01), np.flatnonzero(cover.max(axis=0) > 0.01)
    y0, y1, x0, x1 = (int(ys[0]), int(ys[-1]) + 1, int(xs[0]), int(xs[-1]) + 1) if ys.size and xs.size else (0, 1, 0, 1)
    flipped = any(f.flip for f in spot.group.figures if not f.carried)
    return Actor(
        image=_pil(layer[y0:y1, x0:x1]),
        shade=_pil(shade[y0:y1, x0:x1]) if float(shade[..., 3].max()) > 0.02 else None,
        x=float(x0),
        y=float(y0),
        gait=gait,
        heading=1 if flipped else -1,
        phase=float(rng.random()) * 6.28,
        depth=0.8,
        room=max(0.0, min(x0 / w - 0.07, 1 - x1 / w - 0.07, 0.12)),
    )


def _shade(sprites: list[Sprite], layer: Array, stage: Stage) -> Array:
    """The group's shadow as a dark layer, or its mirror image in water."""
    h, w = stage.image.shape[:2]
    if any("sink" in sprite.data for sprite in sprites):
        foot = round(max(sprite.y - float(sprite.data.get("sink", 0)) for sprite in sprites))
        out = clear(h, w)
        rows = min(h - foot, foot)
        if rows > 0:
            fade = np.linspace(0.42, 0.05, rows, dtype=np.float32)[:, None, None]
            out[foot : foot + rows] = layer[foot - rows : foot][::-1] * fade
        return out
    white = np.ones((h, w, 3), np.float32)
    for sprite in sprites:
        if sprite.grounded:
            compose.settle(white, sprite, stage)
    out = clear(h, w)
    out[..., 3] = np.clip(1 - white.mean(axis=2), 0, 1)
    return out


def _pil(rgba: Array) -> Any:
    """Premultiplied RGBA as a straight PIL image."""
    alpha = np.maximum(rgba[..., 3:], 1e-3)
    straight = np.concatenate([np.clip(rgba[..., :3] / alpha, 0, 1), rgba[..., 3:]], axis=2)
    return Image.fromarray(to_bytes(straight))


def move(actor: Actor, seconds: float, length: float, size: tuple[int, int]) -> tuple[float, float, float]:
    """How far right and down a group is from its place now, in pixels of the frame, and how far it leans (radians)."""
    w, h = size
    t = seconds - length / 2
    wave = float(np.sin(2 * np.pi * 0.55 * seconds + actor.phase))
    slow = float(np.sin(2 * np.pi * 0.21 * seconds + actor.phase))
    if actor.gait == "walk":
        step = abs(float(np.sin(2 * np.pi * 1.15 * seconds + actor.phase)))
        return (
            actor.heading * _travel(0.04, t, length, actor.room) * w,
            -0.018 * h * step,
            0.035 * float(np.sin(2 * np.pi * 1.15 * seconds + actor.phase)),
        )
    if actor.gait == "roll":
        return (
            actor.heading * _travel(0.07, t, length, actor.room) * w,
            -0.0025 * h * abs(float(np.sin(17 * seconds))),
            0.0,
        )
    if actor.gait == "fly":
        return actor.heading * _travel(0.06, t, length, actor.room) * w, 0.028 * h * wave, 0.05 * wave
    if actor.gait == "swim":
        return actor.heading * _travel(0.035, t, length, actor.room) * w, 0.024 * h * wave, 0.045 * slow
    if actor.gait == "float":
        return actor.heading * _travel(0.012, t, length, actor.room) * w, 0.007 * h * wave, 0.028 * slow
    if actor.gait == "drift":
        return 0.02 * w * slow, 0.022 * h * wave, 0.09 * slow
    return 0.004 * w * slow, 0.012 * h * wave, 0.0


def _travel(speed: float, t: float, length: float, room: float) -> float:
    """Even motion through the film's middle, never farther from the place than there is room."""
    reach = min(speed * length / 2, room)
    return reach * t / (length / 2)


def draw(frame: Any, actor: Actor, camera: Camera, progress: float, seconds: float, length: float, part: str) -> None:
    """Draw the "shade" or the "body" of a group into the frame (a PIL image, in place)."""
    left, top, right, _ = camera.box(progress, actor.depth)
    k = camera.frame[0] / (right - left)
    dx, dy, lean = move(actor, seconds, length, camera.frame)
    x, y = (actor.x - left) * k + dx, (actor.y - top) * k
    if part == "body":
        _paste(frame, actor.image, x, y + dy, k, lean)
    elif actor.shade is not None:
        picture = _scaled(actor.shade, actor.scaled, k)
        frame.paste(picture, (round(x), round(y)), picture)


def _scaled(shade: Any, scaled: dict[int, Any], k: float) -> Any:
    """The shade in about `k` times its size, kept in `scaled`: it is soft, so that one size serves many frames."""
    steps = round(k * 200)
    if steps not in scaled:
        size = (max(1, round(shade.width * steps / 200)), max(1, round(shade.height * steps / 200)))
        scaled[steps] = shade.resize(size, Image.Resampling.BILINEAR)
    return scaled[steps]


def _paste(frame: Any, picture: Any, x: float, y: float, k: float, lean: float) -> None:
    """Paste at a place between pixels, scaled by `k` and turned by `lean` about the middle of the lower edge."""
    pad = 3 + int(abs(lean) * picture.height * k * 0.6)
    x0, y0 = int(np.floor(x)) - pad, int(np.floor(y)) - pad
    size = (int(picture.width * k) + 2 * pad + 2, int(picture.height * k) + 2 * pad + 2)
    cx, cy = x - x0 + picture.width * k / 2, y - y0 + picture.height * k
    c, s = float(np.cos(lean)) / k, float(np.sin(lean)) / k
    ax, ay = picture.width / 2, float(picture.height)
    matrix = (c, s, ax - c * cx - s * cy, -s, c, ay + s * cx - c * cy)
    turned = picture.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    frame.paste(turned, (x0, y0), turned)
