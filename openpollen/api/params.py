"""Reads parameters: one struct for each endpoint, filled from JSON, a form or the query string by the same rules.

Explicit null is an absent field, unknown names are ignored, booleans are true/1/yes and false/0/no (rule 6).
``parse`` also tells which parameters were sent with another value than the default: only those may be refused or told as
ignored (rule 13).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct, field

from openpollen.core.errors import BadRequest, GatewayError, UnsupportedMediaType

T = TypeVar("T", bound=Struct)

Seed = Annotated[int, Meta(ge=-1, le=2147483647)]
Unit1 = Annotated[float, Meta(ge=0, le=1)]
Two = Annotated[float, Meta(ge=0, le=2)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Tokens = Annotated[int, Meta(ge=1, le=10_000_000)]
StopText = Annotated[str, Meta(min_length=1)]
Side = Annotated[int, Meta(ge=1, le=16384)]

_NOTHING = object()
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_objects = msgspec.json.Decoder(dict[str, Any])
_WHOLE = re.compile(r"-?[0-9]{1,18}")  # fits every integer of the database
_TRUE = {"true", "1", "yes"}
_FALSE = {"false", "0", "no"}


class Message(Struct):
    """A chat message as far as it is checked here; the rest is the provider's business."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | Annotated[list[dict[str, Any]], Meta(min_length=1)] | None = None


class ChatParams(Struct):
    """POST /v1/chat/completions. The OpenAI fields with the ranges of the contract, and ours below the line."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    model: str | None = None
    stream: bool = False
    temperature: Two | None = None
    top_p: Unit1 | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    repetition_penalty: Two | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    seed: Seed | None = None
    n: int = 1
    stop: StopText | Annotated[list[StopText], Meta(min_length=1, max_length=4)] | None = None
    response_format: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    audio: dict[str, Any] | None = None
    stream_options: dict[str, Any] | None = None
    service_tier: str | None = None
    system: str | None = None
    json: bool = False
    jsonMode: bool = False  # noqa: N815 - the wire's name
    safe: bool = False
    max_cost: str | None = None
    no_cache: bool = field(default=False, name="no-cache")


class TextParams(Struct):
    """GET /text/{prompt}."""

    model: str | None = None
    seed: Seed = 0
    system: str | None = None
    json: bool = False
    temperature: Two | None = None
    stream: bool = False
    top_p: Unit1 | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repetition_penalty: Two | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    voice: str | None = None
    reasoning_effort: str | None = None
    safe: bool = False
    max_cost: str | None = None
    no_cache: bool = field(default=False, name="no-cache")


class ImageParams(Struct):
    """Images and videos, on GET and POST. ``image`` is checked where it is read: a URL, several, or objects."""

    prompt: str | None = None
    model: str | None = None
    width: Side | None = None
    height: Side | None = None
    size: str | None = None
    n: int = 1
    stream: bool = False
    partial_images: Annotated[int, Meta(ge=0, le=3)] = 0
    seed: Seed | None = None
    enhance: bool = False
    negative_prompt: str = ""
    safe: bool = False
    quality: Literal["low", "medium", "high", "hd", "standard", "auto"] = "medium"
    image: Any = None
    images: Any = None
    mask: Any = None
    transparent: bool = False
    background: Literal["transparent", "opaque", "auto"] | None = None
    reasoning: bool | str = False
    guidance_scale: float | None = None
    duration: Annotated[float, Meta(gt=0, le=300)] | None = None
    seconds: Annotated[float, Meta(gt=0, le=300)] | None = None
    aspectRatio: str | None = None  # noqa: N815 - the wire's name
    audio: bool = False
    fps: Annotated[int, Meta(ge=1, le=60)] | None = None
    resolution: str | None = None
    response_format: Literal["url", "b64_json"] | None = None
    output_format: Literal["png", "jpeg", "webp"] | None = None
    output_compression: Annotated[int, Meta(ge=0, le=100)] = 100
    moderation: Literal["low", "auto"] = "auto"
    style: Literal["vivid", "natural"] = "vivid"
    input_fidelity: Literal["low", "high"] = "low"
    nologo: bool = False
    private: bool = False
    nofeed: bool = False
    user: str | None = None
    metadata: bool = True
    max_cost: str | None = None
    no_cache: bool = field(default=False, name="no-cache")


class SpeechParams(Struct):
    """Speech and music: the model decides which (rule 18)."""

    input: str | None = None
    model: str | None = None
    voice: str | dict[str, Any] | None = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: Annotated[float, Meta(ge=0.25, le=4)] = 1.0
    instructions: str = ""
    duration: Annotated[float, Meta(gt=0, le=600)] | None = None
    instrumental: bool = True
    seed: Seed | None = None
    stream_format: Literal["audio", "sse"] | None = None
    safe: bool = False
    max_cost: str | None = None
    no_cache: bool = field(default=False, name="no-cache")


class TranscriptionParams(Struct):
    """POST /v1/audio/transcriptions. A list value such as ``timestamp_granularities[]`` comes as a list."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    response_format: Literal["json", "text", "verbose_json", "srt", "vtt"] = "json"
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    timestamp_granularities: list[Literal["word", "segment"]] | None = None
    include: list[str] | None = None
    known_speaker_names: list[str] | None = None
    known_speaker_references: list[str] | None = None
    chunking_strategy: str | dict[str, Any] = "auto"
    stream: bool = False
    safe: bool = False
    max_cost: str | None = None
    no_cache: bool = field(default=False, name="no-cache")


def parse(spec: type[T], raw: Mapping[str, Any]) -> tuple[T, frozenset[str]]:
    """Fills ``spec`` from ``raw``. Returns it with the names that were sent with another value than the default.

    Raises BadRequest naming the field."""
    values: dict[str, Any] = {}
    for name, coerce in _coercers(spec).items():
        value = raw.get(name)
        if value is None:
            continue
        try:
            values[name] = coerce(value)
        except ValueError as fault:
            raise invalid(name, str(fault)) from None
    try:
        filled = msgspec.convert(values, spec)
    except msgspec.ValidationError as fault:
        raise from_validation(fault) from None
    defaults = _defaults(spec)
    return filled, frozenset(name for name, value in values.items() if value != defaults.get(name, _NOTHING))


def from_validation(fault: msgspec.ValidationError) -> BadRequest:
    """msgspec's words with the field first: ``seed: expected `int` >= -1``."""
    text, _, place = str(fault).partition(" - at `")
    name = place.rstrip("`").removeprefix("$").lstrip(".") or "body"
    if text.startswith("Object missing required field"):
        missing = text.split("`")[1]
        name = missing if name == "body" else f"{name}.{missing}"
        text = "is required"
    return invalid(name, text[:1].lower() + text[1:])


def invalid(name: str, fault: str) -> BadRequest:
    """A 400 that names the parameter."""
    root = name.split("[")[0].split(".")[0] or name
    return BadRequest(f"{name}: {fault}", details={"name": "ValidationError", "fieldErrors": {root: [fault]}})


def decode_object(body: bytes) -> dict[str, Any]:
    """A JSON object from a body. Raises BadRequest that says what is wrong with it."""
    try:
        return _objects.decode(body)
    except msgspec.ValidationError:
        raise _unfit(body) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise no_json(body, fault) from None
    except RecursionError:
        raise too_deep() from None


def _unfit(body: bytes) -> BadRequest:
    """Why JSON is no object of values: it is none, or a number in it is beyond every number."""
    try:
        fields = _fields.decode(body)
    except msgspec.ValidationError:
        return BadRequest("The body must be a JSON object.")
    for name, value in fields.items():
        try:
            msgspec.json.decode(value)
        except msgspec.ValidationError as fault:
            return invalid(name, str(fault).partition(" - at `")[0].lower())
    return BadRequest("The body must be a JSON object.")


def no_json(body: bytes, fault: Exception) -> GatewayError:
    """What is wrong with a body that should have been JSON: 415 for a form, 400 for the rest."""
    if body.startswith(b"--"):
        return UnsupportedMediaType("This endpoint takes a JSON object (Content-Type: application/json), no form.")
    return BadRequest(f"The body is not valid JSON in UTF-8: {fault}.")


def too_deep() -> BadRequest:
    """A 400 for JSON with more levels than can be read."""
    return BadRequest("The body is nested too deeply.")


def words(text: str | None) -> str:
    """A text without spaces around it; empty where nothing in it can be seen, such as marks of direction alone."""
    kept = (text or "").strip()
    return kept if any(char.isprintable() and not char.isspace() for char in kept) else ""


def spelled_out(params: Struct, values: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that were sent as words for a number or a boolean, by name, as what they mean."""
    means = msgspec.to_builtins(params)
    return {
        name: means[name]
        for name, value in values.items()
        if isinstance(value, str) and not isinstance(means.get(name), str | NoneType)
    }


def as_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("expected true/1/yes or false/0/no")


def _as_int(value: Any) -> Any:
    if isinstance(value, str):
        if not _WHOLE.fullmatch(value):
            raise ValueError(f"expected a whole number, not {value[:40]!r}")
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _as_float(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = float(value.strip())
        except ValueError:
            raise ValueError(f"expected a number, not {value[:40]!r}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("expected a finite number")
    return value


def _as_text(value: Any) -> Any:
    """A number's text, plain: 1e-7 is 0.0000001."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return format(Decimal(repr(value)), "f")


def _one_of(words: tuple[str, ...]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value not in words:
            raise ValueError(f"expected one of {', '.join(words)}, not {str(value)[:40]!r}")
        return value

    return check


def _same(value: Any) -> Any:
    return value


@cache
def _coercers(spec: type[Struct]) -> dict[str, Callable[[Any], Any]]:
    hints = get_type_hints(spec, include_extras=False)
    return {f.encode_name: _coercer(hints[f.name]) for f in msgspec.structs.fields(spec)}


@cache
def _defaults(spec: type[Struct]) -> dict[str, Any]:
    return {f.encode_name: f.default for f in msgspec.structs.fields(spec)}


def _coercer(hint: Any) -> Callable[[Any], Any]:
    kinds = set(get_args(hint)) if get_origin(hint) in (Union, UnionType) else {hint}
    kinds.discard(NoneType)
    only = next(iter(kinds)) if len(kinds) == 1 else None
    if get_origin(only) is Literal:
        return _one_of(get_args(only))
    if kinds == {bool}:
        return as_bool
    if kinds == {int}:
        return _as_int
    if kinds == {float}:
        return _as_float
    if kinds == {bool, str}:
        return _bool_or_word
    return _as_text if kinds == {str} else _same


def _bool_or_word(value: Any) -> Any:
    try:
        return as_bool(value)
    except ValueError:
        return value
