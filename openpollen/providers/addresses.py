"""Addresses that a provider gave for asking again or fetching a result. They get its credential, so they must be its own."""

from __future__ import annotations

from urllib.parse import urlsplit

from openpollen.core.model import Provider
from openpollen.providers.failures import unreadable


def own_address(url: str, provider: Provider) -> str:
    """The address, if it lies at the provider: on the very host of ``base_url``, or over TLS in the same domain (its last two
    labels). Raises Failure for any other."""
    ours, theirs = urlsplit(provider.base_url), urlsplit(url)
    if (theirs.scheme, theirs.netloc) == (ours.scheme, ours.netloc):
        return url
    known, given = (ours.hostname or "").split("."), (theirs.hostname or "").split(".")
    if theirs.scheme == "https" and len(known) > 1 and known[-2:] == given[-2:] and not known[-1].isdigit():
        return url
    raise unreadable("an address that is not its own", provider)
