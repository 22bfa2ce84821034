"""Amazon Bedrock: Converse and ConverseStream, Nova Canvas, Nova Reel with a bucket
(https://docs.aws.amazon.com/bedrock/latest/APIReference)."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from openpollen.core.usage import Usage
from openpollen.world import made
from openpollen.world.asked import Answer, Asked
from openpollen.world.place import Place


def answer(asked: Asked, place: Place) -> Answer:
    match asked.path.strip("/").split("/"):
        case ["model", model, "converse"]:
            return _converse(asked, place, unquote(model), stream=False)
        case ["model", model, "converse-stream"]:
            return _converse(asked, place, unquote(model), stream=True)
        case ["model", model, "invoke"]:
            config = asked.json.get("imageGenerationConfig", {})
            drawn = made.picture(config.get("width", 1024), config.get("height", 1024), asked.text)
            return Answer({"images": [made.encoded(drawn)]}, bill=Usage(images=1), model=unquote(model))
        case ["async-invoke"]:
            return _begin(asked, place)
        case ["async-invoke", arn]:
            return _look(place, unquote(arn))
        case _:
            return Answer({"message": f"no such path: {asked.path}"}, 404)


def _converse(asked: Asked, place: Place, model: str, *, stream: bool) -> Answer:
    offered: list[dict[str, Any]] = asked.at("toolConfig", "tools") or []
    specs: list[dict[str, Any]] = [tool["toolSpec"] for tool in offered if "toolSpec" in tool]
    tools = [(str(spec["name"]), spec["inputSchema"]["json"]) for spec in specs]
    thinks = "thinking" in json.dumps(asked.at("additionalModelRequestFields"))
    talk = made.talk(asked.text, place.seed, tools=tools, thinks=thinks)
    bill = Usage(
        input_tokens=talk.prompt - talk.cached, cached_input_tokens=talk.cached, output_tokens=talk.said + talk.thought
    )
    usage = {
        "inputTokens": bill.input_tokens,
        "outputTokens": bill.output_tokens,
        "totalTokens": bill.read_tokens + bill.made_tokens,
        "cacheReadInputTokens": bill.cached_input_tokens,
    }
    stop = "tool_use" if talk.call else "end_turn"
    if stream:
        return Answer(
            kind="application/vnd.amazon.eventstream", pieces=list(_events(talk, usage, stop)), bill=bill, model=model
        )
    content: list[dict[str, Any]] = []
    if talk.reasoning:
        content.append({"reasoningContent": {"reasoningText": {"text": talk.reasoning, "signature": "d29ybGQ="}}})
    if talk.call:
        content.append(
            {"toolUse": {"toolUseId": "tooluse_world", "name": talk.call[0], "input": json.loads(talk.call[1])}}
        )
    else:
        content.append({"text": talk.text})
    whole = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": stop, "usage": usage}
    return Answer(whole, bill=bill, model=model)


def _events(talk: made.Talk, usage: dict[str, int], stop: str) -> Iterator[bytes]:
    yield _event("messageStart", {"role": "assistant"})
    at = 0
    if talk.reasoning:
        yield _event(
            "contentBlockDelta", {"contentBlockIndex": at, "delta": {"reasoningContent": {"text": talk.reasoning}}}
        )
        yield _event(
            "contentBlockDelta", {"contentBlockIndex": at, "delta": {"reasoningContent": {"signature": "d29ybGQ="}}}
        )
        yield _event("contentBlockStop", {"contentBlockIndex": at})
        at += 1
    if talk.call:
        use = {"toolUseId": "tooluse_world", "name": talk.call[0]}
        yield _event("contentBlockStart", {"contentBlockIndex": at, "start": {"toolUse": use}})
        yield _event("contentBlockDelta", {"contentBlockIndex": at, "delta": {"toolUse": {"input": talk.call[1]}}})
    for piece in talk.pieces:
        yield _event("contentBlockDelta", {"contentBlockIndex": at, "delta": {"text": piece}})
    yield _event("contentBlockStop", {"contentBlockIndex": at})
    yield _event("messageStop", {"stopReason": stop})
    yield _event("metadata", {"usage": usage, "metrics": {"latencyMs": 1}})


def _event(kind: str, payload: dict[str, Any]) -> bytes:
    """One frame of the event stream: https://smithy.io/2.0/aws/amazon-eventstream.html"""
    headers = b""
    told = {":message-type": "event", ":event-type": kind, ":content-type": "application/json"}
    for name, value in told.items():
        headers += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    data = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(data), len(headers))
    frame = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + data
    return frame + struct.pack(">I", zlib.crc32(frame))


def _begin(asked: Asked, place: Place) -> Answer:
    body = asked.json
    seconds = int(body["modelInput"]["videoGenerationConfig"]["durationSeconds"])
    film = Usage(video_ms=seconds * 1000)
    job = place.begin(asked, body["modelId"], film, lambda: made.film(seconds), "video/mp4")
    output = body["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"]
    place.shelf.buckets[job.id] = output
    return Answer({"invocationArn": f"arn:aws:bedrock:us-east-1:0:async-invoke/{job.id}"})


def _look(place: Place, arn: str) -> Answer:
    job = place.look(arn.rpartition("/")[2])
    if job is None:
        return Answer({"message": "no such invocation"}, 404)
    told: dict[str, Any] = {"invocationArn": arn, "modelArn": job.model, "status": "InProgress"}
    if not job.done:
        return Answer(told)
    if job.failed or job.refused:
        why = "blocked by our content filters" if job.refused else "the pretended film failed"
        return Answer(told | {"status": "Failed", "failureMessage": why})
    folder = f"{place.shelf.buckets[job.id].rstrip('/')}/{job.id}"
    place.shelf.files[f"{folder.partition('://')[2]}/output.mp4"] = (job.make(), job.kind)
    return Answer(told | {"status": "Completed", "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": folder}}})
