"""Addresses that a provider gave for asking again or fetching a result. They get its credential, so they must be its own."""

from __future__ import annotations

from urllib.parse import urlsplit

from openpollen.core.model import Provider
from openpollen.providers.failures import unreadable


def own_address(url: str, provider: Provider, domain: str = "") -> str:
    """The address, if it is the provider's own; see ``is_own``. Raises Failure for any other."""
    if not is_own(url, provider, domain):
        raise unreadable("an address that is not its own", provider)
    return url


def is_own(url: str, provider: Provider, domain: str = "") -> bool:
    """Whether an address lies at the provider: on the very host of ``base_url``, or over TLS on a host below it. A ``domain``
    that is the provider's alone, and that ``base_url`` lies in, counts as well; no domain is guessed from a name, for many
    are shared by strangers."""
    ours, theirs = urlsplit(provider.base_url), urlsplit(url)
    if (theirs.scheme, theirs.netloc) == (ours.scheme, ours.netloc):
        return True
    known, given = ours.hostname or "", theirs.hostname or ""
    if theirs.scheme != "https" or not known:
        return False
    return _within(given, known) or (domain != "" and _within(known, domain) and _within(given, domain))


def _within(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")
