"""Which words of an instruction no step used: refused when they ask for a change to a thing, told otherwise."""

from __future__ import annotations

import re
from dataclasses import dataclass

from openpollen.core.errors import UnprocessableEntity

from ..lexicon import instruction_words
from ..reading import Piece, read

# words that only some steps answer
_MEANT: dict[str, frozenset[str]] = {
    "time": frozenset({"sky"}),
    "weather": frozenset({"sky", "ground"}),
    "show": frozenset({"sky", "background"}),
    "blur background": frozenset({"background", "backdrop", "surroundings"}),
    "background": frozenset({"background", "different", "replace", "new", "swap"}),
    "cutout": frozenset({"background", "remove", "transparent"}),
    "combine": frozenset(
        {"blend", "mix", "merge", "join", "combine", "stack", "overlay", "superimpose", "paste", "cross"}
    ),
    "vignette": frozenset({"corner", "corners", "edge", "edges"}),
    "border": frozenset({"edge", "edges", "thick", "thin"}),
    "flip": frozenset({"left", "right", "top", "bottom", "horizontally", "horizontal", "vertically", "vertical"}),
    "rotate": frozenset({"left", "right", "clockwise"}),
    "crop": frozenset({"centre", "center", "middle"}),
}
_WHOLE_PICTURE = frozenset({"style", "time", "weather", "show"})
_POINTERS = frozenset(["the", "this", "that", "these", "those", "his", "her", "its", "their", "my", "your", "our"])
_POINTS = rf"(?:{'|'.join(sorted(_POINTERS))})"
_POSITION = re.compile(
    r"\b(?:next to|close to|beside|near|behind|in front of|on top of|on|above|over|under|below|beneath|at|along|around|"
    rf"between|inside|in|by|to|with)\s+{_POINTS}\s+(?P<where>[\w' -]+)$"
)
_NAMED = re.compile(rf"\b{_POINTS}\s+((?:[\w'-]+\s+)?[\w'-]+)")


@dataclass(frozen=True)
class Unused:
    """What is left of one clause: the `thing` a change was asked for, and other `words`."""

    thing: str = ""
    words: tuple[str, ...] = ()
    position: str = ""


def passed_over(pattern: re.Pattern[str], phrase: str) -> str:
    """Named things inside a phrase that its pattern matches without them: "the cat" in "rotate the cat by 90"."""
    kept: list[str] = []
    for match in _NAMED.finditer(phrase):
        words = [w for w in match[1].split() if pattern.search(re.sub(rf"\b{re.escape(w)}\b", " ", phrase))]
        kept += ["the", *words] if words else []
    return " ".join(kept)


def means_nothing(clause: str) -> bool:
    """Whether a clause holds no word that could be a wish."""
    return all(_spent(piece, frozenset(), frozenset()) for piece in read(clause).pieces)


def leftover(rest: str, kinds: frozenset[str], values: frozenset[str]) -> Unused:
    """What no step used of a clause: `rest` is the clause without the commands that were understood, `kinds` and
    `values` are those of its steps."""
    position = ""
    used = values.union(*(_MEANT.get(kind, ()) for kind in kinds))
    freely = bool(kinds & {"add", "text"})
    found = _POSITION.search(rest) if freely else None
    if found and not all(_spent(p, frozenset(), used) for p in read(found["where"]).pieces if p.text not in _POINTERS):
        position, rest = " ".join(found[0].split()), rest[: found.start()]
    pieces = [p for p in read(rest).pieces if not _spent(p, kinds, used)]
    pointed = {w for m in _NAMED.finditer(rest) for w in m[1].split()}
    things = [
        p
        for p in pieces
        if "add" not in kinds
        and (p.text.removesuffix("'s") in pointed or (p.of("noun") and not kinds & {"text", "background"}))
    ]
    thing = things[0].text if things else ""
    return Unused(thing, tuple(p.text for p in pieces if p.text != thing), position)


def _spent(piece: Piece, kinds: frozenset[str], used: frozenset[str]) -> bool:
    """Whether a step used a piece, or there was nothing to use in it."""
    if (
        piece.kind == "mark"
        or piece.text.isdigit()
        or all(w in instruction_words() or w in used for w in piece.text.split())
    ):
        return True
    if any(m.value in used for m in piece.meanings):
        return True
    drawn = ("noun", "color", "size", "number", "relation") if "add" in kinds else ("relation",)
    if any(piece.of(kind) for kind in drawn) and (piece.of("relation") == "" or "add" in kinds or not piece.of("noun")):
        return True
    return bool(piece.of("color")) and bool(kinds & {"tint", "border"})


def judge(unused: Unused, kinds: frozenset[str], masked: bool) -> list[str]:
    """Sentences for the note on what was not used. UnprocessableEntity when a thing was to change that cannot alone.

    A mask says where the thing is, so that a change of light, colour or style may be meant for it.
    """
    told: list[str] = []
    if unused.thing and not (masked and not unused.words):
        if not kinds <= _WHOLE_PICTURE or unused.words:
            wish = " ".join((unused.thing, *unused.words[:4]))
            raise UnprocessableEntity(
                f"The scene engine cannot do this to one thing in the picture: {wish!r}. It does not know where things are; "
                "it changes the light, colours and style of the whole picture, or of the part that a mask leaves open.",
                reason="cannot_change_object",
            )
        told.append(f"changed the whole picture, not only “{unused.thing}”")
    if unused.position and not masked:
        told.append(
            f"placed freely, because where “{unused.position}” is cannot be seen (a mask, “left”, “right” or “in the sky” is)"
        )
    if unused.words:
        told.append("not used: " + ", ".join(dict.fromkeys(unused.words)))
    return told
