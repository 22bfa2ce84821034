"""The real program for tests: ``polli serve`` as a process of its own, and the means to speak to it as people do."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from click.testing import CliRunner
from openai import OpenAI

from openpollen.cli.main import polli
from tests import postgres

T = TypeVar("T")
START_S = 60.0
#: Seconds that a test waits for what must come: far more than it takes on a busy machine, and spent only where it does not.
SETTLE_S = 30.0
NANO = 1_000_000_000
#: Where the databases of the servers are; SQLite without one.
POSTGRES: postgres.Server | None = None
#: The last line of what ``serve`` says, on later starts and on the first.
_BANNER_ENDS = ("keys: polli admin", "-o hello.mp3")


@dataclass(frozen=True)
class Reply:
    """An answer as it came; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def error(self) -> dict[str, Any]:
        """The error of an envelope, which is checked on the way."""
        body = self.json
        assert self.headers["content-type"] == "application/json"
        assert (body["status"], body["success"]) == (self.status, False), body
        error = body["error"]
        assert {"code", "message", "requestId", "timestamp"} <= error.keys(), error
        assert error["requestId"] == self.headers["x-request-id"]
        return error

    @property
    def events(self) -> list[Any]:
        """The data of server-sent events; ``[DONE]`` stays text."""
        assert self.headers["content-type"].startswith("text/event-stream")
        frames = [frame.removeprefix("data: ") for frame in self.text.split("\n\n") if frame]
        return [frame if frame == "[DONE]" else json.loads(frame) for frame in frames]

    @property
    def cost(self) -> int:
        """``x-pollen-cost`` in nano-pollen."""
        return nano(self.headers["x-pollen-cost"])


def nano(pollen: str | float) -> int:
    """Decimal pollen in nano-pollen, exactly."""
    whole, _, rest = (pollen if isinstance(pollen, str) else f"{pollen:.9f}").partition(".")
    return int(whole) * NANO + int(rest.ljust(9, "0"))


@dataclass(frozen=True)
class Account:
    """A user of the running server and one of its keys."""

    gateway: Gateway
    id: str
    key: str
    key_id: str

    def request(self, method: str, target: str, **options: Any) -> Reply:
        return self.gateway.request(method, target, key=self.key, **options)

    def get(self, target: str, **options: Any) -> Reply:
        return self.request("GET", target, **options)

    def post(self, target: str, body: Any = None, **options: Any) -> Reply:
        return self.request("POST", target, json=body, **options)

    def chat(self, model: str, text: str = "Hello!", **fields: Any) -> Reply:
        options = {name: fields.pop(name) for name in ("headers", "path") if name in fields}
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        return self.post(options.pop("path", "/v1/chat/completions"), body, **options)

    @property
    def balance(self) -> int:
        """What the wallet has, in nano-pollen; a budget of the key does not count."""
        return nano(self.get("/api/account/balance").json["accountBalance"]["total"])

    def rows(self, count: int) -> list[dict[str, Any]]:
        """The usage rows, the newest first, as soon as there are ``count``: they are written right after the answer."""

        def look() -> list[dict[str, Any]] | None:
            found: list[dict[str, Any]] = self.get("/api/account/usage?limit=1000").json["usage"]
            assert len(found) <= count, found
            return found if len(found) == count else None

        return eventually(look, f"{count} usage rows")

    def openai(self, base: str = "/v1", **options: Any) -> OpenAI:
        return OpenAI(base_url=self.gateway.url + base, api_key=self.key, max_retries=0, **options)


@dataclass
class Gateway:
    """A running ``polli serve``. ``url`` is where it listens, ``output`` what it printed."""

    data: Path
    config: Path | None = None
    options: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    url: str = ""
    _users: int = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts and waits until it is ready, which it says in ``server.json``."""
        command = [sys.executable, "-m", "openpollen", "serve", "--port", "0", "--data", str(self.data), *self.options]
        command += ["--config", str(self.config)] if self.config else []
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENPOLLEN_")}
        models = {"OPENPOLLEN_MODELS": os.environ["OPENPOLLEN_MODELS"]} if "OPENPOLLEN_MODELS" in os.environ else {}
        self.data.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**environment, **models, **self._database, **self.env},
            )

        def ready() -> str | None:
            assert self.process.poll() is None, self.output
            file = self.data / "server.json"
            told = json.loads(file.read_text()) if file.exists() else {}
            return told["url"] if told.get("pid") == self.process.pid else None

        self.url = eventually(ready, "server.json", START_S)
        eventually(lambda: any(end in self.output for end in _BANNER_ENDS), "the banner")

    def stop(self) -> float:
        """SIGTERM; the seconds until it had stopped."""
        started = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        return time.monotonic() - started

    @property
    def database_url(self) -> str:
        """The address of its PostgreSQL; empty for SQLite."""
        return {**self._database, **self.env}.get("OPENPOLLEN_STORAGE_DATABASE_URL", "")

    @property
    def _database(self) -> dict[str, str]:
        return {"OPENPOLLEN_STORAGE_DATABASE_URL": POSTGRES.of(str(self.data))} if POSTGRES else {}

    @property
    def _log(self) -> Path:
        return self.data.with_name(self.data.name + ".log")

    @property
    def output(self) -> str:
        return self._log.read_text()

    @property
    def alive(self) -> bool:
        return self.request("GET", "/health/ready").status == 200

    def connect(self, timeout: float = 60) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        return http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=timeout)

    def request(
        self,
        method: str,
        target: str,
        *,
        key: str | None = None,
        json: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request on a connection of its own. ``target`` is sent as it stands."""
        sent = dict(headers or {})
        if key is not None:
            sent.setdefault("Authorization", f"Bearer {key}")
        if json is not None:
            body = dumps(json)
            sent.setdefault("Content-Type", "application/json")
        connection = self.connect()
        try:
            connection.request(method, target, body, sent)
            response = connection.getresponse()
            data = response.read()
            return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, data)
        finally:
            connection.close()

    def admin(self, *words: str) -> Any:
        """What ``polli admin ... --json`` prints, on the data folder of the running server."""
        options = ["--json", "--data", str(self.data), *(["--config", str(self.config)] if self.config else [])]
        result = CliRunner().invoke(polli, ["admin", *words, *options], env={**self._database, **self.env})
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def account(self, *, tier: str = "0", pack: str = "1", crypto: str = "0", **key: str) -> Account:
        """A new user with credit, and a key of theirs with every permission but managing keys unless ``key`` says so."""
        self._users += 1
        name = f"user-{self._users}"
        user = self.admin("user", "create", name)
        for bucket, amount in (("tier", tier), ("pack", pack), ("crypto", crypto)):
            if float(amount):
                self.admin("grant", name, amount, "--bucket", bucket)
        return self.key(user["id"], name, **key)

    def key(self, user_id: str, name: str, **options: str) -> Account:
        """Another key of a user; ``options`` are those of ``polli admin key create``."""
        options = {"permissions": "profile,balance,usage", **options}
        words = [word for option, value in options.items() for word in (f"--{option.replace('_', '-')}", value)]
        made = self.admin("key", "create", "--user", name, "--name", f"key of {name}", *words)
        return Account(self, user_id, made["key"], made["id"])

    def verify(self) -> dict[str, Any]:
        return self.admin("ledger", "verify")


def dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def eventually(look: Callable[[], T], what: str, seconds: float = SETTLE_S) -> T:
    """The first answer of ``look`` that is neither None nor False; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None or found is False:
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} s"
        time.sleep(0.01)
    return found


def form(fields: Mapping[str, str], files: list[tuple[str, str, bytes]]) -> tuple[bytes, str]:
    """A multipart form and its content type."""
    mark = "----a-border-of-a-form"
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    for name, filename, data in files:
        head = f'--{mark}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        parts.append(head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + data + b"\r\n")
    return b"".join(parts) + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"


def read_events(response: http.client.HTTPResponse) -> Iterator[Any]:
    """Server-sent events as they come."""
    for line in response:
        if line.startswith(b"data: "):
            data = line[6:].strip().decode()
            yield data if data == "[DONE]" else json.loads(data)
