"""What goes out on the OpenAI wire equals what the providers' own libraries send for the same call.

Compared canonically: header names in lower case, JSON without nulls and without ``stream: false`` (the default), forms by
the name, content type and bytes of their parts in any order.
"""

from __future__ import annotations

import json
from collections.abc import Set
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openpollen.core.assets import Asset, ImageRequest, SpeechRequest, TranscriptionRequest
from openpollen.core.chat import ChatRequest
from openpollen.core.model import Provider, Route
from openpollen.outbound.message import Outgoing, parse_origin
from openpollen.providers.adapter import adapters
from tests.fakeprovider import parse_form

#: What these tests prove, by wire and operation: the captured requests that ours are compared with, or "documentation".
PROVES = {
    "openai_compatible/chat": (
        "openai.chat.full",
        "openai.chat.stream",
    ),
    "openai_compatible/image": ("openai.images.generate",),
    "openai_compatible/edit": (
        "openai.images.edit.single",
        "openai.images.edit.multi",
    ),
    "openai_compatible/speech": ("openai.audio.speech",),
    "openai_compatible/transcription": ("openai.audio.transcriptions.verbose",),
}

WIRE = Path(__file__).with_name("wire")
AZURE = "https://{resource}.openai.azure.com/openai/deployments/{model}?api-version=2025-04-01-preview"
#: Parameters of the captured calls that the gateway's own request has no word for, or that only say the default.
NOT_OURS = {"moderation", "user", "input_fidelity", "background"}

#: Headers in which a library names itself.
BRANDS = {"x-source", "x-title"}

adapter = adapters()["openai_compatible"]


def captured(name: str) -> dict[str, Any]:
    return json.loads((WIRE / f"{name}.json").read_text())


def provider_of(fixture: dict[str, Any], **more: Any) -> Provider:
    """The catalogue row of the host in a fixture, with the credential of the capture."""
    headers = fixture["requests"][0]["headers"]
    if "api-key" in headers:
        more = {"headers": {"api-key": "{key}"}, "base_url": AZURE.replace("{resource}", "resource")} | more
        key = headers["api-key"]
    else:
        key = headers["authorization"].removeprefix("Bearer ")
    base = fixture["default_base_url"].replace("{resource}", "resource")
    return Provider(fixture["provider"], "openai_compatible", **({"base_url": base, "key": key} | more))


def same_head(out: Outgoing, fixture: dict[str, Any], path: str | None = None) -> None:
    expected = fixture["requests"][0]
    _, _, target = parse_origin(out.url)
    got_path, _, query = target.partition("?")
    assert out.method == expected["method"]
    assert got_path == (path or expected["path"])
    assert [pair.split("=", 1) for pair in query.split("&") if pair] == expected["query"]
    got = {name.lower(): value.partition(";")[0] for name, value in out.headers}
    theirs = {name: value for name, value in expected["headers"].items() if name not in BRANDS}
    assert got == {name: value.partition(";")[0] for name, value in theirs.items()}


def plain(body: dict[str, Any], drop: Set[str] = frozenset()) -> dict[str, Any]:
    return {k: v for k, v in body.items() if v is not None and k not in drop and (k, v) != ("stream", False)}


CHATS = {
    "openai.chat.full": {},
    "openai.chat.stream": {},
    "openai.chat.audio": {},
    "openai.chat.json_object_extra_body": {},
    "vllm.chat.openai_compatible": {},
    "xai.chat.openai_compatible": {},
    "ovhcloud.chat.openai_compatible": {},
    "moonshot.chat.openai_compatible": {},
    "minimax.chat.openai_compatible": {},
    "dashscope.chat.openai_compatible": {},
    "deepseek.chat.openai_compatible": {"base_url": "https://api.deepseek.com/v1"},
    "fireworks.chat": {"base_url": "https://api.fireworks.ai/v1"},
    "mistral.chat": {"base_url": "https://api.mistral.ai/v1", "params": frozenset({"random_seed"})},
    "zai.chat": {},
    "azure-openai.chat": {},
    "azure-openai.chat.stream": {},
    "azure-openai.chat.v1_surface": {},
    "azure-openai.chat.entra_token": {"base_url": AZURE.replace("{resource}", "resource")},
    "perplexity.chat": {},
}


@pytest.mark.parametrize("name", CHATS)
def test_chat(name: str) -> None:
    fixture = captured(name)
    body = fixture["requests"][0]["body"]["json"]
    fields = msgspec.json.decode(msgspec.json.encode(body), type=dict[str, msgspec.Raw])
    # The caller calls the model by another name, and the seed as OpenAI calls it; the rest passes as it is.
    fields["model"] = msgspec.Raw(b'"our-name"')
    seed = body.get("seed", body.get("random_seed"))
    fields.pop("random_seed", None)
    request = ChatRequest(
        fields,
        stream=bool(body.get("stream")),
        max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
        seed=seed,
    )
    out = adapter.encode_chat(request, Route(fixture["provider"], body["model"]), provider_of(fixture, **CHATS[name]))
    same_head(out, fixture)
    assert isinstance(out.body, bytes)
    expected = plain(body)
    if body.get("stream"):
        expected["stream_options"] = {"include_usage": True}
    assert json.loads(out.body) == expected


PICTURES = {
    "openai.images.generate": ImageRequest(
        "a red fox", n=1, quality="medium", transparent=True, given=frozenset({"n", "quality"})
    ),
    "openai.images.generate.seed_example": ImageRequest("a cat in space", seed=4),
    "azure-openai.images.generate": ImageRequest("x", quality="high", transparent=True, given=frozenset({"quality"})),
}


@pytest.mark.parametrize("name", PICTURES)
def test_images(name: str) -> None:
    fixture = captured(name)
    body = fixture["requests"][0]["body"]["json"]
    out = adapter.encode_image(PICTURES[name], Route("x", body["model"]), provider_of(fixture))
    same_head(out, fixture)
    assert isinstance(out.body, bytes)
    assert plain(json.loads(out.body)) == plain(body, NOT_OURS - {"background"})


A, B, M = (Asset(letter * 70, "image/png", f"{letter.decode()}.png") for letter in (b"a", b"b", b"m"))
EDITS = {
    "openai.images.edit.single": ImageRequest("add a hat", images=(A,)),
    "openai.images.edit.multi": ImageRequest(
        "add a hat", 1024, 1536, quality="high", images=(A, B), mask=M, given=frozenset({"size", "quality"})
    ),
    "azure-openai.images.edit": ImageRequest("x", images=(A, B)),
}


def same_form(out: Outgoing, fixture: dict[str, Any], drop: set[str]) -> None:
    content_type = next(value for name, value in out.headers if name == "content-type")
    assert isinstance(out.body, bytes)
    got = sorted(
        (part.name, part.filename, part.content_type, len(part.data) if part.filename else part.data.decode())
        for part in parse_form(content_type, out.body)
    )
    expected = sorted(
        (
            part["name"],
            part.get("filename"),
            part.get("content_type"),
            part.get("bytes", len(part.get("text", ""))) if "filename" in part else part["text"],
        )
        for part in fixture["requests"][0]["body"]["parts"]
        if part["name"] not in drop
    )
    assert got == expected


@pytest.mark.parametrize("name", EDITS)
def test_edits(name: str) -> None:
    fixture = captured(name)
    model = next(p["text"] for p in fixture["requests"][0]["body"]["parts"] if p["name"] == "model")
    out = adapter.encode_image(EDITS[name], Route("x", model), provider_of(fixture))
    same_head(out, fixture)
    # The captured call spells output_format out, which is its default.
    same_form(out, fixture, NOT_OURS | {"output_format"})


def test_speech() -> None:
    fixture = captured("openai.audio.speech")
    request = SpeechRequest("Hello world", "nova", given=frozenset({"speed"}))
    out = adapter.encode_speech(request, Route("x", "tts-1"), provider_of(fixture))
    same_head(out, fixture)
    assert isinstance(out.body, bytes)
    assert json.loads(out.body) == fixture["requests"][0]["body"]["json"]


@pytest.mark.parametrize(
    ("name", "request_", "drop"),
    [
        (
            "openai.audio.transcriptions.verbose",
            TranscriptionRequest(
                Asset(b"x" * 16, "audio/wav", "a.wav"), language="en", prompt="names: Ann", temperature=0.0
            ),
            set[str](),
        ),
        ("ovhcloud.audio.transcriptions", TranscriptionRequest(Asset(b"ID3", "audio/mpeg", "a.mp3")), {"segment"}),
    ],
)
def test_transcriptions(name: str, request_: TranscriptionRequest, drop: set[str]) -> None:
    fixture = captured(name)
    out = adapter.encode_transcription(request_, Route("x", "whisper-large-v3"), provider_of(fixture))
    same_head(out, fixture)
    if drop:  # words alone were asked for there; ours always asks for the segments too
        fixture["requests"][0]["body"]["parts"].append({"name": "timestamp_granularities[]", "text": "segment"})
    same_form(out, fixture, set())


@pytest.mark.parametrize("name", ["openai.audio.transcriptions.json", "azure-openai.audio.transcriptions"])
def test_plain_transcriptions_go_to_the_same_place_with_the_verbose_form(name: str) -> None:
    fixture = captured(name)
    model = fixture["requests"][0]["body"]["parts"][0]["text"]
    file = Asset(b"x" * 16, "audio/wav", "a.wav")
    out = adapter.encode_transcription(TranscriptionRequest(file, words=False), Route("x", model), provider_of(fixture))
    same_head(out, fixture)
    fixture["requests"][0]["body"]["parts"] += [
        {"name": "response_format", "text": "verbose_json"},
        {"name": "timestamp_granularities[]", "text": "segment"},
    ]
    same_form(out, fixture, set())


def encode(fields: dict[str, Any], provider_params: Set[str] = frozenset(), **more: Any) -> dict[str, Any]:
    raw = msgspec.json.decode(msgspec.json.encode(fields), type=dict[str, msgspec.Raw])
    provider = Provider("p", "openai_compatible", "http://h/v1", params=frozenset(provider_params))
    out = adapter.encode_chat(ChatRequest(raw, **more), Route("p", "up"), provider)
    assert isinstance(out.body, bytes)
    return json.loads(out.body)


MESSAGES = [{"role": "user", "content": "Ahoj, světe 🙂", "name": None}]


def test_fields_pass_as_they_came_and_unknown_ones_stay_here() -> None:
    sent = encode(
        {"model": "ours", "messages": MESSAGES, "temperature": 0.70, "top_k": 3, "nonsense": 1, "max_cost": "1"}
    )
    assert sent == {"model": "up", "messages": MESSAGES, "temperature": 0.7, "top_k": 3}


def test_a_field_that_the_configuration_names_passes_too() -> None:
    assert encode({"messages": [], "service_tier": "flex"}) == {"model": "up", "messages": []}
    assert encode({"messages": [], "service_tier": "flex"}, {"service_tier"})["service_tier"] == "flex"


@pytest.mark.parametrize(
    ("fields", "params", "name"),
    [
        ({}, set[str](), "max_tokens"),
        ({"max_tokens": 5}, set[str](), "max_tokens"),
        ({"max_completion_tokens": 5}, set[str](), "max_completion_tokens"),
        ({"max_completion_tokens": None}, set[str](), "max_tokens"),
        ({"max_completion_tokens": 5, "max_tokens": 9}, set[str](), "max_completion_tokens"),
        ({"max_tokens": 5}, {"max_completion_tokens"}, "max_completion_tokens"),
        ({"max_completion_tokens": 5}, {"max_tokens"}, "max_tokens"),
    ],
)
def test_the_limit_has_one_name_and_the_decided_value(fields: dict[str, Any], params: set[str], name: str) -> None:
    assert encode(fields, params, max_tokens=77) == {"model": "up", name: 77}
    assert encode(fields, params) == {"model": "up"}


def test_the_decided_seed_wins() -> None:
    assert encode({"seed": -1}, seed=123) == {"model": "up", "seed": 123}
    assert encode({"seed": 5}) == {"model": "up"}


def test_streaming_always_asks_for_usage_and_keeps_other_options() -> None:
    sent = encode(
        {"stream": True, "stream_options": {"include_usage": False, "include_obfuscation": False}}, stream=True
    )
    assert sent["stream_options"] == {"include_usage": True, "include_obfuscation": False}
    assert "stream_options" not in encode({"stream_options": {"include_usage": True}})


def test_extra_parameters_go_only_where_the_configuration_says_so() -> None:
    request = ImageRequest("x", seed=4, negative_prompt="rain", metadata=False)
    plain_host = Provider("p", "openai_compatible", "http://h/v1")
    rich_host = Provider(
        "p", "openai_compatible", "http://h/v1", params=frozenset({"seed", "negative_prompt", "metadata"})
    )
    for provider, extra in ((plain_host, {}), (rich_host, {"seed": 4, "negative_prompt": "rain", "metadata": False})):
        out = adapter.encode_image(request, Route("p", "m"), provider)
        assert isinstance(out.body, bytes)
        assert json.loads(out.body) == {"model": "m", "prompt": "x", "size": "1024x1024"} | extra


def test_file_names_cannot_break_the_form() -> None:
    image = Asset(b"data", "image/png", 'a"\r\nX: y\\.png')
    out = adapter.encode_image(
        ImageRequest('p"\r\n--x', images=(image, Asset(b"d", "image/jpeg"))),
        Route("p", "m"),
        Provider("p", "w", "http://h"),
    )
    content_type = next(value for name, value in out.headers if name == "content-type")
    assert isinstance(out.body, bytes)
    parts = {(part.name, part.filename): part.data for part in parse_form(content_type, out.body)}
    assert parts["image[]", "aX: y.png"] == b"data"
    assert parts["image[]", "file.jpg"] == b"d"
    assert parts["prompt", None] == b'p"\r\n--x'
