"""Signing in at another place: what a provider is, and OpenID Connect (code flow, PKCE, state, nonce) as one.

``id_token`` checks the ID token. Every call goes out through our own client, to addresses of the operator's own settings or
of the document that the issuer publishes about itself.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from msgspec import DecodeError, Struct, json

from openpollen.core.address import page_fault
from openpollen.core.errors import BadGateway, Unauthorized
from openpollen.outbound.client import Client
from openpollen.outbound.message import OutboundError, Outgoing, Timeouts
from openpollen.settings import Oidc

if TYPE_CHECKING:  # its cryptography costs every process 10 MB, and few installations have a provider
    from joserfc.jwk import KeySet

T = TypeVar("T")

_TIMEOUTS = Timeouts(connect=5, first_byte=10, idle=10, total=15)
_MOST_BYTES = 1024 * 1024
_KNOWN_SECONDS = 3600.0
_KEYS_AGAIN_SECONDS = 60.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Trip(Struct, frozen=True):
    """What one sign-in at a provider carries there and back; kept by us in between, all but ``callback`` random."""

    callback: str
    state: str
    nonce: str
    verifier: str

    @property
    def challenge(self) -> str:
        """The PKCE challenge of the verifier (S256)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class Person(Struct, frozen=True):
    """Who a provider says it is. ``provider`` and ``subject`` identify; nothing else does. ``email`` only where the
    provider says that it is verified."""

    provider: str
    subject: str
    label: str
    email: str | None = None
    image: str | None = None


class Provider(Protocol):
    """A place that signs people in. ``name`` is its part of our paths, ``title`` what people call it."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...

    async def start(self, trip: Trip) -> str:
        """The address to send the browser to. Raises BadGateway."""
        ...

    async def finish(self, trip: Trip, answer: Mapping[str, str]) -> Person:
        """Who came back with this answer. Raises Unauthorized, BadGateway."""
        ...


class _About(Struct, frozen=True):
    """What an issuer publishes about itself."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class _Published(Struct, frozen=True):
    """The keys that an issuer publishes."""

    keys: list[dict[str, Any]]


class Tokens(Struct, frozen=True):
    """What a token endpoint hands out, as far as we look at it."""

    access_token: str = ""
    id_token: str = ""


class OidcProvider:
    """One OpenID Connect provider of the settings; its documents are read when first needed, and again each hour."""

    def __init__(self, settings: Oidc, secret: str, client: Client) -> None:
        self.name = settings.name
        self.title = settings.title or settings.name.capitalize()
        self._issuer = settings.issuer
        self._client_id = settings.client_id
        self._secret = secret
        self._client = client
        self._about: _About | None = None
        self._about_at = float("-inf")
        self._keys: KeySet | None = None
        self._keys_at = float("-inf")
        self._reading = asyncio.Lock()

    async def start(self, trip: Trip) -> str:
        about = await self._know()
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": trip.callback,
            "scope": "openid profile email",
            "state": trip.state,
            "nonce": trip.nonce,
            "code_challenge": trip.challenge,
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in about.authorization_endpoint else "?"
        return f"{about.authorization_endpoint}{joint}{urlencode(asked)}"

    async def finish(self, trip: Trip, answer: Mapping[str, str]) -> Person:
        about = await self._know()
        told = answer.get("iss", about.issuer if not about.authorization_response_iss_parameter_supported else "")
        if told != about.issuer:
            raise _refused(self.title, "its answer names another issuer")
        tokens = await self._redeem(about, trip, code_of(answer, self.title))
        claims = await self._claims(about, tokens.id_token, trip.nonce)
        if "email" not in claims and about.userinfo_endpoint and tokens.access_token:
            claims = {**await self._userinfo(about, claims["sub"], tokens.access_token), **claims}
        verified = claims.get("email_verified") is True and isinstance(claims.get("email"), str)
        words = (claims.get(name) for name in ("preferred_username", "nickname", "name", "email"))
        label = next((word for word in words if isinstance(word, str) and word.strip()), "")
        email = claims["email"] if verified else None
        return Person(about.issuer, claims["sub"], label[:100], email=email)

    async def _redeem(self, about: _About, trip: Trip, code: str) -> Tokens:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": trip.callback,
            "code_verifier": trip.verifier,
        }
        headers: dict[str, str] = {}
        if "client_secret_basic" in about.token_endpoint_auth_methods_supported:
            pair = f"{quote(self._client_id, safe='')}:{quote(self._secret, safe='')}"
            headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form |= {"client_id": self._client_id, "client_secret": self._secret}
        return await call(self._client, self.title, about.token_endpoint, Tokens, headers=headers, form=form)

    async def _claims(self, about: _About, token: str, nonce: str) -> dict[str, Any]:
        from openpollen.accounts.id_token import Unsigned, claims_of

        meant = {"issuer": about.issuer, "audience": self._client_id, "nonce": nonce}
        try:
            try:
                return claims_of(token, await self._key_set(about), **meant)
            except Unsigned:  # perhaps by a key that is newer than what we know
                return claims_of(token, await self._key_set(about, again=True), **meant)
        except ValueError as fault:
            raise _refused(self.title, str(fault)) from fault

    async def _userinfo(self, about: _About, subject: str, token: str) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {token}"}
        told = await call(self._client, self.title, about.userinfo_endpoint, dict[str, Any], headers=headers)
        return told if told.get("sub") == subject else {}

    async def _know(self) -> _About:
        async with self._reading:
            now = time.monotonic()
            if self._about is None or now - self._about_at > _KNOWN_SECONDS:
                url = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
                self._about = _checked(await call(self._client, self.title, url, _About), self._issuer, self.title)
                self._about_at = now
            return self._about

    async def _key_set(self, about: _About, *, again: bool = False) -> KeySet:
        from openpollen.accounts.id_token import key_set

        async with self._reading:
            age = time.monotonic() - self._keys_at
            if self._keys is None or age > _KNOWN_SECONDS or (again and age > _KEYS_AGAIN_SECONDS):
                published = await call(self._client, self.title, about.jwks_uri, _Published)
                self._keys = key_set(published.keys)
                self._keys_at = time.monotonic()
            return self._keys


def code_of(answer: Mapping[str, str], title: str) -> str:
    """The code of an answer. Raises Unauthorized when there is none, as after a click on Cancel."""
    if "code" not in answer:
        told = answer.get("error", "")
        if told == "access_denied":
            raise Unauthorized(f"The sign-in at {title} was cancelled.")
        raise _refused(title, "it answered with an error")
    return answer["code"]


async def call(
    client: Client,
    title: str,
    url: str,
    shape: type[T],
    *,
    headers: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
) -> T:
    """The JSON answer of a provider, in this shape; POST with a ``form``, else GET. Raises BadGateway, and Unauthorized
    for a refusal."""
    sent = {"accept": "application/json", "user-agent": "OpenPollen", **(headers or {})}
    if form is not None:
        sent["content-type"] = "application/x-www-form-urlencoded"
    body = urlencode(form).encode() if form is not None else b""
    out = Outgoing("GET" if form is None else "POST", url, tuple(sent.items()), body, _TIMEOUTS)
    try:
        response = await client.request(out)
        answer = await response.read(_MOST_BYTES)
        if response.status in (400, 401, 403):
            raise _refused(title, "it refused our request")
        if response.status != 200:
            raise BadGateway(f"{title} cannot sign anybody in right now. Try again later.")
        return json.decode(answer, type=shape)
    except (OutboundError, DecodeError, ValueError) as fault:
        raise BadGateway(f"{title} cannot be reached right now. Try again, or sign in another way.") from fault


def secure(url: str) -> bool:
    """Whether a provider's address may be used: https, or plain http on this machine."""
    parts = urlsplit(url)
    return page_fault(url) == "" and (parts.scheme == "https" or parts.hostname in _LOOPBACK)


def _checked(about: _About, issuer: str, title: str) -> _About:
    addresses = (about.authorization_endpoint, about.token_endpoint, about.jwks_uri)
    if about.issuer != issuer or not all(secure(url) for url in (*addresses, about.userinfo_endpoint or issuer)):
        raise BadGateway(f"What {title} says of itself does not fit the settings; the operator must look.")
    return about


def _refused(title: str, why: str) -> Unauthorized:
    return Unauthorized(f"The sign-in at {title} did not work: {why}. Start again.", reason="provider")
