"""The configuration with which a gateway takes the world for its providers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from openpollen.catalog.parse import ProviderRow

KEY = "world-key"
#: What signers of requests need beside the file: a bucket is asked for with a signature only.
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "world", "AWS_SECRET_ACCESS_KEY": KEY, "AWS_REGION": "us-east-1"}
_BUCKET = "?output=s3://world-films/reel"


def wires_of(providers: Mapping[str, ProviderRow]) -> dict[str, str]:
    """Which wire each provider speaks; the built-in engines are none of them."""
    return {name: row.wire for name, row in providers.items() if name != "local"}


def operator_file(providers: Mapping[str, ProviderRow], origin: str) -> str:
    """An operator's file that sends every provider of the catalogue to the world at ``origin``."""
    parts = ["# Pretended providers: for trying and testing only.\n"]
    for name, row in providers.items():
        if name != "local":
            path = _path(row.base_url)
            key = "" if row.signer == "aws" and row.key is None else f'key = "{KEY}"\n'
            parts.append(f'[providers.{name}]\nbase_url = "{origin}/{name}{path}"\n{key}')
    return "\n".join(parts)


def _path(base_url: str) -> str:
    """What follows the host of a shipped address, with its placeholders filled; ``{model}`` stays, it is filled by each
    call."""
    bare = re.sub(r"^\{[A-Z][A-Z0-9_]*\}", "http://host", base_url)
    bare = bare.replace("{BEDROCK_S3_URI}", "BUCKET")
    url = urlsplit(re.sub(r"\{[A-Z][A-Z0-9_]*\}", "world", bare))
    query = _BUCKET if "output=" in url.query else f"?{url.query}" if url.query else ""
    return url.path.rstrip("/") + query
