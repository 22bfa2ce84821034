"""Every path of the dashboard."""

from __future__ import annotations

from openpollen.api.route import Route
from openpollen.web.dashboard import apps, connected, home, keys, media, models, overview, usage
from openpollen.web.dashboard.services import Services


def routes(services: Services) -> tuple[Route, ...]:
    """The paths of every page here. No CORS: pages speak to this origin only."""
    return tuple(
        route
        for module in (home, overview, keys, usage, apps, connected, models, media)
        for route in module.routes(services)
    )
