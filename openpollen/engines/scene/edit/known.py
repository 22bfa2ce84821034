"""Where things stand in a picture that this engine drew: its file tells prompt and seed, and so it can be laid out again."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from ...base import CancelToken
from .. import compose
from ..engine import finished, laid_out, laid_out_alone, oversize
from ..layout import Spot
from ..match import default_matcher
from ..metadata import told_by
from ..paint import f32, resize
from ..placing import Figure
from ..plan import make_plan
from ..reading import read
from ..types import Array, Plan, Stage
from .pictures import Picture

SAME = 0.03  # mean difference, of coarse pixels, up to which a picture is the one that was drawn
COARSE = 24  # pixels a side of the comparison
INDOORS = frozenset({"room", "kitchen"})
PRONOUNS = frozenset({"it", "him", "her", "them"})


@dataclass(frozen=True)
class Layout:
    """How a picture was laid out, in pixels `factor` times finer than its own."""

    plan: Plan
    stage: Stage
    spots: list[Spot]
    factor: float
    seed: int


def figures_in(data: bytes, picture: Picture, token: CancelToken) -> tuple[Plan, list[Figure]] | None:
    """The plan of a picture and its figures, x to the right and y upwards from its upper left corner in pixels; None
    when it is not a picture of this engine, or was changed since."""
    found = _laid_out(data, picture, token)
    if found is None:
        return None
    return found.plan, [_scaled(f, 1 / found.factor) for spot in found.spots for f in compose.standing(spot)]


def subjects_in(data: bytes, picture: Picture, token: CancelToken) -> Array | None:
    """Where the subjects of a picture are, 0..1 (h x w); None as for `figures_in`."""
    found = _laid_out(data, picture, token)
    if found is None:
        return None
    rows, columns = found.stage.image.shape[:2]
    sprites = compose.sprites_at(found.spots, found.plan, found.stage)
    w, h = picture.size
    return f32(np.clip(resize(compose.cut_out(sprites, rows, columns), h, w)[..., 3], 0, 1))


def drawn_at(data: bytes, picture: Picture, changes: dict[str, str], token: CancelToken) -> Picture | None:
    """A picture of a room as this engine draws it at another `time` or in another `weather`, which are seen through its
    window; None for any other picture."""
    found = _laid_out(data, picture, token)
    if found is None or found.plan.setting not in INDOORS or picture.alpha is not None:
        return None
    plan = replace(found.plan, **changes)
    rows, columns = found.stage.image.shape[:2]
    drawn = finished(plan, *laid_out(plan, columns, rows, found.seed, token), found.seed, token)
    w, h = picture.size
    return picture.with_rgb(f32(np.clip(resize(drawn, h, w) if found.factor > 1 else drawn, 0, 1)))


def _laid_out(data: bytes, picture: Picture, token: CancelToken) -> Layout | None:
    facts = told_by(Image.open(io.BytesIO(data)))
    if facts is None or facts["engine"] != "scene" or not facts["seed"].isdigit():
        return None
    w, h = picture.size
    plan, _ = make_plan(facts["prompt"], "", default_matcher())
    factor = oversize(w, h)
    rows, columns, seed = round(h * factor), round(w * factor), int(facts["seed"])
    if picture.alpha is None:
        stage, spots = laid_out(plan, columns, rows, seed, token)
        drawn, seen = finished(plan, stage, spots, seed, token), picture.rgb
    else:
        stage, spots = laid_out_alone(plan, columns, rows, seed)
        drawn = compose.cut_out(compose.sprites_at(spots, plan, stage), rows, columns)[..., 3:]
        seen = picture.alpha[..., None]
    token.check()
    if float(np.abs(_coarse(drawn) - _coarse(seen)).mean()) > SAME:
        return None
    return Layout(plan, stage, spots, factor, seed)


def _coarse(image: Array) -> Array:
    return np.clip(resize(image, COARSE, COARSE), 0, 1)


def _scaled(figure: Figure, factor: float) -> Figure:
    return replace(
        figure,
        width=figure.width * factor,
        height=figure.height * factor,
        x=figure.x * factor,
        y=figure.y * factor,
    )


def meant(who: str, plan: Plan, figures: list[Figure]) -> list[Figure]:
    """The figures that "the cat", "the cats" or "it" speaks of, the largest first; [] when there is none."""
    pieces = [piece for piece in read(who).pieces if piece.of("noun")]
    nouns = [(m.value, m.plural) for piece in pieces for m in piece.meanings if m.kind == "noun"]
    subjects = [i for i, s in enumerate(plan.subjects) if any(s.key == key for key, _ in nouns)]
    if not nouns and PRONOUNS & set(who.split()):
        subjects = list(range(len(plan.subjects)))
    found = [f for f in figures if f.subject in subjects and f.key == plan.subjects[f.subject].key]
    found.sort(key=lambda f: -f.width * f.height)
    many = any(plural for _, plural in nouns) or "them" in who.split()
    return found if many else found[:1]
