"""Measures what a call used, from the bytes and the request, in the units that its price counts.

Pure but for decoding media headers. A provider's own counts win where its price is by token; what nobody reported is
counted here and marked ``estimated``. Nothing is ever taken as zero because it is missing.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct, structs

from openpollen.core.assets import (
    ImageRequest,
    Media,
    MusicRequest,
    SpeechRequest,
    Transcript,
    TranscriptionRequest,
    VideoRequest,
)
from openpollen.core.chat import ChatAnswer, ChatRequest
from openpollen.core.errors import InternalError
from openpollen.core.model import Model, Price, Unit
from openpollen.core.usage import Usage
from openpollen.generation.call import Made, Request
from openpollen.providers.openai_wire import TokenUsage, usage_of

#: Bytes of UTF-8 that a token has on average in running text; used only where a provider reports nothing.
BYTES_PER_TOKEN = 4
#: Bytes that the pieces of a stream have on average where each of them is a token.
_TOKEN_PIECES = (1.5, 8)
#: Characters that are spoken in a second, as most voices do at speed 1; used only for sound that never came.
CHARACTERS_PER_SECOND = 15


def measured(request: Request, made: Made, model: Model, price: Price) -> Usage:
    """What an answer used. Raises BadRequest for media that cannot be played."""
    match request, made:
        case ChatRequest(), ChatAnswer():
            return measure_chat(request, made)
        case ImageRequest(), Media():
            return measure_image(request, made, model, price)
        case VideoRequest(), Media():
            return measure_video(request, made, price)
        case SpeechRequest(), Media():
            return measure_speech(request, made, price)
        case MusicRequest(), Media():
            return measure_music(request, made, price)
        case TranscriptionRequest(), Transcript():
            return measure_transcription(request, made, price)
        case _:
            raise InternalError("A provider's answer is of another kind than the request.")


def assumed(request: Request, body: bytes, model: Model, price: Price) -> Usage:
    """What a provider is taken to bill for an answer that cannot be used: what it reports, else what was asked for.
    ``body`` is as much of the answer as came."""
    match request:
        case ChatRequest():
            return _reported(body) or estimate_chat(request, _written(body))
        case ImageRequest():
            return measure_image(request, Media(usage=None), model, price, images=request.n)
        case VideoRequest():
            return assumed_video(request, price)
        case SpeechRequest() if Unit.CHARACTER in price.rates:
            return Usage(characters=len(request.input), estimated=True)
        case SpeechRequest():
            return Usage(audio_ms=len(request.input) * 1000 // CHARACTERS_PER_SECOND, estimated=True)
        case MusicRequest():
            return Usage(audio_ms=round((request.seconds or model.limits.max_duration or 0) * 1000), estimated=True)
        case TranscriptionRequest():
            return Usage(input_audio_ms=request.heard_ms, estimated=True)


def assumed_video(request: VideoRequest, price: Price) -> Usage:
    """A video of the length that was asked for."""
    milliseconds = round(request.seconds * 1000)
    if Unit.VIDEO_TOKEN not in price.rates:
        return Usage(video_ms=milliseconds, estimated=True)
    return Usage(video_tokens=_video_tokens(request, milliseconds), estimated=True)


class _Answer(Struct):
    usage: TokenUsage | None = None


def _reported(body: bytes) -> Usage | None:
    try:
        return usage_of(msgspec.json.decode(body, type=_Answer, strict=False).usage)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _written(body: bytes) -> int:
    """Bytes of a body that is no whole answer: all of it, but nothing of an event that did not come to its end."""
    return 0 if body.lstrip()[:5] in (b"data:", b"event", b":") else length(body)


def measure_chat(request: ChatRequest, made: ChatAnswer) -> Usage:
    """What the provider reports; counted where it reports nothing."""
    if made.usage is None:
        return estimate_chat(request, length(made.body))
    said = 0 if made.usage.made_tokens else length(made.body)
    return credible(request, made.usage, said)


def credible(request: ChatRequest, reported: Usage, said: int, pieces: int = 0) -> Usage:
    """A report as it is, but a direction of no tokens in which something was read or said is counted."""
    if reported.read_tokens and (reported.made_tokens or not said):
        return reported
    counted = estimate_chat(request, said, pieces)
    read = reported.input_tokens if reported.read_tokens else counted.input_tokens
    made = reported.output_tokens if reported.made_tokens else counted.output_tokens
    return structs.replace(reported, input_tokens=read, output_tokens=made, estimated=True)


def estimate_chat(request: ChatRequest, said: int, pieces: int = 0) -> Usage:
    """Tokens by length, for an answer of ``said`` bytes whose provider reported no usage; never more than it was allowed.
    Most hosts stream token by token: ``pieces`` of the size of tokens are counted instead."""
    prompt = sum(len(bytes(value)) for name, value in request.fields.items() if name in {"messages", "tools"})
    least, most = _TOKEN_PIECES
    one_by_one = pieces > 0 and least <= said / pieces <= most
    made = pieces if one_by_one else -(-said // BYTES_PER_TOKEN)
    return Usage(
        input_tokens=-(-prompt // BYTES_PER_TOKEN),
        output_tokens=made if request.max_tokens is None else min(made, request.max_tokens),
        estimated=True,
    )


class _Message(Struct):
    content: Any = None
    reasoning_content: Any = None
    tool_calls: Any = None


class _Choice(Struct):
    message: _Message


class _Completion(Struct):
    choices: list[_Choice]


def length(body: bytes) -> int:
    """Bytes of what a whole chat answer says: content, reasoning and tool calls."""
    try:
        choices = msgspec.json.decode(body, type=_Completion).choices
    except msgspec.DecodeError:
        return len(body)
    said = [part for choice in choices for part in structs.astuple(choice.message) if part]
    return sum(len(part.encode() if isinstance(part, str) else msgspec.json.encode(part)) for part in said)


def measure_image(
    request: ImageRequest, made: Media, model: Model, price: Price, *, images: int | None = None
) -> Usage:
    """Whole images, or image tokens where the price is by token; without a report the model's largest count.
    ``images`` is their number where none of them came."""
    images = len(made.assets) if images is None else images
    if Unit.OUTPUT_IMAGE_TOKEN not in price.rates:
        return Usage(images=images)
    if made.usage is not None and made.usage.made_tokens:
        return structs.replace(made.usage, images=0)
    tokens = (model.limits.image_tokens or 0) * images
    return Usage(
        input_tokens=-(-len(request.prompt.encode()) // BYTES_PER_TOKEN),
        output_image_tokens=tokens,
        estimated=True,
    )


def measure_video(request: VideoRequest, made: Media, price: Price) -> Usage:
    """Seconds of the film as its container says, or video tokens (width x height x fps x seconds / 1024)."""
    milliseconds = sum(round(_seconds(asset.data, "video") * 1000) for asset in made.assets)
    if Unit.VIDEO_TOKEN not in price.rates:
        return Usage(video_ms=milliseconds)
    if made.usage is not None and made.usage.video_tokens:
        return Usage(video_tokens=made.usage.video_tokens)
    return Usage(video_tokens=_video_tokens(request, milliseconds), estimated=True)


def _video_tokens(request: VideoRequest, milliseconds: int) -> int:
    return -(-request.width * request.height * (request.fps or 24) * milliseconds // (1024 * 1000))


def measure_speech(request: SpeechRequest, made: Media, price: Price) -> Usage:
    """Characters of the input, or seconds of the sound where the price is by second."""
    if Unit.CHARACTER in price.rates:
        return Usage(characters=len(request.input))
    return Usage(audio_ms=sum(round(_audio_seconds(request.format, asset.data) * 1000) for asset in made.assets))


def measure_music(request: MusicRequest, made: Media, price: Price) -> Usage:
    """Seconds of the music as measured from its bytes."""
    if Unit.SECOND not in price.rates:
        return Usage()
    return Usage(audio_ms=sum(round(_audio_seconds(request.format, asset.data) * 1000) for asset in made.assets))


def measure_transcription(request: TranscriptionRequest, made: Transcript, price: Price) -> Usage:
    """Seconds heard: the length of the upload, which was measured from its bytes when it came."""
    if Unit.SECOND not in price.rates:
        return Usage()
    return Usage(input_audio_ms=request.heard_ms or round(made.duration * 1000))


def audio_seconds(data: bytes) -> float:
    """Length of a recording in seconds. Raises BadRequest for what is no audio."""
    return _seconds(data)


def _audio_seconds(audio_format: str, data: bytes) -> float:
    # Raw PCM has no header to measure: 24,000 samples of two bytes a second by definition.
    return len(data) / 48_000 if audio_format == "pcm" else _seconds(data)


def _seconds(data: bytes, kind: Literal["audio", "video"] = "audio") -> float:
    from openpollen.engines import codec  # PyAV is loaded with the first media, not at start

    return codec.duration(data, kind)
