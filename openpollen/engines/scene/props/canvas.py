"""A drawing board for props: dabs, tapering limbs and blades in PIL at double size, and SVG for built things."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ..paint import f32
from ..svg import rendered
from ..types import Array, Rgb

Point = tuple[float, float]
_MAX = 1400  # pixels a board is high at most; larger props are enlarged from it


class Board:
    """A canvas `aspect` wide and 1 high (units), drawn `oversample` times as large and handed out as premultiplied RGBA."""

    def __init__(self, height: int, aspect: float = 1.0, oversample: int = 2) -> None:
        self.rows = max(4, min(height, _MAX))
        self.unit = self.rows * oversample
        self.image = Image.new("RGBA", (max(4, round(self.unit * aspect)), self.unit), (0, 0, 0, 0))
        self.draw = ImageDraw.Draw(self.image)

    def dabs(self, x: Array, y: Array, rx: Array, ry: Array, colors: Array) -> None:
        """Ellipses in the order given; positions and radii in units, colours n x 3."""
        k = self.unit
        boxes = np.stack([(x - rx) * k, (y - ry) * k, (x + rx) * k, (y + ry) * k], axis=1).tolist()
        fills = (np.clip(colors, 0, 1) * 255).astype(int).tolist()
        ellipse = self.draw.ellipse
        for box, color in zip(boxes, fills, strict=True):
            ellipse(box, fill=(color[0], color[1], color[2], 255))

    def polygon(self, points: Sequence[Point], color: Rgb) -> None:
        k = self.unit
        self.draw.polygon([(px * k, py * k) for px, py in points], fill=_fill(color))

    def limb(self, points: Sequence[Point], widths: Sequence[float], dark: Rgb, light: Rgb, side: float) -> None:
        """A tapering limb along `points`, lit from `side` (-1 left, 1 right)."""
        k = self.unit
        for strip in range(4):
            t = strip / 3
            color = tuple(a + (b - a) * t for a, b in zip(dark, light, strict=True))
            shift = side * t * 0.34
            for (x0, y0), (x1, y1), w0, w1 in zip(points, points[1:], widths, widths[1:], strict=False):
                width = max(1.0, (w0 + w1) / 2 * k * (1 - 0.62 * t))
                sx = shift * (w0 + w1) / 2
                self.draw.line(
                    [((x0 + sx) * k, y0 * k), ((x1 + sx) * k, y1 * k)], fill=_fill(color), width=max(1, round(width))
                )
                r = width / 2
                self.draw.ellipse([(x1 + sx) * k - r, y1 * k - r, (x1 + sx) * k + r, y1 * k + r], fill=_fill(color))

    def stroke(self, points: Sequence[Point], width: float, color: Rgb) -> None:
        k = self.unit
        flat = [(px * k, py * k) for px, py in points]
        self.draw.line(flat, fill=_fill(color), width=max(1, round(width * k)), joint="curve")

    def done(self, height: int) -> Array:
        """What was drawn, `height` rows high, premultiplied."""
        width = max(1, round(self.image.width * height / self.image.height))
        plain = Image.frombuffer("RGBX", self.image.size, self.image.tobytes(), "raw", "RGBX", 0, 1)
        method = Image.Resampling.BOX if self.unit % height == 0 else Image.Resampling.BILINEAR
        return f32(np.asarray(plain.resize((width, height), method), dtype=np.float32) / 255)


def _fill(color: Any) -> tuple[int, int, int, int]:
    r, g, b = (int(min(max(c, 0), 1) * 255) for c in color)
    return (r, g, b, 255)


def sized(rgba: Array, height: int, flip: bool = False) -> Array:
    """A drawn prop at another height, mirrored when asked."""
    h, w = rgba.shape[:2]
    width = max(1, round(w * height / h))
    raw = (np.clip(rgba, 0, 1) * 255 + 0.5).astype(np.uint8)
    plain = Image.frombuffer("RGBX", (w, h), raw.tobytes(), "raw", "RGBX", 0, 1)
    out = np.asarray(plain.resize((width, max(1, height)), Image.Resampling.BILINEAR), dtype=np.float32) / 255
    return f32(out[:, ::-1] if flip else out)


def trimmed(rgba: Array) -> Array:
    """Without the empty columns at both sides and the empty rows above and below."""
    alpha = rgba[..., 3] > 0.02
    rows, cols = np.nonzero(alpha.any(axis=1))[0], np.nonzero(alpha.any(axis=0))[0]
    if rows.size == 0:
        return rgba
    return rgba[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]


def svg(body: str, view: tuple[float, float], height: int) -> Array:
    """An SVG drawing (`body` in a `view` wide, high) rasterised `height` rows high, premultiplied RGBA."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {view[0]:g} {view[1]:g}" '
    width = max(1, round(view[0] * height / view[1]))
    text = f'{head}width="{width}" height="{height}" preserveAspectRatio="none">{body}</svg>'
    return rendered(text, width, height)
