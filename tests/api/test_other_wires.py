"""Calls through a host that does not speak OpenAI's API: whole, streamed, with a picture by address, refused."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.fakewire import picture
from tests.faults.conftest import film
from tests.gateway import NANO, Account, Gateway, nano

OPERATION = "models/veo-3.1-fast-generate-preview/operations/op1"
KEY = "AIza-lab-secret-key-of-the-test"
USAGE = {"promptTokenCount": 1000, "candidatesTokenCount": 50, "thoughtsTokenCount": 50, "cachedContentTokenCount": 400}
#: gemini-fast: 0.3, 0.03 and 1.2 pollen a million tokens read, read from a cache, and written.
COST = 600 * 300 + 400 * 30 + 100 * 1200


class Host(ThreadingHTTPServer):
    """Answers like Gemini, and keeps what it was asked. Its films lie behind a redirect."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any], str]] = []
        self.clip = film(4)
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Host

    def do_GET(self) -> None:
        self.server.asked.append((self.path, {}, self.headers["x-goog-api-key"]))
        host = f"http://127.0.0.1:{self.server.server_port}"
        video = {"uri": f"{host}/v1beta/files/f:download?alt=media"}
        done = {"name": OPERATION, "done": True}
        done |= {"response": {"generateVideoResponse": {"generatedSamples": [{"video": video}]}}}
        moved = self.path.startswith("/v1beta/files/")
        self.send_response(302 if moved else 200)
        if moved:
            self.send_header("location", self.path.replace("/v1beta/", "/download/"))
        data = b"" if moved else self.server.clip if "/download/" in self.path else json.dumps(done).encode()
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, asked, self.headers["x-goog-api-key"]))
        parts = [{"text": "Hm.", "thought": True}, {"text": "A red square."}]
        answer: dict[str, Any] = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
        answer |= {"usageMetadata": USAGE, "modelVersion": "gemini-2.5-flash-lite", "responseId": "r1"}
        if "forbidden" in json.dumps(asked):
            answer = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
        if self.path.endswith(":predictLongRunning"):
            answer = {"name": OPERATION}
        data = json.dumps(answer).encode()
        body = b"data: " + data + b"\n\n" if "alt=sse" in self.path else data
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

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
    folder = tmp_path_factory.mktemp("gemini")
    config = folder / "openpollen.toml"
    row = f'[providers.gemini]\nbase_url = "http://127.0.0.1:{host.server_port}/v1beta"\nkey = "{KEY}"\n'
    config.write_text(f"{row}[engines]\nenabled = false\n")
    with Gateway(folder / "data", config) as gateway:
        yield gateway
    assert "Traceback" not in gateway.output
    assert KEY not in gateway.output


@pytest.fixture
def caller(served: Gateway, host: Host) -> Account:
    host.asked.clear()
    return served.account()


def test_a_whole_answer_is_openais_and_its_parts_are_billed(caller: Account, host: Host) -> None:
    reply = caller.chat("gemini-fast", reasoning_effort="low", user="u")
    assert reply.status == 200, reply.text
    said = reply.json["choices"][0]["message"]
    assert (said["content"], said["reasoning_content"]) == ("A red square.", "Hm.")
    assert reply.headers["x-ignored-parameters"] == "user"
    assert reply.json["usage"]["prompt_tokens_details"]["cached_tokens"] == 400
    assert reply.cost == COST
    ((path, asked, key),) = host.asked
    assert (path, key) == ("/v1beta/models/gemini-2.5-flash-lite:generateContent", KEY)
    assert asked["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 1024, "includeThoughts": True}
    assert caller.rows(1)[0]["output_reasoning_tokens"] == 50
    assert caller.balance == NANO - COST


def test_a_stream_through_openais_library(caller: Account) -> None:
    stream = caller.openai().chat.completions.create(
        model="gemini-fast", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    chunks = list(stream)
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "A red square."
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert nano(chunks[-1].usage.model_extra["pollen_cost"]) == COST  # pyright: ignore[reportOptionalSubscript]


@pytest.mark.parametrize("stream", [False, True])
def test_a_picture_by_address_goes_out_as_bytes(caller: Account, host: Host, stream: bool) -> None:
    data = picture(8, 8)
    uploaded = caller.request("POST", "/upload", body=data, headers={"content-type": "image/png"})
    assert uploaded.status == 200, uploaded.text
    part = {"type": "image_url", "image_url": {"url": uploaded.json["url"]}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, part]}]
    assert caller.chat("gemini-fast", messages=messages, stream=stream).status == 200
    sent = host.asked[0][1]["contents"][0]["parts"][1]["inlineData"]
    assert sent["mimeType"] == "image/png"
    assert base64.b64decode(sent["data"]) == data


@pytest.mark.parametrize("stream", [False, True])
def test_an_address_that_must_not_be_fetched_is_the_callers_fault_and_free(
    caller: Account, host: Host, stream: bool
) -> None:
    part = {"type": "image_url", "image_url": {"url": f"http://127.0.0.1:{host.server_port}/secret.png"}}
    reply = caller.chat("gemini-fast", messages=[{"role": "user", "content": [part]}], stream=stream)
    assert reply.status == 400
    assert (host.asked, caller.balance) == ([], NANO)


@pytest.mark.parametrize("stream", [False, True])
def test_blocked_content_is_422_and_free(caller: Account, stream: bool) -> None:
    messages = [{"role": "user", "content": "something forbidden"}]
    reply = caller.chat("gemini-fast", messages=messages, stream=stream)
    assert (reply.status, reply.error["reason"]) == (422, "content_policy_violation")
    assert caller.balance == NANO


def test_a_film_behind_a_redirect_is_fetched_with_the_key_that_it_needs(caller: Account, host: Host) -> None:
    reply = caller.get("/video/a%20fox?model=veo&duration=4&negative_prompt=rain")
    assert reply.status == 200, reply.text
    assert reply.body == host.clip
    assert [path for path, _, _ in host.asked] == [
        "/v1beta/models/veo-3.1-fast-generate-preview:predictLongRunning",
        f"/v1beta/{OPERATION}",
        "/v1beta/files/f:download?alt=media",
        "/download/files/f:download?alt=media",
    ]
    assert {key for _, _, key in host.asked} == {KEY}
    assert host.asked[0][1]["parameters"]["negativePrompt"] == "rain"
    assert "x-ignored-parameters" not in reply.headers
    assert caller.balance == NANO - 4 * nano("0.15")
