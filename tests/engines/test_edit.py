"""Editing through the scene engine: what was asked changes, only where it may, and what cannot be done is refused."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from openpollen.core.errors import BadRequest, UnprocessableEntity
from openpollen.engines.base import Cancelled, CancelToken, EditJob, ImageJob, ImageMade
from openpollen.engines.scene import SceneEngine

ENGINE = SceneEngine()
SIDE = 192


def png(image: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, options.pop("format", "PNG"), **options)
    return out.getvalue()


@pytest.fixture(scope="module")
def house() -> bytes:
    return ENGINE.generate(ImageJob("a house in a meadow", SIDE, SIDE, seed=4), CancelToken()).data


def plain(color: tuple[int, int, int] = (120, 140, 90), size: tuple[int, int] = (SIDE, SIDE)) -> bytes:
    ramp = np.linspace(0.6, 1.2, size[1])[:, None, None] * np.array(color)
    return png(Image.fromarray(np.broadcast_to(np.clip(ramp, 0, 255), (size[1], size[0], 3)).astype(np.uint8)))


def edited(prompt: str, *images: bytes, **options: Any) -> ImageMade:
    options = {"seed": 1} | options
    return ENGINE.edit(EditJob(prompt, images, **options), CancelToken())


def pixels(data: bytes, mode: str = "RGB") -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert(mode), dtype=np.float32)


def change(before: bytes, after: bytes) -> np.ndarray:
    return np.abs(pixels(before) - pixels(after)).max(axis=2)


@pytest.mark.parametrize(
    "prompt",
    [
        "make it a watercolor", "turn this into an oil painting", "pixel art", "as a pencil sketch", "neon style",
        "vintage photo", "film noir", "comic book style", "pastel", "claymation", "stained glass", "convert it to low poly",
    ],
)  # fmt: skip
def test_restyle(house: bytes, prompt: str) -> None:
    result = edited(prompt, house)
    assert (result.width, result.height) == (SIDE, SIDE)
    assert change(house, result.data).mean() > 6
    assert "estyled" in result.note


def test_night_is_dark_and_blue_and_sunset_is_warm(house: bytes) -> None:
    before, night = pixels(house), pixels(edited("at night", house).data)
    assert night.mean() < before.mean() * 0.5
    assert night[..., 2].mean() > night[..., 0].mean()
    sunset = pixels(edited("make it golden hour", house).data)
    assert sunset[..., 0].mean() / sunset[..., 2].mean() > 1.15 * before[..., 0].mean() / before[..., 2].mean()


def test_fog_lowers_contrast_and_snow_brightens_the_ground(house: bytes) -> None:
    before = pixels(house)
    assert pixels(edited("make it foggy", house).data).std() < before.std() * 0.8
    snow = pixels(edited("cover it in a snowy winter landscape", house).data)
    assert np.ptp(snow[150:], axis=2).mean() < np.ptp(before[150:], axis=2).mean() * 0.8


@pytest.mark.parametrize(
    ("prompt", "holds"),
    [
        ("darker", lambda a, b: b.mean() < a.mean() - 10),
        ("make it brighter", lambda a, b: b.mean() > a.mean() + 8),
        ("black and white", lambda a, b: np.ptp(b, axis=2).max() <= 2),
        ("warmer", lambda a, b: b[..., 0].mean() - b[..., 2].mean() > a[..., 0].mean() - a[..., 2].mean() + 5),
        ("cooler colours", lambda a, b: b[..., 0].mean() - b[..., 2].mean() < a[..., 0].mean() - a[..., 2].mean() - 5),
        ("more contrast", lambda a, b: b.std() > a.std() * 1.1),
        ("tint it blue", lambda a, b: b[..., 2].mean() - b[..., 0].mean() > a[..., 2].mean() - a[..., 0].mean() + 15),
        ("invert the colours", lambda a, b: np.abs(255 - a - b).max() <= 2),
        ("blur it", lambda a, b: np.abs(np.diff(b, axis=1)).mean() < 0.7 * np.abs(np.diff(a, axis=1)).mean()),
        ("sharpen", lambda a, b: np.abs(np.diff(b, axis=1)).mean() > 1.1 * np.abs(np.diff(a, axis=1)).mean()),
        ("flip it", lambda a, b: np.array_equal(a[:, ::-1], b)),
        ("flip vertically", lambda a, b: np.array_equal(a[::-1], b)),
        ("rotate 180 degrees", lambda a, b: np.array_equal(a[::-1, ::-1], b)),
        ("add a black border", lambda a, b: b[:5].max() <= 36 and b[60:120, 60:120].mean() > 40),
        ("add a vignette", lambda a, b: b[:20, :20].mean() < a[:20, :20].mean() * 0.7),
    ],
)  # fmt: skip
def test_grade_and_shape(house: bytes, prompt: str, holds: Any) -> None:
    assert holds(pixels(house), pixels(edited(prompt, house).data))


def test_slightly_is_less_than_much(house: bytes) -> None:
    assert (
        change(house, edited("slightly darker", house).data).mean()
        < change(house, edited("much darker", house).data).mean()
    )


def test_added_things_stand_where_they_were_asked_for() -> None:
    ground = plain()
    left = change(ground, edited("add a dog on the left", ground).data) > 20
    right = change(ground, edited("add a red balloon in the sky and a cat on the right", ground).data) > 20
    assert left[:, : SIDE // 2].sum() > 10 * max(1, left[:, SIDE // 2 + 12 :].sum())
    assert right[: SIDE // 2].sum() > 100, "the balloon is above"
    assert right[SIDE // 2 :, SIDE // 2 :].sum() > 100, "the cat is on the right"


def test_text_in_quotes_is_lettered() -> None:
    ground = plain()
    result = edited('write "HELLO" on it', ground)
    assert 200 < (change(ground, result.data) > 40).sum() < SIDE * SIDE * 0.4
    assert "HELLO" in result.note


def test_mask_keeps_everything_outside_it(house: bytes) -> None:
    mask = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (100, 100, 190, 190))
    for prompt in ("make it a pencil sketch", "at night", "add a dog"):
        moved = change(house, edited(prompt, house, mask=png(mask)).data)
        assert moved[100:190, 100:190].max() > 20, prompt
        moved[100:190, 100:190] = 0
        assert moved.max() == 0, prompt


def test_background_behind_a_masked_or_plain_picture() -> None:
    white = Image.new("RGB", (SIDE, SIDE), (250, 250, 250))
    white.paste((200, 30, 30), (70, 70, 120, 120))
    result = pixels(edited("replace the background with a beach", png(white)).data)
    assert np.abs(result[80:110, 80:110] - [200, 30, 30]).max() < 6, "the thing itself stays"
    assert result[:40].std() > 5, "a painted sky"
    cut = pixels(edited("remove the background", png(white)).data, "RGBA")
    assert cut[5, 5, 3] == 0
    assert cut[95, 95, 3] == 255


@pytest.mark.parametrize(
    ("prompt", "size"),
    [
        ("upscale 2x", (384, 240)),
        ("make it 3x larger", (576, 360)),
        ("crop to 4:3", (160, 120)),
        ("crop to a square", (120, 120)),
        ("resize to 100x60", (100, 60)),
        ("rotate 90 degrees", (120, 192)),
    ],
)
def test_sizes(prompt: str, size: tuple[int, int]) -> None:
    source = plain(size=(192, 120))
    result = edited(prompt, source)
    assert (result.width, result.height) == size
    assert pixels(result.data).shape == (size[1], size[0], 3)


def test_size_of_the_job_without_words(house: bytes) -> None:
    result = edited("", house, width=96, height=64)
    assert pixels(result.data).shape == (64, 96, 3)


def test_upscale_says_how(house: bytes) -> None:
    assert "not by a neural network" in edited("upscale 2x", house).note


def test_two_images_side_by_side_and_stuck_together(house: bytes) -> None:
    both = edited("put them side by side", house, plain((20, 20, 200)))
    assert both.width > 2 * SIDE
    assert both.height == SIDE
    sticker = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
    sticker.paste((0, 0, 255, 255), (5, 5, 55, 55))
    stuck = pixels(edited("put the second image on the right", house, png(sticker)).data)
    assert ((stuck[..., 2] > 240) & (stuck[..., 0] < 20))[:, SIDE // 2 :].sum() > 500


def test_alpha_and_orientation_are_kept() -> None:
    cut = Image.new("RGBA", (80, 80), (200, 60, 60, 255))
    cut.paste((0, 0, 0, 0), (0, 0, 40, 80))
    kept = pixels(edited("darker", png(cut)).data, "RGBA")
    assert kept[40, 10, 3] == 0
    assert kept[40, 60, 3] == 255
    turned = Image.new("RGB", (90, 60), (10, 120, 200))
    exif = Image.Exif()
    exif[0x0112] = 6
    result = edited("invert", png(turned, format="JPEG", exif=exif))
    assert (result.width, result.height) == (60, 90)


@pytest.mark.parametrize(
    "prompt",
    [
        "remove the house", "erase the tree on the left", "make the cat smile", "turn the house into a castle",
        "replace the house with a car", "", "asdfgh qwerty", "add a flurbengrobl", "replace the background with a beach",
        "make the woman older", "make the cat smile at night", "turn the house into a castle at night", "make the house brighter",
        "rotate the house 90 degrees", "add a dog and make it smile", "make it rain and make the house red",
    ],
)  # fmt: skip
def test_what_it_cannot_do_is_refused_with_a_reason(house: bytes, prompt: str) -> None:
    with pytest.raises(UnprocessableEntity) as refused:
        edited(prompt, house)
    assert len(refused.value.message) > 40


@pytest.mark.parametrize(
    ("prompt", "done", "left"),
    [
        ("add a dog next to the house", "dded dog", "next to the house"),
        ("add a smiling dog in the rain", "eather: rain", "smiling"),
        ("oil painting, award-winning", "oil", "award-winning"),
        ("turn this house into a watercolor", "watercolor", "house"),
        ('write "HELLO" on the door', "HELLO", "on the door"),
        ("replace the background with a beach with a dog", "beach", "dog"),
        ("add twelve cats", "dded cats", "twelve cats"),
    ],
)
def test_words_that_were_not_used_are_told(house: bytes, prompt: str, done: str, left: str) -> None:
    picture = house
    if "background" in prompt:
        white = Image.new("RGB", (SIDE, SIDE), (250, 250, 250))
        white.paste((200, 30, 30), (70, 70, 120, 120))
        picture = png(white)
    note = edited(prompt, picture).note
    assert done in note
    assert left in note


def test_understood_words_are_not_told_as_unused(house: bytes) -> None:
    for prompt in ("please make it look a bit warmer, thanks", "turn this photo into an oil painting", "at night",
                   "add a red balloon in the sky and a cat on the right", "blur the background"):  # fmt: skip
        note = edited(prompt, house).note
        assert not any(words in note for words in ("not used", "freely", "not only")), note


def test_a_mask_says_which_thing_is_meant(house: bytes) -> None:
    mask = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (60, 60, 150, 150))
    assert "freely" not in edited("add a dog next to the house", house, mask=png(mask)).note
    assert change(house, edited("make the house darker", house, mask=png(mask)).data)[60:150, 60:150].mean() > 5
    with pytest.raises(UnprocessableEntity):
        edited("make the house smile at night", house, mask=png(mask))


def test_large_pictures_keep_their_detail_where_only_the_shape_changes() -> None:
    lines = np.zeros((2000, 3010, 3), np.uint8)
    lines[:, ::2] = 255  # detail of one pixel, which would not survive a smaller size
    large = png(Image.fromarray(lines), compress_level=1)
    cropped = edited("crop to 600x600", large)
    assert np.array_equal(pixels(cropped.data), lines[700:1300, 1205:1805])
    assert "megapixels" not in cropped.note
    assert "megapixels" not in edited("crop to 600x600 and darken", large).note, "it was small enough after the crop"
    night = edited("darker", large, output_format="jpeg")
    assert (night.width, night.height) == (3010, 2000)
    assert "6 megapixels" in night.note


def test_transparency_comes_as_png_and_is_told() -> None:
    white = Image.new("RGB", (64, 64), (250, 250, 250))
    white.paste((200, 30, 30), (20, 20, 40, 40))
    result = edited("remove the background", png(white), output_format="jpeg", transparent=True)
    assert result.mime == "image/png"
    assert "PNG" in result.note


def test_the_same_picture_never_comes_back() -> None:
    grey = png(Image.fromarray(np.broadcast_to(np.linspace(20, 220, 64)[:, None, None], (64, 64, 3)).astype(np.uint8)))
    with pytest.raises(UnprocessableEntity, match="leave the picture as it is"):
        edited("black and white", grey)


def test_bad_files_are_told_apart(house: bytes) -> None:
    with pytest.raises(BadRequest, match="not an image"):
        edited("darker", b"this is text")
    with pytest.raises(BadRequest, match=r"damaged|not an image"):
        edited("darker", house[:600])
    with pytest.raises(BadRequest, match="empty"):
        edited("darker", b"")
    with pytest.raises(BadRequest, match="no image"):
        edited("darker")
    with pytest.raises(BadRequest, match="megapixels"):
        edited("darker", png(Image.new("1", (8000, 6000))))
    with pytest.raises(BadRequest, match="same size"):
        edited("darker", house, mask=png(Image.new("RGBA", (10, 10))))
    with pytest.raises(BadRequest, match="nothing change"):
        edited("darker", house, mask=png(Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 255))))


def test_same_seed_same_bytes_and_cancelling(house: bytes) -> None:
    assert edited("add a cat and make it rain", house).data == edited("add a cat and make it rain", house).data
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        ENGINE.edit(EditJob("darker", (house,)), token)


def test_metadata_can_be_left_out(house: bytes) -> None:
    assert Image.open(io.BytesIO(edited("darker", house).data)).info["engine"] == "scene"
    assert "prompt" not in Image.open(io.BytesIO(edited("darker", house, metadata=False).data)).info
    assert edited("darker", house, output_format="jpeg").mime == "image/jpeg"
