"""The composer: what the prompt asks is in the score, the score is in the sound, the sound is a proper recording."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from numpy.typing import NDArray

from openpollen.core.assets import AUDIO_TYPES
from openpollen.core.errors import BadRequest, UnprocessableEntity
from openpollen.engines import codec
from openpollen.engines.base import Cancelled, CancelToken, MusicJob
from openpollen.engines.music import RATE, ComposerEngine, compose, render
from openpollen.engines.music.instruments import INSTRUMENTS, PRESETS
from openpollen.engines.music.prompt import read_prompt
from openpollen.engines.music.render import soundfont_path
from openpollen.engines.music.score import Score
from openpollen.engines.music.styles import STYLES
from openpollen.engines.music.theory import SCALES, chord, nearest, pitch_class, step, voicing

Samples = NDArray[np.float32]


def decibels(sound: Samples) -> float:
    return float(10 * np.log10((sound.astype(np.float64) ** 2).sum(axis=1).mean() + 1e-15))


def centroid(sound: Samples) -> float:
    spectrum = np.abs(np.fft.rfft(sound.mean(axis=1)))
    return float((spectrum * np.fft.rfftfreq(len(sound), 1 / RATE)).sum() / spectrum.sum())


def instruments(score: Score) -> set[str]:
    return {track.instrument for track in score.tracks}


def roles(score: Score) -> set[str]:
    return {track.role for track in score.tracks}


@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_found_by_each_of_its_words(style: str) -> None:
    assert {word: read_prompt(f"a {word} tune").style for word in STYLES[style].words} == dict.fromkeys(
        STYLES[style].words, style
    )
    score = compose(f"some {style} music", 20, 1)
    assert score.style == style
    assert sum(len(track.notes) for track in score.tracks) > 30


def test_a_word_names_only_one_style() -> None:
    words = [word for style in STYLES.values() for word in style.words]
    assert sorted(words) == sorted(set(words))


@pytest.mark.parametrize("seconds", [3, 4.5, 5, 7.7, 20, 61.3, 120, 300])
@pytest.mark.parametrize("prompt", ["calm piano", "drum and bass", "waltz at 90 bpm", "techno 128 bpm"])
def test_a_score_fills_its_time_and_ends_at_home(prompt: str, seconds: float) -> None:
    score = compose(prompt, seconds, 4)
    ends = [note.start + note.duration for track in score.tracks for note in track.notes]
    starts = [note.start for track in score.tracks for note in track.notes]
    assert min(starts) >= 0
    assert max(ends) <= seconds
    beat = 60 / score.tempo
    assert score.ring >= 0.5
    assert score.ring <= 4.5 + beat
    # the last chord is struck once the bars are over, and nothing after it
    assert abs(max(starts) - (seconds - score.ring)) < 0.25
    assert score.harmony[-1][0].root == score.tonic
    last = [note.key for track in score.tracks if track.role in ("chords", "pad") for note in track.notes
            if note.start >= seconds - score.ring - 1e-6]  # fmt: skip
    assert last
    assert {key % 12 for key in last} <= set(score.harmony[-1][0].classes)


@pytest.mark.parametrize(
    ("prompt", "key"),
    [
        ("a rock song in D minor", "D minor"),
        ("jazz in Bb major", "Bb major"),
        ("folk in the key of F# minor", "F# minor"),
        ("lofi, E flat major", "Eb major"),
        ("piano in A dorian", "A dorian"),
        ("ambient in G", "G"),
        ("sad song in c# minor", "C# minor"),
    ],
)
def test_the_key_is_the_one_asked_for(prompt: str, key: str) -> None:
    for seed in range(3):
        assert compose(prompt, 10, seed).key.startswith(key)


@pytest.mark.parametrize("prompt", ["a major event at the palace", "be happy", "a cat in space", "music for a video"])
def test_plain_words_are_no_key(prompt: str) -> None:
    assert len({compose(prompt, 10, seed).tonic for seed in range(12)}) > 2


@pytest.mark.parametrize("tempo", [60, 97, 120, 174])
def test_the_tempo_is_the_one_asked_for(tempo: int) -> None:
    score = compose(f"techno beat, {tempo} bpm", 30, 2)
    assert score.tempo == tempo
    kicks = sorted(
        note.start for track in score.tracks if track.role == "drums" for note in track.notes if note.key == 36
    )
    gaps = np.diff([start for start in kicks if start < 30 - score.ring])
    assert abs(float(np.median(gaps)) - 60 / tempo) < 0.01


def test_most_of_the_melody_is_in_the_key_and_on_the_chords() -> None:
    for style in ("folk", "classical", "pop", "lullaby", "cinematic"):
        score = compose(f"{style} in C major", 40, 5)
        scale = {(score.tonic + interval) % 12 for interval in SCALES[score.mode]}
        lead = next(track for track in score.tracks if track.role == "lead").notes
        assert sum(note.key % 12 in scale for note in lead) / len(lead) > 0.9
        bar = score.meter * 60 / score.tempo
        strong = [note for note in lead if abs(note.start / bar - round(note.start / bar)) < 0.03]
        fitting = [note.key % 12 in score.harmony[round(note.start / bar)][0].classes for note in strong]
        assert np.mean(fitting) > 0.9


def test_players_named_play_and_players_refused_do_not() -> None:
    assert {"steel guitar", "strings"} <= instruments(compose("guitar and strings", 20, 0))
    assert "drums" not in roles(compose("rock, no drums", 20, 0))
    assert "drums" in roles(compose("folk with drums", 20, 0))
    assert instruments(compose("solo piano nocturne", 20, 0)) == {"piano"}
    assert instruments(compose("solo violin", 20, 0)) == {"violin"}
    assert "flute" in instruments(compose("lofi with a flute", 20, 0))
    assert "piano" not in instruments(compose("jazz without piano", 20, 0))
    assert "electric bass" not in instruments(compose("drum and bass", 20, 0))


def test_players_stay_in_their_range() -> None:
    for style in STYLES:
        for track in compose(style, 30, 9).tracks:
            if track.role in ("lead", "pad", "second"):
                instrument = INSTRUMENTS[track.instrument]
                assert all(instrument.low <= note.key <= instrument.high for note in track.notes), (style, track.role)
            assert all(0 < note.velocity <= 1 and note.duration > 0 for note in track.notes)


def test_moods_change_mode_tempo_and_touch() -> None:
    happy = [compose("happy pop", 30, seed) for seed in range(5)]
    sad = [compose("sad pop", 30, seed) for seed in range(5)]
    assert {score.mode for score in happy} == {"major"}
    assert {score.mode for score in sad} == {"minor"}
    assert np.mean([s.tempo for s in happy]) > 1.15 * np.mean([s.tempo for s in sad])

    def touch(scores: list[Score]) -> float:
        return float(np.mean([note.velocity for score in scores for track in score.tracks for note in track.notes]))

    assert touch(happy) > touch(sad) + 0.05


def test_same_prompt_and_seed_same_notes_and_samples() -> None:
    assert compose("dark synthwave", 12, 3) == compose("dark synthwave", 12, 3)
    assert np.array_equal(render("dark synthwave", 5, 3), render("dark synthwave", 5, 3))
    assert compose("dark synthwave", 12, 3).tracks != compose("dark synthwave", 12, 4).tracks
    assert not np.array_equal(render("dark synthwave", 5, 3), render("dark synthwave", 5, 4))


@pytest.mark.parametrize("prompt", ["", "🎵", "x" * 10_000, "no no no without", "%%%", "120 bpm 90 bpm in in H minor"])
def test_any_prompt_makes_music(prompt: str) -> None:
    sound = render(prompt, 4, 0)
    assert sound.shape == (4 * RATE, 2)
    assert decibels(sound) > -20


@pytest.mark.parametrize("style", ["lofi", "metal", "ambient", "waltz", "techno", "lullaby", "jazz", "cinematic"])
def test_a_recording_has_its_length_level_and_end(style: str) -> None:
    sound = render(style, 12.34, 1)
    assert sound.dtype == np.float32
    assert sound.shape == (round(12.34 * RATE), 2)
    assert np.isfinite(sound).all()
    assert -17.5 < decibels(sound) < -14.5
    assert np.abs(sound).max() <= 10 ** (-1 / 20)
    assert np.abs(sound[-1]).max() < 1e-4
    assert decibels(sound[-RATE // 20 :]) < -60
    ring = decibels(sound[-int(2.0 * RATE) : -int(1.5 * RATE)])
    assert ring > -45  # the last chord is still heard two seconds before the end
    loud = [decibels(sound[i * RATE : (i + 1) * RATE]) for i in range(9)]
    assert min(loud) > -34  # no second of silence in between
    assert np.abs(sound[:, 0] - sound[:, 1]).max() > 0.01  # it is stereo


def test_styles_sound_different() -> None:
    bright = {style: centroid(render(style, 8, 2)) for style in ("ambient", "classical", "metal", "funk")}
    assert bright["ambient"] < bright["classical"] < bright["metal"]
    assert bright["funk"] > 2 * bright["ambient"]
    tempos = {style: compose(style, 30, 2).tempo for style in ("ambient", "hip hop", "house", "drum and bass")}
    assert tempos["ambient"] < tempos["hip hop"] < tempos["house"] < tempos["drum and bass"]
    assert compose("waltz", 30, 2).meter == 3


@pytest.mark.parametrize("audio_format", AUDIO_TYPES)
def test_the_engine_answers_in_each_format(audio_format: str) -> None:
    made = ComposerEngine().compose(MusicJob("bossa nova", 5, audio_format, seed=1), CancelToken())
    assert made.mime == AUDIO_TYPES[audio_format]
    assert made.seconds == 5
    if audio_format == "pcm":
        assert len(made.data) == 5 * 24_000 * 2
    else:
        assert abs(codec.duration(made.data) - 5) < 0.1


@pytest.mark.parametrize("seconds", [-1, 0, 2.9, 301, float("nan"), float("inf")])
def test_a_length_outside_is_refused(seconds: float) -> None:
    with pytest.raises(BadRequest, match="between 3 and 300 seconds"):
        ComposerEngine().compose(MusicJob("jazz", seconds), CancelToken())


def test_vocals_and_unknown_formats_are_refused() -> None:
    with pytest.raises(UnprocessableEntity, match="instrumental music only"):
        ComposerEngine().compose(MusicJob("jazz", 5, instrumental=False), CancelToken())
    with pytest.raises(BadRequest, match="response_format"):
        ComposerEngine().compose(MusicJob("jazz", 5, "midi"), CancelToken())


def test_a_cancelled_job_stops() -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        ComposerEngine().compose(MusicJob("jazz", 60), token)


def test_the_engine_loads_and_unloads_and_misses_nothing() -> None:
    engine = ComposerEngine()
    assert engine.missing() == ""
    engine.load()
    engine.load()
    engine.unload()
    assert engine.compose(MusicJob("jazz", 3), CancelToken()).data


def test_theory() -> None:
    assert pitch_class("F", "#") == 6
    assert pitch_class("c", "b") == 11
    assert chord("V7", pitch_class("C")).classes == (7, 11, 2, 5)
    assert chord("bVII", pitch_class("D")).root == 0
    assert chord("ii", pitch_class("C"), sevenths=True).classes == (2, 5, 9, 0)
    assert nearest(61, (0, 4, 7)) == 60
    assert step(60, 2, (0, 2, 4, 5, 7, 9, 11)) == 64
    assert step(60, -1, (0, 2, 4, 5, 7, 9, 11)) == 59
    tonic, dominant = chord("I", 0), chord("V", 0)
    first = voicing(tonic, (), 48, 76, 4)
    second = voicing(dominant, first, 48, 76, 4)
    assert {key % 12 for key in second} == {7, 11, 2}
    assert max(min(abs(new - old) for old in first) for new in second) <= 2  # led by the shortest way
    with pytest.raises(ValueError, match="not a Roman numeral"):
        chord("X9", 0)


def test_the_soundfont_holds_every_instrument_and_kit() -> None:
    module = import_module("tinysoundfont._tinysoundfont")
    synth = module.SoundFont(soundfont_path().read_bytes())
    absent = [preset for preset in PRESETS if synth.get_preset_index(*preset) < 0]
    assert absent == []
    assert synth.get_preset_count() == len(PRESETS)
    assert soundfont_path().stat().st_size < 12_000_000
    assert "Permission is hereby granted" in soundfont_path().with_name("LICENSE").read_text("utf-8")
