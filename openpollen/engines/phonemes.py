"""English text to pieces of phonemes, each short enough for the speech models and with the pause that follows it.

Reading (numbers, dates, abbreviations, unknown words) is hibari's, in American or British English. Other languages in
Latin letters are read by English rules as well as they go; a text that is mostly in other letters is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from openpollen.core.errors import BadRequest

#: The most phonemes spoken in one go, about 13 seconds. The models take 510; memory grows with the length.
PIECE_PHONEMES = 200

_SENTENCE_PAUSE, _PARAGRAPH_PAUSE, _CLAUSE_PAUSE = 0.28, 0.55, 0.12

_PARAGRAPH = re.compile(r"\n\s*\n")
_CLAUSE = re.compile(r"(?<=[,;:—…])\s+")
_LONG_NUMBER = re.compile(r"\d{16,}")
_LONG_WORD = re.compile(r"\S{41,}")
_SOUNDLESS = frozenset(' ;:,.!?—…"()“”ˈˌː')
_MOST_FOREIGN = 0.1


@dataclass(frozen=True)
class Piece:
    """Phonemes in misaki's alphabet, and the silence after them in seconds."""

    phonemes: str
    pause: float


def pieces(text: str, british: bool) -> Iterator[Piece]:
    """``text`` piece by piece, sentence after sentence. Raises BadRequest where there is nothing to speak."""
    check_english(text)
    read = _reader(british)
    silent = True
    for paragraph in _PARAGRAPH.split(_readable(text)):
        sentences = _sentences(paragraph)
        for index, sentence in enumerate(sentences):
            parts = [part for part in _split(read(sentence)) if _sounds(part)]
            silent = silent and not parts
            last = _SENTENCE_PAUSE if index + 1 < len(sentences) else _PARAGRAPH_PAUSE
            for place, part in enumerate(parts, start=1):
                yield Piece(part, _CLAUSE_PAUSE if place < len(parts) else last)
    if silent:
        raise BadRequest("There is nothing in the text that can be spoken: it has no words or numbers. Send some.")


def check_english(text: str) -> None:
    """Raise BadRequest when more than a tenth of the letters are not Latin; up to that they are passed over."""
    letters = [char for char in text if char.isalpha()]
    foreign = [char for char in letters if not _is_latin(char)]
    if len(foreign) > _MOST_FOREIGN * len(letters):
        raise BadRequest(
            "The local voices speak English only, and much of this text is in other letters "
            f"({''.join(foreign[:8])}). Send English, or Latin letters to be read as English."
        )


@cache
def _is_latin(char: str) -> bool:
    return unicodedata.name(unicodedata.normalize("NFKC", char)[0], "").startswith("LATIN")


def _readable(text: str) -> str:
    """Without letters that no rule reads; long numbers digit by digit; endless words broken, which the reader needs.

    To hibari ``[word](/x/)`` says that the word is pronounced x; here it is a link.
    """
    text = "".join(" " if char.isalpha() and not _is_latin(char) else char for char in text).replace("](/", "]( /")
    text = _LONG_NUMBER.sub(lambda match: " ".join(match[0]), text)
    return _LONG_WORD.sub(lambda match: " ".join(_chunks(match[0], 40)), text)


def _split(phonemes: str) -> Iterator[str]:
    """Parts of at most ``PIECE_PHONEMES``: at clauses, where one is too long at words, and else anywhere."""
    if len(phonemes) <= PIECE_PHONEMES:
        yield phonemes
        return
    held = ""
    for clause in _CLAUSE.split(phonemes):
        for word in [clause] if len(clause) <= PIECE_PHONEMES else _words(clause):
            if held and len(held) + 1 + len(word) > PIECE_PHONEMES:
                yield held
                held = word
            else:
                held = f"{held} {word}" if held else word
    if held:
        yield held


def _words(clause: str) -> Iterator[str]:
    for word in clause.split():
        yield from _chunks(word, PIECE_PHONEMES)


def _chunks(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def _sounds(phonemes: str) -> bool:
    return any(symbol not in _SOUNDLESS for symbol in phonemes)


def _sentences(paragraph: str) -> list[str]:
    import hibari

    reader: Any = hibari.Hibari  # untyped
    return reader.split_sentences(paragraph)


def forget_readers() -> None:
    """Give back the memory of the lexicons; the next text loads the one it needs again."""
    _reader.cache_clear()


@cache
def _reader(british: bool) -> Callable[[str], str]:
    """hibari's reader of one accent; its lexicons take a third of a second to load."""
    from hibari.g2p import G2P

    return G2P(british=british)
