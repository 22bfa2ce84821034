"""What a failure on the OpenAI wire means to the caller, and that no secret shows in it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from openpollen.core.chat import ChatRequest
from openpollen.core.model import Provider, Route
from openpollen.outbound.client import Client
from openpollen.outbound.message import Broken, Limits, OutboundError, Timeout
from openpollen.providers import failures
from openpollen.providers.failures import Failure
from tests.conformance.lab import FIELDS, KEY, adapter, chat, lab, send
from tests.fakeprovider import FakeProvider


@pytest.mark.parametrize(
    ("model", "status", "reason", "retryable"),
    [
        ("error-400", 400, "upstream_invalid_request", False),
        ("error-422", 400, "upstream_invalid_request", False),
        ("error-413", 400, "upstream_invalid_request", False),
        ("error-401", 502, "provider_credential", True),
        ("error-403", 502, "provider_credential", True),
        ("error-402", 502, "provider_credit", True),
        ("no-credit", 502, "provider_credit", True),
        ("error-404", 502, "provider_unknown_model", True),
        ("error-429", 502, "provider_rate_limit", True),
        ("error-408", 504, "upstream_timeout", True),
        ("error-504", 504, "upstream_timeout", True),
        ("error-524", 504, "upstream_timeout", True),
        ("error-409", 502, "upstream_error", True),
        ("error-500", 502, "upstream_error", True),
        ("error-301", 502, "upstream_error", True),
        ("html", 502, "upstream_error", True),
        ("error-503", 503, "upstream_overloaded", True),
        ("error-529", 503, "upstream_overloaded", True),
        ("overloaded", 503, "upstream_overloaded", True),
        ("content-policy", 422, "content_policy_violation", False),
        ("garbage", 502, "upstream_invalid_answer", True),
        ("empty", 502, "upstream_invalid_answer", True),
        ("leaky", 502, "provider_credential", True),
    ],
)
def test_what_an_error_means(fake: FakeProvider, model: str, status: int, reason: str, retryable: bool) -> None:
    with pytest.raises(Failure) as caught:
        chat(fake, model)
    error = caught.value.error
    assert (error.status, error.reason, caught.value.retryable) == (status, reason, retryable)
    shown = f"{error.message} {json.dumps(error.details)}"
    assert KEY not in shown
    assert KEY[:8] not in shown
    assert error.details is not None
    assert error.details["provider"] == "lab"
    if reason.startswith("provider_"):
        assert error.details["hint"]
    if model.startswith("error-4") and status == 400:
        assert f"fake error {model[6:]}" in error.message


def failure(status: int, body: Any, headers: dict[str, str] | None = None, **provider: Any) -> Failure:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return adapter.error(
        status, headers or {}, data, Provider(**({"name": "lab", "wire": "w", "base_url": "http://h"} | provider))
    )


@pytest.mark.parametrize(
    ("status", "body", "expected", "words"),
    [
        (400, {"error": {"message": "blocked", "code": "moderation_blocked"}}, 422, "blocked"),
        (400, {"error": {"message": "filtered", "code": "content_filter"}}, 422, "filtered"),
        (400, {"error": {"message": "x", "code": None, "innererror": {"code": "ResponsibleAIPolicyViolation"}}}, 422, "x"),
        (400, {"code": "DataInspectionFailed", "message": "bad words"}, 422, "bad words"),
        (400, {"error": {"code": "1301", "message": "unsafe"}}, 422, "unsafe"),
        (400, {"error": {"code": "InputTextSensitiveContentDetected", "message": "s"}}, 422, "s"),
        (429, {"error": {"code": "1113", "message": "no balance"}}, 502, "no credit"),
        (429, {"error": {"type": "exceeded_current_quota_error", "message": "q"}}, 502, "no credit"),
        (400, {"code": "Arrearage", "message": "overdue"}, 502, "no credit"),
        (429, {"error": {"type": "engine_overloaded_error", "message": "busy"}}, 503, "overloaded"),
        (400, {"error": {"code": "invalid_api_key", "message": "bad key"}}, 502, "refused access"),
        (422, {"detail": [{"loc": ["body", "n"], "msg": "required", "type": "missing"}]}, 400, "body.n: required"),
        (422, {"detail": "too long"}, 400, "too long"),
        (400, {"object": "error", "message": "context is 4096", "code": 40303}, 400, "context is 4096"),
        (400, {"error": "just words"}, 400, "just words"),
        (400, [{"error": {"message": "in a list"}}], 400, "in a list"),
        (400, b"plain words", 400, "plain words"),
        (400, b"<html>no</html>", 400, "gives no reason"),
        (400, b"\xff\xfe\x00", 400, ""),
        (200, {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, 502, "no credit"),
        (200, {"base_resp": {"status_code": 1027, "status_msg": "output"}}, 422, "output"),
        (200, {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, 502, "rate limit with it"),
        (200, {"base_resp": {"status_code": 1039, "status_msg": "tokens a minute"}}, 502, "rate limit with it"),
        (200, {"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, 502, "refused access"),
        (200, {"base_resp": {"status_code": 2013, "status_msg": "invalid params: n"}}, 400, "invalid params: n"),
        (200, {"base_resp": {"status_code": 1001, "status_msg": "request timeout"}}, 504, "in time"),
        (200, {"base_resp": {"status_code": 1013, "status_msg": "internal"}}, 502, "failed"),
        (403, {"detail": "User is locked. Reason: Exhausted balance. Top up your balance."}, 502, "no credit"),
        (403, {"detail": "User is locked. Reason: Abuse."}, 502, "refused access"),
        (402, {"error": {"code": "PAYMENT_REQUIRED", "message": "Insufficient balance"}}, 502, "no credit"),
    ],
)  # fmt: skip
def test_errors_in_the_shapes_of_many_hosts(status: int, body: Any, expected: int, words: str) -> None:
    found = failure(status, body)
    assert found.error.status == expected
    assert words in found.error.message


def test_an_error_inside_a_good_status_is_an_error() -> None:
    provider = Provider("p", "w", "http://h")
    for body in (
        {"error": {"message": "m", "code": "overloaded"}},
        {"base_resp": {"status_code": 1002, "status_msg": "m"}},
    ):
        with pytest.raises(Failure):
            adapter.decode_chat(200, {}, json.dumps(body).encode(), provider)
    with pytest.raises(Failure, match="without choices"):
        adapter.decode_chat(200, {}, b'{"choices": []}', provider)


def test_words_that_repeat_our_key_are_shown_without_it() -> None:
    body = {"error": {"message": f"header 'Bearer {KEY}' is too long; {KEY[:8]}...{KEY[-8:]}", "param": KEY}}
    error = failure(400, body, key=KEY).error
    shown = f"{error.message} {error.details}"
    assert "is too long" in shown
    assert KEY[:8] not in shown
    assert KEY[-8:] not in shown


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after": "0.2"}, 1),
        ({"retry-after-ms": "1500", "retry-after": "99"}, 2),
        ({"retry-after": "Sun, 22 Nov 2026 21:00:30 GMT", "date": "Sun, 22 Nov 2026 21:00:00 GMT"}, 30),
        ({"retry-after": "999999"}, 3600),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: int | None) -> None:
    assert failure(429, {"error": {"message": "slow down"}}, headers).error.retry_after == seconds


@pytest.mark.parametrize(("status", "retryable"), [(422, False), (429, True), (503, True)])
def test_words_of_the_built_in_engines_reach_the_caller(status: int, retryable: bool) -> None:
    body = {"error": {"message": "run polli models pull", "code": "weights_missing"}}
    found = failure(status, body, {"retry-after": "3"}, name=failures.LOCAL)
    assert (found.error.status, found.error.message, found.error.reason) == (
        status,
        "run polli models pull",
        "weights_missing",
    )
    assert (found.error.retry_after, found.retryable) == (3, retryable)


@pytest.mark.parametrize(
    ("model", "timeouts", "status", "spent"),
    [("resets", {}, 502, True), ("cut", {}, 502, True), ("never", {"first_byte": 0.05}, 504, True)],
)
def test_connections_that_break_or_stay_silent(
    fake: FakeProvider, model: str, timeouts: dict[str, float], status: int, spent: bool
) -> None:
    provider = lab(fake)

    async def main() -> Failure:
        client = Client(Limits(beat=0.01))
        out = adapter.encode_chat(ChatRequest(FIELDS), Route("lab", model), provider)
        try:
            with pytest.raises((Broken, Timeout)) as caught:
                await send(client, out, **timeouts)
        finally:
            await client.close()
        return failures.from_transport(caught.value, provider)

    found = asyncio.run(main())
    assert (found.error.status, found.error.spent, found.retryable) == (status, spent, True)
    assert str(fake.port) not in found.error.message


def test_a_host_that_is_not_there() -> None:
    provider = Provider("lab", "w", "http://127.0.0.1:1/v1")

    async def main() -> Failure:
        client = Client()
        with pytest.raises(OutboundError) as caught:
            await client.request(adapter.encode_chat(ChatRequest(FIELDS), Route("lab", "m"), provider))
        return failures.from_transport(caught.value, provider)

    found = asyncio.run(main())
    assert (found.error.status, found.error.reason, found.error.spent) == (502, "upstream_unreachable", False)
