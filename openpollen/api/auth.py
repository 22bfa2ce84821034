"""Who calls: the key of a request and the address it comes from (rules 1, 5, 32)."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Sequence

from openpollen.accounts.authenticate import Authenticator
from openpollen.accounts.permissions import Caller
from openpollen.api.exchange import Exchange
from openpollen.core.errors import Unauthorized

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Authentication:
    """Finds the caller of an exchange. ``proxies`` are the networks whose forwarded address counts."""

    def __init__(self, authenticator: Authenticator, proxies: Sequence[str]) -> None:
        self._authenticator = authenticator
        self._proxies: list[Network] = [ipaddress.ip_network(proxy, strict=False) for proxy in proxies]

    async def caller(self, exchange: Exchange) -> Caller:
        """The caller. Raises Unauthorized without a live key, Forbidden from a page that the key is not for."""
        value = key_of(exchange)
        if value is None:
            raise Unauthorized("An API key is needed: send Authorization: Bearer YOUR_KEY, or ?key=YOUR_KEY.")
        caller = await self._authenticator.authenticate(value)
        if caller.origins:
            caller.require_origin(exchange.headers.get("origin"))
        return caller

    async def optional(self, exchange: Exchange) -> Caller | None:
        """The caller, or None when no key was sent. A wrong key is still refused."""
        return None if key_of(exchange) is None else await self.caller(exchange)

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
