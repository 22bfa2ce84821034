"""From a prompt to a plan: which subjects, how many, in what colour and relation, in which setting, light and style."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from .denial import denial_of, is_denied, unavoidable
from .draft import MAX_COUNT, MAX_FIGURES, MAX_SUBJECTS, Draft
from .interaction import INTERACTIONS, close_action, interact, tell
from .keeping import keeps, kept, shown_by_itself
from .lexicon import SCENERY, Meaning, colors, emblems, singulars, word_table, words_of
from .match import Matcher, words_in
from .places import place_of, tell_places
from .reading import Piece, read
from .stacking import unplaced
from .staging import note_on, whole_plan
from .traits import CONTAINERS, WEARABLE, animate, compared, trait
from .types import Plan, Relation, RelationKind, Subject, Tint

PLURAL = 3  # how many "cats" are
AHEAD = 10  # pieces that are looked at beyond the one being read
_DETERMINERS = frozenset(
    ["a", "an", "the", "this", "that", "these", "those", "his", "her", "its", "my", "your", "our", "their", "some"]
)
_ENDS_NEGATION = frozenset({"but", "only", "just", "then", "while", "instead"})
_SHOWN_BY_PLACE = frozenset({"jumping", "jumps", "hiding", "hides"})  # over something, behind something
_ALOFT = frozenset({"flying", "floating", "hovering", "levitating"})  # before a noun
_LIFTED = frozenset({"above"})
_NOT_TO_PLACES = frozenset({"behind", "in_front", "riding", "holding", "wearing", "chasing", "close"})
_PREPOSITIONS = frozenset({"in", "on", "at", "by", "under", "beneath", "above", "inside"})
_ADVERBS = frozenset({"underwater", "indoors", "undersea"})
_ADJECTIVES = ("ing", "ly", "ed", "'s", "ous", "ful", "ish", "less", "able", "ible", "ic", "ive", "esque", "like")


def make_plan(prompt: str, negative_prompt: str = "", matcher: Matcher | None = None) -> tuple[Plan, str]:
    """The plan for `prompt` and one sentence on what could not be drawn ("" when all could)."""
    reading = read(prompt)
    draft = Draft(unlettered=list(reading.unlettered))
    pieces = list(reading.pieces)
    for at, piece in enumerate(pieces):
        _take(draft, piece, pieces[at + 1 : at + 1 + AHEAD], reading.adjectives_follow, matcher)
    _end_phrase(draft, matcher)
    close_action(draft)
    _take_negative(draft, negative_prompt)
    _add_emblem(draft)
    subjects, relations = _without(draft)
    scenery = [m for m in draft.scenery if m.value not in draft.denied]
    plan = whole_plan(prompt, reading.text, subjects, relations, scenery, draft)
    tell_places(draft, plan)
    draft.unrelated += unplaced(plan)
    wanted = sum(s.count for s in draft.subjects if not is_denied(s, draft.denied))
    return plan, note_on(draft, wanted, unavoidable(draft, plan))


def _add_emblem(draft: Draft) -> None:
    """On a plain ground a place is shown by one thing: "a logo for a coffee shop"."""
    settings = [m.value for m in draft.scenery if m.kind == "setting"]
    key = next((emblems()[s] for s in settings if s in emblems()), None)
    if "plain" in settings and not draft.subjects and key is not None:
        draft.scenery = [m for m in draft.scenery if m.kind != "setting" or m.value == "plain"]
        draft.guesses.append(f"{key.replace('-', ' ')} for the place")
        draft.subjects.append(_subject(key, key.replace("-", " "), 1, draft.tint, draft.size))


def _take_negative(draft: Draft, negative_prompt: str) -> None:
    """What a negative prompt names goes where the prompt's own negations go. Only what stands alone between commas is
    told when it cannot be left out: "bad hands" is no wish for a picture without hands."""
    clauses = [read(clause).pieces for clause in negative_prompt.split(",")] if negative_prompt else []
    for pieces in clauses:
        for piece in pieces:
            draft.denied |= denial_of(piece, None)
        draft.denied_words += [piece.text for piece in pieces if len(pieces) == 1]


def _take(draft: Draft, piece: Piece, ahead: list[Piece], adjectives_follow: bool, matcher: Matcher | None) -> None:
    """Let one piece change the draft."""
    if piece.kind in ("mark", "plain"):
        _take_plain(draft, piece, ahead, matcher)
    elif piece.kind == "unknown" and piece.text.isdigit():
        draft.beyond = piece.text
    elif piece.kind == "unknown":
        draft.stray_begins, draft.fresh = draft.fresh, False
        *before, draft.stray = (words_in(piece.text, matcher) if matcher else []) or [piece.text]
        for word in before:
            draft.stray, last = word, draft.stray
            _end_phrase(draft, matcher)
            draft.stray = last
        if piece.text.endswith("ing") and draft.group and not draft.negated:
            draft.undone.append(piece.text)
    elif piece.of("negative"):
        _end_phrase(draft, matcher)
        close_action(draft)
        draft.negated, draft.listed, draft.denied_before = True, False, len(draft.denied_words)
        draft.relation, draft.sources = "", []
    elif piece.of("relation"):
        _take_relation(draft, piece, matcher)
    elif piece.of("color") and not (piece.of("noun") and not _noun_follows(ahead)):
        _take_color(draft, Tint(piece.of("color"), colors()[piece.of("color")]), ahead, adjectives_follow)
    elif piece.of("size"):
        _take_size(draft, float(piece.of("size")), ahead, adjectives_follow)
    elif piece.of("expansion"):
        _take_expansion(draft, piece, piece.of("expansion"), matcher)
    elif piece.of("idea"):
        if not draft.subjects and not draft.scenery and not draft.negated:
            draft.guesses.append(f"{piece.text} as {piece.of('idea')}")
            _take_expansion(draft, piece, piece.of("idea"), matcher)
    elif piece.of("number"):
        draft.count, draft.determined = int(piece.of("number")), True
        draft.beyond = "" if draft.count < MAX_COUNT or piece.text in ("9", "nine") else piece.text
    elif piece.of("noun"):
        _take_noun(draft, piece, ahead)
    else:
        _take_scenery(draft, piece, ahead, matcher)


def _take_expansion(draft: Draft, piece: Piece, said: str, matcher: Matcher | None) -> None:
    if draft.negated:
        _deny(draft, piece)
        return
    pieces = read(said).pieces
    for at, part in enumerate(pieces):
        _take(draft, part, list(pieces[at + 1 : at + 1 + AHEAD]), False, matcher)


def _take_relation(draft: Draft, piece: Piece, matcher: Matcher | None) -> None:
    _end_phrase(draft, matcher)
    close_action(draft)
    _end_negation(draft)
    draft.keepers, draft.fresh = [], True
    draft.relation, draft.sources, draft.action = piece.of("relation"), list(draft.group), piece.text
    doing = piece.text.split()[0]
    if doing in words_of("unshown") - _SHOWN_BY_PLACE and draft.group and not draft.negated:
        draft.undone.append(doing)


def _end_negation(draft: Draft) -> None:
    """At a place the negation at hand is over once something was denied: "no cats on the sofa" denies the cats."""
    if draft.negated and len(draft.denied_words) > draft.denied_before:
        draft.negated = False


def _take_plain(draft: Draft, piece: Piece, ahead: list[Piece], matcher: Matcher | None) -> None:
    if piece.kind == "mark":
        _end_phrase(draft, matcher)
        draft.negated = draft.negated and piece.text == "," and _list_goes_on(ahead)
        draft.fresh = True
        if piece.text in ".;!?":
            close_action(draft)
            draft.group, draft.relation, draft.keepers = [], "", []
    elif piece.text in _ENDS_NEGATION:
        _end_phrase(draft, matcher)
        draft.negated = False
    elif piece.text in _ALOFT:
        draft.aloft = True
    elif piece.text in _DETERMINERS:
        _end_phrase(draft, matcher)
        draft.listed = draft.listed or len(draft.denied_words) == draft.denied_before
        draft.determined = draft.fresh = True
        draft.definite = piece.text in ("the", "this", "that")
    elif piece.text in ("and", "or", "of", "to", "that", "at", "for", "from", "is", "are"):
        _end_phrase(draft, matcher)
        draft.fresh = True
        if (
            piece.text == "of"
            and draft.group
            and draft.subjects[draft.group[-1]].key in CONTAINERS
            and not draft.negated
        ):
            draft.relation, draft.sources, draft.action = "containing", draft.group[-1:], "of"
        if piece.text == "and" and not draft.listed and ahead and ahead[0].text in _DETERMINERS:
            draft.negated = False  # "without people and a dog" wants the dog, "without a cat and a dog" does not
    elif piece.text in words_of("unshown") and not draft.negated:
        draft.undone.append(piece.text)
    elif draft.tint is not None:
        draft.plain = piece.text


def _list_goes_on(ahead: list[Piece]) -> bool:
    """Whether a comma stands inside "no cats, dogs or mice"."""
    for piece in ahead:
        if piece.text in ("or", "nor"):
            return True
        if piece.text in ".;!?" or piece.text in _DETERMINERS or piece.of("negative"):
            return False
    return False


def _noun_follows(ahead: list[Piece]) -> bool:
    """Whether the phrase goes on to a noun or a place, so that a word like "orange" is a colour here."""
    for piece in ahead:
        if piece.kind == "known" and (piece.of("noun") or piece.of("setting") or piece.of("flag") or piece.of("extra")):
            return True
        if not (piece.kind == "known" and (piece.of("color") or piece.of("size"))) and piece.text != "and":
            return False
    return False


def _take_color(draft: Draft, tint: Tint, ahead: list[Piece], adjectives_follow: bool) -> None:
    if draft.negated:
        draft.tint = tint
        if not _phrase_goes_on(ahead):
            draft.denied_unknown.append(tint.name)
    elif adjectives_follow and draft.group and not _noun_follows(ahead[:1]) and not draft.count:
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


def _take_size(draft: Draft, size: float, ahead: list[Piece], adjectives_follow: bool) -> None:
    if adjectives_follow and draft.group and not any(p.of("noun") for p in ahead[:1]):
        index = draft.group[-1]
        draft.subjects[index] = replace(draft.subjects[index], size=size)
    else:
        draft.size = size


def _take_noun(draft: Draft, piece: Piece, ahead: list[Piece]) -> None:
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
        _deny(draft, piece)
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
        _clear_phrase(draft)
        return
    index = _same(draft, key)
    if index is None:
        if len(draft.subjects) >= MAX_SUBJECTS:
            draft.left_out.append(piece.text)
            _clear_phrase(draft)
            return
        count = draft.count or (PLURAL if meaning.plural else 1)
        if draft.beyond and (meaning.plural or draft.count):
            count = MAX_COUNT
            draft.fewer.append(f"{draft.beyond} {piece.text}")
        draft.subjects.append(_subject(key, piece.text, min(MAX_COUNT, count), draft.tint, draft.size))
        index = len(draft.subjects) - 1
        if draft.aloft and draft.subjects[index].grounded:
            draft.subjects[index] = replace(draft.subjects[index], grounded=False, flies=True)
    draft.last_emoji = key if piece.emoji else ""
    _relate(draft, index, key)
    _clear_phrase(draft)
    draft.fresh = False


def _is_part(draft: Draft, piece: Piece) -> bool:
    """Whether a noun is a part of the one it is named with: "a cat with blue eyes"."""
    parts = word_table("denied_in_vain")["parts"]
    named = any(word in parts for word in (piece.text, *singulars(piece.text)))
    return named and bool(draft.sources) and animate(draft.subjects[draft.sources[-1]].key)


def _heads_compound(piece: Piece) -> bool:
    """Whether a noun before this piece only describes it, as in "a baby dragon"; what is being done is no such head."""
    return piece.kind == "known" and bool(piece.of("noun")) and not piece.text.endswith("ing")


def _deny(draft: Draft, piece: Piece) -> None:
    """A piece that is not wanted, with the colour it was denied in."""
    if piece.kind != "mark":
        draft.denied |= denial_of(piece, draft.tint)
        draft.denied_words.append(piece.text)
    _clear_phrase(draft)


def _subject(key: str, noun: str, count: int, tint: Tint | None, size: float) -> Subject:
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
        draft.relations += [Relation(index, "beside", source) for source in draft.sources if source != index]
    elif kind in INTERACTIONS:
        interact(draft, index)
    elif kind:
        found = cast(RelationKind, kind)
        draft.relations += [Relation(source, found, index) for source in draft.sources if source != index]
    worn_by = draft.wearers if key in WEARABLE and not kind else []
    draft.relations += [Relation(index, "on", source) for source in worn_by]  # "a scarf and a hat"
    draft.wearers = worn_by or (draft.sources[-1:] if key in WEARABLE and kind in ("wearing", "beside", "in") else [])
    tell(draft)
    if kind:
        stays = draft.sources and key in WEARABLE
        draft.group = list(draft.sources) if stays else [index]
    elif index not in draft.group and not worn_by:
        draft.group.append(index)
    draft.relation, draft.sources = "", []


def _take_scenery(draft: Draft, piece: Piece, ahead: list[Piece], matcher: Matcher | None) -> None:
    if piece.text.split()[0] in _PREPOSITIONS or piece.text in _ADVERBS:  # "a ship under water" ends with the ship
        _end_phrase(draft, matcher)
        _end_negation(draft)
    if draft.negated:
        _deny(draft, piece)
        return
    close_action(draft)
    if draft.stray_begins and not draft.stray.endswith(_ADJECTIVES):
        _tell_unknown(draft, draft.stray)
    draft.scenery += piece.meanings
    if draft.relation == "beside":  # by the water is not in it
        shore = "meadow" if piece.of("extra") in ("lake", "river") else "beach"
        draft.scenery = [
            Meaning("setting", shore) if m.kind == "setting" and m.value == "sea" else m for m in draft.scenery
        ]
    tint = draft.tint
    goes_on = place_of(piece, tint).part is None and bool(ahead) and place_of(ahead[0], tint).part is not None
    draft.places.append(place_of(piece, None if goes_on else tint))
    if tint is not None and not goes_on:
        draft.palette.append(tint)
    if draft.relation in _LIFTED:
        for index in draft.sources:
            draft.subjects[index] = replace(draft.subjects[index], grounded=False, flies=True)
    elif draft.relation in _NOT_TO_PLACES and draft.sources:
        draft.unrelated.append(f"{draft.action} {piece.text}")
    draft.relation, draft.sources = "", []
    _clear_phrase(draft)
    draft.tint = tint if goes_on else None  # "a purple stormy sky"
    draft.fresh = False


def _tell_unknown(draft: Draft, word: str) -> None:
    if word and word not in draft.unknown:
        draft.unknown.append(word)


def _end_phrase(draft: Draft, matcher: Matcher | None) -> None:
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
    _clear_phrase(draft)


def _end_stray(draft: Draft, word: str, matcher: Matcher | None) -> None:
    namelike = not word.endswith(_ADJECTIVES)
    if draft.determined or (namelike and _may_be_noun(draft, word)):
        key = matcher.closest(word) if matcher and namelike else None
        if key is not None and len(draft.subjects) >= MAX_SUBJECTS:
            draft.left_out.append(word)
        elif key is not None:
            draft.guesses.append(f"{word} as {key.replace('-', ' ')}")
            draft.subjects.append(_subject(key, word, draft.count or 1, draft.tint, draft.size))
            _relate(draft, len(draft.subjects) - 1, key)
        else:
            _tell_unknown(draft, word)
            draft.relation, draft.sources = "", []  # "under an arch of flowers" is not under flowers
    elif namelike and draft.stray_begins:
        _tell_unknown(draft, word)
        draft.relation, draft.sources = "", []
    elif namelike:
        draft.undone.append(word)


def _may_be_noun(draft: Draft, word: str) -> bool:
    alone = not draft.subjects and not draft.scenery
    return draft.determined or alone or not word.isascii()


def _clear_phrase(draft: Draft) -> None:
    draft.count, draft.beyond, draft.tint, draft.size = 0, "", None, 1.0
    draft.definite = draft.determined = draft.aloft = False
    draft.stray = draft.plain = ""
    draft.stray_begins = False


def _without(draft: Draft) -> tuple[list[Subject], list[Relation]]:
    kept = [i for i, s in enumerate(draft.subjects) if not is_denied(s, draft.denied)]
    new = {old: index for index, old in enumerate(kept)}
    relations = [
        Relation(new[r.subject], r.kind, new[r.target]) for r in draft.relations if r.subject in new and r.target in new
    ]
    subjects: list[Subject] = []
    left = MAX_FIGURES
    for old in kept:
        count = max(1, min(draft.subjects[old].count, left))
        left -= count
        subjects.append(replace(draft.subjects[old], count=count))
    return subjects, relations
