"""Calls through hosts that make sound and run workflows: ElevenLabs, ACE-Step and ComfyUI, from a request to the bill."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from openpollen.core.assets import AudioFormat
from openpollen.engines import codec
from openpollen.media.sniff import sniff
from tests.fakewire import picture
from tests.gateway import NANO, Account, Gateway, eventually, form

KEY = "lab-secret-key-of-the-test"
#: Pollen of a caller: a song whose length is left to the model may be long.
PACK = 10
SECONDS = 4
TONE: codec.Samples = (np.sin(np.arange(SECONDS * 48_000) / 20) / 2).astype(np.float32)
STEREO: codec.Samples = np.stack([TONE, TONE], axis=1)
#: Size of the pictures that the workflows of this host make.
WIDE, HIGH = 48, 32


class Host(ThreadingHTTPServer):
    """Answers like all three, each under a path of its own, and keeps what it was asked. A job is done when it is asked
    for the second time."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.polls: dict[str, int] = {}
        super().__init__(("127.0.0.1", 0), _Handler)

    def done(self, job: str) -> bool:
        self.polls[job] = self.polls.get(job, 0) + 1
        return self.polls[job] > 1


class _Handler(BaseHTTPRequestHandler):
    server: Host

    def do_GET(self) -> None:
        self._serve(None)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self._serve(json.loads(body) if "json" in self.headers["content-type"] else body)

    def _serve(self, asked: Any) -> None:
        self.server.asked.append((self.path, asked))
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        made = self._made(path, query, asked)
        data = made if isinstance(made, bytes) else json.dumps(made).encode()
        self.send_response(422 if isinstance(made, dict) and "detail" in made else 200)
        self.send_header("content-type", "application/octet-stream" if made is data else "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _made(self, path: str, query: dict[str, list[str]], asked: Any) -> Any:
        host = self.server
        match path.split("/")[1:]:
            case ["eleven", "v1", ("text-to-speech" | "music") as kind, *_]:
                if "forbidden" in json.dumps(asked):
                    return {
                        "detail": {"status": "bad_prompt", "message": "No.", "data": {"prompt_suggestion": "Jazz."}}
                    }
                if "a page" in json.dumps(asked):
                    return b"<html><body>Please sign in.</body></html>"
                if "damaged" in json.dumps(asked):
                    return b"RIFF\x00\x00\x00\x00WAVEfmt that ends here"
                name, rate, *_ = query["output_format"][0].split("_")
                sound = TONE if kind == "text-to-speech" else STEREO
                sound = codec.resample(sound, 48_000, int(rate), sound.ndim)
                return codec.encode(sound, int(rate), name)  # type: ignore[arg-type]
            case ["eleven", "v1", "speech-to-text"]:
                words = [{"text": "Hello", "type": "word", "start": 0.1, "end": 0.5}]
                return {"text": "Hello", "language_code": "eng", "words": words}
            case ["ace", "release_task"]:
                return {"data": {"task_id": "t1"}, "code": 200, "error": None}
            case ["ace", "query_result"]:
                song: dict[str, Any] = {"file": "", "stage": "running", "progress": 0.5}
                done = host.done("t1")
                if done:
                    song = {"file": "/v1/audio?path=%2Ftmp%2Fa.flac"}
                task = {"task_id": "t1", "status": int(done), "result": json.dumps([song])}
                return {"data": [task], "code": 200, "error": None}
            case ["ace", "v1", "audio"]:
                return codec.encode(STEREO, 48_000, "flac")
            case ["comfy", "upload", "image"]:
                return {"name": "in.png", "subfolder": "", "type": "input"}
            case ["comfy", "prompt"]:
                return {"prompt_id": "j1", "number": 1, "node_errors": {}}
            case ["comfy", "history", "j1"]:
                file = {"filename": "a b.png", "subfolder": "", "type": "output"}
                entry = {"outputs": {"8": {"images": [file]}}, "status": {"status_str": "success", "completed": True}}
                return {"j1": entry} if host.done("j1") else {}
            case ["comfy", "view"]:
                return picture(WIDE, HIGH)
            case _:
                return {}

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    host = Host()
    serving = threading.Thread(target=host.serve_forever, daemon=True)
    serving.start()
    yield host
    host.shutdown()
    host.server_close()
    serving.join()


@pytest.fixture(scope="module")
def served(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("hosts")
    config = folder / "openpollen.toml"
    rows = "".join(
        f'[providers.{name}]\nbase_url = "http://127.0.0.1:{host.server_port}/{path}"\nkey = "{KEY}"\n'
        for name, path in (("elevenlabs", "eleven/v1"), ("acestep", "ace"), ("comfyui", "comfy"))
    )
    config.write_text(f"{rows}[engines]\nenabled = false\n")
    with Gateway(folder / "data", config) as gateway:
        yield gateway
    assert "Traceback" not in gateway.output
    assert KEY not in gateway.output


@pytest.fixture
def caller(served: Gateway, host: Host) -> Account:
    host.asked.clear()
    host.polls.clear()
    return served.account(pack=str(PACK))


def seconds(data: bytes, audio_format: str) -> float:
    return len(data) / 48_000 if audio_format == "pcm" else codec.duration(data)


TYPES = {"mp3": "audio/mpeg", "opus": "audio/ogg", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav"}


@pytest.mark.parametrize("audio_format", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
@pytest.mark.parametrize("model", ["elevenlabs", "elevenmusic", "acestep"])
def test_sound_is_what_was_asked_for_whatever_the_host_makes(
    caller: Account, model: str, audio_format: AudioFormat
) -> None:
    wanted = {"model": model, "input": "a quiet evening", "response_format": audio_format}
    reply = caller.post("/v1/audio/speech", wanted)
    assert reply.status == 200, reply.text
    if audio_format != "pcm":
        assert (reply.headers["content-type"], sniff(reply.body)) == (TYPES[audio_format], TYPES[audio_format])
    assert seconds(reply.body, audio_format) == pytest.approx(SECONDS, abs=0.1)
    loud = np.frombuffer(reply.body, "<i2") / 32_768 if audio_format == "pcm" else codec.decode(reply.body)[0]
    assert float(np.abs(loud).mean()) == pytest.approx(float(np.abs(TONE).mean()), rel=0.05)
    if model == "elevenlabs":
        assert reply.cost == 15 * 270_000


def test_sound_that_cannot_be_turned_into_what_was_asked_for_is_free(caller: Account) -> None:
    wanted = {"model": "elevenlabs", "input": "damaged", "response_format": "flac"}
    reply = caller.post("/v1/audio/speech", wanted)
    assert (reply.status, reply.error["reason"]) == (502, "upstream_invalid_answer")
    assert caller.balance == PACK * NANO


@pytest.mark.parametrize("audio_format", ["mp3", "pcm"])
def test_a_page_in_place_of_speech_is_free_and_no_sound(caller: Account, audio_format: str) -> None:
    wanted = {"model": "elevenlabs", "input": "a page", "response_format": audio_format}
    reply = caller.post("/v1/audio/speech", wanted)
    assert (reply.status, reply.error["reason"]) == (502, "upstream_invalid_answer")
    assert caller.balance == PACK * NANO


def test_a_seed_and_a_speed_reach_a_voice_and_instructions_are_told(caller: Account, host: Host) -> None:
    wanted = {"model": "elevenlabs", "input": "Hi", "voice": "nova", "speed": 1.1, "seed": 5, "instructions": "softly"}
    reply = caller.post("/v1/audio/speech", wanted)
    assert reply.headers["x-ignored-parameters"] == "instructions"
    ((path, asked),) = host.asked
    assert path == "/eleven/v1/text-to-speech/MF3mGyEYCl7XYWbV9V6O?output_format=mp3_44100_128"
    assert asked == {"text": "Hi", "model_id": "eleven_v3", "voice_settings": {"speed": 1.1}, "seed": 5}


def test_a_speed_that_no_voice_has_is_the_callers_fault_and_free(caller: Account, host: Host) -> None:
    reply = caller.post("/v1/audio/speech", {"model": "elevenlabs", "input": "Hi", "speed": 3})
    assert (reply.status, host.asked, caller.balance) == (400, [], PACK * NANO)
    assert reply.error["message"].startswith("speed: ")


def test_a_refused_song_is_422_and_free_and_tells_what_would_do(caller: Account) -> None:
    reply = caller.post("/v1/audio/speech", {"model": "elevenmusic", "input": "something forbidden"})
    assert (reply.status, reply.error["reason"]) == (422, "content_policy_violation")
    assert "Jazz." in reply.error["message"]
    assert caller.balance == PACK * NANO


def test_a_recording_is_heard_and_billed_by_its_length(caller: Account) -> None:
    data = codec.encode(TONE, 48_000, "mp3")
    body, kind = form({"model": "scribe", "response_format": "verbose_json"}, [("file", "a.mp3", data)])
    reply = caller.request("POST", "/v1/audio/transcriptions", body=body, headers={"content-type": kind})
    assert reply.status == 200, reply.text
    assert (reply.json["text"], reply.json["language"]) == ("Hello", "eng")
    assert reply.json["words"] == [{"word": "Hello", "start": 0.1, "end": 0.5}]
    assert reply.cost == pytest.approx(SECONDS * 111_100, rel=0.02)


def test_a_picture_of_a_workflow_is_waited_for(caller: Account, host: Host) -> None:
    reply = caller.post("/v1/images/generations", {"model": "flux", "prompt": "a fox", "size": "48x32", "seed": 3})
    assert reply.status == 200, reply.text
    assert reply.cost == 1_000_000
    paths = [path for path, _ in host.asked]
    assert paths[0] == "/comfy/prompt"
    assert paths[1:] == [
        "/comfy/history/j1",
        "/comfy/history/j1",
        "/comfy/view?filename=a+b.png&subfolder=&type=output",
    ]
    asked = host.asked[0][1]["prompt"]
    assert (asked["5"]["inputs"]["seed"], asked["2"]["inputs"]["text"]) == (3, "a fox")


def test_an_edit_brings_its_picture_to_the_host_first(caller: Account, host: Host) -> None:
    body, kind = form({"model": "klein", "prompt": "add a hat"}, [("image", "a.png", picture(8, 8))])
    reply = caller.request("POST", "/v1/images/edits", body=body, headers={"content-type": kind})
    assert reply.status == 200, reply.text
    assert [path for path, _ in host.asked[:2]] == ["/comfy/upload/image", "/comfy/prompt"]
    assert host.asked[1][1]["prompt"]["20"]["inputs"] == {"image": "in.png"}


def test_what_a_workflow_has_no_place_for_is_refused_or_told(caller: Account, host: Host) -> None:
    wanted = {"model": "flux", "prompt": "a fox", "negative_prompt": "rain"}
    assert "negative_prompt" in caller.post("/v1/images/generations", wanted).headers["x-ignored-parameters"]
    host.asked.clear()
    reply = caller.post("/v1/images/generations", {"model": "flux", "prompt": "a fox", "n": 2})
    assert (reply.status, host.asked) == (400, [])


def test_a_film_that_is_deleted_leaves_the_queue_of_its_host(caller: Account, host: Host) -> None:
    host.polls["j1"] = -100
    made = caller.post("/v1/videos", {"model": "ltx-2", "prompt": "waves", "seconds": "2"})
    assert made.status == 200, made.text
    assert host.asked[0][1]["prompt"]["7"]["inputs"]["length"] == 49
    assert caller.request("DELETE", f"/v1/videos/{made.json['id']}").status == 200
    eventually(lambda: ("/comfy/queue", {"delete": ["j1"]}) in host.asked, "the job to be taken out of the queue")
    assert caller.balance == PACK * NANO
