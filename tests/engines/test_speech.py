"""Local speech: every voice of the API says what it is given, at the speed and in the format that was asked for."""

from __future__ import annotations

import io
import itertools
import re
import time
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpollen.core.assets import AUDIO_TYPES
from openpollen.core.errors import BadRequest
from openpollen.engines import codec, phonemes, voices
from openpollen.engines.base import Cancelled, CancelToken, Missing, SpeechEngine, SpeechJob, TranscribeJob
from openpollen.engines.kokoro import style
from openpollen.engines.speech import KokoroEngine
from openpollen.engines.stretch import stretch
from openpollen.engines.transcribe import WhisperEngine

API_VOICES = [
    *("alloy", "echo", "fable", "onyx", "nova", "shimmer", "ash", "ballad", "coral", "sage", "verse"),
    *("rachel", "domi", "bella", "elli", "charlotte", "dorothy", "sarah", "emily", "lily", "matilda"),
    *("adam", "antoni", "arnold", "josh", "sam", "daniel", "charlie", "james", "fin", "callum", "liam", "george"),
    *("brian", "bill"),
]
SENTENCE = "Bring the yellow boat to the harbor before the evening rain."


@pytest.fixture(scope="module")
def engine(models_dir: Path) -> KokoroEngine:
    assert models_dir.is_dir()
    engine = KokoroEngine(threads=1)
    engine.load()
    return engine


@pytest.fixture(scope="module")
def whisper(models_dir: Path) -> WhisperEngine:
    assert models_dir.is_dir()
    return WhisperEngine(threads=1)


def spoken(engine: KokoroEngine, text: str, voice: str = "alloy", speed: float = 1.0) -> codec.Samples:
    return codec.decode(engine.speak(SpeechJob(text, voice, speed, "wav"), CancelToken()).data)[0]


def word_errors(said: str, heard: str) -> float:
    """Edit distance in words over the number of words said."""
    wanted, got = (re.findall(r"[\w.]*\w", text.lower()) for text in (said, heard))
    row = list(range(len(got) + 1))
    for i, word in enumerate(wanted, start=1):
        above, row[0] = row[0], i
        for j, other in enumerate(got, start=1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (word != other))
    return row[-1] / len(wanted)


def pitch(samples: codec.Samples) -> float:
    """Median fundamental of the voiced parts in Hz, by autocorrelation."""
    found: list[float] = []
    for start in range(0, len(samples) - 1_200, 600):
        frame = samples[start : start + 1_200]
        likeness = np.correlate(frame, frame, "full")[1_199:]
        lag = 60 + int(np.argmax(likeness[60:400]))
        if likeness[0] > 1.0 and likeness[lag] > 0.5 * likeness[0]:
            found.append(24_000 / lag)
    return float(np.median(found))


def test_engine_is_what_the_host_expects() -> None:
    engine = KokoroEngine()
    assert isinstance(engine, SpeechEngine)
    assert (engine.name, engine.kind, engine.missing()) == ("kokoro", "speech", "")


@pytest.mark.parametrize("voice", ["alloy", "coral", "shimmer", "george", "charlie"])
def test_what_is_said_can_be_written_down_again(engine: KokoroEngine, whisper: WhisperEngine, voice: str) -> None:
    made = engine.speak(SpeechJob(SENTENCE, voice), CancelToken())
    heard = whisper.transcribe(TranscribeJob(made.data), CancelToken())
    assert heard.language == "en"
    assert word_errors(SENTENCE, heard.text.replace("harbour", "harbor")) <= 0.1


def test_numbers_and_times_are_read_out(engine: KokoroEngine, whisper: WhisperEngine) -> None:
    made = engine.speak(SpeechJob("The 3 tickets cost $42.50, and the train leaves at 7:30 pm."), CancelToken())
    heard = whisper.transcribe(TranscribeJob(made.data), CancelToken()).text.lower()
    assert "42.50" in heard
    assert re.search(r"7[:.]?30", heard)


def test_every_voice_of_the_api_is_there() -> None:
    assert [name for name in API_VOICES if name not in voices.VOICES] == []
    assert len(set(API_VOICES)) == 35
    assert [voice.name for voice in voices.VOICES.values() if voice.fast] == ["alloy"]
    for voice in voices.VOICES.values():
        assert sum(weight for _, weight in voice.blend) == pytest.approx(0.0 if voice.fast else 1.0)
        assert all(name[1] == voice.gender[0] for name, _ in voice.blend), "Kokoro's names tell the gender"


def test_no_two_voices_are_alike() -> None:
    """Style vectors of Kokoro's own voices lie 1.5 and more apart."""
    vectors = {voice.name: style(voice)[60] for voice in voices.VOICES.values() if not voice.fast}
    distances = {
        pair: float(np.linalg.norm(vectors[pair[0]] - vectors[pair[1]])) for pair in itertools.combinations(vectors, 2)
    }
    assert min(distances.values()) > 0.75, min(distances, key=distances.__getitem__)


def test_all_voices_speak_and_differ(engine: KokoroEngine) -> None:
    said = {voice: spoken(engine, "Hello.", voice) for voice in API_VOICES}
    for voice, samples in said.items():
        assert 0.25 < len(samples) / 24_000 < 1.5, voice
        assert 0.03 < float(np.sqrt(np.mean(samples**2))) < 0.2, voice
        assert float(np.abs(samples).max()) < 0.95, voice
    assert len({samples.tobytes() for samples in said.values()}) == 35
    pitches = {
        gender: [pitch(said[v]) for v in API_VOICES if voices.find(v).gender == gender] for gender in ("female", "male")
    }
    assert np.median(pitches["female"]) > 1.2 * np.median(pitches["male"])


@pytest.mark.parametrize(
    ("audio_format", "magic", "codec_name"),
    [
        ("mp3", b"ID3", "mp3float"),
        ("opus", b"OggS", "opus"),
        ("aac", b"\xff\xf1", "aac"),
        ("flac", b"fLaC", "flac"),
        ("wav", b"RIFF", "pcm_s16le"),
    ],
)
def test_formats_are_what_they_say(engine: KokoroEngine, audio_format: str, magic: bytes, codec_name: str) -> None:
    made = engine.speak(SpeechJob(SENTENCE, format=audio_format), CancelToken())
    assert made.mime == AUDIO_TYPES[audio_format]
    assert made.data.startswith(magic)
    with av.open(io.BytesIO(made.data)) as file:
        assert file.streams.audio[0].codec_context.name == codec_name
    assert codec.duration(made.data) == pytest.approx(made.seconds, abs=0.09)


def test_pcm_is_bare_samples_of_the_same_length(engine: KokoroEngine) -> None:
    made = engine.speak(SpeechJob(SENTENCE, format="pcm"), CancelToken())
    assert made.mime == "audio/pcm"
    assert len(made.data) / 48_000 == pytest.approx(made.seconds, abs=0.001)
    np.testing.assert_allclose(np.frombuffer(made.data, "<i2") / 32_768, spoken(engine, SENTENCE), atol=1e-4)


@pytest.mark.parametrize(
    ("voice", "speed"), [("alloy", 0.25), ("alloy", 0.8), ("alloy", 2.0), ("alloy", 4.0), ("nova", 2.0)]
)
def test_speed_changes_the_length_and_not_the_pitch(engine: KokoroEngine, voice: str, speed: float) -> None:
    plain, changed = spoken(engine, SENTENCE, voice), spoken(engine, SENTENCE, voice, speed)
    assert len(plain) / len(changed) == pytest.approx(speed, rel=0.1)
    assert pitch(changed) == pytest.approx(pitch(plain), rel=0.1)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.15, 5.0), st.floats(0.05, 1.0))
def test_stretch_gives_the_exact_length_and_keeps_a_tone(factor: float, seconds: float) -> None:
    samples = np.sin(2 * np.pi * 220 * np.arange(int(seconds * 24_000)) / 24_000).astype(np.float32)
    changed = stretch(samples, factor, 24_000)
    if abs(factor - 1) >= 1e-3:
        assert len(changed) == round(len(samples) / factor)
    if len(changed) > 4_800:
        spectrum = np.abs(np.fft.rfft(changed * np.hanning(len(changed))))
        assert np.argmax(spectrum) * 24_000 / len(changed) == pytest.approx(220, abs=8)


def test_default_voice_is_five_times_faster_than_real_time(engine: KokoroEngine) -> None:
    spoken(engine, SENTENCE)
    before = time.process_time()
    made = engine.speak(SpeechJob(" ".join([SENTENCE] * 6)), CancelToken())
    assert made.seconds > 5 * (time.process_time() - before)


def test_ten_thousand_characters_are_spoken_whole(engine: KokoroEngine) -> None:
    text = (SENTENCE + " ") * 163
    assert 9_900 < len(text) <= 10_000
    samples, once = spoken(engine, text), spoken(engine, SENTENCE)
    assert len(samples) == pytest.approx(163 * len(once) + 162 * 0.28 * 24_000, rel=0.03)
    # the middle half holds as much speech as any part: nothing faded out or was left out
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    assert float(np.sqrt(np.mean(middle**2))) == pytest.approx(float(np.sqrt(np.mean(samples**2))), rel=0.05)


def test_no_silence_around_and_no_clicks_at_joins(engine: KokoroEngine) -> None:
    samples = spoken(engine, "Stop here. Go on there.\n\nThe end.")
    loud = np.flatnonzero(np.abs(samples) > 0.02)
    assert loud[0] < 0.08 * 24_000
    assert len(samples) - loud[-1] < 0.12 * 24_000
    edges = np.flatnonzero(np.diff((samples != 0).astype(int)))
    runs = [(start, end) for start, end in itertools.pairwise(edges) if end - start > 0.1 * 24_000]
    pauses = [(start, end) for start, end in runs if samples[start + 1] == 0]
    assert [round((end - start) / 24_000, 1) for start, end in pauses] == [0.3, 0.6]
    for start, end in pauses:
        assert float(np.abs(samples[start - 24 : start + 1]).max()) < 0.01, "fades out into the pause"
        assert float(np.abs(samples[end + 1 : end + 25]).max()) < 0.01, "fades in after it"


def test_same_text_gives_the_same_bytes(engine: KokoroEngine) -> None:
    first, second = (engine.speak(SpeechJob(SENTENCE), CancelToken()).data for _ in range(2))
    assert first == second


@settings(max_examples=30, deadline=None)
@given(st.text(st.sampled_from("ab1,. -'\n/?!éZ…$%🎉"), min_size=1, max_size=1_000))
def test_any_text_becomes_short_pieces_or_a_refusal(text: str) -> None:
    try:
        found = list(phonemes.pieces(text, british=False))
    except BadRequest as error:
        found = []
        nothing = "nothing in the text" in error.message
    else:
        nothing = False
    assert bool(found) != nothing
    assert all(0 < len(piece.phonemes) <= phonemes.PIECE_PHONEMES for piece in found)


@pytest.mark.parametrize("text", ["x" * 9_999, "1" * 9_999, "ab1" * 400, "-" * 5_000 + "end", "a," * 2_000])
def test_absurd_texts_are_read_in_short_pieces_and_in_time(text: str) -> None:
    before = time.process_time()
    found = list(phonemes.pieces(text, british=True))
    assert found
    assert max(len(piece.phonemes) for piece in found) <= phonemes.PIECE_PHONEMES
    assert time.process_time() - before < 6


def test_a_link_is_read_by_its_words() -> None:
    [linked], [plain] = (list(phonemes.pieces(text, british=False)) for text in ("See [docs](/zzz/).", "See docs."))
    assert linked == plain


@pytest.mark.parametrize("text", ["", "  \n", "🎉🎉🎉", "... !?", "—"])
def test_text_without_words_is_refused(engine: KokoroEngine, text: str) -> None:
    with pytest.raises(BadRequest, match="nothing in the text"):
        engine.speak(SpeechJob(text), CancelToken())


@pytest.mark.parametrize("text", ["你好，世界", "Привет, как дела?", "مرحبا بالعالم", "Hello 世界世界"])
def test_text_in_other_letters_is_refused(engine: KokoroEngine, text: str) -> None:
    with pytest.raises(BadRequest, match="English only"):
        engine.speak(SpeechJob(text), CancelToken())


def test_emoji_and_a_foreign_letter_among_words_are_passed_over(engine: KokoroEngine) -> None:
    with_them = spoken(engine, "The angle π is small, café 🎉 or not, said everybody here.")
    assert len(with_them) > 2 * 24_000


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (SpeechJob("Hi.", voice="nobody"), "alloy, echo, fable"),
        (SpeechJob("Hi.", speed=0.2), "between 0.25 and 4"),
        (SpeechJob("Hi.", speed=4.1), "between 0.25 and 4"),
        (SpeechJob("Hi.", speed=float("nan")), "between 0.25 and 4"),
        (SpeechJob("Hi.", format="ogg"), "mp3, opus, aac, flac, wav, pcm"),
        (SpeechJob("word " * 2_001), "at most 10,000"),
    ],
)
def test_faults_of_the_caller_are_told_with_what_would_work(engine: KokoroEngine, job: SpeechJob, message: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(message)):
        engine.speak(job, CancelToken())


def test_a_cancelled_job_stops(engine: KokoroEngine) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        engine.speak(SpeechJob(SENTENCE), token)


class CancelledAtTheThirdLook(CancelToken):
    looks = 0

    def check(self) -> None:
        self.looks += 1
        if self.looks == 3:
            self.cancel()
        super().check()


def test_a_job_cancelled_on_its_way_stops_between_sentences(engine: KokoroEngine) -> None:
    token = CancelledAtTheThirdLook()
    with pytest.raises(Cancelled):
        engine.speak(SpeechJob((SENTENCE + " ") * 100), token)
    assert token.looks == 3


def test_without_weights_the_default_voice_speaks_and_the_others_say_how_to_get_them() -> None:
    def nowhere() -> Path:
        raise Missing("The weights of kokoro are not on this machine; run `polli models pull kokoro`.")

    bare = KokoroEngine(path=nowhere)
    assert bare.missing() == ""
    assert len(spoken(bare, "Still here.")) > 6_000
    with pytest.raises(Missing, match="polli models pull kokoro"):
        spoken(bare, "Not here.", "nova")


def test_unloaded_and_loaded_again(engine: KokoroEngine) -> None:
    before = spoken(engine, "Back again.")
    engine.unload()
    engine.unload()
    np.testing.assert_array_equal(spoken(engine, "Back again."), before)
