"""Where Vertex AI answers: each location has a host of its own.

Source: https://cloud.google.com/vertex-ai/docs/general/locations
"""

from __future__ import annotations

import re

_AT = re.compile(r"https://aiplatform\.googleapis\.com(/.*/locations/)([a-z0-9-]+)(/.*)")
#: Locations that span regions.
_WIDE = frozenset({"us", "eu"})
#: Films have no global endpoint (https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations).
_FILMS = "us-central1"


def regional(base_url: str, *, films: bool = False) -> str:
    """``base_url`` at the host of the location in it; as it is for ``global``, and where another host is named."""
    found = _AT.fullmatch(base_url)
    if found is None:
        return base_url
    location = _FILMS if films and found[2] == "global" else found[2]
    if location == "global":
        return base_url
    host = f"aiplatform.{location}.rep" if location in _WIDE else f"{location}-aiplatform"
    return f"https://{host}.googleapis.com{found[1]}{location}{found[3]}"
