"""Which route serves a call: one that fails rests and is probed, limits send calls on, a dead host is asked once more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import labconfig
from tests.fakeprovider import FakeProvider
from tests.faults.books import balanced
from tests.faults.conftest import SETTINGS
from tests.gateway import NANO, Account, Gateway, Reply, eventually
from tests.labconfig import ANSWER

RESTS = "rest_after = 3\nrest_s = 0.4\n"
_PRICE = '{ input_token = "1.00", output_token = "5.00", per = 1_000_000 }'
LIMITED = f"""
[[models]]
name = "lab-limited"
capabilities = ["chat"]
max_output_tokens = 1000
[[models.routes]]
provider = "lab"
model = "slow"
concurrent = 1
price = {_PRICE}
[[models.routes]]
provider = "lab"
model = "ok"
per_minute = 2
"""


@pytest.fixture(scope="module")
def resting(lab: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("routing")
    config = folder / "openpollen.toml"
    config.write_text(labconfig.operator_file(lab.base_url, SETTINGS + RESTS) + LIMITED)
    with Gateway(folder / "data", config, env={"LAB_KEY": labconfig.KEY}) as running:
        yield running
    assert "Traceback" not in running.output


@pytest.fixture
def payer(resting: Gateway) -> Account:
    return resting.account()


def route(payer: Account, model: str, number: int = 0) -> dict[str, object]:
    """What the status says of a route of a model."""
    models = {entry["id"]: entry for entry in payer.get("/v1/models/status").json["data"]}
    return models[model]["routes"][number]


def test_a_route_that_failed_repeatedly_rests_and_is_probed(payer: Account, fake: FakeProvider) -> None:
    assert "state" not in route(payer, "lab-falls-back")
    assert [payer.chat("lab-falls-back").status for _ in range(5)] == [200] * 5
    assert [request.model for request in fake.requests] == ["error-500", "ok"] * 3 + ["ok"] * 2
    seen = route(payer, "lab-falls-back")
    assert (seen["state"], seen["calls"], seen["live"]) == ("open", 3, True)
    eventually(lambda: route(payer, "lab-falls-back")["state"] == "half-open", "the end of the rest")
    fake.clear()
    assert [payer.chat("lab-falls-back").status for _ in range(2)] == [200] * 2
    assert [request.model for request in fake.requests] == ["error-500", "ok", "ok"]  # one probe, then a longer rest
    good = route(payer, "lab-falls-back", 1)
    assert (good["state"], good["failing"]) == ("closed", 0.0)


def test_with_nobody_else_to_ask_a_resting_route_says_when_to_come_again(payer: Account, fake: FakeProvider) -> None:
    assert [payer.chat("lab-error-503").status for _ in range(3)] == [503] * 3
    asked = len(fake.requests)
    reply = payer.chat("lab-error-503")
    assert (reply.status, reply.error["reason"]) == (503, "upstream_resting")
    assert int(reply.headers["retry-after"]) >= 1
    assert len(fake.requests) == asked
    assert payer.balance == NANO


def test_the_callers_own_faults_rest_no_route(payer: Account, fake: FakeProvider) -> None:
    assert [payer.chat("lab-error-422").status for _ in range(6)] == [400] * 6
    assert len(fake.requests) == 6
    assert route(payer, "lab-error-422")["state"] == "closed"


def test_a_host_that_cannot_be_reached_is_asked_once_more_and_rests(payer: Account) -> None:
    assert payer.chat("lab-second-chance").status == 200
    assert route(payer, "lab-second-chance")["calls"] == 2  # of one call
    assert [payer.chat("lab-second-chance").status for _ in range(3)] == [200] * 3
    assert route(payer, "lab-second-chance")["state"] == "open"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("workers", [1, 3])
def test_calls_beyond_a_route_s_limits_go_on_to_the_next(
    tmp_path: Path, lab: FakeProvider, fake: FakeProvider, workers: int, stream: bool
) -> None:
    config = tmp_path / "openpollen.toml"
    config.write_text(labconfig.operator_file(lab.base_url, SETTINGS) + LIMITED)
    options = ("--workers", str(workers))
    with Gateway(tmp_path / "data", config, options, env={"LAB_KEY": labconfig.KEY}) as gateway:
        payer = gateway.account()
        replies: list[Reply] = []
        with balanced(gateway, fake):
            first = threading.Thread(target=lambda: replies.append(payer.chat("lab-limited", stream=stream)))
            first.start()
            eventually(lambda: [request.model for request in fake.requests] == ["slow"], "the first call")
            assert [payer.chat("lab-limited").status for _ in range(2)] == [200] * 2
            for _ in range(4 * workers):  # whichever worker is asked
                refused = payer.chat("lab-limited")
                assert (refused.status, refused.error["reason"]) == (503, "upstream_resting")
                assert 1 <= int(refused.headers["retry-after"]) <= 60
            first.join()
        assert replies[0].status == 200
        assert [request.model for request in fake.requests] == ["slow", "ok", "ok"]
        assert payer.chat("lab-limited").status == 200  # the first route is free again
        payer.rows(4)
        assert payer.balance == NANO - 4 * ANSWER
