"""What a host or a model of the catalogue does not take is told or refused, never sent."""

from __future__ import annotations

from tests.gateway import Gateway
from tests.world.conftest import Pretended
from tests.world.test_every_model import WEATHER


def test_sampling_of_models_that_reason_is_told_to_be_ignored(gateway: Gateway, world: Pretended) -> None:
    world.clear()
    caller = gateway.account(pack="10")
    for model, told in {"openai": "temperature", "openai-fast": "temperature, top_p"}.items():
        reply = caller.chat(model, temperature=0.3, top_p=0.9)
        assert (reply.status, reply.headers["x-ignored-parameters"]) == (200, told)


def test_perplexity_has_no_tools(gateway: Gateway, world: Pretended) -> None:
    world.clear()
    refused = gateway.account(pack="10").chat("perplexity-fast", tools=[WEATHER])
    assert (refused.status, refused.error["reason"]) == (400, "unsupported_parameter")
    assert "tools" in refused.error["message"]
