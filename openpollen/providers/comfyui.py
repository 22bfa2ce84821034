"""ComfyUI (https://docs.comfy.org/development/comfyui-server/comms_routes): pictures, edits and films by stored workflows.

A route's model names the workflow (see ``comfyui_workflow``), and what reaches it are the slots that the workflow has. The
answer is a job: ``prompt`` begins it, ``history`` tells when it is done, ``view`` hands its file out. Pictures are uploaded
first. The history says nothing of jobs that are not done: they count as queued.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct, structs

from openpollen.core.assets import Asset, ImageRequest, JobState, Media, VideoRequest
from openpollen.core.errors import BadGateway, BadRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.outbound.scrub import scrub
from openpollen.providers.adapter import UNSNIFFED, Adapter, BaseAdapter, Headers
from openpollen.providers.comfyui_workflow import BadWorkflow, Workflow, image_slot, load
from openpollen.providers.failures import Failure, from_answer, read_words, unreadable
from openpollen.providers.openai_wire import headers, multipart

_SIZE = frozenset({"width", "height", "size"})
#: Slot -> the parameters that reach it.
_HEARD: Mapping[str, frozenset[str]] = {
    "prompt": frozenset({"prompt"}),
    "negative": frozenset({"negative_prompt"}),
    "width": _SIZE,
    "seed": frozenset({"seed"}),
    "image": frozenset({"image"}),
    "mask": frozenset({"mask"}),
    "frames": frozenset({"seconds", "duration"}),
    "length": frozenset({"seconds", "duration"}),
    "fps": frozenset({"fps"}),
    "audio": frozenset({"audio"}),
}
#: A film's shape and resolution are told by its size.
_SHAPE = frozenset({"aspect_ratio", "resolution"})
#: What validation says of a value that the caller chose.
_OUT_OF_RANGE = frozenset({"value_smaller_than_min", "value_bigger_than_max"})
_JSON = "application/json"
_MAX_SEED = 2**31


class _Begun(Struct, frozen=True):
    prompt_id: str


class _File(Struct, frozen=True):
    filename: str
    subfolder: str
    type: str


class _Status(Struct, frozen=True):
    status_str: str | None = None
    completed: bool | None = None
    messages: list[Any] | None = None


class _Entry(Struct, frozen=True):
    outputs: dict[str, dict[str, Any] | None] | None = None
    status: _Status | None = None


class _Uploaded(Struct, frozen=True):
    name: str
    subfolder: str | None = None


class _NodeError(Struct, frozen=True):
    type: str = ""
    message: str = ""
    details: str = ""


class _Node(Struct, frozen=True):
    errors: list[_NodeError] = []
    class_type: str = ""


class _Invalid(Struct, frozen=True):
    node_errors: dict[str, _Node] | None = None


class ComfyUI(BaseAdapter):
    """The adapter of this wire; see ``Adapter`` for what each method promises."""

    wire = "comfyui"
    operations = frozenset({Capability.IMAGE, Capability.EDIT, Capability.VIDEO})

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        try:
            slots = load(route.model).slots
        except BadWorkflow:  # told when the request is made
            slots = frozenset(_HEARD)
        names = frozenset[str]().union(*(_HEARD[slot] for slot in slots if slot in _HEARD))
        return names | _SHAPE if operation is Capability.VIDEO and names >= _SIZE else names

    def uploads(self, request: ImageRequest | VideoRequest, route: Route, provider: Provider) -> tuple[Outgoing, ...]:
        if request.images:
            _check_count(request, _workflow(route, provider))
        mask = request.mask if isinstance(request, ImageRequest) else None
        files = [*request.images, *([mask] if mask is not None else [])]
        return tuple(_upload(file, provider) for file in files)

    def decode_upload(self, status: int, headers: Headers, body: bytes, provider: Provider) -> str:
        """The name by which a node finds the file."""
        if not 200 <= status < 300:
            raise from_answer(status, headers, body, provider)
        file = _read(body, _Uploaded, provider)
        return f"{file.subfolder}/{file.name}" if file.subfolder else file.name

    def encode_image(
        self, request: ImageRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        workflow = _workflow(route, provider)
        values = _common(request, uploaded, workflow)
        if request.images and workflow.keeps_size() and not request.given & _SIZE:
            for name in ("width", "height", "grid_width", "grid_height"):
                del values[name]
        if request.mask is not None:
            values["mask"] = uploaded[len(request.images)]
        values["negative"] = request.negative_prompt
        return _prompt(workflow, values, route, provider)

    def decode_image(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        if status == 400 and (failure := _invalid(body, provider)) is not None:
            raise failure
        if not 200 <= status < 300:
            raise from_answer(status, headers, body, provider)
        return JobState(_read(body, _Begun, provider).prompt_id, "queued")

    def encode_video(
        self, request: VideoRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        workflow = _workflow(route, provider)
        fps = request.fps if request.fps is not None and "fps" in workflow.slots else workflow.settings.fps
        length = max(1, round(request.seconds * fps))
        step = workflow.settings.frame_step
        values = _common(request, uploaded, workflow) | {
            "fps": fps,
            "length": length,
            "negative": request.negative_prompt,
        }
        values["frames"] = length if step == 1 else _rounded_up(length, step) + 1
        values["audio"] = request.audio or None
        return _prompt(workflow, values, route, provider)

    def decode_video(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        return self.decode_image(status, headers, body, provider)

    def poll_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        return Outgoing("GET", _url(provider, f"history/{quote(job, safe='')}"), headers(provider, _JSON))

    def decode_job(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        if not 200 <= status < 300:
            raise from_answer(status, headers, body, provider)
        entries = _read(body, dict[str, _Entry], provider)
        if not entries:  # in the queue, or at work
            return JobState("", "queued")
        job, entry = next(iter(entries.items()))
        told = entry.status or _Status()
        if told.status_str == "error" or told.completed is False:
            return JobState(job, "failed", error=scrub(_why(told), [provider.key] if provider.key else []))
        if (file := _file(entry)) is None:
            return JobState(job, "failed", error="the workflow saved no file")
        return JobState(job, "done", 100, result=f"view?{urlencode(structs.asdict(file))}")

    def fetch_job(self, job: JobState, route: Route, provider: Provider) -> Outgoing:
        return Outgoing("GET", _url(provider, job.result), headers(provider, "*/*"))

    def decode_result(self, status: int, headers: Headers, body: bytes, provider: Provider) -> Media:
        if not 200 <= status < 300:
            raise from_answer(status, headers, body, provider)
        if not body:
            raise unreadable("an empty file", provider)
        return Media((Asset(body, UNSNIFFED),))

    def cancel_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        """Takes a job out of the queue. One that runs is let run: older servers know no way to stop that one alone."""
        return _post("queue", {"delete": [job]}, provider)


def _workflow(route: Route, provider: Provider) -> Workflow:
    try:
        return load(route.model)
    except BadWorkflow as fault:
        raise _unfit(str(fault), provider) from None


def _common(request: ImageRequest | VideoRequest, uploaded: tuple[str, ...], workflow: Workflow) -> dict[str, Any]:
    """What pictures and films have in common. A seed is drawn where none is given: a workflow has to have one."""
    _check_count(request, workflow)
    step = workflow.settings.side_step
    values: dict[str, Any] = {
        "prompt": request.prompt,
        "width": request.width,
        "height": request.height,
        "grid_width": _rounded_up(request.width, step),
        "grid_height": _rounded_up(request.height, step),
        "seed": request.seed if request.seed is not None else secrets.randbelow(_MAX_SEED),
    }
    return values | {image_slot(number): name for number, name in enumerate(uploaded[: len(request.images)], 1)}


def _check_count(request: ImageRequest | VideoRequest, workflow: Workflow) -> None:
    if len(request.images) > (most := workflow.images()):
        raise BadRequest(f"image: this workflow takes at most {most} picture{'' if most == 1 else 's'}.")


def _rounded_up(value: int, step: int) -> int:
    return -(-value // step) * step


def _prompt(workflow: Workflow, values: Mapping[str, Any], route: Route, provider: Provider) -> Outgoing:
    try:
        graph = workflow.filled({name: value for name, value in values.items() if value is not None})
    except BadWorkflow as fault:
        raise _unfit(f"the workflow {route.model!r}: {fault}", provider) from None
    return _post("prompt", {"prompt": graph}, provider)


def _upload(file: Asset, provider: Provider) -> Outgoing:
    """A file named by what is in it: sent again, it is the same one."""
    ending = file.mime.rpartition("/")[2] or "png"
    named = structs.replace(file, name=f"openpollen-{hashlib.sha256(file.data).hexdigest()[:32]}.{ending}")
    content_type, data = multipart([("type", "input"), ("overwrite", "true")], [("image", named)])
    return Outgoing("POST", _url(provider, "upload/image"), headers(provider, _JSON, content_type), data)


def _post(path: str, body: dict[str, Any], provider: Provider) -> Outgoing:
    return Outgoing("POST", _url(provider, path), headers(provider, _JSON, _JSON), msgspec.json.encode(body))


def _url(provider: Provider, path: str) -> str:
    return f"{provider.base_url.rstrip('/')}/{path}"


def _read(body: bytes, shape: Any, provider: Provider) -> Any:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise unreadable("an answer that cannot be read", provider) from None


def _file(entry: _Entry) -> _File | None:
    """The first file that was saved, else the first that was only shown."""
    values = [value for node in (entry.outputs or {}).values() for value in (node or {}).values()]
    listed = [one for value in values if isinstance(value, list) for one in cast("list[Any]", value)]
    named = [cast("dict[str, Any]", one) for one in listed if isinstance(one, dict) and "filename" in one]
    files = [
        _File(str(one["filename"]), str(one.get("subfolder") or ""), str(one.get("type") or "output")) for one in named
    ]
    return next((file for file in files if file.type == "output"), files[0] if files else None)


def _why(told: _Status) -> str:
    """What a failed job's messages say: pairs of an event's name and what belongs to it."""
    for message in told.messages or ():
        event = cast("list[Any]", message) if isinstance(message, list) else []
        if len(event) == 2 and event[0] == "execution_interrupted":
            return "the job was stopped on the server"
        if len(event) == 2 and event[0] == "execution_error" and isinstance(event[1], dict):
            said = cast("dict[str, Any]", event[1])
            return (
                f"{said.get('node_type') or 'a node'}: {str(said.get('exception_message') or 'failed').strip()[:400]}"
            )
    return "the server gives no reason"


def _invalid(body: bytes, provider: Provider) -> Failure | None:
    """What validation found wrong with a workflow: sizes are the caller's, missing models and nodes the operator's."""
    try:
        nodes = msgspec.json.decode(body, type=_Invalid).node_errors or {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        nodes = {}
    found = [(node.class_type, error) for node in nodes.values() for error in node.errors]
    said = "; ".join(f"{kind}: {error.details or error.message}" for kind, error in found[:3])
    said = scrub(said or read_words(body).message, [provider.key] if provider.key else [])[:400]
    if found and all(error.type in _OUT_OF_RANGE for _, error in found):
        details = {"provider": provider.name, "upstreamStatus": 400}
        return Failure(BadRequest(said, reason="upstream_invalid_request", details=details), retryable=False)
    return _unfit(said, provider)


def _unfit(why: str, provider: Provider) -> Failure:
    """The workflow cannot run there; ``why`` tells the operator."""
    error = BadGateway(
        f"The provider {provider.name} is not set up for this model. Ask the operator of this gateway, or try another model.",
        reason="provider_unknown_model",
        details={"provider": provider.name, "hint": why},
    )
    return Failure(error, retryable=True)


ADAPTER: Adapter = ComfyUI()
