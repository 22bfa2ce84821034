"""Writes the parts of a piece in beats: melody from a varied motif, chords, bass, pad, a second voice and drums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from openpollen.engines.music.instruments import INSTRUMENTS
from openpollen.engines.music.patterns import ACCENTS, BASSES, COMPS, DRUM_FORCE, DRUM_KEYS, FILLS, Stroke
from openpollen.engines.music.plan import Plan
from openpollen.engines.music.score import Section
from openpollen.engines.music.theory import Chord, nearest, step, voicing


class Event(NamedTuple):
    """A note in the bar grid: ``beat`` from the start of ``bar``, ``length`` in beats, ``late`` seconds after the beat."""

    bar: int
    beat: float
    length: float
    key: int
    force: float
    late: float = 0.0


class Cell(NamedTuple):
    """One note of a motif: place and length in beats, and scale steps from the note before."""

    beat: float
    length: float
    steps: int


_STRUMMED = ("guitar", "ukulele", "banjo", "mandolin", "harp", "koto")
_STRUM_SECONDS = 0.013


def bars_of(plan: Plan) -> Iterator[tuple[Section, int, int]]:
    """``(section, number within it, bar)`` of every bar."""
    for section in plan.sections:
        for number in range(section.bars):
            yield section, number, section.first_bar + number


def chord_at(plan: Plan, bar: int, beat: float) -> Chord:
    chords = plan.harmony[bar]
    return chords[min(len(chords) - 1, int(beat * len(chords) / plan.meter))]


def local_scale(plan: Plan, target: Chord) -> tuple[int, ...]:
    """The key's scale, bent where the chord borrows a note: the borrowed note replaces its neighbours."""
    scale = set(plan.scale)
    if plan.style.colour == "blues":
        scale = {(plan.tonic + interval) % 12 for interval in (0, 3, 5, 6, 7, 10)}
    for borrowed in set(target.classes) - scale:
        scale -= {(borrowed + side) % 12 for side in (1, -1)} - set(target.classes)
        scale.add(borrowed)
    return tuple(sorted(scale))


def melody(plan: Plan, rng: Random) -> list[Event]:
    """The lead: each section letter has its motif, played in four-bar phrases as motif, answer, motif, cadence."""
    instrument = INSTRUMENTS[plan.lead]
    centre = min(instrument.high - 8, max(instrument.low + 8, 72 + plan.mood.register))
    low, high = max(instrument.low, centre - 12), min(instrument.high, centre + 12)
    motifs = {name: _motif(plan, rng, shift) for name, shift in (("A", 0.0), ("B", 0.12))}
    events: list[Event] = []
    key = nearest(centre, plan.harmony[0][0].classes)
    for section, number, bar in bars_of(plan):
        if section.name in ("intro", "outro") and not (section.name == "outro" and number == 0):
            continue
        place = number % 4
        cells = motifs["A" if section.name == "outro" else section.name]
        if place == 1:
            cells = _answer(cells, rng)
        elif place == 3 or bar + 1 == len(plan.bar_beats):
            cells = _cadence(cells, plan.bar_beats[bar])
        for cell in cells:
            if cell.beat >= plan.bar_beats[bar]:
                continue
            target = chord_at(plan, bar, cell.beat)
            key = _bounded(step(key, cell.steps, local_scale(plan, target)), low, high)
            if cell.beat % 2 == 0 or cell.length >= 1.5:
                key = nearest(key, target.classes)
            key = _bounded(key, low, high)
            accent = 0.92 if cell.beat % 1 == 0 else 0.8
            arch = 0.9 + 0.1 * (1 - abs(place - 1.5) / 1.5)  # a phrase swells to its middle
            length = min(cell.length, plan.bar_beats[bar] - cell.beat + 0.5)
            events.append(Event(bar, cell.beat, length, key, accent * arch * (0.75 + 0.25 * section.energy)))
    return events


def _motif(plan: Plan, rng: Random, extra: float) -> tuple[Cell, ...]:
    """One bar of rhythm and contour; the denser the style, the more of the weak places have a note."""
    density = min(1.0, plan.density + extra)
    grid = [0.5 * number for number in range(plan.meter * 2)]
    if density > 0.7 and plan.tempo < 130:
        grid = [0.25 * number for number in range(plan.meter * 4)]
    onsets = [
        place
        for place in grid
        if rng.random() < density * (1.35 if place % 1 == 0 else 0.7 if place % 0.5 == 0 else 0.35)
    ]
    if not onsets or onsets[0] > 1:
        onsets = sorted({rng.choice((0.0, 0.0, 0.5)), *onsets})
    ends = [*onsets[1:], float(plan.meter)]
    steps = [0] + [rng.choice((-2, -1, -1, -1, 1, 1, 1, 2, 3, 0)) for _ in onsets[1:]]
    if abs(sum(steps)) > 4:
        steps = [-value if number % 2 else value for number, value in enumerate(steps)]
    return tuple(Cell(on, min(end - on, 3.0), value) for on, end, value in zip(onsets, ends, steps, strict=True))


def _answer(cells: Sequence[Cell], rng: Random) -> tuple[Cell, ...]:
    """The motif with its second half turned round, sometimes with a note left out."""
    half = len(cells) // 2
    turned = [cell._replace(steps=-cell.steps) if number >= half else cell for number, cell in enumerate(cells)]
    if len(turned) > 3 and rng.random() < 0.4:
        gone = rng.randrange(1, len(turned))
        before = turned[gone - 1]
        turned[gone - 1] = before._replace(length=before.length + turned[gone].length)
        del turned[gone]
    return tuple(turned)


def _cadence(cells: Sequence[Cell], beats: int) -> tuple[Cell, ...]:
    """The first half of the motif, then a long note."""
    middle = beats / 2
    kept = [cell for cell in cells if cell.beat < middle]
    kept = [cell._replace(length=min(cell.length, middle - cell.beat)) for cell in kept]
    return (*kept, Cell(middle, beats - middle, -1))


def _bounded(key: int, low: int, high: int) -> int:
    while key > high:
        key -= 12
    while key < low:
        key += 12
    return key


def comping(plan: Plan, rng: Random) -> list[Event]:
    """Chords in the way of the style, led from one to the next by the shortest way."""
    instrument = INSTRUMENTS[plan.chords]
    low, high = max(instrument.low, 48), min(instrument.high, 76)
    if plan.style.comp in ("eighths", "gallop") and "guitar" in plan.chords:
        low, high = instrument.low, 62  # power chords lie low
    name = plan.style.comp if not (plan.meter == 4 and "waltz" in plan.style.comp) else "fingerpick"
    name = "waltz" if plan.meter == 3 and "waltz" not in name else name
    chosen = {section.name: rng.choice(COMPS[name]) for section in plan.sections}
    strummed = any(word in plan.chords for word in _STRUMMED) and name not in ("fingerpick", "eighths", "gallop")
    events: list[Event] = []
    keys: tuple[int, ...] = ()
    for section, _, bar in bars_of(plan):
        last: Chord | None = None
        for stroke in chosen[section.name]:
            if stroke.beat >= plan.bar_beats[bar]:
                continue
            target = chord_at(plan, bar, stroke.beat)
            if target is not last:
                keys, last = _voiced(plan, target, keys, low, high, name), target
            force = stroke.force * (0.7 + 0.3 * section.energy)
            sounding = _pick(keys, stroke.part)
            if strummed and stroke.beat % 1:
                sounding = sounding[::-1]
            for number, key in enumerate(sounding):
                late = number * _STRUM_SECONDS if strummed else 0.0
                events.append(Event(bar, stroke.beat, stroke.length, key, force, late))
    return events


def _voiced(plan: Plan, target: Chord, previous: Sequence[int], low: int, high: int, name: str) -> tuple[int, ...]:
    if name in ("eighths", "gallop") and "distorted" in plan.chords:  # thirds turn to mud under distortion
        root = low + (target.root - low) % 12
        return (root, root + 7, root + 12)
    return voicing(target, previous, low, high, 4)


def _pick(keys: tuple[int, ...], part: str) -> tuple[int, ...]:
    if part == "all":
        return keys
    if part == "top":
        return keys[1:] if len(keys) > 2 else keys
    number = int(part)
    octave, place = divmod(number, len(keys))
    return (keys[place] + 12 * octave,)


def bass(plan: Plan, rng: Random) -> list[Event]:
    """The bass: roots and their neighbours in the pattern of the style, with steps towards the next root."""
    instrument = INSTRUMENTS[plan.bass]
    lowest = instrument.low + (8 if plan.bass in ("cello", "timpani", "trombone") else 0)
    name = plan.style.bass_line if plan.meter == 4 else "waltz"
    name = "root fifth" if name == "waltz" and plan.meter == 4 else name
    variants = BASSES[name]
    chosen = {section.name: rng.choice(variants) for section in plan.sections}
    events: list[Event] = []
    for section, number, bar in bars_of(plan):
        if section.name == "intro" and number < section.bars // 2:
            continue
        pattern = rng.choice(variants) if name == "walking" else chosen[section.name]
        if name == "waltz":
            pattern = variants[number % 2]
        for stroke in pattern:
            if stroke.beat < plan.bar_beats[bar]:
                key = _bass_key(plan, bar, stroke, lowest)
                length = min(stroke.length, plan.bar_beats[bar] - stroke.beat)
                events.append(Event(bar, stroke.beat, length, key, stroke.force * (0.75 + 0.25 * section.energy)))
    return events


def _bass_key(plan: Plan, bar: int, stroke: Stroke, lowest: int) -> int:
    target = chord_at(plan, bar, stroke.beat)
    root = lowest + (target.root - lowest) % 12
    third = next((pitch for pitch in target.classes[1:] if (pitch - target.root) % 12 in (3, 4)), target.classes[1])
    match stroke.part:
        case "3":
            return root + (third - target.root) % 12
        case "5":
            return root + (target.classes[min(2, len(target.classes) - 1)] - target.root) % 12
        case "6":
            return root + 9
        case "7":
            return root + 10
        case "8":
            return root + 12
        case "n":
            following = plan.harmony[bar + 1][0].root
            goal = lowest + (following - lowest) % 12
            return goal - 1 if goal > root else goal + 1
        case _:
            return root


def pad(plan: Plan) -> list[Event]:
    """Long chords behind everything, tied over where the chord stays."""
    instrument = INSTRUMENTS[plan.pad]
    events: list[Event] = []
    keys: tuple[int, ...] = ()
    for section, _, bar in bars_of(plan):
        chords = plan.harmony[bar]
        span = plan.bar_beats[bar] / len(chords)
        for number, target in enumerate(chords):
            keys = voicing(target, keys, max(instrument.low, 50), min(instrument.high, 79), 4)
            force = 0.5 + 0.35 * section.energy
            events += [Event(bar, number * span, span, key, force) for key in keys]
    return events


def second_voice(plan: Plan) -> list[Event]:
    """A quieter second instrument: a long line of guide tones in the sections that are fuller."""
    instrument = INSTRUMENTS[plan.second]
    key = (instrument.low + instrument.high) // 2
    events: list[Event] = []
    for section, _, bar in bars_of(plan):
        if section.name == "intro":
            continue
        target = plan.harmony[bar][0]
        key = _bounded(nearest(key, target.classes[1:3]), instrument.low, instrument.high)
        events.append(Event(bar, 0, plan.bar_beats[bar] / 2, key, 0.7 * section.energy))
        passing = step(key, 1 if bar % 2 else -1, local_scale(plan, target))
        events.append(Event(bar, plan.bar_beats[bar] / 2, plan.bar_beats[bar] / 2, passing, 0.6 * section.energy))
    return events


def drums(plan: Plan, rng: Random) -> list[Event]:
    """The kit: the style's pattern, thinner at the ends of the piece, a fill before each new section, a crash after it."""
    grooves = plan.style.drums or {"kick": "x.......x.......", "snare": "....x.......x...", "hat": "x.x.x.x.x.x.x.x."}
    soft = 0.6 if plan.mood.soft_drums else 1.0
    events: list[Event] = []
    for section, number, bar in bars_of(plan):
        thin = section.name in ("intro", "outro")
        last = number + 1 == section.bars and bar + 1 < len(plan.bar_beats)
        steps = min(16, plan.bar_beats[bar] * 4)
        fill = rng.choice(FILLS) if last and not thin and plan.meter == 4 and soft == 1.0 and steps == 16 else None
        for drum, pattern in grooves.items():
            if thin and drum in ("kick", "snare", "clap", "crash") and number < section.bars // 2:
                continue
            for place, mark in enumerate(pattern[: 8 if fill and drum not in ("kick", "hat") else steps]):
                if mark in ACCENTS:
                    events.append(_hit(bar, place / 4, drum, ACCENTS[mark] * soft * (0.65 + 0.35 * section.energy)))
        if fill:
            for drum, pattern in fill.items():
                events += [
                    _hit(bar, 2 + i / 4, drum, ACCENTS[m] * (0.7 + 0.3 * i / 8))
                    for i, m in enumerate(pattern)
                    if m in ACCENTS
                ]
        if number == 0 and bar and not thin and soft == 1.0:
            events.append(_hit(bar, 0, "crash", 0.9 * section.energy))
    return events


def _hit(bar: int, beat: float, drum: str, force: float) -> Event:
    return Event(bar, beat, 0.25, DRUM_KEYS[drum], force * DRUM_FORCE.get(drum, 0.9))
