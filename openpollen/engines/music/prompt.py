"""Reads a prompt: style, mood, tempo, key, meter, instruments wanted and unwanted. Nothing is drawn by chance here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from openpollen.engines.music.instruments import WORDS
from openpollen.engines.music.moods import MOODS
from openpollen.engines.music.styles import STYLES
from openpollen.engines.music.theory import pitch_class

_TEMPO = re.compile(r"(\d{2,3})\s*(?:-\s*)?(?:bpm|beats per minute)")
_MODES = "major|minor|maj|min|dorian|phrygian|lydian|mixolydian|harmonic minor"
_KEY = re.compile(
    rf"(?:\b(?P<intro>in|key of|key:?)\s+(?:the key of\s+)?)?(?<![\w#'])(?P<letter>[A-Ga-g])"
    rf"(?P<sign>[#♯b♭]|[ -]?sharp|[ -]?flat)?"
    rf"(?:[ -]?(?P<mode>harmonic minor|{_MODES}))?(?![\w#'])"
)
_NEGATION = re.compile(r"\b(?:no|without|minus|not|don't use|avoid)\s+(?:any\s+)?([\w -]+)")
_DRUM_WORDS = ("drum", "drums", "percussion", "beat", "beats")
_PACES = (
    (("very slow", "largo", "extremely slow"), 0.68), (("slow", "adagio", "downtempo", "slowly"), 0.8),
    (("andante", "laid back"), 0.9),
    (("very fast", "presto", "frantic"), 1.3), (("fast", "allegro", "quick", "uptempo", "up-tempo", "upbeat"), 1.15),
)  # fmt: skip


@dataclass(frozen=True)
class Brief:
    """What a prompt asks for; None and empty where it does not say."""

    style: str
    mood: str
    tempo: float | None
    pace: float
    tonic: int | None
    mode: str
    meter: int | None
    instruments: tuple[str, ...]
    excluded: frozenset[str]
    drums: bool | None
    solo: bool


def read_prompt(prompt: str) -> Brief:
    """Understand a prompt. Words that mean nothing to a musician change nothing here (they still change the chance)."""
    text = " ".join(prompt.lower().replace("_", " ").split())
    unwanted = " , ".join(match[1] for match in _NEGATION.finditer(text))
    wanted = _NEGATION.sub(" ", text)
    tonic, mode = _key(prompt)
    tempo = _TEMPO.search(text)
    excluded = frozenset(_instruments(unwanted))
    players = wanted.replace("drum and bass", " ").replace("drum n bass", " ")
    drums = False if _has(unwanted, _DRUM_WORDS) else True if _has(players, _DRUM_WORDS[:3]) else None
    return Brief(
        style=_longest(wanted, {name: style.words for name, style in STYLES.items()}) or _style_of_mood(wanted),
        mood=_longest(wanted, {name: mood.words for name, mood in MOODS.items()}),
        tempo=min(260.0, max(30.0, float(tempo[1]))) if tempo else None,
        pace=next((factor for words, factor in _PACES if _has(wanted, words)), 1.0),
        tonic=tonic,
        mode=mode,
        meter=3 if re.search(r"\b3/4\b|\bthree[- ]four\b", text) else 4 if "4/4" in text else None,
        instruments=tuple(name for name in _instruments(players) if name not in excluded),
        excluded=excluded,
        drums=drums,
        solo=_has(wanted, ("solo", "unaccompanied", "only")),
    )


def _has(text: str, words: tuple[str, ...]) -> bool:
    return any(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) for word in words)


def _longest(text: str, table: dict[str, tuple[str, ...]]) -> str:
    """The entry with the longest word in the text; of equals the one that comes first in it."""
    found = [
        (-len(word), match.start(), name)
        for name, words in table.items()
        for word in (name, *words)
        if (match := re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text))
    ]
    return min(found)[2] if found else ""


def _style_of_mood(text: str) -> str:
    """A style for prompts that name none but say something that has a sound."""
    hints = {
        "ambient": ("ocean", "sea", "rain", "stars", "galaxy", "night sky", "forest", "underwater", "dream"),
        "cinematic": (
            "dragon",
            "war",
            "kingdom",
            "knight",
            "storm",
            "castle",
            "hero",
            "ominous",
            "horror",
            "spooky",
            "halloween",
            "haunted",
        ),
        "synthwave": ("city", "car", "drive", "driving", "robot", "future", "sci-fi"),
        "folk": ("village", "farm", "mountain", "meadow", "river", "countryside", "ukulele", "banjo", "mandolin"),
        "classical": ("elegant", "royal", "palace", "piano", "violin", "cello", "harp", "quartet"),
        "lullaby": ("music box", "celesta", "sleepy"),
        "rock": ("electric guitar", "stadium", "motorcycle"),
        "jazz": ("saxophone", "sax", "coffee", "cafe", "bar", "whiskey", "noir"),
    }
    return _longest(text, hints)


def _instruments(text: str) -> list[str]:
    """Instruments named in a text, in order; a longer name wins over a shorter one inside it."""
    found: list[tuple[int, str]] = []
    for word in sorted(WORDS, key=len, reverse=True):
        pattern = rf"(?<![\w-]){re.escape(word)}s?(?![\w-])"
        while match := re.search(pattern, text):
            found.append((match.start(), WORDS[word]))
            text = text[: match.start()] + "~" * (match.end() - match.start()) + text[match.end() :]
    return list(dict.fromkeys(name for _, name in sorted(found)))


def _key(prompt: str) -> tuple[int | None, str]:
    """Tonic and mode. A lone letter is a key only after "in" or "key of"; "a minor" is one, "a major event" is not."""
    for match in _KEY.finditer(prompt):
        letter, sign, mode = match["letter"], (match["sign"] or "").strip(" -"), match["mode"] or ""
        if not mode and not (match["intro"] and (letter.isupper() or match["intro"].startswith("key"))):
            continue
        if (
            mode in ("major", "minor")
            and letter == "a"
            and not match["intro"]
            and not prompt.strip().lower().endswith(mode)
        ):
            continue
        accidental = {"": "", "#": "#", "♯": "#", "sharp": "#", "b": "b", "♭": "b", "flat": "b"}[sign]
        return pitch_class(letter, accidental), {"maj": "major", "min": "minor"}.get(mode, mode)
    for mode in ("harmonic minor", "dorian", "phrygian", "lydian", "mixolydian"):
        if re.search(rf"\b{mode}\b", prompt.lower()):
            return None, mode
    if match := re.search(r"\bminor key\b|\bmajor key\b", prompt.lower()):
        return None, match[0].split()[0]
    return None, ""
