"""Colours and sizes of a prompt: which noun or place they belong to."""

from __future__ import annotations

from dataclasses import replace

from .draft import MAX_SUBJECTS, Draft
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
        if not phrase_goes_on(ahead):
            draft.denied_unknown.append(tint.name)
    elif adjectives_follow and draft.group and not noun_follows(ahead[:1]) and not draft.count:
        index = draft.group[-1]
        draft.subjects[index] = replace(draft.subjects[index], tint=tint)
    else:
        draft.tint = tint
        if not phrase_goes_on(ahead):
            draft.palette.append(tint)
            draft.loose.append(tint)


def share_out(draft: Draft, tint: Tint) -> bool:
    """Gives some of what was named a colour of their own: "four cats, two green and two red". False where none were."""
    plain = [i for i in draft.group if draft.subjects[i].tint is None and draft.subjects[i].count >= draft.count]
    if not plain or len(draft.subjects) >= MAX_SUBJECTS:
        return False
    subject, rest = draft.subjects[plain[-1]], draft.subjects[plain[-1]].count - draft.count
    if rest == 0:
        draft.subjects[plain[-1]] = replace(subject, tint=tint)
        return True
    draft.subjects[plain[-1]] = replace(subject, count=rest)
    new = len(draft.subjects)
    draft.subjects.append(replace(subject, count=draft.count, tint=tint))
    draft.relations += [replace(r, subject=new) for r in draft.relations if r.subject == plain[-1] != r.target]
    draft.group.append(new)
    return True


def phrase_goes_on(ahead: list[Piece]) -> bool:
    """Whether something that a colour can be of follows at once."""
    return any(p.of("noun") or p.kind in ("plain", "unknown") or _is_scenery(p) for p in ahead[:2])


def _is_scenery(piece: Piece) -> bool:
    return any(m.kind in SCENERY for m in piece.meanings)


def take_size(draft: Draft, size: float, ahead: list[Piece], adjectives_follow: bool) -> None:
    if adjectives_follow and draft.group and not any(p.of("noun") for p in ahead[:1]):
        index = draft.group[-1]
        draft.subjects[index] = replace(draft.subjects[index], size=size)
    else:
        draft.size = size
