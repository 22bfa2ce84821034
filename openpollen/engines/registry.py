"""Which local engines there are, in the order in which they are preferred for their kind.

A diffusion model that was pulled stands before the scene engine: real weights draw when they are there. Classes are
imported when their engine is first looked at; models pulled from the hub show up while the host runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from openpollen.engines import weights
from openpollen.engines.base import Engine, Missing

CHAT_MODELS = ("smollm2", "qwen2.5-coder-1.5b")

#: Engines that are one class without arguments: name -> kind, module:class.
SINGLE = {
    "scene": ("image", "openpollen.engines.scene:SceneEngine"),
    "scene-video": ("video", "openpollen.engines.video:SceneVideoEngine"),
    "kokoro": ("speech", "openpollen.engines.speech:KokoroEngine"),
    "composer": ("music", "openpollen.engines.music:ComposerEngine"),
    "whisper-base": ("transcription", "openpollen.engines.transcribe:WhisperEngine"),
}


class Uninstalled:
    """Stands for an engine whose libraries cannot be imported here, so that the others serve on."""

    memory_mb = 0

    def __init__(self, name: str, kind: str, fault: ImportError) -> None:
        self.name = name
        self.kind = kind
        self._sentence = f"{name} is not installed completely ({fault}); run `make setup`."

    def missing(self) -> str:
        return self._sentence

    def load(self) -> None:
        raise Missing(self._sentence)

    def unload(self) -> None:
        return


@dataclass(frozen=True)
class EngineOptions:
    """``threads`` is how many an engine may compute with."""

    threads: int = 1


class LocalEngines(Mapping[str, Engine]):
    """All engines by name; each is made when first asked for, then kept."""

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._made: dict[str, Engine] = {}

    def __getitem__(self, name: str) -> Engine:
        make = self._makers().get(name)
        if make is None:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers())

    def __len__(self) -> int:
        return len(self._makers())

    def _makers(self) -> dict[str, Callable[[], Engine]]:
        pulled = weights.pulled_hub_models()
        chat = [*CHAT_MODELS, *(model.name for model in pulled if model.kind == "chat")]
        diffusion = [model.name for model in pulled if model.kind == "image"]
        makers: dict[str, Callable[[], Engine]] = {}
        for name in chat:
            makers[name] = lambda name=name: self._of_weights(name, "chat", "openpollen.engines.text:TextEngine")
        for name in diffusion:
            where = "openpollen.engines.diffusion:DiffusionEngine"
            makers[name] = lambda name=name, where=where: self._of_weights(name, "image", where)
        for name, (kind, where) in SINGLE.items():
            makers[name] = lambda name=name, kind=kind, where=where: _make(name, kind, where)
        return makers

    def _of_weights(self, name: str, kind: str, where: str) -> Engine:
        """An engine for one file of weights; the file is looked up each time, as weights come and go while we run."""
        path = partial(weights.model_path, name)
        return _make(name, kind, where, name, path=path, threads=self._options.threads)


def local_engines(options: EngineOptions | None = None) -> Mapping[str, Engine]:
    """Every local engine by name, made lazily."""
    return LocalEngines(options or EngineOptions())


def _make(name: str, kind: str, where: str, *arguments: Any, **options: Any) -> Engine:
    try:
        return _class(where)(*arguments, **options)
    except ImportError as fault:
        return Uninstalled(name, kind, fault)


def _class(where: str) -> Callable[..., Any]:
    module, _, name = where.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except AttributeError as fault:
        raise ImportError(f"{module} has no {name}") from fault
