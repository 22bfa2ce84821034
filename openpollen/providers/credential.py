"""The credential of a provider with a plain key, as header lines. A provider with a ``signer`` gets its own when the request
goes out."""

from __future__ import annotations

from openpollen.core.model import Provider

Header = tuple[str, str]


def credential(provider: Provider) -> tuple[Header, ...]:
    """The provider's own headers and its key: as a bearer token, in the header that ``auth`` names, or where one of its own
    headers has ``{key}`` in its value."""
    out: list[Header] = []
    placed = False
    for name, value in provider.headers.items():
        if "{key}" in value:
            placed = True
            if not provider.key:
                continue
        out.append((name.lower(), value.replace("{key}", provider.key or "")))
    if provider.key and not placed:
        bearer = provider.auth == "bearer"
        out.append(("authorization", f"Bearer {provider.key}") if bearer else (provider.auth.lower(), provider.key))
    return tuple(out)
