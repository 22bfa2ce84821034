"""Things put onto or beside something in a picture: a hat on the cat's head, a dog next to the house."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from openpollen.core.errors import UnprocessableEntity

from .. import compose
from ..art import aspect
from ..lighting import lit
from ..match import default_matcher
from ..paint import clear, over
from ..placing import PLACERS, Figure, Head, aside, dress, head_of
from ..plan import make_plan
from ..traits import WEARABLE, trait
from ..types import Sprite, Subject
from .insert import called, light_of_picture, stage_of_picture
from .pictures import Picture
from .salient import main_subject

GUESSED = (
    "this picture does not tell where things are, so it was put on what stands out most from the colours of its border"
)


@dataclass(frozen=True)
class Seat:
    """What a new thing goes to: a figure that is known, or only a head that was found by eye."""

    figure: Figure | None
    head: Head
    side: int = 1  # where there is room beside it: 1 to the right, -1 to the left


def wearable(what: str) -> bool:
    """Whether everything named is a thing to wear."""
    subjects = make_plan(what, "", default_matcher())[0].subjects
    return bool(subjects) and all(s.key in WEARABLE for s in subjects)


def known_seat(figure: Figure, company: list[Figure], width: int) -> Seat:
    """What is known of a figure among all those in a picture of that width."""

    def crowd(side: int) -> float:
        x = figure.x + side * figure.width
        near = [f for f in company if f is not figure and abs(f.x - x) < (f.width + figure.width) / 2]
        return len(near) - 0.5 * (x - width / 2) * -side / width

    return Seat(figure, head_of(figure), min((1, -1), key=crowd))


def attached(picture: Picture, what: str, relation: str, seats: list[Seat]) -> tuple[Picture, str]:
    """The picture with the named things in that relation to every seat, and what was added in words."""
    plan, note = make_plan(what, "", default_matcher())
    light = light_of_picture(picture.rgb)
    sprites: list[Sprite] = []
    for index, subject in enumerate(plan.subjects):
        for child in _children(index, subject, seats, relation, picture.size):
            toned = lit(compose.drawn(child, subject, max(4, round(child.height))), light)
            sprites.append(Sprite(toned, child.x, -child.y, 0.9, index, not child.carried, data={"key": subject.key}))
    rgb = picture.rgb.copy()
    compose.paint(rgb, sprites, stage_of_picture(rgb, light, ""))
    alpha = picture.alpha
    if alpha is not None:
        cover = clear(*alpha.shape)
        over(cover, compose.cut_out(sprites, *alpha.shape), 0, 0)
        alpha = np.maximum(alpha, cover[..., 3])
    names = called(replace(plan, subjects=tuple(replace(s, noun=_counted(s)) for s in plan.subjects)))
    return Picture(np.clip(rgb, 0, 1), alpha), f"{names} ({note})" if note else names


def _counted(subject: Subject) -> str:
    return subject.noun if subject.count == 1 else f"{subject.count} {subject.noun}"


def _children(index: int, subject: Subject, seats: list[Seat], relation: str, size: tuple[int, int]) -> list[Figure]:
    """As many new figures as were asked for, shared out among the seats; one of them goes to each seat."""
    shares = (
        [1] * len(seats)
        if subject.count == 1
        else [len(range(i, subject.count, len(seats))) for i in range(len(seats))]
    )
    out: list[Figure] = []
    for seat, share in zip(seats, shares, strict=True):
        for place in range(share):
            child = _child(index, subject, seat, relation, size, place, share)
            child.copy = len(out)
            out.append(child)
    return out


def _child(
    index: int, subject: Subject, seat: Seat, relation: str, size: tuple[int, int], place: int, of: int
) -> Figure:
    """The new figure in its place, number `place` of `of` at this seat, within the picture."""
    target = seat.figure
    ratio = aspect(subject.key)
    if relation == "wear" or target is None:
        child = Figure(index, subject.key, ratio, 1.0)
        dress(child, replace(seat.head, width=seat.head.width * subject.size))
        child.y += place * 0.55 * child.height  # several hats are worn one upon the other
        return child
    height = target.height * (trait(subject.key).size / trait(target.key).size) ** 0.72 * subject.size
    child = Figure(index, subject.key, height * ratio, height)
    if relation == "beside":
        room = (size[0] - target.x if seat.side > 0 else target.x) - 0.56 * target.width
        row = child.width * (1 + 0.85 * (of - 1))
        factor = min(1.0, max(room, 0.4 * row) / row)
        child.width, child.height = child.width * factor, child.height * factor
        aside(child, target, seat.side, 0.06, place)
        child.flip = target.x > child.x
    else:
        factor = min(1.0, 0.9 * size[0] / (child.width * of))
        child.width, child.height = child.width * factor, child.height * factor
        PLACERS[relation](child, target, (place + 0.5) / of, of)
    half = child.width / 2
    child.x = min(max(child.x, half), max(half, size[0] - half))
    child.y = min(child.y, -child.height)
    return child


def guessed_seat(picture: Picture) -> Seat:
    """The head of what seems the main subject; UnprocessableEntity when nothing stands out."""
    found = main_subject(picture)
    if found is None:
        raise UnprocessableEntity(
            "Nothing in this picture stands out from its border, so there is nothing to put this on. Send a mask of the "
            "place, or say “on the left” or “on the right”.",
            reason="no_subject",
        )
    mask, scale = found
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, tall, wide = int(rows[0]), int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
    crown = np.flatnonzero(mask[top : top + max(1, round(0.14 * tall))].any(axis=0))
    level = np.flatnonzero(mask[min(top + round(0.2 * tall), mask.shape[0] - 1)])
    x = float(crown.mean()) + 0.5
    near = level[np.abs(level - x) < 0.5 * wide]
    width = float(np.clip(near[-1] - near[0] + 1 if near.size else 0, 0.25 * wide, 0.5 * wide))
    return Seat(None, Head(x * scale, -top * scale, width * scale))
