"""What may be written as a host, a network or a public address. Each function answers what is wrong, or nothing."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")


def host_fault(host: str) -> str:
    """For the name or address of a host, without scheme and port."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        numeric = re.fullmatch(r"[0-9.]*", host) is not None
        if ":" in host or numeric or len(host) > 253 or not _NAME.fullmatch(host):
            return "a host name or an IP address, without scheme and port"
    return ""


def network_fault(network: str) -> str:
    """For one address or a network in CIDR form."""
    try:
        ipaddress.ip_network(network, strict=False)
    except ValueError:
        return "an IP address or a network such as 10.0.0.0/8"
    return ""


def page_fault(url: str) -> str:
    """For the address of a web page that people are sent to: http(s), a host, maybe port, path and query."""
    plain = url.startswith(("http://", "https://")) and not re.search(r"[\s\\#]", url) and url.isprintable()
    if not plain:
        return "a web address starts with http:// or https:// and has no blank, backslash or fragment"
    parts = urlsplit(url)
    return origin_fault(f"{parts.scheme}://{parts.netloc}")


def origin_fault(url: str) -> str:
    """For a public address: scheme, host and maybe a port; paths are the program's own."""
    if not url.startswith(("http://", "https://")):
        return "an address starts with http:// or https://"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "the host or the port cannot be read"
    if not host.isascii():
        return "a host in other letters than Latin is written in punycode, such as xn--mnchen-3ya.example"
    if re.search(r"\s", url) or host_fault(host):
        return "the host is a name or an IP address without blanks"
    if parts.path not in ("", "/") or parts.query or parts.fragment or "?" in url or "#" in url or "@" in parts.netloc:
        return "only scheme, host and port: no user, path, query or fragment"
    return ""
