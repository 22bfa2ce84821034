"""Backgrounds of one even colour."""

from __future__ import annotations

import numpy as np

from ..paint import blur, smoothstep
from ..types import Array


def plain_background(image: Array) -> Array | None:
    """1 on a background of one even colour that reaches the edges, or None when there is none."""
    h, w = image.shape[:2]
    rim = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    color = np.median(rim, axis=0)
    if float((np.abs(rim - color).max(axis=1) < 0.06).mean()) < 0.9:
        return None
    alike = np.abs(image - color).max(axis=2) < 0.075
    reached = np.zeros((h, w), bool)
    reached[0], reached[-1], reached[:, 0], reached[:, -1] = alike[0], alike[-1], alike[:, 0], alike[:, -1]
    for _ in range(4):
        before = int(reached.sum())
        for rows in (range(1, h), range(h - 2, -1, -1)):
            step = -1 if rows.step == 1 else 1
            for y in rows:
                reached[y] |= reached[y + step] & alike[y]
        for columns in (range(1, w), range(w - 2, -1, -1)):
            step = -1 if columns.step == 1 else 1
            for x in columns:
                reached[:, x] |= reached[:, x + step] & alike[:, x]
        if int(reached.sum()) == before:
            break
    share = float(reached.mean())
    if share < 0.05 or share > 0.98:
        return None
    soft = blur(reached.astype(np.float32), 0.8)
    return smoothstep(0.35, 0.9, soft)
