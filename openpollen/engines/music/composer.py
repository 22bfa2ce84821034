"""``compose``: a prompt, a length and a seed become a score. Pure: the same three give the same notes."""

from __future__ import annotations

import hashlib
from random import Random

from openpollen.engines.music import parts
from openpollen.engines.music.instruments import INSTRUMENTS
from openpollen.engines.music.parts import Event
from openpollen.engines.music.patterns import DRUM_KEYS
from openpollen.engines.music.plan import Plan, make_plan
from openpollen.engines.music.prompt import read_prompt
from openpollen.engines.music.score import Note, Score, Track
from openpollen.engines.music.theory import nearest, voicing

#: Level and place (0 left, 1 right) of each part.
_MIX: dict[str, tuple[float, float]] = {
    "lead": (0.95, 0.62), "chords": (0.62, 0.24), "pad": (0.42, 0.5), "bass": (0.92, 0.5), "second": (0.55, 0.82),
    "drums": (0.85, 0.5),
}  # fmt: skip
_CALM_KITS = ("brush", "jazz")


def compose(prompt: str, seconds: float, seed: int) -> Score:
    """Compose a piece of exactly ``seconds`` for ``prompt``. Another ``seed`` gives another piece of the same kind."""
    digest = hashlib.sha256(f"{prompt}\0{seed}".encode()).digest()
    rng = Random(int.from_bytes(digest[:8], "big"))
    plan = make_plan(read_prompt(prompt), seconds, rng)
    written = {"lead": parts.melody(plan, rng)}
    if plan.chords:
        written["chords"] = parts.comping(plan, rng)
    if plan.bass:
        written["bass"] = parts.bass(plan, rng)
    if plan.pad:
        written["pad"] = parts.pad(plan)
    if plan.second:
        written["second"] = parts.second_voice(plan)
    if plan.kit:
        written["drums"] = parts.drums(plan, rng)
    players = {"lead": plan.lead, "chords": plan.chords, "bass": plan.bass, "pad": plan.pad, "second": plan.second}
    tracks: list[Track] = []
    for role, events in written.items():
        notes = _timed(plan, events, rng, legato=role in ("pad", "lead", "second"))
        notes += _final(plan, role, players.get(role, ""), events, rng)
        level, pan = _MIX[role]
        name = plan.kit if role == "drums" else players[role]
        gain = level * (1.0 if role == "drums" else INSTRUMENTS[name].gain)
        tracks.append(Track(role, name, pan, gain, tuple(sorted(notes, key=lambda note: note.start))))
    return Score(
        prompt=prompt, seed=seed, style=plan.style_name, mood=plan.mood_name, tempo=plan.tempo, meter=plan.meter,
        tonic=plan.tonic, mode=plan.mode, seconds=seconds, ring=plan.ring, reverb=plan.style.reverb,
        sections=plan.sections, harmony=plan.harmony, tracks=tuple(tracks),
    )  # fmt: skip


def _timed(plan: Plan, events: list[Event], rng: Random, legato: bool) -> list[Note]:
    """From beats to seconds: swing, a player's small unevenness, and loudness by the mood."""
    starts = [0.0]
    for beats in plan.bar_beats:
        starts.append(starts[-1] + beats * plan.beat)
    end = starts[-1]
    spread = plan.style.loose / 1000
    notes: list[Note] = []
    for event in events:
        late = max(-2.5 * spread, min(2.5 * spread, rng.gauss(0, spread))) if spread else 0.0
        start = starts[event.bar] + _swung(event.beat, plan.style.swing) * plan.beat
        start = max(0.0, start + late + event.late)
        length = max(0.06, event.length * plan.beat * (0.98 if legato else 0.9))
        if start < end - 0.02:
            notes.append(Note(start, min(length, end + 0.05 - start), event.key, _velocity(plan, event.force, rng)))
    return notes


def _swung(beat: float, swing: float) -> float:
    """Where a place in a beat falls when the second eighth comes at ``swing`` of the beat."""
    whole, part = divmod(beat, 1.0)
    return whole + (2 * part * swing if part < 0.5 else swing + (2 * part - 1) * (1 - swing))


def _velocity(plan: Plan, force: float, rng: Random) -> float:
    spread = 0.0 if plan.style.loose == 0 else 0.035
    return min(1.0, max(0.12, force * (0.62 + 0.42 * plan.mood.force) + rng.gauss(0, spread)))


def _final(plan: Plan, role: str, name: str, events: list[Event], rng: Random) -> list[Note]:
    """The last chord: everyone lands on it together and lets it ring; quiet pieces leave the cymbal out."""
    start = plan.seconds - plan.ring
    home = plan.harmony[-1][0]
    hold = plan.ring * 0.8
    soft = plan.mood.soft_drums or plan.kit in _CALM_KITS
    if role == "drums":
        keys = [DRUM_KEYS["kick"]] + ([] if soft else [DRUM_KEYS["crash"]])
    elif role == "bass":
        lowest = INSTRUMENTS[name].low + (8 if name in ("cello", "timpani", "trombone") else 0)
        keys = [lowest + (home.root - lowest) % 12]
    elif role in ("chords", "pad"):
        low, high = max(INSTRUMENTS[name].low, 48), min(INSTRUMENTS[name].high, 79)
        previous = [event.key for event in events[-4:]]
        keys = list(voicing(home, previous, low, high, 4))
    else:
        keys = [nearest(events[-1].key, home.classes[:1] if role == "lead" else home.classes[1:3])] if events else []
    force = 0.8 if role != "pad" else 0.65
    return [Note(start + 0.014 * i, hold - 0.014 * i, key, _velocity(plan, force, rng)) for i, key in enumerate(keys)]
