"""The account's keys: the list, a new one, and a page of each with what can be done to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from openpollen.accounts import former_values, key_changes, keys
from openpollen.accounts.keys import Key
from openpollen.accounts.permissions import CONSENT, SCOPES
from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.core.errors import BadRequest, Conflict
from openpollen.storage.database import Connection
from openpollen.web.dashboard import key_form
from openpollen.web.dashboard.key_form import PERIODS, SCOPE_WORDS, Form
from openpollen.web.dashboard.plots import left_bar
from openpollen.web.dashboard.services import Services, on_page, page_number
from openpollen.web.pages import Viewer

_PAGE = "/me/keys"
#: Keys on one page.
_ROWS = 50
#: Hours for which a rotated key's old value may go on.
_GRACES = ((0, "at once"), (1, "1 hour"), (24, "24 hours"), (72, "3 days"), (168, "7 days"))


class _Row(Struct, frozen=True):
    """A key in the list: how deep it is below its root, and what is left of its budget."""

    key: Key
    depth: int
    left: int | None


class KeyPages:
    """The pages below ``/me/keys``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._pages = services.pages
        self._database = services.pages.database

    async def show(self, exchange: Exchange) -> None:
        """GET /me/keys."""
        viewer = await self._pages.require(exchange)
        await self._list(exchange, viewer, Form(scopes=("profile", "balance", "usage")))

    async def create(self, exchange: Exchange) -> None:
        """POST /me/keys: makes a key and shows its secret, this once."""
        viewer = await self._pages.require(exchange)
        form = key_form.read(await self._pages.form_lists(exchange, viewer), self._services.registry())
        if form.faults:
            await self._list(exchange, viewer, form, 400)
            return
        wanted = key_form.wanted(form, self._services.registry())
        try:
            key, value = await self._database.write(
                lambda connection: keys.create_key(connection, viewer.user.id, wanted, most=self._services.max_keys)
            )
        except (BadRequest, Conflict) as fault:
            form.faults["name"] = fault.message
            await self._list(exchange, viewer, form, fault.status)
            return
        self._services.forget()
        await self._pages.show(
            exchange,
            "dashboard/key_made.html",
            viewer=viewer,
            key=key,
            value=value,
            url=self._services.gen_url,
            grace="",
            back=_PAGE,
        )

    async def one(self, exchange: Exchange) -> None:
        """GET /me/keys/{id}."""
        viewer = await self._pages.require(exchange)
        await self._one(exchange, viewer, None)

    async def edit(self, exchange: Exchange) -> None:
        """POST /me/keys/{id}."""
        viewer = await self._pages.require(exchange)
        fields = await self._pages.form_lists(exchange, viewer)
        key = await self._own(exchange, viewer)
        fields["type"] = [key.type]
        form = key_form.read(fields, self._services.registry())
        if key.type == "publishable":
            form.scopes = tuple(scope for scope in SCOPES if scope in key.scopes)
        form.app_url, form.redirect_uris = key.app_url or "", "\n".join(key.redirect_uris)
        form.markup, form.devices = f"{key.markup / 10:g}", key.devices
        if form.faults:
            await self._one(exchange, viewer, form, 400)
            return
        wanted = key_form.wanted(form, self._services.registry())
        try:
            await key_changes.change_when_free(
                self._database,
                key.id,
                lambda connection: key_changes.edit_key(
                    connection, viewer.user.id, key.id, wanted, keep_expiry=form.expiry == "keep"
                ),
            )
        except (BadRequest, Conflict) as fault:
            form.faults["budget" if isinstance(fault, Conflict) else "name"] = fault.message
            await self._one(exchange, viewer, form, fault.status)
            return
        self._services.forget()
        await self._pages.redirect(exchange, f"{_PAGE}/{key.id}", flash=f"{wanted.name} is saved.")

    async def rotate(self, exchange: Exchange) -> None:
        """POST /me/keys/{id}/rotate: a new value, shown this once; the old one lives on for some hours."""
        viewer = await self._pages.require(exchange)
        fields = await self._pages.form(exchange, viewer)
        hours = fields.get("hours", "")
        if hours not in {str(hour) for hour, _ in _GRACES}:
            raise BadRequest("Choose one of the offered times for the old value.")
        key_id = exchange.args["id"]
        key, value = await self._database.write(
            lambda connection: key_changes.rotate_key(connection, viewer.user.id, key_id, int(hours) * 3600)
        )
        self._services.forget()
        await self._pages.show(
            exchange,
            "dashboard/key_made.html",
            viewer=viewer,
            key=key,
            value=value,
            url=self._services.gen_url,
            grace=dict(_GRACES)[int(hours)],
            back=f"{_PAGE}/{key.id}",
        )

    async def switch(self, exchange: Exchange) -> None:
        """POST /me/keys/{id}/switch: off or on."""
        viewer = await self._pages.require(exchange)
        fields = await self._pages.form(exchange, viewer)
        key_id, on = exchange.args["id"], fields.get("enabled") == "on"
        key = await self._database.write(
            lambda connection: key_changes.switch_key(connection, viewer.user.id, key_id, on)
        )
        self._services.forget()
        told = f"{key.name} works again." if on else f"{key.name} is switched off. Calls with it are refused."
        await self._pages.redirect(exchange, f"{'/me/apps' if key.app else _PAGE}/{key.id}", flash=told)

    async def revoke(self, exchange: Exchange) -> None:
        """POST /me/keys/{id}/revoke."""
        viewer = await self._pages.require(exchange)
        await self._pages.form(exchange, viewer)
        key_id = exchange.args["id"]

        def end(connection: Connection) -> tuple[Key, int]:
            key = keys.own_key(connection, viewer.user.id, key_id)
            return key, len(keys.revoke_key(connection, key.id, actor=viewer.user.id)) - 1

        key, below = await self._database.write(end)
        self._services.forget()
        more = f", and {below} below it" if below else ""
        await self._pages.redirect(exchange, _PAGE, flash=f"{key.name} is revoked{more}.")

    # -- answers ------------------------------------------------------------------------------------------------------

    async def _list(self, exchange: Exchange, viewer: Viewer, form: Form, status: int = 200) -> None:
        def look(connection: Connection) -> list[_Row]:
            found = [key for key in keys.list_keys(connection, viewer.user.id) if not key.app]
            return _tree(keys.with_remaining(connection, found))

        rows = await self._database.read(look)
        own = [row for row in rows if row.key.created_via not in CONSENT]
        page = page_number(exchange)
        shown, more = on_page(own, page, _ROWS)
        context: dict[str, Any] = self._context(form) | {
            "rows": shown,
            "page": page,
            "more": more,
            "granted": len(rows) - len(own),
        }
        await self._pages.show(exchange, "dashboard/keys.html", viewer=viewer, status=status, **context)

    async def _one(self, exchange: Exchange, viewer: Viewer, form: Form | None, status: int = 200) -> None:
        key_id = exchange.args["id"]

        def look(connection: Connection) -> dict[str, Any]:
            key = keys.own_key(connection, viewer.user.id, key_id)
            below = [child for child in keys.list_keys(connection, viewer.user.id) if child.parent_id == key.id]
            chain = keys.chain_of(connection, key)[1:]
            told, left = keys.with_remaining(connection, [key])[0]
            return {
                "key": key,
                "left": left,
                "ends": told.expires_at,
                "children": [_Row(child, 0, left) for child, left in keys.with_remaining(connection, below[:_ROWS])],
                "unshown": len(below[_ROWS:]),
                "above": chain,
                "former": former_values.of_key(connection, key.id),
            }

        seen = await self._database.read(look)
        key: Key = seen["key"]
        context = self._context(form or key_form.of_key(key)) | seen
        await self._pages.show(
            exchange,
            "dashboard/key.html",
            viewer=viewer,
            status=status,
            graces=[(str(hours), words) for hours, words in _GRACES],
            granted=key.created_via in CONSENT,
            **context,
        )

    def _context(self, form: Form) -> dict[str, Any]:
        return {
            "form": form,
            "scope_words": SCOPE_WORDS,
            "periods": PERIODS,
            "offered": [model.name for model in self._services.registry().models()],
            "left_bar": left_bar,
        }

    async def _own(self, exchange: Exchange, viewer: Viewer) -> Key:
        key_id = exchange.args["id"]
        return await self._database.read(lambda connection: keys.own_key(connection, viewer.user.id, key_id))


def _tree(found: Sequence[tuple[Key, int | None]]) -> list[_Row]:
    """The keys, each followed by those below it."""
    below: dict[str | None, list[tuple[Key, int | None]]] = {}
    known = {key.id for key, _ in found}
    for key, left in found:
        below.setdefault(key.parent_id if key.parent_id in known else None, []).append((key, left))

    def rows(parent: str | None, depth: int) -> list[_Row]:
        out: list[_Row] = []
        for key, left in below.get(parent, ()):
            out += [_Row(key, depth, left), *rows(key.id, depth + 1)]
        return out

    return rows(None, 0)


def routes(services: Services) -> tuple[Route, ...]:
    """The paths of these pages."""
    here, page = KeyPages(services), services.pages.route
    return (
        page("GET", _PAGE, here.show, "Your keys"),
        page("POST", _PAGE, here.create, "Make a key"),
        page("GET", f"{_PAGE}/{{id}}", here.one, "One of your keys"),
        page("POST", f"{_PAGE}/{{id}}", here.edit, "Change a key"),
        page("POST", f"{_PAGE}/{{id}}/rotate", here.rotate, "Give a key a new value"),
        page("POST", f"{_PAGE}/{{id}}/switch", here.switch, "Switch a key off or on"),
        page("POST", f"{_PAGE}/{{id}}/revoke", here.revoke, "Revoke a key"),
    )
