"""What makers of pictures and films with a JSON API of their own share: requests, answers, jobs that failed. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from openpollen.core.assets import Asset, JobState, Media
from openpollen.core.model import Provider
from openpollen.outbound.message import Outgoing
from openpollen.outbound.scrub import scrub
from openpollen.providers.adapter import UNSNIFFED
from openpollen.providers.credential import Header, credential
from openpollen.providers.failures import Words, from_answer, read_words, refused, unreadable

_JSON = "application/json"
_Shape = TypeVar("_Shape", bound=Struct)


class JobError(Struct, frozen=True):
    """Why a job failed, as most hosts say it."""

    code: str | None = None
    message: str | None = None


def post(path: str, body: Any, provider: Provider, *more: Header, method: str = "POST") -> Outgoing:
    """A request with a JSON body. ``path`` is below ``base_url``."""
    lines = (("accept", _JSON), ("content-type", _JSON), *more, *credential(provider))
    return Outgoing(method, _address(path, provider), lines, msgspec.json.encode(body))


def bare(method: str, path: str, provider: Provider) -> Outgoing:
    """A request without a body."""
    return Outgoing(method, _address(path, provider), (("accept", _JSON), *credential(provider)))


def segment(name: str) -> str:
    """What a provider called something, as one segment of a path: it cannot lead anywhere else."""
    return quote(name, safe="").replace(".", "%2E") if name in (".", "..") else quote(name, safe="")


def data_uri(asset: Asset) -> str:
    """The bytes as a data URI (RFC 2397)."""
    return f"data:{asset.mime};base64,{base64.b64encode(asset.data).decode()}"


def unpack(text: str, provider: Provider) -> Asset:
    """A picture in base64, with or without the head of a data URI. Raises Failure."""
    try:
        data = base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text)
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise unreadable("a picture that is no base64", provider)
    return Asset(data, UNSNIFFED)


def read(shape: type[_Shape], status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> _Shape:
    """The answer in its shape. Raises Failure for an error, whatever its status, and for what is no answer."""
    if not 200 <= status < 300:
        raise from_answer(status, headers, body, provider)
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        if read_words(body).message and body.lstrip().startswith(b"{"):
            raise from_answer(200, headers, body, provider) from None
        raise unreadable("an answer that cannot be read", provider) from None


def data_of(status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> Media:
    """A file's own bytes as a result. Raises Failure for an error and for nothing."""
    if not 200 <= status < 300 or _JSON in headers.get("content-type", ""):
        raise from_answer(status, headers, body, provider)
    if not body:
        raise unreadable("an empty file", provider)
    return Media((Asset(body, UNSNIFFED),))


def failed(job: str, error: JobError | None, otherwise: str, provider: Provider) -> JobState:
    """A job that failed, with its provider's words or ``otherwise``."""
    error = error or JobError()
    words = Words(error.message or otherwise, ((error.code or "").lower(),))
    shown = scrub(words.message, [provider.key] if provider.key else [])
    return JobState(job, "failed", error=shown, refused=refused(words))


def _address(path: str, provider: Provider) -> str:
    return f"{provider.base_url.rstrip('/')}/{path}"
