"""Google's generateContent: the Gemini API (https://ai.google.dev/api) and Vertex AI, which is told by its address
(https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest)."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from openpollen.core.assets import ImageRequest, JobState, Media, VideoRequest
from openpollen.core.chat import ChatAnswer, ChatRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers import google_answer, google_veo
from openpollen.providers.adapter import Adapter, BaseAdapter, Headers
from openpollen.providers.conversation import read
from openpollen.providers.credential import credential
from openpollen.providers.google_answer import Frames
from openpollen.providers.google_chat import body_of, inline
from openpollen.providers.vertex import regional

_CHAT = frozenset({
    "frequency_penalty", "function_call", "functions", "logprobs", "max_completion_tokens", "max_tokens", "messages",
    "presence_penalty", "reasoning_effort", "response_format", "seed", "stop", "stream", "stream_options",
    "temperature", "thinking", "thinking_budget", "tool_choice", "tools", "top_k", "top_logprobs", "top_p",
    "web_search_options",
})  # fmt: skip
_PICTURE = frozenset({"prompt", "width", "height", "size", "seed"})
_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
#: Sides in pixels up to which each size is the nearest.
_SIZES = (("1K", 1448), ("2K", 2896))


class Google(BaseAdapter):
    """The adapter of this wire; see ``Adapter`` for what each method promises."""

    wire = "google"
    operations = frozenset({Capability.CHAT, Capability.IMAGE, Capability.EDIT, Capability.VIDEO})
    inline = True

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        if operation is Capability.CHAT:
            return _CHAT
        if operation is Capability.VIDEO:
            return google_veo.params(provider)
        thinks = {"reasoning"} if _newer(route) else set[str]()
        return _PICTURE | thinks | ({"image"} if operation is Capability.EDIT else set[str]())

    def encode_chat(self, request: ChatRequest, route: Route, provider: Provider) -> Outgoing:
        body = body_of(read(request), route.model, search=route.operation == "search")
        verb = "streamGenerateContent?alt=sse" if request.stream else "generateContent"
        return _post(body, route, provider, verb)

    def decode_chat(self, status: int, headers: Headers, body: bytes, provider: Provider) -> ChatAnswer:
        return google_answer.decode_chat(status, headers, body, provider)

    def chat_frames(self, route: Route) -> Frames:
        return Frames()

    def encode_image(
        self, request: ImageRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        parts = [{"text": request.prompt}, *(inline(image.data, image.mime) for image in request.images)]
        shape = {"aspectRatio": _ratio(request.width, request.height)}
        if _newer(route):
            shape["imageSize"] = _size(max(request.width, request.height))
        config: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"], "imageConfig": shape}
        if request.seed is not None:
            config["seed"] = request.seed
        if request.reasoning and _newer(route):
            config["thinkingConfig"] = {"thinkingLevel": "HIGH"}
        body = {"contents": [{"role": "user", "parts": parts}], "generationConfig": config}
        return _post(body, route, provider, "generateContent")

    def decode_image(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
        return google_answer.decode_image(status, headers, body, provider)

    def encode_video(
        self, request: VideoRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        return _post(google_veo.body_of(request, provider), route, provider, "predictLongRunning")

    def decode_video(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        return google_veo.decode(status, headers, body, provider)

    def poll_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        if is_vertex(provider):
            return _post({"operationName": job}, route, provider, "fetchPredictOperation")
        return Outgoing("GET", f"{provider.base_url}/{job}", _headers(provider))

    def decode_job(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        return google_veo.decode(status, headers, body, provider)

    def fetch_job(self, job: JobState, route: Route, provider: Provider) -> Outgoing:
        return Outgoing("GET", job.result, _headers(provider))

    def decode_result(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
        return google_veo.decode_result(status, headers, body, provider)


def is_vertex(provider: Provider) -> bool:
    return google_veo.is_vertex(provider)


def _post(body: dict[str, Any], route: Route, provider: Provider, verb: str) -> Outgoing:
    models = regional(provider.base_url) if is_vertex(provider) else f"{provider.base_url}/models"
    return Outgoing("POST", f"{models}/{route.model}:{verb}", _headers(provider), msgspec.json.encode(body))


def _headers(provider: Provider) -> tuple[tuple[str, str], ...]:
    return (("accept", "*/*"), ("content-type", "application/json"), *credential(provider))


def _newer(route: Route) -> bool:
    return route.model.startswith("gemini-3")


def _ratio(width: int, height: int) -> str:
    """The ratio that the API has nearest to a picture's, by proportion."""

    def distance(name: str) -> float:
        left, _, right = name.partition(":")
        return abs(math.log(int(left) / int(right)) - math.log(width / height))

    return min(_RATIOS, key=distance)


def _size(longest: int) -> str:
    return next((name for name, side in _SIZES if longest <= side), "4K")


ADAPTER: Adapter = Google()
