"""Editing a picture by instruction: restyle, relight, grade, add, letter, reshape.

What the engine cannot do is refused with the reason; the same picture never comes back.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

import numpy as np

from openpollen.core.errors import BadRequest, UnprocessableEntity

from ...base import CancelToken, EditJob, ImageMade
from ..finish import STYLES, restyle
from ..metadata import encode, facts
from ..noise import Rng
from ..types import Array
from . import insert, relight, shape
from .attach import GUESSED, attached, guessed_seat, known_seat
from .grade import GRADES, background_blurred, graded, tinted
from .known import drawn_at, figures_in, meant, subjects_in
from .pictures import WORK_PIXELS, Picture, decode, decode_mask, resized, working_size
from .step import Step
from .steps import CAN, default_plan, scenery_of, steps_of

_RESHAPES = frozenset({"rotate", "flip", "crop", "resize", "upscale", "zoom", "combine"})
_RELATED = {
    "wear": "on",
    "on": "on",
    "above": "above",
    "beside": "next to",
    "under": "under",
    "in_front": "in front of",
}
_AT_FULL_SIZE = _RESHAPES - {"combine"}
ENGINE = "scene"
UNSEEN = "this picture does not tell what stands before it, so its middle was kept sharp"


def edit(job: EditJob, token: CancelToken) -> ImageMade:
    """The first image of the job after its instruction. The same job and seed give the same bytes."""
    if not job.images:
        raise BadRequest("There is no image to edit; send one as `image`")
    seed = secrets.randbelow(2**31) if job.seed is None else job.seed
    rng = np.random.default_rng(seed % 2**64)
    pictures = [
        decode(data, f"Image {i + 1}" if len(job.images) > 1 else "The image") for i, data in enumerate(job.images)
    ]
    whole = pictures[0]
    if min(whole.size) < 8:
        raise BadRequest(f"The image is {whole.size[0]} x {whole.size[1]} pixels; it must be at least 8 x 8")
    resizes = job.width is not None or job.height is not None
    steps, unused = _with_size(job, len(pictures), resizes)
    if job.mask is not None and (resizes or any(s.kind in _RESHAPES for s in steps)):
        raise UnprocessableEntity(
            "A mask cannot be combined with a change of size or shape; send two requests", reason="mask_and_reshape"
        )
    token.check()
    mask = None if job.mask is None else decode_mask(job.mask, whole.size)
    if mask is None:
        first = next(iter(job.images))
        steps = _focused(_seated(steps, first, whole, token), first, whole, token)
        steps, pictures[0] = _relit_indoors(steps, first, whole, token)
    result, told = _worked(steps, pictures, mask, rng, token)
    if resizes:
        result = shape.fitted(result, *_target(job, result))
    _refuse_unchanged(whole, result)
    token.check()
    if job.transparent and result.alpha is None:
        result = insert.cut_out(result, None)
        told.append("made the plain background transparent")
    kind = "png" if result.alpha is not None and (job.transparent or whole.alpha is not None) else job.output_format
    data, mime = encode(
        result.pixels() if kind == "png" else result.rgb,
        kind,
        facts(job.prompt, seed, ENGINE) if job.metadata else None,
    )
    if len(pictures) > 1 and not any(s.kind == "combine" for s in steps):
        told.append("only the first image was edited")
    if kind == "png" and job.output_format == "jpeg":
        told.append("returned as PNG, because JPEG has no transparency")
    note = "; ".join([*told, *dict.fromkeys(unused)])
    return ImageMade(data, mime, result.size[0], result.size[1], seed, note[:1].upper() + note[1:] + ".")


def _with_size(job: EditJob, images: int, resizes: bool) -> tuple[list[Step], list[str]]:
    """The steps of the job and what to tell of unused words; with a size or several images there may be no words at all."""
    if job.prompt.strip():
        return steps_of(job.prompt, images, job.mask is not None)
    if resizes:
        return [], []
    return steps_of("collage" if images > 1 else job.prompt, images)


def _seated(steps: list[Step], data: bytes, picture: Picture, token: CancelToken) -> list[Step]:
    """The steps with the places of what they put things to, where the picture itself tells them.

    UnprocessableEntity when it tells that there is no such thing.
    """
    reshaped = any(step.kind in _RESHAPES for step in steps) or working_size(picture) is not picture
    if reshaped or not any(step.target for step in steps):
        return steps
    found = figures_in(data, picture, token)
    if found is None:
        return steps
    plan, figures = found
    out: list[Step] = []
    for step in steps:
        seats = (
            tuple(known_seat(f, figures, picture.size[0]) for f in meant(step.target, plan, figures))
            if step.target
            else ()
        )
        if step.target and not seats:
            there = ", ".join(s.noun for s in plan.subjects) or "no subject"
            raise UnprocessableEntity(
                f"There is nothing called {step.target!r} in this picture; it was drawn with: {there}.",
                reason="no_such_thing",
            )
        out.append(replace(step, seats=seats))
    return out


def _focused(steps: list[Step], data: bytes, picture: Picture, token: CancelToken) -> list[Step]:
    """The steps with what stands before the background that is to be blurred, where the picture itself tells it."""
    reshaped = any(step.kind in _RESHAPES for step in steps) or working_size(picture) is not picture
    if reshaped or not any(step.kind == "blur background" for step in steps):
        return steps
    subjects = picture.alpha if picture.alpha is not None else subjects_in(data, picture, token)
    return [replace(step, subjects=subjects) if step.kind == "blur background" else step for step in steps]


def _relit_indoors(steps: list[Step], data: bytes, picture: Picture, token: CancelToken) -> tuple[list[Step], Picture]:
    """Another hour or weather of a room that this engine drew is seen through its window: the steps with those already
    done, and the picture after them."""
    changes = {step.kind: step.value for step in steps if step.kind in ("time", "weather")}
    reshaped = any(step.kind in _RESHAPES for step in steps) or working_size(picture) is not picture
    drawn = None if reshaped or not changes else drawn_at(data, picture, changes, token)
    if drawn is None:
        return steps, picture
    return [replace(step, done=True) if step.kind in changes else step for step in steps], drawn


def _target(job: EditJob, picture: Picture) -> tuple[int, int]:
    w, h = picture.size
    width = job.width or max(16, round(w * (job.height or h) / h))
    return width, job.height or max(16, round(h * width / w))


def _worked(
    steps: list[Step], pictures: list[Picture], mask: Array | None, rng: Rng, token: CancelToken
) -> tuple[Picture, list[str]]:
    """The first picture after the steps. Its shape changes at full size; all else is done at a size that is affordable."""
    ahead = next((i for i, step in enumerate(steps) if step.kind not in _AT_FULL_SIZE), len(steps))
    whole, told = _run(steps[:ahead], pictures[0], [], None, rng, token)
    if ahead == len(steps):
        return whole, told or ["changed the size"]
    first = working_size(whole)
    if mask is not None and first is not whole:
        mask = resized(Picture(np.repeat(mask[..., None], 3, axis=2)), *first.size).rgb[..., 0]
    result, more = _run(steps[ahead:], first, [working_size(p) for p in pictures[1:]], mask, rng, token)
    if mask is not None:
        result = _masked(first, result, mask)
    told += more
    if first is not whole:
        back = result.size == first.size
        result = resized(result, *whole.size) if back else result
        told.append(
            f"worked on at {first.size[0]} x {first.size[1]}{' and enlarged back' if back else ''}, because the picture has "
            f"more than {WORK_PIXELS // 1_000_000} megapixels"
        )
    return result, told


def _run(
    steps: list[Step], picture: Picture, others: list[Picture], mask: Array | None, rng: Rng, token: CancelToken
) -> tuple[Picture, list[str]]:
    told: list[str] = []
    for step in steps:
        token.check()
        picture, words = _apply(step, picture, others, mask, rng)
        told.append(words)
    return picture, told


def _apply(step: Step, picture: Picture, others: list[Picture], mask: Array | None, rng: Rng) -> tuple[Picture, str]:
    """The picture after one step, and what was done in words."""
    if step.kind == "style" and step.value in STYLES:
        return picture.with_rgb(restyle(picture.rgb, step.value, rng)), f"restyled as {step.value}"
    if step.done:
        return picture, f"{'relit for' if step.kind == 'time' else 'weather:'} {step.value}, seen through the window"
    if step.kind == "time":
        return picture.with_rgb(relight.at_time(picture.rgb, step.value, rng, step.denied)), f"relit for {step.value}"
    if step.kind == "weather":
        return picture.with_rgb(relight.in_weather(picture.rgb, step.value, rng, step.denied)), f"weather: {step.value}"
    if step.kind == "show":
        return picture.with_rgb(relight.with_show(picture.rgb, step.value, rng)), f"added {step.value}"
    if step.kind == "tint":
        return picture.with_rgb(tinted(picture.rgb, step.value, step.amount)), f"tinted {step.value}"
    if step.kind == "blur background":
        blurred = picture.with_rgb(background_blurred(picture.rgb, step.amount, step.subjects))
        return blurred, "blurred the background" if step.subjects is not None else f"blurred the background; {UNSEEN}"
    if step.kind in GRADES:
        return picture.with_rgb(graded(picture.rgb, step.kind, step.amount, rng)), f"graded: {step.kind}"
    if step.kind == "add":
        return _added(step, picture, mask, rng)
    if step.kind == "text":
        return insert.add_text(picture, step.value, step.place, mask), f"lettered “{step.value}”"
    if step.kind == "background":
        return insert.new_background(picture, step.value, mask, rng)
    if step.kind == "cutout":
        return insert.cut_out(picture, mask), "made the background transparent"
    return _reshaped(step, picture, others)


def _added(step: Step, picture: Picture, mask: Array | None, rng: Rng) -> tuple[Picture, str]:
    """Things to draw, and weather and shows that are asked for in the words of an addition."""
    told: list[str] = []
    guessed = step.relation == "wear" and mask is None
    if step.seats or guessed:
        seats = list(step.seats) or [guessed_seat(picture)]
        picture, words = attached(picture, step.value, step.relation, seats)
        where = f"{_RELATED[step.relation]} {step.target}"
        return picture, f"added {words} {where}" + ("" if step.seats else f"; {GUESSED}")
    for other in scenery_of(step.value):
        if other.kind in ("weather", "show"):
            picture, words = _apply(other, picture, [], mask, rng)
            told.append(words)
    if not told or default_plan(step.value).subjects:
        picture, words = insert.add_things(picture, step.value, step.place, mask, rng)
        told.append(words)
    if step.target and mask is None:
        told.append(
            f"placed freely, because where “{_RELATED[step.relation]} {step.target}” is cannot be seen (a mask, “left”, "
            "“right” or “in the sky” is)"
        )
    return picture, ", ".join(told)


def _reshaped(step: Step, picture: Picture, others: list[Picture]) -> tuple[Picture, str]:
    if step.kind == "rotate":
        return shape.rotated(picture, step.value), "rotated"
    if step.kind == "flip":
        return shape.flipped(
            picture, step.value
        ), f"flipped {step.value}ly" if step.value != "horizontal" else "mirrored"
    if step.kind == "crop":
        return shape.cropped(picture, step.value), f"cropped to {step.value}"
    if step.kind == "resize":
        width, height = (int(n) for n in step.value.split("x"))
        return shape.fitted(picture, width, height), f"resized to {width} x {height}"
    if step.kind == "upscale":
        return shape.enlarged(picture, float(step.value))
    if step.kind == "zoom":
        return shape.zoomed(picture), "zoomed in"
    if step.kind == "border":
        return shape.bordered(picture, step.value), f"put a {step.value} border around it"
    if step.kind == "combine" and others:
        if step.value == "blend":
            return shape.blended([picture, *others]), "blended the images"
        if step.value == "sticker":
            return insert.stuck_on(picture, others[0], step.place), "put the second image into the first"
        return shape.collage([picture, *others], step.value), "set the images side by side"
    raise UnprocessableEntity(f"The scene engine cannot do this: {step.kind} {step.value}. {CAN}", reason="cannot_edit")


def _masked(before: Picture, after: Picture, mask: Array) -> Picture:
    """`after` where the mask lets it through, `before` elsewhere."""
    share = mask[..., None]
    rgb = before.rgb + (after.rgb - before.rgb) * share
    rgb[mask <= 0] = before.rgb[mask <= 0]
    if before.alpha is None and after.alpha is None:
        return Picture(rgb)
    old = np.ones_like(mask) if before.alpha is None else before.alpha
    new = np.ones_like(mask) if after.alpha is None else after.alpha
    return Picture(rgb, old + (new - old) * mask)


def _refuse_unchanged(before: Picture, after: Picture) -> None:
    if before.size != after.size or (before.alpha is None) != (after.alpha is None):
        return
    change = np.abs(after.pixels() - before.pixels()).max(axis=2) > 1.5 / 255
    if int(change.sum()) < max(1, change.size // 10_000):
        raise UnprocessableEntity(
            f"This instruction would leave the picture as it is (it may already look like that). {CAN}",
            reason="no_change",
        )
