"""Pictures of Gemini and films of Veo: our requests are those of Google's own library, results, states and refusals are read."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from openpollen.core.assets import Asset, ImageRequest, JobState, Media, VideoRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.core.usage import Usage
from openpollen.providers.failures import Failure
from tests.conformance.captures import captured, same, without_secret
from tests.conformance.google_lab import (
    GEMINI,
    VEO,
    VERTEX,
    adapter,
    body,
    expected,
    pixel,
)

#: What these tests prove, by wire and operation: the captured requests that ours are compared with, or "documentation".
PROVES = {
    "google/image": (
        "gemini.generate_content.image",
        "vertex.generate_content.image",
    ),
    "google/edit": (
        "gemini.generate_content.image",
        "vertex.generate_content.image",
    ),
    "google/video": (
        "gemini.veo.generate_poll_download",
        "vertex.veo.generate_poll",
    ),
}


@pytest.mark.parametrize("provider", [GEMINI, VERTEX])
def test_pictures(provider: Provider) -> None:
    if provider is GEMINI:
        capture = expected("gemini.generate_content.image")
        image = Asset(pixel(capture["body"]["json"]["contents"][0]["parts"][1]), "image/png")
        asked = ImageRequest("a red fox", 2048, 1152, images=(image,), given=frozenset({"size"}))
        model = "gemini-3-pro-image"
    else:
        capture = expected("vertex.generate_content.image")
        asked, model = ImageRequest("a fox"), "gemini-2.5-flash-image"
    same(adapter.encode_image(asked, Route(provider.name, model), provider), capture)


@pytest.mark.parametrize(
    ("width", "height", "ratio", "size"),
    [(1024, 1024, "1:1", "1K"), (1920, 1080, "16:9", "2K"), (800, 1200, "2:3", "1K"), (4096, 1800, "21:9", "4K")],
)
def test_the_size_of_a_picture_is_the_nearest_there_is(width: int, height: int, ratio: str, size: str) -> None:
    route = Route("gemini", "gemini-3-pro-image-preview")
    config = body(adapter.encode_image(ImageRequest("x", width, height), route, GEMINI))["generationConfig"]
    assert config["imageConfig"] == {"aspectRatio": ratio, "imageSize": size}


def test_the_longest_ratios_are_of_one_model_and_older_models_have_one_size() -> None:
    def shape(model: str) -> dict[str, str]:
        asked = ImageRequest("x", 4096, 1024)
        return body(adapter.encode_image(asked, Route("gemini", model), GEMINI))["generationConfig"]["imageConfig"]

    assert shape("gemini-3.1-flash-image-preview") == {"aspectRatio": "4:1", "imageSize": "4K"}
    assert shape("gemini-3-pro-image-preview") == {"aspectRatio": "21:9", "imageSize": "4K"}
    assert shape("gemini-2.5-flash-image") == {"aspectRatio": "21:9"}


def test_an_edit_without_a_size_keeps_that_of_its_picture() -> None:
    asked = ImageRequest("x", images=(Asset(b"png", "image/png"),))
    sent = body(adapter.encode_image(asked, Route("gemini", "gemini-2.5-flash-image"), GEMINI))
    assert "imageConfig" not in sent["generationConfig"]


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"prompt": "a hen"}, {"prompt"}),
        ({"width": 2048, "height": 1024}, {"width", "height", "size"}),
        ({"seed": 3}, {"seed"}),
        ({"reasoning": True}, {"reasoning"}),
        ({"images": (Asset(b"png", "image/png"),)}, {"image"}),
    ],
)
def test_each_parameter_of_a_picture_moves_the_request(changed: dict[str, Any], names: set[str]) -> None:
    route = Route("gemini", "gemini-3-pro-image-preview")
    plain, moved = (
        adapter.encode_image(ImageRequest(**({"prompt": "a fox"} | more)), route, GEMINI) for more in ({}, changed)
    )
    assert plain.body != moved.body
    assert names <= adapter.params(Capability.EDIT, GEMINI, route)


def test_what_does_not_reach_a_picture_is_not_named() -> None:
    older, newer = Route("gemini", "gemini-2.5-flash-image"), Route("gemini", "gemini-3-pro-image-preview")
    standard = {"prompt", "width", "height", "size", "seed"}
    assert adapter.params(Capability.IMAGE, GEMINI, older) == standard
    assert adapter.params(Capability.EDIT, GEMINI, older) == standard | {"image"}
    assert adapter.params(Capability.IMAGE, GEMINI, newer) == standard | {"reasoning"}


def test_films_of_the_global_location_are_made_in_one_that_has_them() -> None:
    base = "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models"
    provider = Provider("vertex", "google", base, signer="google")
    at = "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/publishers/google/models"
    route = Route("vertex", VEO)
    assert adapter.encode_video(VideoRequest("x", 4), route, provider).url == f"{at}/{VEO}:predictLongRunning"
    assert adapter.poll_job("projects/p/operations/1", route, provider).url == f"{at}/{VEO}:fetchPredictOperation"


def test_a_picture_and_its_usage() -> None:
    answer = captured("gemini.generate_content.image")["recorder_responses"]["items"][0]
    made = adapter.decode_image(200, {}, json.dumps(answer).encode(), GEMINI)
    assert [asset.data[:4] for asset in made.assets] == [b"\x89PNG"]
    assert made.usage == Usage(input_tokens=8, output_image_tokens=1290, images=1)


def test_pictures_that_were_only_thought_of_are_none() -> None:
    draft = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thought": True}
    parts = [draft, {"inlineData": {"mimeType": "image/png", "data": "_-8="}}]
    answer = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    made = adapter.decode_image(200, {}, json.dumps(answer).encode(), GEMINI)
    assert isinstance(made, Media)
    assert [asset.data for asset in made.assets] == [b"\xff\xef"]
    assert made.usage is None
    answer["candidates"][0]["content"]["parts"] = [draft, {"text": "No."}]
    with pytest.raises(Failure, match="without a picture"):
        adapter.decode_image(200, {}, json.dumps(answer).encode(), GEMINI)


def film(provider: Provider) -> tuple[str, VideoRequest]:
    name = "gemini.veo.generate_poll_download" if provider is GEMINI else "vertex.veo.generate_poll"
    (instance,) = captured(name)["requests"][0]["body"]["json"]["instances"]
    image = Asset(base64.b64decode(instance["image"]["bytesBase64Encoded"]), "image/png")
    return name, VideoRequest(
        "a fox runs",
        6,
        1280,
        720,
        audio=provider is VERTEX,
        seed=7 if provider is VERTEX else None,
        negative_prompt="blur",
        images=(image, image),
    )


@pytest.mark.parametrize("provider", [GEMINI, VERTEX])
def test_a_film_from_start_to_end(provider: Provider) -> None:
    name, asked = film(provider)
    fixture, route = captured(name), Route(provider.name, VEO)
    begin = expected(name)
    for unsaid in ("personGeneration", "enhancePrompt"):  # our videos have no word for these
        begin["body"]["json"]["parameters"].pop(unsaid, None)
    same(adapter.encode_video(asked, route, provider), begin)
    begun, done = (json.dumps(item).encode() for item in fixture["recorder_responses"]["items"][:2])
    state = adapter.decode_video(200, {}, begun, provider)
    assert (state.status, state.id) == ("running", json.loads(begun)["name"])
    same(adapter.poll_job(state.id, route, provider), expected(name, 1))
    state = adapter.decode_job(200, {}, done, provider)
    assert state.status == "done"
    if provider is VERTEX:
        assert state.media is not None
        assert state.media.assets[0].data == base64.b64decode("AAAAGGZ0eXA=")
    else:
        same(adapter.fetch_job(state, route, provider), expected(name, 2))
        assert adapter.decode_result(200, {}, b"film", provider).assets[0].data == b"film"


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"prompt": "a hen"}, {"prompt"}),
        ({"negative_prompt": "blur"}, {"negative_prompt"}),
        ({"seconds": 8}, {"seconds", "duration"}),
        ({"aspect_ratio": "9:16"}, {"aspect_ratio"}),
        ({"resolution": "1080p"}, {"resolution"}),
        ({"width": 1080, "height": 1920, "given": frozenset({"size"})}, {"width", "height", "size"}),
        ({"images": (Asset(b"png", "image/png"),)}, {"image"}),
        ({"audio": True}, {"audio"}),
        ({"seed": 3}, {"seed"}),
    ],
)
def test_each_parameter_of_a_film_moves_the_request(changed: dict[str, Any], names: set[str]) -> None:
    for provider in (GEMINI, VERTEX):
        route = Route(provider.name, VEO)
        plain, moved = (
            adapter.encode_video(VideoRequest(**({"prompt": "a fox", "seconds": 4} | more)), route, provider)
            for more in ({}, changed)
        )
        assert (plain.body != moved.body) == (names <= adapter.params(Capability.VIDEO, provider, route))


def test_the_size_of_a_film_is_its_shape_and_resolution() -> None:
    asked = VideoRequest("x", 8, 1080, 1920, given=frozenset({"size"}))
    parameters = body(adapter.encode_video(asked, Route("gemini", VEO), GEMINI))["parameters"]
    assert (parameters["aspectRatio"], parameters["resolution"]) == ("9:16", "1080p")


def test_films_that_veo_does_not_make_are_refused() -> None:
    frame = Asset(b"png", "image/png")
    for asked in (
        VideoRequest("x", 4.5),
        VideoRequest("x", 4, images=(frame,) * 3),
        VideoRequest("x", 4, resolution="480p", given=frozenset({"resolution"})),
    ):
        with pytest.raises(BadRequest):
            adapter.encode_video(asked, Route("gemini", VEO), GEMINI)


@pytest.mark.parametrize("name", ["", "../../v1/other", "a?b=c", "https://evil.example/op", "a b"])
def test_an_operation_is_asked_for_by_its_name_alone(name: str) -> None:
    with pytest.raises(Failure, match="without a name"):
        adapter.decode_video(200, {}, json.dumps({"name": name}).encode(), GEMINI)


@pytest.mark.parametrize("answer", [b"", b"[]", b"<html>", b'{"name": 3}'])
def test_what_is_no_operation_is_a_failure(answer: bytes) -> None:
    with pytest.raises(Failure, match="cannot be read"):
        adapter.decode_job(200, {}, answer, GEMINI)


def test_a_film_that_is_none_is_not_taken_for_one() -> None:
    with pytest.raises(Failure, match="empty film"):
        adapter.decode_result(200, {}, b"", GEMINI)
    answer = {"error": {"code": 404, "message": "gone", "status": "NOT_FOUND"}}
    for status in (200, 404):
        with pytest.raises(Failure):
            adapter.decode_result(status, {"content-type": "application/json"}, json.dumps(answer).encode(), GEMINI)
    made = {"name": "n", "done": True, "response": {"videos": [{"bytesBase64Encoded": "!"}]}}
    with pytest.raises(Failure, match="no base64"):
        adapter.decode_job(200, {}, json.dumps(made).encode(), VERTEX)


@pytest.mark.parametrize("code", [3, 9])
def test_an_operation_that_refuses_content_is_refused(code: int) -> None:
    failed = {"name": "n", "done": True, "error": {"code": code, "message": "violates the policy", "details": None}}
    state = adapter.decode_job(200, {}, json.dumps(failed).encode(), VERTEX)
    assert (state.status, state.refused) == ("failed", True)


def test_films_that_were_filtered_or_failed() -> None:
    filtered = captured("gemini.veo.poll_filtered")["recorder_responses"]["items"][0]
    state = adapter.decode_job(200, {}, json.dumps(filtered).encode(), GEMINI)
    assert (state.status, state.refused, state.error) == ("failed", True, "blocked")
    failed = {"name": "operations/1", "done": True, "error": {"code": 13, "message": f"internal {GEMINI.key}"}}
    state = adapter.decode_job(200, {}, json.dumps(failed).encode(), GEMINI)
    assert (state.status, state.refused) == ("failed", False)
    assert without_secret(state.error, GEMINI)
    empty = adapter.decode_job(200, {}, b'{"name": "operations/1", "done": true}', GEMINI)
    assert empty.status == "failed"


def test_a_film_at_a_foreign_address_is_not_fetched_with_our_key() -> None:
    made = {"generateVideoResponse": {"generatedSamples": [{"video": {"uri": "https://evil.example/film"}}]}}
    with pytest.raises(Failure, match="not its own"):
        adapter.decode_job(200, {}, json.dumps({"name": "n", "done": True, "response": made}).encode(), GEMINI)
    with pytest.raises(Failure, match="not its own"):
        adapter.fetch_job(JobState("n", "done", result="https://evil.example/film"), Route("gemini", VEO), GEMINI)


def test_seeds_larger_than_the_api_has_are_taken_to_their_remainder() -> None:
    route = Route("vertex", VEO)
    film = body(adapter.encode_video(VideoRequest("x", 4, seed=2**32 + 5), route, VERTEX))
    assert film["parameters"]["seed"] == 5
    picture = body(
        adapter.encode_image(ImageRequest("x", seed=2**31 + 5), Route("vertex", "gemini-2.5-flash-image"), VERTEX)
    )
    assert picture["generationConfig"]["seed"] == 5
