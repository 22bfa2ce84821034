"""Fetches addresses that others give, and only from the public internet (rule 24).

Of an address every name resolution, redirects included, is checked: if any of the host's IP addresses is not public the
fetch is refused, and the connection goes to the very IP address that was checked, so a name that changes its mind in
between (DNS rebinding) gains nothing. Wrapped IPv4 addresses (mapped, NAT64, 6to4, Teredo) are unwrapped first; hosts
spelt as decimal, octal, hexadecimal or shortened numbers are refused. Size and time are limited; nothing is sent along.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import unquote_to_bytes, urljoin

from openpollen.core.assets import Asset
from openpollen.core.errors import BadGateway, BadRequest
from openpollen.outbound.client import Client
from openpollen.outbound.connection import Response
from openpollen.outbound.message import (
    Origin,
    OutboundError,
    Outgoing,
    Timeouts,
    TooLarge,
    parse_origin,
)
from openpollen.outbound.scrub import scrub

UNSNIFFED = "application/octet-stream"
MAX_REDIRECTS = 3
_MAX_URL = 8192
_TRIED_ADDRESSES = 3
_GONE = frozenset({400, 401, 403, 404, 410})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: What ``ipaddress`` of Python 3.11 calls global although nobody's public server has such an address.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(net)
    for net in ("192.88.99.0/24", "3fff::/20", "5f00::/16", "64:ff9b:1::/48", "fec0::/10", "::/96", "2001::/23")
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NUMERIC_HOST = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)\.?$", re.IGNORECASE)
_DATA_URI = re.compile(r"data:(?P<head>[^,]{0,200}),", re.IGNORECASE)
_SPACE = re.compile(rb"\s+")

Resolver = Callable[[str, int], Awaitable[list[str]]]
#: Tells the media type of bytes by looking at them.
Sniffer = Callable[[bytes], str]
#: Reads one of our own media addresses from the store; None for an address that is not ours.
OwnMedia = Callable[[str], Awaitable[Asset | None]]


class _Refused(Exception):
    """Why an address cannot be used; ``gone`` when its host says that there is nothing."""

    def __init__(self, message: str, *, gone: bool = False) -> None:
        super().__init__(message)
        self.gone = gone


async def resolve(host: str, port: int) -> list[str]:
    """The IP addresses of a host, by the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Guard:
    """Fetches through the checks above. ``own`` serves our own media addresses without any connection."""

    def __init__(
        self, client: Client, sniff: Sniffer, *, own: OwnMedia | None = None, resolver: Resolver = resolve
    ) -> None:
        self._client = client
        self._sniff = sniff
        self._own = own
        self._resolve = resolver

    async def fetch_public(
        self, url: str, *, max_bytes: int, timeout: float = 20.0, accept: tuple[str, ...] = ("image/",)
    ) -> Asset:
        """The file at an address that a caller gave, its type told from its bytes.

        ``accept`` are beginnings of media types. Raises BadRequest that names the address and the reason.
        """
        try:
            return await self._fetch(url, max_bytes, timeout, accept, None)
        except _Refused as reason:
            raise BadRequest(f"The address {_shown(url)} cannot be used: {reason}.", reason="invalid_url") from None

    async def fetch_result(
        self, url: str, base_url: str, *, max_bytes: int, timeout: float = 120.0, accept: tuple[str, ...] = ("",)
    ) -> Asset:
        """The file at an address that a provider returned: from the provider's own configured host, wherever that is,
        or from the public internet. No credential is sent. Raises BadGateway."""
        try:
            return await self._fetch(url, max_bytes, timeout, accept, parse_origin(base_url)[0])
        except _Refused as reason:
            message = f"The provider made a result that could not be fetched: {reason}."
            if reason.gone:
                raise BadGateway(message, reason="result_gone", spent=True) from None
            raise BadGateway(message, reason="result_unavailable", spent=True) from None

    async def _fetch(
        self, url: str, max_bytes: int, timeout: float, accept: tuple[str, ...], trusted: Origin | None
    ) -> Asset:
        try:
            async with asyncio.timeout(timeout):
                asset = await self._follow(url, max_bytes, timeout, accept, trusted)
        except TimeoutError:
            raise _Refused(f"it did not answer within {timeout:g} seconds") from None
        if len(asset.data) > max_bytes:
            raise _Refused(_too_large(max_bytes))
        _check_type(asset.mime, accept)
        return asset

    async def _follow(
        self, url: str, max_bytes: int, timeout: float, accept: tuple[str, ...], trusted: Origin | None
    ) -> Asset:
        for _ in range(MAX_REDIRECTS + 1):
            if self._own is not None and (asset := await self._own(url)) is not None:
                return asset
            response = await self._open(url, timeout, accept, trusted)
            if response.status in _REDIRECTS and "location" in response.headers:
                response.close()
                url = urljoin(url, response.headers["location"])
                continue
            return await self._read(response, url, max_bytes)
        raise _Refused(f"it redirects more than {MAX_REDIRECTS} times")

    async def _open(self, url: str, timeout: float, accept: tuple[str, ...], trusted: Origin | None) -> Response:
        if len(url) > _MAX_URL:
            raise _Refused(f"it is longer than {_MAX_URL} characters")
        try:
            origin = parse_origin(url)[0]
        except (ValueError, UnicodeError) as error:
            raise _Refused(_lower_first(str(error))) from None
        addresses = [None] if origin == trusted else await self._public_addresses(origin)
        kinds = ", ".join(f"{kind}*" if kind.endswith("/") else kind for kind in accept if kind)
        headers = (("accept", kinds or "*/*"), ("user-agent", "OpenPollen"))
        timeouts = Timeouts(connect=min(timeout, 5.0), first_byte=timeout, idle=timeout, total=timeout)
        for address in addresses[:_TRIED_ADDRESSES]:
            try:
                return await self._client.request(Outgoing("GET", url, headers, b"", timeouts, address))
            except OutboundError as error:
                if error.sent:
                    raise _Refused("its host does not answer in HTTP") from error
        raise _Refused("its host does not answer")

    async def _public_addresses(self, origin: Origin) -> list[str | None]:
        host = origin.host
        if ":" not in host and _NUMERIC_HOST.search(host) and not _is_plain_ipv4(host):
            raise _Refused("its host is an unusual spelling of an IP address")
        try:
            addresses = await self._resolve(host, origin.port)
        except (OSError, UnicodeError):
            raise _Refused("its host name is not known") from None
        if not addresses:
            raise _Refused("its host has no address")
        if not all(is_public(address) for address in addresses):
            raise _Refused("its host is not on the public internet")
        return [*dict.fromkeys(addresses)]

    async def _read(self, response: Response, url: str, max_bytes: int) -> Asset:
        try:
            if response.status != 200:
                gone = response.status in _GONE
                raise _Refused(f"its host answered with status {response.status}", gone=gone)
            length = response.headers.get("content-length", "")
            if length.isdigit() and int(length) > max_bytes:
                raise _Refused(_too_large(max_bytes))
            data = await response.read(max_bytes)
        except TooLarge:
            raise _Refused(_too_large(max_bytes)) from None
        except OutboundError as error:
            raise _Refused("its host broke off before the file was whole") from error
        finally:
            response.close()
        if not data:
            raise _Refused("the file there is empty")
        name = unquote_to_bytes(url.partition("?")[0].rpartition("/")[2]).decode("utf-8", "replace")
        return Asset(data, self._sniff(data), name[:100])


def parse_data_uri(uri: str, *, max_bytes: int) -> Asset:
    """The file inside a ``data:`` address, with no media type: the one it claims is nobody's word. Raises BadRequest."""
    try:
        return Asset(_decode_data_uri(uri, max_bytes), UNSNIFFED)
    except _Refused as reason:
        message = f"The data: address {_shown(uri, 40)} cannot be used: {reason}."
        raise BadRequest(message, reason="invalid_url") from None


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, whatever it is wrapped in."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id is not None:
            return False
        wrapped = _unwrap(ip)
        if wrapped:
            return all(is_public(str(inner)) for inner in wrapped)
    if any(ip.version == net.version and ip in net for net in _NOT_PUBLIC):
        return False
    return ip.is_global and not (
        ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback or ip.is_link_local
    )


def _unwrap(ip: ipaddress.IPv6Address) -> tuple[ipaddress.IPv4Address, ...]:
    if ip.ipv4_mapped is not None:
        return (ip.ipv4_mapped,)
    if ip.sixtofour is not None:
        return (ip.sixtofour,)
    if ip.teredo is not None:
        return ip.teredo
    if ip in _NAT64:
        return (ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF),)
    return ()


def _decode_data_uri(uri: str, max_bytes: int) -> bytes:
    match = _DATA_URI.match(uri)
    if match is None:
        raise _Refused("it does not have the form data:TYPE;base64,DATA")
    encoded = match["head"].lower().endswith(";base64")
    # Percent-encoding makes three characters of a byte, base64 four of three.
    if len(uri) - match.end() > (max_bytes * 4 // 3 + 4 if encoded else max_bytes) * 3:
        raise _Refused(_too_large(max_bytes))
    data = unquote_to_bytes(uri[match.end() :])
    if encoded:
        plain = _SPACE.sub(b"", data).translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
        try:
            data = base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise _Refused("its data is no valid base64") from None
    if not data:
        raise _Refused("it is empty")
    if len(data) > max_bytes:
        raise _Refused(_too_large(max_bytes))
    return data


def _check_type(mime: str, accept: tuple[str, ...]) -> None:
    if not mime.startswith(accept):
        wanted = " or ".join(kind.rstrip("/") for kind in accept)
        raise _Refused(f"the file there is not of type {wanted} (it looks like {mime})")


def _is_plain_ipv4(host: str) -> bool:
    try:
        return str(ipaddress.IPv4Address(host)) == host
    except ValueError:
        return False


def _too_large(max_bytes: int) -> str:
    return f"the file is larger than {max_bytes / 1_000_000:g} MB"


def _shown(url: str, length: int = 200) -> str:
    text = scrub("".join(char if char.isprintable() else "?" for char in url[: 4 * length]))
    return text if len(text) <= length else text[:length] + "..."


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
