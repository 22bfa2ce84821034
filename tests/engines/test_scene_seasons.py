"""Weather, seasons, hours and the colours of clouds: they change the place that a prompt names, and never replace it."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image

from openpollen.engines.base import CancelToken, ImageJob
from openpollen.engines.scene import SceneEngine
from openpollen.engines.scene.plan import make_plan
from openpollen.engines.video.film import frame, prepare

ENGINE = SceneEngine()


@cache
def pixels(prompt: str) -> Any:
    data = ENGINE.generate(ImageJob(prompt, 384, 288, seed=0), CancelToken()).data
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float32) / 255


@pytest.mark.parametrize(
    ("prompt", "setting"),
    [
        ("a snowy forest", "forest"),
        ("a dog in a snowy forest", "forest"),
        ("winter forest", "forest"),
        ("a forest in winter", "forest"),
        ("a wintry street", "city"),
        ("a snow-covered park", "meadow"),
        ("snow falls on a forest", "forest"),
        ("it snows in the city", "city"),
        ("a snowy beach", "beach"),
        ("a desert covered in snow", "desert"),
        ("a snowy farm", "farm"),
        ("snowy mountains", "mountain"),
    ],
)
def test_snow_lies_on_the_place_that_was_named(prompt: str, setting: str) -> None:
    plan, note = make_plan(prompt)
    assert (plan.setting, plan.snowy, note) == (setting, True, "")


@pytest.mark.parametrize("weather", ["rainy", "foggy", "stormy", "sunny", "autumn", "windy"])
@pytest.mark.parametrize("place", ["forest", "city", "beach", "farm", "desert"])
def test_no_weather_replaces_a_place(weather: str, place: str) -> None:
    plan, note = make_plan(f"a {weather} {place}")
    told = weather in note
    shown = plan.weather.startswith(weather[:3]) or weather in plan.extra or weather == "sunny"
    assert plan.setting == place
    assert shown or told


def test_snow_alone_and_villages_in_it_stay_what_they_were() -> None:
    assert make_plan("a fox in the snow")[0].setting == "snow"
    for prompt in ("a snowy village", "a village in winter"):
        plan, note = make_plan(prompt)
        assert ([s.key for s in plan.subjects], plan.snowy or plan.setting == "snow", note) == (["houses"], True, "")


@pytest.mark.parametrize("place", ["forest", "beach", "desert", "city", "park"])
def test_ground_under_snow_is_white(place: str) -> None:
    snowy, bare = pixels(f"a snowy {place}")[-40:, 150:240], pixels(f"a {place}")[-40:, 150:240]
    assert float(np.ptp(snowy, axis=2).mean()) < 0.2
    assert float(snowy.mean()) > float(bare.mean()) + 0.08


def test_the_sun_shines_on_a_winter_forest_when_it_is_to() -> None:
    plan, note = make_plan("a sunny winter forest")
    assert (plan.setting, plan.weather, plan.snowy, note) == ("forest", "clear", True, "")


def test_a_second_weather_or_season_that_is_not_painted_is_named() -> None:
    assert "rain" in make_plan("a foggy rainy city")[1]
    assert "autumn" in make_plan("autumn in space")[1]
    assert "lake" in make_plan("a frozen lake in a forest")[1]


def test_a_film_of_snow_on_a_forest_shows_both() -> None:
    plan, _ = make_plan("snow falls on a forest")
    film = prepare(plan, 320, 180, 2.0, 3, CancelToken())
    first, later = (frame(film, i, 48, 24).astype(np.float32) for i in (0, 12))
    still = np.abs(pixels("a snowfield")[:60].mean(axis=(0, 1)) * 255 - first[:40].mean(axis=(0, 1)))
    assert float(still.max()) > 25, "not the open sky of a snow field"
    fell = np.abs(first - later).max(axis=2) > 40
    assert 0.005 < float(fell.mean()) < 0.4
    trees = (first[..., 1] > first[..., 0] + 8)[:120]
    assert float(trees.mean()) > 0.3


def test_what_stands_before_water_does_not_ripple_with_it() -> None:
    plan, _ = make_plan('a billboard that says "OPEN" on a rainy street')
    film = prepare(plan, 320, 180, 2.0, 3, CancelToken())
    assert film.water is not None
    board: Any = np.asarray(film.planes[-1].image.convert("RGB"), np.float32)
    half = board.shape[0] // 2
    ripples: Any = np.asarray(film.water)[half:][board[half:].min(axis=2) > 150]
    assert ripples.size > 50
    assert float((ripples > 40).mean()) < 0.2


@pytest.mark.parametrize(
    ("prompt", "time"),
    [
        ("the sun sets over the sea", "sunset"),
        ("the sun is setting behind mountains", "sunset"),
        ("the setting sun over a farm", "sunset"),
        ("as the sun goes down over a city", "sunset"),
        ("the sun rises over a desert", "dawn"),
        ("the sun is coming up behind a castle", "dawn"),
        ("day breaks over a village", "dawn"),
        ("a lake at dawn", "dawn"),
        ("dusk falls on a forest", "dusk"),
        ("night falls on a city", "night"),
        ("night has fallen over the desert", "night"),
        ("a moonlit beach", "night"),
        ("the moon rises over a lake", "night"),
        ("the sun shines on a meadow", "day"),
    ],
)
def test_what_the_sun_and_the_night_do_tells_the_hour(prompt: str, time: str) -> None:
    plan, note = make_plan(prompt)
    assert (plan.time, note) == (time, "")


def test_sunset_over_the_sea_is_no_noon() -> None:
    sky = pixels("the sun sets over the sea")[90:130]
    assert float(sky[..., 0].mean()) > float(sky[..., 2].mean()) + 0.1


@pytest.mark.parametrize(
    ("prompt", "near"),
    [
        ("orange clouds in a purple sky", (0.97, 0.50, 0.08)),
        ("white clouds in a red sky", (0.97, 0.97, 0.98)),
        ("green clouds over a farm", (0.16, 0.64, 0.26)),
    ],
)
def test_clouds_take_their_colour_and_the_sky_its_own(prompt: str, near: tuple[float, float, float]) -> None:
    picture = pixels(prompt)[:140]
    away = np.abs(picture - np.array(near, np.float32)).max(axis=2)
    assert float((away < 0.3).mean()) > 0.04
    assert make_plan(prompt)[1] == ""
    plain = pixels(prompt.partition(" clouds ")[2].removeprefix("in ").removeprefix("over "))[:140]
    assert float((np.abs(plain - np.array(near, np.float32)).max(axis=2) < 0.3).mean()) < 0.03
