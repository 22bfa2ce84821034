"""Speech, music and transcription through the surface people use."""

from __future__ import annotations

import io
import json
from typing import Any

import av
import pytest

from tests.fakeprovider import FakeProvider
from tests.fakewire import tone
from tests.gateway import Account, Reply, form
from tests.labconfig import CHARACTER, HEARD

VOICES = [
    *("alloy", "echo", "fable", "onyx", "nova", "shimmer", "ash", "ballad", "coral", "sage", "verse", "rachel", "domi"),
    *("bella", "elli", "charlotte", "dorothy", "sarah", "emily", "lily", "matilda", "adam", "antoni", "arnold", "josh"),
    *("sam", "daniel", "charlie", "james", "fin", "callum", "liam", "george", "brian", "bill"),
]
#: Format -> media type, container and codec that the bytes must have.
FORMATS = {
    "mp3": ("audio/mpeg", "mp3", "mp3float"),
    "opus": ("audio/ogg", "ogg", "opus"),
    "aac": ("audio/aac", "aac", "aac"),
    "flac": ("audio/flac", "flac", "flac"),
    "wav": ("audio/wav", "wav", "pcm_s16le"),
}


def length(data: bytes) -> float:
    """Seconds of sound, by decoding it all."""
    with av.open(io.BytesIO(data)) as file:
        return sum(frame.samples / frame.sample_rate for frame in file.decode(audio=0))


def listen(user: Account, data: bytes, **fields: str) -> Reply:
    body, kind = form(fields, [("file", "sound.wav", data)])
    return user.request("POST", "/v1/audio/transcriptions", body=body, headers={"Content-Type": kind})


@pytest.fixture(scope="module")
def spoken(user: Account) -> bytes:
    """A sentence in WAV."""
    body = {"input": "The weather is nice today.", "voice": "alloy", "response_format": "wav"}
    return user.post("/v1/audio/speech", body).body


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_what_it_says(user: Account, name: str) -> None:
    reply = user.post("/v1/audio/speech", {"input": "Hello.", "response_format": name})
    media_type, container, codec = FORMATS[name]
    assert reply.headers["content-type"] == media_type
    with av.open(io.BytesIO(reply.body)) as file:
        assert container in file.format.name
        assert file.streams.audio[0].codec_context.name.startswith(codec[:3])
    assert 0.2 < length(reply.body) < 3


def test_pcm_is_bare_samples_of_24_khz(user: Account) -> None:
    reply = user.post("/v1/audio/speech", {"input": "Hello.", "response_format": "pcm"})
    wav = user.post("/v1/audio/speech", {"input": "Hello.", "response_format": "wav"})
    assert reply.headers["content-type"].startswith("audio/")
    assert abs(len(reply.body) / 48_000 - length(wav.body)) < 0.05


def test_speed_changes_the_length(user: Account) -> None:
    text = {"input": "One two three four five six.", "response_format": "wav"}
    usual, fast = (length(user.post("/v1/audio/speech", {**text, "speed": speed}).body) for speed in (1, 2))
    assert 1.6 < usual / fast < 2.4


def test_all_thirty_five_voices_are_known(user: Account) -> None:
    assert len(VOICES) == 35
    for voice in VOICES:
        assert user.request("HEAD", f"/audio/Hi?voice={voice}").status == 200
    error = user.get("/audio/Hi?voice=darth").error
    assert error["code"] == "BAD_REQUEST"
    assert all(voice in error["message"] for voice in VOICES)


@pytest.mark.parametrize("voice", ["onyx", "bella"])
def test_a_voice_speaks_for_itself(user: Account, voice: str) -> None:
    reply = user.get(f"/audio/Hello?voice={voice.upper()}&response_format=wav")
    plain = user.get("/audio/Hello?response_format=wav")
    assert reply.headers["x-tts-voice"] == voice
    assert reply.headers["x-model-used"] == "kokoro"
    assert reply.body != plain.body
    assert length(reply.body) > 0.2


def test_speech_through_openais_library(user: Account) -> None:
    made = user.openai().audio.speech.create(model="tts-1", voice="nova", input="Hello.")
    assert length(made.content) > 0.2


def test_characters_are_charged_as_written(payer: Account, fake: FakeProvider) -> None:
    text = "Žluť 🙂 ok"
    reply = payer.post("/v1/audio/speech", {"input": text, "model": "lab-speech", "voice": "any", "speed": 1.5})
    assert reply.cost == len(text) * CHARACTER
    sent = fake.requests[0].json
    assert (sent["input"], sent["voice"], sent["speed"], sent["response_format"]) == (text, "any", 1.5, "mp3")


def test_a_music_model_makes_music_of_the_length_asked_for(user: Account) -> None:
    reply = user.get("/audio/calm%20piano?model=elevenmusic&duration=5&response_format=wav")
    assert reply.headers["x-model-used"] == "composer"
    assert abs(length(reply.body) - 5) < 0.6
    assert float(reply.headers["x-usage-completion-audio-seconds"]) == pytest.approx(length(reply.body), abs=0.1)


def test_a_duration_of_speech_is_refused(user: Account) -> None:
    error = user.get("/audio/Hello?duration=5").error
    assert error["reason"] == "unsupported_parameter"
    assert "duration" in error["message"]


@pytest.mark.parametrize("shape", ["json", "text", "verbose_json", "srt", "vtt"])
def test_a_transcript_in_each_format(user: Account, spoken: bytes, shape: str) -> None:
    reply = listen(user, spoken, response_format=shape)
    assert reply.status == 200, reply.text
    assert "weather" in reply.text.lower()
    assert float(reply.headers["x-usage-prompt-audio-seconds"]) == pytest.approx(length(spoken), abs=0.05)
    if shape in ("json", "verbose_json"):
        answer: dict[str, Any] = json.loads(reply.body)
        assert answer["text"]
    if shape == "verbose_json":
        assert answer["duration"] == pytest.approx(length(spoken), abs=0.05)
        assert answer["words"][0].keys() == {"word", "start", "end"}
        assert answer["segments"]
    if shape in ("srt", "vtt"):
        assert "-->" in reply.text
    assert reply.headers["content-type"].startswith(
        {"json": "application/json", "verbose_json": "application/json"}.get(
            shape, "text/" if shape != "srt" else "application/x-subrip"
        )
    )


@pytest.mark.parametrize("wanted", [["segment"], ["word"], ["word", "segment"]])
def test_only_the_times_asked_for_come(user: Account, spoken: bytes, wanted: list[str]) -> None:
    made = user.openai().audio.transcriptions.create(
        model="whisper",
        file=("a.wav", spoken),
        response_format="verbose_json",
        timestamp_granularities=wanted,  # type: ignore[arg-type] - a list of the two words
    )
    assert made.text
    assert (bool(made.words), bool(made.segments)) == ("word" in wanted, "segment" in wanted)


def test_what_a_transcript_cannot_have_is_told(user: Account, spoken: bytes) -> None:
    for fields in (
        {"timestamp_granularities[]": "word"},
        {"include[]": "logprobs"},
        {"known_speaker_names[]": "Ann"},
        {"stream": "true"},
    ):
        reply = listen(user, spoken, **fields)
        assert (reply.status, next(iter(fields)).removesuffix("[]") in reply.error["message"]) == (400, True)
    assert "chunking_strategy" in listen(user, spoken, chunking_strategy="none").headers["x-ignored-parameters"]


def test_the_default_transcriber_and_its_alias(user: Account, spoken: bytes) -> None:
    for fields in ({}, {"model": "whisper-large-v3"}, {"model": "scribe"}):
        reply = listen(user, spoken, **fields)
        assert reply.headers["x-model-used"] == "whisper-base"
        assert "weather" in reply.json["text"].lower()


def test_transcription_through_openais_library(user: Account, spoken: bytes) -> None:
    heard = user.openai().audio.transcriptions.create(model="whisper-1", file=("a.wav", spoken), response_format="vtt")
    assert str(heard).startswith("WEBVTT")


def test_a_translation_through_openais_library(user: Account, spoken: bytes) -> None:
    """What is spoken here is English already: the engine's own tests and Whisper's task are what makes it English."""
    sound = ("sound.wav", spoken)
    made = user.openai().audio.translations.create(model="whisper-1", file=sound, response_format="verbose_json")
    assert "weather is nice" in made.text.lower()
    assert made.model_dump()["task"] == "translate"
    assert made.segments
    body, kind = form({"model": "whisper-1", "language": "de"}, [("file", *sound)])
    refused = user.request("POST", "/v1/audio/translations", body=body, headers={"Content-Type": kind})
    assert (refused.status, "language" in refused.error["message"]) == (400, True)


def test_a_host_that_does_not_translate_is_not_asked_to(user: Account, fake: FakeProvider, spoken: bytes) -> None:
    body, kind = form({"model": "lab-ears"}, [("file", "sound.wav", spoken)])
    refused = user.request("POST", "/v1/audio/translations", body=body, headers={"Content-Type": kind})
    assert (refused.status, refused.error["reason"]) == (400, "unsupported_parameter")
    assert fake.requests == []


def test_silence_is_told_and_not_charged(user: Account) -> None:
    silent = (
        b"RIFF"
        + (36 + 32_000).to_bytes(4, "little")
        + b"WAVEfmt "
        + bytes.fromhex("10000000010001008 03e0000007d00000200 1000".replace(" ", ""))
        + b"data"
        + (32_000).to_bytes(4, "little")
        + bytes(32_000)
    )
    reply = listen(user, silent)
    assert (reply.status, reply.error["reason"]) == (422, "no_speech")
    assert "Check that it is not silent" in reply.error["message"]


def test_heard_seconds_are_measured_from_the_bytes_and_charged(payer: Account, fake: FakeProvider) -> None:
    reply = listen(payer, tone(1.5), model="lab-ears", language="en", prompt="names", temperature="0.2")
    assert reply.json == {"text": "a fake transcription"}
    assert reply.cost == 1.5 * HEARD
    fields = {part.name: part.data.decode() for part in fake.requests[0].form if not part.filename}
    assert (fields["language"], fields["prompt"], fields["temperature"]) == ("en", "names", "0.2")


@pytest.mark.parametrize("shape", ["srt", "vtt", "verbose_json", "text"])
def test_a_host_that_knows_only_json_still_gives_every_format(payer: Account, shape: str) -> None:
    reply = listen(payer, tone(1.5), model="lab-ears", response_format=shape)
    assert "a fake transcription" in reply.text
    if shape == "srt":
        assert reply.text.startswith("1\n00:00:00,000 --> 00:00:01,500\n")
