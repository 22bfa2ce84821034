"""The account's files: what they are, how long they stay, their address, and the way to drop them."""

from __future__ import annotations

from msgspec import Struct

from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.core.errors import NotFound
from openpollen.media.store import Stored
from openpollen.web.dashboard.services import Services

_PAGE = "/me/media"
_FILES = 48
#: What the page shows by itself; SVG can carry script, so it is never among them.
_PICTURES = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/avif")


class _File(Struct, frozen=True):
    """A file with its public address; ``show`` is how the page previews it."""

    stored: Stored
    url: str
    show: str
    size: str
    days: int


class MediaPages:
    """``/me/media``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._pages = services.pages

    async def show(self, exchange: Exchange) -> None:
        """GET /me/media."""
        viewer = await self._pages.require(exchange)
        given = exchange.query.get("before", "")
        before = int(given) if given.isascii() and given.isdigit() and len(given) < 16 else None
        found = await self._services.store.list(viewer.user.id, limit=_FILES + 1, before=before)
        files = [self._file(stored) for stored in found[:_FILES]]
        await self._pages.show(
            exchange,
            "dashboard/media.html",
            viewer=viewer,
            files=files,
            older=before is not None,
            next=found[_FILES - 1].created_at if len(found) > _FILES else None,
            days=round(self._services.settings.media.ttl_s / 86_400),
        )

    async def delete(self, exchange: Exchange) -> None:
        """POST /me/media/{id}/delete."""
        viewer = await self._pages.require(exchange)
        await self._pages.form(exchange, viewer)
        try:
            await self._services.store.delete(exchange.args["id"], viewer.user.id)
        except NotFound:
            told = "That file was gone already."
        else:
            told = "The file is deleted."
        await self._pages.redirect(exchange, _PAGE, flash=told)

    def _file(self, stored: Stored) -> _File:
        kind = stored.content_type.partition(";")[0]
        show = "picture" if kind in _PICTURES else kind.partition("/")[0]
        url = f"{self._services.media_url}/{stored.id}"
        return _File(stored, url, show, _size(stored.size), -(-stored.seconds_left // 86_400))


def _size(size: int) -> str:
    if size < 1_000:
        return f"{size} bytes"
    return f"{size / 1_000:.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def routes(services: Services) -> tuple[Route, ...]:
    """The paths of this page."""
    here, page = MediaPages(services), services.pages.route
    return (
        page("GET", _PAGE, here.show, "Your files"),
        page("POST", f"{_PAGE}/{{id}}/delete", here.delete, "Delete a file"),
    )
