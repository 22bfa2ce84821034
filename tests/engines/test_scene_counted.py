"""Counts, rows, shares in a colour of their own, words in a colour, and what goes from one to another."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image

from openpollen.engines.base import CancelToken, EditJob, ImageJob
from openpollen.engines.scene import SceneEngine
from openpollen.engines.scene.plan import make_plan
from openpollen.engines.scene.stacking import build_groups

ENGINE = SceneEngine()
SIDE = 256


@cache
def drawn(prompt: str) -> bytes:
    return ENGINE.generate(ImageJob(prompt, SIDE, SIDE, seed=3), CancelToken()).data


def pixels(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float32) / 255


def shown(prompt: str) -> list[tuple[int, str, str]]:
    """Count, drawing and colour of every subject; nothing is left to tell."""
    plan, note = make_plan(prompt)
    assert note == ""
    return [(s.count, s.key, s.tint.name if s.tint else "") for s in plan.subjects]


@pytest.mark.parametrize(
    ("prompt", "subjects"),
    [
        ("zero dogs", []),
        ("0 dogs and 2 cats", [(2, "cat", "")]),
        ("no cats and two dogs", [(2, "dog", "")]),
        ("without two cats and three dogs", []),
        ("five cats, one of them orange", [(4, "cat", ""), (1, "cat", "orange")]),
        ("five cats, one of them is orange", [(4, "cat", ""), (1, "cat", "orange")]),
        ("four cats, two green and two red", [(2, "cat", "red"), (2, "cat", "green")]),
        ("two cats, one black and one white", [(1, "cat", "white"), (1, "cat", "black")]),
        ("five cats and two oranges", [(5, "cat", ""), (2, "tangerine", "")]),
        ("five cats and one orange", [(5, "cat", ""), (1, "tangerine", "")]),
    ],
)
def test_every_count_is_that_of_its_thing(prompt: str, subjects: list[tuple[int, str, str]]) -> None:
    assert shown(prompt) == subjects


@pytest.mark.parametrize("prompt", ["nine ducks in a row", "a row of nine ducks", "nine ducks lined up"])
def test_a_row_is_one_row(prompt: str) -> None:
    plan, note = make_plan(prompt)
    (group,) = build_groups(plan, 100.0, np.random.default_rng(1))
    assert note == ""
    assert len(group.figures) == 9
    assert {figure.y for figure in group.figures} == {0.0}
    steps = np.diff([figure.x for figure in group.figures])
    assert steps.min() >= group.figures[0].width


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("a boy kicks a ball to a girl", "kicks"),
        ("a girl throwing a ball to a dog", "throwing"),
        ("a man gives a book to a child", "gives"),
    ],
)
def test_what_is_handed_over_lies_between_the_two(prompt: str, kind: str) -> None:
    plan, note = make_plan(prompt)
    assert {(r.subject, r.kind, r.target) for r in plan.relations} == {(0, "facing", 2), (1, "between", 2)}
    assert kind in note


def test_what_is_fought_over_may_be_alive() -> None:
    plan, _ = make_plan("two cats fighting over a fish")
    assert plan.setting == "meadow"
    assert (1, "between", 0) in {(r.subject, r.kind, r.target) for r in plan.relations}


@pytest.mark.parametrize(
    ("prompt", "side"),
    [
        ("a tree left of the moon", 1),
        ("a cat to the right of the moon", -1),
        ("the moon to the left of a castle", -1),
        ("the sun to the right of a tree", 1),
    ],
)
def test_sun_and_moon_stand_on_the_side_that_was_asked_for(prompt: str, side: int) -> None:
    picture = pixels(drawn(prompt))[: SIDE // 2]
    bright = np.argwhere(picture.min(axis=2) > 0.88)
    where = float(np.median(bright[:, 1])) / SIDE - 0.5
    assert np.sign(where) == side


def test_a_place_that_nothing_can_stand_left_of_is_told() -> None:
    assert "left of forest" in make_plan("a cat left of the forest")[1]


@pytest.mark.parametrize("prompt", ['"HELLO" in red letters', 'red letters "HELLO"', 'the text "HELLO" in red'])
def test_words_in_a_colour_are_in_that_colour(prompt: str) -> None:
    plan, note = make_plan(prompt)
    assert (plan.subjects, plan.text, note) == ((), "HELLO", "")
    title = pixels(drawn(prompt))[: SIDE // 4]
    assert np.count_nonzero((title[..., 0] > 0.6) & (title[..., 1] < 0.3) & (title[..., 2] < 0.35)) > 300


def test_words_on_a_sign_are_in_their_own_colour_too() -> None:
    plain, blue = (pixels(drawn(f'a sign that says "OPEN"{ink}')) for ink in ("", " in blue letters"))
    assert np.count_nonzero(np.abs(plain - blue).max(axis=2) > 0.2) > 100
    assert make_plan('a red "OPEN" sign')[0].subjects[0].tint is not None


def test_summer_is_no_hour() -> None:
    plan, note = make_plan("summer rain at night")
    assert (plan.time, plan.weather, note) == ("night", "rain", "")


@pytest.mark.parametrize(
    ("instruction", "told"), [("make it night", "relit for night"), ("make it rain", "weather: rain")]
)
def test_the_hour_of_a_room_is_seen_through_its_window(instruction: str, told: str) -> None:
    """The wall stays a wall: neither stars nor rain are painted on it."""
    room = drawn("a cat in a living room")
    made = ENGINE.edit(EditJob(instruction, (room,), seed=1), CancelToken())
    asked = drawn(f"a cat in a living room {'at night' if 'night' in instruction else 'in the rain'}")
    assert told in made.note.lower()
    assert "window" in made.note
    assert float(np.abs(pixels(made.data) - pixels(asked)).mean()) < 0.01


def test_what_comes_after_but_is_done_too() -> None:
    meadow = drawn("a dog in a meadow")
    dark, kept = (
        ENGINE.edit(EditJob(words, (meadow,), seed=1), CancelToken())
        for words in ("make it night", "make it night but keep it bright")
    )
    assert pixels(kept.data).mean() > pixels(dark.data).mean() + 0.05
    told = ENGINE.edit(EditJob("make it night but leave the dog as it is", (meadow,), seed=1), CancelToken()).note
    assert "not used: leave the dog" in told
