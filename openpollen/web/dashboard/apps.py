"""Apps: the keys by which other people's browsers know an app of the account, what came through them, and their form."""

from __future__ import annotations

from openpollen.accounts import apps, key_changes, keys
from openpollen.accounts.apps import App
from openpollen.accounts.keys import Key
from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.core.errors import BadRequest, Conflict
from openpollen.storage.database import Connection
from openpollen.web.dashboard import key_form
from openpollen.web.dashboard.key_form import Form
from openpollen.web.dashboard.services import Services, on_page, page_number
from openpollen.web.pages import Viewer

_PAGE = "/me/apps"
#: Apps on one page.
_ROWS = 50


class AppPages:
    """The pages below ``/me/apps``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._pages = services.pages
        self._database = services.pages.database

    async def show(self, exchange: Exchange) -> None:
        """GET /me/apps."""
        viewer = await self._pages.require(exchange)
        await self._list(exchange, viewer, Form(type="publishable"))

    async def create(self, exchange: Exchange) -> None:
        """POST /me/apps."""
        viewer = await self._pages.require(exchange)
        form = await self._form(exchange, viewer)
        if not form.faults:
            wanted = key_form.wanted(form, self._services.registry())
            try:
                key, _ = await self._database.write(
                    lambda connection: keys.create_key(connection, viewer.user.id, wanted, most=self._services.max_keys)
                )
            except (BadRequest, Conflict) as fault:
                form.faults["name"] = fault.message
            else:
                self._services.forget()
                await self._pages.redirect(exchange, f"{_PAGE}/{key.id}", flash=f"{key.name} is ready.")
                return
        await self._list(exchange, viewer, form, 400)

    async def one(self, exchange: Exchange) -> None:
        """GET /me/apps/{id}."""
        viewer = await self._pages.require(exchange)
        await self._one(exchange, viewer, None)

    async def edit(self, exchange: Exchange) -> None:
        """POST /me/apps/{id}."""
        viewer = await self._pages.require(exchange)
        form = await self._form(exchange, viewer)
        key_id = exchange.args["id"]
        stored = key_form.of_key((await self._app(exchange, viewer)).key)
        # The form of an app has no fields for these.
        form.models, form.scopes, form.origins = stored.models, stored.scopes, stored.origins
        form.period = stored.period if form.budget else ""
        if not form.faults:
            wanted = key_form.wanted(form, self._services.registry())

            def change(connection: Connection) -> Key:
                apps.of_id(connection, viewer.user.id, key_id)
                return key_changes.edit_key(connection, viewer.user.id, key_id, wanted, keep_expiry=True)

            try:
                await key_changes.change_when_free(self._database, key_id, change)
            except (BadRequest, Conflict) as fault:
                form.faults["name"] = fault.message
            else:
                self._services.forget()
                await self._pages.redirect(exchange, f"{_PAGE}/{key_id}", flash=f"{form.name} is saved.")
                return
        await self._one(exchange, viewer, form, 400)

    async def revoke(self, exchange: Exchange) -> None:
        """POST /me/apps/{id}/revoke: ends the app's key and every key that people granted it."""
        viewer = await self._pages.require(exchange)
        await self._pages.form(exchange, viewer)
        key_id = exchange.args["id"]

        def end(connection: Connection) -> str:
            app = apps.of_id(connection, viewer.user.id, key_id)
            keys.revoke_key(connection, app.key.id, actor=viewer.user.id)
            return app.key.name

        name = await self._database.write(end)
        self._services.forget()
        await self._pages.redirect(exchange, _PAGE, flash=f"{name} is revoked, and every key that people gave it.")

    async def _form(self, exchange: Exchange, viewer: Viewer) -> Form:
        fields = await self._pages.form_lists(exchange, viewer)
        return key_form.read(fields, self._services.registry(), app=True)

    async def _list(self, exchange: Exchange, viewer: Viewer, form: Form, status: int = 200) -> None:
        found = await self._database.read(lambda connection: apps.of_owner(connection, viewer.user.id))
        page = page_number(exchange)
        shown, more = on_page(found, page, _ROWS)
        await self._pages.show(
            exchange, "dashboard/apps.html", viewer=viewer, status=status, apps=shown, page=page, more=more, form=form
        )

    async def _one(self, exchange: Exchange, viewer: Viewer, form: Form | None, status: int = 200) -> None:
        app = await self._app(exchange, viewer)
        await self._pages.show(
            exchange,
            "dashboard/app.html",
            viewer=viewer,
            status=status,
            app=app,
            form=form or key_form.of_key(app.key),
            url=self._pages.url,
        )

    async def _app(self, exchange: Exchange, viewer: Viewer) -> App:
        key_id = exchange.args["id"]
        return await self._database.read(lambda connection: apps.of_id(connection, viewer.user.id, key_id))


def routes(services: Services) -> tuple[Route, ...]:
    """The paths of these pages."""
    here, page = AppPages(services), services.pages.route
    return (
        page("GET", _PAGE, here.show, "Your apps"),
        page("POST", _PAGE, here.create, "Make an app key"),
        page("GET", f"{_PAGE}/{{id}}", here.one, "One of your apps"),
        page("POST", f"{_PAGE}/{{id}}", here.edit, "Change an app"),
        page("POST", f"{_PAGE}/{{id}}/revoke", here.revoke, "Revoke an app"),
    )
