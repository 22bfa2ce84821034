"""OAuth for apps and devices: tokens, revocation, introspection, userinfo, metadata (rules 37 to 39).

Errors are shaped as the RFCs say, ``{"error", "error_description"}`` with status 400, and nothing is kept by caches.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

from msgspec import DecodeError, Struct, json

from openpollen.accounts.apps import pseudonym
from openpollen.accounts.attempts import Attempts, Limit
from openpollen.accounts.authenticate import Authenticator
from openpollen.accounts.keys import get_key
from openpollen.accounts.permissions import SCOPES, Caller, scopes_in
from openpollen.api.auth import Authentication
from openpollen.api.exchange import Exchange
from openpollen.api.route import Handler, Route
from openpollen.core.errors import BadRequest, Forbidden, GatewayError, NotFound, PayloadTooLarge, Unauthorized
from openpollen.oauth import clients, codes, devices, grants
from openpollen.oauth.errors import Code, OAuthError, Refused
from openpollen.oauth.grants import Granted
from openpollen.settings import OAuth
from openpollen.storage.database import Connection, Database

_MAX_BODY = 64 * 1024
_PRIVATE = {"cache-control": "no-store", "pragma": "no-cache"}
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
#: New device codes that one address may ask for.
CODES_FROM = Limit("device-codes-from", burst=30, seconds=20)
#: Clients that one address may register.
REGISTRATIONS_FROM = Limit("oauth-register-from", burst=10, seconds=600)


class _Registration(Struct, frozen=True):
    """What is read of a client's metadata; whatever else it says of itself changes nothing here."""

    redirect_uris: tuple[str, ...] = ()
    client_name: str = ""


class OAuthApi:
    """The endpoints. ``issuer`` is the public address of the accounts face."""

    def __init__(
        self,
        authentication: Authentication,
        authenticator: Authenticator,
        database: Database,
        issuer: str,
        settings: OAuth,
        max_keys: int,
    ) -> None:
        self._authentication = authentication
        self._authenticator = authenticator
        self._database = database
        self._attempts = Attempts(database)
        self._settings = settings
        self._max_keys = max_keys
        self.issuer = issuer.rstrip("/")

    async def metadata(self, exchange: Exchange) -> None:
        """GET /.well-known/oauth-authorization-server (RFC 8414)."""
        at = self.issuer
        refresh = self._settings.refresh_tokens
        body: dict[str, Any] = {
            "issuer": at,
            "authorization_endpoint": f"{at}/authorize",
            "token_endpoint": f"{at}/api/oauth/token",
            "revocation_endpoint": f"{at}/api/oauth/revoke",
            "introspection_endpoint": f"{at}/api/oauth/introspect",
            "userinfo_endpoint": f"{at}/api/oauth/userinfo",
            "device_authorization_endpoint": f"{at}/api/device/code",
            "scopes_supported": ["generate", *SCOPES, *(["offline_access"] if refresh else [])],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", *(["refresh_token"] if refresh else []), _DEVICE_GRANT],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "authorization_response_iss_parameter_supported": True,
            "service_documentation": f"{at}/docs",
        }
        if self._settings.registration:
            body["registration_endpoint"] = f"{at}/api/oauth/register"
        await exchange.json(200, body, {"cache-control": "public, max-age=3600"})

    async def token(self, exchange: Exchange) -> None:
        """POST /api/oauth/token (RFC 6749 4.1.3 and 6, RFC 8628 3.4)."""
        fields = await _fields(exchange)
        match fields.get("grant_type"):
            case "authorization_code":
                needed = _needed(fields, "code", "client_id", "redirect_uri", "code_verifier")
                most = self._max_keys
                made = await self._database.write(lambda connection: codes.redeem(connection, *needed, most=most))
            case "refresh_token" if self._settings.refresh_tokens:
                token, client = _needed(fields, "refresh_token", "client_id")
                made = await self._database.write(lambda connection: grants.refreshed(connection, token, client))
            case kind if kind == _DEVICE_GRANT:
                made = await self._poll(fields)
            case None | "":
                raise OAuthError("invalid_request", "grant_type is missing.")
            case other:
                raise OAuthError("unsupported_grant_type", f"grant_type {other[:60]!r} is not known here.")
        await self._hand_out(exchange, made)

    async def register(self, exchange: Exchange) -> None:
        """POST /api/oauth/register (RFC 7591): a public client of the code flow, where the operator allows it."""
        if not self._settings.registration:
            raise NotFound("Clients cannot register themselves here. Make an app key, or ask the operator.")
        try:
            wanted = json.decode(await exchange.body(_MAX_BODY), type=_Registration)
        except (DecodeError, PayloadTooLarge) as fault:
            raise OAuthError(
                "invalid_client_metadata", f"The body is no client as JSON: {str(fault)[:200]}."
            ) from fault
        attempt = await self._attempts.take((REGISTRATIONS_FROM, self._authentication.address(exchange)))
        name, addresses = wanted.client_name, wanted.redirect_uris
        try:
            client = await self._database.write(lambda connection: clients.register(connection, name, addresses))
        except OAuthError:
            await self._attempts.give_back(attempt)
            raise
        body = {
            "client_id": client.id,
            "client_id_issued_at": client.created_at // 1000,
            "client_name": client.name,
            "redirect_uris": client.redirect_uris,
            "grant_types": ["authorization_code", *(["refresh_token"] if self._settings.refresh_tokens else [])],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        }
        await exchange.json(201, body, _PRIVATE)

    async def device_code(self, exchange: Exchange) -> None:
        """POST /api/device/code (RFC 8628 3.1)."""
        fields = await _fields(exchange, optional=True)
        await self._attempts.take((CODES_FROM, self._authentication.address(exchange)))
        client, scope = fields.get("client_id", "")[:200], fields.get("scope", "")[:500]
        begun = await self._database.write(lambda connection: devices.begin(connection, client, scope))
        code = devices.shown(begun.user_code)
        body = {
            "device_code": begun.device_code,
            "user_code": code,
            "verification_uri": f"{self.issuer}/device",
            "verification_uri_complete": self._complete(code),
            "verification_uri_qr": f"{self.issuer}/api/device/qr?user_code={code}",
            "expires_in": devices.LIVES_SECONDS,
            "interval": devices.PAUSE_SECONDS,
        }
        await exchange.json(200, body, _PRIVATE)

    async def device_qr(self, exchange: Exchange) -> None:
        """GET /api/device/qr?user_code=...: the complete address as a picture that a phone reads. Tells of any eight
        characters, so nobody learns which codes there are."""
        code = devices.typed(exchange.query.get("user_code", ""))
        if len(code) != devices.LENGTH:
            raise BadRequest(f"user_code: the {devices.LENGTH} characters that the device was given.")
        headers = {"cache-control": "no-store", "cross-origin-resource-policy": "cross-origin"}
        picture = qr_picture(self._complete(devices.shown(code)))
        await exchange.answer(200, picture, "image/svg+xml", headers)

    def _complete(self, code: str) -> str:
        return f"{self.issuer}/device?user_code={code}"

    async def device_token(self, exchange: Exchange) -> None:
        """POST /api/device/token: the same as the token endpoint, where no grant type needs to be named."""
        await self._hand_out(exchange, await self._poll(await _fields(exchange)))

    async def revoke(self, exchange: Exchange) -> None:
        """POST /api/oauth/revoke (RFC 7009): whoever has a token may end it. Unknown ones are 200 too."""
        (token,) = _needed(await _fields(exchange), "token")

        def end(connection: Connection) -> None:
            key_id = grants.of_token(connection, token)
            if key_id is not None:
                grants.end(connection, key_id, "revocation endpoint")

        await self._database.write(end)
        self._authentication.forget()
        await exchange.json(200, {}, _PRIVATE)

    async def introspect(self, exchange: Exchange) -> None:
        """POST /api/oauth/introspect (RFC 7662): to the author of the app, of its own tokens, and to the token itself."""
        (token,) = _needed(await _fields(exchange), "token")
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
        client, most = fields.get("client_id", ""), self._max_keys
        return await self._database.write(lambda connection: devices.poll(connection, code, client, most=most))

    async def _hand_out(self, exchange: Exchange, made: Granted | Refused) -> None:
        self._authentication.forget()  # a key was made, or ended because its code or token was copied
        if isinstance(made, Refused):
            raise OAuthError(made.error, made.description)
        body: dict[str, Any] = {
            "access_token": made.value,
            "token_type": "bearer",
            "expires_in": made.seconds,
            "scope": made.scope,
        }
        if made.refresh:
            body["refresh_token"] = made.refresh
        await exchange.json(200, body, _PRIVATE)

    async def _introspected(self, asker: Caller, token: str) -> dict[str, Any]:
        try:
            caller = await self._authenticator.authenticate(token)
        except (Unauthorized, Forbidden):
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
        body: dict[str, Any] = {
            "active": True,
            "scope": " ".join(("generate", *scopes_in(caller.scopes))),
            "token_type": "bearer",
            "iss": self.issuer,
            "sub": caller.user.id if itself else pseudonym(caller.app_key_id or "", caller.user.id),
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
            _shaped(api.token),
            "Exchange a code, a refresh token or a device code",
            tag,
            body=forms,
        ),
        Route(("POST",), ("/api/oauth/revoke",), _shaped(api.revoke), "Revoke a token", tag, body=forms),
        Route(
            ("POST",),
            ("/api/oauth/introspect",),
            _shaped(api.introspect),
            "What a token is",
            tag,
            access="key",
            body=forms,
        ),
        Route(
            ("POST",),
            ("/api/oauth/register",),
            _shaped(api.register),
            "Register a client, where that is allowed",
            tag,
            body=("application/json",),
        ),
        Route(
            ("GET", "HEAD", "POST"),
            ("/api/oauth/userinfo", "/api/device/userinfo"),
            api.userinfo,
            "Whose key this is",
            tag,
            access="key",
        ),
        Route(
            ("GET", "HEAD"),
            ("/api/device/qr",),
            api.device_qr,
            "A device's code as a QR code",
            tag,
            answers="image/svg+xml",
        ),
        Route(("POST",), ("/api/device/code",), _shaped(api.device_code), "Begin a device's login", tag, body=forms),
        Route(
            ("POST",),
            ("/api/device/token",),
            _shaped(api.device_token),
            "Ask whether the user has agreed",
            tag,
            body=forms,
        ),
    )


def qr_picture(text: str) -> bytes:
    """A QR code as SVG, black on white in any theme: scanners want it so."""
    import segno

    drawn = BytesIO()
    segno.make(text, error="m", micro=False).save(drawn, kind="svg", scale=6, light="#fff", dark="#000", xmldecl=False)
    return drawn.getvalue()


async def _fields(exchange: Exchange, *, optional: bool = False) -> dict[str, str]:
    """The fields of a form or a JSON object; only strings count. Raises OAuthError."""
    try:
        body = await exchange.body(_MAX_BODY)
        if not body and optional:
            return {}
        if exchange.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
            decoded: dict[str, Any] = json.decode(body, type=dict[str, Any])
            fields = {name: value for name, value in decoded.items() if isinstance(value, str)}
        else:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=100)
            fields = dict(pairs)
            if len(fields) < len(pairs):
                raise OAuthError("invalid_request", "A field was sent twice.")
    except (DecodeError, ValueError, PayloadTooLarge) as fault:
        raise OAuthError("invalid_request", "The body is neither a form nor a JSON object.") from fault
    if any("\0" in value for value in fields.values()):
        raise OAuthError("invalid_request", "A field has a null character.")
    return fields


def _needed(fields: dict[str, str], *names: str) -> tuple[str, ...]:
    for name in names:
        if not fields.get(name):
            raise OAuthError("invalid_request", f"{name} is missing.")
    return tuple(fields[name] for name in names)


def _shaped(handler: Handler) -> Handler:
    """A handler whose faults come as the RFCs have them."""

    async def shaped(exchange: Exchange) -> None:
        try:
            await handler(exchange)
        except OAuthError as error:
            await exchange.json(400, {"error": error.error, "error_description": error.description}, _PRIVATE)
        except GatewayError as fault:
            headers = dict(_PRIVATE)
            if fault.retry_after:
                headers["retry-after"] = str(fault.retry_after)
            if fault.status == 401:
                headers["www-authenticate"] = 'Bearer error="invalid_token"'
            body = {"error": _code(fault.status), "error_description": fault.message}
            await exchange.json(fault.status, body, headers)

    return shaped


def _code(status: int) -> Code:
    if status == 401:
        return "invalid_token"
    if status in (429, 503):
        return "temporarily_unavailable"
    return "server_error" if status >= 500 else "invalid_request"
