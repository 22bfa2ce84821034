"""A provider's failure is never the caller's fault, never shows a secret, and never costs what was not delivered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import labconfig
from tests.fakeprovider import TEXT, FakeProvider
from tests.faults.books import balanced
from tests.faults.conftest import SETTINGS
from tests.gateway import NANO, Account, Gateway, eventually, nano
from tests.labconfig import ANSWER, IMAGE, KEY

#: Mode of the host -> status, code and reason that the caller gets.
MAPPED = {
    "error-400": (400, "BAD_REQUEST", "upstream_invalid_request"),
    "error-401": (502, "BAD_GATEWAY", "provider_credential"),
    "error-402": (502, "BAD_GATEWAY", "provider_credit"),
    "error-403": (502, "BAD_GATEWAY", "provider_credential"),
    "error-404": (502, "BAD_GATEWAY", "provider_unknown_model"),
    "error-408": (504, "GATEWAY_TIMEOUT", "upstream_timeout"),
    "error-409": (502, "BAD_GATEWAY", "upstream_error"),
    "error-413": (400, "BAD_REQUEST", "upstream_invalid_request"),
    "error-415": (400, "BAD_REQUEST", "upstream_invalid_request"),
    "error-422": (400, "BAD_REQUEST", "upstream_invalid_request"),
    "error-429": (502, "BAD_GATEWAY", "provider_rate_limit"),
    "error-500": (502, "BAD_GATEWAY", "upstream_error"),
    "error-503": (503, "SERVICE_UNAVAILABLE", "upstream_overloaded"),
    "error-504": (504, "GATEWAY_TIMEOUT", "upstream_timeout"),
    "no-credit": (502, "BAD_GATEWAY", "provider_credit"),
    "overloaded": (503, "SERVICE_UNAVAILABLE", "upstream_overloaded"),
    "content-policy": (422, "UNPROCESSABLE_ENTITY", "content_policy_violation"),
    "leaky": (502, "BAD_GATEWAY", "provider_credential"),
    "html": (502, "BAD_GATEWAY", "upstream_error"),
    "garbage": (502, "BAD_GATEWAY", "upstream_invalid_answer"),
    "empty": (502, "BAD_GATEWAY", "upstream_invalid_answer"),
    "cut": (502, "BAD_GATEWAY", "upstream_broken"),
    "resets": (502, "BAD_GATEWAY", "upstream_broken"),
}
#: Those after which the provider may have billed: clients are told not to send the call again by themselves.
SPENT = {"error-504", "garbage", "empty", "cut", "resets"}


@pytest.mark.parametrize("mode", MAPPED)
def test_a_failure_is_mapped_free_and_tells_no_secret(payer: Account, fake: FakeProvider, mode: str) -> None:
    reply = payer.chat(f"lab-{mode}")
    error = reply.error
    assert (reply.status, error["code"], error["reason"]) == MAPPED[mode]
    assert KEY not in reply.text
    assert fake.origin not in reply.text
    assert (reply.headers.get("x-should-retry") == "false") == (mode in SPENT)
    assert payer.balance == NANO
    assert payer.rows(0) == []
    assert len(fake.requests) == 1


@pytest.mark.parametrize("mode", [mode for mode in MAPPED if mode not in ("cut", "empty", "garbage")])
def test_a_failure_before_the_first_byte_of_a_stream_is_the_same(payer: Account, mode: str) -> None:
    reply = payer.chat(f"lab-{mode}", stream=True)
    assert (reply.status, reply.error["code"], reply.error["reason"]) == MAPPED[mode]
    assert payer.balance == NANO


@pytest.mark.parametrize("stream", [False, True])
def test_a_host_that_never_answers_is_given_up(lab: FakeProvider, tmp_path: Path, stream: bool) -> None:
    config = tmp_path / "openpollen.toml"
    config.write_text(labconfig.operator_file(lab.base_url, f"{SETTINGS}first_byte_timeout_s = 0.5\n"))
    with Gateway(tmp_path / "data", config, env={"LAB_KEY": KEY}) as gateway:
        payer = gateway.account()
        reply = payer.chat("lab-never", stream=stream)
        assert (reply.status, reply.error["code"]) == (504, "GATEWAY_TIMEOUT")
        assert (reply.error["reason"], reply.headers["x-should-retry"]) == ("upstream_timeout", "false")
        assert payer.balance == NANO


@pytest.mark.parametrize("mode", ["empty", "garbage", "json-for-stream"])
def test_what_is_no_stream_is_a_failure_of_the_host(payer: Account, mode: str) -> None:
    reply = payer.chat(f"lab-{mode}", stream=True)
    assert (reply.status, reply.error["code"]) == (502, "BAD_GATEWAY")
    assert payer.balance == NANO


def test_an_overload_says_when_to_come_again(payer: Account) -> None:
    assert payer.chat("lab-overloaded").headers["retry-after"] == "7"


def test_the_hosts_own_words_reach_the_caller_where_the_request_is_wrong(payer: Account) -> None:
    assert payer.chat("lab-error-400").error["message"] == "fake error 400"
    assert "fake refusal of this content" in payer.chat("lab-content-policy").error["message"]


def test_the_next_route_serves_when_the_first_cannot(payer: Account, fake: FakeProvider) -> None:
    for count, model in enumerate(("lab-second-chance", "lab-falls-back"), 1):
        reply = payer.chat(model)
        assert reply.json["choices"][0]["message"]["content"] == TEXT
        assert reply.cost == ANSWER
        payer.rows(count)
    streamed = payer.chat("lab-falls-back", stream=True).events
    assert nano(streamed[-2]["usage"]["pollen_cost"]) == ANSWER
    assert [request.model for request in fake.requests] == ["ok", "error-500", "ok", "error-500", "ok"]


#: Modes that fail behind the role -> what the caller gets where there is no other route.
BEHIND_THE_ROLE = {
    "role-error": (502, "upstream_error"),
    "role-overloaded": (503, "upstream_overloaded"),
    "role-cut": (502, "upstream_broken"),
    "role-silent": (504, "upstream_timeout"),
}


@pytest.fixture(scope="module")
def hasty(lab: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A server that waits half a second for the next word, and never rests a route."""
    folder = tmp_path_factory.mktemp("hasty")
    config = folder / "openpollen.toml"
    config.write_text(labconfig.operator_file(lab.base_url, f"{SETTINGS}idle_timeout_s = 0.5\nrest_after = 0\n"))
    with Gateway(folder / "data", config, env={"LAB_KEY": KEY}) as running:
        yield running


@pytest.mark.parametrize("mode", BEHIND_THE_ROLE)
def test_a_stream_that_has_only_begun_is_made_by_the_next_route(hasty: Gateway, fake: FakeProvider, mode: str) -> None:
    payer = hasty.account()
    with balanced(hasty, fake):
        events = payer.chat(f"lab-{mode}-first", stream=True).events
        said = "".join(choice["delta"].get("content") or "" for event in events[:-1] for choice in event["choices"])
        assert (said, nano(events[-2]["usage"]["pollen_cost"])) == (TEXT, ANSWER)
        assert next(event["choices"][0]["delta"] for event in events[:-1] if event["choices"])["role"] == "assistant"
    assert [request.model for request in fake.requests] == [mode, "ok"]
    assert payer.balance == NANO - ANSWER


@pytest.mark.parametrize("mode", BEHIND_THE_ROLE)
def test_a_stream_that_has_only_begun_fails_as_a_whole_answer_does(
    hasty: Gateway, fake: FakeProvider, mode: str
) -> None:
    payer = hasty.account()
    with balanced(hasty, fake):
        reply = payer.chat(f"lab-{mode}", stream=True)
        assert (reply.status, reply.error["reason"]) == BEHIND_THE_ROLE[mode]
        assert reply.headers["x-should-retry"] == "false"
    assert payer.balance == NANO


def test_content_that_is_refused_behind_the_role_goes_to_no_other_route(hasty: Gateway, fake: FakeProvider) -> None:
    payer = hasty.account()
    with balanced(hasty, fake):
        reply = payer.chat("lab-role-refused-first", stream=True)
        assert (reply.status, reply.error["reason"]) == (422, "content_policy_violation")
    assert [request.model for request in fake.requests] == ["role-refused"]
    assert payer.balance == NANO


def test_no_other_route_is_tried_after_a_refusal_of_content(payer: Account, fake: FakeProvider) -> None:
    assert payer.chat("lab-no-way-back").status == 422
    assert [request.model for request in fake.requests] == ["content-policy"]
    assert payer.balance == NANO


def test_failed_and_refused_pictures_are_free(payer: Account) -> None:
    body = {"prompt": "a", "size": "64x64"}
    refused = payer.post("/v1/images/generations", {**body, "model": "lab-image-refused"})
    assert (refused.status, refused.error["reason"]) == (422, "content_policy_violation")
    assert payer.get("/image/a?model=lab-image-fails").status == 502
    assert payer.balance == NANO
    assert payer.post("/v1/images/generations", {**body, "model": "lab-image"}).cost == IMAGE


def failed(payer: Account, job_id: str) -> dict[str, Any]:
    """A job of the Videos API, once it has failed."""

    def ended() -> dict[str, Any] | None:
        shown = payer.get(f"/v1/videos/{job_id}").json
        return shown if shown["status"] == "failed" else None

    return eventually(ended, "the end of the job")


@pytest.mark.parametrize(("model", "status"), [("lab-video-fails", 502), ("lab-video-refused", 422)])
def test_a_job_that_fails_is_free_and_says_why(payer: Account, model: str, status: int) -> None:
    reply = payer.get(f"/video/a%20cat?model={model}&duration=2")
    assert reply.status == status
    assert "the fake job" in reply.error["message"]
    assert payer.balance == NANO


def test_a_finished_film_that_is_withheld_for_its_content_ends_at_once(
    gateway: Gateway, payer: Account, fake: FakeProvider
) -> None:
    with balanced(gateway, fake):
        job = payer.post("/v1/videos", {"model": "lab-video-withheld", "prompt": "a cat", "seconds": "2"}).json
        shown = failed(payer, job["id"])
        assert "the fake film is withheld" in shown["error"]["message"]
        reply = payer.get("/video/a%20cat?model=lab-video-withheld&duration=2")
        assert (reply.status, reply.error["reason"]) == (422, "content_policy_violation")
        assert payer.balance == NANO


def test_a_film_that_is_none_is_the_hosts_fault(payer: Account) -> None:
    reply = payer.get("/video/a%20cat?model=lab-video&duration=2")
    assert (reply.status, reply.error["code"]) == (502, "BAD_GATEWAY")
    assert payer.balance == NANO


def test_a_failed_job_of_the_videos_api_shows_its_error(payer: Account) -> None:
    job = payer.post("/v1/videos", {"model": "lab-video-fails", "prompt": "a cat", "seconds": "2"}).json
    shown = failed(payer, job["id"])
    assert "the fake job failed" in shown["error"]["message"]
    assert payer.get(f"/v1/videos/{job['id']}/content").status == 409
    assert payer.balance == NANO


def test_with_engines_off_a_model_without_a_route_says_what_is_missing(payer: Account) -> None:
    reply = payer.chat("claude")
    assert (reply.status, reply.error["reason"]) == (503, "no_route")
    assert "ANTHROPIC_API_KEY" in reply.error["message"] or "anthropic" in reply.error["message"]


def test_every_hold_came_back(gateway: Gateway) -> None:
    def free() -> bool:
        report = gateway.verify()
        return report["held"] == report["leased"] == 0

    eventually(free, "the end of every hold and of leases without work")
    assert gateway.verify()["ok"] is True
    assert gateway.alive
