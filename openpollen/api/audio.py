"""Speech, music and transcription: GET /audio, POST /v1/audio/speech and /v1/audio/transcriptions (rule 18)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from openpollen.accounts.permissions import Caller
from openpollen.api.calls import Calls, parse_max_cost
from openpollen.api.exchange import Exchange
from openpollen.api.form import Form, content_kind, read_form
from openpollen.api.params import SpeechParams, TranscriptionParams, decode_object, invalid, parse, words
from openpollen.catalog.registry import Endpoint
from openpollen.core.assets import (
    AUDIO_TYPES,
    Asset,
    Media,
    MusicRequest,
    SpeechRequest,
    Transcript,
    TranscriptionRequest,
)
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability
from openpollen.generation import limits, subtitles
from openpollen.generation.call import Call, Result
from openpollen.generation.measure import audio_seconds
from openpollen.storage.answers import Answer

_OURS = frozenset({"input", "model", "max_cost", "no-cache", "safe", "stream_format", "stream"})
_LISTS = ("timestamp_granularities", "include", "known_speaker_names", "known_speaker_references")
_VOICE_LENGTH = 100
#: Most bytes of a form with a recording.
MAX_UPLOAD = 26 * 1024 * 1024


class AudioApi:
    """The handlers of sound."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def audio(self, exchange: Exchange) -> None:
        """GET /audio/{text}: speech, or music when the model makes music."""
        caller = await self._calls.authentication.caller(exchange)
        values: dict[str, Any] = {**exchange.query, "input": exchange.args["text"]}
        await self._calls.respond(exchange, self.prepare(exchange, caller, values, "audio"), _sound)

    async def speech(self, exchange: Exchange) -> None:
        """POST /v1/audio/speech."""
        caller = await self._calls.authentication.caller(exchange)
        values = decode_object(await exchange.body(self._calls.max_body))
        await self._calls.respond(exchange, self.prepare(exchange, caller, values, "speech"), _sound)

    async def transcriptions(self, exchange: Exchange) -> None:
        """POST /v1/audio/transcriptions."""
        await self._written(exchange)

    async def translations(self, exchange: Exchange) -> None:
        """POST /v1/audio/translations: what is said, in English."""
        await self._written(exchange, translate=True)

    async def _written(self, exchange: Exchange, *, translate: bool = False) -> None:
        caller = await self._calls.authentication.caller(exchange)
        if content_kind(exchange) != "form":
            raise BadRequest("Send the recording as multipart/form-data, in the field file.")
        form = await read_form(exchange, MAX_UPLOAD)
        call = await self.prepare_transcription(exchange, caller, form, translate=translate)
        await self._calls.respond(exchange, call, _transcript)

    async def prepare_transcription(
        self, exchange: Exchange, caller: Caller, form: Form, seconds: float | None = None, *, translate: bool = False
    ) -> Call:
        """The call that a form asks for. An estimate may give the length of the recording in place of it, in seconds.
        Raises BadRequest."""
        lists = {name: form.lists.get(name) for name in _LISTS}
        values = {**form.fields, **lists}
        params, sent = parse(TranscriptionParams, values)
        if params.stream:
            raise invalid("stream", "transcriptions are not streamed; leave it out")
        if params.include:
            raise invalid("include", "transcripts come without log probabilities; leave it out")
        if params.known_speaker_names or params.known_speaker_references:
            raise invalid("known_speaker_names", "speakers are not told apart; leave them out")
        wanted = params.timestamp_granularities or []
        if translate and (params.language or "word" in wanted):
            name = "language" if params.language else "timestamp_granularities"
            raise invalid(name, "a translation is English, and its words have no times; leave it out")
        if "word" in wanted and params.response_format != "verbose_json":
            raise invalid("timestamp_granularities", "words have times in response_format verbose_json only")
        resolved = self._calls.registry.resolve(params.model, "transcriptions")
        file = next(iter(form.files.get("file", ())), Asset(b"", ""))
        if not file.data and seconds is None:
            raise invalid("file", "is required: the recording, as a file of the form")
        if seconds is None:
            seconds = await asyncio.to_thread(audio_seconds, file.data)
        limits.check_audio_length(seconds, resolved.model)
        request = TranscriptionRequest(
            file=_named(file),
            heard_ms=round(seconds * 1000),
            language=params.language,
            prompt=params.prompt,
            temperature=params.temperature,
            words=not translate and ("word" in wanted or (params.response_format == "verbose_json" and not wanted)),
            translate=translate,
        )
        asked = {"translate"} if translate else set[str]()
        return self._calls.new(
            exchange,
            caller,
            endpoint="translations" if translate else "transcriptions",
            capability=resolved.capability,
            model=resolved.model,
            request=request,
            sent=(sent | asked) - _OURS - {"response_format", "timestamp_granularities"},
            shape=" ".join([params.response_format, *sorted(set(wanted))]),
            refresh=params.no_cache,
            max_cost=parse_max_cost(exchange, params.max_cost),
            safe=params.safe,
        )

    def prepare(self, exchange: Exchange, caller: Caller, values: Mapping[str, Any], endpoint: Endpoint) -> Call:
        """The call that a request for speech or music asks for. Raises BadRequest."""
        params, sent = parse(SpeechParams, {"seed": 0, **values} if endpoint == "audio" else values)
        if endpoint == "audio" and params.seed == 0:
            sent -= {"seed"}  # the default of this route
        text = words(params.input)
        if not text:
            raise invalid("input", "is required: the text to speak, or the music to make")
        if params.stream_format == "sse":
            raise invalid("stream_format", "speech is sent as audio; leave it out")
        resolved = self._calls.registry.resolve(params.model, endpoint)
        music = resolved.capability is Capability.MUSIC
        request: SpeechRequest | MusicRequest
        if music:
            request = MusicRequest(
                prompt=text,
                seconds=params.duration,
                format=params.response_format,
                seed=params.seed,
                instrumental=params.instrumental,
                given=sent & {"instrumental", "duration"},
            )
        else:
            request = SpeechRequest(
                input=text,
                voice=_voice(params.voice),
                format=params.response_format,
                speed=params.speed,
                instructions=params.instructions,
                seed=params.seed,
                given=sent & {"voice", "speed"},
            )
        return self._calls.new(
            exchange,
            caller,
            endpoint=endpoint,
            capability=resolved.capability,
            model=resolved.model,
            request=request,
            sent=sent - _OURS,
            seed=params.seed,
            refresh=params.no_cache,
            max_cost=parse_max_cost(exchange, params.max_cost),
            safe=params.safe,
        )


async def _sound(call: Call, result: Result) -> Answer:
    assert isinstance(result.made, Media)
    request = call.request
    assert isinstance(request, SpeechRequest | MusicRequest)
    headers = {"x-tts-voice": request.voice} if isinstance(request, SpeechRequest) else {}
    return Answer(200, AUDIO_TYPES[request.format], result.made.assets[0].data, headers)


async def _transcript(call: Call, result: Result) -> Answer:
    """The transcript in the form asked for; all forms come from the same times."""
    heard = result.made
    assert isinstance(heard, Transcript)
    request = call.request
    assert isinstance(request, TranscriptionRequest)
    heard = msgspec.structs.replace(heard, duration=request.heard_ms / 1000)
    form, *wanted = call.shape.split()
    match form:
        case "text":
            return Answer(200, "text/plain; charset=utf-8", subtitles.to_text(heard).encode())
        case "srt":
            return Answer(200, "application/x-subrip; charset=utf-8", subtitles.to_srt(heard).encode())
        case "vtt":
            return Answer(200, "text/vtt; charset=utf-8", subtitles.to_vtt(heard).encode())
        case "verbose_json":
            task = "translate" if request.translate else "transcribe"
            body = subtitles.to_verbose_json(heard, task, wanted)
            return Answer(200, "application/json", msgspec.json.encode(body))
        case _:
            return Answer(200, "application/json", msgspec.json.encode(subtitles.to_json(heard)))


def _voice(voice: str | dict[str, Any] | None) -> str:
    """OpenAI's clients send a voice as a name or as ``{"id": ...}``."""
    if isinstance(voice, dict):
        voice = voice.get("id")
    if voice is not None and not (isinstance(voice, str) and voice.isprintable() and len(voice) <= _VOICE_LENGTH):
        raise invalid("voice", "expected the name of a voice")
    return (voice or "alloy").strip().lower()


def _named(file: Asset) -> Asset:
    return msgspec.structs.replace(file, name=file.name or "audio")
