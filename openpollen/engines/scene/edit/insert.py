"""Things put into a picture: drawn subjects in its light, words, stickers, another background."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from openpollen.core.errors import UnprocessableEntity

from .. import compose, lettering
from ..match import default_matcher
from ..noise import Rng
from ..paint import clear, f32, over, resize
from ..plan import make_plan
from ..styles import luma
from ..types import Array, Layer, Light, Plan, Stage
from .pictures import Picture
from .plain import plain_background
from .relight import horizon_of
from .salient import main_subject

SUBJECT_WEIGHT = 12.0  # how much worse it is to cover a picture's subject than a tree of its backdrop
Region = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels


def region_of(place: str, width: int, height: int, mask: Array | None) -> Region:
    """Where a new thing goes: the masked part, or the named part of the picture."""
    if mask is not None:
        rows, columns = np.nonzero((mask > 0.5).any(axis=1))[0], np.nonzero((mask > 0.5).any(axis=0))[0]
        if rows.size and columns.size:
            return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    if place == "left":
        return 0, 0, int(width * 0.46), height
    if place == "right":
        return int(width * 0.54), 0, width, height
    if place == "centre":
        return int(width * 0.22), 0, int(width * 0.78), height
    return 0, 0, width, height


def light_of_picture(image: Array) -> Light:
    """The light a picture seems to be in: its colour and level, and the side it comes from."""
    grey = luma(image)
    level = float(np.percentile(grey, 75))
    bright = image.reshape(-1, 3)[grey.ravel() >= np.percentile(grey, 80)].mean(axis=0)
    color = bright / max(float(bright.max()), 1e-3)
    weight = np.maximum(grey - level, 0).sum(axis=0) + 1e-6
    lean = float((weight * np.linspace(-1, 1, grey.shape[1])).sum() / weight.sum())
    x, y = float(np.clip(lean * 1.6, -0.7, 0.7)), 0.8
    size = float(np.hypot(x, y))
    mean = image.mean(axis=(0, 1))
    ambient = (mean / max(float(mean.max()), 1e-3)) * (0.18 + 0.42 * level)
    return Light(
        (x / size, y / size),
        (float(color[0]), float(color[1]), float(color[2])),
        (float(ambient[0]), float(ambient[1]), float(ambient[2])),
        0.24 + 0.55 * level,
    )


def stage_of_picture(image: Array, light: Light, place: str) -> Stage:
    """The picture as a stage to set things on."""
    h, w = image.shape[:2]
    horizon = horizon_of(image) if h >= 48 and w >= 48 else 0.5
    band = {"back": (0.66, 0.74), "front": (0.9, 0.97)}.get(place, (max(0.76, horizon + 0.2), 0.95))
    return Stage(image, horizon, f32([horizon * h] * w), band, None, light, ((1.0, 1.0, 1.0), 0.0))


def add_things(picture: Picture, what: str, place: str, mask: Array | None, rng: Rng) -> tuple[Picture, str]:
    """The picture with the named things drawn in; UnprocessableEntity when none can be drawn."""
    plan, note = make_plan(what, "", default_matcher())
    if not plan.subjects:
        raise UnprocessableEntity(
            f"The scene engine has no drawing for {what.strip()[:80]!r}. Name an everyday thing, animal, plant, vehicle or food.",
            reason="cannot_draw",
        )
    plan = _anywhere(plan, place)
    rgb = picture.rgb.copy()
    h, w = rgb.shape[:2]
    x0, y0, x1, y1 = region_of(place, w, h, mask)
    if x1 - x0 < 8 or y1 - y0 < 8:
        raise UnprocessableEntity(
            "The part that may change is too small to draw in; mask a larger one", reason="mask_too_small"
        )
    part = rgb[y0:y1, x0:x1]
    stage = stage_of_picture(part, light_of_picture(picture.rgb), place)
    stage.layers = _taken(picture, (x0, y0, x1, y1))
    sprites = compose.place(plan, stage, rng)
    compose.paint(part, sprites, stage)
    alpha = picture.alpha
    if alpha is not None:
        cover = clear(h, w)
        over(cover, compose.cut_out(sprites, y1 - y0, x1 - x0), x0, y0)
        alpha = np.maximum(alpha, cover[..., 3])
    told = f"added {called(plan)}"
    return Picture(np.clip(rgb, 0, 1), alpha), f"{told} ({note})" if note else told


def called(plan: Plan) -> str:
    """What a plan adds, in words."""
    return ", ".join(
        f"{s.noun} with {' and '.join(f'“{text}”' for text in s.texts)} on it" if s.texts else s.noun
        for s in plan.subjects
    )


def _taken(picture: Picture, region: Region) -> tuple[Layer, ...]:
    """What stands out in a region already, as a layer that new things keep clear of."""
    found = main_subject(picture)
    if found is None:
        return ()
    w, h = picture.size
    x0, y0, x1, y1 = region
    cover = clear(h, w)
    cover[..., 3] = SUBJECT_WEIGHT * resize(f32(found[0])[..., None], h, w)[..., 0]
    return (Layer(cover[y0:y1, x0:x1], 0.6, "furniture"),)


def _anywhere(plan: Plan, place: str) -> Plan:
    """The plan with every subject dry: on the ground, or in the air when it flies or is wanted there."""
    subjects = tuple(
        replace(s, grounded=False, flies=True, swims=False, floats=False)
        if place == "sky" or s.flies
        else replace(s, grounded=s.grounded or s.swims or s.floats, swims=False, floats=False)
        for s in plan.subjects
    )
    return replace(plan, setting="meadow", subjects=subjects, text="", extra=frozenset())


def add_text(picture: Picture, text: str, place: str, mask: Array | None) -> Picture:
    """The words lettered over the picture: as a title, at the bottom, or inside the mask."""
    rgb = picture.rgb.copy()
    h, w = rgb.shape[:2]
    x0, y0, x1, y1 = region_of(place, w, h, mask)
    if mask is None and place in ("front", "centre", ""):
        tall = int(h * 0.3)
        y0 = {"front": h - tall, "centre": (h - tall) // 2}.get(place, 0)
        y1 = h if place == "" else y0 + tall
        x0, x1 = 0, w
    part = rgb[y0:y1, x0:x1]
    size = max(part.shape[0], 1)
    if min(part.shape[:2]) < 16:
        raise UnprocessableEntity("The picture or the masked part is too small for letters", reason="mask_too_small")
    board = part.copy()
    plan = Plan(prompt="", text=text)
    dark = float(luma(part)[: max(1, size // 3)].mean()) < 0.45
    lettering.title(board, plan, dark)
    part[...] = np.clip(board, 0, 1)
    alpha = picture.alpha
    if alpha is not None:
        changed = (np.abs(rgb - picture.rgb).max(axis=2) > 0.02).astype(np.float32)
        alpha = np.maximum(alpha, changed)
    return Picture(rgb, alpha)


def new_background(picture: Picture, what: str, mask: Array | None, rng: Rng) -> tuple[Picture, str]:
    """The picture's transparent or masked part filled with a painted scene."""
    from ..backdrop import paint_stage

    h, w = picture.rgb.shape[:2]
    behind = mask if mask is not None else 1 - picture.alpha if picture.alpha is not None else None
    if behind is None or float(behind.max()) < 0.02:
        behind = plain_background(picture.rgb)
    if behind is None:
        raise UnprocessableEntity(
            "The scene engine cannot tell the background of this picture from what stands before it. Send a mask whose "
            "background is transparent, or a picture with a transparent or plain one-colour background.",
            reason="no_background",
        )
    plan, _ = make_plan(what, "", default_matcher())
    stage = paint_stage(replace(plan, subjects=()), max(w, 64), max(h, 64), rng)
    scene = resize(stage.image, h, w)
    out = np.empty_like(picture.rgb)
    for c in range(3):
        out[..., c] = picture.rgb[..., c] + (scene[..., c] - picture.rgb[..., c]) * behind
    alpha = None if picture.alpha is None else np.maximum(picture.alpha, behind)
    return Picture(np.clip(out, 0, 1), alpha), f"painted a {plan.setting} backdrop behind it"


def cut_out(picture: Picture, mask: Array | None) -> Picture:
    """The picture with its plain or masked background made transparent."""
    behind = mask if mask is not None else plain_background(picture.rgb)
    if behind is None:
        raise UnprocessableEntity(
            "The scene engine cannot tell the background of this picture from what stands before it: it is not one even "
            "colour. Send a mask whose background is transparent.",
            reason="no_background",
        )
    alpha = f32(1 - behind) if picture.alpha is None else picture.alpha * (1 - behind)
    return Picture(picture.rgb, alpha)


def stuck_on(picture: Picture, sticker: Picture, place: str) -> Picture:
    """A second picture with a transparent background set onto the first."""
    if sticker.alpha is None or float(sticker.alpha.min()) > 0.5:
        behind = plain_background(sticker.rgb)
        if behind is None:
            raise UnprocessableEntity(
                "To put one picture into another, the second needs a transparent or plain one-colour background; "
                "otherwise ask for a collage or a blend of the two.",
                reason="no_background",
            )
        sticker = Picture(sticker.rgb, f32(1 - behind))
    h, w = picture.rgb.shape[:2]
    sh, sw = sticker.rgb.shape[:2]
    tall = int(h * (0.3 if place == "sky" else 0.5))
    wide = max(1, round(sw * tall / sh))
    if wide > w * 0.6:
        tall, wide = max(1, round(tall * 0.6 * w / wide)), int(w * 0.6)
    alpha = f32(sticker.alpha)
    layer = np.empty((sh, sw, 4), np.float32)
    layer[..., :3], layer[..., 3] = sticker.rgb * alpha[..., None], alpha
    layer = np.clip(resize(layer, tall, wide), 0, 1)
    x = {"left": 0.04 * w, "right": 0.96 * w - wide}.get(place, (w - wide) / 2)
    y = 0.05 * h if place == "sky" else 0.95 * h - tall
    rgb = picture.rgb.copy()
    over(rgb, layer, int(x), int(y))
    whole = picture.alpha
    if whole is not None:
        cover = clear(h, w)
        over(cover, layer, int(x), int(y))
        whole = np.maximum(whole, cover[..., 3])
    return Picture(np.clip(rgb, 0, 1), whole)
