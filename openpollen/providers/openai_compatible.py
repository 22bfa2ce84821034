"""The OpenAI wire: OpenAI, Azure, vLLM, SGLang, llama.cpp, LocalAI, another gateway, our own engine host, most others.

A provider of this wire is a row of the catalogue: ``base_url``, a key, and in ``params`` what it takes beyond the
standard. Three names in ``params`` also choose a spelling: ``max_completion_tokens`` or ``max_tokens`` (how the limit
is called; by default as the caller called it) and ``random_seed`` (Mistral's name of the seed). A header with ``{key}``
in its value replaces the bearer token, ``{model}`` in ``base_url`` is the route's model name.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from openpollen.core.assets import (
    ImageRequest,
    JobState,
    Media,
    MusicRequest,
    SpeechRequest,
    Transcript,
    TranscriptionRequest,
    VideoRequest,
)
from openpollen.core.chat import ChatAnswer, ChatRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers import openai_chat, openai_media
from openpollen.providers.adapter import Adapter, BaseAdapter, Headers
from openpollen.providers.openai_chat import CHAT_FIELDS, OpenAIFrames
from openpollen.providers.openai_wire import taken

#: Parameters of each operation that every host of this wire takes, by the names of the request types' fields.
STANDARD: Mapping[Capability, frozenset[str]] = {
    Capability.CHAT: CHAT_FIELDS,
    Capability.IMAGE: frozenset({"prompt", "width", "height", "size", "n", "quality", "transparent"}),
    Capability.EDIT: frozenset({"prompt", "width", "height", "size", "n", "quality", "transparent", "image", "mask"}),
    Capability.VIDEO: frozenset({"prompt", "seconds", "duration", "width", "height", "size", "image"}),
    Capability.SPEECH: frozenset({"input", "voice", "format", "response_format", "speed", "instructions"}),
    Capability.MUSIC: frozenset({"prompt", "input", "format", "response_format"}),
    Capability.TRANSCRIPTION: frozenset({"file", "language", "prompt", "temperature", "response_format", "words"}),
}


class OpenAICompatible(BaseAdapter):
    """The adapter of this wire; see ``Adapter`` for what each method promises."""

    wire = "openai_compatible"
    operations = frozenset(STANDARD)

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        return _params(operation, provider.params, route.params)

    def encode_chat(self, request: ChatRequest, route: Route, provider: Provider) -> Outgoing:
        return openai_chat.encode(request, route, provider)

    def decode_chat(self, status: int, headers: Headers, body: bytes, provider: Provider) -> ChatAnswer:
        return openai_chat.decode(status, headers, body, provider)

    def chat_frames(self, route: Route) -> OpenAIFrames:
        return OpenAIFrames()

    def encode_image(
        self, request: ImageRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        return openai_media.encode_image(request, route, provider)

    def decode_image(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
        return openai_media.decode_image(status, headers, body, provider)

    def encode_speech(self, request: SpeechRequest | MusicRequest, route: Route, provider: Provider) -> Outgoing:
        return openai_media.encode_speech(request, route, provider)

    def decode_speech(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
        return openai_media.decode_speech(status, headers, body, provider)

    def encode_transcription(self, request: TranscriptionRequest, route: Route, provider: Provider) -> Outgoing:
        return openai_media.encode_transcription(request, route, provider)

    def decode_transcription(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Transcript:
        return openai_media.decode_transcription(status, headers, body, provider)

    def encode_video(
        self, request: VideoRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        return openai_media.encode_video(request, route, provider)

    def decode_video(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        return openai_media.decode_job(status, headers, body, provider)

    def poll_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        return openai_media.poll_job(job, route, provider)

    def decode_job(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        return openai_media.decode_job(status, headers, body, provider)

    def fetch_job(self, job: JobState, route: Route, provider: Provider) -> Outgoing:
        return openai_media.fetch_job(job.id, route, provider)

    def decode_result(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
        return openai_media.decode_result(status, headers, body, provider)

    def cancel_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        return openai_media.cancel_job(job, route, provider)


@lru_cache(maxsize=1024)
def _params(operation: Capability, host: frozenset[str], model: frozenset[str]) -> frozenset[str]:
    return taken(STANDARD.get(operation, CHAT_FIELDS), host, model)


ADAPTER: Adapter = OpenAICompatible()
