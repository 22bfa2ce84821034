"""OAuth for apps and devices: tokens, revocation, introspection, userinfo, metadata (rules 37 to 39).

Errors are shaped as the RFCs say, ``{"error", "error_description"}`` with status 400, and nothing is kept by caches.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any
from urllib.parse import parse_qsl

from msgspec import DecodeError, json

from openpollen.accounts.attempts import Attempts, Limit
from openpollen.accounts.authenticate import Authenticator
from openpollen.accounts.keys import get_key
from openpollen.accounts.permissions import SCOPES, Caller, scopes_in
from openpollen.api.auth import Authentication
from openpollen.api.exchange import Exchange
from openpollen.api.route import Route
from openpollen.core.errors import GatewayError, NotFound, Unauthorized
from openpollen.oauth import codes, devices, grants
from openpollen.oauth.errors import OAuthError, Refused
from openpollen.oauth.grants import Granted
from openpollen.storage.database import Connection, Database

_MAX_BODY = 64 * 1024
_PRIVATE = {"cache-control": "no-store", "pragma": "no-cache"}
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
#: New device codes that one address may ask for.
CODES_FROM = Limit("device-codes-from", burst=30, seconds=20)


class OAuthApi:
    """The endpoints. ``issuer`` is the public address of the accounts face."""

    def __init__(
        self, authentication: Authentication, authenticator: Authenticator, database: Database, issuer: str
    ) -> None:
        self._authentication = authentication
        self._authenticator = authenticator
        self._database = database
        self._attempts = Attempts(database)
        self.issuer = issuer.rstrip("/")

    async def metadata(self, exchange: Exchange) -> None:
        """GET /.well-known/oauth-authorization-server (RFC 8414)."""
        at = self.issuer
        body = {
            "issuer": at,
            "authorization_endpoint": f"{at}/authorize",
            "token_endpoint": f"{at}/api/oauth/token",
            "revocation_endpoint": f"{at}/api/oauth/revoke",
            "introspection_endpoint": f"{at}/api/oauth/introspect",
            "userinfo_endpoint": f"{at}/api/oauth/userinfo",
            "device_authorization_endpoint": f"{at}/api/device/code",
            "scopes_supported": ["generate", *SCOPES, "offline_access"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token", _DEVICE_GRANT],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "authorization_response_iss_parameter_supported": True,
            "service_documentation": f"{at}/docs",
        }
        await exchange.json(200, body, {"cache-control": "public, max-age=3600"})

    async def token(self, exchange: Exchange) -> None:
        """POST /api/oauth/token (RFC 6749 4.1.3 and 6, RFC 8628 3.4)."""
        try:
            fields = await _fields(exchange)
            match fields.get("grant_type"):
                case "authorization_code":
                    needed = _needed(fields, "code", "client_id", "redirect_uri", "code_verifier")
                    made = await self._database.write(lambda connection: codes.redeem(connection, *needed))
                case "refresh_token":
                    token, client = _needed(fields, "refresh_token", "client_id")
                    made = await self._database.write(lambda connection: grants.refreshed(connection, token, client))
                case kind if kind == _DEVICE_GRANT:
                    made = await self._poll(fields)
                case None | "":
                    raise OAuthError("invalid_request", "grant_type is missing.")
                case other:
                    raise OAuthError("unsupported_grant_type", f"grant_type {other[:60]!r} is not known here.")
            await self._hand_out(exchange, made)
        except OAuthError as error:
            await _refuse(exchange, error)

    async def device_code(self, exchange: Exchange) -> None:
        """POST /api/device/code (RFC 8628 3.1)."""
        try:
            fields = await _fields(exchange, optional=True)
        except OAuthError as error:
            await _refuse(exchange, error)
            return
        await self._attempts.take((CODES_FROM, self._authentication.address(exchange)))
        client, scope = fields.get("client_id", "")[:200], fields.get("scope", "")[:500]
        begun = await self._database.write(lambda connection: devices.begin(connection, client, scope))
        code = devices.shown(begun.user_code)
        body = {
            "device_code": begun.device_code,
            "user_code": code,
            "verification_uri": f"{self.issuer}/device",
            "verification_uri_complete": f"{self.issuer}/device?user_code={code}",
            "expires_in": devices.LIVES_SECONDS,
            "interval": devices.PAUSE_SECONDS,
        }
        await exchange.json(200, body, _PRIVATE)

    async def device_token(self, exchange: Exchange) -> None:
        """POST /api/device/token: the same as the token endpoint, where no grant type needs to be named."""
        try:
            await self._hand_out(exchange, await self._poll(await _fields(exchange)))
        except OAuthError as error:
            await _refuse(exchange, error)

    async def revoke(self, exchange: Exchange) -> None:
        """POST /api/oauth/revoke (RFC 7009): whoever has a token may end it. Unknown ones are 200 too."""
        try:
            (token,) = _needed(await _fields(exchange), "token")
        except OAuthError as error:
            await _refuse(exchange, error)
            return

        def end(connection: Connection) -> None:
            key_id = grants.of_token(connection, token)
            if key_id is not None:
                grants.end(connection, key_id, "revocation endpoint")

        await self._database.write(end)
        self._authentication.forget()
        await exchange.json(200, {}, _PRIVATE)

    async def introspect(self, exchange: Exchange) -> None:
        """POST /api/oauth/introspect (RFC 7662): to the author of the app, of its own tokens, and to the token itself."""
        try:
            (token,) = _needed(await _fields(exchange), "token")
        except OAuthError as error:
            await _refuse(exchange, error)
            return
        asker = await self._authentication.caller(exchange)
        await exchange.json(200, await self._introspected(asker, token), _PRIVATE)

    async def userinfo(self, exchange: Exchange) -> None:
        """GET or POST userinfo in OIDC's shape, for any live key (rule 39)."""
        caller = await self._authentication.caller(exchange)
        user = caller.user
        body: dict[str, Any] = {"sub": user.id, "preferred_username": user.github or user.name, "picture": user.image}
        if caller.secret and caller.may("profile"):
            body |= {"name": user.name, "email": user.email, "email_verified": user.email_verified}
        await exchange.json(200, body, _PRIVATE)

    async def _poll(self, fields: dict[str, str]) -> Granted | Refused:
        (code,) = _needed(fields, "device_code")
        client = fields.get("client_id", "")
        return await self._database.write(lambda connection: devices.poll(connection, code, client))

    async def _hand_out(self, exchange: Exchange, made: Granted | Refused) -> None:
        self._authentication.forget()  # a key was made, or ended because its code or token was copied
        if isinstance(made, Refused):
            raise OAuthError(made.error, made.description)
        body: dict[str, Any] = {
            "access_token": made.value,
            "token_type": "bearer",
            "expires_in": made.seconds,
            "scope": " ".join(("generate", *made.scopes)),
        }
        if made.refresh:
            body["refresh_token"] = made.refresh
        await exchange.json(200, body, _PRIVATE)

    async def _introspected(self, asker: Caller, token: str) -> dict[str, Any]:
        try:
            caller = await self._authenticator.authenticate(token)
        except Unauthorized:
            return {"active": False}
        itself = caller.key_id == asker.key_id

        def look(connection: Connection) -> tuple[str, int] | None:
            if caller.app_key_id is None:
                return None
            try:
                app = get_key(connection, caller.app_key_id)
            except NotFound:
                return None
            return (app.public_value or "", 1) if app.user_id == asker.user.id and asker.secret else None

        owned = await self._database.read(look)
        if not itself and (owned is None or not caller.granted):
            return {"active": False}
        pseudonym = hmac.new((caller.app_key_id or "").encode(), caller.user.id.encode(), hashlib.sha256).hexdigest()[
            :24
        ]
        body: dict[str, Any] = {
            "active": True,
            "scope": " ".join(("generate", *scopes_in(caller.scopes))),
            "token_type": "bearer",
            "iss": self.issuer,
            "sub": caller.user.id if itself else pseudonym,
        }
        if owned is not None:
            body["client_id"] = owned[0]
        if caller.expires_at is not None:
            body["exp"] = caller.expires_at // 1000
        return body


def routes(api: OAuthApi) -> tuple[Route, ...]:
    """The paths, open to pages of any origin, but without cookies."""
    tag, forms = "OAuth", ("application/x-www-form-urlencoded", "application/json")
    return (
        Route(
            ("GET", "HEAD"),
            ("/.well-known/oauth-authorization-server",),
            api.metadata,
            "Authorization server metadata",
            tag,
        ),
        Route(
            ("POST",),
            ("/api/oauth/token",),
            api.token,
            "Exchange a code, a refresh token or a device code",
            tag,
            body=forms,
        ),
        Route(("POST",), ("/api/oauth/revoke",), api.revoke, "Revoke a token", tag, body=forms),
        Route(("POST",), ("/api/oauth/introspect",), api.introspect, "What a token is", tag, access="key", body=forms),
        Route(
            ("GET", "HEAD", "POST"),
            ("/api/oauth/userinfo", "/api/device/userinfo"),
            api.userinfo,
            "Whose key this is",
            tag,
            access="key",
        ),
        Route(("POST",), ("/api/device/code",), api.device_code, "Begin a device's login", tag, body=forms),
        Route(("POST",), ("/api/device/token",), api.device_token, "Ask whether the user has agreed", tag, body=forms),
    )


async def _fields(exchange: Exchange, *, optional: bool = False) -> dict[str, str]:
    """The fields of a form or a JSON object; only strings count. Raises OAuthError."""
    try:
        body = await exchange.body(_MAX_BODY)
        if not body and optional:
            return {}
        if exchange.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
            decoded: dict[str, Any] = json.decode(body, type=dict[str, Any])
            return {name: value for name, value in decoded.items() if isinstance(value, str)}
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100)
    except (DecodeError, ValueError, GatewayError) as fault:
        raise OAuthError("invalid_request", "The body is neither a form nor a JSON object.") from fault
    if len({name for name, _ in pairs}) < len(pairs):
        raise OAuthError("invalid_request", "A field was sent twice.")
    return dict(pairs)


def _needed(fields: dict[str, str], *names: str) -> tuple[str, ...]:
    for name in names:
        if not fields.get(name):
            raise OAuthError("invalid_request", f"{name} is missing.")
    return tuple(fields[name] for name in names)


async def _refuse(exchange: Exchange, error: OAuthError) -> None:
    await exchange.json(400, {"error": error.error, "error_description": error.description}, _PRIVATE)
