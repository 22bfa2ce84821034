"""The ASGI application: finds the route, guards the host, speaks CORS, and turns every failure into the envelope.

Routing is one dictionary look-up for fixed paths and a short list of patterns for the rest, built from ``routes.ROUTES``.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Protocol
from urllib.parse import unquote_to_bytes

from openpollen.api.errors import send_error
from openpollen.api.exchange import ClientGone, Exchange, Receive, Scope, Send
from openpollen.api.route import Route
from openpollen.core.errors import (
    BadRequest,
    GatewayError,
    InternalError,
    MethodNotAllowed,
    MisdirectedRequest,
    NotFound,
    ServiceUnavailable,
)
from openpollen.core.ids import request_id

log = logging.getLogger("openpollen")

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_OPEN = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"*"),
)


class Lifespan(Protocol):
    """What starts before the first request and stops after the last."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Application:
    """Serves ``routes``. ``hosts`` are the names it answers to (rule 1); ``None`` answers to every Host."""

    def __init__(self, routes: Iterable[Route], lifespan: Lifespan, hosts: frozenset[str] | None) -> None:
        self._exact: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[re.Pattern[bytes], dict[str, Route]]] = []
        self._lifespan = lifespan
        self._hosts = hosts
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        for path in route.paths:
            if "{" not in path:
                methods = self._exact.setdefault(path, {})
            else:
                pattern = _compile(path)
                same = [found for known, found in self._patterns if known.pattern == pattern.pattern]
                methods: dict[str, Route] = same[0] if same else {}
                if not same:
                    self._patterns.append((pattern, methods))
            for method in route.methods:
                methods[method] = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
        else:  # no route speaks websocket
            await send({"type": "websocket.close", "code": 1000})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send, request_id())
        exchange.common = [
            (b"x-request-id", exchange.id.encode()),
            (b"x-content-type-options", b"nosniff"),
        ]
        try:
            self._check_host(exchange)
            route = self._find(exchange)
            if route is not None:
                if route.cors:
                    exchange.common.extend(_OPEN)
                await route.handler(exchange)
        except asyncio.CancelledError:
            # The server stops and could not wait any longer; whatever was held has been settled on the way here.
            log.info("%s cut off by the stop: %s %s", exchange.id, exchange.method, exchange.path)
            if not exchange.started:
                fault = ServiceUnavailable("The server is stopping; send the request again.", retry_after=5)
                await self._fail(exchange, fault)
        except ClientGone:
            log.debug("%s client gone: %s %s", exchange.id, exchange.method, exchange.path)
        except GatewayError as error:
            await self._fail(exchange, error)
        except Exception:
            log.exception("%s failed: %s %s", exchange.id, exchange.method, exchange.path)
            error = InternalError(f"Something went wrong here; tell the operator the request id {exchange.id}.")
            await self._fail(exchange, error)

    def _check_host(self, exchange: Exchange) -> None:
        if self._hosts is None:
            return
        host = exchange.headers.get("host", "").lower()
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if name.strip("[]") not in self._hosts:
            raise MisdirectedRequest(
                "This server does not answer to the host name of the request; add it to allowed_hosts in the settings."
            )

    def _find(self, exchange: Exchange) -> Route | None:
        """The route of the request; answers preflights itself and then returns None."""
        methods = self._exact.get(exchange.path)
        if methods is None:
            methods = self._match(exchange)
        if methods is None:
            exchange.common.extend(_OPEN)  # a page of another origin may read that there is nothing
            raise NotFound(f"There is nothing at {exchange.path[:200]}; GET /docs lists every path.")
        route = methods.get(exchange.method)
        if route is None:
            if any(known.cors for known in methods.values()):
                if exchange.method == "OPTIONS":
                    return _PREFLIGHT
                exchange.common.extend(_OPEN)
            allowed = ", ".join(sorted(methods))
            exchange.common.append((b"allow", allowed.encode()))
            raise MethodNotAllowed(f"{exchange.path[:200]} takes {allowed}, not {exchange.method}.")
        return route

    def _match(self, exchange: Exchange) -> Mapping[str, Route] | None:
        raw: bytes = exchange.scope.get("raw_path") or exchange.path.encode()
        raw = raw.partition(b"?")[0]
        for pattern, methods in self._patterns:
            found = pattern.fullmatch(raw)
            if found:
                exchange.args = {name: _decode(value) for name, value in found.groupdict().items()}
                return methods
        return None

    async def _fail(self, exchange: Exchange, error: GatewayError) -> None:
        if exchange.started:
            log.error("%s failed after its answer began: %s", exchange.id, error.message)
            return
        await send_error(exchange, error)

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._lifespan.start()
        except Exception as fault:
            log.exception("start-up failed")
            await send({"type": "lifespan.startup.failed", "message": str(fault)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._lifespan.stop()
        await send({"type": "lifespan.shutdown.complete"})


def _compile(path: str) -> re.Pattern[bytes]:
    """``{name}`` is one path segment, ``{name:path}`` the rest of the path, ``{name:hash}`` sixteen hex digits."""

    def group(found: re.Match[str]) -> str:
        name, _, kind = found[1].partition(":")
        inner = {"path": ".+", "hash": "[0-9a-f]{16}"}.get(kind, "[^/]+")
        return f"(?P<{name}>{inner})"

    pattern = re.sub(r"\\\{([^}]*)\\\}", group, re.escape(path).replace(r"\:", ":"))
    return re.compile(pattern.encode(), re.DOTALL)


def _decode(raw: bytes) -> str:
    """A captured part of the path, percent-decoded. Raises BadRequest for escapes that are not UTF-8."""
    try:
        if _BAD_ESCAPE.search(raw):
            raise ValueError
        return unquote_to_bytes(raw).decode()
    except ValueError:
        raise BadRequest(
            "The path is not valid percent-encoded UTF-8; encode the text with encodeURIComponent or quote()."
        ) from None


async def _preflight(exchange: Exchange) -> None:
    headers = {
        "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        "access-control-allow-headers": exchange.headers.get("access-control-request-headers", "*"),
        "access-control-max-age": "600",
        "vary": "Access-Control-Request-Headers",
    }
    await exchange.answer(204, b"", "text/plain", headers)


_PREFLIGHT = Route(("OPTIONS",), (), _preflight, "Preflight", cors=True)
