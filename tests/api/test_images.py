"""Pictures: GET /image with every parameter of the contract, generations, edits."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from tests.fakeprovider import FakeProvider
from tests.fakewire import picture
from tests.gateway import NANO, Account, form, nano
from tests.labconfig import IMAGE

SMALL = "width=128&height=128"
RED = picture(64, 64)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_get_image_makes_the_size_asked_for(user: Account) -> None:
    reply = user.get("/image/a%20red%20boat?width=200&height=136")
    assert reply.headers["content-type"] == "image/jpeg"
    assert reply.headers["content-disposition"] == 'inline; filename="a-red-boat.jpg"'
    assert (reply.headers["cache-control"], reply.headers["vary"]) == ("private", "Authorization")
    assert reply.headers["x-model-used"] == "scene"
    assert reply.headers["x-usage-completion-image-tokens"] == "1"
    assert opened(reply.body).size == (200, 136)


def test_the_same_seed_is_the_same_picture_and_another_another(user: Account) -> None:
    def made(seed: int) -> bytes:
        return user.get(f"/image/a%20boat?{SMALL}&seed={seed}&no-cache=true").body

    assert made(1) == made(1) != made(2)


def test_a_drawn_seed_is_told_and_makes_the_same_picture_again(user: Account) -> None:
    drawn = user.get(f"/image/a%20boat?{SMALL}&seed=-1")
    again = user.get(f"/image/a%20boat?{SMALL}&seed={drawn.headers['x-seed']}")
    assert opened(again.body).tobytes() == opened(drawn.body).tobytes()


def test_a_transparent_picture_is_a_png_with_clear_corners(user: Account) -> None:
    reply = user.get(f"/image/a%20cat?{SMALL}&transparent=true&model=gptimage")
    assert reply.headers["content-type"] == "image/png"
    assert opened(reply.body).convert("RGBA").getpixel((0, 0))[3] == 0  # type: ignore[index] - RGBA pixels are tuples


def test_defaults_are_never_refused_and_the_rest_is_honoured_or_told(user: Account) -> None:
    defaults = (
        "seed=0&enhance=false&safe=false&quality=medium&transparent=false&reasoning=false&nologo=false&audio=false"
    )
    assert "x-ignored-parameters" not in user.get(f"/image/a%20cat?{SMALL}&{defaults}").headers
    soft = user.get(f"/image/a%20cat?{SMALL}&reasoning=true&guidance_scale=3&nologo=true&private=true")
    assert soft.status == 200
    assert soft.headers["x-ignored-parameters"] == "guidance_scale, nologo, reasoning"
    for hard in ("duration=5", "audio=true", "fps=12"):
        error = user.get(f"/image/a%20cat?{SMALL}&{hard}").error
        assert (error["code"], error["reason"]) == ("BAD_REQUEST", "unsupported_parameter")
        assert "scene" in error["message"]


def test_an_aspect_ratio_shapes_a_picture_that_has_no_size(user: Account) -> None:
    width, height = opened(user.get("/image/a%20cat?aspectRatio=9:16").body).size
    assert abs(width / height - 9 / 16) < 0.02


@pytest.mark.parametrize("quality", ["low", "high", "hd"])
def test_quality_reaches_the_host_where_hd_is_high(user: Account, fake: FakeProvider, quality: str) -> None:
    assert user.get(f"/image/a?model=lab-image&quality={quality}&seed=-1").status == 200
    assert fake.requests[0].json["quality"] == {"hd": "high"}.get(quality, quality)


def test_what_a_host_is_not_known_to_take_is_told(user: Account, fake: FakeProvider) -> None:
    reply = user.get("/image/a?model=lab-image&negative_prompt=b&seed=5")
    assert reply.headers["x-ignored-parameters"] == "negative_prompt, seed"
    assert not {"seed", "negative_prompt"} & fake.requests[0].json.keys()
    assert "x-ignored-parameters" not in user.get("/image/a?model=lab-image&no-cache=true").headers


def test_negative_prompt_changes_the_picture(user: Account) -> None:
    target = f"/image/a%20tree%20under%20clouds?{SMALL}&seed=3"
    with_it = user.get(f"{target}&negative_prompt=clouds")
    assert with_it.status == 200
    assert "negative_prompt" not in with_it.headers.get("x-ignored-parameters", "")


def test_enhance_rewrites_the_prompt_and_says_how(user: Account) -> None:
    body = {"prompt": "a cat", "size": "64x64", "enhance": True, "model": "flux"}
    entry = user.post("/v1/images/generations", body).json["data"][0]
    assert entry["revised_prompt"]
    assert "cat" in entry["revised_prompt"].lower()


@pytest.mark.parametrize("prompt", ["three red balloons over the sea", "a red house on a hill", "a fox in a mug"])
def test_a_rewritten_prompt_leaves_nothing_out(user: Account, prompt: str) -> None:
    body = {"prompt": prompt, "size": "64x64", "enhance": True, "model": "flux"}
    told = user.post("/v1/images/generations", body).json["data"][0]["revised_prompt"].lower()
    assert all(word.removesuffix("s") in told for word in prompt.split() if len(word) > 3 and word != "over")


def test_safe_without_a_checker_is_503_and_free(payer: Account, fake: FakeProvider) -> None:
    reply = payer.get("/image/a%20cat?safe=true&model=lab-image")
    assert (reply.status, reply.error["reason"]) == (503, "no_safety_checker")
    assert fake.requests == []
    assert payer.balance == NANO


def test_a_safe_request_is_never_answered_with_an_unchecked_picture(user: Account) -> None:
    target = f"/image/an%20unchecked%20cat?{SMALL}"
    assert user.get(target).status == 200
    assert user.get(f"{target}&safe=true").status == 503


@pytest.mark.parametrize("target", ["/image/a%20cat", "/text/Hello", "/audio/Hello", "/video/a%20cat"])
def test_head_checks_and_makes_nothing(payer: Account, fake: FakeProvider, target: str) -> None:
    model = {"/image": "lab-image", "/text": "lab-chat", "/audio": "lab-speech", "/video": "lab-video"}
    name = model[target[:6] if target[:6] in model else target[:5]]
    reply = payer.request("HEAD", f"{target}?model={name}")
    assert (reply.status, reply.body) == (200, b"")
    assert payer.request("HEAD", f"{target}?model=no-such-model").status == 400
    assert payer.gateway.request("HEAD", f"{target}?model={name}").status == 401
    assert fake.requests == []
    assert payer.balance == NANO


@pytest.mark.parametrize("shape", [None, "url", "b64_json"])
def test_generations_give_bytes_address_or_both(user: Account, shape: str | None) -> None:
    body = {"prompt": "a blue boat", "size": "96x64", "seed": 4}
    body |= {"response_format": shape} if shape else {}
    reply = user.post("/v1/images/generations", body)
    answer = reply.json
    assert 1_700_000_000 < answer["created"] < 3_000_000_000
    (entry,) = answer["data"]
    assert entry["revised_prompt"] == "a blue boat"
    assert ("url" in entry, "b64_json" in entry) == (shape != "b64_json", shape != "url")
    if shape is None:
        assert user.gateway.request("GET", path_of(entry["url"])).body == base64.b64decode(entry["b64_json"])
    if shape != "b64_json":
        public = user.gateway.request("GET", path_of(entry["url"]))  # without a key
        assert public.status == 200
        assert opened(public.body).size == (96, 64)


def test_opening_the_address_never_makes_or_bills_again(payer: Account, fake: FakeProvider) -> None:
    entry = payer.post("/v1/images/generations", {"prompt": "a", "model": "lab-image", "size": "64x64"}).json["data"][0]
    for _ in range(3):
        assert payer.gateway.request("GET", path_of(entry["url"])).body == base64.b64decode(entry["b64_json"])
    assert len(fake.requests) == 1
    payer.rows(1)
    assert payer.balance == NANO - IMAGE


def test_generations_through_openais_library(user: Account) -> None:
    for base in ("", "/v1"):
        made = user.openai(base).images.generate(
            model="gptimage", prompt="a cat", size="256x256", response_format="b64_json"
        )
        assert made.data is not None
        assert opened(base64.b64decode(made.data[0].b64_json or "")).size == (256, 256)


def test_output_format_and_background(user: Account) -> None:
    for body, kind in (({"output_format": "jpeg"}, "JPEG"), ({}, "PNG"), ({"background": "transparent"}, "PNG")):
        reply = user.post("/v1/images/generations", {"prompt": "a cat", "size": "64x64", **body})
        assert opened(base64.b64decode(reply.json["data"][0]["b64_json"])).format == kind


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"size": "64x64", "width": 128}, "width"),
        ({"size": "64x64", "height": 65}, "height"),
        ({"size": "64x64", "aspectRatio": "16:9"}, "aspectRatio"),
        ({"width": 64, "height": 128, "aspectRatio": "1:1"}, "aspectRatio"),
        ({"transparent": True, "background": "opaque"}, "background"),
        ({"background": "transparent", "output_format": "webp"}, "output_format"),
        ({"background": "transparent", "output_format": "jpeg"}, "output_format"),
        ({"model": "scene-video", "duration": 1, "seconds": 2}, "seconds"),
        ({"model": "scene-video", "output_format": "png"}, "output_format"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(
    user: Account, fields: dict[str, object], named: str
) -> None:
    target = "/v1/videos" if "model" in fields else "/v1/images/generations"
    reply = user.post(target, {"prompt": "a cat", **fields})
    assert reply.status == 400
    assert named in reply.error["message"]


def test_a_picture_by_address_has_the_format_asked_for(user: Account) -> None:
    address = "/image/a%20cat?model=scene&width=64&height=64"
    assert opened(user.get(f"{address}&output_format=png").body).format == "PNG"
    assert opened(user.get(f"{address}&size=64x64").body).size == (64, 64)
    assert user.get(f"{address}&output_format=webp").status == 400


def test_the_prompt_is_in_the_file_unless_the_caller_says_no(user: Account) -> None:
    for metadata in (True, False):
        body = {"prompt": "a secret cat", "size": "64x64", "metadata": metadata, "model": "scene"}
        data = base64.b64decode(user.post("/v1/images/generations", body).json["data"][0]["b64_json"])
        assert (b"a secret cat" in data) == metadata


def test_edits_as_json_with_a_data_uri(user: Account) -> None:
    uri = "data:image/png;base64," + base64.b64encode(user.get(f"/image/a%20boat?{SMALL}").body).decode()
    for image in (uri, [uri], {"image_url": uri}, [{"image_url": uri}]):
        reply = user.post("/v1/images/edits", {"prompt": "make it night", "image": image, "model": "kontext"})
        assert reply.status == 200, reply.text
        edited = opened(base64.b64decode(reply.json["data"][0]["b64_json"]))
        assert edited.size == (128, 128)
    assert reply.headers["x-model-used"] == "scene"


def test_edits_take_openais_list_of_images(user: Account) -> None:
    uri = "data:image/png;base64," + base64.b64encode(user.get(f"/image/a%20boat?{SMALL}").body).decode()
    body = {"prompt": "make it night", "images": [{"image_url": uri}], "model": "kontext"}
    reply = user.post("/v1/images/edits", body)
    assert opened(base64.b64decode(reply.json["data"][0]["b64_json"])).size == (128, 128)


def test_openais_wishes_without_an_effect_here_are_told(user: Account) -> None:
    body = {"prompt": "a cat", "size": "64x64", "model": "scene", "moderation": "low", "style": "natural"}
    reply = user.post("/v1/images/generations", {**body, "output_compression": 100, "partial_images": 0})
    assert (reply.status, reply.headers["x-ignored-parameters"]) == (200, "moderation, style")


@pytest.mark.parametrize("name", ["image", "image[]"])
def test_edits_as_a_form(user: Account, name: str) -> None:
    boat = user.get(f"/image/a%20boat?{SMALL}").body
    body, kind = form({"prompt": "make it night", "model": "kontext"}, [(name, "boat.jpg", boat)])
    reply = user.request("POST", "/v1/images/edits", body=body, headers={"Content-Type": kind})
    assert reply.status == 200, reply.text
    assert opened(base64.b64decode(reply.json["data"][0]["b64_json"])).size == (128, 128)


def test_edits_through_openais_library(user: Account) -> None:
    boat = user.get(f"/image/a%20boat?{SMALL}").body
    made = user.openai().images.edit(model="kontext", prompt="as an oil painting", image=("boat.jpg", boat))
    assert made.data is not None
    assert made.data[0].b64_json


def test_an_edit_of_one_of_our_own_media_addresses_reads_the_store(user: Account) -> None:
    stored = user.request("POST", "/upload", body=user.get(f"/image/a%20boat?{SMALL}").body).json
    reply = user.post("/v1/images/edits", {"prompt": "make it night", "image": stored["url"]})
    assert reply.status == 200, reply.text
    assert user.get(f"/image/make%20it%20night?{SMALL}&model=kontext&image={stored['url']}").status == 200


def test_an_edit_without_a_model_goes_to_the_first_live_one_that_takes_pictures(payer: Account) -> None:
    uri = "data:image/png;base64," + base64.b64encode(RED).decode()
    reply = payer.post("/v1/images/edits", {"prompt": "bluer", "image": uri})
    assert (reply.headers["x-model-used"], reply.cost) == ("lab-image", IMAGE)


def test_an_edit_that_cannot_be_done_is_422_with_the_reason_and_free(payer: Account) -> None:
    uri = "data:image/png;base64," + base64.b64encode(payer.get(f"/image/a%20boat?{SMALL}").body).decode()
    asked = "give the captain a moustache like his uncle"
    reply = payer.post("/v1/images/edits", {"prompt": asked, "image": uri, "model": "kontext"})
    assert (reply.status, reply.error["code"]) == (422, "UNPROCESSABLE_ENTITY")
    assert len(reply.error["message"]) > 20


def test_edits_at_a_host_get_the_picture_as_a_file(payer: Account, fake: FakeProvider) -> None:
    uri = "data:image/png;base64," + base64.b64encode(RED).decode()
    reply = payer.post("/v1/images/edits", {"prompt": "bluer", "image": uri, "mask": uri, "model": "lab-image"})
    assert reply.cost == IMAGE
    files = {part.name: part.data for part in fake.requests[0].form if part.filename}
    assert set(files.values()) == {RED}
    assert "mask" in files


def test_a_model_that_takes_no_picture_names_those_that_do(user: Account) -> None:
    uri = "data:image/png;base64," + base64.b64encode(RED).decode()
    error = user.post("/v1/images/edits", {"prompt": "bluer", "image": uri, "model": "flux"}).error
    assert error["code"] == "BAD_REQUEST"
    assert "kontext" in error["message"]


def test_usage_of_a_picture_is_one_image(payer: Account) -> None:
    answer = payer.post("/v1/images/generations", {"prompt": "a", "model": "lab-image"}).json
    assert answer["usage"]["output_tokens"] == 1
    (row,) = payer.rows(1)
    assert (row["output_image_tokens"], nano(row["cost_usd"]), row["type"]) == (1, IMAGE, "generate.image")


def path_of(address: str) -> str:
    return "/" + address.rpartition("/")[2]
