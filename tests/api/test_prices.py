"""What a call may cost is told before and never exceeded, on every endpoint; what it did cost can be computed again, and
given back."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.fakeprovider import FakeProvider
from tests.fakewire import picture, tone
from tests.gateway import NANO, Account, Gateway, Reply, eventually, form, nano
from tests.labconfig import ANSWER, CHARACTER, HEARD, IMAGE, SECOND

PICTURE = "data:image/png;base64," + base64.b64encode(picture(8, 8)).decode()
SOUND = tone(1.5)
SAID = [{"role": "user", "content": "Hello!"}]

#: Endpoint -> a request and the most that it can cost, in nano-pollen; ``None`` where that is not a round figure.
CASES: dict[str, tuple[dict[str, Any], int | None]] = {
    "chat/completions": ({"model": "lab-chat", "messages": SAID}, None),
    "text": ({"model": "lab-chat", "prompt": "Hello!", "seed": -1}, None),
    "image": ({"model": "lab-image", "prompt": "a cat", "seed": -1}, IMAGE),
    "images/generations": ({"model": "lab-image", "prompt": "a cat", "size": "64x64"}, IMAGE),
    "images/edits": ({"model": "lab-image", "prompt": "bluer", "image": PICTURE}, IMAGE),
    "video": ({"model": "lab-video", "prompt": "a cat", "duration": 2, "seed": -1}, SECOND * 9 // 4),
    "videos": ({"model": "lab-video", "prompt": "a cat", "seconds": "2"}, SECOND * 9 // 4),
    "audio": ({"model": "lab-speech", "text": "Hello", "seed": -1}, 5 * CHARACTER),
    "audio/speech": ({"model": "lab-speech", "input": "Hello"}, 5 * CHARACTER),
    "audio/transcriptions": ({"model": "lab-ears", "seconds": 1.5}, HEARD * 3 // 2),
}
#: Endpoints whose request is a path and a query, and the parameter that is the path.
_GET = {"text": "prompt", "image": "prompt", "video": "prompt", "audio": "text"}


@pytest.fixture(scope="module")
def clip(user: Account) -> bytes:
    """A second of real film."""
    return user.get("/video/a%20boat?model=scene-video&width=160&height=96&fps=8&duration=1").body


@pytest.fixture
def camera(fake: FakeProvider, clip: bytes) -> Iterator[FakeProvider]:
    """The pretended host, whose films are real ones."""
    before, fake.film = fake.film, clip
    yield fake
    fake.film = before


def call(who: Account, endpoint: str, request: dict[str, Any], **more: Any) -> Reply:
    """Sends a request to its endpoint, as ``POST /v1/estimate`` describes it."""
    request = {**request, **more}
    if endpoint in _GET:
        text = request.pop(_GET[endpoint])
        return who.get(f"/{endpoint}/{quote(text)}?{urlencode(request)}")
    if endpoint == "audio/transcriptions":
        fields = {name: str(value) for name, value in request.items() if name != "seconds"}
        body, kind = form(fields, [("file", "sound.wav", SOUND)])
        return who.request("POST", f"/v1/{endpoint}", body=body, headers={"Content-Type": kind})
    return who.post(f"/v1/{endpoint}", request)


def estimate(who: Account, endpoint: str, request: dict[str, Any]) -> dict[str, Any]:
    reply = who.post("/v1/estimate", {"endpoint": endpoint, "request": request})
    assert reply.status == 200, reply.text
    return reply.json


@pytest.mark.parametrize("endpoint", CASES)
def test_an_estimate_is_never_below_the_charge(payer: Account, camera: FakeProvider, endpoint: str) -> None:
    request, exact = CASES[endpoint]
    told = estimate(payer, endpoint, request)
    assert list(told) == ["currency", "max", "expected", "model", "units"]
    assert (told["currency"], told["model"]) == ("pollen", request["model"])
    assert exact is None or nano(told["max"]) == exact
    assert nano(told["expected"]) <= nano(told["max"])
    assert camera.requests == []
    assert payer.rows(0) == []
    reply = call(payer, endpoint, request)
    assert reply.status == 200, reply.text
    eventually(lambda: len(payer.get("/api/account/usage").json["usage"]) == 1, "the usage row", 30)
    row = payer.rows(1)[0]
    assert 0 < nano(row["cost_usd"]) <= nano(told["max"])


@pytest.mark.parametrize("endpoint", [f"/v1/{name}" for name in CASES] + ["text/{prompt}", "/audio/{text}"])
def test_an_endpoint_may_be_named_as_its_path(payer: Account, endpoint: str) -> None:
    name = endpoint.removeprefix("/v1/").strip("/").partition("/{")[0]
    assert estimate(payer, endpoint, CASES[name][0]) == estimate(payer, name, CASES[name][0])


def test_an_estimate_takes_the_files_themselves(payer: Account, fake: FakeProvider) -> None:
    for fields, file, most in (
        ({"endpoint": "audio/transcriptions", "model": "lab-ears"}, ("file", "a.wav", SOUND), HEARD * 3 // 2),
        (
            {"endpoint": "images/edits", "model": "lab-image", "prompt": "bluer"},
            ("image", "a.png", picture(8, 8)),
            IMAGE,
        ),
    ):
        body, kind = form(fields, [file])
        reply = payer.request("POST", "/v1/estimate", body=body, headers={"Content-Type": kind})
        assert reply.status == 200, reply.text
        assert nano(reply.json["max"]) == most
    assert fake.requests == []


@pytest.mark.parametrize("seconds", [None, 0, -1, "long", "nan", True, 1e9])
def test_a_recording_without_a_length_cannot_be_estimated(payer: Account, seconds: Any) -> None:
    request = {"model": "lab-ears", "seconds": seconds}
    error = payer.post("/v1/estimate", {"endpoint": "audio/transcriptions", "request": request}).error
    assert error["code"] == "BAD_REQUEST"
    assert "seconds" in error["message"]


@pytest.mark.parametrize(
    "body",
    [{}, {"endpoint": "chat/completions"}, {"endpoint": "nowhere", "request": {}}, {"endpoint": 5, "request": {}}],
)
def test_an_estimate_of_nothing_is_400(payer: Account, body: dict[str, Any]) -> None:
    assert payer.post("/v1/estimate", body).error["code"] == "BAD_REQUEST"


@pytest.mark.parametrize("endpoint", CASES)
def test_max_cost_binds_everywhere(payer: Account, camera: FakeProvider, endpoint: str) -> None:
    request, _ = CASES[endpoint]
    error = call(payer, endpoint, request, max_cost="0.000001").error
    assert (error["code"], error["reason"]) == ("PAYMENT_REQUIRED", "max_cost")
    # A film that an earlier test left may still be asked for.
    assert [asked.path for asked in camera.requests if asked.method == "POST"] == []
    reply = call(payer, endpoint, request, max_cost=error["details"]["required"])
    assert reply.status == 200, reply.text


def test_a_long_word_in_a_prompt_is_held_as_text(gateway: Gateway, fake: FakeProvider) -> None:
    poor = gateway.account(pack="0.01")
    error = poor.chat("lab-chat", "A" * 100_000, max_tokens=1).error
    assert error["code"] == "PAYMENT_REQUIRED"
    assert nano(error["details"]["required"]) >= 100_000_000
    # A film that an earlier test left may still be asked for.
    assert [request.path for request in fake.requests if request.path.endswith("/chat/completions")] == []


def rerated(gateway: Gateway, *words: str) -> dict[str, Any]:
    first, last = (time.strftime("%Y-%m-%d", time.gmtime(time.time() + offset)) for offset in (-86_400, 86_400))
    return gateway.admin("rerate", "--from", first, "--to", last, *words)


def test_every_charge_of_a_server_can_be_computed_again(gateway: Gateway, payer: Account, camera: FakeProvider) -> None:
    for endpoint, (request, _) in CASES.items():
        assert call(payer, endpoint, request).status == 200
    for fields, cost in (({}, IMAGE), ({"quality": "high"}, IMAGE * 5 // 3), ({"size": "1536x1024"}, IMAGE * 2)):
        assert call(payer, "images/generations", {"model": "lab-image-tiers", "prompt": "a", **fields}).cost == cost
    assert payer.chat("lab-chat", stream=True).status == 200
    assert payer.chat("lab-chat", max_cost="0.0002").status == 200
    assert payer.chat("lab-no-usage").status == 200
    assert payer.chat("lab-zero").status == 200
    assert payer.chat("claude").headers["x-model-used"] == "smollm2"  # a local engine stands in, at its own price
    eventually(lambda: len(payer.get("/api/account/usage").json["usage"]) == 18, "every usage row", 60)
    user_id = gateway.admin("user", "show", payer.id)["id"]
    done = rerated(gateway, "--user", user_id, "--prices", "current")
    assert (done["ok"], done["rows"], done["wrong"]) == (True, 18, [])
    assert (done["current"]["difference"], done["current"]["unpriced"]) == ("0", 0)
    assert nano(done["measured"]) == NANO - payer.balance
    assert rerated(gateway)["ok"] is True


def test_a_refund_while_the_server_runs_is_given_once(gateway: Gateway) -> None:
    payer = gateway.account(tier="0.0001", pack="1", budget="0.5")
    reply = payer.chat("lab-chat")
    request_id = reply.headers["x-request-id"]
    payer.rows(1)
    assert nano(gateway.admin("refund", request_id)["amount"]) == ANSWER
    with pytest.raises(AssertionError, match="Nothing of this request is left"):
        gateway.admin("refund", request_id)
    assert payer.balance == NANO + NANO // 10_000
    assert nano(payer.get("/api/account/key").json["pollenBudget"]) == NANO // 2
    assert nano(payer.rows(1)[0]["cost_usd"]) == ANSWER  # what happened stays told
    assert gateway.verify()["ok"] is True


def test_an_account_that_is_shut_and_opened_again(gateway: Gateway) -> None:
    user = gateway.account()
    assert user.chat("lab-zero").status == 200
    gateway.admin("user", "ban", user.id)
    eventually(lambda: user.get("/api/account/profile").status == 401, "the ban")
    gateway.admin("user", "unban", user.id)
    eventually(lambda: user.get("/api/account/profile").status == 200, "the end of the ban")


def test_a_tier_is_refilled_to_its_floor_and_told(gateway: Gateway) -> None:
    user = gateway.account(pack="0")
    assert user.get("/api/account/profile").json["nextResetAt"] is None
    assert user.chat("lab-chat").error["details"]["nextResetAt"] is None
    gateway.admin("user", "tier", user.id, "spore")

    def moved() -> dict[str, Any] | None:
        profile = user.get("/api/account/profile").json
        return profile if profile["tier"] == "spore" else None

    profile = eventually(moved, "the tier")
    assert profile is not None
    assert profile["nextResetAt"].endswith(":00:00.000Z")
    assert nano(user.get("/api/account/balance").json["accountBalance"]["tier"]) == NANO // 100
    assert user.chat("lab-chat").status == 200
    user.rows(1)
    assert user.balance == NANO // 100 - ANSWER
    poor = user.chat("lab-chat", "word " * 3_000, max_tokens=1).error
    assert poor["details"]["nextResetAt"] == profile["nextResetAt"]
