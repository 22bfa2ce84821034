"""What stands out in a picture of which nothing else is known: the part least like the colours of its border."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..paint import blur, f32, grid, resize, smoothstep
from ..types import Array
from .pictures import Picture
from .plain import plain_background

BAND = 0.12  # of the height: how far up and down the sides a colour counts as the border's
EDGE = 4  # pixels of the small picture at each side
RARE = 3  # a colour that so few pixels of the border have does not count
SMALL = 96  # pixels of the longer side that a main subject is looked for at


def main_subject(picture: Picture) -> tuple[NDArray[np.bool_], float] | None:
    """A small mask of what stands out, and how many pixels of the picture one of its pixels is; None when nothing does."""
    w, h = picture.size
    scale = max(1.0, max(w, h) / SMALL)
    rows, columns = max(4, round(h / scale)), max(4, round(w / scale))
    small = resize(picture.rgb, rows, columns)
    behind = plain_background(small)
    if picture.alpha is not None and float(picture.alpha.min()) < 0.5:
        stands_out = resize(picture.alpha[..., None], rows, columns)[..., 0]
    elif behind is not None:
        stands_out = 1 - behind
    else:
        stands_out = _unlike_the_border(small)
    level = float(stands_out.max())
    if level < 0.06:
        return None
    return _largest(stands_out > 0.5 * level, stands_out), scale


def _unlike_the_border(image: Array) -> Array:
    """How far each pixel's colour is from the colours at both sides at about its height, more towards the middle."""
    h, w = image.shape[:2]
    reach = max(2, round(BAND * h))
    sides = np.concatenate([image[:, :EDGE], image[:, -EDGE:]], axis=1)
    away = np.empty((h, w), np.float32)
    for row in range(h):
        palette = sides[max(0, row - reach) : row + reach + 1 : 2].reshape(-1, 3)
        apart = np.abs(image[row][:, None] - palette).max(axis=2)
        away[row] = np.partition(apart, RARE, axis=1)[:, RARE]
    u, v = grid(h, w)
    centre = np.exp(-(((u * h / w - 0.5) / 0.4) ** 2) - ((v - 0.58) / 0.36) ** 2)
    return blur(f32(smoothstep(0.04, 0.3, away) * centre), 1.2)


def _largest(mask: NDArray[np.bool_], weight: Array) -> NDArray[np.bool_]:
    """The connected part of a mask that weighs most."""
    left = mask.copy()
    best, heaviest = left.copy(), -1.0
    while left.any():
        part = np.zeros_like(left)
        part[tuple(np.argwhere(left)[0])] = True
        while True:
            grown = part.copy()
            grown[1:] |= part[:-1]
            grown[:-1] |= part[1:]
            grown[:, 1:] |= part[:, :-1]
            grown[:, :-1] |= part[:, 1:]
            grown &= left
            if int(grown.sum()) == int(part.sum()):
                break
            part = grown
        total = float(weight[part].sum())
        if total > heaviest:
            best, heaviest = part, total
        left &= ~part
    return best
