"""fal and Replicate, which serve the models of many makers: requests as their clients send them, jobs from start to end. The
names of each model's inputs rest on the documentation of the model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openpollen.catalog.load import Catalog, load_catalog
from openpollen.core.assets import Asset, ImageRequest, JobState, MusicRequest, VideoRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers.adapter import adapters
from openpollen.providers.failures import Failure
from tests.conformance.captures import captured, same, without_secret
from tests.fakeprovider import parse_form

#: What these tests prove, by wire and operation: the captured requests that ours are compared with, or "documentation".
PROVES = {
    "fal/image": (
        "fal.queue.submit_status_result_cancel",
        "documentation",
    ),
    "fal/edit": (
        "fal.queue.submit_status_result_cancel",
        "documentation",
    ),
    "fal/video": (
        "fal.queue.submit_status_result_cancel",
        "documentation",
    ),
    "fal/music": (
        "fal.queue.submit_status_result_cancel",
        "documentation",
    ),
    "replicate/image": (
        "replicate.model_prediction.create_poll_cancel",
        "documentation",
    ),
    "replicate/edit": (
        "replicate.model_prediction.create_poll_cancel",
        "documentation",
    ),
    "replicate/video": (
        "replicate.model_prediction.create_poll_cancel",
        "documentation",
    ),
}

fal, replicate = adapters()["fal"], adapters()["replicate"]
FAL = Provider("fal", "fal", "https://queue.fal.run", "fake-id:fake-secret", headers={"authorization": "Key {key}"})
REPLICATE = Provider("replicate", "replicate", "https://api.replicate.com/v1", "r8_fake")
PIXEL = Asset(b"\x89PNG of no pixels", "image/png", "a.png")
SHAPED = frozenset({"aspect_ratio"})
LARGE = Asset(bytes(256 * 1024 + 1), "image/png", "a.png")


def expected(name: str, number: int = 0) -> dict[str, Any]:
    """A captured request at the provider's own host; neither cares how we say that we take any answer."""
    host = "https://queue.fal.run" if name.startswith("fal") else "https://api.replicate.com"
    request = json.loads(json.dumps(captured(name)["requests"][number]).replace("{base_url}", host))
    if request["body"]["kind"] == "json":
        request["headers"]["accept"] = "application/json"
    return request


def items(name: str) -> list[bytes]:
    host = "https://queue.fal.run" if name.startswith("fal") else "https://api.replicate.com"
    found = captured(name)["recorder_responses"]["items"]
    return [json.dumps(item).replace("{base_url}", host).encode() for item in found]


def sent(out: Outgoing) -> dict[str, Any]:
    assert isinstance(out.body, bytes)
    return json.loads(out.body)


# -- fal

QUEUE = "fal.queue.submit_status_result_cancel"


def test_a_picture_of_fal_from_start_to_end() -> None:
    route = Route("fal", "fal-ai/flux/schnell")
    theirs = expected(QUEUE)
    theirs["query"] = []  # nobody is to be called back: we ask
    for usual in ("num_inference_steps", "enable_safety_checker"):  # what the model does without being told
        theirs["body"]["json"].pop(usual)
    asked = ImageRequest("a fox", 1024, 768, seed=42, output_format="jpeg")
    same(fal.encode_image(asked, route, FAL), theirs)
    begun, *states, result = items(QUEUE)
    state = fal.decode_image(200, {}, begun, FAL)
    assert isinstance(state, JobState)
    poll = fal.poll_job(state.id, route, FAL)
    theirs = expected(QUEUE, 1)
    theirs["query"] = []
    same(poll, theirs)
    seen = [fal.decode_job(200, {}, body, FAL) for body in states]
    assert [one.status for one in seen] == ["queued", "running", "done"]
    same(fal.fetch_job(seen[-1], route, FAL), expected(QUEUE, 5))
    assert fal.decode_result(200, {}, result, FAL).urls == ("https://queue.fal.run/files/o.jpg",)
    cancel = fal.cancel_job(state.id, route, FAL)
    assert cancel is not None
    same(cancel, expected(QUEUE, 6))


@pytest.mark.parametrize(
    ("model", "asked", "path", "body"),
    [
        ("fal-ai/flux-pro/kontext", ImageRequest("x", 1920, 1080), "/text-to-image", {"aspect_ratio": "16:9"}),
        ("fal-ai/flux-pro/kontext", ImageRequest("x", images=(PIXEL,)), "", {"image_url": "data:image/png;base64,"}),
        ("fal-ai/flux-2/klein/4b", ImageRequest("x", images=(PIXEL,)), "/edit", {"image_urls": ["data:image/png"]}),
        ("xai/grok-imagine-image", ImageRequest("x", 800, 1200, seed=1), "", {"aspect_ratio": "2:3"}),
        ("fal-ai/veo3.1/fast", VideoRequest("x", 8, audio=True), "", {"duration": "8s", "generate_audio": True}),
        ("fal-ai/veo3.1/fast", VideoRequest("x", 8, images=(PIXEL,)), "/image-to-video", {"image_url": "data:"}),
        ("fal-ai/bytedance/seedance/v1/lite/text-to-video", VideoRequest("x", 5), "", {"duration": "5"}),
        ("xai/grok-imagine-video/text-to-video", VideoRequest("x", 5), "", {"duration": 5, "resolution": "720p"}),
        ("fal-ai/ltx-2/text-to-video/fast", VideoRequest("x", 6, fps=25), "", {"duration": 6, "fps": 25}),
        ("wan/v2.6/image-to-video", VideoRequest("x", 5, images=(PIXEL,)), "", {"image_url": "data:image/png"}),
        ("fal-ai/ltx-2/text-to-video/fast", VideoRequest("x", 5), "", {"duration": 6, "resolution": "1080p"}),
        (
            "fal-ai/veo3.1/fast",
            VideoRequest("x", 8, aspect_ratio="9:16", images=(PIXEL,), given=SHAPED),
            "/image-to-video",
            {"image_url": "data:", "aspect_ratio": "9:16"},
        ),
        (
            "fal-ai/veo3.1/fast",
            VideoRequest("x", 8, images=(PIXEL, PIXEL)),
            "/first-last-frame-to-video",
            {"first_frame_url": "data:", "last_frame_url": "data:"},
        ),
        (
            "fal-ai/bytedance/seedance/v1/lite/image-to-video",
            VideoRequest("x", 5, 720, 720, "1:1", images=(PIXEL,), given=frozenset({"size"})),
            "",
            {"aspect_ratio": "1:1", "resolution": "480p"},
        ),
        (
            "fal-ai/wan/v2.2-a14b/image-to-video/turbo",
            VideoRequest("x", 5, aspect_ratio="1:1", resolution="480p", images=(PIXEL,), given=SHAPED),
            "",
            {"aspect_ratio": "1:1"},
        ),
        (
            "xai/grok-imagine-video/image-to-video",
            VideoRequest("x", 5, aspect_ratio="2:3", images=(PIXEL,), given=SHAPED),
            "",
            {"aspect_ratio": "2:3"},
        ),
    ],
)
def test_families_of_fal_by_their_documentation(
    model: str, asked: ImageRequest | VideoRequest, path: str, body: dict[str, Any]
) -> None:
    route = Route("fal", model)
    out = (fal.encode_image if isinstance(asked, ImageRequest) else fal.encode_video)(asked, route, FAL)  # pyright: ignore[reportArgumentType]
    assert out.url == f"https://queue.fal.run/{model}{path}"
    got = sent(out)
    for name, value in body.items():
        shown = got[name][0] if isinstance(value, list) else got[name]
        wanted = value[0] if isinstance(value, list) else value
        assert shown.startswith(wanted) if str(wanted).startswith("data:") else shown == wanted
    assert "seed" not in got


@pytest.mark.parametrize(
    ("model", "film", "word"),
    [
        ("wan/v2.6/image-to-video", VideoRequest("x", 5, aspect_ratio="1:1", images=(PIXEL,), given=SHAPED), "aspectRatio"),
        ("wan/v2.6/image-to-video", VideoRequest("x", 5, images=(PIXEL, PIXEL)), "image"),
        ("fal-ai/ltx-2/text-to-video/fast", VideoRequest("x", 6, aspect_ratio="9:16", given=SHAPED), "aspectRatio"),
        ("fal-ai/ltx-2/text-to-video/fast", VideoRequest("x", 6, 640, 360, given=frozenset({"size"})), "size"),
        ("fal-ai/ltx-2/text-to-video/fast", VideoRequest("x", 6, resolution="480p", given=frozenset({"resolution"})),
         "resolution"),
    ],
)  # fmt: skip
def test_what_a_family_of_fal_has_no_name_for_is_refused(model: str, film: VideoRequest, word: str) -> None:
    with pytest.raises(BadRequest, match=f"^{word}: {model} "):
        fal.encode_video(film, Route("fal", model), FAL)


def test_music_of_fal_by_its_documentation() -> None:
    out = fal.encode_speech(MusicRequest("lofi", 30, seed=3), Route("fal", "fal-ai/ace-step"), FAL)
    assert sent(out) == {"tags": "lofi", "lyrics": "[inst]", "duration": 30, "seed": 3}
    made = fal.decode_result(200, {}, b'{"audio": {"url": "https://v3.fal.media/a.wav"}}', FAL)
    assert made.urls == ("https://v3.fal.media/a.wav",)


def test_songs_of_fal_have_the_words_of_the_prompt_in_any_format() -> None:
    route = Route("fal", "fal-ai/ace-step")
    assert {"instrumental", "format", "response_format"} <= fal.params(Capability.MUSIC, FAL, route)
    song = MusicRequest("slow folk\n[verse]\nSnow falls\n[chorus]\nStay", format="flac", instrumental=False)
    assert sent(fal.encode_speech(song, route, FAL)) == {
        "tags": "slow folk", "lyrics": "[verse]\nSnow falls\n[chorus]\nStay",
    }  # fmt: skip
    with pytest.raises(BadRequest, match=r"^instrumental: .* sings only words that the prompt brings"):
        fal.encode_speech(MusicRequest("slow folk", instrumental=False), route, FAL)


def test_what_fal_refuses_and_what_failed_is_told_with_the_result() -> None:
    refused = {"detail": [{"loc": ["body", "prompt"], "msg": "not allowed", "type": "content_policy_violation"}]}
    with pytest.raises(Failure) as caught:
        fal.decode_result(422, {}, json.dumps(refused).encode(), FAL)
    assert (caught.value.error.status, caught.value.error.reason) == (422, "content_policy_violation")
    with pytest.raises(Failure) as caught:
        fal.decode_result(403, {}, json.dumps({"detail": f"User is locked. {FAL.key}"}).encode(), FAL)
    assert caught.value.error.status == 502
    assert without_secret(f"{caught.value.error.message} {caught.value.error.details}", FAL)


@pytest.mark.parametrize("address", ["https://evil.example/s", "http://queue.fal.run/s", ""])
def test_no_key_of_fal_goes_to_a_foreign_address(address: str) -> None:
    with pytest.raises(Failure):
        fal.decode_video(200, {}, json.dumps({"status_url": address}).encode(), FAL)
    with pytest.raises(Failure):
        fal.poll_job(address, Route("fal", "x"), FAL)


# -- Replicate

POLLED = "replicate.model_prediction.create_poll_cancel"


def test_a_picture_of_replicate_from_start_to_end() -> None:
    route = Route("replicate", "prunaai/p-image")
    theirs = expected(POLLED)
    theirs["headers"]["prefer"] = expected("replicate.model_prediction.create_wait")["headers"]["prefer"]
    same(replicate.encode_image(ImageRequest("a fox", 1024, 1024, seed=42), route, REPLICATE), theirs)
    begun, done = items(POLLED)
    state = replicate.decode_image(201, {}, begun, REPLICATE)
    assert isinstance(state, JobState)
    assert (state.id, state.status) == ("https://api.replicate.com/v1/predictions/p1", "queued")
    same(replicate.poll_job(state.id, route, REPLICATE), expected(POLLED, 1))
    over = replicate.decode_job(200, {}, done, REPLICATE)
    assert over.media is not None
    assert over.media.urls == ("https://api.replicate.com/out.jpg",)
    cancel = replicate.cancel_job(state.id, route, REPLICATE)
    assert cancel is not None
    same(cancel, expected(POLLED, 2))


def test_large_files_lie_at_replicate_first() -> None:
    route = Route("replicate", "prunaai/p-image-edit")
    edit = ImageRequest("add hat", seed=42, images=(LARGE,))
    (upload,) = replicate.uploads(edit, route, REPLICATE)
    theirs = expected("replicate.files.create")
    assert (upload.method, upload.url) == ("POST", f"https://api.replicate.com{theirs['path']}")
    assert isinstance(upload.body, bytes)
    (part,) = parse_form(dict(upload.headers)["content-type"], upload.body)
    assert (part.name, part.data) == ("content", LARGE.data)
    address = "https://api.replicate.com/v1/files/f1"
    assert replicate.decode_upload(201, {}, json.dumps({"urls": {"get": address}}).encode(), REPLICATE) == address
    theirs = expected("replicate.p_image_edit.create", 1)
    theirs["headers"]["prefer"] = "wait=60"
    same(replicate.encode_image(edit, route, REPLICATE, (address,)), theirs)
    assert replicate.uploads(ImageRequest("x", images=(PIXEL,)), route, REPLICATE) == ()
    both = sent(replicate.encode_image(ImageRequest("x", images=(PIXEL, LARGE)), route, REPLICATE, (address,)))
    assert both["input"]["images"][0].startswith("data:image/png;base64,")
    assert both["input"]["images"][1] == address


def test_a_film_of_replicate() -> None:
    theirs = expected("replicate.p_video.create")
    theirs["body"]["json"]["input"].pop("draft")  # false is what it is without
    film = VideoRequest("fox runs", 5, fps=24, seed=42)
    same(replicate.encode_video(film, Route("replicate", "prunaai/p-video"), REPLICATE), theirs)


@pytest.mark.parametrize(
    ("model", "asked", "inputs"),
    [
        ("black-forest-labs/flux-schnell", ImageRequest("x", 1920, 1080), {"aspect_ratio": "16:9"}),
        ("black-forest-labs/flux-kontext-pro", ImageRequest("x", images=(PIXEL,)), {"input_image"}),
        ("prunaai/z-image-turbo", ImageRequest("x", 512, 768), {"width": 512, "height": 768}),
        ("qwen/qwen-image-edit-plus", ImageRequest("x", images=(PIXEL,)), {"image"}),
        ("bytedance/seedance-1-lite", VideoRequest("x", 5, images=(PIXEL,)), {"image", "duration", "resolution"}),
    ],
)
def test_models_of_replicate_by_their_documentation(
    model: str, asked: ImageRequest | VideoRequest, inputs: dict[str, Any] | set[str]
) -> None:
    route = Route("replicate", model)
    encode = replicate.encode_image if isinstance(asked, ImageRequest) else replicate.encode_video
    got = sent(encode(asked, route, REPLICATE))["input"]  # pyright: ignore[reportArgumentType]
    if isinstance(inputs, set):
        assert inputs <= got.keys()
    else:
        assert {name: got[name] for name in inputs} == inputs


@pytest.mark.parametrize(
    ("error", "refused"),
    [("NSFW content detected", True), ("The input was flagged as sensitive", True), ("OOM", False)],
)
def test_predictions_that_fail(error: str, refused: bool) -> None:
    body = {
        "status": "failed",
        "error": f"{error} {REPLICATE.key}",
        "urls": {"get": f"{REPLICATE.base_url}/predictions/p"},
    }
    state = replicate.decode_job(200, {}, json.dumps(body).encode(), REPLICATE)
    assert (state.status, state.refused) == ("failed", refused)
    assert without_secret(state.error, REPLICATE)


@pytest.mark.parametrize(
    "body", [{"status": "starting"}, {"status": "starting", "urls": {"get": "https://evil.example/"}}]
)
def test_no_key_of_replicate_goes_to_a_foreign_address(body: dict[str, Any]) -> None:
    with pytest.raises(Failure):
        replicate.decode_video(201, {}, json.dumps(body).encode(), REPLICATE)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (402, {"title": "Insufficient credit", "detail": "no"}, "provider_credit"),
        (401, {"title": "Unauthenticated", "detail": "no"}, "provider_credential"),
        (429, {"detail": "throttled"}, "provider_rate_limit"),
    ],
)
def test_errors_of_replicate(status: int, body: dict[str, Any], reason: str) -> None:
    with pytest.raises(Failure) as caught:
        replicate.decode_image(status, {}, json.dumps(body).encode(), REPLICATE)
    assert (caught.value.error.reason, caught.value.retryable) == (reason, True)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def test_every_route_of_theirs_in_the_catalogue_can_be_asked(catalog: Catalog) -> None:
    """Each parameter that is said to reach the provider, and the request itself."""
    asked = 0
    for model in catalog.models:
        for route in (route for route in model.routes if route.provider in ("fal", "replicate")):
            adapter, provider = (fal, FAL) if route.provider == "fal" else (replicate, REPLICATE)
            for capability in model.capabilities & adapter.operations:
                assert "prompt" in adapter.params(capability, provider, route)
                if capability is Capability.MUSIC:
                    out = adapter.encode_speech(MusicRequest("x", 30), route, provider)
                elif capability is Capability.VIDEO:
                    out = adapter.encode_video(VideoRequest("x", 6), route, provider)
                else:
                    out = adapter.encode_image(ImageRequest("x"), route, provider)
                assert out.url.startswith(provider.base_url)
                asked += 1
    assert asked >= 26
