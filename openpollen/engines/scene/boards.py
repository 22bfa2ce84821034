"""Things that words can be written on, and where on their drawings."""

from __future__ import annotations

from dataclasses import dataclass

from .types import Rgb


@dataclass(frozen=True)
class Board:
    """`area` is left, top, right, bottom of the room for words, as fractions of the drawing without its empty margins.

    `made_for_words` tells a sign from a bus. What is `lined` has lines of its own there, which are painted over. Without
    an `ink` words are dark on what is bright and bright on what is dark.
    """

    area: tuple[float, float, float, float]
    made_for_words: bool = False
    ink: Rgb | None = None
    lined: bool = False
    glow: Rgb | None = None


BOARDS: dict[str, Board] = {
    "sign": Board((0.043, 0.021, 0.957, 0.468), True, (0.27, 0.14, 0.1)),
    "billboard": Board((0.042, 0.05, 0.958, 0.52), True, (0.16, 0.14, 0.34)),
    "banner": Board((0.075, 0.122, 0.925, 0.43), True, (1.0, 0.93, 0.72)),
    "placard": Board((0.05, 0.22, 0.95, 0.57), True, lined=True),
    "neon-sign": Board((0.08, 0.1, 0.92, 0.62), True, (1.0, 0.86, 0.94), glow=(1.0, 0.2, 0.62)),
    "white-flag": Board((0.12, 0.12, 0.96, 0.52)),
    "bus": Board((0.04, 0.52, 0.96, 0.68)),
    "delivery-truck": Board((0.46, 0.1, 0.96, 0.52)),
    "t-shirt": Board((0.24, 0.3, 0.76, 0.72)),
    "mug": Board((0.06, 0.2, 0.68, 0.86)),
    "closed-book": Board((0.24, 0.12, 0.96, 0.6)),
    "notebook": Board((0.1, 0.32, 0.76, 0.7)),
    "newspaper": Board((0.07, 0.16, 0.86, 0.42), lined=True),
    "scroll": Board((0.28, 0.14, 0.88, 0.8), lined=True),
    "clipboard": Board((0.16, 0.27, 0.84, 0.72), lined=True),
    "headstone": Board((0.27, 0.28, 0.73, 0.66), lined=True),
    "laptop": Board((0.1, 0.06, 0.9, 0.52)),
    "desktop-computer": Board((0.06, 0.06, 0.94, 0.52)),
    "television": Board((0.16, 0.32, 0.68, 0.68)),
    "shield": Board((0.16, 0.16, 0.84, 0.56)),
    "birthday-cake": Board((0.1, 0.57, 0.9, 0.75)),
    "envelope": Board((0.1, 0.42, 0.9, 0.9)),
    "box": Board((0.13, 0.55, 0.87, 0.94)),
    "balloon": Board((0.2, 0.14, 0.86, 0.52)),
    "door": Board((0.14, 0.1, 0.86, 0.3)),
}
_WRITTEN_AS = {"open-book": "closed-book", "hot-beverage": "mug", "beer-mug": "mug"}  # drawings with a side for words


def written_as(key: str) -> str:
    """The drawing that shows a thing with words on it."""
    return _WRITTEN_AS.get(key, key)
