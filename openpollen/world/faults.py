"""Faults on demand: marks in a prompt, and rules for a provider or a model.

world:500  world:429   that status, in words that any host might use        world:slow=2   waits so many seconds first
world:cut=3            breaks a stream off after so many events              world:refuse   refuses the content
world:no-usage  world:zero-usage  world:double-usage   reports wrong counts  world:job-fails  the job fails
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, cast

from openpollen.world.asked import Answer, Asked

_MARK = re.compile(r"\bworld:([a-z0-9-]+)(?:=(\d+(?:\.\d+)?))?")
_REFUSAL = "Your request was rejected by our content policy."


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer. ``slow`` is seconds; ``cut`` is after how many events a stream ends."""

    status: int = 0
    slow: float = 0.0
    cut: int | None = None
    refuse: bool = False
    usage: str = ""


def asked_for(asked: Asked, rules: dict[str, list[str]]) -> Fault:
    """The fault that a request brings with it, or that a rule sets for its provider or its model."""
    model = str(asked.json.get("model", ""))
    set_for = [mark for name in (asked.provider, model, "*") for mark in rules.get(name, ())]
    text = " ".join([asked.text, *(f"world:{mark}" for mark in set_for)])
    status, slow, cut, refuse, usage = 0, 0.0, None, False, ""
    for word, value in _MARK.findall(text):
        if word.isdigit() and 400 <= int(word) < 600:
            status = int(word)
        elif word == "slow" and value:
            slow = min(60.0, float(value))
        elif word == "cut" and value:
            cut = int(float(value))
        elif word == "refuse":
            refuse = True
        elif word in ("no-usage", "zero-usage", "double-usage"):
            usage = word
    return Fault(status, slow, cut, refuse, usage)


def refusal(asked: Asked) -> Answer:
    """Refused content, as most hosts say it."""
    error = {"message": _REFUSAL, "type": "invalid_request_error", "code": "content_policy_violation"}
    return Answer({"error": error}, 400)


def failure(status: int) -> Answer:
    """An error of this status, with a time to wait where hosts give one."""
    kind = "rate_limit_error" if status == 429 else "server_error" if status >= 500 else "invalid_request_error"
    headers = {"retry-after": "1"} if status in (429, 503) else {}
    return Answer({"error": {"message": f"pretended error {status}", "type": kind}}, status, headers=headers)


def miscounted(data: bytes, how: str) -> bytes:
    """A JSON answer or event whose counts are missing, zero or doubled."""
    try:
        return json.dumps(_wrong(json.loads(data), how)).encode()
    except ValueError:
        return data


def miscounted_event(event: bytes, how: str) -> bytes:
    """The same for an event of a stream; others than text are left alone."""
    head, mark, data = event.partition(b"data: ")
    body = data.strip()
    return head + mark + miscounted(body, how) + data[len(body) :] if mark and body.startswith(b"{") else event


def _wrong(value: Any, how: str) -> Any:
    if isinstance(value, list):
        return [_wrong(item, how) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    out: dict[str, Any] = {}
    for name, part in cast("dict[str, Any]", value).items():
        if name in ("usage", "usageMetadata"):
            if how != "no-usage":
                out[name] = _scaled(part, 0 if how == "zero-usage" else 2)
        else:
            out[name] = _wrong(part, how)
    return out


def _scaled(value: Any, factor: int) -> Any:
    if isinstance(value, bool) or not isinstance(value, dict | list | int):
        return value
    if isinstance(value, int):
        return value * factor
    if isinstance(value, list):
        return [_scaled(item, factor) for item in cast("list[Any]", value)]
    return {name: _scaled(part, factor) for name, part in cast("dict[str, Any]", value).items()}
