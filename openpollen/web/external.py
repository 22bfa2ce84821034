"""Signing in at GitHub or another provider: the way there, the way back, and linking from the account page.

What a trip needs is kept here under its ``state``, once and for ten minutes, and a cookie holds it to the browser that
began it. Who comes back is known by provider and subject alone: nobody is linked to an account because of an address.
"""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import quote

from msgspec import convert, to_builtins
from msgspec.structs import replace

from openpollen.accounts import flows, identities
from openpollen.accounts.oidc import Person, Provider, Trip
from openpollen.accounts.sessions import form_token
from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.core.errors import NotFound, Unauthorized
from openpollen.core.ids import hash_key
from openpollen.storage.database import Connection
from openpollen.web.desk import GUESSES_FROM, Desk
from openpollen.web.pages import Viewer, local_path

_LOST = "This sign-in was not begun in this browser, or took longer than ten minutes. Start again."


class ExternalPages:
    """The paths below ``/login/with``."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._pages = desk.pages
        self._database = desk.pages.database

    async def start(self, exchange: Exchange) -> None:
        """GET /login/with/{provider}: off to the provider, to come back signed in."""
        provider = self._provider(exchange)
        await self._desk.attempts.take((GUESSES_FROM, self._desk.address(exchange)))
        url = await self._begin(exchange, provider, local_path(exchange.query.get("next", "")), None)
        await self._pages.redirect(exchange, url)

    async def link(self, exchange: Exchange) -> None:
        """POST /me/account/link/{provider}: off to the provider, to come back with one more way to sign in. A page leads
        on, as a form may not lead to another site."""
        viewer = await self._pages.require(exchange)
        await self._pages.form(exchange, viewer)
        if not await self._desk.fresh(viewer):
            await self._desk.again(exchange)
            return
        provider = self._provider(exchange)
        url = await self._begin(exchange, provider, "/me/account", viewer)
        await self._pages.show(exchange, "leave.html", viewer=viewer, url=url, title=provider.title)

    async def back(self, exchange: Exchange) -> None:
        """GET /login/with/{provider}/callback."""
        provider = self._provider(exchange)
        state, cookie = exchange.query.get("state", ""), self._pages.flow_value(exchange)
        data = await self._database.write(lambda connection: flows.take(connection, "provider", state))
        known = data is not None and hmac.compare_digest(data["browser"], hash_key(cookie))
        if data is None or not known or data["provider"] != provider.name:
            raise Unauthorized(_LOST)
        person = await provider.finish(convert(data["trip"], Trip), exchange.query)
        exchange.common.append((b"set-cookie", self._pages.flow_cookie("", 0).encode()))
        if data["link"]:
            await self._linked(exchange, provider, person, data["link"])
            return
        user = await self._database.write(lambda connection: identities.sign_in(connection, person))
        if user is None:
            await self._newcomer(exchange, provider, person, data["next"])
        else:
            await self._desk.enter(exchange, user.id, provider.name, data["next"])

    async def _begin(self, exchange: Exchange, provider: Provider, to: str, viewer: Viewer | None) -> str:
        """Keeps what the way back needs and returns the provider's address."""
        callback = f"{self._pages.url}/login/with/{provider.name}/callback"
        trip = Trip(callback, *(secrets.token_urlsafe(32) for _ in range(3)))
        url = await provider.start(trip)
        browser = secrets.token_urlsafe(32)
        data = {
            "provider": provider.name,
            "trip": to_builtins(trip),
            "browser": hash_key(browser),
            "next": to,
            "link": "" if viewer is None else form_token(viewer.session),
        }
        await self._database.write(lambda connection: flows.begin(connection, "provider", data, trip.state))
        exchange.common.append((b"set-cookie", self._pages.flow_cookie(browser).encode()))
        return url

    async def _linked(self, exchange: Exchange, provider: Provider, person: Person, session: str) -> None:
        """Links the person to the account whose session began the trip, and no other."""
        viewer = await self._pages.require(exchange)
        if not hmac.compare_digest(form_token(viewer.session), session):
            raise Unauthorized(_LOST)
        await self._database.write(lambda connection: identities.link(connection, viewer.user.id, person))
        await self._pages.redirect(exchange, "/me/account#linked", flash=f"{provider.title} is linked.")

    async def _newcomer(self, exchange: Exchange, provider: Provider, person: Person, to: str) -> None:
        """Somebody whom we do not know may sign up; the page says what to do if they have an account already."""
        step = secrets.token_urlsafe(32)
        known = to_builtins(replace(person, label=person.label or provider.title))

        def keep(connection: Connection) -> None:
            flows.begin(connection, "newcomer", known, step)

        await self._database.write(keep)
        exchange.common.append((b"set-cookie", self._pages.flow_cookie(step).encode()))
        back = to if to.startswith("/signup?") else "/signup" if to == "/me" else f"/signup?next={quote(to)}"
        await self._pages.redirect(exchange, back)

    def _provider(self, exchange: Exchange) -> Provider:
        for provider in self._desk.providers:
            if provider.name == exchange.args["provider"]:
                return provider
        raise NotFound("There is no such way to sign in here.")


def routes(desk: Desk) -> tuple[Route, ...]:
    """The paths of signing in elsewhere."""
    here, page = ExternalPages(desk), desk.pages.route
    return (
        page("GET", "/login/with/{provider}", here.start, "Sign in at another place"),
        page("GET", "/login/with/{provider}/callback", here.back, "Back from another place"),
        page("POST", "/me/account/link/{provider}", here.link, "Link an account elsewhere"),
    )
