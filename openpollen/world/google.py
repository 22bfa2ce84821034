"""Gemini's generateContent with text and pictures, and Veo's operations, at the Gemini API and on Vertex AI
(https://ai.google.dev/api/generate-content)."""

from __future__ import annotations

import json
from typing import Any

from openpollen.core.usage import Usage
from openpollen.world import made
from openpollen.world.asked import Answer, Asked
from openpollen.world.jobs import Job
from openpollen.world.place import Place


def answer(asked: Asked, place: Place) -> Answer:
    name, _, verb = asked.path.rpartition("/")[2].partition(":")
    match verb:
        case "generateContent" | "streamGenerateContent":
            return _content(asked, place, name, stream=verb.startswith("stream"))
        case "predictLongRunning":
            wanted = asked.json["parameters"]
            seconds = int(wanted["durationSeconds"])
            job = place.begin(asked, name, Usage(video_ms=seconds * 1000), lambda: made.film(seconds), "video/mp4")
            return Answer({"name": f"models/{name}/operations/{job.id}"})
        case "fetchPredictOperation":
            return _operation(place, asked.json["operationName"].rpartition("/")[2], inline=True)
        case _ if "/operations/" in asked.path:
            return _operation(place, name, inline=False)
        case _:
            return Answer({"models": []})


def _content(asked: Asked, place: Place, model: str, *, stream: bool) -> Answer:
    body = asked.json
    config: dict[str, Any] = body.get("generationConfig") or {}
    drawn = "IMAGE" in (config.get("responseModalities") or ())
    declared = [one for tool in body.get("tools") or () for one in tool.get("functionDeclarations") or ()]
    tools = [(one["name"], one.get("parameters") or one.get("parametersJsonSchema")) for one in declared]
    shape = (
        config.get("responseJsonSchema")
        or config.get("responseSchema")
        or config.get("responseMimeType") == "application/json"
    )
    thinks = bool(asked.at("generationConfig", "thinkingConfig", "includeThoughts"))
    talk = made.talk(asked.text, place.seed, tools=tools, shape=shape or None, thinks=thinks)
    heard = sum(
        "audio" in str(part.get("inlineData", {}).get("mimeType", ""))
        for turn in body.get("contents", ())
        for part in turn.get("parts", ())
    )
    bill = Usage(
        input_tokens=talk.prompt - talk.cached,
        cached_input_tokens=talk.cached,
        input_audio_tokens=32 * heard,
        output_tokens=0 if drawn else talk.said,
        reasoning_tokens=talk.thought,
        output_image_tokens=1290 if drawn else 0,
    )
    parts: list[dict[str, Any]] = [{"text": talk.reasoning, "thought": True}] if talk.reasoning else []
    if drawn:
        parts.append(
            {"inlineData": {"mimeType": "image/png", "data": made.encoded(made.picture(256, 256, asked.text))}}
        )
    elif talk.call:
        parts.append({"functionCall": {"name": talk.call[0], "args": json.loads(talk.call[1])}})
    else:
        parts.append({"text": talk.text})
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
    whole = {"candidates": [candidate], "usageMetadata": _usage(bill), "modelVersion": model, "responseId": "world"}
    if not stream:
        return Answer(whole, bill=bill, model=model)
    frames: list[dict[str, Any]] = [
        {
            "candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}],
            "modelVersion": model,
            "responseId": "world",
        }
        for part in _split(parts)
    ]
    frames.append(whole | {"candidates": [{"content": {"parts": []}, "finishReason": "STOP", "index": 0}]})
    pieces = [b"data: " + json.dumps(frame).encode() + b"\r\n\r\n" for frame in frames]
    return Answer(kind="text/event-stream", pieces=pieces, bill=bill, model=model)


def _split(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for part in parts:
        words = str(part.get("text", "")).split(" ")
        if part.keys() == {"text"} and len(words) > 1:
            out += [{"text": word if at == 0 else f" {word}"} for at, word in enumerate(words)]
        else:
            out.append(part)
    return out


def _usage(bill: Usage) -> dict[str, Any]:
    prompt = bill.input_tokens + bill.cached_input_tokens
    read = [{"modality": "TEXT", "tokenCount": prompt}]
    if bill.input_audio_tokens:
        read.append({"modality": "AUDIO", "tokenCount": bill.input_audio_tokens})
    written = [
        {
            "modality": "IMAGE" if bill.output_image_tokens else "TEXT",
            "tokenCount": bill.output_image_tokens or bill.output_tokens,
        }
    ]
    return {
        "promptTokenCount": prompt + bill.input_audio_tokens,
        "cachedContentTokenCount": bill.cached_input_tokens,
        "candidatesTokenCount": bill.output_tokens + bill.output_image_tokens,
        "thoughtsTokenCount": bill.reasoning_tokens,
        "totalTokenCount": bill.read_tokens + bill.made_tokens,
        "promptTokensDetails": read,
        "candidatesTokensDetails": written,
    }


def _operation(place: Place, job_id: str, *, inline: bool) -> Answer:
    job = place.look(job_id)
    if job is None:
        return Answer({"error": {"code": 404, "message": "no such operation", "status": "NOT_FOUND"}}, 404)
    told: dict[str, Any] = {"name": f"models/{job.model}/operations/{job.id}"}
    if not job.done:
        return Answer(told)
    return Answer(told | {"done": True} | _end(place, job, inline=inline))


def _end(place: Place, job: Job, *, inline: bool) -> dict[str, Any]:
    if job.failed:
        return {"error": {"code": 13, "message": "the pretended film failed"}}
    if job.refused:
        return {"response": {"raiMediaFilteredCount": 1, "raiMediaFilteredReasons": ["pretended to be unsafe"]}}
    if inline:
        return {"response": {"videos": [{"bytesBase64Encoded": made.encoded(job.make()), "mimeType": "video/mp4"}]}}
    video = {"uri": place.file(job.make(), job.kind)}
    return {"response": {"generateVideoResponse": {"generatedSamples": [{"video": video}]}}}
