"""Models come, change and go while three workers serve; a call keeps what it began with."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests import labconfig, postgres
from tests.fakeprovider import FakeProvider
from tests.gateway import NANO, Account, Gateway, eventually, nano
from tests.labconfig import owed

WORKERS = 3


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def crew(
    lab: FakeProvider,
    postgres_server: postgres.Server,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("crew")
    config = folder / "openpollen.toml"
    config.write_text(labconfig.operator_file(lab.base_url))
    env = {"LAB_KEY": labconfig.KEY}
    if request.param == "postgresql":
        env["OPENPOLLEN_STORAGE_DATABASE_URL"] = postgres_server.fresh()
    with Gateway(folder / "data", config, ("--workers", str(WORKERS)), env=env) as running:
        yield running
    assert "Traceback" not in running.output


def everywhere(account: Account, model: str, wanted: int) -> None:
    """Many calls in a row, each on a connection of its own and so on any worker, all have the status."""

    def settled() -> bool:
        return all(account.chat(model).status == wanted for _ in range(4 * WORKERS))

    eventually(settled, f"{wanted} from every worker")


def test_every_worker_takes_a_change_without_a_restart(crew: Gateway) -> None:
    payer = crew.account(pack="10")
    price = ("--price", "input_token=1", "--price", "output_token=5")
    everywhere(payer, "fresh", 400)
    crew.admin("catalog", "add", "fresh", "--provider", "lab", "--model", "ok", *price)
    everywhere(payer, "fresh", 200)
    before = payer.chat("fresh").cost
    crew.admin("catalog", "override", "fresh", "--price", "input_token=2", "--price", "output_token=10")
    eventually(
        lambda: {payer.chat("fresh").cost for _ in range(4 * WORKERS)} == {2 * before}, "the new price everywhere"
    )
    crew.admin("catalog", "disable", "fresh")
    everywhere(payer, "fresh", 400)
    crew.admin("catalog", "enable", "fresh")
    everywhere(payer, "fresh", 200)
    crew.admin("catalog", "forget", "fresh")
    everywhere(payer, "fresh", 400)
    assert crew.verify()["ok"]


def test_a_stream_keeps_the_price_it_began_with(crew: Gateway, fake: FakeProvider) -> None:
    payer = crew.account(pack="10")
    gate = fake.gate("frame")
    body = {"model": "lab-step-ok", "stream": True, "messages": [{"role": "user", "content": "Hello!"}]}
    connection = crew.connect()
    connection.request(
        "POST", "/v1/chat/completions", json.dumps(body),
        {"Authorization": f"Bearer {payer.key}", "Content-Type": "application/json"},
    )  # fmt: skip
    gate.reached()
    crew.admin("catalog", "override", "lab-step-ok", "--price", "input_token=900", "--price", "output_token=900")
    other = crew.account(pack="10")
    eventually(lambda: _quoted(other) > NANO // 100, "the new price")
    gate.open()
    last = connection.getresponse().read().decode().split("data: ")[-2]
    connection.close()
    cost = nano(json.loads(last)["usage"]["pollen_cost"])
    assert cost == owed(fake.bill)
    crew.admin("catalog", "forget", "lab-step-ok")


def _quoted(account: Account) -> int:
    request = {"model": "lab-step-ok", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello!"}]}
    asked = {"endpoint": "chat/completions", "request": request}
    return min(nano(account.post("/v1/estimate", asked).json["max"]) for _ in range(4 * WORKERS))
