"""Decides whether and how a call may run, before any money is held: the key's permission, what serves it, whether that
can do what was asked, and the most it can cost. Pure but for reading the catalogue's snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from msgspec import Struct, structs

from openpollen.catalog.registry import Registry, Serving
from openpollen.core.assets import (
    ImageRequest,
    MusicRequest,
    SpeechRequest,
    TranscriptionRequest,
    VideoRequest,
)
from openpollen.core.chat import ChatRequest
from openpollen.core.errors import BadRequest, InternalError
from openpollen.core.model import Capability, Model, Price, Provider, Route
from openpollen.engines.text_request import ChatBody
from openpollen.generation import limits
from openpollen.generation.bounds import ceiling_of
from openpollen.generation.call import Call, Request
from openpollen.generation.persona import with_persona
from openpollen.ledger import pricing
from openpollen.ledger.pricing import Ceiling, PriceFacts
from openpollen.providers.adapter import Adapter
from openpollen.providers.openai_chat import VENDOR_FIELDS

IGNORED = "x-ignored-parameters"
#: Parameters that may go unheard: the answer then names them in that header (rule 13).
SOFT = VENDOR_FIELDS | frozenset(
    {
        "seed",
        "temperature",
        "top_p",
        "frequency_penalty",
        "presence_penalty",
        "repetition_penalty",
        "logit_bias",
        "enhance",
        "negative_prompt",
        "reasoning",
        "reasoning_effort",
        "verbosity",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "store",
        "guidance_scale",
        "quality",
        "nologo",
        "private",
        "nofeed",
        "user",
        "instructions",
        "prompt",
        "language",
        "metadata",
        "moderation",
        "service_tier",
        "style",
        "input_fidelity",
        "chunking_strategy",
    }
)
#: Parameters that are ours alone or that every wire carries in its own way; no adapter is asked about them.
_OURS = frozenset({"model", "prompt", "input", "messages", "stream", "max_cost", "no-cache", "safe", "enhance", "file"})

#: Fields of request types, and the parameters that reach a provider through them.
_SPELLED = {
    "images": ("image",),
    "seconds": ("seconds", "duration"),
    "width": ("width", "size"),
    "format": ("format", "response_format"),
}


def _carried(kind: type[Struct]) -> frozenset[str]:
    return frozenset(name for field in kind.__struct_fields__ for name in _SPELLED.get(field, (field,)))


#: What a request of each kind can carry at all, whatever a host takes for its other kinds.
_CARRIED = {
    Capability.IMAGE: _carried(ImageRequest),
    Capability.EDIT: _carried(ImageRequest),
    Capability.VIDEO: _carried(VideoRequest),
    Capability.SPEECH: _carried(SpeechRequest),
    Capability.MUSIC: _carried(MusicRequest),
    Capability.TRANSCRIPTION: _carried(TranscriptionRequest) | {"response_format"},
}
#: What the built-in engines read of chats, and what they do not of the rest; their wire carries more.
_LOCAL_CHAT = frozenset(ChatBody.__struct_fields__)
#: What is heard for it beside that, in answers that are not streamed (see ``voice``).
_LOCAL_VOICE = _LOCAL_CHAT | {"modalities", "audio"}
_LOCAL_DEAF = {
    Capability.SPEECH: {"instructions", "seed"},
    Capability.EDIT: {"quality", "negative_prompt"},
    Capability.VIDEO: {"negative_prompt"},
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One route that can serve the call. ``ignored`` are the soft parameters that it will not hear."""

    route: Route
    provider: Provider
    adapter: Adapter
    ignored: tuple[str, ...] = ()

    @property
    def told(self) -> dict[str, str]:
        """The header that names what this route ignores; none when it hears everything."""
        return {IGNORED: ", ".join(self.ignored)} if self.ignored else {}


@dataclass(frozen=True, slots=True)
class Admission:
    """How a call will run. ``most`` is the most that it can use, ``asked`` the same without what a provider's film or song
    may be longer than was asked."""

    attempts: tuple[Attempt, ...]
    served_by: Model
    price: Price
    paid_only: bool
    facts: PriceFacts
    most: Ceiling
    asked: Ceiling
    revision: str

    @property
    def local(self) -> bool:
        """Whether a built-in engine serves the call: it costs nobody anything to stop it."""
        return self.served_by.local

    @property
    def free(self) -> bool:
        """Whether nothing can be charged: such a call holds nothing and is never refused for money."""
        return self.price.free

    def bound(self, output_tokens: int | None = None) -> int:
        """The most that the call can cost in nano-pollen, or would with this many output tokens."""
        if self.price.free:
            return 0
        most = self.most if output_tokens is None else structs.replace(self.most, output_tokens=output_tokens)
        return pricing.upper_bound(most, self.price, self.facts)

    def expected(self) -> int:
        """What a usual call of this kind costs: a chat is taken to answer a quarter of the most it may."""
        return self.quoted(-(-self.most.output_tokens // 4))

    def quoted(self, output_tokens: int | None = None) -> int:
        """The most that the call can cost if what comes is as long as was asked for: what a cap must leave room for."""
        return replace(self, most=self.asked).bound(output_tokens)


def admit(call: Call, registry: Registry, adapters: Mapping[str, Adapter], longest_answer: int) -> Admission:
    """The way for a call. Raises BadRequest for what nothing can do, Forbidden for what the key may not, and
    ServiceUnavailable when nothing serves the model. Leaves ``call.request`` fitted to the limits.

    ``longest_answer`` is the most output tokens of a model whose own maximum is unknown.
    """
    pictures = bool(getattr(call.request, "images", ()))
    serving = registry.serving(call.model, call.capability, images=pictures)
    engine = serving.served_by or call.model
    call.request = fit(call.request, call.model)
    if engine is not call.model:
        call.request = fit(_of_model(call.request), engine)
    if isinstance(call.request, ChatRequest) and engine.local:
        _check_parts(call.request, call.model, engine, registry)
    attempts = _attempts(call, serving, adapters, engine)
    if isinstance(call.request, VideoRequest):
        call.request = limits.fit_length(call.request, attempts[0].adapter.lengths(attempts[0].route), call.model)
    call.caller.require_model(call.model.name)
    priced = (call.request, call.model, engine, serving.price, longest_answer)
    facts, most = ceiling_of(*priced, rewritten=call.enhance)
    asked = most
    if isinstance(call.request, VideoRequest | MusicRequest):
        _, asked = ceiling_of(*priced, rewritten=call.enhance, exact=True)
    return Admission(attempts, engine, serving.price, serving.paid_only, facts, most, asked, registry.revision)


def _check_parts(request: ChatRequest, model: Model, engine: Model, registry: Registry) -> None:
    """Raises BadRequest for a picture or sound that the built-in engine cannot read, and says what would."""
    unread = limits.unread_part(request, engine)
    if unread is None:
        return
    kind, modality = unread
    who = engine.name if engine is model else f"{engine.name}, which serves {model.name} here,"
    able = registry.reading(modality)
    lacking = registry.lacking(model) if modality in model.input_modalities else []
    if able:
        advice = f"Choose a model that does: {', '.join(able[:8])}."
    elif lacking:
        advice = f"{model.name} does once one of its providers is set up here: {'; or '.join(lacking)}."
    else:
        advice = "No model here does now; GET /text/models lists what each one takes."
    raise BadRequest(f"messages: {who} reads text only and cannot take a {kind!r} part. {advice}")


def fit(request: Request, model: Model) -> Request:
    """The request inside a model's limits. Raises BadRequest for what the caller asked for beyond them."""
    match request:
        case ImageRequest():
            return limits.check_image(request, model)
        case VideoRequest():
            return limits.check_video(request, model)
        case SpeechRequest():
            return limits.check_speech(request, model)
        case MusicRequest():
            return limits.check_music(request, model)
        case ChatRequest():
            return with_persona(request, model)
        case _:
            return request


def _of_model(request: Request) -> Request:
    """A film has its model's length: an engine that stands in for it makes that one, not its own default."""
    return (
        structs.replace(request, given=request.given | {"duration"}) if isinstance(request, VideoRequest) else request
    )


def _attempts(call: Call, serving: Serving, adapters: Mapping[str, Adapter], engine: Model) -> tuple[Attempt, ...]:
    """The routes that can do what was asked, in order. Raises BadRequest when none can, naming what is in the way."""
    sent = call.sent - _OURS
    out: list[Attempt] = []
    fault: BadRequest | None = None
    for route, provider in serving.routes:
        adapter = adapters.get(provider.wire)
        if adapter is None:
            raise InternalError(f"No adapter speaks the wire {provider.wire!r}.")
        unheard = sent - _heard(adapter.params(call.capability, provider, route), call, engine)
        hard = unheard - SOFT
        try:
            if hard:
                raise _unsupported(hard, call, engine)
            if isinstance(call.request, VideoRequest):
                limits.fit_length(call.request, adapter.lengths(route), call.model)
        except BadRequest as refused:
            fault = fault or refused
        else:
            out.append(Attempt(route, provider, adapter, tuple(sorted(unheard))))
    if not out and fault is not None:
        raise fault
    return tuple(out)


def _unsupported(names: frozenset[str], call: Call, engine: Model) -> BadRequest:
    listed = ", ".join(sorted(names))
    return BadRequest(
        f"{listed}: {engine.name}, which serves {call.model.name}, does not take "
        f"{'this' if len(names) == 1 else 'these'}; leave it out or choose another model.",
        reason="unsupported_parameter",
        details={"parameters": sorted(names)},
    )


def _heard(params: frozenset[str], call: Call, engine: Model) -> frozenset[str]:
    """Of the parameters that a host takes, those that a request of this kind carries and a built-in engine reads."""
    if call.capability is Capability.CHAT:
        local = _LOCAL_CHAT if call.shape == "stream" else _LOCAL_VOICE
        return params & local if engine.local else params
    heard = params & _CARRIED.get(call.capability, params)
    return heard - _LOCAL_DEAF.get(call.capability, set()) if engine.local else heard
