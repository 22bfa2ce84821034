"""What can be asked for: models, the routes that serve them, their capabilities, limits and prices. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from fractions import Fraction
from typing import Literal

from msgspec import Struct
from msgspec.structs import force_setattr

Kind = Literal["text", "image", "video", "audio"]
#: How requests to a host without a plain key are authorised: AWS signatures, Google's or Microsoft's tokens.
Signer = Literal["aws", "google", "entra"]


class Capability(StrEnum):
    """What a model can do. These words are the configuration file's."""

    CHAT = "chat"
    TOOLS = "tools"
    VISION = "vision"
    REASONING = "reasoning"
    SEARCH = "search"
    CODE_EXEC = "code_exec"
    AUDIO_IN = "audio_in"
    AUDIO_OUT = "audio_out"
    IMAGE = "image"
    EDIT = "edit"
    VIDEO = "video"
    SPEECH = "speech"
    MUSIC = "music"
    TRANSCRIPTION = "transcription"


class Unit(StrEnum):
    """Price units. These words are the configuration file's; ``docs/reference/prices.md`` has the table."""

    INPUT_TOKEN = "input_token"
    CACHED_INPUT_TOKEN = "cached_input_token"
    CACHE_WRITE_TOKEN = "cache_write_token"
    INPUT_AUDIO_TOKEN = "input_audio_token"
    INPUT_IMAGE_TOKEN = "input_image_token"
    OUTPUT_TOKEN = "output_token"
    OUTPUT_AUDIO_TOKEN = "output_audio_token"
    OUTPUT_IMAGE_TOKEN = "output_image_token"
    VIDEO_TOKEN = "video_token"
    CHARACTER = "character"
    IMAGE = "image"
    SECOND = "second"
    REQUEST = "request"
    SEARCH = "search"


class Variant(Struct, frozen=True):
    """Rates that replace the base rates when every condition given holds. Of several that hold, the last one counts."""

    rates: Mapping[Unit, Fraction]
    above_input_tokens: int | None = None
    quality: str | None = None
    resolution: str | None = None
    audio: bool | None = None


class Price(Struct, frozen=True):
    """Nano-pollen for one of each unit, exact. An empty price is not free: only an explicit 0 is.

    ``version`` names the dated figures, so that any charge can be computed again. ``free`` follows from the rates: it is
    asked for on every call, so it is worked out once.
    """

    rates: Mapping[Unit, Fraction]
    variants: tuple[Variant, ...] = ()
    version: str = ""
    free: bool = False

    def __post_init__(self) -> None:
        tables = (self.rates, *(variant.rates for variant in self.variants))
        force_setattr(self, "free", not any(any(table.values()) for table in tables))


class Limits(Struct, frozen=True):
    """Ranges of a model. ``None`` or empty means that no limit is known and the engine's own range counts."""

    min_size: int | None = None
    max_size: int | None = None
    max_pixels: int | None = None
    sizes: tuple[str, ...] = ()
    durations: tuple[float, ...] = ()
    min_duration: float | None = None
    max_duration: float | None = None
    duration_step: float | None = None
    default_duration: float | None = None
    aspect_ratios: tuple[str, ...] = ()
    resolutions: tuple[str, ...] = ()
    max_reference_images: int | None = None
    max_input_characters: int | None = None
    image_tokens: int | None = None
    audio: Literal["always", "never", "optional"] | None = None


class Route(Struct, frozen=True):
    """One way to serve a model: a provider and the name that the model has there. ``substitute`` marks another model.
    ``concurrent`` and ``per_minute`` are the most calls that the workers of a data folder make there at once and in any
    minute. ``params`` are names that it takes beyond its wire's own, and with a ``-`` before them those that it does not.
    ``inline_thinking`` says that its answers begin with what it thought, between ``<think>`` and ``</think>``."""

    provider: str
    model: str
    operation: str = ""
    substitute: bool = False
    params: frozenset[str] = frozenset()
    inline_thinking: bool = False
    concurrent: int | None = None
    per_minute: int | None = None


class Model(Struct, frozen=True):
    """A model as callers see it. ``price`` is what callers pay, whichever route serves."""

    name: str
    kind: Kind
    capabilities: frozenset[Capability]
    price: Price
    routes: tuple[Route, ...] = ()
    title: str = ""
    description: str = ""
    aliases: tuple[str, ...] = ()
    successor_aliases: tuple[str, ...] = ()
    input_modalities: tuple[str, ...] = ("text",)
    output_modalities: tuple[str, ...] = ("text",)
    paid_only: bool = False
    alpha: bool = False
    context_length: int | None = None
    max_output_tokens: int | None = None
    voices: tuple[str, ...] = ()
    limits: Limits = Limits()
    source: str = ""
    local: bool = False

    def can(self, capability: Capability) -> bool:
        return capability in self.capabilities


class Provider(Struct, frozen=True):
    """A host and the wire it speaks. ``key`` is resolved (never ``env:...``) and never shown.

    ``params`` names the optional parameters that its wire honours beyond the standard ones (rule 13). ``auth`` is
    ``bearer`` or the name of the header that carries the key. A host without a key may have a ``signer``: its requests are
    signed, or carry a short-lived token, made of ``secret``. ``probe`` is a path below ``base_url`` that costs nothing to get
    and shows whether the credential works.
    """

    name: str
    wire: str
    base_url: str
    key: str | None = None
    key_env: str | None = None
    needs_key: bool = True
    params: frozenset[str] = frozenset()
    headers: Mapping[str, str] = {}
    auth: str = "bearer"
    signer: Signer | None = None
    secret: Mapping[str, str] = {}
    probe: str = ""
    live: bool = False
    missing: str = ""

    def __repr__(self) -> str:
        return f"Provider({self.name!r}, {self.wire!r}, {self.base_url!r})"
