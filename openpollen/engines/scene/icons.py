"""The vendored pack of drawings: SVG bodies on a 32 x 32 canvas, their emoji, kind and names. Built by tools/build_icons.py."""

from __future__ import annotations

import json
import threading
import zipfile
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

PACK = Path(__file__).resolve().parent.parent / "assets" / "icons" / "icons.zip"
_lock = threading.Lock()  # a ZipFile has one file position


@dataclass(frozen=True)
class Icon:
    """One drawing. `group` is the Unicode subgroup of its emoji, such as "animal-bird"."""

    key: str
    emoji: str
    group: str


@cache
def _pack() -> zipfile.ZipFile:
    return zipfile.ZipFile(PACK)


@cache
def icons() -> dict[str, Icon]:
    """Every drawing of the pack by its id."""
    with _lock:
        index: dict[str, list[str]] = json.loads(_pack().read("index.json"))
    return {key: Icon(key, emoji, group) for key, (emoji, group) in index.items()}


@cache
def labels() -> dict[str, dict[str, str]]:
    """Language -> drawing id -> name in that language."""
    with _lock:
        return json.loads(_pack().read("labels.json"))


@lru_cache(maxsize=64)
def body(key: str) -> str:
    """The inside of the drawing's `svg` element."""
    with _lock:
        return _pack().read(key).decode()


@cache
def by_emoji() -> dict[str, str]:
    """Emoji, without variation selectors and skin tones, -> drawing id."""
    return {bare_emoji(icon.emoji): key for key, icon in icons().items() if icon.emoji}


def bare_emoji(text: str) -> str:
    """`text` without variation selectors and skin-tone modifiers."""
    return "".join(c for c in text if c != "\ufe0f" and not "\U0001f3fb" <= c <= "\U0001f3ff")
