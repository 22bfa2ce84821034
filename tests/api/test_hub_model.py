"""A GGUF pulled from the hub is a model like any other: listed, checked, and able to answer for the rest."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from openpollen.engines import weights
from openpollen.engines.weights_store import write_stamp
from tests.gateway import Gateway


def test_a_pulled_gguf_answers_under_its_own_name_and_for_others(models_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "hub" / "acme--Tiny-GGUF--tiny-q4.gguf"
    folder.mkdir(parents=True)
    file = folder / "tiny-q4.gguf"
    shutil.copyfile(weights.model_path("smollm2"), file)
    write_stamp(folder, {file.name: hashlib.sha256(file.read_bytes()).hexdigest()}, "acme/Tiny-GGUF:tiny-q4.gguf")
    config = tmp_path / "openpollen.toml"
    config.write_text(f'[engines]\nmodels = "{tmp_path / "models"}"\nchat_model = "tiny-q4"\n')
    with Gateway(tmp_path / "data", config) as gateway:
        user = gateway.account()
        assert "tiny-q4" in [model["id"] for model in gateway.request("GET", "/v1/models").json["data"]]
        for name in ("tiny-q4", "openai"):
            reply = user.chat(name, max_tokens=8)
            assert (reply.status, reply.headers["x-model-used"]) == (200, "tiny-q4")
            assert reply.json["choices"][0]["message"]["content"]
