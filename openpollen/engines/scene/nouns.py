"""Noun phrases of a prompt as subjects: which drawing, how many, in what colour, size and relation."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from .denial import denial_of
from .draft import MAX_COUNT, MAX_SUBJECTS, Draft
from .interaction import INTERACTIONS, hand_over, interact, tell
from .keeping import keeps, kept, shown_by_itself
from .lexicon import colors, singulars, word_table, words_of
from .match import Matcher
from .reading import Piece
from .traits import WEARABLE, animate, compared, trait
from .types import Relation, RelationKind, Subject, Tint
from .wording import named

_BEARABLE = 1.6  # how many times as large as its support a thing may be
PLURAL = 3  # how many "cats" are
_ADJECTIVES = ("ing", "ly", "ed", "'s", "ous", "ful", "ish", "less", "able", "ible", "ic", "ive", "esque", "like")


def take_noun(draft: Draft, piece: Piece, ahead: list[Piece]) -> None:
    meaning = next(m for m in piece.meanings if m.kind == "noun")
    key = meaning.value
    compound = bool(ahead) and _heads_compound(ahead[0]) and not piece.emoji
    if compound and draft.determined and not meaning.plural and not draft.negated:
        if key in ("baby", "child"):
            draft.size = 0.72  # "a baby dragon" is a small dragon
        else:
            draft.undone.append(piece.text)
        return
    if draft.negated:
        deny(draft, piece)
        return
    if piece.emoji and draft.last_emoji == key:
        index = len(draft.subjects) - 1
        if draft.subjects[index].count == MAX_COUNT:
            draft.fewer.append(piece.text)
            return
        draft.subjects[index] = replace(draft.subjects[index], count=draft.subjects[index].count + 1)
        return
    if draft.relation == "beside" and draft.action == "with" and _is_part(draft, piece):
        draft.undone.append(f"{draft.tint.name} {piece.text}" if draft.tint else piece.text)
        draft.relation, draft.sources = "", []
        clear_phrase(draft)
        return
    index = _same(draft, key)
    if index is None:
        if len(draft.subjects) >= MAX_SUBJECTS:
            draft.left_out.append(piece.text)
            clear_phrase(draft)
            return
        count = draft.count or (PLURAL if meaning.plural else 1)
        if draft.beyond and (meaning.plural or draft.count):
            count = MAX_COUNT
            draft.fewer.append(f"{draft.beyond} {piece.text}")
        found = new_subject(key, piece.text, min(MAX_COUNT, count), draft.tint, draft.size)
        draft.subjects.append(replace(found, aligned=draft.aligned))
        index = len(draft.subjects) - 1
        if draft.aloft and draft.subjects[index].grounded:
            draft.subjects[index] = replace(draft.subjects[index], grounded=False, flies=True)
    if key == "white-flag" and draft.stray:
        draft.undone.append(draft.stray)  # whose flag it is makes it another one
    if draft.side:
        draft.sides[index], draft.side = draft.side, 0
    draft.last_emoji = key if piece.emoji else ""
    named(draft, index)
    _relate(draft, index, key)
    clear_phrase(draft)
    draft.fresh = False


def _is_part(draft: Draft, piece: Piece) -> bool:
    """Whether a noun is a part of the one it is named with: "a cat with blue eyes"."""
    parts = word_table("denied_in_vain")["parts"]
    named = any(word in parts for word in (piece.text, *singulars(piece.text)))
    return named and bool(draft.sources) and animate(draft.subjects[draft.sources[-1]].key)


def _heads_compound(piece: Piece) -> bool:
    """Whether a noun before this piece only describes it, as in "a baby dragon"; what is being done is no such head."""
    return piece.kind == "known" and bool(piece.of("noun")) and not piece.text.endswith("ing")


def deny(draft: Draft, piece: Piece) -> None:
    """A piece that is not wanted, with the colour it was denied in."""
    if piece.kind != "mark":
        draft.denied |= denial_of(piece, draft.tint)
        draft.denied_words.append(piece.text)
    clear_phrase(draft)


def new_subject(key: str, noun: str, count: int, tint: Tint | None, size: float) -> Subject:
    if key == "black-cat":
        key, tint = "cat", tint or Tint("black", colors()["black"])
    habit = trait(key).habit
    return Subject(
        key,
        noun,
        count,
        tint,
        size,
        grounded=habit == "stands",
        flies=habit in ("flies", "hangs"),
        swims=habit == "swims",
        floats=habit == "floats",
    )


def manned(subject: Subject) -> Subject:
    """A boat that somebody is in: where no kind of boat was named, one that shows who sits in it."""
    return replace(subject, key="canoe") if subject.noun in ("boat", "boats") else subject


def _same(draft: Draft, key: str) -> int | None:
    """The subject already found that "the castle" or a bare repetition speaks of."""
    for index, subject in enumerate(draft.subjects):
        same_look = draft.tint is None or draft.tint == subject.tint
        if subject.key == key and same_look and not draft.count and (draft.definite or len(draft.subjects) > 3):
            return index
    return None


def _relate(draft: Draft, index: int, key: str) -> None:
    kind = draft.relation
    if keeps(draft, index):
        if shown_by_itself(draft, index):
            draft.subjects.pop()
        else:
            kept(draft, index)
        draft.group, draft.relation, draft.sources = list(draft.keepers), "", []
        return
    if kind in ("smaller", "larger") and draft.sources:
        for source in draft.sources:
            draft.subjects[source] = compared(draft.subjects[source], draft.subjects[index], larger=kind == "larger")
        kind = "beside"
    if kind in ("wearing", "beside", "in", "holding") and key in WEARABLE and draft.sources:
        draft.relations += [Relation(index, "on", source) for source in draft.sources[-1:] if source != index]
    elif kind == "wearing":
        draft.unrelated.append(f"{draft.action} {draft.subjects[index].noun}")
        draft.relations += [Relation(index, "beside", source) for source in draft.sources if source != index]
    elif kind == "handing":
        hand_over(draft, index)
    elif kind in INTERACTIONS:
        interact(draft, index)
    elif kind:
        found = cast(RelationKind, kind)
        sources = [*_carried_along(draft, index), *draft.sources] if kind == "on" else draft.sources
        if kind in ("on", "in") and any(animate(draft.subjects[source].key) for source in sources):
            draft.subjects[index] = manned(draft.subjects[index])
        draft.relations += [Relation(source, found, index) for source in sources if source != index]
    hands = draft.action in words_of("handing") and kind == "beside" and draft.sources
    draft.handed = (draft.sources[-1], index) if hands else None
    worn_by = draft.wearers if key in WEARABLE and not kind else []
    draft.relations += [Relation(index, "on", source) for source in worn_by]  # "a scarf and a hat"
    draft.wearers = worn_by or (draft.sources[-1:] if key in WEARABLE and kind in ("wearing", "beside", "in") else [])
    tell(draft)
    draft.company = list(draft.sources) if kind == "beside" and draft.action == "with" else []
    if kind:
        stays = draft.sources and key in WEARABLE
        draft.group = list(draft.sources) if stays else [index]
    elif index not in draft.group and not worn_by:
        draft.group.append(index)
    draft.relation, draft.sources = "", []


def _carried_along(draft: Draft, support: int) -> list[int]:
    """Whoever is with the thing that stands on a support, and is not too large for it: the ramen in "a bowl of ramen with
    chopsticks on a table", but not the house in "a house with a cat on a sofa"."""

    def size(index: int) -> float:
        return trait(draft.subjects[index].key).size * draft.subjects[index].size

    return [index for index in draft.company if size(index) <= _BEARABLE * size(support)]


def end_phrase(draft: Draft, matcher: Matcher | None) -> None:
    """Close a noun phrase. One that had an article or number and no known noun names something we cannot draw; any other
    unknown word is a thing where a phrase begins, and something that is done after a noun."""
    word = draft.stray
    if word and draft.negated:
        draft.denied |= denial_of(Piece(word, "unknown"), None)
        draft.denied_words.append(word)
        draft.denied_unknown.append(word)
    elif (len(word) > 2 or not word.isascii()) and word.isalpha():
        _end_stray(draft, word, matcher)
    elif draft.tint is not None and not word and not draft.negated:
        draft.uncolored.append(f"{draft.tint.name} {draft.plain}".strip())
    clear_phrase(draft)


def _end_stray(draft: Draft, word: str, matcher: Matcher | None) -> None:
    namelike = is_namelike(word)
    if draft.determined or (namelike and _may_be_noun(draft, word)):
        key = matcher.closest(word) if matcher and namelike else None
        if key is not None and len(draft.subjects) >= MAX_SUBJECTS:
            draft.left_out.append(word)
        elif key is not None:
            draft.guesses.append(f"{word} as {key.replace('-', ' ')}")
            draft.subjects.append(new_subject(key, word, draft.count or 1, draft.tint, draft.size))
            _relate(draft, len(draft.subjects) - 1, key)
        else:
            tell_unknown(draft, word)
            draft.relation, draft.sources = "", []  # "under an arch of flowers" is not under flowers
    elif namelike and draft.stray_begins:
        tell_unknown(draft, word)
        draft.relation, draft.sources = "", []
    elif namelike:
        draft.undone.append(word)


def is_namelike(word: str) -> bool:
    """Whether a word that is not known looks like the name of a thing."""
    return not word.endswith(_ADJECTIVES)


def _may_be_noun(draft: Draft, word: str) -> bool:
    alone = not draft.subjects and not draft.scenery
    return draft.determined or alone or not word.isascii()


def tell_unknown(draft: Draft, word: str) -> None:
    if word and word not in draft.unknown:
        draft.unknown.append(word)


def clear_phrase(draft: Draft) -> None:
    draft.count, draft.beyond, draft.tint, draft.size = 0, "", None, 1.0
    draft.definite = draft.determined = draft.aloft = draft.aligned = False
    draft.stray = draft.plain = ""
    draft.stray_begins = False
