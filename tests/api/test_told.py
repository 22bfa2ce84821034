"""What the API says of itself is so: prices that caps may rely on, lists of what works now, errors that lead somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from tests.gateway import Account, Gateway, form

PRICED = """
[[models]]
name = "scene-video"
capabilities = ["video"]
[[models.routes]]
provider = "local"
model = "scene-video"
price = { second = "0.02" }
"""
FILM = {"model": "scene-video", "prompt": "a boat", "size": "160x96", "fps": 8, "seconds": 3}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
TURNS = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, PICTURE]}]


@pytest.fixture(scope="module")
def priced(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    folder = tmp_path_factory.mktemp("priced")
    config = folder / "openpollen.toml"
    config.write_text(PRICED)
    with Gateway(folder / "data", config, env={"OPENPOLLEN_MODELS": str(models_dir)}) as running:
        yield running.account(pack="10")


def test_a_cap_at_the_price_of_a_film_is_accepted_and_the_estimate_is_that_price(priced: Account) -> None:
    told = priced.post("/v1/estimate", {"endpoint": "videos", "request": FILM}).json
    assert (told["max"], told["expected"]) == ("0.06", "0.06")
    address = "/video/a%20boat?model=scene-video&size=160x96&fps=8&duration=3&max_cost="
    assert priced.get(f"{address}0.059999").error["reason"] == "max_cost"
    reply = priced.get(f"{address}0.06")
    assert (reply.status, reply.headers["x-pollen-cost"]) == (200, "0.06")
    odd = priced.get("/video/a%20boat?model=scene-video&size=160x96&fps=8&duration=1.3&max_cost=0.026")
    assert odd.status == 200, "frames never last longer than what was asked"


def test_a_providers_film_may_be_capped_at_its_price_too(user: Account) -> None:
    request = {"model": "lab-video", "prompt": "a", "seconds": 4}
    told = user.post("/v1/estimate", {"endpoint": "videos", "request": request}).json
    assert told["expected"] == "0.08"
    assert float(told["max"]) > 0.08
    assert user.post("/v1/videos", {**request, "max_cost": "0.079"}).error["reason"] == "max_cost"
    assert user.post("/v1/videos", {**request, "max_cost": "0.08"}).status == 200


def test_the_lists_tell_what_works_now_and_the_models_own_apart(user: Account) -> None:
    entry = next(m for m in user.get("/text/models").json if m["name"] == "openai")
    assert entry["served_by"] == "smollm2"
    assert entry["input_modalities"] == ["text"]
    assert "vision" not in entry["capabilities"]
    assert "image" in entry["own_input_modalities"]
    assert "vision" in entry["own_capabilities"]
    flux = next(m for m in user.get("/image/models").json if m["name"] == "kontext")
    assert "image" in flux["input_modalities"]
    assert not any(
        name.startswith("own_") for m in user.get("/text/models").json if m["name"] == "smollm2" for name in m
    )


def test_a_picture_for_a_model_that_cannot_see_now_names_what_would_help(user: Account) -> None:
    message = user.chat("openai", messages=TURNS).error["message"]
    assert "smollm2, which serves openai here, reads text only" in message
    assert "'image_url'" in message
    able = [m["name"] for m in user.get("/text/models").json if "image" in m["input_modalities"]]
    assert all(name in message for name in able[:8]) if able else "set OPENAI_API_KEY" in message


def test_the_note_of_another_script_is_utf8_percent_encoded_in_its_header(user: Account) -> None:
    words = "नमस्ते"
    note = user.get(f"/image/{quote(f'a forest “{words}” 100%')}?model=scene&width=128&height=128").headers[
        "x-engine-note"
    ]
    assert note.isascii()
    assert f'could not letter: "{words}"' in unquote(note)
    body = {"model": "scene", "prompt": f"a forest “{words}”", "size": "128x128", "response_format": "b64_json"}
    assert f"“{words}”" in user.post("/v1/images/generations", body).json["data"][0]["note"]


def test_a_size_that_cannot_be_is_told_as_it_was_sent(user: Account) -> None:
    error = user.post("/v1/videos", {"model": "scene-video", "prompt": "a", "size": "1x1"}).error
    assert "1x1" in error["message"]


def test_a_callers_mistake_at_a_local_engine_is_the_callers_own(gateway: Gateway, user: Account) -> None:
    speech = user.post("/v1/audio/speech", {"model": "kokoro", "input": "Hello there.", "response_format": "wav"}).body
    body, kind = form({"model": "whisper-base", "language": "xx"}, [("file", "a.wav", speech)])
    error = user.request("POST", "/v1/audio/transcriptions", body=body, headers={"Content-Type": kind}).error
    assert (error["code"], error.get("reason")) == ("BAD_REQUEST", None)
    assert "no language 'xx'" in error["message"]
    assert "upstreamStatus" not in str(error)
    assert "no language" not in gateway.output
