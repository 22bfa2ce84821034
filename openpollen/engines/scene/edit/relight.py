"""Other light and weather over a picture whose contents are not known: its sky is estimated, the rest is graded."""

from __future__ import annotations

from typing import cast

import numpy as np

from ..atmosphere import air_of
from ..noise import Rng, child, fbm
from ..paint import add, blend_in, blur, clear, f32, grid, lay, over, resize, rgb, smoothstep
from ..sky import lightning, paint_sky
from ..styles import edges, luma, saturated
from ..types import Array, Plan, TimeOfDay, Weather
from ..weather import dress, falling


def sky_mask(image: Array) -> Array:
    """Where the picture shows sky, 0..1: smooth and bright or blue from the upper edge down; all 0 when there is none."""
    h, w = image.shape[:2]
    ch = min(h, 256)
    cw = max(2, round(w * ch / h))
    small = np.clip(resize(image, ch, cw, smooth=False), 0, 1)
    grey = luma(small)
    rough = edges(small, 1.2)
    blue = small[..., 2] - small[..., 0]
    red = small[..., 0] - small[..., 1]
    warm_glow = (grey > 0.5) & (rough < 0.06) & (red < 0.3) & (blue > -0.55)
    green = small[..., 1] - np.maximum(small[..., 0], small[..., 2])
    likely = ((blue > -0.04) | warm_glow) & (rough < 0.2) & (green < 0.03) & (grey > 0.1)
    open_above = np.minimum.accumulate(blur(likely.astype(np.float32), 1.0) > 0.6, axis=0)
    share = open_above.mean(axis=0)
    v = (np.arange(ch, dtype=np.float32)[:, None] + 0.5) / ch
    mask = open_above.astype(np.float32) * (v < _middle_reach(share)[None, :] + 0.07)
    if float(mask.mean()) < 0.08 or float((mask[0] > 0.5).mean()) < 0.55:
        return np.zeros((h, w), np.float32)
    return np.clip(resize(blur(f32(mask), 1.0), h, w), 0, 1)


def _middle_reach(share: Array) -> Array:
    """How far down the sky goes around each column: the median of a quarter of the columns, so that no leak stands out."""
    half = max(1, share.size // 8)
    padded = np.pad(share, half, mode="reflect" if share.size > half else "edge")
    return f32(np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1))


def horizon_of(image: Array) -> float:
    """Where the land begins below the sky, 0..1 of the height; 0.5 when that cannot be seen."""
    mask = sky_mask(image)
    share = float((mask > 0.5).mean())
    return float(np.clip(share * 1.05, 0.25, 0.75)) if share > 0.08 else 0.5


def at_time(image: Array, time: str, rng: Rng, denied: frozenset[str] = frozenset()) -> Array:
    """The picture at another time of day, without what is denied of its sky."""
    plan = Plan(prompt="", time=cast(TimeOfDay, time), denied=denied)
    h, w = image.shape[:2]
    sky = sky_mask(image)
    lights = _lamps(image) if time in ("night", "dusk") else np.zeros((h, w), np.float32)
    out = _graded_for(image, time)
    if float(sky.max()) > 0:
        painted = paint_sky(plan, rng, h, w, horizon_of(image), 0.0)
        ratio = luma(image) / np.maximum(blur(luma(image), h / 12), 0.05)
        clouds = np.clip(1 + (ratio - 1) * 0.7, 0.6, 1.5)
        fresh = painted.image * clouds[..., None]
        blend_in(out, f32(np.clip(fresh, 0, 1)), f32(sky * 0.94))
    if time in ("night", "dusk"):
        _light_up(out, f32(lights * (1 - sky)), h)
    return out


def _graded_for(image: Array, time: str) -> Array:
    grey = luma(image)
    air = air_of(Plan(prompt="", time=cast(TimeOfDay, time)))
    out = np.empty_like(image)
    if time == "night":
        dull = saturated(image, 0.55)
        for c in range(3):
            out[..., c] = np.clip(dull[..., c], 0, 1) ** 1.35 * (0.27, 0.34, 0.58)[c] + (0.008, 0.014, 0.04)[c]
        return out
    if time == "day":
        lifted = np.clip(image, 0, 1) ** 0.8
        for c in range(3):
            out[..., c] = lifted[..., c] * (1.06, 1.05, 1.02)[c] + 0.02
        return out
    strength = {"sunset": 0.46, "dawn": 0.34, "dusk": 0.5}[time]
    dim = {"sunset": 0.92, "dawn": 1.0, "dusk": 0.58}[time]
    _, v = grid(*image.shape[:2])
    for c in range(3):
        light = air.sun[c] if time != "dusk" else 0.6 * air.middle[c] + 0.5 * air.sun[c]
        shadow = air.middle[c] * 0.55
        wash = np.where(grey < 0.5, 2 * grey * light, 1 - 2 * (1 - grey) * (1 - light))
        tone = image[..., c] * (0.86 + 0.34 * light) + (wash - image[..., c]) * strength * smoothstep(0.1, 0.8, grey)
        out[..., c] = (tone + shadow * 0.1 * (1 - grey)) * dim * (1 - 0.06 * v)
    return out


def _lamps(image: Array) -> Array:
    """Small bright warm places that may shine at night: windows, lamps, flames."""
    h = image.shape[0]
    grey = luma(image)
    stands_out = grey - blur(grey, h / 14)
    warm = image[..., 0] - image[..., 2]
    mask = smoothstep(0.1, 0.22, stands_out) * smoothstep(0.1, 0.28, warm) * smoothstep(0.5, 0.72, grey)
    mask = mask * smoothstep(0.3, 0.55, blur(f32(mask), max(1.0, h / 150)))  # not the specks of flowers and foliage
    wide = blur(f32(mask), h / 26)
    return f32(mask * smoothstep(0.5, 0.2, wide))  # a large bright field is a lit wall or sand, not a lamp


def _light_up(out: Array, lights: Array, h: int) -> None:
    for c in range(3):
        plane = out[..., c]
        plane += (np.float32((1.0, 0.82, 0.5)[c]) - plane) * lights * 0.85
    glow = blur(lights, h / 70) * 0.5 + blur(lights, h / 22) * 0.6
    add(out, (1.0, 0.68, 0.34), f32(np.clip(glow, 0, 0.8) * 0.7))
    np.clip(out, 0, 1, out=out)


def in_weather(image: Array, weather: str, rng: Rng, denied: frozenset[str] = frozenset()) -> Array:
    """The picture in fog, snow, rain, storm or wind."""
    h, w = image.shape[:2]
    horizon = horizon_of(image)
    dark = float(luma(image).mean()) < 0.3
    out = image.copy()
    if weather == "snow":
        out = _snowed(image, rng)
    elif weather in ("rain", "storm"):
        dim = 0.72 if weather == "storm" else 0.84
        for c in range(3):
            out[..., c] = saturated(image, 0.66)[..., c] * (0.92, 0.98, 1.07)[c] * dim
    elif weather == "cloudy":
        for c in range(3):
            out[..., c] = saturated(image, 0.62)[..., c] * (0.88, 0.92, 0.98)[c] * 0.92
    elif weather == "fog":
        _foggy(out, rng, horizon, dark)
    plan = Plan(prompt="", setting="meadow", time="night" if dark else "day", weather=cast(Weather, weather))
    for sheet in falling(plan, rng, h, w):
        over(out, sheet.rgba)
    if weather == "storm" and "lightning" not in denied:
        bolt = lightning(child(rng), h, w, horizon)
        over(out, bolt * sky_mask(image)[..., None] if float(sky_mask(image).max()) > 0 else bolt * np.float32(0.9))
    return np.clip(out, 0, 1)


def _foggy(out: Array, rng: Rng, horizon: float, dark: bool) -> None:
    h, w = out.shape[:2]
    _, v = grid(h, w)
    banks = fbm(rng, h, w, 2.2, 5, 0.55, 2.4)
    far = np.clip(1 - (v - horizon) / max(0.2, 1 - horizon), 0, 1)
    alpha = np.clip(0.26 + 0.55 * far**1.3 + 0.16 * banks, 0, 0.93)
    lay(out, (0.27, 0.3, 0.37) if dark else (0.86, 0.88, 0.9), f32(alpha + np.zeros((1, w))))


def _snowed(image: Array, rng: Rng) -> Array:
    """Cool light, and snow lying on what faces upwards and on grass."""
    h, w = image.shape[:2]
    out = saturated(image, 0.6)
    grey = luma(image)
    soft = blur(grey, h / 300)
    rise = np.roll(soft, -max(1, h // 130), axis=0) - np.roll(soft, max(1, h // 130), axis=0)
    ledge = smoothstep(0.05, 0.2, -rise)
    green = smoothstep(0.02, 0.14, image[..., 1] - np.maximum(image[..., 0] * 0.92, image[..., 2]))
    _, v = grid(h, w)
    ground = smoothstep(0.45, 0.75, v) * smoothstep(0.14, 0.04, edges(image, h / 260)) * 0.75
    patchy = 0.35 + 0.65 * smoothstep(-1.5, 0.1, fbm(rng, h, w, 14, 4))
    cover = np.clip(np.maximum(np.maximum(ledge * 0.6, green * 0.95), ground) * (1 - sky_mask(image)) * patchy, 0, 0.9)
    level = np.clip(0.62 + 0.5 * grey, 0, 1)
    for c in range(3):
        plane = out[..., c] * (0.96, 1.0, 1.06)[c]
        out[..., c] = plane + (level * (0.93, 0.97, 1.0)[c] - plane) * cover
    return out


def with_show(image: Array, show: str, rng: Rng) -> Array:
    """The picture with a rainbow, stars, aurora, fireworks, lightning, petals, lanterns or falling snow."""
    h, w = image.shape[:2]
    out = image.copy()
    horizon = horizon_of(image)
    if show in ("snowfall", "petals", "lanterns"):
        plan = Plan(prompt="", setting="meadow", extra=frozenset({show}))
        for sheet in falling(plan, rng, h, w):
            over(out, sheet.rgba)
        if show == "lanterns":
            from ..types import Light, Stage

            light = Light((0.0, 1.0), (1, 1, 1), (0.5, 0.5, 0.5), 0.5)
            bare = Stage(out, horizon, f32([0.6 * h] * w), (0.7, 0.9), None, light, ((1, 1, 1), 0.0))
            out = dress(bare, plan, rng).image
        return np.clip(out, 0, 1)
    if show == "lightning":
        over(out, lightning(rng, h, w, horizon))
        return np.clip(out, 0, 1)
    if show == "fireflies":
        layer = clear(h, w)
        for _ in range(int(50 * w / h)):
            x, y, r = rng.random() * w, (0.3 + 0.65 * rng.random()) * h, (0.004 + 0.006 * rng.random()) * h
            x0, x1, y0, y1 = (
                max(0, int(x - 4 * r)),
                min(w, int(x + 4 * r) + 1),
                max(0, int(y - 4 * r)),
                min(h, int(y + 4 * r) + 1),
            )
            gy, gx = np.ogrid[y0:y1, x0:x1]
            d2 = ((gx - x) ** 2 + (gy - y) ** 2) / (r * r)
            lay(layer[y0:y1, x0:x1], rgb("ffe98a"), f32(np.clip(np.exp(-d2 * 1.5) + 0.3 * np.exp(-d2 * 0.3), 0, 1)))
        over(out, layer)
        return out
    state = int(rng.integers(1 << 62))
    night = show != "rainbow"
    plan = Plan(prompt="", time="night" if night else "day", extra=frozenset({show}))
    bare = Plan(prompt="", time=plan.time)
    painted = paint_sky(plan, np.random.default_rng(state), h, w, horizon, 0.0).image
    plain = paint_sky(bare, np.random.default_rng(state), h, w, horizon, 0.0).image
    shine = painted if show == "stars" else painted - plain
    sky = sky_mask(image)
    where = (
        sky
        if float(sky.max()) > 0
        else smoothstep(horizon + 0.1, horizon - 0.15, grid(h, w)[1]) + np.zeros((1, w), np.float32)
    )
    if show == "stars":
        shine = np.maximum(painted - blur(painted, h / 40), 0) * np.float32(1.5)
    out += np.maximum(shine, 0) * f32(where)[..., None]
    return np.clip(out, 0, 1)
