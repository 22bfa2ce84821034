"""Connected apps: whom the account lets spend, how much they spent, and the way to change or end it at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from openpollen.accounts import key_changes
from openpollen.accounts.permissions import SCOPES
from openpollen.accounts.wanted_keys import budget_of, expiry_of
from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.core.errors import Conflict, NotFound
from openpollen.oauth import grants
from openpollen.oauth.grants import Connected
from openpollen.storage.database import Connection
from openpollen.web.dashboard import key_form
from openpollen.web.dashboard.key_form import SCOPE_WORDS, Form
from openpollen.web.dashboard.plots import left_bar
from openpollen.web.dashboard.services import Services, on_page, page_number
from openpollen.web.pages import Viewer

_PAGE = "/me/connected"


#: Connections on one page.
_ROWS = 40


class _Group(Struct, frozen=True):
    """The connections of one app, the newest first, and those of them that are on the page."""

    grants: Sequence[Connected]
    shown: Sequence[Connected]

    @property
    def spent(self) -> int:
        return sum(one.spent for one in self.grants)

    @property
    def requests(self) -> int:
        return sum(one.requests for one in self.grants)

    @property
    def last_request_at(self) -> int | None:
        return max((one.key.last_request_at for one in self.grants if one.key.last_request_at), default=None)


class ConnectedPages:
    """The pages below ``/me/connected``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._pages = services.pages
        self._database = services.pages.database

    async def show(self, exchange: Exchange) -> None:
        """GET /me/connected."""
        viewer = await self._pages.require(exchange)
        found = await self._database.read(lambda connection: grants.of_user(connection, viewer.user.id))
        page = page_number(exchange)
        groups, more = _grouped(found, page)
        await self._pages.show(
            exchange,
            "dashboard/connected.html",
            viewer=viewer,
            groups=groups,
            page=page,
            more=more,
            now=int(time.time() * 1000),
            left_bar=left_bar,
            scope_words=SCOPE_WORDS,
        )

    async def one(self, exchange: Exchange) -> None:
        """GET /me/connected/{id}."""
        viewer = await self._pages.require(exchange)
        await self._one(exchange, viewer, None)

    async def change(self, exchange: Exchange) -> None:
        """POST /me/connected/{id}: other limits; scopes can only be taken away."""
        viewer = await self._pages.require(exchange)
        fields = {**await self._pages.form_lists(exchange, viewer)}
        grant = await self._grant(exchange, viewer)
        fields["name"] = [grant.key.name]
        registry = self._services.registry()
        form = key_form.read(fields, registry)
        if form.expiry == "never":
            form.faults["expiry"] = "A connection lasts at most 365 days."
        if form.faults:
            await self._one(exchange, viewer, form, 400)
            return
        wanted = key_form.wanted(form, registry)
        changes: dict[str, Any] = {
            "models": None if wanted.models is None else tuple(wanted.models),
            "scopes": tuple(scope for scope in SCOPES if scope in form.scopes and scope in grant.key.scopes),
            "budget_limit": budget_of(wanted.budget, app=False),
            "budget_period": wanted.budget_period,
        }
        if wanted.expires_in is not None:
            changes["expires_at"] = expiry_of(wanted)
        try:
            await key_changes.change_when_free(
                self._database,
                grant.key.id,
                lambda connection: grants.change(connection, viewer.user.id, grant.key.id, changes),
            )
        except Conflict as fault:
            form.faults["budget"] = fault.message
            await self._one(exchange, viewer, form, fault.status)
            return
        self._services.forget()
        await self._pages.redirect(exchange, _PAGE, flash=f"What {grant.app} may do is changed.")

    async def revoke(self, exchange: Exchange) -> None:
        """POST /me/connected/{id}/revoke."""
        viewer = await self._pages.require(exchange)
        fields = await self._pages.form(exchange, viewer)
        key_id, every = exchange.args["id"], fields.get("every") == "on"

        def end(connection: Connection) -> int:
            one = grants.of_id(connection, viewer.user.id, key_id)
            ended = _like(one, grants.of_user(connection, viewer.user.id)) if every else [one]
            for grant in ended:
                grants.revoke(connection, viewer.user.id, grant.key.id)
            return len(ended)

        try:
            count = await self._database.write(end)
        except NotFound:
            told = "That connection was gone already."
        else:
            told = "The connection is revoked." if count == 1 else f"All {count} connections are revoked."
            told += " The app's next call is refused."
        self._services.forget()
        await self._pages.redirect(exchange, _PAGE, flash=told)

    async def _one(self, exchange: Exchange, viewer: Viewer, form: Form | None, status: int = 200) -> None:
        grant = await self._grant(exchange, viewer)
        await self._pages.show(
            exchange,
            "dashboard/connection.html",
            viewer=viewer,
            status=status,
            grant=grant,
            form=form or key_form.of_key(grant.key),
            scope_words={scope: SCOPE_WORDS[scope] for scope in grant.key.scopes},
            periods=key_form.PERIODS,
            offered=[model.name for model in self._services.registry().models()],
            left_bar=left_bar,
        )

    async def _grant(self, exchange: Exchange, viewer: Viewer) -> Connected:
        key_id = exchange.args["id"]
        return await self._database.read(lambda connection: grants.of_id(connection, viewer.user.id, key_id))


def _whose(grant: Connected) -> tuple[str | None, str]:
    """The app that has a connection, or its host where it has none."""
    return grant.key.app_key_id, grant.host


def _like(one: Connected, found: Sequence[Connected]) -> list[Connected]:
    """The connections of the same app."""
    return [grant for grant in found if _whose(grant) == _whose(one)]


def _grouped(found: Sequence[Connected], page: int) -> tuple[list[_Group], bool]:
    """What stands on a page, app by app, and whether more follow."""
    apps: dict[tuple[str | None, str], list[Connected]] = {}
    for one in found:
        apps.setdefault(_whose(one), []).append(one)
    rows, more = on_page([one for grants in apps.values() for one in grants], page, _ROWS)
    shown: dict[tuple[str | None, str], list[Connected]] = {}
    for one in rows:
        shown.setdefault(_whose(one), []).append(one)
    return [_Group(apps[whose], some) for whose, some in shown.items()], more


def routes(services: Services) -> tuple[Route, ...]:
    """The paths of these pages."""
    here, page = ConnectedPages(services), services.pages.route
    return (
        page("GET", _PAGE, here.show, "Apps that you connected"),
        page("GET", f"{_PAGE}/{{id}}", here.one, "One connected app"),
        page("POST", f"{_PAGE}/{{id}}", here.change, "Change what an app may do"),
        page("POST", f"{_PAGE}/{{id}}/revoke", here.revoke, "Revoke a connection"),
    )
