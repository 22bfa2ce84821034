"""ID tokens of OpenID Connect, checked by joserfc: signature by one of the issuer's keys, an algorithm with a public key,
then issuer, audience, times and nonce (OpenID Connect Core 3.1.3.7). Loaded only where a provider is set up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any, cast

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet, import_key

#: Algorithms that sign with a private key. ``none`` and those that share a secret are not among them.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
_LEEWAY = 60
_LONGEST_SUBJECT = 255


class Unsigned(ValueError):
    """None of the keys signed the token: the issuer may have newer ones."""


def key_set(published: Iterable[dict[str, Any]]) -> KeySet:
    """The keys that we understand; an issuer may have others."""
    known: list[Key] = []
    for one in published:
        with contextlib.suppress(JoseError, ValueError, KeyError, TypeError):
            known.append(import_key(one))
    return KeySet(known)


def claims_of(token: str, keys: KeySet, *, issuer: str, audience: str, nonce: str) -> dict[str, Any]:
    """What a token says. Raises Unsigned, and ValueError with the reason for one that is not meant for us."""
    try:
        decoded = jwt.decode(token, keys, algorithms=ALGORITHMS)
    except (JoseError, ValueError) as fault:
        raise Unsigned(f"its ID token is not valid ({type(fault).__name__})") from fault
    checks = jwt.JWTClaimsRegistry(
        leeway=_LEEWAY,
        iss={"essential": True, "value": issuer},
        sub={"essential": True},
        aud={"essential": True, "value": audience},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": nonce},
    )
    try:
        checks.validate(decoded.claims)
    except (JoseError, ValueError, TypeError) as fault:
        raise ValueError(f"its ID token is not valid ({type(fault).__name__})") from fault
    claims: dict[str, Any] = decoded.claims
    several = isinstance(claims["aud"], list) and len(cast(list[Any], claims["aud"])) > 1
    if claims.get("azp", None if several else audience) != audience:
        raise ValueError("its ID token is for another application")
    if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= _LONGEST_SUBJECT:
        raise ValueError("its ID token names nobody")
    return claims
