"""Anthropic's Messages API, at Anthropic and on Vertex AI (https://docs.anthropic.com/en/api/messages)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from openpollen.core.usage import Usage
from openpollen.world import made
from openpollen.world.asked import Answer, Asked
from openpollen.world.place import Place


def answer(asked: Asked, place: Place) -> Answer:
    body = asked.json
    if asked.method == "GET":
        return Answer({"data": []})
    model = body.get("model") or asked.path.rpartition("/")[2].partition(":")[0]
    tools = [(tool["name"], tool.get("input_schema")) for tool in body.get("tools") or () if "name" in tool]
    shape = asked.at("output_config", "format", "schema")
    thinks = asked.at("thinking", "type") not in (None, "disabled")
    talk = made.talk(asked.text, place.seed, tools=tools, shape=shape, thinks=thinks)
    blocks = list(_blocks(talk))
    bill = Usage(
        input_tokens=talk.prompt - talk.cached, cached_input_tokens=talk.cached, output_tokens=talk.said + talk.thought
    )
    head = {"id": "msg_world", "type": "message", "role": "assistant", "model": model}
    stop = "tool_use" if talk.call else "end_turn"
    if body.get("stream"):
        return Answer(
            kind="text/event-stream", pieces=list(_events(head, blocks, bill, stop)), bill=bill, model=str(model)
        )
    whole = head | {"content": blocks, "stop_reason": stop, "stop_sequence": None, "usage": _usage(bill)}
    return Answer(whole, bill=bill, model=str(model))


def _usage(bill: Usage) -> dict[str, int]:
    return {
        "input_tokens": bill.input_tokens,
        "cache_read_input_tokens": bill.cached_input_tokens,
        "cache_creation_input_tokens": 0,
        "output_tokens": bill.made_tokens,
    }


def _blocks(talk: made.Talk) -> Iterator[dict[str, Any]]:
    if talk.reasoning:
        yield {"type": "thinking", "thinking": talk.reasoning, "signature": "d29ybGQ="}
    if talk.call:
        yield {"type": "tool_use", "id": "toolu_world", "name": talk.call[0], "input": json.loads(talk.call[1])}
    else:
        yield {"type": "text", "text": talk.text}


def _events(head: dict[str, Any], blocks: list[dict[str, Any]], bill: Usage, stop: str) -> Iterator[bytes]:
    def event(kind: str, **fields: Any) -> bytes:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()

    none: list[Any] = []
    begun = head | {"content": none, "stop_reason": None, "usage": {**_usage(bill), "output_tokens": 1}}
    yield event("message_start", message=begun)
    for index, block in enumerate(blocks):
        match block["type"]:
            case "thinking":
                empty: dict[str, Any] = {"type": "thinking", "thinking": "", "signature": ""}
                deltas: list[dict[str, Any]] = [
                    {"type": "thinking_delta", "thinking": block["thinking"]},
                    {"type": "signature_delta", "signature": block["signature"]},
                ]
            case "tool_use":
                empty = {**block, "input": {}}
                deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
            case _:
                empty = {"type": "text", "text": ""}
                deltas = [{"type": "text_delta", "text": f"{word} "} for word in block["text"].split(" ")]
                deltas[-1]["text"] = deltas[-1]["text"].rstrip()
        yield event("content_block_start", index=index, content_block=empty)
        for delta in deltas:
            yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    yield event("message_delta", delta={"stop_reason": stop}, usage={"output_tokens": bill.made_tokens})
    yield event("message_stop")
