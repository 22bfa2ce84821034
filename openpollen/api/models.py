"""The model lists (rule 3): OpenAI's shape at /v1/models, bare arrays with metadata at the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from openpollen.api.auth import Authentication
from openpollen.api.exchange import Exchange
from openpollen.catalog.registry import Registry
from openpollen.core.errors import NotFound
from openpollen.core.model import Kind, Model, Route
from openpollen.generation.service import Pipeline
from openpollen.generation.status import waiting_engines


class ModelsApi:
    """The handlers of the lists. With a key, a list shows what the key may use."""

    def __init__(self, authentication: Authentication, pipeline: Pipeline) -> None:
        self._authentication = authentication
        self._pipeline = pipeline

    async def openai(self, exchange: Exchange) -> None:
        """GET /v1/models: text models in OpenAI's list shape."""
        visible = await self._visible(exchange, ("text",))
        data = [_openai(model, entry) for model, entry in zip(visible, await self._entries(visible), strict=True)]
        await exchange.json(200, {"object": "list", "data": data})

    async def openai_one(self, exchange: Exchange) -> None:
        """GET /v1/models/{id}: one model of any kind."""
        await self._authentication.optional(exchange)
        model = self._registry.get(exchange.args["id"])
        if model is None:
            raise NotFound(f"There is no model {exchange.args['id'][:100]!r}; GET /v1/models lists them.")
        await exchange.json(200, _openai(model, *await self._entries([model])))

    async def text(self, exchange: Exchange) -> None:
        await self._list(exchange, ("text",))

    async def image(self, exchange: Exchange) -> None:
        await self._list(exchange, ("image", "video"))

    async def video(self, exchange: Exchange) -> None:
        await self._list(exchange, ("video",))

    async def audio(self, exchange: Exchange) -> None:
        await self._list(exchange, ("audio",))

    async def embeddings(self, exchange: Exchange) -> None:
        """GET /embeddings/models: none yet, said as an empty list."""
        await self._authentication.optional(exchange)
        await exchange.json(200, [])

    async def status(self, exchange: Exchange) -> None:
        """GET /v1/models/status: how the routes of each model do, as the worker that answers has seen it."""
        models = await self._visible(exchange, ("text", "image", "video", "audio"))
        data = [{"id": model.name, "routes": [self._route(route) for route in model.routes]} for model in models]
        await exchange.json(200, {"object": "list", "data": data})

    def _route(self, route: Route) -> dict[str, Any]:
        provider = self._registry.providers[route.provider]
        seen: dict[str, Any] = {"provider": provider.name, "model": route.model, "live": provider.live}
        if provider.live and (circuit := self._pipeline.health.seen(route)) is not None:
            seen |= {
                "state": self._pipeline.health.state(route),
                "calls": circuit.calls,
                "failing": round(circuit.faults, 3),
                "latency_ms": round(circuit.latency * 1000),
            }
        return seen

    @property
    def _registry(self) -> Registry:
        return self._pipeline.registry

    async def _list(self, exchange: Exchange, kinds: tuple[Kind, ...]) -> None:
        await exchange.json(200, await self._entries(await self._visible(exchange, kinds)))

    async def _entries(self, models: Sequence[Model]) -> list[Mapping[str, Any]]:
        """What is told of the models; one whose engine waits for its weights is served by nobody."""
        waiting = await asyncio.to_thread(waiting_engines)
        return [_present(self._registry.describe(model), waiting) for model in models]

    async def _visible(self, exchange: Exchange, kinds: tuple[Kind, ...]) -> list[Model]:
        caller = await self._authentication.optional(exchange)
        models = [model for kind in kinds for model in self._registry.models(kind)]
        return [model for model in models if caller is None or caller.may_use(model.name)]


def _present(entry: Mapping[str, Any], waiting: Collection[str]) -> Mapping[str, Any]:
    engine = entry["served_by"]
    if engine not in waiting:
        return entry
    return {**entry, "served_by": None, "missing": f"{engine} is not downloaded: polli models pull {engine}"}


def _openai(model: Model, entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": model.name,
        "object": "model",
        "created": _since(model),
        "owned_by": entry.get("served_by") or "openpollen",
        **{key: value for key, value in entry.items() if key not in ("name", "title")},
    }


def _since(model: Model) -> int:
    """Seconds since the epoch of the day that the model's facts are dated."""
    try:
        return int(datetime.fromisoformat(f"{model.source[-10:]}T00:00:00+00:00").timestamp())
    except ValueError:
        return 1_776_643_200  # 20 April 2026, the date of the shipped catalogue
