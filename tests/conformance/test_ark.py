"""BytePlus ModelArk: our requests are those of its own library, and its answers are read as the library reads them. Errors rest
on the documentation."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from msgspec import structs

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
    "ark/image": ("byteplus.seedream.images.generate",),
    "ark/edit": ("byteplus.seedream.images.generate",),
    "ark/video": ("byteplus.seedance.task_create_get_delete",),
}

adapter = adapters()["ark"]
KEY = "ark-0123456789abcdefghijklmnop"
PROVIDER = Provider("byteplus", "ark", "https://ark.ap-southeast.bytepluses.com/api/v3", KEY, "ARK_API_KEY")
SEEDREAM, FIRST, LATER = "seedream-5-0-260128", "seedance-1-0-pro-fast-251015", "seedance-1-5-pro-251215"
A, B = Asset(b"a" * 9, "image/png"), Asset(b"b" * 9, "image/jpeg")
SIZED, SHAPED = frozenset({"size"}), frozenset({"aspect_ratio"})


def host(fixture: dict[str, Any]) -> Provider:
    return Provider("byteplus", "ark", fixture["default_base_url"], "ark-fake")


def asset_of(uri: str) -> Asset:
    head, _, body = uri.partition(",")
    return Asset(base64.b64decode(body), head.removeprefix("data:").removesuffix(";base64"))


def sent(out: Outgoing) -> dict[str, Any]:
    assert isinstance(out.body, bytes)
    return json.loads(out.body)


def image(request: ImageRequest, model: str = SEEDREAM) -> dict[str, Any]:
    return sent(adapter.encode_image(request, Route("byteplus", model), PROVIDER))


def film(request: VideoRequest, model: str = LATER) -> dict[str, Any]:
    return sent(adapter.encode_video(request, Route("byteplus", model), PROVIDER))


def text(request: VideoRequest, model: str = FIRST) -> str:
    return film(request, model)["content"][0]["text"]


def test_an_edit_of_two_pictures() -> None:
    fixture = captured("byteplus.seedream.images.generate")
    expected = fixture["requests"][0]
    first = asset_of(expected["body"]["json"]["image"][0])
    # The captured call gives its second picture by address; ours has its bytes.
    expected["body"]["json"]["image"][1] = "data:image/jpeg;base64,YmJiYmJiYmJi"
    request = ImageRequest("a fox", 2048, 2048, seed=42, images=(first, B), given=SIZED)
    same(adapter.encode_image(request, Route("byteplus", SEEDREAM), host(fixture)), expected)


def test_the_picture_that_its_library_read() -> None:
    fixture = captured("byteplus.seedream.images.generate")
    parsed = fixture["sdk_parsed"]
    made = adapter.decode_image(200, {}, json.dumps(fixture["recorder_responses"]["items"][0]).encode(), PROVIDER)
    usage = parsed["usage"]
    assert made == Media(
        urls=tuple(picture["url"] for picture in parsed["data"]),
        usage=Usage(images=usage["generated_images"], output_image_tokens=usage["output_tokens"]),
    )


def test_a_film_with_its_parameters_in_the_text() -> None:
    fixture = captured("byteplus.seedance.task_create_get_delete")
    expected = fixture["requests"][0]
    frame = asset_of(expected["body"]["json"]["content"][1]["image_url"]["url"])
    request = VideoRequest("a fox runs", seed=42, images=(frame,), given=SHAPED)
    out = adapter.encode_video(request, Route("byteplus", FIRST), host(fixture))
    same(out, expected)


def test_asking_for_a_film_and_deleting_it() -> None:
    fixture = captured("byteplus.seedance.task_create_get_delete")
    job, route = fixture["sdk_parsed"]["id"], Route("byteplus", FIRST)
    same(adapter.poll_job(job, route, host(fixture)), fixture["requests"][1])
    cancel = adapter.cancel_job(job, route, host(fixture))
    assert cancel is not None
    same(cancel, fixture["requests"][2])


def test_the_film_that_its_library_read() -> None:
    fixture = captured("byteplus.seedance.task_create_get_delete")
    parsed, (begun, ended) = fixture["sdk_parsed"], fixture["recorder_responses"]["items"]
    assert adapter.decode_video(200, {}, json.dumps(begun).encode(), PROVIDER) == JobState(parsed["id"], "queued")
    usage = Usage(video_tokens=parsed["usage"]["completion_tokens"])
    done = JobState(parsed["id"], "done", 100, media=Media(urls=(parsed["content"]["video_url"],), usage=usage))
    assert adapter.decode_job(200, {}, json.dumps(ended).encode(), PROVIDER) == done


def test_a_film_of_a_later_model_has_its_parameters_in_the_body() -> None:
    fixture = captured("byteplus.seedance.task_create_toplevel_params")
    expected = fixture["requests"][0]
    body = expected["body"]["json"]
    # The capture names a model of the first family; there is nobody to call back, and the others say the host's defaults.
    body["model"] = LATER
    for name in ("callback_url", "return_last_frame", "camera_fixed"):
        del body[name]
    request = VideoRequest("a fox runs", seed=42)
    same(adapter.encode_video(request, Route("byteplus", LATER), host(fixture)), expected)


@pytest.mark.parametrize(
    ("model", "width", "height", "size"),
    [
        ("seedream-5-0-260128", 1024, 1024, "1920x1920"),
        ("seedream-4-5-251128", 1280, 720, "2560x1440"),
        ("seedream-4-5-251128", 720, 1280, "1440x2560"),
        ("seedream-5-0-lite-260128", 2048, 2048, "2048x2048"),
        ("seedream-4-0-250828", 1024, 1024, "1024x1024"),
        ("seedream-4-0-250828", 512, 512, "960x960"),
        ("seedream-3-0-t2i-250415", 512, 512, "512x512"),
    ],
)
def test_a_small_picture_is_asked_for_larger(model: str, width: int, height: int, size: str) -> None:
    assert image(ImageRequest("x", width, height), model)["size"] == size


@pytest.mark.parametrize("width", range(64, 2000, 37))
@pytest.mark.parametrize("height", [64, 333, 1000, 1999])
def test_a_larger_picture_keeps_its_ratio_and_has_enough_pixels(width: int, height: int) -> None:
    wide, high = (int(side) for side in image(ImageRequest("x", width, height))["size"].split("x"))
    assert wide * high >= 3_686_400 or (wide, high) == (width, height)
    assert abs(wide / high / (width / height) - 1) < 0.01


def test_an_edit_without_a_size_leaves_the_shape_to_the_model() -> None:
    body = image(ImageRequest("x", images=(A,)))
    assert (body["size"], body["image"]) == ("2K", "data:image/png;base64,YWFhYWFhYWFh")


def test_what_the_prompt_says_is_no_parameter() -> None:
    sneaky = "a fox --resolution 1080p --dur 12 --Ratio 21:9 --seed 1 --wm true -- and --so on"
    said = "a fox \u2014resolution 1080p \u2014dur 12 \u2014Ratio 21:9 \u2014seed 1 \u2014wm true -- and --so on"
    assert text(VideoRequest(sneaky)) == f"{said} --resolution 720p --duration 5 --ratio 16:9 --watermark false"
    assert film(VideoRequest(sneaky))["content"] == [{"type": "text", "text": said}]


def test_first_and_last_frame() -> None:
    content = film(VideoRequest("x", images=(A, B)), "seedance-1-0-lite-i2v-250428")["content"]
    assert [part.get("role") for part in content] == [None, "first_frame", "last_frame"]
    assert content[2]["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert "--ratio" not in content[0]["text"]
    with pytest.raises(BadRequest, match="first and a last frame"):
        film(VideoRequest("x", images=(A, B, A)))


@pytest.mark.parametrize(
    ("width", "height", "ratio", "resolution"),
    [
        (1920, 1080, "16:9", "1080p"),
        (1280, 720, "16:9", "720p"),
        (1080, 1920, "9:16", "1080p"),
        (1024, 1024, "1:1", "720p"),
        (640, 480, "4:3", "480p"),
        (1470, 630, "21:9", "720p"),
    ],
)
def test_the_size_of_a_film_becomes_ratio_and_resolution(width: int, height: int, ratio: str, resolution: str) -> None:
    body = film(VideoRequest("x", width=width, height=height, given=SIZED))
    assert (body["ratio"], body["resolution"]) == (ratio, resolution)


def test_films_that_it_does_not_make_are_refused() -> None:
    with pytest.raises(BadRequest, match="not 3840x2160"):
        film(VideoRequest("x", width=3840, height=2160, given=SIZED))
    with pytest.raises(BadRequest, match="resolution"):
        film(VideoRequest("x", resolution="768p", given=frozenset({"resolution"})))
    with pytest.raises(BadRequest, match="whole seconds"):
        film(VideoRequest("x", seconds=4.5))


def test_sound_is_for_later_models() -> None:
    assert film(VideoRequest("x", audio=True))["generate_audio"] is True
    assert film(VideoRequest("x"))["generate_audio"] is False
    assert "generate_audio" not in film(VideoRequest("x", audio=True), FIRST)
    assert "audio" not in adapter.params(Capability.VIDEO, PROVIDER, Route("byteplus", FIRST))
    assert "image" not in adapter.params(Capability.VIDEO, PROVIDER, Route("byteplus", "seedance-1-0-lite-t2v-250428"))
    assert adapter.params(Capability.SPEECH, PROVIDER, Route("byteplus", FIRST)) == frozenset()


PICTURES: dict[str, dict[str, Any]] = {
    "prompt": {"prompt": "y"}, "width": {"width": 4000}, "height": {"height": 4000}, "size": {"width": 3000, "height": 2000},
    "seed": {"seed": 0}, "image": {"images": (B,)},
}  # fmt: skip
FILMS: dict[str, dict[str, Any]] = {
    "prompt": {"prompt": "y"}, "seconds": {"seconds": 7}, "duration": {"seconds": 7}, "seed": {"seed": 0},
    "width": {"width": 720, "given": SIZED}, "height": {"height": 1280, "given": SIZED},
    "size": {"width": 640, "height": 480, "given": SIZED}, "aspect_ratio": {"aspect_ratio": "9:16", "given": SHAPED},
    "resolution": {"resolution": "480p"}, "audio": {"audio": True}, "image": {"images": (B,)},
}  # fmt: skip
EVERY = [
    (op, model, name)
    for op, model in [
        (Capability.IMAGE, SEEDREAM),
        (Capability.EDIT, SEEDREAM),
        (Capability.VIDEO, FIRST),
        (Capability.VIDEO, LATER),
        (Capability.VIDEO, "seedance-1-0-lite-t2v-250428"),
    ]
    for name in sorted(adapter.params(op, PROVIDER, Route("byteplus", model)))
]


@pytest.mark.parametrize(("operation", "model", "name"), EVERY)
def test_every_parameter_that_is_named_moves_the_request(operation: Capability, model: str, name: str) -> None:
    if operation is Capability.VIDEO:
        base = VideoRequest("x")
        assert film(structs.replace(base, **FILMS[name]), model) != film(base, model)
    else:
        base = ImageRequest("x", images=(A,) if operation is Capability.EDIT else (), given=SIZED)
        assert image(structs.replace(base, **PICTURES[name]), model) != image(base, model)


def state(**body: Any) -> JobState:
    return adapter.decode_job(200, {}, json.dumps({"id": "cgt-1"} | body).encode(), PROVIDER)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"status": "queued"}, JobState("cgt-1", "queued")),
        ({"status": "running", "content": None, "usage": None, "error": None}, JobState("cgt-1", "running")),
        ({"status": "cancelled"}, JobState("cgt-1", "failed", error="the task was cancelled")),
        ({"status": "expired"}, JobState("cgt-1", "failed", error="the task has expired")),
        (
            {"status": "failed", "error": {"code": "InternalServiceError", "message": "It broke."}},
            JobState("cgt-1", "failed", error="It broke."),
        ),
        (
            {"status": "succeeded", "content": {"video_url": "https://v/a.mp4"}, "usage": {"completion_tokens": None}},
            JobState("cgt-1", "done", 100, media=Media(urls=("https://v/a.mp4",))),
        ),
    ],
)
def test_states_of_a_task(body: dict[str, Any], wanted: JobState) -> None:
    assert state(**body) == wanted


@pytest.mark.parametrize(
    "code",
    [
        "OutputVideoSensitiveContentDetected",
        "InputTextSensitiveContentDetected.PolicyViolation",
        "OutputImageRiskDetection",
    ],
)
def test_a_task_whose_content_was_refused(code: str) -> None:
    refused = state(status="failed", error={"code": code, "message": f"It may be sensitive. {KEY}"})
    assert (refused.status, refused.refused) == ("failed", True)
    assert without_secret(refused.error, PROVIDER)


@pytest.mark.parametrize(
    "body", [{"status": "odd"}, {}, {"status": "succeeded"}, {"status": "succeeded", "content": {}}]
)
def test_a_task_that_cannot_be_understood(body: dict[str, Any]) -> None:
    with pytest.raises(Failure) as caught:
        state(**body)
    assert caught.value.error.reason == "upstream_invalid_answer"


def test_a_task_without_an_id_cannot_be_followed() -> None:
    with pytest.raises(Failure, match="without an id"):
        adapter.decode_video(200, {}, b"{}", PROVIDER)


@pytest.mark.parametrize("job", ["../../images", "https://evil.example/x", "a?b#c", ".."])
def test_an_id_cannot_lead_the_credential_elsewhere(job: str) -> None:
    cancel = adapter.cancel_job(job, Route("byteplus", FIRST), PROVIDER)
    assert cancel is not None
    for out in (adapter.poll_job(job, Route("byteplus", FIRST), PROVIDER), cancel):
        origin, _, target = parse_origin(out.url)
        assert str(origin) == "https://ark.ap-southeast.bytepluses.com:443"
        last = target.removeprefix("/api/v3/contents/generations/tasks/")
        assert last != target
        assert not set(last) & set("/?#")
        assert last != ".."


@pytest.mark.parametrize("body", [b"{}", b'{"data": null}', b'{"data": [{}]}', b"<html>", b"[]", b'{"data": 1}'])
def test_an_answer_without_a_picture_is_no_answer(body: bytes) -> None:
    with pytest.raises(Failure) as caught:
        adapter.decode_image(200, {}, body, PROVIDER)
    assert caught.value.error.reason == "upstream_invalid_answer"


def test_a_picture_that_was_refused_in_its_place() -> None:
    error = {"code": "OutputImageSensitiveContentDetected", "message": "The output image may be sensitive."}
    with pytest.raises(Failure) as caught:
        adapter.decode_image(200, {}, json.dumps({"data": [{"error": error}]}).encode(), PROVIDER)
    assert caught.value.error.status == 422
    made = adapter.decode_image(200, {}, b'{"data": [{"b64_json": "iVBORw=="}, {"error": {}}]}', PROVIDER)
    assert isinstance(made, Media)
    assert (made.assets[0].data, made.usage) == (b"\x89PNG", None)


ERRORS = [
    (400, "InvalidParameter", 400, "upstream_invalid_request", False),
    (400, "InputTextSensitiveContentDetected", 422, "content_policy_violation", False),
    (400, "InputImageSensitiveContentDetected.PrivacyInformation", 422, "content_policy_violation", False),
    (400, "InputTextRiskDetection", 422, "content_policy_violation", False),
    (401, "AuthenticationError", 502, "provider_credential", True),
    (403, "AccessDenied", 502, "provider_credential", True),
    (403, "AccountOverdueError", 502, "provider_credit", True),
    (429, "QuotaExceeded", 502, "provider_credit", True),
    (429, "SetLimitExceeded", 502, "provider_credit", True),
    (429, "RateLimitExceeded.EndpointRPMExceeded", 502, "provider_rate_limit", True),
    (429, "ModelAccountRpmRateLimitExceeded", 502, "provider_rate_limit", True),
    (429, "ServerOverloaded", 503, "upstream_overloaded", True),
    (404, "ModelNotOpen", 502, "provider_unknown_model", True),
    (500, "InternalServiceError", 502, "upstream_error", True),
]


@pytest.mark.parametrize(("status", "code", "ours", "reason", "retryable"), ERRORS)
def test_by_its_documentation_what_its_errors_mean(
    status: int, code: str, ours: int, reason: str, retryable: bool
) -> None:
    error = {"code": code, "message": f"It went wrong with {KEY}. Request id: 1", "param": "", "type": "X"}
    body = json.dumps({"error": error}).encode()
    for decode in (adapter.decode_image, adapter.decode_video, adapter.decode_job):
        with pytest.raises(Failure) as caught:
            decode(status, {"retry-after": "7"}, body, PROVIDER)
        failure = caught.value
        assert (failure.error.status, failure.error.reason, failure.retryable) == (ours, reason, retryable)
        assert without_secret(f"{failure.error.message} {failure.error.details}", PROVIDER)
        if reason in ("provider_rate_limit", "upstream_overloaded"):
            assert failure.error.retry_after == 7
