"""Local transcription: what was said, when, in which language; silence is an empty text; five response formats."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openpollen.core.assets import Segment, Transcript, Word
from openpollen.core.errors import BadRequest
from openpollen.engines import base, codec
from openpollen.engines.base import Cancelled, CancelToken, Missing, SpeechJob, TranscribeEngine, TranscribeJob
from openpollen.engines.speech import KokoroEngine
from openpollen.engines.transcribe import WhisperEngine
from openpollen.generation import subtitles

SAID = "The old lighthouse stands on a rock. Every evening the keeper climbs the stairs and lights the lamp."


@pytest.fixture(scope="module")
def whisper(models_dir: Path) -> WhisperEngine:
    assert models_dir.is_dir()
    return WhisperEngine(threads=1)


@pytest.fixture(scope="module")
def speech() -> bytes:
    """``SAID`` by the default voice, as WAV."""
    return KokoroEngine(threads=1).speak(SpeechJob(SAID, format="wav"), CancelToken()).data


@pytest.fixture(scope="module")
def heard(whisper: WhisperEngine, speech: bytes) -> base.Transcript:
    return whisper.transcribe(TranscribeJob(speech), CancelToken())


def wav(samples: np.ndarray, rate: int = 16_000) -> bytes:
    return codec.encode(samples.astype(np.float32), rate, "wav")


def in_container(data: bytes, name: str) -> bytes:
    """A WAV as a browser or a phone would send it: webm with Opus, or m4a with AAC."""
    container, encoder, rate = {"webm": ("webm", "libopus", 48_000), "m4a": ("ipod", "aac", 24_000)}[name]
    samples, own = codec.decode(data)
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream: Any = file.add_stream(encoder, rate=rate)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(codec.resample(samples, own, rate, 1)[None], "flt", "mono")
        frame.sample_rate = rate
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()


def words_of(text: str) -> list[str]:
    return [word.strip(".,").lower() for word in text.split()]


def test_engine_is_what_the_host_expects(whisper: WhisperEngine) -> None:
    assert isinstance(whisper, TranscribeEngine)
    assert (whisper.name, whisper.kind, whisper.missing()) == ("whisper-base", "transcription", "")


def test_text_language_and_length(heard: base.Transcript, speech: bytes) -> None:
    assert words_of(heard.text) == words_of(SAID)
    assert heard.language == "en"
    assert heard.duration == pytest.approx(codec.duration(speech), abs=0.01)


def test_words_and_segments_follow_one_another_within_the_sound(heard: base.Transcript) -> None:
    assert [word.word.strip(".,").lower() for word in heard.words] == words_of(SAID)
    assert " ".join(segment.text for segment in heard.segments) == heard.text
    assert [segment.id for segment in heard.segments] == list(range(len(heard.segments)))
    for spans in (heard.words, heard.segments):
        times = [time for span in spans for time in (span.start, span.end)]
        assert times == sorted(times)
        assert times[0] >= 0
        assert times[-1] <= heard.duration
    second = next(word for word in heard.words if word.word == "Every")
    assert 1.5 < second.start < heard.duration - 2, "the second sentence begins after the first"


@pytest.mark.parametrize("name", ["mp3", "ogg", "m4a", "webm", "flac"])
def test_containers_transcribe_alike(whisper: WhisperEngine, speech: bytes, heard: base.Transcript, name: str) -> None:
    samples, rate = codec.decode(speech)
    if name in ("m4a", "webm"):
        data = in_container(speech, name)
    else:
        data = codec.encode(samples, rate, "mp3" if name == "mp3" else "flac" if name == "flac" else "opus")
    other = whisper.transcribe(TranscribeJob(data, words=False), CancelToken())
    assert words_of(other.text) == words_of(heard.text)
    assert other.duration == pytest.approx(heard.duration, abs=0.1)
    assert other.words == ()


def noise(loudness: float) -> np.ndarray:
    return np.random.default_rng(1).normal(0, loudness, 16_000 * 6)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(16_000 * 6),
        np.zeros(50),
        noise(0.02),
        noise(0.3),
        0.5 * np.sin(np.arange(16_000 * 6) * 0.17),
    ],
    ids=["silence", "three milliseconds", "hiss", "roar", "tone"],
)
def test_sound_without_speech_is_an_empty_text(whisper: WhisperEngine, samples: np.ndarray) -> None:
    transcript = whisper.transcribe(TranscribeJob(wav(samples)), CancelToken())
    assert (transcript.text, transcript.segments, transcript.words) == ("", (), ())
    assert transcript.duration == pytest.approx(len(samples) / 16_000, abs=0.001)


def test_times_count_the_silence_before_the_speech(
    whisper: WhisperEngine, speech: bytes, heard: base.Transcript
) -> None:
    samples, rate = codec.decode(speech)
    late = np.concatenate([np.zeros(5 * rate, np.float32), samples, np.zeros(3 * rate, np.float32)])
    moved = whisper.transcribe(TranscribeJob(wav(late, rate)), CancelToken())
    assert words_of(moved.text) == words_of(SAID)
    assert moved.duration == pytest.approx(heard.duration + 8, abs=0.01)
    assert moved.words[0].start == pytest.approx(heard.words[0].start + 5, abs=0.5)
    assert moved.words[-1].end == pytest.approx(heard.words[-1].end + 5, abs=0.5)


def test_prompt_decides_how_a_name_is_spelt(whisper: WhisperEngine) -> None:
    sound = KokoroEngine(threads=1).speak(SpeechJob("Yesterday Catherine Stevens came to see us."), CancelToken()).data
    prompt = "A letter about Kathryn Stephens."
    told = whisper.transcribe(TranscribeJob(sound, prompt=prompt, words=False), CancelToken()).text
    plain = whisper.transcribe(TranscribeJob(sound, words=False), CancelToken()).text
    assert "Kathryn Stephens" in told
    assert "Kathryn Stephens" not in plain


def test_translation_is_english_without_word_times(whisper: WhisperEngine, speech: bytes) -> None:
    made = whisper.transcribe(TranscribeJob(speech, translate=True), CancelToken())
    assert "lighthouse" in made.text
    assert made.words == ()


@pytest.mark.parametrize("given", ["en", "EN", "en-US", "en_GB"])
def test_language_may_be_given_with_a_region(whisper: WhisperEngine, given: str) -> None:
    assert whisper.transcribe(TranscribeJob(wav(np.zeros(1_600)), language=given), CancelToken()).language == "en"


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (TranscribeJob(wav(np.zeros(1_600)), language="klingon"), "no language 'klingon'"),
        (TranscribeJob(b""), "not audio"),
        (TranscribeJob(b"These are words, and not a sound."), "not audio"),
        (TranscribeJob(b"OggS" + bytes(100)), "damaged"),
    ],
)
def test_faults_of_the_caller_are_told(whisper: WhisperEngine, job: TranscribeJob, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        whisper.transcribe(job, CancelToken())


def test_a_cancelled_job_stops(whisper: WhisperEngine, speech: bytes) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        whisper.transcribe(TranscribeJob(speech), token)


def test_without_weights_it_says_how_to_get_them() -> None:
    def nowhere() -> Path:
        raise Missing("The weights of whisper-base are not on this machine; run `polli models pull whisper-base`.")

    bare = WhisperEngine(path=nowhere)
    assert "polli models pull whisper-base" in bare.missing()
    with pytest.raises(Missing):
        bare.load()


THREE = Transcript(
    text="One, two & three. A <b>bold</b> end.",
    language="en",
    duration=3_725.5,
    segments=(Segment(0, 0.0, 1.5, "One, two & three."), Segment(1, 3_661.0405, 3_725.4996, "A <b>bold</b>\n\nend.")),
    words=(Word("One", 0.0, 0.4),),
)
SILENCE = Transcript(text="", language="", duration=2.0)


def test_json_and_text() -> None:
    assert subtitles.to_json(THREE) == {"text": THREE.text}
    assert subtitles.to_text(THREE) == THREE.text + "\n"


def test_verbose_json_has_openais_shape() -> None:
    assert subtitles.to_verbose_json(THREE) == {
        "task": "transcribe",
        "language": "en",
        "duration": 3_725.5,
        "text": THREE.text,
        "words": [{"word": "One", "start": 0.0, "end": 0.4}],
        "segments": [
            {"id": 0, "start": 0.0, "end": 1.5, "text": "One, two & three."},
            {"id": 1, "start": 3_661.0405, "end": 3_725.4996, "text": "A <b>bold</b>\n\nend."},
        ],
    }
    assert subtitles.to_verbose_json(SILENCE, "translate") == {
        "task": "translate",
        "language": "unknown",
        "duration": 2.0,
        "text": "",
        "words": [],
        "segments": [],
    }


def test_srt() -> None:
    assert subtitles.to_srt(THREE) == (
        "1\n00:00:00,000 --> 00:00:01,500\nOne, two & three.\n\n"
        "2\n01:01:01,040 --> 01:02:05,500\nA <b>bold</b> end.\n\n"
    )
    assert subtitles.to_srt(SILENCE) == ""


def test_vtt() -> None:
    assert subtitles.to_vtt(THREE) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nOne, two &amp; three.\n\n"
        "01:01:01.040 --> 01:02:05.500\nA &lt;b&gt;bold&lt;/b&gt; end.\n\n"
    )
    assert subtitles.to_vtt(SILENCE) == "WEBVTT\n\n"


def test_a_text_without_segments_is_one_subtitle() -> None:
    plain = Transcript(text=" All of it. ", language="en", duration=4.0)
    assert subtitles.to_srt(plain) == "1\n00:00:00,000 --> 00:00:04,000\nAll of it.\n\n"
    assert subtitles.to_verbose_json(plain)["segments"] == [{"id": 0, "start": 0.0, "end": 4.0, "text": "All of it."}]


@given(st.lists(st.tuples(st.floats(0, 9_000), st.floats(0, 9_000), st.text(max_size=20)), max_size=5))
def test_subtitles_have_as_many_blocks_as_segments(spans: list[tuple[float, float, str]]) -> None:
    segments = tuple(Segment(n, start, end, f"x {text}") for n, (start, end, text) in enumerate(spans))
    transcript = Transcript(" ".join(segment.text for segment in segments), "en", 9_000, segments)
    assert subtitles.to_srt(transcript).count("\n\n") == len(segments)
    assert subtitles.to_vtt(transcript).count(" --> ") == len(segments)
    assert subtitles.to_vtt(transcript).count("\n\n") == len(segments) + 1
