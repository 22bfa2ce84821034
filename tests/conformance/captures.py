"""Requests that the providers' own libraries sent, and how ours are compared with them: header names in lower case, JSON
without nulls and without ``stream: false``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from openpollen.core.chat import ChatFrame
from openpollen.core.model import Provider
from openpollen.outbound.message import Outgoing, parse_origin

WIRE = Path(__file__).with_name("wire")


def captured(name: str) -> dict[str, Any]:
    return json.loads((WIRE / f"{name}.json").read_text())


def same(out: Outgoing, expected: dict[str, Any]) -> None:
    """Fails unless ``out`` is the captured request."""
    _, _, target = parse_origin(out.url)
    path, _, query = target.partition("?")
    assert (out.method, unquote(path)) == (expected["method"], unquote(expected["path"]))
    assert [pair.split("=", 1) for pair in query.split("&") if pair] == expected["query"]
    got = {name.lower(): value.partition(";")[0] for name, value in out.headers}
    assert got == {name: value.partition(";")[0] for name, value in expected["headers"].items()}
    if expected["body"]["kind"] == "json":
        assert isinstance(out.body, bytes)
        assert plain(json.loads(out.body)) == plain(expected["body"]["json"])


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: plain(item) for name, item in value.items() if item is not None}
        return {name: item for name, item in kept.items() if (name, item) != ("stream", False)}
    return [plain(item) for item in value] if isinstance(value, list) else value


def timeless(frames: Iterable[ChatFrame]) -> list[Any]:
    """What frames say, but for when: a second may pass between two readings of one stream."""
    said = [{} if frame.done else json.loads(frame.data) for frame in frames]
    return [{name: value for name, value in body.items() if name != "created"} for body in said]


def without_secret(text: str, provider: Provider) -> bool:
    return not provider.key or provider.key not in text
