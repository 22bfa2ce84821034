"""What the account used: plots over time, single requests with their bills, CSV."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import urlencode

from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.storage.database import Connection
from openpollen.usage import figures, report
from openpollen.usage.figures import By, Only
from openpollen.web.dashboard.bills import bill
from openpollen.web.dashboard.plots import Measure, stacked
from openpollen.web.dashboard.services import Services, choice, zone_of
from openpollen.web.pages import page_headers

_DAYS = ("30", "1", "7", "90")
_BYS = ("model", "key", "app", "bucket")
_MEASURES = ("pollen", "requests")
_ROWS = 25
_CURSOR = re.compile(r"([0-9]{1,15})_([0-9]{1,18})")


class UsagePages:
    """``/me/usage`` and its CSV."""

    def __init__(self, services: Services) -> None:
        self._pages = services.pages
        self._database = services.pages.database

    async def show(self, exchange: Exchange) -> None:
        """GET /me/usage."""
        viewer = await self._pages.require(exchange)
        query, zone = exchange.query, zone_of(exchange, viewer.user)
        days = choice(query.get("days", ""), _DAYS)
        by = cast(By, choice(query.get("by", ""), _BYS))
        measure = cast(Measure, choice(query.get("measure", ""), _MEASURES))
        only, within = _only(query), figures.window(int(days), zone)
        cursor = _CURSOR.fullmatch(query.get("before", ""))
        before = (int(cursor[1]), int(cursor[2])) if cursor else None

        def look(connection: Connection) -> dict[str, Any]:
            user = viewer.user.id
            models, keys = figures.used(connection, user)
            rows = figures.latest(
                connection, user, limit=_ROWS + 1, only=only, since=within.start, until=within.end, before=before
            )
            return {
                "groups": figures.groups(connection, user, within, by, only),
                "models": [("", "all models"), *((name, name) for name in models)],
                "keys": [("", "all keys"), *keys],
                "bills": [bill(row) for row in rows[:_ROWS]],
                "next": f"{rows[_ROWS - 1].at}_{rows[_ROWS - 1].id}" if len(rows) > _ROWS else "",
            }

        seen = await self._database.read(look)
        groups = seen.pop("groups")
        values = {"days": days, "by": by, "measure": measure, "model": only.model or "", "key": only.key_id or ""}
        asked = {**values, **({"tz": query["tz"]} if query.get("tz") else {})}

        def link(**changes: str) -> str:
            return f"/me/usage?{urlencode({**asked, **changes})}"

        await self._pages.show(
            exchange,
            "dashboard/usage.html",
            viewer=viewer,
            plot=stacked(groups, within, measure, buckets=by == "bucket"),
            cost=sum(sum(group.cost) for group in groups),
            requests=sum(sum(group.requests) for group in groups),
            values=values,
            zone=zone,
            within=within,
            older=bool(before),
            link=link,
            csv=f"/me/usage.csv?{urlencode(asked)}",
            **seen,
        )

    async def csv(self, exchange: Exchange) -> None:
        """GET /me/usage.csv: the rows of the period, the latest 50,000."""
        viewer = await self._pages.require(exchange)
        days = choice(exchange.query.get("days", ""), _DAYS)
        only, within = _only(exchange.query), figures.window(int(days), zone_of(exchange, viewer.user))
        page = await self._database.read(
            lambda connection: report.rows(
                connection,
                viewer.user.id,
                key_id=only.key_id,
                model=only.model,
                since=within.start,
                limit=report.MAX_ROWS,
            )
        )
        name = f"openpollen-usage-{days}d-{datetime.now(UTC):%Y-%m-%d}.csv"
        headers = page_headers() | {"content-disposition": f'attachment; filename="{name}"'}
        text = report.to_csv(report.ROW_COLUMNS, page.rows)
        await exchange.answer(200, text.encode(), "text/csv; charset=utf-8", headers)


def _only(query: dict[str, str]) -> Only:
    return Only(query.get("model") or None, query.get("key") or None)


def routes(services: Services) -> tuple[Route, ...]:
    """The paths of this page."""
    here, page = UsagePages(services), services.pages.route
    return (
        page("GET", "/me/usage", here.show, "Your usage"),
        page("GET", "/me/usage.csv", here.csv, "Your usage as CSV"),
    )
