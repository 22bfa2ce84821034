"""The server of the world: one port, each provider under its own name, and ``/_world`` for its books and faults."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

import msgspec

from openpollen.core.usage import Usage
from openpollen.world import faults
from openpollen.world.asked import Answer, Asked
from openpollen.world.jobs import Shelf
from openpollen.world.place import Place

Wire = Callable[[Asked, Place], Answer]
Message = MutableMapping[str, Any]
_PRETENDED = (b"x-pretended", b"yes")


@dataclass(frozen=True)
class Charge:
    """One line of a provider's bill."""

    provider: str
    model: str
    usage: Usage


@dataclass
class Books:
    """What was asked and what is billed, by provider."""

    calls: dict[str, int] = field(default_factory=dict[str, int])
    bill: list[Charge] = field(default_factory=list[Charge])
    faults: dict[str, list[str]] = field(default_factory=dict[str, list[str]])


class World:
    """The ASGI application. ``wires`` says which wire each provider speaks; ``key`` is what all of them take."""

    def __init__(self, wires: Mapping[str, str], key: str, seed: int = 0) -> None:
        self.books = Books()
        self._wires = wires
        self._key = key
        self._seed = seed
        self._shelf = Shelf()

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        asked = await _read(scope, receive)
        answer, fault = await self._answer(asked, _origin(scope, asked.provider))
        headers = [(b"content-type", answer.kind.encode()), _PRETENDED]
        headers += [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        data = answer.data
        if not answer.pieces:
            data = faults.miscounted(data, fault.usage) if fault.usage and answer.kind == "application/json" else data
            headers.append((b"content-length", str(len(data)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        for number, piece in enumerate(answer.pieces):
            if number == fault.cut:
                return  # the server closes what was not ended
            sent = faults.miscounted_event(piece, fault.usage) if fault.usage else piece
            await send({"type": "http.response.body", "body": sent, "more_body": True})
        await send({"type": "http.response.body", "body": b"" if answer.pieces else data})
        self._note(asked.provider, answer)

    async def _answer(self, asked: Asked, origin: str) -> tuple[Answer, faults.Fault]:
        none = faults.Fault()
        if asked.provider == "_world":
            return self._own(asked), none
        name = asked.path.strip("/").removeprefix("files/")
        found = self._shelf.files.get(f"{asked.provider}/{name}") or (
            self._shelf.files.get(name) if asked.path.startswith("/files/") and asked.method == "GET" else None
        )
        if found is not None:
            return Answer(found[0], kind=found[1]), none
        wire = self._wires.get(asked.provider)
        if wire is None:
            return Answer({"error": {"message": f"there is no provider {asked.provider!r} in this world"}}, 404), none
        self.books.calls[asked.provider] = self.books.calls.get(asked.provider, 0) + 1
        if not any(self._key in value for value in asked.headers.values()) and "AWS4-HMAC" not in str(asked.headers):
            return Answer({"error": {"message": "Invalid API key.", "type": "authentication_error"}}, 401), none
        fault = faults.asked_for(asked, self.books.faults)
        if fault.slow:
            await asyncio.sleep(fault.slow)
        if fault.status:
            return faults.failure(fault.status), fault
        place = Place(self._seed, self._shelf, origin, self._charge)
        answers = cast(Wire, importlib.import_module(f"openpollen.world.{wire}").answer)
        answer = await asyncio.to_thread(answers, asked, place)
        if fault.refuse and answer.bill is not None:
            return faults.refusal(asked), fault
        return answer, fault

    def _charge(self, provider: str, model: str, usage: Usage) -> None:
        self.books.bill.append(Charge(provider, model, usage))

    def _note(self, provider: str, answer: Answer) -> None:
        if answer.bill is not None and answer.status < 300:
            self._charge(provider, answer.model, answer.bill)

    def _own(self, asked: Asked) -> Answer:
        """``GET bill``, ``GET calls``, ``POST faults`` with ``{"provider or model or *": ["500", "slow=2"]}``, ``DELETE``."""
        match asked.method, asked.path.strip("/"):
            case "GET", "bill":
                return Answer({"bill": msgspec.to_builtins(self.books.bill)})
            case "GET", "calls":
                return Answer({"calls": self.books.calls})
            case "POST", "faults":
                self.books.faults = {name: [str(mark) for mark in marks] for name, marks in asked.json.items()}
                return Answer({"faults": self.books.faults})
            case "DELETE", _:
                self.books = Books()
                return Answer({})
            case _:
                return Answer({"error": {"message": "GET bill, GET calls, POST faults, DELETE"}}, 404)


async def _read(scope: Message, receive: Any) -> Asked:
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    raw = scope.get("raw_path", scope["path"].encode()).decode().partition("?")[0]
    provider, _, rest = raw.lstrip("/").partition("/")
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    query = dict(parse_qsl(scope["query_string"].decode()))
    return Asked(unquote(provider), scope["method"], f"/{rest}", query, headers, b"".join(parts))


def _origin(scope: Message, provider: str) -> str:
    host = next((value.decode() for name, value in scope["headers"] if name == b"host"), "127.0.0.1")
    return f"http://{host}/{provider}"
