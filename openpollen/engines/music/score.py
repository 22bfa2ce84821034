"""A composed piece as values: notes in seconds, tracks by instrument, the form they follow."""

from __future__ import annotations

from dataclasses import dataclass

from openpollen.engines.music.theory import NAMES, Chord


@dataclass(frozen=True)
class Note:
    """``start`` and ``duration`` in seconds, ``key`` a MIDI number (a drum for drum tracks), ``velocity`` 0 to 1."""

    start: float
    duration: float
    key: int
    velocity: float


@dataclass(frozen=True)
class Track:
    """One player. ``instrument`` names an entry of ``INSTRUMENTS``, or a drum kit when ``role`` is "drums"."""

    role: str
    instrument: str
    pan: float
    gain: float
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Section:
    """A stretch of whole bars; ``energy`` 0 to 1 says how full it is."""

    name: str
    first_bar: int
    bars: int
    energy: float


@dataclass(frozen=True)
class Score:
    """A piece of exactly ``seconds``. ``harmony`` has one list of chords for each bar; the last is the final chord.

    ``ring`` is how many seconds the final chord has to die away in, counted back from the end.
    """

    prompt: str
    seed: int
    style: str
    mood: str
    tempo: float
    meter: int
    tonic: int
    mode: str
    seconds: float
    ring: float
    reverb: float
    sections: tuple[Section, ...]
    harmony: tuple[tuple[Chord, ...], ...]
    tracks: tuple[Track, ...]

    @property
    def key(self) -> str:
        return f"{NAMES[self.tonic]} {self.mode}"
