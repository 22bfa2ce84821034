"""A scene in motion: the backdrop painted once as planes, then frame by frame camera, clouds, water, weather, subjects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..base import CancelToken
from ..scene import compose, lettering
from ..scene.backdrop import paint_stage
from ..scene.engine import streams
from ..scene.finish import restyle
from ..scene.lighting import is_dark
from ..scene.noise import texture
from ..scene.paint import blur, clear, f32, over, to_bytes
from ..scene.styles import luma
from ..scene.types import Array, Layer, Plan, Stage
from ..scene.weather import Sheet, falling
from .actors import Actor, cast_actors, draw
from .camera import MARGIN, Camera, Plane, plane, show

Frame = NDArray[np.uint8]
SLOW_RATE = 12  # pictures a second of what is far away and of the water's waves
_INDOORS = frozenset({"room", "kitchen", "stage", "plain"})
_FREE = frozenset({"bubbles", "fish", "lightning"})  # layers that move by themselves, not with a plane


@dataclass(frozen=True)
class Loose:
    """A picture that travels over the frame and comes back at the other side, pixels a second."""

    image: Any  # PIL.Image RGBA, the size of the frame
    right: float
    down: float
    sheet: Sheet | None = None


@dataclass
class Film:
    """Everything that `frame` needs; made by `prepare`."""

    size: tuple[int, int]
    length: float
    camera: Camera
    planes: list[Plane]
    actors: list[Actor]
    front: Plane | None
    loose: list[Loose]
    water: Any | None  # PIL.Image L on the plane
    ripple: Array | None
    twinkle: tuple[NDArray[np.int64], Array] | None
    title: Any | None
    bolt: Any | None
    flashes: list[float] = field(default_factory=list[float])
    back: Frame | None = None
    far: tuple[int, Any] = (-1, None)  # the picture of all but the nearest plane, and the step it was drawn for
    waves: tuple[int, tuple[int, int, NDArray[np.intp]] | None] = (
        -1,
        None,
    )  # where the water's pixels come from, likewise


def prepare(plan: Plan, width: int, height: int, length: float, seed: int, token: CancelToken) -> Film:
    """Paint a plan's planes and set its subjects in motion."""
    for_backdrop, for_layout, for_finish = streams(seed)
    w, h = _even(width * MARGIN), _even(height * MARGIN)
    stage = paint_stage(plan, w, h, for_backdrop, precipitation=False)
    token.check()
    camera = Camera((width, height), (w, h), *_travel(plan, for_layout))
    actors, still = cast_actors(plan, stage, for_layout)
    token.check()
    merged = _merge(plan, stage)
    if still:
        _stand(merged[-1], still, stage)
    state = int(for_finish.integers(1 << 62))
    planes: list[Plane] = []
    for image, alpha, depth, drift in merged:
        token.check()
        styled = restyle(f32(np.clip(image, 0, 1)), plan.style, np.random.default_rng(state))
        made = plane(styled, alpha, depth, drift * width)
        planes += [made] if made else []
    front = _front(stage, merged[-1][0], plan, state)
    back = np.asarray(planes[0].image.resize((width, height), Image.Resampling.BILINEAR, box=camera.box(0.5, 0.0)))
    return Film(
        size=(width, height),
        length=length,
        camera=camera,
        planes=planes,
        actors=[_styled(actor, plan, state) for actor in actors],
        front=front,
        loose=_loose(plan, stage, width, height, seed),
        water=_moving_water(stage, still),
        ripple=texture(np.random.default_rng(seed % 2**64), 256, 1.3, 3) if stage.water is not None else None,
        twinkle=_stars(back, plan),
        title=_title(plan, width, height, is_dark(stage.light)),
        bolt=_bolt(stage, width, height),
        flashes=_flash_times(length, seed) if plan.weather == "storm" or "lightning" in plan.extra else [],
        back=back if plan.setting not in _INDOORS else None,
    )


def _even(pixels: float) -> int:
    return 2 * round(pixels / 2)


def _travel(plan: Plan, rng: np.random.Generator) -> tuple[float, float]:
    side = 1.0 if rng.random() < 0.5 else -1.0
    return side * (0.03 if plan.setting in _INDOORS else 0.045), 0.05


Merged = list[tuple[Array, Array | None, float, float]]


def _merge(plan: Plan, stage: Stage) -> Merged:
    """The stage's layers as few planes: sky, clouds, far and near. Colours are those of everything up to the plane."""
    if not stage.layers:
        return [(stage.image, None, 0.5, 0.0)]
    groups: list[tuple[float, float, list[Layer]]] = [(0.0, 0.0, []), (0.1, 0.012, []), (0.3, 0.0, []), (0.75, 0.0, [])]
    for layer in stage.layers:
        if layer.name in _FREE:
            continue
        if plan.setting in _INDOORS or layer.depth < 0.05:
            groups[0][2].append(layer)
        elif layer.name == "clouds" and layer.depth < 0.1:
            groups[1][2].append(layer)
        else:
            groups[2 if layer.depth < 0.42 else 3][2].append(layer)
    image = np.zeros(stage.image.shape, np.float32)
    out: Merged = []
    for depth, drift, layers in groups:
        if not layers:
            continue
        cover = np.zeros(image.shape[:2], np.float32)
        for layer in layers:
            over(image, layer.rgba)
            cover += layer.rgba[..., 3] * (1 - cover)
        np.clip(image, 0, 1, out=image)
        indoors = 0.6 if plan.setting in _INDOORS else depth
        out.append((image.copy(), cover if out else None, indoors, drift))
    return out


def _stand(last: tuple[Array, Array | None, float, float], still: list[Any], stage: Stage) -> None:
    """Paint what stands still into the nearest plane (in place)."""
    image, alpha, _, _ = last
    bare = Stage(image, stage.horizon, stage.ground, stage.ground_band, stage.water, stage.light, stage.haze)
    compose.paint(image, still, bare)
    np.clip(image, 0, 1, out=image)
    if alpha is not None:
        np.maximum(alpha, compose.cut_out(still, *alpha.shape)[..., 3], out=alpha)


def _moving_water(stage: Stage, still: list[Any]) -> Any | None:
    """Where water moves: not where something stands before it."""
    if stage.water is None:
        return None
    hidden = compose.cut_out(still, *stage.water.shape)[..., 3] if still else np.float32(0)
    return Image.fromarray(to_bytes(f32(stage.water * (1 - hidden))))


def _front(stage: Stage, under: Array, plan: Plan, state: int) -> Plane | None:
    if stage.foreground is None:
        return None
    image = under.copy()
    over(image, stage.foreground)
    styled = restyle(f32(np.clip(image, 0, 1)), plan.style, np.random.default_rng(state))
    return plane(styled, f32(stage.foreground[..., 3]), 1.0)


def _styled(actor: Actor, plan: Plan, state: int) -> Actor:
    """The actor in the film's style; outlines of the cut-out itself keep it apart from the backdrop."""
    if plan.style == "default":
        return actor
    from dataclasses import replace

    pixels = np.asarray(actor.image, dtype=np.float32) / 255
    rgb = pixels[..., :3] * pixels[..., 3:] + 0.6 * (1 - pixels[..., 3:])
    if min(rgb.shape[:2]) < 8 or plan.style in ("stained-glass", "pixel", "watercolor"):
        return actor
    styled = restyle(f32(rgb), plan.style, np.random.default_rng(state))
    return replace(actor, image=Image.fromarray(to_bytes(np.concatenate([styled, pixels[..., 3:]], axis=2))))


def _loose(plan: Plan, stage: Stage, width: int, height: int, seed: int) -> list[Loose]:
    """Weather that falls, fish and bubbles."""
    out: list[Loose] = []
    for layer in stage.layers:
        if layer.name in ("bubbles", "fish"):
            image = pil(layer.rgba).resize((width, height), Image.Resampling.BILINEAR)
            out.append(
                Loose(
                    image,
                    0.02 * width if layer.name == "fish" else 0.0,
                    -0.13 * height if layer.name == "bubbles" else 0.0,
                )
            )
    sheets = falling(plan, np.random.default_rng(seed % 2**64), height, width)
    return out + [Loose(pil(sheet.rgba), 0.0, 0.0, sheet) for sheet in sheets]


def pil(rgba: Array) -> Any:
    alpha = np.maximum(rgba[..., 3:], 1e-3)
    return Image.fromarray(to_bytes(np.concatenate([np.clip(rgba[..., :3] / alpha, 0, 1), rgba[..., 3:]], axis=2)))


def _stars(back: Frame, plan: Plan) -> tuple[NDArray[np.int64], Array] | None:
    """Places of stars in the rearmost picture, with the phase of each."""
    if plan.time not in ("night", "dusk") and plan.setting != "space":
        return None
    grey = luma(f32(back) / 255)
    points = np.argwhere(grey - blur(grey, 3.0) > 0.16)
    rng = np.random.default_rng(len(points))
    if len(points) > 900:
        points = points[rng.choice(len(points), 900, replace=False)]
    return points.astype(np.int64), f32(rng.random(len(points)) * 6.28)


def _title(plan: Plan, width: int, height: int, dark: bool) -> Any | None:
    if not plan.text:
        return None
    layer = clear(height, width)
    lettering.title(layer, plan, dark)
    return pil(np.clip(layer, 0, 1))


def _bolt(stage: Stage, width: int, height: int) -> Any | None:
    layer = next((part for part in stage.layers if part.name == "lightning"), None)
    return None if layer is None else pil(layer.rgba).resize((width, height), Image.Resampling.BILINEAR)


def _flash_times(length: float, seed: int) -> list[float]:
    rng = np.random.default_rng(seed % 2**64)
    return sorted(float(rng.random()) * length for _ in range(max(1, int(length / 2.5))))


def frame(film: Film, index: int, count: int, fps: int) -> Frame:
    """The film's picture number `index` of `count`."""
    seconds, progress = index / fps, index / max(1, count - 1)
    flash = _flash(film, seconds)
    step = index - index % max(1, fps // SLOW_RATE)
    picture = _distance(film, step, count, fps, flash)
    for part in film.planes[1:][-1:]:
        show(picture, part, film.camera, progress, seconds)
    for actor in film.actors:
        draw(picture, actor, film.camera, progress, seconds, film.length, "shade")
    if film.water is not None:
        picture = _rippled(film, picture, step, count, fps)
    for actor in film.actors:
        draw(picture, actor, film.camera, progress, seconds, film.length, "body")
    if film.front is not None:
        show(picture, film.front, film.camera, progress, np.sin(seconds * 1.9) * 0.5)
    for loose in film.loose:
        travelled(picture, loose, seconds)
    if film.title is not None:
        picture.paste(film.title, (0, 0), film.title)
    pixels = np.asarray(picture)
    if flash > 0.03:
        pixels = np.minimum(pixels.astype(np.float32) * (1 + 0.35 * flash) + 38 * flash, 255).astype(np.uint8)
    return pixels


def _flash(film: Film, seconds: float) -> float:
    """How bright the lightning is, 0..1."""
    return max(
        (
            float(np.exp(-(((seconds - at) / 0.09) ** 2)) if seconds < at else np.exp(-(seconds - at) / 0.16))
            for at in film.flashes
        ),
        default=0.0,
    )


def _distance(film: Film, step: int, count: int, fps: int, flash: float) -> Any:
    """The picture of all but the nearest plane. What is far moves too slowly to be drawn anew for every frame."""
    struck = film.bolt is not None and flash > 0.05
    if film.far[0] == step and not struck:
        return film.far[1].copy()
    seconds, progress = step / fps, step / max(1, count - 1)
    picture = _backmost(film, progress, seconds)
    if film.bolt is not None and struck:
        picture.paste(
            film.bolt, (0, 0), film.bolt.getchannel("A").point([int(v * min(1.0, flash * 1.4)) for v in range(256)])
        )
    for part in film.planes[1:-1]:
        show(picture, part, film.camera, progress, seconds)
    if not struck:
        film.far = (step, picture.copy())
    return picture


def _backmost(film: Film, progress: float, seconds: float) -> Any:
    if film.back is None:
        picture = Image.new("RGB", film.size)
        show(picture, film.planes[0], film.camera, progress, seconds)
        return picture
    if film.twinkle is None or not len(film.twinkle[0]):
        return Image.fromarray(film.back)
    pixels = film.back.copy()
    places, phase = film.twinkle
    glint = 0.62 + 0.38 * np.sin(seconds * 3.1 + phase * 3)
    lit = pixels[places[:, 0], places[:, 1]] * glint[:, None]
    pixels[places[:, 0], places[:, 1]] = lit.astype(np.uint8)
    return Image.fromarray(pixels)


def _rippled(film: Film, picture: Any, step: int, count: int, fps: int) -> Any:
    """The frame with its water moved by small waves."""
    if film.waves[0] != step:
        film.waves = (step, _waves(film, step / max(1, count - 1), step / fps))
    if film.waves[1] is None:
        return picture
    top, bottom, origin = film.waves[1]
    pixels = np.array(picture.convert("RGBX")).view(np.uint32)[..., 0]  # four bytes at once
    np.take(pixels[top:bottom].ravel(), origin, out=pixels[top:bottom], mode="clip")
    return Image.fromarray(pixels.view(np.uint8).reshape(*pixels.shape, 4), "RGBX").convert("RGB")


def _waves(film: Film, progress: float, seconds: float) -> tuple[int, int, NDArray[np.intp]] | None:
    """The first and last row of water, and for each pixel between them the one that is seen there; None without water."""
    width, height = film.size
    box = film.camera.box(progress, 0.75)
    assert film.water is not None
    assert film.ripple is not None
    mask = np.asarray(film.water.resize((width, height), Image.Resampling.BILINEAR, box=box), dtype=np.float32) / 255
    rows = np.flatnonzero(mask.max(axis=1) > 0.05)
    if not rows.size:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    v = np.arange(bottom - top, dtype=np.float32)[:, None] / height
    u = np.arange(width, dtype=np.int32)[None, :]
    ty = (v * 150 / (0.25 + v) + seconds * 9).astype(np.int32) % 256
    tx = (u * 0.3 / (0.3 + v * 1.6) + seconds * 5).astype(np.int32) % 256
    wave = film.ripple.ravel().take(ty * 256 + tx) * mask[top:bottom] * (0.035 * height) * (0.08 + v)
    x = np.clip(u + wave * 1.2, 0, width - 1).astype(np.int32)
    y = np.clip(np.arange(bottom - top, dtype=np.int32)[:, None] + wave * 0.8, 0, bottom - top - 1).astype(np.int32)
    return top, bottom, (y * width + x).astype(np.intp)


def travelled(picture: Any, loose: Loose, seconds: float) -> None:
    """Paste something that has moved on, wrapped around the frame's edges (in place)."""
    width, height = picture.size
    down, right = loose.sheet.at(seconds) if loose.sheet else (int(loose.down * seconds), int(loose.right * seconds))
    x, y = right % width, down % height
    for left in (x, x - width) if x else (0,):
        for top in (y, y - height) if y else (0,):
            picture.paste(loose.image, (left, top), loose.image)
