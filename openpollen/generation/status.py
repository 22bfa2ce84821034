"""What serves the models now, counted: for the doctor and for the pages of who runs the installation."""

from __future__ import annotations

from typing import Literal

from openpollen.catalog.registry import Registry
from openpollen.core.model import Model
from openpollen.engines import weights

By = Literal["provider", "local", "waiting", "nobody"]


def waiting_engines() -> set[str]:
    """Local engines whose weights are not here. Looks at files."""
    return {entry.name for entry in weights.status() if entry.state != "ready"}


def server_of(registry: Registry, model: Model, waiting: set[str]) -> By:
    """Who serves a model: a provider, a local engine, one that waits for its weights, or nobody."""
    now = registry.now(model)
    if now is None:
        return "nobody"
    if now.served_by is None and not model.local:
        return "provider"
    return "waiting" if now.routes[0][0].model in waiting else "local"


def counts(registry: Registry) -> dict[By, int]:
    """How many models each of them serves."""
    waiting = waiting_engines()
    found: dict[By, int] = {"provider": 0, "local": 0, "waiting": 0, "nobody": 0}
    for model in registry.models():
        found[server_of(registry, model, waiting)] += 1
    return found
