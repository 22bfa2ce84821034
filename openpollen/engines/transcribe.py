"""Transcription by Whisper base through faster-whisper: 99 languages, words and segments, translation to English.

What is not speech is cut out first by the voice activity detector that faster-whisper carries (Silero): Whisper makes
up words for silence and noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from openpollen.core.errors import BadRequest
from openpollen.engines import codec, weights
from openpollen.engines.base import CancelToken, Missing, Segment, TranscribeJob, Transcript, Word
from openpollen.engines.threads import engine_threads

RATE = 16_000
MAX_SECONDS = 7_200.0

#: Tried in turn when the caller leaves the temperature at 0 and the model is unsure of itself, as OpenAI has it.
_RISING_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


class WhisperEngine:
    """Local speech to text. ``path`` gives the folder of a CTranslate2 Whisper model or raises ``Missing``."""

    name = "whisper-base"
    kind = "transcription"
    memory_mb = 400

    def __init__(self, *, path: Callable[[], Path] | None = None, threads: int | None = None) -> None:
        self._path = path or (lambda: weights.model_path("whisper-base"))
        self._threads = threads or engine_threads()
        self._model: Any = None  # faster-whisper's model; its options and results are typed only in part

    def missing(self) -> str:
        try:
            self._path()
        except Missing as missing:
            return str(missing)
        return ""

    def load(self) -> None:
        if self._model is None:
            from faster_whisper import WhisperModel

            folder = str(self._path())
            self._model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=self._threads)

    def unload(self) -> None:
        self._model = None

    def transcribe(self, job: TranscribeJob, token: CancelToken) -> Transcript:
        """Write down up to two hours of sound; the token is looked at before every half minute of speech.

        Silence and noise give an empty text. Raises BadRequest for what cannot be decoded or has no audio track, and
        for a language that Whisper does not know. With ``translate`` the text is English and has no words' times.
        """
        self.load()
        language = self._language(job.language)
        token.check()
        samples, _ = codec.decode(job.data, rate=RATE, channels=1, max_seconds=MAX_SECONDS)
        duration = round(len(samples) / RATE, 3)
        token.check()
        if not _has_speech(samples):
            return Transcript("", language or "", duration)
        found, info = self._model.transcribe(
            samples,
            language=language,
            task="translate" if job.translate else "transcribe",
            initial_prompt=job.prompt or None,
            temperature=job.temperature or _RISING_TEMPERATURES,
            word_timestamps=job.words and not job.translate,
            beam_size=1,
            condition_on_previous_text=False,  # one window's mistake must not repeat itself through the rest
            vad_filter=True,
        )
        return _transcript(found, info.language, duration, token)

    def _language(self, given: str | None) -> str | None:
        """Whisper's code for a language given as ``en``, ``EN`` or ``en-US``; None detects it."""
        if not given:
            return None
        code = given.strip().lower().replace("_", "-").split("-")[0]
        known: list[str] = self._model.supported_languages
        if code not in known:
            listed = ", ".join(known)
            raise BadRequest(f"There is no language {given[:20]!r}. Send none to detect it, or one of {listed}.")
        return code


def _has_speech(samples: codec.Samples) -> bool:
    import faster_whisper.vad

    vad: Any = faster_whisper.vad
    return bool(vad.get_speech_timestamps(samples))


def _transcript(found: Iterable[Any], language: str, duration: float, token: CancelToken) -> Transcript:
    segments: list[Segment] = []
    words: list[Word] = []
    for part in found:
        token.check()
        text = part.text.strip()
        if not text:
            continue
        segments.append(Segment(len(segments), *_times(part, duration), text))
        words += [Word(word.word.strip(), *_times(word, duration)) for word in part.words or ()]
    return Transcript(" ".join(segment.text for segment in segments), language, duration, tuple(segments), tuple(words))


def _times(span: Any, duration: float) -> tuple[float, float]:
    """Start and end in seconds, to the millisecond and within the sound."""
    return round(min(float(span.start), duration), 3), round(min(float(span.end), duration), 3)
