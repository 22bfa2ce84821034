"""Pitches, scales, chords and voice leading. Pitch classes count semitones from C; keys are MIDI numbers (60 is C4)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_LETTERS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}

SCALES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
}
#: Modes whose tonic chord is minor: they take the minor progressions of a style.
MINOR_MODES = frozenset({"minor", "dorian", "phrygian", "harmonic minor"})

_MAJOR = SCALES["major"]
_ROMAN = re.compile(r"(?P<shift>[b#]?)(?P<degree>[ivIV]+)(?P<kind>maj7|maj9|m7|m9|7|9|6|sus4|sus2|dim|add9|5)?")
_DEGREES = ("i", "ii", "iii", "iv", "v", "vi", "vii")
_KINDS: dict[str, tuple[int, ...]] = {
    "maj7": (0, 4, 7, 11), "maj9": (0, 4, 7, 11, 14), "m7": (0, 3, 7, 10), "m9": (0, 3, 7, 10, 14), "7": (0, 4, 7, 10),
    "9": (0, 4, 7, 10, 14), "6": (0, 4, 7, 9), "sus4": (0, 5, 7), "sus2": (0, 2, 7), "dim": (0, 3, 6),
    "add9": (0, 4, 7, 14), "5": (0, 7),
}  # fmt: skip


@dataclass(frozen=True)
class Chord:
    """A chord of the piece: its Roman numeral, root pitch class and pitch classes from the root up."""

    numeral: str
    root: int
    classes: tuple[int, ...]


def pitch_class(letter: str, accidental: str = "") -> int:
    """Pitch class of a note name; ``accidental`` is "", "#" or "b"."""
    return (_LETTERS[letter.lower()] + {"": 0, "#": 1, "b": -1}[accidental]) % 12


def chord(numeral: str, tonic: int, sevenths: bool = False) -> Chord:
    """A chord from its Roman numeral: upper case is major, lower case minor; degrees count from the major scale of the
    tonic, so bVI and bVII are those of the minor key. ``sevenths`` adds the usual seventh to a plain triad."""
    match = _ROMAN.fullmatch(numeral)
    if match is None:
        raise ValueError(f"{numeral!r} is not a Roman numeral")
    degree, kind = match["degree"], match["kind"]
    shift = {"": 0, "#": 1, "b": -1}[match["shift"]]
    root = (tonic + _MAJOR[_DEGREES.index(degree.lower())] + shift) % 12
    minor = degree.islower()
    if kind in ("7", "9", "6", "add9") and minor:
        intervals = {"7": (0, 3, 7, 10), "9": (0, 3, 7, 10, 14), "6": (0, 3, 7, 9), "add9": (0, 3, 7, 14)}[kind]
    elif kind:
        intervals = _KINDS[kind]
    elif sevenths:
        intervals = _KINDS["m7"] if minor else _KINDS["7"] if degree == "V" else _KINDS["maj7"]
    else:
        intervals = (0, 3, 7) if minor else (0, 4, 7)
    return Chord(numeral, root, tuple((root + interval) % 12 for interval in intervals))


def voicing(target: Chord, previous: Sequence[int], low: int, high: int, voices: int) -> tuple[int, ...]:
    """Keys for a chord, close to the previous ones: common tones stay, the rest move by the shortest way."""
    classes = target.classes[:voices] if len(target.classes) >= voices else target.classes
    centre = sum(previous) / len(previous) if previous else (low + high) / 2
    best: tuple[float, tuple[int, ...]] | None = None
    for start in range(low, max(low + 1, high - 10)):
        if start % 12 not in classes:
            continue
        keys = _stack(start, classes)
        if keys[-1] > high:
            continue
        movement = sum(min(abs(key - old) for old in previous) for key in keys) if previous else 0
        drift = abs(sum(keys) / len(keys) - (0.7 * centre + 0.3 * (low + high) / 2))
        cost = movement + 0.6 * drift
        if best is None or cost < best[0]:
            best = (cost, keys)
    return best[1] if best else _stack(nearest(low + 6, classes), classes)


def _stack(start: int, classes: Sequence[int]) -> tuple[int, ...]:
    """Close position upwards from ``start``, whose pitch class is one of ``classes``."""
    return tuple(sorted(start + (pitch - start) % 12 for pitch in classes))


def nearest(key: int, classes: Sequence[int]) -> int:
    """The key nearest to ``key`` whose pitch class is among ``classes``; the lower one of two."""
    return min(range(key - 6, key + 7), key=lambda candidate: (candidate % 12 not in classes, abs(candidate - key)))


def step(key: int, steps: int, scale: Sequence[int]) -> int:
    """Move by scale steps; ``key`` off the scale starts from its nearest note. ``scale`` holds pitch classes."""
    key = nearest(key, scale)
    direction = 1 if steps > 0 else -1
    for _ in range(abs(steps)):
        key += direction
        while key % 12 not in scale:
            key += direction
    return key


def scale_classes(tonic: int, mode: str) -> tuple[int, ...]:
    """Pitch classes of a mode."""
    return tuple((tonic + interval) % 12 for interval in SCALES[mode])
