"""The catalogue as the running program asks it: one immutable snapshot, every answer a dictionary look-up.

What serves a model is settled when the snapshot is built: its live routes in order, else the local engine of its kind.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

from openpollen.catalog.describe import describe
from openpollen.catalog.load import Catalog, fill_url, resolve_secret
from openpollen.catalog.parse import ProviderRow
from openpollen.catalog.signers import secret_of
from openpollen.core.errors import BadRequest, ServiceUnavailable
from openpollen.core.model import Capability, Kind, Model, Price, Provider, Route

#: What each wire that has an adapter can be asked for.
Wires = Mapping[str, Collection[Capability]]
#: The wire that the built-in engines speak.
OPENAI: Wires = {"openai_compatible": frozenset(Capability)}

#: Local engine that serves a capability when no route is live. The chat model is a setting.
LOCAL_ENGINES: dict[Capability, str] = {
    Capability.CHAT: "smollm2",
    Capability.IMAGE: "scene",
    Capability.EDIT: "scene",
    Capability.VIDEO: "scene-video",
    Capability.SPEECH: "kokoro",
    Capability.MUSIC: "composer",
    Capability.TRANSCRIPTION: "whisper-base",
}

Endpoint = Literal["chat", "text", "image", "images", "edits", "video", "audio", "speech", "music", "transcriptions"]

C = Capability


class _Rule(Struct, frozen=True):
    """What an endpoint serves, and which model when none is named (empty: decided when the snapshot is built)."""

    accepts: tuple[Capability, ...]
    default: str = ""


_RULES: dict[Endpoint, _Rule] = {
    "chat": _Rule((C.CHAT,), "openai"),
    "text": _Rule((C.CHAT,), "openai"),
    "image": _Rule((C.IMAGE, C.EDIT, C.VIDEO), "zimage"),
    "images": _Rule((C.IMAGE, C.EDIT), "flux"),
    "edits": _Rule((C.EDIT,)),
    "video": _Rule((C.VIDEO,)),
    "audio": _Rule((C.SPEECH, C.MUSIC), "elevenlabs"),
    "speech": _Rule((C.SPEECH, C.MUSIC), "elevenlabs"),
    "music": _Rule((C.MUSIC,), "elevenmusic"),
    "transcriptions": _Rule((C.TRANSCRIPTION,), "whisper"),
}

_WHERE: dict[Capability, str] = {
    C.CHAT: "is a text model: use POST /v1/chat/completions or GET /text/{prompt}",
    C.IMAGE: "makes images: use GET /image/{prompt} or POST /v1/images/generations",
    C.EDIT: "edits images: use POST /v1/images/edits",
    C.VIDEO: "makes videos: use GET /video/{prompt} or POST /v1/videos",
    C.SPEECH: "speaks: use GET /audio/{text} or POST /v1/audio/speech",
    C.MUSIC: "makes music: use GET /audio/{prompt} or POST /v1/audio/speech",
    C.TRANSCRIPTION: "transcribes audio: use POST /v1/audio/transcriptions",
}

#: Operations that need a given picture, and those that must have none.
_WITH_IMAGE = frozenset({"edit", "image-to-video"})
_WITHOUT_IMAGE = frozenset({"generate", "text-to-video"})


class Resolved(Struct, frozen=True):
    """A model that was asked for, by which word, and the first capability of the endpoint that it has."""

    model: Model
    requested: str
    capability: Capability


class Serving(Struct, frozen=True):
    """How a call is served: routes in the order to try them. ``served_by`` is the local model that stands in, else
    None.

    ``price`` is what the caller pays; ``paid_only`` tells whether it binds (only while a live route serves)."""

    model: Model
    routes: tuple[tuple[Route, Provider], ...]
    price: Price
    served_by: Model | None = None
    paid_only: bool = False


class Registry:
    """An immutable snapshot; a reload builds another one."""

    def __init__(
        self,
        catalog: Catalog,
        providers: Mapping[str, Provider],
        serving: Mapping[tuple[str, Capability, bool], Serving | str],
        names: Mapping[str, Model],
        revision: str,
    ) -> None:
        self.revision = revision
        self.providers = providers
        self.warnings = catalog.warnings
        self._models = catalog.models
        self._operator = catalog.operator
        self._serving = serving
        self._names = names
        self._defaults: dict[Endpoint, str] = {
            endpoint: rule.default if rule.default in names else self._first(rule.accepts[0])
            for endpoint, rule in _RULES.items()
        }
        self.entries = {model.name: self._entry(model) for model in catalog.models}

    @classmethod
    def build(
        cls,
        catalog: Catalog,
        env: Mapping[str, str],
        *,
        local_url: str = "",
        local_key: str | None = None,
        chat_model: str = LOCAL_ENGINES[Capability.CHAT],
        local_fallback: bool = True,
        allow_substitutes: bool = False,
        successor_aliases: bool = True,
        wires: Wires = OPENAI,
    ) -> Registry:
        """The snapshot of a catalogue in an environment. ``local_url`` and ``local_key`` reach the engine host;
        without an address local engines are off. ``chat_model`` has been checked by ``load``."""
        providers = {
            row.name: _local(row, local_url, local_key) if row.name == "local" else _provider(row, env, wires)
            for row in catalog.providers.values()
        }
        engines = {**LOCAL_ENGINES, Capability.CHAT: chat_model}
        # A picture model that was pulled takes the scene engine's place for new pictures; edits stay with the scene engine.
        shipped = {LOCAL_ENGINES[C.IMAGE], *catalog.operator}
        pulled = [m.name for m in catalog.models if m.local and m.can(C.IMAGE) and m.name not in shipped]
        if pulled:
            engines[Capability.IMAGE] = pulled[0]
        by_name = {model.name: model for model in catalog.models}
        planner = _Planner(providers, wires, by_name, engines, local_fallback, allow_substitutes)
        serving = {
            (model.name, capability, images): planner.plan(model, capability, images)
            for model in catalog.models
            for capability in model.capabilities & _WHERE.keys()
            for images in (False, True)
        }
        names: dict[str, Model] = {}
        for model in catalog.models:
            names.update(dict.fromkeys(model.aliases + (model.successor_aliases if successor_aliases else ()), model))
        names.update(by_name)
        return cls(catalog, providers, serving, names, _revision(catalog, providers, engines))

    def resolve(self, name: str | None, endpoint: Endpoint) -> Resolved:
        """The model that a request means; no name, or an empty one, is the endpoint's default. Raises BadRequest."""
        rule = _RULES[endpoint]
        requested = name or self._defaults[endpoint]
        model = self._names.get(requested)
        if model is None:
            raise BadRequest(f"There is no model {requested[:100]!r}{self._near(requested, rule.accepts)}")
        for capability in rule.accepts:
            if capability in model.capabilities:
                return Resolved(model, requested, capability)
        if endpoint == "edits":
            able = ", ".join(m.name for m in self._models if m.can(C.EDIT))
            raise BadRequest(f"Model {requested!r} takes no image. Models that edit images: {able}.")
        where = next((text for capability, text in _WHERE.items() if model.can(capability)), "is of another kind")
        raise BadRequest(f"Model {requested!r} {where}.")

    def serving(self, model: Model, capability: Capability, *, images: bool = False) -> Serving:
        """What serves a model now; ``images`` tells that the request brings pictures. Raises ServiceUnavailable."""
        found = self._serving.get((model.name, capability, images or capability is C.EDIT))
        if isinstance(found, Serving):
            return found
        raise ServiceUnavailable(found or f"Model {model.name!r} does not do {capability}.", reason="no_route")

    def price(self, model: Model) -> Price:
        """What a call of the model costs as it is served now; its list price when nothing serves it."""
        now = self.now(model)
        return now.price if now else model.price

    def now(self, model: Model) -> Serving | None:
        """What serves a model's first capability now, or None."""
        for capability in _WHERE:
            found = self._serving.get((model.name, capability, capability is C.EDIT))
            if isinstance(found, Serving):
                return found
        return None

    def describe(self, model: Model) -> dict[str, Any]:
        """The entry of a model in the public lists; made once for a snapshot, not to be changed."""
        return self.entries[model.name]

    def reading(self, modality: str) -> list[str]:
        """Text models that take input of a modality as they are served now."""
        return [
            model.name
            for model in self._models
            if model.can(C.CHAT) and self.now(model) and modality in self.entries[model.name]["input_modalities"]
        ]

    def lacking(self, model: Model) -> list[str]:
        """What the routes of a model that are not live need, as "provider: set NAME"."""
        routes = (self.providers[route.provider] for route in model.routes if not route.substitute)
        return list(dict.fromkeys(f"{p.name}: {p.missing}" for p in routes if not p.live))

    def models(self, kind: Kind | None = None) -> tuple[Model, ...]:
        """All models, or those of one kind, in the order of the lists."""
        return self._models if kind is None else tuple(model for model in self._models if model.kind == kind)

    def get(self, name: str) -> Model | None:
        """The model of a name or alias."""
        return self._names.get(name)

    def missing(self) -> list[str]:
        """Lines for the report of what is not live and why, one for each provider that some route needs."""
        used = {route.provider for model in self._models for route in model.routes}
        return [f"{p.name}: {p.missing}" for p in self.providers.values() if not p.live and p.name in used]

    def _entry(self, model: Model) -> dict[str, Any]:
        now = self.now(model)
        if now is None:
            return describe(model, None, None)
        route, provider = now.routes[0]
        served = (self._serving.get((model.name, c, c is C.EDIT)) for c in model.capabilities & _WHERE.keys())
        engines = [found.served_by or model for found in served if isinstance(found, Serving)]
        return describe(model, now.price, route.model if provider.name == "local" else provider.name, engines)

    def _first(self, capability: Capability) -> str:
        """Default where none is fixed: the first live unpaid model that a provider serves, else the local one, else the
        first unpaid one."""
        able = [model for model in self._models if model.can(capability)]
        live = {
            model.name: found
            for model in able
            if isinstance(found := self._serving.get((model.name, capability, capability is C.EDIT)), Serving)
        }
        remote = [m for m in able if not m.local and not m.paid_only and m.name in live and not live[m.name].served_by]
        local = [model for model in able if model.local and model.name in live]
        unpaid = [model for model in able if not model.paid_only]
        return (remote + local + unpaid + able)[0].name

    def _near(self, word: str, accepts: Iterable[Capability]) -> str:
        names = [name for name, model in self._names.items() if any(model.can(c) for c in accepts)]
        close = difflib.get_close_matches(word[:100].lower(), names, n=3, cutoff=0.5)
        if close:
            return f". Did you mean {' or '.join(close)}?"
        return f". Models here: {', '.join(dict.fromkeys(self._names[name].name for name in names))}."


class _Planner:
    """Decides, once for a snapshot, what serves each model."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        wires: Wires,
        models: Mapping[str, Model],
        engines: Mapping[Capability, str],
        local_fallback: bool,
        allow_substitutes: bool,
    ) -> None:
        self._providers = providers
        self._wires = wires
        self._models = models
        self._engines = engines
        self._fallback = local_fallback
        self._substitutes = allow_substitutes

    def plan(self, model: Model, capability: Capability, images: bool) -> Serving | str:
        """A serving, or the sentence that says why there is none."""
        wanted = [
            r for r in model.routes if self._fits(r, capability, images) and (self._substitutes or not r.substitute)
        ]
        live = tuple((r, p) for r in wanted if (p := self._providers[r.provider]).live)
        if live and live[0][1].name == "local":
            return self._local(model, live)
        if live:
            return Serving(model, live, model.price, paid_only=model.paid_only)
        if self._fallback and (engine := self._models.get(self._engines[capability])) is not None:
            routes = tuple((r, p) for r in engine.routes if (p := self._providers[r.provider]).live)
            if routes:
                return Serving(model, routes, engine.price, served_by=engine)
        reasons = {p.name: p.missing for r in wanted if not (p := self._providers[r.provider]).live}
        why = "; or ".join(f"{name}: {text}" for name, text in reasons.items())
        return (
            f"Model {model.name!r} is not served here. {why or 'It has no route: add one to the configuration file'}."
        )

    def _local(self, model: Model, live: tuple[tuple[Route, Provider], ...]) -> Serving:
        """A local model under its own name, or a persona over the local chat model at the persona's own price."""
        route, provider = live[0]
        if route.operation != "persona":
            # An operator's own name for an engine: what serves is told, and the engine's limits count.
            engine = self._models.get(route.model)
            return Serving(model, live, model.price, served_by=engine if engine is not model else None)
        engine = self._models[self._engines[C.CHAT]]
        route = msgspec.structs.replace(route, model=engine.routes[0].model)
        return Serving(model, ((route, provider),), model.price, served_by=engine)

    def _fits(self, route: Route, capability: Capability, images: bool) -> bool:
        """Whether a route is meant for requests with or without pictures, and its wire does such a thing at all."""
        wire = self._providers[route.provider].wire
        does = wire not in self._wires or capability in self._wires[wire]
        return does and route.operation not in (_WITHOUT_IMAGE if images else _WITH_IMAGE)


def _provider(row: ProviderRow, env: Mapping[str, str], wires: Wires) -> Provider:
    """A row with its address and key filled in; not live when something is missing, which ``missing`` then says."""
    base_url, no_url = fill_url(row.base_url, env)
    if not no_url and not base_url.startswith(("http://", "https://")):
        no_url = f"{row.base_url} must start with http:// or https://"
    key, no_key = resolve_secret(row.key, env) if row.key is not None else (None, "")
    secret, unsigned = secret_of(row.signer, env)
    if row.signer is not None and key is None:
        no_key = "" if secret else f"{no_key} (or {unsigned.removeprefix('set ')})" if no_key else unsigned
    elif row.needs_key and row.key is None:
        no_key = f"set key under [providers.{row.name}]"
    missing = " and ".join(text for text in (no_key if row.needs_key else "", no_url) if text)
    if row.wire not in wires:  # no setting would help
        missing = f"this version has no adapter for its wire {row.wire!r}"
    scheme, _, variable = (row.key or "").partition(":")
    return Provider(
        name=row.name,
        wire=row.wire,
        base_url=base_url,
        key=key,
        key_env=variable if scheme == "env" else None,
        needs_key=row.needs_key,
        params=row.params,
        headers=row.headers,
        auth=row.auth,
        signer=row.signer if secret else None,
        secret=secret,
        probe=row.probe,
        live=not missing,
        missing=missing,
    )


def _local(row: ProviderRow, url: str, key: str | None) -> Provider:
    missing = "" if url else "the built-in engines are off ([engines] enabled)"
    return Provider(row.name, row.wire, url, key, needs_key=False, params=row.params, live=bool(url), missing=missing)


def _revision(catalog: Catalog, providers: Mapping[str, Provider], engines: Mapping[Capability, str]) -> str:
    """A digest of what decides prices and routes; the engine host's address and the keys are left out."""
    live = sorted((p.name, p.wire, "" if p.name == "local" else p.base_url, p.live) for p in providers.values())
    models = [(model.name, model.price.version, model.routes) for model in catalog.models]
    told = msgspec.json.encode((live, models, engines), order="deterministic")  # sets too: the same in every process
    return hashlib.sha256(told).hexdigest()[:16]
