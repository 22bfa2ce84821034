"""The air of a scene: its colours for each time of day and weather, and the light that falls through it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .paint import blend, luminance, rgb, scale
from .types import Light, Plan, Rgb

OVERCAST = {"clear": 0.0, "wind": 0.1, "cloudy": 0.55, "fog": 0.75, "snow": 0.8, "rain": 0.85, "storm": 1.0}
_MURK = {"clear": 0.3, "wind": 0.28, "cloudy": 0.4, "fog": 1.0, "snow": 0.62, "rain": 0.6, "storm": 0.55}


@dataclass(frozen=True)
class Air:
    """Colours of sky, clouds and light. `overcast` hides the sun, `stars` shows them, `murk` is the haze's strength."""

    zenith: Rgb
    middle: Rgb
    horizon: Rgb
    sun: Rgb
    glow: Rgb
    cloud_lit: Rgb
    cloud_dark: Rgb
    ambient: Rgb
    strength: float
    overcast: float
    murk: float
    stars: float
    night: bool
    low_sun: bool


def _air(sky: tuple[str, str, str], sun: str, glow: str, clouds: tuple[str, str], ambient: str, strength: float) -> Air:
    return Air(
        zenith=rgb(sky[0]),
        middle=rgb(sky[1]),
        horizon=rgb(sky[2]),
        sun=rgb(sun),
        glow=rgb(glow),
        cloud_lit=rgb(clouds[0]),
        cloud_dark=rgb(clouds[1]),
        ambient=rgb(ambient),
        strength=strength,
        overcast=0.0,
        murk=0.3,
        stars=0.0,
        night=False,
        low_sun=False,
    )


_TIMES = {
    "day": _air(("2a6fc4", "6db2ee", "d3ebf8"), "fff3d8", "fff6e0", ("ffffff", "a3b6d0"), "8f9db4", 0.72),
    "dawn": _air(("4a6db5", "b99ac6", "ffd9ae"), "ffd8a8", "ffc890", ("ffe3d0", "9d86ae"), "867f9c", 0.6),
    "sunset": _air(("2c2f74", "b84f7e", "ffb35a"), "ffbd78", "ff8a3c", ("ffc48a", "7b4a80"), "7d6585", 0.62),
    "dusk": _air(("141b4b", "47448c", "e08f8c"), "b9a2d8", "ff9a78", ("b98aa8", "343663"), "565a8c", 0.3),
    "night": _air(("050a20", "0e1d48", "27467f"), "b4c8fa", "86a6ea", ("6f86b8", "141d40"), "27366c", 0.34),
}


def air_of(plan: Plan) -> Air:
    """The air for a plan's time of day and weather."""
    base = _TIMES[plan.time]
    night = plan.time == "night"
    cover = OVERCAST[plan.weather]
    grey = 0.62 * luminance(base.middle) + 0.25 * luminance(base.horizon)
    grey *= {"storm": 0.5, "rain": 0.78, "snow": 1.12, "fog": 1.06}.get(plan.weather, 1.0)
    cool: Rgb = (grey * 0.94, grey, grey * 1.1)
    veil = cover * 0.85
    murky = plan.weather in ("fog", "snow")
    air = replace(
        base,
        zenith=blend(base.zenith, scale(cool, 1.0 if murky else 0.72), veil),
        middle=blend(base.middle, scale(cool, 1.1 if murky else 0.95), veil * 0.9),
        horizon=blend(base.horizon, scale(cool, 1.25), veil * 0.7),
        sun=blend(base.sun, (0.85, 0.9, 1.0), cover * 0.5),
        cloud_lit=blend(base.cloud_lit, scale(cool, 1.25), cover * 0.75),
        cloud_dark=blend(base.cloud_dark, scale(cool, 0.62), cover * 0.75),
        ambient=blend(base.ambient, scale(cool, 0.95), cover * 0.5),
        strength=base.strength * (1 - 0.45 * cover),
        overcast=cover,
        murk=_MURK[plan.weather],
        stars=(1.0 if night else 0.35 if plan.time == "dusk" else 0.0) * max(0.0, 1 - cover * 1.3),
        night=night,
        low_sun=plan.time in ("dawn", "sunset"),
    )
    asked = dict(plan.washes)
    air = _in_color(air, asked["sky"].rgb) if "sky" in asked else air
    if "clouds" in asked:
        level = 0.45 if night else 1.0
        color = asked["clouds"].rgb
        air = replace(
            air, cloud_lit=scale(blend(color, (1.0, 1.0, 1.0), 0.12), level), cloud_dark=scale(color, 0.74 * level)
        )
    disc = asked.get("moon" if night or plan.time == "dusk" else "sun")
    return replace(air, glow=blend(air.glow, disc.rgb, 0.7)) if disc else air


def _in_color(air: Air, color: Rgb) -> Air:
    """The air of a sky in a colour that was asked for, as bright or dark as its hour makes it."""
    white: Rgb = (1.0, 1.0, 1.0)
    level = 0.34 if air.night else 1.0
    return replace(
        air,
        zenith=scale(color, 0.72 * level),
        middle=scale(color, 0.96 * level),
        horizon=scale(blend(color, white, 0.42), level),
        glow=blend(air.glow, color, 0.5),
        cloud_lit=blend(air.cloud_lit, color, 0.4),
        cloud_dark=blend(air.cloud_dark, color, 0.6),
        ambient=blend(air.ambient, color, 0.3),
    )


def sun_place(plan: Plan, rng: np.random.Generator, horizon: float) -> tuple[float, float]:
    """Where the sun (or the moon) stands, 0..1 of width and height; below the horizon at dusk."""
    side = 0.2 + 0.16 * float(rng.random())
    left = rng.random() < 0.5 if not plan.sky_side else plan.sky_side < 0
    x = side if left else 1 - side
    if plan.setting == "city" and (plan.moon or plan.sun):  # between the houses of a street
        x = 0.6
    jitter = float(rng.random()) * 0.05
    height = {"day": 0.3, "dawn": 0.84, "sunset": 0.84, "dusk": 1.1, "night": 0.38}[plan.time] + jitter
    if plan.time == "dusk" and plan.moon:
        height = 0.42
    return x, horizon * height


def light_of(air: Air, sun_xy: tuple[float, float], horizon: float) -> Light:
    """The light on a scene whose sun stands at `sun_xy` (0..1 from the top left)."""
    x = (sun_xy[0] - 0.5) * 1.6
    y = max(0.28, (horizon - sun_xy[1]) / max(horizon, 0.1) * 1.1 + 0.2)
    length = float(np.hypot(x, y))
    return Light(
        direction=(x / length, y / length),
        color=air.sun,
        ambient=air.ambient,
        strength=air.strength,
        rim=air.glow if air.low_sun or air.night else None,
        sun_xy=sun_xy if air.overcast < 0.7 else None,
    )
