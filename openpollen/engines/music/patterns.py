"""Accompaniment by name: how chords are broken up, how a bass moves, how a drummer fills. Beats count from 0 in a bar."""

from __future__ import annotations

from typing import NamedTuple


class Stroke(NamedTuple):
    """``beat`` and ``length`` in beats, ``part`` what is played, ``force`` relative loudness 0 to 1.

    In chord patterns ``part`` is "all", "top" (without the lowest voice) or the number of a voice. In bass patterns it is
    r, 3, 5, 6, 7, 8 for that tone of the chord, or n for a step towards the next root.
    """

    beat: float
    length: float
    part: str
    force: float


def _even(parts: str, spacing: float, length: float, accent: float = 0.9, rest: float = 0.7) -> tuple[Stroke, ...]:
    """Strokes at equal distance, one for each word; a dot is a rest; whole beats are accented."""
    return tuple(
        Stroke(i * spacing, length, part, accent if (i * spacing) % 1 == 0 else rest)
        for i, part in enumerate(parts.split())
        if part != "."
    )


def _at(length: float, part: str, *beats: float) -> tuple[Stroke, ...]:
    return tuple(Stroke(beat, length, part, 0.9 if beat % 1 == 0 else 0.75) for beat in beats)


#: Variants of each way to play chords; a section keeps to one of them.
COMPS: dict[str, tuple[tuple[Stroke, ...], ...]] = {
    "block": (_at(2, "all", 0, 2), _at(1, "all", 0, 1, 2, 3)),
    "lazy": (_at(1.5, "all", 0, 2.5), _at(1.2, "all", 0.5, 2.5), _at(1.0, "all", 0, 1.5, 3)),
    "charleston": (
        _at(0.6, "all", 0, 1.5),
        _at(0.6, "all", 0.5, 2.5),
        _at(0.5, "all", 1.5, 3.5),
        _at(0.5, "all", 0, 1.5, 3),
    ),
    "shuffle": (_even("0 . all all . . all .", 0.5, 0.45), _at(0.4, "all", 0, 1, 2, 3)),
    "eighths": (_even("all all all all all all all all", 0.5, 0.42), _even("all . all all . all all .", 0.5, 0.7)),
    "gallop": (_even("all . all all " * 4, 0.25, 0.22), _even("all all all all " * 4, 0.25, 0.2)),
    "eighth strum": (_even("all . all all . all all all", 0.5, 0.55), _at(1, "all", 0, 1.5, 2.5)),
    "alberti": (_even("0 2 1 2 0 2 1 2", 0.5, 0.55, 0.8), _even("0 1 2 1 0 1 2 1", 0.5, 0.6, 0.8)),
    "slow arpeggio": (_even("0 1 2 3", 1, 3, 0.7), _even("0 2 1 3", 1, 3, 0.7)),
    "sixteenth arpeggio": (
        _even("0 1 2 3 " * 4, 0.25, 0.24),
        _even("3 2 1 2 0 1 2 1 " * 2, 0.25, 0.24),
        _even("0 2 1 2 " * 4, 0.25, 0.2),
    ),
    "stabs": (
        _at(0.3, "all", 0, 0.75, 1.5, 2.5, 3.25),
        _at(0.35, "all", 0.5, 1.5, 2.5, 3.5),
        _at(0.3, "all", 0, 1.5, 2.75),
    ),
    "funk": (
        _even("all . . all . . all . . all all . . . all .", 0.25, 0.18),
        _even(". . all . all . . all . . all . all . . .", 0.25, 0.18),
    ),
    "fingerpick": (_even("0 2 1 3 0 3 1 2", 0.5, 1.0, 0.85), _even("0 1 2 3 2 1 2 3", 0.5, 1.0, 0.85)),
    "boom chick": (_at(0.4, "top", 1, 3), _at(0.4, "top", 1, 1.5, 3, 3.5)),
    "skank": (_at(0.25, "top", 1, 3), _at(0.25, "top", 1, 1.5, 3), _at(0.22, "top", 0.5, 1.5, 2.5, 3.5)),
    "ostinato": (
        _even("0 0 1 0 2 0 1 0", 0.5, 0.35),
        _even("0 1 2 1 " * 4, 0.25, 0.22),
        _even("all . all all . all all .", 0.5, 0.4),
    ),
    "waltz": (_at(0.7, "top", 1, 2),),
    "waltz arpeggio": (_even("0 1 2 3 2 1", 0.5, 1.2, 0.7), _even("0 2 1 2 3 2", 0.5, 1.2, 0.7)),
    "bossa": (_at(0.5, "all", 0, 1.5, 3), _at(0.5, "all", 0.5, 1.5, 2.5, 3.5), _at(0.45, "all", 0, 1, 2.5, 3.5)),
    "montuno": (_even("0 top 1 top . top 1 top", 0.5, 0.4), _even("all . 0 all . all 0 all", 0.5, 0.35)),
}

BASSES: dict[str, tuple[tuple[Stroke, ...], ...]] = {
    "long": (_at(4, "r", 0),),
    "drone": (_at(4, "r", 0),),
    "lazy": ((Stroke(0, 1.4, "r", 0.9), Stroke(2.5, 0.5, "5", 0.7), Stroke(3, 0.9, "n", 0.75)), _at(1.8, "r", 0, 2)),
    "walking": (
        _even("r 3 5 n", 1, 0.92),
        _even("r 5 8 n", 1, 0.92),
        _even("r 3 6 n", 1, 0.92),
        _even("8 5 3 n", 1, 0.92),
    ),
    "shuffle": (_even("r r 3 3 5 5 6 5", 0.5, 0.45), _even("r r 5 5 6 6 5 5", 0.5, 0.45)),
    "eighths": (_even("r r r r r r r r", 0.5, 0.46), _even("r r r r r r 5 n", 0.5, 0.46)),
    "gallop": (_even("r . r r " * 4, 0.25, 0.22),),
    "syncopated": (
        (Stroke(0, 1.4, "r", 0.95), Stroke(1.5, 0.5, "r", 0.75), Stroke(2, 1.4, "r", 0.85), Stroke(3.5, 0.5, "n", 0.7)),
    ),
    "classical": (_at(1.9, "r", 0, 2), (Stroke(0, 1.9, "r", 0.9), Stroke(2, 1.9, "5", 0.75))),
    "offbeat": (_at(0.4, "r", 0.5, 1.5, 2.5, 3.5), _even(". r r r " * 4, 0.25, 0.2)),
    "octaves": (_even("r 8 r 8 r 8 r 8", 0.5, 0.4), _even("r . 8 r . r 8 .", 0.5, 0.4)),
    "root fifth": (
        (Stroke(0, 1, "r", 0.95), Stroke(2, 1, "5", 0.8)),
        (Stroke(0, 1, "r", 0.95), Stroke(2, 1, "5", 0.8), Stroke(3, 1, "n", 0.7)),
    ),
    "funk": (
        _even("r . . r . . 8 . . . r 5 . . 7 8", 0.25, 0.22),
        _even("r . r . . 8 . 7 r . . r . 5 n .", 0.25, 0.22),
    ),
    "reggae": (_even("r . . r 3 5 . .", 0.5, 0.6), _even("r . r 5 . . 3 n", 0.5, 0.55)),
    "waltz": ((Stroke(0, 0.9, "r", 0.9),), (Stroke(0, 0.9, "5", 0.85),)),
    "bossa": (
        (Stroke(0, 1.4, "r", 0.9), Stroke(1.5, 0.5, "5", 0.7), Stroke(2, 1.4, "5", 0.85), Stroke(3.5, 0.5, "n", 0.7)),
    ),
    "tumbao": ((Stroke(0, 0.9, "r", 0.8), Stroke(1.5, 1.4, "5", 0.9), Stroke(3, 1, "n", 0.85)),),
    "sub": (
        (Stroke(0, 1.4, "r", 0.95), Stroke(2.5, 1.4, "r", 0.85)),
        (Stroke(0, 2.4, "r", 0.95), Stroke(3, 0.9, "5", 0.8)),
    ),
}

#: General MIDI percussion keys by the names that drum patterns use.
DRUM_KEYS: dict[str, int] = {
    "kick": 36, "snare": 38, "side": 37, "clap": 39, "hat": 42, "pedal": 44, "open": 46, "lowtom": 41, "midtom": 45,
    "hightom": 48, "crash": 49, "ride": 51, "tambourine": 54, "cowbell": 56, "conga": 63, "maracas": 70, "sleigh": 83,
}  # fmt: skip
DRUM_FORCE: dict[str, float] = {
    "hat": 0.5, "open": 0.5, "ride": 0.55, "pedal": 0.45, "tambourine": 0.45, "maracas": 0.45, "sleigh": 0.5,
    "cowbell": 0.45, "crash": 0.7, "conga": 0.65, "side": 0.65, "lowtom": 0.85,
}  # fmt: skip
ACCENTS: dict[str, float] = {"X": 1.0, "x": 0.78, "o": 0.42}

#: The second half of a bar before a new section: (drum, sixteenths from the middle of the bar).
FILLS: tuple[dict[str, str], ...] = (
    {"snare": "x.xxx...", "hightom": ".....x..", "lowtom": "......xx"},
    {"hightom": "xx......", "midtom": "..xx....", "lowtom": "....xxXX"},
    {"snare": "o.oxoxxX", "kick": "x...x..."},
    {"snare": "....xxxX", "open": "x......."},
)
