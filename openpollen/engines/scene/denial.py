"""What a prompt does not want: what is denied leaves the plan and the backdrop, and what cannot be left out is told."""

from __future__ import annotations

from functools import cache

from .draft import Draft
from .icons import icons
from .lexicon import singulars, word_table
from .reading import Piece
from .types import Plan, Subject, Tint

ALL_OF = "*"  # ends a denied group of drawings: "animal-*"


def denial_of(piece: Piece, tint: Tint | None) -> set[str]:
    """What a denied piece takes away: drawings and scenery by their ids, drawings of one colour as "red cat", groups of
    drawings as "animal*", parts of backdrops by the names their painters ask for."""
    nouns = {m.value for m in piece.meanings if m.kind == "noun"}
    if tint is not None and nouns:
        return {f"{tint.name} {key}" for key in nouns}
    words = (piece.text, *singulars(piece.text))
    return {m.value for m in piece.meanings}.union(*(_names().get(word, ()) for word in words))


@cache
def _names() -> dict[str, set[str]]:
    """Word -> the groups of drawings and parts of backdrops it denies."""
    out: dict[str, set[str]] = {}
    for section, ending in (("denied_groups", ALL_OF), ("denied_backdrop", "")):
        for name, words in word_table(section).items():
            for word in words:
                out.setdefault(word, set()).add(name + ending)
    return out


def is_denied(subject: Subject, denied: set[str]) -> bool:
    """Whether a subject is among what was denied."""
    if subject.key in denied or (subject.tint is not None and f"{subject.tint.name} {subject.key}" in denied):
        return True
    icon = icons().get(subject.key)
    return icon is not None and any(d.endswith(ALL_OF) and icon.group.startswith(d[:-1]) for d in denied)


def unavoidable(draft: Draft, plan: Plan) -> list[str]:
    """Denied words for things that are in the picture all the same, or of which nothing is known."""
    fixed = word_table("denied_in_vain")
    parts = {*fixed["parts"], *fixed.get(plan.setting, ())}
    out = [w for w in draft.denied_words if w in parts or any(s in parts for s in singulars(w))]
    out += [w for w in draft.denied_unknown if not _names().get(w) and w not in fixed["never_there"]]
    return list(dict.fromkeys(out))
