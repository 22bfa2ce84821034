"""Where a user may be sent back to (rule 35; RFC 6749 3.1.2, RFC 8252 7.3): pure functions over addresses."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from openpollen.core.address import host_fault
from openpollen.core.errors import BadRequest

Flow = Literal["fragment", "code"]

_PORTS = {"http": 80, "https": 443}
_LENGTH = 2_000


class Target(Struct, frozen=True):
    """An address to return to, without its fragment. ``host`` is its bare name, in punycode, with a port if it has one;
    ``origin`` what a content security policy calls it."""

    url: str
    scheme: str
    name: str
    port: int
    path: str
    query: str

    @property
    def loopback(self) -> bool:
        return is_loopback(self.name)

    @property
    def host(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port == _PORTS[self.scheme] else f"{name}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}"


def target(address: str) -> Target:
    """Reads an address. Raises BadRequest for one that nobody may be sent to: other schemes than http(s), user info,
    backslashes, control characters, a host that is none or that browsers may read as another."""
    plain = address.partition("#")[0]
    if not plain or len(plain) > _LENGTH or "\\" in plain or re.search(r"[\x00-\x20\x7f]", plain):
        raise _refused(address)
    try:
        parts = urlsplit(plain)
        name, port = _name(parts), parts.port
    except (ValueError, UnicodeError):
        raise _refused(address) from None
    if (
        parts.scheme not in _PORTS
        or "@" in parts.netloc
        or host_fault(name)
        or not plain.startswith(f"{parts.scheme}://")
    ):
        raise _refused(address)
    return Target(plain, parts.scheme, name, port or _PORTS[parts.scheme], parts.path, parts.query)


def registered(place: Target, entries: Iterable[str], flow: Flow) -> bool:
    """Whether an app may have people sent there. In the fragment flow an entry without a path stands for its whole
    origin, one with a path for exactly that path; in the code flow an entry is the exact string. Loopback entries match
    any port."""
    return any(_matches(place, entry, flow) for entry in entries)


def allowed_unregistered(place: Target) -> bool:
    """Whether an app that named no key may have people sent there: https, or this machine."""
    return place.scheme == "https" or place.loopback


def is_loopback(name: str) -> bool:
    """Whether a host name means the user's own machine. 0.0.0.0 does not."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _matches(place: Target, entry: str, flow: Flow) -> bool:
    try:
        known = target(entry)
    except BadRequest:
        return False
    if (place.scheme, place.name) != (known.scheme, known.name):
        return False
    if place.port != known.port and not known.loopback:
        return False
    if flow == "code":
        return place.url == known.url if not known.loopback else (place.path, place.query) == (known.path, known.query)
    return (known.path in ("", "/") and not known.query) or place.path == known.path


def _name(parts: SplitResult) -> str:
    """The host in punycode. Raises ValueError for one that browsers may read as another: ``straße`` is ``strasse`` to
    this encoding (IDNA 2003), and a host of its own to them (IDNA 2008)."""
    name = (parts.hostname or "").rstrip(".")
    if ":" in name:
        return name
    encoded = name.encode("idna").decode()
    if encoded != name and encoded.encode().decode("idna") != name:
        raise ValueError("ambiguous")
    return encoded


def _refused(address: str) -> BadRequest:
    return BadRequest(
        f"{address[:120]!r} is not an address that you could be sent back to: it must be http(s), with a host, without "
        "user name, blanks or backslashes.",
        reason="redirect",
    )
