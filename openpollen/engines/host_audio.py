"""``/v1/audio/speech`` (speech and music) and ``/v1/audio/transcriptions``."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from openpollen.core.errors import BadRequest
from openpollen.engines.base import (
    AudioMade,
    MusicEngine,
    MusicJob,
    SpeechEngine,
    SpeechJob,
    TranscribeEngine,
    TranscribeJob,
    Transcript,
)
from openpollen.engines.host_context import compute, find_engine, host_of, read_form, read_json

AudioFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]


class SpeechBody(Struct):
    """A text to speak or, with a model for music, a prompt to compose; ``duration`` in seconds is for music."""

    input: str
    model: str | None = None
    voice: str = "alloy"
    speed: float = 1.0
    response_format: AudioFormat = "mp3"
    duration: float = 30
    seed: int | None = None
    instrumental: bool = True


class TranscriptionBody(Struct):
    """What to write down; the sound is a file beside it."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] = 0.0
    response_format: Literal["json", "text", "verbose_json"] = "json"


async def speech(request: Request) -> Response:
    body, host = await read_json(request, SpeechBody), host_of(request)
    named = host.engines.get(body.model or "")
    if named is not None and named.kind == "music":
        composer = find_engine(host, body.model, MusicEngine, ("music",))
        music = MusicJob(body.input, body.duration, body.response_format, body.seed, body.instrumental)
        return _sound(await compute(request, composer, lambda token: composer.compose(music, token)))
    speaker = find_engine(host, body.model, SpeechEngine, ("speech",))
    job = SpeechJob(body.input, body.voice, body.speed, body.response_format)
    return _sound(await compute(request, speaker, lambda token: speaker.speak(job, token)))


async def transcribe(request: Request) -> Response:
    return await _transcribe(request, translate=False)


async def translate(request: Request) -> Response:
    return await _transcribe(request, translate=True)


async def _transcribe(request: Request, *, translate: bool) -> Response:
    form = await read_form(request)
    body = form.fields(TranscriptionBody)
    engine = find_engine(host_of(request), body.model, TranscribeEngine, ("transcription",))
    files = form.named("file")
    if len(files) != 1:
        raise BadRequest("A transcription needs one sound file in the field file.")
    job = TranscribeJob(
        data=files[0],
        language=body.language,
        prompt=body.prompt,
        temperature=body.temperature,
        words=body.response_format == "verbose_json",
        translate=translate,
    )
    heard = await compute(request, engine, lambda token: engine.transcribe(job, token))
    if body.response_format == "text":
        return PlainTextResponse(heard.text + "\n", headers={"X-Audio-Seconds": f"{heard.duration:.3f}"})
    return JSONResponse(_verbose(heard, job) if body.response_format == "verbose_json" else _brief(heard))


def _sound(made: AudioMade) -> Response:
    return Response(made.data, media_type=made.mime, headers={"X-Audio-Seconds": f"{made.seconds:.3f}"})


def _brief(heard: Transcript) -> dict[str, Any]:
    return {"text": heard.text, "usage": {"type": "duration", "seconds": heard.duration}}


def _verbose(heard: Transcript, job: TranscribeJob) -> dict[str, Any]:
    return {
        "task": "translate" if job.translate else "transcribe",
        "language": heard.language,
        "duration": heard.duration,
        "text": heard.text,
        "segments": [dataclasses.asdict(segment) for segment in heard.segments],
        "words": [dataclasses.asdict(word) for word in heard.words],
        "usage": {"type": "duration", "seconds": heard.duration},
    }
