"""Calls of the Bedrock adapter, and how they are compared with those of boto3: paths decoded once, JSON by value, signatures
by their scope and signed headers."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from openpollen.core.assets import Asset
from openpollen.core.model import Provider, Route
from openpollen.outbound.message import Outgoing, parse_origin
from openpollen.providers.adapter import adapters
from openpollen.providers.sigv4 import sign

SECRET = {
    "access_key": "AKIAFAKEFAKEFAKEFAKE",
    "secret_key": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
    "region": "us-east-1",
}
URL = "https://bedrock-runtime.us-east-1.amazonaws.com"
AWS = Provider("bedrock", "bedrock", URL, signer="aws", secret=SECRET)
FILMS = Provider("bedrock-video", "bedrock", f"{URL}?output=s3://fake-bucket/nova-reel/", signer="aws", secret=SECRET)
KEYED = Provider("bedrock", "bedrock", URL, key="bedrock-api-key-fake", key_env="AWS_BEARER_TOKEN_BEDROCK")
CANVAS = Route("bedrock", "amazon.nova-canvas-v1:0", "nova-canvas")
REEL = Route("bedrock-video", "amazon.nova-reel-v1:1", "nova-reel")
ARN = "arn:aws:bedrock:us-east-1:123456789012:async-invoke/abcdefgh1234"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PIXEL = Asset(PNG, "image/png")
PIXEL_URI = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"

adapter = adapters()["bedrock"]


def sent(out: Outgoing) -> Any:
    assert isinstance(out.body, bytes)
    return json.loads(out.body)


def scope(authorization: str) -> tuple[str, list[str]]:
    """Service and names of a signature."""
    parts = dict(part.split("=", 1) for part in authorization.removeprefix("AWS4-HMAC-SHA256 ").split(", "))
    return parts["Credential"].split("/", 2)[2], parts["SignedHeaders"].split(";")


def same_head(out: Outgoing, expected: Mapping[str, Any], drop: Iterable[str] = ()) -> None:
    _, _, target = parse_origin(out.url)
    assert (out.method, unquote(target)) == (expected["method"], unquote(expected["path"]))
    wanted: dict[str, str] = dict(expected["headers"])
    if out.service:
        out = sign(out, SECRET, datetime(2026, 4, 10, tzinfo=UTC))
        service, names = scope(wanted.pop("authorization"))
        got_service, got_names = scope(dict(out.headers)["authorization"])
        assert (got_service, got_names) == (service, [name for name in names if name not in drop])
    ours = {name: value for name, value in out.headers if not name.startswith("x-amz-")}
    if out.service:
        del ours["authorization"]
    assert ours == {name: value for name, value in wanted.items() if name not in drop}
