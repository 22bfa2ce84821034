"""The instruments that the composer writes for: where each lies in the soundfont, its range and what it can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ability = Literal["lead", "chords", "pad", "bass"]


@dataclass(frozen=True)
class Instrument:
    """A preset by General MIDI ``bank`` and ``program``, its comfortable range in MIDI keys, and its level.

    ``abilities`` are the parts it can take, the most natural first. ``sustains`` is true when a held note keeps its
    level (bowed, blown, synthetic) and false when it dies away (plucked, struck).
    """

    program: int
    low: int
    high: int
    gain: float
    abilities: tuple[Ability, ...]
    sustains: bool = False
    bank: int = 0


def _keys(program: int, low: int = 36, high: int = 88, gain: float = 1.0, bank: int = 0) -> Instrument:
    return Instrument(program, low, high, gain, ("chords", "lead"), False, bank)


def _lead(program: int, low: int, high: int, gain: float = 1.0, sustains: bool = True) -> Instrument:
    return Instrument(program, low, high, gain, ("lead",), sustains)


def _pad(program: int, low: int = 40, high: int = 84, gain: float = 0.8) -> Instrument:
    return Instrument(program, low, high, gain, ("pad", "chords", "lead"), True)


def _bass(program: int, gain: float = 1.0, sustains: bool = False) -> Instrument:
    return Instrument(program, 28, 52, gain, ("bass",), sustains)


INSTRUMENTS: dict[str, Instrument] = {
    "piano": _keys(0),
    "electric piano": _keys(4, gain=1.1),
    "harpsichord": _keys(6, 41, 84, 0.8),
    "celesta": _keys(8, 60, 96, 1.1),
    "glockenspiel": _lead(9, 72, 100, 0.7, sustains=False),
    "music box": _keys(10, 60, 96, 1.1),
    "vibraphone": _keys(11, 53, 89, 1.0),
    "marimba": _keys(12, 48, 89, 1.2),
    "tubular bells": _lead(14, 60, 77, 0.7, sustains=False),
    "organ": Instrument(16, 40, 88, 0.55, ("chords", "pad", "lead"), True),
    "church organ": Instrument(19, 36, 88, 0.6, ("pad", "chords", "lead"), True),
    "accordion": Instrument(21, 53, 88, 0.65, ("lead", "chords"), True),
    "harmonica": _lead(22, 60, 88, 0.8),
    "nylon guitar": _keys(24, 40, 80, 1.1),
    "steel guitar": _keys(25, 40, 80, 1.0),
    "jazz guitar": _keys(26, 40, 80, 1.1),
    "clean guitar": _keys(27, 40, 82, 0.9),
    "distorted guitar": Instrument(30, 40, 82, 0.5, ("chords", "lead"), True),
    "upright bass": _bass(32, 1.2),
    "electric bass": _bass(33, 1.05),
    "synth bass": _bass(38, 0.8, sustains=True),
    "sub bass": _bass(39, 0.9, sustains=True),
    "violin": _lead(40, 57, 96, 0.75),
    "cello": _lead(42, 40, 72, 0.9),
    "pizzicato strings": _keys(45, 43, 84, 1.0),
    "harp": _keys(46, 41, 91, 1.1),
    "timpani": _bass(47, 1.0),
    "strings": _pad(48, 41, 88, 0.75),
    "synth strings": _pad(50, 41, 88, 0.7),
    "choir": _pad(52, 45, 79, 0.75),
    "trumpet": _lead(56, 55, 84, 0.7),
    "trombone": _lead(57, 40, 70, 0.8),
    "french horn": _lead(60, 41, 72, 0.9),
    "brass": Instrument(61, 45, 82, 0.6, ("chords", "lead", "pad"), True),
    "saxophone": _lead(65, 50, 81, 0.8),
    "oboe": _lead(68, 58, 86, 0.8),
    "clarinet": _lead(71, 52, 86, 0.9),
    "flute": _lead(73, 60, 94, 0.9),
    "pan flute": _lead(75, 60, 94, 0.9),
    "square lead": Instrument(80, 48, 96, 0.4, ("lead", "chords"), True),
    "saw lead": Instrument(81, 48, 92, 0.4, ("lead", "chords"), True),
    "new age pad": _pad(88, 48, 84, 0.8),
    "warm pad": _pad(89, 40, 84, 0.8),
    "polysynth": Instrument(90, 40, 84, 0.5, ("chords", "pad", "lead"), True),
    "halo pad": _pad(94, 40, 84, 0.7),
    "sitar": _lead(104, 48, 79, 0.9, sustains=False),
    "banjo": _keys(105, 48, 84, 0.9),
    "koto": _keys(107, 48, 88, 0.9),
    "kalimba": _keys(108, 55, 91, 1.1),
    "bagpipe": _lead(109, 60, 84, 0.6),
    "fiddle": _lead(110, 57, 93, 0.75),
    "steel drums": Instrument(114, 55, 88, 0.9, ("lead", "chords"), False),
    "ukulele": _keys(24, 55, 84, 1.1, bank=8),
    "mandolin": _keys(25, 55, 88, 1.0, bank=16),
}

#: Drum kits by the names that styles use; all lie in the percussion bank.
KITS: dict[str, int] = {
    "standard": 0,
    "power": 16,
    "electronic": 24,
    "808": 25,
    "jazz": 32,
    "brush": 40,
    "orchestra": 48,
}
DRUM_BANK = 128

#: (bank, program) of every preset in use: what ``tools/build_soundfont.py`` keeps.
PRESETS: frozenset[tuple[int, int]] = frozenset(
    {(instrument.bank, instrument.program) for instrument in INSTRUMENTS.values()}
    | {(DRUM_BANK, program) for program in KITS.values()}
)

#: Words of a prompt that name an instrument, longest match first; plurals are understood.
WORDS: dict[str, str] = {name: name for name in INSTRUMENTS} | {
    "grand piano": "piano", "keys": "piano", "keyboard": "piano", "rhodes": "electric piano", "wurlitzer": "electric piano",
    "epiano": "electric piano", "acoustic guitar": "steel guitar", "guitar": "steel guitar",
    "classical guitar": "nylon guitar", "spanish guitar": "nylon guitar", "electric guitar": "clean guitar",
    "distorted electric guitar": "distorted guitar", "heavy guitar": "distorted guitar", "glockenspiels": "glockenspiel",
    "bells": "tubular bells", "chimes": "tubular bells", "xylophone": "marimba", "hammond": "organ",
    "pipe organ": "church organ", "double bass": "upright bass", "bass guitar": "electric bass", "bass": "electric bass",
    "808 bass": "sub bass", "string": "strings", "orchestra": "strings", "string section": "strings",
    "pizzicato": "pizzicato strings",
    "vocals": "choir", "voices": "choir", "horn": "french horn", "horns": "brass", "sax": "saxophone", "flutes": "flute",
    "synth": "polysynth", "synthesizer": "polysynth", "pad": "warm pad", "lead synth": "saw lead", "steel drum": "steel drums",
    "steelpan": "steel drums", "bagpipes": "bagpipe", "viola": "violin", "musicbox": "music box", "vibes": "vibraphone",
}  # fmt: skip
