"""The still picture of a film: its first frame as WebP, as OpenAI's ``variant=thumbnail`` has it."""

from __future__ import annotations

import importlib
import io
from typing import Any

from openpollen.core.errors import UnprocessableEntity

MIME = "image/webp"
_QUALITY = 80


def first_frame(film: bytes) -> bytes:
    """The first frame of a film, in the film's size. Raises UnprocessableEntity for a file without one."""
    av: Any = importlib.import_module("av")
    try:
        with av.open(io.BytesIO(film)) as container:
            picture: Any = next(container.decode(video=0)).to_image()
    except (av.FFmpegError, StopIteration, IndexError):
        raise UnprocessableEntity("The file has no picture to show as a thumbnail; get it without variant.") from None
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=_QUALITY)
    return out.getvalue()
