"""Instructions that list several wishes: each thing at its own place, with its own words, and nothing that is denied."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pytest
from PIL import Image

from openpollen.core.errors import UnprocessableEntity
from openpollen.engines.base import CancelToken, EditJob, ImageJob, ImageMade
from openpollen.engines.scene import SceneEngine
from openpollen.engines.scene.edit.steps import default_plan, steps_of

ENGINE = SceneEngine()


@cache
def cat() -> bytes:
    return ENGINE.generate(ImageJob("a cat in a meadow", 384, 288, seed=3), CancelToken()).data


@cache
def edited(wish: str) -> ImageMade:
    return ENGINE.edit(EditJob(wish, (cat(),), seed=3), CancelToken())


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float32)


def steps(wish: str) -> list[tuple[str, str, str]]:
    return [(s.kind, s.value, s.place or s.target) for s in steps_of(wish, 1)[0]]


@pytest.mark.parametrize("said", ['"OPEN"', "OPEN", "«OPEN»", "“OPEN”", "„OPEN“", "「OPEN」", "『OPEN』", "'OPEN'"])
def test_a_sign_put_next_to_something_has_its_words_on_it(said: str) -> None:
    result = edited(f"add a sign that says {said} next to the cat")
    assert "“OPEN”" in result.note
    assert "next to the cat" in result.note
    blank = pixels(edited("add a sign next to the cat").data)
    ink = np.abs(pixels(result.data) - blank).max(axis=2) > 40
    assert 200 < int(ink.sum()) < 6000


def test_words_without_quotation_marks_go_on_the_sign_too() -> None:
    assert "“welcome home”" in edited("add a sign that says welcome home next to the cat").note
    expected = ("add", "a bus that says “SCHOOL”", "left")
    assert steps('add a bus that says "SCHOOL" on the left') == [expected]


@pytest.mark.parametrize(
    "wish",
    ["don't add a dog", "don't add stars", "do not add anything", "please do not make it night", "never add birds"],
)
def test_an_instruction_that_only_denies_is_refused_as_such(wish: str) -> None:
    with pytest.raises(UnprocessableEntity, match="only what is not wanted"):
        edited(wish)


@pytest.mark.parametrize(
    ("wish", "kinds"),
    [
        ("do not add anything, just make it night", ["time"]),
        ("don't add a dog, add a bird", ["add"]),
        ("make it night but don't add stars", ["time"]),
        ("don't add a dog but make it snow", ["weather"]),
    ],
)
def test_what_is_wanted_besides_a_denial_is_done(wish: str, kinds: list[str]) -> None:
    found, told = steps_of(wish, 1)
    assert [s.kind for s in found] == kinds
    assert not any("dog" in s.value for s in found)
    assert told == []


def test_a_night_without_stars_or_moon_has_none() -> None:
    night, dark, moonless = (
        pixels(edited(f"make it night{rest}").data)[:110] for rest in ("", " without stars", ", but no moon")
    )
    grey = [part.mean(axis=2) for part in (night, dark, moonless)]

    def specks(part: np.ndarray) -> int:
        around = np.stack([np.roll(part, shift, axis) for axis in (0, 1) for shift in (-2, 2)]).max(axis=0)
        return int((part > around + 8).sum())

    assert specks(grey[1]) < 0.4 * specks(grey[0])
    assert int((grey[0] > 170).sum()) > 150 > 5 * int((grey[2] > 170).sum())


def test_what_cannot_be_taken_out_is_told() -> None:
    assert "nothing was taken out of the picture: people" in edited("make it night without people").note


def test_a_blurred_background_leaves_what_is_added_sharp() -> None:
    for wish in ("add five red balloons and blur the background", "blur the background and add five red balloons"):
        picture = pixels(edited(wish).data)
        red = (picture[..., 0] > 150) & (picture[..., 1] < 70) & (picture[..., 2] < 80)
        across = np.abs(np.diff(picture[..., 1], axis=1)).max(axis=1)[red.any(axis=1)]
        assert float(np.median(across)) > 60


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("add three birds in the sky and two flowers", [("add", "three birds", "sky"), ("add", "two flowers", "")]),
        (
            "add two balloons on the left and a kite on the right",
            [("add", "two balloons", "left"), ("add", "a kite", "right")],
        ),
        (
            "add a horse and a dog on the left and two birds in the sky",
            [("add", "a horse and a dog", "left"), ("add", "two birds", "sky")],
        ),
        (
            "add a hat on the cat and a dog next to the cat",
            [("add", "a hat", "the cat"), ("add", "a dog", "the cat")],
        ),
        ("add a dog next to the cat and the house", [("add", "a dog", "the cat and the house")]),
        ('add a dog and the text "Rex"', [("add", "a dog", ""), ("text", "Rex", "")]),
        ('add the text "Rex" and a dog', [("add", "a dog", ""), ("text", "Rex", "")]),
        (
            'add a sign that says "A" on the left and a sign that says "B" on the right',
            [("add", "a sign that says “A”", "left"), ("add", "a sign that says “B”", "right")],
        ),
    ],
)
def test_every_thing_of_a_list_has_its_own_place(wish: str, expected: list[tuple[str, str, str]]) -> None:
    assert [(kind, " ".join(value.split()), place) for kind, value, place in steps(wish)] == expected


def test_a_list_with_commas_is_added_as_a_whole() -> None:
    wish = "add a dog, a house and three balloons"
    assert [s.noun for s in default_plan(steps(wish)[0][1]).subjects] == ["dog", "house", "balloons"]
    assert "not used" not in edited(wish).note


def test_words_over_the_picture_come_after_every_change_of_light() -> None:
    assert [s.kind for s in steps_of('put the words "Good Night" in the sky and make it night', 1)[0]] == [
        "time",
        "text",
    ]
    bright = pixels(edited('write "Good Night" at the top and make it night').data)[:90]
    assert int((bright.min(axis=2) > 120).sum()) > 400


def test_nobodys_own_words_are_taken_for_a_mark() -> None:
    assert "“x”" in edited('write quote0quote "x"').note
    with pytest.raises(UnprocessableEntity):
        edited("quote7quote")


def test_what_is_not_to_be_done_is_not_told_as_left_in() -> None:
    assert edited("blur the background without blurring the cat").note == "Blurred the background."


def test_flowers_of_a_list_stand_on_the_ground_and_birds_fly() -> None:
    after = pixels(edited("add three birds in the sky and two flowers").data)
    changed = np.abs(after - pixels(cat())).max(axis=2) > 40
    assert changed[:110].sum() > 1500
    assert changed[180:].sum() > 1000
