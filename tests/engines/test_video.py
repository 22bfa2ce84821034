"""Films of the scene engine, decoded again: size, length, codecs, motion, sound, repeatability."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from openpollen.core.errors import BadRequest
from openpollen.engines.base import Cancelled, CancelToken, VideoJob, VideoMade
from openpollen.engines.video import SceneVideoEngine

ENGINE = SceneVideoEngine()


@dataclass(frozen=True)
class Decoded:
    frames: np.ndarray
    codecs: tuple[str, ...]
    pixel_format: str
    rate: float
    sound: np.ndarray | None
    facts: dict[str, str]


def made(prompt: str, **options: Any) -> VideoMade:
    options = {"seconds": 1, "width": 160, "height": 90, "fps": 12, "seed": 3} | options
    return ENGINE.generate(VideoJob(prompt, **options), CancelToken(), lambda done: None)


def decoded(film: VideoMade) -> Decoded:
    with av.open(io.BytesIO(film.data)) as file:
        stream = file.streams.video[0]
        pictures = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        codecs = tuple(s.codec_context.name for s in file.streams)
        facts = dict(file.metadata)
        pixel_format, rate = str(stream.codec_context.pix_fmt), float(stream.average_rate or 0)
    sound = None
    if "aac" in codecs:
        with av.open(io.BytesIO(film.data)) as file:
            sound = np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)
    return Decoded(np.stack(pictures).astype(np.float32), codecs, pixel_format, rate, sound, facts)


@cache
def sailing() -> Decoded:
    return decoded(made("a sailboat on the sea at sunset", seconds=2))


def test_size_rate_length_and_codec() -> None:
    film = sailing()
    assert film.frames.shape == (24, 90, 160, 3)
    assert film.codecs == ("h264",)
    assert film.pixel_format == "yuv420p"
    assert film.rate == 12


@pytest.mark.parametrize(("seconds", "fps", "frames"), [(1.0, 8, 8), (1.37, 30, 41), (2.5, 24, 60)])
def test_length_is_exact_to_a_frame(seconds: float, fps: int, frames: int) -> None:
    film = made("a balloon", seconds=seconds, fps=fps, width=64, height=64)
    assert len(decoded(film).frames) == frames
    assert film.seconds == pytest.approx(frames / fps)


@pytest.mark.parametrize("size", [(64, 64), (66, 142), (322, 98)])
def test_any_even_size(size: tuple[int, int]) -> None:
    film = decoded(made("a cat in a forest", width=size[0], height=size[1], fps=8))
    assert film.frames.shape[1:3] == (size[1], size[0])


@pytest.mark.parametrize(
    "prompt",
    ["a cat in space", "a fish underwater", "a dog in a rainy city at night", "three penguins, snowing",
     "a fox in a forest", "a cup on a table in a room"],
)  # fmt: skip
def test_things_move_from_frame_to_frame(prompt: str) -> None:
    frames = decoded(made(prompt)).frames
    steps = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))
    assert (steps > 0.05).mean() > 0.7, "most frames differ from the one before"
    assert np.abs(frames[-1] - frames[0]).mean() > 0.8
    assert steps.max() < 25, "and none jumps"


def test_snow_falls() -> None:
    still, falling = decoded(made("a house in a meadow")).frames, decoded(made("a house in a meadow, snowing")).frames
    assert np.abs(np.diff(falling, axis=0)).mean() > np.abs(np.diff(still, axis=0)).mean()


def test_no_sound_unless_asked_for() -> None:
    assert sailing().sound is None


def test_sound_is_there_as_long_as_the_film() -> None:
    film = decoded(made("waves on a beach", seconds=2, audio=True))
    assert film.codecs == ("h264", "aac")
    assert film.sound is not None
    assert abs(film.sound.shape[1] / 44_100 - 2) < 0.06
    assert 0.01 < float(np.sqrt((film.sound**2).mean())) < 0.5
    assert np.abs(film.sound).max() <= 1.05


def test_start_picture_is_the_first_frame() -> None:
    start = np.zeros((90, 160, 3), np.uint8)
    start[:, :80], start[:, 80:] = (220, 40, 40), (30, 60, 200)
    out = io.BytesIO()
    Image.fromarray(start).save(out, "PNG")
    frames = decoded(made("the camera moves in", seconds=2, images=(out.getvalue(),))).frames
    assert np.abs(frames[0] - start).mean() < 12
    assert np.abs(frames[-1] - frames[0]).mean() > 1
    with pytest.raises(BadRequest, match="not an image"):
        made("a film", images=(b"nothing",))


def test_same_seed_same_film_other_seed_another() -> None:
    first = made("a bird over a meadow", fps=8)
    assert first.data == made("a bird over a meadow", fps=8).data
    assert first.data != made("a bird over a meadow", fps=8, seed=4).data


def test_facts_are_in_the_file_unless_left_out() -> None:
    film = sailing()
    assert film.facts["title"] == "a sailboat on the sea at sunset"
    assert "seed: 3" in film.facts["comment"]
    assert "title" not in decoded(made("a cat", metadata=False, fps=8)).facts


@pytest.mark.parametrize(
    "options",
    [{"seconds": 0.2}, {"seconds": 61}, {"fps": 7}, {"fps": 61}, {"width": 62}, {"height": 1922}, {"width": 161}],
)
def test_out_of_bounds_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        made("a cat", **options)


def test_progress_rises_to_one_and_cancelling_stops() -> None:
    told: list[float] = []
    ENGINE.generate(VideoJob("a cat", 1, 64, 64, 8, seed=1), CancelToken(), told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    token = CancelToken()

    def stop(done: float) -> None:
        if done > 0.3:
            token.cancel()

    with pytest.raises(Cancelled):
        ENGINE.generate(VideoJob("a cat", 2, 64, 64, 8, seed=1), token, stop)


def test_style_and_title_reach_the_film() -> None:
    noir = decoded(made("a dog in the city, film noir", fps=8)).frames
    assert np.ptp(noir, axis=3).mean() < 8


def test_what_a_film_does_not_show_is_told() -> None:
    assert "gizmotron" in made("a gizmotron beside a cat", fps=8).note
    assert made("a cat beside a dog", fps=8).note == ""
    still = io.BytesIO()
    Image.new("RGB", (160, 90), (90, 120, 60)).save(still, "PNG")
    note = made("a dog runs by", fps=8, images=(still.getvalue(), still.getvalue())).note
    assert "not drawn into it: dog" in note
    assert "only the first of 2" in note
    assert made("the camera moves in", fps=8, images=(still.getvalue(),)).note == ""
