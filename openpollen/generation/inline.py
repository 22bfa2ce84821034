"""Pictures and files of a chat that its caller gave by address, brought here for providers that want the bytes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec
from msgspec import Raw, structs

from openpollen.core.assets import Asset
from openpollen.core.chat import ChatRequest
from openpollen.core.errors import BadRequest

#: Brings a file from an address that a caller gave, through the guard. Raises BadRequest.
Bring = Callable[[str], Awaitable[Asset]]

_MOST = 20


async def inlined(request: ChatRequest, bring: Bring) -> ChatRequest:
    """The request with a data URI in place of each address. Raises BadRequest for an address that cannot be fetched, and
    for more than twenty."""
    messages = request.fields.get("messages", Raw(b"[]"))
    if b"http" not in bytes(messages):
        return request
    decoded = msgspec.json.decode(messages, type=list[dict[str, Any]])
    places = [place for message in decoded for place in _places(message)]
    if len(places) > _MOST:
        raise BadRequest(
            f"messages: {len(places)} pictures and files by address; at most {_MOST} are fetched for a call."
        )
    found = await asyncio.gather(*(bring(holder[name]) for holder, name in places))
    for (holder, name), asset in zip(places, found, strict=True):
        holder[name] = f"data:{asset.mime};base64,{base64.b64encode(asset.data).decode()}"
    fields = {**request.fields, "messages": Raw(msgspec.json.encode(decoded))}
    return structs.replace(request, fields=fields)


def _places(message: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Where addresses stand: the object that has one, and under which name."""
    content = message.get("content")
    parts = cast(list[Any], content) if isinstance(content, list) else []
    out: list[tuple[dict[str, Any], str]] = []
    for part in parts:
        if not isinstance(part, dict):
            continue
        entry = cast(dict[str, Any], part)
        kind = entry.get("type")
        if kind == "image_url" and isinstance(entry.get("image_url"), str):
            entry["image_url"] = {"url": entry["image_url"]}
        holder = entry.get(str(kind)) if kind in ("image_url", "file") else None
        if isinstance(holder, dict):
            known = cast(dict[str, Any], holder)
            out += [(known, name) for name in ("url", "file_url") if _is_address(known.get(name))]
    return out


def _is_address(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))
