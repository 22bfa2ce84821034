"""Errors as the token, device and revocation endpoints tell them (RFC 6749 5.2, RFC 8628 3.5)."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Code = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unsupported_grant_type",
    "authorization_pending",
    "slow_down",
    "access_denied",
    "expired_token",
    "invalid_client_metadata",
    "invalid_redirect_uri",
    "invalid_token",
    "temporarily_unavailable",
    "server_error",
]


class Refused(Struct, frozen=True):
    """A refusal as the outcome of a transaction: what it used up on the way is stored."""

    error: Code
    description: str


class OAuthError(Exception):
    """``error`` and ``error_description`` of an answer with status 400."""

    def __init__(self, error: Code, description: str) -> None:
        super().__init__(description)
        self.error: Code = error
        self.description = description
