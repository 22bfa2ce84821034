"""Makers whose pictures and films are jobs: Pruna and Black Forest Labs as their clients send them; LTX by its documentation."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from openpollen.core.assets import Asset, ImageRequest, JobState, VideoRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers.adapter import adapters
from openpollen.providers.failures import Failure
from tests.conformance.captures import captured, same, without_secret
from tests.fakeprovider import parse_form

#: What these tests prove, by wire and operation: the captured requests that ours are compared with, or "documentation".
PROVES = {
    "pruna/image": ("pruna.p_image.sync",),
    "pruna/edit": ("pruna.p_image_edit.sync",),
    "pruna/video": ("pruna.p_video.async_poll_download",),
    "bfl/image": (
        "bfl.kontext_pro",
        "bfl.flux2_klein_4b",
    ),
    "bfl/edit": ("bfl.kontext_pro.edit",),
    "ltx/video": ("documentation",),
}

pruna, bfl, ltx = (adapters()[wire] for wire in ("pruna", "bfl", "ltx"))
PRUNA = Provider("pruna", "pruna", "https://api.pruna.ai/v1", "pruna-fake", auth="apikey")
BFL = Provider("bfl", "bfl", "https://api.bfl.ai/v1", "bfl-fake", auth="x-key")
LTX = Provider("ltx", "ltx", "https://api.ltx.video/v1", "ltx-fake")
PIXEL = Asset(b"\x89PNG of no pixels", "image/png", "a.png")


def expected(name: str, number: int = 0) -> dict[str, Any]:
    """A captured request; what stands for the host is the provider's, and no host cares how we say that we take anything."""
    base = {"pruna": "https://api.pruna.ai", "bfl": "https://api.bfl.ai"}[name.split(".")[0]]
    request = json.loads(json.dumps(captured(name)["requests"][number]).replace("{base_url}", base))
    if request["body"]["kind"] == "json":
        request["headers"]["accept"] = "application/json"
    return request


def sent(out: Outgoing) -> dict[str, Any]:
    assert isinstance(out.body, bytes)
    return json.loads(out.body)


def answer(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


# -- Pruna


def test_pruna_pictures_and_edits() -> None:
    asked = ImageRequest("a fox", 1024, 1024, seed=42)
    same(pruna.encode_image(asked, Route("pruna", "p-image"), PRUNA), expected("pruna.p_image.sync"))
    edit = ImageRequest("add hat", seed=42, images=(PIXEL,))
    (upload,) = pruna.uploads(edit, Route("pruna", "p-image-edit"), PRUNA)
    their = expected("pruna.p_image_edit.sync")
    assert (upload.method, upload.url) == ("POST", f"https://api.pruna.ai{their['path']}")
    assert isinstance(upload.body, bytes)
    (part,) = parse_form(dict(upload.headers)["content-type"], upload.body)
    assert (part.name, part.data) == ("content", PIXEL.data)
    address = pruna.decode_upload(200, {}, answer({"urls": {"get": "https://api.pruna.ai/v1/files/f1"}}), PRUNA)
    out = pruna.encode_image(edit, Route("pruna", "p-image-edit"), PRUNA, (address,))
    same(out, expected("pruna.p_image_edit.sync", 1))


def test_pruna_films_from_start_to_end() -> None:
    route, name = Route("pruna", "p-video"), "pruna.p_video.async_poll_download"
    film = VideoRequest("a fox runs", 5, fps=24, seed=42)
    same(pruna.encode_video(film, route, PRUNA), expected(name))
    items = captured(name)["recorder_responses"]["items"]
    begun, *later = [answer(item).replace(b"{base_url}", b"https://api.pruna.ai") for item in items]
    state = pruna.decode_video(200, {}, begun, PRUNA)
    assert state == JobState("https://api.pruna.ai/v1/predictions/status/pr1", "queued")
    same(pruna.poll_job(state.id, route, PRUNA), expected(name, 1))
    states = [pruna.decode_job(200, {}, body, PRUNA) for body in later]
    assert [state.status for state in states] == ["queued", "running", "done"]
    fetch = pruna.fetch_job(states[-1], route, PRUNA)
    assert fetch.url == "https://api.pruna.ai/v1/predictions/delivery/x/output.jpg"
    assert dict(fetch.headers)["apikey"] == "pruna-fake"
    assert pruna.decode_result(200, {}, b"film", PRUNA).assets[0].data == b"film"
    started = pruna.encode_video(VideoRequest("x", 3, images=(PIXEL,)), route, PRUNA, ("https://api.pruna.ai/f",))
    assert sent(started)["input"]["image"] == "https://api.pruna.ai/f"


def test_a_quick_picture_is_there_at_once() -> None:
    made = {"status": "succeeded", "generation_url": "https://api.pruna.ai/v1/predictions/delivery/o.jpg"}
    state = pruna.decode_image(200, {}, answer(made), PRUNA)
    assert (state.status, state.result) == ("done", made["generation_url"])


@pytest.mark.parametrize(
    "body",
    [
        {"get_url": "https://evil.example/status"},
        {"get_url": "http://api.pruna.ai/status"},
        {"status": "succeeded", "generation_url": "https://api.pruna.ai.evil.example/o.jpg"},
        {"status": "starting"},
    ],
)
def test_no_key_goes_to_an_address_that_is_not_the_providers(body: dict[str, Any]) -> None:
    with pytest.raises(Failure):
        pruna.decode_video(200, {}, answer(body), PRUNA)
    with pytest.raises(Failure):
        pruna.poll_job("https://evil.example/status", Route("pruna", "p-video"), PRUNA)


def test_a_pruna_job_that_fails_says_why_and_keeps_its_secret() -> None:
    state = pruna.decode_job(200, {}, answer({"status": "failed", "error": f"no GPU for {PRUNA.key}"}), PRUNA)
    assert state.status == "failed"
    assert "no GPU" in state.error
    assert without_secret(state.error, PRUNA)


# -- Black Forest Labs


def test_bfl_pictures_and_edits() -> None:
    theirs = expected("bfl.flux2_klein_4b")
    theirs["body"]["json"].pop("aspect_ratio")  # its client's own; width and height say it already
    asked = ImageRequest("a fox", 1024, 768, seed=42)
    same(bfl.encode_image(asked, Route("bfl", "flux-2-klein-4b"), BFL), theirs)
    wide = ImageRequest("a fox", 1360, 768, seed=42)
    same(bfl.encode_image(wide, Route("bfl", "flux-kontext-pro"), BFL), expected("bfl.kontext_pro"))
    theirs = expected("bfl.kontext_pro.edit")

    picture = Asset(base64.b64decode(theirs["body"]["json"]["input_image"]), "image/png")
    edit = ImageRequest("add hat", images=(picture,))
    same(bfl.encode_image(edit, Route("bfl", "flux-kontext-pro"), BFL), theirs)
    several = ImageRequest("x", 512, 512, images=(PIXEL, PIXEL), given=frozenset({"size"}))
    body = sent(bfl.encode_image(several, Route("bfl", "flux-2-klein-4b"), BFL))
    assert {"input_image", "input_image_2", "width", "height"} <= body.keys()


@pytest.mark.parametrize(("size", "ratio"), [((1024, 1024), "1:1"), ((1920, 1080), "16:9"), ((800, 1200), "2:3")])
def test_kontext_takes_the_nearest_ratio(size: tuple[int, int], ratio: str) -> None:
    asked = ImageRequest("x", *size)
    assert sent(bfl.encode_image(asked, Route("bfl", "flux-kontext-pro"), BFL))["aspect_ratio"] == ratio


def test_a_bfl_job_rests_on_documentation_for_its_answers() -> None:
    address = "https://api.us1.bfl.ai/v1/get_result?id=t1"
    state = bfl.decode_image(200, {}, answer({"id": "t1", "polling_url": address, "cost": 4.0}), BFL)
    assert (state.id, state.status) == (address, "queued")
    poll = bfl.poll_job(state.id, Route("bfl", "flux-kontext-pro"), BFL)
    assert (poll.method, poll.url, dict(poll.headers)["x-key"]) == ("GET", address, "bfl-fake")
    pending = bfl.decode_job(200, {}, answer({"id": "t1", "status": "Pending", "progress": 0.4}), BFL)
    assert (pending.status, pending.progress) == ("running", 40)
    ready = {"status": "Ready", "result": {"sample": "https://delivery.example/o.png?sig=1"}}
    done = bfl.decode_job(200, {}, answer(ready), BFL)
    assert done.media is not None
    assert done.media.urls == ("https://delivery.example/o.png?sig=1",)
    for status, refused in (("Request Moderated", True), ("Content Moderated", True), ("Error", False)):
        over = bfl.decode_job(200, {}, answer({"status": status, "result": None}), BFL)
        assert (over.status, over.refused) == ("failed", refused)
    with pytest.raises(Failure):
        bfl.decode_image(200, {}, answer({"polling_url": "https://evil.example/x"}), BFL)


# -- LTX


def test_ltx_rests_on_documentation() -> None:
    route = Route("ltx", "ltx-2-fast")
    film = VideoRequest("a fox", 8, 1920, 1080, audio=True, given=frozenset({"duration", "size"}))
    out = ltx.encode_video(film, route, LTX)
    assert (out.method, out.url) == ("POST", "https://api.ltx.video/v1/text-to-video")
    assert dict(out.headers)["authorization"] == "Bearer ltx-fake"
    assert sent(out) == {
        "prompt": "a fox",
        "model": "ltx-2-fast",
        "duration": 8,
        "resolution": "1920x1080",
        "fps": 25,
        "generate_audio": True,
    }
    upright = VideoRequest("x", 5, aspect_ratio="9:16", fps=50, images=(PIXEL,))
    out = ltx.encode_video(upright, route, LTX)
    body = sent(out)
    assert out.url.endswith("/image-to-video")
    assert body["image_uri"].startswith("data:image/png;base64,")
    assert (body["duration"], body["resolution"], body["fps"]) == (6, "1080x1920", 50)
    made = ltx.decode_video(200, {"content-type": "video/mp4"}, b"film", LTX)
    assert not isinstance(made, JobState)
    assert made.assets[0].data == b"film"
    assert ltx.lengths(route) == (6, 8, 10, 12, 14, 16, 18, 20)
    with pytest.raises(BadRequest, match="25 or 50"):
        ltx.encode_video(VideoRequest("x", 6, fps=24), route, LTX)


@pytest.mark.parametrize(
    ("film", "word"),
    [
        (VideoRequest("x", 6, 1280, 720, given=frozenset({"size"})), "size: ltx-2-fast makes 1080p only, not 1280x720"),
        (VideoRequest("x", 6, given=frozenset({"resolution"})), "resolution: ltx-2-fast makes 1080p, not 720p"),
        (VideoRequest("x", 6, aspect_ratio="1:1", given=frozenset({"aspect_ratio"})), "aspectRatio: ltx-2-fast makes"),
    ],
)
def test_a_shape_that_ltx_does_not_make_is_refused(film: VideoRequest, word: str) -> None:
    with pytest.raises(BadRequest, match=word):
        ltx.encode_video(film, Route("ltx", "ltx-2-fast"), LTX)


ERRORS = [
    (pruna, PRUNA, 401, {"error": "bad key"}, 502, "provider_credential"),
    (pruna, PRUNA, 429, {"error": "slow down"}, 502, "provider_rate_limit"),
    (bfl, BFL, 402, {"detail": "Insufficient credits"}, 502, "provider_credit"),
    (bfl, BFL, 429, {"detail": "too many"}, 502, "provider_rate_limit"),
    (bfl, BFL, 422, {"detail": [{"loc": ["body", "prompt"], "msg": "field required"}]}, 400, None),
    (ltx, LTX, 402, {"error": {"type": "insufficient_funds_error", "message": "no"}}, 502, "provider_credit"),
    (ltx, LTX, 401, {"error": {"type": "authentication_error", "message": "no"}}, 502, "provider_credential"),
    (ltx, LTX, 400, {"error": {"type": "invalid_request_error", "message": "no"}}, 400, None),
    (ltx, LTX, 503, {"error": {"type": "overloaded", "message": "no"}}, 503, "upstream_overloaded"),
]


@pytest.mark.parametrize(("adapter", "provider", "status", "body", "told", "reason"), ERRORS)
def test_errors(adapter: Any, provider: Provider, status: int, body: Any, told: int, reason: str | None) -> None:
    decode = adapter.decode_video if Capability.VIDEO in adapter.operations else adapter.decode_image
    with pytest.raises(Failure) as caught:
        decode(status, {}, answer({**body, "echo": provider.key}), provider)
    error = caught.value.error
    assert error.status == told
    assert reason in (None, error.reason)
    assert without_secret(f"{error.message} {error.details}", provider)
