"""What who runs the installation only looks at: the audit trail, the catalogue with its routes, the settings in force."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from openpollen.accounts import audit, users
from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.core.money import format_pollen
from openpollen.generation.status import waiting_engines
from openpollen.settings import Pollen, Settings
from openpollen.settings.reading import SETTINGS, Setting
from openpollen.storage.database import Connection
from openpollen.web.dashboard.services import Services, choice
from openpollen.web.prices import served

_ROWS = 100
_KINDS = ("", "text", "image", "video", "audio")


class ReadingPages:
    """``/admin/audit``, ``/admin/catalog``, ``/admin/settings``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._pages = services.pages

    async def audit(self, exchange: Exchange) -> None:
        """GET /admin/audit."""
        viewer = await self._pages.require(exchange, admin=True)
        query = exchange.query
        action, given = query.get("action", ""), query.get("before", "")
        before = int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None
        subject = query.get("subject") or None

        def look(connection: Connection) -> dict[str, Any]:
            rows = audit.trail(connection, limit=_ROWS + 1, subject=subject, action=action or None, before=before)
            people = {row[side] for row in rows for side in ("actor", "subject")}
            return {"rows": rows, "names": users.names_of(connection, people)}

        seen = await self._pages.database.read(look)
        rows = seen["rows"]
        await self._pages.show(
            exchange,
            "admin/audit.html",
            viewer=viewer,
            rows=rows[:_ROWS],
            names=seen["names"],
            next=rows[_ROWS - 1]["id"] if len(rows) > _ROWS else None,
            actions=[("", "everything"), *((name, name) for name in audit.ACTIONS)],
            action=action,
            subject=subject or "",
        )

    async def catalog(self, exchange: Exchange) -> None:
        """GET /admin/catalog."""
        viewer = await self._pages.require(exchange, admin=True)
        registry = self._services.registry()
        kind = choice(exchange.query.get("kind", ""), _KINDS)
        waiting = await asyncio.to_thread(waiting_engines)
        models = [
            (
                model,
                served(registry, model, waiting),
                [(route, registry.providers[route.provider]) for route in model.routes],
            )
            for model in registry.models()
            if kind in ("", model.kind)
        ]
        used = {route.provider for model in registry.models() for route in model.routes}
        await self._pages.show(
            exchange,
            "admin/catalog.html",
            viewer=viewer,
            models=models,
            kind=kind,
            revision=registry.revision,
            providers=[
                (one, self._services.health.of(one.name)) for one in registry.providers.values() if one.name in used
            ],
        )

    async def settings(self, exchange: Exchange) -> None:
        """GET /admin/settings: those in force; of secrets only whether they are set."""
        viewer = await self._pages.require(exchange, admin=True)
        groups: dict[str, list[tuple[Setting, str, bool]]] = {}
        for setting in SETTINGS:
            value = _value(self._services.settings, setting.name)
            groups.setdefault(setting.table, []).append((setting, shown(setting, value), _differs(setting, value)))
        await self._pages.show(exchange, "admin/settings.html", viewer=viewer, groups=groups)


def shown(setting: Setting, value: object) -> str:
    """A setting's value as text; of a secret one only whether there is one."""
    if setting.secret:
        return "set, not shown" if value else "not set"
    if isinstance(value, Pollen):
        return format_pollen(value)
    if isinstance(value, Mapping):
        amounts = cast("Mapping[str, int]", value)
        return ", ".join(f"{name} {format_pollen(amount)}" for name, amount in amounts.items())
    if isinstance(value, tuple):
        return ", ".join(str(one) for one in cast("tuple[object, ...]", value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value != "" else "empty"


def _differs(setting: Setting, value: object) -> bool:
    default = setting.default.expanduser() if isinstance(setting.default, Path) else setting.default
    return value != default


def _value(settings: Settings, name: str) -> Any:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def routes(services: Services) -> tuple[Route, ...]:
    """The paths of these pages."""
    here, page = ReadingPages(services), services.pages.route
    return (
        page("GET", "/admin/audit", here.audit, "Who did what"),
        page("GET", "/admin/catalog", here.catalog, "Models, routes and providers"),
        page("GET", "/admin/settings", here.settings, "The settings in force"),
    )
