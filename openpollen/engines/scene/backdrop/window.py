"""A window on the back wall of a room: its place, the view through it, frame and curtains, the daylight it lets in."""

from __future__ import annotations

import numpy as np

from ..noise import Rng, line
from ..paint import blend, f32, grid, lay, opaque, over, rgb, scale, smoothstep
from ..props.canvas import svg
from ..sky import paint_sky
from ..terrain import Camera
from ..types import Array, Plan, Rgb


def window_box(camera: Camera, left: bool) -> tuple[int, int, int, int]:
    """The window on the back wall: x0, y0, x1, y1 in pixels."""
    h, w = camera.h, camera.w
    wide = min(0.34 * h, 0.36 * w)
    cx = w * 0.3 if left else w * 0.7
    return int(cx - wide / 2), int(0.12 * h), int(cx + wide / 2), int(0.12 * h + 0.36 * h)


def daylight(plan: Plan) -> float:
    """How much daylight comes in, 0..1."""
    level = {"day": 1.0, "dawn": 0.72, "sunset": 0.72, "dusk": 0.32, "night": 0.16}[plan.time]
    return level * (0.75 if plan.weather in ("rain", "storm", "fog", "cloudy") else 1.0)


def window_view(plan: Plan, rng: Rng, box: tuple[int, int, int, int]) -> Array:
    """What is seen through the window: the sky and hills at this time of day."""
    h, w = max(8, box[3] - box[1]), max(8, box[2] - box[0])
    sky = paint_sky(plan, rng, h, w, 0.78, 1.0)
    image = sky.image.copy()
    _, gv = grid(h, w)
    for i, code in enumerate(("6f9a78", "4a7a4a")):
        edge = 0.74 + 0.11 * i + 0.07 * line(rng, w, w / h, 1.5, 4)
        level = tuple(sky.light.ambient[c] + sky.light.color[c] * sky.light.strength * 0.6 for c in range(3))
        base = rgb(code)
        if plan.snowy:
            base = rgb("e6eef8")
        tone_ = blend((base[0] * level[0], base[1] * level[1], base[2] * level[2]), sky.air.horizon, 0.45 - 0.3 * i)
        lay(image, tone_, smoothstep(-0.01, 0.01, gv - edge[None, :]))
    return np.clip(image, 0, 1)


def hang_window(
    image: Array, view: Array, box: tuple[int, int, int, int], plan: Plan, trim_color: Rgb, arch: bool
) -> None:
    """The view in its frame, with sill and curtains (on `image`, in place)."""
    x0, y0, x1, y1 = box
    over(image, opaque(view), x0, y0)
    wide, tall = x1 - x0, y1 - y0
    day = 0.4 + 0.6 * daylight(plan)
    if arch:
        gy, gx = np.mgrid[0:tall, 0:wide].astype(np.float32)
        outside = ((gx / wide - 0.5) * 2) ** 2 + (np.clip(0.45 - gy / tall, 0, 1) / 0.45) ** 2 > 0.98
        part = image[y0:y1, x0:x1]
        part[outside] = f32(scale(trim_color, 0.55 * day))
    trim = "".join(f"{int(c * 255 * day):02x}" for c in trim_color)
    edge = "".join(f"{int(c * 200 * day):02x}" for c in trim_color)
    frame = (
        f'<g fill="none" stroke="#{trim}" stroke-width="5"><path d="M2.5 2.5 H97.5 V117.5 H2.5z M50 2 V118 M2 58 H98"/></g>'
        f'<g fill="none" stroke="#{edge}" stroke-width="1"><path d="M5.5 5.5 H47 V55 H5.5z M53 5.5 H94.5 V55 H53z M5.5 '
        '61 H47 V114.5 H5.5z M53 61 H94.5 V114.5 H53z"/></g>'
        '<path d="M8 8 L30 8 L8 44z M56 8 L72 8 L56 32z" fill="#fff" fill-opacity=".16"/>'
    )
    over(image, svg(frame, (100, 120), tall), x0, y0)
    sill = svg(
        f'<path d="M0 0 H120 V6 L116 10 H4 L0 6z" fill="#{trim}"/><path d="M4 10 H116 V12 H4z" fill="#000" fill-opacity=".3"/>',
        (120, 12),
        max(3, int(tall * 0.07)),
    )
    over(image, sill, x0 + wide // 2 - sill.shape[1] // 2, y1 - 1)
    if not arch and "laboratory" not in plan.extra:
        _curtains(image, box, day)


def _curtains(image: Array, box: tuple[int, int, int, int], day: float) -> None:
    x0, y0, x1, y1 = box
    tall, wide = int((y1 - y0) * 1.22), int((x1 - x0) * 0.3)
    if wide < 3:
        return
    gy, gx = np.mgrid[0:tall, 0:wide].astype(np.float32)
    for side in (0, 1):
        t = gx / wide if side == 0 else 1 - gx / wide
        gather = 1 - 0.3 * np.exp(-(((gy / tall - 0.62) / 0.2) ** 2))
        alpha = smoothstep(gather + 0.01, gather - 0.02, t)
        fold = 0.5 + 0.5 * np.sin(t / gather * 19 + 0.6 * np.sin(gy / tall * 3))
        shade = (0.52 + 0.42 * fold) * day
        part = np.empty((tall, wide, 4), np.float32)
        for c in range(3):
            part[..., c] = np.clip((0.86, 0.52, 0.42)[c] * shade * 1.1, 0, 1) * alpha
        part[..., 3] = alpha
        over(image, part, x0 - int(wide * 0.62) if side == 0 else x1 - int(wide * 0.38), y0 - int(0.05 * tall))
    rod = np.zeros((max(2, tall // 60), int((x1 - x0) * 1.5), 4), np.float32)
    rod[...] = (0.3 * day, 0.21 * day, 0.14 * day, 1)
    over(image, rod, x0 - int((x1 - x0) * 0.25), y0 - int(0.06 * tall))
