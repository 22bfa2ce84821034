"""Vectors of names on disk, and words in scripts without spaces, through the matcher that the scene engine uses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openpollen.engines.scene.match import LetterGroups, NearestName, words_in
from openpollen.engines.scene.vectors import kept

NAMES = ["cat", "elephant", "castle", "telephone"]


class Counted:
    """Letter groups that count how often they are asked for many."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, names: Sequence[str]) -> Any:
        self.calls += 1
        return LetterGroups().encode(names)


def test_vectors_are_made_once_and_read_afterwards(tmp_path: Path) -> None:
    make = Counted()
    first = kept(tmp_path / "names", "letters 1", NAMES, make)
    again = kept(tmp_path / "names", "letters 1", NAMES, make)
    assert make.calls == 1
    assert np.array_equal(first, again)
    assert len(list((tmp_path / "names").iterdir())) == 1, "nothing is left beside the file"


def test_another_model_or_other_names_are_made_anew(tmp_path: Path) -> None:
    make = Counted()
    for model, names in (("letters 1", NAMES), ("letters 2", NAMES), ("letters 1", NAMES[:3])):
        assert len(kept(tmp_path, model, names, make)) == len(names)
    assert make.calls == 3
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("damage", [b"", b"not an array", "half", "zeros", "rows"])
def test_a_broken_file_is_made_again(tmp_path: Path, damage: Any) -> None:
    make = Counted()
    whole = kept(tmp_path, "letters 1", NAMES, make)
    (path,) = tmp_path.iterdir()
    if damage == "half":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif isinstance(damage, bytes):
        path.write_bytes(damage)
    else:
        with path.open("wb") as file:
            np.save(file, np.zeros_like(whole) if damage == "zeros" else whole[:2])
    assert np.array_equal(kept(tmp_path, "letters 1", NAMES, make), whole)
    assert make.calls == 2
    kept(tmp_path, "letters 1", NAMES, make)
    assert make.calls == 2, "and is whole now"


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert len(kept(tmp_path / "file" / "names", "letters 1", NAMES, Counted())) == len(NAMES)


def test_words_are_found_in_a_run_without_spaces() -> None:
    names = {"猫": "cat", "机器人": "robot", "城堡": "castle"}
    matcher = NearestName(LetterGroups(), names, 0.9, 0.1)
    assert words_in("一只猫在城堡", matcher) == ["一只", "猫", "在", "城堡"]
    assert words_in("机器人", matcher) == ["机器人"]
    assert words_in("月亮", matcher) == []
    assert words_in("castle", matcher) == [], "has its spaces"


def test_looking_up_many_at_once_answers_like_one_by_one() -> None:
    names = {"elephant": "elephant", "telephone": "telephone", "castle": "castle"}
    words = ["elephants", "castel", "xylophone", "telefone"]
    one, many = (NearestName(LetterGroups(), names, 0.5, 0.1) for _ in range(2))
    many.learn(words)
    assert [one.closest(w) for w in words] == [many.closest(w) for w in words]
