"""From a plan and a stage to a picture: subjects drawn, lit and set down, with shadow, reflection and glow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from . import lettering
from .art import draw
from .icons import icons
from .layout import Spot, arrange
from .lighting import ground_color, in_air, is_dark, lit, panes, windows_lit
from .paint import f32, over
from .shadows import afloat, cast, contact, glow, reflect
from .stacking import Figure
from .traits import trait
from .types import Array, Plan, Rgb, Sprite, Stage, Subject

FOAM: Rgb = (0.93, 0.97, 1.0)
WINDOW_LIGHT: Rgb = (1.0, 0.75, 0.4)


def place(plan: Plan, stage: Stage, rng: np.random.Generator) -> list[Sprite]:
    """Every figure of the plan drawn in the scene's light and set on the stage, in painting order."""
    return sprites_at(arrange(plan, stage, rng), plan, stage)


def sprites_at(spots: list[Spot], plan: Plan, stage: Stage) -> list[Sprite]:
    """The figures of groups that have their spots, drawn in the scene's light, in painting order."""
    sprites: list[Sprite] = []
    for spot in spots:
        sink = _sink(spot)
        ordered = sorted(spot.group.figures, key=lambda f: f.order)
        sprites += [_sprite(plan, stage, spot, figure, sink) for figure in ordered]
    return sprites


def _anchor(spot: Spot, figure: Figure) -> tuple[float, float]:
    """The pixel of the middle of a figure's bottom edge, before it sinks into water."""
    return spot.x + figure.x * spot.scale, spot.y - figure.y * spot.scale


def standing(spot: Spot) -> list[Figure]:
    """The figures of a group as they stand in the picture: x to the right, y upwards from its upper left corner, pixels."""
    out: list[Figure] = []
    for figure in spot.group.figures:
        x, y = _anchor(spot, figure)
        size = figure.width * spot.scale, figure.height * spot.scale
        out.append(replace(figure, width=size[0], height=size[1], x=x, y=-y - _sink(spot)))
    return out


def _sprite(plan: Plan, stage: Stage, spot: Spot, figure: Figure, sink: int) -> Sprite:
    rows = max(4, round(figure.height * spot.scale))
    subject = plan.subjects[figure.subject]
    rgba = drawn(figure, subject, rows)
    x, y = _anchor(spot, figure)
    icon = icons().get(figure.key)
    building = icon is not None and icon.group in ("place-building", "place-religious")
    source = trait(figure.key).glow
    data: dict[str, Any] = {"key": figure.key, "domain": spot.group.domain}
    if building and is_dark(stage.light):
        data["panes"] = panes(rgba)
        rgba = windows_lit(rgba)
    grounded = spot.group.domain == "ground" and not figure.carried
    bounce = ground_color(stage, x, y) if grounded else None
    toned = lit(rgba, stage.light, bounce)
    if "panes" in data:
        toned = _emit(toned, rgba, data["panes"])
    elif source is not None:
        toned = _emit(toned, rgba, np.full(rgba.shape[:2], 0.9 if figure.key == "neon-sign" else 0.5, np.float32))
        data["lamp"] = source
    far = 1 - spot.depth if spot.group.domain in ("ground", "water") else 0.4
    toned = in_air(toned, stage.haze, far**1.5 * 0.7)
    if figure.submerged:
        toned = toned * np.float32(0.6)  # premultiplied
    if sink and not figure.carried:
        data["sink"] = sink
        toned = afloat(toned, sink, _foam(stage))
    y += sink
    return Sprite(toned, x, y, spot.y / stage.image.shape[0], figure.subject, grounded, glow=source, data=data)


def drawn(figure: Figure, subject: Subject, rows: int) -> Array:
    """A figure of a subject, `rows` pixels high: in its colour, turned as it stands, with the words it carries."""
    own = figure.key == subject.key
    rgba = draw(figure.key, rows, subject.tint if own else None, figure.copy)
    rgba = rgba[:, ::-1] if figure.flip else rgba
    if not own or not subject.texts:
        return rgba
    text, ink = subject.texts[figure.copy % len(subject.texts)], subject.ink.rgb if subject.ink else None
    return lettering.onto_board(rgba, figure.key, text, flipped=figure.flip, ink=ink)


def _sink(spot: Spot) -> int:
    """How many rows of what floats are under water; what it carries goes down with it."""
    if spot.group.domain != "water":
        return 0
    hull = next(f for f in spot.group.figures if not f.carried)
    swimmer = trait(hull.key).habit == "swims"
    draught = {"duck": 0.16, "swan": 0.14, "canoe": 0.2}.get(hull.key, 0.3 if swimmer else 0.07)
    return max(2, round(hull.height * spot.scale * draught))


def _foam(stage: Stage) -> Rgb:
    tone = np.clip(f32(stage.light.ambient) + f32(stage.light.color) * stage.light.strength * 0.6, 0, 1)
    return float(tone[0]) * FOAM[0], float(tone[1]) * FOAM[1], float(tone[2]) * FOAM[2]


def _emit(toned: Array, plain: Array, amount: Array) -> Array:
    """Parts that shine by themselves keep their own colour whatever the light."""
    out = toned.copy()
    share = amount[..., None]
    out[..., :3] = toned[..., :3] * (1 - share) + np.maximum(plain[..., :3], toned[..., :3]) * share
    return out


def paint(image: Array, sprites: list[Sprite], stage: Stage) -> None:
    """Draw the sprites into `image` (the stage's size, changed in place), then the stage's foreground."""
    for sprite in sprites:
        settle(image, sprite, stage)
        h, w = sprite.rgba.shape[:2]
        over(image, sprite.rgba, round(sprite.x - w / 2), round(sprite.y) - h)
    dark = is_dark(stage.light)
    for sprite in sprites:
        shine(image, sprite, dark)
    if stage.foreground is not None:
        over(image, stage.foreground)


def settle(image: Array, sprite: Sprite, stage: Stage) -> None:
    """What a sprite does to the picture before it is drawn itself: shadow on the ground, reflection in water."""
    if sprite.grounded:
        wet = stage.water is not None and _wetness(stage.water, sprite) > 0.5
        if wet:
            reflect(image, sprite, f32(stage.water), 0)
        else:
            cast(image, sprite, stage.light)
        contact(image, sprite, 0.35 if wet else 0.62)
    elif "sink" in sprite.data and stage.water is not None:
        reflect(image, sprite, stage.water, int(sprite.data["sink"]))


def _wetness(water: Array, sprite: Sprite) -> float:
    rows, columns = water.shape
    y = int(np.clip(sprite.y + 0.01 * rows, 0, rows - 1))
    x = int(np.clip(sprite.x, 0, columns - 1))
    return float(water[y, x])


def shine(image: Array, sprite: Sprite, dark: bool) -> None:
    """Light that a sprite sheds on the finished picture."""
    h, w = sprite.rgba.shape[:2]
    if "lamp" in sprite.data:
        high = 0.86 if sprite.data["key"] in ("lamp-post", "lighthouse", "lamp") else 0.5
        size = max(min(h, w * (2 if high == 0.5 else 1)) * 0.62, 8)
        glow(
            image,
            sprite.x,
            sprite.y - h * high,
            size * (2.0 if dark else 1.0),
            sprite.data["lamp"],
            1.0 if dark else 0.25,
        )
        over(
            image, sprite.rgba * np.float32(0.7), round(sprite.x - w / 2), round(sprite.y) - h
        )  # not washed out itself
    elif "panes" in sprite.data and dark:
        where: Array = sprite.data["panes"]
        total = float(where.sum())
        if total > 4:
            x = sprite.x - w / 2 + _centre(where.sum(axis=0))
            y = sprite.y - h + _centre(where.sum(axis=1))
            glow(image, x, y, 0.42 * h, WINDOW_LIGHT, 0.5)


def _centre(weights: Array) -> float:
    """The mean index of `weights`."""
    return float((weights * np.arange(weights.size, dtype=np.float32)).sum() / weights.sum())


def centred(spots: list[Spot], rows: int, columns: int) -> None:
    """Move and enlarge the spots, in place, so that they fill a picture of their own."""
    if not spots:
        return
    left, top = min(s.box[0] for s in spots), min(s.box[1] for s in spots)
    right, bottom = max(s.box[2] for s in spots), max(s.box[3] for s in spots)
    factor = min(0.88 * columns / (right - left), 0.88 * rows / (bottom - top), 2.4)
    for spot in spots:
        spot.scale *= factor
        spot.x = columns / 2 + (spot.x - (left + right) / 2) * factor
        spot.y = rows / 2 + (spot.y - (top + bottom) / 2) * factor


def cut_out(sprites: list[Sprite], rows: int, columns: int) -> Array:
    """The sprites alone on a transparent ground, premultiplied RGBA."""
    canvas = np.zeros((rows, columns, 4), np.float32)
    for sprite in sprites:
        h, w = sprite.rgba.shape[:2]
        over(canvas, sprite.rgba, round(sprite.x - w / 2), round(sprite.y) - h)
    return canvas
