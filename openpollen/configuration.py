"""Settings and catalogue of an installation: its file, the environment, what was changed by command, and the models that
were pulled."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from openpollen.catalog.load import Catalog, load
from openpollen.catalog.registry import Registry
from openpollen.core.errors import ConfigError
from openpollen.core.model import Capability, Limits, Model, Price, Route, Unit
from openpollen.engines import weights
from openpollen.engines.weights import HubModel
from openpollen.providers.adapter import adapters
from openpollen.settings import Settings
from openpollen.settings.reading import Table


class Files(NamedTuple):
    """Where a worker's catalogue comes from, and how to read it again."""

    read: Callable[[], Catalog]
    paths: Sequence[Path] = ()


def read_configuration(
    config: Path | None, env: Mapping[str, str], overrides: Mapping[str, Any], changes: Table | None = None
) -> tuple[Settings, Catalog]:
    """Settings and catalogue, with the models that were pulled from a hub; ``changes`` as in ``load``. Raises ConfigError
    with every fault."""
    return load(config, env, overrides, _pulled_models, adapters(), changes)


def _pulled_models(folder: Path) -> list[Model]:
    # Whatever looks for weights in this process looks where the settings say.
    os.environ["OPENPOLLEN_MODELS"] = str(folder)
    return [_pulled_model(hub) for hub in weights.pulled_hub_models() if hub.kind in ("chat", "image")]


def _pulled_model(hub: HubModel) -> Model:
    """A pulled GGUF as a model under its own name, free unless the operator's file prices it."""
    chat = hub.kind == "chat"
    rates = {Unit.INPUT_TOKEN: Fraction(0), Unit.OUTPUT_TOKEN: Fraction(0)} if chat else {Unit.IMAGE: Fraction(0)}
    return Model(
        name=hub.name,
        kind="text" if chat else "image",
        capabilities=frozenset({Capability.CHAT, Capability.TOOLS} if chat else {Capability.IMAGE}),
        price=Price(rates, version="local"),
        routes=(Route("local", hub.name),),
        title=hub.name,
        description=f"{hub.architecture or 'GGUF'} from {hub.repo}, run here",
        output_modalities=("text",) if chat else ("image",),
        limits=Limits() if chat else Limits(min_size=64, max_size=2048, max_reference_images=0),
        source=hub.repo,
        local=True,
    )


def build_registry(settings: Settings, catalog: Catalog, env: Mapping[str, str]) -> Registry:
    """The catalogue's snapshot for these settings. Raises ConfigError."""
    try:
        return Registry.build(
            catalog,
            env,
            local_url=env.get("OPENPOLLEN_ENGINE_URL", "") if settings.engines.enabled else "",
            local_key=env.get("OPENPOLLEN_ENGINE_TOKEN"),
            chat_model=settings.engines.chat_model,
            local_fallback=settings.generation.local_fallback,
            allow_substitutes=settings.generation.allow_substitutes,
            successor_aliases=settings.generation.successor_aliases,
            wires={wire: adapter.operations for wire, adapter in adapters().items()},
        )
    except ValueError as fault:
        raise ConfigError([str(fault)]) from None
