"""The voices of the local speech engine: what each name of the API is made of.

``alloy`` is hibari's one bundled voice, the fast one. Every other name is a Kokoro voice or a blend of two (the
weighted mean of their style vectors). The names come from OpenAI and ElevenLabs; these are different voices of like
gender and, where the original is known for it, accent: not imitations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from openpollen.core.errors import BadRequest


@dataclass(frozen=True)
class Voice:
    """One name. ``blend`` is (Kokoro voice, weight) with weights that add up to 1; empty for the fast voice."""

    name: str
    gender: Literal["female", "male"]
    accent: Literal["American", "British"]
    description: str
    blend: tuple[tuple[str, float], ...]

    @property
    def fast(self) -> bool:
        return not self.blend

    @property
    def recipe(self) -> str:
        """For tables: ``af_nova`` or ``60 % am_adam + 40 % am_michael``."""
        if self.fast:
            return "hibari (heart)"
        if len(self.blend) == 1:
            return self.blend[0][0]
        return " + ".join(f"{weight:.0%} {name}".replace("%", " %") for name, weight in self.blend)


def _female(name: str, description: str, *blend: str | tuple[str, float]) -> Voice:
    return Voice(name, "female", _accent(blend), description, _weighted(blend))


def _male(name: str, description: str, *blend: str | tuple[str, float]) -> Voice:
    return Voice(name, "male", _accent(blend), description, _weighted(blend))


def _weighted(blend: tuple[str | tuple[str, float], ...]) -> tuple[tuple[str, float], ...]:
    return tuple((part, 1.0) if isinstance(part, str) else part for part in blend)


def _accent(blend: tuple[str | tuple[str, float], ...]) -> Literal["American", "British"]:
    """That of the first part: Kokoro's names begin with ``a`` or ``b``, then ``f`` or ``m``."""
    return "British" if blend and _weighted(blend)[0][0].startswith("b") else "American"


_ALL = (
    _female("alloy", "clear and even; the default, and by far the fastest"),
    _male("echo", "light and dry", "am_echo"),
    _male("fable", "warm storyteller", "bm_fable"),
    _male("onyx", "deep and firm", "am_onyx"),
    _female("nova", "bright and open", "af_nova"),
    _female("shimmer", "soft and airy", ("af_nicole", 0.5), ("af_heart", 0.5)),
    _male("ash", "brisk and plain", "am_eric"),
    _male("ballad", "measured and rounded", ("bm_george", 0.5), ("bm_fable", 0.5)),
    _female("coral", "warm and friendly", "af_aoede"),
    _female("sage", "calm and low", "af_kore"),
    _male("verse", "supple and expressive", ("am_michael", 0.5), ("am_eric", 0.5)),
    _female("rachel", "even narrator", "af_alloy"),
    _female("domi", "lively and direct", "af_jessica"),
    _female("bella", "rich and animated", "af_bella"),
    _female("elli", "young and light", "af_sky"),
    _female("charlotte", "poised", "bf_isabella"),
    _female("dorothy", "gentle", "bf_alice"),
    _female("sarah", "soft and confident", "af_sarah"),
    _female("emily", "quiet and relaxed", "af_river"),
    _female("lily", "crisp", "bf_lily"),
    _female("matilda", "friendly and full", "bf_emma"),
    _male("adam", "deep narrator", ("am_adam", 0.5), ("am_onyx", 0.5)),
    _male("antoni", "rounded and steady", "am_michael"),
    _male("arnold", "strong and rough", "am_fenrir"),
    _male("josh", "young and playful", "am_puck"),
    _male("sam", "thin and quick", ("am_echo", 0.5), ("am_liam", 0.5)),
    _male("daniel", "newsreader", "bm_daniel"),
    _male("charlie", "easy and casual", ("bm_daniel", 0.5), ("am_eric", 0.5)),
    _male("james", "dark and slow", "bm_lewis"),
    _male("fin", "light and sprightly", ("bm_fable", 0.5), ("am_liam", 0.5)),
    _male("callum", "intense", ("bm_lewis", 0.5), ("am_fenrir", 0.5)),
    _male("liam", "clear and young", "am_liam"),
    _male("george", "mature and warm", "bm_george"),
    _male("brian", "deep and smooth", ("am_onyx", 0.5), ("am_michael", 0.5)),
    _male("bill", "old and hearty", ("am_santa", 0.6), ("am_michael", 0.4)),
    _male("amuch", "firm and bright", ("am_eric", 0.5), ("am_fenrir", 0.5)),
    _male("dan", "relaxed", ("am_adam", 0.7), ("am_liam", 0.3)),
)

#: By name: the 35 of the API, and ``amuch`` and ``dan`` of the audio chat models.
VOICES: dict[str, Voice] = {voice.name: voice for voice in _ALL}


def find(name: str) -> Voice:
    """The voice called ``name``, in any case. Raises BadRequest that lists all of them."""
    voice = VOICES.get(name.strip().lower())
    if voice is None:
        raise BadRequest(f"There is no voice {name[:40]!r}. The local voices are: {', '.join(VOICES)}.")
    return voice


def kokoro_names() -> tuple[str, ...]:
    """The Kokoro voices that the recipes need, sorted."""
    return tuple(sorted({part for voice in VOICES.values() for part, _ in voice.blend}))
