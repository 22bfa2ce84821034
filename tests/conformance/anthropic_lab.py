"""Providers, requests and answers that the tests of Anthropic's Messages API share."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from openpollen.core.chat import ChatFrame, ChatRequest
from openpollen.core.model import Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers.adapter import adapters

adapter = adapters()["anthropic"]
HEADERS = {"anthropic-version": "2023-06-01"}
DIRECT = Provider(
    "anthropic", "anthropic", "https://api.anthropic.com/v1", "sk-ant-fake", headers=HEADERS, auth="x-api-key"
)
VERTEX = Provider(
    "vertex-anthropic",
    "anthropic",
    "https://us-east5-aiplatform.googleapis.com/v1/projects/fake-project/locations/us-east5/publishers/anthropic/models",
    signer="google",
)
#: As the library's newest major version speaks: a bearer token and a later version.
NEWEST = Provider(
    "anthropic", "anthropic", "https://api.anthropic.com/v1", "sk-ant-fake", headers={"anthropic-version": "2026-10-21"}
)
HAIKU, SONNET = "claude-haiku-4-5-20251001", "claude-sonnet-4-6"
PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALL = {"id": "toolu_0", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
BEDROCK = Provider("claude-bedrock", "anthropic", "https://bedrock-runtime.us-east-1.amazonaws.com", signer="aws")
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
HI = [{"role": "user", "content": "hi"}]


def request(stream: bool = False, max_tokens: int | None = 100, **fields: Any) -> ChatRequest:
    raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in ({"messages": HI} | fields).items()}
    return ChatRequest(raw, stream=stream, max_tokens=max_tokens)


def encoded(asked: ChatRequest, model: str = HAIKU, provider: Provider = DIRECT) -> Outgoing:
    return adapter.encode_chat(asked, Route(provider.name, model), provider)


def body(asked: ChatRequest, model: str = HAIKU, provider: Provider = DIRECT) -> dict[str, Any]:
    out = encoded(asked, model, provider).body
    assert isinstance(out, bytes)
    return json.loads(out)


def decoded(answer: dict[str, Any]) -> dict[str, Any]:
    return json.loads(adapter.decode_chat(200, {}, json.dumps(answer).encode(), DIRECT).body)


def frames(data: bytes, size: int = 1 << 20) -> list[ChatFrame]:
    decoder = adapter.chat_frames(Route("anthropic", HAIKU))
    out = [frame for at in range(0, len(data), size) for frame in decoder.feed(data[at : at + size])]
    return out + decoder.end()


def gathered(found: list[ChatFrame]) -> dict[str, Any]:
    """What the deltas of a stream come to."""
    said: dict[str, Any] = {"content": "", "reasoning_content": "", "arguments": "", "blocks": [], "finish": None}
    for frame in found:
        for choice in json.loads(frame.data)["choices"] if not frame.done else ():
            delta = choice["delta"]
            said["content"] += delta.get("content") or ""
            said["reasoning_content"] += delta.get("reasoning_content") or ""
            said["blocks"] += delta.get("content_blocks") or []
            said["finish"] = choice["finish_reason"] or said["finish"]
            for call in delta.get("tool_calls") or ():
                said["arguments"] += call["function"]["arguments"]
    return said
