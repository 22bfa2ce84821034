"""From a score to sound: soundfont synthesis, a room, loudness and fades."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openpollen.engines.music.composer import compose
from openpollen.engines.music.instruments import DRUM_BANK, INSTRUMENTS, KITS
from openpollen.engines.music.score import Score

RATE = 44_100
Samples = NDArray[np.float32]

_LOUDNESS = -16.0  # dB, mean square of both channels summed, without frequency weighting
_CEILING = 10 ** (-1.2 / 20)
_DRUM_CHANNEL = 9
_LOCK = threading.Lock()


def soundfont_path() -> Path:
    """The vendored soundfont."""
    return Path(__file__).parents[1] / "assets" / "soundfont" / "composer.sf3"


def render(prompt: str, seconds: float, seed: int) -> Samples:
    """Compose and play: float32 ``[round(seconds * 44100), 2]`` at 44.1 kHz, peaks below -1 dBFS, silent at the end."""
    return play(compose(prompt, seconds, seed))


def play(score: Score, check: Callable[[], None] = lambda: None) -> Samples:
    """The sound of a score. ``check`` is called between steps and may raise to stop."""
    dry = _synthesise(score, check)
    check()
    wet = _room(dry, score.reverb)
    check()
    return _master(wet, score)


def _binding() -> Any:
    """The synthesiser's compiled module, which has no types."""
    return import_module("tinysoundfont._tinysoundfont")


@lru_cache(maxsize=1)
def _soundfont() -> Any:
    return _binding().SoundFont(soundfont_path().read_bytes())


def load() -> None:
    """Read the soundfont into memory (0.8 s of CPU, about 130 MB); later calls do nothing."""
    with _LOCK:
        _soundfont()


def unload() -> None:
    """Let the soundfont go."""
    _soundfont.cache_clear()


def _synthesise(score: Score, check: Callable[[], None]) -> Samples:
    load()
    binding = _binding()
    synth = binding.SoundFont(_soundfont())  # a clone shares the samples and has voices of its own
    synth.set_output(binding.OutputMode.StereoInterleaved, RATE, -8.0)
    synth.set_max_voices(192)
    events = _wire(score, synth)
    total = round(score.seconds * RATE)
    sound = np.zeros((total, 2), np.float32)
    place = 0
    for number, (time, on, channel, key, velocity) in enumerate(events):
        moment = min(total, round(time * RATE))
        if moment > place:
            synth.render(sound[place:moment].view(np.uint8).reshape(-1), False)
            place = moment
        if on:
            synth.channel_note_on(channel, key, velocity)
        else:
            synth.channel_note_off(channel, key)
        if number % 64 == 0:
            check()
    if place < total:
        synth.render(sound[place:].view(np.uint8).reshape(-1), False)
    return sound


def _wire(score: Score, synth: Any) -> list[tuple[float, bool, int, int, float]]:
    """Set a channel for each track; every note on and off in order of time, offs before ons."""
    events: list[tuple[float, bool, int, int, float]] = []
    free = iter(channel for channel in range(16) if channel != _DRUM_CHANNEL)
    for track in score.tracks:
        if track.role == "drums":
            channel = _DRUM_CHANNEL
            synth.channel_set_bank(channel, DRUM_BANK)
            synth.channel_set_preset_number(channel, KITS[track.instrument], True)
        else:
            channel = next(free)
            synth.channel_set_bank(channel, INSTRUMENTS[track.instrument].bank)
            synth.channel_set_preset_number(channel, INSTRUMENTS[track.instrument].program, False)
        synth.channel_set_pan(channel, track.pan)
        synth.channel_set_volume(channel, track.gain)
        sounding: dict[int, float] = {}
        for note in sorted(track.notes, key=lambda note: note.start, reverse=True):
            # A key struck again while it sounds is let go first: its end must not cut the new note off.
            end = min(note.start + note.duration, sounding.get(note.key, float("inf")))
            sounding[note.key] = note.start
            events.append((note.start, True, channel, note.key, note.velocity))
            events.append((end, False, channel, note.key, 0.0))
    return sorted(events, key=lambda event: (event[0], event[1]))


@lru_cache(maxsize=1)
def _impulse() -> Samples:
    """Two seconds of a room: noise that dies away, duller with time, different on each side, no bass."""
    rng = np.random.default_rng(7)
    time = np.arange(2 * RATE) / RATE
    noise = rng.standard_normal((time.size, 2))
    spectrum = np.fft.rfft(noise, axis=0)
    pitch = np.fft.rfftfreq(time.size, 1 / RATE)[:, None]
    bright = np.fft.irfft(spectrum * (pitch > 250) / (1 + (pitch / 5500) ** 2), time.size, axis=0)
    dull = np.fft.irfft(spectrum * (pitch > 250) / (1 + (pitch / 1800) ** 2), time.size, axis=0)
    room = bright * np.exp(-time / 0.16)[:, None] + dull * np.exp(-time / 0.5)[:, None]
    room[: int(0.012 * RATE)] = 0  # the first reflection comes after 12 ms
    return (room / np.sqrt((room**2).sum(axis=0))).astype(np.float32)


def _room(dry: Samples, amount: float) -> Samples:
    """Add reverberation; convolution by blocks, so that long pieces need no more memory than short ones."""
    impulse = _impulse()
    size = 1 << 18
    block = size - len(impulse) + 1
    response = np.fft.rfft(impulse, size, axis=0)
    wet = np.zeros((len(dry) + len(impulse), 2), np.float32)
    for start in range(0, len(dry), block):
        piece = np.fft.irfft(np.fft.rfft(dry[start : start + block], size, axis=0) * response, size, axis=0)
        stop = min(len(wet), start + size)
        wet[start:stop] += piece[: stop - start].astype(np.float32)
    wet *= np.float32(amount)
    wet[: len(dry)] += dry
    return wet[: len(dry)]


def _master(sound: Samples, score: Score) -> Samples:
    """Loudness of the parts that sound, a limiter that looks ahead, a short rise and a fall to silence."""
    sound -= sound.mean(axis=0)
    power = (sound.astype(np.float64) ** 2).sum(axis=1)
    blocks = power[: len(power) // 4410 * 4410].reshape(-1, 4410).mean(axis=1) if len(power) >= 4410 else power
    heard = blocks[blocks > blocks.max() * 1e-3]
    if heard.size and heard.max() > 0:
        sound *= np.float32(10 ** (_LOUDNESS / 20) / np.sqrt(heard.mean()))
    sound = _limit(sound)
    rise = min(len(sound) // 4, int(RATE * (0.8 if score.style == "ambient" else 0.004)))
    fall = min(len(sound) // 2, int(RATE * min(2.0, 0.65 * score.ring)))
    sound[:rise] *= np.linspace(0, 1, rise, dtype=np.float32)[:, None]
    sound[len(sound) - fall :] *= (0.5 + 0.5 * np.cos(np.linspace(0, np.pi, fall))).astype(np.float32)[:, None]
    return sound


def _limit(sound: Samples) -> Samples:
    """Keep peaks under the ceiling: the gain of each 2 ms is what its neighbours within 8 ms allow, smoothed."""
    step = 88
    count = -(-len(sound) // step)
    peaks = np.zeros(count * step, np.float32)
    peaks[: len(sound)] = np.abs(sound).max(axis=1)
    needed = np.minimum(1.0, _CEILING / np.maximum(peaks.reshape(count, step).max(axis=1), 1e-9))
    padded = np.pad(needed, 8, mode="edge")
    lowest = np.lib.stride_tricks.sliding_window_view(padded, 9).min(axis=1)
    smooth = np.convolve(lowest, np.ones(9) / 9, mode="valid")
    gain = np.interp(np.arange(len(sound)), np.arange(count) * step + step / 2, smooth)
    return np.clip(sound * gain[:, None].astype(np.float32), -_CEILING, _CEILING).astype(np.float32)
