"""The engine host: its wire, its queue and its memory, over small engines of this file."""

from __future__ import annotations

import base64
import dataclasses
import http.client
import threading
from collections.abc import Callable
from typing import Any

from openpollen.core.errors import UnprocessableEntity
from openpollen.engines.base import (
    AudioMade,
    CancelToken,
    EditJob,
    ImageJob,
    ImageMade,
    Missing,
    MusicJob,
    Segment,
    SpeechJob,
    TranscribeJob,
    Transcript,
    VideoMade,
    Word,
)
from openpollen.engines.host_app import MAX_BODY
from openpollen.engines.video_jobs import KEEP_JOBS
from tests.engines.host_process import TOKEN, Client, host_of_engines

PNG = b"\x89PNG test"
WAIT = 20


class TestEngine:
    """What all engines of these tests share: they remember their job and do as they are told."""

    __test__ = False
    memory_mb = 100

    def __init__(self, name: str, kind: str) -> None:
        self.name, self.kind, self.absent = name, kind, ""
        self.loaded = False
        self.job: Any = None

    def missing(self) -> str:
        return self.absent

    def load(self) -> None:
        if self.absent:
            raise Missing(self.absent)
        self.loaded = True

    def unload(self) -> None:
        self.loaded = False


class Painter(TestEngine):
    def generate(self, job: ImageJob, token: CancelToken) -> ImageMade:
        self.job = job
        if job.prompt == "impossible":
            raise UnprocessableEntity("This cannot be drawn.")
        if job.prompt == "crash":
            raise RuntimeError("secret detail")
        return ImageMade(PNG, "image/png", job.width, job.height, job.seed or 7, "drawn: a test")

    def edit(self, job: EditJob, token: CancelToken) -> ImageMade:
        self.job = job
        return ImageMade(job.images[0], "image/png", 8, 8, 1)


class Voice(TestEngine):
    def speak(self, job: SpeechJob, token: CancelToken) -> AudioMade:
        self.job = job
        return AudioMade(b"speech", "audio/mpeg", 1.5)


class Composer(TestEngine):
    def compose(self, job: MusicJob, token: CancelToken) -> AudioMade:
        self.job = job
        return AudioMade(b"music", "audio/wav", job.seconds)


class Listener(TestEngine):
    def transcribe(self, job: TranscribeJob, token: CancelToken) -> Transcript:
        self.job = job
        return Transcript("hello", "en", 0.5, (Segment(0, 0, 0.5, "hello"),), (Word("hello", 0, 0.5),))


class Slow(TestEngine):
    """Works until it is let go or cancelled, and says which."""

    def __init__(self, name: str, kind: str = "image") -> None:
        super().__init__(name, kind)
        self.begun, self.go, self.ended = threading.Semaphore(0), threading.Semaphore(0), threading.Semaphore(0)
        self.cancelled = 0
        self.prompts: list[str] = []

    def _wait(self, job: Any, token: CancelToken) -> None:
        self.prompts.append(job.prompt)
        self.begun.release()
        try:
            while not self.go.acquire(timeout=0.01):
                token.check()
        except BaseException:
            self.cancelled += 1
            raise
        finally:
            self.ended.release()

    def generate(self, job: Any, token: CancelToken, progress: Callable[[float], None] | None = None) -> Any:
        if progress:
            progress(0.4)
        self._wait(job, token)
        if progress:
            return VideoMade(b"mp4", job.seconds, job.width, job.height, job.fps, 3)
        return ImageMade(PNG, "image/png", 8, 8, 1)


def paint(client: Client, model: str, prompt: str = "a cat") -> Any:
    return client.ask("POST", "/v1/images/generations", {"model": model, "prompt": prompt})


def multipart(**parts: Any) -> tuple[bytes, dict[str, str]]:
    """A form: texts as they are, bytes as files; a list sends several of one name."""
    body = b""
    for name, values in parts.items():
        for value in values if isinstance(values, list) else [values]:
            head = f'Content-Disposition: form-data; name="{name}"'
            file = isinstance(value, bytes)
            head += '; filename="f"\r\nContent-Type: application/octet-stream' if file else ""
            body += f"--edge\r\n{head}\r\n\r\n".encode() + (value if file else str(value).encode()) + b"\r\n"
    return body + b"--edge--\r\n", {"Content-Type": "multipart/form-data; boundary=edge"}


def test_only_the_bearer_of_the_secret_is_served() -> None:
    with host_of_engines({}) as client:
        for token in ("", "wrong", TOKEN[:-1]):
            refused = dataclasses.replace(client, token=token).ask("GET", "/health")
            assert refused.status == 401
            assert refused.json["error"]["type"] == "invalid_request_error"
        assert client.ask("GET", "/health").json["status"] == "ok"


def test_a_picture_request_reaches_the_engine_and_its_answer_the_caller() -> None:
    painter = Painter("scene", "image")
    with host_of_engines({"scene": painter}) as client:
        body = {"model": "scene", "prompt": "a cat", "size": "640x480", "seed": 5, "background": "transparent"}
        body |= {"negative_prompt": "dogs", "metadata": False, "quality": "high", "n": 1, "response_format": None}
        made = client.ask("POST", "/v1/images/generations", body).json
        assert painter.job == ImageJob("a cat", 640, 480, 5, "dogs", True, "png", False, "high")
        assert base64.b64decode(made["data"][0]["b64_json"]) == PNG
        assert (made["size"], made["seed"], made["output_format"]) == ("640x480", 5, "png")
        assert made["note"] == "drawn: a test"

        form, headers = multipart(model="scene", prompt="at night", seed=4, mask=b"m", **{"image[]": [b"one", b"two"]})
        edited = client.ask("POST", "/v1/images/edits", form, headers).json
        assert painter.job == EditJob("at night", (b"one", b"two"), b"m", None, None, 4)
        assert base64.b64decode(edited["data"][0]["b64_json"]) == b"one"


def test_speech_music_and_transcription_share_openais_wire() -> None:
    engines = {"v": Voice("v", "speech"), "c": Composer("c", "music"), "w": Listener("w", "transcription")}
    with host_of_engines(engines) as client:
        spoken = client.ask("POST", "/v1/audio/speech", {"model": "v", "input": "hi", "voice": "nova", "speed": 1.5})
        assert (spoken.body, spoken.headers["content-type"]) == (b"speech", "audio/mpeg")
        assert engines["v"].job == SpeechJob("hi", "nova", 1.5, "mp3")
        order = {"model": "c", "input": "jazz", "duration": 12, "response_format": "wav", "seed": 9}
        played = client.ask("POST", "/v1/audio/speech", order)
        assert (played.body, played.headers["x-audio-seconds"]) == (b"music", "12.000")
        assert engines["c"].job == MusicJob("jazz", 12, "wav", 9)
        for form, check in {
            "json": lambda answer: answer.json["text"] == "hello",
            "text": lambda answer: answer.body == b"hello\n",
            "verbose_json": lambda answer: answer.json["words"] == [{"word": "hello", "start": 0, "end": 0.5}],
        }.items():
            body, headers = multipart(model="w", file=b"RIFF", language="en", response_format=form)
            assert check(client.ask("POST", "/v1/audio/transcriptions", body, headers))
            assert engines["w"].job == TranscribeJob(b"RIFF", "en", words=form == "verbose_json")


def test_faults_have_openais_shape_and_the_right_status() -> None:
    absent = Painter("absent", "image")
    absent.absent = "The weights of absent are not here; run `polli models pull absent`."
    engines = {"scene": Painter("scene", "image"), "v": Voice("v", "speech"), "absent": absent}
    cases: list[tuple[int, str, dict[str, Any]]] = [
        (404, "there are scene", {"model": "other", "prompt": "x"}),
        (400, "v does speech", {"model": "v", "prompt": "x"}),
        (503, "polli models pull absent", {"model": "absent", "prompt": "x"}),
        (400, "prompt", {"model": "scene"}),
        (400, "WIDTHxHEIGHT", {"model": "scene", "prompt": "x", "size": "big"}),
        (400, "n must be 1", {"model": "scene", "prompt": "x", "n": 2}),
        (400, "JPEG", {"model": "scene", "prompt": "x", "background": "transparent", "output_format": "jpeg"}),
        (422, "cannot be drawn", {"model": "scene", "prompt": "impossible"}),
        (500, "the server's log", {"model": "scene", "prompt": "crash"}),
    ]
    with host_of_engines(engines) as client:
        for status, words, body in cases:
            answer = client.ask("POST", "/v1/images/generations", body)
            assert (answer.status, words in answer.json["error"]["message"]) == (status, True), answer.body
            assert "secret" not in answer.body.decode()
        assert client.ask("POST", "/v1/images/generations", b"{").status == 400
        assert client.ask("POST", "/v1/images/edits", {"prompt": "x"}).status == 400
        assert client.ask("GET", "/v1/nothing").status == 404
        assert client.ask("DELETE", "/health").status == 405
        listed = {model["id"]: model for model in client.ask("GET", "/v1/models").json["data"]}
        assert listed["absent"]["status"] == "missing"
        assert listed["absent"]["missing"] == absent.absent
        assert listed["scene"]["status"] == "loaded"
        assert listed["scene"]["kinds"] == ["image", "edit"]
        assert listed["v"]["status"] == "ready"


def test_a_full_queue_is_429_with_retry_after_and_then_all_are_served() -> None:
    slow = Slow("slow")
    with host_of_engines({"slow": slow}, queue=1) as client:
        body = {"model": "slow", "prompt": "x"}
        first = client.open("POST", "/v1/images/generations", body)
        assert slow.begun.acquire(timeout=WAIT)
        second = client.open("POST", "/v1/images/generations", body)
        client.until("queued", 1)
        refused = paint(client, "slow")
        assert refused.status == 429
        assert refused.json["error"]["type"] == "rate_limit_error"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        slow.go.release(2)
        for connection in (first, second):
            assert connection.getresponse().status == 200
            connection.close()


def test_a_caller_who_leaves_frees_the_queue_or_stops_the_engine() -> None:
    slow = Slow("slow")
    with host_of_engines({"slow": slow}, queue=4) as client:
        body = {"model": "slow", "prompt": "x"}
        running = client.open("POST", "/v1/images/generations", body)
        assert slow.begun.acquire(timeout=WAIT)
        waiting = client.open("POST", "/v1/images/generations", body)
        client.until("queued", 1)
        waiting.close()
        client.until("queued", 0)
        running.close()
        assert slow.ended.acquire(timeout=WAIT)
        client.until("running", 0)
        assert slow.cancelled == 1
        slow.go.release()
        assert paint(client, "slow").status == 200


def test_jobs_are_served_in_the_order_in_which_they_came() -> None:
    slow = Slow("slow")
    with host_of_engines({"slow": slow}) as client:
        held: list[Any] = []
        for number in range(4):
            body = {"model": "slow", "prompt": str(number)}
            held.append(client.open("POST", "/v1/images/generations", body))
            client.until("queued", number)
        slow.go.release(4)
        for connection in held:
            assert connection.getresponse().status == 200
            connection.close()
        assert slow.prompts == ["0", "1", "2", "3"]


def test_a_job_behind_a_busy_engine_lets_others_pass() -> None:
    slow, quick = Slow("slow"), Painter("quick", "image")
    with host_of_engines({"slow": slow, "quick": quick}, threads=2) as client:
        held = [client.open("POST", "/v1/images/generations", {"model": "slow", "prompt": "x"}) for _ in range(2)]
        assert slow.begun.acquire(timeout=WAIT)
        client.until("queued", 1)
        assert paint(client, "quick").status == 200
        slow.go.release(2)
        assert [connection.getresponse().status for connection in held] == [200, 200]
        for connection in held:
            connection.close()


def test_the_memory_budget_unloads_the_least_recently_used_idle_engine() -> None:
    engines: dict[str, TestEngine] = {name: Painter(name, "image") for name in ("a", "b", "c")}
    engines["huge"] = Painter("huge", "image")
    engines["huge"].memory_mb = 1000
    engines["busy"] = busy = Slow("busy")
    with host_of_engines(engines, memory_mb=250, threads=2) as client:
        for name in ("a", "b", "a", "c"):
            assert paint(client, name).status == 200
        assert client.ask("GET", "/health").json["loaded"] == ["a", "c"]
        assert not engines["b"].loaded
        held = client.open("POST", "/v1/images/generations", {"model": "busy", "prompt": "x"})
        assert busy.begun.acquire(timeout=WAIT)
        for name in ("a", "b"):
            assert paint(client, name).status == 200
        assert engines["busy"].loaded
        assert client.ask("GET", "/health").json["loaded_mb"] == 200
        refused = paint(client, "huge")
        assert refused.status == 503
        assert "OPENPOLLEN_ENGINE_MEMORY_MB" in refused.json["error"]["message"]
        busy.go.release()
        assert held.getresponse().status == 200
        held.close()


def test_an_idle_engine_is_unloaded_and_loaded_again_when_asked() -> None:
    painter = Painter("scene", "image")
    with host_of_engines({"scene": painter}, idle_s=0.4) as client:
        for _ in range(2):
            assert paint(client, "scene").status == 200
            client.until("loaded", [])
            assert not painter.loaded


def test_a_video_job_runs_through_its_states() -> None:
    slow = Slow("film", "video")
    with host_of_engines({"film": slow}) as client:
        form, headers = multipart(model="film", prompt="sea", seconds="3", size="640x360", fps=12, input_reference=b"i")
        first = client.ask("POST", "/v1/videos", form, headers).json
        second = client.ask("POST", "/v1/videos", {"model": "film", "prompt": "sea", "seconds": 2}).json
        assert slow.begun.acquire(timeout=WAIT)
        path, later = f"/v1/videos/{first['id']}", f"/v1/videos/{second['id']}"
        shown = client.ask("GET", path).json
        assert (shown["status"], shown["progress"]) == ("in_progress", 40)
        assert (shown["size"], shown["seconds"], shown["object"]) == ("640x360", "3", "video")
        assert client.ask("GET", later).json["status"] == "queued"
        assert client.ask("GET", path + "/content").status == 409
        assert client.ask("DELETE", later).json["deleted"] is True
        assert client.ask("GET", later).status == 404
        client.until("queued", 0)
        slow.go.release()
        client.until("running", 0)
        done = client.ask("GET", path).json
        assert (done["status"], done["progress"], done["seed"]) == ("completed", 100, 3)
        assert client.ask("GET", path + "/content").body == b"mp4"
        assert [video["id"] for video in client.ask("GET", "/v1/videos").json["data"]] == [first["id"]]


def test_deleting_a_running_video_stops_its_engine_and_a_broken_one_fails() -> None:
    slow = Slow("film", "video")
    with host_of_engines({"film": slow}) as client:
        made = client.ask("POST", "/v1/videos", {"model": "film", "prompt": "sea"}).json
        assert slow.begun.acquire(timeout=WAIT)
        client.ask("DELETE", f"/v1/videos/{made['id']}")
        assert slow.ended.acquire(timeout=WAIT)
        assert slow.cancelled == 1
        slow.absent = "Not here."
        client.until("running", 0)
        slow.unload()
    with host_of_engines({"film": slow}) as client:
        made = client.ask("POST", "/v1/videos", {"model": "film", "prompt": "sea"}).json
        client.until("running", 0)
        failed = client.ask("GET", f"/v1/videos/{made['id']}").json
        assert failed["status"] == "failed"
        assert failed["error"]["message"] == "Not here."


def test_finished_videos_are_kept_up_to_a_number() -> None:
    film = Slow("film", "video")
    film.go.release(100)
    with host_of_engines({"film": film}) as client:
        ids: list[str] = []
        for _ in range(KEEP_JOBS + 2):
            ids.append(client.ask("POST", "/v1/videos", {"model": "film", "prompt": "sea"}).json["id"])
            client.until("running", 0)
        assert client.ask("GET", f"/v1/videos/{ids[0]}").status == 404
        assert len(client.ask("GET", "/v1/videos").json["data"]) == KEEP_JOBS
        assert client.ask("GET", f"/v1/videos/{ids[-1]}/content").body == b"mp4"


def test_a_body_that_is_too_long_is_refused_before_it_is_read() -> None:
    with host_of_engines({}) as client:
        connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=WAIT)
        connection.putrequest("POST", "/v1/images/edits")
        connection.putheader("Authorization", f"Bearer {TOKEN}")
        connection.putheader("Content-Length", str(MAX_BODY + 1))
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()
