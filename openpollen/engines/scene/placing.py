"""Where one figure goes that stands in a relation to another: on it, riding it, facing it, wearing it.

Pure geometry in the coordinates of a group: x from the middle of its lowest figure, y upwards from the ground, in pixels of
a group at scale 1. Every drawing that has a side faces left unless it is flipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .art import aspect, thumbnail
from .traits import CONTAINERS, SHALLOW
from .types import Array

# how far down from its top the seat or shelf of a thing is, as a fraction of its height
_SURFACES = {
    "couch-and-lamp": 0.66,
    "sofa": 0.5,
    "bed": 0.42,
    "chair": 0.55,
    "bench": 0.56,
    "seat": 0.55,
    "throne": 0.62,
    "table": 0.2,
    "desk": 0.05,
    "rug": 0.45,
    "sled": 0.5,
    "motor-scooter": 0.42,
    "motorcycle": 0.35,
    "bicycle": 0.22,
    "tractor": 0.3,
    "canoe": 0.45,
    "sailboat": 0.7,
    "skateboard": 0.3,
    "elephant": 0.16,
    "t-rex": 0.45,
    "sauropod": 0.5,
    "dragon": 0.42,
    "giraffe": 0.52,
    "unicorn": 0.47,
    "horse": 0.38,
    "broom": 0.55,
    "lotus": 0.35,
    "bridge": 0.12,
    "wood": 0.06,
    "branch": 0.38,
}
_TABLES = frozenset({"table", "desk"})  # who is behind one is seen over it
_HEADS = {  # middle x, top y and width of the head, as fractions of the drawing
    "snowman": (0.5, 0.05, 0.4),
    "snowman-without-snow": (0.5, 0.05, 0.4),
    "cat": (0.2, 0.13, 0.36),
    "black-cat": (0.2, 0.13, 0.36),
    "dog": (0.2, 0.15, 0.36),
    "horse": (0.13, 0.04, 0.24),
    "cow": (0.18, 0.1, 0.34),
    "pig": (0.24, 0.1, 0.4),
    "rabbit": (0.3, 0.3, 0.44),
    "elephant": (0.3, 0.04, 0.46),
    "unicorn": (0.3, 0.16, 0.26),
    "duck": (0.3, 0.0, 0.44),
    "tiger": (0.22, 0.06, 0.36),
    "monkey": (0.3, 0.02, 0.46),
    "mouse": (0.24, 0.14, 0.4),
    "dragon": (0.34, 0.02, 0.36),
    "t-rex": (0.3, 0.0, 0.42),
    "turtle": (0.12, 0.2, 0.22),
    "parrot": (0.4, 0.0, 0.4),
}


@dataclass
class Figure:
    """One copy of a subject in a group. `order` sorts figures of a group back to front."""

    subject: int
    key: str
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0
    copy: int = 0
    flip: bool = False
    order: float = 0.0
    carried: bool = False  # stands on another figure or hangs in the air: no shadow on the ground
    submerged: bool = False  # seen through water


@lru_cache(maxsize=256)
def top_profile(key: str) -> Array:
    """For 48 columns of the trimmed drawing, how far down its top edge is, 0..1 of its height (1 where empty)."""
    alpha = thumbnail(key)[..., 3] > 0.4
    columns = np.arange(48) * (alpha.shape[1] - 1) // 47
    cut = alpha[:, columns]
    return np.where(cut.any(axis=0), cut.argmax(axis=0) / alpha.shape[0], 1.0).astype(np.float32)


def surface(key: str) -> float:
    """How far down from its top another thing rests on this one, 0..1 of its height."""
    if key in _SURFACES:
        return _SURFACES[key]
    return min(0.7, float(np.median(top_profile(key)[16:34])) + 0.02)


def _on(child: Figure, target: Figure, at: float, of: int) -> None:
    if target.key == "canoe":
        _in(child, target, at, of)
        return
    if target.key == "sailboat" and of == 1:  # beside the mast
        at = 0.8
    spread = 0.0 if of == 1 and at == 0.5 else (at - 0.5) * target.width * 0.96
    flat = target.key in _SURFACES
    if of == 1 and not flat:
        child.x = target.x + (_seat(target) - 0.5) * target.width
    else:
        child.x = target.x + spread
    child.y = target.y + target.height * (1 - surface(target.key)) - child.height * 0.015
    child.order, child.carried = target.order + 0.1, True


def _seat(target: Figure) -> float:
    """Where along its width one thing alone is best set on another: the highest part near the middle of the top."""
    profile = top_profile(target.key)[10:38]
    high = np.flatnonzero(profile <= profile.min() + 0.06)
    at = (10 + float(high.mean())) / 47 if surface(target.key) > float(profile.min()) + 0.1 else 0.5
    at = 0.5 if surface(target.key) <= float(np.median(profile)) + 0.05 else at
    return 1 - at if target.flip else at


def _riding(child: Figure, target: Figure, at: float, of: int) -> None:
    limit = 0.72 * max(target.height, 0.6 * target.width)
    if child.height > limit:
        child.width, child.height = child.width * limit / child.height, limit
    _on(child, target, at, of)
    child.x = (
        target.x + (0.06 if not target.flip else -0.06) * target.width + (at - 0.5) * target.width * 0.5 * (of > 1)
    )
    child.y -= child.height * 0.17
    child.flip = target.flip
    child.order = target.order - 0.1  # the mount hides the rider's legs


def _in(child: Figure, target: Figure, at: float, of: int) -> None:
    if target.key == "sailboat":
        _on(child, target, at, of)
        return
    child.x = target.x + (at - 0.5) * target.width * 0.8 * (of > 1)
    child.y = target.y + target.height * max(0.3, 1 - surface(target.key) - 0.42)
    child.order, child.carried = target.order - 0.1, True
    if target.key in CONTAINERS:  # the front hides the lower part
        child.x = target.x + (at - 0.5) * target.width * 0.86
        child.y = target.y + target.height * (1 - CONTAINERS[target.key])
        if target.key in SHALLOW:
            child.order = target.order + 0.1
        else:
            child.y -= 0.3 * child.height
    if target.key.endswith("-tree"):  # seen among the leaves, not hidden by them
        child.y, child.order = target.y + 0.5 * target.height, target.order + 0.1


def _above(child: Figure, target: Figure, at: float, of: int) -> None:
    child.x = target.x + (at - 0.5) * (target.width + child.width * of) * (of > 1) + child.width * 0.18
    child.y = target.y + target.height + child.height * 0.16
    child.order, child.carried = target.order + 0.2, True


def _under(child: Figure, target: Figure, at: float, of: int) -> None:
    limit = 0.5 * target.height
    if child.height > limit:
        child.width, child.height = child.width * limit / child.height, limit
    child.x = target.x + (at - 0.5) * target.width * 0.9 + (0.16 * target.width if of == 1 else 0)
    child.y = target.y - target.height * 0.02
    child.order = target.order + 0.3


def _beneath(child: Figure, target: Figure, at: float, of: int) -> None:
    """In the water under what floats on it."""
    limit = 1.3 * target.width
    if child.width > limit:
        child.width, child.height = limit, child.height * limit / child.width
    child.x = target.x + (at - 0.5) * child.width * 1.05 * of * (of > 1)
    child.y = -1.08 * child.height
    child.order, child.carried, child.submerged = target.order - 0.3, True, True


def _behind(child: Figure, target: Figure, at: float, of: int) -> None:
    child.y = target.y + (0.34 if target.key in _TABLES else 0.05) * target.height
    child.order = target.order - 0.4
    if of > 2:
        child.x = target.x + (at - 0.5) * max(target.width, of * child.width * 0.8)
        return
    side = -1 if at < 0.5 or (of == 1 and not target.flip) else 1
    child.x = target.x + side * (target.width * 0.3 + child.width * 0.22)
    if child.height < target.height * 0.8:
        child.x = target.x + side * (target.width * 0.5 + child.width * 0.12)


def _in_front(child: Figure, target: Figure, at: float, of: int) -> None:
    limit = max(0.62 * target.height, 0.8 * child.height)
    if child.height > limit:
        child.width, child.height = child.width * limit / child.height, limit
    child.x = target.x + (at - 0.5) * target.width * 0.9 + target.width * 0.12 * (of == 1)
    child.y = target.y - 0.07 * target.height
    child.order = target.order + 0.4


_HELD_HIGH = frozenset(
    {"umbrella", "balloon", "kite", "white-flag", "red-paper-lantern", "lantern", "magic-wand", "sparkler"}
)


def _held(child: Figure, target: Figure, at: float, of: int) -> None:
    """At the side of the one who holds it, at the height of a hand; umbrellas and balloons overhead."""
    high = child.key in _HELD_HIGH
    limit = target.height * (0.85 if high else 0.42) / max(1.0, child.width / child.height / 1.1)
    if child.height > limit:
        child.width, child.height = child.width * limit / child.height, limit
    side = -1 if target.flip else 1
    child.x = target.x + side * ((0.3 if high else 0.36) * target.width + 0.22 * child.width) * (1 if at >= 0.5 else -1)
    child.y = target.y + target.height * (0.5 if high else 0.16)
    child.order, child.carried = target.order + (-0.05 if high else 0.2), True


@dataclass(frozen=True)
class Head:
    """Where a hat goes: the middle and the top of a head and its width, in the coordinates of the figure it belongs to."""

    x: float
    top: float
    width: float
    flip: bool = False


def head_of(target: Figure) -> Head:
    """The head of a figure; of one that is not known for it, the highest part of the drawing."""
    if target.key in _HEADS:
        x, y, width = _HEADS[target.key]
    else:
        profile = top_profile(target.key)
        high = np.flatnonzero(profile < profile.min() + 0.2)
        x, y = float(high.mean()) / 47, float(profile.min())
        width = min(0.8, 0.44 / aspect(target.key))
    x = 1 - x if target.flip else x
    middle, top = target.x + (x - 0.5) * target.width, target.y + target.height * (1 - y)
    return Head(middle, top, width * target.width, target.flip)


def dress(child: Figure, head: Head) -> None:
    """Set a hat on a head, glasses before eyes, a scarf round a neck."""
    size = head.width * (1.0 if child.key not in ("crown", "party-hat") else 0.72)
    ratio = child.height / child.width
    child.width, child.height = size, size * ratio
    drop = {"glasses": 0.5, "sunglasses": 0.5, "goggles": 0.5, "scarf": 1.3}.get(child.key)
    child.x = head.x
    child.y = head.top - (drop * head.width + child.height / 2 if drop else child.height * 0.2)
    child.flip, child.carried = head.flip, True


def _wear(child: Figure, target: Figure, at: float, of: int) -> None:
    dress(child, head_of(target))
    child.order = target.order + 0.05


def _row(at: float, of: int) -> int:
    """Which place in a row a figure at `at` of its length has, 0 the first."""
    return min(of - 1, int(at * of))


def aside(child: Figure, target: Figure, side: int, gap: float, row: int) -> None:
    """Set a figure beside another at the same height, `gap` of both widths away, those of later rows behind the first."""
    reach = (child.width + target.width) / 2 * (1 + gap)
    child.x = target.x + side * (reach + row * child.width * 0.85)
    child.y, child.carried = target.y, target.carried
    child.order = target.order + 0.05 - 0.02 * row


def _facing(child: Figure, target: Figure, at: float, of: int) -> None:
    side = 1 if target.flip else -1  # the target keeps the way it looks
    aside(child, target, side, 0.16, _row(at, of))
    child.flip = not target.flip


def _close(child: Figure, target: Figure, at: float, of: int) -> None:
    side = 1 if target.flip else -1
    aside(child, target, side, -0.24, _row(at, of))
    child.flip = not target.flip
    child.order = target.order + (0.1 if child.height < target.height else -0.1)


def _chasing(child: Figure, target: Figure, at: float, of: int) -> None:
    behind = -1 if target.flip else 1
    aside(child, target, behind, 0.22, _row(at, of))
    child.flip = target.flip


def _left(child: Figure, target: Figure, at: float, of: int) -> None:
    aside(child, target, -1, 0.12, _row(at, of))


def _right(child: Figure, target: Figure, at: float, of: int) -> None:
    aside(child, target, 1, 0.12, _row(at, of))


def _between(child: Figure, target: Figure, at: float, of: int) -> None:
    """In front of two who face each other, low enough to leave both in sight."""
    limit = 0.5 * target.height
    if child.height > limit:
        child.width, child.height = child.width * limit / child.height, limit
    side = 1 if target.flip else -1
    child.x = target.x + side * target.width * 0.58 + (_row(at, of) - (of - 1) / 2) * child.width
    child.y, child.order = target.y - 0.05 * target.height, target.order + 0.5


PLACERS = {
    "on": _on,
    "riding": _riding,
    "in": _in,
    "above": _above,
    "under": _under,
    "beneath": _beneath,
    "behind": _behind,
    "in_front": _in_front,
    "wear": _wear,
    "held": _held,
    "facing": _facing,
    "close": _close,
    "chasing": _chasing,
    "between": _between,
    "left": _left,
    "right": _right,
}
