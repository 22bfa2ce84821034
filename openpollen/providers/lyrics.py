"""The words of a song inside its prompt, as ACE-Step's wires want them apart. Pure."""

from __future__ import annotations

import re

#: What stands for a song without voices.
WORDLESS = "[inst]"
_PART = re.compile(r"^[ \t]*\[[^\]\n]+\]", re.M)


def split(prompt: str) -> tuple[str, str]:
    """What a song is like, and its words: the lines from the first one in brackets on, such as ``[Verse 1]``; none without."""
    found = _PART.search(prompt)
    return (prompt, "") if found is None else (prompt[: found.start()].strip(), prompt[found.start() :].strip())
