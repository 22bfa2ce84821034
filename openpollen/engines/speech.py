"""Speech in the voices of ``voices.VOICES``: hibari for the default voice, Kokoro-82M for the others. English only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from openpollen.core.assets import AUDIO_TYPES, AudioFormat
from openpollen.core.errors import BadRequest
from openpollen.engines import codec, phonemes, voices, weights
from openpollen.engines.base import AudioMade, CancelToken, SpeechJob
from openpollen.engines.kokoro import Kokoro
from openpollen.engines.phonemes import Piece
from openpollen.engines.stretch import stretch
from openpollen.engines.threads import engine_threads
from openpollen.engines.voices import Voice

Samples = NDArray[np.float32]

RATE = 24_000
MAX_CHARACTERS = 10_000
SLOWEST, FASTEST = 0.25, 4.0

#: Slowest and fastest that a model says well by itself (hibari's rhythm and tune change when it hurries). A speed beyond
#: is reached by stretching what it says at the nearest of these.
_FAST_VOICE_SPEEDS = (0.5, 1.0)
_KOKORO_SPEEDS = (0.7, 1.4)
_LOUDNESS, _PEAK = 0.1, 0.89  # target RMS of the speech, and the most any sample may reach: -20 and -1 dBFS


class KokoroEngine:
    """Local text to speech. ``path`` gives Kokoro's weights or raises ``Missing``; the default voice needs none."""

    name = "kokoro"
    kind = "speech"
    memory_mb = 700

    def __init__(self, *, path: Callable[[], Path] | None = None, threads: int | None = None) -> None:
        self._path = path or (lambda: weights.model_path("kokoro"))
        self._threads = threads or engine_threads()
        self._fast: Any = None
        self._kokoro: Kokoro | None = None

    def missing(self) -> str:
        """Always empty: the default voice is part of the installation. The others raise ``Missing`` when asked for."""
        return ""

    def load(self) -> None:
        """The default voice. Kokoro is loaded when one of its voices is first asked for."""
        if self._fast is None:
            from hibari import Hibari

            self._fast = Hibari(threads=1)

    def unload(self) -> None:
        self._fast = self._kokoro = None
        phonemes.forget_readers()

    def speak(self, job: SpeechJob, token: CancelToken) -> AudioMade:
        """Speak a text of up to 10,000 characters; the token is looked at before each piece of a sentence.

        Raises BadRequest for an unknown voice or format, a speed outside 0.25 to 4 and a text without anything to say.
        """
        voice = _checked(job)
        token.check()
        say = self._voice(voice)
        parts: list[Samples] = []
        slowest, fastest = _FAST_VOICE_SPEEDS if voice.fast else _KOKORO_SPEEDS
        model_speed = min(max(job.speed, slowest), fastest)
        for piece in phonemes.pieces(job.text, british=voice.accent == "British"):
            token.check()
            spoken = _trimmed(say(piece, model_speed))
            parts += [stretch(spoken, job.speed / model_speed, RATE), _silence(piece.pause / job.speed)]
        samples = _levelled(np.concatenate(parts[:-1]))
        token.check()
        data = codec.encode(samples, RATE, cast("AudioFormat", job.format))
        return AudioMade(data, AUDIO_TYPES[job.format], len(samples) / RATE)

    def _voice(self, voice: Voice) -> Callable[[Piece, float], Samples]:
        self.load()
        fast = self._fast
        if voice.fast:
            # the seed is of the breath noise: the same text gives the same bytes
            return lambda piece, speed: fast.from_phonemes(piece.phonemes, speed, seed=0)
        if self._kokoro is None:
            self._kokoro = Kokoro(self._path(), fast.vocab, self._threads)
        kokoro = self._kokoro
        return lambda piece, speed: kokoro.speak(piece.phonemes, voice, speed)


def _checked(job: SpeechJob) -> Voice:
    """The job's voice, once everything about the job is found right."""
    if not SLOWEST <= job.speed <= FASTEST:
        raise BadRequest(f"The speed must be between {SLOWEST} and {FASTEST:g}, not {job.speed:g}.")
    if len(job.text) > MAX_CHARACTERS:
        raise BadRequest(f"The text has {len(job.text):,} characters; at most {MAX_CHARACTERS:,} are spoken at a time.")
    if job.format not in AUDIO_TYPES:
        raise BadRequest(f"There is no format {job.format[:20]!r}; there are {', '.join(get_args(AudioFormat))}.")
    return voices.find(job.voice)


def _trimmed(spoken: Samples) -> Samples:
    """Without the silence before and after, and with ends that start and stop at zero."""
    block = RATE // 100
    blocks = np.pad(spoken, (0, -len(spoken) % block)).reshape(-1, block)
    level = np.sqrt(np.mean(blocks**2, axis=1))
    loud = np.flatnonzero(level > 0.015 * level.max(initial=0.0))
    if not len(loud):
        return spoken
    cut = spoken[max(0, int(loud[0]) - 3) * block : (int(loud[-1]) + 6) * block].copy()
    fade = min(block // 2, len(cut) // 2)
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    cut[:fade] *= ramp
    cut[len(cut) - fade :] *= ramp[::-1]
    return cut


def _levelled(samples: Samples) -> Samples:
    """At the same loudness whatever the voice, measured where there is speech, and never clipped."""
    speaking = samples[np.abs(samples) > 0.05 * np.abs(samples).max(initial=0.0)]
    loudness = float(np.sqrt(np.mean(speaking**2))) if len(speaking) else 0.0
    if not loudness:
        return samples
    return samples * min(_LOUDNESS / loudness, _PEAK / float(np.abs(samples).max()))


def _silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * RATE), np.float32)
