"""The variables that authorise requests to a host without a plain key: what each way of signing is made of."""

from __future__ import annotations

from collections.abc import Mapping

from openpollen.core.model import Signer

#: Signer -> name of a part of its secret -> variable. Parts that may be missing end with ``?``.
VARIABLES: Mapping[Signer, Mapping[str, str]] = {
    "aws": {
        "access_key": "AWS_ACCESS_KEY_ID",
        "secret_key": "AWS_SECRET_ACCESS_KEY",
        "session_token?": "AWS_SESSION_TOKEN",
        "region": "AWS_REGION",
    },
    "google": {"file": "GOOGLE_APPLICATION_CREDENTIALS"},
    "entra": {
        "tenant": "AZURE_TENANT_ID",
        "client_id": "AZURE_CLIENT_ID",
        "client_secret": "AZURE_CLIENT_SECRET",
        "authority?": "AZURE_AUTHORITY_HOST",
    },
}


def secret_of(signer: Signer | None, env: Mapping[str, str]) -> tuple[Mapping[str, str], str]:
    """The parts of a signer's secret, or none and what to set."""
    if signer is None:
        return {}, ""
    wanted = VARIABLES[signer]
    absent = [name for part, name in wanted.items() if not part.endswith("?") and not env.get(name, "").strip()]
    if absent:
        return {}, "set " + " and ".join(absent)
    return {part.rstrip("?"): value for part, name in wanted.items() if (value := env.get(name, "").strip())}, ""
