"""What every page shares: who is signed in, forms that only our own pages can post, answers with the right headers."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from msgspec import Struct

from openpollen.accounts import known_browsers, sessions
from openpollen.accounts.users import User
from openpollen.api.exchange import Exchange
from openpollen.api.route import Handler, Route
from openpollen.core.errors import BadRequest, Forbidden, GatewayError, NotFound
from openpollen.storage.database import Connection, Database
from openpollen.web.render import render, static_file

TYPE = "text/html; charset=utf-8"
_MAX_FORM = 256 * 1024
_MAX_FIELDS = 2_000
_FLASH = "openpollen_flash"
_NOTE_EVERY_S = 300.0
_NOTED = 10_000


class Viewer(Struct, frozen=True):
    """Who is signed in, with which cookie."""

    user: User
    session: str

    @property
    def csrf(self) -> str:
        """What every form of this session carries."""
        return sessions.form_token(self.session)

    @property
    def admin(self) -> bool:
        return self.user.role == "admin"


class SignedOut(Exception):
    """A page that needs a signed-in person was asked for without one. ``to`` is the page to come back to, where the request
    does not tell it."""

    def __init__(self, to: str = "") -> None:
        super().__init__(to)
        self.to = to


class Pages:
    """The services of pages. ``url`` is the public address of the accounts face; cookies of https are for https only."""

    def __init__(self, database: Database, url: str) -> None:
        self.database = database
        self.url = url.rstrip("/")
        self.secure = urlsplit(url).scheme == "https"
        self._cookie = sessions.cookie_name(self.url)
        self._flow = f"{self._cookie}-flow"
        self._known = f"{self._cookie}-known"
        self._noted: dict[str, float] = {}

    # -- who ----------------------------------------------------------------------------------------------------------

    async def viewer(self, exchange: Exchange) -> Viewer | None:
        """Who is signed in; ``None`` when nobody is, or the account is shut."""
        value = exchange.cookie(self._cookie)
        if not value:
            return None

        def look(connection: Connection) -> User | None:
            return sessions.session_user(connection, value)

        user = await self.database.read(look)
        if user is None:
            return None
        if time.monotonic() - self._noted.get(value, float("-inf")) >= _NOTE_EVERY_S:
            self._note(value)
        return Viewer(user, value)

    def _note(self, value: str) -> None:
        """Writes when a browser was last here; nobody waits for it."""
        if len(self._noted) >= _NOTED:
            self._noted.clear()
        self._noted[value] = time.monotonic()
        noted = self.database.write(lambda connection: sessions.note_seen(connection, value))
        # Asking a future for its exception keeps asyncio from reporting it: a lost note matters to nobody.
        noted.add_done_callback(lambda future: future.cancelled() or future.exception())

    async def require(self, exchange: Exchange, *, admin: bool = False) -> Viewer:
        """Who is signed in. Raises SignedOut, which ``page`` answers with the way to sign in; Forbidden for an admin's
        page."""
        viewer = await self.viewer(exchange)
        if viewer is None:
            raise SignedOut
        if admin and not viewer.admin:
            raise Forbidden("This page is for admins of this server.")
        return viewer

    def session_cookie(self, value: str, seconds: int = sessions.LIVES_SECONDS) -> str:
        """The header value that signs a browser in, or out with no seconds."""
        return f"{self._cookie}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{self._secured}"

    def session_value(self, exchange: Exchange) -> str:
        """What the browser carries as its session, live or not."""
        return exchange.cookie(self._cookie)

    def flow_cookie(self, value: str, seconds: int = 600) -> str:
        """The header value that lets this browser, and no other, finish what it began at another site."""
        return f"{self._flow}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{self._secured}"

    def flow_value(self, exchange: Exchange) -> str:
        """What ``flow_cookie`` left in the browser."""
        return exchange.cookie(self._flow)

    def known_cookie(self, value: str) -> str:
        """The header value by which accounts know this browser again."""
        lives = known_browsers.LIVES_SECONDS
        return f"{self._known}={value}; Path=/; Max-Age={lives}; HttpOnly; SameSite=Lax{self._secured}"

    def known_value(self, exchange: Exchange) -> str:
        """What ``known_cookie`` left in the browser."""
        return exchange.cookie(self._known)

    @property
    def _secured(self) -> str:
        return "; Secure" if self.secure else ""

    # -- forms --------------------------------------------------------------------------------------------------------

    async def form(self, exchange: Exchange, viewer: Viewer | None) -> dict[str, str]:
        """The fields of a form of ours, of repeated names the last; see ``form_lists``."""
        return {name: values[-1] for name, values in (await self.form_lists(exchange, viewer)).items()}

    async def form_lists(self, exchange: Exchange, viewer: Viewer | None) -> dict[str, list[str]]:
        """The fields of a form of ours. Raises Forbidden for one that another site may have made, or another session."""
        same_origin(exchange)
        fields: dict[str, list[str]] = {}
        body = (await exchange.body(_MAX_FORM)).decode("utf-8", "replace")
        try:
            pairs = parse_qsl(body, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
        except ValueError:
            raise BadRequest(f"A form has at most {_MAX_FIELDS:,} fields. Load the page again and repeat.") from None
        for name, value in pairs:
            fields.setdefault(name, []).append(value.replace("\r\n", "\n").replace("\0", ""))
        given = fields.pop("csrf", [""])[-1]
        if viewer is not None and not sessions.form_token_is_right(viewer.session, given):
            raise Forbidden("The form is too old or not from this page. Go back, load the page again and repeat.")
        return fields

    # -- answers ------------------------------------------------------------------------------------------------------

    async def show(
        self,
        exchange: Exchange,
        template: str,
        *,
        viewer: Viewer | None = None,
        status: int = 200,
        form_action: Sequence[str] = (),
        headers: dict[str, str] | None = None,
        **context: Any,
    ) -> None:
        """Answers with a template. ``form_action`` names further origins that a form of the page may lead to."""
        flash = unquote(exchange.cookie(_FLASH))
        shared = {"viewer": viewer, "csrf": viewer.csrf if viewer else "", "path": exchange.path, "flash": flash}
        onward = context.get("next")  # of pages with a sign-in it is where that leads, of lists the next page's mark
        policy = _opener_policy(exchange.path, onward if isinstance(onward, str) else "")
        sent = page_headers(form_action) | policy | (headers or {})
        if flash:
            sent["set-cookie"] = f"{_FLASH}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{self._secured}"
        await exchange.answer(status, render(template, **shared, **context), TYPE, sent)

    async def redirect(
        self, exchange: Exchange, to: str, *, flash: str = "", cookie: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """303 to another page. ``flash`` is a sentence that the next page shows once."""
        cookies = [cookie] if cookie else []
        if flash:
            cookies.append(f"{_FLASH}={quote(flash)}; Path=/; Max-Age=60; HttpOnly; SameSite=Lax{self._secured}")
        exchange.common.extend((b"set-cookie", line.encode("latin-1")) for line in cookies)
        sent = page_headers() | _opener_policy(exchange.path, to) | {"location": to} | (headers or {})
        await exchange.answer(303, b"", "text/plain", sent)

    def page(self, handler: Handler) -> Handler:
        """A handler whose faults are pages too, and which sends who is not signed in to the sign-in page."""

        async def guarded(exchange: Exchange) -> None:
            try:
                await handler(exchange)
            except SignedOut as signed_out:
                sent = exchange.method not in ("GET", "HEAD")
                told = "You were signed out, so nothing was done. Sign in, then send it again." if sent else ""
                to = local_path(signed_out.to) if signed_out.to else _here(exchange)
                await self.redirect(exchange, f"/login?next={quote(to)}", flash=told)
            except GatewayError as error:
                if exchange.started:
                    raise
                viewer = await self.viewer(exchange)
                headers = {"retry-after": str(error.retry_after)} if error.retry_after else {}
                await self.show(
                    exchange, "error.html", viewer=viewer, status=error.status, headers=headers, error=error
                )

        return guarded

    def route(self, methods: str, path: str, handler: Callable[[Exchange], Awaitable[None]], summary: str) -> Route:
        """A page's line of the routes: ``methods`` as "GET" or "GET POST". No CORS: pages speak to this origin only."""
        names = tuple(methods.split())
        names += ("HEAD",) if "GET" in names else ()
        return Route(names, (path,), self.page(handler), summary, "Pages", answers="text/html", cors=False)


async def serve_static(exchange: Exchange) -> None:
    """GET /static/{name}: kept by browsers for a year when the address names the version, else asked for each time:
    scripts of other people's pages, and what our own import of each other, have addresses that do not change."""
    found = static_file(exchange.args["name"])
    if found is None:
        raise NotFound("There is no such file.")
    etag = f'"{found.version}"'
    current = exchange.query.get("v") == found.version
    headers = {
        "cache-control": "public, max-age=31536000, immutable" if current else "public, no-cache",
        "etag": etag,
        "vary": "Accept-Encoding",
        "cross-origin-resource-policy": "cross-origin",  # connect.js is for other people's pages
        "access-control-allow-origin": "*",
    }
    if etag in exchange.headers.get("if-none-match", "").replace("W/", "").split(", "):
        await exchange.head(304, found.media_type, None, headers)
    elif "gzip" in exchange.headers.get("accept-encoding", ""):
        await exchange.answer(200, found.packed, found.media_type, headers | {"content-encoding": "gzip"})
    else:
        await exchange.answer(200, found.body, found.media_type, headers)


def page_headers(form_action: Sequence[str] = ()) -> dict[str, str]:
    """The headers of every page. With ``no-referrer`` Chromium would post forms with ``Origin: null``."""
    targets = " ".join(("'self'", *form_action))
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
        f"connect-src 'self'; form-action {targets}; frame-ancestors 'none'; base-uri 'none'"
    )
    return {
        "cache-control": "private, no-store",
        "content-security-policy": policy,
        "referrer-policy": "same-origin",
        "x-frame-options": "DENY",
    }


def _opener_policy(path: str, onward: str) -> dict[str, str]:
    """Cuts a page off from whoever opened it, but for consent and what leads ``onward`` to it.

    Apps open consent in a window and watch it: with any other policy the window looks closed to them at once, and their
    own page in it has no opener to hand the answer to. Once cut off it stays so, hence the sign-in on the way there. Any
    other way to sign in would tell an opener by its window whether somebody is signed in."""
    opened = path == "/authorize" or path.startswith("/login/with/") or onward.startswith("/authorize?")
    return {"cross-origin-opener-policy": "unsafe-none" if opened else "same-origin"}


def same_origin(exchange: Exchange) -> None:
    """Raises Forbidden for a form that a page of another origin posted."""
    site = exchange.headers.get("sec-fetch-site", "same-origin")
    origin = exchange.headers.get("origin")
    foreign = origin is not None and urlsplit(origin).netloc != exchange.headers.get("host")
    if site not in ("same-origin", "none") or foreign:
        raise Forbidden("Forms are taken from this site's own pages only.")


def local_path(given: str, otherwise: str = "/me") -> str:
    """A path of this site to go on to, out of what a link says; never another host."""
    parts = urlsplit(given)
    plain = given.isprintable() and "\\" not in given and given.startswith("/") and not given.startswith("//")
    return given if plain and not parts.scheme and not parts.netloc else otherwise


def sentence(fault: Exception) -> str:
    """A fault in the words of the core as a sentence for a page."""
    words = str(fault)
    return f"{words[:1].upper()}{words[1:]}."


def _here(exchange: Exchange) -> str:
    """The page that was asked for, of a form the page on which it is."""
    if exchange.method not in ("GET", "HEAD"):
        page = urlsplit(exchange.headers.get("referer", ""))
        if page.netloc != exchange.headers.get("host"):
            return "/me"
        return local_path(page.path + (f"?{page.query}" if page.query else ""))
    query: bytes = exchange.scope["query_string"]
    return exchange.path + (f"?{query.decode('latin-1')}" if query else "")


def routes() -> tuple[Route, ...]:
    """The static files."""
    return (Route(("GET", "HEAD"), ("/static/{name}",), serve_static, "Static files", "Pages", answers="text/css"),)
