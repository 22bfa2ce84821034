"""Small SVG vocabulary in the soft, rounded look of the icon pack: lit gradients, blobs, limbs."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from .types import Array, Rgb


def rendered(svg: str, columns: int, rows: int) -> Array:
    """An SVG document drawn at a size in pixels, as premultiplied RGBA."""
    image = next((drawn for size in _SIZES if (drawn := _drawn(svg, round(columns * size), round(rows * size)))), None)
    if image is None:
        raise RuntimeError(f"The SVG renderer failed on a drawing at {columns} x {rows} pixels and near it")
    image = image.resize((columns, rows), Image.Resampling.BOX) if image.size != (columns, rows) else image
    rgba = np.asarray(image, np.float32) / np.float32(255)
    rgba[..., :3] *= rgba[..., 3:]
    return rgba


_SIZES = (1.0, 1.03, 1.11, 1.27, 2.0)  # of the size that is wanted, until the renderer can draw one


def _drawn(svg: str, columns: int, rows: int) -> Image.Image | None:
    """The document at a size; None when the renderer panics, as resvg does for filters at some sizes."""
    import resvg_py

    try:
        # no drawing holds text, and looking for the machine's fonts costs more than the drawing
        png = resvg_py.svg_to_bytes(svg_string=svg, width=columns, height=rows, skip_system_fonts=True)
    except BaseException as error:  # a Rust panic arrives as an exception that is no Exception
        if type(error).__name__ != "PanicException":
            raise
        return None
    return Image.open(io.BytesIO(bytes(png))).convert("RGBA")


def hexed(color: Rgb) -> str:
    """`color` as SVG writes it."""
    return "#" + "".join(f"{round(min(max(c, 0.0), 1.0) * 255):02x}" for c in color)


def unhex(code: str) -> Rgb:
    """Channels 0..1 of six hexadecimal digits."""
    return (int(code[0:2], 16) / 255, int(code[2:4], 16) / 255, int(code[4:6], 16) / 255)


def mix(a: Rgb, b: Rgb, t: float) -> Rgb:
    return (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t)


def lighter(color: Rgb, amount: float) -> Rgb:
    return mix(color, (1.0, 0.98, 0.94), amount)


def darker(color: Rgb, amount: float) -> Rgb:
    """Towards a dark violet, as the icon pack shades."""
    return mix(color, (color[0] * 0.35, color[1] * 0.22, color[2] * 0.42), amount)


@dataclass
class Sketch:
    """An SVG drawing under construction: shapes in painting order, gradients collected on the side."""

    width: float
    height: float
    shapes: list[str] = field(default_factory=list[str])
    defs: list[str] = field(default_factory=list[str])

    def soft(self, color: Rgb, light: float = 0.28, dark: float = 0.5) -> str:
        """A fill lit from the upper left, as `fill` wants it."""
        name = f"q{len(self.defs)}"
        self.defs.append(
            f'<radialGradient id="{name}" cx=".36" cy=".26" r=".86"><stop stop-color="{hexed(lighter(color, light))}"/>'
            f'<stop offset=".5" stop-color="{hexed(color)}"/><stop offset="1" stop-color="{hexed(darker(color, dark))}"/>'
            "</radialGradient>"
        )
        return f"url(#{name})"

    def linear(self, stops: list[tuple[float, Rgb]], *, down: bool = True) -> str:
        """A fill that runs down (or across) its shape through the stops."""
        name = f"q{len(self.defs)}"
        end = 'x2="0" y2="1"' if down else 'x2="1" y2="0"'
        inner = "".join(f'<stop offset="{at:.3f}" stop-color="{hexed(c)}"/>' for at, c in stops)
        self.defs.append(f'<linearGradient id="{name}" x1="0" y1="0" {end}>{inner}</linearGradient>')
        return f"url(#{name})"

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, fill: str, turn: float = 0) -> None:
        spin = f' transform="rotate({turn} {cx} {cy})"' if turn else ""
        self.shapes.append(f'<ellipse cx="{cx}" cy="{cy}" rx="{rx}" ry="{ry}" fill="{fill}"{spin}/>')

    def rect(self, x: float, y: float, w: float, h: float, fill: str, round_by: float = 0, turn: float = 0) -> None:
        spin = f' transform="rotate({turn} {x + w / 2} {y + h / 2})"' if turn else ""
        self.shapes.append(f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="{round_by}" fill="{fill}"{spin}/>')

    def path(self, d: str, fill: str) -> None:
        self.shapes.append(f'<path d="{d}" fill="{fill}"/>')

    def line(self, d: str, color: Rgb, width: float) -> None:
        """A round-ended stroke."""
        self.shapes.append(
            f'<path d="{d}" fill="none" stroke="{hexed(color)}" stroke-width="{width}" stroke-linecap="round"'
            ' stroke-linejoin="round"/>'
        )

    def icon(self, body: str, x: float, y: float, scale: float, prefix: str = "i", turn: float = 0) -> None:
        """Another drawing (32 x 32) at a place; `prefix` keeps its gradient names apart."""
        own = (
            body.replace('id="', f'id="{prefix}')
            .replace("url(#", f"url(#{prefix}")
            .replace('href="#', f'href="#{prefix}')
        )
        spin = f" rotate({turn} 16 16)" if turn else ""
        self.shapes.append(f'<g transform="translate({x} {y}) scale({scale}){spin}">{own}</g>')

    def markup(self) -> str:
        """The inside of the `svg` element."""
        return f"<defs>{''.join(self.defs)}</defs>{''.join(self.shapes)}"
