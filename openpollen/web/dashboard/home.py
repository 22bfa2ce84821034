"""The front door: a welcome for people, the way to the documentation for programs."""

from __future__ import annotations

from collections import Counter

from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.web.dashboard.services import Services

_KINDS = ("text", "image", "video", "audio")


class HomePage:
    """``/``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._pages = services.pages

    async def show(self, exchange: Exchange) -> None:
        """GET /: the welcome; who is signed in goes on to the overview, a program to the documentation."""
        if "text/html" not in exchange.headers.get("accept", ""):
            await exchange.answer(302, b"", "text/plain", {"location": "/docs", "vary": "accept, cookie"})
            return
        if await self._pages.viewer(exchange) is not None:
            await self._pages.redirect(exchange, "/me")
            return
        registry = self._services.registry()
        served = [model for model in registry.models() if registry.now(model) is not None]
        kinds = Counter(model.kind for model in served)
        await self._pages.show(
            exchange,
            "dashboard/home.html",
            headers={"vary": "accept, cookie"},
            url=self._services.gen_url,
            kinds=[(kind, kinds[kind]) for kind in _KINDS],
            free=sum(registry.price(model).free for model in served),
            signup=self._services.settings.signin.signup,
        )


def routes(services: Services) -> tuple[Route, ...]:
    """The path of this page."""
    return (services.pages.route("GET", "/", HomePage(services).show, "Welcome, or the way to the docs"),)
