"""A whole answer is cut before its head, in its body and after, by the client and by the host: the bill is paid exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.fakeprovider import FakeProvider
from tests.fakewire import tone
from tests.faults.books import balanced, books
from tests.gateway import NANO, Account, Gateway, dumps, eventually, form
from tests.labconfig import ANSWER, IMAGE, owed

Sent = tuple[str, bytes, str]
#: Parts of a whole answer, each behind a gate: its head and three pieces of its body.
PARTS = 4


def _json(path: str, **body: Any) -> Callable[[], Sent]:
    return lambda: (path, dumps(body), "application/json")


def _recording() -> Sent:
    body, kind = form({"model": "lab-step-ears"}, [("file", "tone.wav", tone(2))])
    return "/v1/audio/transcriptions", body, kind


CALLS = {
    "chat": _json(
        "/v1/chat/completions", model="lab-step-ok", messages=[{"role": "user", "content": "Hello!"}], max_tokens=100
    ),
    "picture": _json("/v1/images/generations", model="lab-step-image", prompt="a cat", size="64x64"),
    "speech": _json("/v1/audio/speech", model="lab-step-speech", input="Hello there.", response_format="wav"),
    "transcription": _recording,
}


@pytest.mark.parametrize("parts", range(PARTS))
@pytest.mark.parametrize("kind", CALLS)
def test_the_client_leaves(payer: Account, fake: FakeProvider, kind: str, parts: int) -> None:
    """The work goes on and is paid; what was made is there for who asks again."""
    path, body, content_type = CALLS[kind]()
    with balanced(payer.gateway, fake) as before:
        gate = fake.gate("part")
        connection = payer.gateway.connect()
        connection.request("POST", path, body, {"Authorization": f"Bearer {payer.key}", "Content-Type": content_type})
        gate.reached()
        for _ in range(parts):
            gate.go()
            gate.reached()
        connection.close()
        assert payer.gateway.alive  # by now the server has noticed it
        gate.open()
        payer.rows(1)
    after = books(payer.gateway)
    assert (after.charged - before.charged, after.booked) == (owed(fake.bill), before.booked)
    if kind != "chat":
        again = payer.request("POST", path, body=body, headers={"Content-Type": content_type})
        assert (again.status, again.headers["x-delivered-again"], again.cost) == (200, "true", 0)
        assert len(fake.requests) == 1


@pytest.mark.parametrize("parts", range(PARTS))
@pytest.mark.parametrize("kind", CALLS)
def test_the_host_breaks_off(payer: Account, fake: FakeProvider, kind: str, parts: int) -> None:
    """The caller pays nothing; from the head on the platform does."""
    path, body, content_type = CALLS[kind]()
    with balanced(payer.gateway, fake) as before:
        gate = fake.gate("part")
        connection = payer.gateway.connect()
        connection.request("POST", path, body, {"Authorization": f"Bearer {payer.key}", "Content-Type": content_type})
        gate.reached()
        for _ in range(parts):
            gate.go()
            gate.reached()
            assert payer.gateway.alive  # one worker, one loop: it has read what came before this question
        gate.cut()
        response = connection.getresponse()
        response.read()
        connection.close()
        assert response.status == 502
    after = books(payer.gateway)
    assert after.charged == before.charged
    assert (after.booked > before.booked) is (parts > 0)
    assert payer.balance == NANO


@pytest.mark.parametrize("model", ["lab-garbage", "lab-empty", "lab-cut"])
def test_an_answer_that_cannot_be_used_is_booked(payer: Account, fake: FakeProvider, model: str) -> None:
    with balanced(payer.gateway, fake) as before:
        assert payer.chat(model).status == 502
    assert books(payer.gateway).booked > before.booked
    assert payer.balance == NANO


@pytest.mark.parametrize(
    "model", ["lab-error-500", "lab-error-504", "lab-resets", "lab-content-policy", "lab-no-credit"]
)
def test_nothing_answered_is_nothing_booked(payer: Account, fake: FakeProvider, model: str) -> None:
    with balanced(payer.gateway, fake) as before:
        assert payer.chat(model).status >= 400
    assert books(payer.gateway) == before
    assert fake.bill == []


def test_an_answered_attempt_before_a_fallback_is_booked(payer: Account, fake: FakeProvider) -> None:
    with balanced(payer.gateway, fake) as before:
        reply = payer.chat("lab-vain-first")
        assert (reply.status, reply.cost) == (200, ANSWER)
    after = books(payer.gateway)
    assert after.charged - before.charged == ANSWER
    assert after.booked > before.booked


def test_an_answer_that_the_safety_check_refuses_is_booked(payer: Account, fake: FakeProvider) -> None:
    with balanced(payer.gateway, fake) as before:
        reply = payer.chat("lab-chat", safe=True)
        assert (reply.status, reply.error["reason"]) == (422, "content_policy_violation")
    assert books(payer.gateway).booked - before.booked == ANSWER
    assert payer.balance == NANO


def test_a_picture_that_is_not_at_its_address_is_booked(payer: Account, fake: FakeProvider) -> None:
    with balanced(payer.gateway, fake) as before:
        assert payer.post("/v1/images/generations", {"model": "lab-image-url-gone", "prompt": "a"}).status == 502
    assert books(payer.gateway).booked - before.booked == IMAGE
    assert payer.balance == NANO


def test_in_the_end_nothing_is_held(gateway: Gateway) -> None:
    eventually(lambda: gateway.verify()["leased"] == 0, "the return of every lease")
    report = gateway.verify()
    assert (report["ok"], report["held"]) == (True, 0)
