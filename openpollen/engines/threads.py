"""How many threads an engine may use."""

from __future__ import annotations

import os


def engine_threads() -> int:
    """``OPENPOLLEN_ENGINE_THREADS``, else half the cores: taking all of them stalls the gateway and the model too."""
    given = os.environ.get("OPENPOLLEN_ENGINE_THREADS", "")
    return int(given) if given.isdecimal() and int(given) > 0 else max(1, (os.cpu_count() or 1) // 2)
