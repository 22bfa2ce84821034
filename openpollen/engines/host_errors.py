"""Every failure of the engine host as an OpenAI error: ``{"error": {message, type, code}}`` with the right status."""

from __future__ import annotations

import logging
from typing import Any

from starlette.responses import JSONResponse

from openpollen.core.errors import GatewayError, ServiceUnavailable
from openpollen.engines.base import Missing

_log = logging.getLogger("openpollen.engines")


def describe(error: BaseException) -> GatewayError:
    """What the caller is told. A fault that is nobody's plan is logged and told without its details."""
    if isinstance(error, GatewayError):
        return error
    if isinstance(error, Missing):
        return ServiceUnavailable(str(error), reason="weights_missing")
    _log.error("a local engine failed", exc_info=error)
    return GatewayError("The local engine failed on this request; the server's log has the details.")


def error_body(error: BaseException) -> dict[str, Any]:
    told = describe(error)
    kind = "rate_limit_error" if told.status == 429 else "server_error"
    if told.status < 500 and told.status != 429:
        kind = "invalid_request_error"
    return {"error": {"message": told.message, "type": kind, "code": told.reason or told.code.lower()}}


def error_response(error: Exception) -> JSONResponse:
    told = describe(error)
    headers = {"Retry-After": str(told.retry_after)} if told.retry_after else None
    return JSONResponse(error_body(told), told.status, headers)
