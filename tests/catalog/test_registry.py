"""What a request gets: names, defaults, what serves them, and what the lists say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from openpollen.catalog.load import load_catalog
from openpollen.catalog.registry import Endpoint, Registry
from openpollen.core.errors import BadRequest, ServiceUnavailable
from openpollen.core.model import Capability

CATALOG = load_catalog()


def build(env: Mapping[str, str] | None = None, **options: Any) -> Registry:
    options.setdefault("local_url", "http://127.0.0.1:1/v1")
    return Registry.build(CATALOG, env or {}, **options)


HERE = build()


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("chat", "openai"),
        ("text", "openai"),
        ("image", "zimage"),
        ("images", "flux"),
        ("edits", "scene"),
        ("video", "scene-video"),
        ("audio", "elevenlabs"),
        ("speech", "elevenlabs"),
        ("music", "elevenmusic"),
        ("transcriptions", "whisper"),
    ],
)
def test_each_endpoint_has_its_default(endpoint: Endpoint, name: str) -> None:
    assert HERE.resolve(None, endpoint).model.name == name
    assert HERE.resolve("", endpoint).requested == name


def test_edits_default_to_the_first_configured_model_that_takes_an_image() -> None:
    assert build({"OPENAI_API_KEY": "k"}).resolve(None, "edits").model.name == "gptimage"
    assert build(local_url="").resolve(None, "edits").model.name == "kontext"


def test_video_defaults_to_a_live_unpaid_model() -> None:
    wires = dict.fromkeys((row.wire for row in CATALOG.providers.values()), Capability)
    keys = dict.fromkeys(("DASHSCOPE_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"), "k")
    keys["BEDROCK_S3_URI"] = "s3://films"
    assert build(keys, wires=wires).resolve(None, "video").model.name == "nova-reel"
    assert build(local_url="").resolve(None, "video").model.name == "ltx-2"


def test_aliases_lead_to_their_model_and_keep_the_word_that_was_asked() -> None:
    found = HERE.resolve("claude-haiku", "chat")
    assert (found.model.name, found.requested, found.capability) == ("claude-fast", "claude-haiku", Capability.CHAT)
    assert HERE.resolve("gpt-5-mini", "chat").model.name == "openai"
    with pytest.raises(BadRequest, match="gpt-5-mini"):
        build(successor_aliases=False).resolve("gpt-5-mini", "chat")


def test_an_unknown_model_is_told_with_the_nearest() -> None:
    with pytest.raises(BadRequest, match=r"'opnai'.*openai"):
        HERE.resolve("opnai", "chat")
    with pytest.raises(BadRequest, match=r"whisper, scribe, whisper-base"):
        HERE.resolve("zzzz", "transcriptions")


@pytest.mark.parametrize(
    ("name", "endpoint", "words"),
    [
        ("flux", "chat", "POST /v1/images/generations"),
        ("openai", "images", "POST /v1/chat/completions"),
        ("veo", "images", "POST /v1/videos"),
        ("whisper", "speech", "POST /v1/audio/transcriptions"),
        ("elevenmusic", "transcriptions", "POST /v1/audio/speech"),
        ("flux", "edits", "takes no image. Models that edit images: kontext"),
        ("p-image", "video", "GET /image"),
    ],
)
def test_a_model_of_another_kind_is_told_where_to_go(name: str, endpoint: Endpoint, words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        HERE.resolve(name, endpoint)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("name", "engine"),
    [
        ("claude-large", "smollm2"),
        ("flux", "scene"),
        ("kontext", "scene"),
        ("veo", "scene-video"),
        ("elevenlabs", "kokoro"),
        ("acestep", "composer"),
        ("scribe", "whisper-base"),
    ],
)
def test_without_credentials_the_engine_of_the_kind_serves_at_its_own_price(name: str, engine: str) -> None:
    model = HERE.get(name)
    assert model is not None
    serving = HERE.now(model)
    assert serving is not None
    assert serving.served_by is not None
    assert serving.served_by.name == engine
    assert (serving.price.free, serving.paid_only, HERE.describe(model)["served_by"]) == (True, False, engine)


def test_every_model_is_served_here() -> None:
    for model in HERE.models():
        for capability in model.capabilities & {c for c in Capability if c not in _TRAITS}:
            for images in (False, True):
                assert HERE.serving(model, capability, images=images).routes


_TRAITS = {
    Capability.TOOLS,
    Capability.VISION,
    Capability.REASONING,
    Capability.SEARCH,
    Capability.CODE_EXEC,
    Capability.AUDIO_IN,
    Capability.AUDIO_OUT,
}


def test_a_live_route_serves_at_the_models_price_and_binds_paid_only() -> None:
    registry = build({"OPENAI_API_KEY": "k", "FIREWORKS_API_KEY": "k", "DEEPSEEK_API_KEY": "k"})
    deepseek = registry.serving(registry.resolve("deepseek", "chat").model, Capability.CHAT)
    assert [provider.name for _, provider in deepseek.routes] == ["fireworks", "deepseek"]
    assert deepseek.served_by is None
    assert deepseek.price is deepseek.model.price
    wires = dict.fromkeys((row.wire for row in CATALOG.providers.values()), Capability)
    registry = build({"ANTHROPIC_API_KEY": "k"}, wires=wires)
    assert registry.serving(registry.resolve("claude", "chat").model, Capability.CHAT).paid_only


def test_another_model_serves_only_when_allowed() -> None:
    keys = {"OPENAI_API_KEY": "k"}
    for allowed, provider in ((False, "local"), (True, "openai")):
        registry = build(keys, allow_substitutes=allowed)
        serving = registry.serving(registry.resolve("elevenlabs", "speech").model, Capability.SPEECH)
        assert serving.routes[0][1].name == provider


def test_a_picture_decides_between_the_two_upstream_models() -> None:
    wires = dict.fromkeys((row.wire for row in CATALOG.providers.values()), Capability)
    registry = build({"DASHSCOPE_API_KEY": "k"}, wires=wires)
    wan = registry.resolve("wan", "video").model
    assert registry.serving(wan, Capability.VIDEO).routes[0][0].model == "wan2.6-t2v"
    assert registry.serving(wan, Capability.VIDEO, images=True).routes[0][0].model == "wan2.6-i2v-flash"
    qwen = registry.resolve("qwen-image", "images").model
    assert registry.serving(qwen, Capability.IMAGE).routes[0][0].model == "qwen-image-plus"
    assert registry.serving(qwen, Capability.EDIT).routes[0][0].model == "qwen-image-edit-plus"


def test_without_fallback_the_missing_credential_is_named() -> None:
    registry = build(local_fallback=False)
    with pytest.raises(ServiceUnavailable) as caught:
        registry.serving(registry.resolve("openai", "chat").model, Capability.CHAT)
    assert "openai: set OPENAI_API_KEY" in caught.value.message
    assert registry.describe(registry.resolve("openai", "chat").model)["served_by"] is None
    polly = registry.resolve("polly", "chat").model
    assert registry.serving(polly, Capability.CHAT).routes[0][0].model == "smollm2"


def test_an_entry_of_the_lists() -> None:
    entry = HERE.describe(HERE.resolve("openai-audio", "chat").model)
    assert entry["pricing"] == {
        "currency": "pollen",
        "promptTextTokens": "0.0000006",
        "promptAudioTokens": "0.00001",
        "completionTextTokens": "0.0000024",
        "completionAudioTokens": "0.00002",
    }
    assert entry["description"] == "OpenAI GPT Audio Mini - Voice Input & Output"
    assert entry["successor_aliases"] == ["gpt-4o-mini-audio-preview", "gpt-4o-mini-audio-preview-2024-12-17"]
    assert (entry["tools"], entry["reasoning"]) == (True, False)
    assert (entry["context_length"], entry["own_context_length"]) == (8_192, 128_000)
    assert len(entry["voices"]) == 13
    assert entry["pricing_now"] == {"currency": "pollen"}


@pytest.mark.parametrize(
    ("name", "pricing"),
    [
        ("flux", {"completionImageTokens": "0.001"}),
        ("wan", {"completionVideoSeconds": "0.075", "completionAudioSeconds": "0.075"}),
        ("seedance", {"completionVideoTokens": "0.0000027"}),
        ("elevenlabs", {"completionAudioTokens": "0.00027"}),
        ("elevenmusic", {"completionAudioSeconds": "0.0075"}),
        ("whisper", {"promptAudioSeconds": "0.0000445"}),
        ("polly", {}),
    ],
)
def test_prices_in_the_lists_have_the_keys_of_the_public_service(name: str, pricing: dict[str, str]) -> None:
    model = HERE.get(name)
    assert model is not None
    assert HERE.describe(model)["pricing"] == {"currency": "pollen", **pricing}


def test_lists_are_by_kind() -> None:
    counts = {kind: len(HERE.models(kind)) for kind in ("text", "image", "video", "audio")}
    assert counts == {"text": 35, "image": 19, "video": 10, "audio": 8}


def test_the_report_of_what_is_missing_names_the_variables() -> None:
    report = HERE.missing()
    assert "openai: set OPENAI_API_KEY" in report
    assert (
        "azure-openai: set AZURE_OPENAI_API_KEY (or AZURE_TENANT_ID and AZURE_CLIENT_ID and AZURE_CLIENT_SECRET) "
        "and set AZURE_OPENAI_RESOURCE"
    ) in report
    assert not any(line.startswith("local:") for line in report)


def test_generated_pages_are_current() -> None:
    from openpollen.catalog.reference import prices_reference, settings_reference

    docs = Path(__file__).parents[2] / "docs" / "reference"
    assert (docs / "settings.md").read_text("utf-8") == settings_reference()
    assert (docs / "prices.md").read_text("utf-8") == prices_reference()
