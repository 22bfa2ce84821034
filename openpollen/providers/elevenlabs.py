"""ElevenLabs (https://elevenlabs.io/docs/api-reference): speech, music and transcriptions.

Each answers in one request. Sound comes as mp3, Opus, WAV or PCM; what is not made there (aac, flac, WAV of music, and PCM of
music, of which nothing tells the channels) is asked for in the best format that is, and turned into the one asked for when
it is here. Transcripts are words with times: segments are made of them here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from openpollen.core.assets import (
    Asset,
    AudioFormat,
    Media,
    MusicRequest,
    Segment,
    SpeechRequest,
    Transcript,
    TranscriptionRequest,
    Word,
)
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.core.usage import Usage
from openpollen.outbound.message import Outgoing
from openpollen.providers.adapter import UNSNIFFED, Adapter, BaseAdapter, Headers
from openpollen.providers.elevenlabs_voices import VOICES
from openpollen.providers.failures import from_answer, read_words, unreadable
from openpollen.providers.openai_wire import headers, multipart

_PARAMS: Mapping[Capability, frozenset[str]] = {
    Capability.SPEECH: frozenset({"input", "voice", "format", "response_format", "speed", "seed"}),
    Capability.MUSIC: frozenset(
        {"prompt", "input", "format", "response_format", "seconds", "duration", "instrumental"}
    ),
    Capability.TRANSCRIPTION: frozenset({"file", "language", "temperature", "response_format", "words"}),
}
#: Formats that every plan may have, and the one that the others are made from; PCM is 24 kHz as OpenAI has it.
_SPOKEN: Mapping[AudioFormat, str] = {"mp3": "mp3_44100_128", "opus": "opus_48000_128", "pcm": "pcm_24000"}
_SPOKEN_ELSE = "wav_24000"
_SUNG: Mapping[AudioFormat, str] = {"mp3": "mp3_44100_128", "opus": "opus_48000_128"}
_SUNG_ELSE = "opus_48000_192"
_SLOWEST, _FASTEST = 0.7, 1.2
_COST = "character-cost"
#: Where a segment of a transcript ends: after a sentence, before a pause, or when it gets too long to read at once.
_ENDS = (".", "!", "?", "…", "。", "！", "？", "।", "؟")
_PAUSE_SECONDS, _LONGEST_SECONDS = 1.0, 8.0


class _Token(Struct, frozen=True):
    text: str | None = None
    type: str | None = None
    start: float | None = None
    end: float | None = None


class _Heard(Struct, frozen=True):
    text: str
    language_code: str | None = None
    words: list[_Token] | None = None


class ElevenLabs(BaseAdapter):
    """The adapter of this wire; see ``Adapter`` for what each method promises."""

    wire = "elevenlabs"
    operations = frozenset(_PARAMS)

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        return _PARAMS.get(operation, frozenset())

    def encode_speech(self, request: SpeechRequest | MusicRequest, route: Route, provider: Provider) -> Outgoing:
        """``text-to-speech`` or ``music``. Raises BadRequest for a speed that no voice has."""
        if isinstance(request, MusicRequest):
            body: dict[str, Any] = {"prompt": request.prompt, "model_id": route.model}
            if request.seconds is not None:
                body["music_length_ms"] = round(request.seconds * 1000)
            body["force_instrumental"] = request.instrumental
            return _post("music", _SUNG.get(request.format, _SUNG_ELSE), body, provider)
        body = {"text": request.input, "model_id": route.model}
        if request.speed != 1.0 or "speed" in request.given:
            if not _SLOWEST <= request.speed <= _FASTEST:
                raise BadRequest(f"speed: {provider.name} speaks at {_SLOWEST} to {_FASTEST}, not {request.speed:g}.")
            body["voice_settings"] = {"speed": request.speed}
        if request.seed is not None:
            body["seed"] = request.seed
        voice = quote(VOICES.get(request.voice, request.voice), safe="")
        return _post(f"text-to-speech/{voice}", _SPOKEN.get(request.format, _SPOKEN_ELSE), body, provider)

    def decode_speech(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
        if not 200 <= status < 300 or "application/json" in headers.get("content-type", ""):
            raise from_answer(status, headers, body, provider)
        if not body:
            raise unreadable("an empty sound", provider)
        return Media((Asset(body, UNSNIFFED),), usage=_billed(headers))

    def encode_transcription(self, request: TranscriptionRequest, route: Route, provider: Provider) -> Outgoing:
        """``speech-to-text`` as a form. Noises are not written into the text, as OpenAI's models do not either."""
        fields = [("model_id", route.model)]
        if request.language:
            fields.append(("language_code", request.language))
        fields += [("tag_audio_events", "false"), ("timestamps_granularity", "word")]
        if request.temperature is not None:
            fields.append(("temperature", str(request.temperature)))
        content_type, data = multipart(fields, [("file", request.file)])
        url = f"{provider.base_url.rstrip('/')}/speech-to-text"
        return Outgoing("POST", url, headers(provider, "*/*", content_type), data)

    def decode_transcription(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Transcript:
        if not 200 <= status < 300:
            raise from_answer(status, headers, body, provider)
        try:
            heard = msgspec.json.decode(body, type=_Heard)
        except (msgspec.DecodeError, UnicodeDecodeError):
            if read_words(body).message and body.lstrip().startswith(b"{"):
                raise from_answer(200, headers, body, provider) from None
            raise unreadable("an answer that cannot be read", provider) from None
        tokens = [token for token in heard.words or () if token.type != "audio_event"]
        words = tuple(
            Word(token.text or "", token.start, token.end)
            for token in tokens
            if token.type == "word" and token.start is not None and token.end is not None
        )
        segments = tuple(
            Segment(number, start, end, text) for number, (start, end, text) in enumerate(_segments(tokens))
        )
        return Transcript(heard.text, heard.language_code or "", words[-1].end if words else 0.0, segments, words)


def _post(path: str, output_format: str, body: dict[str, Any], provider: Provider) -> Outgoing:
    url = f"{provider.base_url.rstrip('/')}/{path}?output_format={output_format}"
    return Outgoing("POST", url, headers(provider, "*/*", "application/json"), msgspec.json.encode(body))


def _billed(headers: Headers) -> Usage | None:
    """Characters as billed, where the answer tells them."""
    cost = headers.get(_COST, "")
    return Usage(characters=int(cost)) if cost.isascii() and cost.isdigit() else None


def _segments(tokens: list[_Token]) -> Iterator[tuple[float, float, str]]:
    """Start, end and text of each segment. What has no times stands with the words before it."""
    text, start, end = "", -1.0, 0.0
    for token in tokens:
        if token.type == "word" and token.start is not None and token.end is not None:
            said = text.strip()
            long = token.start - end > _PAUSE_SECONDS or token.end - start > _LONGEST_SECONDS
            if said and start >= 0 and (long or said.endswith(_ENDS)):
                yield start, end, said
                text, start = "", -1.0
            start, end = token.start if start < 0 else start, token.end
        text += token.text or ""
    if text.strip() and start >= 0:
        yield start, end, text.strip()


ADAPTER: Adapter = ElevenLabs()
