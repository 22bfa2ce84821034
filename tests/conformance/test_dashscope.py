"""Alibaba Model Studio's own API: our requests are those of its own library, and its answers are read as the library reads
them. Errors rest on the documentation."""

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
    "dashscope/image": (
        "dashscope.qwen_image.generate",
        "dashscope.wan_image.generate_sync",
    ),
    "dashscope/edit": (
        "dashscope.qwen_image.edit",
        "dashscope.wan_image.edit_async_submit",
    ),
    "dashscope/video": (
        "dashscope.wan_video.t2v_submit_fetch_cancel",
        "dashscope.wan_video.i2v_submit",
    ),
}

adapter = adapters()["dashscope"]
NAME, KEY = "dashscope-media", "sk-0123456789abcdefghijklmnop"
PROVIDER = Provider(NAME, "dashscope", "https://dashscope-intl.aliyuncs.com/api/v1", KEY, "DASHSCOPE_API_KEY")
QWEN, QWEN_EDIT, WAN, WAN_PRO = "qwen-image-plus", "qwen-image-edit-plus", "wan2.7-image", "wan2.7-image-pro"
WORDS, FRAME, OLD_WORDS, OLD_FRAME = "wan2.6-t2v", "wan2.6-i2v-flash", "wan2.2-t2v-plus", "wan2.2-i2v-flash"
A, B = Asset(b"a" * 9, "image/png"), Asset(b"b" * 9, "image/jpeg")
SIZED, SHAPED = frozenset({"size"}), frozenset({"aspect_ratio"})


def host(fixture: dict[str, Any]) -> Provider:
    return Provider(NAME, "dashscope", fixture["default_base_url"], "sk-fake-dashscope")


def expected(fixture: dict[str, Any], *drop: str) -> dict[str, Any]:
    """The captured request without what its library adds and the host's documentation does not know, and without ``drop``.
    Prompts are rewritten there by default; ours are sent as they are, in both places where that is said."""
    request = fixture["requests"][0]
    body = request["body"]["json"]
    for name in ("function", "extend_prompt"):
        body["input"].pop(name, None)
    body["parameters"].pop("is_async", None)
    for name in drop:
        body["parameters"].pop(name, None)
        body["input"].pop(name, None)
    if "prompt_extend" in body["parameters"]:
        body["parameters"]["prompt_extend"] = False
    return request


def picture_of(fixture: dict[str, Any]) -> Asset:
    uri = fixture["requests"][0]["body"]["json"]["input"]["messages"][0]["content"][0]["image"]
    return Asset(base64.b64decode(uri.partition(",")[2]), "image/png")


def item(fixture: dict[str, Any], number: int = 0) -> bytes:
    return json.dumps(fixture["recorder_responses"]["items"][number]).encode()


def sent(out: Outgoing) -> dict[str, Any]:
    assert isinstance(out.body, bytes)
    return json.loads(out.body)


def image(request: ImageRequest, model: str) -> dict[str, Any]:
    return sent(adapter.encode_image(request, Route(NAME, model), PROVIDER))


def film(request: VideoRequest, model: str) -> dict[str, Any]:
    return sent(adapter.encode_video(request, Route(NAME, model), PROVIDER))


def test_a_picture_of_qwen() -> None:
    fixture = captured("dashscope.qwen_image.generate")
    request = ImageRequest("a fox", 1328, 1328, seed=42, negative_prompt="blur", given=SIZED)
    same(adapter.encode_image(request, Route(NAME, QWEN), host(fixture)), expected(fixture))


def test_the_picture_that_its_library_read() -> None:
    fixture = captured("dashscope.qwen_image.generate")
    parsed = fixture["sdk_parsed"]
    url = parsed["output"]["choices"][0]["message"]["content"][0]["image"]
    usage = Usage(images=parsed["usage"]["image_count"])
    assert adapter.decode_image(200, {}, item(fixture), PROVIDER) == Media(urls=(url,), usage=usage)


def test_an_edit_of_qwen() -> None:
    fixture = captured("dashscope.qwen_image.edit")
    # The captured call has a blank negative prompt, and gives its second picture by address; ours has its bytes.
    request = expected(fixture, "negative_prompt")
    request["body"]["json"]["input"]["messages"][0]["content"][1]["image"] = "data:image/jpeg;base64,YmJiYmJiYmJi"
    ours = ImageRequest("merge", images=(picture_of(fixture), B))
    same(adapter.encode_image(ours, Route(NAME, QWEN_EDIT), host(fixture)), request)


def test_a_picture_of_wan_that_is_thought_about() -> None:
    fixture = captured("dashscope.wan_image.generate_sync")
    request = ImageRequest("a fox", 2048, 2048, seed=42, reasoning=True, given=SIZED)
    same(adapter.encode_image(request, Route(NAME, WAN_PRO), host(fixture)), expected(fixture))


def test_an_edit_of_wan_is_the_same_request_answered_at_once() -> None:
    fixture = captured("dashscope.wan_image.edit_async_submit")
    request = expected(fixture)
    request["path"] = captured("dashscope.wan_image.generate_sync")["requests"][0]["path"]
    del request["headers"]["x-dashscope-async"]
    ours = ImageRequest("make it night", 1024, 1024, images=(picture_of(fixture),), given=SIZED)
    same(adapter.encode_image(ours, Route(NAME, WAN), host(fixture)), request)


def test_a_film_from_words_its_poll_and_its_end() -> None:
    fixture = captured("dashscope.wan_video.t2v_submit_fetch_cancel")
    route, provider = Route(NAME, WORDS), host(fixture)
    # Requests for films have no negative prompt here, and a single shot is the host's default.
    request = expected(fixture, "negative_prompt", "shot_type")
    same(adapter.encode_video(VideoRequest("a fox runs", audio=True, seed=42), route, provider), request)
    same(adapter.poll_job("task-1", route, provider), fixture["requests"][1])
    cancel = adapter.cancel_job("task-1", route, provider)
    assert cancel is not None
    same(cancel, fixture["requests"][2])


def test_the_film_that_its_library_read() -> None:
    fixture = captured("dashscope.wan_video.t2v_submit_fetch_cancel")
    begun, ended = fixture["sdk_parsed"]
    job = begun["output"]["task_id"]
    assert adapter.decode_video(200, {}, item(fixture), PROVIDER) == JobState(job, "queued")
    usage = Usage(video_ms=ended["usage"]["output_video_duration"] * 1000)
    done = JobState(job, "done", 100, media=Media(urls=(ended["output"]["video_url"],), usage=usage))
    assert adapter.decode_job(200, {}, item(fixture, 1), PROVIDER) == done


def test_a_film_from_a_picture() -> None:
    fixture = captured("dashscope.wan_video.i2v_submit")
    request = expected(fixture)
    request["body"]["json"]["input"]["img_url"] = "data:image/png;base64,YWFhYWFhYWFh"  # bytes, not the address
    ours = VideoRequest("it turns", seed=42, images=(A,))
    same(adapter.encode_video(ours, Route(NAME, FRAME), host(fixture)), request)


def test_the_refusal_that_its_library_read() -> None:
    fixture = captured("dashscope.task.failed")
    same(adapter.poll_job("task-1", Route(NAME, WORDS), host(fixture)), fixture["requests"][0])
    told = fixture["sdk_parsed"]["output"]
    refused = JobState(told["task_id"], "failed", error=told["message"], refused=True)
    assert adapter.decode_job(200, {}, item(fixture), PROVIDER) == refused


@pytest.mark.parametrize(
    ("width", "height", "size"), [(1024, 1024, "1328*1328"), (1360, 768, "1664*928"), (768, 1360, "928*1664")]
)
def test_a_default_size_becomes_the_nearest_that_qwen_makes(width: int, height: int, size: str) -> None:
    assert image(ImageRequest("x", width, height), QWEN)["parameters"]["size"] == size


def test_sizes_of_pictures() -> None:
    with pytest.raises(BadRequest, match=r"size: qwen-image-plus makes 1664x928, .*, not 1024x1024"):
        image(ImageRequest("x", given=SIZED), QWEN)
    assert image(ImageRequest("x", 1472, 1104, given=SIZED), QWEN)["parameters"]["size"] == "1472*1104"
    assert image(ImageRequest("x", 4096, 4096, given=SIZED), WAN_PRO)["parameters"]["size"] == "4096*4096"
    with pytest.raises(BadRequest, match="edits up to 4,194,304 pixels, not 4096x4096"):
        image(ImageRequest("x", 4096, 4096, images=(A,), given=SIZED), WAN_PRO)
    assert "size" not in image(ImageRequest("x", images=(A,)), QWEN_EDIT)["parameters"]


def test_thinking_is_for_pictures_of_wan_from_words() -> None:
    assert image(ImageRequest("x"), WAN_PRO)["parameters"]["thinking_mode"] is False
    assert "thinking_mode" not in image(ImageRequest("x", reasoning=True, images=(A,)), WAN_PRO)["parameters"]
    assert "thinking_mode" not in image(ImageRequest("x", reasoning=True), QWEN)["parameters"]
    assert "prompt_extend" not in image(ImageRequest("x", negative_prompt="y"), WAN)["parameters"]


@pytest.mark.parametrize(
    ("model", "request_", "size"),
    [
        (WORDS, VideoRequest("x", aspect_ratio="1:1"), "960*960"),
        (WORDS, VideoRequest("x", aspect_ratio="9:16", resolution="1080p"), "1080*1920"),
        (WORDS, VideoRequest("x", aspect_ratio="3:2"), "1088*832"),
        (WORDS, VideoRequest("x", width=1632, height=1248, given=SIZED), "1632*1248"),
        (WORDS, VideoRequest("x", width=1024, height=1024, given=SIZED), "960*960"),
        (OLD_WORDS, VideoRequest("x", resolution="480p"), "832*480"),
        (OLD_WORDS, VideoRequest("x", width=624, height=624, given=SIZED), "624*624"),
        ("wan2.5-t2v-preview", VideoRequest("x", resolution="480p"), "832*480"),
    ],
)
def test_a_film_from_words_has_the_nearest_size_of_its_resolution(
    model: str, request_: VideoRequest, size: str
) -> None:
    assert film(request_, model)["parameters"]["size"] == size


def test_a_film_from_a_picture_has_its_shape() -> None:
    body = film(VideoRequest("x", width=1920, height=1080, images=(A,), given=SIZED), FRAME)
    assert (body["parameters"]["resolution"], "size" in body["parameters"]) == ("1080P", False)
    with pytest.raises(BadRequest, match=r"aspectRatio: .* keeps the shape of the picture"):
        film(VideoRequest("x", aspect_ratio="1:1", images=(A,), given=SHAPED), FRAME)
    with pytest.raises(BadRequest, match="takes one picture"):
        film(VideoRequest("x", images=(A, B)), FRAME)


def test_films_that_it_does_not_make_are_refused() -> None:
    with pytest.raises(BadRequest, match=r"resolution: wan2\.6-t2v makes 720p, 1080p, not 480p"):
        film(VideoRequest("x", resolution="480p", given=frozenset({"resolution"})), WORDS)
    with pytest.raises(BadRequest, match="not 3840x2160"):
        film(VideoRequest("x", width=3840, height=2160, given=SIZED), WORDS)
    with pytest.raises(BadRequest, match="whole seconds"):
        film(VideoRequest("x", seconds=4.5), WORDS)


def test_sound_is_for_films_of_later_models() -> None:
    assert film(VideoRequest("x", audio=True), FRAME)["parameters"]["audio"] is True
    assert "audio" not in film(VideoRequest("x", resolution="480p", audio=True), OLD_WORDS)["parameters"]
    assert "audio" not in adapter.params(Capability.VIDEO, PROVIDER, Route(NAME, OLD_WORDS))


def test_models_name_what_they_take() -> None:
    def named(operation: Capability, model: str) -> frozenset[str]:
        return adapter.params(operation, PROVIDER, Route(NAME, model))

    assert "n" not in named(Capability.IMAGE, QWEN)
    assert "n" in named(Capability.EDIT, QWEN_EDIT)
    assert "negative_prompt" not in named(Capability.IMAGE, WAN)
    assert "reasoning" not in named(Capability.EDIT, WAN_PRO)
    assert not named(Capability.VIDEO, FRAME) & {"aspect_ratio", "width", "height"}
    assert "image" not in named(Capability.VIDEO, WORDS)
    assert named(Capability.MUSIC, WORDS) == frozenset()


PICTURES: dict[str, dict[str, Any]] = {
    "prompt": {"prompt": "y"}, "width": {"width": 1328}, "height": {"height": 1328}, "n": {"n": 2}, "seed": {"seed": 0},
    "size": {"width": 1328, "height": 1328}, "negative_prompt": {"negative_prompt": "rain"},
    "reasoning": {"reasoning": True}, "image": {"images": (B,)},
}  # fmt: skip
FILMS: dict[str, dict[str, Any]] = {
    "prompt": {"prompt": "y"}, "seconds": {"seconds": 7}, "duration": {"seconds": 7}, "seed": {"seed": 0},
    "width": {"width": 1088, "given": SIZED}, "height": {"height": 1920, "given": SIZED},
    "size": {"width": 1920, "height": 1080, "given": SIZED}, "aspect_ratio": {"aspect_ratio": "9:16", "given": SHAPED},
    "resolution": {"resolution": "1080p"}, "audio": {"audio": True}, "image": {"images": (B,)},
}  # fmt: skip
EVERY = [
    (op, model, name)
    for op, model in [
        (Capability.IMAGE, QWEN),
        (Capability.IMAGE, WAN),
        (Capability.IMAGE, WAN_PRO),
        (Capability.EDIT, QWEN_EDIT),
        (Capability.EDIT, WAN_PRO),
        (Capability.VIDEO, WORDS),
        (Capability.VIDEO, FRAME),
    ]
    for name in sorted(adapter.params(op, PROVIDER, Route(NAME, model)))
]


@pytest.mark.parametrize(("operation", "model", "name"), EVERY)
def test_every_parameter_that_is_named_moves_the_request(operation: Capability, model: str, name: str) -> None:
    if operation is Capability.VIDEO:
        base = VideoRequest("x", images=(A,) if model == FRAME else ())
        assert film(structs.replace(base, **FILMS[name]), model) != film(base, model)
        return
    base = ImageRequest("x", 1664, 928, images=(A,) if operation is Capability.EDIT else (), given=SIZED)
    change = PICTURES[name]
    if model == QWEN and name in ("width", "height"):  # a side alone makes none of its sizes
        change = {"width": 928, "height": 1664}
    assert image(structs.replace(base, **change), model) != image(base, model)


def test_several_pictures_in_one_choice_or_in_several() -> None:
    content = [{"image": "https://oss/a.png", "type": "image"}, {"text": "done"}, {"image": "https://oss/b.png"}]
    choices = [{"message": {"content": content}}, {"message": {"content": [{"image": "https://oss/c.png"}]}}, {}]
    body = json.dumps({"output": {"choices": choices, "finished": True}, "usage": {"image_count": 3}}).encode()
    made = adapter.decode_image(200, {}, body, PROVIDER)
    assert made == Media(urls=("https://oss/a.png", "https://oss/b.png", "https://oss/c.png"), usage=Usage(images=3))


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"output": null}', b'{"output": {"choices": []}}', b'{"output": {"choices": [{"message": null}]}}', b"[]",
     b"<html>", b'{"output": {"choices": [{"message": {"content": [{"text": "no"}]}}]}}'],
)  # fmt: skip
def test_an_answer_without_a_picture_is_no_answer(body: bytes) -> None:
    with pytest.raises(Failure) as caught:
        adapter.decode_image(200, {}, body, PROVIDER)
    assert caught.value.error.reason == "upstream_invalid_answer"


def state(usage: Any = None, **output: Any) -> JobState:
    body = {"request_id": "r", "output": {"task_id": "t"} | output, "usage": usage}
    return adapter.decode_job(200, {}, json.dumps(body).encode(), PROVIDER)


@pytest.mark.parametrize(
    ("output", "wanted"),
    [
        ({"task_status": "PENDING"}, JobState("t", "queued")),
        ({"task_status": "RUNNING"}, JobState("t", "running")),
        ({"task_status": "SUSPENDED"}, JobState("t", "running")),
        ({"task_status": "CANCELED"}, JobState("t", "failed", error="the task was cancelled")),
        ({"task_status": "UNKNOWN"}, JobState("t", "failed", error="the task is not known any more")),
        (
            {"task_status": "FAILED", "code": "InternalError.Timeout", "message": "Too slow."},
            JobState("t", "failed", error="Too slow."),
        ),
        ({"task_status": "FAILED", "code": None, "message": None}, JobState("t", "failed", error="the task failed")),
        (
            {"task_status": "SUCCEEDED", "video_url": "https://oss/a.mp4"},
            JobState("t", "done", 100, media=Media(urls=("https://oss/a.mp4",))),
        ),
    ],
)
def test_states_of_a_task(output: dict[str, Any], wanted: JobState) -> None:
    assert state(**output) == wanted


@pytest.mark.parametrize(
    ("usage", "milliseconds"),
    [
        ({"video_duration": 5, "video_ratio": "832*480", "video_count": 1}, 5000),
        ({"duration": 10.5, "output_video_duration": 5.5}, 5500),
        ({"duration": 4}, 4000),
    ],
)
def test_by_its_documentation_seconds_that_are_billed(usage: dict[str, Any], milliseconds: int) -> None:
    done = state(usage, task_status="SUCCEEDED", video_url="https://oss/a.mp4")
    assert done.media is not None
    assert done.media.usage == Usage(video_ms=milliseconds)


def test_a_task_that_cannot_be_understood() -> None:
    for output in ({"task_status": "ODD"}, {}, {"task_status": "SUCCEEDED"}):
        with pytest.raises(Failure) as caught:
            state(**output)
        assert caught.value.error.reason == "upstream_invalid_answer"
    with pytest.raises(Failure, match="without an id"):
        adapter.decode_video(200, {}, b'{"output": {"task_status": "PENDING"}}', PROVIDER)


@pytest.mark.parametrize("job", ["../files", "https://evil.example/x", "a?b#c", ".."])
def test_an_id_cannot_lead_the_credential_elsewhere(job: str) -> None:
    origin, _, target = parse_origin(adapter.poll_job(job, Route(NAME, WORDS), PROVIDER).url)
    assert str(origin) == "https://dashscope-intl.aliyuncs.com:443"
    last = target.removeprefix("/api/v1/tasks/")
    assert last not in (target, "..")
    assert not set(last) & set("/?#")


ERRORS = [
    (400, "InvalidParameter", 400, "upstream_invalid_request", False),
    (400, "InvalidParameter.DataInspection", 400, "upstream_invalid_request", False),
    (400, "DataInspectionFailed", 422, "content_policy_violation", False),
    (400, "data_inspection_failed", 422, "content_policy_violation", False),
    (400, "IPInfringementSuspect", 422, "content_policy_violation", False),
    (400, "Arrearage", 502, "provider_credit", True),
    (403, "AllocationQuota.FreeTierOnly", 502, "provider_credit", True),
    (429, "insufficient_quota", 502, "provider_credit", True),
    (401, "InvalidApiKey", 502, "provider_credential", True),
    (403, "AccessDenied.Unpurchased", 502, "provider_credential", True),
    (429, "Throttling.RateQuota", 502, "provider_rate_limit", True),
    (429, "Throttling.AllocationQuota", 502, "provider_rate_limit", True),
    (404, "ModelNotFound", 502, "provider_unknown_model", True),
    (503, "ModelServingError", 503, "upstream_overloaded", True),
    (500, "InternalError", 502, "upstream_error", True),
    (200, "DataInspectionFailed", 422, "content_policy_violation", False),
]


@pytest.mark.parametrize(("status", "code", "ours", "reason", "retryable"), ERRORS)
def test_by_its_documentation_what_its_errors_mean(
    status: int, code: str, ours: int, reason: str, retryable: bool
) -> None:
    body = json.dumps({"request_id": "r", "code": code, "message": f"It went wrong with {KEY}."}).encode()
    for decode in (adapter.decode_image, adapter.decode_video, adapter.decode_job):
        with pytest.raises(Failure) as caught:
            decode(status, {"retry-after": "7"}, body, PROVIDER)
        failure = caught.value
        assert (failure.error.status, failure.error.reason, failure.retryable) == (ours, reason, retryable)
        assert without_secret(f"{failure.error.message} {failure.error.details}", PROVIDER)
        if reason in ("provider_rate_limit", "upstream_overloaded"):
            assert failure.error.retry_after == 7
