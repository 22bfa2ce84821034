"""Signing up: by invitation or openly, with a password, or for somebody whom a provider has just vouched for."""

from __future__ import annotations

import contextlib
import time
from typing import Any
from urllib.parse import quote, urlencode

from msgspec import Struct, convert

from openpollen.accounts import flows, identities, invites, passwords
from openpollen.accounts.login import verify_email
from openpollen.accounts.oidc import Person
from openpollen.accounts.users import User
from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.core.errors import BadRequest, Conflict, Forbidden, GatewayError, RateLimited
from openpollen.storage.database import Connection
from openpollen.web.desk import SIGNUPS_FROM, Desk, doors
from openpollen.web.pages import local_path


class _Wanted(Struct, frozen=True):
    """What the form asks for. ``newcomer`` is whom a provider vouched for, with the token of that step."""

    name: str
    email: str
    password: str
    invite: str
    to: str
    newcomer: Person | None
    step: str


class SignupPages:
    """The page on which people make their account."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._pages = desk.pages
        self._database = desk.pages.database

    async def form(self, exchange: Exchange) -> None:
        """GET /signup, with ``?invite=`` in an invitation's link."""
        if await self._pages.viewer(exchange) is not None:
            told = "You have an account already, and are signed in to it."
            await self._pages.redirect(exchange, local_path(exchange.query.get("next", "")), flash=told)
            return
        newcomer, _ = await self._newcomer(exchange)
        code = exchange.query.get("invite", "")[:64]
        faults: dict[str, str] = {}
        if code and not await self._database.read(lambda connection: invites.invite_is_live(connection, code)):
            faults["invite"] = "This invitation is unknown, used up or over. Ask for a new one."
        values = {
            "invite": code,
            "name": newcomer.label.partition("@")[0] if newcomer else "",
            "next": exchange.query.get("next", ""),
        }
        await self._show(exchange, values, faults, newcomer)

    async def sign_up(self, exchange: Exchange) -> None:
        """POST /signup."""
        fields = await self._pages.form(exchange, await self._pages.viewer(exchange))
        newcomer, step = await self._newcomer(exchange)
        wanted = _Wanted(
            name=fields.get("name", "").strip(),
            email=fields.get("email", "").strip(),
            password=fields.get("password", ""),
            invite=fields.get("invite", "").strip(),
            to=local_path(fields.get("next", "")),
            newcomer=newcomer,
            step=step,
        )
        faults = self._faults(wanted)
        if faults:
            await self._show(exchange, fields, faults, newcomer, status=400)
            return
        try:
            await self._desk.attempts.take((SIGNUPS_FROM, self._desk.address(exchange)))
            hashed = "" if newcomer else await self._desk.hasher.hash(wanted.password)
            user = await self._database.write(lambda connection: self._make(connection, wanted, hashed))
        except (BadRequest, Conflict, Forbidden, RateLimited) as fault:
            await self._show(exchange, fields, _beside(fault), newcomer, fault=fault)
            return
        await self._after(exchange, user, wanted)

    async def _after(self, exchange: Exchange, user: User, wanted: _Wanted) -> None:
        flash = f"Welcome, {user.name}."
        if user.email and not user.email_verified and self._desk.mailer.available:
            with contextlib.suppress(RateLimited):  # the account page can ask for the link again
                await self._desk.mail_verification(exchange, user)
                flash += f" We have sent a link to {user.email}, to see that it is yours."
        if wanted.newcomer is not None:
            exchange.common.append((b"set-cookie", self._pages.flow_cookie("", 0).encode()))
        await self._desk.enter(exchange, user.id, "signup", wanted.to, flash=flash)

    def _faults(self, wanted: _Wanted) -> dict[str, str]:
        faults: dict[str, str] = {}
        if not wanted.name:
            faults["name"] = "Choose a user name."
        if "@" in wanted.name:
            faults["name"] = "A user name has no @; your address goes into the next field."
        if wanted.newcomer is None and (fault := passwords.fault_of(wanted.password, wanted.name, wanted.email)):
            faults["password"] = fault
        if self._desk.signup == "invite" and not wanted.invite:
            faults["invite"] = "Type the code of your invitation."
        return faults

    def _make(self, connection: Connection, wanted: _Wanted, hashed: str) -> User:
        """The account, with its way in, in one transaction."""
        newcomer = wanted.newcomer
        user = invites.sign_up(
            connection,
            wanted.name,
            mode=self._desk.signup,
            invite=wanted.invite,
            email=wanted.email or None,
            new=self._desk.new,
        )
        if newcomer is None:
            passwords.set_password(connection, user.id, hashed)
            return user
        if flows.take(connection, "newcomer", wanted.step) is None:
            raise Forbidden("That took too long. Start again from the sign-in page.", reason="flow")
        identities.link(connection, user.id, newcomer)
        if newcomer.email is not None and newcomer.email == wanted.email:
            verify_email(connection, user.id, newcomer.email, int(time.time() * 1000))
        return user

    async def _newcomer(self, exchange: Exchange) -> tuple[Person | None, str]:
        """Whom a provider vouched for in this browser a moment ago."""
        step = self._pages.flow_value(exchange)
        if not step:
            return None, ""
        data = await self._database.read(lambda connection: flows.look(connection, "newcomer", step))
        return (None, "") if data is None else (convert(data, Person), step)

    async def _show(
        self,
        exchange: Exchange,
        values: dict[str, Any],
        faults: dict[str, str],
        newcomer: Person | None,
        *,
        status: int = 200,
        fault: GatewayError | None = None,
    ) -> None:
        if newcomer is not None:
            values = {"email": newcomer.email or "", **values}
        to = local_path(values.get("next", ""))
        await self._pages.show(
            exchange,
            "signup.html",
            status=fault.status if fault else status,
            headers={"retry-after": str(fault.retry_after)} if fault and fault.retry_after else None,
            values=values,
            faults=faults,
            newcomer=newcomer,
            next=to,
            next_quoted=quote(to),
            back_quoted=quote(
                f"/signup?{urlencode({name: values[name] for name in ('invite', 'next') if values.get(name)})}"
            ),
            **doors(self._desk, exchange),
        )


def _beside(fault: GatewayError) -> dict[str, str]:
    """The field beside which a fault is told."""
    name = {"email": "email", "invite": "invite", "name": "name", "name_taken": "name"}.get(fault.reason or "", "form")
    return {name: fault.message}


def routes(desk: Desk) -> tuple[Route, ...]:
    """The paths of this page."""
    here, page = SignupPages(desk), desk.pages.route
    return (
        page("GET", "/signup", here.form, "Sign up"),
        page("POST", "/signup", here.sign_up, "Make an account"),
    )
