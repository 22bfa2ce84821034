"""Backdrops and styles: every setting, time, weather and style is painted, differs from the others, and repeats by seed."""

from __future__ import annotations

from functools import cache
from typing import get_args

import numpy as np
import pytest

from openpollen.engines.scene.backdrop import paint_stage
from openpollen.engines.scene.finish import STYLES, restyle
from openpollen.engines.scene.paint import over
from openpollen.engines.scene.props import PROPS, draw_prop
from openpollen.engines.scene.types import Plan, Setting, Stage, Style, TimeOfDay, Weather

SETTINGS: tuple[Setting, ...] = get_args(Setting)
TIMES: tuple[TimeOfDay, ...] = get_args(TimeOfDay)
WEATHERS: tuple[Weather, ...] = get_args(Weather)
SIDE = 112
OPEN_AIR = ("sea", "beach", "city", "forest", "desert", "mountain", "snow", "meadow", "sky", "jungle", "farm")


def painted(plan: Plan, width: int = SIDE, height: int = SIDE, seed: int = 3) -> Stage:
    return paint_stage(plan, width, height, np.random.default_rng(seed))


@cache
def stage(setting: Setting, time: TimeOfDay = "day", weather: Weather = "clear") -> Stage:
    return painted(Plan("", setting=setting, time=time, weather=weather))


def seen(one: Stage) -> np.ndarray:
    """The picture with what falls and grows in front of it."""
    image = one.image.copy()
    if one.foreground is not None:
        over(image, one.foreground)
    return image


@pytest.mark.parametrize("setting", SETTINGS)
def test_stage_is_complete(setting: Setting) -> None:
    one = stage(setting)
    assert one.image.shape == (SIDE, SIDE, 3)
    assert one.image.dtype == np.float32
    assert float(one.image.min()) >= 0
    assert float(one.image.max()) <= 1
    assert one.ground.shape == (SIDE,)
    assert 0 < one.ground_band[0] < one.ground_band[1] < 1
    assert abs(np.hypot(*one.light.direction) - 1) < 0.05
    assert one.image.std() > 0.03, "a picture, not a plain field"
    assert len(one.layers) >= 2
    for layer in one.layers:
        assert layer.rgba.shape == (SIDE, SIDE, 4)
        if layer.name not in ("light", "glow", "planets"):  # light is added to what lies behind it
            assert np.all(layer.rgba[..., :3] <= layer.rgba[..., 3:] + 0.02), f"{layer.name} is not premultiplied"


def test_layers_compose_to_the_image() -> None:
    one = stage("mountain")
    composed = one.layers[0].rgba[..., :3].copy()
    for layer in one.layers[1:]:
        over(composed, layer.rgba)
    assert np.abs(np.clip(composed, 0, 1) - one.image).max() < 0.02


def test_settings_differ() -> None:
    for i, one in enumerate(SETTINGS):
        for other in SETTINGS[i + 1 :]:
            if {one, other} != {"forest", "jungle"}:
                assert np.abs(stage(one).image - stage(other).image).mean() > 0.04, (one, other)
    assert np.abs(stage("forest").image - stage("jungle").image).mean() > 0.02


@pytest.mark.parametrize("setting", [s for s in OPEN_AIR if s != "city"])
def test_night_is_darker_than_dusk_and_dusk_than_day(setting: Setting) -> None:
    day, dusk, night = (float(stage(setting, time).image.mean()) for time in ("day", "dusk", "night"))
    assert day > dusk > night


def test_times_have_their_colours() -> None:
    sunset, night = (
        stage("sea", "sunset").image[: SIDE // 3].mean(axis=(0, 1)),
        stage("sea", "night").image[: SIDE // 3].mean(axis=(0, 1)),
    )
    assert sunset[0] > sunset[2] * 1.1, "a red sky"
    assert night[2] > night[0] * 1.5, "a blue sky"


def test_city_windows_shine_at_night() -> None:
    lit = stage("city", "night").image
    warm = (lit[..., 0] > 0.75) & (lit[..., 0] > lit[..., 2] + 0.1)
    assert warm.mean() > 0.005
    assert stage("room", "night").image.mean() < stage("room", "day").image.mean()


@pytest.mark.parametrize("weather", [w for w in WEATHERS if w != "clear"])
def test_weather_changes_the_meadow(weather: Weather) -> None:
    assert np.abs(seen(stage("meadow", "day", weather)) - seen(stage("meadow"))).mean() > 0.01


def test_rain_wets_the_street() -> None:
    assert stage("city").water is None
    wet = stage("city", "night", "rain").water
    assert wet is not None
    assert wet[SIDE * 3 // 4 :].mean() > 0.2
    assert wet[: SIDE // 2].max() == 0


@pytest.mark.parametrize("extra", ["aurora", "rainbow", "fireworks", "lanterns", "flowers", "autumn", "lake", "petals"])
def test_extras_show(extra: str) -> None:
    plan = Plan("", setting="meadow", time="dusk", extra=frozenset({extra}))
    assert np.abs(seen(painted(plan)) - seen(stage("meadow", "dusk"))).mean() > 0.003


@pytest.mark.parametrize("extra", ["lunar", "mars"])
def test_ground_in_space(extra: str) -> None:
    one = painted(Plan("", setting="space", extra=frozenset({extra})))
    assert one.image[SIDE * 4 // 5 :].mean() > 0.15
    assert one.ground_band[0] > 0.6


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("size", [(64, 97), (111, 65)])
def test_odd_sizes(setting: Setting, size: tuple[int, int]) -> None:
    one = painted(Plan("", setting=setting, weather="rain"), *size)
    assert one.image.shape == (size[1], size[0], 3)
    assert np.isfinite(one.image).all()


def test_same_seed_same_picture_other_seed_another() -> None:
    plan = Plan("", setting="forest")
    again = painted(plan).image
    assert np.array_equal(again, painted(plan).image)
    assert np.abs(again - painted(plan, seed=4).image).mean() > 0.01


def test_composition_does_not_depend_on_the_size() -> None:
    small = painted(Plan("", setting="mountain"), 128, 128).image
    large = painted(Plan("", setting="mountain"), 256, 256).image.reshape(128, 2, 128, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - large).mean() < 0.06


@pytest.mark.parametrize("key", sorted(PROPS))
def test_props_are_drawn(key: str) -> None:
    rgba = draw_prop(key, 90, np.random.default_rng(1))
    assert 40 < rgba.shape[0] <= 92
    assert 0.08 < float((rgba[..., 3] > 0.5).mean()) <= 1
    assert np.all(rgba[..., :3] <= rgba[..., 3:] + 0.02)


@cache
def styled(style: Style) -> np.ndarray:
    return restyle(stage("meadow").image, style, np.random.default_rng(2))


def test_styles_differ_from_each_other_and_repeat() -> None:
    names: tuple[Style, ...] = ("default", *STYLES)
    assert len(STYLES) >= 10
    for i, one in enumerate(names):
        assert styled(one).shape == (SIDE, SIDE, 3)
        assert np.array_equal(styled(one), restyle(stage("meadow").image, one, np.random.default_rng(2)))
        for other in names[i + 1 :]:
            assert np.abs(styled(one) - styled(other)).mean() > 0.02, (one, other)


def test_styles_have_their_marks() -> None:
    assert np.ptp(styled("noir"), axis=2).max() < 0.02, "no colour"
    assert styled("sketch").mean() > 0.6, "mostly paper"
    assert len(np.unique((styled("pixel").reshape(-1, 3) * 255).astype(int), axis=0)) <= 28, "a small palette"
    assert styled("neon").mean() < styled("default").mean() * 0.8, "dark"
    vintage = styled("vintage").mean(axis=(0, 1))
    assert vintage[0] > vintage[1] > vintage[2], "sepia"
    assert styled("pastel").std() < styled("default").std(), "soft"
