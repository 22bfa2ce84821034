"""The overview: what is left, what went, what came last."""

from __future__ import annotations

import time
from typing import Any

from openpollen.accounts import keys
from openpollen.accounts.keys import Key
from openpollen.accounts.permissions import CONSENT
from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.ledger import credit
from openpollen.storage.database import Connection
from openpollen.usage import figures
from openpollen.web.dashboard.bills import bill
from openpollen.web.dashboard.plots import share_bar, stacked
from openpollen.web.dashboard.services import Services, zone_of

_ROWS = 6
_HOUR_MS = 3_600_000


class OverviewPage:
    """``/me``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._pages = services.pages

    async def show(self, exchange: Exchange) -> None:
        """GET /me."""
        viewer = await self._pages.require(exchange)
        user = viewer.user
        await self._services.refills.before_call(user)
        zone = zone_of(exchange, user)
        within = figures.window(7, zone)

        def look(connection: Connection) -> dict[str, Any]:
            return {
                "wallet": credit.balances(connection, user.id),
                "groups": figures.groups(connection, user.id, within, "model"),
                "bills": [bill(row) for row in figures.latest(connection, user.id, limit=_ROWS)],
                "keys": sum(_own(key) for key in keys.list_keys(connection, user.id)),
            }

        seen = await self._pages.database.read(look)
        groups, wallet = seen.pop("groups"), seen["wallet"]
        floor = self._services.tiers.hourly.get(user.tier, 0)
        await self._pages.show(
            exchange,
            "dashboard/overview.html",
            viewer=viewer,
            share=share_bar([(bucket, getattr(wallet, bucket)) for bucket in ("tier", "crypto", "pack")]),
            plot=stacked(groups, within, "pollen"),
            requests=sum(sum(group.requests) for group in groups),
            floor=floor,
            refill_at=(int(time.time() * 1000) // _HOUR_MS + 1) * _HOUR_MS,
            zone=zone,
            url=self._services.gen_url,
            **seen,
        )


def _own(key: Key) -> bool:
    """Whether it is one of the keys that the key page lists as working."""
    return key.enabled and not key.app and key.created_via not in CONSENT


def routes(services: Services) -> tuple[Route, ...]:
    """The path of this page."""
    return (services.pages.route("GET", "/me", OverviewPage(services).show, "Your overview"),)
