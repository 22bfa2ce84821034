"""The shipped catalogue against the public service's registry: same names, flags and prices."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from openpollen.catalog.describe import format_rate
from openpollen.catalog.load import load_catalog
from openpollen.catalog.registry import OPENAI, Registry
from openpollen.core.model import Capability, Unit

FACTS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "fixtures" / "models.json").read_text("utf-8"))[
    "models"
]
CATALOG = load_catalog()
MODELS = {model.name: model for model in CATALOG.models}

UNITS = {
    "prompt_text_token": Unit.INPUT_TOKEN,
    "prompt_cached_token": Unit.CACHED_INPUT_TOKEN,
    "prompt_audio_token": Unit.INPUT_AUDIO_TOKEN,
    "prompt_image_token": Unit.INPUT_IMAGE_TOKEN,
    "completion_text_token": Unit.OUTPUT_TOKEN,
    "completion_audio_token": Unit.OUTPUT_AUDIO_TOKEN,
    "completion_image_token": Unit.OUTPUT_IMAGE_TOKEN,
    "image": Unit.IMAGE,
    "video_second": Unit.SECOND,
    "audio_second": Unit.SECOND,
    "input_audio_second": Unit.SECOND,
    "video_token": Unit.VIDEO_TOKEN,
    "character": Unit.CHARACTER,
}
#: Units that notes of the registry add to its price table.
NOTED = {Unit.SEARCH, Unit.REQUEST}


def test_all_65_models_are_there_in_the_order_of_the_registry() -> None:
    assert len(FACTS) == 65
    assert [model.name for model in CATALOG.models if model.name in FACTS] == list(FACTS)


@pytest.mark.parametrize("name", FACTS)
def test_a_model_has_the_names_and_flags_of_the_registry(name: str) -> None:
    facts, model = FACTS[name], MODELS[name]
    assert f"{model.title} - {model.description}" == facts["title"]
    assert (model.kind, model.paid_only, model.alpha) == (facts["kind"], facts["paid"], facts["alpha"])
    assert list(model.aliases) == facts["aliases"]
    assert list(model.successor_aliases) == facts["successor_aliases"]
    assert list(model.input_modalities) == facts["input"]
    assert list(model.output_modalities) == facts["output"]
    assert model.context_length == facts["context"]
    for flag in ("tools", "reasoning", "search", "code_exec"):
        assert model.can(Capability(flag)) == (flag in facts["flags"])
    takes_image = model.can(Capability.VISION) or model.can(Capability.EDIT) or "image" in model.input_modalities
    assert takes_image == ("image_input" in facts["flags"])


@pytest.mark.parametrize("name", FACTS)
def test_a_model_costs_what_the_registry_says(name: str) -> None:
    facts, model = FACTS[name], MODELS[name]
    extra = facts["price"].pop("video_audio_second", None)
    expected = {UNITS[key]: Fraction(Decimal(value)) * 1_000_000_000 for key, value in facts["price"].items()}
    assert {unit: rate for unit, rate in model.price.rates.items() if unit not in NOTED and rate} == expected
    if extra is not None:
        with_sound = next(v.rates[Unit.SECOND] for v in model.price.variants if v.audio)
        assert with_sound - model.price.rates[Unit.SECOND] == Fraction(Decimal(extra)) * 1_000_000_000
    assert model.price.version.startswith("2026-04-20/")
    assert model.source


def test_notes_are_rows() -> None:
    rows = {
        name: [
            (v.above_input_tokens, v.quality, v.resolution, {u: format_rate(r) for u, r in v.rates.items()})
            for v in MODELS[name].price.variants
        ]
        for name in ("openai-large", "gemini-large", "perplexity-fast", "nova-canvas")
    }
    assert rows["openai-large"] == [
        (272_000, None, None, {"input_token": "0.000005", "cached_input_token": "0.0000005", "output_token": "0.00003"})
    ]
    assert rows["gemini-large"] == [
        (
            200_000,
            None,
            None,
            {"input_token": "0.000004", "cached_input_token": "0.0000004", "output_token": "0.000018"},
        )
    ]
    assert rows["perplexity-fast"] == [
        (None, "medium", None, {"request": "0.008"}),
        (None, "high", None, {"request": "0.012"}),
    ]
    assert rows["nova-canvas"] == [
        (None, "high", None, {"image": "0.06"}),
        (None, None, "2k", {"image": "0.06"}),
        (None, "high", "2k", {"image": "0.08"}),
    ]
    assert MODELS["gemini"].price.rates[Unit.SEARCH] == 14_000_000


@pytest.mark.parametrize("name", FACTS)
def test_every_route_of_the_registry_is_kept(name: str) -> None:
    assert len(MODELS[name].routes) >= FACTS[name]["routes"]
    assert all(route.provider in CATALOG.providers and route.model for route in MODELS[name].routes)


def test_a_pair_of_upstream_models_is_two_operations() -> None:
    wan = [(r.model, r.operation) for r in MODELS["wan"].routes if r.provider == "dashscope-media"]
    assert wan == [("wan2.6-t2v", "text-to-video"), ("wan2.6-i2v-flash", "image-to-video")]
    qwen = [(r.model, r.operation) for r in MODELS["qwen-image"].routes if r.provider == "dashscope-media"]
    assert qwen == [("qwen-image-plus", "generate"), ("qwen-image-edit-plus", "edit")]


def test_polly_is_served_here_and_free() -> None:
    polly = MODELS["polly"]
    assert [route.provider for route in polly.routes] == ["local"]
    assert polly.price.free
    assert {Unit.INPUT_TOKEN, Unit.OUTPUT_TOKEN} <= polly.price.rates.keys()


def test_local_engines_are_models_with_a_stated_price_of_zero() -> None:
    local = [model for model in CATALOG.models if model.local and model.name != "polly"]
    assert [model.name for model in local] == [
        "smollm2",
        "qwen2.5-coder-1.5b",
        "scene",
        "scene-video",
        "kokoro",
        "composer",
        "whisper-base",
    ]
    assert all(model.price.rates and model.price.free for model in local)
    assert len(MODELS["kokoro"].voices) == 35
    assert MODELS["kokoro"].voices == MODELS["elevenlabs"].voices


def test_no_credentials_means_no_live_provider_but_the_engines() -> None:
    registry = Registry.build(CATALOG, {}, local_url="http://127.0.0.1:1/v1")
    assert [p.name for p in registry.providers.values() if p.live] == ["local"]
    assert all(p.missing for p in registry.providers.values() if not p.live)


def test_every_credential_makes_its_provider_live_once_its_wire_is_spoken() -> None:
    wires = dict.fromkeys((row.wire for row in CATALOG.providers.values()), Capability)
    names = {row.key.removeprefix("env:") for row in CATALOG.providers.values() if row.key}
    places = ("AZURE_OPENAI_RESOURCE", "AWS_REGION", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION")
    places += ("GOOGLE_APPLICATION_CREDENTIALS", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "BEDROCK_S3_URI")
    servers = ("VLLM_URL", "AUDIO_URL", "COMFYUI_URL", "ACESTEP_URL")
    env = {**dict.fromkeys(names | set(places), "x"), **dict.fromkeys(servers, "http://gpu:8000")}
    registry = Registry.build(CATALOG, env, local_url="http://127.0.0.1:1/v1", wires=wires)
    assert registry.missing() == []
    assert registry.providers["vllm"].base_url == "http://gpu:8000/v1"
    today = Registry.build(CATALOG, env, local_url="http://127.0.0.1:1/v1")
    assert {p.wire for p in today.providers.values() if p.live} <= OPENAI.keys()
    assert "no adapter" in today.providers["bedrock"].missing
