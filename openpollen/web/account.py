"""Sign-in by one-time link (rule 41) and the account's own page: balance, keys, one more key."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

from openpollen.accounts import keys, login, sessions
from openpollen.accounts.keys import Key, NewKey
from openpollen.accounts.permissions import SCOPES
from openpollen.accounts.users import User
from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.core.errors import BadRequest, Forbidden, Unauthorized
from openpollen.core.money import format_pollen
from openpollen.ledger import credit
from openpollen.ledger.entries import Balances
from openpollen.storage.database import Connection, Database
from openpollen.web.page import HEADERS, TYPE, render, text

_MAX_FORM = 16 * 1024


class _Seen(Struct):
    user: User
    balances: Balances
    keys: list[Key]


class AccountPages:
    """The pages of a signed-in person. ``secure`` marks cookies for https only."""

    def __init__(self, database: Database, url: str) -> None:
        self._database = database
        self._secure = urlsplit(url).scheme == "https"
        self._cookie = "__Host-openpollen" if self._secure else "openpollen"

    async def link(self, exchange: Exchange) -> None:
        """GET /login/{token}: a button, so that a preview of the link does not use it up."""
        token = exchange.args["token"]
        if not await self._database.read(lambda connection: login.link_is_live(connection, token)):
            body = (
                "<h1>This link is over</h1><p>It was used, or is older than ten minutes. The operator makes another with "
                "<code>polli admin login-link NAME</code>.</p>"
            )
            await exchange.answer(404, render("Sign in", body), TYPE, HEADERS)
            return
        body = (
            "<h1>Welcome</h1><p>This link signs you in once, in this browser.</p>"
            f'<form method="post" action="/login/{text(token)}"><button>Sign in</button></form>'
        )
        await exchange.answer(200, render("Sign in", body), TYPE, HEADERS)

    async def sign_in(self, exchange: Exchange) -> None:
        """POST /login/{token}: uses the link up and starts a session."""
        _same_origin(exchange)
        token = exchange.args["token"]

        def start(connection: Connection) -> str:
            return sessions.start_session(connection, login.redeem_link(connection, token).id)

        value = await self._database.write(start)
        await self._redirect(exchange, self._set_cookie(value, sessions.LIVES_SECONDS))

    async def account(self, exchange: Exchange) -> None:
        """GET /me."""
        value, seen = await self._signed_in(exchange)
        await exchange.answer(
            200, render("Your account", _account_page(seen, sessions.form_token(value))), TYPE, HEADERS
        )

    async def new_key(self, exchange: Exchange) -> None:
        """POST /me/keys: makes a key and shows it once."""
        value, seen = await self._signed_in(exchange)
        form = await _form(exchange, value)
        name = form.get("name", "").strip()
        if not name:
            raise BadRequest("Give the key a name.")
        wanted = NewKey(name=name, scopes=SCOPES, created_via="dashboard")
        _, key = await self._database.write(lambda connection: keys.create_key(connection, seen.user.id, wanted))
        body = (
            f"<h1>Your new key</h1><section><p>Copy it now; it is shown only this once.</p><p><code>{text(key)}</code></p>"
            '</section><p><a href="/me">Back to your account</a></p>'
        )
        await exchange.answer(200, render("New key", body), TYPE, HEADERS)

    async def sign_out(self, exchange: Exchange) -> None:
        """POST /logout."""
        value, _ = await self._signed_in(exchange)
        await _form(exchange, value)
        await self._database.write(lambda connection: sessions.end_session(connection, value))
        await self._redirect(exchange, self._set_cookie("", 0))

    async def _signed_in(self, exchange: Exchange) -> tuple[str, _Seen]:
        value = _cookie(exchange, self._cookie)

        def look(connection: Connection) -> _Seen | None:
            user = sessions.session_user(connection, value) if value else None
            if user is None:
                return None
            return _Seen(user, credit.balances(connection, user.id), keys.list_keys(connection, user.id))

        seen = await self._database.read(look)
        if seen is None:
            raise Unauthorized("Sign in with a one-time link first: polli admin login-link NAME prints one.")
        return value, seen

    def _set_cookie(self, value: str, seconds: int) -> str:
        secure = "; Secure" if self._secure else ""
        return f"{self._cookie}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"

    @staticmethod
    async def _redirect(exchange: Exchange, cookie: str) -> None:
        headers = {**HEADERS, "location": "/me" if "Max-Age=0" not in cookie else "/docs", "set-cookie": cookie}
        await exchange.answer(303, b"", "text/plain", headers)


def routes(pages: AccountPages) -> tuple[Route, ...]:
    """The paths of these pages. No CORS: they speak to this origin only."""
    return (
        Route(("GET", "HEAD"), ("/login/{token}",), pages.link, "Sign-in link", cors=False),
        Route(("POST",), ("/login/{token}",), pages.sign_in, "Sign in", cors=False),
        Route(("GET", "HEAD"), ("/me",), pages.account, "Your account", cors=False),
        Route(("POST",), ("/me/keys",), pages.new_key, "Make a key", cors=False),
        Route(("POST",), ("/logout",), pages.sign_out, "Sign out", cors=False),
    )


def _account_page(seen: _Seen, token: str) -> str:
    hidden = f'<input type="hidden" name="form_token" value="{text(token)}">'
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


async def _form(exchange: Exchange, session: str) -> dict[str, str]:
    """The fields of a signed-in browser's form. Raises Forbidden for one that another site may have made."""
    _same_origin(exchange)
    raw = parse_qs((await exchange.body(_MAX_FORM)).decode("utf-8", "replace"), keep_blank_values=True)
    fields = {name: values[-1] for name, values in raw.items()}
    if not sessions.form_token_is_right(session, fields.get("form_token", "")):
        raise Forbidden("The form is too old or not from this page. Go back, load the page again and repeat.")
    return fields


def _same_origin(exchange: Exchange) -> None:
    site = exchange.headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none"):
        raise Forbidden("Forms are taken from this site's own pages only.")
    origin = exchange.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != exchange.headers.get("host"):
        raise Forbidden("Forms are taken from this site's own pages only.")


def _cookie(exchange: Exchange, name: str) -> str:
    try:
        morsel = SimpleCookie(exchange.headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel else ""
