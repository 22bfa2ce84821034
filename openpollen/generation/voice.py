"""Voice in and out for chats that the built-in engines serve: the text engine neither hears nor speaks, so what is said
to it is transcribed first and what it answers is spoken after. Providers' own audio models do this themselves.
"""

from __future__ import annotations

import base64
import binascii
import time
from typing import Any, cast

import msgspec
from msgspec import Raw, structs

from openpollen.catalog.registry import LOCAL_ENGINES
from openpollen.core.assets import Asset, AudioFormat, Media, SpeechRequest, TranscriptionRequest
from openpollen.core.chat import ChatAnswer, ChatRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.generation.upstream import Upstream
from openpollen.providers.adapter import Adapter

_FORMATS: dict[str, AudioFormat] = {
    "mp3": "mp3", "wav": "wav", "flac": "flac", "opus": "opus", "aac": "aac", "pcm16": "pcm", "pcm": "pcm",
}  # fmt: skip
_HOUR = 3600


def is_spoken(request: ChatRequest) -> bool:
    """Whether a chat brings a recording or asks for speech."""
    spoken = b'"audio"' in bytes(request.fields.get("modalities", b""))
    return spoken or b'"input_audio"' in bytes(request.fields["messages"])


async def converse(
    upstream: Upstream, adapter: Adapter, route: Route, provider: Provider, request: ChatRequest
) -> ChatAnswer:
    """The answer of the local text engine, with ``message.audio`` when speech was asked for. Raises BadRequest, Failure."""
    speaks = b'"audio"' in bytes(request.fields.get("modalities", b""))
    voice, audio_format = _wanted(request) if speaks else ("", "mp3")
    fields = {name: value for name, value in request.fields.items() if name not in ("modalities", "audio")}
    fields["messages"] = await _heard(upstream, adapter, provider, fields["messages"])
    out = adapter.encode_chat(structs.replace(request, fields=fields), route, provider)
    answer = await upstream.call(out, provider, adapter.decode_chat)
    if not speaks:
        return answer
    body = cast(dict[str, Any], msgspec.json.decode(answer.body))
    message = body["choices"][0]["message"]
    if message.get("content"):
        message["audio"] = await _spoken(upstream, adapter, provider, message["content"], voice, audio_format)
        message["content"] = None
    return structs.replace(answer, body=msgspec.json.encode(body))


def _wanted(request: ChatRequest) -> tuple[str, AudioFormat]:
    """Voice and format of the ``audio`` parameter. Raises BadRequest."""
    wanted: Any = msgspec.json.decode(request.fields.get("audio", Raw(b"{}")))
    wanted = cast(dict[str, Any], wanted) if isinstance(wanted, dict) else {}
    audio_format = _FORMATS.get(str(wanted.get("format", "mp3")))
    if audio_format is None:
        raise BadRequest(f"audio.format: expected one of {', '.join(_FORMATS)}.")
    return str(wanted.get("voice", "alloy")), audio_format


async def _spoken(
    upstream: Upstream, adapter: Adapter, provider: Provider, text: str, voice: str, audio_format: AudioFormat
) -> dict[str, Any]:
    route = Route(provider.name, LOCAL_ENGINES[Capability.SPEECH])
    out = adapter.encode_speech(SpeechRequest(text, voice, audio_format), route, provider)
    made = await upstream.call(out, provider, adapter.decode_speech)
    assert isinstance(made, Media)
    data = base64.b64encode(made.assets[0].data).decode()
    now = int(time.time())
    return {"id": f"audio_{now}", "data": data, "transcript": text, "expires_at": now + _HOUR}


async def _heard(upstream: Upstream, adapter: Adapter, provider: Provider, messages: Raw) -> Raw:
    """The messages with each recording in place of which stands what is said in it."""
    if b'"input_audio"' not in bytes(messages):
        return messages
    decoded = msgspec.json.decode(messages, type=list[dict[str, Any]])
    for message in decoded:
        if isinstance(message.get("content"), list):
            parts = cast(list[dict[str, Any]], message["content"])
            message["content"] = [await _as_text(upstream, adapter, provider, part) for part in parts]
    return Raw(msgspec.json.encode(decoded))


async def _as_text(upstream: Upstream, adapter: Adapter, provider: Provider, part: dict[str, Any]) -> dict[str, Any]:
    if part.get("type") != "input_audio":
        return part
    given: Any = part.get("input_audio")
    try:
        recording = base64.b64decode(str(given["data"]), validate=True)
    except (TypeError, KeyError, binascii.Error):
        raise BadRequest("input_audio: give the recording as base64 in data, and its format.") from None
    route = Route(provider.name, LOCAL_ENGINES[Capability.TRANSCRIPTION])
    request = TranscriptionRequest(Asset(recording, "application/octet-stream", "audio"), words=False)
    heard = await upstream.call(
        adapter.encode_transcription(request, route, provider), provider, adapter.decode_transcription
    )
    return {"type": "text", "text": heard.text}
