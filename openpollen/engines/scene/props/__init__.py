"""Procedural props: things that are drawn by rules, each copy a little different.

`draw_prop` gives premultiplied RGBA in plain daylight, cropped to the drawing; its foot is the middle of the lower edge.
The light's direction shades the faces; colour of light and shadow on the ground are the caller's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..types import Array
from . import built, plants, reef
from .canvas import trimmed

Painter = Callable[[int, np.random.Generator, tuple[float, float]], Array]

PROPS: dict[str, Painter] = {
    "tree": plants.tree,
    "bush": plants.bush,
    "pine": plants.pine,
    "snowy-pine": plants.snowy_pine,
    "palm": plants.palm,
    "cherry-tree": plants.cherry_tree,
    "autumn-tree": plants.autumn_tree,
    "bare-tree": plants.bare_tree,
    "cactus": plants.cactus,
    "flowers": plants.flowers,
    "grass": plants.tuft,
    "fern": plants.fern,
    "coral": reef.coral,
    "seaweed": reef.seaweed,
    "rock": reef.rock,
    "lamp-post": built.lamp_post,
    "street-lamp": built.street_lamp,
    "bench": built.bench,
    "fence": built.fence,
    "table": built.table,
    "sofa": built.sofa,
    "shelf": built.shelf,
    "floor-lamp": built.floor_lamp,
    "rug": built.rug,
    "fireplace": built.fireplace,
    "plant": built.plant,
    "barn": built.barn,
    "windmill": built.windmill,
    "tower": built.tower,
    "well": built.well,
    "bridge": built.bridge,
    "pyramid": built.pyramid,
}


def draw_prop(key: str, height: int, rng: np.random.Generator, direction: tuple[float, float] = (-0.55, 0.83)) -> Array:
    """The prop `key` about `height` pixels high, lit from `direction` (towards the light, x right, y up)."""
    return trimmed(PROPS[key](max(6, height), rng, direction))
