"""Words in quotes in any script: lettered with real glyphs, or told where no font has them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from openpollen.core.errors import UnprocessableEntity
from openpollen.engines.base import CancelToken, EditJob, ImageJob, ImageMade
from openpollen.engines.scene import SceneEngine, lettering
from openpollen.engines.scene.plan import make_plan

ENGINE = SceneEngine()


def made(prompt: str) -> ImageMade:
    return ENGINE.generate(ImageJob(prompt, 256, 192, seed=3), CancelToken())


def pixels(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float32)


@pytest.mark.parametrize(
    "words",
    [
        "Grüße",
        "Déjà vu",
        "São João",
        "Привет",
        "Ωραία",
        "Zażółć",
        "你好世界",
        "こんにちは",
        "안녕하세요",
        "שלום",
        "مرحبا",
    ],
)
def test_every_letter_has_a_shape_of_its_own(words: str) -> None:
    plan, note = make_plan(f'a beach "{words}"')
    assert (plan.text, note) == (words, "")
    shapes = {lettering.mask(letter, 64, 64).tobytes() for letter in set(words) - {" "}}
    assert len(shapes) == len(set(words) - {" "}), "no letter is drawn as the same box as another"
    assert float(lettering.mask(words, 200, 60).sum()) > 50


@pytest.mark.parametrize("marks", ["「{}」", "『{}』", "«{}»", "»{}«", "„{}“", "„{}”", "“{}”", '"{}"', "＂{}＂"])
def test_quotation_marks_of_many_languages_are_known(marks: str) -> None:
    plan, _ = make_plan(f"a sign {marks.format('Guten Tag')} in a meadow")
    assert plan.subjects[0].texts == ("Guten Tag",)
    picture = pixels(made("a cat in a meadow").data)
    edit = EditJob(f"write {marks.format('Guten Tag')} at the top", (made("a cat in a meadow").data,), seed=1)
    result = ENGINE.edit(edit, CancelToken())
    assert "“Guten Tag”" in result.note
    assert float(np.abs(pixels(result.data) - picture).max()) > 60


def test_what_no_font_has_is_told_and_the_rest_is_lettered() -> None:
    plan, note = make_plan('a forest "नमस्ते world"')
    assert plan.text == "world"
    assert "could not letter: “नमस्ते”" in note
    assert "could not letter" in made('a sign that says "สวัสดี"').note
    long = make_plan('a beach "' + "word " * 30 + '"')
    assert len(long[0].text) <= 100
    assert "could not letter" in long[1]


def test_an_edit_that_could_letter_nothing_is_refused_with_the_reason() -> None:
    with pytest.raises(UnprocessableEntity) as refused:
        ENGINE.edit(EditJob('add the text "नमस्ते"', (made("a cat").data,), seed=1), CancelToken())
    assert refused.value.reason == "cannot_letter"
    note = ENGINE.edit(EditJob('add the text "नमस्ते Anna"', (made("a cat").data,), seed=1), CancelToken()).note
    assert "ettered “Anna”" in note
    assert "could not letter: “नमस्ते”" in note
