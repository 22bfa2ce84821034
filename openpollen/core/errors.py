"""The error tree. Each error is safe to show: its message never carries a key, a path or a provider's secret.

GatewayError
 ├── BadRequest 400            ├── Conflict 409                 ├── InternalError 500
 ├── Unauthorized 401          ├── PayloadTooLarge 413          ├── BadGateway 502
 ├── PaymentRequired 402       ├── UnsupportedMediaType 415     ├── ServiceUnavailable 503
 ├── Forbidden 403             ├── MisdirectedRequest 421       └── GatewayTimeout 504
 ├── NotFound 404              ├── UnprocessableEntity 422
 ├── MethodNotAllowed 405      ├── RateLimited 429
 └── RangeNotSatisfiable 416
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class GatewayError(Exception):
    """An answer to the caller. ``message`` says what is wrong and what to do; ``reason`` is a finer word than the code.

    ``retry_after`` is in whole seconds and becomes the Retry-After header. ``spent`` marks an error raised after money
    may have been spent upstream: the answer then carries ``x-should-retry: false``.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after: int | None = None,
        spent: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.details = dict(details) if details else None
        self.retry_after = retry_after
        self.spent = spent


class BadRequest(GatewayError):
    status, code = 400, "BAD_REQUEST"


class Unauthorized(GatewayError):
    status, code = 401, "UNAUTHORIZED"


class PaymentRequired(GatewayError):
    status, code = 402, "PAYMENT_REQUIRED"


class Forbidden(GatewayError):
    status, code = 403, "FORBIDDEN"


class NotFound(GatewayError):
    status, code = 404, "NOT_FOUND"


class MethodNotAllowed(GatewayError):
    status, code = 405, "METHOD_NOT_ALLOWED"


class Conflict(GatewayError):
    status, code = 409, "CONFLICT"


class PayloadTooLarge(GatewayError):
    status, code = 413, "PAYLOAD_TOO_LARGE"


class UnsupportedMediaType(GatewayError):
    status, code = 415, "UNSUPPORTED_MEDIA_TYPE"


class RangeNotSatisfiable(GatewayError):
    status, code = 416, "RANGE_NOT_SATISFIABLE"


class MisdirectedRequest(GatewayError):
    status, code = 421, "MISDIRECTED_REQUEST"


class UnprocessableEntity(GatewayError):
    status, code = 422, "UNPROCESSABLE_ENTITY"


class RateLimited(GatewayError):
    status, code = 429, "RATE_LIMITED"


class InternalError(GatewayError):
    status, code = 500, "INTERNAL_ERROR"


class BadGateway(GatewayError):
    status, code = 502, "BAD_GATEWAY"


class ServiceUnavailable(GatewayError):
    status, code = 503, "SERVICE_UNAVAILABLE"


class GatewayTimeout(GatewayError):
    status, code = 504, "GATEWAY_TIMEOUT"


class ConfigError(Exception):
    """The configuration is wrong. ``problems`` has one line for each fault, naming file, table and key."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
