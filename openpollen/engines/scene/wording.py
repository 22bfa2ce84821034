"""Words in quotes and what carries them: a sign, a shirt, a book; a title when nothing does."""

from __future__ import annotations

import re
from dataclasses import replace

from .boards import BOARDS, written_as
from .draft import Draft
from .fonts import letterable
from .types import Tint

MAX_TEXT = 100  # characters of one quotation that are lettered; more would not be legible
LONG = 20  # characters beyond which a board is made larger
LETTERS = frozenset(["letters", "lettering", "text", "writing", "words", "font", "type", "letter"])
SAYING = frozenset(
    ["say", "says", "saying", "said", "read", "reads", "reading", "titled", "labeled", "labelled", "named", "called",
     "inscribed", "printed", "engraved", "written", "lettered"]
)  # fmt: skip


def fitting(words: str, most: int) -> tuple[str, list[str]]:
    """What of the words is lettered, cut between words, and what is left off: too long, or without letters in any font."""
    kept, rest = words[:most], words[most:]
    if rest and " " in kept and not rest.startswith(" "):
        kept, _, part = kept.rpartition(" ")
        rest = part + rest
    text, lost = letterable(kept)
    return text, lost + [rest.strip()] * bool(rest.strip())


def take_quote(draft: Draft, words: str) -> None:
    """Let the thing that is spoken of carry the words; keep them for a thing named later, or for a title."""
    text, lost = fitting(words, MAX_TEXT)
    draft.unlettered += lost
    if not text:
        return
    index = _bearer(draft)
    if index is not None:
        _write(draft, index, text)
    else:
        if draft.saying and draft.linked and draft.last is not None:
            draft.unwritten.append(draft.subjects[draft.last].noun)
        else:
            draft.group, draft.keepers = [], []
        draft.titles.append(text)
    draft.saying, draft.relation, draft.lettered = False, "", True


def take_ink(draft: Draft, tint: Tint) -> None:
    """The words that were said last are in a colour of their own."""
    written = draft.last is not None and draft.linked and draft.subjects[draft.last].texts
    if draft.last is not None and written:
        draft.subjects[draft.last] = replace(draft.subjects[draft.last], ink=tint)
    else:
        draft.palette.insert(0, tint)


def named(draft: Draft, index: int) -> None:
    """Subject `index` was named: what is said next is said of it, and words without a bearer may be its."""
    key = draft.subjects[index].key
    draft.last, draft.linked, draft.saying = index, True, False
    draft.lettered = draft.sky_named = False
    if draft.titles and key in BOARDS and BOARDS[key].made_for_words and not draft.unwritten:
        for text in draft.titles:
            _write(draft, index, text)
        draft.titles = []


def title_of(draft: Draft) -> str:
    """The words that nothing carries."""
    return " ".join(draft.titles)


def _bearer(draft: Draft) -> int | None:
    """Who carries words said now: what was named last, or the last board that has room."""
    subjects = draft.subjects
    boards = [i for i, s in enumerate(subjects) if s.key in BOARDS and BOARDS[s.key].made_for_words]
    free = [i for i in boards if len(subjects[i].texts) < subjects[i].count]
    last = draft.last if draft.linked and draft.last is not None and draft.last < len(subjects) else None
    if last is not None and last in free:
        return last
    if free:
        return free[-1]
    if last is not None and written_as(subjects[last].key) in BOARDS:
        return last
    return boards[-1] if boards else None


def _write(draft: Draft, index: int, text: str) -> None:
    subject = draft.subjects[index]
    texts = (*subject.texts, text)
    if len(texts) > subject.count:
        texts = (*texts[: subject.count - 1], " ".join(texts[subject.count - 1 :]))
    growth = 1.0
    key = written_as(subject.key)
    if BOARDS[key].made_for_words and not subject.texts:
        growth = min(1.8, max(1.0, len(re.sub(r"\s", "", text)) / LONG) ** 0.5)
    draft.subjects[index] = replace(subject, key=key, texts=texts, size=subject.size * growth)
