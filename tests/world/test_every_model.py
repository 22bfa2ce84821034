"""Every model of the catalogue, through the public API and a pretended provider, with each capability that its row claims; and
on each of its other routes. What callers pay is what the providers bill at the catalogue's prices."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from openpollen.catalog.load import load_catalog
from openpollen.core.model import Capability, Model, Variant
from openpollen.core.usage import Usage
from openpollen.engines import codec
from openpollen.ledger.pricing import PriceFacts, UnpricedUsage, charge, with_input_of
from openpollen.media.sniff import sniff
from tests.fakewire import picture, tone
from tests.faults.books import books
from tests.gateway import Account, Gateway, Reply, eventually, form
from tests.world.conftest import Pretended

MODELS = [model for model in load_catalog().models if not model.local]
C = Capability
URI = f"data:image/png;base64,{base64.b64encode(picture(64, 64)).decode()}"
HELLO = [{"role": "user", "content": "Hello!"}]
SEEN = [{"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": URI}}]}]
HEARD_PART = {"type": "input_audio", "input_audio": {"data": base64.b64encode(tone(1)).decode(), "format": "wav"}}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CHATS: dict[Capability, dict[str, Any]] = {
    C.CHAT: {},
    C.TOOLS: {"tools": [WEATHER]},
    C.VISION: {"messages": SEEN},
    C.REASONING: {"reasoning_effort": "medium"},
    C.SEARCH: {"web_search_options": {}},
    C.CODE_EXEC: {"tools": [{"type": "code_execution"}]},
    C.AUDIO_IN: {"messages": [{"role": "user", "content": [HEARD_PART]}]},
    C.AUDIO_OUT: {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "mp3"}},
}
CLAIMS = [(model, capability) for model in MODELS for capability in sorted(model.capabilities)]
OTHERS = [
    (model, number)
    for model in MODELS
    for number in range(1, len(model.routes))
    if model.routes[number].provider not in {route.provider for route in model.routes[:number]}
]


@pytest.fixture(scope="module")
def caller(gateway: Gateway) -> Account:
    return gateway.account(pack="1000000")


def test_all_but_the_persona_of_the_local_engine_are_asked_for() -> None:
    """The sixty-fifth, polly, is served by no provider."""
    assert len(MODELS) == 64
    assert "polly" not in {model.name for model in MODELS}


@pytest.mark.parametrize(("model", "capability"), CLAIMS, ids=lambda value: getattr(value, "name", str(value)))
def test_a_claim_holds(caller: Account, world: Pretended, model: Model, capability: Capability) -> None:
    world.clear()
    reply = ask(caller, model, capability)
    assert reply.status == 200, reply.text
    assert reply.headers["x-model-used"] == model.name
    check(reply, model, capability)
    assert reply.cost in billed(world, model)


@pytest.mark.parametrize("model", [m for m in MODELS if m.can(C.CHAT)], ids=lambda model: model.name)
def test_a_stream_says_and_costs_what_a_whole_answer_does(caller: Account, world: Pretended, model: Model) -> None:
    world.clear()
    whole = ask(caller, model, C.CHAT)
    *chunks, last, done = caller.chat(model.name, messages=HELLO, stream=True).events
    said = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert done == "[DONE]"
    assert said == whole.json["choices"][0]["message"]["content"]
    one, other = (charge_of(line["usage"], model) for line in world.bill)
    assert (one, other) == (whole.cost, pytest.approx(float(last["usage"]["pollen_cost"]) * 1e9, abs=0.5))


@pytest.mark.parametrize(("model", "number"), OTHERS, ids=lambda value: getattr(value, "name", str(value)))
def test_another_route_serves_when_those_before_it_fail(
    caller: Account, world: Pretended, model: Model, number: int
) -> None:
    """And the caller pays the price of the model that was asked for."""
    world.clear()
    serving = model.routes[number].provider
    world.faults(**{route.provider: ["503"] for route in model.routes[:number] if route.provider != serving})
    capability = next(c for c in (C.CHAT, C.IMAGE, C.EDIT, C.VIDEO, C.SPEECH, C.MUSIC, C.TRANSCRIPTION) if model.can(c))
    reply = ask(caller, model, capability, f"a fox {number}")  # another prompt: the last one's film is kept
    assert reply.status == 200, reply.text
    assert [line["provider"] for line in world.bill] == [serving]
    try:
        assert reply.cost in billed(world, model)
    except UnpricedUsage:  # it bills in another unit than the model's price, which is measured here
        assert reply.cost > 0


def test_what_a_stream_reported_before_it_failed_is_booked(gateway: Gateway, caller: Account, world: Pretended) -> None:
    """Anthropic tells what was read with its first event, which says nothing yet: the next route answers."""
    world.clear()
    world.faults(bedrock=["503"], anthropic=["cut=1"])
    (claude,) = (model for model in MODELS if model.name == "claude")
    before = books(gateway)
    *_, last, _ = caller.chat("claude", messages=HELLO, stream=True).events
    (line,) = world.bill
    assert line["provider"] == "vertex-anthropic"
    assert float(last["usage"]["pollen_cost"]) * 1e9 == pytest.approx(charge_of(line["usage"], claude), abs=0.5)
    read = charge_of({**line["usage"], "output_tokens": 1}, claude)
    eventually(lambda: books(gateway).booked > before.booked, "a booking")
    assert books(gateway).booked - before.booked == read


def ask(caller: Account, model: Model, capability: Capability, prompt: str = "a fox") -> Reply:
    if capability in CHATS:
        return caller.chat(model.name, **{"messages": HELLO, **CHATS[capability]})
    wanted = {"model": model.name, "prompt": prompt}
    match capability:
        case C.IMAGE:
            return caller.post("/v1/images/generations", wanted)
        case C.EDIT:
            return caller.post("/v1/images/edits", {**wanted, "image": URI})
        case C.VIDEO:
            return caller.get(f"/video/{quote(prompt)}?model={model.name}")
        case C.TRANSCRIPTION:
            body, kind = form({"model": model.name}, [("file", "a.wav", tone(2))])
            return caller.request("POST", "/v1/audio/transcriptions", body=body, headers={"Content-Type": kind})
        case _:
            return caller.post("/v1/audio/speech", {"model": model.name, "input": "a quiet evening"})


def check(reply: Reply, model: Model, capability: Capability) -> None:
    """What came is of the right kind, and can be opened."""
    match capability:
        case C.IMAGE | C.EDIT:
            assert sniff(base64.b64decode(reply.json["data"][0]["b64_json"])).startswith("image/")
        case C.VIDEO:
            assert codec.duration(reply.body, "video") > 0
        case C.SPEECH | C.MUSIC:
            assert codec.duration(reply.body) > 0
        case C.TRANSCRIPTION:
            assert reply.json["text"] == "hello world"
        case C.TOOLS:
            (call,) = reply.json["choices"][0]["message"]["tool_calls"]
            assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}
        case C.AUDIO_OUT:
            heard = reply.json["choices"][0]["message"]["audio"]
            assert codec.duration(base64.b64decode(heard["data"])) > 0
        case C.REASONING:
            assert reply.json["choices"][0]["message"]["content"]
            assert reply.json["usage"]["completion_tokens"] > 0
        case _:
            assert reply.json["choices"][0]["message"]["content"]


def billed(world: Pretended, model: Model) -> set[int]:
    """What the world bills for its only charge, at the model's price; or at each of its prices, by size or sound."""
    (line,) = world.bill
    return {charge_of(line["usage"], model, facts) for facts in (PriceFacts(), *map(_facts, model.price.variants))}


def _facts(variant: Variant) -> PriceFacts:
    return PriceFacts(quality=variant.quality, resolution=variant.resolution, audio=variant.audio)


def charge_of(usage: dict[str, Any], model: Model, facts: PriceFacts = PriceFacts()) -> int:  # noqa: B008 - frozen
    used = msgspec.convert(usage, Usage)
    return charge(used, model.price, with_input_of(used, facts)).total
