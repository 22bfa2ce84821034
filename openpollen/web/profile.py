"""The account page: address and time zone, every way to sign in, where the account is signed in, export, deletion."""

from __future__ import annotations

import zoneinfo
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from msgspec import Struct

from openpollen.accounts import export, identities, passkeys, passwords, removal, sessions, users
from openpollen.accounts.identities import Identity
from openpollen.accounts.passkeys import Passkey
from openpollen.accounts.sessions import Session
from openpollen.accounts.users import User
from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.core.errors import BadRequest, Conflict, GatewayError, RateLimited
from openpollen.core.ids import hash_key
from openpollen.core.money import format_pollen
from openpollen.ledger import credit
from openpollen.storage.database import Connection
from openpollen.web.desk import Desk, doors
from openpollen.web.pages import Viewer, page_headers

_PAGE = "/me/account"
Form = dict[str, str]
Faults = dict[str, str]


class _Seen(Struct, frozen=True):
    """What the page shows of an account."""

    user: User
    has_password: bool
    passkeys: list[Passkey]
    linked: list[Identity]
    sessions: list[Session]
    balance: int


class ProfilePages:
    """The page and its forms. Each form answers with the page itself, faults beside its fields, or leads back to it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._pages = desk.pages
        self._database = desk.pages.database

    async def show(self, exchange: Exchange) -> None:
        """GET /me/account."""
        viewer = await self._pages.require(exchange)
        await self._show(exchange, viewer, {}, {}, "")

    def form(
        self, section: str, act: Callable[[Exchange, Viewer, Form], Awaitable[str | Faults]], *, fresh: bool = False
    ) -> Callable[[Exchange], Awaitable[None]]:
        """A handler for one of the forms. ``act`` answers with a sentence to show, or the faults by field; ``fresh`` asks
        for a sign-in within the last ten minutes."""

        async def handle(exchange: Exchange) -> None:
            viewer = await self._pages.require(exchange)
            fields = await self._pages.form(exchange, viewer)
            if fresh and not await self._desk.fresh(viewer):
                await self._desk.again(exchange)
                return
            fault: GatewayError | None = None
            try:
                done = await act(exchange, viewer, fields)
            except (BadRequest, Conflict, RateLimited) as error:
                done, fault = {section: error.message}, error
            if isinstance(done, dict):
                await self._show(exchange, viewer, fields, done, section, fault)
            elif not exchange.started:
                await self._pages.redirect(exchange, f"{_PAGE}#{section}", flash=done)

        return handle

    # -- the forms -----------------------------------------------------------------------------------------------------

    async def time_zone(self, exchange: Exchange, viewer: Viewer, form: Form) -> str | Faults:
        """POST /me/account/time-zone."""
        zone = form.get("time_zone", "")
        if zone and zone not in time_zones():
            return {"time_zone": "Choose one of the list."}
        user = viewer.user
        await self._database.write(
            lambda connection: users.set_profile(connection, user.id, email=user.email, time_zone=zone or None)
        )
        return f"Times are shown in {zone or 'UTC'}."

    async def email(self, exchange: Exchange, viewer: Viewer, form: Form) -> str | Faults:
        """POST /me/account/email."""
        email, user = form.get("email", "").strip() or None, viewer.user
        try:
            changed = await self._database.write(
                lambda connection: users.set_profile(connection, user.id, email=email, time_zone=user.time_zone)
            )
        except BadRequest as fault:
            return {"email": fault.message}
        if email is None:
            return "Your address is removed."
        if changed.email_verified or not self._desk.mailer.available:
            return "Your address is saved."
        await self._desk.mail_verification(exchange, changed)
        return f"Your address is saved. We have sent a link to {email}, to see that it is yours."

    async def verify(self, exchange: Exchange, viewer: Viewer, form: Form) -> str | Faults:
        """POST /me/account/verify."""
        await self._desk.mail_verification(exchange, viewer.user)
        return f"A link is on its way to {viewer.user.email}."

    async def password(self, exchange: Exchange, viewer: Viewer, form: Form) -> str | Faults:
        """POST /me/account/password: a new password for the old one; every other browser is signed out."""
        user, new = viewer.user, form.get("new_password", "")
        if fault := passwords.fault_of(new, user.name, user.email or ""):
            return {"new_password": fault}
        try:
            attempt = await self._desk.guess(exchange, user.name)
        except RateLimited as limited:
            return {"current_password": limited.message}
        stored = await self._database.read(lambda connection: passwords.stored_hash(connection, user.id))
        if not await self._desk.password_is_right(user.id, stored, form.get("current_password", "")[:1000]):
            return {"current_password": "This is not your password."}
        await self._desk.attempts.give_back(attempt)
        hashed = await self._desk.hasher.hash(new)

        def write(connection: Connection) -> None:
            passwords.set_password(connection, user.id, hashed)
            sessions.end_others(connection, user.id)

        await self._database.write(write)
        cookie = await self._desk.start(exchange, user.id, "password")
        told = "Your password is changed. Every other browser is signed out."
        await self._pages.redirect(exchange, f"{_PAGE}#password", flash=told, cookie=cookie)
        return told

    async def remove_passkey(self, exchange: Exchange, viewer: Viewer, form: Form) -> str | Faults:
        """POST /me/account/passkeys/remove."""

        def remove(connection: Connection) -> None:
            identities.require_another_way(connection, viewer.user.id)
            passkeys.remove_passkey(connection, viewer.user.id, form.get("id", ""))

        await self._database.write(remove)
        return "The passkey is removed here. Remove it from your device as well."

    async def unlink(self, exchange: Exchange, viewer: Viewer, form: Form) -> str | Faults:
        """POST /me/account/unlink."""

        def remove(connection: Connection) -> None:
            identities.require_another_way(connection, viewer.user.id)
            identities.unlink(connection, viewer.user.id, form.get("provider", ""), form.get("subject", ""))

        await self._database.write(remove)
        return "The linked account is removed."

    async def end(self, exchange: Exchange, viewer: Viewer, form: Form) -> str | Faults:
        """POST /me/account/sessions/end: one by its id, or all others."""
        if form.get("id"):
            one = form["id"]
            ended = await self._database.write(lambda connection: sessions.end_one(connection, viewer.user.id, one))
            return "That browser is signed out." if ended else "That browser was signed out already."
        count = await self._database.write(
            lambda connection: sessions.end_others(connection, viewer.user.id, viewer.session)
        )
        return "No other browser was signed in." if not count else "Every other browser is signed out."

    async def delete(self, exchange: Exchange, viewer: Viewer, form: Form) -> str | Faults:
        """POST /me/account/delete."""
        if form.get("confirm", "").strip() != viewer.user.name:
            return {"confirm": f"Type {viewer.user.name} to confirm."}
        await self._database.write(lambda connection: removal.remove_account(connection, viewer.user.id))
        self._desk.forget()
        told = "Your account is deleted. Thank you for having been here."
        await self._pages.redirect(exchange, "/login", flash=told, cookie=self._pages.session_cookie("", 0))
        return told

    async def export(self, exchange: Exchange) -> None:
        """GET /me/export: everything held about the account, as a file."""
        viewer = await self._pages.require(exchange)
        headers = page_headers() | {"content-disposition": 'attachment; filename="openpollen-account.json"'}
        await exchange.stream(export.export(self._database, viewer.user.id), "application/json", headers)

    # -- the page ------------------------------------------------------------------------------------------------------

    async def _show(
        self,
        exchange: Exchange,
        viewer: Viewer,
        values: Form,
        faults: Faults,
        section: str,
        fault: GatewayError | None = None,
    ) -> None:
        seen = await self._database.read(lambda connection: _look(connection, viewer.user.id))
        shown = {"email": seen.user.email or "", "time_zone": seen.user.time_zone or ""} | values
        status = fault.status if fault else 400 if faults else 200
        wait = {"retry-after": str(fault.retry_after)} if fault and fault.retry_after else None
        context: dict[str, Any] = {
            "seen": seen,
            "balance": format_pollen(seen.balance),
            "this_session": hash_key(viewer.session),
            "zones": [("", "UTC"), *((zone, zone.replace("_", " ")) for zone in time_zones())],
            "values": shown,
            "faults": faults,
            "section": section,
            "fault": faults.get(section, ""),
        }
        context |= doors(self._desk, exchange)
        await self._pages.show(exchange, "account.html", viewer=viewer, status=status, headers=wait, **context)


@cache
def time_zones() -> tuple[str, ...]:
    """The zones that people live in, by continent and city."""
    areas = (
        "Africa",
        "America",
        "Antarctica",
        "Arctic",
        "Asia",
        "Atlantic",
        "Australia",
        "Europe",
        "Indian",
        "Pacific",
    )
    return tuple(
        sorted(zone for zone in zoneinfo.available_timezones() if zone.partition("/")[0] in areas and "/" in zone)
    )


def _look(connection: Connection, user_id: str) -> _Seen:
    return _Seen(
        users.get_user(connection, user_id),
        passwords.has_password(connection, user_id),
        passkeys.list_passkeys(connection, user_id),
        identities.list_identities(connection, user_id),
        sessions.list_sessions(connection, user_id),
        credit.balances(connection, user_id).total,
    )


def routes(desk: Desk) -> tuple[Route, ...]:
    """The paths of this page."""
    here, page = ProfilePages(desk), desk.pages.route
    post = "POST"
    return (
        page("GET", _PAGE, here.show, "Your account"),
        page("GET", "/me/export", here.export, "Everything held about your account"),
        page(post, f"{_PAGE}/time-zone", here.form("profile", here.time_zone), "Choose a time zone"),
        page(post, f"{_PAGE}/email", here.form("profile", here.email, fresh=True), "Change the email address"),
        page(post, f"{_PAGE}/verify", here.form("profile", here.verify), "Mail a link to verify the address"),
        page(post, f"{_PAGE}/password", here.form("password", here.password), "Change the password"),
        page(
            post, f"{_PAGE}/passkeys/remove", here.form("passkeys", here.remove_passkey, fresh=True), "Remove a passkey"
        ),
        page(post, f"{_PAGE}/unlink", here.form("linked", here.unlink, fresh=True), "Unlink an account elsewhere"),
        page(post, f"{_PAGE}/sessions/end", here.form("sessions", here.end), "Sign a browser out"),
        page(post, f"{_PAGE}/delete", here.form("danger", here.delete, fresh=True), "Delete the account"),
    )
