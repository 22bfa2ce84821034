"""Where a user may be sent back to (rule 35; RFC 6749 3.1.2, RFC 8252 7.3): pure functions over addresses."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterable
from typing import Literal
from urllib.parse import SplitResult, quote, urlsplit

from msgspec import Struct

from openpollen.core.address import host_fault
from openpollen.core.errors import BadRequest

Flow = Literal["fragment", "code"]

_PORTS = {"http": 80, "https": 443}
_LENGTH = 2_000
_KEPT = "".join(chr(code) for code in range(0x21, 0x7F))
#: Names that browsers read as an IPv4 address in another notation, or not at all.
_NUMERIC = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")


class Target(Struct, frozen=True):
    """An address to return to, without its fragment. ``url`` is it as it was written; ``host`` its bare name, in punycode,
    with a port if it has one; ``origin`` what a content security policy calls it; ``location`` where a browser is sent: the
    very host that was compared and shown, all in ASCII."""

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

    @property
    def location(self) -> str:
        query = f"?{quote(self.query, safe=_KEPT)}" if self.query else ""
        return self.origin + quote(self.path, safe=_KEPT) + query


def target(address: str) -> Target:
    """Reads an address. Raises BadRequest for one that nobody may be sent to: other schemes than http(s), user info,
    backslashes, control characters, no host, or one that browsers and we may read differently."""
    plain = address.partition("#")[0]
    if not plain or len(plain) > _LENGTH or "\\" in plain or re.search(r"[\x00-\x20\x7f]", plain):
        raise _refused(address)
    try:
        parts = urlsplit(plain)
        name, port = _name(parts), parts.port
    except (ValueError, UnicodeError):
        raise _refused(address) from None
    if parts.scheme not in _PORTS or "@" in parts.netloc or not plain.startswith(f"{parts.scheme}://"):
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
    """The host in ASCII. Raises ValueError for what is none, and for names that the rules of 2003, which are ours, and
    those of browsers turn into different hosts, such as straße: these are to be written in punycode."""
    name = (parts.hostname or "").rstrip(".")
    if not name.isascii():
        plain = name.encode("idna")
        if plain.decode("idna") != unicodedata.normalize("NFC", name.lower()):
            raise ValueError("a name of two readings")
        name = plain.decode()
    if "%" in name or host_fault(name):
        raise ValueError("no host")
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        if _NUMERIC.fullmatch(name):
            raise
        return name


def _refused(address: str) -> BadRequest:
    return BadRequest(
        f"{address[:120]!r} is not an address that you could be sent back to: it must be http(s), with a host (foreign "
        "letters best in punycode), without user name, blanks or backslashes.",
        reason="redirect",
    )
