"""What an operator writes, and what comes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from openpollen.catalog.load import Catalog, load, load_catalog
from openpollen.catalog.registry import Registry
from openpollen.core.model import Capability, Unit
from tests.catalog.faults import validate

EXAMPLE = """
[providers.lab]
wire = "openai_compatible"
base_url = "http://127.0.0.1:9100/v1"
key = "env:LAB_KEY"                 # or a literal; optional

[[models]]
name = "lab-chat"
capabilities = ["chat", "tools"]    # also: vision, image, edit, video, speech, music, transcription, audio_in
paid_only = false
[[models.routes]]
provider = "lab"
model = "upstream-name"
price = { input_token = "1.00", cached_input_token = "0.10", output_token = "5.00", per = 1_000_000 }
"""

LAB = """
[providers.lab]
wire = "openai_compatible"
base_url = "http://127.0.0.1:9100/v1"
"""


def registry(tmp_path: Path, text: str, env: Mapping[str, str] | None = None) -> Registry:
    return Registry.build(catalog(tmp_path, text), env or {}, local_url="http://127.0.0.1:1/v1")


def catalog(tmp_path: Path, text: str) -> Catalog:
    path = tmp_path / "openpollen.toml"
    path.write_text(text, "utf-8")
    return load_catalog(path)


def test_the_example_works_word_for_word(tmp_path: Path) -> None:
    reg = registry(tmp_path, EXAMPLE, {"LAB_KEY": "secret"})
    found = reg.resolve("lab-chat", "chat")
    serving = reg.serving(found.model, found.capability)
    route, provider = serving.routes[0]
    assert (route.model, provider.base_url, provider.key) == ("upstream-name", "http://127.0.0.1:9100/v1", "secret")
    assert serving.served_by is None
    assert serving.price.rates == {Unit.INPUT_TOKEN: 1000, Unit.CACHED_INPUT_TOKEN: 100, Unit.OUTPUT_TOKEN: 5000}
    assert found.model.kind == "text"
    assert "secret" not in repr(provider) + repr(reg.providers)


def test_a_key_that_is_not_set_leaves_the_model_to_the_local_engine(tmp_path: Path) -> None:
    reg = registry(tmp_path, EXAMPLE)
    found = reg.resolve("lab-chat", "chat")
    serving = reg.serving(found.model, found.capability)
    assert serving.served_by is not None
    assert serving.served_by.name == "smollm2"
    assert serving.price.free
    assert reg.missing()[-1] == "lab: set LAB_KEY"


def test_a_key_may_be_literal_or_in_a_file_or_absent(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("from-file\n", "utf-8")
    for line, key in ((f'key = "file:{secret}"', "from-file"), ('key = "literal"', "literal"), ("", None)):
        provider = registry(tmp_path, LAB + line).providers["lab"]
        assert (provider.live, provider.key) == (True, key)


def test_per_divides_tokens_and_characters_only(tmp_path: Path) -> None:
    text = LAB + (
        '[[models]]\nname = "all"\ncapabilities = ["chat", "image", "video", "speech", "transcription"]\n'
        'price = { input_token = "1", output_token = 1, character = 1.5, video_token = "2", image = "0.04",'
        ' second = "0.5", request = "0.1", search = "0.2", per = 1_000 }\n'
        '[[models.routes]]\nprovider = "lab"\nmodel = "m"\n'
    )
    rates = {str(u): r for u, r in catalog(tmp_path, text).models[-1].price.rates.items()}
    assert rates == {
        "input_token": 1_000_000,
        "output_token": 1_000_000,
        "character": 1_500_000,
        "video_token": 2_000_000,
        "image": 40_000_000,
        "second": 500_000_000,
        "request": 100_000_000,
        "search": 200_000_000,
    }


def test_a_block_with_only_an_address_or_a_key_overrides_the_shipped_one(tmp_path: Path) -> None:
    moved = registry(
        tmp_path, '[providers.openai]\nbase_url = "http://127.0.0.1:9/v1"\n', {"OPENAI_API_KEY": "k"}
    ).providers["openai"]
    assert (moved.base_url, moved.key, moved.live) == ("http://127.0.0.1:9/v1", "k", True)
    keyed = registry(tmp_path, '[providers.openai]\nkey = "mine"\n').providers["openai"]
    assert (keyed.base_url, keyed.key, keyed.live) == ("https://api.openai.com/v1", "mine", True)


def test_an_address_from_the_environment_must_be_one(tmp_path: Path) -> None:
    vllm = registry(tmp_path, "", {"VLLM_URL": "gpu:8000"}).providers["vllm"]
    assert (vllm.live, vllm.missing) == (False, "{VLLM_URL}/v1 must start with http:// or https://")
    assert registry(tmp_path, "", {"VLLM_URL": "http://gpu:8000"}).providers["vllm"].live


def test_azure_is_an_address_form_and_a_header(tmp_path: Path) -> None:
    env = {"AZURE_OPENAI_RESOURCE": "mine", "AZURE_OPENAI_API_KEY": "k"}
    azure = registry(tmp_path, "", env).providers["azure-openai"]
    assert azure.live
    assert azure.auth == "api-key"
    assert azure.base_url.startswith("https://mine.openai.azure.com/openai/deployments/{model}?api-version=")


def test_a_shipped_model_gets_the_operators_route_first_and_price(tmp_path: Path) -> None:
    text = LAB + (
        '[[models]]\nname = "openai-large"\n[[models.routes]]\nprovider = "lab"\nmodel = "own"\n'
        'price = { input_token = "1", output_token = "2", per = 1_000_000 }\n'
    )
    reg = registry(tmp_path, text, {"OPENAI_API_KEY": "k"})
    model = reg.resolve("gpt-5.4", "chat").model
    serving = reg.serving(model, Capability.CHAT)
    assert [(r.provider, r.model) for r, _ in serving.routes] == [("lab", "own"), ("openai", "gpt-5.4")]
    assert serving.price.rates == {Unit.INPUT_TOKEN: 1000, Unit.OUTPUT_TOKEN: 2000}
    assert serving.price.variants == ()
    assert model.title == "OpenAI GPT-5.4"


def test_an_operators_model_wins_over_aliases_of_that_name(tmp_path: Path) -> None:
    text = LAB + (
        '[[models]]\nname = "gpt-5-mini"\naliases = ["gpt-5.4-nano"]\ncapabilities = ["chat"]\n'
        'price = { input_token = "0", output_token = "0" }\n[[models.routes]]\nprovider = "lab"\nmodel = "m"\n'
    )
    reg = registry(tmp_path, text)
    assert reg.resolve("gpt-5-mini", "chat").model.name == "gpt-5-mini"
    assert reg.resolve("gpt-5.4-nano", "chat").model.name == "gpt-5-mini"
    assert reg.describe(reg.resolve("openai", "chat").model)["aliases"] == []


def test_a_local_engine_can_be_given_a_price(tmp_path: Path) -> None:
    text = '[[models]]\nname = "smollm2"\nprice = { input_token = "1", output_token = "2", per = 1_000_000 }\n'
    reg = registry(tmp_path, text)
    for name in ("smollm2", "claude"):
        serving = reg.serving(reg.resolve(name, "chat").model, Capability.CHAT)
        assert serving.price.rates == {Unit.INPUT_TOKEN: 1000, Unit.OUTPUT_TOKEN: 2000}
    assert reg.price(reg.resolve("polly", "chat").model).free


def test_routes_with_different_prices_are_warned_about(tmp_path: Path) -> None:
    text = EXAMPLE + (
        '[[models.routes]]\nprovider = "lab"\nmodel = "b"\nprice = { input_token = "9", output_token = "9" }\n'
    )
    found = catalog(tmp_path, text)
    assert found.models[-1].price.rates[Unit.OUTPUT_TOKEN] == 5000
    assert len(found.warnings) == 1
    assert "lab-chat" in found.warnings[0]
    assert catalog(tmp_path, EXAMPLE).warnings == ()


def test_a_price_for_what_is_never_measured_is_warned_about(tmp_path: Path) -> None:
    found = catalog(tmp_path, EXAMPLE.replace("per =", 'second = "1", per ='))
    assert len(found.warnings) == 1
    assert "lab-chat price: second" in found.warnings[0]


def test_the_revision_follows_prices_and_routes(tmp_path: Path) -> None:
    plain = registry(tmp_path, EXAMPLE).revision
    assert registry(tmp_path, EXAMPLE).revision == plain
    assert registry(tmp_path, EXAMPLE.replace('"5.00"', '"6.00"')).revision != plain
    assert registry(tmp_path, EXAMPLE, {"LAB_KEY": "x"}).revision != plain


def test_every_process_gives_one_catalogue_the_same_revision(tmp_path: Path) -> None:
    config = tmp_path / "openpollen.toml"
    config.write_text(EXAMPLE.replace('model = "upstream-name"', 'model = "up"\nparams = ["top_k", "min_p", "-seed"]'))
    where = ["--data", str(tmp_path / "data"), "--config", str(config)]
    told = {
        subprocess.run(
            [sys.executable, "-m", "openpollen", "admin", "catalog", "check", "--json", *where],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2", "3")
    }
    (only,) = told
    assert len(json.loads(only)["revision"]) == 16


def test_settings_and_catalogue_share_the_file(tmp_path: Path) -> None:
    path = tmp_path / "openpollen.toml"
    path.write_text('[server]\nport = 0\n[engines]\nchat_model = "qwen2.5-coder-1.5b"\n' + EXAMPLE, "utf-8")
    settings, found = load(path, {}, {"server.host": "0.0.0.0"})
    assert (settings.server.port, settings.server.host) == (0, "0.0.0.0")
    assert "lab-chat" in {model.name for model in found.models}
    assert validate(path) == []
    reg = Registry.build(found, {}, local_url="http://127.0.0.1:1/v1", chat_model=settings.engines.chat_model)
    serving = reg.serving(reg.resolve("polly", "chat").model, Capability.CHAT)
    assert serving.routes[0][0].model == "qwen2.5-coder-1.5b"


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_file_is_sound(tmp_path: Path, text: str) -> None:
    assert len(catalog(tmp_path, text).models) == 72


def test_a_name_of_ones_own_for_an_engine_serves_nobody_elses_calls(tmp_path: Path) -> None:
    text = """
[[models]]
name = "house-pictures"
capabilities = ["image"]
[[models.routes]]
provider = "local"
model = "scene"
price = { image = "0.5" }
"""
    (tmp_path / "openpollen.toml").write_text(text)
    registry = Registry.build(load_catalog(tmp_path / "openpollen.toml"), {}, local_url="http://engines/v1")
    flux, mine = (registry.resolve(name, "images").model for name in ("flux", "house-pictures"))
    standing_in = registry.serving(flux, Capability.IMAGE)
    assert standing_in.served_by is not None
    assert (standing_in.served_by.name, standing_in.price.free) == ("scene", True)
    own = registry.serving(mine, Capability.IMAGE)
    assert own.served_by is not None
    assert (own.served_by.name, own.price.free) == ("scene", False)


def test_a_shipped_provider_can_be_pointed_at_a_host_that_needs_no_key(tmp_path: Path) -> None:
    (tmp_path / "openpollen.toml").write_text('[providers.openai]\nbase_url = "http://127.0.0.1:9100/v1"\n')
    catalog = load_catalog(tmp_path / "openpollen.toml")
    here = Registry.build(catalog, {}).providers["openai"]
    assert (here.live, here.base_url, here.key) == (True, "http://127.0.0.1:9100/v1", None)
    assert Registry.build(catalog, {"OPENAI_API_KEY": "k"}).providers["openai"].key == "k"


@pytest.mark.parametrize("key", ["sk-abc…", "sk-abc\nsk-def", "sk-abc✓"])
def test_a_key_that_no_header_can_carry_is_told_and_not_used(tmp_path: Path, key: str) -> None:
    lab = registry(tmp_path, EXAMPLE, {"LAB_KEY": key}).providers["lab"]
    assert (lab.live, lab.key) == (False, None)
    assert lab.missing.startswith("LAB_KEY has characters that no header can carry")
    assert "abc" not in lab.missing
