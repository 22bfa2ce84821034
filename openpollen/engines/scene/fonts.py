"""The vendored fonts that letters are drawn with: which of them has a character, and lines set in several of them.

The first font that has a character draws it. Scripts that run from right to left need Pillow's Raqm layout; where that is
missing, their characters count as having no glyph.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from PIL import ImageFont, features

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "fonts"
FONTS = ("DejaVuSans-Bold.ttf", "wqy-microhei.ttc")
LEADING = 1.16  # of the font size, from one line to the next
_REGULAR = 1  # fonts from this place on are not bold, and get a stroke to look like it
_NO_CHARACTER = "\uffff"
_FROM_THE_RIGHT = frozenset({"R", "AL", "AN"})


@lru_cache(maxsize=64)
def font(number: int, size: int) -> Any:
    """One of the fonts at a size in pixels."""
    return ImageFont.truetype(FOLDER / FONTS[number], size)


@cache
def _plain(number: int) -> tuple[Any, bytes]:
    """One of the fonts without layout, which would put a circle under a lone accent, and what it draws for nothing."""
    face: Any = ImageFont.truetype(FOLDER / FONTS[number], 24, layout_engine=ImageFont.Layout.BASIC)
    return face, bytes(face.getmask(_NO_CHARACTER))


def _has(number: int, character: str) -> bool:
    face, nothing = _plain(number)
    return bytes(face.getmask(character)) != nothing


@lru_cache(maxsize=4096)
def font_of(character: str) -> int | None:
    """The number of the first font that has a character; None when no font has it or it cannot be laid out."""
    if unicodedata.bidirectional(character) in _FROM_THE_RIGHT and not features.check("raqm"):
        return None
    return next((number for number in range(len(FONTS)) if character.isspace() or _has(number, character)), None)


def letterable(text: str) -> tuple[str, list[str]]:
    """`text` without what no font can letter, and what that is, run by run as it stood."""
    lost = "".join(c if font_of(c) is None else "\0" for c in text)
    kept = "".join(c for c in text if font_of(c) is not None)
    return " ".join(kept.split()), [run for run in re.split("\0+", lost) if run]


@dataclass(frozen=True)
class Run:
    """Characters that one font draws, `x` pixels from the start of their line."""

    text: str
    font: Any
    x: float
    stroke: int


def runs(line: str, size: int) -> tuple[list[Run], float]:
    """A line set in the fonts it needs, and its width in pixels."""
    parts: list[tuple[int, str]] = []
    for character in line:
        number = font_of(character) or 0
        if parts and (parts[-1][0] == number or character.isspace() or unicodedata.combining(character)):
            parts[-1] = (parts[-1][0], parts[-1][1] + character)
        else:
            parts.append((number, character))
    out: list[Run] = []
    x = 0.0
    for number, text in parts:
        chosen = font(number, size)
        out.append(Run(text, chosen, x, max(1, size // 26) if number >= _REGULAR else 0))
        x += float(chosen.getlength(text))
    return out, x
