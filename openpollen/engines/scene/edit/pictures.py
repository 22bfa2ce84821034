"""Pictures that come in and go out: decoded upright, checked, with their transparency apart."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from openpollen.core.errors import BadRequest

from ..paint import f32
from ..types import Array

MAX_PIXELS = 40_000_000
WORK_PIXELS = 6_000_000  # larger pictures are worked on at this size and brought back afterwards


@dataclass(frozen=True)
class Picture:
    """An RGB image, 0..1, and its coverage `alpha` (h x w) when it has one. Colours are not premultiplied."""

    rgb: Array
    alpha: Array | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.rgb.shape[1], self.rgb.shape[0]

    def with_rgb(self, rgb: Array) -> Picture:
        """The same transparency over other colours."""
        return replace(self, rgb=f32(np.clip(rgb, 0, 1)))

    def pixels(self) -> Array:
        """Colours and, where there is one, straight alpha in one array."""
        return self.rgb if self.alpha is None else np.concatenate([self.rgb, self.alpha[..., None]], axis=2)


def opened(data: bytes, what: str) -> Image.Image:
    """A decoded image turned upright; BadRequest in words when it is broken, empty or too large."""
    if not data:
        raise BadRequest(f"{what} is empty; send the bytes of a PNG, JPEG or WebP file")
    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > MAX_PIXELS:
            raise BadRequest(
                f"{what} has {image.width} x {image.height} pixels; the most is {MAX_PIXELS // 1_000_000} megapixels. "
                "Send a smaller picture."
            )
        image.load()
        return ImageOps.exif_transpose(image)
    except Image.DecompressionBombError as error:
        most = MAX_PIXELS // 1_000_000
        raise BadRequest(
            f"{what} has far more than {most} megapixels, the most there can be. Send a smaller picture."
        ) from error
    except UnidentifiedImageError as error:
        raise BadRequest(f"{what} is not an image this server can read; send PNG, JPEG or WebP") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise BadRequest(f"{what} is damaged or incomplete and cannot be decoded; export it again") from error


def decode(data: bytes, what: str = "The image") -> Picture:
    """The picture in a file."""
    image = opened(data, what)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        pixels = np.asarray(image.convert("RGBA"), dtype=np.float32) / 255
        return Picture(f32(pixels[..., :3]), f32(pixels[..., 3]))
    return Picture(f32(np.asarray(image.convert("RGB"), dtype=np.float32) / 255))


def decode_mask(data: bytes, size: tuple[int, int]) -> Array:
    """Where a picture of this size may change: 1 where the mask is transparent, 0 where it is opaque.

    A mask without transparency is read by brightness instead: white may change.
    """
    image = opened(data, "The mask")
    if (image.width, image.height) != size:
        raise BadRequest(
            f"The mask is {image.width} x {image.height} and the image {size[0]} x {size[1]}; they must be the same size"
        )
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        may = 1 - f32(np.asarray(image.convert("RGBA"), dtype=np.float32)[..., 3] / 255)
    else:
        may = f32(np.asarray(image.convert("L"), dtype=np.float32) / 255)
    if float(may.max()) < 0.02:
        raise BadRequest("The mask lets nothing change; make the part to edit transparent")
    return may


def resized(picture: Picture, width: int, height: int) -> Picture:
    """The picture at another size, with Lanczos resampling."""

    def plane(field: Array) -> Array:
        image = Image.fromarray(np.ascontiguousarray(field))
        return f32(np.clip(np.asarray(image.resize((width, height), Image.Resampling.LANCZOS)), 0, 1))

    if picture.size == (width, height):
        return picture
    rgb = np.stack([plane(picture.rgb[..., c]) for c in range(3)], axis=2)
    return Picture(f32(rgb), None if picture.alpha is None else plane(picture.alpha))


def working_size(picture: Picture) -> Picture:
    """The picture, made smaller when it is too large to work on."""
    width, height = picture.size
    if width * height <= WORK_PIXELS:
        return picture
    k = (WORK_PIXELS / (width * height)) ** 0.5
    return resized(picture, max(1, int(width * k)), max(1, int(height * k)))
