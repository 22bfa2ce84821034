"""Figures stacked into groups by their relations: the cup on the table, the knight on the horse, the hat on the cat.

Pure geometry; nothing is drawn here. Local coordinates of a group: x from the middle of its lowest figure, y upwards from
the ground, in pixels of a group at scale 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .art import aspect
from .placing import PLACERS, Figure
from .traits import CONTAINERS, WEARABLE, trait
from .types import Plan, Relation

Domain = Literal["ground", "air", "hang", "deep", "water", "drift"]
ACTING = ("facing", "close", "chasing", "left", "right")
ATTACHING = ("on", "riding", "in", "above", "under", "behind", "in_front", "held", "between", *ACTING)


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
    bottom: float = 0.0  # below 0 where something is under water

    def measure(self) -> None:
        self.left = min(f.x - f.width / 2 for f in self.figures)
        self.right = max(f.x + f.width / 2 for f in self.figures)
        self.top = max(f.y + f.height for f in self.figures)
        self.bottom = min(0.0, *(f.y for f in self.figures))


def build_groups(plan: Plan, unit: float, rng: np.random.Generator) -> list[Group]:
    """All figures of the plan at natural relative sizes, stacked by relation."""
    parents, _ = _parents(plan)
    figures: dict[int, list[Figure]] = {i: _copies(plan, i, unit, rng) for i in range(len(plan.subjects))}
    groups: dict[int, list[Group]] = {}
    for index in figures:
        if index not in parents:
            domain = _domain(plan, index)
            natural = trait(plan.subjects[index].key).size * plan.subjects[index].size
            groups[index] = [Group(part, domain, index, natural) for part in _companies(plan, index, figures[index])]
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


def _parents(plan: Plan) -> tuple[dict[int, tuple[int, str]], list[Relation]]:
    """What each subject is attached to and how, the first relation of each; and the relations that this leaves out."""
    parents: dict[int, tuple[int, str]] = {}
    left: list[Relation] = []
    for relation in plan.relations:
        if relation.kind not in ATTACHING or relation.subject == relation.target:
            continue
        if relation.subject in parents or _is_below(relation.target, relation.subject, parents):
            left.append(relation)
        else:
            parents[relation.subject] = (relation.target, relation.kind)
    return parents, left


def unplaced(plan: Plan) -> list[str]:
    """Relations of a plan that are not shown, because their subject has its place by another."""
    nouns = [subject.noun for subject in plan.subjects]
    return [f"{nouns[r.subject]} {r.kind.replace('_', ' ')} {nouns[r.target]}" for r in _parents(plan)[1]]


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
    if kind == "in" and targets[0].key in CONTAINERS:
        for target, share in zip(targets, shares, strict=True):
            target.width, target.height = 1.3 * target.width, 1.3 * target.height
            _fill(target, share)
    elif kind in ("on", "riding", "in"):
        _make_room(children, targets, shares)
    for target, share in zip(targets, shares, strict=True):
        group = next(g for g in groups if target in g.figures)
        dives = kind == "under" and group.domain == "water"
        for child, at in zip(share, _slots(share), strict=True):
            PLACERS["beneath" if dives else kind](child, target, at, len(share))
            group.figures.append(child)
        if kind in ACTING:
            _level(share, target, group, plan)
        if kind == "under" and not dives and not plan.subjects[target.subject].grounded:
            _hang_over(share, target, group, plan)


def _slots(row: list[Figure]) -> list[float]:
    """The middles of figures set side by side, 0..1 of the row's length."""
    total = sum(f.width for f in row)
    ends = np.cumsum([f.width for f in row])
    return [float(end - f.width / 2) / total for end, f in zip(ends, row, strict=True)]


def _fill(target: Figure, share: list[Figure]) -> None:
    """Shrink what lies in a container until it is a heap in it: crowded, but every piece of it seen."""
    for child in share:
        factor = min(1.0, 0.7 * target.height / child.height)
        child.width, child.height = child.width * factor, child.height * factor
    load = sum(child.width for child in share) / (1.25 * target.width)
    if load > 1:
        for child in share:
            child.width, child.height = child.width / load, child.height / load


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


def _companies(plan: Plan, index: int, copies: list[Figure]) -> list[list[Figure]]:
    """The copies of a subject by groups: one each, but pairs where they do something to each other, and all that stand in
    a row together."""
    if plan.subjects[index].aligned and len(copies) > 1:
        return [_row(copies)]
    kind = next((r.kind for r in plan.relations if r.subject == r.target == index), None)
    if kind is None:
        return [[figure] for figure in copies]
    pairs = [copies[i : i + 2] for i in range(0, len(copies), 2)]
    for pair in pairs:
        if len(pair) == 2:
            PLACERS[kind](pair[1], pair[0], 0.5, 1)
    return pairs


def _row(copies: list[Figure]) -> list[Figure]:
    """Figures in one row, all of a height and looking the same way."""
    first = copies[0]
    for place, figure in enumerate(copies):
        figure.width, figure.height, figure.flip = first.width, first.height, first.flip
        figure.x = (place - (len(copies) - 1) / 2) * first.width * 1.08
    return copies


def _level(share: list[Figure], target: Figure, group: Group, plan: Plan) -> None:
    """When one of two who act flies and the other does not, the group stands on the ground and the flier is over it."""
    child = plan.subjects[share[0].subject]
    if child.grounded == plan.subjects[target.subject].grounded or target.carried:
        return
    for flier in share if not child.grounded else [target]:
        flier.y += 0.3 * max(target.height, share[0].height)
        flier.carried = True
    for walker in share if child.grounded else [target]:
        walker.y, walker.carried = 0.0, False
    if child.grounded:
        group.domain, group.subject = "ground", share[0].subject


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
