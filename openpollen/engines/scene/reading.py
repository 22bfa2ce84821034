"""From a prompt's characters to pieces that each have a known meaning: quotes, emoji, languages, phrases."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from .icons import bare_emoji, by_emoji, icons
from .lexicon import (
    LONGEST,
    Language,
    Meaning,
    detect,
    emoji_words,
    english,
    expansions,
    foreign_singulars,
    ideas,
    look_up,
    plain_words,
    tokens,
)

_QUOTED = re.compile(
    r"“([^”]+)”|«([^»]+)»|»([^«]+)«|„([^“”]+)[“”]|”([^”]+)”|「([^」]+)」|『([^』]+)』|＂([^＂]+)＂|"
    r"\"([^\"]+)\"|(?:(?<=\s)|^)['‘]([^'’]{2,}(?:['’]\w[^'’]*)*)['’](?=\W|$)"
)
_LABEL = re.compile(
    r"\b(?:with\s+)?(?:the\s+)?(?:words?|text|title|caption|lettering|letters)\s*[:,]?\s*(?=[“«»„”「『\"＂'‘])"
)
_SAID = re.compile(
    r"\b(says|say|saying|reads|reading|(?:with the )?(?:words?|text|title|caption|lettering))[:,]?\s+"
    r"([A-Z0-9][\w!?&’'-]*(?:\s+[A-Z0-9][\w!?&’'-]*)*)"
)
_SIGNED = re.compile(
    r"\b((?:sign|signpost|signboard|billboard|banner|poster|placard|t-?shirt|shirt|mug|flag|label|board)s?\s+"
    r"(?:(?:that |which )?(?:says?|saying)|(?:that|which) reads?|reading))[:,]?\s+"
    r"(?!that\b|which\b|the words?\b|nothing\b)"
    r"([a-z0-9][\w!?&’'-]*(?:\s+(?!(?:and|or|next|on|in|at|by|to|with|beside|near|above|under|below|behind|over)\b)"
    r"[\w!?&’'-]+){0,3})"
)
_JOINER = "\u200d"


@dataclass(frozen=True)
class Piece:
    """A phrase of the prompt. "mark" is punctuation, "plain" a word without a part in the picture, "quote" words to
    letter."""

    text: str
    kind: Literal["known", "plain", "mark", "unknown", "quote"]
    meanings: tuple[Meaning, ...] = ()
    emoji: bool = False

    def of(self, kind: str) -> str:
        """The value of the first meaning of that kind, or ""."""
        return next((m.value for m in self.meanings if m.kind == kind), "")


@dataclass(frozen=True)
class Reading:
    """A prompt read."""

    pieces: tuple[Piece, ...]
    adjectives_follow: bool = False


def quoted(prompt: str) -> str:
    """`prompt` with quotation marks around what a sign says: "a sign that says OPEN"."""
    if _QUOTED.search(prompt):
        return prompt
    marked = _SAID.sub(r'\1 "\2"', prompt)
    return marked if marked != prompt else _SIGNED.sub(r'\1 "\2"', prompt)


def read(prompt: str) -> Reading:
    """Take a prompt to pieces. Never fails; what is not understood is a piece of kind "unknown" or "plain"."""
    prompt = _LABEL.sub(lambda m: "saying " if m[0].lower().startswith("with") else "", quoted(prompt))
    segments = _cut(prompt)
    words = [w for segment in segments if isinstance(segment, str) for w in tokens(segment)]
    language = detect([part for w in words[:400] for part in w.split("'")])
    pieces: list[Piece] = []
    for segment in segments:
        if isinstance(segment, Piece):
            pieces.append(segment)
        else:
            pieces += _pieces(tokens(segment), language)
    return Reading(tuple(pieces), language is not None and language.adjectives_follow)


def quotes_replaced(prompt: str, instead: Callable[[str], str]) -> str:
    """`prompt` with something else in the place of each quotation and its marks."""
    return _QUOTED.sub(lambda m: instead(_words_of(m)), prompt)


def _words_of(quotation: re.Match[str]) -> str:
    return " ".join(next(g for g in quotation.groups() if g).split())


@cache
def _emoji_pattern() -> re.Pattern[str]:
    known = sorted({*by_emoji(), *emoji_words()}, key=len, reverse=True)
    return re.compile("|".join(re.escape(e) for e in known))


def _cut(prompt: str) -> list[str | Piece]:
    """`prompt` cut at quotations and emoji."""
    out: list[str | Piece] = []
    start = 0
    for match in _QUOTED.finditer(prompt):
        out += [*_split_emoji(prompt[start : match.start()]), Piece(_words_of(match), "quote")]
        start = match.end()
    return out + _split_emoji(prompt[start:])


def _split_emoji(prompt: str) -> list[str | Piece]:
    """`prompt` without variation selectors, cut at emoji; little picture emoji become words."""
    prompt = bare_emoji(prompt)
    out: list[str | Piece] = []
    start = 0
    for match in _emoji_pattern().finditer(prompt):
        out.append(prompt[start : match.start()])
        found = match[0]
        words = emoji_words().get(found)
        out.append(words if words else Piece(found, "known", (Meaning("noun", by_emoji()[found]),), emoji=True))
        start = match.end()
    out.append(prompt[start:].replace(_JOINER, " "))
    return out


def _pieces(words: list[str], language: Language | None) -> list[Piece]:
    if language is not None:
        words = [part for w in words for part in w.split("'") if part]
    out: list[Piece] = []
    at = 0
    while at < len(words):
        piece, used = _longest(words, at, language)
        out += piece
        at += used
    return out


def _longest(words: list[str], at: int, language: Language | None) -> tuple[list[Piece], int]:
    """The pieces of the longest known phrase at `at`, and the number of words it takes."""
    if words[at] in ".,;:!?":
        return [Piece(words[at], "mark")], 1
    for length in range(min(LONGEST, len(words) - at), 0, -1):
        phrase = words[at : at + length]
        if language is not None:
            found = _foreign(phrase, language)
            if found:
                return found, length
        said = expansions().get(" ".join(phrase)) if language is None else None
        if said is not None:
            return [Piece(" ".join(phrase), "known", (Meaning("expansion", said),))], length
        stands_for = ideas().get(" ".join(phrase)) if language is None and length == len(words) - at else None
        if stands_for is not None:  # only at the end of a prompt: "love" in "i love cats" is none
            return [Piece(" ".join(phrase), "known", (Meaning("idea", stands_for),))], length
        meanings = look_up(phrase)
        if meanings:
            return [Piece(" ".join(phrase), "known", meanings)], length
    word = words[at]
    if word in plain_words() or word.removesuffix("'s") in plain_words() or (language and word in language.function):
        return [Piece(word, "plain")], 1
    if word.endswith("'s"):
        return _longest([word[:-2]], 0, language)[0], 1
    if word.isascii() and word.isdigit() and 9 < int(word[:4]) <= 100:
        return [Piece(word, "known", (Meaning("number", "9"),))], 1
    return [Piece(word, "unknown")], 1


def _foreign(phrase: list[str], language: Language) -> list[Piece]:
    text = " ".join(phrase)
    if text in language.words:
        return _pieces(tokens(language.words[text]), None)
    if text in language.nouns:
        return [_noun(text, language.nouns[text], plural=False)]
    for single in foreign_singulars(phrase[-1]):
        key = language.nouns.get(" ".join([*phrase[:-1], single]))
        if key:
            return [_noun(text, key, plural=True)]
        if len(phrase) == 1 and single in language.words:
            return [
                Piece(p.text, p.kind, tuple(Meaning(m.kind, m.value, m.kind == "noun") for m in p.meanings))
                for p in _pieces(tokens(language.words[single]), None)
            ]
    return []


def _noun(text: str, key: str, *, plural: bool) -> Piece:
    """A noun of another language; one whose English name is scenery ("desert") means that scenery."""
    meanings = english().get(key.replace("-", " "), ())
    if meanings and not any(m.kind == "noun" for m in meanings) and key in icons():
        return Piece(text, "known", meanings)
    return Piece(text, "known", (Meaning("noun", key, plural),))
