"""Addresses that a provider gave for asking again or fetching a result. They get its credential, so they must be its own."""

from __future__ import annotations

from urllib.parse import urlsplit

from openpollen.core.model import Provider
from openpollen.providers.failures import unreadable


def own_address(url: str, provider: Provider) -> str:
    """The address, if it is the provider's own. Raises Failure for any other."""
    if not is_own(url, provider):
        raise unreadable("an address that is not its own", provider)
    return url


def is_own(url: str, provider: Provider) -> bool:
    """Whether an address lies at the provider: on the very host of ``base_url``, or over TLS in the same domain (its last two
    labels)."""
    ours, theirs = urlsplit(provider.base_url), urlsplit(url)
    if (theirs.scheme, theirs.netloc) == (ours.scheme, ours.netloc):
        return True
    known, given = (ours.hostname or "").split("."), (theirs.hostname or "").split(".")
    return theirs.scheme == "https" and len(known) > 1 and known[-2:] == given[-2:] and not known[-1].isdigit()
