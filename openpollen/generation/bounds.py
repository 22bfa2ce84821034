"""The most that a request can use, and what decides between the rates of its price: read off the request itself.

Pictures, recordings and documents that are inlined in a chat are bounded by rules of their own, so they are looked for
where they really stand; a long word in a text stays text.
"""

from __future__ import annotations

import math
from typing import Any, cast

import msgspec
from msgspec import Struct, structs

from openpollen.core.assets import ImageRequest, MusicRequest, SpeechRequest, TranscriptionRequest, VideoRequest
from openpollen.core.chat import ChatRequest
from openpollen.core.model import Capability, Model, Price, Unit
from openpollen.generation.call import Request
from openpollen.generation.limits import LONGEST_MUSIC, frame_size
from openpollen.ledger import ceiling
from openpollen.ledger.pricing import Ceiling, PriceFacts

#: Most characters of a prompt that ``enhance`` rewrote.
LONGEST_REWRITTEN = 1000
#: Most web searches that one answer of a searching model is taken to make.
_SEARCHES = 10
#: Input of a model whose context is unknown: what the largest published contexts take.
_LONGEST_CONTEXT = 2_000_000
#: How much longer a film may come out than was asked, in seconds: whole frames, and a last one.
_VIDEO_SLACK = 0.25
_MUSIC_SLACK = 1.0
#: Fields of a chat that a model reads.
_READ = ("messages", "tools", "functions", "response_format")
#: What tells that a part of a message may be more than text. A name can also be spelled with escapes.
_MARKS = (b'"type"', b'"audio"', b"\\u")


class _Inlined(Struct):
    """How many messages there are, and what they carry beside text. ``data`` is the length of it in the JSON;
    ``unbounded`` marks what no rule bounds, such as a document or a video at an address."""

    messages: int = 0
    images: int = 0
    audio_bytes: int = 0
    data: int = 0
    unbounded: bool = False


class _SearchOptions(Struct):
    search_context_size: str | None = None


def ceiling_of(
    request: Request,
    model: Model,
    engine: Model,
    price: Price,
    longest_answer: int,
    *,
    rewritten: bool = False,
    exact: bool = False,
) -> tuple[PriceFacts, Ceiling]:
    """What decides between rates, and the most that the request can use. ``price`` is what the caller pays;
    ``longest_answer`` the most output tokens where the model's own maximum is unknown. A prompt that will be
    ``rewritten`` counts at its longest. A film or song is taken to come out a little longer than was asked unless it is
    ``exact``; the built-in engine's films never do."""
    match request:
        case ChatRequest():
            return _chat(request, model, longest_answer)
        case ImageRequest():
            resolution = ceiling.image_resolution(request.width, request.height)
            by_token = Unit.OUTPUT_IMAGE_TOKEN in price.rates
            most = ceiling.image_ceiling(
                prompt_bytes=_prompt_bytes(request.prompt, rewritten),
                n=request.n,
                references=len(request.images) + (request.mask is not None),
                image_tokens=(model.limits.image_tokens or longest_answer) if by_token else 0,
                text_tokens=longest_answer if Unit.OUTPUT_TOKEN in price.rates else 0,
            )
            return PriceFacts(quality=request.quality, resolution=resolution), most
        case VideoRequest():
            width, height = _frame(request)
            most = ceiling.video_ceiling(
                seconds=request.seconds + (0 if exact or engine.local else _VIDEO_SLACK),
                width=width,
                height=height,
                fps=request.fps or 30,
                prompt_bytes=_prompt_bytes(request.prompt, rewritten),
            )
            return PriceFacts(resolution=request.resolution, audio=request.audio), most
        case SpeechRequest():
            return PriceFacts(), ceiling.speech_ceiling(text=request.input, speed=request.speed)
        case MusicRequest():
            seconds = request.seconds or engine.limits.max_duration or LONGEST_MUSIC
            slack = 0 if exact else _MUSIC_SLACK
            return PriceFacts(), ceiling.music_ceiling(seconds=seconds + slack, prompt=request.prompt)
        case TranscriptionRequest():
            return PriceFacts(), ceiling.transcription_ceiling(ms=request.heard_ms)


def _frame(request: VideoRequest) -> tuple[int, int]:
    """The largest frame that a host may make of the request: without a size in pixels a resolution is an area to many, of as
    many pixels in every shape as it has in 16:9."""
    asked = request.width, request.height
    if "size" in request.given:
        return asked
    return max(asked, frame_size("16:9", request.resolution), key=math.prod)


def _prompt_bytes(prompt: str, rewritten: bool) -> int:
    return max(len(prompt.encode()), 4 * LONGEST_REWRITTEN if rewritten else 0)


def _chat(request: ChatRequest, model: Model, longest_answer: int) -> tuple[PriceFacts, Ceiling]:
    raw = {name: bytes(request.fields[name]) for name in _READ if name in request.fields}
    messages = raw.get("messages", b"")
    plain = not any(mark in messages for mark in _MARKS)
    inlined = _Inlined(messages.count(b'"role"')) if plain else _inlined(messages)
    most = ceiling.chat_ceiling(
        text_bytes=sum(map(len, raw.values())) - inlined.data,
        messages=inlined.messages,
        max_tokens=request.max_tokens or model.max_output_tokens or longest_answer,
        tools="tools" in raw or "functions" in raw,
        images=inlined.images,
        audio_bytes=inlined.audio_bytes,
        searches=_SEARCHES if model.can(Capability.SEARCH) else 0,
    )
    if inlined.unbounded:
        most = structs.replace(most, input_tokens=max(most.input_tokens, model.context_length or _LONGEST_CONTEXT))
    quality = _search_size(request) if model.can(Capability.SEARCH) else None
    return PriceFacts(input_tokens_total=most.input_tokens, quality=quality), most


def _inlined(messages: bytes) -> _Inlined:
    found = _Inlined()
    for message in msgspec.json.decode(messages, type=list[dict[str, Any]]):
        found.messages += 1
        found.unbounded |= message.get("audio") is not None  # an earlier answer, by its id
        content = message.get("content")
        for part in cast("list[Any]", content) if isinstance(content, list) else ():
            if isinstance(part, dict):
                _add_part(found, cast("dict[str, Any]", part))
    return found


def _add_part(found: _Inlined, part: dict[str, Any]) -> None:
    match part:
        case {"type": "text" | "refusal"}:
            pass
        case {"type": "image_url", "image_url": {"url": str(url)} | str(url)}:
            found.images += 1
            found.data += len(url) if url.startswith("data:") else 0
        case {"type": "input_audio", "input_audio": {"data": str(data)}}:
            found.audio_bytes += len(data)
            found.data += len(data)
        case _:
            found.unbounded = True


def _search_size(request: ChatRequest) -> str | None:
    options = request.fields.get("web_search_options")
    if options is None:
        return None
    try:
        return msgspec.json.decode(options, type=_SearchOptions).search_context_size
    except msgspec.DecodeError:
        return None
