"""Every model: what it takes and makes, its price in words, and what serves it now. For everybody, signed in or not."""

from __future__ import annotations

import asyncio

from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.core.model import Model
from openpollen.generation.status import waiting_engines
from openpollen.web.dashboard.services import Services, choice
from openpollen.web.prices import tag

_KINDS = ("", "text", "image", "video", "audio")


class ModelsPage:
    """``/me/models``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._pages = services.pages

    async def show(self, exchange: Exchange) -> None:
        """GET /me/models."""
        viewer = await self._pages.viewer(exchange)
        query, registry = exchange.query, self._services.registry()
        kind, words = choice(query.get("kind", ""), _KINDS), query.get("q", "").strip()[:100]
        waiting = await asyncio.to_thread(waiting_engines)
        found = [
            tag(registry, model, waiting)
            for model in registry.models()
            if kind in ("", model.kind) and _fits(model, words.lower().split())
        ]
        free = query.get("free") == "on"
        if free:
            found = [one for one in found if one.free and one.served.by != "nobody"]
        found.sort(key=lambda one: one.served.by == "nobody")
        await self._pages.show(
            exchange,
            "dashboard/models.html",
            viewer=viewer,
            tags=found,
            values={"q": words},
            kind=kind,
            free=free,
        )


def _fits(model: Model, words: list[str]) -> bool:
    text = " ".join((model.name, model.title, model.description, *model.aliases, *sorted(model.capabilities))).lower()
    return all(word in text for word in words)


def routes(services: Services) -> tuple[Route, ...]:
    """The path of this page."""
    return (services.pages.route("GET", "/me/models", ModelsPage(services).show, "The models and their prices"),)
