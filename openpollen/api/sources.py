"""Pictures that a caller gives: files of a form, data URIs, addresses (through the guard), alone or several."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

from openpollen.core.assets import Asset
from openpollen.core.errors import BadRequest
from openpollen.media.sniff import sniff
from openpollen.outbound.guard import Guard, parse_data_uri

_MAX_IMAGES = 16
_SPLIT = re.compile(r"[|,](?=\s*https?://)", re.IGNORECASE)


class Sources:
    """Reads ``image`` parameters. ``max_bytes`` and ``seconds`` bound each fetch."""

    def __init__(self, guard: Guard, max_bytes: int, seconds: float) -> None:
        self._guard = guard
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def images(self, value: Any, files: Iterable[Asset] = (), name: str = "image") -> tuple[Asset, ...]:
        """All pictures of the parameter ``name``, in order: those of the form first. Raises BadRequest that names it and
        the fault."""
        found = [_checked(asset, name) for asset in files]
        found += [await self._one(address, name) for address in _addresses(value, name)]
        if len(found) > _MAX_IMAGES:
            raise BadRequest(f"{name}: at most {_MAX_IMAGES} pictures are taken; {len(found)} were given.")
        return tuple(found)

    async def _one(self, address: str, name: str) -> Asset:
        if address[:5].lower() == "data:":
            data = parse_data_uri(address, max_bytes=self._max_bytes).data
            return _checked(Asset(data, sniff(data)), name)
        if not re.match(r"https?://", address, re.IGNORECASE):
            raise BadRequest(
                f"{name}: {address[:80]!r} is not an address; give http(s) URLs or data URIs, percent-encoded, several "
                "separated by |."
            )
        return await self._guard.fetch_public(address, max_bytes=self._max_bytes, timeout=self._seconds)


def _addresses(value: Any, field: str) -> list[str]:
    """The addresses in a parameter: text, several in one text, a list, or ``{image_url}`` objects."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        text = value.strip()
        return [text] if text[:5].lower() == "data:" else [part.strip() for part in _SPLIT.split(text) if part.strip()]
    if isinstance(value, list):
        return [address for item in cast(list[Any], value) for address in _addresses(item, field)]
    if isinstance(value, dict):
        entry = cast(dict[str, Any], value)
        for name in ("image_url", "url"):
            if name in entry:
                return _addresses(entry[name], field)
        if "file_id" in entry:
            raise BadRequest(f"{field}: files by id are not kept here; give the address in image_url, or a data URI.")
    raise BadRequest(f"{field}: give a URL, a data URI, a list of them, or objects with image_url.")


def _checked(asset: Asset, name: str) -> Asset:
    if not asset.data:
        raise BadRequest(f"{name}: the file is empty.")
    if not asset.mime.startswith("image/"):
        raise BadRequest(f"{name}: the file is {asset.mime}, not a picture; send PNG, JPEG, WebP or GIF.")
    return asset
