"""Pictures of Nova Canvas and films of Nova Reel: what goes out equals what boto3 sends, and what it parsed is what we read."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import msgspec
import pytest
from PIL import Image

from openpollen.core.assets import Asset, ImageRequest, JobState, Media, VideoRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider
from openpollen.providers.failures import Failure
from tests.conformance.bedrock_lab import ARN, AWS, CANVAS, FILMS, PIXEL, PNG, REEL, adapter, same_head, sent
from tests.conformance.captures import captured

#: What these tests prove, by wire and operation: the captured requests that ours are compared with, or "documentation".
PROVES = {
    "bedrock/image": ("bedrock.nova_canvas.text_image",),
    "bedrock/edit": (
        "bedrock.nova_canvas.image_variation",
        "bedrock.nova_canvas.inpainting",
    ),
    "bedrock/video": ("bedrock.nova_reel.text_video",),
}


def decoded(body: object, provider: Provider = AWS) -> Media:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    media = adapter.decode_image(200, {}, data, provider)
    assert isinstance(media, Media)
    return media


WORDS: dict[str, Any] = {"negative_prompt": "blur", "seed": 42}
PICTURES = {
    "nova_canvas.text_image": ImageRequest("a fox", **WORDS),
    "nova_canvas.image_variation": ImageRequest("a fox", images=(PIXEL,), **WORDS),
    "nova_canvas.inpainting": ImageRequest(
        "stars", images=(PIXEL,), mask=PIXEL, seed=42, given=frozenset({"width", "height"})
    ),
    "nova_canvas.background_removal": ImageRequest("cut out", images=(PIXEL,), transparent=True),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(name: str) -> None:
    fixture = captured(f"bedrock.{name}")
    expected = fixture["requests"][0]
    out = adapter.encode_image(PICTURES[name], CANVAS, AWS)
    same_head(out, expected)
    body, ours = expected["body"]["json"], sent(out)
    # Left at its default there: our request has no word for either.
    body.get("imageGenerationConfig", {}).pop("cfgScale", None)
    body.get("imageVariationParams", {}).pop("similarityStrength", None)
    if "inPaintingParams" in body:  # a mask is a picture here, not words
        del body["inPaintingParams"]["maskPrompt"]
        assert base64.b64decode(ours["inPaintingParams"].pop("maskImage")).startswith(b"\x89PNG")
    assert ours == body
    media = decoded(fixture["recorder_responses"]["items"][0])
    assert [base64.b64encode(asset.data).decode() for asset in media.assets] == fixture["sdk_parsed"]["images"]
    assert (media.note, media.usage) == ("", None)


FILM_REQUESTS = {
    "nova_reel.text_video": VideoRequest("a fox runs", seconds=6, seed=42, images=(PIXEL,)),
    "nova_reel.multi_shot": VideoRequest("a fox runs", seconds=12, seed=42),
}


@pytest.mark.parametrize("name", FILM_REQUESTS)
def test_films_are_begun_polled_and_fetched(name: str) -> None:
    fixture = captured(f"bedrock.{name}")
    begin, poll, fetch = fixture["requests"]
    begun, done = (json.dumps(item).encode() for item in fixture["recorder_responses"]["items"])
    out = adapter.encode_video(FILM_REQUESTS[name], REEL, FILMS)
    same_head(out, begin)
    body = begin["body"]["json"]
    del body["clientRequestToken"]  # optional: makes a repeated request harmless, and none is repeated here
    assert sent(out) == body
    state = adapter.decode_video(200, {}, begun, FILMS)
    assert state == JobState(ARN, "queued")
    same_head(adapter.poll_job(ARN, REEL, FILMS), poll)
    finished = adapter.decode_job(200, {}, done, FILMS)
    uri = fixture["sdk_parsed"]["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"]
    assert finished == JobState(ARN, "done", 100, result=f"{uri}/output.mp4")
    # The capture was made at a loopback host, where the bucket stands in the path; checksums are not asked for.
    at_loopback = msgspec.structs.replace(FILMS, base_url="http://127.0.0.1:9000?output=s3://fake-bucket/nova-reel/")
    same_head(adapter.fetch_job(finished, REEL, at_loopback), fetch, drop={"x-amz-checksum-mode"})
    film = adapter.fetch_job(finished, REEL, FILMS)
    assert film.url == "https://fake-bucket.s3.us-east-1.amazonaws.com/nova-reel/abcdefgh1234/output.mp4"
    assert (film.service, film.headers) == ("s3", ())
    assert adapter.decode_result(200, {}, b"mp4", FILMS).assets[0].data == b"mp4"


def test_a_bucket_whose_name_has_dots_stands_in_the_path() -> None:
    job = JobState(ARN, "done", result="s3://my.bucket/a b/x/output.mp4")
    assert adapter.fetch_job(job, REEL, FILMS).url == "https://s3.us-east-1.amazonaws.com/my.bucket/a%20b/x/output.mp4"


PICTURE_VALUES: dict[str, dict[str, Any]] = {
    "prompt": {"prompt": "a cat"},
    "width": {"width": 512},
    "height": {"height": 512},
    "size": {"width": 768, "height": 768, "given": frozenset({"size"})},
    "n": {"n": 3},
    "seed": {"seed": 5},
    "quality": {"quality": "high"},
    "negative_prompt": {"negative_prompt": "rain"},
    "image": {"images": (PIXEL, PIXEL)},
    "mask": {"mask": PIXEL},
    "transparent": {"transparent": True},
}


@pytest.mark.parametrize("operation", [Capability.IMAGE, Capability.EDIT])
def test_every_parameter_of_a_picture_moves_the_wire(operation: Capability) -> None:
    base: dict[str, Any] = {"prompt": "a fox", "images": (PIXEL,) if operation is Capability.EDIT else ()}
    for name in adapter.params(operation, AWS, CANVAS):
        one = sent(adapter.encode_image(ImageRequest(**(base | PICTURE_VALUES[name])), CANVAS, AWS))
        assert one != sent(adapter.encode_image(ImageRequest(**base), CANVAS, AWS)), name
    assert "transparent" not in adapter.params(Capability.IMAGE, AWS, CANVAS)


FILM_VALUES: dict[str, dict[str, Any]] = {
    "prompt": {"prompt": "a cat"},
    "seconds": {"seconds": 18},
    "duration": {"seconds": 18},
    "width": {"width": 640},
    "height": {"height": 640},
    "size": {"width": 640, "height": 360},
    "fps": {"fps": 30},
    "seed": {"seed": 0},
    "image": {"images": (PIXEL,)},
}


def test_every_parameter_of_a_film_moves_the_wire() -> None:
    def body(**more: Any) -> Any:
        values: dict[str, Any] = {"prompt": "a fox", "seconds": 6, **more}
        return sent(adapter.encode_video(VideoRequest(**values), REEL, FILMS))

    for name in adapter.params(Capability.VIDEO, FILMS, REEL):
        assert body(**FILM_VALUES[name]) != body(), name


# Pictures


@pytest.mark.parametrize(("seed", "expected"), [(0, 0), (2147483646, 2147483646), (2147483647, 0)])
def test_seeds_stay_in_the_models_range(seed: int, expected: int) -> None:
    picture = sent(adapter.encode_image(ImageRequest("x", seed=seed), CANVAS, AWS))
    assert picture["imageGenerationConfig"]["seed"] == expected
    film = sent(adapter.encode_video(VideoRequest("x", seconds=6, seed=seed), REEL, FILMS))
    assert film["modelInput"]["videoGenerationConfig"]["seed"] == expected
    assert "seed" not in sent(adapter.encode_image(ImageRequest("x"), CANVAS, AWS))["imageGenerationConfig"]


@pytest.mark.parametrize(("quality", "expected"), [("low", "standard"), ("medium", "standard"), ("high", "premium")])
def test_qualities(quality: Any, expected: str) -> None:
    body = sent(adapter.encode_image(ImageRequest("x", quality=quality), CANVAS, AWS))
    assert body["imageGenerationConfig"]["quality"] == expected


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (ImageRequest("x", width=1000), "width: .* such as 992"),
        (ImageRequest("x", height=1001), "height: .* such as 1008"),
        (ImageRequest("x", images=(PIXEL, PIXEL), mask=PIXEL), "one picture at a time"),
        (ImageRequest("x", images=(PIXEL, PIXEL), transparent=True), "one picture at a time"),
        (ImageRequest("x", images=(PIXEL,), mask=PIXEL, transparent=True), "leave out mask"),
        (ImageRequest("x", images=(PIXEL,), transparent=True, given=frozenset({"size"})), "leave out mask, n and size"),
        (ImageRequest("x", images=(Asset(b"RIFF", "image/webp"),)), "PNG and JPEG, not image/webp"),
        (ImageRequest("x", images=(PIXEL,), mask=Asset(b"x", "image/png")), "mask: "),
    ],
)
def test_what_canvas_cannot_do_in_one_call_is_refused(request_: ImageRequest, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        adapter.encode_image(request_, CANVAS, AWS)


def picture(mode: str, pixels: list[Any]) -> Asset:
    image = Image.new(mode, (len(pixels), 1))
    image.putdata(pixels)
    out = io.BytesIO()
    image.save(out, "PNG")
    return Asset(out.getvalue(), "image/png")


@pytest.mark.parametrize(
    "mask",
    [
        picture("RGBA", [(9, 9, 9, 0), (0, 0, 0, 255), (255, 255, 255, 90), (255, 255, 255, 200)]),
        picture("L", [255, 0, 180, 30]),
    ],
)
def test_a_mask_becomes_black_where_the_picture_may_change(mask: Asset) -> None:
    body = sent(adapter.encode_image(ImageRequest("x", images=(PIXEL,), mask=mask), CANVAS, AWS))
    assert "width" not in body["imageGenerationConfig"]  # the picture keeps its size
    with Image.open(io.BytesIO(base64.b64decode(body["inPaintingParams"]["maskImage"]))) as image:
        assert image.convert("RGB").tobytes() == (bytes(3) + b"\xff" * 3) * 2


def test_pictures_of_which_some_were_withheld_come_with_a_note() -> None:
    words = "Some images were blocked by our content filters."
    media = decoded({"images": [base64.b64encode(PNG).decode()], "error": words})
    assert (len(media.assets), media.note) == (1, words)


@pytest.mark.parametrize("body", [b"{}", b'{"images": []}', b'{"images": null}', b'{"images": ["%"]}', b"no", b"[]"])
def test_an_answer_without_a_picture_is_no_answer(body: bytes) -> None:
    with pytest.raises(Failure) as caught:
        adapter.decode_image(200, {}, body, AWS)
    assert caught.value.error.reason == "upstream_invalid_answer"


# Films


def test_a_start_picture_is_for_one_shot_alone() -> None:
    with pytest.raises(BadRequest, match="films of 6 seconds"):
        adapter.encode_video(VideoRequest("x", seconds=12, images=(PIXEL,)), REEL, FILMS)
    with pytest.raises(BadRequest, match="PNG and JPEG"):
        adapter.encode_video(VideoRequest("x", seconds=6, images=(Asset(b"GIF8", "image/gif"),)), REEL, FILMS)


@pytest.mark.parametrize("query", ["", "?output=", "?output=my-bucket", "?output=https://h/x"])
def test_without_a_bucket_the_operator_is_told_and_nothing_is_sent(query: str) -> None:
    provider = msgspec.structs.replace(FILMS, base_url=AWS.base_url + query)
    with pytest.raises(Failure) as caught:
        adapter.encode_video(VideoRequest("x", seconds=6), REEL, provider)
    assert "BEDROCK_S3_URI" in str(caught.value.error.details)
    assert caught.value.retryable


def job(**fields: Any) -> JobState:
    return adapter.decode_job(200, {}, json.dumps({"invocationArn": ARN, **fields}).encode(), FILMS)


def test_states_of_a_film() -> None:
    assert job(status="InProgress") == JobState(ARN, "running")
    assert job(status="Failed", failureMessage="no room") == JobState(ARN, "failed", error="no room")
    assert job(status="Failed") == JobState(ARN, "failed", error="the job failed")
    words = "This request has been blocked by our content filters."
    assert job(status="Failed", failureMessage=words) == JobState(ARN, "failed", error=words, refused=True)
    with pytest.raises(Failure, match="not known"):
        job(status="Sleeping")
    assert adapter.cancel_job(ARN, REEL, FILMS) is None


@pytest.mark.parametrize("uri", ["s3://other-bucket/x", "s3://fake-bucket.evil.com/x", "https://evil.com/x", "", None])
def test_a_film_outside_its_bucket_is_not_fetched(uri: str | None) -> None:
    config = None if uri is None else {"s3OutputDataConfig": {"s3Uri": uri}}
    with pytest.raises(Failure, match="outside its bucket"):
        job(status="Completed", outputDataConfig=config)


def test_a_film_that_is_not_there_yet_is_asked_for_again() -> None:
    body = b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>gone</Message></Error>'
    with pytest.raises(Failure) as caught:
        adapter.decode_result(404, {"content-type": "application/xml"}, body, FILMS)
    assert caught.value.retryable
    with pytest.raises(Failure, match="empty film"):
        adapter.decode_result(200, {}, b"", FILMS)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"message": "This request has been blocked by our content filters. Please try again."}),
        (400, {"message": "The image may conflict with our AUP or AWS Responsible AI Policy."}),
        (200, {"images": [], "error": "All of the generated images have been blocked by our content filters."}),
    ],
)
def test_refused_content(status: int, body: dict[str, Any]) -> None:
    with pytest.raises(Failure) as caught:
        adapter.decode_image(status, {}, json.dumps(body).encode(), AWS)
    error = caught.value.error
    assert (error.status, error.reason, caught.value.retryable) == (422, "content_policy_violation", False)
