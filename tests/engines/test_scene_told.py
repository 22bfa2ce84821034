"""What a prompt names is in the picture or in the note: things, colours of sky and sea, containers, sizes, places."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image

from openpollen.engines.base import CancelToken, EditJob, ImageJob, ImageMade
from openpollen.engines.scene import SceneEngine
from openpollen.engines.scene.art import draw
from openpollen.engines.scene.lexicon import colors
from openpollen.engines.scene.plan import make_plan
from openpollen.engines.scene.types import Tint

ENGINE = SceneEngine()


@cache
def made(prompt: str) -> ImageMade:
    return ENGINE.generate(ImageJob(prompt, 512, 384, seed=0), CancelToken())


@cache
def pixels(prompt: str) -> Any:
    return np.asarray(Image.open(io.BytesIO(made(prompt).data)).convert("RGB"), np.float32) / 255


def hue(part: Any) -> str:
    """Which of red, green, blue, purple and pink a part of a picture is on the whole."""
    r, g, b = (float(part[..., c].mean()) for c in range(3))
    if g > max(r, b) + 0.05:
        return "green"
    if min(r, b) > g + 0.05:
        return "pink" if r > b + 0.02 else "purple"
    return "red" if r > max(g, b) + 0.05 else "blue" if b > r + 0.05 else "grey"


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("a yellow submarine under water", ["submarine"]),
        ("a cat and submarine", ["submarine"]),
        ("a robot dog", ["robot"]),
        ("a black cat with blue eyes", ["blue eyes"]),
        ("a castle in a forest by a lake", ["lake"]),
        ("a purple sky over a forest", ["purple sky"]),
        ("a room with a ceiling", ["ceiling"]),
        ("a red and blue ball", ["red"]),
        ("an american flag", ["american"]),
        ("a dog behind the sea", ["behind"]),
    ],
)
def test_what_is_not_shown_is_named_in_the_note(prompt: str, told: list[str]) -> None:
    note = made(prompt).note
    assert all(word in note for word in told), note


def test_a_negation_ends_with_what_it_denies() -> None:
    plan, note = make_plan("two dogs and no cat in the snow")
    assert [(s.key, s.count) for s in plan.subjects] == [("dog", 2)]
    assert (plan.setting, note) == ("snow", "")
    assert make_plan("a dog and no cat at night")[0].time == "night"
    assert make_plan("a dog, no cats under water")[0].setting == "underwater"


@pytest.mark.parametrize(
    ("prompt", "above", "below"),
    [
        ("a purple sky above a desert", "purple", "red"),
        ("a desert with a purple sky", "purple", "red"),
        ("a green sky over a pink ocean", "green", "pink"),
        ("a blue sky over red grass", "blue", "red"),
    ],
)
def test_sky_sea_and_ground_take_their_colours(prompt: str, above: str, below: str) -> None:
    picture = pixels(prompt)
    assert (hue(picture[:40]), hue(picture[-90:])) == (above, below)
    assert made(prompt).note == ""


def test_a_sun_takes_its_colour_over_a_coloured_sea() -> None:
    picture = pixels("a red sun over a green sea")
    red = (picture[..., 0] > 0.7) & (picture[..., 1] < 0.3) & (picture[..., 2] < 0.35)
    assert 300 < int(red[:190].sum()) < 8000
    assert hue(picture[250:]) == "green"


@pytest.mark.parametrize(
    ("prompt", "holder", "inside"),
    [
        ("a bowl of fruit", "bowl-with-spoon", {"red-apple", "grapes", "banana"}),
        ("a basket with three kittens", "basket", {"cat"}),
        ("a red ball inside a box", "box", {"soccer-ball"}),
        ("a bucket full of fish", "bucket", {"fish"}),
        ("a basket of apples and pears", "basket", {"red-apple", "pear"}),
    ],
)
def test_what_is_in_a_container_is_in_it(prompt: str, holder: str, inside: set[str]) -> None:
    plan = make_plan(prompt)[0]
    index = next(i for i, s in enumerate(plan.subjects) if s.key == holder)
    assert {plan.subjects[r.subject].key for r in plan.relations if r.kind == "in" and r.target == index} == inside


def test_what_is_in_a_container_is_seen() -> None:
    picture = pixels("a red ball inside a box")
    assert int(((picture[..., 0] > 0.6) & (picture[..., 1] < 0.3)).sum()) > 60


def test_who_is_in_a_cup_looks_out_of_it() -> None:
    with_hedgehog, without = pixels("a hedgehog in a cup"), pixels("a cup in a forest")
    assert float((np.abs(with_hedgehog - without).max(axis=2) > 0.1).mean()) > 0.01


@pytest.mark.parametrize(
    ("prompt", "carried"),
    [
        ("a bowl of ramen with chopsticks on a wooden table", {"steaming-bowl", "chopsticks"}),
        ("a girl with a cat on a bench", {"girl", "cat"}),
        ("a house with a cat on a sofa", {"cat"}),
        ("a vase of sunflowers on a kitchen table", {"vase", "sunflower"}),
    ],
)
def test_what_is_with_a_thing_on_a_support_leaves_neither_on_the_floor(prompt: str, carried: set[str]) -> None:
    plan = make_plan(prompt)[0]
    assert {plan.subjects[r.subject].key for r in plan.relations if r.kind == "on"} == carried


@pytest.mark.parametrize(
    ("prompt", "boat"),
    [
        ("a man on a boat", "canoe"),
        ("a dog in a boat", "canoe"),
        ("a boat on a lake", "sailboat"),
        ("a man in a sailboat", "sailboat"),
        ("a flag on a boat", "sailboat"),
    ],
)
def test_who_is_in_a_boat_is_seen_in_it(prompt: str, boat: str) -> None:
    assert boat in {subject.key for subject in make_plan(prompt)[0].subjects}


def test_a_fisher_is_in_the_boat_and_fishing_is_told() -> None:
    plan, note = make_plan("an old man fishing from a boat on a lake")
    assert [(r.subject, r.kind, r.target) for r in plan.relations] == [(0, "on", 1)]
    assert "fishing" in note


def test_a_comparison_makes_one_smaller_than_the_other() -> None:
    plan = make_plan("an elephant smaller than a mouse")[0]
    from openpollen.engines.scene.stacking import build_groups

    heights = {g.figures[0].key: g.figures[0].height for g in build_groups(plan, 300, np.random.default_rng(0))}
    assert heights["elephant"] < 0.8 * heights["mouse"]
    plan = make_plan("a mouse bigger than an elephant")[0]
    heights = {g.figures[0].key: g.figures[0].height for g in build_groups(plan, 300, np.random.default_rng(0))}
    assert heights["mouse"] > 1.2 * heights["elephant"]


def test_what_is_held_is_held_and_what_a_drawing_holds_already_is_not_doubled() -> None:
    assert [s.key for s in make_plan("a knight holding a sword and a shield")[0].subjects] == ["knight"]
    plan = make_plan("a girl holding a balloon and a red lantern")[0]
    assert [(r.subject, r.kind, r.target) for r in plan.relations] == [(1, "held", 0), (2, "held", 0)]
    assert len(make_plan("a knight holding a red shield")[0].subjects) == 2


def test_the_colour_of_a_bicycle_is_its_frames() -> None:
    green = Tint("green", colors()["green"])
    plain, tinted = draw("bicycle", 192), draw("bicycle", 192, green)
    changed = np.abs(plain - tinted).max(axis=2) > 0.15
    tyres = (plain[..., 3] > 0.9) & (plain[..., :3].max(axis=2) < 0.4)
    assert changed.mean() > 0.03
    assert float(changed[tyres].mean()) < 0.1


@pytest.mark.parametrize(
    "prompt",
    [
        "a tree on the left and a house on the right",
        "a house on the right, a tree on the left",
        "on the left a tree, on the right a house",
        "a tree on the left side and a house",
        "a tree at the left, a house at the right",
    ],
)
def test_sides_of_the_picture_are_sides_and_no_support(prompt: str) -> None:
    plan, note = make_plan(prompt)
    keys = [subject.key for subject in plan.subjects]
    (relation,) = plan.relations
    assert (keys[relation.subject], relation.kind, keys[relation.target], note) in (
        ("deciduous-tree", "left", "house", ""),
        ("house", "right", "deciduous-tree", ""),
    )


def test_a_side_with_nothing_on_the_other_is_told() -> None:
    assert "dog on the left" in make_plan("a dog on the left")[1]


@pytest.mark.parametrize("prompt", ["the moon", "a full moon", "a wolf howling at the moon"])
def test_a_moon_that_is_named_has_a_sky_to_be_seen_in(prompt: str) -> None:
    plan = make_plan(prompt)[0]
    assert (plan.time, plan.moon, plan.setting == "forest") == ("night", True, False)


def test_black_and_white_is_a_look_of_photos_and_a_colour_of_cows() -> None:
    assert make_plan("a black and white photo of a cow")[0].style == "noir"
    plan, note = make_plan("a black and white cow in a field")
    assert (plan.style, "black and white" in note) == ("default", True)


def test_left_and_right_are_kept() -> None:
    for prompt, first in (
        ("a red cat to the left of a blue dog", "red"),
        ("a red cat to the right of a blue dog", "blue"),
    ):
        picture = np.asarray(
            Image.open(
                io.BytesIO(ENGINE.generate(ImageJob(prompt, 256, 256, seed=2, transparent=True), CancelToken()).data)
            ),
            np.float32,
        )
        solid = picture[..., 3] > 150
        red = solid & (picture[..., 0] > picture[..., 2] + 60)
        blue = solid & (picture[..., 2] > picture[..., 0] + 60)
        middle = float(np.nonzero(red)[1].mean()), float(np.nonzero(blue)[1].mean())
        assert (middle[0] < middle[1]) == (first == "red")


def red_added(wish: str) -> tuple[int, int]:
    """How many separate red things an edit adds side by side, and on how many pixels."""
    result = ENGINE.edit(EditJob(wish, (made("a cat in a meadow").data,), seed=0), CancelToken())
    after = np.asarray(Image.open(io.BytesIO(result.data)).convert("RGB"), np.float32) / 255
    red = (after[..., 0] > 0.6) & (after[..., 1] < 0.25) & (after[..., 2] < 0.3)
    new = red & (np.abs(after - pixels("a cat in a meadow")).max(axis=2) > 0.2)
    columns = new.sum(axis=0) > 8
    return int((columns[1:] & ~columns[:-1]).sum()), int(new.sum())


def test_an_edit_adds_as_many_as_it_says_at_the_place_it_says() -> None:
    assert red_added("add three red balloons above the cat")[0] == 3
    assert red_added("add a red balloon above the cat")[0] == 1
    one, several = red_added("add a red apple next to the cat")[1], red_added("add three red apples next to the cat")[1]
    assert several > 2 * one


def test_a_blurred_background_leaves_the_subjects_of_our_own_picture_sharp() -> None:
    before = made("a cat and a dog in a meadow")
    result = ENGINE.edit(EditJob("blur the background", (before.data,), seed=0), CancelToken())
    after = np.asarray(Image.open(io.BytesIO(result.data)).convert("RGB"), np.float32) / 255
    changed = np.abs(after - pixels("a cat and a dog in a meadow")).max(axis=2)
    without = np.abs(pixels("a cat and a dog in a meadow") - pixels("a meadow")).max(axis=2)
    subjects = without > 0.35
    assert subjects.sum() > 2000
    assert float((changed[subjects] < 0.06).mean()) > 0.8
    assert float((changed[~subjects] > 0.03).mean()) > 0.4
    plain = io.BytesIO()
    Image.open(io.BytesIO(before.data)).convert("RGB").save(plain, "PNG")
    told = ENGINE.edit(EditJob("blur the background", (plain.getvalue(),), seed=0), CancelToken()).note
    assert "does not tell" in told
