"""Drawing a subject: the right SVG for an id, rasterised to the size that is needed, trimmed, recoloured."""

from __future__ import annotations

import zlib
from functools import lru_cache

import numpy as np

from .drawings import OWN_KEYS, own_drawing
from .figures import WHOLE, whole_figure
from .icons import body, icons
from .props import draw_prop
from .recolor import recolored
from .svg import rendered
from .types import Array, Rgb, Tint

MARGIN = 1  # transparent pixels kept around a trimmed drawing, for clean edges when it is moved


# subjects that are painted by rule like the backdrop's own, so that they look at home in it
PAINTED = {
    "rug": "rug",
    "deciduous-tree": "tree",
    "evergreen-tree": "pine",
    "snowy-tree": "snowy-pine",
    "bare-tree": "bare-tree",
    "autumn-tree": "autumn-tree",
    "palm-tree": "palm",
    "cherry-tree": "cherry-tree",
    "cactus": "cactus",
    "bush": "bush",
    "coral": "coral",
    "rock": "rock",
    "table": "table",
    "shelf": "shelf",
    "sofa": "sofa",
    "bench": "bench",
    "fence": "fence",
    "lamp-post": "lamp-post",
    "fireplace": "fireplace",
    "barn": "barn",
    "windmill": "windmill",
    "tower": "tower",
    "well": "well",
    "bridge": "bridge",
    "pyramid": "pyramid",
}


_FRAMED = frozenset({"bicycle", "motorcycle", "kick-scooter"})  # mostly wheels, but their colour is the frame's
PORTRAIT = "portrait-of-"  # before an id: the pack's own face or bust, without the body that is put under it elsewhere
_FACES = {whole: face for face, whole in WHOLE.items() if not whole.endswith("-standing")} | {
    "man-standing": "man",
    "woman-standing": "woman",
    "person-standing": "person",
}


def portrait_of(key: str) -> str:
    """The id of a subject's face or bust; the subject itself when it is only drawn whole."""
    face = _FACES.get(key, key)
    return PORTRAIT + face if face in icons() and (face != key or whole_figure(key) is not None) else key


def known(key: str) -> bool:
    """Whether there is a drawing for this id."""
    return key.removeprefix(PORTRAIT) in icons() or key in PAINTED or key in OWN_KEYS or key in icons()


@lru_cache(maxsize=256)
def markup(key: str) -> tuple[str, float, float]:
    """The inside of the `svg` element for a subject that is not painted, and the width and height of its canvas."""
    if key.startswith(PORTRAIT):
        return body(key.removeprefix(PORTRAIT)), 32.0, 32.0
    key = WHOLE.get(key, key)
    sketch = own_drawing(key) or whole_figure(key)
    if sketch is not None:
        return sketch.markup(), sketch.width, sketch.height
    return body(key), 32.0, 32.0


def raster(inner: str, width: float, height: float, rows: int) -> Array:
    """SVG markup drawn `rows` pixels high, as premultiplied RGBA."""
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" fill="none"'
        f' width="{width:g}" height="{height:g}">{inner}</svg>'
    )
    columns = max(1, round(rows * width / height))
    return rendered(svg, columns, max(1, rows))


@lru_cache(maxsize=512)
def extent(key: str) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of what an SVG drawing covers, as fractions of its canvas."""
    inner, width, height = markup(key)
    solid = raster(inner, width, height, 96)[..., 3] > 0.35
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    if not rows.size:
        return 0.0, 0.0, 1.0, 1.0
    h, w = solid.shape
    return float(columns[0] / w), float(rows[0] / h), float((columns[-1] + 1) / w), float((rows[-1] + 1) / h)


@lru_cache(maxsize=256)
def thumbnail(key: str) -> Array:
    """The drawing without its empty margins, about 96 pixels high: enough to measure it by."""
    return draw(key, 96)


def aspect(key: str) -> float:
    """Width over height of the drawing without its empty margins."""
    h, w = thumbnail(key).shape[:2]
    return w / h


@lru_cache(maxsize=32)
def draw(key: str, rows: int, tint: Tint | None = None, copy: int = 0) -> Array:
    """The subject `rows` pixels high without its empty margins, premultiplied RGBA. Do not write to the result.

    `copy` tells apart several of one subject; painted ones then differ as living things do.
    """
    rgba = _painted(key, rows, copy) if key in PAINTED else _drawn(key, rows)
    if tint is not None:
        rgba = recolored(rgba, tint, keep_skin=_is_person(key), keep_grey=key in _FRAMED)
    rgba.setflags(write=False)
    return rgba


def _is_person(key: str) -> bool:
    icon = icons().get(key.removeprefix(PORTRAIT))
    return icon is not None and icon.group.startswith("person")


def _painted(key: str, rows: int, copy: int) -> Array:
    rng = np.random.default_rng((zlib.crc32(key.encode()), copy))
    return np.ascontiguousarray(draw_prop(PAINTED[key], rows, rng))


def _drawn(key: str, rows: int) -> Array:
    left, top, right, bottom = extent(key)
    inner, width, height = markup(key)
    rgba = raster(inner, width, height, max(4, round(rows / (bottom - top))))
    h, w = rgba.shape[:2]
    x0, x1 = max(0, int(left * w) - MARGIN), min(w, int(np.ceil(right * w)) + MARGIN)
    y0, y1 = max(0, int(top * h) - MARGIN), min(h, int(np.ceil(bottom * h)))
    return np.ascontiguousarray(rgba[y0:y1, x0:x1])


def bottom_edge(key: str) -> tuple[float, float, list[Rgb]]:
    """Where a bust is cut off: its left and right end on the 32-wide canvas, and its colours from left to right."""
    rgba = raster(body(key), 32, 32, 128)
    strip = rgba[112:118]
    solid = strip[..., 3].min(axis=0) > 0.9
    columns = np.flatnonzero(solid)
    if not columns.size:
        return 6.0, 26.0, [(0.3, 0.5, 0.8)] * 3
    # the longest run is the trunk; a hand or a staff at the side is not
    runs = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
    trunk = max(runs, key=len)
    colors = strip[:, trunk].mean(axis=0)[:, :3]
    at = np.linspace(0, len(trunk) - 1, 13).astype(int)
    picked = [colors[max(0, i - 2) : i + 3].mean(axis=0) for i in at]
    skin = [c[0] > 0.85 and 0.55 < c[1] < 0.9 and c[2] < 0.4 for c in picked]
    cloth = [c for c, is_skin in zip(picked, skin, strict=True) if not is_skin] or picked
    for i, is_skin in enumerate(skin):
        if is_skin:
            picked[i] = cloth[0] if i < len(skin) / 2 else cloth[-1]
    return float(trunk[0]) / 4, float(trunk[-1] + 1) / 4, [(float(c[0]), float(c[1]), float(c[2])) for c in picked]
