"""The scene engine: a prompt becomes an illustrated scene, composed and painted on the CPU without a neural network."""

from __future__ import annotations

import secrets
from dataclasses import replace

import numpy as np

from openpollen.core.errors import BadRequest

from ..base import CancelToken, EditJob, ImageJob, ImageMade
from . import compose, lettering
from .layout import Spot, arrange
from .lighting import is_dark
from .match import default_matcher
from .metadata import encode, facts
from .paint import fill, resize
from .plan import make_plan
from .types import Array, Light, Plan, Stage

SMALLEST = 256  # pixels of the shorter side that a scene is painted at, at least
MAX_SIDE = 4096
MAX_OVERSIZED = 1_200_000  # pixels to paint for a picture that is reduced afterwards


class SceneEngine:
    """Draws illustrations from the vendored icon pack and its own painters. Never a photograph, never a diffusion model."""

    name = "scene"
    kind = "image"
    memory_mb = 160

    def missing(self) -> str:
        """Nothing is ever missing: the art comes with the package."""
        return ""

    def load(self) -> None:
        """Read the word lists and the index of drawings."""
        default_matcher()

    def unload(self) -> None:
        """Nothing worth giving back."""

    def generate(self, job: ImageJob, token: CancelToken) -> ImageMade:
        """The picture for a job. The same prompt, size and seed give the same bytes."""
        for side, length in (("width", job.width), ("height", job.height)):
            if not 16 <= length <= MAX_SIDE:
                raise BadRequest(f"{side} must be 16 to {MAX_SIDE} pixels, not {length}", details={"parameter": side})
        seed = secrets.randbelow(2**31) if job.seed is None else job.seed
        token.check()
        plan, note = make_plan(job.prompt, job.negative_prompt, default_matcher())
        token.check()
        factor = oversize(job.width, job.height)
        rows, columns = round(job.height * factor), round(job.width * factor)
        pixels = (
            draw_alone(plan, columns, rows, seed) if job.transparent else draw_scene(plan, columns, rows, seed, token)
        )
        if factor > 1:
            pixels = resize(pixels, job.height, job.width)
        token.check()
        if job.transparent:
            alpha = np.clip(pixels[..., 3:], 0, 1)
            pixels = np.concatenate([pixels[..., :3] / np.maximum(alpha, 1e-3), alpha], axis=-1)
        told = facts(job.prompt, seed, self.name) if job.metadata else None
        output_format = "png" if job.transparent else job.output_format
        if output_format != job.output_format:
            note = "; ".join(part for part in (note, "returned as PNG, because JPEG has no transparency") if part)
        data, mime = encode(pixels, output_format, told)
        return ImageMade(data, mime, job.width, job.height, seed, note)

    def edit(self, job: EditJob, token: CancelToken) -> ImageMade:
        """A changed picture; what this engine cannot change is refused with the reason."""
        from .edit import edit

        return edit(job, token)


def oversize(width: int, height: int) -> float:
    """How much larger than asked a small picture is painted, before it is reduced."""
    affordable = (MAX_OVERSIZED / (width * height)) ** 0.5
    return max(1.0, min(SMALLEST / min(width, height), affordable))


def streams(seed: int) -> tuple[np.random.Generator, np.random.Generator, np.random.Generator]:
    """Independent random streams for the backdrop, the composition and the finish."""
    backdrop, layout, finish = np.random.SeedSequence(seed % 2**64).spawn(3)
    return np.random.default_rng(backdrop), np.random.default_rng(layout), np.random.default_rng(finish)


def laid_out(plan: Plan, width: int, height: int, seed: int, token: CancelToken) -> tuple[Stage, list[Spot]]:
    """The backdrop, and where on it every group of figures stands."""
    from .backdrop import paint_stage

    for_backdrop, for_layout, _ = streams(seed)
    stage = paint_stage(plan, width, height, for_backdrop)
    token.check()
    return stage, arrange(plan, stage, for_layout)


def draw_scene(plan: Plan, width: int, height: int, seed: int, token: CancelToken) -> Array:
    """The whole scene, RGB."""
    stage, spots = laid_out(plan, width, height, seed, token)
    token.check()
    return finished(plan, stage, spots, seed, token)


def finished(plan: Plan, stage: Stage, spots: list[Spot], seed: int, token: CancelToken) -> Array:
    """The scene that was laid out, painted and in its style, RGB."""
    from .finish import apply_style

    sprites = compose.sprites_at(spots, plan, stage)
    token.check()
    image = stage.image.copy()
    compose.paint(image, sprites, stage)
    token.check()
    image = apply_style(np.clip(image, 0, 1), plan, streams(seed)[2])
    token.check()
    if plan.text:
        lettering.title(image, plan, is_dark(stage.light))
    return image


def laid_out_alone(plan: Plan, width: int, height: int, seed: int) -> tuple[Stage, list[Spot]]:
    """A studio, and where in it every group of figures stands to fill the picture."""
    plan = replace(plan, subjects=tuple(replace(s, floats=False) for s in plan.subjects))
    stage = neutral_stage(width, height)
    spots = arrange(plan, stage, streams(seed)[1])
    compose.centred(spots, height, width)
    return stage, spots


def draw_alone(plan: Plan, width: int, height: int, seed: int) -> Array:
    """The subjects without a backdrop, premultiplied RGBA."""
    from .finish import apply_style

    stage, spots = laid_out_alone(plan, width, height, seed)
    sprites = compose.sprites_at(spots, plan, stage)
    canvas = compose.cut_out(sprites, height, width)
    if plan.style != "default":
        alpha = canvas[..., 3:]
        styled = apply_style(np.clip(canvas[..., :3] + (1 - alpha), 0, 1), plan, streams(seed)[2])
        canvas[..., :3] = styled * alpha
    if plan.text:
        lettering.title(canvas, plan, dark=True)
    return canvas


def neutral_stage(width: int, height: int) -> Stage:
    """A studio: even light, a floor, nothing in sight."""
    light = Light((-0.4, 0.92), (1.0, 1.0, 1.0), (0.58, 0.58, 0.58), 0.68)
    return Stage(
        image=fill(height, width, (0.5, 0.5, 0.5)),
        horizon=0.5,
        ground=np.full(width, 0.4 * height, np.float32),
        ground_band=(0.4, 0.95),
        water=None,
        light=light,
        haze=((1.0, 1.0, 1.0), 0.0),
    )
