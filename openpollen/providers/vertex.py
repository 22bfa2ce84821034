"""Where Vertex AI answers: each location has a host of its own.

Source: https://cloud.google.com/vertex-ai/docs/general/locations
"""

from __future__ import annotations

import re

_AT = re.compile(r"https://aiplatform\.googleapis\.com(/.*/locations/([a-z0-9-]+)/.*)")
#: Locations that span regions.
_WIDE = frozenset({"us", "eu"})


def regional(base_url: str) -> str:
    """``base_url`` at the host of the location in it; as it is for ``global``, and where another host is named."""
    found = _AT.match(base_url)
    if found is None or found[2] == "global":
        return base_url
    host = f"aiplatform.{found[2]}.rep" if found[2] in _WIDE else f"{found[2]}-aiplatform"
    return f"https://{host}.googleapis.com{found[1]}"
