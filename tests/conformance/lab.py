"""Calls of the OpenAI adapter to the fake provider, over real connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec

from openpollen.core.chat import ChatAnswer, ChatFrame, ChatRequest
from openpollen.core.model import Provider, Route
from openpollen.core.usage import Usage
from openpollen.outbound.client import Client
from openpollen.outbound.message import Broken, Limits, Outgoing, Timeouts
from openpollen.providers.adapter import adapters
from tests.fakeprovider import PROMPT_TOKENS, TEXT, FakeProvider

KEY = "sk-test-0123456789abcdefghijklmnop"
FIELDS = {"messages": msgspec.Raw(b'[{"role":"user","content":"hi"}]')}
USAGE = Usage(input_tokens=PROMPT_TOKENS, output_tokens=len(TEXT.split(" ")))

adapter = adapters()["openai_compatible"]


def lab(fake: FakeProvider, **more: Any) -> Provider:
    return Provider("lab", "openai_compatible", fake.base_url, **({"key": KEY, "key_env": "LAB_KEY"} | more))


async def send(client: Client, out: Outgoing, **timeouts: float) -> tuple[int, Any, bytes]:
    timed = Outgoing(out.method, out.url, out.headers, out.body, Timeouts(**({"first_byte": 5.0} | timeouts)))
    response = await client.request(timed)
    return response.status, response.headers, await response.read()


def call(out: Outgoing, decode: Callable[..., Any], provider: Provider) -> Any:
    """One request over a connection of its own, decoded."""

    async def main() -> Any:
        client = Client(Limits(beat=0.01))
        try:
            return decode(*await send(client, out), provider)
        finally:
            await client.close()

    return asyncio.run(main())


def chat(fake: FakeProvider, model: str, **more: Any) -> ChatAnswer:
    provider = lab(fake)
    return call(
        adapter.encode_chat(ChatRequest(FIELDS, **more), Route("lab", model), provider), adapter.decode_chat, provider
    )


def stream(fake: FakeProvider, model: str) -> list[ChatFrame]:
    """All frames of a streamed answer. A connection that breaks ends the frames as the end of the bytes does."""
    provider = lab(fake)

    async def main() -> list[ChatFrame]:
        client = Client(Limits(beat=0.01))
        decoder = adapter.chat_frames(Route("lab", "ok"))
        frames: list[ChatFrame] = []
        response = await client.request(
            adapter.encode_chat(ChatRequest(FIELDS, stream=True), Route("lab", model), provider)
        )
        try:
            async for piece in response:
                frames += decoder.feed(piece)
        except Broken:
            pass
        await client.close()
        return frames + decoder.end()

    return asyncio.run(main())


def content(frames: list[ChatFrame]) -> str:
    chunks = [json.loads(frame.data) for frame in frames if not frame.done and frame.error is None]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def last_usage(frames: list[ChatFrame]) -> Usage | None:
    return next((frame.usage for frame in reversed(frames) if frame.usage is not None), None)
