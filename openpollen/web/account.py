"""The account's own page: balance, keys, one more key."""

from __future__ import annotations

from msgspec import Struct

from openpollen.accounts import keys
from openpollen.accounts.keys import Key, NewKey
from openpollen.accounts.permissions import SCOPES
from openpollen.accounts.users import User
from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.core.errors import BadRequest
from openpollen.core.money import format_pollen
from openpollen.ledger import credit
from openpollen.ledger.entries import Balances
from openpollen.storage.database import Connection
from openpollen.web.page import HEADERS, TYPE, render, text
from openpollen.web.pages import Pages


class _Seen(Struct):
    user: User
    balances: Balances
    keys: list[Key]


class AccountPages:
    """The pages of a signed-in person."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._database = pages.database

    async def account(self, exchange: Exchange) -> None:
        """GET /me."""
        viewer = await self._pages.require(exchange)

        def look(connection: Connection) -> _Seen:
            user = viewer.user
            return _Seen(user, credit.balances(connection, user.id), keys.list_keys(connection, user.id))

        seen = await self._database.read(look)
        await exchange.answer(200, render("Your account", _account_page(seen, viewer.csrf)), TYPE, HEADERS)

    async def new_key(self, exchange: Exchange) -> None:
        """POST /me/keys: makes a key and shows it once."""
        viewer = await self._pages.require(exchange)
        form = await self._pages.form(exchange, viewer)
        name = form.get("name", "").strip()
        if not name:
            raise BadRequest("Give the key a name.")
        wanted = NewKey(name=name, scopes=SCOPES, created_via="dashboard")
        _, key = await self._database.write(lambda connection: keys.create_key(connection, viewer.user.id, wanted))
        body = (
            f"<h1>Your new key</h1><section><p>Copy it now; it is shown only this once.</p><p><code>{text(key)}</code></p>"
            '</section><p><a href="/me">Back to your account</a></p>'
        )
        await exchange.answer(200, render("New key", body), TYPE, HEADERS)


def routes(pages: Pages) -> tuple[Route, ...]:
    """The paths of these pages. No CORS: they speak to this origin only."""
    here = AccountPages(pages)
    return (
        pages.route("GET", "/me", here.account, "Your account"),
        pages.route("POST", "/me/keys", here.new_key, "Make a key"),
    )


def _account_page(seen: _Seen, token: str) -> str:
    hidden = f'<input type="hidden" name="csrf" value="{text(token)}">'
    wallet_rows = "".join(
        f"<tr><th>{name}</th><td>{format_pollen(amount)}</td></tr>"
        for name, amount in (
            ("tier", seen.balances.tier),
            ("crypto", seen.balances.crypto),
            ("pack", seen.balances.pack),
        )
    )
    key_rows = "".join(
        f"<tr><td>{text(key.name)}</td><td><code>{text(key.start)}…</code></td><td>{text(key.type)}</td></tr>"
        for key in seen.keys
    )
    return (
        f"<h1>Hello, {text(seen.user.name)}</h1><p class='soft'>{text(seen.user.role)}, tier {text(seen.user.tier)}</p>"
        f"<section><p class='soft'>Balance</p><p class='big'>{format_pollen(seen.balances.total)} pollen</p>"
        f"<table>{wallet_rows}</table></section>"
        f"<h2>Keys</h2><section><table><tr><th>Name</th><th>Starts with</th><th>Type</th></tr>{key_rows}</table></section>"
        f'<form class="card" method="post" action="/me/keys">{hidden}<label>Name of a new key '
        '<input name="name" required maxlength="253" autocomplete="off"></label> <button>Make a key</button></form>'
        f'<p><a href="/docs">API documentation</a></p><form method="post" action="/logout">{hidden}<button>Sign out</button>'
        "</form>"
    )
