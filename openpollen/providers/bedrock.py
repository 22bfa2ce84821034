"""Amazon Bedrock: chat of every model by Converse, pictures of Nova Canvas, films of Nova Reel.

A request carries a Bedrock API key as a bearer token, or is signed with an access key where the provider has none. S3, where
Reel puts its films, knows signatures only.
Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from openpollen.core.assets import ImageRequest, JobState, Media, VideoRequest
from openpollen.core.chat import ChatAnswer, ChatRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers import bedrock_answer, bedrock_chat, bedrock_media
from openpollen.providers.adapter import Adapter, BaseAdapter, Headers
from openpollen.providers.bedrock_answer import ConverseFrames
from openpollen.providers.failures import Failure, from_answer

_PICTURE = frozenset({"prompt", "width", "height", "size", "n", "seed", "quality", "negative_prompt"})
_PARAMS: Mapping[Capability, frozenset[str]] = {
    Capability.IMAGE: _PICTURE,
    Capability.EDIT: _PICTURE | {"image", "mask", "transparent"},
    Capability.VIDEO: frozenset({"prompt", "seconds", "duration", "width", "height", "size", "fps", "seed", "image"}),
}
#: What an exception inside a stream would have been as a status.
_STATUS = {
    "validationexception": 400, "throttlingexception": 429, "serviceunavailableexception": 503,
    "internalserverexception": 500, "modelstreamerrorexception": 424, "modeltimeoutexception": 408,
}  # fmt: skip


class _Fault(Struct):
    code: str = ""


class _Frame(Struct):
    error: _Fault | None = None


class Bedrock(BaseAdapter):
    """The adapter of this wire; see ``Adapter`` for what each method promises."""

    wire = "bedrock"
    operations = frozenset({Capability.CHAT, *_PARAMS})
    inline = True

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        return bedrock_chat.params(route.model) if operation is Capability.CHAT else _PARAMS.get(operation, frozenset())

    def encode_chat(self, request: ChatRequest, route: Route, provider: Provider) -> Outgoing:
        return bedrock_chat.encode(request, route, provider)

    def decode_chat(self, status: int, headers: Headers, body: bytes, provider: Provider) -> ChatAnswer:
        return bedrock_answer.decode(status, headers, body, provider)

    def chat_frames(self, route: Route) -> ConverseFrames:
        return ConverseFrames(route.model)

    def encode_image(
        self, request: ImageRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        return bedrock_media.encode_image(request, route, provider)

    def decode_image(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
        return bedrock_media.decode_image(status, headers, body, provider)

    def encode_video(
        self, request: VideoRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        return bedrock_media.encode_video(request, route, provider)

    def decode_video(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        return bedrock_media.decode_video(status, headers, body, provider)

    def poll_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        return bedrock_media.poll_job(job, provider)

    def decode_job(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        return bedrock_media.decode_job(status, headers, body, provider)

    def fetch_job(self, job: JobState, route: Route, provider: Provider) -> Outgoing:
        return bedrock_media.fetch_job(job, provider)

    def decode_result(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
        return bedrock_media.decode_result(status, headers, body, provider)

    def error(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Failure:
        """An exception inside a stream has the name of one that an answer has, but no status."""
        if status == 200:
            try:
                frame = msgspec.json.decode(body, type=_Frame)
            except (msgspec.DecodeError, UnicodeDecodeError):
                frame = _Frame()
            status = _STATUS.get(frame.error.code.lower(), 200) if frame.error is not None else 200
        return from_answer(status, headers, body, provider)


ADAPTER: Adapter = Bedrock()
