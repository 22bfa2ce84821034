"""Words are on the thing that says them, each on its own; what has no room for them is named."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from openpollen.engines.base import CancelToken, ImageJob
from openpollen.engines.scene import SceneEngine
from openpollen.engines.scene.art import draw, known
from openpollen.engines.scene.boards import BOARDS
from openpollen.engines.scene.icons import icons
from openpollen.engines.scene.lettering import onto_board
from openpollen.engines.scene.plan import make_plan
from openpollen.engines.scene.stacking import build_groups

ENGINE = SceneEngine()


def written(prompt: str) -> dict[str, tuple[str, ...]]:
    return {s.key: s.texts for s in make_plan(prompt)[0].subjects if s.texts}


@pytest.mark.parametrize(
    ("prompt", "key"),
    [
        ('a neon sign that says "BAR"', "neon-sign"),
        ('a bus that says "BAR"', "bus"),
        ('a t-shirt with the text "BAR"', "t-shirt"),
        ('a mug that says "BAR"', "mug"),
        ('a book with the title "BAR"', "closed-book"),
        ("a book titled «BAR» on a table", "closed-book"),
        ('a dog holding a sign that says "BAR" in a park', "sign"),
        ('a sign next to a cat that says "BAR"', "sign"),
        ('the word "BAR" on a sign', "sign"),
        ('a "BAR" sign in a street', "sign"),
        ("a sign that says BAR", "sign"),
        ("a sign that says bar next to a house", "sign"),
    ],
)
def test_words_are_on_the_thing_that_says_them(prompt: str, key: str) -> None:
    plan, note = make_plan(prompt)
    assert {k: t[0].upper() for k, t in written(prompt).items()} == {key: "BAR"}
    assert (plan.text, note) == ("", "")


def test_each_sign_has_its_own_words() -> None:
    plan, note = make_plan('a sign that says "LEFT" and a sign that says "RIGHT"')
    assert [s.texts for s in plan.subjects] == [("LEFT",), ("RIGHT",)]
    assert note == ""
    assert written('two signs that say "A" and "B"') == {"sign": ("A", "B")}
    assert written('two signs that say "A"') == {"sign": ("A",)}
    unquoted = make_plan("a sign that says LEFT and a sign that says RIGHT")[0]
    assert [s.texts for s in unquoted.subjects] == [("LEFT",), ("RIGHT",)]


def test_two_mugs_have_two_texts_and_stand_on_their_table() -> None:
    plan, note = make_plan('two mugs that say "HIS" and "HERS" on a table')
    assert (plan.subjects[0].texts, plan.text, note) == (("HIS", "HERS"), "", "")
    assert [(r.subject, r.kind, r.target) for r in plan.relations] == [(0, "on", 1)]


def test_what_has_no_room_for_words_is_named() -> None:
    plan, note = make_plan('a car that says "TAXI"')
    assert plan.text == "TAXI"
    assert "not on: car" in note
    assert make_plan('a beach "Hello"')[1] == ""


def test_words_named_beside_things_are_a_title_and_not_on_them() -> None:
    assert make_plan('a birthday card with balloons and the text "Happy Birthday"')[0].text == "Happy Birthday"
    assert make_plan('a cake and the words "For you"')[0].text == "For you"


@pytest.mark.parametrize("key", sorted(BOARDS))
def test_every_board_is_a_drawing_and_takes_ink(key: str) -> None:
    assert known(key) or key in icons()
    plain = draw(key, 200)
    lettered = onto_board(plain, key, "HELLO")
    x0, y0, x1, y1 = BOARDS[key].area
    h, w = plain.shape[:2]
    changed = np.abs(lettered - plain).max(axis=2) > 0.2
    room = np.zeros_like(changed)
    room[int(y0 * h) : int(y1 * h), int(x0 * w) : int(x1 * w)] = True
    assert float(changed[room].mean()) > 0.04
    assert not changed[~room].any()
    mirrored = onto_board(plain[:, ::-1], key, "HELLO", flipped=True)
    assert not np.allclose(mirrored[:, ::-1], lettered, atol=0.05), "letters are not mirrored with what they are on"


def test_a_long_text_is_wrapped_on_a_larger_sign_and_cut_between_words() -> None:
    text = "The quick brown fox jumps over the lazy dog and runs away from the farmhouse"
    plan, note = make_plan(f'a sign that says "{text}"')
    assert (plan.subjects[0].texts, note) == ((text,), "")
    assert plan.subjects[0].size > 1.3
    plan, note = make_plan(f'a sign that says "{text} and over all the hills to the sea"')
    kept = plan.subjects[0].texts[0]
    assert f"{text} and over all the hills to the sea".startswith(kept + " ")
    assert f"“{(text + ' and over all the hills to the sea')[len(kept) + 1 :]}”" in note


def test_letters_are_seen_on_a_bus() -> None:
    def drawn(prompt: str) -> Any:
        data = ENGINE.generate(ImageJob(prompt, 384, 288, seed=3, transparent=True), CancelToken()).data
        return np.asarray(Image.open(io.BytesIO(data)), np.float32)

    changed = np.abs(drawn("a bus") - drawn('a bus that says "SCHOOL"')).max(axis=2) > 60
    rows = np.flatnonzero(changed.any(axis=1))
    assert changed.sum() > 150
    assert rows.min() > 288 * 0.3, "the words are on the bus, not over it"


@pytest.mark.parametrize(
    ("prompt", "larger", "smaller"),
    [
        ("a giant mouse beside a small elephant", "mouse", "elephant"),
        ("a giant cat and a horse", "cat", "horse"),
        ("a huge snail next to a tiny house", "snail", "house"),
        ("a tiny elephant and a dog", "dog", "elephant"),
    ],
)
def test_sizes_are_clearly_drawn_as_they_are_called(prompt: str, larger: str, smaller: str) -> None:
    plan, note = make_plan(prompt)
    heights = {g.figures[0].key: g.figures[0].height for g in build_groups(plan, 300, np.random.default_rng(0))}
    assert heights[larger] > 1.25 * heights[smaller]
    assert note == ""


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("a woman reading on a bench", "reading"),
        ("a man sitting on a chair", "sitting"),
        ("a cat with no tail", "tail"),
        ("a bird on a roof", "roof"),
    ],
)
def test_poses_and_parts_that_are_not_drawn_are_named(prompt: str, told: str) -> None:
    assert told in make_plan(prompt)[1]


def test_an_owl_sits_on_its_branch() -> None:
    plan, note = make_plan("an owl on a branch")
    assert ([s.key for s in plan.subjects], note) == (["owl", "branch"], "")
    assert [(r.subject, r.kind, r.target) for r in plan.relations] == [(0, "on", 1)]
    group = build_groups(plan, 300, np.random.default_rng(0))[0]
    owl, branch = (next(f for f in group.figures if f.key == key) for key in ("owl", "branch"))
    assert branch.y + 0.5 * branch.height < owl.y < branch.y + 0.7 * branch.height


def test_a_cat_is_on_top_of_its_books() -> None:
    plan, note = make_plan("a cat on top of a pile of books")
    assert note == ""
    group = build_groups(plan, 300, np.random.default_rng(0))[0]
    cat, books = (next(f for f in group.figures if f.key == key) for key in ("cat", "books"))
    assert cat.y > books.y + 0.25 * books.height
