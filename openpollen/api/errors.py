"""The one error envelope (rule 7): ``{status, success: false, error: {code, message, requestId, timestamp, ...}}``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from openpollen.api.exchange import Exchange
from openpollen.core.errors import GatewayError


def envelope(error: GatewayError, request_id: str) -> dict[str, Any]:
    """The JSON body of an error."""
    body: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "requestId": request_id,
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    if error.reason:
        body["reason"] = error.reason
    if error.details:
        body["details"] = error.details
    return {"status": error.status, "success": False, "error": body}


async def send_error(exchange: Exchange, error: GatewayError) -> None:
    """Answers with the envelope and the headers that go with the error."""
    headers: dict[str, str] = {"cache-control": "no-store"}
    if error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    if error.spent:
        headers["x-should-retry"] = "false"
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    await exchange.json(error.status, envelope(error, exchange.id), headers)
