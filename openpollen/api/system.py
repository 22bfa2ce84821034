"""The program about itself: health, OpenAPI, the readable page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from openpollen import __version__
from openpollen.api import openapi
from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.core.errors import ServiceUnavailable

_CSP = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class SystemApi:
    """The handlers of the program's own pages. ``ready`` raises when the program cannot work."""

    def __init__(self, url: str, ready: Callable[[], Awaitable[None]]) -> None:
        self._url = url
        self._ready = ready
        self._routes: Sequence[Route] = ()
        self._document: bytes = b""
        self._page: bytes = b""

    def describe(self, routes: Sequence[Route]) -> None:
        """Takes the routes that the documents are made of."""
        self._routes = routes

    async def live(self, exchange: Exchange) -> None:
        """GET /health/live: the process answers."""
        await exchange.json(200, {"status": "ok", "version": __version__}, {"cache-control": "no-store"})

    async def ready(self, exchange: Exchange) -> None:
        """GET /health/ready: the database answers too; 503 when it does not."""
        try:
            await self._ready()
        except Exception as fault:
            raise ServiceUnavailable("The database does not answer.", retry_after=5) from fault
        await exchange.json(200, {"status": "ok"}, {"cache-control": "no-store"})

    async def openapi(self, exchange: Exchange) -> None:
        """GET /openapi.json."""
        if not self._document:
            self._document = msgspec.json.encode(openapi.build(self._routes, self._url))
        await exchange.answer(200, self._document, "application/json", {"cache-control": "public, max-age=300"})

    async def docs(self, exchange: Exchange) -> None:
        """GET /docs."""
        if not self._page:
            self._page = openapi.page(self._routes, self._url).encode()
        await exchange.answer(200, self._page, "text/html; charset=utf-8", {"content-security-policy": _CSP})
