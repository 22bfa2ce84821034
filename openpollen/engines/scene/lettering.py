"""Words in quotes, drawn: on a sign, billboard or banner of the scene, or else as a title across it."""

from __future__ import annotations

import re

import numpy as np
from PIL import Image, ImageDraw

from .boards import BOARDS
from .fonts import LEADING, runs
from .paint import blur, f32, over
from .types import Array, Plan, Rgb

_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
DARK: Rgb = (0.14, 0.11, 0.2)
BRIGHT: Rgb = (1.0, 0.98, 0.94)


def _fits(lines: list[str], size: int, width: float, height: float) -> bool:
    return len(lines) * size * LEADING <= height and all(runs(line, size)[1] <= width for line in lines)


def _wrapped(text: str, lines: int) -> list[str]:
    """`text` in at most `lines` lines of like length, broken at spaces; in a script without them, anywhere."""
    words = text.split()
    if len(words) == 1 and len(text) > 8 and _UNSPACED.search(text):
        step = -(-len(text) // lines)
        return [text[at : at + step] for at in range(0, len(text), step)]
    goal = len(text) / lines
    out: list[str] = [""]
    for word in words:
        longer = f"{out[-1]} {word}".strip()
        if out[-1] and len(out) < lines and len(longer) > goal + len(word) / 2:
            out.append(word)
        else:
            out[-1] = longer
    return out


def best_setting(text: str, width: float, height: float) -> tuple[list[str], int]:
    """The line breaks and font size that fill a box best."""
    best: tuple[list[str], int] = ([text], 4)
    for count in (1, 2, 3, 4, 5, 6):
        lines = _wrapped(text, count)
        low, high = 4, max(5, int(height))
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _fits(lines, middle, width, height) else (low, middle)
        if low > best[1]:
            best = (lines, low)
    return best


def mask(text: str, width: int, height: int) -> Array:
    """The words set as large as the box allows, centred: coverage 0..1, drawn at double size for weight and clean edges."""
    box = (max(8, width) * 2, max(8, height) * 2)
    image = Image.new("L", box, 0)
    pen = ImageDraw.Draw(image)
    lines, size = best_setting(text, box[0] * 0.94, box[1] * 0.94)
    top = (box[1] - len(lines) * size * LEADING) / 2
    for number, line in enumerate(lines):
        parts, length = runs(line, size)
        base = top + (number + 0.5) * size * LEADING + 0.36 * size  # capitals are about 0.72 of the size high
        for part in parts:
            pen.text(
                ((box[0] - length) / 2 + part.x, base),
                part.text,
                font=part.font,
                fill=255,
                anchor="ls",
                stroke_width=part.stroke,
                stroke_fill=255,
            )
    return f32(image.resize((max(8, width), max(8, height)), Image.Resampling.BOX)) / 255


def onto_board(rgba: Array, key: str, text: str, *, flipped: bool = False, ink: Rgb | None = None) -> Array:
    """A drawing (trimmed, premultiplied) with words where it has room for them, in their own colour if they have one;
    `flipped` says it is seen in a mirror."""
    board = BOARDS[key]
    x0, y0, x1, y1 = board.area
    x0, x1 = (1 - x1, 1 - x0) if flipped else (x0, x1)
    h, w = rgba.shape[:2]
    a, b, c, d = int(x0 * w), int(x1 * w), int(y0 * h), int(y1 * h)
    out = rgba.copy()
    spot = out[c:d, a:b]
    if min(spot.shape[:2]) < 2:
        return out
    face = np.median(spot[..., :3].reshape(-1, 3), axis=0)
    if board.lined:
        spot[..., :3] = face * spot[..., 3:]
    cover = mask(text, b - a, d - c)[: spot.shape[0], : spot.shape[1]]
    if board.glow is not None:
        halo = np.clip(blur(cover, 0.07 * (d - c)) * 1.5, 0, 0.9)[..., None]
        spot[..., :3] += (f32(board.glow) * spot[..., 3:] - spot[..., :3]) * halo
    ink = ink or board.ink or (DARK if float(face @ f32((0.3, 0.59, 0.11))) > 0.42 else BRIGHT)
    spot[..., :3] += (f32(ink) * spot[..., 3:] - spot[..., :3]) * cover[..., None]
    return out


def title(image: Array, plan: Plan, dark: bool) -> None:
    """The words as a title near the top of the picture (RGB or premultiplied RGBA, in place)."""
    rows, columns = image.shape[:2]
    height = max(10, round(rows * (0.2 if rows <= columns * 1.4 else 0.14)))
    width = max(16, round(columns * 0.88))
    cover = mask(plan.text, width, height)
    used = np.flatnonzero(cover.max(axis=1) > 0.02)
    cover = cover[used[0] : used[-1] + 1] if used.size else cover
    top, left = round(rows * 0.05), (columns - width) // 2
    face, edge = _title_colors(plan, dark)
    pad = max(3, round(height * 0.16))
    field = np.pad(cover, pad)
    halo = np.clip(blur(field, height * 0.035) * 2.6, 0, 1)
    shade = np.roll(blur(field, height * 0.03), round(height * 0.05), axis=0)
    layer = np.zeros((*field.shape, 4), np.float32)
    for amount, color in ((shade * 0.55, (0.05, 0.03, 0.1)), (halo, edge)):
        _lay(layer, amount, f32(color))
    down = np.linspace(0.1, -0.1, field.shape[0], dtype=np.float32)[:, None, None]
    _lay(layer, field, np.clip(f32(face) + down, 0, 1))
    over(image, layer, left - pad, top - pad)


def _title_colors(plan: Plan, dark: bool) -> tuple[Rgb, Rgb]:
    if plan.palette:
        chosen = plan.palette[0].rgb
        outline = (chosen[0] * 0.25, chosen[1] * 0.22, chosen[2] * 0.3)
        return chosen, outline if sum(chosen) > 0.8 else (0.98, 0.96, 0.92)
    if dark:
        return (1.0, 0.9, 0.6), (0.12, 0.1, 0.26)
    return (1.0, 0.98, 0.93), (0.3, 0.16, 0.3)


def _lay(layer: Array, amount: Array, color: Array) -> None:
    """Put `color` with coverage `amount` over a premultiplied layer."""
    share = amount[..., None]
    layer[..., :3] = layer[..., :3] * (1 - share) + color * share
    layer[..., 3:] = layer[..., 3:] * (1 - share) + share
