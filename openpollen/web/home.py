"""What a signed-in person sees first: balance, keys, and the apps that were let in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from openpollen.accounts import keys
from openpollen.accounts.keys import Key, NewKey
from openpollen.accounts.permissions import CONSENT, SCOPES, scopes_in
from openpollen.accounts.tiers import Tiers
from openpollen.api.auth import Authentication
from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.core.errors import BadRequest, Conflict, NotFound
from openpollen.core.money import parse_pollen
from openpollen.ledger import credit
from openpollen.ledger.entries import Balances
from openpollen.oauth import grants
from openpollen.oauth.grants import Connected
from openpollen.storage.database import Connection
from openpollen.web.pages import Pages, Viewer, sentence

_DAY_S = 86_400
_MOST_DAYS = 365
_PERIODS = ("", "day", "week", "month")


class Seen(Struct, frozen=True):
    """What the first page shows."""

    balances: Balances
    keys: list[tuple[Key, int | None]]
    connected: int


class HomePages:
    """The pages, over what they need."""

    def __init__(self, pages: Pages, authentication: Authentication, tiers: Tiers) -> None:
        self.pages = pages
        self._database = pages.database
        self._authentication = authentication
        self._tiers = tiers

    async def me(self, exchange: Exchange) -> None:
        """GET /me."""
        await self._show(exchange, await self.pages.require(exchange), {}, {})

    async def new_key(self, exchange: Exchange) -> None:
        """POST /me/keys: makes a key and shows it once."""
        viewer = await self.pages.require(exchange)
        fields = await self.pages.form_lists(exchange, viewer)
        values = {name: given[-1].strip() for name, given in fields.items()}
        faults = _faults(values)
        if faults:
            await self._show(exchange, viewer, values, faults, status=422)
            return
        days = values.get("days", "")
        wanted = NewKey(
            name=values["name"],
            budget=values.get("budget") or None,
            budget_period=values.get("period") or None,  # type: ignore[arg-type]  # checked to be one of them
            expires_in=int(days) * _DAY_S if days else None,
            scopes=scopes_in(fields.get("scope", ())),
            created_via="dashboard",
        )
        try:
            made, value = await self._database.write(lambda c: keys.create_key(c, viewer.user.id, wanted))
        except (BadRequest, Conflict) as fault:
            await self._show(exchange, viewer, values, {"name": fault.message}, status=422)
            return
        await self.pages.show(exchange, "key_made.html", viewer=viewer, key=made, value=value)

    async def revoke_key(self, exchange: Exchange) -> None:
        """POST /me/keys/{id}/revoke."""
        viewer = await self.pages.require(exchange)
        await self.pages.form(exchange, viewer)
        key_id = exchange.args["id"]

        def revoke(connection: Connection) -> str:
            key = keys.get_key(connection, key_id)
            if key.user_id != viewer.user.id:
                raise NotFound("There is no such key.")
            keys.revoke_key(connection, key_id, actor=viewer.user.id)
            return key.name

        name = await self._database.write(revoke)
        self._authentication.forget()
        await self.pages.redirect(exchange, "/me", flash=f"{name} is revoked; nothing accepts it any more.")

    async def connected(self, exchange: Exchange) -> None:
        """GET /me/connected."""
        viewer = await self.pages.require(exchange)
        await self._show_connected(exchange, viewer, {}, {})

    async def change_connection(self, exchange: Exchange) -> None:
        """POST /me/connected/{id}: another budget or expiry, or its end."""
        viewer = await self.pages.require(exchange)
        fields = await self.pages.form(exchange, viewer)
        key_id = exchange.args["id"]
        if fields.get("decision") == "revoke":
            await self._database.write(lambda c: grants.revoke(c, viewer.user.id, key_id))
            self._authentication.forget()
            await self.pages.redirect(
                exchange, "/me/connected", flash="The connection has ended. Its key is refused from now on."
            )
            return
        budget, limited = fields.get("budget", "").strip(), "unlimited" not in fields
        faults: dict[str, str] = {}
        changes: dict[str, Any] = {"budget_limit": None, "budget_period": None}
        if limited:
            try:
                changes = {"budget_limit": parse_pollen(budget)}
            except ValueError as fault:
                faults[key_id] = sentence(fault)
        if not faults:
            try:
                await keys.change_when_free(
                    self._database, key_id, lambda c: grants.change(c, viewer.user.id, key_id, changes)
                )
            except Conflict as fault:
                faults[key_id] = fault.message
        if faults:
            await self._show_connected(exchange, viewer, {key_id: budget}, faults, status=422)
            return
        self._authentication.forget()
        await self.pages.redirect(exchange, "/me/connected", flash="Changed.")

    async def _show(
        self,
        exchange: Exchange,
        viewer: Viewer,
        values: Mapping[str, str],
        faults: Mapping[str, str],
        status: int = 200,
    ) -> None:
        def look(connection: Connection) -> Seen:
            found = keys.list_keys(connection, viewer.user.id)
            mine = [key for key in found if key.created_via not in CONSENT]
            wallet = credit.balances(connection, viewer.user.id)
            return Seen(wallet, keys.with_remaining(connection, mine), len(found) - len(mine))

        seen = await self._database.read(look)
        next_reset = self._tiers.next_reset(viewer.user.tier)
        context: dict[str, Any] = {
            "seen": seen,
            "values": values,
            "faults": faults,
            "scopes": SCOPES,
            "next_reset": next_reset,
        }
        await self.pages.show(exchange, "me.html", viewer=viewer, status=status, url=self.pages.url, **context)

    async def _show_connected(
        self,
        exchange: Exchange,
        viewer: Viewer,
        values: Mapping[str, str],
        faults: Mapping[str, str],
        status: int = 200,
    ) -> None:
        def look(connection: Connection) -> list[Connected]:
            return grants.of_user(connection, viewer.user.id)

        found = await self._database.read(look)
        context: dict[str, Any] = {"connections": found, "values": values, "faults": faults}
        await self.pages.show(exchange, "connected.html", viewer=viewer, status=status, **context)


def routes(home: HomePages) -> tuple[Route, ...]:
    """The paths of these pages."""
    route = home.pages.route
    return (
        route("GET", "/me", home.me, "Your account"),
        route("POST", "/me/keys", home.new_key, "Make a key"),
        route("POST", "/me/keys/{id}/revoke", home.revoke_key, "Revoke a key"),
        route("GET", "/me/connected", home.connected, "Connected apps"),
        route("POST", "/me/connected/{id}", home.change_connection, "Change or end a connection"),
    )


def _faults(values: Mapping[str, str]) -> dict[str, str]:
    faults: dict[str, str] = {}
    if not values.get("name"):
        faults["name"] = "Give the key a name, so that you know it again."
    if budget := values.get("budget"):
        try:
            parse_pollen(budget)
        except ValueError as fault:
            faults["budget"] = f"{sentence(fault)} Leave it empty for no limit."
    if values.get("period", "") not in _PERIODS or (values.get("period") and not budget):
        faults["period"] = "A period needs a budget."
    days = values.get("days", "")
    if days and (not re.fullmatch(r"[0-9]{1,3}", days) or not 1 <= int(days) <= _MOST_DAYS):
        faults["days"] = f"A number of days from 1 to {_MOST_DAYS}, or nothing for a key that stays."
    return faults
