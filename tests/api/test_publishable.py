"""What a page may spend with a publishable key, over all addresses and origins together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import labconfig
from tests.fakeprovider import FakeProvider
from tests.gateway import NANO, Account, Gateway, Reply, nano

DAILY = 500_000
SETTINGS = """
[server]
trusted_proxies = ["127.0.0.0/8", "::1/128"]
[keys]
pk_daily = "0.0005"
"""


@pytest.fixture(scope="module")
def proxied(lab: FakeProvider, models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A server behind a proxy that says where clients come from."""
    folder = tmp_path_factory.mktemp("proxied")
    config = folder / "openpollen.toml"
    config.write_text(labconfig.operator_file(lab.base_url, SETTINGS))
    env = {"OPENPOLLEN_MODELS": str(models_dir), "LAB_KEY": labconfig.KEY}
    with Gateway(folder / "data", config, env=env) as running:
        yield running


def publishable(gateway: Gateway, owner: Account) -> Account:
    name = owner.get("/api/account/profile").json["name"]
    return gateway.key(owner.id, name, type="publishable", permissions="profile")


def ask(page: Account, number: int) -> Reply:
    """A small call from an address and a page of its own."""
    headers = {"X-Forwarded-For": f"203.0.113.{number}", "Origin": f"https://page-{number}.example"}
    return page.chat("lab-chat", max_tokens=10, headers=headers)


def test_all_addresses_and_origins_share_a_daily_total(proxied: Gateway) -> None:
    owner = proxied.account()
    page, other = publishable(proxied, owner), publishable(proxied, owner)
    replies = [ask(page, number) for number in range(1, 16)]
    served = [reply for reply in replies if reply.status == 200]
    refused = [reply for reply in replies if reply.status != 200]
    assert 2 <= len(served) < len(replies)
    assert sum(reply.cost for reply in served) <= DAILY
    for reply in refused:
        assert (reply.status, reply.error["code"], reply.error["reason"]) == (429, "RATE_LIMITED", "daily_total")
        assert 0 < int(reply.headers["retry-after"]) <= 86_400
    assert page.chat("lab-zero", headers={"X-Forwarded-For": "203.0.113.250"}).status == 200  # what is free goes on
    assert ask(other, 1).status == 200  # each key has a total of its own
    assert owner.chat("lab-chat").status == 200  # and the owner's secret key has none


def test_what_a_page_spends_is_its_owners(proxied: Gateway) -> None:
    owner = proxied.account()
    page = publishable(proxied, owner)
    before = owner.balance
    cost = ask(page, 77).cost
    row = owner.rows(1)[0]
    assert (row["api_key_id"], row["api_key_type"], nano(row["cost_usd"])) == (page.key_id, "publishable", cost)
    assert owner.balance == before - cost
    assert page.get("/api/account/balance").status == 403
    assert page.get("/api/account/profile").status == 200


def test_a_host_that_reports_too_much_takes_no_more_than_was_let_through(proxied: Gateway) -> None:
    owner = proxied.account(pack="10")
    page = publishable(proxied, owner)
    reply = page.chat("lab-greedy", max_tokens=10)
    (row,) = owner.rows(1)
    assert 0 < reply.cost == nano(row["cost_usd"]) == 10 * NANO - owner.balance < DAILY
    assert ask(page, 1).status == 200


@pytest.mark.parametrize("model", ["lab-chat", "lab-greedy", "lab-content-policy"])
@pytest.mark.parametrize("stream", [False, True])
def test_who_has_the_whole_answer_may_ask_again_at_once(gateway: Gateway, model: str, stream: bool) -> None:
    page = publishable(gateway, gateway.account(pack="10"))
    replies = [page.chat(model, max_tokens=10, stream=stream) for _ in range(12)]
    assert 429 not in {reply.status for reply in replies}
