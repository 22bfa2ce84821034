"""AWS Signature Version 4: the authorization of a request, made of an access key. Pure; the clock is an argument.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import posixpath
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote

from msgspec import structs

from openpollen.outbound.message import Outgoing, parse_origin

_ALGORITHM = "AWS4-HMAC-SHA256"
#: Headers that a proxy may change, and the signature's own.
_UNSIGNED = frozenset({"authorization", "user-agent", "x-amzn-trace-id"})
_PLAIN = "-_.~"


def sign(out: Outgoing, secret: Mapping[str, str], now: datetime) -> Outgoing:
    """The request with the headers that authorise it at the AWS service ``out.service`` names, such as ``bedrock`` or ``s3``.

    ``secret`` has ``access_key``, ``secret_key``, ``region`` and, for temporary credentials, ``session_token``. ``now`` has a
    time zone; AWS accepts a quarter of an hour of difference to its own clock. Raises ValueError for a body that is not
    bytes, for its digest is signed.
    """
    if not isinstance(out.body, bytes):
        raise ValueError("a body that comes in pieces cannot be signed")
    _, host, target = parse_origin(out.url)
    path, _, query = target.partition("?")
    digest = hashlib.sha256(out.body).hexdigest()
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    added = [("x-amz-date", stamp)]
    if out.service == "s3":
        added.append(("x-amz-content-sha256", digest))
    if secret.get("session_token"):
        added.append(("x-amz-security-token", secret["session_token"]))
    headers = (*out.headers, *added)
    signed = _canonical_headers((("host", host), *headers))
    names = ";".join(signed)
    lines = [f"{name}:{value}" for name, value in signed.items()]
    request = "\n".join([out.method, _path(path, out.service), _query(query), *lines, "", names, digest])
    scope = f"{stamp[:8]}/{secret['region']}/{out.service}/aws4_request"
    text = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    signature = hmac.digest(_key(secret, stamp[:8], out.service), text.encode(), "sha256").hex()
    credential = f"Credential={secret['access_key']}/{scope}"
    value = f"{_ALGORITHM} {credential}, SignedHeaders={names}, Signature={signature}"
    return structs.replace(out, headers=(*headers, ("authorization", value)))


def _key(secret: Mapping[str, str], day: str, service: str) -> bytes:
    key = b"AWS4" + secret["secret_key"].encode()
    for part in (day, secret["region"], service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _canonical_headers(headers: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Names in lower case and sorted, values with single spaces; a header that comes twice has both values."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        if name.lower() not in _UNSIGNED:
            values.setdefault(name.lower(), []).append(" ".join(value.split()))
    return {name: ",".join(values[name]) for name in sorted(values)}


def _path(path: str, service: str) -> str:
    """The path as it is signed. It is encoded already, and encoded once more, without its dots and empty parts; that of S3 is
    signed as it is sent, for there they are names."""
    if service == "s3":
        return path
    plain = posixpath.normpath(path)
    plain = "/" + plain.lstrip("/")
    if path.endswith("/") and plain != "/":
        plain += "/"
    return quote(plain, safe="/" + _PLAIN)


def _query(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    return "&".join(sorted(f"{quote(name, safe=_PLAIN)}={quote(value, safe=_PLAIN)}" for name, value in pairs))
