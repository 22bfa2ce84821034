"""Who calls: the key of a request and the address it comes from (rules 1, 5, 32)."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Sequence
from urllib.parse import urlsplit

from openpollen.accounts.authenticate import Authenticator
from openpollen.accounts.pages import page_caller
from openpollen.accounts.permissions import Caller
from openpollen.accounts.sessions import cookie_name, form_token_is_right
from openpollen.api.exchange import Exchange
from openpollen.core.errors import Unauthorized
from openpollen.storage.database import Connection, Database

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: The header in which pages of ours say that it is they who ask.
_CSRF_HEADER = "x-csrf-token"


class Authentication:
    """Finds the caller of an exchange. ``proxies`` are the networks whose forwarded address counts."""

    def __init__(self, authenticator: Authenticator, proxies: Sequence[str]) -> None:
        self._authenticator = authenticator
        self._proxies: list[Network] = [ipaddress.ip_network(proxy, strict=False) for proxy in proxies]

    async def caller(self, exchange: Exchange) -> Caller:
        """The caller. Raises Unauthorized without a live key, Forbidden from a page that the key is not for."""
        value = key_of(exchange)
        if value is None:
            return await self._without_key(exchange)
        caller = await self._authenticator.authenticate(value)
        if caller.origins:
            caller.require_origin(exchange.headers.get("origin"))
        return caller

    async def optional(self, exchange: Exchange) -> Caller | None:
        """The caller, or None when no key was sent. A wrong key is still refused."""
        if key_of(exchange) is None and _CSRF_HEADER not in exchange.headers:
            return None
        return await self.caller(exchange)

    async def reader(self, exchange: Exchange) -> Caller:
        """The caller of what changes nothing and costs nothing, which a signed-in browser may ask for by itself."""
        return await self.caller(exchange)

    async def _without_key(self, exchange: Exchange) -> Caller:
        raise Unauthorized("An API key is needed: send Authorization: Bearer YOUR_KEY, or ?key=YOUR_KEY.")

    def forget(self) -> None:
        """Looks at the store again before the next answer; called after this process changed a key."""
        self._authenticator.forget()

    def address(self, exchange: Exchange) -> str:
        """The client's address; of IPv6 its /64. A forwarded address counts only from a trusted proxy."""
        client = exchange.scope.get("client")
        address = client[0] if client else "0.0.0.0"  # noqa: S104 - stands for "unknown", nothing listens on it
        hops = [hop.strip() for hop in exchange.headers.get("x-forwarded-for", "").split(",") if hop.strip()]
        while self._proxies and hops and self._trusted(address):
            address = hops.pop()
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return "unknown"
        if parsed.version == 6:
            mapped = parsed.ipv4_mapped
            return str(mapped) if mapped else str(ipaddress.ip_network((parsed, 64), strict=False))
        return str(parsed)

    def _trusted(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed.version == network.version and parsed in network for network in self._proxies)


class PageAuthentication(Authentication):
    """Also takes pages of ours that somebody is signed in to (rule 4): by the session's cookie, on requests of this very
    origin that carry the session's form token in ``x-csrf-token``. No other site can make such a request: it neither
    knows the token nor may send a header of this name along with cookies. Reading the account needs no token, as no
    other site can read the answer. ``url`` is the accounts face's address."""

    def __init__(self, authenticator: Authenticator, proxies: Sequence[str], database: Database, url: str) -> None:
        super().__init__(authenticator, proxies)
        self._database = database
        self._cookie = cookie_name(url)

    async def _without_key(self, exchange: Exchange) -> Caller:
        token = exchange.headers.get(_CSRF_HEADER)
        if token is None:
            return await super()._without_key(exchange)
        cookie = exchange.cookie(self._cookie)
        if not cookie or not _of_this_origin(exchange) or not form_token_is_right(cookie, token):
            raise Unauthorized("The page is out of date. Load it again; sign in if it asks you to.")
        return await self._signed_in(cookie)

    async def reader(self, exchange: Exchange) -> Caller:
        cookie = exchange.cookie(self._cookie)
        by_cookie = cookie and key_of(exchange) is None and _CSRF_HEADER not in exchange.headers
        if by_cookie and exchange.method in ("GET", "HEAD") and _of_this_origin(exchange, typed=True):
            return await self._signed_in(cookie)
        return await self.caller(exchange)

    async def _signed_in(self, cookie: str) -> Caller:
        def look(connection: Connection) -> Caller | None:
            return page_caller(connection, cookie)

        caller = await self._database.read(look)
        if caller is None:
            raise Unauthorized("You are signed out. Sign in again.")
        return caller


def _of_this_origin(exchange: Exchange, *, typed: bool = False) -> bool:
    """Whether a request was made by a page of the origin that it goes to, as far as the browser tells; with ``typed`` also
    one that the person made at the browser itself, in the address bar."""
    origin = exchange.headers.get("origin")
    own = origin is None or urlsplit(origin).netloc == exchange.headers.get("host")
    site = exchange.headers.get("sec-fetch-site", "same-origin")
    return own and (site == "same-origin" or (typed and site == "none"))


def key_of(exchange: Exchange) -> str | None:
    """The key that was sent, by header or query; both at once are fine when equal. Raises Unauthorized."""
    header = exchange.headers.get("authorization")
    bearer: str | None = None
    if header is not None:
        scheme, _, value = header.strip().partition(" ")
        if scheme.lower() != "bearer" or not value.strip():
            raise Unauthorized("The Authorization header must be: Bearer YOUR_KEY.")
        bearer = value.strip()
    query = exchange.query.get("key") if exchange.scope["query_string"] else None
    if bearer and query and not secrets.compare_digest(bearer.encode(), query.encode()):
        raise Unauthorized("Two different keys were sent, one in the header and one in the query; send one.")
    return bearer or query or None
