"""The diffusion engine as far as it can be shown without weights: what it says is missing, which files it would load."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path

import pytest

from openpollen.core.errors import UnprocessableEntity
from openpollen.engines.base import CancelToken, ImageJob, Missing
from openpollen.engines.diffusion import DiffusionEngine, canvas, checkpoint_parts, recipe


def gguf(path: Path, architecture: str, *tensors: str) -> Path:
    """A GGUF file with a header only."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    pairs = text("general.architecture") + struct.pack("<I", 8) + text(architecture)
    infos = b"".join(text(name) + struct.pack("<IQIQ", 1, 4, 0, 0) for name in tensors)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), 1) + pairs + infos)
    return path


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    names = ("model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.decoder.conv_in.weight")
    return gguf(tmp_path / "sd-turbo-q8.gguf", "sd1", *names)


def test_it_says_what_is_missing_and_how_to_bring_it(tmp_path: Path, whole: Path) -> None:
    installed = importlib.util.find_spec("cyllama") is not None
    engine = DiffusionEngine("sd-turbo-q8", whole, list)
    assert engine.missing() == ("" if installed else "stable-diffusion.cpp is not installed; run `pip install cyllama==0.2.18` "
                                "in the gateway's environment.")  # fmt: skip
    absent = DiffusionEngine("gone", tmp_path / "gone.gguf", list)
    assert "pip install cyllama" in absent.missing() or "polli models pull --hub" in absent.missing()
    with pytest.raises(Missing):  # a header without weights never loads, with the library or without it
        engine.generate(ImageJob("a cat", 64, 64), CancelToken())
    engine.unload()


def test_a_whole_checkpoint_stands_alone(whole: Path) -> None:
    assert checkpoint_parts(whole, []) == {"model_path": str(whole)}


def test_a_bare_model_takes_its_parts_from_what_was_pulled(tmp_path: Path) -> None:
    main = gguf(tmp_path / "z-image.gguf", "lumina2", "double_blocks.0.weight")
    decoder = gguf(tmp_path / "ae.gguf", "vae", "decoder.conv_in.weight")
    encoder = gguf(tmp_path / "qwen3-4b.gguf", "qwen3", "token_embd.weight")
    llama = gguf(tmp_path / "llama.gguf", "llama", "token_embd.weight")
    t5 = gguf(tmp_path / "t5.gguf", "t5encoder", "enc.blk.0.weight")
    assert checkpoint_parts(main, [main, decoder, encoder, llama, t5]) == {
        "diffusion_model_path": str(main),
        "vae_path": str(decoder),
        "llm_path": str(encoder),
        "t5xxl_path": str(t5),
    }
    with pytest.raises(Missing, match="without its decoder"):
        checkpoint_parts(main, [encoder])


def test_damaged_and_absent_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"not a model")
    with pytest.raises(Missing, match="not a GGUF file"):
        checkpoint_parts(tmp_path / "bad.gguf", [])
    with pytest.raises(Missing, match="polli models pull --hub"):
        checkpoint_parts(tmp_path / "absent.gguf", [])


def test_a_transparent_picture_is_refused_with_the_way_out(whole: Path) -> None:
    with pytest.raises(UnprocessableEntity, match="use the model `scene`"):
        DiffusionEngine("sd", whole, list).generate(ImageJob("a cat", transparent=True), CancelToken())


@pytest.mark.parametrize(
    ("asked", "sampled"),
    [
        ((512, 512), (512, 512)),
        ((100, 2048), (128, 2048)),
        ((2048, 2048), (1024, 1024)),
        ((1920, 1080), (1344, 768)),
        ((64, 64), (64, 64)),
    ],
)
def test_the_canvas_keeps_the_shape_in_whole_blocks(asked: tuple[int, int], sampled: tuple[int, int]) -> None:
    assert canvas(*asked) == sampled


def test_distilled_models_take_few_steps() -> None:
    assert recipe("sd-turbo-q8", "medium").steps == 4
    assert recipe("z-image-turbo", "high").guidance == 1.0
    assert (
        recipe("dreamshaper", "low").steps < recipe("dreamshaper", "medium").steps < recipe("dreamshaper", "high").steps
    )
