"""One step of an edit."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..types import Array
from .attach import Seat


@dataclass(frozen=True)
class Step:
    """One thing to do. `value` refines it (a style, a colour, a ratio), `amount` is its strength, `place` where."""

    kind: str
    value: str = ""
    amount: float = 1.0
    place: str = ""
    relation: str = ""  # to what is called `target` in the instruction, such as "the cat"
    target: str = ""
    seats: tuple[Seat, ...] = ()  # where the target was found
    denied: frozenset[str] = frozenset()  # what is not wanted with it, as `denial` writes it
    done: bool = False  # the picture was drawn anew with it
    subjects: Array | None = field(default=None, compare=False)  # where the picture's subjects are, 0..1
