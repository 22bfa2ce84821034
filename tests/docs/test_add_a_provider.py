"""The guide that adds a provider, followed to the letter: its code is installed as it stands there, and serves pictures."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.fakewire import picture
from tests.gateway import Gateway

GUIDE = Path(__file__).parents[2] / "docs/guides/add-a-provider.md"
KEY = "sun-secret-4711"


class Prints(ThreadingHTTPServer):
    """The provider of the guide; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any], str]] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Prints

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, asked, self.headers["authorization"]))
        answer = {"picture": base64.b64encode(picture(*asked["size"])).decode()}
        status = 200
        if asked["text"] == "nothing":
            status, answer = 400, {"error": {"message": "text: say what to print"}}
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def prints() -> Iterator[Prints]:
    with Prints() as host:
        serving = threading.Thread(target=host.serve_forever)
        serving.start()
        yield host
        host.shutdown()
        serving.join()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, prints: Prints) -> Iterator[Gateway]:
    """A server beside which the package of the guide is installed, with the guide's configuration but for the address."""
    folder = tmp_path_factory.mktemp("sunprint")
    code, entry_point, config = re.findall(r"```[a-z]+\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    (folder / "sunprint.py").write_text(code)
    installed = folder / "openpollen_sunprint-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: openpollen-sunprint\nVersion: 1.0\n")
    group, line = re.findall(r'entry-points\."([^"]+)"\]\n(.*)', entry_point)[0]
    (installed / "entry_points.txt").write_text(f"[{group}]\n{line.replace(chr(34), '')}\n")
    here = f"http://127.0.0.1:{prints.server_port}/v1"
    (folder / "openpollen.toml").write_text(
        config.replace("https://api.sunprint.example/v1", here) + "\n[engines]\nenabled = false\n"
    )
    paths = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    env = {"PYTHONPATH": paths, "SUNPRINT_KEY": KEY}
    with Gateway(folder / "data", folder / "openpollen.toml", env=env) as running:
        yield running


def test_the_guide_is_short() -> None:
    assert len(GUIDE.read_text("utf-8").splitlines()) < 60


def test_its_provider_makes_a_picture_at_its_price(server: Gateway, prints: Prints) -> None:
    owner = server.account()
    wanted = {"model": "cyanotype", "prompt": "a fern", "size": "320x256", "seed": 7, "response_format": "b64_json"}
    answer = owner.post("/v1/images/generations", wanted)
    assert answer.status == 200, answer.text
    made = Image.open(io.BytesIO(base64.b64decode(answer.json["data"][0]["b64_json"])))
    assert made.size == (320, 256)
    asked = {"text": "a fern", "size": [320, 256], "seed": 7}
    assert prints.asked[-1] == ("/v1/prints/cyan-1", asked, f"Bearer {KEY}")
    assert answer.headers["x-pollen-cost"] == "0.02"
    assert (answer.headers["x-model-used"], owner.rows(1)[0]["cost_usd"]) == ("cyanotype", 0.02)


def test_its_faults_are_told_and_free(server: Gateway) -> None:
    owner = server.account()
    refused = owner.post("/v1/images/generations", {"model": "cyanotype", "prompt": "nothing"})
    assert (refused.status, refused.error["message"]) == (400, "text: say what to print")
    told = owner.post("/v1/images/generations", {"model": "cyanotype", "prompt": "a fern", "negative_prompt": "moss"})
    assert told.headers["x-ignored-parameters"] == "negative_prompt"
    assert server.verify()["ok"]
