"""Pictures from a diffusion model that was pulled as GGUF, by stable-diffusion.cpp through the prebuilt wheel ``cyllama``.

The wheel is optional and imported only when a model is loaded. API: cyllama 0.2.18, ``cyllama.sd``. No Python log
callback is ever set: the library logs from its loader threads, which would wait for ever on the interpreter.
"""

from __future__ import annotations

import importlib
import importlib.util
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from openpollen.core.errors import UnprocessableEntity
from openpollen.engines import weights
from openpollen.engines.base import CancelToken, EngineKind, ImageJob, ImageMade, Missing
from openpollen.engines.gguf import GgufHeader, NotGguf, read_header
from openpollen.engines.scene.metadata import encode, facts
from openpollen.engines.threads import engine_threads

WHEEL = "cyllama==0.2.18"
_GRAIN = 64  # sides are multiples of this in every architecture
_LARGEST = 1024 * 1024  # pixels that are sampled at most; larger pictures are enlarged from that
_DISTILLED = ("turbo", "lightning", "lcm", "schnell", "klein", "sdxs", "hyper")
_DECODER = ("first_stage_model.", "vae.", "tae.")


@dataclass(frozen=True)
class Recipe:
    """Sampling steps and guidance. Distilled models take few steps and no guidance."""

    steps: int
    guidance: float


def recipe(name: str, quality: str) -> Recipe:
    """Steps and guidance for a model, known by its name, at ``low``, ``medium`` or ``high`` quality."""
    if any(mark in name.lower() for mark in _DISTILLED):
        return Recipe({"low": 2, "high": 8}.get(quality, 4), 1.0)
    return Recipe({"low": 12, "high": 30}.get(quality, 20), 7.0)


def canvas(width: int, height: int) -> tuple[int, int]:
    """The size to sample for a picture of ``width`` x ``height`` pixels: its shape, in multiples of 64, about 1 MP at most."""
    shrink = min(1.0, (_LARGEST / (width * height)) ** 0.5)
    across, down = (max(_GRAIN, round(side * shrink / _GRAIN) * _GRAIN) for side in (width, height))
    return across, down


def checkpoint_parts(main: Path, others: Iterable[Path]) -> dict[str, str]:
    """Which file is which parameter of ``SDContextParams``. A whole checkpoint stands alone; a bare diffusion model
    needs its decoder, and the text encoders that were pulled beside it. Raises ``Missing``."""
    try:
        header = read_header(main)
        if any(name.startswith(_DECODER) for name in header.tensors):
            return {"model_path": str(main)}
        parts = {"diffusion_model_path": str(main)}
        for other in others:
            if other != main and (role := _role(read_header(other))):
                parts.setdefault(role, str(other))
    except NotGguf as error:
        raise Missing(f"{error} Remove it with `polli models remove` and pull it again.") from error
    except OSError as error:
        raise Missing(f"The weights {main.name} are not there; run `polli models pull --hub ORG/REPO`.") from error
    if "vae_path" not in parts:
        raise Missing(
            f"{main.name} is a diffusion model without its decoder; pull a checkpoint that has everything, or the decoder and "
            "text encoder it needs as GGUF too: `polli models pull --hub ORG/REPO:FILE.gguf`."
        )
    return parts


def _role(header: GgufHeader) -> str:
    if any(name.startswith((*_DECODER, "decoder.conv_in")) for name in header.tensors):
        return "vae_path"
    if header.architecture in ("t5", "t5encoder"):
        return "t5xxl_path"
    if header.architecture == "clip" or any(name.startswith("text_model.") for name in header.tensors):
        return "clip_l_path"
    return "llm_path" if header.architecture.startswith("qwen") else ""


class DiffusionEngine:
    """One pulled diffusion model. Loaded once, one picture at a time."""

    kind: EngineKind = "image"

    def __init__(self, name: str, path: Path, others: Callable[[], list[Path]] | None = None) -> None:
        self.name = name
        self._path = path
        self._others = others or (lambda: [model.path for model in weights.pulled_hub_models()])
        self._context: Any = None
        self._lock = threading.Lock()

    @property
    def memory_mb(self) -> int:
        """The weights, and about 700 MB in which a picture is worked out."""
        return int(self._path.stat().st_size / 1e6) + 700 if self._path.exists() else 700

    def missing(self) -> str:
        if importlib.util.find_spec("cyllama") is None:
            return f"stable-diffusion.cpp is not installed; run `pip install {WHEEL}` in the gateway's environment."
        try:
            checkpoint_parts(self._path, self._others())
        except Missing as missing:
            return str(missing)
        return ""

    def load(self) -> None:
        """Read the weights. Raises ``Missing`` when the wheel or a part is not there or the library refuses the file."""
        with self._lock:
            if self._context is not None:
                return
            if words := self.missing():
                raise Missing(words)
            library = _library()
            library.set_progress_callback(_quiet)
            params = library.SDContextParams(n_threads=engine_threads(), vae_decode_only=True)
            params.free_params_immediately = False  # the weights must outlive the first picture
            for attribute, path in checkpoint_parts(self._path, self._others()).items():
                setattr(params, attribute, path)
            try:
                self._context = library.SDContext(params)
            except RuntimeError as error:
                raise Missing(
                    f"stable-diffusion.cpp cannot load {self._path.name}: it is damaged, of a kind that it does not know, "
                    "or does not fit the memory. Remove it with `polli models remove` and pull another."
                ) from error

    def unload(self) -> None:
        with self._lock:
            if self._context is not None:
                self._context.close()
                self._context = None

    def generate(self, job: ImageJob, token: CancelToken) -> ImageMade:
        """Sample a picture. Cancelling takes effect before sampling and after it, not within."""
        if job.transparent:
            raise UnprocessableEntity(
                f"{self.name} paints the whole picture and cannot leave its background out; use the model `scene`.",
                reason="transparency_unsupported",
            )
        self.load()
        token.check()
        width, height = canvas(job.width, job.height)
        how = recipe(self.name, job.quality)
        seed = secrets.randbelow(2**31) if job.seed is None else job.seed
        with self._lock:
            (picture,) = self._context.generate(
                job.prompt, negative_prompt=job.negative_prompt, width=width, height=height, seed=seed % 2**31,
                sample_steps=how.steps, cfg_scale=how.guidance, vae_tiling=width * height > 768 * 768,
            )  # fmt: skip
        token.check()
        image = Image.fromarray(picture.to_numpy()).convert("RGB")
        if image.size != (job.width, job.height):
            image = image.resize((job.width, job.height), Image.Resampling.LANCZOS)
        pixels = np.asarray(image, np.float32) / 255
        told = facts(job.prompt, seed, self.name) if job.metadata else None
        data, mime = encode(pixels, job.output_format, told)
        note = f"Sampled in {how.steps} steps at {width}x{height}."
        return ImageMade(data, mime, job.width, job.height, seed, note)


def _library() -> Any:
    """``cyllama.sd``, which has no types and is there only when its wheel was installed."""
    return importlib.import_module("cyllama.sd")


def _quiet(_step: int, _steps: int, _seconds: float) -> None:
    """Progress that nobody watches; without a callback the library draws bars on the standard output."""
