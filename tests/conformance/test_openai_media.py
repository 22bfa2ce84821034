"""Pictures, sounds, transcriptions and video jobs on the OpenAI wire."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import OpenAI

from openpollen.core.assets import (
    Asset,
    ImageRequest,
    JobState,
    MusicRequest,
    SpeechRequest,
    TranscriptionRequest,
    VideoRequest,
)
from openpollen.core.model import Provider, Route
from openpollen.core.usage import Usage
from openpollen.providers.failures import Failure
from tests.conformance.lab import KEY, adapter, call, lab
from tests.fakeprovider import FakeProvider, Recorded


def test_pictures_as_bytes_and_as_addresses(fake: FakeProvider) -> None:
    provider = lab(fake)
    out = adapter.encode_image(ImageRequest("x", 64, 32, n=2), Route("lab", "ok"), provider)
    media = call(out, adapter.decode_image, provider)
    assert [asset.data[:4] for asset in media.assets] == [b"\x89PNG"] * 2
    assert media.usage is None
    body = json.dumps({"data": [{"url": "http://h/a.png", "revised_prompt": "a fox"}]}).encode()
    media = adapter.decode_image(200, {}, body, provider)
    assert (media.urls, media.assets, media.revised_prompt) == (("http://h/a.png",), (), "a fox")
    data = json.dumps({"data": [{"url": "data:image/png;base64,iVBORw=="}]}).encode()
    assert adapter.decode_image(200, {}, data, provider).assets[0].data == b"\x89PNG"


def test_image_tokens_are_measured() -> None:
    usage = {
        "total_tokens": 1068, "input_tokens": 212, "output_tokens": 1056,
        "input_tokens_details": {"text_tokens": 12, "image_tokens": 200},
        "output_tokens_details": {"image_tokens": 1000, "text_tokens": 56},
    }  # fmt: skip
    body = json.dumps({"data": [{"b64_json": "iVBORw=="}], "usage": usage}).encode()
    media = adapter.decode_image(200, {}, body, Provider("p", "w", "http://h"))
    assert media.usage == Usage(
        input_tokens=12, input_image_tokens=200, output_tokens=56, output_image_tokens=1000, images=1
    )


@pytest.mark.parametrize(
    "body", [b"{}", b'{"data": []}', b'{"data": [{"b64_json": "A"}]}', b"[]", b"nothing", b'{"data": [{}]}']
)
def test_an_answer_without_a_picture_is_no_answer(body: bytes) -> None:
    with pytest.raises(Failure) as caught:
        adapter.decode_image(200, {}, body, Provider("p", "w", "http://h"))
    assert caught.value.error.reason == "upstream_invalid_answer"
    assert caught.value.error.spent


def test_sounds(fake: FakeProvider) -> None:
    provider = lab(fake, params=frozenset({"duration", "seed", "instrumental"}))
    speech = adapter.encode_speech(SpeechRequest("hello", format="wav"), Route("lab", "ok"), provider)
    assert call(speech, adapter.decode_speech, provider).assets[0].data.startswith(b"RIFF")
    song = MusicRequest("a waltz", 12.5, seed=3, instrumental=False, given=frozenset({"instrumental"}))
    call(adapter.encode_speech(song, Route("lab", "ok"), provider), adapter.decode_speech, provider)
    assert fake.requests[-1].json == {
        "model": "ok", "response_format": "mp3", "input": "a waltz", "duration": 12.5, "seed": 3, "instrumental": False,
    }  # fmt: skip
    with pytest.raises(Failure):
        adapter.decode_speech(200, {"content-type": "application/json"}, b'{"error":{"message":"no"}}', provider)
    with pytest.raises(Failure, match="empty sound"):
        adapter.decode_speech(200, {"content-type": "audio/mpeg"}, b"", provider)


def test_a_translation_goes_to_its_own_address_with_what_that_takes() -> None:
    provider = Provider("lab", "openai_compatible", "https://lab.example/v1")
    heard = TranscriptionRequest(Asset(b"RIFF", "audio/wav"), prompt="Names: Bee", translate=True)
    out = adapter.encode_transcription(heard, Route("lab", "whisper-large-v3"), provider)
    assert out.url == "https://lab.example/v1/audio/translations"
    assert isinstance(out.body, bytes)
    assert b'name="prompt"' in out.body
    assert b"timestamp_granularities" not in out.body


def test_transcriptions_have_words_and_times(fake: FakeProvider) -> None:
    provider = lab(fake)
    out = adapter.encode_transcription(TranscriptionRequest(Asset(b"RIFF", "audio/wav")), Route("lab", "ok"), provider)
    heard = call(out, adapter.decode_transcription, provider)
    assert (heard.text, heard.language, heard.duration) == ("a fake transcription", "english", 1.5)
    assert [(word.word, word.start, word.end) for word in heard.words][1] == ("fake", 0.5, 1.0)
    assert heard.segments[0].text == heard.text
    plain = adapter.decode_transcription(200, {}, b'{"text": ""}', provider)
    assert (plain.text, plain.duration, plain.words) == ("", 0.0, ())
    odd = {"text": "a", "language": None, "duration": "3.0", "words": [{"word": "a", "start": None}, "b"]}
    odd["segments"] = [{"start": 0, "end": "1.5", "text": "a"}, {"id": None, "start": 1, "end": 2, "text": "b"}]
    read = adapter.decode_transcription(200, {}, json.dumps(odd).encode(), provider)
    assert (read.text, read.language, read.duration, read.words) == ("a", "", 3.0, ())
    assert [(segment.id, segment.end) for segment in read.segments] == [(0, 1.5), (1, 2.0)]


def last_request(fake: FakeProvider) -> Recorded:
    return fake.requests[-1]


@pytest.mark.parametrize("images", [(), (Asset(b"\x89PNGdata", "image/png", "start.png"),)])
def test_a_video_job_is_asked_for_as_openais_library_does(fake: FakeProvider, images: tuple[Asset, ...]) -> None:
    provider = lab(fake)
    with OpenAI(base_url=fake.base_url, api_key=KEY, max_retries=0) as sdk:
        more: dict[str, Any] = {"input_reference": ("start.png", b"\x89PNGdata", "image/png")} if images else {}
        sdk.videos.create(model="ok", prompt="a fox", seconds="4", size="1280x720", **more)
        theirs = last_request(fake)
        job = f"video_{len(fake.jobs)}"
        sdk.videos.retrieve(job)
        their_poll = last_request(fake)
        sdk.videos.download_content(job).read()
        their_fetch = last_request(fake)
        sdk.videos.delete(job)
        their_cancel = last_request(fake)
    request = VideoRequest("a fox", seconds=4, images=images)
    state = call(adapter.encode_video(request, Route("lab", "ok"), provider), adapter.decode_video, provider)
    ours = last_request(fake)
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    if theirs.form or images:
        assert sorted(map(repr, ours.form)) == sorted(map(repr, theirs.form))
    route = Route("lab", "ok")
    for out, same in (
        (adapter.poll_job(job, route, provider), their_poll),
        (adapter.fetch_job(JobState(job, "done"), route, provider), their_fetch),
        (adapter.cancel_job(job, route, provider), their_cancel),
    ):
        assert (out.method, out.url) == (same.method, f"{fake.origin}{same.path}")
        assert dict(out.headers) == {name: same.headers[name] for name in ("accept", "authorization")}
    assert state.status == "queued"


def test_a_video_job_from_end_to_end(fake: FakeProvider) -> None:
    provider = lab(fake, params=frozenset({"seed", "fps", "audio"}))
    route = Route("lab", "ok")
    request = VideoRequest("a fox", seconds=2.5, seed=4, fps=12, audio=True)
    state = call(adapter.encode_video(request, route, provider), adapter.decode_video, provider)
    fields = fake.jobs[state.id]["fields"]
    assert (fields["seconds"], fields["seed"], fields["fps"], fields["audio"]) == ("2.5", "4", "12", "true")
    states = [call(adapter.poll_job(state.id, route, provider), adapter.decode_job, provider) for _ in range(2)]
    assert [(s.status, s.progress) for s in states] == [("running", 40), ("done", 100)]
    film = call(adapter.fetch_job(state, route, provider), adapter.decode_result, provider)
    assert film.assets[0].data[4:8] == b"ftyp"
    call(adapter.cancel_job(state.id, route, provider), lambda status, *_: status, provider)
    with pytest.raises(Failure):
        call(adapter.poll_job(state.id, route, provider), adapter.decode_job, provider)


@pytest.mark.parametrize(("model", "refused"), [("job-fails", False), ("job-refused", True)])
def test_jobs_that_fail(fake: FakeProvider, model: str, refused: bool) -> None:
    provider, route = lab(fake), Route("lab", model)
    state = call(adapter.encode_video(VideoRequest("x"), route, provider), adapter.decode_video, provider)
    for _ in range(2):
        state = call(adapter.poll_job(state.id, route, provider), adapter.decode_job, provider)
    assert (state.status, state.refused) == ("failed", refused)
    assert "fake job" in state.error
