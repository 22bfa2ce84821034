"""Starts real engine hosts for tests: the program itself over an inherited socket, or test engines in this process."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from openpollen.engines.base import Engine
from openpollen.engines.host_app import HostSettings, create_host

TOKEN = "test-token-of-the-engine-host"


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """The JSON of each server-sent event; the last one must be [DONE]."""
        lines = [line[6:] for line in self.body.decode().split("\n\n") if line.startswith("data: ")]
        assert lines[-1] == "[DONE]", self.body
        return [json.loads(line) for line in lines[:-1]]


@dataclass
class Client:
    """Plain HTTP to a host."""

    port: int
    token: str = TOKEN

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        connection = self.open(method, path, body, headers)
        try:
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def open(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPConnection:
        """Send a request and leave the answer unread; closing the connection is how a caller leaves."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, path, raw, {"Authorization": f"Bearer {self.token}", **(headers or {})})
        return connection

    def chat(self, text: str | list[dict[str, Any]], **options: Any) -> Reply:
        messages = [{"role": "user", "content": text}] if isinstance(text, str) else text
        body = {"model": "smollm2", "messages": messages, "max_tokens": 40, **options}
        return self.ask("POST", "/v1/chat/completions", body)

    def until(self, wanted: str, value: Any, seconds: float = 30) -> dict[str, Any]:
        """Ask for the host's health until a field has a value."""
        end = time.monotonic() + seconds
        while (health := self.ask("GET", "/health").json)[wanted] != value:
            assert time.monotonic() < end, f"{wanted} did not become {value}: {health}"
        return health


def listener() -> socket.socket:
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen(64)
    return made


@contextlib.contextmanager
def host_program(on: socket.socket, models: Path, **settings: Any) -> Iterator[subprocess.Popen[bytes]]:
    """``python -m openpollen.engines.host`` on an inherited socket; ends with the block."""
    environ = {**os.environ, "OPENPOLLEN_ENGINE_TOKEN": TOKEN, "OPENPOLLEN_MODELS": str(models)}
    environ |= {f"OPENPOLLEN_ENGINE_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "openpollen.engines.host", "--fd", str(on.fileno())]
    process = subprocess.Popen(command, pass_fds=[on.fileno()], env=environ)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def host_of_engines(engines: Mapping[str, Engine], **settings: Any) -> Iterator[Client]:
    """A host over given engines, served from a thread of this process."""
    server = uvicorn.Server(
        uvicorn.Config(
            create_host(engines, HostSettings(token=TOKEN, **settings)),
            log_level="error", lifespan="on", timeout_graceful_shutdown=1,
        )
    )  # fmt: skip
    with listener() as made:
        thread = threading.Thread(target=server.run, args=([made],))
        thread.start()
        try:
            yield Client(made.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()
