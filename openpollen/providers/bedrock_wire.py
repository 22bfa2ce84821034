"""What every call to Amazon Bedrock shares: addresses, credentials, model families, faults inside an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from openpollen.core.model import Provider
from openpollen.outbound.message import Outgoing
from openpollen.providers.credential import credential
from openpollen.providers.failures import from_answer, unreadable

JSON = "application/json"
Family = Literal["claude", "nova", "nova-2", ""]
_Shape = TypeVar("_Shape", bound=Struct)


def family(model: str) -> Family:
    """Which maker's own parameters a model takes. Ids have a region before the maker: ``us.anthropic.claude-...``."""
    if "anthropic." in model or "claude" in model:
        return "claude"
    if "nova-2" in model:
        return "nova-2"
    return "nova" if "amazon.nova" in model else ""


def model_path(model: str, operation: str) -> str:
    return f"/model/{quote(model, safe='')}/{operation}"


def call(
    method: str, path: str, provider: Provider, body: Mapping[str, Any] | None = None, accept: str = ""
) -> Outgoing:
    """A request with the Bedrock API key, or to be signed where there is none. The query of ``base_url`` is not sent: it has
    settings of ours (see ``bedrock_media``)."""
    base = provider.base_url.partition("?")[0].rstrip("/")
    headers = [("accept", accept)] if accept else []
    if body is not None:
        headers.append(("content-type", JSON))
    data = b"" if body is None else msgspec.json.encode(body)
    service = "bedrock" if provider.signer == "aws" and provider.key is None else ""
    return Outgoing(method, base + path, (*headers, *credential(provider)), data, service=service)


def decode(shape: type[_Shape], status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> _Shape:
    """Raises Failure for an error status and for what is not of the shape."""
    if not 200 <= status < 300:
        raise from_answer(status, headers, body, provider)
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise unreadable("an answer that cannot be read", provider) from None
