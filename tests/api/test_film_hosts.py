"""Pictures and films of hosts that make them as tasks or by address, from end to end: what is sent, fetched, billed, refused."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

import pytest

from tests.fakewire import picture
from tests.faults.conftest import film
from tests.gateway import NANO, Account, Gateway, nano

KEY = "xai-lab-secret-key-of-the-test"
PNG = picture(8, 8)


#: A model with a choosy host before one that takes more.
TWO_WAYS = """
[[models]]
name = "two-ways"
capabilities = ["video"]
limits = { min_duration = 1, max_duration = 10 }
[[models.routes]]
provider = "ltx"
model = "ltx-2-fast"
price = { second = "0.01" }
[[models.routes]]
provider = "fal"
model = "fal-ai/ltx-2"
"""


class Host(ThreadingHTTPServer):
    """Answers like xAI, ModelArk and Model Studio, and keeps what it was asked: method, path, body, credential."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, Any], str | None]] = []
        self.clip = film(2)
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, method: str, path: str) -> bytes | tuple[int, Any]:
        polls = sum(asked[:2] == (method, path) for asked in self.asked)
        if path.endswith((".png", ".mp4")):
            return PNG if path.endswith(".png") else self.clip
        words = json.dumps(self.asked[-1][2])
        match (method, path):
            case "POST", "/ltx/text-to-video":
                return self.clip
            case "POST", "/fal/fal-ai/ltx-2":
                return 200, {"status_url": f"{self.url}/fal/status"}
            case "GET", "/fal/status":
                return 200, {"status": "COMPLETED", "response_url": f"{self.url}/fal/result"}
            case "GET", "/fal/result":
                return 200, {"video": {"url": f"{self.url}/a.mp4"}}
            case "POST", "/xai/videos/generations":
                return 200, {"request_id": "withheld" if "forbidden" in words else "rq1"}
            case "GET", "/xai/videos/withheld":
                return 400, {"code": "invalid", "error": "Generated video rejected by content moderation."}
            case "GET", "/xai/videos/rq1" if polls == 1:
                return 202, {"status": "pending", "progress": 30}
            case "GET", "/xai/videos/rq1":
                return 200, {"status": "done", "video": {"url": f"{self.url}/a.mp4", "duration": 2}}
            case "POST", "/ark/contents/generations/tasks":
                return 200, {"id": "cgt-1"}
            case "GET", "/ark/contents/generations/tasks/cgt-1":
                done = {"id": "cgt-1", "status": "succeeded", "content": {"video_url": f"{self.url}/a.mp4"}}
                return 200, done | {"usage": {"completion_tokens": 1000, "total_tokens": 1000}}
            case "POST", "/ark/images/generations":
                return 200, {"data": [{"url": f"{self.url}/a.png"}], "usage": {"generated_images": 1}}
            case "POST", "/scope/services/aigc/video-generation/video-synthesis":
                return 200, {"output": {"task_id": "t1", "task_status": "PENDING"}}
            case "GET", "/scope/tasks/t1":
                done = {"task_id": "t1", "task_status": "SUCCEEDED", "video_url": f"{self.url}/a.mp4"}
                return 200, {"output": done, "usage": {"duration": 2, "video_count": 1}}
            case "POST", "/scope/services/aigc/multimodal-generation/generation":
                if "forbidden" in words:
                    return 400, {"code": "DataInspectionFailed", "message": "It may be inappropriate."}
                content = [{"image": f"{self.url}/a.png"}]
                return 200, {"output": {"choices": [{"message": {"content": content}}]}, "usage": {"image_count": 1}}
            case _:
                return 404, {"error": f"{method} {path}"}


class _Handler(BaseHTTPRequestHandler):
    server: Host

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.asked.append((self.command, self.path, json.loads(body or b"{}"), self.headers["authorization"]))
        answer = self.server.answer(self.command, self.path)
        status, data = (200, answer) if isinstance(answer, bytes) else (answer[0], json.dumps(answer[1]).encode())
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET

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
    folder = tmp_path_factory.mktemp("films")
    config = folder / "openpollen.toml"
    rows = {"xai-media": "xai", "byteplus": "ark", "dashscope-media": "scope", "ltx": "ltx", "fal": "fal"}
    text = "".join(f'[providers.{name}]\nbase_url = "{host.url}/{at}"\nkey = "{KEY}"\n' for name, at in rows.items())
    config.write_text(f"{text}[engines]\nenabled = false\n{TWO_WAYS}")
    with Gateway(folder / "data", config) as gateway:
        yield gateway
    assert "Traceback" not in gateway.output
    assert KEY not in gateway.output


@pytest.fixture
def caller(served: Gateway, host: Host) -> Account:
    host.asked.clear()
    return served.account()


def credentials(host: Host) -> dict[str, set[str | None]]:
    """The credentials that the host saw, by the first step of the path."""
    seen: dict[str, set[str | None]] = {}
    for _, path, _, credential in host.asked:
        seen.setdefault(path.split("/")[1], set()).add(credential)
    return seen


def test_a_job_whose_host_does_not_tell_its_id_is_asked_for_by_the_one_it_was_begun_under(
    caller: Account, host: Host
) -> None:
    reply = caller.get("/video/a%20fox?model=grok-video-pro&duration=2&aspectRatio=9:16")
    assert reply.status == 200, reply.text
    assert reply.body == host.clip
    assert [asked[1] for asked in host.asked] == [
        "/xai/videos/generations", "/xai/videos/rq1", "/xai/videos/rq1", "/a.mp4",
    ]  # fmt: skip
    assert host.asked[0][2] == {
        "model": "grok-imagine-video", "prompt": "a fox", "duration": 2, "aspect_ratio": "9:16", "resolution": "720p",
    }  # fmt: skip
    assert credentials(host) == {"xai": {f"Bearer {KEY}"}, "a.mp4": {None}}
    assert caller.balance == NANO - 2 * nano("0.075")


def test_a_film_that_moderation_withheld_is_422_and_free(caller: Account) -> None:
    reply = caller.get("/video/something%20forbidden?model=grok-video-pro&duration=2")
    assert (reply.status, reply.error["reason"]) == (422, "content_policy_violation")
    assert caller.balance == NANO


def test_a_film_is_billed_by_the_tokens_that_its_host_tells(caller: Account, host: Host) -> None:
    reply = caller.get("/video/a%20fox?model=seedance-pro&duration=2&seed=7&resolution=480p")
    assert reply.status == 200, reply.text
    flags = "--resolution 480p --duration 2 --ratio 16:9 --watermark false --seed 7"
    assert host.asked[0][2]["content"] == [{"type": "text", "text": f"a fox {flags}"}]
    assert credentials(host) == {"ark": {f"Bearer {KEY}"}, "a.mp4": {None}}
    assert caller.balance == NANO - 1000 * 1500  # 1.5 pollen a million


def test_a_film_from_a_picture_goes_to_the_model_that_animates_with_the_pictures_bytes(
    caller: Account, host: Host
) -> None:
    uploaded = caller.request("POST", "/upload", body=PNG, headers={"content-type": "image/png"}).json["url"]
    reply = caller.get(f"/video/it%20turns?model=wan&duration=2&resolution=1080p&image={quote(uploaded, safe='')}")
    assert reply.status == 200, reply.text
    asked = host.asked[0][2]
    assert asked["model"] == "wan2.6-i2v-flash"
    assert asked["input"] == {
        "prompt": "it turns", "img_url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}",
    }  # fmt: skip
    assert (asked["parameters"]["resolution"], asked["parameters"]["audio"]) == ("1080P", True)
    assert credentials(host) == {"scope": {f"Bearer {KEY}"}, "a.mp4": {None}}
    assert caller.balance == NANO - 2 * nano("0.15")


@pytest.mark.parametrize(
    ("query", "word"),
    [("duration=2.5", "duration"), ("resolution=4k", "resolution: seedance-pro makes 480p"), ("audio=true", "silent")],
)
def test_a_film_that_no_host_makes_is_refused_before_anything_is_sent(
    caller: Account, host: Host, query: str, word: str
) -> None:
    reply = caller.get(f"/video/a%20fox?model=seedance-pro&{query}")
    assert reply.status == 400
    assert word in reply.error["message"]
    assert (host.asked, caller.balance) == ([], NANO)


def test_a_length_that_nobody_asked_for_is_the_nearest_that_the_host_makes(caller: Account, host: Host) -> None:
    job = caller.post("/v1/videos", {"model": "ltx-2", "prompt": "a fox"}).json
    assert job["seconds"] == "6"
    assert host.asked[0][2]["duration"] == 6
    caller.rows(1)


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("duration=7", "duration: ltx-2 makes videos of 6, 8, 10 seconds, not 7."),
        ("size=1024x576", "size: ltx-2-3-fast makes 1080p only, not 1024x576"),
        ("resolution=480p", "resolution: ltx-2-3-fast makes 1080p, not 480p"),
        ("aspectRatio=1:1", "aspectRatio: ltx-2-3-fast makes 16:9 or 9:16, not 1:1"),
    ],
)
def test_what_the_host_does_not_make_is_told_with_what_it_does(
    caller: Account, host: Host, query: str, word: str
) -> None:
    reply = caller.get(f"/video/a%20fox?model=ltx-2&{query}")
    assert (reply.status, word in reply.error["message"]) == (400, True), reply.text
    assert (host.asked, caller.balance) == ([], NANO)


def test_what_the_first_host_does_not_make_the_next_one_does(caller: Account, host: Host) -> None:
    reply = caller.get("/video/a%20fox?model=two-ways&fps=30")
    assert reply.status == 200, reply.text
    assert host.asked[0][1] == "/fal/fal-ai/ltx-2"
    assert host.asked[0][2]["fps"] == 30
    state = next(model for model in caller.get("/v1/models/status").json["data"] if model["id"] == "two-ways")
    assert "calls" not in state["routes"][0] or state["routes"][0]["calls"] == 0


def test_what_no_host_makes_is_told_in_the_words_of_the_first(caller: Account, host: Host) -> None:
    reply = caller.get("/video/a%20fox?model=two-ways&aspectRatio=1:1")
    assert (reply.status, reply.error["message"]) == (400, "aspectRatio: ltx-2-fast makes 16:9 or 9:16, not 1:1.")
    assert (host.asked, caller.balance) == ([], NANO)


def test_a_picture_is_fetched_without_the_credential(caller: Account, host: Host) -> None:
    reply = caller.post(
        "/v1/images/generations",
        {"model": "qwen-image", "prompt": "a fox", "size": "1664x928", "seed": 7, "negative_prompt": "rain"},
    )
    assert reply.status == 200, reply.text
    assert host.asked[0][2]["parameters"] == {
        "size": "1664*928", "n": 1, "seed": 7, "negative_prompt": "rain", "watermark": False, "prompt_extend": False,
    }  # fmt: skip
    assert credentials(host) == {"scope": {f"Bearer {KEY}"}, "a.png": {None}}
    assert caller.balance == NANO - nano("0.045")


def test_a_small_picture_is_asked_for_in_a_size_that_its_host_makes(caller: Account, host: Host) -> None:
    reply = caller.post("/v1/images/generations", {"model": "seedream5", "prompt": "a fox", "size": "1024x1024"})
    assert reply.status == 200, reply.text
    assert host.asked[0][2]["size"] == "1920x1920"
    assert caller.balance == NANO - nano("0.0525")


def test_refused_content_is_422_and_free(caller: Account) -> None:
    reply = caller.post("/v1/images/generations", {"model": "wan-image", "prompt": "something forbidden"})
    assert (reply.status, reply.error["reason"]) == (422, "content_policy_violation")
    assert caller.balance == NANO
