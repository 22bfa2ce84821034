"""What is held in a hand or lies in a container: "a knight holding a sword and a shield", "a basket with three kittens"."""

from __future__ import annotations

from .draft import Draft
from .traits import BEARS, CONTAINERS, HANDHELD, animate, trait
from .types import Relation

LARGEST = 0.72  # natural size of what a list of things held or contained goes on with


def keeps(draft: Draft, index: int) -> bool:
    """Whether subject `index`, just named, is held or contained; who does is then in `draft.keepers`."""
    key = draft.subjects[index].key
    sources = [source for source in draft.sources[-1:] if source != index]
    if draft.relation in ("holding", "containing") and sources:
        draft.keeping = "held" if draft.relation == "holding" else "in"
    elif draft.relation == "beside" and draft.action == "with" and sources:
        by = draft.subjects[sources[0]].key
        draft.keeping = "in" if by in CONTAINERS else "held" if key in HANDHELD and animate(by) else ""
    else:  # the next of a list
        living = draft.keeping == "held" and animate(key)
        return bool(draft.keepers) and not draft.relation and trait(key).size < LARGEST and not living
    draft.keepers = sources if draft.keeping else []
    return bool(draft.keepers)


def shown_by_itself(draft: Draft, index: int) -> bool:
    """Whether the one who holds subject `index`, the last there is, is drawn with it anyway."""
    subject = draft.subjects[index]
    by = draft.subjects[draft.keepers[0]]
    plain = subject.tint is None and subject.size == 1.0 and subject.count == 1
    return (
        draft.keeping == "held" and plain and subject.key in BEARS.get(by.key, ()) and index == len(draft.subjects) - 1
    )


def kept(draft: Draft, index: int) -> None:
    """Relate subject `index` to the one who holds or contains it."""
    for by in draft.keepers:
        draft.relations.append(Relation(index, "held" if draft.keeping == "held" else "in", by))
