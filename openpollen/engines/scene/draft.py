"""A plan while the prompt is being read: what was found so far, and the phrase at hand."""

from __future__ import annotations

from dataclasses import dataclass, field

from .lexicon import Meaning
from .types import Relation, Subject, Tint

MAX_SUBJECTS = 8
MAX_FIGURES = 24
MAX_COUNT = 9  # of one subject


@dataclass
class Draft:
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
    wearers: list[int] = field(default_factory=list[int])  # who wears what was named last
    action: str = ""  # the relation as it was written
    unposed: list[str] = field(default_factory=list[str])  # actions that only the company of the two shows
    undone: list[str] = field(default_factory=list[str])  # actions that nothing shows
    denied: set[str] = field(default_factory=set[str])  # as `denial` writes them
    denied_words: list[str] = field(default_factory=list[str])
    denied_unknown: list[str] = field(default_factory=list[str])
    negated: bool = False
    denied_before: int = 0  # words that were denied when the negation at hand began
    listed: bool = False  # the negation at hand goes on over an "and"
    # the noun phrase being read
    count: int = 0
    beyond: str = ""  # a number larger than MAX_COUNT, as it was written
    tint: Tint | None = None
    size: float = 1.0
    definite: bool = False
    determined: bool = False
    aloft: bool = False
    stray: str = ""
    last_emoji: str = ""
