"""Whether a picture can be opened at all: a file may begin like one and be none."""

from __future__ import annotations

import io

#: What a JPEG is decoded to at most, in pixels of a side: its damage shows at any size, and small is quick.
_SMALL = (64, 64)


def opens(data: bytes) -> bool:
    """Whether a picture can be decoded to its end. Takes as long as that: not for the event loop."""
    from PIL import Image, features

    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.draft(None, _SMALL)
            picture.load()
    except Image.DecompressionBombError:
        return True  # more pixels than are decoded here: its head is all that is looked at
    except Image.UnidentifiedImageError:
        return data[4:8] == b"ftyp" and not features.check("avif")
    except Exception:  # what damaged files do to decoders is listed nowhere
        return False
    return True
