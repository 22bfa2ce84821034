"""Google's generateContent: the Gemini API (https://ai.google.dev/api) and Vertex AI, which is told by its address
(https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest)."""

from __future__ import annotations

from openpollen.core.assets import ImageRequest, JobState, Media, VideoRequest
from openpollen.core.chat import ChatAnswer, ChatRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers import google_answer, google_images, google_veo
from openpollen.providers.adapter import Adapter, BaseAdapter, Headers
from openpollen.providers.conversation import read
from openpollen.providers.google_chat import CHAT_PARAMS, body_of
from openpollen.providers.google_stream import Frames
from openpollen.providers.google_wire import is_vertex, post

_SEARCH = "search"


class Google(BaseAdapter):
    """The adapter of this wire; see ``Adapter`` for what each method promises."""

    wire = "google"
    operations = frozenset({Capability.CHAT, Capability.IMAGE, Capability.EDIT, Capability.VIDEO})
    inline = True

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        if operation is Capability.CHAT:
            return CHAT_PARAMS
        return google_veo.params(provider) if operation is Capability.VIDEO else google_images.params(operation, route)

    def encode_chat(self, request: ChatRequest, route: Route, provider: Provider) -> Outgoing:
        body = body_of(read(request), route.model, search=route.operation == _SEARCH, ids=not is_vertex(provider))
        return post(body, route, provider, "streamGenerateContent?alt=sse" if request.stream else "generateContent")

    def decode_chat(self, status: int, headers: Headers, body: bytes, provider: Provider) -> ChatAnswer:
        return google_answer.decode_chat(status, headers, body, provider)

    def chat_frames(self, route: Route) -> Frames:
        return Frames()

    def encode_image(
        self, request: ImageRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        return post(google_images.body_of(request, route), route, provider, "generateContent")

    def decode_image(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
        return google_images.decode(status, headers, body, provider)

    def encode_video(
        self, request: VideoRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        return post(google_veo.body_of(request, route, provider), route, provider, "predictLongRunning")

    def decode_video(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        return google_veo.decode_begun(status, headers, body, provider)

    def poll_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        return google_veo.poll(job, route, provider)

    def decode_job(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        return google_veo.decode(status, headers, body, provider)

    def fetch_job(self, job: JobState, route: Route, provider: Provider) -> Outgoing:
        return google_veo.fetch(job, provider)

    def decode_result(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
        return google_veo.decode_result(status, headers, body, provider)


ADAPTER: Adapter = Google()
