"""Colours and sizes of a prompt: which noun or place they belong to."""

from __future__ import annotations

from dataclasses import replace

from .draft import Draft
from .lexicon import SCENERY
from .reading import Piece
from .types import Tint


def noun_follows(ahead: list[Piece]) -> bool:
    """Whether the phrase goes on to a noun or a place, so that a word like "orange" is a colour here."""
    for piece in ahead:
        if piece.kind == "known" and (piece.of("noun") or piece.of("setting") or piece.of("flag") or piece.of("extra")):
            return True
        if not (piece.kind == "known" and (piece.of("color") or piece.of("size"))) and piece.text != "and":
            return False
    return False


def take_color(draft: Draft, tint: Tint, ahead: list[Piece], adjectives_follow: bool) -> None:
    if draft.negated:
        draft.tint = tint
        if not _phrase_goes_on(ahead):
            draft.denied_unknown.append(tint.name)
    elif adjectives_follow and draft.group and not noun_follows(ahead[:1]) and not draft.count:
        index = draft.group[-1]
        draft.subjects[index] = replace(draft.subjects[index], tint=tint)
    else:
        draft.tint = tint
        if not _phrase_goes_on(ahead):
            draft.palette.append(tint)
            draft.loose.append(tint)


def _phrase_goes_on(ahead: list[Piece]) -> bool:
    return any(p.of("noun") or p.kind in ("plain", "unknown") or _is_scenery(p) for p in ahead[:2])


def _is_scenery(piece: Piece) -> bool:
    return any(m.kind in SCENERY for m in piece.meanings)


def take_size(draft: Draft, size: float, ahead: list[Piece], adjectives_follow: bool) -> None:
    if adjectives_follow and draft.group and not any(p.of("noun") for p in ahead[:1]):
        index = draft.group[-1]
        draft.subjects[index] = replace(draft.subjects[index], size=size)
    else:
        draft.size = size
