"""ACE-Step's server. There is no client library of it: these tests rest on its documentation
(https://github.com/ace-step/ACE-Step-1.5/blob/main/docs/en/API.md) and say so in their names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openpollen.core.assets import JobState, Media, MusicRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers.adapter import adapters
from openpollen.providers.failures import Failure
from tests.conformance.captures import without_secret

#: What these tests prove, by wire and operation: the captured requests that ours are compared with, or "documentation".
PROVES = {
    "acestep/music": ("documentation",),
}

adapter = adapters()["acestep"]
HOST = Provider("acestep", "acestep", "http://gpu-1:8001", "ace-secret-key")
TURBO = Route("acestep", "acestep-v15-turbo")
TASK = "550e8400-e29b-41d4-a716-446655440000"


def wrapped(data: Any, code: int = 200, error: str | None = None) -> bytes:
    return json.dumps({"data": data, "code": code, "error": error, "timestamp": 1700000000000, "extra": None}).encode()


def told(status: int, *songs: dict[str, Any], text: str | None = None) -> JobState:
    result = json.dumps(list(songs)) if text is None else text
    return adapter.decode_job(200, {}, wrapped([{"task_id": TASK, "result": result, "status": status}]), HOST)


def body(out: Outgoing) -> dict[str, Any]:
    assert isinstance(out.body, bytes)
    return json.loads(out.body)


def asked(**more: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {"prompt": "lofi"}
    return body(adapter.encode_speech(MusicRequest(**(fields | more)), TURBO, HOST))


def test_documented_request_of_a_song() -> None:
    out = adapter.encode_speech(MusicRequest("upbeat pop song", 30, "wav", seed=7), TURBO, HOST)
    assert (out.method, out.url) == ("POST", "http://gpu-1:8001/release_task")
    assert dict(out.headers)["authorization"] == "Bearer ace-secret-key"
    assert body(out) == {
        "prompt": "upbeat pop song",
        "lyrics": "[inst]",
        "model": "acestep-v15-turbo",
        "batch_size": 1,
        "audio_format": "wav",
        "audio_duration": 30,
        "seed": 7,
        "use_random_seed": False,
        "inference_steps": 8,
    }


def test_documented_request_without_a_key_a_length_or_a_seed() -> None:
    open_host = Provider("acestep", "acestep", "http://gpu-1:8001/")
    out = adapter.encode_speech(MusicRequest("lofi"), Route("acestep", "acestep-v15-base"), open_host)
    assert "authorization" not in dict(out.headers)
    assert out.url == "http://gpu-1:8001/release_task"
    assert body(out).keys() == {"prompt", "lyrics", "model", "batch_size", "audio_format"}


def test_documented_ways_to_sing() -> None:
    written = asked(prompt="pop rock\n[Verse 1]\nWalking down the street\n[Chorus]\nOh", instrumental=False)
    assert (written["prompt"], written["lyrics"]) == ("pop rock", "[Verse 1]\nWalking down the street\n[Chorus]\nOh")
    drafted = asked(prompt="a soft Bengali love song", instrumental=False)
    assert (drafted["sample_query"], drafted["thinking"]) == ("a soft Bengali love song", True)
    assert "prompt" not in drafted


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("prompt", {"prompt": "jazz"}),
        ("seconds", {"seconds": 12.5}),
        ("format", {"format": "flac"}),
        ("seed", {"seed": 0}),
        ("instrumental", {"instrumental": False}),
    ],
)
def test_documented_parameters_move_the_request(name: str, more: dict[str, Any]) -> None:
    assert asked(**more) != asked()
    params = adapter.params(Capability.MUSIC, HOST, TURBO)
    assert name in params
    assert params - {"input", "duration", "response_format"} == {"prompt", "seconds", "format", "seed", "instrumental"}


@pytest.mark.parametrize("audio_format", ["opus", "aac", "pcm"])
def test_formats_that_not_every_version_documents_are_made_of_flac(audio_format: str) -> None:
    assert asked(format=audio_format)["audio_format"] == "flac"


def test_documented_states_of_a_job() -> None:
    begun = adapter.decode_speech(200, {}, wrapped({"task_id": TASK, "status": "queued", "queue_position": 1}), HOST)
    assert begun == JobState(TASK, "queued")
    poll = adapter.poll_job(TASK, TURBO, HOST)
    assert (poll.method, poll.url) == ("POST", "http://gpu-1:8001/query_result")
    assert body(poll) == {"task_id_list": [TASK]}
    assert told(0, text="[]") == JobState(TASK, "queued")
    assert told(0, {"file": "", "stage": "queued", "progress": 0.0}) == JobState(TASK, "queued")
    assert told(0, {"file": "", "stage": "LM", "progress": 0.0}) == JobState(TASK, "running")
    assert told(0, {"file": "", "stage": "running", "progress": 0.429}) == JobState(TASK, "running", 42)
    assert told(0, {"file": "", "stage": "running", "progress": 1.0}) == JobState(TASK, "running", 99)
    file = "/v1/audio?path=%2Ftmp%2Fapi_audio%2Fabc123.mp3"
    assert told(1, {"file": file, "status": 1}, {"file": "second"}) == JobState(TASK, "done", 100, result=file)
    failed = told(2, {"file": "", "stage": "failed", "error": "CUDA out of memory, ace-secret-key"})
    assert (failed.status, failed.refused) == ("failed", False)
    assert failed.error.startswith("CUDA out of memory")
    assert without_secret(failed.error, HOST)
    assert told(2, text="[]").error == "the server gives no reason"
    assert told(1, {"file": ""}).status == "failed"


def test_documented_places_of_a_file() -> None:
    def fetched(file: str) -> str:
        out = adapter.fetch_job(JobState(TASK, "done", 100, result=file), TURBO, HOST)
        assert dict(out.headers)["authorization"] == "Bearer ace-secret-key"
        return out.url

    place = "http://gpu-1:8001/v1/audio?path=%2Ftmp%2Fa%20b.mp3"
    assert fetched("/v1/audio?path=%2Ftmp%2Fa%20b.mp3") == fetched("/tmp/a b.mp3") == fetched(place) == place
    for elsewhere in ("http://evil.example/v1/audio?path=x", "https://gpu-1.evil.example/x", "http://gpu-1:9/x"):
        with pytest.raises(Failure):
            fetched(elsewhere)
    made = adapter.decode_result(200, {"content-type": "audio/mpeg"}, b"ID3 song", HOST)
    assert isinstance(made, Media)
    assert made.assets[0].data == b"ID3 song"


@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        (200, wrapped(None, 500, "format_sample failed"), "upstream_error"),
        (200, wrapped(None, 401, "Invalid API key"), "provider_credential"),
        (200, wrapped(None, 400, "bpm is no number"), "upstream_invalid_request"),
        (200, wrapped(None, 200, "failed"), "upstream_error"),
        (200, wrapped([]), "upstream_invalid_answer"),
        (200, wrapped(None), "upstream_invalid_answer"),
        (200, b"<html>", "upstream_invalid_answer"),
        (401, b'{"detail": "Missing ai_token or Authorization header"}', "provider_credential"),
        (429, b'{"detail": "Server busy: queue is full"}', "upstream_overloaded"),
        (400, b'{"detail": "JSON payload must be an object"}', "upstream_invalid_request"),
        (500, b"Internal Server Error", "upstream_error"),
    ],
)  # fmt: skip
def test_documented_errors(status: int, answer: bytes, reason: str) -> None:
    for decode in (adapter.decode_speech, adapter.decode_job):
        with pytest.raises(Failure) as caught:
            decode(status, {}, answer, HOST)
        error = caught.value.error
        assert error.reason == reason
        assert caught.value.retryable == (reason != "upstream_invalid_request")
        assert without_secret(f"{error.message} {error.details}", HOST)


@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        (404, b'{"detail": "Audio file not found"}', "provider_unknown_model"),
        (403, b'{"detail": "Access denied: path outside allowed directory"}', "provider_credential"),
        (200, wrapped(None, 500, "gone"), "upstream_error"),
        (200, b"", "upstream_invalid_answer"),
    ],
)
def test_documented_errors_of_a_download(status: int, answer: bytes, reason: str) -> None:
    headers = {"content-type": "application/json"} if answer else {}
    with pytest.raises(Failure) as caught:
        adapter.decode_result(status, headers, answer, HOST)
    assert caught.value.error.reason == reason


@pytest.mark.parametrize("status", [3, -1])
def test_a_state_that_is_not_documented_is_no_answer(status: int) -> None:
    with pytest.raises(Failure) as caught:
        told(status)
    assert caught.value.error.reason == "upstream_invalid_answer"


def test_a_documented_job_cannot_be_stopped() -> None:
    assert adapter.cancel_job(TASK, TURBO, HOST) is None
