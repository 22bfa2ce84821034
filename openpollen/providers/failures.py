"""What a provider's failure means to the caller, and whether another route may be tried. One table for all wires.

| the provider says                                           | the caller gets                               | next |
| ----------------------------------------------------------- | --------------------------------------------- | ---- |
| content refused (by its code, whatever the status)          | 422 ``content_policy_violation``              | no   |
| no credit left there (402, or by its code)                  | 502 ``provider_credit``                       | yes  |
| our credential or permission refused (401, 403, or by code) | 502 ``provider_credential``                   | yes  |
| overloaded (503, 529, or by its code)                       | 503 ``upstream_overloaded``, with Retry-After | yes  |
| our rate limit there is reached (429)                       | 502 ``provider_rate_limit``, with Retry-After | yes  |
| model, voice or path unknown there (404, 405, 410, or code) | 502 ``provider_unknown_model``                | yes  |
| time-out (408; 504 and 524, which may have cost money)      | 504 ``upstream_timeout``                      | yes  |
| request invalid (400, 413, 415, 422)                        | 400 with its words                            | no   |
| a fault of its own (other 5xx, 409, redirects)              | 502 ``upstream_error``                        | yes  |
| 2xx that is not an answer (may have cost money)             | 502 ``upstream_invalid_answer``               | yes  |
| no connection; it broke off                                 | 502 ``upstream_unreachable``, ``_broken``     | yes  |
| no free connection to it                                    | 503 ``upstream_overloaded``                   | yes  |
| our own engine host (``local``): 429, 503                   | the same, with its words and code             | yes  |
| our own engine host (``local``): 400, 413, 422              | the same, with its words and code             | no   |

``next``: whether another route may be tried, which ends with the first byte sent to the caller. ``details`` name the
provider, its status and, in ``hint``, what the operator can do. All that a provider wrote passes ``scrub`` before it is
shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, cast

import msgspec
from msgspec import Struct, structs

from openpollen.core.errors import (
    BadGateway,
    BadRequest,
    GatewayError,
    GatewayTimeout,
    PayloadTooLarge,
    RateLimited,
    ServiceUnavailable,
    UnprocessableEntity,
)
from openpollen.core.model import Provider
from openpollen.outbound.message import Busy, ConnectFailed, OutboundError, Timeout
from openpollen.outbound.scrub import scrub

_WORDS_LIMIT = 600
_MAX_RETRY_AFTER = 3600
_REFUSED = (
    "content_policy", "content_filter", "contentfilter", "moderation", "responsibleaipolicyviolation",
    "datainspectionfailed", "data_inspection_failed", "sensitivecontent", "safety_violation", "image_safety",
    "riskdetection", "contentsecurity", "ipinfringement", "bad_prompt", "against_policy",
)  # fmt: skip
_REFUSED_EXACT = frozenset({"1301", "1026", "1027", "safety"})
#: Arguments of ``Words.has`` that recognise a refusal of content.
REFUSED = (_REFUSED, _REFUSED_EXACT)
_CREDIT = (
    "insufficient_quota", "insufficient_balance", "insufficient_funds", "insufficient_credit", "exceeded_current_quota",
    "quota_exceeded", "billing", "arrear", "accountoverdue", "credit_balance", "payment_required",
)  # fmt: skip
_CREDIT_EXACT = frozenset({"1113", "1008", "quotaexceeded", "setlimitexceeded", "allocationquota.freetieronly"})
_CREDENTIAL = (
    "invalid_api_key", "api_key_invalid", "invalidapikey", "authentication", "permission_denied", "unauthorized",
    "accessdenied", "unrecognizedclient", "expiredtoken", "invalidsignature", "incompletesignature", "unauthenticated",
)  # fmt: skip
#: Google's word for an account or region that may not use the API yet, with status 400.
_CREDENTIAL_EXACT = frozenset({"failed_precondition"})
_OVERLOADED = (
    "overload", "server_busy", "system_busy", "at_capacity", "queue_full", "modelnotready", "serviceunavailableexception",
)  # fmt: skip
_OVERLOADED_EXACT = frozenset({"unavailable"})
_LIMITED = ("servicequotaexceeded", "rate_limit_error", "throttlingexception", "resource_exhausted")
_SLOW = ("timeout_error", "modeltimeoutexception", "deadline_exceeded")
_UNKNOWN = ("voice_not_found",)
#: Words of messages, in lower case, for hosts whose codes do not tell: xAI has 400 or 403 for all of these, Amazon 400 for a
#: refusal and for a model that the account or region does not have, Anthropic 400 for a refusal and for what our account lacks.
_REFUSED_WORDS = (
    "rejected by content moderation", "content violates usage guidelines", "blocked by our content filters",
    "responsible ai policy", "blocked by content filtering policy",
)  # fmt: skip
_CREDIT_WORDS = (
    "credit balance is too low", "used all available credits", "doesn't have any credits", "monthly spending limit",
    "api usage limits. you will regain access", "exhausted balance",
)  # fmt: skip
_CREDENTIAL_WORDS = ("incorrect api key provided", "this organization has been disabled")
_UNKNOWN_WORDS = ("model identifier is invalid", "with on-demand throughput")
#: MiniMax answers 200 and a number of its own (https://platform.minimax.io/docs/api-reference/errorcode); what it stands for.
_BASE_RESP = {1001: 504, 1002: 429, 1039: 429, 1004: 401, 2049: 401, 2013: 400, 1042: 400}
_INVALID = frozenset({400, 413, 415, 422})
#: Codes by which a frame decoder says that what came is no whole stream; the provider reported no error of its own.
_NO_STREAM = frozenset({"stream_cut", "stream_invalid", "stream_expected"})
#: The provider of the built-in engines. Its words are ours: they are meant for the caller as they stand.
LOCAL = "local"
_LOCAL_ERRORS: Mapping[int, type[GatewayError]] = {
    400: BadRequest,
    413: PayloadTooLarge,
    422: UnprocessableEntity,
    429: RateLimited,
    503: ServiceUnavailable,
}


class Failure(Exception):
    """A call that a provider did not serve: the ``error`` for the caller, and whether another route may be tried. ``unmade``
    is said of a job whose host tells only in place of its result that it failed."""

    def __init__(self, error: GatewayError, *, retryable: bool, unmade: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.retryable = retryable
        self.unmade = unmade


class Words(Struct, frozen=True):
    """What a provider's error body says: its message, its codes in lower case, after how many seconds to try again, and the
    status that a number of its own stands for."""

    message: str = ""
    codes: tuple[str, ...] = ()
    param: str | None = None
    after: int | None = None
    status: int | None = None

    def has(self, parts: tuple[str, ...], exact: frozenset[str] = frozenset()) -> bool:
        return any(code in exact or any(part in code for part in parts) for code in self.codes)

    def says(self, phrases: tuple[str, ...]) -> bool:
        """Whether the message begins with, or soon comes to, one of these; further on it may quote the caller."""
        start = self.message[:160].lower()
        return any(phrase in start for phrase in phrases)


def refused(words: Words) -> bool:
    """Whether a provider refused the content."""
    return words.has(*REFUSED) or words.says(_REFUSED_WORDS)


def refusal(why: str, provider: Provider, status: int = 200) -> Failure:
    """Content that a provider refused. ``why`` has passed ``scrub``."""
    error = UnprocessableEntity(
        f"The provider refused this content: {why or 'no reason given'}",
        reason="content_policy_violation",
        details={"provider": provider.name, "upstreamStatus": status},
    )
    return Failure(error, retryable=False)


def from_answer(status: int, headers: Mapping[str, str], body: bytes, provider: Provider) -> Failure:
    """The failure that an answer means, by the table above. ``status`` 200 is an error inside a stream or a body."""
    words = _with_type(read_words(body), headers)
    shown = scrub(words.message, [provider.key] if provider.key else []).strip()[:_WORDS_LIMIT]
    details: dict[str, Any] = {"provider": provider.name, "upstreamStatus": status}
    after = retry_after(headers) or words.after
    if 200 <= status < 300 and words.status is not None:
        status = words.status
    if refused(words):
        return refusal(shown, provider, status)
    if provider.name == LOCAL and shown and status in _LOCAL_ERRORS:
        kind = _LOCAL_ERRORS[status]
        reason = next((code for code in words.codes[:1] if code != kind.code.lower()), None)
        told = kind(shown, reason=reason, details={"provider": LOCAL}, retry_after=retry_after(headers))
        return Failure(told, retryable=status in (429, 503))
    if words.has(_CREDIT, _CREDIT_EXACT) or words.says(_CREDIT_WORDS) or status == 402:
        return _ours("has no credit left with it", "provider_credit", "top up the account there", provider, details)
    if (
        words.has(_CREDENTIAL, _CREDENTIAL_EXACT)
        or words.says(_CREDENTIAL_WORDS)
        or (status in (401, 403) and not words.has(_UNKNOWN))
    ):
        hint = f"check {provider.key_env or 'its key'} and what the key may do there"
        return _ours("was refused access by it", "provider_credential", hint, provider, details)
    if words.has(_OVERLOADED, _OVERLOADED_EXACT) or status in (503, 529):
        return _overloaded(provider, details, after)
    if status == 429 or words.has(_LIMITED):
        hint = "raise the rate limit there or add another route"
        return _ours("reached its rate limit with it", "provider_rate_limit", hint, provider, details, after)
    if status in (404, 405, 410) or words.has(_UNKNOWN) or words.says(_UNKNOWN_WORDS):
        hint = "check base_url and the route's model name"
        return _ours("asked it for a model or path it does not have", "provider_unknown_model", hint, provider, details)
    if status in (408, 504, 524) or words.has(_SLOW):
        error = GatewayTimeout(
            f"The provider {provider.name} did not finish in time. Try again, or ask for less.",
            reason="upstream_timeout",
            details=details,
            spent=status != 408,
        )
        return Failure(error, retryable=True)
    if status in _INVALID:
        if words.param:
            details["param"] = scrub(words.param)
        message = shown or f"The provider {provider.name} calls this request invalid and gives no reason."
        return Failure(BadRequest(message, reason="upstream_invalid_request", details=details), retryable=False)
    if shown:
        details["upstreamMessage"] = shown
    if words.has((), _NO_STREAM):
        return Failure(BadGateway(shown, reason="upstream_error", details=details, spent=True), retryable=True)
    if 200 <= status < 300 and not words.message:
        return unreadable("an answer that cannot be read", provider)
    error = BadGateway(
        f"The provider {provider.name} failed. Try again in a moment.", reason="upstream_error", details=details
    )
    return Failure(error, retryable=True)


def unreadable(what: str, provider: Provider) -> Failure:
    """A 2xx answer that is none: ``what`` names what came instead."""
    error = BadGateway(
        f"The provider {provider.name} sent {what}.",
        reason="upstream_invalid_answer",
        details={"provider": provider.name},
        spent=True,
    )
    return Failure(error, retryable=True)


def no_access(provider: Provider, hint: str) -> Failure:
    """Nothing was sent, for there is no credential to send; ``hint`` tells the operator why."""
    return _ours("was refused access by it", "provider_credential", hint, provider, {"provider": provider.name})


def from_transport(problem: OutboundError, provider: Provider) -> Failure:
    """The failure that a broken or refused connection means. The problem's own text stays for the log."""
    details: dict[str, Any] = {"provider": provider.name}
    error: GatewayError
    if isinstance(problem, Busy) or (isinstance(problem, Timeout) and problem.kind == "queue"):
        return _overloaded(provider, details, None)
    if isinstance(problem, ConnectFailed) or (isinstance(problem, Timeout) and problem.kind == "connect"):
        details["hint"] = "check base_url, and that the host answers (polli admin doctor)"
        message = f"The provider {provider.name} cannot be reached. Try again later, or ask for another model."
        return Failure(BadGateway(message, reason="upstream_unreachable", details=details), retryable=True)
    if isinstance(problem, Timeout):
        message = f"The provider {provider.name} did not finish in time. Try again, or ask for less."
        error = GatewayTimeout(message, reason="upstream_timeout", details=details, spent=problem.sent)
    else:
        message = f"The connection to the provider {provider.name} broke off before the answer was whole."
        error = BadGateway(message, reason="upstream_broken", details=details, spent=problem.sent)
    return Failure(error, retryable=True)


def read_words(body: bytes) -> Words:
    """Finds the message and codes in an error body, in any of the shapes that OpenAI-like hosts use.

    ``{error: {message, code, type, param, innererror}}``, ``{error: text}``, ``{message, code}``, ``{detail: text, list or
    {status, message, data: {prompt_suggestion}}}``, ``{base_resp: {status_code, status_msg}}``, AWS's ``{__type, message}``;
    text that is no JSON is taken as the message unless it is HTML.
    """
    try:
        answer: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = body[:_WORDS_LIMIT].decode("utf-8", "replace").strip()
        return Words("" if text.startswith("<") else text)
    outer = _object(answer[0] if isinstance(answer, list) and answer else answer)
    if not outer:
        return Words(answer if isinstance(answer, str) else "")
    found: Any = outer.get("error") or outer.get("detail") or outer.get("base_resp") or outer
    if isinstance(found, list):
        items = _array(found)[:3]
        return Words("; ".join(map(_item_words, items)), _codes(_object(item).get("type") for item in items))
    if not isinstance(found, dict):
        return Words(str(found), _codes((outer.get("code"), outer.get("type"), outer.get("error_type"))))
    inner = _object(found)
    codes = [inner.get(name) for name in ("code", "type", "status", "status_code", "reason")]
    codes.append(_object(inner.get("innererror")).get("code"))
    more = [_object(detail) for detail in _array(inner.get("details"))]
    codes += [detail.get("reason") for detail in more]
    kind = inner.get("__type")
    codes.append(kind.rpartition("#")[2] if isinstance(kind, str) else None)
    message = inner.get("message") or inner.get("status_msg") or inner.get("msg") or inner.get("Message") or ""
    if suggested := _object(inner.get("data")).get("prompt_suggestion"):
        message = f"{message} The provider suggests: {suggested}"
    param = inner.get("param")
    after = next((_delay(detail["retryDelay"]) for detail in more if "retryDelay" in detail), None)
    number = inner.get("status_code")
    stands_for = _BASE_RESP.get(number) if "base_resp" in outer and isinstance(number, int) else None
    return Words(str(message), _codes(codes), param if isinstance(param, str) else None, after, stands_for)


def retry_after(headers: Mapping[str, str]) -> int | None:
    """Whole seconds of ``retry-after-ms`` or ``retry-after`` (a number or a date), rounded up, at most an hour."""
    lower = {name.lower(): value for name, value in headers.items() if name.lower().startswith("retry-after")}
    try:
        if "retry-after-ms" in lower:
            seconds = float(lower["retry-after-ms"]) / 1000
        elif "retry-after" in lower:
            value = lower["retry-after"]
            seconds = float(value) if _is_number(value) else _until(value, headers.get("date"))
        else:
            return None
    except (ValueError, TypeError):
        return None
    return min(_MAX_RETRY_AFTER, max(1, math.ceil(seconds))) if math.isfinite(seconds) else None


def _ours(
    what: str, reason: str, hint: str, provider: Provider, details: dict[str, Any], after: int | None = None
) -> Failure:
    message = f"This gateway {what} (provider {provider.name}). Ask its operator, or try another model."
    error = BadGateway(message, reason=reason, details=details | {"hint": hint}, retry_after=after)
    return Failure(error, retryable=True)


def _overloaded(provider: Provider, details: dict[str, Any], after: int | None) -> Failure:
    message = f"The provider {provider.name} is overloaded. Try again in a moment."
    error = ServiceUnavailable(message, reason="upstream_overloaded", details=details, retry_after=after or 5)
    return Failure(error, retryable=True)


def _item_words(item: Any) -> str:
    entry = _object(item)
    if not entry:
        return str(item)
    where = ".".join(str(step) for step in _array(entry.get("loc")))
    return f"{where}: {entry.get('msg', '')}" if where else str(entry.get("msg", ""))


def _object(value: Any) -> dict[str, Any]:
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _array(value: Any) -> list[Any]:
    return cast(list[Any], value) if isinstance(value, list) else []


def _with_type(words: Words, headers: Mapping[str, str]) -> Words:
    """AWS names the kind of an error in a header: ``ThrottlingException:http://...``."""
    kind = headers.get("x-amzn-errortype", "").partition(":")[0]
    return structs.replace(words, codes=(*words.codes, kind.lower())) if kind else words


def _delay(text: Any) -> int | None:
    """Whole seconds of Google's ``34.07s``, rounded up, at most an hour."""
    seconds = str(text).removesuffix("s")
    return min(_MAX_RETRY_AFTER, max(1, math.ceil(float(seconds)))) if _is_number(seconds) else None


def _codes(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(str(value).lower() for value in values if isinstance(value, str | int) and not isinstance(value, bool))


def _is_number(value: str) -> bool:
    return value.replace(".", "", 1).strip().isdigit()


def _until(date: str, now: str | None) -> float:
    # A date is measured against the provider's own clock, which the same answer tells.
    return (parsedate_to_datetime(date) - parsedate_to_datetime(now or "")).total_seconds()
