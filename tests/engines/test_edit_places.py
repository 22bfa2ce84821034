"""Edits that put a thing to another thing: in pictures of this engine where they stand, else where something stands out."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from openpollen.core.errors import UnprocessableEntity
from openpollen.engines.base import CancelToken, EditJob, ImageJob, ImageMade
from openpollen.engines.scene import SceneEngine

ENGINE = SceneEngine()
SIDE = 288


@cache
def drawn(prompt: str, **options: Any) -> bytes:
    return ENGINE.generate(ImageJob(prompt, SIDE, SIDE, seed=4, **options), CancelToken()).data


def edited(prompt: str, *images: bytes, **options: Any) -> ImageMade:
    return ENGINE.edit(EditJob(prompt, images, **({"seed": 1} | options)), CancelToken())


def pixels(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float32)


def without_facts(data: bytes) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(out, "PNG")
    return out.getvalue()


def changed(before: bytes, after: bytes) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what an edit changed."""
    moved = np.abs(pixels(before) - pixels(after)).max(axis=2) > 25
    ys, xs = np.flatnonzero(moved.sum(axis=1) > 1), np.flatnonzero(moved.sum(axis=0) > 1)
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1


def box_of(prompt: str, backdrop: str) -> tuple[int, int, int, int]:
    """Where the subject of a prompt is: what differs from the same backdrop without it."""
    return changed(drawn(backdrop), drawn(prompt))


@pytest.mark.parametrize("output_format", ["png", "jpeg"])
@pytest.mark.parametrize("instruction", ["put a hat on the cat", "give the cat a crown", "make it wear a party hat"])
def test_a_hat_goes_on_the_head_of_our_own_cat(output_format: str, instruction: str) -> None:
    picture = drawn("a cat in a meadow", output_format=output_format)
    result = edited(instruction, picture)
    cat, hat = box_of("a cat in a meadow", "a meadow"), changed(picture, result.data)
    middle = (cat[1] + cat[3]) / 2
    assert hat[1] < cat[1] + 0.25 * (cat[3] - cat[1]), "at the top"
    assert hat[3] < middle
    assert cat[0] - 6 <= hat[0], "within its width"
    assert hat[2] <= cat[2] + 6
    assert hat[2] - hat[0] < 0.6 * (cat[2] - cat[0]), "of the head's size"
    assert "stands out" not in result.note


def test_in_a_cut_out_the_hat_becomes_part_of_the_picture() -> None:
    picture = drawn("a rabbit", transparent=True)
    result = edited("put a hat on the rabbit", picture)
    before, after = (np.asarray(Image.open(io.BytesIO(d)))[..., 3] for d in (picture, result.data))
    assert (after > 200).sum() > (before > 200).sum() + 100
    assert "stands out" not in result.note


@pytest.mark.parametrize("ground", ["plain", "scene"])
def test_in_another_picture_the_hat_goes_on_what_stands_out_and_that_is_told(ground: str) -> None:
    if ground == "plain":
        image = Image.new("RGB", (SIDE, SIDE), (245, 245, 245))
        image.paste((190, 60, 40), (150, 140, 230, 260))
        out = io.BytesIO()
        image.save(out, "PNG")
        picture, box = out.getvalue(), (150, 140, 230, 260)
    else:
        picture, box = (
            without_facts(drawn("a red rabbit in the desert")),
            box_of("a red rabbit in the desert", "the desert"),
        )
    result = edited("put a hat on the rabbit", picture)
    hat = changed(picture, result.data)
    assert box[0] - 20 <= (hat[0] + hat[2]) / 2 <= box[2] + 20
    assert hat[1] < box[1] + 8
    assert hat[3] < (box[1] + box[3]) / 2
    assert "stands out" in result.note


def test_a_picture_that_was_changed_since_is_not_taken_for_its_prompt() -> None:
    night = edited("flip it", drawn("a cat in a meadow"))
    stamped = Image.open(io.BytesIO(drawn("a cat in a meadow")))
    out = io.BytesIO()
    info = PngInfo()
    for name, text in stamped.info.items():
        info.add_itxt(name, str(text))
    Image.open(io.BytesIO(night.data)).save(out, "PNG", pnginfo=info)
    assert "stands out" in edited("put a hat on the cat", out.getvalue()).note


def test_what_is_not_in_our_picture_is_refused_and_what_is_there_is_named() -> None:
    with pytest.raises(UnprocessableEntity, match="cat"):
        edited("put a hat on the elephant", drawn("a cat in a meadow"))
    flat = io.BytesIO()
    Image.new("RGB", (64, 64), (90, 90, 90)).save(flat, "PNG")
    with pytest.raises(UnprocessableEntity, match="stands out"):
        edited("put a hat on the cat", flat.getvalue())


@pytest.mark.parametrize(
    ("relation", "holds"),
    [
        ("next to", lambda new, old: new[0] >= old[2] - 12 or new[2] <= old[0] + 12),
        ("above", lambda new, old: new[3] <= old[1] + 12),
        ("on", lambda new, old: new[1] < old[1] and old[0] < (new[0] + new[2]) / 2 < old[2]),
    ],
)
def test_a_thing_is_put_where_it_was_asked_for_in_our_own_picture(relation: str, holds: Any) -> None:
    picture = drawn("a small house in a meadow")
    result = edited(f"add a bird {relation} the house", picture)
    assert holds(changed(picture, result.data), box_of("a small house in a meadow", "a meadow"))
    assert "freely" not in result.note


def test_in_another_picture_it_is_placed_freely_and_told() -> None:
    note = edited("add a dog next to the house", without_facts(drawn("a small house in a meadow"))).note
    assert "placed freely" in note
    assert "next to the house" in note


@pytest.mark.parametrize("instruction", ["add a sign that says OPEN", "add a wooden sign that says 'OPEN'"])
def test_a_sign_is_a_board_on_a_post_with_letters_on_it(instruction: str) -> None:
    picture = drawn("a meadow")
    result = edited(instruction, picture)
    left, top, right, bottom = changed(picture, result.data)
    after = pixels(result.data)
    assert top > 0.12 * SIDE, "not a title in the air"
    brown = (after[..., 0] > after[..., 2] * 1.25) & (after[..., 0] > 60) & (after[..., 0] < 235)
    board = brown[top : (top + bottom) // 2, left:right]
    assert float(board.mean()) > 0.45, "a wooden board"
    blank = pixels(edited("add a wooden sign", picture).data)
    assert 0.004 < float((np.abs(after - blank).max(axis=2) > 40).mean()) < 0.2, "with letters"
    assert "OPEN" in result.note
    assert "ettered" not in result.note


def test_a_new_thing_keeps_clear_of_what_stands_there() -> None:
    picture = drawn("a red cat in a meadow")
    cat = box_of("a red cat in a meadow", "a meadow")
    new = changed(picture, edited("add a sign that says OPEN", picture).data)
    shared = max(0, min(cat[2], new[2]) - max(cat[0], new[0]))
    assert shared < 0.45 * (cat[2] - cat[0])
