"""Backdrops: one painter for each setting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..paint import over
from ..recolor import washed
from ..types import Part, Plan, Setting, Stage
from ..weather import dress
from .city import city
from .deep import underwater
from .indoor import room
from .kitchen import kitchen
from .open import desert, farm, meadow, mountain, snow
from .outer import sky, space
from .plain import plain
from .theatre import stage
from .water import beach, sea
from .woods import woods

_WHITE = (0.93, 0.96, 1.0)
_LAYERS_OF: dict[Part, tuple[str, ...]] = {"water": ("water",), "ground": ("land", "sand", "road")}
Painter = Callable[[Plan, int, int, np.random.Generator], Stage]

PAINTERS: dict[Setting, Painter] = {
    "space": space,
    "underwater": underwater,
    "sea": sea,
    "beach": beach,
    "city": city,
    "forest": woods,
    "desert": desert,
    "mountain": mountain,
    "snow": snow,
    "meadow": meadow,
    "room": room,
    "sky": sky,
    "jungle": woods,
    "farm": farm,
    "stage": stage,
    "kitchen": kitchen,
    "plain": plain,
}


def paint_stage(plan: Plan, width: int, height: int, rng: np.random.Generator, precipitation: bool = True) -> Stage:
    """The backdrop of `plan`, width x height pixels; the same generator state paints the same picture.

    Without `precipitation` nothing falls in the foreground: a film draws that itself, moving.
    """
    if plan.snowy and plan.setting in ("beach", "desert"):
        plan = replace(plan, denied=plan.denied | {"palms", "cacti"})
    weather = np.random.default_rng(int(rng.integers(1 << 62)))
    stage = PAINTERS[plan.setting](plan, width, height, rng)
    wash(stage, plan)
    return dress(stage, plan, weather, precipitation)


def wash(stage: Stage, plan: Plan) -> None:
    """Water and ground in the colours that were asked for (in place). Sky and sun were painted in theirs."""
    colors = {name: tint.rgb for part, tint in plan.washes for name in _LAYERS_OF.get(part, ())}
    if plan.snowy and plan.setting in ("beach", "desert"):
        colors = dict.fromkeys(_LAYERS_OF["ground"], _WHITE) | colors
    if plan.setting == "mountain" and "land" in colors:
        colors["mountains"] = colors["land"]
    if not colors:
        return
    stage.layers = tuple(
        replace(layer, rgba=washed(layer.rgba, colors[layer.name])) if layer.name in colors else layer
        for layer in stage.layers
    )
    image = np.zeros(stage.image.shape, np.float32)
    for layer in stage.layers:
        over(image, layer.rgba)
    stage.image = np.clip(image, 0, 1)
