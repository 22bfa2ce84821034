"""The model lists: everything of the contract, what is local, what an operator added, and who serves it."""

from __future__ import annotations

import pytest

from tests.gateway import Account, Gateway

TEXT = {
    *("openai", "openai-fast", "openai-large", "qwen-coder", "mistral", "openai-audio", "openai-audio-large", "gemini"),
    *("gemini-flash-lite-3.1", "gemini-fast", "deepseek", "grok", "grok-large", "gemini-search", "midijourney"),
    *("midijourney-large", "claude-fast", "claude", "claude-large", "perplexity-fast", "perplexity-reasoning", "kimi"),
    *("gemini-large", "nova-fast", "nova", "glm", "minimax", "mistral-large", "polly", "qwen-coder-large"),
    *("qwen-large", "qwen-vision", "qwen-safety"),
}
IMAGE = {
    *("kontext", "nanobanana", "nanobanana-2", "nanobanana-pro", "seedream5", "gptimage", "gptimage-large", "flux"),
    *("zimage", "wan-image", "wan-image-pro", "qwen-image", "grok-imagine", "grok-imagine-pro", "klein", "p-image"),
    *("p-image-edit", "nova-canvas"),
}
VIDEO = {"veo", "seedance", "seedance-pro", "wan", "wan-fast", "grok-video-pro", "ltx-2", "p-video", "nova-reel"}
AUDIO = {"elevenlabs", "elevenmusic", "whisper", "scribe", "acestep"}


def names(gateway: Gateway, path: str) -> set[str]:
    reply = gateway.request("GET", path)
    assert reply.status == 200
    return {entry["name"] for entry in reply.json}


def test_all_sixty_five_models_are_listed_without_a_key(gateway: Gateway) -> None:
    assert len(TEXT | IMAGE | VIDEO | AUDIO) == 65
    assert names(gateway, "/text/models") >= TEXT | {"smollm2", "lab-chat"}
    assert names(gateway, "/image/models") >= IMAGE | VIDEO | {"scene", "scene-video", "lab-image", "lab-video"}
    assert names(gateway, "/audio/models") >= AUDIO | {"kokoro", "composer", "whisper-base", "lab-speech", "lab-ears"}
    assert names(gateway, "/image/models") & TEXT == set()
    assert gateway.request("GET", "/embeddings/models").json == []


@pytest.mark.parametrize("path", ["/v1/models", "/models"])
def test_openais_list_has_text_models_and_times_in_seconds(gateway: Gateway, path: str) -> None:
    answer = gateway.request("GET", path).json
    assert answer["object"] == "list"
    assert {entry["id"] for entry in answer["data"]} >= TEXT
    assert not {entry["id"] for entry in answer["data"]} & (IMAGE | VIDEO | AUDIO)
    for entry in answer["data"]:
        assert entry["object"] == "model"
        assert 1_500_000_000 < entry["created"] < 3_000_000_000


def test_openais_library_reads_the_list(user: Account) -> None:
    assert "openai" in {model.id for model in user.openai().models.list()}
    assert user.openai().models.retrieve("claude").id == "claude"


@pytest.mark.parametrize("path", ["/text/models", "/image/models", "/audio/models"])
def test_every_entry_has_the_promised_fields(gateway: Gateway, path: str) -> None:
    for entry in gateway.request("GET", path).json:
        assert {"name", "aliases", "description", "pricing", "input_modalities", "output_modalities"} <= entry.keys()
        assert {"capabilities", "served_by"} <= entry.keys()
        assert entry["pricing"]["currency"] == "pollen"
        for price in entry["pricing"].values():
            assert isinstance(price, str)
            assert "e" not in price or price == "pollen"


def test_who_serves_is_told(gateway: Gateway) -> None:
    served = {
        entry["name"]: entry["served_by"]
        for path in ("/text/models", "/image/models", "/audio/models")
        for entry in gateway.request("GET", path).json
    }
    expected = {
        "claude": "smollm2",
        "flux": "scene",
        "veo": "scene-video",
        "elevenlabs": "kokoro",
        "scribe": "whisper-base",
    }
    assert {name: served[name] for name in expected} == expected
    assert (served["lab-chat"], served["elevenmusic"]) == ("lab", "composer")


def test_lengths_are_those_of_what_serves_now(gateway: Gateway) -> None:
    text = {entry["name"]: entry for entry in gateway.request("GET", "/text/models").json}
    engine, stood_in = text["smollm2"], text["openai"]
    for name in ("context_length", "max_completion_tokens"):
        assert stood_in[name] == engine[name] < stood_in[f"own_{name}"]
        assert f"own_{name}" not in engine
    assert gateway.request("GET", "/v1/models/openai").json["context_length"] == engine["context_length"]


def test_the_facts_of_the_contract(gateway: Gateway) -> None:
    text = {entry["name"]: entry for entry in gateway.request("GET", "/text/models").json}
    assert text["claude"]["paid_only"] is True
    assert "paid_only" not in text["openai"]
    assert (text["deepseek"]["reasoning"], text["openai"]["tools"]) == (True, True)
    assert text["polly"]["alpha"] is True
    assert (
        0
        < float(text["claude"]["pricing"]["promptTextTokens"])
        < float(text["claude"]["pricing"]["completionTextTokens"])
    )
    image = {entry["name"]: entry for entry in gateway.request("GET", "/image/models").json}
    assert "image" in image["kontext"]["input_modalities"]
    assert image["veo"]["output_modalities"] == ["video"]
    audio = {entry["name"]: entry for entry in gateway.request("GET", "/audio/models").json}
    assert len(audio["elevenlabs"]["voices"]) == 35


def test_a_key_sees_what_it_may_use(gateway: Gateway) -> None:
    child = gateway.account(models="claude,lab-chat,flux")
    assert {entry["id"] for entry in child.get("/v1/models").json["data"]} == {"claude", "lab-chat"}
    assert [entry["name"] for entry in child.get("/image/models").json] == ["flux"]
    assert child.get("/audio/models").json == []
    assert gateway.request("GET", "/v1/models", key="sk_wrong").status == 401


@pytest.mark.parametrize(
    ("target", "nearest"),
    [("/text/a?model=cluade", "claude"), ("/image/a?model=fluxx", "flux"), ("/audio/a?model=elevenlab", "elevenlabs")],
)
def test_an_unknown_model_names_the_nearest(user: Account, target: str, nearest: str) -> None:
    error = user.get(target).error
    assert error["code"] == "BAD_REQUEST"
    assert nearest in error["message"]


@pytest.mark.parametrize(
    ("target", "where"),
    [
        ("/text/a?model=flux", "/image/{prompt}"),
        ("/image/a?model=openai", "/v1/chat/completions"),
        ("/audio/a?model=openai", "/v1/chat/completions"),
        ("/audio/a?model=whisper", "/v1/audio/transcriptions"),
        ("/video/a?model=flux", "/image/{prompt}"),
        ("/text/a?model=veo", "/v1/videos"),
        ("/text/a?model=elevenmusic", "/audio/{prompt}"),
    ],
)
def test_a_model_of_another_kind_names_its_endpoint(user: Account, target: str, where: str) -> None:
    error = user.get(target).error
    assert error["code"] == "BAD_REQUEST"
    assert where in error["message"]


@pytest.mark.parametrize("path", ["/text/models", "/image/models", "/audio/models"])
def test_every_alias_leads_to_its_model(gateway: Gateway, path: str) -> None:
    entries = gateway.request("GET", path).json
    aliases = [(alias, e["name"]) for e in entries for alias in [*e["aliases"], *e.get("successor_aliases", ())]]
    assert len(aliases) > 3
    for alias, name in aliases:
        assert gateway.request("GET", f"/v1/models/{alias}").json["id"] == name


@pytest.mark.parametrize("empty", ["", "model="])
def test_no_model_is_the_default(user: Account, empty: str) -> None:
    assert user.request("HEAD", f"/image/a?{empty}").headers["x-model-used"] == "scene"
