"""Accounts, for who runs the installation: search, and a page of each with credit, tier, ban and a sign-in link."""

from __future__ import annotations

from typing import Any

from openpollen.accounts import audit, keys, login, users
from openpollen.accounts.users import User
from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.core.errors import BadRequest
from openpollen.core.money import format_pollen, parse_pollen
from openpollen.ledger import corrections, credit
from openpollen.ledger.entries import BUCKETS
from openpollen.storage.database import Connection
from openpollen.usage import figures
from openpollen.web.dashboard.bills import bill
from openpollen.web.dashboard.plots import left_bar, share_bar
from openpollen.web.dashboard.services import Services, on_page, page_number
from openpollen.web.pages import Viewer

_PAGE = "/admin/users"
_USERS = 50
_ROWS = 10
Values = dict[str, str]


class UserPages:
    """The pages below ``/admin/users``. Whatever they change is in the audit trail, under the admin's id."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._pages = services.pages
        self._database = services.pages.database

    async def show(self, exchange: Exchange) -> None:
        """GET /admin/users."""
        viewer = await self._pages.require(exchange, admin=True)
        words, page = exchange.query.get("q", "").strip()[:100], page_number(exchange)
        start = (page - 1) * _USERS

        def look(connection: Connection) -> list[tuple[User, int]]:
            found = users.search_users(connection, words, limit=_USERS + 1, skip=start)
            return [(user, credit.balances(connection, user.id).total) for user in found]

        found = await self._database.read(look)
        await self._pages.show(
            exchange,
            "admin/users.html",
            viewer=viewer,
            users=found[:_USERS],
            values={"q": words},
            page=page,
            more=len(found) > _USERS,
        )

    async def one(self, exchange: Exchange) -> None:
        """GET /admin/users/{id}."""
        viewer = await self._pages.require(exchange, admin=True)
        await self._one(exchange, viewer, {}, {})

    async def grant(self, exchange: Exchange) -> None:
        """POST /admin/users/{id}/grant: pollen from outside, with a reason."""
        viewer = await self._pages.require(exchange, admin=True)
        fields = await self._pages.form(exchange, viewer)
        user, faults = await self._user(exchange), _grant_faults(fields)
        if not faults:
            nano, bucket, reason = parse_pollen(fields["amount"].strip()), fields["bucket"], fields["reason"]
            note = fields.get("note", "").strip()[:500]

            def give(connection: Connection) -> None:
                credit.grant(connection, user.id, nano, bucket, reason, viewer.user.id)
                told = {"amount": format_pollen(nano), "bucket": bucket, "reason": reason, "note": note}
                audit.note(connection, viewer.user.id, "credit.grant", user.id, **told)

            try:
                await self._database.write(give)
            except BadRequest as fault:
                faults["amount"] = fault.message
            else:
                told = f"{user.name} got {format_pollen(nano)} pollen ({bucket})."
                await self._pages.redirect(exchange, f"{_PAGE}/{user.id}", flash=told)
                return
        await self._one(exchange, viewer, fields, faults, 400)

    async def tier(self, exchange: Exchange) -> None:
        """POST /admin/users/{id}/tier."""
        viewer = await self._pages.require(exchange, admin=True)
        fields = await self._pages.form(exchange, viewer)
        user, tier = await self._user(exchange), self._services.tiers.check(fields.get("tier", ""))
        await self._database.write(lambda connection: users.set_tier(connection, user.id, tier, actor=viewer.user.id))
        await self._changed(exchange, user, f"{user.name} is in tier {tier}.")

    async def ban(self, exchange: Exchange) -> None:
        """POST /admin/users/{id}/ban: shuts the account, or opens it again."""
        viewer = await self._pages.require(exchange, admin=True)
        fields = await self._pages.form(exchange, viewer)
        user, banned, why = await self._user(exchange), fields.get("banned") == "on", fields.get("why", "").strip()
        if banned and user.id == viewer.user.id:
            await self._one(exchange, viewer, fields, {"why": "You cannot shut your own account out."}, 400)
            return
        if banned and not why:
            await self._one(exchange, viewer, fields, {"why": "Say why: it goes into the audit trail."}, 400)
            return
        await self._database.write(
            lambda connection: users.set_banned(connection, user.id, banned, actor=viewer.user.id, why=why[:500])
        )
        told = "shut out. Its keys and sessions stop at once" if banned else "open again"
        await self._changed(exchange, user, f"{user.name} is {told}.")

    async def link(self, exchange: Exchange) -> None:
        """POST /admin/users/{id}/link: a one-time link that signs the person in, shown this once."""
        viewer = await self._pages.require(exchange, admin=True)
        await self._pages.form(exchange, viewer)
        user = await self._user(exchange)

        def make(connection: Connection) -> str:
            token = login.create_link(connection, user.id)
            audit.note(connection, viewer.user.id, "user.login_link", user.id)
            return token

        token = await self._database.write(make)
        await self._pages.show(
            exchange,
            "admin/link.html",
            viewer=viewer,
            user=user,
            url=login.link_url(self._pages.url, token),
            minutes=login.LIVES_SECONDS // 60,
        )

    async def _one(self, exchange: Exchange, viewer: Viewer, values: Values, faults: Values, status: int = 200) -> None:
        user_id, page = exchange.args["id"], page_number(exchange)

        def look(connection: Connection) -> dict[str, Any]:
            user = users.get_user(connection, user_id)
            shown, more = on_page(keys.list_keys(connection, user.id), page, _ROWS)
            return {
                "user": user,
                "wallet": credit.balances(connection, user.id),
                "keys": keys.with_remaining(connection, shown),
                "page": page,
                "more": more,
                "bills": [bill(row) for row in figures.latest(connection, user.id, limit=_ROWS)],
                "trail": audit.trail(connection, limit=_ROWS, subject=user.id),
            }

        seen = await self._database.read(look)
        wallet, tiers = seen["wallet"], self._services.tiers
        await self._pages.show(
            exchange,
            "admin/user.html",
            viewer=viewer,
            status=status,
            share=share_bar([(bucket, getattr(wallet, bucket)) for bucket in BUCKETS]),
            left_bar=left_bar,
            buckets=[(bucket, bucket) for bucket in ("pack", "tier", "crypto")],
            reasons=[(reason, reason) for reason in corrections.REASONS],
            tiers=[(name, f"{name}: {format_pollen(floor)} an hour") for name, floor in tiers.hourly.items()],
            values={"tier": seen["user"].tier, "bucket": "pack", "reason": "grant", **values},
            faults=faults,
            **seen,
        )

    async def _changed(self, exchange: Exchange, user: User, told: str) -> None:
        self._services.forget()
        await self._pages.redirect(exchange, f"{_PAGE}/{user.id}", flash=told)

    async def _user(self, exchange: Exchange) -> User:
        user_id = exchange.args["id"]
        return await self._database.read(lambda connection: users.get_user(connection, user_id))


def _grant_faults(fields: Values) -> Values:
    faults: Values = {}
    try:
        if not parse_pollen(fields.get("amount", "").strip()):
            faults["amount"] = "More than 0."
    except ValueError as fault:
        faults["amount"] = f"{str(fault)[:1].upper()}{str(fault)[1:]}."
    if fields.get("bucket") not in BUCKETS:
        faults["bucket"] = "Choose one of the list."
    if fields.get("reason") not in corrections.REASONS:
        faults["reason"] = "Choose one of the list."
    if not fields.get("note", "").strip():
        faults["note"] = "Say why: it goes into the audit trail."
    return faults


def routes(services: Services) -> tuple[Route, ...]:
    """The paths of these pages."""
    here, page = UserPages(services), services.pages.route
    return (
        page("GET", _PAGE, here.show, "Accounts"),
        page("GET", f"{_PAGE}/{{id}}", here.one, "One account"),
        page("POST", f"{_PAGE}/{{id}}/grant", here.grant, "Give an account pollen"),
        page("POST", f"{_PAGE}/{{id}}/tier", here.tier, "Move an account to another tier"),
        page("POST", f"{_PAGE}/{{id}}/ban", here.ban, "Shut an account out, or open it again"),
        page("POST", f"{_PAGE}/{{id}}/link", here.link, "Make a sign-in link for an account"),
    )
