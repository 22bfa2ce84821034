"""Backdrops: one painter for each setting."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..types import Plan, Setting, Stage
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
    weather = np.random.default_rng(int(rng.integers(1 << 62)))
    return dress(PAINTERS[plan.setting](plan, width, height, rng), plan, weather, precipitation)
