"""What subjects do to each other: who faces, hugs or chases whom, as relations that can be drawn."""

from __future__ import annotations

from typing import cast

from .draft import Draft
from .lexicon import words_of
from .traits import animate
from .types import Relation, RelationKind

INTERACTIONS = frozenset({"facing", "close", "chasing", "fleeing"})


def interact(draft: Draft, index: int) -> None:
    """The sources of the action at hand do it to subject `index`."""
    kind = draft.relation
    sources = [s for s in draft.sources if s != index]
    contested, draft.contested = draft.contested, False
    if contested or not animate(draft.subjects[index].key):
        if kind == "facing" and _act_together(draft, sources):  # "a cat and a mouse playing chess"
            draft.relations.append(Relation(index, "between", sources[-1]))
        else:
            draft.relations += [Relation(source, "beside", index) for source in sources]
    elif kind == "fleeing":
        draft.relations += [Relation(index, "chasing", source) for source in sources[-1:]]
    else:
        draft.relations += [Relation(source, cast(RelationKind, kind), index) for source in sources]


def hand_over(draft: Draft, index: int) -> None:
    """What somebody throws, kicks or gives to subject `index` lies between the two."""
    if draft.handed is None:
        return
    giver, thing = draft.handed
    draft.handed = None
    if animate(draft.subjects[index].key):
        draft.relations = [r for r in draft.relations if (r.subject, r.target) not in ((giver, thing), (thing, giver))]
        draft.relations += [Relation(giver, "facing", index), Relation(thing, "between", index)]


def close_action(draft: Draft) -> None:
    """End an action that has no object: "two knights fighting", "a cat and a dog hugging"."""
    if draft.relation in INTERACTIONS and draft.sources:
        if _act_together(draft, draft.sources):
            tell(draft)
        elif draft.action in words_of("unposed"):
            draft.undone.append(draft.action)
        draft.relation, draft.sources = "", []


def _act_together(draft: Draft, sources: list[int]) -> bool:
    """Let the sources do it to each other; False when there is only one."""
    kind = cast(RelationKind, "facing" if draft.relation == "fleeing" else draft.relation)
    if len(sources) > 1:
        draft.relations += [Relation(source, kind, sources[-1]) for source in sources[:-1]]
        return True
    if sources and draft.subjects[sources[0]].count > 1:
        draft.relations.append(Relation(sources[0], kind, sources[0]))
        return True
    return False


def tell(draft: Draft) -> None:
    """Remember an action of which only the company is drawn."""
    if draft.action in words_of("unposed"):
        draft.unposed.append(draft.action)
