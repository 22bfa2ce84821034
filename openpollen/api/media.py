"""Media storage: POST /upload, GET, HEAD and DELETE /{hash} (rule 43)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from openpollen.api.auth import Authentication
from openpollen.api.errors import envelope
from openpollen.api.exchange import Exchange
from openpollen.api.form import read_form
from openpollen.api.params import decode_object, invalid
from openpollen.core.errors import BadRequest, RangeNotSatisfiable
from openpollen.media.sniff import is_inline
from openpollen.media.store import MediaStore, Stored

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_ROOM = 64 * 1024


class MediaApi:
    """The handlers of files."""

    def __init__(self, authentication: Authentication, store: MediaStore, media_url: str, max_bytes: int) -> None:
        self._authentication = authentication
        self._store = store
        self._media_url = media_url
        self._max_bytes = max_bytes

    async def upload(self, exchange: Exchange) -> None:
        """POST /upload: multipart ``file``, raw bytes, or JSON ``{data, contentType?, name?}``."""
        caller = await self._authentication.caller(exchange)
        data, name = await self._read(exchange)
        stored = await self._store.put(data, caller.user.id, name)
        body = {
            "id": stored.id,
            "url": f"{self._media_url}/{stored.id}",
            "contentType": stored.content_type,
            "size": stored.size,
            "duplicate": stored.duplicate,
        }
        await exchange.json(200, body)

    async def retrieve(self, exchange: Exchange) -> None:
        """GET and HEAD /{hash}. Public; cached for as long as the file lives; single ranges are served."""
        media_id = exchange.args["hash"]
        if exchange.method == "HEAD":
            stored, data = await self._store.head(media_id), b""
        else:
            stored, data = await self._store.get(media_id)
        headers = _headers(stored)
        if _known(exchange.headers.get("if-none-match", ""), headers["etag"]):
            await exchange.answer(304, b"", stored.content_type, headers)
            return
        if exchange.method == "HEAD":
            await exchange.head(200, _shown_type(stored), stored.size, headers)
            return
        # Bytes of another version must not be joined to what the client has (RFC 9110 13.1.5).
        same = exchange.headers.get("if-range", headers["etag"]).strip() == headers["etag"]
        span = _span(exchange.headers.get("range", ""), len(data)) if same else None
        if span is None:
            await exchange.answer(200, data, _shown_type(stored), headers)
            return
        start, end = span
        if start >= len(data):
            fault = RangeNotSatisfiable(f"range: the file has {len(data):,} bytes; ask for some of these.")
            told = {"cache-control": "no-store", "content-range": f"bytes */{len(data)}"}
            await exchange.json(416, envelope(fault, exchange.id), told)
            return
        headers["content-range"] = f"bytes {start}-{end - 1}/{len(data)}"
        await exchange.answer(206, data[start:end], _shown_type(stored), headers)

    async def delete(self, exchange: Exchange) -> None:
        """DELETE /{hash}: the uploader's reference; the bytes go with the last one."""
        caller = await self._authentication.caller(exchange)
        await self._store.delete(exchange.args["hash"], caller.user.id)
        await exchange.json(200, {"success": True})

    async def list(self, exchange: Exchange) -> None:
        """GET /uploads: the caller's files, the newest first."""
        caller = await self._authentication.caller(exchange)
        files = await self._store.list(caller.user.id)
        data: list[dict[str, Any]] = [
            {
                "id": file.id,
                "url": f"{self._media_url}/{file.id}",
                "contentType": file.content_type,
                "size": file.size,
                "name": file.name,
                "createdAt": file.created_at // 1000,
                "expiresAt": file.expires // 1000,
            }
            for file in files
        ]
        await exchange.json(200, {"data": data})

    async def _read(self, exchange: Exchange) -> tuple[bytes, str | None]:
        kind = exchange.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            form = await read_form(exchange, self._max_bytes + _ROOM)
            file = next(iter(form.files.get("file", ())), None)
            if file is None:
                raise invalid("file", "is required: the file, as a file of the form")
            return file.data, file.name or None
        if kind == "application/json":
            # Base64 takes four bytes for three.
            values = decode_object(await exchange.body(self._max_bytes * 4 // 3 + _ROOM))
            encoded = values.get("data")
            if not isinstance(encoded, str):
                raise invalid("data", "is required: the bytes of the file in base64")
            try:
                data = base64.b64decode(encoded.partition(",")[2] if encoded[:5] == "data:" else encoded, validate=True)
            except (binascii.Error, ValueError):
                raise BadRequest("data: is not valid base64.") from None
            name = values.get("name")
            return data, name if isinstance(name, str) else None
        return await exchange.body(self._max_bytes), None


def _headers(stored: Stored) -> dict[str, str]:
    headers = {
        "cache-control": f"public, immutable, max-age={stored.seconds_left}",
        "etag": f'"{stored.sha256}"',
        "x-content-hash": stored.id,
        "accept-ranges": "bytes",
        "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; media-src 'self'; img-src 'self'",
        "cross-origin-resource-policy": "cross-origin",
    }
    if not is_inline(stored.content_type):
        headers["content-disposition"] = "attachment"
    return headers


def _shown_type(stored: Stored) -> str:
    return stored.content_type if is_inline(stored.content_type) else "application/octet-stream"


def _known(if_none_match: str, etag: str) -> bool:
    """Whether the client has the bytes already: one of a list, weak or not, or any (RFC 9110 13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or tags == ["*"]


def _span(value: str, size: int) -> tuple[int, int] | None:
    """The first and the end byte of a single range, None for no range or one that is not understood (RFC 9110 14.2)."""
    found = _RANGE.fullmatch(value.strip())
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":
        return max(0, size - int(found[2])), size
    start = int(found[1])
    end = min(int(found[2]) + 1, size) if found[2] else size
    return None if end <= start < size else (start, end)
