"""The installation today: what was asked and spent, by how many; which workers run; what is live and what is missing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from openpollen.accounts.users import count_users
from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.engines import weights
from openpollen.generation.status import counts
from openpollen.ledger.workers import live_workers
from openpollen.storage.database import Connection, place
from openpollen.usage import figures
from openpollen.web.dashboard.plots import stacked
from openpollen.web.dashboard.services import Services


class AdminOverview:
    """``/admin``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._pages = services.pages

    async def show(self, exchange: Exchange) -> None:
        """GET /admin."""
        viewer = await self._pages.require(exchange, admin=True)
        within, settings = figures.window(30, "UTC"), self._services.settings

        def look(connection: Connection) -> dict[str, Any]:
            return {
                "today": figures.of_everybody(connection, datetime.now(UTC).date()),
                "days": figures.days_of_everybody(connection, within),
                "workers": live_workers(connection),
                "accounts": count_users(connection),
            }

        seen = await self._pages.database.read(look)
        days = seen.pop("days")
        registry = self._services.registry()
        providers = [one for one in registry.providers.values() if one.name != "local"]
        await self._pages.show(
            exchange,
            "admin/overview.html",
            viewer=viewer,
            plot=stacked([days], within, "pollen"),
            served=await asyncio.to_thread(counts, registry),
            engines=await asyncio.to_thread(weights.status),
            engines_on=settings.engines.enabled,
            live=[one.name for one in providers if one.live],
            missing=registry.missing(),
            warnings=registry.warnings,
            troubles=[(one.name, trouble) for one in providers if (trouble := self._services.health.of(one.name))],
            database=place(settings.data, settings.storage.database_url),
            data=str(settings.data),
            waiting=self._pages.database.waiting,
            **seen,
        )


def routes(services: Services) -> tuple[Route, ...]:
    """The path of this page."""
    return (services.pages.route("GET", "/admin", AdminOverview(services).show, "The installation today"),)
