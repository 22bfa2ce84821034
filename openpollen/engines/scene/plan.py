"""From a prompt to a plan: which subjects, how many, in what colour and relation, in which setting, light and style."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import cast, get_args

from .lexicon import Meaning, colors
from .match import Matcher
from .reading import Piece, read
from .traits import trait
from .types import Plan, Relation, RelationKind, Setting, Style, Subject, TimeOfDay, Tint, Weather

MAX_SUBJECTS = 8
MAX_FIGURES = 24
MAX_COUNT = 9  # of one subject
PLURAL = 3  # how many "cats" are
WEARABLE = frozenset(
    [
        "top-hat", "womans-hat", "party-hat", "witch-hat", "billed-cap", "crown", "glasses", "sunglasses",
        "scarf", "graduation-cap", "goggles", "rescue-workers-helmet", "military-helmet", "headphone",
    ]
)  # fmt: skip
_DETERMINERS = frozenset(
    ["a", "an", "the", "this", "that", "these", "those", "his", "her", "its", "my", "your", "our", "their", "some"]
)
_IN_SNOW = {"evergreen-tree": "snowy-tree", "deciduous-tree": "bare-tree"}
_LIFTED = frozenset({"above"})


@dataclass
class _Draft:
    """Subjects as they are found, and the phrase being read."""

    subjects: list[Subject] = field(default_factory=list[Subject])
    relations: list[Relation] = field(default_factory=list[Relation])
    scenery: list[Meaning] = field(default_factory=list[Meaning])
    palette: list[Tint] = field(default_factory=list[Tint])
    unknown: list[str] = field(default_factory=list[str])
    guesses: list[str] = field(default_factory=list[str])
    left_out: list[str] = field(default_factory=list[str])  # named after the last subject there is room for
    fewer: list[str] = field(default_factory=list[str])  # counts that are beyond what is drawn
    group: list[int] = field(default_factory=list[int])  # subjects a relation word would speak of
    relation: str = ""
    sources: list[int] = field(default_factory=list[int])
    removed: set[str] = field(default_factory=set[str])
    negated: bool = False
    # the noun phrase being read
    count: int = 0
    beyond: str = ""  # a number larger than MAX_COUNT, as it was written
    tint: Tint | None = None
    size: float = 1.0
    definite: bool = False
    determined: bool = False
    stray: str = ""
    last_emoji: str = ""


def make_plan(prompt: str, negative_prompt: str = "", matcher: Matcher | None = None) -> tuple[Plan, str]:
    """The plan for `prompt` and one sentence on what could not be drawn ("" when all could)."""
    reading = read(prompt)
    draft = _Draft()
    pieces = list(reading.pieces)
    for at, piece in enumerate(pieces):
        _take(draft, piece, pieces[at + 1 :][:3], reading.adjectives_follow, matcher)
    _end_phrase(draft, matcher)
    draft.removed |= _named(negative_prompt)
    subjects, relations = _without(draft, draft.removed)
    scenery = [m for m in draft.scenery if m.value not in draft.removed]
    plan = _compose_plan(prompt, reading.text, subjects, relations, scenery, draft)
    wanted = sum(s.count for s in draft.subjects if s.key not in draft.removed)
    return plan, _note(draft, wanted)


def _take(draft: _Draft, piece: Piece, ahead: list[Piece], adjectives_follow: bool, matcher: Matcher | None) -> None:
    """Let one piece change the draft."""
    if piece.kind in ("mark", "plain"):
        _take_plain(draft, piece, matcher)
    elif piece.kind == "unknown" and piece.text.isdigit():
        draft.beyond = piece.text
    elif piece.kind == "unknown":
        draft.stray = piece.text
    elif piece.of("negative"):
        _end_phrase(draft, matcher)
        draft.negated = True
    elif piece.of("relation"):
        _end_phrase(draft, matcher)
        draft.relation, draft.sources = piece.of("relation"), list(draft.group)
    elif piece.of("color") and not (piece.of("noun") and not _noun_follows(ahead)):
        _take_color(draft, Tint(piece.of("color"), colors()[piece.of("color")]), ahead, adjectives_follow)
    elif piece.of("size"):
        _take_size(draft, float(piece.of("size")), ahead, adjectives_follow)
    elif piece.of("number"):
        draft.count, draft.determined = int(piece.of("number")), True
        draft.beyond = "" if draft.count < MAX_COUNT or piece.text in ("9", "nine") else piece.text
    elif piece.of("noun"):
        _take_noun(draft, piece, ahead)
    else:
        _take_scenery(draft, piece)


def _take_plain(draft: _Draft, piece: Piece, matcher: Matcher | None) -> None:
    if piece.kind == "mark":
        _end_phrase(draft, matcher)
        draft.negated = False
        if piece.text in ".;!?":
            draft.group, draft.relation = [], ""
    elif piece.text in _DETERMINERS:
        _end_phrase(draft, matcher)
        draft.determined = True
        draft.definite = piece.text in ("the", "this", "that")
    elif piece.text in ("and", "or", "of", "to", "that", "at", "for", "from", "is", "are", "then", "while"):
        _end_phrase(draft, matcher)


def _noun_follows(ahead: list[Piece]) -> bool:
    """Whether the phrase goes on to a noun or a place, so that a word like "orange" is a colour here."""
    for piece in ahead:
        if piece.kind == "known" and (piece.of("noun") or piece.of("setting") or piece.of("flag") or piece.of("extra")):
            return True
        if not (piece.kind == "known" and (piece.of("color") or piece.of("size"))) and piece.text != "and":
            return False
    return False


def _take_color(draft: _Draft, tint: Tint, ahead: list[Piece], adjectives_follow: bool) -> None:
    if adjectives_follow and draft.group and not _noun_follows(ahead[:1]) and not draft.count:
        index = draft.group[-1]
        draft.subjects[index] = replace(draft.subjects[index], tint=tint)
    else:
        draft.tint = tint
        if not _phrase_goes_on(ahead):
            draft.palette.append(tint)


def _phrase_goes_on(ahead: list[Piece]) -> bool:
    return any(p.of("noun") or p.kind in ("plain", "unknown") for p in ahead[:2])


def _take_size(draft: _Draft, size: float, ahead: list[Piece], adjectives_follow: bool) -> None:
    if adjectives_follow and draft.group and not any(p.of("noun") for p in ahead[:1]):
        index = draft.group[-1]
        draft.subjects[index] = replace(draft.subjects[index], size=size)
    else:
        draft.size = size


def _take_noun(draft: _Draft, piece: Piece, ahead: list[Piece]) -> None:
    meaning = next(m for m in piece.meanings if m.kind == "noun")
    key = meaning.value
    compound = bool(ahead) and ahead[0].kind == "known" and bool(ahead[0].of("noun")) and not piece.emoji
    if compound and draft.determined and not meaning.plural and not draft.negated:
        draft.size = 0.72 if key in ("baby", "child") else draft.size  # "a baby dragon" is a small dragon
        return
    if draft.negated:
        draft.removed.add(key)
        return
    if piece.emoji and draft.last_emoji == key:
        index = len(draft.subjects) - 1
        if draft.subjects[index].count == MAX_COUNT:
            draft.fewer.append(piece.text)
            return
        draft.subjects[index] = replace(draft.subjects[index], count=draft.subjects[index].count + 1)
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
    draft.last_emoji = key if piece.emoji else ""
    _relate(draft, index, key)
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


def _same(draft: _Draft, key: str) -> int | None:
    """The subject already found that "the castle" or a bare repetition speaks of."""
    for index, subject in enumerate(draft.subjects):
        same_look = draft.tint is None or draft.tint == subject.tint
        if subject.key == key and same_look and not draft.count and (draft.definite or len(draft.subjects) > 3):
            return index
    return None


def _relate(draft: _Draft, index: int, key: str) -> None:
    kind = draft.relation
    if kind in ("wearing", "beside", "in", "holding") and key in WEARABLE and draft.sources:
        draft.relations += [Relation(index, "on", source) for source in draft.sources[-1:] if source != index]
    elif kind == "holding":
        draft.relations += [Relation(index, "held", source) for source in draft.sources[-1:] if source != index]
    elif kind == "wearing":
        draft.relations += [Relation(index, "beside", source) for source in draft.sources if source != index]
    elif kind:
        found = cast(RelationKind, kind)
        draft.relations += [Relation(source, found, index) for source in draft.sources if source != index]
    if kind:
        stays = draft.sources and (kind == "holding" or key in WEARABLE)
        draft.group = list(draft.sources) if stays else [index]
    elif index not in draft.group:
        draft.group.append(index)
    draft.relation, draft.sources = "", []


def _take_scenery(draft: _Draft, piece: Piece) -> None:
    for meaning in piece.meanings:
        if draft.negated:
            draft.removed.add(meaning.value)
        else:
            draft.scenery.append(meaning)
    if draft.relation == "beside":  # by the water is not in it
        shore = "meadow" if piece.of("extra") in ("lake", "river") else "beach"
        draft.scenery = [
            Meaning("setting", shore) if m.kind == "setting" and m.value == "sea" else m for m in draft.scenery
        ]
    if draft.tint is not None:
        draft.palette.append(draft.tint)
    if draft.relation in _LIFTED:
        for index in draft.sources:
            draft.subjects[index] = replace(draft.subjects[index], grounded=False, flies=True)
    draft.relation, draft.sources = "", []
    _clear_phrase(draft)


def _end_phrase(draft: _Draft, matcher: Matcher | None) -> None:
    """Close a noun phrase. One that had an article or number and no known noun names something we cannot draw."""
    word = draft.stray
    namelike = (len(word) > 2 or not word.isascii()) and not word.endswith(("ing", "ly", "ed", "'s")) and word.isalpha()
    if namelike and not draft.negated and _may_be_noun(draft, word):
        key = matcher.closest(word) if matcher else None
        if key is not None and len(draft.subjects) >= MAX_SUBJECTS:
            draft.left_out.append(word)
        elif key is not None:
            draft.guesses.append(f"{word} as {key.replace('-', ' ')}")
            draft.subjects.append(_subject(key, word, draft.count or 1, draft.tint, draft.size))
            _relate(draft, len(draft.subjects) - 1, key)
        elif word not in draft.unknown:
            draft.unknown.append(word)
    _clear_phrase(draft)


def _may_be_noun(draft: _Draft, word: str) -> bool:
    alone = not draft.subjects and not draft.scenery
    return draft.determined or alone or not word.isascii()


def _clear_phrase(draft: _Draft) -> None:
    draft.count, draft.beyond, draft.tint, draft.size = 0, "", None, 1.0
    draft.definite = draft.determined = False
    draft.stray = ""


def _named(negative_prompt: str) -> set[str]:
    """Everything a negative prompt names: drawings, scenery, weather."""
    return {m.value for piece in read(negative_prompt).pieces for m in piece.meanings} if negative_prompt else set()


def _without(draft: _Draft, removed: set[str]) -> tuple[list[Subject], list[Relation]]:
    kept = [i for i, s in enumerate(draft.subjects) if s.key not in removed]
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


def _values(scenery: list[Meaning], kind: str) -> Iterator[str]:
    return (m.value for m in scenery if m.kind == kind)


def _compose_plan(
    prompt: str,
    text: str,
    subjects: list[Subject],
    relations: list[Relation],
    scenery: list[Meaning],
    draft: _Draft,
) -> Plan:
    named = next(_values(scenery, "setting"), None)
    extra = frozenset(_values(scenery, "extra"))
    flags = set(_values(scenery, "flag"))
    weather = next(_values(scenery, "weather"), "clear")
    if weather == "clear" and named != "snow" and "snow" in _values(scenery, "setting"):
        weather = "snow"  # "mountains in winter"
    time = next(_values(scenery, "time"), None) or _implied_time(flags, extra)
    setting = named or _implied_setting(subjects, extra, weather, bool(flags), prompt)
    if time is None and not subjects and named is None and not scenery:
        time = ("day", "dawn", "sunset", "dusk")[zlib.crc32(prompt.encode()[::-1]) % 4]
    return Plan(
        prompt=prompt,
        setting=cast(Setting, setting),
        setting_named=named is not None,
        time=cast(TimeOfDay, time or "day"),
        weather=cast(Weather, weather),
        style=cast(Style, next(_values(scenery, "style"), "default")),
        subjects=tuple(_suited(subjects, setting, extra)),
        relations=tuple(dict.fromkeys(relations)),
        text=text,
        palette=tuple(draft.palette),
        moon="moon" in flags,
        sun="sun" in flags,
        extra=extra - draft.removed,
        unknown=tuple(draft.unknown[:20]),
    )


def _implied_time(flags: set[str], extra: frozenset[str]) -> str | None:
    nightly = {"fireworks", "aurora", "lanterns", "neon", "halloween", "fireflies", "stars"}
    return "night" if "moon" in flags or extra & nightly else None


def _implied_setting(subjects: list[Subject], extra: frozenset[str], weather: str, under_sky: bool, prompt: str) -> str:
    """The place that the subjects suggest, heaviest vote first; a pleasant one when nothing does."""
    if "neon" in extra:
        return "city"
    votes: dict[str, float] = {}
    for subject in subjects:
        home = trait(subject.key).home
        if home:
            votes[home] = votes.get(home, 0) + trait(subject.key).size
    outdoors = weather != "clear" or under_sky or any(s.key in ("house", "castle", "deciduous-tree") for s in subjects)
    if outdoors:
        votes = {home: n for home, n in votes.items() if home not in ("room", "kitchen", "stage", "space")}
    if weather == "snow":
        return "snow"
    if votes:
        return max(votes, key=lambda home: votes[home])
    if subjects or extra or weather != "clear":
        return "meadow"
    calm = [s for s in get_args(Setting) if s in ("meadow", "mountain", "sea", "beach", "forest", "snow")]
    return calm[zlib.crc32(prompt.encode()) % len(calm)]


def _suited(subjects: list[Subject], setting: str, extra: frozenset[str]) -> Iterator[Subject]:
    """Subjects as they are in this setting: in space all drift, on dry land a fish is set down, in snow pines are
    white."""
    wet = setting in ("underwater", "sea", "beach")
    if setting == "snow":
        subjects = [replace(s, key=_IN_SNOW.get(s.key, s.key)) for s in subjects]
    if "autumn" in extra:
        subjects = [replace(s, key="autumn-tree") if s.key == "deciduous-tree" else s for s in subjects]
    for subject in subjects:
        if setting == "space" and not extra & {"lunar", "mars"}:
            yield replace(subject, grounded=False, flies=True)
        elif setting == "underwater" and (subject.flies or subject.floats):
            yield replace(subject, grounded=False, flies=False, floats=False, swims=True)
        elif (subject.swims or subject.floats) and not wet:
            yield replace(subject, grounded=True, swims=False, floats=False)
        else:
            yield subject


def _note(draft: _Draft, wanted: int) -> str:
    """What the plan leaves out of the prompt; `wanted` is the number of figures it would have had without a limit."""
    parts: list[str] = []
    if draft.guesses:
        parts.append("drew " + ", ".join(draft.guesses[:6]))
    if draft.unknown:
        parts.append("no drawing for: " + ", ".join(draft.unknown[:10]))
    if draft.fewer:
        parts.append(f"drew {MAX_COUNT}, the most of one thing, for: " + ", ".join(dict.fromkeys(draft.fewer[:6])))
    if draft.left_out:
        left_out = list(dict.fromkeys(draft.left_out))
        parts.append(f"a scene has at most {MAX_SUBJECTS} subjects; left out: " + ", ".join(left_out[:10]))
    if wanted > MAX_FIGURES:
        parts.append(f"a scene has at most {MAX_FIGURES} figures, not {wanted}")
    return "; ".join(parts)
