"""Signing in and out: name or email and password, one-time links, a forgotten password, an address to verify."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from openpollen.accounts import audit, flows, identities, login, passwords, sessions
from openpollen.accounts.login import Redeemed
from openpollen.accounts.users import User, user_to_sign_in
from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.core.errors import GatewayError, RateLimited, Unauthorized
from openpollen.storage.database import Connection
from openpollen.web import external, passkeys, profile, signup
from openpollen.web.desk import MAILS, MAILS_FROM, Desk, doors
from openpollen.web.pages import local_path

_WRONG = "The name or the password is wrong. Names and addresses are as on your account page; check Caps Lock."
_LONGEST_NAME = 320


class SigninPages:
    """The pages of somebody who is not signed in yet, or signs in again."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._pages = desk.pages
        self._database = desk.pages.database

    # -- name and password ---------------------------------------------------------------------------------------------

    async def login(self, exchange: Exchange) -> None:
        """GET /login."""
        to = local_path(exchange.query.get("next", ""))
        viewer = await self._pages.viewer(exchange)
        if viewer is not None and "again" not in exchange.query:
            await self._pages.redirect(exchange, to)
            return
        values = {"name": viewer.user.name} if viewer else {}
        await self._show_login(exchange, to, values)

    async def sign_in(self, exchange: Exchange) -> None:
        """POST /login."""
        form = await self._pages.form(exchange, await self._pages.viewer(exchange))
        to, name, password = local_path(form.get("next", "")), form.get("name", "").strip(), form.get("password", "")
        faults = {} if name else {"name": "Type your user name or email address."}
        if not password:
            faults |= {"password": "Type your password."}
        if faults or len(name) > _LONGEST_NAME or len(password) > passwords.LONGEST:
            await self._show_login(exchange, to, form, faults or {"password": _WRONG}, status=400)
            return
        try:
            attempt = await self._desk.guess(exchange, name)
        except RateLimited as fault:
            await self._show_login(exchange, to, form, {"password": fault.message}, fault=fault)
            return
        user = await self._check(name, password)
        if user is None:
            await self._show_login(exchange, to, form, {"password": _WRONG}, status=401)
            return
        await self._desk.attempts.give_back(attempt)
        await self._desk.enter(exchange, user.id, "password", to)

    async def _check(self, name: str, password: str) -> User | None:
        """Whose name and password these are. Takes as long for names that nobody has."""

        def look(connection: Connection) -> tuple[User | None, str | None]:
            user = user_to_sign_in(connection, name)
            return user, None if user is None else passwords.stored_hash(connection, user.id)

        user, stored = await self._database.read(look)
        right = await self._desk.password_is_right("" if user is None else user.id, stored, password)
        return user if right and user is not None and user.banned_at is None else None

    async def _show_login(
        self,
        exchange: Exchange,
        to: str,
        values: dict[str, str],
        faults: dict[str, str] | None = None,
        *,
        status: int = 200,
        fault: GatewayError | None = None,
    ) -> None:
        await self._pages.show(
            exchange,
            "login.html",
            viewer=await self._pages.viewer(exchange),
            status=fault.status if fault else status,
            headers={"retry-after": str(fault.retry_after)} if fault and fault.retry_after else None,
            next=to,
            next_quoted=quote(to),
            values=values,
            faults=faults or {},
            **doors(self._desk, exchange),
        )

    async def sign_out(self, exchange: Exchange) -> None:
        """POST /logout."""
        viewer = await self._pages.require(exchange)
        await self._pages.form(exchange, viewer)
        await self._database.write(lambda connection: sessions.end_session(connection, viewer.session))
        await self._pages.redirect(
            exchange, "/login", flash="You are signed out.", cookie=self._pages.session_cookie("", 0)
        )

    # -- one-time links ------------------------------------------------------------------------------------------------

    async def link(self, exchange: Exchange) -> None:
        """GET /login/{token}: a button, so that a preview of the link does not use it up."""
        token = exchange.args["token"]
        live = await self._database.read(lambda connection: login.link_is_live(connection, token))
        await self._pages.show(
            exchange, "login_link.html", status=200 if live else 404, live=live, action=exchange.path
        )

    async def use_link(self, exchange: Exchange) -> None:
        """POST /login/{token}: uses the link up and signs in; then a password, for who has no other way in or forgot
        it."""
        await self._pages.form(exchange, None)
        token = exchange.args["token"]

        step = self._pages.flow_value(exchange)

        def redeem(connection: Connection) -> tuple[Redeemed, bool, dict[str, Any] | None]:
            redeemed = login.redeem_link(connection, token)
            shut_out = identities.ways_in(connection, redeemed.user.id) == 0
            return redeemed, shut_out, flows.take(connection, "reset", step)

        redeemed, shut_out, way = await self._database.write(redeem)
        to = local_path(way["to"] if way else "")
        if shut_out or redeemed.purpose == "reset":
            to = f"/welcome?next={quote(to)}" if way else "/welcome"
        await self._desk.enter(exchange, redeemed.user.id, "reset" if redeemed.purpose == "reset" else "link", to)

    async def welcome(self, exchange: Exchange) -> None:
        """GET /welcome: a first password, or another after a reset."""
        viewer = await self._pages.require(exchange)
        to = local_path(exchange.query.get("next", ""))
        if await self._may_set(viewer.session, viewer.user.id):
            await self._pages.show(exchange, "welcome.html", viewer=viewer, faults={}, next=to)
        else:
            await self._pages.redirect(exchange, "/me/account#password")

    async def set_password(self, exchange: Exchange) -> None:
        """POST /welcome."""
        viewer = await self._pages.require(exchange)
        form = await self._pages.form(exchange, viewer)
        if not await self._may_set(viewer.session, viewer.user.id):
            await self._desk.again(exchange)
            return
        password, to = form.get("password", ""), local_path(form.get("next", ""))
        fault = passwords.fault_of(password, viewer.user.name, viewer.user.email or "")
        if fault:
            faults = {"password": fault}
            await self._pages.show(exchange, "welcome.html", viewer=viewer, status=400, faults=faults, next=to)
            return
        hashed = await self._desk.hasher.hash(password)

        def write(connection: Connection) -> None:
            passwords.set_password(connection, viewer.user.id, hashed)
            sessions.end_others(connection, viewer.user.id, viewer.session)

        await self._database.write(write)
        cookie = await self._desk.start(exchange, viewer.user.id, "password")
        await self._pages.redirect(exchange, to, flash="Your password is set.", cookie=cookie)

    async def _may_set(self, session: str, user_id: str) -> bool:
        """Whether a password may be set without the old one: just after a link, or where there is none yet."""

        def look(connection: Connection) -> bool:
            found = sessions.get_session(connection, session)
            if found is None or not found.fresh:
                return False
            return found.via in ("link", "reset") or not passwords.has_password(connection, user_id)

        return await self._database.read(look)

    # -- mailed links --------------------------------------------------------------------------------------------------

    async def reset(self, exchange: Exchange) -> None:
        """GET /reset."""
        await self._show_reset(exchange, {"next": exchange.query.get("next", "")}, {})

    async def mail_reset(self, exchange: Exchange) -> None:
        """POST /reset: the same answer whoever exists, in the same time; the mail goes out while nobody waits."""
        form = await self._pages.form(exchange, None)
        name = form.get("name", "").strip()
        if not name or len(name) > _LONGEST_NAME:
            await self._show_reset(exchange, form, {"name": "Type your user name or email address."}, status=400)
            return
        if self._desk.mailer.available:
            try:
                await self._desk.attempts.take((MAILS, name), (MAILS_FROM, self._desk.address(exchange)))
            except RateLimited as fault:
                await self._show_reset(exchange, form, {"name": fault.message}, fault=fault)
                return

            def make(connection: Connection) -> tuple[User, str] | None:
                user = user_to_sign_in(connection, name)
                if user is None or not user.email_verified or user.banned_at is not None:
                    return None
                audit.note(connection, audit.SYSTEM, "user.login_link", user.id)
                return user, login.create_link(connection, user.id, purpose="reset")

            made = await self._database.write(make)
            if made is not None and made[0].email is not None:
                user, token = made
                self._desk.mailer.send_reset(made[0].email, user.name, login.link_url(self._pages.url, token))
            await self._keep_way(exchange, local_path(form.get("next", "")))
        await self._show_reset(exchange, form, {}, sent=True)

    async def _keep_way(self, exchange: Exchange, to: str) -> None:
        """Keeps where this browser was going until its link is opened. In the browser, not in the mail: whoever asks for
        somebody else's link chooses no page for them, and only this browser can finish what an app began in it."""
        if to != local_path(""):
            step = await self._database.write(lambda connection: flows.begin(connection, "reset", {"to": to}))
            exchange.common.append((b"set-cookie", self._pages.flow_cookie(step).encode()))

    async def _show_reset(
        self,
        exchange: Exchange,
        values: dict[str, str],
        faults: dict[str, str],
        *,
        sent: bool = False,
        status: int = 200,
        fault: RateLimited | None = None,
    ) -> None:
        to = local_path(values.get("next", ""))
        await self._pages.show(
            exchange,
            "reset.html",
            status=fault.status if fault else status,
            headers={"retry-after": str(fault.retry_after)} if fault else None,
            values=values,
            faults=faults,
            sent=sent,
            next=to,
            next_quoted=quote(to),
            mail=self._desk.mailer.available,
        )

    async def verify(self, exchange: Exchange) -> None:
        """GET /verify/{token}: a button, so that a preview of the link does not use it up."""
        token = exchange.args["token"]
        live = await self._database.read(lambda connection: login.link_is_live(connection, token, verify=True))
        await self._pages.show(
            exchange, "verify.html", status=200 if live else 404, live=live, action=exchange.path, email=""
        )

    async def verified(self, exchange: Exchange) -> None:
        """POST /verify/{token}."""
        await self._pages.form(exchange, None)
        token = exchange.args["token"]
        try:
            email = await self._database.write(lambda connection: login.redeem_verification(connection, token))
        except Unauthorized:
            await self._pages.show(exchange, "verify.html", status=404, live=False, action="", email="")
            return
        await self._pages.show(exchange, "verify.html", live=True, action="", email=email)


def routes(desk: Desk) -> tuple[Route, ...]:
    """The paths of these pages, and of all other ways in."""
    here, page = SigninPages(desk), desk.pages.route
    return (
        page("GET", "/login", here.login, "Sign in"),
        page("POST", "/login", here.sign_in, "Sign in with a password"),
        page("POST", "/logout", here.sign_out, "Sign out"),
        page("GET", "/login/{token}", here.link, "A one-time link"),
        page("POST", "/login/{token}", here.use_link, "Sign in with a one-time link"),
        page("GET", "/welcome", here.welcome, "A password after a one-time link"),
        page("POST", "/welcome", here.set_password, "Set a password after a one-time link"),
        page("GET", "/reset", here.reset, "A forgotten password"),
        page("POST", "/reset", here.mail_reset, "Mail a link to set a new password"),
        page("GET", "/verify/{token}", here.verify, "Verify an email address"),
        page("POST", "/verify/{token}", here.verified, "Verify an email address"),
        *signup.routes(desk),
        *external.routes(desk),
        *passkeys.routes(desk),
        *profile.routes(desk),
    )
