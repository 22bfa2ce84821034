"""Calls of the Google adapter and what the tests of it share."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from typing import Any

import msgspec

from openpollen.core.chat import ChatFrame, ChatRequest
from openpollen.core.model import Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers.adapter import adapters
from tests.conformance.captures import captured

adapter = adapters()["google"]

GEMINI = Provider(
    "gemini",
    "google",
    "https://generativelanguage.googleapis.com/v1beta",
    "AIzaFAKE",
    auth="x-goog-api-key",
)
VERTEX = Provider(
    "vertex",
    "google",
    "https://aiplatform.googleapis.com/v1beta1/projects/fake-project/locations/us-central1/publishers/google/models",
    signer="google",
)
VEO = "veo-3.1-fast-generate-preview"
FLASH, LITE = "gemini-3-flash-preview", "gemini-2.5-flash-lite"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SIGNED = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'},
    "extra_content": {"google": {"thought_signature": "c2ln"}},
}
HI = [{"role": "user", "content": "hi"}]


def request(stream: bool = False, max_tokens: int | None = None, seed: int | None = None, **fields: Any) -> ChatRequest:
    raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in ({"messages": HI} | fields).items()}
    return ChatRequest(raw, stream=stream, max_tokens=max_tokens, seed=seed)


def encoded(asked: ChatRequest, model: str = LITE, provider: Provider = GEMINI, operation: str = "") -> Outgoing:
    return adapter.encode_chat(asked, Route(provider.name, model, operation), provider)


def body(out: Outgoing) -> dict[str, Any]:
    assert isinstance(out.body, bytes)
    return json.loads(out.body)


def expected(name: str, number: int = 0) -> dict[str, Any]:
    """A captured request. The library writes some names of Google's bodies with underscores, which mean the same; the token
    of Vertex is put in when the request goes out."""
    found = captured(name)["requests"][number]
    found["headers"].pop("authorization", None)
    if found["body"]["kind"] == "json":
        found["body"]["json"] = camel(found["body"]["json"])
    return found


def camel(value: Any) -> Any:
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    renamed = {"parameters_json_schema": "parametersJsonSchema", "include_thoughts": "includeThoughts"}
    renamed |= {"thinking_level": "thinkingLevel", "thinking_budget": "thinkingBudget"}
    out = {renamed.get(name, name): camel(item) for name, item in value.items()}
    if isinstance(out.get("data"), str):  # either alphabet of base64 is read
        out["data"] = out["data"].replace("-", "+").replace("_", "/")
    return out


def pixel(part: dict[str, Any]) -> bytes:
    return base64.b64decode(part["inlineData"]["data"])


ANSWER = captured("gemini.generate_content.full")["recorder_responses"]["items"][0]


def decoded(answer: dict[str, Any]) -> dict[str, Any]:
    return json.loads(adapter.decode_chat(200, {}, json.dumps(answer).encode(), GEMINI).body)


def events(*answers: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(answer).encode() + b"\r\n\r\n" for answer in answers)


def frames(data: bytes, *cuts: int) -> list[ChatFrame]:
    decoder = adapter.chat_frames(Route("gemini", FLASH))
    marks = [0, *cuts, len(data)]
    out = [frame for start, end in pairwise(marks) for frame in decoder.feed(data[start:end])]
    return out + decoder.end()
