"""ElevenLabs: our requests are those of its own library, its answers are read as that library reads them."""

from __future__ import annotations

import json
from collections.abc import Set
from typing import Any

import pytest

from openpollen.catalog.load import load_catalog
from openpollen.core.assets import Asset, Media, MusicRequest, SpeechRequest, TranscriptionRequest, Word
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.core.usage import Usage
from openpollen.outbound.message import Outgoing
from openpollen.providers.adapter import adapters
from openpollen.providers.elevenlabs_voices import VOICES
from openpollen.providers.failures import Failure
from tests.conformance.captures import captured, same, without_secret
from tests.fakeprovider import parse_form

#: What these tests prove, by wire and operation: the captured requests that ours are compared with, or "documentation".
PROVES = {
    "elevenlabs/speech": ("elevenlabs.tts.convert",),
    "elevenlabs/music": ("elevenlabs.music.compose",),
    "elevenlabs/transcription": ("elevenlabs.stt.convert",),
}

adapter = adapters()["elevenlabs"]
HOST = Provider("elevenlabs", "elevenlabs", "https://api.elevenlabs.io/v1", "xi-fake", auth="xi-api-key")
SPEECH, MUSIC, SCRIBE = (Route("elevenlabs", name) for name in ("eleven_v3", "music_v1", "scribe_v2"))
WAV = Asset(b"RIFF", "audio/wav", "a.wav")


def body(out: Outgoing) -> dict[str, Any]:
    assert isinstance(out.body, bytes)
    return json.loads(out.body)


def form(out: Outgoing) -> dict[str, str | tuple[str | None, str | None, bytes]]:
    assert isinstance(out.body, bytes)
    parts = parse_form(next(value for name, value in out.headers if name == "content-type"), out.body)
    return {p.name: (p.filename, p.content_type, p.data) if p.filename else p.data.decode() for p in parts}


def test_speech() -> None:
    [expected] = captured("elevenlabs.tts.convert")["requests"]
    asked = SpeechRequest("[excited] Hello world", "rachel", seed=42, given=frozenset({"speed"}))
    # Of these the gateway's own request has no word.
    for name in ("language_code", "apply_text_normalization"):
        del expected["body"]["json"][name]
    expected["body"]["json"]["voice_settings"] = {"speed": 1.0}
    same(adapter.encode_speech(asked, SPEECH, HOST), expected)


def test_speech_in_pcm_is_that_of_the_stream_in_one_piece() -> None:
    [expected] = captured("elevenlabs.tts.stream")["requests"]
    expected["path"] = expected["path"].removesuffix("/stream")
    same(adapter.encode_speech(SpeechRequest("Hello", format="pcm"), SPEECH, HOST), expected)


def test_music() -> None:
    [expected] = captured("elevenlabs.music.compose")["requests"]
    same(adapter.encode_speech(MusicRequest("lofi beat", 30), MUSIC, HOST), expected)


def test_transcription() -> None:
    fixture = captured("elevenlabs.stt.convert")
    [expected] = fixture["requests"]
    file = Asset(b"ID3fake", "audio/mpeg", "a.mp3")
    out = adapter.encode_transcription(TranscriptionRequest(file, language="en", temperature=0.0), SCRIBE, HOST)
    same(out, expected | {"body": {"kind": "multipart"}})
    # Speakers and seeds have no word here, noises are not wanted, and "null" is how the library spells what it leaves out.
    dropped = {"num_speakers", "diarize", "seed", "webhook_metadata", "entity_detection", "entity_redaction"}
    assert form(out) == {
        part["name"]: (part["filename"], part["content_type"], part["text"].encode())
        if "filename" in part
        else part["text"]
        for part in expected["body"]["parts"]
        if part["name"] not in dropped
    } | {"tag_audio_events": "false"}
    answer = json.dumps(fixture["recorder_responses"]["items"][0]).encode()
    heard, parsed = adapter.decode_transcription(200, {}, answer, HOST), fixture["sdk_parsed"]
    assert (heard.text, heard.language) == (parsed["text"], parsed["language_code"])
    assert heard.words == tuple(
        Word(word["text"], word["start"], word["end"]) for word in parsed["words"] if word["type"] == "word"
    )
    assert [(one.start, one.end, one.text) for one in heard.segments] == [(0.1, 1.1, "Hello there")]
    assert heard.duration == 1.1


def said(*words: tuple[str, float, float]) -> bytes:
    tokens: list[dict[str, Any]] = []
    for text, start, end in words:
        tokens += [{"text": text, "type": "word", "start": start, "end": end}, {"text": " ", "type": "spacing"}]
    return json.dumps({"text": "".join(token["text"] for token in tokens), "words": tokens}).encode()


def test_segments_end_with_sentences_before_pauses_and_when_they_are_long() -> None:
    spoken = [("One", 0.0, 0.5), ("two.", 0.5, 1.0), ("Three", 1.1, 1.5), ("four", 4.0, 4.5)]
    spoken += [(f"w{number}", 5.0 + number, 5.9 + number) for number in range(9)]
    heard = adapter.decode_transcription(200, {}, said(*spoken), HOST)
    assert [one.text for one in heard.segments] == ["One two.", "Three", "four w0 w1 w2 w3 w4 w5 w6", "w7 w8"]
    assert [one.id for one in heard.segments] == [0, 1, 2, 3]
    assert all(one.start < one.end for one in heard.segments)
    assert "".join(heard.text.split()) == "".join("".join(one.text for one in heard.segments).split())


@pytest.mark.parametrize(
    ("answer", "text", "words"),
    [
        (b'{"text": "", "language_code": null, "words": null}', "", 0),
        (b'{"text": "", "words": [], "new_field": 1}', "", 0),
        (b'{"text": "", "words": [{"text": null, "type": null}, {}]}', "", 0),
        (b'{"text": "a", "words": [{"text": "a", "type": "word", "start": null, "end": null}]}', "a", 0),
        (b'{"text": "a", "words": [{"text": "(hum)", "type": "audio_event", "start": 0, "end": 1}]}', "a", 0),
    ],
)
def test_words_without_times_and_noises_are_no_words(answer: bytes, text: str, words: int) -> None:
    heard = adapter.decode_transcription(200, {}, answer, HOST)
    assert (heard.text, len(heard.words), heard.segments) == (text, words, ())


def test_every_voice_has_an_id_and_an_id_is_taken_as_it_is() -> None:
    names = next(model.voices for model in load_catalog().models if model.name == "elevenlabs")
    assert set(names) == VOICES.keys()
    assert len(names) == 35
    for name, voice in [*VOICES.items(), ("my/own", "my%2Fown")]:
        url = adapter.encode_speech(SpeechRequest("x", name), SPEECH, HOST).url
        assert url.startswith(f"https://api.elevenlabs.io/v1/text-to-speech/{voice}?")


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        ("mp3", "mp3_44100_128"),
        ("opus", "opus_48000_128"),
        ("pcm", "pcm_24000"),
        ("wav", "wav_24000"),
        ("flac", "wav_24000"),
        ("aac", "wav_24000"),
    ],
)
def test_formats_of_speech(asked: Any, made: str) -> None:
    assert adapter.encode_speech(SpeechRequest("x", format=asked), SPEECH, HOST).url.endswith(f"?output_format={made}")


@pytest.mark.parametrize(
    ("asked", "made"),
    [("mp3", "mp3_44100_128"), ("opus", "opus_48000_128")]
    + [(other, "opus_48000_192") for other in ("pcm", "wav", "flac", "aac")],
)
def test_formats_of_music(asked: Any, made: str) -> None:
    assert adapter.encode_speech(MusicRequest("x", format=asked), MUSIC, HOST).url.endswith(f"?output_format={made}")


def sent(request: SpeechRequest | MusicRequest | TranscriptionRequest) -> object:
    if isinstance(request, TranscriptionRequest):
        return form(adapter.encode_transcription(request, SCRIBE, HOST))
    out = adapter.encode_speech(request, SPEECH, HOST)
    return out.url, body(out)


MOVES: dict[Capability, dict[str, Any]] = {
    Capability.SPEECH: {
        "input": SpeechRequest("y"),
        "voice": SpeechRequest("x", "bill"),
        "format": SpeechRequest("x", format="wav"),
        "speed": SpeechRequest("x", speed=1.1),
        "seed": SpeechRequest("x", seed=0),
    },
    Capability.MUSIC: {
        "prompt": MusicRequest("y"),
        "format": MusicRequest("x", format="opus"),
        "seconds": MusicRequest("x", 12.5),
        "instrumental": MusicRequest("x", instrumental=False),
    },
    Capability.TRANSCRIPTION: {
        "file": TranscriptionRequest(Asset(b"other", "audio/wav")),
        "language": TranscriptionRequest(WAV, language="de"),
        "temperature": TranscriptionRequest(WAV, temperature=0.4),
    },
}
PLAIN = {
    Capability.SPEECH: SpeechRequest("x"),
    Capability.MUSIC: MusicRequest("x"),
    Capability.TRANSCRIPTION: TranscriptionRequest(WAV),
}
#: Other names of the same thing, and what the gateway makes of the answer itself.
SAME: Set[str] = {"input", "response_format", "duration", "words"}


@pytest.mark.parametrize("operation", MOVES)
def test_every_parameter_that_is_said_to_reach_it_does(operation: Capability) -> None:
    assert adapter.params(operation, HOST, SPEECH) - SAME == MOVES[operation].keys() - SAME
    for name, request in MOVES[operation].items():
        assert sent(request) != sent(PLAIN[operation]), name
    assert adapter.params(Capability.CHAT, HOST, SPEECH) == frozenset()


@pytest.mark.parametrize("speed", [0.25, 0.69, 1.21, 4.0])
def test_a_speed_beyond_its_range_is_refused_before_it_costs_anything(speed: float) -> None:
    with pytest.raises(BadRequest, match=r"^speed: elevenlabs speaks at 0\.7 to 1\.2"):
        adapter.encode_speech(SpeechRequest("x", speed=speed), SPEECH, HOST)


def test_sound_comes_with_the_characters_that_it_was_billed() -> None:
    made = adapter.decode_speech(200, {"content-type": "audio/mpeg", "character-cost": "21"}, b"ID3 sound", HOST)
    assert isinstance(made, Media)
    assert (made.assets[0].data, made.usage) == (b"ID3 sound", Usage(characters=21))
    for headers in ({}, {"character-cost": "many"}):
        made = adapter.decode_speech(200, headers, b"ID3", HOST)
        assert isinstance(made, Media)
        assert made.usage is None


def detail(status: str, message: str = "No.", **more: Any) -> bytes:
    return json.dumps({"detail": {"status": status, "message": message, **more}}).encode()


@pytest.mark.parametrize(
    ("status", "answer", "reason", "told", "retryable"),
    [
        (401, detail("quota_exceeded", "This request exceeds your quota."), "provider_credit", 502, True),
        (401, detail("invalid_api_key"), "provider_credential", 502, True),
        (401, detail("missing_permissions"), "provider_credential", 502, True),
        (403, detail("subscription_required"), "provider_credential", 502, True),
        (402, detail("payment_required"), "provider_credit", 502, True),
        (429, detail("too_many_concurrent_requests"), "provider_rate_limit", 502, True),
        (429, detail("system_busy"), "upstream_overloaded", 503, True),
        (404, detail("voice_not_found"), "provider_unknown_model", 502, True),
        (400, detail("voice_not_found"), "provider_unknown_model", 502, True),
        (401, detail("voice_not_found"), "provider_unknown_model", 502, True),
        (400, detail("max_character_limit_exceeded", "Too long."), "upstream_invalid_request", 400, False),
        (422, b'{"detail": [{"loc": ["body", "text"], "msg": "Field required"}]}', "upstream_invalid_request", 400, False),
        (400, detail("content_against_policy"), "content_policy_violation", 422, False),
        (500, detail("internal_error"), "upstream_error", 502, True),
        (200, b"", "upstream_invalid_answer", 502, True),
    ],
)  # fmt: skip
def test_errors(status: int, answer: bytes, reason: str, told: int, retryable: bool) -> None:
    headers = {"content-type": "application/json"} if answer else {}
    for decode in (adapter.decode_speech, adapter.decode_transcription):
        with pytest.raises(Failure) as caught:
            decode(status, headers, answer, HOST)
        error = caught.value.error
        assert (error.reason, error.status, caught.value.retryable) == (reason, told, retryable)
        assert without_secret(f"{error.message} {error.details}", HOST)


def test_a_refused_song_comes_with_what_would_be_sung() -> None:
    answer = detail("bad_prompt", "Names an artist.", data={"prompt_suggestion": "A song in the style of the sixties."})
    with pytest.raises(Failure) as caught:
        adapter.decode_speech(400, {"content-type": "application/json"}, answer, HOST)
    error = caught.value.error
    assert (error.reason, error.status, caught.value.retryable) == ("content_policy_violation", 422, False)
    assert error.message.endswith("Names an artist. The provider suggests: A song in the style of the sixties.")


@pytest.mark.parametrize("answer", [b"[]", b"nothing", b"{}", b'{"words": []}', b"\xff"])
def test_an_answer_without_a_text_is_no_transcript(answer: bytes) -> None:
    with pytest.raises(Failure) as caught:
        adapter.decode_transcription(200, {}, answer, HOST)
    assert caught.value.error.reason == "upstream_invalid_answer"


def test_an_error_in_a_good_answer_is_an_error() -> None:
    for decode in (adapter.decode_speech, adapter.decode_transcription):
        with pytest.raises(Failure) as caught:
            decode(200, {"content-type": "application/json"}, detail("quota_exceeded"), HOST)
        assert caught.value.error.reason == "provider_credit"
