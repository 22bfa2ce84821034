"""Black Forest Labs: FLUX Kontext and klein as jobs (https://docs.bfl.ai). The address to ask again is the one it gives, and the
picture's is signed: it gets no key."""

from __future__ import annotations

import base64
from typing import Any

from msgspec import Struct

from openpollen.core.assets import ImageRequest, JobState, Media
from openpollen.core.model import Capability, Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers.adapter import Adapter, BaseAdapter, Headers
from openpollen.providers.addresses import own_address
from openpollen.providers.credential import credential
from openpollen.providers.failures import unreadable
from openpollen.providers.json_media import JobError, failed, post, read
from openpollen.providers.shapes import nearest_ratio

_PARAMS = frozenset({"prompt", "width", "height", "size", "seed"})
_RATIOS = ("21:9", "16:9", "3:2", "4:3", "1:1", "3:4", "2:3", "9:16", "9:21")
_PENDING = {"Pending": "running", "Queued": "queued", "Reasoning": "running", "Generating": "running"}
_REFUSED = frozenset({"Request Moderated", "Content Moderated"})
#: Sides that klein makes are multiples of this, and none is shorter than the other.
_STEP, _LEAST = 16, 64


#: Its jobs are asked for at the region that took them, such as ``api.us1.bfl.ai``.
_DOMAIN = "bfl.ai"


class _Begun(Struct, frozen=True):
    polling_url: str = ""


class _Result(Struct, frozen=True):
    sample: str = ""


class _Job(Struct, frozen=True):
    status: str = ""
    result: _Result | None = None
    progress: float | None = None


class BlackForestLabs(BaseAdapter):
    """The adapter of this wire; see ``Adapter`` for what each method promises."""

    wire = "bfl"
    operations = frozenset({Capability.IMAGE, Capability.EDIT})

    def params(self, operation: Capability, provider: Provider, route: Route) -> frozenset[str]:
        return _PARAMS | {"image"} if operation is Capability.EDIT else _PARAMS

    def encode_image(
        self, request: ImageRequest, route: Route, provider: Provider, uploaded: tuple[str, ...] = ()
    ) -> Outgoing:
        body: dict[str, Any] = {"prompt": request.prompt}
        for number, image in enumerate(request.images, 1):
            body["input_image" if number == 1 else f"input_image_{number}"] = base64.b64encode(image.data).decode()
        # The size of an edit is that of its picture unless the caller says another.
        if not request.images or request.given & {"size", "width", "height"}:
            body |= _shape(request, route)
        if request.seed is not None:
            body["seed"] = request.seed
        if request.output_format is not None:
            body["output_format"] = request.output_format
        return post(route.model, body, provider)

    def decode_image(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        address = read(_Begun, status, headers, body, provider).polling_url
        if not address:
            raise unreadable("a job without an address", provider)
        return JobState(own_address(address, provider, _DOMAIN), "queued")

    def poll_job(self, job: str, route: Route, provider: Provider) -> Outgoing:
        return Outgoing("GET", own_address(job, provider, _DOMAIN), (("accept", "*/*"), *credential(provider)))

    def decode_job(self, status: int, headers: Headers, body: bytes, provider: Provider) -> JobState:
        job = read(_Job, status, headers, body, provider)
        if job.status == "Ready" and job.result is not None and job.result.sample:
            return JobState("", "done", 100, media=Media(urls=(job.result.sample,)))
        if job.status in _PENDING:
            progress = round(100 * (job.progress or 0))
            return JobState("", "queued" if job.status == "Queued" else "running", min(99, max(0, progress)))
        if job.status in _REFUSED:
            return JobState("", "failed", error=job.status, refused=True)
        return failed("", JobError(), f"the job ended as {job.status[:60] or 'unknown'}", provider)


def _shape(request: ImageRequest, route: Route) -> dict[str, Any]:
    if "kontext" in route.model:
        return {"aspect_ratio": nearest_ratio(request.width / request.height, _RATIOS)}
    return {"width": _side(request.width), "height": _side(request.height)}


def _side(pixels: int) -> int:
    return max(_LEAST, _STEP * round(pixels / _STEP))


ADAPTER: Adapter = BlackForestLabs()
