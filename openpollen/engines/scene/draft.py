"""A plan while the prompt is being read: what was found so far, and the phrase at hand."""

from __future__ import annotations

from dataclasses import dataclass, field

from .lexicon import Meaning
from .types import Part, Relation, Subject, Tint

MAX_SUBJECTS = 8
MAX_FIGURES = 24
MAX_COUNT = 9  # of one subject


@dataclass(frozen=True)
class Place:
    """A place or a part of one as it was named: the word, the setting it means ("" for the sun), its details, the part of
    a backdrop that it is, and its colour."""

    word: str
    setting: str
    extras: frozenset[str]
    part: Part | None
    tint: Tint | None


@dataclass
class Draft:
    """Subjects as they are found, and the phrase being read."""

    subjects: list[Subject] = field(default_factory=list[Subject])
    relations: list[Relation] = field(default_factory=list[Relation])
    scenery: list[Meaning] = field(default_factory=list[Meaning])
    places: list[Place] = field(default_factory=list[Place])
    palette: list[Tint] = field(default_factory=list[Tint])
    loose: list[Tint] = field(default_factory=list[Tint])  # colours of nothing
    unknown: list[str] = field(default_factory=list[str])
    guesses: list[str] = field(default_factory=list[str])
    left_out: list[str] = field(default_factory=list[str])  # named after the last subject there is room for
    fewer: list[str] = field(default_factory=list[str])  # counts that are beyond what is drawn
    group: list[int] = field(default_factory=list[int])  # subjects a relation word would speak of
    relation: str = ""
    sources: list[int] = field(default_factory=list[int])
    company: list[int] = field(default_factory=list[int])  # with whom the thing that was named last is
    keepers: list[int] = field(default_factory=list[int])  # who holds or contains what was named last
    keeping: str = ""  # the relation to them
    fresh: bool = True  # nothing was named since the last word that begins a phrase
    wearers: list[int] = field(default_factory=list[int])  # who wears what was named last
    action: str = ""  # the relation as it was written
    contested: bool = False  # what is named next is what they do it about: "fighting over a fish"
    unposed: list[str] = field(default_factory=list[str])  # actions that only the company of the two shows
    undone: list[str] = field(default_factory=list[str])  # actions that nothing shows
    unlettered: list[str] = field(default_factory=list[str])  # of the words in quotes
    unplaced: list[str] = field(default_factory=list[str])  # named places beyond the one that is painted
    uncolored: list[str] = field(default_factory=list[str])  # colours, with what should have them, that are not shown
    unrelated: list[str] = field(default_factory=list[str])  # relations that are not shown
    denied: set[str] = field(default_factory=set[str])  # as `denial` writes them
    denied_words: list[str] = field(default_factory=list[str])
    denied_unknown: list[str] = field(default_factory=list[str])
    negated: bool = False
    denied_before: int = 0  # words that were denied when the negation at hand began
    listed: bool = False  # the negation at hand goes on over an "and"
    # words in quotes
    titles: list[str] = field(default_factory=list[str])  # those that nothing named so far carries
    unwritten: list[str] = field(default_factory=list[str])  # what should carry words and has no place for them
    last: int | None = None  # the subject that was named last
    linked: bool = False  # what is said now is said of it
    saying: bool = False  # the last word was one like "says"
    # the noun phrase being read
    count: int = 0
    counted_of: bool = False  # the count is "of them": of what was named before
    beyond: str = ""  # a number larger than MAX_COUNT, as it was written
    tint: Tint | None = None
    size: float = 1.0
    definite: bool = False
    determined: bool = False
    aloft: bool = False
    stray: str = ""
    stray_begins: bool = False  # the stray word stands where a phrase begins
    plain: str = ""  # the last word without a part in the picture
    last_emoji: str = ""
    aligned: bool = False  # several of it stand in a row
    lettered: bool = False  # words in quotes were the last thing that was named
    handed: tuple[int, int] | None = None  # who does something with what, perhaps to somebody
    sky_named: bool = False  # the sun or the moon was the last thing that was named
    sides: dict[int, int] = field(default_factory=dict[int, int])  # where subjects stand: -1 left, 1 right
    side: int = 0  # where what is named next stands
    sky_side: int = 0  # where it stands: -1 left, 1 right, 0 anywhere
