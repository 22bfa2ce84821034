"""Passkeys: what ``static/passkey.js`` asks for and brings back, as JSON from our own pages only."""

from __future__ import annotations

import secrets
from typing import Any, cast

from msgspec import DecodeError, json

from openpollen.accounts import flows, passkeys
from openpollen.accounts.passkeys import RelyingParty
from openpollen.accounts.sessions import form_token_is_right
from openpollen.accounts.users import User
from openpollen.api.exchange import Exchange
from openpollen.api.route import Handler, Route
from openpollen.core.errors import BadRequest, Forbidden, GatewayError, Unauthorized
from openpollen.storage.database import Connection
from openpollen.web.desk import GUESSES_FROM, Desk
from openpollen.web.pages import SignedOut, Viewer, local_path, page_headers, same_origin

_MAX_BODY = 64 * 1024
_OLD = "The page waited too long. Try again."


class PasskeyCalls:
    """The calls of the script."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._pages = desk.pages
        self._database = desk.pages.database

    async def sign_in_options(self, exchange: Exchange) -> None:
        """POST /login/passkey/options."""
        party = self._party(exchange)
        await self._desk.attempts.take((GUESSES_FROM, self._desk.address(exchange)))
        challenge = secrets.token_bytes(32)
        await self._keep(challenge, "")
        await exchange.answer(
            200, passkeys.sign_in_options(party, challenge).encode(), "application/json", page_headers()
        )

    async def sign_in(self, exchange: Exchange) -> None:
        """POST /login/passkey: the browser's answer signs in."""
        party, body = self._party(exchange), await _body(exchange)
        credential, challenge = _credential(body)

        def check(connection: Connection) -> User:
            if flows.take(connection, "passkey", f":{challenge.hex()}") is None:
                raise Unauthorized(_OLD)
            return passkeys.sign_in(connection, credential, party, challenge)

        user = await self._database.write(check)
        cookie = await self._desk.start(exchange, user.id, "passkey")
        to = local_path(str(body.get("next", "")))
        await exchange.json(200, {"next": to}, page_headers() | {"set-cookie": cookie})

    async def add_options(self, exchange: Exchange) -> None:
        """POST /me/account/passkeys/options."""
        viewer = await self._signed_in(exchange, await _body(exchange))
        party, challenge = self._party(exchange), secrets.token_bytes(32)
        await self._keep(challenge, viewer.user.id)
        options = await self._database.read(
            lambda connection: passkeys.registration_options(connection, viewer.user, party, challenge)
        )
        await exchange.answer(200, options.encode(), "application/json", page_headers())

    async def add(self, exchange: Exchange) -> None:
        """POST /me/account/passkeys: stores what the browser made."""
        body = await _body(exchange)
        viewer, party = await self._signed_in(exchange, body), self._party(exchange)
        credential, challenge = _credential(body)

        def store(connection: Connection) -> None:
            if flows.take(connection, "passkey", f"{viewer.user.id}:{challenge.hex()}") is None:
                raise Unauthorized(_OLD)
            passkeys.register(connection, viewer.user.id, str(body.get("name", "")), credential, party, challenge)

        await self._database.write(store)
        await exchange.json(200, {"next": "/me/account#passkeys"}, page_headers())

    async def _signed_in(self, exchange: Exchange, body: dict[str, Any]) -> Viewer:
        viewer = await self._pages.viewer(exchange)
        if viewer is None:
            raise Unauthorized("Sign in first.")
        if not form_token_is_right(viewer.session, str(body.get("csrf", ""))):
            raise Forbidden("The page is too old. Load it again and repeat.")
        if not await self._desk.fresh(viewer):
            raise Unauthorized(
                "Sign in again to go on: this needs a sign-in within the last ten minutes.", reason="again"
            )
        return viewer

    async def _keep(self, challenge: bytes, owner: str) -> None:
        await self._database.write(
            lambda connection: flows.begin(connection, "passkey", {}, f"{owner}:{challenge.hex()}")
        )

    def _party(self, exchange: Exchange) -> RelyingParty:
        party = passkeys.relying_party(self._pages.url, exchange.headers.get("host", ""))
        if party is None:
            raise BadRequest("Passkeys work on https addresses and on http://localhost only. Open this site there.")
        return party


def _own(handler: Handler) -> Handler:
    """A call that only scripts of our own pages may make; its faults are short JSON."""

    async def guarded(exchange: Exchange) -> None:
        try:
            same_origin(exchange)
            await handler(exchange)
        except SignedOut:
            await exchange.json(401, {"error": "Sign in first."}, page_headers())
        except GatewayError as fault:
            headers = {"retry-after": str(fault.retry_after)} if fault.retry_after else {}
            answer = {"error": fault.message, "reason": fault.reason}
            await exchange.json(fault.status, answer, page_headers() | headers)

    return guarded


async def _body(exchange: Exchange) -> dict[str, Any]:
    try:
        return json.decode(await exchange.body(_MAX_BODY), type=dict[str, Any])
    except DecodeError:
        raise BadRequest("Send JSON, as the page's own script does.") from None


def _credential(body: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The browser's answer and the challenge that it says it answers."""
    from webauthn.helpers import base64url_to_bytes

    try:
        credential = cast(dict[str, Any], body["credential"])
        told = json.decode(base64url_to_bytes(credential["response"]["clientDataJSON"]), type=dict[str, Any])
        return credential, base64url_to_bytes(told["challenge"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BadRequest("The browser's answer cannot be read. Try again.") from None


def routes(desk: Desk) -> tuple[Route, ...]:
    """The paths of passkeys."""
    here = PasskeyCalls(desk)

    def call(path: str, handler: Handler, summary: str) -> Route:
        return Route(("POST",), (path,), _own(handler), summary, "Pages", cors=False)

    return (
        call("/login/passkey/options", here.sign_in_options, "A challenge to sign in with a passkey"),
        call("/login/passkey", here.sign_in, "Sign in with a passkey"),
        call("/me/account/passkeys/options", here.add_options, "A challenge to add a passkey"),
        call("/me/account/passkeys", here.add, "Add a passkey"),
    )
