"""Light on a drawn subject: the tone of the hour, a lit and a shaded side, a bright rim, the air in between."""

from __future__ import annotations

import numpy as np

from .paint import blur, f32
from .types import Array, Light, Rgb, Stage

COLOR_CAST = 0.5  # how much of the light's colour subjects take on; all of it would hide their own
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

FLOOR = 0.52  # of light on a subject however dark the night: it must still be seen


def lit(rgba: Array, light: Light, bounce: Rgb | None = None) -> Array:
    """Premultiplied `rgba` as it looks in the light of the scene; `bounce` is the colour of the ground it stands on."""
    h, w = rgba.shape[:2]
    ambient, color = f32(light.ambient), f32(light.color) * light.strength
    across = np.linspace(-1, 1, w, dtype=np.float32)[None, :] * light.direction[0]
    down = np.linspace(1, -1, h, dtype=np.float32)[:, None] * light.direction[1]
    facing = 0.62 + 0.2 * (across + down)
    tone = (ambient + color * facing[..., None]) ** 0.82
    grey = (tone @ _LUMA)[..., None]
    tone = np.maximum(grey, FLOOR) * (1 + (tone / grey - 1) * COLOR_CAST)
    if bounce is not None:
        low = np.linspace(-1.1, 1, h, dtype=np.float32).clip(0)[:, None, None] ** 2 * 0.16
        tone = tone * (1 - low) + (tone * f32(bounce) * 1.5) * low
    out = rgba.copy()
    out[..., :3] *= tone
    if light.rim is not None:
        out[..., :3] += _rim(rgba[..., 3], light)[..., None] * f32(light.rim)
    out[..., :3] = np.minimum(out[..., :3], out[..., 3:])
    return out


def _rim(alpha: Array, light: Light) -> Array:
    """A thin band inside the edge that faces the light."""
    h, w = alpha.shape
    reach = max(1.0, 0.022 * min(h, w))
    dx, dy = light.direction[0] * reach, -max(light.direction[1], 0.25) * reach
    soft = blur(alpha, reach * 0.55)
    moved = np.roll(soft, (-round(dy), -round(dx)), axis=(0, 1))
    return f32(np.clip((alpha - moved) * 1.3, 0, 1) * alpha * 0.55)


def in_air(rgba: Array, haze: tuple[Rgb, float], amount: float) -> Array:
    """`rgba` seen through `amount` (0..1) of the scene's haze."""
    share = min(0.6, haze[1] * amount)
    if share <= 0.01:
        return rgba
    out = rgba.copy()
    out[..., :3] += (f32(haze[0]) * out[..., 3:] - out[..., :3]) * share
    return out


def windows_lit(rgba: Array) -> Array:
    """A building after dark: its blue panes turn to warm light."""
    alpha = np.maximum(rgba[..., 3], 1e-3)
    rgb = rgba[..., :3] / alpha[..., None]
    pane = np.clip((rgb[..., 2] - rgb[..., 0] - 0.18) / 0.15, 0, 1) * np.clip((rgb[..., 2] - 0.55) / 0.15, 0, 1)
    warm = f32((1.0, 0.83, 0.45)) * (0.75 + 0.25 * (rgb @ _LUMA))[..., None]
    share = f32(pane)[..., None]
    out = rgba.copy()
    out[..., :3] = (rgb * (1 - share) + warm * share) * rgba[..., 3:]
    return out


def panes(rgba: Array) -> Array:
    """Where `windows_lit` puts light, 0..1."""
    alpha = np.maximum(rgba[..., 3], 1e-3)
    rgb = rgba[..., :3] / alpha[..., None]
    blue = np.clip((rgb[..., 2] - rgb[..., 0] - 0.18) / 0.15, 0, 1) * np.clip((rgb[..., 2] - 0.55) / 0.15, 0, 1)
    return f32(blue * rgba[..., 3])


def ground_color(stage: Stage, x: float, y: float) -> Rgb:
    """The mean colour of the backdrop around a foot."""
    rows, columns = stage.image.shape[:2]
    reach = max(2, rows // 40)
    y0, x0 = int(np.clip(y, 0, rows - 1)), int(np.clip(x, 0, columns - 1))
    patch = stage.image[max(0, y0 - reach) : y0 + reach + 1, max(0, x0 - reach) : x0 + reach + 1]
    mean = patch.reshape(-1, 3).mean(axis=0)
    return float(mean[0]), float(mean[1]), float(mean[2])


def is_dark(light: Light) -> bool:
    """Whether lamps and windows show."""
    return float(f32(light.ambient) @ _LUMA) + light.strength * 0.3 < 0.55
