"""The words the engine knows: what each phrase of one to five words can mean."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from .icons import icons, labels

Kind = Literal[
    "noun", "color", "number", "size", "setting", "time", "weather", "style", "extra", "flag", "relation", "negative",
    "arrangement", "side", "expansion", "idea",
]  # fmt: skip
SCENERY: frozenset[Kind] = frozenset({"setting", "time", "weather", "style", "extra", "flag"})
LONGEST = 5  # words in the longest phrase
_WORDS = Path(__file__).resolve().parent / "words"
_SECTIONS: dict[str, Kind] = {
    "numbers": "number",
    "sizes": "size",
    "settings": "setting",
    "times": "time",
    "weather": "weather",
    "styles": "style",
    "extra": "extra",
    "flags": "flag",
    "relations": "relation",
    "arrangements": "arrangement",
    "sides": "side",
    "negatives": "negative",
}
_IRREGULAR = frozenset(
    {"mice", "geese", "wolves", "children", "men", "women", "oxen", "cacti"}
    | {"octopi", "kids", "elves", "people", "leaves", "buses", "bunnies", "puppies"}
)


@dataclass(frozen=True)
class Meaning:
    """One reading of a phrase: a drawing's id, a colour's name, a setting ..."""

    kind: Kind
    value: str
    plural: bool = False


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads((_WORDS / f"{name}.toml").read_text(encoding="utf-8"))


@cache
def colors() -> dict[str, tuple[float, float, float]]:
    """Colour name -> channels 0..1."""
    return {name: (r, g, b) for name, (r, g, b) in _toml("scene")["colors"].items()}


@cache
def emoji_words() -> dict[str, str]:
    """Emoji that stand for a whole scene -> that scene in English words."""
    return dict(_toml("scene")["emoji"])


@cache
def word_table(section: str) -> dict[str, list[str]]:
    """A table of the word lists as it is: name -> phrases."""
    return {name: list(phrases) for name, phrases in _toml("scene")[section].items()}


@cache
def words_of(name: str) -> frozenset[str]:
    """Words of actions: "unposed" are drawn by where two stand, "unshown" not at all."""
    return frozenset(word_table("actions")[name])


@cache
def expansions() -> dict[str, str]:
    """Phrase -> the phrase that says the same in things that can be drawn."""
    return dict(_toml("scene")["expansions"])


@cache
def emblems() -> dict[str, str]:
    """Setting -> the drawing that stands for it on a plain ground."""
    return dict(_toml("scene")["emblems"])


@cache
def ideas() -> dict[str, str]:
    """Idea without a look of its own -> a scene that stands for it."""
    return dict(_toml("scene")["ideas"])


@cache
def plain_words() -> frozenset[str]:
    """Words that neither name nor set anything, and that are never reported as unknown."""
    return frozenset(_toml("scene")["plain"]["words"].split())


@cache
def instruction_words() -> frozenset[str]:
    """Words of an editing instruction that ask for nothing by themselves."""
    return frozenset(_toml("scene")["instruction"]["words"].split())


@cache
def english() -> dict[str, tuple[Meaning, ...]]:
    """Phrase in lower case -> its meanings. A phrase of scenery never names a drawing as well, so the sun stays a
    sun."""
    scene = _toml("scene")
    found: dict[str, list[Meaning]] = {}
    for section, kind in _SECTIONS.items():
        for value, phrases in scene[section].items():
            for phrase in phrases:
                found.setdefault(phrase.replace("-", " "), []).append(Meaning(kind, value))
    for name in scene["colors"]:
        found.setdefault(name, []).append(Meaning("color", name))
    for phrase, key in drawing_names().items():
        meanings = found.setdefault(phrase, [])
        if not any(
            m.kind in SCENERY or m.kind in ("relation", "arrangement", "side", "number", "size") for m in meanings
        ):
            meanings.append(Meaning("noun", key, _is_plural(phrase, key)))
    return {phrase: tuple(meanings) for phrase, meanings in found.items() if meanings}


def _is_plural(phrase: str, key: str) -> bool:
    """Whether a phrase that names a drawing is the plural of another that names it."""
    start, _, word = phrase.rpartition(" ")
    names = drawing_names()
    return word in _IRREGULAR or any(names.get(f"{start} {single}".strip()) == key for single in singulars(word))


@cache
def drawing_names() -> dict[str, str]:
    """English phrase -> drawing id: ids read as words, then the curated synonyms, which win."""
    names = {key.replace("-", " "): key for key in icons() if key != "black-cat"}  # "black" and "cat" say it better
    synonyms = _toml("nouns")
    names.update({key.replace("-", " "): key for key in synonyms})
    names.update({phrase.replace("-", " "): key for key, phrases in synonyms.items() for phrase in phrases})
    return names


def own_drawings() -> frozenset[str]:
    """Ids in the word list that are not in the icon pack: they must be drawn by this engine."""
    return frozenset(_toml("nouns")) - frozenset(icons())


def singulars(word: str) -> list[str]:
    """Candidates for the singular of an English plural, likeliest first."""
    if len(word) < 4 or not word.endswith("s") or word.endswith("ss"):
        return []
    out = [word[:-1]]
    if word.endswith("ies"):
        out.insert(0, word[:-3] + "y")
    if word.endswith("ves"):
        out += [word[:-3] + "f", word[:-3] + "fe"]
    if word.endswith("es"):
        out.append(word[:-2])
    return out


def look_up(words: list[str]) -> tuple[Meaning, ...]:
    """The meanings of a phrase, of its singular if the phrase itself is not known; () for none."""
    phrase = " ".join(words)
    exact = english().get(phrase)
    if exact:
        return exact
    for single in singulars(words[-1]):
        meanings = english().get(" ".join([*words[:-1], single]))
        if meanings and meanings[0].kind != "relation":
            return tuple(Meaning(m.kind, m.value, plural=m.kind == "noun") for m in meanings)
    return ()


@dataclass(frozen=True)
class Language:
    """A language other than English. `words` and `nouns` turn its phrases into English phrases and drawing ids."""

    code: str
    adjectives_follow: bool
    function: frozenset[str]
    words: dict[str, str]
    nouns: dict[str, str]


@cache
def languages() -> tuple[Language, ...]:
    """The built-in languages other than English."""
    out: list[Language] = []
    for code, table in _toml("foreign").items():
        words = {key: english for keys, english in table["words"].items() for key in keys.split("|")}
        nouns = {label: key for key, label in labels()[code].items() if label not in words}
        out.append(Language(code, table["after"], frozenset(table["function"].split()), words, nouns))
    return tuple(out)


_ENGLISH_FUNCTION = frozenset(
    [
        "no",
        "not",
        "without",
        "a",
        "an",
        "the",
        "of",
        "in",
        "on",
        "with",
        "and",
        "at",
        "by",
        "under",
        "over",
        "is",
        "near",
        "from",
        "to",
        "at",
        "for",
    ]
)


def detect(words: list[str]) -> Language | None:
    """The built-in language whose function and vocabulary words cover most of `words`; None when English does as
    well."""

    def score(function: frozenset[str], known: Any) -> float:
        return sum(1.5 * (w in function) + (w in known) for w in words)

    ours = score(_ENGLISH_FUNCTION, english().keys() | plain_words()) + 0.5 * sum(
        bool(look_up([w])) and w not in english() for w in words
    )
    best = max(languages(), key=lambda lang: score(lang.function, lang.words.keys() | lang.nouns.keys()))
    return best if score(best.function, best.words.keys() | best.nouns.keys()) > ours else None


def foreign_singulars(word: str) -> list[str]:
    """Candidates for the dictionary form of a plural in the Romance and Germanic languages built in."""
    out: list[str] = []
    for ending, singular in (("s", ""), ("es", ""), ("x", ""), ("n", ""), ("en", ""), ("e", ""), ("er", "")):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            out.append(word[: -len(ending)] + singular)
    if word.endswith("i") and len(word) > 3:
        out += [word[:-1] + "o", word[:-1] + "e"]
    if word.endswith("e") and len(word) > 3:
        out.append(word[:-1] + "a")
    return out


def tokens(text: str) -> list[str]:
    """Words and clause marks of `text` in lower case; emoji stay whole."""
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*|[.,;:!?]", text.lower().replace("’", "'"))
