"""Alibaba Model Studio's own API (DashScope): pictures of Qwen-Image and Wan, films of Wan. Its chat speaks the OpenAI wire.

https://www.alibabacloud.com/help/en/model-studio/qwen-image-api, ``qwen-image-edit-api``,
``wan-image-generation-and-editing-api-reference``, ``text-to-video-api-reference``, ``image-to-video-api-reference`` and
``error-code``. Pictures are answered at once, films are tasks. Prompts are sent as they are (``prompt_extend`` false), and
nothing carries a watermark.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from openpollen.core.assets import ImageRequest, JobState, Media, VideoRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.core.usage import Usage
from openpollen.outbound.message import Outgoing
from openpollen.providers import dashscope_models as models
from openpollen.providers import shapes
from openpollen.providers.adapter import Adapter, BaseAdapter, Headers
from openpollen.providers.failures import from_answer, unreadable
from openpollen.providers.json_media import JobError, bare, data_uri, failed, post, read, segment

_PICTURES = "services/aigc/multimodal-generation/generation"
_FILMS = "services/aigc/video-generation/video-synthesis"
_TASK = ("x-dashscope-async", "enable")

_STATES: Mapping[str, Literal["queued", "running", "done"]] = {
    "PENDING": "queued", "RUNNING": "running", "SUSPENDED": "running", "SUCCEEDED": "done",
}  # fmt: skip
_ENDS = {
    "FAILED": "the task failed", "CANCELED": "the task was cancelled", "UNKNOWN": "the task is not known any more",
}  # fmt: skip
_PICTURE = frozenset({"prompt", "width", "height", "size", "seed"})
_FILM = frozenset({"prompt", "seconds", "duration", "size", "resolution", "seed"})


class _Part(Struct, frozen=True):
    image: str | None = None


class _Message(Struct, frozen=True):
    content: list[_Part] | None = None


class _Choice(Struct, frozen=True):
    message: _Message | None = None


class _Output(Struct, frozen=True):
    choices: list[_Choice] | None = None
    task_id: str = ""
    task_status: str | None = None
    video_url: str | None = None
    code: str | None = None
    message: str | None = None


class _Usage(Struct, frozen=True):
    image_count: int | None = None
    output_video_duration: float | None = None
    video_duration: float | None = None
    duration: float | None = None


class _Answer(Struct, frozen=True):
    code: str | None = None
    output: _Output | None = None
    usage: _Usage | None = None


class DashScope(BaseAdapter):
    """The adapter of this wire; see ``Adapter`` for what each method promises."""

    wire = "dashscope"
    operations = frozenset({Capability.IMAGE, Capability.EDIT, Capability.VIDEO})

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        if operation is Capability.VIDEO:
            sounding = {"audio"} if models.sounds(route.model) else set[str]()
            return (
                _FILM | sounding | ({"image"} if models.animates(route.model) else {"width", "height", "aspect_ratio"})
            )
        if operation not in self.operations:
            return frozenset()
        several = set[str]() if route.model in models.SINGLE else {"n"}
        if operation is Capability.EDIT:
            return _PICTURE | several | {"image"} | (set[str]() if models.thinks(route.model) else {"negative_prompt"})
        return _PICTURE | several | {"reasoning" if models.thinks(route.model) else "negative_prompt"}

    def encode_image(
        self, request: ImageRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        wanted: dict[str, Any] = {"n": request.n, "watermark": False}
        if not request.images or request.given & {"size", "width", "height"}:
            wanted["size"] = models.picture_size(request, route.model)
        if request.seed is not None:
            wanted["seed"] = request.seed
        if not models.thinks(route.model):
            wanted["prompt_extend"] = False
            if request.negative_prompt:
                wanted["negative_prompt"] = request.negative_prompt
        elif not request.images:  # edits are made without
            wanted["thinking_mode"] = request.reasoning
        content = [*({"image": data_uri(image)} for image in request.images), {"text": request.prompt}]
        message = {"role": "user", "content": content}
        body = {"model": route.model, "input": {"messages": [message]}, "parameters": wanted}
        return post(_PICTURES, body, provider)

    def decode_image(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
        """Addresses of pictures, which live for 24 hours, and how many are billed."""
        answer = _read(status, headers, body, provider)
        choices = (answer.output or _Output()).choices or []
        parts = [part for one in choices if one.message is not None for part in one.message.content or ()]
        urls = tuple(part.image for part in parts if part.image)
        if not urls:
            raise unreadable("an answer without a picture", provider)
        billed = answer.usage.image_count if answer.usage is not None else None
        return Media(urls=urls, usage=Usage(images=billed) if billed else None)

    def encode_video(
        self, request: VideoRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        """A task: a film from words in a size, or from its first frame, whose shape it keeps, in a resolution."""
        source: dict[str, Any] = {"prompt": request.prompt}
        tier = shapes.tier_of(request, models.tiers(route.model), route.model)
        wanted: dict[str, Any] = {"duration": shapes.whole_seconds(request, route.model)}
        if request.images:
            first, *more = request.images
            if more:
                raise BadRequest(f"image: {route.model} takes one picture, the first frame.")
            if "aspect_ratio" in request.given:
                raise BadRequest(f"aspectRatio: {route.model} keeps the shape of the picture; leave it out.")
            source["img_url"] = data_uri(first)
            wanted["resolution"] = tier.upper()
        else:
            wanted["size"] = models.frame(shapes.shape_of(request), tier)
        if models.sounds(route.model):
            wanted["audio"] = request.audio
        wanted |= {"prompt_extend": False, "watermark": False}
        if request.seed is not None:
            wanted["seed"] = request.seed
        return post(_FILMS, {"model": route.model, "input": source, "parameters": wanted}, provider, _TASK)

    def decode_video(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        state = self.decode_job(status, headers, body, provider)
        if not state.id:
            raise unreadable("a job without an id", provider)
        return state

    def poll_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        return bare("GET", f"tasks/{segment(job)}", provider)

    def decode_job(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        """The state; a film's address lives for 24 hours. Tasks that failed are not billed."""
        answer = _read(status, headers, body, provider)
        task = answer.output or _Output()
        if task.task_status in _ENDS:
            return failed(task.task_id, JobError(task.code, task.message), _ENDS[task.task_status], provider)
        state = _STATES.get(task.task_status or "")
        if state is None:
            raise unreadable("a job in a state that is not known", provider)
        if state != "done":
            return JobState(task.task_id, state)
        if not task.video_url:
            raise unreadable("a finished job without a film", provider)
        media = Media(urls=(task.video_url,), usage=_film_usage(answer.usage))
        return JobState(task.task_id, "done", 100, media=media)

    def cancel_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        """Stops a task that waits; one that runs is refused."""
        return bare("POST", f"tasks/{segment(job)}/cancel", provider)


def _read(status: int, headers: Headers, body: bytes, provider: Provider) -> _Answer:
    answer = read(_Answer, status, headers, body, provider)
    if answer.code and answer.output is None:
        raise from_answer(status, headers, body, provider)
    return answer


def _film_usage(reported: _Usage | None) -> Usage | None:
    if reported is None:
        return None
    seconds = reported.output_video_duration or reported.video_duration or reported.duration
    return Usage(video_ms=round(seconds * 1000)) if seconds else None


ADAPTER: Adapter = DashScope()
