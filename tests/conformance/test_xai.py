"""xAI's pictures and films: our requests are those that a client library in wide use sends; answers and errors rest on the
documentation and on what users of the API report, as xAI's own library does not speak this API."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from openpollen.core.assets import Asset, ImageRequest, JobState, Media, VideoRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.core.usage import Usage
from openpollen.outbound.message import Outgoing, parse_origin
from openpollen.providers.adapter import adapters
from openpollen.providers.failures import Failure
from tests.conformance.captures import captured, same, without_secret

#: What these tests prove, by wire and operation: the captured requests that ours are compared with, or "documentation".
PROVES = {
    "xai/image": ("xai.rest.images.generate",),
    "xai/edit": ("xai.rest.images.edit",),
    "xai/video": (
        "xai.rest.video.t2v",
        "xai.rest.video.i2v",
    ),
}

adapter = adapters()["xai"]
KEY = "xai-0123456789abcdefghijklmnop"
PROVIDER = Provider("xai-media", "xai", "https://api.x.ai/v1", KEY, "XAI_API_KEY")
PICTURES, FILMS = Route("xai-media", "grok-imagine-image"), Route("xai-media", "grok-imagine-video")
A, B = Asset(b"a" * 9, "image/png"), Asset(b"b" * 9, "image/jpeg")
SHAPED = frozenset({"aspect_ratio"})


def host(fixture: dict[str, Any]) -> Provider:
    key = fixture["requests"][0]["headers"]["authorization"].removeprefix("Bearer ")
    return Provider("xai-media", "xai", fixture["default_base_url"], key)


def expected(fixture: dict[str, Any], number: int = 0, **more: Any) -> dict[str, Any]:
    """A captured request. Its library takes an answer of any type, ours asks for JSON."""
    request = fixture["requests"][number]
    request["headers"]["accept"] = "application/json"
    if more:
        request["body"]["json"] |= more
    return request


def picture_of(fixture: dict[str, Any]) -> Asset:
    url = fixture["requests"][0]["body"]["json"]["image"]["url"]
    return Asset(base64.b64decode(url.partition(",")[2]), "image/png")


def sent(out: Outgoing) -> dict[str, Any]:
    assert isinstance(out.body, bytes)
    return json.loads(out.body)


def image(request: ImageRequest, model: str = "grok-imagine-image") -> dict[str, Any]:
    return sent(adapter.encode_image(request, Route("xai-media", model), PROVIDER))


def film(request: VideoRequest, model: str = "grok-imagine-video") -> dict[str, Any]:
    return sent(adapter.encode_video(request, Route("xai-media", model), PROVIDER))


def test_a_picture() -> None:
    fixture = captured("xai.rest.images.generate")
    out = adapter.encode_image(ImageRequest("a fox", 1280, 720), PICTURES, host(fixture))
    same(out, expected(fixture, resolution="1k"))  # the captured call leaves the host's default unsaid


def test_a_picture_as_openais_library_asks_for_it() -> None:
    fixture = captured("xai.images.generate")
    out = adapter.encode_image(ImageRequest("a fox", 1280, 720), PICTURES, host(fixture))
    same(out, expected(fixture, response_format="b64_json"))  # bytes at once in place of an address


def test_an_edit() -> None:
    fixture = captured("xai.rest.images.edit")
    request = ImageRequest("add hat", images=(picture_of(fixture),))
    same(adapter.encode_image(request, PICTURES, host(fixture)), expected(fixture))


def test_by_its_documentation_an_edit_of_several_pictures_lists_them() -> None:
    body = image(ImageRequest("merge", images=(A, B)))
    assert [one["url"][:16] for one in body["images"]] == ["data:image/png;b", "data:image/jpeg;"]
    assert {one["type"] for one in body["images"]} == {"image_url"}
    assert not body.keys() & {"image", "aspect_ratio", "resolution"}
    with pytest.raises(BadRequest, match="at most 3 pictures, not 4"):
        image(ImageRequest("merge", images=(A, B, A, B)))


@pytest.mark.parametrize(
    ("width", "height", "ratio", "resolution"),
    [
        (1024, 1024, "1:1", "1k"),
        (1024, 1536, "2:3", "1k"),
        (1920, 1080, "16:9", "1k"),
        (2048, 2048, "1:1", "2k"),
        (3000, 1000, "20:9", "2k"),
        (500, 1000, "1:2", "1k"),
        (390, 844, "9:19.5", "1k"),
    ],
)
def test_pixels_become_the_nearest_ratio_and_resolution(width: int, height: int, ratio: str, resolution: str) -> None:
    body = image(ImageRequest("x", width, height))
    assert (body["aspect_ratio"], body["resolution"]) == (ratio, resolution)
    assert "size" not in body


def test_a_film_from_words_and_its_poll() -> None:
    fixture = captured("xai.rest.video.t2v")
    same(adapter.encode_video(VideoRequest("a fox runs"), FILMS, host(fixture)), expected(fixture))
    same(adapter.poll_job("rq1", FILMS, host(fixture)), expected(fixture, 1))


def test_a_film_from_a_picture_and_its_poll() -> None:
    fixture = captured("xai.rest.video.i2v")
    request = VideoRequest("it turns", images=(picture_of(fixture),))
    out = adapter.encode_video(request, FILMS, host(fixture))
    same(out, expected(fixture, resolution="720p"))  # the captured call leaves the host's own default, 480p
    same(adapter.poll_job("rq1", FILMS, host(fixture)), expected(fixture, 1))


def test_a_film_from_a_picture_has_its_shape_unless_another_is_given() -> None:
    assert "aspect_ratio" not in film(VideoRequest("x", aspect_ratio="1:1", images=(A,)))
    assert film(VideoRequest("x", aspect_ratio="1:1", images=(A,), given=SHAPED))["aspect_ratio"] == "1:1"
    with pytest.raises(BadRequest, match="takes one picture"):
        film(VideoRequest("x", images=(A, B)))


@pytest.mark.parametrize(
    ("width", "height", "ratio", "resolution"),
    [(1280, 720, "16:9", "720p"), (720, 1280, "9:16", "720p"), (854, 480, "16:9", "480p"), (720, 720, "1:1", "720p")],
)
def test_the_size_of_a_film_becomes_ratio_and_resolution(width: int, height: int, ratio: str, resolution: str) -> None:
    body = film(VideoRequest("x", width=width, height=height, given=frozenset({"size"})))
    assert (body["aspect_ratio"], body["resolution"]) == (ratio, resolution)


def test_films_that_it_does_not_make_are_refused() -> None:
    large = VideoRequest("x", width=1920, height=1080, given=frozenset({"size"}))
    with pytest.raises(BadRequest, match="grok-imagine-video makes 480p, 720p, not 1920x1080"):
        film(large)
    with pytest.raises(BadRequest, match="not 1024x1024"):
        film(VideoRequest("x", width=1024, height=1024, given=frozenset({"size"})))
    assert film(large, "grok-imagine-video-1.5")["resolution"] == "1080p"
    with pytest.raises(BadRequest, match=r"resolution: .*not 1080p"):
        film(VideoRequest("x", resolution="1080p", given=frozenset({"resolution"})))
    with pytest.raises(BadRequest, match="not 160x90"):
        film(VideoRequest("x", width=160, height=90, given=frozenset({"size"})))
    with pytest.raises(BadRequest, match=r"whole seconds, not of 2\.5"):
        film(VideoRequest("x", seconds=2.5))
    with pytest.raises(BadRequest, match="aspectRatio"):
        film(VideoRequest("x", aspect_ratio="wide", given=SHAPED))


CHANGES: dict[str, tuple[Any, Any]] = {
    "prompt": (ImageRequest("y"), VideoRequest("y")),
    "n": (ImageRequest("x", n=2), None),
    "image": (ImageRequest("x", images=(B,)), VideoRequest("x", images=(B,))),
    "width": (ImageRequest("x", width=2048), VideoRequest("x", width=480, height=480, given=frozenset({"size"}))),
    "height": (ImageRequest("x", height=2048), VideoRequest("x", width=640, height=864, given=frozenset({"size"}))),
    "size": (ImageRequest("x", 640, 480), VideoRequest("x", width=640, height=480, given=frozenset({"size"}))),
    "seconds": (None, VideoRequest("x", seconds=7)),
    "duration": (None, VideoRequest("x", seconds=7)),
    "aspect_ratio": (None, VideoRequest("x", aspect_ratio="9:16", given=SHAPED)),
    "resolution": (None, VideoRequest("x", resolution="480p")),
}


@pytest.mark.parametrize(
    ("operation", "name"),
    [(op, name) for op in sorted(adapter.operations) for name in sorted(adapter.params(op, PROVIDER, FILMS))],
)
def test_every_parameter_that_is_named_moves_the_request(operation: Capability, name: str) -> None:
    changed = CHANGES[name][operation is Capability.VIDEO]
    if operation is Capability.VIDEO:
        assert film(changed) != film(VideoRequest("x"))
    else:
        pictures = (A,) if operation is Capability.EDIT and name != "image" else changed.images
        base = ImageRequest("x", images=(A,) if operation is Capability.EDIT else ())
        moved = ImageRequest(changed.prompt, changed.width, changed.height, changed.n, images=pictures)
        assert image(moved) != image(base)


def test_there_are_no_seeds_and_no_negative_prompts() -> None:
    every = frozenset[str]().union(*(adapter.params(op, PROVIDER, FILMS) for op in Capability))
    assert not every & {"seed", "negative_prompt", "quality", "mask", "fps", "audio"}
    assert adapter.params(Capability.CHAT, PROVIDER, FILMS) == frozenset()
    assert image(ImageRequest("x", seed=4, negative_prompt="rain")) == image(ImageRequest("x"))


def pictures(*items: dict[str, Any], status: int = 200, **more: Any) -> Media:
    made = adapter.decode_image(status, {}, json.dumps({"data": items} | more).encode(), PROVIDER)
    assert isinstance(made, Media)
    return made


def test_by_its_documentation_pictures_come_as_bytes_or_addresses() -> None:
    made = pictures(
        {"b64_json": "iVBORw==", "revised_prompt": "a red fox", "url": None},
        {"url": "https://imgen.x.ai/a.jpg"},
        usage={"cost_in_usd_ticks": 400000000},
    )
    assert [asset.data for asset in made.assets] == [b"\x89PNG"]
    assert (made.urls, made.revised_prompt) == (("https://imgen.x.ai/a.jpg",), "a red fox")
    assert made.usage == Usage(images=2)
    assert pictures({"b64_json": "data:image/png;base64,iVBORw=="}).usage is None


def test_pictures_that_moderation_withheld() -> None:
    made = pictures({"b64_json": "iVBORw=="}, {"respect_moderation": False, "url": "https://imgen.x.ai/no.jpg"})
    assert (len(made.assets), made.urls) == (1, ())
    assert made.note == "1 of 2 pictures were withheld by moderation"
    with pytest.raises(Failure) as caught:
        pictures({"respect_moderation": False})
    assert (caught.value.error.status, caught.value.error.reason) == (422, "content_policy_violation")
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "body", [b"{}", b'{"data": null}', b'{"data": [{}]}', b'{"data": [{"b64_json": "A"}]}', b"<html>", b"[]", b""]
)
def test_an_answer_without_a_picture_is_no_answer(body: bytes) -> None:
    with pytest.raises(Failure) as caught:
        adapter.decode_image(200, {}, body, PROVIDER)
    assert caught.value.error.reason == "upstream_invalid_answer"


def state(body: Any, status: int = 200) -> JobState:
    return adapter.decode_job(status, {}, json.dumps(body).encode(), PROVIDER)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"status": "pending", "progress": 40}, JobState("", "running", 40)),
        ({"status": "pending"}, JobState("", "running")),
        ({"status": None, "video": None}, JobState("", "running")),
        ({"request_id": "rq1"}, JobState("", "running")),
        ({"status": "queued"}, JobState("", "queued")),
        ({"status": "expired"}, JobState("", "failed", error="the job has expired")),
        (
            {"status": "failed", "error": {"code": "internal_error", "message": "It broke."}, "video": {"url": None}},
            JobState("", "failed", error="It broke."),
        ),
        ({"status": "failed", "error": "It broke."}, JobState("", "failed", error="It broke.")),
    ],
)
def test_by_its_documentation_states_of_a_job(body: dict[str, Any], wanted: JobState) -> None:
    assert state(body) == wanted


@pytest.mark.parametrize("status", ["done", None])
def test_a_finished_film_is_an_address_with_its_length(status: str | None) -> None:
    video = {"url": "https://vidgen.x.ai/a.mp4", "duration": 5.5, "respect_moderation": True}
    done = state({"status": status, "video": video, "usage": {"cost_in_usd_ticks": 2500000000}})
    assert done == JobState(
        "", "done", 100, media=Media(urls=("https://vidgen.x.ai/a.mp4",), usage=Usage(video_ms=5500))
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"status": "done", "video": {"url": "https://v/a.mp4", "respect_moderation": False}}, 200),
        ({"status": "failed", "error": {"code": "content_moderation", "message": "no"}}, 200),
        (
            {
                "code": "Client specified an invalid argument",
                "error": "Generated video rejected by content moderation.",
                "usage": {"cost_in_usd_ticks": 2500000000},
            },
            400,
        ),
    ],
)
def test_a_film_that_moderation_withheld_is_a_refused_job(body: dict[str, Any], status: int) -> None:
    refused = state(body, status)
    assert (refused.status, refused.refused) == ("failed", True)
    assert refused.error


def test_a_poll_that_calls_the_request_invalid_ends_the_job() -> None:
    ended = state({"code": "invalid-argument", "error": "Image cannot be read."}, 400)
    assert ended == JobState("", "failed", error="Image cannot be read.")


@pytest.mark.parametrize(("body", "status"), [({"status": "done", "video": {}}, 200), ({"status": "odd"}, 200)])
def test_a_job_that_cannot_be_understood(body: dict[str, Any], status: int) -> None:
    with pytest.raises(Failure) as caught:
        state(body, status)
    assert caught.value.error.reason == "upstream_invalid_answer"


def test_a_job_that_was_begun() -> None:
    assert adapter.decode_video(200, {}, b'{"request_id": "rq1"}', PROVIDER) == JobState("rq1", "queued")
    with pytest.raises(Failure, match="without an id"):
        adapter.decode_video(200, {}, b"{}", PROVIDER)
    assert adapter.cancel_job("rq1", FILMS, PROVIDER) is None


@pytest.mark.parametrize("job", ["../images", "https://evil.example/x", "a/b?c#d", "..", "."])
def test_an_id_cannot_lead_the_credential_elsewhere(job: str) -> None:
    origin, _, target = parse_origin(adapter.poll_job(job, FILMS, PROVIDER).url)
    assert str(origin) == "https://api.x.ai:443"
    assert target.startswith("/v1/videos/")
    assert not set(target.removeprefix("/v1/videos/")) & set("/?#")
    assert not target.endswith(("/..", "/."))


ERRORS = [
    (400, {"code": "Client specified an invalid argument", "error": "Argument not supported: size"}, 400,
     "upstream_invalid_request", False),
    (400, {"code": "Client specified an invalid argument", "error": f"Incorrect API key provided: {KEY[:6]}***op. You"},
     502, "provider_credential", True),
    (401, {"code": "unauthenticated", "error": "No credentials"}, 502, "provider_credential", True),
    (403, {"code": "The caller does not have permission to execute the specified operation",
           "error": "Content violates usage guidelines. Team: x, API key ID: y, Failed check: SAFETY_CHECK_TYPE_CSAM"},
     422, "content_policy_violation", False),
    (403, {"code": "permission", "error": "Your newly created team doesn't have any credits yet."}, 502,
     "provider_credit", True),
    (429, {"code": "Some resource has been exhausted",
           "error": "Your team 1 has either used all available credits or reached its monthly spending limit."},
     502, "provider_credit", True),
    (429, {"code": "Some resource has been exhausted", "error": "Too many requests for team"}, 502,
     "provider_rate_limit", True),
    (400, {"code": "invalid", "error": "Generated image rejected by content moderation."}, 422,
     "content_policy_violation", False),
    (404, {"code": "not-found", "error": "The model does not exist"}, 502, "provider_unknown_model", True),
    (503, {"error": "The service is at capacity"}, 503, "upstream_overloaded", True),
    (500, {"error": "internal"}, 502, "upstream_error", True),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "ours", "reason", "retryable"), ERRORS)
def test_what_its_errors_mean(status: int, body: dict[str, Any], ours: int, reason: str, retryable: bool) -> None:
    raw = json.dumps(body | {"debug": KEY}).encode()
    for decode in (adapter.decode_image, adapter.decode_video):
        with pytest.raises(Failure) as caught:
            decode(status, {"retry-after": "7"}, raw, PROVIDER)
        failure = caught.value
        assert (failure.error.status, failure.error.reason, failure.retryable) == (ours, reason, retryable)
        assert without_secret(f"{failure.error.message} {failure.error.details}", PROVIDER)
        if ours == 503:
            assert failure.error.retry_after == 7


def test_no_key_in_the_words_of_a_job() -> None:
    ended = state({"status": "failed", "error": {"message": f"The key {KEY} broke."}})
    assert without_secret(ended.error, PROVIDER)
