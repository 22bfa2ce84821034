"""Signing in at GitHub: OAuth with PKCE and state, then one question to its API for who it is."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from msgspec import Struct

from openpollen.accounts.oidc import Person, Tokens, Trip, call, code_of
from openpollen.core.errors import Unauthorized
from openpollen.outbound.client import Client
from openpollen.settings import Github

#: The provider of GitHub identities, whatever it is called on our paths.
PROVIDER = "github"


class _Account(Struct, frozen=True):
    id: int
    login: str
    avatar_url: str | None = None


class _Email(Struct, frozen=True):
    email: str
    primary: bool = False
    verified: bool = False


class GithubProvider:
    """GitHub, or a GitHub Enterprise of the operator's. The numeric id identifies; names there change hands."""

    name = PROVIDER
    title = "GitHub"

    def __init__(self, settings: Github, secret: str, client: Client) -> None:
        self._url = settings.url.rstrip("/")
        self._api_url = settings.api_url.rstrip("/")
        self._client_id = settings.client_id
        self._secret = secret
        self._client = client

    async def start(self, trip: Trip) -> str:
        asked = {
            "client_id": self._client_id,
            "redirect_uri": trip.callback,
            "scope": "user:email",
            "state": trip.state,
            "code_challenge": trip.challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._url}/login/oauth/authorize?{urlencode(asked)}"

    async def finish(self, trip: Trip, answer: Mapping[str, str]) -> Person:
        form = {
            "client_id": self._client_id,
            "client_secret": self._secret,
            "code": code_of(answer, self.title),
            "redirect_uri": trip.callback,
            "code_verifier": trip.verifier,
        }
        tokens = await call(self._client, self.title, f"{self._url}/login/oauth/access_token", Tokens, form=form)
        if not tokens.access_token:
            raise Unauthorized(
                "The sign-in at GitHub did not work: it refused our code. Start again.", reason="provider"
            )
        headers = {"authorization": f"Bearer {tokens.access_token}", "accept": "application/vnd.github+json"}
        user = await call(self._client, self.title, f"{self._api_url}/user", _Account, headers=headers)
        emails = await call(self._client, self.title, f"{self._api_url}/user/emails", list[_Email], headers=headers)
        email = next((one.email for one in emails if one.primary and one.verified), None)
        image = user.avatar_url if user.avatar_url and user.avatar_url.startswith("https://") else None
        return Person(PROVIDER, str(user.id), user.login[:100], email=email, image=image)
