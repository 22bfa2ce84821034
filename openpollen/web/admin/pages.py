"""Every path of the admin pages."""

from __future__ import annotations

from openpollen.api.route import Route
from openpollen.web.admin import overview, reading, users
from openpollen.web.dashboard.services import Services


def routes(services: Services) -> tuple[Route, ...]:
    """The paths of every page here; each asks for an admin."""
    return (*overview.routes(services), *users.routes(services), *reading.routes(services))
