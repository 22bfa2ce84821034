"""From a prompt to a plan: which subjects, how many, in what colour and relation, in which setting, light and style."""

from __future__ import annotations

from dataclasses import replace

from .denial import denial_of, is_denied, unavoidable
from .draft import MAX_COUNT, MAX_FIGURES, Draft
from .interaction import INTERACTIONS, close_action
from .lexicon import Meaning, colors, emblems, word_table, words_of
from .match import Matcher, words_in
from .nouns import clear_phrase, deny, end_phrase, is_namelike, new_subject, take_noun, tell_unknown
from .places import place_of, tell_places
from .qualities import noun_follows, phrase_goes_on, share_out, take_color, take_size
from .reading import Piece, read
from .stacking import unplaced
from .staging import note_on, whole_plan
from .traits import CONTAINERS, clear_sizes
from .types import Plan, Relation, Subject, Tint
from .wording import LETTERS, SAYING, take_ink, take_quote, title_of

AHEAD = 10  # pieces that are looked at beyond the one being read
_NEON_SIGNS = frozenset({"neon sign", "neon signs"})  # lights of a street, unless words are on them
_DETERMINERS = frozenset(
    ["a", "an", "the", "this", "that", "these", "those", "his", "her", "its", "my", "your", "our", "their", "some"]
)
_ENDS_NEGATION = frozenset({"but", "only", "just", "then", "while", "instead"})
_SHOWN_BY_PLACE = frozenset({"jumping", "jumps", "hiding", "hides"})  # over something, behind something
_ALOFT = frozenset({"flying", "floating", "hovering", "levitating"})  # before a noun
_LIFTED = frozenset({"above"})
_NOT_TO_PLACES = frozenset({"behind", "in_front", "riding", "holding", "wearing", "chasing", "close", "left", "right"})
_SIDES = {"left": -1, "right": 1}
_PREPOSITIONS = frozenset({"in", "on", "at", "by", "under", "beneath", "above", "inside"})
_TWO_COLORS = frozenset({"black and white"})
_ADVERBS = frozenset({"underwater", "indoors", "undersea"})


def make_plan(prompt: str, negative_prompt: str = "", matcher: Matcher | None = None) -> tuple[Plan, str]:
    """The plan for `prompt` and one sentence on what could not be drawn ("" when all could)."""
    reading = read(prompt)
    draft = Draft()
    pieces = list(reading.pieces)
    for at, piece in enumerate(pieces):
        _take(draft, piece, pieces[at + 1 : at + 1 + AHEAD], reading.adjectives_follow, matcher)
    end_phrase(draft, matcher)
    _tell_unfinished(draft)
    close_action(draft)
    _stand_aside(draft)
    _take_negative(draft, negative_prompt)
    _add_emblem(draft)
    subjects, relations = _without(draft)
    scenery = [m for m in draft.scenery if m.value not in draft.denied]
    plan = whole_plan(prompt, title_of(draft), subjects, relations, scenery, draft)
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
        draft.subjects.append(new_subject(key, key.replace("-", " "), 1, draft.tint, draft.size))


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
    if piece.kind == "quote":
        _take_words(draft, piece.text, ahead, matcher)
    elif draft.lettered and piece.text in LETTERS:
        if draft.tint is not None:
            take_ink(draft, draft.tint)
        draft.relation, draft.sources = "", []
        clear_phrase(draft)
    elif piece.kind in ("mark", "plain"):
        _take_plain(draft, piece, ahead, matcher)
    elif piece.kind == "unknown" and piece.text.isdigit():
        draft.beyond = piece.text
    elif piece.kind == "unknown":
        draft.stray_begins, draft.fresh = draft.fresh, False
        *before, draft.stray = (words_in(piece.text, matcher) if matcher else []) or [piece.text]
        for word in before:
            draft.stray, last = word, draft.stray
            end_phrase(draft, matcher)
            draft.stray = last
        if piece.text.endswith("ing") and draft.group and not draft.negated:
            draft.undone.append(piece.text)
    elif piece.of("negative"):
        end_phrase(draft, matcher)
        close_action(draft)
        draft.negated, draft.listed, draft.denied_before = True, False, len(draft.denied_words)
        draft.relation, draft.sources = "", []
    elif piece.of("relation"):
        _take_relation(draft, piece, matcher)
    elif piece.of("arrangement"):
        _take_arrangement(draft, piece, matcher)
    elif piece.of("side"):
        _take_side(draft, piece, matcher)
    elif piece.of("color") and _counted(draft, piece, ahead) and share_out(draft, _tint(piece)):
        clear_phrase(draft)
    elif piece.of("color") and draft.lettered and draft.relation == "in" and not phrase_goes_on(ahead):
        take_ink(draft, _tint(piece))
        draft.relation, draft.sources = "", []
    elif piece.of("color") and not (piece.of("noun") and not noun_follows(ahead)):
        take_color(draft, _tint(piece), ahead, adjectives_follow)
    elif piece.of("size"):
        take_size(draft, float(piece.of("size")), ahead, adjectives_follow)
    elif piece.of("expansion"):
        _take_expansion(draft, piece, piece.of("expansion"), matcher)
    elif piece.of("idea"):
        if not draft.subjects and not draft.scenery and not draft.negated:
            draft.guesses.append(f"{piece.text} as {piece.of('idea')}")
            _take_expansion(draft, piece, piece.of("idea"), matcher)
    elif piece.of("number"):
        draft.listed = draft.listed or (draft.negated and len(draft.denied_words) == draft.denied_before)
        draft.count, draft.determined = int(piece.of("number")), True
        draft.counted_of = piece.text.endswith(("of them", "of which"))
        draft.beyond = "" if draft.count < MAX_COUNT or piece.text in ("9", "nine") else piece.text
    elif piece.of("noun"):
        take_noun(draft, piece, ahead)
    elif piece.text in _NEON_SIGNS and _words_follow(ahead):
        take_noun(draft, Piece(piece.text, "known", (Meaning("noun", "neon-sign", piece.text.endswith("s")),)), ahead)
    else:
        _take_scenery(draft, piece, ahead, matcher)


def _take_words(draft: Draft, words: str, ahead: list[Piece], matcher: Matcher | None) -> None:
    """Words in quotes. A colour before them is theirs, but that of the sign in 'a red "OPEN" sign'."""
    tint, draft.tint = (None, draft.tint) if draft.stray else (draft.tint, None)
    end_phrase(draft, matcher)
    take_quote(draft, words)
    if tint is not None and ahead and ahead[0].of("noun"):
        draft.tint = tint
    elif tint is not None:
        take_ink(draft, tint)


def _tint(piece: Piece) -> Tint:
    return Tint(piece.of("color"), colors()[piece.of("color")])


def _counted(draft: Draft, piece: Piece, ahead: list[Piece]) -> bool:
    """Whether a colour is that of some of what was named: "one of them orange", but not "one orange", a fruit."""
    fruit = bool(piece.of("noun")) and not draft.counted_of
    return draft.count > 0 and not draft.negated and not fruit and not noun_follows(ahead)


def _take_arrangement(draft: Draft, piece: Piece, matcher: Matcher | None) -> None:
    """ "Five ducks in a row", "a row of five ducks"."""
    if piece.text.endswith("of"):
        draft.aligned = True
        return
    end_phrase(draft, matcher)
    for index in draft.group:
        draft.subjects[index] = replace(draft.subjects[index], aligned=True)


def _take_side(draft: Draft, piece: Piece, matcher: Matcher | None) -> None:
    """ "A dog on the left" stands there; "on the left a dog" says it before."""
    begins = draft.fresh and not draft.relation
    end_phrase(draft, matcher)
    close_action(draft)
    side = _SIDES[piece.of("side")]
    if draft.sky_named and not begins:
        draft.sky_side = side
    elif draft.group and not begins:
        draft.sides |= dict.fromkeys([index for index in draft.group if index not in draft.sides], side)
    else:
        draft.side = side
    draft.relation, draft.sources = "", []


def _stand_aside(draft: Draft) -> None:
    """What stands on one side is beside what stands on the other, or else beside the first that was named."""
    for index, side in draft.sides.items():
        others = [i for i in range(len(draft.subjects)) if i != index and draft.sides.get(i, -side) != side]
        if not others:
            draft.unrelated.append(f"{draft.subjects[index].noun} on the {'left' if side < 0 else 'right'}")
        elif side < 0 or others[0] not in draft.sides:
            draft.relations.append(Relation(index, "left" if side < 0 else "right", others[0]))


def _words_follow(ahead: list[Piece]) -> bool:
    """Whether words in quotes follow before the next thing that is named."""
    for piece in ahead:
        if piece.kind == "quote":
            return True
        if piece.kind in ("mark", "unknown") or piece.of("noun") or _is_backdrop(piece):
            return False
    return False


def _is_backdrop(piece: Piece) -> bool:
    return bool(piece.of("setting") or piece.of("time") or piece.of("weather"))


def _take_expansion(draft: Draft, piece: Piece, said: str, matcher: Matcher | None) -> None:
    if draft.negated:
        deny(draft, piece)
        return
    pieces = read(said).pieces
    for at, part in enumerate(pieces):
        _take(draft, part, list(pieces[at + 1 : at + 1 + AHEAD]), False, matcher)
    draft.linked = False  # words on "a birthday card" are not for its balloons


def _take_relation(draft: Draft, piece: Piece, matcher: Matcher | None) -> None:
    end_phrase(draft, matcher)
    if piece.text == "over" and draft.relation in INTERACTIONS and draft.sources:
        draft.contested = True
        return  # "two dogs fighting over a bone": what it is about, not what they are above
    _tell_unfinished(draft)
    close_action(draft)
    _end_negation(draft)
    draft.keepers, draft.fresh = [], True
    if draft.sky_named and not draft.group:  # "the moon to the left of a tower"
        draft.sky_side = _SIDES.get(piece.of("relation"), draft.sky_side)
    draft.relation, draft.sources, draft.action = piece.of("relation"), list(draft.group), piece.text
    doing = piece.text.split()[0]
    draft.saying = piece.text in SAYING
    if doing in words_of("unshown") - _SHOWN_BY_PLACE and draft.group and not draft.negated:
        draft.undone.append(doing)


def _tell_unfinished(draft: Draft) -> None:
    """Note a deed that nothing is done to: "a woman reading on a bench"."""
    if draft.action in words_of("deeds") and draft.relation and draft.sources and not draft.negated:
        draft.undone.append(draft.action)
        draft.relation = ""


def _end_negation(draft: Draft) -> None:
    """At a place the negation at hand is over once something was denied: "no cats on the sofa" denies the cats."""
    if draft.negated and len(draft.denied_words) > draft.denied_before:
        draft.negated = False


def _take_plain(draft: Draft, piece: Piece, ahead: list[Piece], matcher: Matcher | None) -> None:
    draft.saying = piece.text in SAYING
    more_words = bool(ahead) and ahead[0].kind == "quote" and draft.lettered  # 'two mugs that say "his" and "hers"'
    draft.linked = draft.linked and (more_words or (piece.kind != "mark" and piece.text != "and"))
    if piece.kind == "mark":
        end_phrase(draft, matcher)
        draft.negated = draft.negated and piece.text == "," and _list_goes_on(ahead)
        draft.fresh = True
        if piece.text in ".;!?":
            close_action(draft)
            draft.group, draft.relation, draft.keepers = [], "", []
    elif piece.text in _ENDS_NEGATION:
        end_phrase(draft, matcher)
        draft.negated = False
    elif piece.text in _ALOFT:
        draft.aloft = True
    elif piece.text in _DETERMINERS:
        end_phrase(draft, matcher)
        draft.listed = draft.listed or len(draft.denied_words) == draft.denied_before
        draft.determined = draft.fresh = True
        draft.definite = piece.text in ("the", "this", "that")
    elif piece.text in ("is", "are") and draft.count and ahead and ahead[0].of("color"):
        pass  # "one of them is red"
    elif piece.text in ("and", "or", "of", "to", "that", "at", "for", "from", "is", "are"):
        end_phrase(draft, matcher)
        draft.fresh = True
        if (
            piece.text == "of"
            and draft.group
            and draft.subjects[draft.group[-1]].key in CONTAINERS
            and not draft.negated
        ):
            draft.relation, draft.sources, draft.action = "containing", draft.group[-1:], "of"
        if piece.text == "to" and draft.handed is not None:
            draft.relation, draft.sources = "handing", [draft.handed[0]]
        anew = bool(ahead) and (ahead[0].text in _DETERMINERS or bool(ahead[0].of("number")))
        if piece.text == "and" and not draft.listed and anew:
            draft.negated = False  # "without people and a dog" wants the dog, "without a cat and a dog" does not
    elif draft.negated and piece.text in word_table("denied_in_vain")["parts"]:
        draft.denied_words.append(piece.text)
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


def _take_scenery(draft: Draft, piece: Piece, ahead: list[Piece], matcher: Matcher | None) -> None:
    if piece.text in _TWO_COLORS and noun_follows(ahead):  # of a cow; before a "photo" it is of all
        draft.uncolored.append(piece.text)
        return
    if piece.text.split()[0] in _PREPOSITIONS or piece.text in _ADVERBS:  # "a ship under water" ends with the ship
        end_phrase(draft, matcher)
        _end_negation(draft)
    if draft.negated:
        deny(draft, piece)
        return
    close_action(draft)
    if draft.stray_begins and is_namelike(draft.stray):
        tell_unknown(draft, draft.stray)
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
    draft.sky_named = piece.of("flag") in ("moon", "sun")
    if draft.sky_named and draft.relation in _SIDES and draft.sources:
        draft.sky_side = -_SIDES[draft.relation]
    elif draft.relation in _LIFTED:
        for index in draft.sources:
            draft.subjects[index] = replace(draft.subjects[index], grounded=False, flies=True)
    elif draft.relation in _NOT_TO_PLACES and draft.sources:
        draft.unrelated.append(f"{draft.action} {piece.text}")
    draft.relation, draft.sources = "", []
    clear_phrase(draft)
    draft.tint = tint if goes_on else None  # "a purple stormy sky"
    draft.fresh = False


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
    return clear_sizes(subjects), relations
