"""What goes out and what comes back: requests, limits of time and size, header lines, and what can go wrong.

OutboundError
 ├── ConnectFailed      no connection: refused, unknown name, bad certificate; nothing was sent
 ├── Busy               every connection is in use and the queue is full; nothing was sent
 ├── Timeout            ``kind`` says which: queue, connect, first_byte, idle, total
 ├── Broken             the connection or the HTTP in it broke off
 └── TooLarge           the answer is larger than the reader allows

``sent`` says whether the other side may have seen the request: only when it is False may the call be made again
elsewhere without the risk that two providers work, and bill, for one answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator, Mapping
from functools import lru_cache
from typing import Literal
from urllib.parse import quote, urlsplit

from msgspec import Struct

TimeoutKind = Literal["queue", "connect", "first_byte", "idle", "total"]

_DEFAULT_PORTS = {"http": 80, "https": 443}
_TARGET_SAFE = "/?#[]@!$&'()*+,;=:%-._~"
_FRAMING = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "expect"})


class OutboundError(Exception):
    """A call that did not bring a whole answer. The text is for logs: it names hosts, so it is not shown to callers."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class ConnectFailed(OutboundError):
    def __init__(self, message: str) -> None:
        super().__init__(message, sent=False)


class Busy(OutboundError):
    def __init__(self, message: str) -> None:
        super().__init__(message, sent=False)


class Timeout(OutboundError):
    def __init__(self, kind: TimeoutKind, message: str, *, sent: bool) -> None:
        super().__init__(message, sent=sent)
        self.kind = kind


class Broken(OutboundError):
    pass


class TooLarge(OutboundError):
    def __init__(self, message: str) -> None:
        super().__init__(message, sent=True)


class Timeouts(Struct, frozen=True):
    """Seconds. ``connect`` bounds the wait for a free connection and the handshake, ``first_byte`` the wait for the
    first byte of the answer once the request is out, ``idle`` each pause after it, ``total`` everything from the first
    byte sent. They are checked on a coarse beat (``Limits.beat``), so each may run over by one beat."""

    connect: float = 10.0
    first_byte: float = 120.0
    idle: float = 60.0
    total: float = 600.0


class Limits(Struct, frozen=True):
    """Bounds of a client. Sizes in bytes, times in seconds; connections and waiting requests count per origin.

    ``idle`` closes connections that nobody used for so long: shorter than servers commonly keep them, so that a
    connection is seldom closed under a request. One unused for ``probe`` is looked at before it is used: its end may
    wait unread. ``buffer`` is how much of a body is read ahead of a slow reader.
    """

    connections: int = 256
    waiting: int = 1024
    idle: float = 20.0
    probe: float = 0.05
    head: int = 65536
    buffer: int = 262144
    beat: float = 0.25


class Outgoing(Struct, frozen=True):
    """One request. ``headers`` are all but the framing ones (host, length, connection), which the client writes itself.

    ``body`` is bytes, or an asynchronous iterable that is sent chunked as it comes. ``address`` connects to this IP
    address in place of resolving the host; the host's name still goes into Host and TLS. ``service`` names the AWS service
    whose signature the request needs before it goes out.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | AsyncIterable[bytes] = b""
    timeouts: Timeouts = Timeouts()
    address: str | None = None
    service: str = ""


class Origin(Struct, frozen=True):
    """Where a connection leads: connections are shared only between requests of one origin."""

    scheme: str
    host: str
    port: int
    address: str | None = None

    @property
    def tls(self) -> bool:
        return self.scheme == "https"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


class Headers(Mapping[str, str]):
    """Header lines of an answer, looked up without regard to case. Nothing is decoded until it is asked for.

    Of a header that came several times, the first counts.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self.raw = raw

    def __getitem__(self, name: str) -> str:
        wanted = name.lower().encode("latin-1")
        size = len(wanted)
        for key, value in self.raw:
            if len(key) == size and key.lower() == wanted:
                return value.decode("latin-1")
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key.decode("latin-1").lower() for key, _ in self.raw))

    def __len__(self) -> int:
        return sum(1 for _ in self)


@lru_cache(maxsize=1024)
def parse_origin(url: str) -> tuple[Origin, str, str]:
    """Splits a URL into its origin, the Host header and the request target.

    Raises ValueError for anything but http(s) with a host and a valid port, and for user info, which is never sent.
    """
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("the address must begin with http:// or https://")
    if not parts.hostname:
        raise ValueError("the address has no host")
    if "@" in parts.netloc:
        raise ValueError("the address must not contain a user name or password")
    host = parts.hostname
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    shown = f"[{host}]" if ":" in host else host
    if port != _DEFAULT_PORTS[parts.scheme]:
        shown += f":{port}"
    target = quote(parts.path or "/", safe=_TARGET_SAFE)
    if parts.query:
        target += "?" + quote(parts.query, safe=_TARGET_SAFE)
    return Origin(parts.scheme, host, port), shown, target


@lru_cache(maxsize=1024)
def prepare(method: str, url: str, headers: tuple[tuple[str, str], ...], address: str | None) -> tuple[Origin, bytes]:
    """The origin of a request and its head, but for the line that tells the body's length and the blank line.

    Cached, because calls to one provider differ in the body only. Raises ValueError for a URL that cannot be called
    and for header lines that would break out of their line.
    """
    origin, host, target = parse_origin(url)
    if address is not None:
        origin = Origin(origin.scheme, origin.host, origin.port, address)
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}", "accept-encoding: identity"]
    for name, value in headers:
        if name.lower() in _FRAMING:
            raise ValueError(f"the header {name!r} is written by the client itself")
        lines.append(f"{name}: {value}")
    if any("\r" in line or "\n" in line or "\0" in line for line in lines):
        raise ValueError("a header contains a line break")
    return origin, ("\r\n".join(lines) + "\r\n").encode("latin-1")
