"""What every call on Google's wire shares: addresses, header lines, answers read without trust in their form."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Struct

from openpollen.core.model import Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers.credential import Header, credential
from openpollen.providers.failures import unreadable
from openpollen.providers.vertex import regional

_OLDER = re.compile(r"gemini-[12]\b")
#: Google writes base64 in either alphabet.
_STANDARD = str.maketrans("-_", "+/")

#: Seeds of models and of films are whole numbers of 31 and 32 bits; larger ones are taken to their remainder.
SEEDS, FILM_SEEDS = 2**31, 2**32

_Shape = TypeVar("_Shape", bound=Struct)


def is_vertex(provider: Provider) -> bool:
    return "/publishers/" in provider.base_url


def is_newer(model: str) -> bool:
    """Whether a model is of Gemini 3 or later: those think in levels, sign what they call, and bill each search."""
    return not _OLDER.search(model)


def post(body: Mapping[str, Any], route: Route, provider: Provider, verb: str) -> Outgoing:
    """``verb`` is what is asked of the route's model: ``generateContent``, ``predictLongRunning`` ..."""
    models = f"{provider.base_url}/models"
    if is_vertex(provider):
        models = regional(provider.base_url, films="veo" in route.model)
    return Outgoing("POST", f"{models}/{route.model}:{verb}", headers(provider), msgspec.json.encode(body))


def headers(provider: Provider) -> tuple[Header, ...]:
    return (("accept", "*/*"), ("content-type", "application/json"), *credential(provider))


def read(shape: type[_Shape], data: bytes) -> _Shape | None:
    """What came, as ``shape``; a null counts as absent, and a count may be text. ``None`` for what is no such thing."""
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        return msgspec.convert(_told(msgspec.json.decode(data)), shape, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def unpack(text: str, provider: Provider, what: str) -> bytes:
    """The bytes of base64. Raises Failure that names ``what`` they should have been."""
    try:
        data = base64.b64decode(text.translate(_STANDARD))
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise unreadable(f"{what} that is no base64", provider)
    return data


def _told(value: Any) -> Any:
    """Without nulls; but the arguments of a tool may have some."""
    if isinstance(value, list):
        return [_told(item) for item in cast(list[Any], value) if item is not None]
    if not isinstance(value, dict):
        return value
    entries = cast(dict[str, Any], value).items()
    return {name: item if name == "args" else _told(item) for name, item in entries if item is not None}
