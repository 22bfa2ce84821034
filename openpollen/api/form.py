"""Multipart forms, read by Starlette's parser within our limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from openpollen.api.exchange import Exchange
from openpollen.core.assets import Asset
from openpollen.core.errors import BadRequest, UnsupportedMediaType
from openpollen.media.sniff import sniff

_MAX_FILES = 32
_MAX_FIELDS = 100


@dataclass
class Form:
    """A form's fields, the last of each name, and its files by name; ``image[]`` counts as ``image``."""

    fields: dict[str, Any] = field(default_factory=dict[str, Any])
    lists: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    files: dict[str, list[Asset]] = field(default_factory=dict[str, list[Asset]])


async def read_form(exchange: Exchange, limit: int) -> Form:
    """The form of a request. Raises BadRequest for a broken one, PayloadTooLarge beyond ``limit`` bytes."""
    body = await exchange.body(limit)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    request = Request(exchange.scope, receive)
    form = Form()
    try:
        async with request.form(max_files=_MAX_FILES, max_fields=_MAX_FIELDS, max_part_size=limit) as data:
            for key, value in data.multi_items():
                name = key.removesuffix("[]")
                if isinstance(value, UploadFile):
                    content = await value.read()
                    asset = Asset(content, sniff(content), value.filename or "")
                    form.files.setdefault(name, []).append(asset)
                else:
                    form.fields[name] = value
                    form.lists.setdefault(name, []).append(value)
    except (MultiPartException, UnicodeDecodeError, KeyError, ValueError) as fault:
        raise BadRequest(f"The form cannot be read: {fault}.") from None
    return form


def content_kind(exchange: Exchange) -> str:
    """``json`` or ``form`` by the request's content type. Raises UnsupportedMediaType for another."""
    kind = exchange.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("application/json", "") or kind.endswith("+json"):
        return "json"
    if kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
        return "form"
    raise UnsupportedMediaType(f"Send application/json or multipart/form-data, not {kind[:80]}.")
