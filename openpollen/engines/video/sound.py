"""The sound of a scene: wind, rain, surf, crickets and the like from shaped noise, under composed music."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..music import ComposerEngine, render
from ..scene.paint import f32
from ..scene.types import Plan

RATE = 44_100
_LOOP = 8  # seconds of noise that repeat without a seam
Samples = NDArray[np.float32]
Rng = np.random.Generator

_INDOORS = frozenset({"room", "kitchen", "stage"})
_MIN_MUSIC = 3.0  # seconds; shorter films get the start of a piece this long


def _noise(rng: Rng, low: float, high: float, slope: float = 0.0) -> Samples:
    """A seamless loop of stereo noise between two frequencies in Hz, its power falling with frequency by `slope`."""
    count = _LOOP * RATE
    hz = np.fft.rfftfreq(count, 1 / RATE)
    gate = 1 / (1 + (low / np.maximum(hz, 1)) ** 4) / (1 + (hz / high) ** 4) * np.maximum(hz, 20) ** -slope
    sides: list[NDArray[np.float64]] = []
    for _ in range(2):
        wave = np.fft.irfft(gate * np.exp(2j * np.pi * rng.random(hz.size)), count)
        sides.append(wave / (np.abs(wave).std() * 3 + 1e-9))
    return np.stack(sides, axis=1).astype(np.float32)


def _looped(loop: Samples, count: int) -> Samples:
    return np.tile(loop, (count // len(loop) + 1, 1))[:count]


def _swell(count: int, period: float, phase: float, low: float) -> Samples:
    t = np.arange(count, dtype=np.float32) / np.float32(RATE)
    return f32(low + (1 - low) * (0.5 + 0.5 * np.sin(2 * np.pi * (t / period + phase))) ** 2)[:, None]


def _wind(rng: Rng, count: int) -> Samples:
    gusts = np.float32(0.6) * _swell(count, 5.3, rng.random(), 0.3) + np.float32(0.4) * _swell(
        count, 2.9, rng.random(), 0.2
    )
    return f32(_looped(_noise(rng, 90, 620, 0.35), count) * gusts)


def _rain(rng: Rng, count: int) -> Samples:
    return _looped(_noise(rng, 900, 9000, 0.1), count) * np.float32(0.7)


def _surf(rng: Rng, count: int) -> Samples:
    near = _swell(count, 6.5, rng.random(), 0.12)
    wash = _looped(_noise(rng, 120, 2600, 0.45), count) * near
    return f32(wash + _looped(_noise(rng, 40, 300, 0.4), count) * 0.35)


def _hum(rng: Rng, count: int) -> Samples:
    return _looped(_noise(rng, 35, 420, 0.55), count) * _swell(count, 7.7, rng.random(), 0.6)


def _deep(rng: Rng, count: int) -> Samples:
    out = _looped(_noise(rng, 30, 260, 0.6), count) * _swell(count, 6.1, rng.random(), 0.5)
    for _ in range(max(2, int(count / RATE * 1.6))):
        _chirp(out, rng, 320 + 260 * rng.random(), 700 + 500 * rng.random(), 0.07 + 0.06 * rng.random(), 0.16)
    return out


def _space(rng: Rng, count: int) -> Samples:
    t = np.arange(count, dtype=np.float32)[:, None] / RATE
    tone = np.sin(2 * np.pi * 55 * t) + 0.6 * np.sin(2 * np.pi * 82.6 * t + np.sin(t * 0.7))
    return f32(tone * 0.22 * _swell(count, 9.0, 0.1, 0.5) + _hum(rng, count) * np.float32(0.4))


def _crickets(rng: Rng, count: int) -> Samples:
    t = np.arange(count, dtype=np.float32) / RATE
    out = np.zeros((count, 2), np.float32)
    for pitch, rate, side in ((4150, 2.1, 0.3), (4620, 1.7, 0.75)):
        pulses = np.clip(np.sin(2 * np.pi * 31 * t), 0, 1) * (np.sin(2 * np.pi * (rate * t + rng.random())) > 0.1)
        voice = (np.sin(2 * np.pi * pitch * t) * pulses * 0.32).astype(np.float32)
        out += voice[:, None] * np.array([1 - side, side], np.float32)
    return out


def _birds(rng: Rng, count: int) -> Samples:
    out = _wind(rng, count) * np.float32(0.25)
    for _ in range(max(2, int(count / RATE * 0.9))):
        start, pitch = int(rng.random() * count), 2300 + 1900 * rng.random()
        for note in range(int(rng.integers(2, 5))):
            _chirp(
                out,
                rng,
                pitch * (1 + 0.1 * note),
                pitch * (0.8 + 0.5 * rng.random()),
                0.07,
                0.3,
                start + int(note * 0.13 * RATE),
            )
    return out


def _fire(rng: Rng, count: int) -> Samples:
    out = _looped(_noise(rng, 60, 500, 0.5), count) * np.float32(0.3)
    for _ in range(int(count / RATE * 9)):
        at = int(rng.random() * count)
        long = min(count - at, int(RATE * (0.004 + 0.012 * rng.random())))
        snap = rng.standard_normal(long).astype(np.float32) * np.exp(-np.arange(long) / (long * 0.25)).astype(
            np.float32
        )
        out[at : at + long] += snap[:, None] * np.float32(0.35 * rng.random())
    return out


def _thunder(rng: Rng, count: int) -> Samples:
    out = np.zeros((count, 2), np.float32)
    rumble = _noise(rng, 28, 190, 0.5)
    for _ in range(max(1, int(count / RATE / 7))):
        at = int(rng.random() * count * 0.7)
        long = min(count - at, len(rumble), int(3.5 * RATE))
        t = np.arange(long, dtype=np.float32) / RATE
        out[at : at + long] += (
            rumble[:long] * (np.minimum(t / 0.08, 1) * np.exp(-t / 1.1))[:, None].astype(np.float32) * 1.5
        )
    return out


def _chirp(
    out: Samples, rng: Rng, first: float, last: float, seconds: float, level: float, at: int | None = None
) -> None:
    """A short gliding tone added to `out` at a random or given place."""
    start = int(rng.random() * len(out)) if at is None else at
    long = min(len(out) - start, int(seconds * RATE))
    if long <= 8:
        return
    t = np.linspace(0, 1, long, dtype=np.float32)
    phase = 2 * np.pi * np.cumsum(first + (last - first) * t) / RATE
    side = np.float32(rng.random())
    voice = (np.sin(phase) * np.sin(np.pi * t) ** 2 * level).astype(np.float32)
    out[start : start + long] += voice[:, None] * np.array([1 - side, side], np.float32)


def ambience(plan: Plan, seconds: float, rng: Rng) -> Samples:
    """The place's own sound, stereo at 44.1 kHz."""
    count = max(1, round(seconds * RATE))
    voices: list[tuple[Callable[[Rng, int], Samples], float]] = []
    if plan.weather in ("rain", "storm") and plan.setting not in ("space", "underwater"):
        voices.append((_rain, 0.16 if plan.setting in _INDOORS else 0.4))
    if plan.weather == "storm":
        voices.append((_thunder, 0.6))
    if plan.weather in ("wind", "storm", "snow") or plan.setting in ("mountain", "snow", "desert", "sky"):
        voices.append((_wind, 0.34))
    if plan.setting in ("sea", "beach"):
        voices.append((_surf, 0.5))
    by_setting: dict[str, tuple[Callable[[Rng, int], Samples], float]] = {
        "space": (_space, 0.4),
        "underwater": (_deep, 0.5),
        "city": (_hum, 0.4),
        "room": (_fire, 0.3),
        "kitchen": (_hum, 0.12),
        "stage": (_hum, 0.15),
    }
    if plan.setting in by_setting:
        voices.append(by_setting[plan.setting])
    elif plan.setting in ("forest", "jungle", "meadow", "farm") and plan.weather != "storm":
        voices.append((_crickets, 0.16) if plan.time in ("night", "dusk") else (_birds, 0.34))
    out = np.zeros((count, 2), np.float32)
    for voice, level in voices:
        out += voice(rng, count) * np.float32(level)
    return out


def soundtrack(plan: Plan, seconds: float, seed: int) -> Samples:
    """Music for the prompt over the place's own sound, exactly as long as the film, faded at both ends.

    Without the synthesiser for music there is the place's sound alone.
    """
    count = max(1, round(seconds * RATE))
    mix = ambience(plan, seconds, np.random.default_rng(seed % 2**64)) * np.float32(0.5)
    if not ComposerEngine().missing():
        music = render(f"{plan.prompt} {_mood(plan)}"[:2000], max(_MIN_MUSIC, seconds), seed)
        mix += music[:count] * np.float32(0.75)
    edge = min(count // 2, int(0.25 * RATE))
    if edge > 0:
        fade = np.linspace(0, 1, edge, dtype=np.float32)[:, None]
        mix[:edge] *= fade
        mix[count - edge :] *= fade[::-1]
    loudest = float(np.abs(mix).max())
    return mix * np.float32(0.89 / loudest) if loudest > 0.89 else mix


def _mood(plan: Plan) -> str:
    """Words that lead the composer where the picture goes."""
    if plan.weather == "storm":
        return "dramatic"
    if plan.setting in ("space", "underwater"):
        return "ambient dreamy"
    if plan.setting == "city":
        return "jazz" if plan.time in ("night", "dusk") else "upbeat"
    return "calm" if plan.time in ("night", "dusk", "dawn") else "gentle happy"
