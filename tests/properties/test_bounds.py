"""What is held for a request, and what an estimate promises, is never below what the request can come to cost."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any, cast

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from openpollen.catalog.load import load_catalog
from openpollen.catalog.validate import BILLED_IN
from openpollen.core.assets import (
    Asset,
    ImageRequest,
    Media,
    MusicRequest,
    SpeechRequest,
    TranscriptionRequest,
    VideoRequest,
)
from openpollen.core.chat import ChatRequest
from openpollen.core.model import Capability, Kind, Limits, Model, Price, Unit, Variant
from openpollen.core.usage import Usage
from openpollen.generation.bounds import LONGEST_REWRITTEN, ceiling_of
from openpollen.generation.call import Request
from openpollen.generation.limits import frame_size
from openpollen.generation.measure import assumed, measure_image
from openpollen.ledger.pricing import PriceFacts, charge, upper_bound, with_input_of

relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
MODELS = {model.name: model for model in load_catalog().models}
C = Capability
Messages = list[dict[str, Any]]
KINDS: dict[Capability, Kind] = {
    C.CHAT: "text",
    C.SEARCH: "text",
    C.IMAGE: "image",
    C.EDIT: "image",
    C.VIDEO: "video",
    C.SPEECH: "audio",
    C.MUSIC: "audio",
    C.TRANSCRIPTION: "audio",
}
LONGEST_ANSWER = 16_384
LARGEST_PICTURE = 1_290

rates = st.fractions(min_value=0, max_value=10**6, max_denominator=10**6)


@st.composite
def models(draw: st.DrawFn, capability: Capability) -> Model:
    """A model that the catalogue would take: one way of billing whole, any other units, any variants."""
    needed = [draw(st.sampled_from(BILLED_IN[capability]))]
    if capability is C.SEARCH:
        needed += BILLED_IN[C.CHAT]
    units = frozenset[Unit]().union(*needed, draw(st.frozensets(st.sampled_from(list(Unit)), max_size=3)))
    variants = st.builds(
        Variant,
        rates=st.dictionaries(st.sampled_from(sorted(units)), rates, min_size=1, max_size=3),
        above_input_tokens=st.sampled_from([None, 100, 10_000]),
        quality=st.sampled_from([None, "low", "high"]),
        resolution=st.sampled_from([None, "1080p", "2k"]),
        audio=st.sampled_from([None, True, False]),
    )
    price = Price({unit: draw(rates) for unit in sorted(units)}, tuple(draw(st.lists(variants, max_size=3))))
    capabilities = frozenset({capability, C.CHAT} if capability is C.SEARCH else {capability})
    limits = Limits(image_tokens=LARGEST_PICTURE)  # the catalogue asks for it where pictures are paid by token
    longest = draw(st.sampled_from([None, 50]))
    return Model("m", KINDS[capability], capabilities, price, max_output_tokens=longest, limits=limits)


def most(request: Request, model: Model, *, rewritten: bool = False) -> tuple[int, PriceFacts]:
    facts, bound = ceiling_of(request, model, model, model.price, LONGEST_ANSWER, rewritten=rewritten)
    return upper_bound(bound, model.price, facts), facts


def cost(usage: Usage, model: Model, facts: PriceFacts) -> int:
    return charge(usage, model.price, with_input_of(usage, facts)).total


#: Words that look like base64 are words, whatever their length.
texts = st.one_of(
    st.text(max_size=80),
    st.integers(1_000, 5_000).map(lambda length: "A" * length),
    st.integers(1_000, 5_000).map(lambda length: "data:image/png;base64," + "A" * length),
)
picture = st.integers(10, 4_000).map(
    lambda size: {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * size}}
)
parts = st.one_of(
    texts.map(lambda text: {"type": "text", "text": text}),
    picture,
    st.just({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}),
    st.integers(10, 4_000).map(lambda n: {"type": "input_audio", "input_audio": {"data": "A" * n, "format": "mp3"}}),
)
messages: st.SearchStrategy[Messages] = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "system", "assistant"]),
            "content": st.one_of(texts, st.lists(parts, min_size=1, max_size=3)),
        }
    ),
    min_size=1,
    max_size=4,
)


def read_tokens(said: Messages, extra: str) -> dict[str, int]:
    """The worst that a provider can count: a token for each byte of text and eight for each message; every picture as the
    largest there is; 32 tokens for each 500 bytes of sound."""
    text, pictures, sound = len(extra.encode()), 0, 0
    for message in said:
        content: Any = message["content"]
        text += 8 + (len(content.encode()) if isinstance(content, str) else 0)
        for part in cast("Messages", content) if isinstance(content, list) else ():
            text += len(part.get("text", "").encode())
            pictures += part["type"] == "image_url"
            sound += len(part["input_audio"]["data"]) * 3 // 4 if part["type"] == "input_audio" else 0
    return {"input_tokens": text, "input_image_tokens": pictures * 10_000, "input_audio_tokens": sound * 32 // 500}


def chat(said: Messages, extra: dict[str, Any], *, ascii_only: bool, tokens: int | None) -> ChatRequest:
    fields = {"messages": said, **extra}
    raw = {name: msgspec.Raw(json.dumps(value, ensure_ascii=ascii_only).encode()) for name, value in fields.items()}
    return ChatRequest(raw, max_tokens=tokens)


@relaxed
@given(
    st.sampled_from([C.CHAT, C.SEARCH]).flatmap(models),
    messages,
    st.booleans(),
    st.sampled_from([None, 1, 700]),
    st.integers(0, 3),
    st.data(),
)
def test_a_chat(
    model: Model, said: Messages, ascii_only: bool, tokens: int | None, cached: int, data: st.DataObject
) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"description": "word " * 40}}}
    request = chat(said, {"response_format": schema}, ascii_only=ascii_only, tokens=tokens)
    bound, facts = most(request, model)
    longest = tokens or model.max_output_tokens or LONGEST_ANSWER
    thought = data.draw(st.integers(0, longest))
    read: dict[str, Any] = read_tokens(said, json.dumps(schema))
    usage = Usage(
        **read,
        output_tokens=longest - thought,
        reasoning_tokens=thought,
        searches=10 if model.can(C.SEARCH) else 0,
    )
    moved = min(cached, usage.input_tokens)
    usage = msgspec.structs.replace(usage, input_tokens=usage.input_tokens - moved, cached_input_tokens=moved)
    assert cost(usage, model, facts) <= bound


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "file": {"file_data": "data:application/pdf;base64," + "A" * 2_000}},
        {"type": "video_url", "video_url": {"url": "https://example.org/film.mp4"}},
        {"type": "something_new", "something_new": {}},
    ],
)
def test_what_no_rule_bounds_is_held_as_the_whole_context(part: dict[str, Any]) -> None:
    model = MODELS["claude"]
    assert model.context_length is not None
    request = chat([{"role": "user", "content": [part]}], {}, ascii_only=False, tokens=1)
    _, bound = ceiling_of(request, model, model, model.price, LONGEST_ANSWER)
    assert bound.input_tokens == model.context_length


def test_names_spelled_with_escapes_hide_nothing() -> None:
    hidden = (
        b'[{"r\\u006fle":"user","content":[{"type":"im\\u0061ge_url","im\\u0061ge_\\u0075rl":{"url":"https://a/b"}}]}]'
    )
    request = ChatRequest({"messages": msgspec.Raw(hidden)}, max_tokens=1)
    model = MODELS["openai"]
    _, bound = ceiling_of(request, model, model, model.price, LONGEST_ANSWER)
    assert bound.input_tokens >= 10_000 + 16


def test_a_wide_search_is_held_and_charged_at_its_own_rate() -> None:
    model = MODELS["perplexity-fast"]
    said = [{"role": "user", "content": "a"}]
    for size, fee in (("low", 5_000_000), ("medium", 8_000_000), ("high", 12_000_000)):
        options = {"web_search_options": {"search_context_size": size}}
        bound, facts = most(chat(said, options, ascii_only=False, tokens=10), model)
        assert cost(Usage(input_tokens=1, output_tokens=1), model, facts) == fee + 2_000
        assert bound >= fee + 11_000


prompts = st.text(min_size=1, max_size=60)
sizes = st.sampled_from([(64, 64), (1024, 1024), (1536, 1024), (2048, 2048), (4096, 2160)])


@relaxed
@given(
    st.sampled_from([C.IMAGE, C.EDIT]).flatmap(models),
    prompts,
    sizes,
    st.sampled_from(["low", "medium", "high"]),
    st.integers(0, 2),
    st.booleans(),
)
def test_a_picture(
    model: Model, prompt: str, size: tuple[int, int], quality: Any, pictures: int, rewritten: bool
) -> None:
    given_pictures = tuple(Asset(b"x", "image/png") for _ in range(pictures))
    request = ImageRequest(prompt, width=size[0], height=size[1], quality=quality, images=given_pictures)
    bound, facts = most(request, model, rewritten=rewritten)
    longest = "漢" * LONGEST_REWRITTEN if rewritten else prompt
    assert cost(assumed(request, b"", model, model.price), model, facts) <= bound
    counted = Usage(
        input_tokens=len(longest.encode()),
        input_image_tokens=pictures * 10_000,
        output_tokens=100 if Unit.OUTPUT_TOKEN in model.price.rates else 0,
        output_image_tokens=LARGEST_PICTURE,
    )
    if Unit.OUTPUT_IMAGE_TOKEN in model.price.rates:
        assert cost(counted, model, facts) <= bound


@relaxed
@given(
    models(C.VIDEO),
    prompts,
    st.floats(0.5, 60),
    st.sampled_from([(640, 360, "480p"), (1280, 720, "720p"), (1920, 1080, "1080p")]),
    st.sampled_from([None, 8, 24, 30, 60]),
    st.booleans(),
    st.integers(0, 250),
)
@example(MODELS["wan"], "a", 5.0, (1280, 720, "720p"), None, True, 42)
@example(MODELS["seedance"], "a", 5.0, (1280, 720, "720p"), None, False, 42)
def test_a_film(
    model: Model, prompt: str, seconds: float, size: tuple[int, int, str], fps: int | None, audio: bool, late: int
) -> None:
    width, height, resolution = size
    request = VideoRequest(
        prompt, seconds=seconds, width=width, height=height, resolution=resolution, fps=fps, audio=audio
    )
    bound, facts = most(request, model)
    assert cost(assumed(request, b"", model, model.price), model, facts) <= bound
    made = round(seconds * 1000) + late
    tokens = width * height * (fps or 30) * made // (1024 * 1000)
    usage = Usage(video_tokens=tokens) if Unit.VIDEO_TOKEN in model.price.rates else Usage(video_ms=made)
    assert cost(usage, model, facts) <= bound


@pytest.mark.parametrize(("resolution", "made"), [("480p", 640 * 640), ("720p", 960 * 960), ("1080p", 1440 * 1440)])
@pytest.mark.parametrize("shape", ["1:1", "9:16", "21:9"])
def test_a_film_of_another_shape_has_the_pixels_of_its_resolution(resolution: str, made: int, shape: str) -> None:
    model = MODELS["seedance"]
    width, height = frame_size(shape, resolution)
    request = VideoRequest("a", 5, width, height, aspect_ratio=shape, resolution=resolution)
    bound, facts = most(request, model)
    assert cost(Usage(video_tokens=made * 24 * 5 // 1024), model, facts) <= bound


def test_a_picture_paid_by_token_is_never_free_for_want_of_a_report() -> None:
    model = MODELS["nanobanana"]
    made = Media((Asset(b"x", "image/png"),), usage=Usage(input_tokens=8, images=1))
    assert measure_image(ImageRequest("a"), made, model, model.price).output_image_tokens == model.limits.image_tokens


@relaxed
@given(models(C.SPEECH), prompts, st.sampled_from([0.25, 1.0, 4.0]))
def test_speech(model: Model, text: str, speed: float) -> None:
    request = SpeechRequest(text, speed=speed)
    bound, facts = most(request, model)
    spoken = Usage(audio_ms=int((len(text) + 1) * 1000 / speed))
    said = Usage(characters=len(text)) if Unit.CHARACTER in model.price.rates else spoken
    assert cost(said, model, facts) <= bound
    if speed <= 1:
        assert cost(assumed(request, b"", model, model.price), model, facts) <= bound


@relaxed
@given(models(C.MUSIC), prompts, st.one_of(st.none(), st.floats(3, 300)), st.integers(0, 1_000))
def test_music(model: Model, prompt: str, seconds: float | None, late: int) -> None:
    request = MusicRequest(prompt, seconds=seconds)
    bound, facts = most(request, model)
    assert cost(Usage(audio_ms=round((seconds or 300) * 1000) + late), model, facts) <= bound


@relaxed
@given(models(C.TRANSCRIPTION), st.integers(1, 10**7), st.text(max_size=40))
def test_a_transcription(model: Model, ms: int, prompt: str) -> None:
    request = TranscriptionRequest(Asset(b"x", "audio/mpeg"), heard_ms=ms, prompt=prompt)
    bound, facts = most(request, model)
    assert cost(assumed(request, b"", model, model.price), model, facts) <= bound


def test_the_bound_of_whole_units_is_what_they_cost() -> None:
    for name, request, exact in (
        ("whisper", TranscriptionRequest(Asset(b"", ""), heard_ms=60_000), Fraction(60 * 44_500)),
        ("elevenlabs", SpeechRequest("Hello"), Fraction(5 * 270_000)),
        ("flux", ImageRequest("a"), MODELS["flux"].price.rates[Unit.IMAGE]),
    ):
        assert most(request, MODELS[name])[0] == exact
