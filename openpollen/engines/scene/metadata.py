"""Writing pictures to PNG and JPEG, with how they were made told in the file."""

from __future__ import annotations

import io
import re
from importlib.metadata import version

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from .types import Array

_EXIF_DESCRIPTION, _EXIF_SOFTWARE, _EXIF_COMMENT = 0x010E, 0x0131, 0x9C9C  # the last is UCS-2, for any script
_COMMENT = re.compile(r"prompt: (?P<prompt>.*)\nseed: (?P<seed>\d+)\nengine: (?P<engine>.*)\nsoftware: .*", re.DOTALL)
PNG_LEVEL = 2  # zlib; 4 takes twice the time for 4 % less


def facts(prompt: str, seed: int, engine: str) -> dict[str, str]:
    """What a picture's file says about it: prompt, seed, engine, and this program with its version."""
    return {"prompt": prompt, "seed": str(seed), "engine": engine, "software": f"OpenPollen {version('openpollen')}"}


def told_by(image: Image.Image) -> dict[str, str] | None:
    """What `encode` wrote into a file that was opened again; None when it says nothing of prompt, seed and engine."""
    comment = image.getexif().get(_EXIF_COMMENT)
    if isinstance(comment, bytes):
        said = _COMMENT.fullmatch(comment.decode("utf-16-le", "replace").rstrip("\0"))
        return said.groupdict() if said else None
    told = {name: image.info.get(name) for name in ("prompt", "seed", "engine")}
    return {name: str(text) for name, text in told.items()} if all(told.values()) else None


def encode(pixels: Array, output_format: str, told: dict[str, str] | None) -> tuple[bytes, str]:
    """`pixels` (h x w x 3, or x 4 with straight alpha; 0..1) as file bytes and their media type."""
    data = (np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8)
    image = Image.fromarray(data)
    out = io.BytesIO()
    if output_format == "jpeg":
        image.convert("RGB").save(out, "JPEG", quality=92, subsampling=0, exif=_exif(told) if told else b"")
        return out.getvalue(), "image/jpeg"
    info = PngInfo()
    for name, text in (told or {}).items():
        info.add_itxt(name, text)
    image.save(out, "PNG", compress_level=PNG_LEVEL, pnginfo=info)
    return out.getvalue(), "image/png"


def _exif(told: dict[str, str]) -> bytes:
    exif = Image.Exif()
    prompt = told["prompt"][:8000]  # an EXIF block holds 64 KiB
    exif[_EXIF_DESCRIPTION] = prompt.encode("ascii", "replace").decode()
    exif[_EXIF_SOFTWARE] = told["software"]
    comment = f"prompt: {prompt}\nseed: {told['seed']}\nengine: {told['engine']}\nsoftware: {told['software']}"
    exif[_EXIF_COMMENT] = comment.encode("utf-16-le")
    return exif.tobytes()
