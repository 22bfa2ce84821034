"""Figures stacked into groups by their relations: the cup on the table, the knight on the horse, the hat on the cat.

Pure geometry; nothing is drawn here. Local coordinates of a group: x from the middle of its lowest figure, y upwards from
the ground, in pixels of a group at scale 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from .art import aspect, thumbnail
from .plan import WEARABLE
from .traits import trait
from .types import Array, Plan

Domain = Literal["ground", "air", "hang", "deep", "water", "drift"]
ATTACHING = ("on", "riding", "in", "above", "under", "behind", "in_front", "held")

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
}
_HEADS = {  # middle x, top y and width of the head, as fractions of the drawing
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


@dataclass
class Group:
    """Figures that move as one."""

    figures: list[Figure]
    domain: Domain
    subject: int
    natural: float  # natural size of the lowest figure
    left: float = 0.0
    right: float = 0.0
    top: float = 0.0

    def measure(self) -> None:
        self.left = min(f.x - f.width / 2 for f in self.figures)
        self.right = max(f.x + f.width / 2 for f in self.figures)
        self.top = max(f.y + f.height for f in self.figures)


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


def build_groups(plan: Plan, unit: float, rng: np.random.Generator) -> list[Group]:
    """All figures of the plan at natural relative sizes, stacked by relation."""
    parents: dict[int, tuple[int, str]] = {}
    for relation in plan.relations:
        cyclic = _is_below(relation.target, relation.subject, parents)
        if relation.kind in ATTACHING and relation.subject not in parents and not cyclic:
            parents[relation.subject] = (relation.target, relation.kind)
    figures: dict[int, list[Figure]] = {i: _copies(plan, i, unit, rng) for i in range(len(plan.subjects))}
    groups: dict[int, list[Group]] = {}
    for index in figures:
        if index not in parents:
            domain = _domain(plan, index)
            natural = trait(plan.subjects[index].key).size * plan.subjects[index].size
            groups[index] = [Group([f], domain, index, natural) for f in figures[index]]
    owner: dict[int, int] = {i: i for i in groups}
    for target, kind, siblings in _families(plan, parents):
        root = owner[target]
        owner.update(dict.fromkeys(siblings, root))
        children = [f for index in siblings for f in figures[index]]
        _attach(children, figures[target], groups[root], kind, plan)
    out = [g for found in groups.values() for g in found]
    for group in out:
        if plan.setting == "sea" and group.domain == "ground":
            _set_on_islet(group)
        group.measure()
    return out


def _set_on_islet(group: Group) -> None:
    """At sea, what needs ground gets a rock of its own."""
    group.measure()
    width = 1.5 * (group.right - group.left)
    height = width / aspect("islet")
    middle = (group.left + group.right) / 2
    for figure in group.figures:
        figure.y += height * 0.8
        figure.carried = True
    group.figures.append(Figure(group.subject, "islet", width, height, x=middle, order=-1))
    group.domain = "water"


def _is_below(index: int, ancestor: int, parents: dict[int, tuple[int, str]]) -> bool:
    while index != ancestor:
        if index not in parents:
            return False
        index = parents[index][0]
    return True


def _families(plan: Plan, parents: dict[int, tuple[int, str]]) -> list[tuple[int, str, list[int]]]:
    """Subjects that stand in one relation to one target, together; targets before what stands on them."""

    def depth(index: int) -> int:
        return 1 + depth(parents[index][0]) if index in parents else 0

    families: dict[tuple[int, str], list[int]] = {}
    for index in sorted(parents, key=lambda i: (depth(i), i)):
        target, kind = parents[index]
        worn = kind == "on" and plan.subjects[index].key in WEARABLE
        families.setdefault((target, "wear" if worn else kind), []).append(index)
    return [(target, kind, siblings) for (target, kind), siblings in families.items()]


def _copies(plan: Plan, index: int, unit: float, rng: np.random.Generator) -> list[Figure]:
    subject = plan.subjects[index]
    lone = len(plan.subjects) == 1
    natural = trait(subject.key).size
    height = unit * (0.4 if lone else 0.38) * natural ** (0.36 if lone else 0.72) * subject.size
    ratio = aspect(subject.key)
    height /= max(1.0, ratio / 1.15) ** 0.6
    flip = bool(rng.random() < 0.5)
    out: list[Figure] = []
    for copy in range(subject.count):
        h = height * float(rng.uniform(0.95, 1.05) if subject.count > 1 else 1.0)
        turned = flip if subject.count == 1 or rng.random() < 0.75 else not flip
        out.append(
            Figure(index, subject.key, h * ratio, h, copy=copy, flip=turned and subject.key not in _NEVER_FLIPPED)
        )
    return out


_NEVER_FLIPPED = frozenset(
    {"sign", "billboard", "banner", "open-book", "newspaper", "school", "hotel", "convenience-store"}
)


def _domain(plan: Plan, index: int) -> Domain:
    subject = plan.subjects[index]
    if plan.setting == "space" and not subject.grounded:
        return "drift"
    if subject.swims:
        return "water" if plan.setting in ("sea", "beach") else "deep"
    if subject.floats:
        return "water"
    if not subject.grounded:
        return "hang" if trait(subject.key).habit == "hangs" else "air"
    return "ground"


def _attach(
    children: list[Figure],
    targets: list[Figure],
    groups: list[Group],
    kind: str,
    plan: Plan,
) -> None:
    """Put `children` into the groups of `targets`, each in its relation."""
    shares = [children[i :: len(targets)] for i in range(len(targets))]
    if kind in ("on", "riding", "in"):
        _make_room(children, targets, shares)
    for target, share in zip(targets, shares, strict=True):
        group = next(g for g in groups if target in g.figures)
        for child, at in zip(share, _slots(share), strict=True):
            _PLACERS[kind](child, target, at, len(share))
            group.figures.append(child)
        if kind == "under" and not plan.subjects[target.subject].grounded:
            _hang_over(share, target, group, plan)


def _slots(row: list[Figure]) -> list[float]:
    """The middles of figures set side by side, 0..1 of the row's length."""
    total = sum(f.width for f in row)
    ends = np.cumsum([f.width for f in row])
    return [float(end - f.width / 2) / total for end, f in zip(ends, row, strict=True)]


def _make_room(children: list[Figure], targets: list[Figure], shares: list[list[Figure]]) -> None:
    """Grow a support, and then shrink what it carries, until the widest load fits."""
    target = targets[0]
    load = max((sum(c.width for c in share) for share in shares), default=0.0) * 1.12
    if load > target.width:
        growth = min((load / target.width) ** 0.5, 1.5)
        for t in targets:
            t.width, t.height = t.width * growth, t.height * growth
    room = target.width
    if load > room:
        for child in children:
            child.width, child.height = child.width * room / load, child.height * room / load


def _on(child: Figure, target: Figure, at: float, of: int) -> None:
    spread = 0.0 if of == 1 else (at - 0.5) * target.width * 0.96
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
    child.x = target.x + (at - 0.5) * target.width * 0.8 * (of > 1)
    child.y = target.y + target.height * max(0.3, 1 - surface(target.key) - 0.42)
    child.order, child.carried = target.order - 0.1, True


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


def _hang_over(share: list[Figure], target: Figure, group: Group, plan: Plan) -> None:
    """What is under something in the air stands on the ground; that something goes up over it."""
    height = max(f.height for f in share)
    lift = height * 1.25
    for figure in group.figures:
        if figure not in share:
            figure.y += lift
            figure.carried = True
    for place, child in enumerate(share):
        child.x = target.x + (place - (len(share) - 1) / 2) * child.width * 1.05
        child.y = 0.0
    if plan.subjects[share[0].subject].grounded:
        group.domain, group.subject = "ground", share[0].subject


def _behind(child: Figure, target: Figure, at: float, of: int) -> None:
    side = -1 if at < 0.5 or (of == 1 and not target.flip) else 1
    child.x = target.x + side * (target.width * 0.3 + child.width * 0.22)
    child.y = target.y + 0.05 * target.height
    child.order = target.order - 0.4
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


def _wear(child: Figure, target: Figure, at: float, of: int) -> None:
    """Set a hat on a head, glasses before eyes, a scarf round a neck."""
    if target.key in _HEADS:
        x, y, width = _HEADS[target.key]
    else:
        profile = top_profile(target.key)
        high = np.flatnonzero(profile < profile.min() + 0.2)
        x, y = float(high.mean()) / 47, float(profile.min())
        width = min(0.8, 0.44 / aspect(target.key))
    x = 1 - x if target.flip else x
    size = width * target.width * (1.0 if child.key not in ("crown", "party-hat") else 0.72)
    ratio = child.height / child.width
    child.width, child.height = size, size * ratio
    child.x = target.x + (x - 0.5) * target.width
    top = target.y + target.height * (1 - y)
    drop = {"glasses": 0.5, "sunglasses": 0.5, "goggles": 0.5, "scarf": 0.9}.get(child.key)
    child.y = top - drop * width * target.width - child.height / 2 if drop else top - child.height * 0.2
    child.flip, child.order, child.carried = target.flip, target.order + 0.05, True


_PLACERS = {
    "on": _on,
    "riding": _riding,
    "in": _in,
    "above": _above,
    "under": _under,
    "behind": _behind,
    "in_front": _in_front,
    "wear": _wear,
    "held": _held,
}
