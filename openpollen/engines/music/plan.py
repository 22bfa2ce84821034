"""From what a prompt asks to the plan of a piece: players, tempo, key, bars that fill the time exactly, form, harmony."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from openpollen.engines.music.instruments import INSTRUMENTS, Ability
from openpollen.engines.music.moods import MOODS, NEUTRAL, Mood
from openpollen.engines.music.prompt import Brief
from openpollen.engines.music.score import Section
from openpollen.engines.music.styles import STYLES, Style
from openpollen.engines.music.theory import MINOR_MODES, Chord, chord, scale_classes

#: How a mode colours the chords of its family.
_SUBSTITUTES: dict[str, dict[str, str]] = {
    "dorian": {"iv": "IV", "iv7": "IV7", "iv9": "IV9", "bVI": "IV", "bVImaj7": "IV7"},
    "phrygian": {"V": "bII", "V7": "bII", "ii": "bII", "iv": "bII", "v": "bvii"},
    "lydian": {"IV": "II", "IVmaj7": "II", "IVadd9": "II", "IVmaj9": "II"},
    "mixolydian": {"V": "bVII", "V7": "v7", "Imaj7": "I7", "Imaj9": "I9", "vi": "bVII"},
}
_POPULAR_TONICS = (0, 2, 3, 4, 5, 7, 9, 10)


@dataclass(frozen=True)
class Plan:
    """Everything that is settled before notes are written. ``bar_beats`` has the beats of each bar (the last may be cut
    short to meet the length); ``beat`` is seconds per beat; the final chord sounds from the end of the last bar."""

    style_name: str
    mood_name: str
    style: Style
    mood: Mood
    seconds: float
    tempo: float
    meter: int
    tonic: int
    mode: str
    bar_beats: tuple[int, ...]
    ring: float
    lead: str
    second: str
    chords: str
    pad: str
    bass: str
    kit: str
    sections: tuple[Section, ...]
    harmony: tuple[tuple[Chord, ...], ...]

    @property
    def beat(self) -> float:
        return 60.0 / self.tempo

    @property
    def scale(self) -> tuple[int, ...]:
        return scale_classes(self.tonic, self.mode)

    @property
    def density(self) -> float:
        return min(1.0, max(0.1, self.style.density + self.mood.density))


def make_plan(brief: Brief, seconds: float, rng: Random) -> Plan:
    """Settle what the prompt leaves open, by chance within the style."""
    style_name = brief.style or rng.choice(["pop", "folk", "classical", "lofi", "cinematic", "synthwave"])
    style, mood = STYLES[style_name], MOODS.get(brief.mood, NEUTRAL)
    meter = brief.meter or style.meter
    mode = brief.mode or _mode(style, mood, rng)
    tonic = brief.tonic if brief.tonic is not None else rng.choice(_POPULAR_TONICS)
    tempo = brief.tempo or rng.uniform(*style.tempo) * mood.tempo * brief.pace
    ring = min(4.5 if style_name == "ambient" else 3.0, max(0.8, 0.2 * seconds))
    tempo, bar_beats = _bars(seconds - ring, tempo, meter, exact=brief.tempo is not None)
    ring = seconds - sum(bar_beats) * 60.0 / tempo
    sections = _form(len(bar_beats), calm=mood.soft_drums or style_name in ("ambient", "lullaby"))
    players = _Ensemble(brief, style, mood, rng)
    return Plan(
        style_name=style_name, mood_name=brief.mood, style=style, mood=mood, seconds=seconds, tempo=tempo, meter=meter,
        tonic=tonic, mode=mode, bar_beats=bar_beats, ring=ring, lead=players.lead, second=players.second,
        chords=players.chords, pad=players.pad, bass=players.bass, kit=players.kit, sections=sections,
        harmony=_harmony(style, tonic, mode, sections, rng),
    )  # fmt: skip


def _mode(style: Style, mood: Mood, rng: Random) -> str:
    if mood.mode:
        return mood.mode
    if style.colour == "phrygian":
        return "phrygian"
    usual = style.mode if rng.random() < 0.88 else ("minor" if style.mode == "major" else "major")
    return "mixolydian" if style.colour == "blues" and usual == "major" else usual


def _bars(room: float, tempo: float, meter: int, exact: bool) -> tuple[float, tuple[int, ...]]:
    """Bars that fill ``room`` seconds: the tempo gives a little, or, when it was asked for, the last bar is shorter."""
    if exact:
        beats = max(1, int(room * tempo / 60.0))
        whole, rest = divmod(beats, meter)
        return tempo, (meter,) * whole + ((rest,) if rest else ())
    bars = max(1, round(room * tempo / 60.0 / meter))
    return bars * meter * 60.0 / room, (meter,) * bars


def _form(bars: int, calm: bool) -> tuple[Section, ...]:
    """Intro, alternating A and B, outro; short pieces are one section."""
    if bars < 6:
        return (Section("A", 0, bars, 0.75),)
    intro = 4 if bars >= 20 else 2 if bars >= 10 else 0
    outro = 4 if bars >= 28 else 2 if bars >= 12 else 0
    block = 8 if bars >= 24 else 4
    lengths = [block] * ((bars - intro - outro) // block)
    rest = (bars - intro - outro) % block
    if rest >= 4 or not lengths:
        lengths.append(rest)
    else:
        lengths[-1] += rest  # a section of a bar or two would only stumble
    names = ["A", "B"] if len(lengths) < 4 else ["A", "A", "B"]
    sections: list[Section] = [Section("intro", 0, intro, 0.4)] if intro else []
    place = intro
    for number, length in enumerate(lengths):
        name = names[number % len(names)]
        growth = 0.2 * number / max(1, len(lengths) - 1)
        energy = (0.62 if name == "A" else 0.8) + growth
        sections.append(Section(name, place, length, min(1.0, energy) * (0.85 if calm else 1.0)))
        place += length
    if outro:
        sections.append(Section("outro", place, outro, 0.5))
    return tuple(sections)


def _harmony(
    style: Style, tonic: int, mode: str, sections: tuple[Section, ...], rng: Random
) -> tuple[tuple[Chord, ...], ...]:
    minor = mode in MINOR_MODES
    progressions = [text.split() for text in (style.minor if minor else style.major)]
    if style.colour == "blues":
        progressions = [[numeral for progression in progressions for numeral in progression]]
    first = rng.randrange(len(progressions))
    chosen = {"A": progressions[first], "B": progressions[(first + 1) % len(progressions)]}
    swaps = _SUBSTITUTES.get(mode, {})

    def bar(text: str) -> tuple[Chord, ...]:
        return tuple(chord(swaps.get(part, part), tonic, style.sevenths) for part in text.split("/"))

    bars: list[tuple[Chord, ...]] = []
    for section in sections:
        progression = chosen.get(section.name, chosen["A"])
        bars += [bar(progression[number % len(progression)]) for number in range(section.bars)]
    if len(bars) > 1:
        ending = {"V": "V7" if style.sevenths else "V", "IV": "iv" if minor else "IV", "bVII": "bVII"}[style.ending]
        bars[-1] = bar(ending)
    home = "i" if minor else "I"
    final = chord(home + ("6" if style.colour == "blues" else "add9" if style.sevenths else ""), tonic)
    return (*bars, (final,))


class _Ensemble:
    """Who plays what: the instruments that the prompt names take the parts they can, the style fills the rest."""

    def __init__(self, brief: Brief, style: Style, mood: Mood, rng: Random) -> None:
        self._named = list(brief.instruments)
        self._excluded = brief.excluded
        natural: dict[Ability, str] = {ability: self._take(ability, 1) for ability in ("bass", "chords", "lead", "pad")}
        bass, chords, lead, pad = (natural[a] or self._take(a, 3) for a in ("bass", "chords", "lead", "pad"))
        alone = brief.solo and bool(brief.instruments)
        self.chords = chords or ("" if alone and (lead or pad) else self._usual(style.chords, rng))
        self.lead = lead or (chords or pad if chords or pad else self._usual(style.lead, rng)) or self.chords
        self.second = next((name for name in self._named if "bass" not in INSTRUMENTS[name].abilities), "")
        self.pad = pad or ("" if alone else self._usual((*style.pad, *((mood.pad,) if mood.pad else ())), rng))
        self.bass = bass or ("" if alone or "electric bass" in self._excluded else self._usual(style.bass, rng))
        wanted = brief.drums if brief.drums is not None else not alone
        kit = style.kit or ("standard" if brief.drums else "")
        self.kit = kit if wanted else ""

    def _take(self, ability: Ability, depth: int) -> str:
        """The named instrument to which this part comes most naturally, among its first ``depth`` abilities."""
        for rank in range(depth):
            for name in self._named:
                if INSTRUMENTS[name].abilities[rank : rank + 1] == (ability,):
                    self._named.remove(name)
                    return name
        return ""

    def _usual(self, names: tuple[str, ...], rng: Random) -> str:
        free = [name for name in names if name not in self._excluded]
        return rng.choice(free) if free else ""
