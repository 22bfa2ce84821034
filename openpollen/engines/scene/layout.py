"""Where everything stands: groups of figures are set on the stage in depth, without clutter, within the frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .stacking import Group, build_groups
from .types import Array, Plan, Stage


@dataclass
class Spot:
    """A group set on the stage: the pixel of its foot, its scale and depth."""

    group: Group
    x: float
    y: float
    scale: float
    depth: float
    box: tuple[float, float, float, float] = field(default=(0, 0, 0, 0))


_PROP_LAYERS = frozenset({"trees", "cacti", "undergrowth", "palms", "reef", "street", "furniture", "buildings"})
_COARSE = 8  # pixels of the picture to one of the clutter map


def clutter(stage: Stage) -> Array:
    """Where the backdrop's own near props stand, 0..1, at an eighth of the picture's size."""
    rows, columns = (max(1, n // _COARSE) for n in stage.image.shape[:2])
    out = np.zeros((rows, columns), np.float32)
    for layer in stage.layers:
        if layer.name in _PROP_LAYERS and layer.depth >= 0.45:
            alpha = layer.rgba[: rows * _COARSE, : columns * _COARSE, 3]
            if alpha.shape == (rows * _COARSE, columns * _COARSE):
                out = np.maximum(out, alpha[_COARSE // 2 :: _COARSE, _COARSE // 2 :: _COARSE])
    return out


def _in_the_way(spot: Spot, props: Array) -> float:
    """How much of the backdrop's props a group would hide or, where they stand nearer to us, be wrongly in front of."""
    left, top, right, foot = (int(v / _COARSE) for v in spot.box)
    below = max(2, round(0.09 * props.shape[0]))
    box = props[max(0, top) : foot, max(0, left) : right + 1]
    strip = props[max(0, foot) : foot + below, max(0, left) : right + 1]
    return 0.45 * _mean(box) + 0.9 * min(1.0, 8 * _mean(strip))


def _mean(part: Array) -> float:
    return float(np.add.reduce(part, axis=None)) / max(1, part.size)  # a third of the time of `mean` for so few pixels


def arrange(plan: Plan, stage: Stage, rng: np.random.Generator) -> list[Spot]:
    """Every group of the plan set on the stage, back to front."""
    height, width = stage.image.shape[:2]
    unit = min(height, width * 1.2)
    groups = build_groups(plan, unit, rng)
    groups.sort(key=lambda g: -(g.right - g.left) * g.top)
    props = clutter(stage)
    best: tuple[float, list[Spot]] = (np.inf, [])
    for step in range(13):
        crowding, spots = _try(groups, plan, stage, props, 0.88**step, rng)
        if 4 * crowding + 0.03 * step < best[0]:
            best = (4 * crowding + 0.03 * step, spots)
        if crowding < 0.004:
            break
    return sorted(best[1], key=lambda s: (s.group.domain in ("ground", "water"), s.y))


def _try(
    groups: list[Group], plan: Plan, stage: Stage, props: Array, shrink: float, rng: np.random.Generator
) -> tuple[float, list[Spot]]:
    spots: list[Spot] = []
    crowding = 0.0
    titled = bool(plan.text)
    focus = 0.5 + float(rng.uniform(-0.13, 0.13)) * (1 if len(groups) < 4 else 0.3)
    for number, group in enumerate(groups):
        on_hill = number == 0 and "hill" in plan.extra and plan.setting == "meadow"
        options = [_candidate(group, stage, shrink, titled, on_hill, rng) for _ in range(48)]
        costs = [_cost(spot, spots, plan, stage, focus, props) for spot in options]
        pick = int(np.argmin([cost for cost, _ in costs]))
        spots.append(options[pick])
        crowding = max(crowding, costs[pick][1])
    return crowding, spots


def _candidate(
    group: Group, stage: Stage, shrink: float, titled: bool, on_hill: bool, rng: np.random.Generator
) -> Spot:
    """A random place within the group's domain, wholly in the frame."""
    rows, columns = stage.image.shape[:2]
    fit = min(
        1.0, 0.8 * rows / max(group.top - 1.6 * group.bottom, 1), 0.92 * columns / max(group.right - group.left, 1)
    )
    u, v = float(rng.random()), float(rng.random())
    far, near = stage.ground_band
    depth = v
    if group.domain == "ground":
        scale = shrink * fit * (0.8 + 0.26 * v)
        y = rows * (far + (near - far) * v)
    elif group.domain == "water":
        scale = shrink * fit * (0.82 + 0.26 * v)
        low = max(stage.horizon + 0.1, 0.45)
        y = rows * (low + (0.93 - low) * v)
    else:
        scale, depth = shrink * fit, 0.55
        tall = group.top * scale / rows
        sky = 0.26 if titled else 0.05
        top, bottom = {
            "air": (sky + 0.02, max(stage.horizon * 0.98, 0.42, sky + 0.3)),
            "hang": (sky, max(stage.horizon * 0.75, 0.34, sky + 0.25)),
            "deep": (0.16, 0.82),
            "drift": (0.12, 0.88),
        }[group.domain]
        y = rows * (top + tall + max(0.0, bottom - top - tall) * v)
    left, right = -group.left * scale, group.right * scale
    margin = 0.03 * columns
    room = columns - 2 * margin - left - right
    x = margin + left + max(room, 0.0) * u if room > 0 else columns / 2 - (group.left + group.right) / 2 * scale
    if group.domain == "ground" and on_hill:
        top = int(stage.ground[columns // 5 : -columns // 5].argmin()) + columns // 5
        x = min(max(top + (u - 0.5) * 0.06 * columns, margin + left), columns - margin - right)
        y, depth = float(stage.ground[int(x)]) + (0.015 + 0.02 * v) * rows, 0.3
        smaller = min(0.66, (y - 0.05 * rows) / max(group.top * scale, 1))
        scale, left, right = scale * smaller, left * smaller, right * smaller
    elif group.domain == "ground":
        y = max(y, float(stage.ground[int(min(max(x, 0), columns - 1))]) + 0.012 * rows)
    y = min(
        max(y, group.top * scale + 0.025 * rows), (0.985 if not group.bottom else 0.95) * rows + group.bottom * scale
    )
    gap = 0.012 * columns
    return Spot(
        group,
        x,
        y,
        scale,
        depth,
        (x - left - gap, y - group.top * scale - gap, x + right + gap, y - group.bottom * scale + gap),
    )


def _cost(spot: Spot, placed: list[Spot], plan: Plan, stage: Stage, focus: float, props: Array) -> tuple[float, float]:
    """How bad a place is, and how much of the group would be covered or cover another there."""
    rows, columns = stage.image.shape[:2]
    crowding = max((_overlap(spot.box, other.box) for other in placed), default=0.0)
    cost = 7.0 * crowding
    x = spot.x / columns
    if not placed:
        cost += 2.2 * abs(x - focus)
    else:
        middle = sum(s.x for s in placed) / len(placed) / columns
        kin = [s for s in placed if s.group.subject == spot.group.subject]
        beside = [s for s in placed if _beside(plan, s.group, spot.group)]
        if beside:
            gap = min(max(spot.box[0] - s.box[2], s.box[0] - spot.box[2]) for s in beside) / columns
            cost += 2.5 * max(0.0, gap - 0.02) + 1.2 * abs(spot.y - beside[0].y) / rows
        elif kin:
            cost += 0.7 * abs(x - sum(s.x for s in kin) / len(kin) / columns)
        cost += 0.8 * abs((middle * len(placed) + x) / (len(placed) + 1) - focus)
    if spot.group.domain == "ground":
        wanted = min(max(1.12 - 0.42 * spot.group.natural, 0.05), 0.75)
        cost += 0.75 * abs(spot.depth - wanted) + _in_the_way(spot, props)
    elif spot.group.domain in ("deep", "drift", "air"):
        cost += 0.9 * abs((spot.box[1] + spot.box[3]) / 2 / rows - (0.47 if spot.group.domain != "air" else 0.3))
    if stage.light.sun_xy is not None and spot.group.domain in ("air", "hang"):
        sun = (stage.light.sun_xy[0] * columns, stage.light.sun_xy[1] * rows)
        inside = spot.box[0] < sun[0] < spot.box[2] and spot.box[1] < sun[1] < spot.box[3]
        cost += 0.8 * inside
    return cost, crowding


def _beside(plan: Plan, a: Group, b: Group) -> bool:
    mine = {f.subject for f in a.figures}
    yours = {f.subject for f in b.figures}
    return any(
        r.kind == "beside" and ((r.subject in mine and r.target in yours) or (r.subject in yours and r.target in mine))
        for r in plan.relations
    )


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Shared area as a fraction of the smaller box."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return width * height / max(smaller, 1.0)
