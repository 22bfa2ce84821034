"""Authorises requests to hosts without a plain key: with a signature of AWS, or with a short-lived token that is fetched when
it is needed and kept until shortly before its end.

AWS: see ``providers.sigv4``.
Google: a service account's signed assertion for a token (RFC 7523, https://developers.google.com/identity/protocols/oauth2/service-account).
Microsoft Entra: client credentials (RFC 6749 4.4, https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct, structs

from openpollen.core.model import Provider
from openpollen.outbound.client import Client
from openpollen.outbound.message import OutboundError, Outgoing
from openpollen.providers.failures import no_access
from openpollen.providers.sigv4 import sign

_GOOGLE_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_GOOGLE_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ENTRA_SCOPE = "https://cognitiveservices.azure.com/.default"
_ENTRA_HOST = "https://login.microsoftonline.com"
_HOUR = 3600
#: Seconds before its end at which a token is renewed.
_EARLY = 300
_MAX_ANSWER = 64 * 1024


class _Token(Struct):
    access_token: str
    expires_in: int = _HOUR


class _Account(Struct):
    """A service account's file, as Google's console makes it."""

    client_email: str
    private_key: str
    token_uri: str
    private_key_id: str = ""


class Authority:
    """The tokens of one worker."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._tokens: dict[str, tuple[str, float]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def authorise(self, out: Outgoing, provider: Provider) -> Outgoing:
        """The request with what its host wants to see. Raises Failure when no token is to be had."""
        if out.service:
            return sign(out, provider.secret, datetime.now(UTC))
        if provider.signer == "google":
            return await self._with_token(out, provider, self._google)
        if provider.signer == "entra" and provider.key is None:
            return await self._with_token(out, provider, self._entra)
        return out

    async def _with_token(
        self, out: Outgoing, provider: Provider, ask: Callable[[Provider], Awaitable[_Token]]
    ) -> Outgoing:
        """One request for a token at a time: others wait for it."""
        async with self._locks.setdefault(provider.name, asyncio.Lock()):
            token, until = self._tokens.get(provider.name, ("", 0.0))
            if time.monotonic() > until:
                fresh = await ask(provider)
                token, until = fresh.access_token, time.monotonic() + fresh.expires_in - _EARLY
                self._tokens[provider.name] = token, until
        return structs.replace(out, headers=(*out.headers, ("authorization", f"Bearer {token}")))

    async def _google(self, provider: Provider) -> _Token:
        try:
            account = await asyncio.to_thread(_read_account, provider.secret["file"])
            assertion = await asyncio.to_thread(_assertion, account)
        except (OSError, ValueError, msgspec.MsgspecError) as fault:
            raise no_access(provider, "check the service account's file: it cannot be read") from fault
        return await self._token(provider, account.token_uri, {"grant_type": _GOOGLE_GRANT, "assertion": assertion})

    async def _entra(self, provider: Provider) -> _Token:
        secret = provider.secret
        host = secret.get("authority", _ENTRA_HOST).rstrip("/")
        fields = {
            "grant_type": "client_credentials",
            "client_id": secret["client_id"],
            "client_secret": secret["client_secret"],
            "scope": _ENTRA_SCOPE,
        }
        return await self._token(provider, f"{host}/{quote(secret['tenant'])}/oauth2/v2.0/token", fields)

    async def _token(self, provider: Provider, url: str, fields: Mapping[str, str]) -> _Token:
        headers = (("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json"))
        try:
            response = await self._client.request(Outgoing("POST", url, headers, urlencode(fields).encode()))
            body = await response.read(_MAX_ANSWER)
            if response.status != 200:
                raise no_access(provider, f"check the account: no token was given for it (status {response.status})")
            return msgspec.json.decode(body, type=_Token, strict=False)
        except (OutboundError, ValueError, msgspec.MsgspecError) as fault:
            raise no_access(provider, "its host of tokens cannot be reached or read") from fault


def _read_account(path: str) -> _Account:
    return msgspec.json.decode(Path(path).expanduser().read_bytes(), type=_Account)


def _assertion(account: _Account) -> str:
    from joserfc import jwt
    from joserfc.jwk import RSAKey

    now = int(time.time())
    header = {"alg": "RS256", "kid": account.private_key_id} if account.private_key_id else {"alg": "RS256"}
    claims: dict[str, Any] = {
        "iss": account.client_email,
        "scope": _GOOGLE_SCOPE,
        "aud": account.token_uri,
        "iat": now,
        "exp": now + _HOUR,
    }
    return jwt.encode(header, claims, RSAKey.import_key(account.private_key))
